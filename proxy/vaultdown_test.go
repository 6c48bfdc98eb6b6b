package proxy_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
	"github.com/caregate/caregate/vault/awskms/kmstest"
)

// twoRoutes governs one system of orders twice: the site of the gateway denies without
// the vault, the other address masks.
func twoRoutes(t *testing.T, block string) (o *orders, opt proxytest.Options, masking string) {
	t.Helper()
	o = &orders{order: map[string]any{"id": 7, "account": reference}}
	u := proxytest.NewUpstream(t, nil)
	u.Config.Handler = http.HandlerFunc(o.ServeHTTP)
	opt = ordersOptions(t, u.URL, block)
	masking = proxytest.FreeAddr(t)
	opt.Govern = "route denying\nvault_down deny"
	opt.Sites = "http://" + masking + " {\n bind 127.0.0.1\n govern " + opt.Channel + " " + u.URL + " {\n  route masking\n  vault_down mask\n }\n}\n"
	return o, opt, "http://" + masking
}

// at makes a call to another site of the gateway.
func at(t *testing.T, g *proxytest.Gateway, url string, c call) answer {
	t.Helper()
	was := g.URL
	g.URL = url
	defer func() { g.URL = was }()
	return do(t, g, c)
}

const otherReference = "PAYREF-00-79-gamma"

// withoutTheVault looks at both routes while the vault does not answer.
func withoutTheVault(t *testing.T, o *orders, g *proxytest.Gateway, masking string) {
	t.Helper()
	before := o.field("account")
	write := call{method: "POST", path: "/orders", body: `{"order":{"account":"` + otherReference + `","note":"card 4111 1111 1111 1111"}}`}

	a := do(t, g, write)
	if a.status != http.StatusServiceUnavailable || a.problem.Reason != "vault_unavailable" || a.problem.Forwarded || o.field("account") != before {
		t.Errorf("a request where calls are denied: got %d %+v", a.status, a.problem)
	}
	if e := g.Event(a.header.Get("Caregate-Receipt")); e.Reason != "vault_unavailable" || e.Attrs["vault_down"] != "deny" {
		t.Errorf("its event: %+v", e)
	}

	a = at(t, g, masking, write)
	stored := o.field("account")
	if a.status != http.StatusOK || strings.Contains(a.body, otherReference) || stored == otherReference || tokenForm.MatchString(stored) || !strings.Contains(stored, "X") {
		t.Errorf("a request where they are masked: got %d %s, the system holds %q", a.status, a.body, stored)
	}
	if note := o.field("note"); note != "card XXXX XXXX XXXX 1111" {
		t.Errorf("the rest of the decision: got %q", note)
	}
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		if e.Attrs["vault_down"] != "mask" {
			t.Errorf("%s does not say that it is masked: %v", e.Type, e.Attrs)
		}
		for _, f := range e.Findings {
			if f.Tokenized != 0 || f.Clear != 0 && f.Class == "payment_reference" {
				t.Errorf("%s counts %+v", e.Type, f)
			}
		}
	}
	o.mu.Lock()
	o.order["account"] = otherReference
	o.mu.Unlock()
	if a := at(t, g, masking, call{method: "GET", path: "/orders/7"}); a.status != http.StatusOK || strings.Contains(a.body, otherReference) || tokenForm.MatchString(a.body) {
		t.Errorf("an answer where calls are masked: got %d %s", a.status, a.body)
	}
	a = do(t, g, call{method: "GET", path: "/orders/7"})
	if a.status < 500 || strings.Contains(a.body, otherReference) || a.problem.Reason != "vault_unavailable" && a.problem.Cause != "vault_unavailable" {
		t.Errorf("an answer where they are denied: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.header.Get("Caregate-Receipt")); e.Attrs["vault_down"] != "deny" {
		t.Errorf("its event: %+v", e)
	}
}

