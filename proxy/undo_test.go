package proxy_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// Values of a call whose masks policy wants to be undone.
const (
	undoSSN  = "536-22-8145"
	undoCard = "4111 1111-1111 1111"
	undoNote = "my SSN is " + undoSSN + " and my card " + undoCard + " with cvv 739"
	undoMask = "my SSN is XXX-XX-XXXX and my card XXXX XXXX-XXXX 1111 with cvv XXX"
)

// startUndo is a gateway whose masks of social security and card numbers can be undone.
func startUndo(t *testing.T, block string, rows ...string) (g *proxytest.Gateway, u *proxytest.Upstream, p *people, o proxytest.Options) {
	t.Helper()
	p = newPeople(t)
	u = proxytest.NewUpstream(t, jsonUpstream(200, `{}`))
	rows = append([]string{"{class: us_ssn, action: mask, undo: 24h}", "{class: credit_card, action: mask, undo: 1h}"}, rows...)
	o = ordersOptions(t, u.URL, p.block+block+document(t, rows...))
	return proxytest.Start(t, o), u, p, o
}

// masked writes an order with undoNote, and returns the events of its request and answer.
func masked(t *testing.T, g *proxytest.Gateway, u *proxytest.Upstream) (request, response console.Event) {
	t.Helper()
	a := do(t, g, call{method: "POST", path: "/orders", body: `{"order":{"mail":"ann@example.com","note":"` + undoNote + `"}}`})
	if a.status != 200 || !strings.Contains(string(u.Last(t).Body), `"note":"`+undoMask+`"`) {
		t.Fatalf("got %d, the system holds %s", a.status, u.Last(t).Body)
	}
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		if e.Type == "request.decided" {
			request = e
		} else {
			response = e
		}
	}
	return request, response
}

const (
	nothingFound = `{"tokens":[{"found":false,"masked":false}]}` + "\n"
	erasePath    = "/api/v1/subjects/erase"
)

