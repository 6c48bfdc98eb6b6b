package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// comment is the body of a ticket's update that adds one.
func comment(text string) string {
	b, _ := json.Marshal(text) // a string always encodes
	return `{"ticket":{"comment":{"body":` + string(b) + `}}}`
}

// say adds a comment to a ticket.
func say(t *testing.T, g *proxytest.Gateway, ticket, text string) answer {
	t.Helper()
	return do(t, g, call{method: "PUT", path: "/api/v2/tickets/" + ticket + ".json", body: comment(text)})
}

// A card in four messages, three of which have the same bytes: the last one is
// masked, and the record says that the others stand in clear.
func TestPiecesOverCalls(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"ticket":{"id":7},"audit":{"id":99,"ticket_id":7}}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	counted := proxy.EarlierPieces()
	for i, text := range []string{"4111", "1111", "1111"} {
		if say(t, g, "7", text); string(u.Last(t).Body) != comment(text) {
			t.Fatalf("piece %d: %s", i, u.Last(t).Body)
		}
	}
	a := say(t, g, "7", "and 1111")
	if a.status != 200 || string(u.Last(t).Body) != comment("and XXXX") {
		t.Fatalf("last piece: got %d, %s", a.status, u.Last(t).Body)
	}
	e := g.Event(a.header.Get("Caregate-Receipt"))
	if e.Attrs["request"] != "1 credit_card masked" || e.Attrs["earlier_pieces"] != "3" || !strings.Contains(e.Sentence, "3 earlier pieces") {
		t.Errorf("event: %+v", e)
	}
	if n := proxy.EarlierPieces() - counted; n != 3 {
		t.Errorf("earlier pieces counted: %v, want 3", n)
	}
	// What follows is another number.
	if say(t, g, "7", "1111"); string(u.Last(t).Body) != comment("1111") {
		t.Errorf("after the number: %s", u.Last(t).Body)
	}
	g.Verify()
}

