package policy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/util"
	"go.yaml.in/yaml/v4"
)

// BundleKey is a public key under whose signature a bundle counts. It fixes the
// algorithms: a signature that names another is refused, "none" and those with a shared
// secret always, because a public key would be that secret.
type BundleKey struct {
	id         string
	pem        string
	algorithms []string
}

// minRSA is the smallest modulus in bits, as NIST SP 800-131A has it.
const minRSA = 2048

// ParseBundleKey reads a public key in PEM (BEGIN PUBLIC KEY): Ed25519, ECDSA on P-256,
// P-384 or P-521, or RSA from 2048 bits. id is what signatures and the log call it; with
// "" it is the first 16 hexadecimal digits of the SHA-256 of the key (its
// SubjectPublicKeyInfo).
func ParseBundleKey(id string, src []byte) (*BundleKey, error) {
	block, rest := pem.Decode(src)
	switch {
	case block == nil:
		return nil, errors.New("want a public key in PEM, as `openssl pkey -in FILE -pubout` prints it")
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, errors.New("this is a private key, which stays with who signs; want the public one, as `openssl pkey -in FILE -pubout` prints it")
	case block.Type != "PUBLIC KEY":
		return nil, fmt.Errorf("want BEGIN PUBLIC KEY, got BEGIN %.40q", block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("want one key; name each in a line of its own")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("this is no public key that can be read")
	}
	return newBundleKey(id, public, block.Bytes)
}

func newBundleKey(id string, public any, der []byte) (*BundleKey, error) {
	k := &BundleKey{id: id, pem: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	if k.id == "" {
		sum := sha256.Sum256(der)
		k.id = hex.EncodeToString(sum[:8])
	}
	if len(k.id) > maxName || strings.Trim(k.id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return nil, fmt.Errorf("the id of a key is 1 to %d letters, digits, dots, hyphens and underscores", maxName)
	}
	switch public := public.(type) {
	case ed25519.PublicKey:
		k.algorithms = []string{"EdDSA"}
	case *ecdsa.PublicKey:
		name := map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[public.Curve.Params().Name]
		if name == "" {
			return nil, errors.New("want a key on P-256, P-384 or P-521")
		}
		k.algorithms = []string{name}
	case *rsa.PublicKey:
		if public.N.BitLen() < minRSA {
			return nil, fmt.Errorf("an RSA key has %d bits or more", minRSA)
		}
		k.algorithms = []string{"PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
	default:
		return nil, errors.New("want an Ed25519, ECDSA or RSA key")
	}
	return k, nil
}

// ID is the name of the key.
func (k *BundleKey) ID() string { return k.id }

// BundleTrust says which bundles count.
type BundleTrust struct {
	// Keys are those under whose signature a bundle counts; more than one while a key is
	// replaced. Their ids differ.
	Keys []*BundleKey
	// Scope must be the scope that was signed, byte for byte; "" for none. One key can
	// sign for several deployments, and a bundle for one of them counts nowhere else.
	Scope string
}

// SignedBundle is a bundle whose signature was verified: the operator's rules and their
// document. It never changes.
type SignedBundle struct {
	// Revision orders the bundles of a deployment: a number from 1.
	Revision int64
	// Digest names the content, whoever signed it and however it is packed: SHA-256 over
	// manifest, document, rules and tests, 64 lower-case hex digits.
	Digest string
	// Key is the id of the key that signed.
	Key string
	// Files are the names of what is in it, in order, signatures aside.
	Files []string

	rules   []source
	overlay *Overlay // nil for none
}

// Grants are the grants of its document by actor ID, for ResolverConfig.
func (b *SignedBundle) Grants() map[string][]string {
	if b.overlay == nil {
		return nil
	}
	return b.overlay.Grants()
}

// overlays are its documents.
func (b *SignedBundle) overlays() []*Overlay {
	if b.overlay == nil {
		return nil
	}
	return []*Overlay{b.overlay}
}

// ErrUntrusted is wrapped by the errors of OpenBundle that mean that nobody trusted signed
// these bytes for this deployment. Their texts have names of files and keys, in quotes, and
// nothing of a file's content.
var ErrUntrusted = errors.New("the bundle's signature does not count")

// OpenBundle reads a bundle, the gzipped tar archive of Open Policy Agent with its
// .signatures.json, and verifies its signature and every file in it. Nothing of it is
// looked at as policy before. An error in a document or rule has its file and line. Whether
// the rules compile is said by NewEngine.
func OpenBundle(archive []byte, trust BundleTrust) (*SignedBundle, error) {
	files, err := unpack(archive)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	for _, f := range files {
		switch {
		case !opa.IsStructuredDoc(f.name):
		case documentMarks(f.src) > maxDocumentMarks:
			return nil, fmt.Errorf("reading the bundle: %s: more than %d commas, colons, hyphens, question marks, opening brackets and lines, the limit of a document", f.name, maxDocumentMarks)
		case !plainDocument(f.src):
			return nil, fmt.Errorf("reading the bundle: %s: it is neither JSON nor YAML without anchors and without mappings of more than %d names", f.name, maxDocumentNames)
		}
	}
	key, err := verifyBundle(files, trust)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	b := &SignedBundle{Key: key}
	sum := sha256.New()
	for _, f := range files {
		if f.name == signaturesFile {
			continue
		}
		b.Files = append(b.Files, f.name)
		signed := f.src
		if opa.IsStructuredDoc(f.name) {
			if signed, err = asSigned(f.src); err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
		}
		fmt.Fprintf(sum, "%d %s %d\n", len(f.name), f.name, len(signed))
		sum.Write(signed)
		switch {
		case f.name == manifestFile:
			b.Revision, err = readManifest(signed)
		case path.Ext(f.name) != ".rego":
			err = b.readDocument(f, signed)
		case !strings.HasSuffix(f.name, "_test.rego"):
			b.rules = append(b.rules, f)
		}
		if err != nil {
			return nil, err
		}
	}
	if b.Revision == 0 {
		return nil, fmt.Errorf("%s is missing; it says which revision this is", manifestFile)
	}
	b.Digest = hex.EncodeToString(sum.Sum(nil))
	return b, nil
}

// documentMarks counts what stands between the values of JSON or YAML. There are at most
// twice as many values, and one: a mark is between a name and its value, or behind both.
func documentMarks(src []byte) int {
	n := 0
	for _, c := range src {
		switch c {
		case ',', ':', '[', '{', '-', '?', '\n', '\r':
			n++
		}
	}
	return n
}

// plainDocument tells whether a document can be read at a cost that its size bounds. A
// signature covers the values of a document, so it is read before anything is known of it;
// an alias of YAML can stand for a long text a million times, and each name of a mapping is
// compared with every other.
func plainDocument(src []byte) bool {
	if json.Valid(src) {
		return true
	}
	var root yaml.Node
	if yaml.Unmarshal(src, &root) != nil {
		return false
	}
	var plain func(n *yaml.Node) bool
	plain = func(n *yaml.Node) bool {
		if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Kind == yaml.MappingNode && len(n.Content) > 2*maxDocumentNames {
			return false
		}
		return !slices.ContainsFunc(n.Content, func(n *yaml.Node) bool { return !plain(n) })
	}
	return plain(&root)
}

// asSigned is what the signature of a document covers: its values, not how they are
// written. It is what counts, so that no other way of writing them can mean something else.
func asSigned(src []byte) ([]byte, error) {
	var value any
	if err := util.Unmarshal(src, &value); err != nil {
		return nil, errors.New("it is neither JSON nor YAML")
	}
	return json.Marshal(value)
}

// readManifest returns the revision.
func readManifest(signed []byte) (int64, error) {
	var manifest map[string]json.RawMessage
	if err := json.Unmarshal(signed, &manifest); err != nil {
		return 0, fmt.Errorf("%s: want an object", manifestFile)
	}
	for name, value := range manifest {
		switch name {
		case "revision", "roots", "metadata":
		case "rego_version":
			if string(value) != "1" {
				return 0, fmt.Errorf("%s: rego_version is 1", manifestFile)
			}
		default:
			return 0, fmt.Errorf("%s: %.40q is not known here; it has revision, roots, metadata, rego_version", manifestFile, name)
		}
	}
	var text string
	if err := json.Unmarshal(manifest["revision"], &text); err != nil {
		return 0, fmt.Errorf("%s: %w", manifestFile, errRevision)
	}
	revision, err := ParseRevision(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", manifestFile, err)
	}
	return revision, nil
}

var errRevision = errors.New("the revision is a whole number from 1, as a string without zeros before it: \"revision\": \"42\"")

// ParseRevision reads a revision in its one form, digits without zeros before them.
func ParseRevision(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != text {
		return 0, errRevision
	}
	return n, nil
}

// readDocument reads the one document. signed is what counts of it; its mistakes are told
// by the lines of the file.
func (b *SignedBundle) readDocument(f source, signed []byte) error {
	if b.overlay != nil {
		return fmt.Errorf("%s: a bundle has one document, and %s is another", f.name, b.overlay.name)
	}
	if string(signed) == "{}" {
		return nil // Open Policy Agent's tools write it where there is none
	}
	asWritten, err := ParseOverlay(f.name, f.src)
	if err != nil {
		return err
	}
	if b.overlay, err = ParseOverlay(f.name, signed); err != nil {
		return err
	}
	if !reflect.DeepEqual(asWritten.rows, b.overlay.rows) || !reflect.DeepEqual(asWritten.grants, b.overlay.grants) || !reflect.DeepEqual(asWritten.approvals, b.overlay.approvals) {
		return fmt.Errorf("%s: two readers of YAML read it differently; put its words into quotes", f.name)
	}
	return nil
}

// signatureHashes are those by which a signature may name a file.
var signatureHashes = []opa.HashingAlgorithm{opa.SHA256, opa.SHA384, opa.SHA512, opa.SHA512256}

// verifyBundle verifies the signature, and that what was signed is there and nothing else,
// and returns the id of the key. Signature and digests are looked at by Open Policy Agent's
// own code, with key and algorithm that were chosen here.
func verifyBundle(files []source, trust BundleTrust) (keyID string, err error) {
	var signatures opa.SignaturesConfig
	at := slices.IndexFunc(files, func(f source) bool { return f.name == signaturesFile })
	if at < 0 {
		return "", fmt.Errorf("it is not signed: %s is missing", signaturesFile)
	}
	if err := json.Unmarshal(files[at].src, &signatures); err != nil || len(signatures.Signatures) != 1 {
		return "", fmt.Errorf("%s wants one signature", signaturesFile)
	}
	if signatures.Plugin != "" && signatures.Plugin != "_default" {
		return "", fmt.Errorf("%s names a plugin, and there is none", signaturesFile)
	}
	head, claims, err := readSignature(signatures.Signatures[0])
	if err != nil {
		return "", err
	}
	key, err := trust.keyFor(head, claims)
	if err != nil {
		return "", err
	}
	signed, err := opa.VerifyBundleSignature(signatures, opa.NewVerificationConfig(
		map[string]*opa.KeyConfig{key.id: {Key: key.pem, Algorithm: head.Algorithm, Scope: trust.Scope}}, key.id, trust.Scope, nil))
	if err != nil {
		if claims.Scope != trust.Scope {
			return "", fmt.Errorf("it is for another scope than %q, or not signed by key %s", trust.Scope, key.id)
		}
		return "", fmt.Errorf("it is not by key %s, or was changed since", key.id)
	}
	for _, info := range signed {
		if !slices.Contains(signatureHashes, opa.HashingAlgorithm(info.Algorithm)) {
			return "", errors.New("it names files by a hash that does not count; want SHA-256, SHA-384 or SHA-512")
		}
	}
	for _, f := range files {
		if f.name == signaturesFile {
			continue
		}
		if _, ok := signed[f.name]; !ok {
			return "", fmt.Errorf("%s is not among the files that were signed", f.name)
		}
		// It takes what it has found out of the list.
		if err := opa.VerifyBundleFile(f.name, *bytes.NewBuffer(f.src), signed); err != nil {
			return "", fmt.Errorf("%s is not what was signed", f.name)
		}
	}
	if len(signed) > 0 {
		return "", fmt.Errorf("%d files that were signed are missing", len(signed))
	}
	return key.id, nil
}

// signatureHead is the protected header of a signature.
type signatureHead struct {
	Algorithm string   `json:"alg"`
	KeyID     string   `json:"kid"`
	Critical  []string `json:"crit"`
}

// signatureClaims are the claims beside the files.
type signatureClaims struct {
	KeyID     string          `json:"keyid"`
	Scope     string          `json:"scope"`
	Expires   json.RawMessage `json:"exp"`
	NotBefore json.RawMessage `json:"nbf"`
}

// readSignature reads a signature before it is verified, to choose the key. A time is
// refused and not passed over: who wrote it relies on it, and a policy that ends by itself
// would leave a gateway without one. Revisions say which bundle is the newer.
func readSignature(token string) (head signatureHead, claims signatureClaims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return head, claims, errors.New("the signature is no JWT")
	}
	for i, into := range []any{&head, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return head, claims, errors.New("the signature is no JWT")
		}
	}
	switch {
	case len(head.Critical) > 0:
		return head, claims, errors.New("the signature demands extensions that are not known")
	case claims.Expires != nil || claims.NotBefore != nil:
		return head, claims, errors.New("the signature has a time (exp, nbf), which bundles do not have: a newer revision replaces an older one")
	}
	return head, claims, nil
}

// keyFor is the key that a signature names. One that names none is by the only key there
// is.
func (t BundleTrust) keyFor(head signatureHead, claims signatureClaims) (*BundleKey, error) {
	name := head.KeyID
	if name == "" {
		name = claims.KeyID
	}
	if claims.KeyID != "" && claims.KeyID != name {
		return nil, errors.New("the signature names two keys")
	}
	var key *BundleKey
	switch at := slices.IndexFunc(t.Keys, func(k *BundleKey) bool { return k.id == name }); {
	case at >= 0:
		key = t.Keys[at]
	case name != "":
		return nil, fmt.Errorf("it is by key %.80q, which is not among those that count", name)
	case len(t.Keys) == 1:
		key = t.Keys[0]
	default:
		return nil, errors.New("the signature names no key, and there is more than one")
	}
	if !slices.Contains(key.algorithms, head.Algorithm) {
		return nil, fmt.Errorf("the signature's algorithm is %.20q; with key %s it is %s", head.Algorithm, key.id, strings.Join(key.algorithms, ", "))
	}
	return key, nil
}
