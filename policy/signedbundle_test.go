package policy_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	opa "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/caregate/caregate/policy"
)

const ownRule = "package caregate.operator\n\ndeny contains \"no_deletes\" if input.effect == \"delete\"\n"

// keyPair is a private key in PEM and its public half.
type keyPair struct {
	signer          crypto.Signer
	private, public []byte
}

func newKeyPair(t testing.TB, signer crypto.Signer, err error) keyPair {
	t.Helper()
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	must(t, err)
	return keyPair{signer, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})}
}

func edKey(t testing.TB) keyPair {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return newKeyPair(t, private, err)
}

func ecKey(t testing.TB, curve elliptic.Curve) keyPair {
	t.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	return newKeyPair(t, private, err)
}

// trusts is whoever trusts the keys, under their default ids.
func trusts(t testing.TB, keys ...keyPair) policy.BundleTrust {
	t.Helper()
	var trust policy.BundleTrust
	for _, k := range keys {
		parsed, err := policy.ParseBundleKey("", k.public)
		must(t, err)
		trust.Keys = append(trust.Keys, parsed)
	}
	return trust
}

// bundleDir is a directory with files by name.
func bundleDir(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		must(t, os.WriteFile(file, []byte(text), 0o600))
	}
	return dir
}

func signed(t testing.TB, k keyPair, revision int64, files map[string]string) []byte {
	t.Helper()
	archive, _, err := policy.SignBundle(t.Context(), bundleDir(t, files), policy.BundleSigning{Key: k.private, Revision: revision})
	must(t, err)
	return archive
}

// entry is one of an archive. Its size is that of the text unless it says another.
type entry struct {
	name, text string
	kind       byte
	size       int64
}

func tarball(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, e := range entries {
		head := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.text)), Mode: 0o644}
		if e.kind == 0 {
			head.Typeflag = tar.TypeReg
		}
		if head.Typeflag == tar.TypeSymlink || head.Typeflag == tar.TypeLink {
			head.Linkname, head.Size = "/etc/passwd", 0
		}
		if e.size > 0 {
			head.Size = e.size
		}
		must(t, w.WriteHeader(head))
		if e.size > 0 {
			_, err := io.CopyN(w, zeros{}, e.size)
			must(t, err)
		} else if head.Size > 0 {
			_, err := io.WriteString(w, e.text)
			must(t, err)
		}
	}
	must(t, w.Close())
	must(t, zip.Close())
	return out.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func untar(t testing.TB, archive []byte) (entries []entry) {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	must(t, err)
	for r := tar.NewReader(zip); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, err)
		entries = append(entries, entry{name: head.Name, text: string(text)})
	}
}

const tightDocument = "version: 1\nenforcement:\n  - {class: iban, action: mask}\ngrants:\n  - {actor: \"key:1\", grants: [\"zendesk:ticket.export\"]}\n"

// Every kind of key signs, what it signed counts, and what is in it decides.
func TestBundleSignedAndOpened(t *testing.T) {
	t.Parallel()
	rsaPrivate, err := rsa.GenerateKey(rand.Reader, 2048)
	for name, k := range map[string]keyPair{
		"Ed25519": edKey(t), "P-256": ecKey(t, elliptic.P256()), "P-384": ecKey(t, elliptic.P384()), "P-521": ecKey(t, elliptic.P521()), "RSA": newKeyPair(t, rsaPrivate, err),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := bundleDir(t, map[string]string{
				"rules/own.rego": ownRule, "rules/own_test.rego": "package caregate.operator_test\n\ntest_x if true\n",
				"data.yaml": tightDocument, "README.md": "# Ours", ".git/config": "x", ".manifest": `{"metadata":{"team":"desk"}}`,
			})
			archive, made, err := policy.SignBundle(t.Context(), dir, policy.BundleSigning{Key: k.private, Revision: 7})
			must(t, err)
			b, err := policy.OpenBundle(archive, trusts(t, edKey(t), k))
			must(t, err)
			if want := []string{".manifest", "data.yaml", "rules/own.rego"}; b.Revision != 7 || !slices.Equal(b.Files, want) || b.Digest != made.Digest || b.Key != trusts(t, k).Keys[0].ID() {
				t.Errorf("got %+v, want revision 7 with %v", b, want)
			}
			if len(b.Grants()["key:1"]) != 1 {
				t.Errorf("grants: got %v", b.Grants())
			}
			e := engine(t, policy.Config{Bundle: b})
			in := ticket()
			in.Effect, in.Operation = "delete", "ticket.delete"
			d, err := e.Decide(t.Context(), in)
			must(t, err)
			if d.Allow || !slices.Contains(d.Reasons, "operator.no_deletes") {
				t.Errorf("the rule of the bundle does not count: %+v", d)
			}
			if other := signed(t, k, 8, map[string]string{"rules/own.rego": ownRule, "data.yaml": tightDocument}); bytes.Equal(other, archive) {
				t.Error("two revisions are the same")
			}
		})
	}
}

