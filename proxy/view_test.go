package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// user is what the helpdesk has of a person.
const user = `{"user":{"id":7,"name":"Ana Núñez","email":"ana@customer.example","phone":"+1 212 555 0134","notes":"owes 20 EUR, IBAN DE89 3704 0044 0532 0130 00","score":42,"vip":true,"tags":["debtor","vip"],"photo":{"id":9,"url":"https://customer.example/p.png"},"details":"IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111","address":null}}`

// startViews is a gateway that shows users to agents in part.
func startViews(t *testing.T, upstream string) *proxytest.Gateway {
	t.Helper()
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, `
version: 1
enforcement:
  - {class: iban, action: mask}
views:
  - {operation: "zendesk:user.*", roles: [agent], field: /user/name, view: masked}
  - {operation: "zendesk:user.*", roles: [agent], field: /**/email, view: masked}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/phone, view: hidden}
  - {operation: "zendesk:user.*", field: /user/notes, view: hidden}
  - {operation: "zendesk:user.*", roles: [dpo], field: /user/notes, view: full, class: iban}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/score, view: hidden}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/vip, view: masked}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/tags/*, view: hidden}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/photo, view: hidden}
  - {operation: "zendesk:user.*", roles: [dpo], field: /user/details, view: full, class: iban}
`)
	return proxytest.Start(t, proxytest.Options{Upstream: upstream, Block: "policy builtin " + document})
}

// members are those of the user in a body.
func members(t *testing.T, body string) map[string]any {
	t.Helper()
	var doc struct{ User map[string]any }
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return doc.User
}

// Views of fields through a gateway: what each role sees of one user.
func TestViews(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, user))
	g := startViews(t, u.URL)
	all := members(t, user)
	for role, want := range map[string]map[string]any{
		"agent": {
			"name": "XXX XXXXX", "email": "XXX@XXXXXXXX.XXXXXXX", "phone": "[removed]", "notes": "[removed]", "score": nil, "vip": nil,
			"tags": []any{"[removed]", "[removed]"}, "photo": nil, "details": "IBAN XXXX XXXX XXXX XXXX XXXX XX, card XXXX XXXX XXXX 1111",
		},
		"lead": {"notes": "[removed]", "details": "IBAN XXXX XXXX XXXX XXXX XXXX XX, card XXXX XXXX XXXX 1111"},
		"dpo":  {"details": "IBAN DE89 3704 0044 0532 0130 00, card XXXX XXXX XXXX 1111"},
	} {
		h, _ := newKey(t, g, role)
		a := do(t, g, call{method: "GET", path: "/api/v2/users/7.json", header: h})
		if a.status != http.StatusOK {
			t.Errorf("%s: got %d %s", role, a.status, a.body)
			continue
		}
		got := members(t, a.body)
		for name, value := range all {
			if changed, ok := want[name]; ok {
				value = changed
			}
			if !reflect.DeepEqual(got[name], value) {
				t.Errorf("%s sees %s as %q, want %q", role, name, got[name], value)
			}
		}
		e := g.Event(a.header.Get("Caregate-Receipt"))
		wantHidden, wantMasked := map[string]string{"agent": "6", "lead": "1"}[role], map[string]string{"agent": "3"}[role]
		if e.Attrs["fields_hidden"] != wantHidden || e.Attrs["fields_masked"] != wantMasked {
			t.Errorf("%s: the log says %s hidden and %s masked, want %s and %s", role, e.Attrs["fields_hidden"], e.Attrs["fields_masked"], wantHidden, wantMasked)
		}
		if role == "agent" {
			for _, f := range e.Findings {
				if f.Class == "email" && f.Clear > 0 || f.Class == "phone" && f.Clear > 0 {
					t.Errorf("the log says that the agent saw %+v", f)
				}
			}
		}
	}
	// Another operation has no view.
	h, _ := newKey(t, g, "agent")
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/7.json", header: h}); !strings.Contains(a.body, "Ana") {
		t.Errorf("another operation: got %s", a.body)
	}
}

