package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// flagSubjects sets or ends a flag, as path says.
func flagSubjects(g *proxytest.Gateway, path, flag, more string, subjects ...string) (done console.FlagAnswer) {
	g.API("POST", "/api/v1/subjects/flags"+path, `{"flag":"`+flag+`","subjects":["`+strings.Join(subjects, `","`)+`"]`+more+`}`, http.StatusOK, &done)
	return done
}

// What flags of persons mean for calls that are about them: known by the body, by the
// query, by the record in the path, by the answer, and by another name of theirs.
func TestSubjectFlags(t *testing.T) {
	u := proxytest.NewUpstream(t, desk)
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, "version: 1\nflags:\n  - {flag: objection, purposes: [newsletter], operations: [\"zendesk:user.*/write\"]}\n")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	var later atomic.Int64
	proxy.SetNow(func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	ask := func(purpose string, c call) call {
		c.header = http.Header{}
		if purpose != "" {
			c.header.Set("Caregate-Purpose", purpose)
		}
		return c
	}
	want := func(name string, c call, reason string) {
		t.Helper()
		before := len(u.Requests())
		a := do(t, g, c)
		passed := len(u.Requests()) - before
		switch {
		case reason == "" && (a.problem.Reason != "" || passed != 1):
			t.Errorf("%s: got %d %s, want it to pass", name, a.status, a.body)
		case reason == "" || strings.HasPrefix(reason, "response_withheld "):
			events := g.Exchange(a.header.Get("Caregate-Receipt"))
			if cause, _ := strings.CutPrefix(reason, "response_withheld "); reason != "" && (a.status != http.StatusBadGateway || events[len(events)-1].Attrs["cause"] != cause || strings.Contains(a.body, "hello")) {
				t.Errorf("%s: got %d, cause %q; want it withheld for %s", name, a.status, events[len(events)-1].Attrs["cause"], cause)
			}
		case a.problem.Reason != reason || passed != 0:
			t.Errorf("%s: got %d %s, %d calls passed; want %s", name, a.status, a.body, passed, reason)
		}
	}
	list := call{method: "GET", path: "/api/v2/tickets.json"}
	comments := call{method: "GET", path: "/api/v2/tickets/35/comments.json"}
	update := call{method: "PUT", path: "/api/v2/tickets/36.json", body: `{"ticket":{"comment":{"body":"hello"}}}`}
	create := call{method: "POST", path: "/api/v2/tickets.json", body: `{"ticket":{"requester":{"name":"J","email":"Jane@Example.com"},"comment":{"body":"hello"}}}`}

	// Nobody has a flag, and no table of flags is read.
	db, err := g.OpenDB("state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rename := func(from, to string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("person_flag", "elsewhere")
	want("without flags", ask("marketing", list), "")
	want("without flags", comments, "") // tells that user 41 is jane@example.com
	want("without flags", update, "")
	rename("elsewhere", "person_flag")

	done := flagSubjects(g, "", "restriction", `,"reason":"accuracy","ticket":"DSR-7"`, "zendesk:user:42")
	if done.Changed != 1 || done.Event == "" || len(done.Flags) != 1 || !done.Flags[0].Counts || done.Flags[0].Ticket != "DSR-7" || done.Flags[0].SetBy == "" {
		t.Errorf("set: got %+v", done)
	}
	if again := flagSubjects(g, "", "restriction", `,"ticket":"DSR-8"`, "zendesk:user:42"); again.Changed != 0 || again.Event != "" || again.Flags[0].Ticket != "DSR-7" {
		t.Errorf("set again: got %+v", again)
	}
	want("a write to a record of the person", update, "subject_restricted")
	want("a write for a claim", ask("legal_claims", update), "")
	want("an answer with a record of the person", list, "response_withheld subject_restricted")
	want("an answer for a claim", ask("legal_claims", list), "")
	want("a record of somebody else", comments, "")
	want("records by the query", call{method: "GET", path: "/api/v2/tickets/show_many.json?ids=35,36"}, "subject_restricted")

	flagSubjects(g, "", "opt_out_sale_sharing", "", "email:jane@example.com")
	want("support", ask("support", create), "")
	want("marketing to an address in the body", ask("marketing", create), "subject_opted_out")
	want("marketing by a record of another name", ask("marketing", comments), "subject_opted_out")
	flagSubjects(g, "", "objection", "", "zendesk:user:43")
	want("what the deployment's row says", ask("newsletter", call{method: "GET", path: "/api/v2/users/43.json"}), "subject_opted_out")
	want("what it does not say any more", ask("marketing", call{method: "PUT", path: "/api/v2/users/44.json", body: `{"user":{"id":44}}`}), "")
	want("operations of its own", call{method: "PUT", path: "/api/v2/users/43.json", body: `{"user":{"notes":"hello"}}`}, "subject_opted_out")

	// The log says which flag was set, why, and of how many.
	e := g.Event(done.Event)
	if e.Type != "subject.flag_set" || e.Attrs["flag"] != "restriction" || e.Attrs["ticket"] != "DSR-7" || e.Attrs["reason"] != "accuracy" || e.Subjects != 1 {
		t.Errorf("event: got %+v", e)
	}

	// A lookup that fails denies, as soon as anybody has a flag.
	rename("person_flag", "elsewhere")
	want("flags that cannot be read", update, "index_unavailable")
	rename("elsewhere", "person_flag")

	// An end, and a time that is over.
	if done := flagSubjects(g, "/end", "restriction", `,"ticket":"DSR-9"`, "zendesk:user:42"); done.Changed != 1 || done.Event == "" {
		t.Errorf("end: got %+v", done)
	}
	if done := flagSubjects(g, "/end", "restriction", "", "zendesk:user:42", "email:nobody@example.com"); done.Changed != 0 || done.Event != "" {
		t.Errorf("end again: got %+v", done)
	}
	want("after the end", update, "")
	flagSubjects(g, "", "restriction", `,"until":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"`, "zendesk:user:42")
	want("before it is over", update, "subject_restricted")
	later.Store(int64(2 * time.Hour))
	want("after it is over", update, "")
	later.Store(0)
	flagSubjects(g, "/end", "restriction", "", "zendesk:user:42")

	// Whoever is erased is not sold either when they come back; nothing else is left.
	flagSubjects(g, "", "restriction", "", "email:jane@example.com")
	var plan console.ErasureAnswer
	g.API("POST", "/api/v1/subjects/erase", `{"subjects":["email:jane@example.com"]}`, http.StatusOK, &plan)
	g.API("POST", "/api/v1/subjects/erase", `{"subjects":["email:jane@example.com"],"plan":"`+plan.Plan+`"}`, http.StatusOK, &plan)
	want("support after the erasure", ask("support", create), "")
	want("marketing after the erasure", ask("marketing", create), "subject_opted_out")
	var had console.FlagList
	g.API("POST", "/api/v1/subjects/flags/list", `{"subjects":["email:jane@example.com"],"linked":true}`, http.StatusOK, &had)
	if len(had.Flags) != 1 || had.Flags[0].Flag != "opt_out_sale_sharing" || had.Flags[0].Erased.IsZero() || had.Flags[0].SetBy != "" || !had.Flags[0].Counts {
		t.Errorf("after the erasure: got %+v", had)
	}
	if done := flagSubjects(g, "/end", "opt_out_sale_sharing", "", "email:jane@example.com"); done.Changed != 1 {
		t.Errorf("ending what is left: got %+v", done)
	}
	want("marketing after the end", ask("marketing", create), "")
	g.API("POST", "/api/v1/subjects/flags/list", `{"subjects":["zendesk:user:42"]}`, http.StatusOK, &had)
	if len(had.Flags) != 2 || slices.ContainsFunc(had.Flags, func(f console.SubjectFlag) bool { return f.Counts || f.Ended.IsZero() }) {
		t.Errorf("flags that were: got %+v", had)
	}

	// A route that watches says what would have been.
	flagSubjects(g, "", "restriction", "", "zendesk:user:42")
	if err := g.Load(proxytest.Options{Upstream: u.URL, Govern: "observe"}); err != nil {
		t.Fatal(err)
	}
	a := do(t, g, update)
	watched := g.Exchange(a.header.Get("Caregate-Receipt"))
	if a.status != http.StatusOK || watched[0].Attrs["would"] != "subject_restricted" {
		t.Errorf("a route that watches: got %d, would be %q", a.status, watched[0].Attrs["would"])
	}
}

// Wishes about flags that cannot be are refused, and leave nothing.
func TestSubjectFlagsRefused(t *testing.T) {
	g := proxytest.Start(t, proxytest.Options{Upstream: proxytest.NewUpstream(t, desk).URL})
	for name, body := range map[string]string{
		"a kind that is none":        `{"flag":"legal_hold","subjects":["email:a@example.com"]}`,
		"a person in no form":        `{"flag":"restriction","subjects":["ann"]}`,
		"a name of nobody":           `{"flag":"restriction","subjects":["phone:x"]}`,
		"over before it begins":      `{"flag":"restriction","subjects":["email:a@example.com"],"since":"2027-01-01T00:00:00Z","until":"2026-12-31T00:00:00Z"}`,
		"over before it was asked":   `{"flag":"restriction","subjects":["email:a@example.com"],"since":"2020-01-01T00:00:00Z","until":"2020-12-31T00:00:00Z"}`,
		"a reason that is no word":   `{"flag":"restriction","subjects":["email:a@example.com"],"reason":"she told us"}`,
		"a member that there is not": `{"flag":"restriction","subjects":["email:a@example.com"],"linked":true}`,
	} {
		var p struct{ Reason string }
		if g.API("POST", "/api/v1/subjects/flags", body, http.StatusBadRequest, &p); p.Reason != "invalid_request" {
			t.Errorf("%s: got %q", name, p.Reason)
		}
	}
	var had console.FlagList
	if g.API("POST", "/api/v1/subjects/flags/list", `{"subjects":["email:a@example.com"]}`, http.StatusOK, &had); len(had.Flags) != 0 {
		t.Errorf("left: %+v", had)
	}
}

// A person with a flag late in a long answer is seen there: not before the window that names
// the person, whatever was counted by then. Without flags nothing is looked up.
func TestSubjectFlagsLateInAStream(t *testing.T) {
	var lines strings.Builder
	for i := 1; i <= 3600; i++ {
		who := 1000 + i
		if i == 3500 {
			who = 42
		}
		fmt.Fprintf(&lines, "{\"tickets\":[{\"id\":%d,\"requester_id\":%d,\"subject\":\"number %d\"}]}\n", 100000+i, who, i)
	}
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, lines.String())
	}))
	defer u.Close()
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	get := func() (string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/api/v2/tickets.json", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", basicAuth)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("got %d %s", res.StatusCode, got)
		}
		return string(got), err
	}
	db, err := g.OpenDB("state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE person_flag RENAME TO elsewhere"); err != nil {
		t.Fatal(err)
	}
	if got, err := get(); err != nil || got != lines.String() {
		t.Errorf("without flags: got %d bytes, %v", len(got), err)
	}
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE elsewhere RENAME TO person_flag"); err != nil {
		t.Fatal(err)
	}
	flagSubjects(g, "", "restriction", "", "zendesk:user:42")
	if got, err := get(); err == nil || !strings.Contains(got, "number 1\"") || strings.Contains(got, "number 3500\"") {
		t.Errorf("with a restricted person: got %d bytes, %v, want it cut before the person", len(got), err)
	}
	flagSubjects(g, "/end", "restriction", "", "zendesk:user:42")
	if got, err := get(); err != nil || got != lines.String() {
		t.Errorf("after the end: got %d bytes, %v", len(got), err)
	}
}

