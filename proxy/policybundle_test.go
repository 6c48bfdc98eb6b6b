package proxy_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/audit/objectlock/objectlocktest"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// bundleKey signs the bundles of a test.
type bundleKey struct {
	private ed25519.PrivateKey
	file    string // of the public key
}

func newBundleKey(t *testing.T) bundleKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "policy.pub")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return bundleKey{private, file}
}

// sign makes a bundle, whatever is in it.
func (k bundleKey) sign(t *testing.T, revision int64, files map[string]string) []byte {
	t.Helper()
	archive, err := proxy.SignBundle(k.private, revision, files)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// denies is a rule against an effect on the helpdesk.
func denies(effect string) map[string]string {
	return map[string]string{"rules/own.rego": fmt.Sprintf("package caregate.operator\n\ndeny contains \"no_%s\" if {\n\tinput.channel == \"zendesk\"\n\tinput.effect == \"%[1]s\"\n}\n", effect)}
}

// bundleServer is a web server with a bundle.
type bundleServer struct {
	*httptest.Server
	ca string // file of its certificate

	mu      sync.Mutex // guards what follows
	archive []byte     // nil for none
	header  string     // Authorization of the last call
	same    int        // answers that nothing has changed
}

func newBundleServer(t *testing.T) *bundleServer {
	t.Helper()
	s := new(bundleServer)
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.header = r.Header.Get("Authorization")
		tag := fmt.Sprintf(`"%x"`, sha256.Sum256(s.archive))
		switch {
		case r.URL.Path == "/moved/desk.tar.gz":
			http.Redirect(w, r, "/desk.tar.gz", http.StatusFound)
		case r.URL.Path != "/desk.tar.gz":
			http.NotFound(w, r)
		case s.archive == nil:
			http.Error(w, "away", http.StatusServiceUnavailable)
		case r.Header.Get("If-None-Match") == tag:
			s.same++
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("Etag", tag)
			_, _ = w.Write(s.archive)
		}
	}))
	t.Cleanup(s.Close)
	s.ca = filepath.Join(t.TempDir(), "ca.pem")
	write(t, s.ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	return s
}

func (s *bundleServer) publish(archive []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.archive = archive
}

func (s *bundleServer) unchanged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.same
}

// block is the line of the Caddyfile that follows it.
func (s *bundleServer) block(k bundleKey, more ...string) string {
	return "policy bundle " + s.URL + "/desk.tar.gz {\n key " + k.file + "\n ca " + s.ca + "\n every 1s\n " + strings.Join(more, "\n") + "\n}"
}

// inForce waits for a revision.
func inForce(t *testing.T, g *proxytest.Gateway, revision int64) console.PolicyStatus {
	t.Helper()
	eventually(t, fmt.Sprintf("revision %d is in force", revision), func() bool {
		b := policyStatus(g).Bundle
		return b != nil && b.Revision == revision
	})
	return policyStatus(g)
}

// troubled waits until the gateway's administrators are told something.
func troubled(t *testing.T, g *proxytest.Gateway, says string) {
	t.Helper()
	eventually(t, "the trouble is told: "+says, func() bool { return strings.Contains(policyStatus(g).Trouble, says) })
}

var (
	removal = call{method: "DELETE", path: "/api/v2/tickets/1.json"}
	reading = call{method: "GET", path: "/api/v2/tickets.json"}
)

