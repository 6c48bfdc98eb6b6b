package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// user is what the helpdesk has of a person.
const user = `{"user":{"id":7,"name":"Ana Núñez","email":"ana@customer.example","phone":"+1 212 555 0134","alias":null,"notes":"owes 20 EUR, IBAN DE89 3704 0044 0532 0130 00","score":42,"vip":true,"tags":["debtor","vip"],"groups":["a","b"],"photo":{"id":9,"url":"https://customer.example/p.png"},"details":"IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111","address":null}}`

const userViews = `
version: 1
enforcement:
  - {class: iban, action: mask}
views:
  - {operation: "zendesk:user.*", roles: [agent], field: /user/name, view: masked}
  - {operation: "zendesk:user.*", roles: [agent], field: /**/email, view: masked}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/alias, view: masked}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/phone, view: hidden}
  - {operation: "zendesk:user.*", field: /user/notes, view: hidden}
  - {operation: "zendesk:user.*", roles: [dpo], field: /user/notes, view: full, class: iban}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/score, view: hidden}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/vip, view: masked}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/tags/*, view: hidden}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/groups/*, view: masked}
  - {operation: "zendesk:user.*", roles: [agent], field: /user/photo, view: hidden}
  - {operation: "zendesk:user.*", roles: [dpo], field: /user/details, view: full, class: iban}
  - {operation: "zendesk:ticket.*", roles: [agent], field: /ticket/custom_fields/*/value, view: hidden}
  - {operation: "zendesk:ticket.*", roles: [agent], field: /ticket/subject, view: masked}
`

// startViews is a gateway with views.
func startViews(t *testing.T, upstream, document string) *proxytest.Gateway {
	t.Helper()
	name := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, name, document)
	return proxytest.Start(t, proxytest.Options{Upstream: upstream, Block: "policy builtin " + name})
}

// keyOf makes a key with the roles, which have commas between them.
func keyOf(t *testing.T, g *proxytest.Gateway, roles string) http.Header {
	t.Helper()
	var made struct{ Secret string }
	g.API("POST", "/api/v1/apikeys", `{"name":"several","roles":["`+strings.ReplaceAll(roles, ",", `","`)+`"]}`, http.StatusCreated, &made)
	return http.Header{"Caregate-Key": {made.Secret}}
}

// members are those of a member of a body.
func members(t *testing.T, body, of string) map[string]any {
	t.Helper()
	var doc map[string]map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return doc[of]
}

// gone stands for a member that is not there.
type gone struct{}

// Views of fields through a gateway: what each role sees of one user.
func TestViews(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, user))
	g := startViews(t, u.URL, userViews)
	all := members(t, user, "user")
	for roles, want := range map[string]map[string]any{
		"agent": {
			"name": "XXX XXXXX", "email": "XXX@XXXXXXXX.XXXXXXX", "phone": gone{}, "notes": gone{}, "score": gone{}, "vip": gone{},
			"tags": gone{}, "groups": []any{"X", "X"}, "photo": gone{}, "details": "IBAN XXXX XXXX XXXX XXXX XXXX XX, card XXXX XXXX XXXX 1111",
		},
		"lead": {"notes": gone{}, "details": "IBAN XXXX XXXX XXXX XXXX XXXX XX, card XXXX XXXX XXXX 1111"},
		"dpo":  {"details": "IBAN DE89 3704 0044 0532 0130 00, card XXXX XXXX XXXX 1111"},
		// Of several roles every row counts, and of what they say the strictest.
		"agent,dpo": {
			"name": "XXX XXXXX", "email": "XXX@XXXXXXXX.XXXXXXX", "phone": gone{}, "score": gone{}, "vip": gone{},
			"tags": gone{}, "groups": []any{"X", "X"}, "photo": gone{}, "details": "IBAN DE89 3704 0044 0532 0130 00, card XXXX XXXX XXXX 1111",
		},
	} {
		h := keyOf(t, g, roles)
		a := do(t, g, call{method: "GET", path: "/api/v2/users/7.json", header: h})
		if a.status != http.StatusOK {
			t.Errorf("%s: got %d %s", roles, a.status, a.body)
			continue
		}
		got := members(t, a.body, "user")
		for name, value := range all {
			if changed, ok := want[name]; ok {
				value = changed
			}
			seen, there := got[name]
			if _, hidden := value.(gone); hidden && there || !hidden && (!there || !reflect.DeepEqual(seen, value)) {
				t.Errorf("%s sees %s as %q (there %v), want %q", roles, name, seen, there, value)
			}
		}
		e := g.Event(a.header.Get("Caregate-Receipt"))
		hidden, masked := map[string]string{"agent": "6", "lead": "1", "agent,dpo": "5"}[roles], map[string]string{"agent": "4", "agent,dpo": "4"}[roles]
		if e.Attrs["fields_hidden"] != hidden || e.Attrs["fields_masked"] != masked {
			t.Errorf("%s: the log says %s hidden and %s masked, want %s and %s", roles, e.Attrs["fields_hidden"], e.Attrs["fields_masked"], hidden, masked)
		}
		for _, f := range e.Findings {
			if roles == "agent" && (f.Class == "email" || f.Class == "phone") && f.Clear > 0 {
				t.Errorf("the log says that the agent saw %+v", f)
			}
		}
	}
	// Another operation has no view.
	h, _ := newKey(t, g, "agent")
	if a := do(t, g, call{method: "GET", path: "/api/v2/groups/7.json", header: h}); !strings.Contains(a.body, "Ana") {
		t.Errorf("another operation: got %s", a.body)
	}
}

