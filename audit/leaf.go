package audit

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"slices"
	"strconv"
	"unicode/utf8"
)

// leafVersion is the schema version in every leaf. The decoder refuses others.
const leafVersion = 1

// Clock states of a leaf.
const (
	// ClockSteady: wall and monotonic time have agreed since the epoch began.
	ClockSteady = "steady"
	// ClockStepped: they have differed by more than two seconds at least once.
	ClockStepped = "stepped"
)

// Leaf is one entry of the tree, version 1. Its Event has no Details, no Flood
// and no Exchange-wide state: only what stands in the entry.
type Leaf struct {
	Event
	// Node wrote the leaf, in fencing epoch Epoch, as its Seq'th of that epoch
	// (from 1, gapless). Prev is the leaf hash of that node's leaf before, across
	// epochs; zero for its first.
	Node       string
	Epoch, Seq int64
	Prev       [32]byte
	// Wall is the time in ms since 1970, a claim. Mono is ns since boot, Boot
	// names the boot, Clock is the clock state.
	Wall, Mono  int64
	Boot, Clock string
	// Digests stand for the sealed details.
	Digests []DetailDigest
	// More is how many continuation leaves follow a leaf with many subjects or
	// records. A continuation has its ordinal (from 1) in Cont and the first
	// leaf's event in Of.
	More, Cont int
	Of         ID
}

// DetailDigest binds one sealed part to its leaf.
type DetailDigest struct {
	Part string
	// Sum is SHA-256 of the ciphertext. Com is SHA-256 over key name and key
	// commitment, see detail.go.
	Sum, Com [32]byte
}

// refs of one leaf: at most refsPerLeaf of them, in at most refBytes encoded
// bytes, so that a leaf with the longest other fields stays under MaxLeaf.
const (
	refsPerLeaf = 256
	refBytes    = 8 << 10
	refSize     = 2*16 + 3 // one quoted pseudonym with its comma
	// Names of tokens are as long, and so many of them take 2 KiB.
	tokensPerLeaf = 64
)

// Limits of strings and lists in a leaf. They bound what a caller can make the
// log store, not what is sensible.
const (
	maxIdent  = 256
	maxValue  = 4 << 10
	maxList   = 64
	maxClass  = 64
	maxAttrs  = 32
	maxCounts = 128
)

func checkText(field, s string, limit int) error {
	if len(s) > limit {
		return eventError(field, "is longer than "+strconv.Itoa(limit)+" bytes")
	}
	plain := true
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\n' {
			return eventError(field, "holds a control character")
		} else if c >= utf8.RuneSelf {
			plain = false
		}
	}
	if !plain && !utf8.ValidString(s) {
		return eventError(field, "is not UTF-8")
	}
	return nil
}

// check refuses a leaf that the format cannot hold. Lists must be in normal form.
func (l *Leaf) check() error {
	if l.Type == "" {
		return eventError("type", "is empty")
	}
	for _, f := range [...]struct {
		name, s string
		limit   int
	}{
		{"type", l.Type, maxIdent}, {"node", l.Node, maxIdent}, {"boot", l.Boot, maxIdent},
		{"clk", l.Clock, maxIdent}, {"tenant", l.Tenant, maxIdent}, {"route", l.Route, maxIdent},
		{"decision", l.Decision, maxIdent}, {"reason", l.Reason, maxIdent}, {"policy", l.Policy, maxIdent},
		{"input", l.Input, MaxInput}, {"idk", l.Identity, maxIdent}, {"chan", l.Channel, maxIdent},
		{"op", l.Operation, maxIdent}, {"effect", l.Effect, maxIdent}, {"scope", l.Scope, maxIdent},
		{"purpose", l.Purpose, maxIdent}, {"org", l.Network, maxIdent}, {"out", l.Outcome, maxIdent},
		{"ret", l.Retention, maxIdent},
	} {
		if err := checkText(f.name, f.s, f.limit); err != nil {
			return err
		}
	}
	for _, n := range [...]int64{int64(l.Class), int64(l.Status), l.Epoch, l.Seq, l.Wall, l.Mono, int64(l.More), int64(l.Cont)} {
		if n < 0 {
			return eventError("number", "is below zero")
		}
	}
	if err := checkList("roles", l.Roles, maxList, maxIdent); err != nil {
		return err
	}
	if err := checkList("tok", l.Tokens, maxCounts, maxIdent); err != nil {
		return err
	}
	if len(l.Released) > maxCounts {
		return eventError("rel", "has too many classes")
	}
	for i, c := range l.Released {
		if err := checkText("rel", c.Class, maxClass); err != nil {
			return err
		}
		if c.Class == "" || i > 0 && l.Released[i-1].Class >= c.Class {
			return eventError("rel", "repeats or lacks a class")
		}
		if c.Clear < 0 || c.Masked < 0 || c.Tokenized < 0 || c.Dropped < 0 || c.NotInspected < 0 {
			return eventError("rel", "counts below zero")
		}
	}
	if len(l.Attrs) > maxAttrs {
		return eventError("attrs", "has too many names")
	}
	for k, v := range l.Attrs {
		if err := checkText("attrs", k, maxClass); err != nil {
			return err
		}
		if err := checkText("attrs", v, maxValue); err != nil {
			return err
		}
	}
	if len(l.Digests) > maxList {
		return eventError("det", "has too many parts")
	}
	for i, d := range l.Digests {
		if err := checkText("det", d.Part, maxClass); err != nil {
			return err
		}
		if i > 0 && l.Digests[i-1].Part >= d.Part {
			return eventError("det", "repeats a part")
		}
	}
	if len(l.Subjects)+len(l.Records) > refsPerLeaf {
		return eventError("refs", "are too many for one leaf")
	}
	for _, refs := range [...][]Ref{l.Subjects, l.Records} {
		if err := checkRefs(refs); err != nil {
			return err
		}
	}
	return nil
}