// A signed bundle is followed: what is newer and signed takes effect by itself, after it is
// in the log; nothing else does, and the gateway says why.
func TestBundleIsFollowed(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"tickets":[]}`))
	k, s := newBundleKey(t), newBundleServer(t)
	first := k.sign(t, 3, denies("delete"))
	s.publish(first)
	t.Setenv("CAREGATE_TEST_BUNDLE_TOKEN", "not-to-be-told")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: s.block(k, "bearer {env.CAREGATE_TEST_BUNDLE_TOKEN}")})
	status := func(c call) int { return do(t, g, c).status }
	if status(removal) != 403 || status(reading) != 200 {
		t.Fatal("the bundle at the start does not count")
	}
	if b := policyStatus(g).Bundle; b == nil || b.Revision != 3 || b.Source != s.URL+"/desk.tar.gz" || b.Checked.IsZero() || len(b.Key) != 16 {
		t.Errorf("status: got %+v", b)
	}
	eventually(t, "the server is asked whether something changed", func() bool { return s.unchanged() > 1 })
	s.mu.Lock()
	if s.header != "Bearer not-to-be-told" {
		t.Errorf("the call had Authorization %q", s.header)
	}
	s.mu.Unlock()

	before := g.WaitForEntries(1)
	second := k.sign(t, 5, denies("read"))
	s.publish(second)
	p := inForce(t, g, 5)
	g.WaitForEntries(before + 1)
	a := do(t, g, reading)
	if e := g.Event(a.problem.Receipt); a.status != 403 || e.Policy != p.Digest {
		t.Errorf("the new rules: got %d, decided by %s, want %s", a.status, e.Policy, p.Digest)
	}
	eventually(t, "the event of revision 5 is found", func() bool {
		var list console.FoundList
		g.API("POST", "/api/v1/events/search", `{"type":"config.loaded"}`, http.StatusOK, &list)
		return slices.ContainsFunc(list.Events, func(f console.Found) bool {
			e := g.Event(f.Receipt)
			return e.Policy == p.Digest && e.Attrs["bundle_revision"] == "5" && e.Attrs["bundle"] == p.Bundle.Digest && e.Attrs["bundle_key"] == p.Bundle.Key
		})
	})

	for _, tc := range []struct {
		name, says string
		archive    []byte
	}{
		{"an older revision", "revision 4 is older than 5", k.sign(t, 4, denies("delete"))},
		{"the one before", "revision 3 is older than 5", first},
		{"another content", "revision 5 was taken with another content", k.sign(t, 5, denies("delete"))},
		{"another key", "the bundle's signature does not count", newBundleKey(t).sign(t, 6, denies("delete"))},
		{"bytes that changed", "", append(slices.Clone(second[:len(second)/2]), bytes.Repeat([]byte("x"), len(second)/2)...)},
		{"broken rego", "rules/own.rego:3", k.sign(t, 6, map[string]string{"rules/own.rego": "package caregate.operator\n\ndeny contains \"x\" if nonsense(input)\n"})},
		{"a rule that nobody asks", "rules/own.rego:3: denied is never asked", k.sign(t, 6, map[string]string{"rules/own.rego": "package caregate.operator\n\ndenied contains \"x\" if true\n\ndeny contains \"y\" if input.effect == \"x\"\n"})},
		{"a broken document", "data.json:1: class", k.sign(t, 6, map[string]string{"data.json": `{"enforcement":[{"action":"mask","class":"nonsense"}],"version":1}`})},
		{"too large", "the limit of a bundle", make([]byte, policy.MaxBundle+1)},
		{"nothing", "the server answered 503", nil},
	} {
		s.publish(tc.archive)
		troubled(t, g, "policy bundle "+s.URL+"/desk.tar.gz: ")
		troubled(t, g, tc.says)
		if got := policyStatus(g); got.Bundle.Revision != 5 || got.Digest != p.Digest || status(reading) != 403 || strings.Contains(got.Trouble, "not-to-be-told") {
			t.Errorf("%s: changed something: %+v", tc.name, got)
		}
		var ready struct{ Checks []console.Check }
		g.API("GET", "/readyz", "", http.StatusOK, &ready)
		if c := ready.Checks[len(ready.Checks)-1]; c.Name != "policy" || !c.OK || !strings.Contains(c.Text, "not in force") || strings.Contains(c.Text, "own.rego") {
			t.Errorf("%s: readyz: got %+v", tc.name, ready.Checks)
		}
		s.publish(second)
		eventually(t, "the trouble is over", func() bool { return policyStatus(g).Trouble == "" })
	}

	// Not before the log has it, and then by itself.
	free, err := proxy.LeaveRoom(t.Context(), audit.LaneReserved, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.publish(k.sign(t, 6, denies("delete")))
	troubled(t, g, "recording the new policy")
	if got := proxy.PolicyInForce(); got != p.Digest {
		t.Errorf("a policy that is not in the log is in force: %s", got)
	}
	free()
	inForce(t, g, 6)
	if status(removal) != 403 || status(reading) != 200 {
		t.Error("revision 6 does not count")
	}
	g.Verify()
}

// A gateway starts with the bundle that it took last when the source is away or was set
// back, and with nothing where it never had one.
func TestBundleAtTheStart(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"tickets":[]}`))
	k, s := newBundleKey(t), newBundleServer(t)
	plain := proxytest.Options{Upstream: u.URL}
	g := proxytest.Start(t, plain)
	bundled := proxytest.Options{Upstream: u.URL, Block: s.block(k)}
	load := func(o proxytest.Options, says string) {
		t.Helper()
		err := g.Load(o)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Fatalf("starting: got %v, want %q", err, says)
		}
	}
	load(bundled, "there is no policy: policy bundle "+s.URL+"/desk.tar.gz: the server answered 503; and none is kept")
	if policyStatus(g).Bundle != nil {
		t.Error("a configuration without its bundle took over")
	}
	first, second := k.sign(t, 1, denies("delete")), k.sign(t, 2, denies("read"))
	s.publish(first)
	load(bundled, "")
	s.publish(second)
	inForce(t, g, 2)

	// starts is the gateway after a restart.
	starts := func(revision int64, trouble string) {
		t.Helper()
		g.Stop()
		load(bundled, "")
		p := policyStatus(g)
		if p.Bundle == nil || p.Bundle.Revision != revision || !strings.Contains(p.Trouble, trouble) || (p.Trouble == "") != (trouble == "") {
			t.Errorf("got %+v, want revision %d and trouble %q", p, revision, trouble)
		}
		if got := do(t, g, reading).status; got != 403 {
			t.Errorf("the bundle that was kept does not count: %d", got)
		}
	}
	s.publish(nil)
	starts(2, "the server answered 503")
	s.publish(first)
	starts(2, "revision 1 is older than 2")
	s.publish(k.sign(t, 2, denies("delete")))
	starts(2, "revision 2 was taken with another content")
	s.publish(second)
	starts(2, "")

	kept, mark := filepath.Join(g.Data, "policy", "bundle.tar.gz"), filepath.Join(g.Data, "policy", "highest.json")
	change := func(file, text string) (back func()) {
		t.Helper()
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, text)
		return func() { write(t, file, string(old)) }
	}
	// What a crash between the two files leaves: the new bundle with the old mark.
	change(mark, `{"version":1,"revision":1,"digest":"`+strings.Repeat("0", 64)+`"}`)
	s.publish(nil)
	starts(2, "the server answered 503")
	if text, err := os.ReadFile(mark); err != nil || !strings.Contains(string(text), `"revision":2`) {
		t.Errorf("the mark did not follow: %s, %v", text, err)
	}
	// An old bundle in the place of the kept one is not taken, nor one that was changed.
	for _, old := range []string{string(first), "x"} {
		back := change(kept, old)
		g.Stop()
		load(bundled, "and none is kept")
		back()
	}
	// Without a mark that can be read, everything old would count again.
	for _, broken := range []string{"", `{"version":2,"revision":2,"digest":"x"}`} {
		back := change(mark, broken)
		s.publish(first)
		load(bundled, "says no highest revision")
		back()
	}
	s.publish(nil)
	// Another key: what is kept does not count any more, and its revision does.
	other := newBundleKey(t)
	rotated := proxytest.Options{Upstream: u.URL, Block: s.block(other)}
	load(rotated, "and none is kept")
	s.publish(other.sign(t, 1, denies("read")))
	load(rotated, "revision 1 is older than 2")
	s.publish(other.sign(t, 2, denies("read"))) // the same, signed anew
	load(rotated, "")
	s.publish(nil)
	bundled = rotated
	starts(2, "the server answered 503")
}