// What is hidden goes with its name, wherever it stands and whatever it is; what would leave a
// list shorter takes the list.
func TestHiddenShapes(t *testing.T) {
	var media, body string
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		_, _ = io.WriteString(w, body)
	})
	g := startViews(t, u.URL, `
version: 1
views:
  - {field: /**/secret, view: hidden}
  - {field: /list/*, view: hidden}
  - {field: /deep/*/*, view: hidden}
  - {field: /all/**, view: hidden}
  - {field: /numbers/*, view: masked}
  - {field: /words/*, view: masked}
  - {field: /first/0, view: hidden}
  - {field: /both, view: masked}
  - {field: /**/both, view: hidden}
  - {field: /around, view: hidden}
  - {field: /around/inner, view: masked}
`)
	for _, tc := range []struct{ name, media, body, want string }{
		{"members", "application/json", `{"secret":"Ana","a":{"secret":{"x":[1,"Ana"]},"b":1},"c":[{"secret":1},{"d":2,"secret":null}]}`, `{"a":{"b":1},"c":[{},{"d":2}]}`},
		{"the only member", "application/json", `{ "secret" : "Ana" }`, `{  }`},
		{"an escaped name", "application/json", `[{"s\u0065cret":"Ana"}]`, `[{}]`},
		{"elements", "application/json", `{"list":["Ana",1],"b":[1]}`, `{"b":[1]}`},
		{"an empty list", "application/json", `{"list":[],"b":1}`, `{"list":[],"b":1}`},
		{"members by a sign", "application/json", `{"list":{"a":"Ana","b":2},"c":1}`, `{"list":{},"c":1}`},
		{"lists in lists", "application/json", `{"deep":[["Ana"],["Bo"]],"c":1}`, `{"c":1}`},
		{"members of lists", "application/json", `{"deep":[{"a":"Ana"}],"c":1}`, `{"deep":[{}],"c":1}`},
		{"lists of members", "application/json", `{"deep":{"a":["Ana"],"b":[]},"c":1}`, `{"deep":{"b":[]},"c":1}`},
		{"everything below", "application/json", `{"all":{"a":["Ana"]},"c":1}`, `{"c":1}`},
		{"a list of no texts, masked", "application/json", `{"numbers":["Ana",7,null],"c":1}`, `{"c":1}`},
		{"a list of texts, masked", "application/json", `{"words":["Ana","",null],"c":1}`, `{"words":["XXX","",null],"c":1}`},
		{"one element", "application/json", `{"first":["Ana","b"],"c":1}`, `{"c":1}`},
		{"the strictest", "application/json", `{"both":"Ana","c":{"both":1}}`, `{"c":{}}`},
		{"in what is hidden", "application/json", `{"around":{"inner":"Ana"},"c":1}`, `{"c":1}`},
		{"lines", "application/x-ndjson", "{\"secret\":\"Ana\",\"a\":1}\n{\"a\":2,\"list\":[\"Ana\"]}\n", "{\"a\":1}\n{\"a\":2}\n"},
		{"a form", "application/x-www-form-urlencoded", "a=1&x%5Bsecret%5D=Ana&secret=Ana&words[]=Ana", "a=1&words[]=XXX"},
		{"announced as text", "text/plain", `{"secret":"Ana","a":1}`, `{"a":1}`},
	} {
		media, body = tc.media, tc.body
		if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/7.json"}); a.status != http.StatusOK || a.body != tc.want {
			t.Errorf("%s: got %d %s, want %s", tc.name, a.status, a.body, tc.want)
		}
	}
}