func checkList(field string, list []string, items, size int) error {
	if len(list) > items {
		return eventError(field, "has too many items")
	}
	for i, s := range list {
		if err := checkText(field, s, size); err != nil {
			return err
		}
		if i > 0 && list[i-1] >= s {
			return eventError(field, "is not sorted and unique")
		}
	}
	return nil
}

// checkRefs demands the normal form of normalRefs.
func checkRefs(refs []Ref) error {
	groups := 1
	for i, r := range refs {
		if i == 0 || !slices.Equal(refs[i-1].Classes, r.Classes) {
			if err := checkList("refs", r.Classes, maxList, maxClass); err != nil {
				return err
			}
		}
		if i == 0 {
			continue
		}
		c := compareRefs(refs[i-1], r)
		if c >= 0 {
			return eventError("refs", "are not sorted and unique")
		}
		if !slices.Equal(refs[i-1].Classes, r.Classes) {
			groups++
		}
	}
	if groups == 1 {
		return nil
	}
	seen := make(map[Pseudonym]struct{}, len(refs))
	for _, r := range refs {
		if _, ok := seen[r.ID]; ok {
			return eventError("refs", "name one pseudonym twice")
		}
		seen[r.ID] = struct{}{}
	}
	return nil
}

// compareRefs orders by class list, then by pseudonym, so that equal class lists
// stand together and are written once.
func compareRefs(a, b Ref) int {
	if c := slices.Compare(a.Classes, b.Classes); c != 0 {
		return c
	}
	return bytes.Compare(a.ID[:], b.ID[:])
}

