package proxy_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

const (
	rolledIBAN = "DE89 3704 0044 0532 0130 00"
	rolledBody = `{"order":{"mail":"ann@example.com","note":"my IBAN is ` + rolledIBAN + `"}}`
)

// rolledOut writes a document with rollouts whose window is open, and rules when there are
// some, and returns the line that names them.
func rolledOut(t *testing.T, rules string, rows ...string) string {
	t.Helper()
	dir := t.TempDir()
	window := fmt.Sprintf("from: %s, until: %s", time.Now().Add(-24*time.Hour).UTC().Format(time.RFC3339), time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
	doc := filepath.Join(dir, "policy.yaml")
	write(t, doc, strings.ReplaceAll("version: 1\nrollout:\n  - "+strings.Join(rows, "\n  - ")+"\n", "WINDOW", window))
	if rules == "" {
		return "policy builtin " + doc
	}
	dir = filepath.Join(dir, "rules")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "own.rego"), "package caregate.operator\n"+rules+"\n")
	return "policy builtin " + doc + " " + dir
}

// rolloutState is what the gateway says of one rollout.
func rolloutState(t *testing.T, g *proxytest.Gateway, name string) console.RolloutStatus {
	t.Helper()
	for _, r := range policyStatus(g).Rollouts {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("there is no rollout %s", name)
	return console.RolloutStatus{}
}

// withKey is the Authorization of a program that presents a key of the system's.
func withKey(key string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(key+":x"))
}