// A document of which nothing is shown is left as an empty one.
func TestHiddenDocument(t *testing.T) {
	var body string
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	})
	g := startViews(t, u.URL, "version: 1\nviews:\n  - {field: /**, view: hidden}\n")
	for from, want := range map[string]string{`{"a":"Ana"}`: `{}`, `["Ana"]`: `[]`, `"Ana"`: `""`, `17`: `null`} {
		body = from
		if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/7.json"}); a.status != http.StatusOK || a.body != want {
			t.Errorf("%s: got %d %s, want %s", from, a.status, a.body, want)
		}
	}
}

// helpdesk is an upstream that keeps one user and one ticket as vendors do: a write changes
// the members that it has, lists are replaced, and an element of custom_fields that comes
// without a value is emptied.
type helpdesk struct {
	mu      sync.Mutex
	records map[string]map[string]any
}

func (d *helpdesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	of := "user"
	if strings.Contains(r.URL.Path, "tickets") {
		of = "ticket"
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{of: d.records[of]})
}

// take carries out a write.
func (d *helpdesk) take(t *testing.T, of string, body []byte) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, value := range members(t, string(body), of) {
		if name != "custom_fields" {
			d.records[of][name] = value
			continue
		}
		for _, new := range value.([]any) {
			for _, old := range d.records[of][name].([]any) {
				if old, new := old.(map[string]any), new.(map[string]any); old["id"] == new["id"] {
					old["value"] = new["value"]
				}
			}
		}
	}
}

// What an agent was shown and writes back, as it is or with a change, leaves everything in the
// helpdesk as it was but the change.
func TestViewsReadModifyWrite(t *testing.T) {
	const ticket = `{"ticket":{"id":9,"subject":"Ana wants money","status":"open","tags":["a"],"custom_fields":[{"id":1,"value":"Ana"},{"id":2,"value":7},{"id":3,"value":null}]}}`
	for _, tc := range []struct{ name, of, record, path string }{
		{"a user", "user", strings.Replace(user, `IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111`, "likes tea", 1), "/api/v2/users/7.json"},
		{"a ticket", "ticket", ticket, "/api/v2/tickets/9.json"},
	} {
		for change, change1 := range map[string]func(map[string]any) (string, any){
			"as it is":       func(map[string]any) (string, any) { return "", nil },
			"in small":       func(m map[string]any) (string, any) { return "", lower(m) },
			"with a change":  func(m map[string]any) (string, any) { m["tags"] = []any{"new"}; return "tags", m["tags"] },
			"with a new one": func(m map[string]any) (string, any) { m["subject"] = "Xbox: 100%\n"; return "subject", m["subject"] },
		} {
			t.Run(tc.name+" "+change, func(t *testing.T) {
				desk := &helpdesk{records: map[string]map[string]any{tc.of: members(t, tc.record, tc.of)}}
				u := proxytest.NewUpstream(t, desk.ServeHTTP)
				g := startViews(t, u.URL, userViews)
				agent, _ := newKey(t, g, "agent")
				seen := do(t, g, call{method: "GET", path: tc.path, header: agent})
				if strings.Contains(seen.body, "Ana") || strings.Contains(seen.body, "customer") {
					t.Fatalf("the agent sees %s", seen.body)
				}
				m := members(t, seen.body, tc.of)
				name, value := change1(m)
				body, err := json.Marshal(map[string]any{tc.of: m})
				if err != nil {
					t.Fatal(err)
				}
				a := do(t, g, call{method: "PUT", path: tc.path, body: string(body), header: agent})
				if a.status != http.StatusOK {
					t.Fatalf("written back: got %d %s", a.status, a.body)
				}
				if e := g.Exchange(a.header.Get("Caregate-Receipt"))[0]; e.Attrs["masked_writes_removed"] == "" {
					t.Errorf("the log says %+v", e.Attrs)
				}
				desk.take(t, tc.of, u.Last(t).Body)
				want := members(t, tc.record, tc.of)
				if name != "" {
					want[name] = value
				}
				for name := range want {
					if !reflect.DeepEqual(desk.records[tc.of][name], want[name]) {
						t.Errorf("%s became %v, want %v", name, desk.records[tc.of][name], want[name])
					}
				}
			})
		}
	}
}