// A configuration for another scope that is refused after it has read its bundle leaves the
// one before as it was, which goes on with its own revisions, after a restart too.
func TestBundleOfAnotherScopeIsLeftBehind(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"tickets":[]}`))
	k, s := newBundleKey(t), newBundleServer(t)
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(scope string, revision int64) []byte {
		t.Helper()
		dir := t.TempDir()
		write(t, filepath.Join(dir, "own.rego"), denies("delete")["rules/own.rego"])
		archive, _, err := policy.SignBundle(t.Context(), dir, policy.BundleSigning{
			Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), Scope: scope, Revision: revision,
		})
		if err != nil {
			t.Fatal(err)
		}
		return archive
	}
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	write(t, file, string(sign("staging", 900)))
	staging := proxytest.Options{Upstream: u.URL, Block: "policy bundle " + file + " {\n key " + k.file + "\n scope staging\n}"}
	production := proxytest.Options{Upstream: u.URL, Block: s.block(k, "scope production")}
	s.publish(sign("production", 1))
	g := proxytest.Start(t, production)
	inForce(t, g, 1)

	free, err := proxy.LeaveRoom(t.Context(), audit.LaneReserved, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = g.Load(staging)
	free()
	if err == nil || !strings.Contains(err.Error(), "recording the configuration") {
		t.Fatalf("got %v, want a refusal after the bundle was read", err)
	}
	s.publish(sign("production", 2))
	inForce(t, g, 2)
	if err := g.Load(staging); err != nil {
		t.Fatal(err)
	}
	inForce(t, g, 900)
	s.publish(nil)
	g.Stop()
	if err := g.Load(production); err != nil {
		t.Fatal(err)
	}
	inForce(t, g, 2)
	s.publish(sign("production", 1))
	troubled(t, g, "revision 1 is older than 2")
}

// A bundle in a file, and unpacked in a directory, is watched.
func TestBundleOnDisk(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"tickets":[]}`))
	k, dir := newBundleKey(t), t.TempDir()
	file, unpacked := filepath.Join(dir, "bundle.tar.gz"), filepath.Join(dir, "unpacked")
	write(t, file, string(k.sign(t, 1, denies("delete"))))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy bundle " + file + " {\n key " + k.file + "\n}"})
	inForce(t, g, 1)
	write(t, file, string(k.sign(t, 2, denies("read"))))
	inForce(t, g, 2)
	unpack(t, unpacked, k.sign(t, 3, denies("delete")))
	if err := g.Load(proxytest.Options{Upstream: u.URL, Block: "policy bundle " + unpacked + " {\n key " + k.file + " desk\n}"}); err != nil {
		t.Fatal(err)
	}
	if p := inForce(t, g, 3); p.Bundle.Key != "desk" {
		t.Errorf("got %+v", p.Bundle)
	}
	// Half of a copy is not signed as it lies there.
	write(t, filepath.Join(unpacked, "rules", "own.rego"), denies("read")["rules/own.rego"])
	troubled(t, g, "rules/own.rego is not what was signed")
	unpack(t, unpacked, k.sign(t, 4, denies("read")))
	inForce(t, g, 4)
	if err := os.RemoveAll(unpacked); err != nil {
		t.Fatal(err)
	}
	troubled(t, g, "reading the bundle")
	if got := do(t, g, reading).status; got != 403 {
		t.Errorf("a bundle that went away does not count any more: %d", got)
	}
}