// normalRefs sorts refs and merges the classes of a pseudonym named twice. The
// argument is not changed: callers share role and class lists between requests.
func normalRefs(refs []Ref) []Ref {
	if len(refs) == 0 {
		return nil
	}
	out := make([]Ref, len(refs))
	for i, r := range refs {
		out[i] = Ref{ID: r.ID, Classes: normalList(r.Classes)}
	}
	slices.SortFunc(out, func(a, b Ref) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	n := 0
	for _, r := range out[1:] {
		if r.ID == out[n].ID {
			out[n].Classes = normalList(append(slices.Clone(out[n].Classes), r.Classes...))
			continue
		}
		n++
		out[n] = r
	}
	out = out[:n+1]
	slices.SortFunc(out, compareRefs)
	return out
}

// normalList returns list sorted and without repetition, itself when it is so
// already.
func normalList(list []string) []string {
	for i := 1; i < len(list); i++ {
		if list[i-1] >= list[i] {
			out := slices.Clone(list)
			slices.Sort(out)
			return slices.Compact(out)
		}
	}
	return list
}

// normalCounts sorts by class and adds up what stands under one class twice.
func normalCounts(list []Count) []Count {
	for i := 1; i < len(list); i++ {
		if list[i-1].Class < list[i].Class {
			continue
		}
		out := slices.Clone(list)
		slices.SortStableFunc(out, func(a, b Count) int { return cmp.Compare(a.Class, b.Class) })
		n := 0
		for _, c := range out[1:] {
			if o := &out[n]; o.Class == c.Class {
				o.Clear += c.Clear
				o.Masked += c.Masked
				o.Tokenized += c.Tokenized
				o.Dropped += c.Dropped
				o.NotInspected += c.NotInspected
				continue
			}
			n++
			out[n] = c
		}
		return out[:n+1]
	}
	return list
}

// splitRefs takes the subjects and records of one leaf off the fronts of the
// lists, in order, within refsPerLeaf and refBytes.
func splitRefs(subs, recs []Ref) (s, r []Ref) {
	count, size := 0, 0
	take := func(list []Ref) []Ref {
		for i, ref := range list {
			need := refSize
			if i == 0 || !slices.Equal(list[i-1].Classes, ref.Classes) {
				need += 16
				for _, c := range ref.Classes {
					need += len(c) + 3
				}
			}
			// One reference always fits: 64 classes of 64 bytes are under half of it.
			if count == refsPerLeaf || size+need > refBytes {
				return list[:i]
			}
			count++
			size += need
		}
		return list
	}
	s = take(subs)
	if len(s) < len(subs) {
		return s, nil
	}
	return s, take(recs)
}

// appendLeaf writes the canonical form: one JSON object, keys sorted, no white
// space, only objects, arrays, integers and strings; absent means zero. nseqAt
// and prevAt are the offsets of the two values which the writer goroutine fills
// in, see patchLeaf.
func appendLeaf(b []byte, l *Leaf) (out []byte, nseqAt, prevAt int) {
	b = append(b, '{')
	if l.Actor != (Pseudonym{}) {
		b = append(b, `"act":"`...)
		b = hex.AppendEncode(b, l.Actor[:])
		b = append(b, `",`...)
	}
	if len(l.Attrs) > 0 {
		b = append(b, `"attrs":{`...)
		keys := make([]string, 0, len(l.Attrs))
		for k := range l.Attrs {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, k)
			b = append(b, ':')
			b = appendString(b, l.Attrs[k])
		}
		b = append(b, `},`...)
	}
	b = appendText(b, `"boot":`, l.Boot)
	b = appendText(b, `"chan":`, l.Channel)
	b = appendNumber(b, `"class":`, int64(l.Class))
	b = appendText(b, `"clk":`, l.Clock)
	b = appendNumber(b, `"cont":`, int64(l.Cont))
	b = appendText(b, `"decision":`, l.Decision)
	if len(l.Digests) > 0 {
		b = append(b, `"det":[`...)
		for i, d := range l.Digests {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"com":"`...)
			b = hex.AppendEncode(b, d.Com[:])
			b = append(b, `","part":`...)
			b = appendString(b, d.Part)
			b = append(b, `,"sum":"`...)
			b = hex.AppendEncode(b, d.Sum[:])
			b = append(b, `"}`...)
		}
		b = append(b, `],`...)
	}
	b = appendText(b, `"effect":`, l.Effect)
	b = appendID(b, `"eid":"`, l.ID)
	b = append(b, `"epoch":`...)
	b = strconv.AppendInt(b, l.Epoch, 10)
	b = append(b, ',')
	b = appendFlag(b, `"fwd":1,`, l.Forwarded)
	b = appendText(b, `"idk":`, l.Identity)
	b = appendText(b, `"input":`, l.Input)
	b = appendID(b, `"mail":"`, ID(l.Mail))
	b = appendFlag(b, `"mfa":1,`, l.MFA)
	b = append(b, `"mono":`...)
	b = strconv.AppendInt(b, l.Mono, 10)
	b = append(b, ',')
	b = appendNumber(b, `"more":`, int64(l.More))
	b = append(b, `"node":`...)
	b = appendString(b, l.Node)
	b = append(b, `,"nseq":`...)
	nseqAt = len(b)
	b = strconv.AppendInt(b, l.Seq, 10)
	b = append(b, ',')
	b = appendID(b, `"of":"`, l.Of)
	b = appendText(b, `"op":`, l.Operation)
	b = appendText(b, `"org":`, l.Network)
	b = appendText(b, `"out":`, l.Outcome)
	b = appendText(b, `"policy":`, l.Policy)
	b = append(b, `"prev":"`...)
	prevAt = len(b)
	b = hex.AppendEncode(b, l.Prev[:])
	b = append(b, `",`...)
	b = appendText(b, `"purpose":`, l.Purpose)
	b = appendText(b, `"reason":`, l.Reason)
	b = appendRefs(b, `"recs":[`, l.Records)
	if len(l.Released) > 0 {
		b = append(b, `"rel":{`...)
		for i, c := range l.Released {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, c.Class)
			b = append(b, ':')
			b = appendCount(b, c)
		}
		b = append(b, `},`...)
	}
	b = appendText(b, `"ret":`, l.Retention)
	b = appendStrings(b, `"roles":[`, l.Roles)
	b = appendText(b, `"route":`, l.Route)
	b = appendText(b, `"scope":`, l.Scope)
	b = appendNumber(b, `"status":`, int64(l.Status))
	b = appendRefs(b, `"subs":[`, l.Subjects)
	b = appendText(b, `"tenant":`, l.Tenant)
	b = appendStrings(b, `"tok":[`, l.Tokens)
	b = appendText(b, `"type":`, l.Type)
	b = append(b, `"v":`...)
	b = strconv.AppendInt(b, leafVersion, 10)
	b = append(b, `,"wall":`...)
	b = strconv.AppendInt(b, l.Wall, 10)
	if !l.Exchange.IsZero() {
		b = append(b, `,"xid":"`...)
		b = hex.AppendEncode(b, l.Exchange[:])
		b = append(b, '"')
	}
	return append(b, '}'), nseqAt, prevAt
}