// V16: with its database closed the vault makes no token. One route denies, the other
// masks, nothing passes, and events say which.
func TestVaultClosed(t *testing.T) {
	o, opt, masking := twoRoutes(t, "")
	g := proxytest.Start(t, opt)
	if a := at(t, g, masking, call{method: "GET", path: "/orders/7"}); a.status != http.StatusOK || token(t, a.body) == "" {
		t.Fatalf("before: got %d %s", a.status, a.body)
	}
	var status console.Status
	g.API(http.MethodGet, "/api/v1/status", "", http.StatusOK, &status)
	for _, r := range status.Routes {
		if got := slices.Contains(r.Exceptions, "vault_down mask"); got != (r.Name == "masking") {
			t.Errorf("route %s has %v", r.Name, r.Exceptions)
		}
	}
	if err := proxy.CloseVault(); err != nil {
		t.Fatal(err)
	}
	withoutTheVault(t, o, g, masking)
	// Somebody whom the vault has not seen yet has no pseudonym, and is in the event all
	// the same.
	a := at(t, g, masking, call{method: "GET", path: "/orders/7", header: http.Header{"Authorization": {"Basic c29tZWJvZHk6ZWxzZQ=="}}})
	if e := g.Event(a.header.Get("Caregate-Receipt")); a.status != http.StatusOK || e.Attrs["vault_down"] != "mask" || !strings.HasPrefix(e.Attrs["caller"], "vendor:") {
		t.Errorf("somebody new: got %d %s, event %+v", a.status, a.body, e)
	}
}

// V16: a table of the vault that cannot be written; afterwards tokens are made again.
func TestVaultUnwritable(t *testing.T) {
	o, opt, masking := twoRoutes(t, "")
	g := proxytest.Start(t, opt)
	db, err := g.OpenDB("vault.db", store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{"ALTER TABLE token_pending RENAME TO gone", "ALTER TABLE token RENAME TO gone2"} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	withoutTheVault(t, o, g, masking)
	for _, query := range []string{"ALTER TABLE gone RENAME TO token_pending", "ALTER TABLE gone2 RENAME TO token"} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	if a := at(t, g, masking, call{method: "GET", path: "/orders/7"}); a.status != http.StatusOK || token(t, a.body) == "" {
		t.Errorf("afterwards: got %d %s", a.status, a.body)
	}
}

// V16, VT10: the key in KMS is disabled, then KMS does not answer at all; the vault's keys
// have lapsed, and it names nobody. When KMS answers again, so does the vault.
func TestVaultWithoutKMS(t *testing.T) {
	kms := kmstest.Start(t)
	for _, pair := range kmstest.Environment() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	o, opt, masking := twoRoutes(t, "")
	g := proxytest.Start(t, opt)
	g.Stop()
	if n, err := proxy.SealKeys(t.Context(), proxy.DataConfig{Dir: g.Data, Name: "test", Seal: proxy.KeySealConfig{KMS: &proxy.KMSConfig{Key: kmstest.ARN("one"), Endpoint: kms.URL}}}, nil); err != nil || n == 0 {
		t.Fatalf("sealing: %d files, %v", n, err)
	}
	opt.Block = "keys awskms " + kmstest.ARN("one") + " " + filepath.Join(g.Data, "keys") + " {\n endpoint " + kms.URL + "\n timeout 1m\n}"
	if err := g.Load(opt); err != nil {
		t.Fatal(err)
	}
	if a := at(t, g, masking, call{method: "GET", path: "/orders/7"}); a.status != http.StatusOK || token(t, a.body) == "" {
		t.Fatalf("before: got %d %s", a.status, a.body)
	}
	kms.Fail("DisabledException")
	if err := proxy.RenewVault(t.Context()); err == nil {
		t.Fatal("a disabled key was renewed")
	}
	withoutTheVault(t, o, g, masking)
	kms.Fail(kmstest.Cut)
	if err := proxy.RenewVault(t.Context()); err == nil {
		t.Fatal("nobody answered, and the key was renewed")
	}
	withoutTheVault(t, o, g, masking)
	kms.Fail("")
	if err := proxy.RenewVault(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := do(t, g, call{method: "GET", path: "/orders/7"}); a.status != http.StatusOK || token(t, a.body) == "" {
		t.Errorf("afterwards: got %d %s", a.status, a.body)
	}
}

// A route that observes masks nothing, so it is refused without the vault whatever
// vault_down says.
func TestVaultDownWhileObserving(t *testing.T) {
	_, opt, _ := twoRoutes(t, "")
	opt.Govern = "route denying\nobserve\nvault_down mask"
	g := proxytest.Start(t, opt)
	if err := proxy.CloseVault(); err != nil {
		t.Fatal(err)
	}
	a := do(t, g, call{method: "GET", path: "/orders/7", header: http.Header{"Authorization": {"Basic c29tZWJvZHk6ZWxzZQ=="}}})
	if a.status != http.StatusServiceUnavailable || strings.Contains(a.body, reference) {
		t.Errorf("got %d %s", a.status, a.body)
	}
}