// What Open Policy Agent's own tools build and sign counts too.
func TestBundleOfOPA(t *testing.T) {
	t.Parallel()
	k := ecKey(t, elliptic.P256())
	for _, document := range []map[string]any{{}, {"version": json.Number("1"), "enforcement": []any{map[string]any{"class": "iban", "action": "mask"}}}} {
		roots := []string{""}
		b := opa.Bundle{
			Manifest: opa.Manifest{Revision: "3", Roots: &roots}, Data: document,
			Modules: []opa.ModuleFile{{URL: "/rules/own.rego", Path: "/rules/own.rego", Raw: []byte(ownRule)}},
		}
		must(t, b.GenerateSignature(opa.NewSigningConfig(string(k.private), "ES256", ""), "", true))
		var out bytes.Buffer
		must(t, opa.Write(&out, b))
		got, err := policy.OpenBundle(out.Bytes(), trusts(t, k))
		must(t, err)
		engine(t, policy.Config{Bundle: got})
		if got.Revision != 3 || !slices.Equal(got.Files, []string{".manifest", "data.json", "rules/own.rego"}) {
			t.Errorf("got %+v", got)
		}
	}
}

// What was changed, comes from somebody else, or is for another deployment does not count.
func TestBundleIsRefused(t *testing.T) {
	t.Parallel()
	k, other := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	good := untar(t, signed(t, k, 7, map[string]string{"rules/own.rego": ownRule, "data.yaml": tightDocument}))
	with := func(name, text string) []entry {
		out := slices.Clone(good)
		for i := range out {
			if out[i].name == name {
				out[i].text = text
				return out
			}
		}
		return append(out, entry{name: name, text: text})
	}
	without := func(name string) []entry {
		return slices.DeleteFunc(slices.Clone(good), func(e entry) bool { return e.name == name })
	}
	// resigned is good under another header, with the same claims and whatever key.
	resigned := func(algorithm jose.SignatureAlgorithm, key any, kid string, change func(map[string]any)) []entry {
		var signatures struct{ Signatures []string }
		at := slices.IndexFunc(good, func(e entry) bool { return e.name == ".signatures.json" })
		must(t, json.Unmarshal([]byte(good[at].text), &signatures))
		old, err := jose.ParseSigned(signatures.Signatures[0], []jose.SignatureAlgorithm{jose.ES256})
		must(t, err)
		var claims map[string]any
		must(t, json.Unmarshal(old.UnsafePayloadWithoutVerification(), &claims))
		claims["keyid"] = kid
		if change != nil {
			change(claims)
		}
		payload, err := json.Marshal(claims)
		must(t, err)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, new(jose.SignerOptions).WithHeader("kid", kid))
		must(t, err)
		signature, err := signer.Sign(payload)
		must(t, err)
		token, err := signature.CompactSerialize()
		must(t, err)
		text, err := json.Marshal(map[string]any{"signatures": []string{token}})
		must(t, err)
		return with(".signatures.json", string(text))
	}
	id := trusts(t, k).Keys[0].ID()
	file := func(claims map[string]any, i int) map[string]any { return claims["files"].([]any)[i].(map[string]any) }
	trust := trusts(t, k)
	scoped := trust
	scoped.Scope = "production"
	none := `{"signatures":["eyJhbGciOiJub25lIn0.e30."]}`
	for _, tc := range []struct {
		name      string
		entries   []entry
		trust     policy.BundleTrust
		untrusted bool
		says      string
	}{
		{"a rule was changed", with("rules/own.rego", strings.Replace(ownRule, "delete\"", "admin\"", 1)), trust, true, "rules/own.rego is not what was signed"},
		{"the document was changed", with("data.yaml", "version: 1\n"), trust, true, "data.yaml is not what was signed"},
		{"the revision was changed", with(".manifest", `{"revision":"8","rego_version":1}`), trust, true, ".manifest is not what was signed"},
		{"a file was added", with("rules/more.rego", ownRule), trust, true, "rules/more.rego is not among the files that were signed"},
		{"tests were added", with("rules/more_test.rego", ownRule), trust, true, "is not among the files that were signed"},
		{"a file was taken away", without("rules/own.rego"), trust, true, "1 files that were signed are missing"},
		{"a file was renamed", append(without("rules/own.rego"), entry{name: "rules/new.rego", text: ownRule}), trust, true, "is not among the files"},
		{"not signed", without(".signatures.json"), trust, true, "it is not signed"},
		{"no signature among the signatures", with(".signatures.json", `{"signatures":[]}`), trust, true, "wants one signature"},
		{"signed by nobody", with(".signatures.json", none), trust, true, `algorithm is "none"`},
		{"another plugin verifies", with(".signatures.json", strings.Replace(none, "{", `{"plugin":"mine",`, 1)), trust, true, "names a plugin"},
		{"another key", good, trusts(t, other), true, "is by key"},
		{"another key under the id", resigned(jose.ES256, other.signer, id, nil), trust, true, "not by key " + id},
		{"the public key as shared secret", resigned(jose.HS256, k.public, id, nil), trust, true, `algorithm is "HS256"`},
		{"two keys named", resigned(jose.ES256, k.signer, id, func(c map[string]any) { c["keyid"] = "other" }), trust, true, "names two keys"},
		{"no key named, two that count", resigned(jose.ES256, k.signer, "", nil), trusts(t, k, other), true, "names no key"},
		{"for every scope", good, scoped, true, `for another scope than "production"`},
		{"for another scope", resigned(jose.ES256, k.signer, id, func(c map[string]any) { c["scope"] = "staging" }), scoped, true, `for another scope than "production"`},
		{"for a scope that nobody asked for", resigned(jose.ES256, k.signer, id, func(c map[string]any) { c["scope"] = "staging" }), trust, true, "another scope"},
		{"with an end", resigned(jose.ES256, k.signer, id, func(c map[string]any) { c["exp"] = 4102444800 }), trust, true, "has a time"},
		{"not yet", resigned(jose.ES256, k.signer, id, func(c map[string]any) { c["nbf"] = 1 }), trust, true, "has a time"},
		{"files by a broken hash", resigned(jose.ES256, k.signer, id, func(c map[string]any) { file(c, 1)["algorithm"] = "MD5" }), trust, true, "a hash that does not count"},

		{"no archive", nil, trust, false, "no gzipped tar"},
		{"outside of the directory", with("../../etc/cron.d/x.rego", ownRule), trust, false, "is no name in a bundle"},
		{"in the middle of a path", with("rules/../own.rego", ownRule), trust, false, "is no name in a bundle"},
		{"an absolute path twice over", with("//own.rego", ownRule), trust, false, "is no name in a bundle"},
		{"hidden", with("rules/.own.rego", ownRule), trust, false, "is no name in a bundle"},
		{"a name that steers a terminal", with("rules/\x1b[2Jx.rego", ownRule), trust, false, "is no name in a bundle"},
		{"a backslash", with(`rules\own.rego`, ownRule), trust, false, "is no name in a bundle"},
		{"twice", append(slices.Clone(good), entry{name: "./rules/own.rego", text: "package caregate.operator\n"}), trust, false, "rules/own.rego is in it twice"},
		{"two documents", with("data.json", "{}"), trust, true, "data.json is not among"},
		{"a link", append(slices.Clone(good), entry{name: "more.rego", kind: tar.TypeSymlink}), trust, false, "more.rego is no plain file"},
		{"a hard link", append(slices.Clone(good), entry{name: "more.rego", kind: tar.TypeLink}), trust, false, "more.rego is no plain file"},
		{"a device", append(slices.Clone(good), entry{name: "more.rego", kind: tar.TypeChar}), trust, false, "more.rego is no plain file"},
		{"compiled rules", with("policy.wasm", "x"), trust, false, "policy.wasm has no place in a bundle"},
		{"a patch", with("patch.json", `{"data":[]}`), trust, false, "patch.json has no place in a bundle"},
		{"a binary manifest", with(".manifest.pb", "x"), trust, false, "is no name in a bundle"},
		{"a document below", with("desk/data.json", "{}"), trust, false, "desk/data.json has no place in a bundle"},
		{"a readme", with("README.md", "x"), trust, false, "README.md has no place in a bundle"},
		{"a large rule", append(slices.Clone(good), entry{name: "more.rego", size: 1<<20 + 1}), trust, false, "more.rego: larger than 1048576 bytes"},
		{"fifty megabytes", append(slices.Clone(good), fifty()...), trust, false, "unpacked, it is larger"},
		{"a long file that is left out", append([]entry{{name: "big", size: 50 << 20}}, good...), trust, false, "has no place"},
		{"many files", append(slices.Clone(good), many(300)...), trust, false, "more than 256 rules files"},
		{"many directories", append(slices.Clone(good), directories(5000)...), trust, false, "more than 4096 entries"},
		{"aliases", with("data.yaml", "a: &a "+strings.Repeat("x", 1000)+"\nb: [*a, *a]\n"), trust, false, "YAML without anchors"},
		{"very many values", with("data.yaml", "["+strings.Repeat("a,", 200_000)+"a]"), trust, false, "data.yaml: more than 131072 commas"},
		{"very many lists", with("data.yaml", strings.Repeat("- ", 200_000)), trust, false, "data.yaml: more than 131072 commas"},
		{"a manifest of very many values", with(".manifest", `{"metadata":[`+strings.Repeat("1,", 200_000)+"1]}"), trust, false, ".manifest: more than 131072 commas"},
		{"a mapping of many names", with("data.yaml", names(2000)), trust, false, "mappings of more than 1024 names"},
		{"deep nesting", with("data.yaml", strings.Repeat("[", 100_000)), trust, false, "neither JSON nor YAML"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			archive := []byte("not gzip")
			if tc.entries != nil {
				archive = tarball(t, tc.entries...)
			}
			b, err := policy.OpenBundle(archive, tc.trust)
			if err == nil || !strings.Contains(err.Error(), tc.says) || errors.Is(err, policy.ErrUntrusted) != tc.untrusted {
				t.Fatalf("got %v, %v, want a refusal saying %q, untrusted %v", b, err, tc.says, tc.untrusted)
			}
		})
	}
	if _, err := policy.OpenBundle(make([]byte, policy.MaxBundle+1), trust); err == nil || !strings.Contains(err.Error(), "the limit of a bundle") {
		t.Errorf("a bundle over the limit: %v", err)
	}
	// The way in which a document is written is not signed, and what it says is.
	same := with("data.yaml", strings.Replace(tightDocument, "version: 1\n", "# ours\nversion:   1\n", 1))
	if _, err := policy.OpenBundle(tarball(t, same...), trust); err != nil {
		t.Errorf("the same document with a comment: %v", err)
	}
	// A signature without the name of a key is by the only one.
	if _, err := policy.OpenBundle(tarball(t, resigned(jose.ES256, k.signer, "", nil)...), trust); err != nil {
		t.Errorf("a signature that names no key: %v", err)
	}
	// A bundle for a scope counts in it.
	right := resigned(jose.ES256, k.signer, id, func(c map[string]any) { c["scope"] = "production" })
	if _, err := policy.OpenBundle(tarball(t, right...), scoped); err != nil {
		t.Errorf("a bundle for the scope: %v", err)
	}
}