// lower changes the texts of a record to small letters, as some who store them do.
func lower(m map[string]any) any {
	for name, value := range m {
		if text, ok := value.(string); ok && strings.Contains(text, "X") && !strings.Contains(text, " X") {
			m[name] = strings.ToLower(text)
		}
	}
	return nil
}

// Of what a caller writes, only what such a view would have shown stands for something else.
func TestViewsGuardWrites(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{}`))
	g := startViews(t, u.URL, userViews)
	agent, _ := newKey(t, g, "agent")
	lead, _ := newKey(t, g, "lead")
	dpo := keyOf(t, g, "dpo,agent")
	const users, tickets = "/api/v2/users/7.json", "/api/v2/tickets/7.json"
	const form, multipart = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	for _, tc := range []struct {
		name, method, path, media, body string
		header                          http.Header
		want                            string // what the helpdesk got; "" for as it was sent, "409" for nothing
	}{
		{"what the caller writes itself", "PUT", users, "", `{"user":{"phone":"+1 212 555 0199","score":7,"tags":["new"]}}`, agent, ""},
		{"nothing in a hidden field", "PUT", users, "", `{"user":{"phone":null,"score":null,"photo":null}}`, agent, ""},
		{"a text with an X", "PUT", users, "", `{"user":{"name":"Xbox","groups":["Xbox","100%","XXL"],"email":"x7@customer.example"}}`, agent, ""},
		{"a line feed", "PUT", tickets, "", `{"ticket":{"subject":"line one\nline two","comment":{"body":"a\\b\nX"}}}`, agent, ""},
		{"a comment of kisses", "PUT", tickets, "", `{"ticket":{"comment":{"body":"xx"}}}`, agent, ""},
		{"one of several", "PUT", users, "", `{"user":{"name":"XXX","email":"xxx@xxxx.xxxxxxx","vip":false}}`, agent, `{"user":{"vip":false}}`},
		{"a list with one that was not shown", "PUT", users, "", `{"user":{"groups":["X","new"],"name":"Bea"}}`, agent, `{"user":{"name":"Bea"}}`},
		{"elsewhere in the document", "POST", "/api/v2/users/create_or_update.json", "", `{"user":{"email":"bo@customer.example","identities":[{"email":"XXX@X.XX","type":"email"}]}}`, agent, `{"user":{"email":"bo@customer.example","identities":[{"type":"email"}]}}`},
		{"a field without its value", "PUT", tickets, "", `{"ticket":{"status":"open","custom_fields":[{"id":1},{"id":2,"value":"new"},{"id":3,"value":null}]}}`, agent, `{"ticket":{"status":"open","custom_fields":[{"id":2,"value":"new"},{"id":3,"value":null}]}}`},
		{"a caller who sees it", "PUT", users, "", `{"user":{"name":"XXX","groups":["X"]}}`, lead, ""},
		{"a caller who sees it, without a value", "PUT", tickets, "", `{"ticket":{"custom_fields":[{"id":1}]}}`, lead, ""},
		{"a caller of two roles", "PUT", users, "", `{"user":{"name":"XXX","notes":null}}`, dpo, `{"user":{"notes":null}}`},
		{"another field", "PUT", users, "", `{"user":{"signature":"XXX"}}`, agent, ""},
		{"lines", "PUT", users, "application/x-ndjson", "{\"name\":null}\n{\"name\":\"XX X\",\"a\":1}\n", agent, "{\"name\":null}\n{\"a\":1}\n"},
		{"a JSON Patch", "PATCH", users, "application/json-patch+json", `[{"op":"replace","path":"/user/name","value":"XXX"},{"op":"replace","value":"x","path":"/user/groups/0"},{"op":"replace","path":"/user/alias","value":"Xbox"},{"op":"test","path":"/user/signature","value":"X"}]`, agent, `[{"op":"replace","path":"/user/alias","value":"Xbox"},{"op":"test","path":"/user/signature","value":"X"}]`},
		{"a JSON Patch of somebody who sees it", "PATCH", users, "application/json-patch+json", `[{"op":"replace","path":"/user/name","value":"XXX"}]`, lead, ""},
		{"a JSON Patch with an object", "PATCH", users, "application/json-patch+json", `[{"op":"test","path":"/id","value":7},{"op":"replace","path":"/user","value":{"name":"XXX","vip":true}}]`, agent, "409"},
		{"a JSON Patch with a path behind", "PATCH", users, "application/json-patch+json", `[{"op":"test","path":"/id","value":7},{"value":[{"identity":{"email":"XXX@XXXX.XX"}}],"op":"add","path":"/identities"}]`, agent, "409"},
		{"a JSON Patch with a list", "PATCH", users, "application/json-patch+json", `[{"op":"test","path":"/id","value":7},{"op":"replace","path":"/groups","value":["new","X"]}]`, agent, "409"},
		{"a JSON Patch of nothing else", "PATCH", users, "application/json-patch+json", `[{"op":"replace","path":"/name","value":"XXX"},{"op":"replace","path":"/alias","value":"XX"}]`, agent, "409"},
		{"a JSON Patch with other objects", "PATCH", users, "application/json-patch+json", `[{"op":"replace","path":"/user","value":{"name":"Xbox","signature":"XX"}},{"op":"add","path":"/tags","value":["X"]}]`, agent, ""},
		{"a list that is no JSON Patch", "PUT", users, "", `[{"id":1,"value":{"name":"XXX","vip":true}}]`, agent, `[{"id":1,"value":{"vip":true}}]`},
		{"a form", "PUT", users, form, "user%5Bname%5D=XXX+XX&user%5Bvip%5D=true", agent, "user%5Bvip%5D=true"},
		{"a form of other texts", "PUT", users, form, "user%5Bname%5D=Xbox&user%5Bphone%5D=XX", agent, ""},
		{"the query", "PUT", users + "?email=XXX%40XXXX.XX", "", `{}`, agent, "409"},
		{"another query", "PUT", users + "?email=X1%40customer.example&q=XX", "", `{}`, agent, ""},
		{"XML", "PUT", users, "application/xml", `<user><email>XXX@XXXX.XX</email></user>`, agent, "409"},
		{"XML of other texts", "PUT", users, "application/xml", `<user><email>bo@customer.example</email><x>XX</x></user>`, agent, ""},
		{"CSV", "PUT", users, "text/csv", "id,email\r\n7,xxx@xxxx.xx\r\n", agent, "409"},
		{"CSV of other texts", "PUT", users, "text/csv", "id,email,x\r\n7,bo@customer.example,XX\r\n", agent, ""},
		{"a multipart form", "PUT", users, multipart, "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nXXX XX\r\n--b--\r\n", agent, "409"},
		{"a multipart form of other texts", "PUT", users, multipart, "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nXbox\r\n--b--\r\n", agent, ""},
		{"a call that the file does not know", "PUT", "/api/v2/nobody/knows/7.json", "", `{"x":{"name":"XXX"}}`, agent, "409"},
		{"another that it does not know", "POST", "/api/v2/nobody/knows/7.json", "", `{"x":{"name":"XXX"}}`, agent, "409"},
		{"one with other texts", "POST", "/api/v2/nobody/knows/7.json", "", `{"x":{"name":"Xbox","phone":null}}`, agent, ""},
	} {
		h := tc.header.Clone()
		if tc.media != "" {
			h.Set("Content-Type", tc.media)
		}
		before := len(u.Requests())
		a := do(t, g, call{method: tc.method, path: tc.path, body: tc.body, header: h})
		if tc.want == "409" {
			if a.status != http.StatusConflict || a.problem.Reason != "masked_write" || len(u.Requests()) != before {
				t.Errorf("%s: got %d %s, want 409 masked_write", tc.name, a.status, a.body)
			}
			continue
		}
		if tc.want == "" {
			tc.want = tc.body
		}
		if len(u.Requests()) == before || a.status != http.StatusOK {
			t.Errorf("%s: got %d %s", tc.name, a.status, a.body)
			continue
		}
		if got := string(u.Last(t).Body); got != tc.want {
			t.Errorf("%s: the helpdesk got %s, want %s", tc.name, got, tc.want)
		}
	}
}

// A call inside a composite one is seen and guarded as one that comes alone.
func TestViewsOfCallsInside(t *testing.T) {
	u, g := startCRM(t, `{"compositeResponse":[{"body":{"Id":"003A","Email":"ana@customer.example","Phone__c":"5","Description":"Ana"},"referenceId":"r"}]}`, `
version: 1
views:
  - {operation: "crm:contact.*", field: /Email, view: masked}
  - {operation: "crm:contact.show", field: /Description, view: hidden}
`)
	show := bearer(composite(inner("GET", contactPath+"/003A", "")))
	a := do(t, g, show)
	if want := `{"compositeResponse":[{"body":{"Id":"003A","Email":"XXX@XXXXXXXX.XXXXXXX","Phone__c":"5"},"referenceId":"r"}]}`; a.status != http.StatusOK || a.body != want {
		t.Errorf("a read inside: got %d %s, want %s", a.status, a.body, want)
	}
	change := bearer(composite(inner("PATCH", contactPath+"/003A", `{"Email":"XXX@XXXXXXXX.XXXXXXX","Phone__c":"6"}`), inner("POST", contactPath, `{"Email":"XX@X.XX","Description":"hello"}`)))
	a = do(t, g, change)
	got := string(u.Last(t).Body)
	if a.status != http.StatusOK || strings.Contains(got, "Email") || !strings.Contains(got, `"body":{"Phone__c":"6"}`) || !strings.Contains(got, `"body":{"Description":"hello"}`) {
		t.Errorf("writes inside: got %d %s, the system got %s", a.status, a.body, got)
	}
	other := bearer(composite(inner("POST", "/services/data/v60.0/sobjects/Case/500A/Comments", `{"body":"hello"}`)))
	if a := do(t, g, other); !strings.Contains(a.body, "ana@customer.example") || !strings.Contains(a.body, `"Ana"`) {
		t.Errorf("another operation inside: got %d %s", a.status, a.body)
	}
}

// An answer in which nobody can tell where a field is does not pass either where only a call
// inside has such a field.
func TestViewsOfCallsInsideUnread(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "Ana")
	})
	g := startCRMAt(t, u, `
version: 1
views:
  - {operation: "crm:contact.*", field: /Email, view: masked}
  - {operation: "crm:message.*", field: /Email, view: masked}
`)
	a := do(t, g, bearer(composite(inner("GET", contactPath+"/003A", ""))))
	if a.status != http.StatusBadGateway || a.problem.Cause != "view_unreadable" || strings.Contains(a.body, "Ana") {
		t.Errorf("a call with such a field: got %d %s, want it withheld", a.status, a.body)
	}
	if a := do(t, g, bearer(composite(inner("POST", "/services/data/v60.0/sobjects/Case/500A/Comments", `{"body":"hello"}`)))); a.status != http.StatusOK || a.body != "Ana" {
		t.Errorf("a call without: got %d %s, want it as it came", a.status, a.body)
	}
}

// A write of lines that streams is guarded line by line.
func TestViewsGuardStreams(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{}`))
	g := startViews(t, u.URL, userViews)
	h, _ := newKey(t, g, "agent")
	h.Set("Content-Type", "application/x-ndjson")
	var body, want strings.Builder
	note := strings.Repeat("hello ", 800)
	for id := range 60 {
		fmt.Fprintf(&body, `{"id":%d,"note":"%s","name":"XXX","alias":"Xbox"}`+"\n", id, note)
		fmt.Fprintf(&want, `{"id":%d,"note":"%s","alias":"Xbox"}`+"\n", id, note)
	}
	a := do(t, g, call{method: "PUT", path: "/api/v2/users/7.json", body: body.String(), header: h})
	if got := string(u.Last(t).Body); a.status != http.StatusOK || got != want.String() {
		t.Errorf("got %d, and %d forms reached the helpdesk in %d bytes, want none in %d", a.status, strings.Count(got, "XXX"), len(got), want.Len())
	}
}