// Policy decides about a piece like about every finding. The sealed detail names
// the earlier messages and holds nothing of them, and a refused piece can be sent
// again: it is refused again.
func TestPieceBlocked(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	document := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(document, []byte("version: 1\nenforcement:\n  - {class: credit_card, action: block}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	before := g.WaitForEntries(2)
	say(t, g, "007", "4111 1111")
	for range 2 {
		a := say(t, g, "7", "1111 1111")
		if a.status != 422 || a.problem.Reason != "finding_blocked" || len(u.Requests()) != 1 {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		before += 2
		g.WaitForEntries(before + 1)
		details, err := proxy.SubjectDetails(t.Context(), a.problem.Receipt)
		if err != nil || len(details) != 1 || strings.Contains(withoutIDs(details[0]), "1111") {
			t.Fatalf("details: %q, %v", details, err)
		}
		var d struct {
			Findings []struct{ Class, Path, Evidence string }
			Earlier  []struct{ Class, Record, Exchange string }
		}
		if err := json.Unmarshal([]byte(details[0]), &d); err != nil {
			t.Fatal(err)
		}
		if len(d.Findings) != 1 || d.Findings[0].Path != "/ticket/comment/body" || d.Findings[0].Evidence != "split" ||
			len(d.Earlier) != 1 || d.Earlier[0].Class != "credit_card" || d.Earlier[0].Record != "ticket/7" || len(d.Earlier[0].Exchange) != 32 {
			t.Errorf("details: %+v", d)
		}
		before--
	}
}

// Where a message may stand, and how its conversation is named.
func TestMessagePlaces(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body := `{}`
		if r.Method == http.MethodPost && r.URL.Path == "/api/v2/tickets" {
			body = `{"ticket":{"id":31},"audit":{"ticket_id":31}}`
		}
		jsonUpstream(201, body)(w, r)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	var refused struct{ Actor string }
	a := do(t, g, call{method: "PUT", path: "/api/v2/tickets/update_many?ids=1", body: comment("hello")})
	if err := json.Unmarshal([]byte(a.body), &refused); err != nil || a.status != 403 {
		t.Fatalf("a bulk call: got %d %s", a.status, a.body)
	}
	document := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(document, []byte("version: 1\ngrants:\n  - actor: "+refused.Actor+"\n    grants: [\"zendesk:ticket.update_many\", \"zendesk:ticket.create_many\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Load(proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document}); err != nil {
		t.Fatal(err)
	}
	type step struct{ method, path, body, want string }
	for name, steps := range map[string][]step{
		"a ticket that the call begins": {
			{"POST", "/api/v2/tickets", `{"ticket":{"subject":"x","comment":{"body":"4111 1111"}}}`, ""},
			{"PUT", "/api/v2/tickets/31", `{"ticket":{"comment":{"body":"1111 1111"}}}`, `{"ticket":{"comment":{"body":"XXXX XXXX"}}}`},
		},
		"a ticket with a description": {
			{"POST", "/api/v2/tickets", `{"ticket":{"subject":"x","description":"5555 5555"}}`, ""},
			{"PUT", "/api/v2/tickets/31", `{"ticket":{"comment":{"body":"5555 4444"}}}`, `{"ticket":{"comment":{"body":"XXXX XXXX"}}}`},
		},
		"html": {
			{"PUT", "/api/v2/tickets/32", `{"ticket":{"comment":{"html_body":"<div class=\"c1\"><p>4111&nbsp;1111</p></div>"}}}`, ""},
			{"PUT", "/api/v2/tickets/32", `{"ticket":{"comment":{"html_body":"<p>1111 <b>1111</b></p>"}}}`, `{"ticket":{"comment":{"html_body":"<p>XXXX <b>XXXX</b></p>"}}}`},
		},
		"digits of other scripts, and entities": {
			{"PUT", "/api/v2/tickets/43", `{"ticket":{"comment":{"body":"\u0664\u0661\u0661\u0661 ١١١١"}}}`, ""},
			{"PUT", "/api/v2/tickets/43", `{"ticket":{"comment":{"html_body":"<p>&#49;111&nbsp;１１１１</p>"}}}`, `{"ticket":{"comment":{"html_body":"<p>XXXX&nbsp;XXXX</p>"}}}`},
		},
		"one message in two notations": {
			{"PUT", "/api/v2/tickets/33", `{"ticket":{"comment":{"body":"4111","html_body":"<p>4111</p>"}}}`, ""},
			{"PUT", "/api/v2/tickets/33", `{"ticket":{"comment":{"body":"1111 1111","html_body":"<p>1111 1111</p>"}}}`, ""},
			{"PUT", "/api/v2/tickets/33", `{"ticket":{"comment":{"body":"1111","html_body":"<p>1111</p>"}}}`, `{"ticket":{"comment":{"body":"XXXX","html_body":"<p>XXXX</p>"}}}`},
		},
		"several tickets in one call": {
			{"PUT", "/api/v2/tickets/update_many?ids=34,35", `{"ticket":{"comment":{"body":"4111 1111"}}}`, ""},
			{"PUT", "/api/v2/tickets/update_many", `{"tickets":[{"id":36,"comment":{"body":"1111 1111"}},{"id":35,"comment":{"body":"1111 1111"}}]}`,
				`{"tickets":[{"id":36,"comment":{"body":"1111 1111"}},{"id":35,"comment":{"body":"XXXX XXXX"}}]}`},
			{"PUT", "/api/v2/requests/34", `{"request":{"comment":{"body":"1111 1111"}}}`, `{"request":{"comment":{"body":"XXXX XXXX"}}}`},
		},
		"tickets that do not exist yet": {
			{"POST", "/api/v2/tickets/create_many", `{"tickets":[{"comment":{"body":"4111 1111"}},{"comment":{"body":"1111 1111"}}]}`, ""},
		},
		"an import": {
			{"POST", "/api/v2/imports/tickets", `{"ticket":{"comments":[{"author_id":1,"body":"4111 1111"},{"author_id":2,"body":"ok"},{"author_id":1,"body":"1111 1111"}]}}`,
				`{"ticket":{"comments":[{"author_id":1,"body":"XXXX XXXX"},{"author_id":2,"body":"ok"},{"author_id":1,"body":"XXXX XXXX"}]}}`},
		},
		"two speakers": {
			{"PUT", "/api/v2/tickets/37", `{"ticket":{"comment":{"author_id":1,"body":"4111 1111"}}}`, ""},
			{"PUT", "/api/v2/tickets/37", `{"ticket":{"comment":{"author_id":2,"body":"1111 1111"}}}`, ""},
			{"PUT", "/api/v2/tickets/37", `{"ticket":{"comment":{"author_id":1,"body":"1111 1111"}}}`, `{"ticket":{"comment":{"author_id":1,"body":"XXXX XXXX"}}}`},
		},
		"what a question explains": {
			{"PUT", "/api/v2/tickets/38", `{"ticket":{"comment":{"body":"Could you tell me the security code on the back of your card?"}}}`, ""},
			{"PUT", "/api/v2/tickets/38", `{"ticket":{"comment":{"body":"it is 123"}}}`, `{"ticket":{"comment":{"body":"it is XXX"}}}`},
		},
		"in words": {
			{"PUT", "/api/v2/tickets/39", `{"ticket":{"comment":{"body":"four one one one, one one one one"}}}`, ""},
			{"PUT", "/api/v2/tickets/39", `{"ticket":{"comment":{"body":"and then one one one one one one one one"}}}`, `{"ticket":{"comment":{"body":"and then XXXXXXXX"}}}`},
		},
		"a number literal": {
			{"PUT", "/api/v2/tickets/40", `{"ticket":{"comment":{"body":41111111}}}`, ""},
			{"PUT", "/api/v2/tickets/40", `{"ticket":{"comment":{"body":11111111}}}`, "refused"},
		},
		"places that are no messages": {
			{"PUT", "/api/v2/tickets/41", `{"ticket":{"subject":"4111 1111"}}`, ""},
			{"PUT", "/api/v2/tickets/41", `{"ticket":{"comment":{"body":null},"subject":"1111 1111"}}`, ""},
		},
		"a whole card between": {
			{"PUT", "/api/v2/tickets/42", `{"ticket":{"comment":{"body":"4111 1111"}}}`, ""},
			{"PUT", "/api/v2/tickets/42", `{"ticket":{"comment":{"body":"no, it is 5555 5555 5555 4444"}}}`, `{"ticket":{"comment":{"body":"no, it is XXXX XXXX XXXX 4444"}}}`},
			{"PUT", "/api/v2/tickets/42", `{"ticket":{"comment":{"body":"1111 1111"}}}`, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i, s := range steps {
				before := len(u.Requests())
				a := do(t, g, call{method: s.method, path: s.path, body: s.body})
				if s.want == "refused" {
					if a.status != 422 || len(u.Requests()) != before {
						t.Errorf("step %d: got %d", i, a.status)
					}
					continue
				}
				if s.want == "" {
					s.want = s.body
				}
				if got := string(u.Last(t).Body); got != s.want || a.status != 201 {
					t.Errorf("step %d: got %d %s\nwant %s", i, a.status, got, s.want)
				}
			}
		})
	}
}

// What did not arrive is no piece, and what comes again is the same one.
func TestPiecesAgain(t *testing.T) {
	var status atomic.Int64
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if status.Load() == 0 {
			panic(http.ErrAbortHandler)
		}
		jsonUpstream(int(status.Load()), `{}`)(w, r)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	type step struct {
		status    int64
		key, text string
		masked    bool
	}
	n := 100
	for name, steps := range map[string][]step{
		"the vendor is down":               {{200, "", "4111 1111", false}, {503, "", "1111 1111", true}, {503, "", "1111 1111", true}, {200, "", "1111 1111", true}, {200, "", "1111 1111", false}},
		"the connection breaks":            {{200, "", "4111", false}, {0, "", "1111", false}, {200, "", "1111", false}, {200, "", "1111", false}, {200, "", "1111", true}},
		"the vendor refuses":               {{422, "", "4111 1111", false}, {200, "", "1111 1111", false}},
		"too many calls, and again":        {{200, "", "4111 1111", false}, {429, "", "1111 1111", true}, {200, "", "1111 1111", true}},
		"once by name":                     {{200, "a", "4111", false}, {200, "b", "1111", false}, {200, "b", "1111", false}, {200, "c", "1111", false}, {200, "d", "1111", true}, {200, "d", "1111", true}},
		"it goes on after a doubtful call": {{503, "", "4111 1111", false}, {200, "", "1111 1111", true}},
	} {
		n++
		t.Run(name, func(t *testing.T) {
			for i, s := range steps {
				status.Store(s.status)
				header := http.Header{}
				if s.key != "" {
					header.Set("Idempotency-Key", s.key)
				}
				do(t, g, call{method: "PUT", path: fmt.Sprintf("/api/v2/tickets/%d", n), body: comment(s.text), header: header})
				if masked := string(u.Last(t).Body) != comment(s.text); masked != s.masked {
					t.Errorf("step %d: masked %t, want %t", i, masked, s.masked)
				}
			}
		})
	}
}

// Conversations outlive a reload, with the lists and the route's settings changed;
// they are as old as the clock says, and are wiped then.
func TestConversationsOverTime(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	lists := filepath.Join(t.TempDir(), "detect.yaml")
	if err := os.WriteFile(lists, []byte("version: 1\nblocklist:\n  - {terms: [falcon], author: a@example.com}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := proxytest.Options{Upstream: u.URL}
	g := proxytest.Start(t, o)
	say(t, g, "1", "4111 1111")
	o.Block, o.Govern = "detect "+lists, "limits {\n depth 64\n }"
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	if say(t, g, "1", "1111 1111"); string(u.Last(t).Body) != comment("XXXX XXXX") {
		t.Errorf("after a reload: %s", u.Last(t).Body)
	}

	start := time.Now()
	var later atomic.Int64
	proxy.SetNow(func() time.Time { return start.Add(time.Duration(later.Load())) })
	for i, c := range []struct {
		after time.Duration
		want  string
	}{{9 * time.Minute, "XXXX XXXX"}, {11 * time.Minute, "1111 1111"}} {
		ticket := fmt.Sprint(10 + i)
		later.Store(0)
		say(t, g, ticket, "4111 1111")
		later.Store(int64(c.after))
		if say(t, g, ticket, "1111 1111"); string(u.Last(t).Body) != comment(c.want) {
			t.Errorf("after %s: %s", c.after, u.Last(t).Body)
		}
	}
	if n := proxy.SweepConversations(start.Add(time.Hour)); n != 0 {
		t.Errorf("%d conversations are remembered after an hour", n)
	}

	// Another route is another conversation, and observing changes nothing.
	o.Govern = "observe\n route other"
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"4111 1111", "1111 1111"} {
		a := say(t, g, "1", text)
		if string(u.Last(t).Body) != comment(text) {
			t.Errorf("observed: %s", u.Last(t).Body)
		}
		if e := g.Event(a.header.Get("Caregate-Receipt")); text == "1111 1111" && (e.Attrs["earlier_pieces"] != "1" || e.Attrs["request"] != "1 credit_card unchanged") {
			t.Errorf("observed: %+v", e)
		}
	}
}

// A thousand conversations at once, each with a number of its own: every last piece
// is masked, and no other one.
func TestConversationsAtOnce(t *testing.T) {
	conversations := 1000
	if testing.Short() {
		conversations = 100
	}
	cards := [][]string{{"4111", "1111", "1111", "1111"}, {"5555", "5555", "5555", "4444"}, {"4242", "4242", "4242", "4242"}, {"3782", "822463", "10005"}}
	var mu sync.Mutex
	stored := map[string][]string{}
	u := proxytest.NewUpstream(t, nil)
	u.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		stored[r.URL.Path] = append(stored[r.URL.Path], string(body))
		mu.Unlock()
		jsonUpstream(200, `{}`)(w, r)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 50}}
	defer client.CloseIdleConnections()
	turn := make(chan struct{}, 50)
	var wg sync.WaitGroup
	for i := range conversations {
		wg.Go(func() {
			for _, piece := range cards[i%len(cards)] {
				turn <- struct{}{}
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, fmt.Sprintf("%s/api/v2/tickets/%d", g.URL, i+1), strings.NewReader(comment(piece)))
				req.Header.Set("Authorization", basicAuth)
				req.Header.Set("Content-Type", "application/json")
				res, err := client.Do(req)
				<-turn
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode != http.StatusOK {
					t.Errorf("status %d", res.StatusCode)
				}
			}
		})
	}
	wg.Wait()
	for i := range conversations {
		pieces := cards[i%len(cards)]
		got := stored[fmt.Sprintf("/api/v2/tickets/%d", i+1)]
		if len(got) != len(pieces) {
			t.Fatalf("conversation %d: %d calls", i, len(got))
		}
		for n, body := range got {
			want := comment(pieces[n])
			if n == len(pieces)-1 {
				want = comment(strings.Repeat("X", len(pieces[n])))
			}
			if body != want {
				t.Errorf("conversation %d, message %d: %s, want %s", i, n, body, want)
			}
		}
	}
}

// An answer with the messages of a conversation is read as one.
func TestPiecesInOneAnswer(t *testing.T) {
	var answer atomic.Pointer[string]
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) { jsonUpstream(200, *answer.Load())(w, r) })
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	const long = "We have sent the parcel on the way that you asked us for, and hope that it is with you before the week is over. Have a good time, and write to us if anything is missing."
	for name, c := range map[string]struct{ path, in, want string }{
		"comments in three notations": {
			"/api/v2/tickets/7/comments",
			`{"comments":[{"id":1,"author_id":5,"body":"4111","html_body":"<p>4111</p>","plain_body":"4111"},{"id":2,"author_id":6,"body":"go on","html_body":"<p>go on</p>","plain_body":"go on"},{"id":3,"author_id":5,"body":"1111 1111 1111","html_body":"<p>1111 1111 1111</p>","plain_body":"1111 1111 1111"}]}`,
			`{"comments":[{"id":1,"author_id":5,"body":"XXXX","html_body":"<p>XXXX</p>","plain_body":"XXXX"},{"id":2,"author_id":6,"body":"go on","html_body":"<p>go on</p>","plain_body":"go on"},{"id":3,"author_id":5,"body":"XXXX XXXX XXXX","html_body":"<p>XXXX XXXX XXXX</p>","plain_body":"XXXX XXXX XXXX"}]}`,
		},
		"the newest first": {
			"/api/v2/tickets/7/comments?sort_order=desc",
			`{"comments":[{"body":"11111111","created_at":"2026-11-22T10:00:01Z"},{"body":"41111111","created_at":"2026-11-22T10:00:00Z"}]}`,
			`{"comments":[{"body":"XXXXXXXX","created_at":"2026-11-22T10:00:01Z"},{"body":"XXXXXXXX","created_at":"2026-11-22T10:00:00Z"}]}`,
		},
		"audits of several tickets": {
			"/api/v2/ticket_audits",
			`{"audits":[{"ticket_id":1,"events":[{"body":"4111 1111"}]},{"ticket_id":2,"events":[{"body":"4012 8888"}]},{"ticket_id":1,"events":[{"body":"1111 1111"}]},{"ticket_id":3,"events":[{"body":"8888 1881"}]}]}`,
			`{"audits":[{"ticket_id":1,"events":[{"body":"XXXX XXXX"}]},{"ticket_id":2,"events":[{"body":"4012 8888"}]},{"ticket_id":1,"events":[{"body":"XXXX XXXX"}]},{"ticket_id":3,"events":[{"body":"8888 1881"}]}]}`,
		},
		"a chat": {
			"/api/v2/chat/chats/2601.abc",
			`{"id":"2601.abc","history":[{"name":"Agent","msg":"your card number please"},{"name":"Visitor 1","msg":"41 111 111"},{"name":"Visitor 1","msg":"11 111 111"},{"name":"Agent","msg":"and the security code?"},{"name":"Visitor 1","msg":"123"}]}`,
			`{"id":"2601.abc","history":[{"name":"Agent","msg":"your card number please"},{"name":"Visitor 1","msg":"XX XXX XXX"},{"name":"Visitor 1","msg":"XX XXX XXX"},{"name":"Agent","msg":"and the security code?"},{"name":"Visitor 1","msg":"XXX"}]}`,
		},
		"other matters between": {
			"/api/v2/tickets/7/comments",
			`{"comments":[{"body":"4111 1111"},{"body":"` + long + `"},{"body":"1111 1111"}]}`,
			`{"comments":[{"body":"4111 1111"},{"body":"` + long + `"},{"body":"1111 1111"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer.Store(&c.in)
			for range 2 { // what is read twice was not said twice
				if a := do(t, g, call{method: "GET", path: c.path}); a.body != c.want {
					t.Errorf("got  %d %s\nwant %s", a.status, a.body, c.want)
				}
			}
		})
	}
}

// Deliveries of webhooks bring messages one by one. One that is repeated is not
// said again.
func TestPiecesInWebhooks(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	now := time.Now()
	for i, c := range []struct{ id, text, want string }{{"d1", "4111", "4111"}, {"d2", "1111", "1111"}, {"d2", "1111", ""}, {"d3", "1111", "1111"}, {"d4", "1111", "XXXX"}} {
		before := len(u.Requests())
		a := do(t, g, hook(event(c.id, c.text), now.Add(time.Duration(i)*time.Second)))
		if c.want == "" {
			if a.status != 200 || a.problem.Reason != "webhook_duplicate" || len(u.Requests()) != before {
				t.Errorf("repeated: got %d %s", a.status, a.body)
			}
			continue
		}
		if r := u.Last(t); a.status != 200 || string(r.Body) != event(c.id, c.want) || !verified(r) {
			t.Errorf("delivery %d: got %d, %s", i, a.status, r.Body)
		}
	}
}