func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: 1\n", i)
	}
	return b.String()
}

func fifty() (entries []entry) {
	for i := range 50 {
		entries = append(entries, entry{name: "more/" + string(rune('a'+i%26)) + strings.Repeat("x", i) + ".rego", size: 1 << 20})
	}
	return entries
}

func many(n int) (entries []entry) {
	for i := range n {
		entries = append(entries, entry{name: "more/r" + strings.Repeat("x", i%150) + strings.Repeat("y", i/150) + ".rego", text: ownRule})
	}
	return entries
}

func directories(n int) (entries []entry) {
	for range n {
		entries = append(entries, entry{name: "more/", kind: tar.TypeDir})
	}
	return entries
}

// A mistake in what is to be signed, or in what was, is told with file and line.
func TestBundleMistakes(t *testing.T) {
	t.Parallel()
	k := edKey(t)
	for _, tc := range []struct {
		name, says string
		files      map[string]string
	}{
		{"rego that is none", "rules/own.rego:", map[string]string{"rules/own.rego": "package caregate.operator\n\ndeny contains {\n"}},
		{"a function that is not there", "rules/own.rego:3", map[string]string{"rules/own.rego": "package caregate.operator\n\ndeny contains \"x\" if http.send({}).status == 1\n"}},
		{"another package", "own.rego:1: caregate.access is closed", map[string]string{"own.rego": "package caregate.access\n\nallow := true\n"}},
		{"a rule that nobody asks", "own.rego:3: denied is never asked", map[string]string{"own.rego": "package caregate.operator\n\ndenied contains \"x\" if true\n\ndeny contains \"y\" if input.effect == \"x\"\n"}},
		{"a rule that is not there", "rules/own.rego:3: there is no data.caregate.access.role;", map[string]string{"rules/own.rego": "package caregate.operator\n\ndeny contains \"x\" if data.caregate.access.role == \"agent\"\n"}},
		{"no denial", "the bundle: no rule named deny", map[string]string{"own.rego": "package caregate.operator\n\nx := 1\n"}},
		{"a class that is not there", "data.yaml:3: class", map[string]string{"data.yaml": "version: 1\nenforcement:\n  - {class: nonsense, action: mask}\n"}},
		{"a document that is none", "data.yaml", map[string]string{"data.yaml": "version: [\n"}},
		{"two documents", "data.yaml: a bundle has one document", map[string]string{"data.yaml": "version: 1\n", "data.json": `{"version":1}`}},
		{"two readings of YAML", "data.yaml: two readers", map[string]string{"data.yaml": "version: 1\nenforcement:\n  - {class: iban, route: 0x10, action: mask}\n"}},
		{"a manifest with more", `.manifest: "wasm" is not known`, map[string]string{"own.rego": ownRule, ".manifest": `{"wasm":[]}`}},
		{"a manifest that is null", ".manifest: want an object", map[string]string{"own.rego": ownRule, ".manifest": `null`}},
		{"a manifest that is none", ".manifest", map[string]string{"own.rego": ownRule, ".manifest": `[`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := policy.SignBundle(t.Context(), bundleDir(t, tc.files), policy.BundleSigning{Key: k.private, Revision: 1})
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want a refusal saying %q", err, tc.says)
			}
		})
	}
	for _, revision := range []string{`7`, `"07"`, `"0"`, `"-1"`, `"v7"`, `""`, `"9223372036854775808"`, `null`, `"1.0"`} {
		dir := bundleDir(t, map[string]string{"own.rego": ownRule, ".manifest": `{"revision":` + revision + `}`})
		if _, _, err := policy.SignBundle(t.Context(), dir, policy.BundleSigning{Key: k.private}); err == nil || !strings.Contains(err.Error(), "revision") {
			t.Errorf("revision %s: got %v, want a refusal", revision, err)
		}
	}
	if _, _, err := policy.SignBundle(t.Context(), bundleDir(t, map[string]string{"own.rego": ownRule}), policy.BundleSigning{Key: k.private}); err == nil || !strings.Contains(err.Error(), "no revision") {
		t.Errorf("without a revision: got %v", err)
	}
	if _, _, err := policy.SignBundle(t.Context(), bundleDir(t, map[string]string{"own.rego": ownRule}), policy.BundleSigning{Key: k.public, Revision: 1}); err == nil || !strings.Contains(err.Error(), "want a private key") {
		t.Errorf("signing with a public key: got %v", err)
	}
	if _, err := policy.NewEngine(t.Context(), policy.Config{Bundle: new(policy.SignedBundle), Dir: t.TempDir()}); err == nil {
		t.Error("a bundle and a directory were taken together")
	}
}