// Where nobody can tell where a field is: errors of the vendor pass with their status, and an
// answer in which the channel file knows a field that is not shown does not.
func TestViewsOfOtherForms(t *testing.T) {
	var status int
	var media, body string
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.Header().Set("Retry-After", "93")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	g := startViews(t, u.URL, userViews+`
  - {roles: [lead], field: /**/phone, view: hidden}
  - {roles: [lead], field: /**/email, view: full, class: iban}
`)
	keys := map[string]http.Header{}
	for _, role := range []string{"agent", "lead", "dpo"} {
		keys[role], _ = newKey(t, g, role)
	}
	const users, groups = "/api/v2/users/7.json", "/api/v2/groups/7.json"
	for _, tc := range []struct {
		name, role, path string
		status           int
		media, body      string
		passes           bool
	}{
		{"CSV", "agent", users, 200, "text/csv", "name,phone\r\nAna,5\r\n", false},
		{"HTML", "agent", users, 200, "text/html", "<p>Ana", false},
		{"text", "agent", users, 201, "text/plain", "Ana", false},
		{"XML", "agent", users, 200, "application/xml", "<user><name>Ana</name></user>", false},
		{"a field found by its name", "lead", users, 200, "text/plain", "Ana", false},
		{"a call without such fields", "lead", groups, 200, "text/plain", "Ana", true},
		{"a call that the file does not know", "lead", "/api/v2/nobody/knows.json", 200, "text/csv", "name\r\nAna\r\n", true},
		{"another operation", "agent", groups, 200, "text/html", "<p>Ana", true},
		{"a role for whom nothing is hidden", "dpo", groups, 200, "text/plain", "Ana", true},
		{"nothing but blanks", "agent", users, 200, "text/html", " \n", true},
		{"too many requests", "agent", users, 429, "text/html; charset=utf-8", "Number of allowed API requests per minute exceeded", true},
		{"busy", "agent", users, 503, "text/plain", "busy", true},
		{"not found", "agent", users, 404, "text/csv", "error\r\nnone\r\n", true},
		{"an error in JSON", "agent", users, 422, "application/json", `{"error":"RecordInvalid"}`, true},
	} {
		status, media, body = tc.status, tc.media, tc.body
		a := do(t, g, call{method: "GET", path: tc.path, header: keys[tc.role]})
		if tc.passes && (a.status != tc.status || a.body != tc.body || a.header.Get("Retry-After") != "93") {
			t.Errorf("%s: got %d %s, want %d as it came", tc.name, a.status, a.body, tc.status)
		}
		if !tc.passes && (a.status != http.StatusBadGateway || a.problem.Reason != "response_withheld" || a.problem.Cause != "view_unreadable" || strings.Contains(a.body, "Ana")) {
			t.Errorf("%s: got %d %s, want it withheld", tc.name, a.status, a.body)
		}
	}
	// Errors are inspected as ever, and fields of theirs are seen as others.
	status, media, body = 500, "text/plain", "card 4111 1111 1111 1111"
	if a := do(t, g, call{method: "GET", path: users, header: keys["agent"]}); a.status != 500 || a.body != "card XXXX XXXX XXXX 1111" {
		t.Errorf("an error with a card: got %d %s", a.status, a.body)
	}
	status, media, body = 422, "application/json", `{"user":{"phone":"5","id":7}}`
	if a := do(t, g, call{method: "GET", path: users, header: keys["agent"]}); a.status != 422 || a.body != `{"user":{"id":7}}` {
		t.Errorf("an error with a field: got %d %s", a.status, a.body)
	}
}