// judged judges the rollouts, so that nothing is left to be sent back.
func judged(t *testing.T) {
	t.Helper()
	if err := proxy.JudgeRollouts(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A newly enforced class goes back by itself when enough persons undo enough of its masks;
// the log has why, and it stays so.
func TestRolloutGoesBack(t *testing.T) {
	p := newPeople(t)
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{}`))
	o := ordersOptions(t, u.URL, p.block+rolledOut(t, "", "{name: iban, class: iban, action: mask, undo: 24h, WINDOW, revert: {undone: 50, least: 5, actors: 2}}"))
	g := proxytest.Start(t, o)
	order := func() (request console.Event, clear bool) {
		t.Helper()
		a := do(t, g, call{method: "POST", path: "/orders", body: rolledBody})
		if a.status != 200 {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
			if e.Type == "request.decided" {
				request = e
			}
		}
		return request, strings.Contains(string(u.Last(t).Body), rolledIBAN)
	}
	var places []string
	for range 6 {
		e, clear := order()
		if clear || !strings.HasPrefix(e.Attrs["rollout"], "iban@") || e.Attrs["undo"] != "1" {
			t.Fatalf("clear %v, event %v", clear, e.Attrs)
		}
		places = append(places, e.Receipt+"/1")
	}
	undo := func(who string, places ...string) {
		t.Helper()
		if a := ask(t, g, "POST", revealPath, wish(places, false), p.is(t, who, "dpo", "otp")); a.status != 200 || strings.Count(a.body, `"found":true`) != len(places) {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		judged(t)
	}
	undo("dora", places...)
	undo("dora", places[:3]...)
	if s := rolloutState(t, g, "iban"); s.State != "running" {
		t.Fatalf("one person sends it back: %+v", s)
	}
	g.Restart() // which forgets nothing of it
	if _, clear := order(); clear {
		t.Fatal("after a restart it is not in force")
	}
	// The first who undid a mask counts for it; so others undo others.
	var more []string
	for range 3 {
		e, _ := order()
		more = append(more, e.Receipt+"/1")
	}
	undo("dan", more...)
	s := rolloutState(t, g, "iban")
	if s.State != "reverted" || !strings.Contains(s.Why, "by 2 persons") {
		t.Fatalf("got %+v", s)
	}
	for when, do := range map[string]func(){"at once": func() {}, "after a restart": g.Restart, "after a reload": func() {
		if err := g.Load(o); err != nil {
			t.Fatal(err)
		}
	}} {
		do()
		if e, clear := order(); !clear || e.Attrs["rollout"] != "" || e.Attrs["rollout_held"] == "" {
			t.Errorf("%s: clear %v, event %v", when, clear, e.Attrs)
		}
		if now := rolloutState(t, g, "iban"); now.State != "reverted" || now.Event != s.Event {
			t.Errorf("%s: got %+v", when, now)
		}
	}
	if e := g.Event(s.Event); e.Type != "rollout.reverted" || e.Attrs["why"] != "undone" || e.Attrs["undone_by"] != "2" || e.Attrs["masks"] != "10" {
		t.Errorf("the event: %+v", e)
	}
	g.Stop()
	g.Verify()
}

// Denials send a rule back when enough proven persons run into it, and never when nobody
// knows who provokes them, or few do; a rule of another reason is not to blame.
func TestProvokedDenialsSendNothingBack(t *testing.T) {
	p := newPeople(t)
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{}`))
	o := ordersOptions(t, u.URL, p.block+rolledOut(t, `deny contains "no_orders" if input.operation == "order.create"`+"\n"+`deny contains "not_twice" if input.operation == "order.change"`,
		"{name: orders, rule: no_orders, WINDOW, revert: {denied: 10, least: 6, actors: 3}}", "{name: cards, class: credit_card, action: block, WINDOW}"))
	g := proxytest.Start(t, o)
	try := func(header http.Header, status int) answer {
		t.Helper()
		a := do(t, g, call{method: "POST", path: "/orders", body: `{"order":{"note":"hello"}}`, header: header})
		if a.status != status {
			t.Fatalf("got %d %s, want %d", a.status, a.body, status)
		}
		return a
	}
	running := func(what string) {
		t.Helper()
		judged(t)
		if s := rolloutState(t, g, "orders"); s.State != "running" {
			t.Fatalf("%s: %+v", what, s)
		}
	}
	e := g.Event(try(nil, 403).problem.Receipt)
	if e.Reason != "policy_denied" || !strings.HasPrefix(e.Attrs["rollout"], "orders@") || e.Attrs["rules"] != "no_orders" {
		t.Errorf("the event: %+v", e)
	}
	for i := range 30 {
		try(http.Header{"Authorization": {withKey(fmt.Sprintf("key%d", i))}}, 403) // as many credentials as one likes
	}
	running("credentials that nobody proved")
	for i := range 10 {
		try(p.is(t, fmt.Sprintf("a%d", i), "agent"), 403)
	}
	running("persons without a second factor")
	for range 40 {
		try(p.is(t, "ada", "agent", "otp"), 403)
	}
	try(p.is(t, "bob", "agent", "otp"), 403)
	try(p.is(t, "cyd", "agent", "otp"), 403)
	running("one person, and two")
	for _, who := range []string{"eve", "fay", "gil", "hal"} {
		a := do(t, g, call{method: "PUT", path: "/orders/1", body: `{"order":{"note":"hello"}}`, header: p.is(t, who, "agent", "otp")})
		if a.status != 403 {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	running("denials of another rule")
	for _, who := range []string{"eve", "fay"} {
		try(p.is(t, who, "agent", "otp"), 403)
	}
	judged(t)
	if s := rolloutState(t, g, "orders"); s.State != "reverted" || !strings.Contains(s.Why, "denied") {
		t.Fatalf("got %+v", s)
	}
	try(nil, 200)
	// Cards were enforced before: whatever the rollout of them says, they stay masked.
	a := do(t, g, call{method: "POST", path: "/orders", body: `{"order":{"note":"card 4111 1111 1111 1111"}}`})
	if a.status != 200 || strings.Contains(string(u.Last(t).Body), "4111 1111") {
		t.Errorf("cards: got %d, forwarded %s", a.status, u.Last(t).Body)
	}
}

// A rollout of a rule that is in force switches it off for nobody, neither outside its share
// nor before it begins.
func TestRolloutOfRuleInForce(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{}`))
	const rule = `deny contains "no_orders" if input.operation == "order.create"`
	future := fmt.Sprintf("from: %s, until: %s}", time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339), time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339))
	g := proxytest.Start(t, ordersOptions(t, u.URL, rolledOut(t, rule, "{name: iban, class: iban, action: mask, WINDOW}")))
	try := func(when string) {
		t.Helper()
		for i := range 10 {
			if a := do(t, g, call{method: "POST", path: "/orders", body: `{"order":{"note":"hello"}}`, header: http.Header{"Authorization": {withKey(fmt.Sprintf("key%d", i))}}}); a.status != 403 {
				t.Fatalf("%s: got %d %s", when, a.status, a.body)
			}
		}
	}
	try("without a row")
	for row, when := range map[string]string{"{name: orders, rule: no_orders, share: 0, WINDOW}": "with a row for nobody", "{name: orders, rule: no_orders, share: 10, " + future: "with a row for next week"} {
		if err := g.Load(ordersOptions(t, u.URL, rolledOut(t, rule, row))); err != nil {
			t.Fatal(err)
		}
		try(when)
		if s := rolloutState(t, g, "orders"); !s.All || !s.Stays || s.Rule != "no_orders" {
			t.Errorf("%s: got %+v", when, s)
		}
		g.Restart()
		try(when + ", after a restart")
	}
}

// A rollout counts from its instant on and for the same callers all the time, without a
// reload, and answers of those who are in it are not those of the others.
func TestRolloutShareAndTime(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"v1"`)
		fmt.Fprint(w, `{"order":{"id":1,"note":"IBAN `+rolledIBAN+`"}}`)
	})
	row := fmt.Sprintf("{name: iban, class: iban, action: mask, share: 50, from: %s, until: %s}",
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339), time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339))
	g := proxytest.Start(t, ordersOptions(t, u.URL, rolledOut(t, "", row)))
	read := func(key string) (masked bool, tag string) {
		t.Helper()
		a := do(t, g, call{method: "GET", path: "/orders/1", header: http.Header{"Authorization": {withKey(key)}}})
		if a.status != 200 {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		return !strings.Contains(a.body, rolledIBAN), a.header.Get("ETag")
	}
	_, before := read("key0")
	const callers = 24
	for i := range callers {
		if masked, _ := read(fmt.Sprintf("key%d", i)); masked {
			t.Fatal("it counts before it begins")
		}
	}
	if s := rolloutState(t, g, "iban"); s.State != "waiting" {
		t.Errorf("got %+v", s)
	}
	later := time.Now().Add(2 * time.Hour)
	proxy.SetNow(func() time.Time { return later })
	in := 0
	for i := range callers {
		key := fmt.Sprintf("key%d", i)
		masked, tag := read(key)
		if again, _ := read(key); again != masked {
			t.Errorf("%s: in and out", key)
		}
		if masked {
			in++
		}
		if masked == (tag == before) {
			t.Errorf("masked %v under the entity tag %s, before it was %s", masked, tag, before)
		}
	}
	if in == 0 || in == callers {
		t.Errorf("%d of %d callers are in, with a share of half", in, callers)
	}
	if s := rolloutState(t, g, "iban"); s.State != "running" || s.Share != 50 {
		t.Errorf("got %+v", s)
	}
	end := time.Now().Add(72 * time.Hour)
	proxy.SetNow(func() time.Time { return end })
	if s := rolloutState(t, g, "iban"); s.State != "over" {
		t.Errorf("got %+v", s)
	}
	if masked, _ := read("key0"); masked {
		in--
	}
	for i := 1; i < callers; i++ {
		if masked, _ := read(fmt.Sprintf("key%d", i)); masked {
			in--
		}
	}
	if in != 0 {
		t.Error("when its window is over, others are in")
	}
}