func TestBundleKeys(t *testing.T) {
	t.Parallel()
	k := edKey(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it is refused
	for _, tc := range []struct {
		name, id, says string
		pem            []byte
	}{
		{"private", "", "this is a private key", k.private},
		{"no PEM", "", "want a public key in PEM", []byte("ssh-ed25519 AAAA")},
		{"a certificate", "", "want BEGIN PUBLIC KEY", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})},
		{"two", "", "want one key", append(slices.Clone(k.public), k.public...)},
		{"broken", "", "can be read", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})},
		{"small RSA", "", "2048 bits", newKeyPair(t, small, err).public},
		{"P-224", "", "P-256, P-384 or P-521", ecKey(t, elliptic.P224()).public},
		{"an id with a space", "a b", "the id of a key", k.public},
	} {
		if _, err := policy.ParseBundleKey(tc.id, tc.pem); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want a refusal saying %q", tc.name, err, tc.says)
		}
	}
	named, err := policy.ParseBundleKey("desk-2026", k.public)
	must(t, err)
	if named.ID() != "desk-2026" || len(trusts(t, k).Keys[0].ID()) != 16 {
		t.Errorf("got %s and %s", named.ID(), trusts(t, k).Keys[0].ID())
	}
}

// An unpacked bundle makes the archive that was unpacked, links and all.
func TestPackDirectory(t *testing.T) {
	t.Parallel()
	k := edKey(t)
	archive := signed(t, k, 4, map[string]string{"rules/own.rego": ownRule, "data.json": `{"version":1}`})
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "..data", "rules"), 0o700))
	for _, e := range untar(t, archive) {
		must(t, os.WriteFile(filepath.Join(dir, "..data", filepath.FromSlash(e.name)), []byte(e.text), 0o600))
	}
	for _, name := range []string{".manifest", ".signatures.json", "data.json", "rules"} {
		must(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
	got, err := policy.PackDirectory(dir)
	must(t, err)
	b, err := policy.OpenBundle(got, trusts(t, k))
	must(t, err)
	if b.Revision != 4 || len(b.Files) != 3 {
		t.Errorf("got %+v", b)
	}
	if again, err := policy.PackDirectory(dir); err != nil || !bytes.Equal(again, got) {
		t.Errorf("the same directory makes other bytes: %v", err)
	}
	must(t, os.Symlink(".", filepath.Join(dir, "round")))
	if _, err := policy.PackDirectory(dir); err == nil {
		t.Error("a directory that holds itself was packed")
	}
}

// Where a bundle comes from, a pipe holds nobody up and a device without an end is not read.
func TestBundleOfSpecialFiles(t *testing.T) {
	t.Parallel()
	dir := bundleDir(t, map[string]string{"own.rego": ownRule})
	pipe := filepath.Join(dir, "pipe.rego")
	must(t, syscall.Mkfifo(pipe, 0o600))
	for _, name := range []string{pipe, dir} {
		if _, err := policy.ReadBundle(name); err == nil || !strings.Contains(err.Error(), "pipe.rego is no plain file") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	must(t, os.Remove(pipe))
	must(t, os.Symlink("/dev/zero", filepath.Join(dir, "data.yaml")))
	if _, err := policy.ReadBundle(dir); err == nil || !strings.Contains(err.Error(), "data.yaml is no plain file") {
		t.Errorf("got %v", err)
	}
}

// Whatever comes, nothing counts but what was signed, and what counts is what was signed.
func FuzzBundle(f *testing.F) {
	k := edKey(f)
	trust := trusts(f, k)
	good := signed(f, k, 7, map[string]string{"rules/own.rego": ownRule, "data.yaml": tightDocument})
	want, err := policy.OpenBundle(good, trust)
	must(f, err)
	entries := untar(f, good)
	f.Add(good)
	f.Add([]byte{})
	f.Add(good[:len(good)/2])
	f.Add(tarball(f))
	for i := range entries {
		f.Add(tarball(f, slices.Delete(slices.Clone(entries), i, i+1)...))
		changed := slices.Clone(entries)
		changed[i].text += " "
		f.Add(tarball(f, changed...))
		f.Add(tarball(f, append(slices.Clone(entries), entries[i])...))
	}
	f.Add(tarball(f, append(slices.Clone(entries), entry{name: "more.rego", kind: tar.TypeSymlink})...))
	f.Fuzz(func(t *testing.T, archive []byte) {
		b, err := policy.OpenBundle(archive, trust)
		if (b == nil) == (err == nil) {
			t.Fatalf("got %v and %v", b, err)
		}
		if err == nil && (b.Digest != want.Digest || b.Revision != 7) {
			t.Errorf("what nobody signed counts: %+v", b)
		}
	})
}