// Who sees other fields has another representation, and is not told that it has not changed.
func TestViewsTags(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"abc"`)
		if strings.Contains(r.Header.Get("If-None-Match"), `"abc"`) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, user)
	})
	g := startViews(t, u.URL, userViews)
	tags, keys := map[string]string{}, map[string]http.Header{}
	get := func(role, tag string) answer {
		h := keys[role].Clone()
		h.Set("If-None-Match", tag)
		return do(t, g, call{method: "GET", path: "/api/v2/users/7.json", header: h})
	}
	for _, role := range []string{"agent", "lead", "dpo"} {
		keys[role], _ = newKey(t, g, role)
		tags[role] = get(role, `"none"`).header.Get("ETag")
	}
	for role := range keys {
		for from, tag := range tags {
			a := get(role, tag)
			if role == from && a.status != http.StatusNotModified {
				t.Errorf("%s with its own tag: got %d", role, a.status)
			}
			if role != from && (a.status != http.StatusOK || tags[role] == tag) {
				t.Errorf("%s with the tag of %s: got %d, tags %s and %s", role, from, a.status, tags[role], tag)
			}
		}
	}
	// A conditional write has the upstream's tag, whoever saw what.
	h := keys["agent"].Clone()
	h.Set("If-Match", tags["agent"])
	do(t, g, call{method: "PUT", path: "/api/v2/users/7.json", body: `{"user":{"vip":true}}`, header: h})
	if got := u.Last(t).Header.Get("If-Match"); got != `"abc"` {
		t.Errorf("the upstream got If-Match %s", got)
	}
}

// A full view of account numbers shows none that is a card.
func TestFullViewsShowNoCards(t *testing.T) {
	const body = `{"acct":"bank account 378282246310005, card 4111-1111-1111-1111","plain":"bank account number 000123456789","else":{"acct":"bank account number 000123456789 IBAN DE89 3704 0044 0532 0130 00"},"other":"bank account number 000123456789"}`
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, body))
	g := startViews(t, u.URL, `
version: 1
enforcement:
  - {class: us_bank_account, action: mask}
  - {class: iban, action: mask}
views:
  - {roles: [lead], field: /**/acct, view: full, class: us_bank_account}
  - {roles: [lead], field: /plain, view: full, class: us_bank_account}
`)
	h, _ := newKey(t, g, "lead")
	a := do(t, g, call{method: "GET", path: "/api/v2/users/7.json", header: h})
	const want = `{"acct":"bank account XXXXXXXXXXX0005, card XXXX-XXXX-XXXX-1111","plain":"bank account number 000123456789","else":{"acct":"bank account number 000123456789 IBAN XXXX XXXX XXXX XXXX XXXX XX"},"other":"bank account number XXXXXXXXXXXX"}`
	if a.body != want {
		t.Errorf("got %s\nwant %s", a.body, want)
	}
}

// A stream is seen as its lines are, and nothing of a hidden field is in any window of it.
func TestViewsOfStreams(t *testing.T) {
	const lines = 60
	var text, want strings.Builder
	note := strings.Repeat("hello ", 800)
	for id := range lines {
		fmt.Fprintf(&text, `{"id":%d,"note":"%s","phone":"secret %d","score":%d,"name":"Ana"}`+"\n", id, note, id, id)
		fmt.Fprintf(&want, `{"id":%d,"note":"%s","name":"XXX"}`+"\n", id, note)
	}
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, text.String())
	})
	g := startViews(t, u.URL, "version: 1\nviews:\n  - {field: /phone, view: hidden}\n  - {field: /score, view: masked}\n  - {field: /name, view: masked}\n")
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets.json"})
	if a.status != http.StatusOK || a.body != want.String() {
		t.Errorf("got %d, %d secrets in %d bytes, want none in %d", a.status, strings.Count(a.body, "secret"), len(a.body), want.Len())
	}
}
