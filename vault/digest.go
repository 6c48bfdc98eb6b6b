package vault

// Record is the keyed pseudonym of a vendor's object, kind being
// "<channel>:<object>". It is the same in every shard, because the duties towards
// a record (retention, holds) outlive a shard.
func (v *Vault) Record(kind, id string) [16]byte {
	var buf [128]byte
	in := appendPart(buf[:0], "record")
	in = appendPart(in, v.tenant)
	in = appendPart(in, kind)
	mac := v.keys.check.compute(append(in, id...))
	return [16]byte(mac[:16])
}

// Digest is a keyed digest of 32 bytes; equal bytes under different purposes have
// unrelated digests. It is what is stored of credentials (V6).
func (v *Vault) Digest(purpose string, b []byte) []byte {
	var buf [128]byte
	in := appendPart(buf[:0], "digest")
	in = appendPart(in, v.tenant)
	in = appendPart(in, purpose)
	mac := v.keys.check.compute(append(in, b...))
	return mac[:]
}

// NameDigest is a keyed digest of 16 bytes of a name of a person, in the form under which equal
// names meet; false for a name that is none. Unlike a pseudonym it does not end with the
// person's key, so it is for nothing but what has to be known of a person who was erased.
// Equal names under different purposes have unrelated digests.
func (v *Vault) NameDigest(purpose string, id Ident) (name [16]byte, ok bool) {
	var buf [128]byte
	canonical := appendCanonical(buf[:0], id.Kind, id.Value)
	if id.Kind == "" || len(canonical) == 0 {
		return name, false
	}
	var in [192]byte
	mac := v.Digest(purpose, append(appendPart(in[:0], id.Kind), canonical...))
	return [16]byte(mac[:16]), true
}

// Labels of PRF inputs of the index branch. They are parts of their own, so a
// value that looks like a label cannot collide.
const (
	labelBlind = "blind"
	labelLink  = "link"
	labelProof = "proof"
)

// blindOf is the blind index of a canonical value.
func (v *Vault) blindOf(scope, kind string, canonical []byte) [macSize]byte {
	var buf [256]byte
	in := appendPart(buf[:0], labelBlind)
	in = appendPart(in, v.tenant)
	in = appendPart(in, scope)
	in = appendPart(in, kind)
	return v.keys.index.compute(append(in, canonical...))
}

// linkTag authenticates a row of the blind index, its target included (V15).
func (v *Vault) linkTag(scope, kind string, mac [macSize]byte, id [idSize]byte) [macSize]byte {
	var buf [256]byte
	in := appendPart(buf[:0], labelLink)
	in = appendPart(in, v.tenant)
	in = appendPart(in, scope)
	in = appendPart(in, kind)
	in = append(in, mac[:]...)
	return v.keys.index.compute(append(in, id[:]...))
}

// proof shows that a key file belongs to the database.
func proof(b *branch, tenant string) []byte {
	mac := b.compute(appendPart(appendPart(nil, labelProof), tenant))
	return mac[:]
}