// A token whose value names a restricted person is none to whoever may not read of the person,
// whoever's record it came in, and while flags cannot be read it is nothing to anybody.
func TestSubjectFlagsOfTokens(t *testing.T) {
	const address = "jane.flag@example.com"
	g, u, p, _ := startTokens(t, "{class: email, action: tokenize}")
	token, other := tokenFor(t, g, u, address), tokenFor(t, g, u, "john.flag@example.com")
	agent, _ := newKey(t, g, "agent")
	dpo := p.is(t, "dora", "dpo", "otp")
	flagSubjects(g, "", "restriction", "", "email:"+address)
	if a := ask(t, g, "POST", verifyPath, typed(token, address), agent); a.status != http.StatusOK || a.body != answersNo {
		t.Errorf("verified by an agent: got %d %s", a.status, a.body)
	}
	if a := ask(t, g, "POST", revealPath, wish([]string{token}, false), dpo); a.status != http.StatusOK || !strings.Contains(a.body, `"class":"email"`) {
		t.Errorf("revealed to the dpo: got %d %s", a.status, a.body)
	}
	if a := ask(t, g, "POST", verifyPath, typed(other, "john.flag@example.com"), agent); a.body != answersYes {
		t.Errorf("a token of somebody else: got %d %s", a.status, a.body)
	}
	db, err := g.OpenDB("state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rename := func(from, to string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("person_flag", "elsewhere")
	for path, body := range map[string]any{verifyPath: typed(token, address), revealPath: wish([]string{token}, false)} {
		header := agent
		if path == revealPath {
			header = dpo
		}
		if a := ask(t, g, "POST", path, body, header); a.status != http.StatusServiceUnavailable || a.problem.Reason != "index_unavailable" {
			t.Errorf("%s while flags cannot be read: got %d %s", path, a.status, a.body)
		}
	}
	rename("elsewhere", "person_flag")
	flagSubjects(g, "/end", "restriction", "", "email:"+address)
	if a := ask(t, g, "POST", verifyPath, typed(token, address), agent); a.body != answersYes {
		t.Errorf("after the end: got %d %s", a.status, a.body)
	}
}

// A call to a governed system is about whom the value of a token is about that stands where
// a name is asked for, and a refund about the person of its payment.
func TestSubjectFlagsByTokensInCalls(t *testing.T) {
	const address = "jane.flag@example.com"
	g, u, _, _ := startTokens(t, "{class: email, action: tokenize}")
	token := tokenFor(t, g, u, address)
	create := call{method: "POST", path: "/orders", body: `{"order":{"mail":"` + token + `","note":"hello"}}`}
	if a := do(t, g, create); a.status != http.StatusOK {
		t.Errorf("without flags: got %d %s", a.status, a.body)
	}
	flagSubjects(g, "", "restriction", "", "email:"+address)
	if a := do(t, g, create); a.problem.Reason != "subject_restricted" {
		t.Errorf("an order of the person: got %d %s", a.status, a.body)
	}
	create.body = strings.Replace(create.body, token, "somebody.else@example.com", 1)
	if a := do(t, g, create); a.status != http.StatusOK {
		t.Errorf("an order of somebody else: got %d %s", a.status, a.body)
	}
}

func TestSubjectFlagsOfRefunds(t *testing.T) {
	k := openTill(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","has_more":false,"data":[{"id":"ch_3MqZlPLkdIwHu7ix0123","object":"charge","amount":10000,"currency":"eur","billing_details":{"email":"jane@example.com"}}]}`)
		return true
	}, "")
	refund := func(key string) answer {
		return k.do(t, k.refund(key, url.Values{"amount": {"3000"}}))
	}
	if a := refund("first"); a.problem.Reason == "subject_restricted" {
		t.Errorf("without flags: got %d %s", a.status, a.body)
	}
	flagSubjects(k.Gateway, "", "restriction", "", "email:jane@example.com")
	calls := len(k.processor.Seen())
	if a := refund("second"); a.problem.Reason != "subject_restricted" || len(k.processor.Seen()) != calls {
		t.Errorf("a payment of the person: got %d %s", a.status, a.body)
	}
	flagSubjects(k.Gateway, "/end", "restriction", "", "email:jane@example.com")
	if a := refund("third"); a.problem.Reason == "subject_restricted" {
		t.Errorf("after the end: got %d %s", a.status, a.body)
	}
}