// What stands for a value that was not shown never replaces it, whatever call brings it back.
func TestViewsComeBack(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, user))
	g := startViews(t, u.URL)
	agent, _ := newKey(t, g, "agent")
	lead, _ := newKey(t, g, "lead")
	seen := do(t, g, call{method: "GET", path: "/api/v2/users/7.json", header: agent})
	a := do(t, g, call{method: "PUT", path: "/api/v2/users/7.json", body: seen.body, header: agent})
	if a.status != http.StatusOK {
		t.Fatalf("written back: got %d %s", a.status, a.body)
	}
	got := members(t, string(u.Last(t).Body))
	for name, value := range got {
		if name != "id" && name != "details" && !(name == "address" && value == nil) {
			t.Errorf("%s reached the helpdesk as %v, want that it was taken out", name, value)
		}
	}
	if e := g.Exchange(a.header.Get("Caregate-Receipt"))[0]; e.Attrs["masked_writes_removed"] == "" {
		t.Errorf("the log says %+v", e.Attrs)
	}
	for _, tc := range []struct {
		name, body string
		header     http.Header
		want       string
	}{
		{"what the caller writes itself", `{"user":{"phone":"+1 212 555 0199","score":7,"tags":["new"]}}`, agent, `{"user":{"phone":"+1 212 555 0199","score":7,"tags":["new"]}}`},
		{"one of several", `{"user":{"name":"Bea","phone":"[removed]","score":null,"vip":false}}`, agent, `{"user":{"name":"Bea","vip":false}}`},
		{"a list with one that was not shown", `{"user":{"tags":["[removed]","new"],"name":"Bea"}}`, agent, `{"user":{"name":"Bea"}}`},
		{"a caller who sees it", `{"user":{"score":null,"vip":null}}`, lead, `{"user":{"score":null,"vip":null}}`},
		{"another field", `{"user":{"alias":null}}`, agent, `{"user":{"alias":null}}`},
	} {
		a := do(t, g, call{method: "PUT", path: "/api/v2/users/7.json", body: tc.body, header: tc.header})
		if got := string(u.Last(t).Body); a.status != http.StatusOK || got != tc.want {
			t.Errorf("%s: got %d, the helpdesk got %s, want %s", tc.name, a.status, got, tc.want)
		}
	}
	before := len(u.Requests())
	a = do(t, g, call{method: "PUT", path: "/api/v2/nobody/knows/7.json", body: `{"x":{"phone":"[removed]"}}`, header: agent})
	if a.status != http.StatusConflict || a.problem.Reason != "masked_write" || len(u.Requests()) != before {
		t.Errorf("a call that the file does not know: got %d %s", a.status, a.body)
	}
}

// An answer in which nobody can tell where a field is shows none of it.
func TestViewsOfOtherForms(t *testing.T) {
	var media, body string
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		_, _ = io.WriteString(w, body)
	})
	g := startViews(t, u.URL)
	agent, _ := newKey(t, g, "agent")
	dpo, _ := newKey(t, g, "dpo")
	for _, tc := range [][2]string{{"text/csv", "name,phone\r\nAna,+1 212 555 0134\r\n"}, {"text/html", "<p>Ana"}, {"text/plain", "Ana"}, {"application/xml", "<user><name>Ana</name></user>"}} {
		media, body = tc[0], tc[1]
		a := do(t, g, call{method: "GET", path: "/api/v2/users/7.json", header: agent})
		if a.status != http.StatusBadGateway || a.problem.Reason != "response_withheld" || a.problem.Cause != "view_unreadable" || strings.Contains(a.body, "Ana") {
			t.Errorf("%s: got %d %s", media, a.status, a.body)
		}
	}
	media, body = "application/json", `{"user":{"name":"Ana"}}`
	if a := do(t, g, call{method: "GET", path: "/api/v2/users/7.json", header: dpo}); a.status != http.StatusOK || !strings.Contains(a.body, "Ana") {
		t.Errorf("a dpo: got %d %s", a.status, a.body)
	}
}

// A stream is seen as its lines are, and nothing of a hidden field is in any window of it.
func TestViewsOfStreams(t *testing.T) {
	const lines = 60
	var text strings.Builder
	for id := range lines {
		fmt.Fprintf(&text, `{"id":%d,"note":"%s","phone":"secret %d","score":%d}`+"\n", id, strings.Repeat("hello ", 800), id, id)
	}
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, text.String())
	})
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, "version: 1\nviews:\n  - {field: /phone, view: hidden}\n  - {field: /score, view: masked}\n")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets.json"})
	if a.status != http.StatusOK || strings.Contains(a.body, "secret") || strings.Count(a.body, `"phone":"[removed]","score":null`) != lines {
		t.Errorf("got %d, %d lines of %d without the field", a.status, strings.Count(a.body, "[removed]"), lines)
	}
}