// patchLeaf puts the sequence number and the previous hash, known only to the
// writer goroutine, into an encoding made with Seq 0 and a zero Prev.
func patchLeaf(b, enc []byte, nseqAt, prevAt int, seq int64, prev [32]byte) []byte {
	b = append(b, enc[:nseqAt]...)
	b = strconv.AppendInt(b, seq, 10)
	b = append(b, enc[nseqAt+1:prevAt]...)
	b = hex.AppendEncode(b, prev[:])
	return append(b, enc[prevAt+2*len(prev):]...)
}

func appendText(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	b = append(b, key...)
	b = appendString(b, s)
	return append(b, ',')
}

func appendNumber(b []byte, key string, n int64) []byte {
	if n == 0 {
		return b
	}
	b = append(b, key...)
	b = strconv.AppendInt(b, n, 10)
	return append(b, ',')
}

func appendFlag(b []byte, member string, set bool) []byte {
	if !set {
		return b
	}
	return append(b, member...)
}

func appendID(b []byte, key string, id ID) []byte {
	if id.IsZero() {
		return b
	}
	b = append(b, key...)
	b = hex.AppendEncode(b, id[:])
	return append(b, `",`...)
}

func appendStrings(b []byte, key string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, key...)
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, `],`...)
}

// appendRefs writes one object per class list: {"c":[classes],"s":[pseudonyms]}.
func appendRefs(b []byte, key string, refs []Ref) []byte {
	if len(refs) == 0 {
		return b
	}
	b = append(b, key...)
	for i, r := range refs {
		if i > 0 && slices.Equal(refs[i-1].Classes, r.Classes) {
			b = append(b, `,"`...)
		} else {
			if i > 0 {
				b = append(b, `]},`...)
			}
			b = append(b, '{')
			b = appendStrings(b, `"c":[`, r.Classes)
			b = append(b, `"s":["`...)
		}
		b = hex.AppendEncode(b, r.ID[:])
		b = append(b, '"')
	}
	return append(b, `]}],`...)
}

func appendCount(b []byte, c Count) []byte {
	b = append(b, '{')
	n := len(b)
	b = appendNumber(b, `"clear":`, int64(c.Clear))
	b = appendNumber(b, `"dropped":`, int64(c.Dropped))
	b = appendNumber(b, `"masked":`, int64(c.Masked))
	b = appendNumber(b, `"tokenized":`, int64(c.Tokenized))
	b = appendNumber(b, `"unread":`, int64(c.NotInspected))
	if len(b) > n {
		b = b[:len(b)-1] // the last comma
	}
	return append(b, '}')
}

// appendString writes a checked string. Of the escapes JSON requires only three
// can occur, because checkText refuses all control characters but the newline.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		var esc byte
		switch s[i] {
		case '"', '\\':
			esc = s[i]
		case '\n':
			esc = 'n'
		default:
			continue
		}
		b = append(b, s[start:i]...)
		b = append(b, '\\', esc)
		start = i + 1
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