// fullGrant gives a person the right to see whole values, by the id that an approval shows.
func fullGrant(t *testing.T, g *proxytest.Gateway, o *proxytest.Options, dpo http.Header) {
	t.Helper()
	var ap console.Approval
	g.API("GET", "/api/v1/approvals/"+waits(t, ask(t, g, "POST", revealPath, wish(forged(21), false), dpo)), "", 200, &ap)
	file := filepath.Join(t.TempDir(), "grants.yaml")
	if err := os.WriteFile(file, []byte("version: 1\ngrants:\n  - actor: "+ap.Requester+"\n    grants: [\"caregate:token.reveal_full\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Block += " " + file
	if err := g.Load(*o); err != nil {
		t.Fatal(err)
	}
}

// The mask is the ordinary one and shows no token; the event says what can be undone and
// what not; who may have the original gets it by event and number, recorded first (V8), byte
// for byte.
func TestUndo(t *testing.T) {
	g, u, p, o := startUndo(t, "")
	request, response := masked(t, g, u)
	if request.Attrs["undo"] != "1" || request.Attrs["no_undo"] != "1" || response.Attrs["request_undo"] != request.Receipt || response.Attrs["undo"] != "" {
		t.Fatalf("the events: %v and %v", request.Attrs, response.Attrs)
	}
	until, err := time.Parse(time.RFC3339, request.Attrs["undo_until"])
	if left := time.Until(until); err != nil || left > 24*time.Hour || left < 23*time.Hour {
		t.Errorf("until %s, %v", request.Attrs["undo_until"], err)
	}
	if c := countsOf(request, "us_ssn"); c.Masked != 1 || c.Tokenized != 0 || !strings.Contains(request.Sentence, request.Receipt+"/1") {
		t.Errorf("the event: %+v", request)
	}
	place := request.Receipt + "/1"
	dpo := p.is(t, "dora", "dpo", "otp")
	for name, header := range map[string]http.Header{"an agent": p.is(t, "ada", "agent", "otp"), "whoever opens the socket": {}} {
		if a := ask(t, g, "POST", revealPath, wish([]string{place}, false), header); a.status != 403 || a.problem.Reason != "admin_needs_role" {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
	a := ask(t, g, "POST", revealPath, wish([]string{place}, false), dpo)
	if want := `{"tokens":[{"found":true,"class":"us_ssn","value":"XXX-XX-8145","masked":true}]}` + "\n"; a.status != 200 || a.body != want {
		t.Fatalf("got %d %s, want %s", a.status, a.body, want)
	}
	after := g.Event(a.header.Get("Caregate-Receipt"))
	if after.Operation != "token.reveal" || after.Subjects != 1 || after.Attrs["revealed"] != "1" {
		t.Errorf("its event: %+v", after)
	}
	first, err := proxy.TokenNames(t.Context(), request.Receipt)
	if err != nil || len(first) != 1 {
		t.Fatalf("the event of the mask names %d, %v", len(first), err)
	}
	if again, err := proxy.TokenNames(t.Context(), after.Receipt); err != nil || !slices.Equal(again, first) {
		t.Errorf("the event of the reveal names %v, that of the mask %v, %v", again, first, err)
	}
	g.Restart()
	fullGrant(t, g, &o, dpo)
	if a := ask(t, g, "POST", revealPath, wish([]string{place}, true), dpo); a.status != 200 || !strings.Contains(a.body, `"value":"`+undoSSN+`"`) {
		t.Errorf("whole: got %d %s", a.status, a.body)
	}
	a = ask(t, g, "POST", "/api/v1/tokens/verify", map[string]any{"token": place, "typed": "8145"}, p.is(t, "ada", "agent", "otp"))
	if a.status != 200 || !strings.Contains(a.body, `"matches":true`) {
		t.Errorf("what the customer says: got %d %s", a.status, a.body)
	}
	// V1, V14: nothing of what was masked is anywhere in the data directory.
	g.Stop()
	err = filepath.WalkDir(g.Data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, secret := range []string{undoSSN, "536228145", undoCard, "4111111111111111"} {
			if strings.Contains(string(raw), secret) {
				t.Errorf("a value is in %s", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Verify()
}

// Without cards in the vault the mask of a card is for good; with them it comes back as it
// was written, its verification code never.
func TestUndoOfCards(t *testing.T) {
	g, u, p, o := startUndo(t, "vault {\n cards\n }\n")
	request, _ := masked(t, g, u)
	if request.Attrs["undo"] != "2" || request.Attrs["no_undo"] != "" || countsOf(request, "card_verification_code").Dropped != 1 {
		t.Fatalf("the event: %+v", request)
	}
	until, err := time.Parse(time.RFC3339, request.Attrs["undo_until"])
	if left := time.Until(until); err != nil || left > time.Hour {
		t.Errorf("the shorter of both ends %s, %v", request.Attrs["undo_until"], err)
	}
	dpo := p.is(t, "dora", "dpo", "otp")
	fullGrant(t, g, &o, dpo)
	a := ask(t, g, "POST", revealPath, wish([]string{request.Receipt + "/1", request.Receipt + "/2", request.Receipt + "/3"}, true), dpo)
	if a.status != 200 || !strings.Contains(a.body, `"value":"`+undoSSN+`"`) || !strings.Contains(a.body, `"value":"`+undoCard+`"`) || strings.Count(a.body, `"found":true`) != 2 {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

// V9, VT7: a place of no mask, one of an erased person, of a class that is not for the caller, and
// whatever is none have one answer.
func TestUndoAnswersAlike(t *testing.T) {
	g, u, p, o := startUndo(t, "")
	request, response := masked(t, g, u)
	place := request.Receipt + "/1"
	for i, text := range []string{request.Receipt + "/2", request.Receipt + "/0", response.Receipt + "/1", strings.Repeat("0", 32) + "/1", request.Receipt, place + "/1"} {
		a := ask(t, g, "POST", revealPath, wish([]string{text}, false), p.is(t, fmt.Sprintf("dora%d", i), "dpo", "otp"))
		if a.status != 200 || a.body != nothingFound {
			t.Errorf("%d: got %d %s", i, a.status, a.body)
		}
	}
	// The class is closed to the role.
	closed := o
	closed.Block = p.block + document(t, "{class: us_ssn, action: mask, undo: 24h}", "{class: us_ssn, route: caregate, role: dpo, action: block}")
	if err := g.Load(closed); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, g, "POST", revealPath, wish([]string{place}, false), p.is(t, "dora", "dpo", "otp")); a.status != 200 || a.body != nothingFound {
		t.Errorf("a class that is not for the caller: got %d %s", a.status, a.body)
	}
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, g, "POST", revealPath, wish([]string{place}, false), p.is(t, "dora", "dpo", "otp")); !strings.Contains(a.body, `"found":true`) {
		t.Fatalf("before the erasure: got %d %s", a.status, a.body)
	}
	// V13: with the person's key the original goes.
	var plan, done console.ErasureAnswer
	g.API("POST", erasePath, `{"subjects":["email:ann@example.com"]}`, 200, &plan)
	if len(plan.People) != 1 || plan.People[0].Tokens != 1 {
		t.Fatalf("the plan: %+v", plan)
	}
	g.API("POST", erasePath, `{"subjects":["email:ann@example.com"],"plan":"`+plan.Plan+`"}`, 200, &done)
	if a := ask(t, g, "POST", revealPath, wish([]string{place}, false), p.is(t, "dan", "dpo", "otp")); !done.Erased || a.body != nothingFound {
		t.Errorf("after the erasure: got %d %s", a.status, a.body)
	}
}

// A stream keeps what stood in each window under the window's own event.
func TestUndoInStreams(t *testing.T) {
	g, u, p, _ := startUndo(t, "")
	var body strings.Builder
	for range 3 {
		body.WriteString(strings.Repeat("a line of a long text\n", 6000))
		body.WriteString("my SSN is " + undoSSN + "\n")
	}
	a := do(t, g, call{method: "POST", path: "/elsewhere", body: body.String(), header: textType})
	if a.status != 200 || strings.Contains(string(u.Last(t).Body), undoSSN) {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	var places []string
	windows := 0
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		n, _ := strconv.Atoi(e.Attrs["undo"])
		if n > 0 {
			windows++
		}
		for i := range n {
			places = append(places, fmt.Sprintf("%s/%d", e.Receipt, i+1))
		}
	}
	if len(places) != 3 || windows < 2 {
		t.Fatalf("got %d masks that can be undone, in %d windows, want 3 in several", len(places), windows)
	}
	if a := ask(t, g, "POST", revealPath, wish(places, false), p.is(t, "dora", "dpo", "otp")); strings.Count(a.body, `"value":"XXX-XX-8145"`) != 3 {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

// Masks elsewhere than in a body, more of them than one event can have, and a route that
// observes.
func TestMasksForGood(t *testing.T) {
	g, u, _, o := startUndo(t, "")
	a := do(t, g, call{method: "GET", path: "/orders?q=ssn%20" + undoSSN})
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		if e.Type == "request.decided" && (e.Attrs["undo"] != "" || e.Attrs["no_undo"] != "1" || countsOf(e, "us_ssn").Masked != 1) {
			t.Errorf("in the query: %+v", e)
		}
	}
	many := strings.TrimSuffix(strings.Repeat(`{"text":"my SSN is `+undoSSN+`"},`, 300), ",")
	// Its tokens go on in further leaves of the event, which say nothing else.
	a = do(t, g, call{method: "POST", path: "/orders", body: `{"order":{"history":[` + many + `]}}`})
	if a.status != 200 || strings.Contains(string(u.Last(t).Body), undoSSN) {
		t.Fatalf("many: got %d %s", a.status, a.body)
	}
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		if e.Type == "request.decided" && len(e.Findings) > 0 && (e.Attrs["undo"] != "256" || e.Attrs["no_undo"] != "44") {
			t.Errorf("many: %+v", e)
		}
	}
	o.Govern = "observe"
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	a = do(t, g, call{method: "POST", path: "/orders", body: `{"order":{"note":"` + undoNote + `"}}`})
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		if e.Attrs["undo"] != "" || e.Attrs["no_undo"] != "" || e.Attrs["request_undo"] != "" {
			t.Errorf("observing: %v", e.Attrs)
		}
	}
}

// V16: without the vault the mask stands for good where the route says so, and the event says
// it; elsewhere the call is refused, because policy wants the mask undone.
func TestUndoWithoutTheVault(t *testing.T) {
	o, opt, masking := twoRoutes(t, document(t, "{class: us_ssn, action: mask, undo: 24h}"))
	g := proxytest.Start(t, opt)
	write := call{method: "POST", path: "/orders", body: `{"order":{"note":"my SSN is ` + undoSSN + `"}}`}
	if a := at(t, g, masking, write); a.status != 200 { // whoever calls is known
		t.Fatalf("before: got %d %s", a.status, a.body)
	}
	if a := do(t, g, write); a.status != 200 {
		t.Fatalf("before: got %d %s", a.status, a.body)
	}
	if err := proxy.CloseVault(); err != nil {
		t.Fatal(err)
	}
	a := do(t, g, write)
	if a.status != http.StatusServiceUnavailable || a.problem.Reason != "vault_unavailable" || a.problem.Forwarded {
		t.Errorf("where calls are denied: got %d %+v", a.status, a.problem)
	}
	a = at(t, g, masking, write)
	if a.status != 200 || o.field("note") != "my SSN is XXX-XX-XXXX" {
		t.Errorf("where they are masked: got %d, the system holds %q", a.status, o.field("note"))
	}
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		if e.Type == "request.decided" && (e.Attrs["vault_down"] != "mask" || e.Attrs["no_undo"] != "1" || e.Attrs["undo"] != "" || countsOf(e, "us_ssn").Masked != 1) {
			t.Errorf("its event: %+v", e)
		}
	}
}

// What is masked in an answer stays in the system that it comes from, and nowhere else.
func TestAnswersAreNotKept(t *testing.T) {
	_, g := startOrders(t, map[string]any{"id": 7, "note": undoNote}, document(t, "{class: us_ssn, action: mask, undo: 24h}"))
	a := do(t, g, call{method: "GET", path: "/orders/7"})
	if a.status != 200 || !strings.Contains(a.body, undoMask) {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	e := g.Event(a.header.Get("Caregate-Receipt"))
	if e.Attrs["undo"] != "" || e.Attrs["no_undo"] != "" || countsOf(e, "us_ssn").Masked != 1 {
		t.Errorf("the event: %+v", e)
	}
	if names, err := proxy.TokenNames(t.Context(), e.Receipt); err != nil || len(names) != 0 {
		t.Errorf("names in the leaf: got %v, %v, want none", names, err)
	}
}