func unpack(t *testing.T, dir string, archive []byte) {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(zip)
	for {
		head, err := files.Next()
		if err != nil {
			return
		}
		file := filepath.Join(dir, filepath.FromSlash(head.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		text := new(bytes.Buffer)
		if _, err := text.ReadFrom(files); err != nil {
			t.Fatal(err)
		}
		write(t, file, text.String())
	}
}

// A bundle in a bucket is followed.
func TestBundleInS3(t *testing.T) {
	endpoint := objectlocktest.Start(t)
	objectlocktest.CreateBucket(t, endpoint, "acme-policy", false)
	for name, value := range objectlocktest.Environment() {
		t.Setenv(name, value)
	}
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"tickets":[]}`))
	k := newBundleKey(t)
	block := "policy bundle s3://acme-policy/desk/bundle.tar.gz {\n key " + k.file + "\n endpoint " + endpoint + "\n every 1s\n}"
	put := func(archive []byte) {
		t.Helper()
		objectlocktest.Put(t, endpoint, "acme-policy", "desk/bundle.tar.gz", archive)
	}
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	if err := g.Load(proxytest.Options{Upstream: u.URL, Block: block}); err == nil || !strings.Contains(err.Error(), "NoSuchKey") {
		t.Errorf("without an object: got %v, want NoSuchKey", err)
	}
	put(k.sign(t, 1, denies("delete")))
	if err := g.Load(proxytest.Options{Upstream: u.URL, Block: block}); err != nil {
		t.Fatal(err)
	}
	inForce(t, g, 1)
	put(k.sign(t, 2, denies("read")))
	p := inForce(t, g, 2)
	eventually(t, "it is looked at again", func() bool { return policyStatus(g).Bundle.Checked.After(p.Bundle.Checked) })
	put(k.sign(t, 1, denies("delete")))
	troubled(t, g, "s3://acme-policy/desk/bundle.tar.gz: revision 1 is older than 2")
	put(make([]byte, policy.MaxBundle+1))
	troubled(t, g, "the limit of a bundle")
	put(k.sign(t, 3, denies("delete")))
	inForce(t, g, 3)
	if got := do(t, g, removal).status; got != 403 {
		t.Errorf("revision 3 does not count: %d", got)
	}
}

// Mistakes in the configuration are told while it is read, and repeat no credential.
func TestBundleConfiguration(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	k := newBundleKey(t)
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, "version: 1\n")
	private := filepath.Join(t.TempDir(), "policy.key")
	write(t, private, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})))
	for _, tc := range []struct{ block, says string }{
		{"policy bundle", "policy bundle wants an address and a key"},
		{"policy bundle https://policy.example.com/x", "want the public key of whoever signs"},
		{"policy bundle http://policy.example.com/x {\n key " + k.file + "\n}", "want https://HOST/PATH"},
		{"policy bundle HTTPS://policy.example.com/x {\n key " + k.file + "\n}", "want https://HOST/PATH"},
		{"policy bundle https://user:s3cret-word@policy.example.com/x {\n key " + k.file + "\n}", "a credential is given by bearer"},
		{"policy bundle s3://bucket {\n key " + k.file + "\n}", "s3://BUCKET/KEY"},
		{"policy bundle ./x {\n key " + k.file + "\n every 5s\n}", "files are watched"},
		{"policy bundle ./x {\n key " + k.file + "\n bearer {env.X}\n}", "bearer goes with https://"},
		{"policy bundle https://policy.example.com/x {\n key " + k.file + "\n bearer s3cret-word\n}", "want a reference to the secret"},
		{"policy bundle https://policy.example.com/x {\n key " + k.file + "\n region x\n}", "endpoint and region go with s3://"},
		{"policy bundle https://policy.example.com/x {\n key " + k.file + "\n every 10ms\n}", "every is from 1s"},
		{"policy bundle https://policy.example.com/x {\n keys " + k.file + "\n}", "unknown option keys of policy bundle"},
		{"policy bundle https://policy.example.com/x {\n key " + k.file + "\n key " + k.file + "\n}", "two keys are called"},
		{"policy bundle https://policy.example.com/x {\n key " + private + "\n}", "this is a private key"},
		{"policy bundle https://policy.example.com/x {\n key " + k.file + "\n ca " + document + "\n}", "holds no certificate"},
		{"policy bundle {env.CAREGATE_TEST_NOTHING} {\n key " + k.file + "\n}", "the placeholder stands for nothing"},
		{"policy bundle ./x {\n key " + k.file + "\n}\npolicy bundle ./y {\n key " + k.file + "\n}", "one policy bundle only"},
		{"policy bundle ./x {\n key " + k.file + "\n}\npolicy builtin " + document, "documents or rules beside it"},
		{"policy builtin " + document + "\npolicy bundle ./x {\n key " + k.file + "\n}", "documents or rules beside it"},
		{"policy nonsense", "policy wants builtin"},
	} {
		if err := g.Load(proxytest.Options{Upstream: u.URL, Block: tc.block}); err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "s3cret-word") {
			t.Errorf("%s: got %v, want %q", tc.block, err, tc.says)
		}
	}
}

// A bundle takes the place of another while calls are made, as files do.
func TestBundleIsReplacedUnderLoad(t *testing.T) {
	k, s := newBundleKey(t), newBundleServer(t)
	revision := int64(0)
	replaceUnderLoad(t, s.block(k), func(action string) {
		revision++
		s.publish(k.sign(t, revision, map[string]string{"data.json": `{"enforcement":[{"action":"` + action + `","class":"credit_card"}],"version":1}`}))
	})
}
