package policy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/policy"
)

const window = "from: 2026-12-01T08:00:00Z, until: 2026-12-15T08:00:00Z"

// rolling is a policy with rollouts.
func rolling(t testing.TB, rows ...string) *policy.Engine {
	t.Helper()
	return engine(t, policy.Config{Overlays: []*policy.Overlay{overlay(t, "version: 1\nrollout:\n- "+strings.Join(rows, "\n- ")+"\n")}})
}

func TestRolloutMistakes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ row, says string }{
		"no window":             {"{name: a, class: iban, action: mask}", "o.yaml:3: a rollout wants name, from and until"},
		"nothing to roll out":   {"{name: a, " + window + "}", "wants class and action, or the rule"},
		"both":                  {"{name: a, class: iban, action: mask, rule: x, " + window + "}", "wants class and action, or the rule"},
		"no action":             {"{name: a, class: iban, " + window + "}", "wants class and action, or the rule"},
		"what enforces nothing": {"{name: a, class: iban, action: report, " + window + "}", "action of a rollout wants one that enforces"},
		"all classes":           {"{name: a, class: '*', action: mask, " + window + "}", `class "*" is not known`},
		"a name for people":     {"{name: My rule, class: iban, action: mask, " + window + "}", "name wants 1 to 64"},
		"more than all":         {"{name: a, class: iban, action: mask, share: 101, " + window + "}", "share wants a number from 0 to 100"},
		"backwards":             {"{name: a, class: iban, action: mask, from: 2026-12-02T00:00:00Z, until: 2026-12-01T00:00:00Z}", "until of a rollout is after from"},
		"for years":             {"{name: a, class: iban, action: mask, from: 2026-12-02T00:00:00Z, until: 2027-12-01T00:00:00Z}", "by 92 days at most"},
		"a day":                 {"{name: a, class: iban, action: mask, from: 2026-12-02, until: 2026-12-05T00:00:00Z}", "from wants an instant"},
		"codes that are kept":   {"{name: a, class: card_pin, action: tokenize, " + window + "}", "may not be kept in any form"},
		"undo of a drop":        {"{name: a, class: iban, action: drop, undo: 1h, " + window + "}", "undo goes with action mask"},
		"no rate":               {"{name: a, class: iban, action: mask, " + window + ", revert: {least: 20}}", "revert wants a rate"},
		"alone":                 {"{name: a, class: iban, action: block, " + window + ", revert: {denied: 5, actors: 1}}", "actors wants a number from 2 to"},
		"at once":               {"{name: a, class: iban, action: block, " + window + ", revert: {denied: 5, least: 1}}", "least wants a number from 5 to"},
		"undone, for good":      {"{name: a, class: iban, action: mask, " + window + ", revert: {undone: 5}}", "wants masks that can be undone"},
		"a misspelling":         {"{name: a, class: iban, action: mask, " + window + ", shar: 5}", `has no member "shar"`},
		"twice":                 {"{name: a, class: iban, action: mask, " + window + "}\n- {name: a, class: iban, action: drop, " + window + "}", "o.yaml:4: there are two rollouts of the name a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := policy.ParseOverlay("o.yaml", []byte("version: 1\nrollout:\n- "+tc.row+"\n"))
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

// Nobody may switch protection off by provoking denials: what PCI DSS is about, and social
// security numbers, can be rolled out and never go back by themselves.
func TestNothingProtectedGoesBack(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"credit_card", "card_verification_code", "card_track_data", "card_pin", "card_expiry", "payment_reference", "us_ssn", "us_itin", "us_ssn_last4"} {
		row := fmt.Sprintf("version: 1\nrollout:\n- {name: a, class: %s, action: block, %s", class, window)
		if _, err := policy.ParseOverlay("o.yaml", []byte(row+"}\n")); err != nil {
			t.Errorf("%s: got %v", class, err)
		}
		for _, revert := range []string{"{denied: 100}", "{denied: 1, least: 1000, actors: 500}"} {
			if _, err := policy.ParseOverlay("o.yaml", []byte(row+", revert: "+revert+"}\n")); err == nil || !strings.Contains(err.Error(), "never taken back by itself") {
				t.Errorf("%s: got %v, want it refused", class, err)
			}
		}
	}
}

// A share is the same callers all the time, more of them when it grows, others for another
// rollout, and none who leaves the credential out.
func TestRolloutShare(t *testing.T) {
	t.Parallel()
	const callers = 4000
	share := func(name string, share int) (in map[string]bool) {
		r := &policy.Rollout{Name: name, Share: share}
		in = make(map[string]bool)
		for i := range callers {
			a := policy.Actor{ID: fmt.Sprintf("user:%032d", i), Kind: policy.KindToken}
			if r.Includes(&a, digest) {
				in[a.ID] = true
			}
			if r.Includes(&a, digest) != in[a.ID] {
				t.Fatal("a caller is in, and is not")
			}
		}
		return in
	}
	ten, thirty, other := share("a", 10), share("a", 30), share("b", 10)
	for _, tc := range []struct{ got, want int }{{len(ten), callers / 10}, {len(thirty), callers * 3 / 10}, {len(share("a", 0)), 0}, {len(share("a", 100)), callers}} {
		if tc.got < tc.want*8/10 || tc.got > tc.want*12/10 {
			t.Errorf("%d of %d are in, want about %d", tc.got, callers, tc.want)
		}
	}
	both := 0
	for id := range ten {
		if !thirty[id] {
			t.Fatal("a caller is out again when the share grows")
		}
		if other[id] {
			both++
		}
	}
	if both > len(ten)/2 {
		t.Errorf("%d of %d are in another rollout, too", both, len(ten))
	}
	nobody := policy.Actor{ID: policy.KindAnonymous, Kind: policy.KindAnonymous}
	if r := (&policy.Rollout{Name: "a", Share: 1}); !r.Includes(&nobody, digest) {
		t.Error("whoever leaves the credential out is out of it")
	}
}

// A rollout is about something that was enforced before when it could take back a part of it.
func TestLoosens(t *testing.T) {
	t.Parallel()
	rules := rules(t, "package caregate.operator\ndeny contains \"no_deletes\" if input.effect == \"delete\"\ndeny contains \"no_writes\" if input.effect == \"write\"\n")
	e := engine(t, policy.Config{Dir: rules, Overlays: []*policy.Overlay{overlay(t, "version: 1\nenforcement:\n- {class: iban, route: desk, action: mask}\n- {class: uk_nino, role: lead, action: drop}\n- {class: '*', route: shop, action: mask}\n- {class: date_of_birth, action: report}\n"+
		"rollout:\n- {name: w, rule: no_writes, "+window+"}\n")}})
	for name, tc := range map[string]struct {
		r    policy.Rollout
		want bool
	}{
		"the same row":               {policy.Rollout{Class: "iban", Route: "desk", Role: "*"}, true},
		"a part of it":               {policy.Rollout{Class: "iban", Route: "desk", Role: "agent"}, true},
		"more than it":               {policy.Rollout{Class: "iban", Route: "*", Role: "*"}, true},
		"another route":              {policy.Rollout{Class: "iban", Route: "chat", Role: "*"}, false},
		"another role":               {policy.Rollout{Class: "uk_nino", Route: "desk", Role: "agent"}, false},
		"the same role":              {policy.Rollout{Class: "uk_nino", Route: "desk", Role: "lead"}, true},
		"of all classes":             {policy.Rollout{Class: "fr_nir", Route: "shop", Role: "agent"}, true},
		"what was only reported":     {policy.Rollout{Class: "date_of_birth", Route: "desk", Role: "*"}, false},
		"a rule":                     {policy.Rollout{Rule: "no_deletes", Route: "desk", Role: "*"}, true},
		"a rule that is rolled out":  {policy.Rollout{Rule: "no_writes", Route: "desk", Role: "*"}, false},
		"a rule that there is not":   {policy.Rollout{Rule: "no_reads", Route: "desk", Role: "*"}, false},
		"a class that is no rule":    {policy.Rollout{Class: "no_deletes", Route: "desk", Role: "*"}, false},
		"nothing that is known of":   {policy.Rollout{Class: "pl_pesel", Route: "chat", Role: "agent"}, false},
		"nothing that is known of 2": {policy.Rollout{Class: "pl_pesel", Route: "shop", Role: "agent"}, true},
	} {
		got := false
		for _, what := range e.Enforced() {
			got = got || tc.r.Loosens(what)
		}
		if got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	if !(&policy.Rollout{Class: "iban"}).Loosens("garbage") {
		t.Error("what nobody can read is taken for something else")
	}
	_, err := policy.NewEngine(t.Context(), policy.Config{Dir: rules, Overlays: []*policy.Overlay{overlay(t, "version: 1\nrollout:\n- {name: w, rule: no_writtes, "+window+"}\n")}})
	if err == nil || !strings.Contains(err.Error(), `rollout w: no rule of yours is written as deny contains "no_writtes"`) {
		t.Errorf("a rule that is not there: got %v", err)
	}
}

// The cached decision of those who are in is not that of the others, and a replay shows
// what a draft's rollout does when everybody is in.
func TestRolloutDecision(t *testing.T) {
	t.Parallel()
	e := rolling(t, "{name: iban-desk, class: iban, action: mask, undo: 1h, share: 10, "+window+"}")
	in := ticket()
	in.Findings = []policy.Finding{{Class: "iban", Place: policy.PlaceText, Count: 1}}
	among := in
	among.Rollouts = []string{"iban-desk"}
	for range 2 {
		for _, tc := range []struct {
			in     policy.Input
			action string
			about  bool
		}{{in, "report", false}, {among, "mask", true}} {
			d, err := e.Decide(t.Context(), tc.in)
			must(t, err)
			if decided, ok := d.Rollouts["iban-desk"]; d.Action("iban", policy.PlaceText) != tc.action || !ok || decided != tc.about || (d.UndoFor("iban") == time.Hour) != tc.about {
				t.Errorf("got %s, %v, undo %v", d.Action("iban", policy.PlaceText), d.Rollouts, d.UndoFor("iban"))
			}
		}
	}
	now := engine(t, policy.Config{})
	r, err := policy.Replay(t.Context(), now, e, all([]policy.Recorded{recordedAs(t, now, "a", in)}), 1)
	must(t, err)
	if len(r.Changes) != 1 || r.Changes[0].Before != "report" || r.Changes[0].After != "mask, undone within 1h0m0s" {
		t.Errorf("a draft: got %+v", r.Changes)
	}
	if r, err = policy.Replay(t.Context(), e, e, all([]policy.Recorded{recordedAs(t, e, "a", in), recordedAs(t, e, "b", among)}), 1); err != nil || len(r.Changes) > 0 {
		t.Errorf("the same policy: got %+v, %v", r, err)
	}
	if _, err := e.Decide(t.Context(), policy.Input{Direction: policy.Request, Effect: "read", Scope: "one", Rollouts: make([]string, 65)}); !errors.Is(err, policy.ErrInput) {
		t.Errorf("more rollouts than there can be: got %v", err)
	}
}

// events draws ids of events, tells keeps what was told.
type journal struct {
	drawn byte
	told  []policy.Ended
	fails bool
}

func (j *journal) draw() (id [16]byte) {
	j.drawn++
	id[0] = j.drawn
	return id
}

func (j *journal) tell(_ context.Context, e policy.Ended) error {
	if j.fails {
		return errors.New("the log takes nothing")
	}
	j.told = append(j.told, e)
	return nil
}

func openRollbacks(t testing.TB, path string) *policy.Rollbacks {
	t.Helper()
	b, err := policy.OpenRollbacks(t.Context(), openDB(t, path))
	must(t, err)
	return b
}

// It goes back when the rates are passed by enough different persons, and never otherwise.
func TestRollbackRates(t *testing.T) {
	t.Parallel()
	inside := time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)
	e := rolling(t, "{name: a, class: iban, action: mask, undo: 1h, "+window+", revert: {undone: 10, denied: 5, least: 10, actors: 3}}")
	r := &e.Rollouts()[0]
	denied := func(times ...int) func(*policy.Rollbacks) {
		return func(b *policy.Rollbacks) {
			for i, n := range times {
				for range n {
					b.Denied(r.ID(), fmt.Sprintf("user:%d", i))
				}
			}
		}
	}
	undone := func(places ...int) func(*policy.Rollbacks) {
		return func(b *policy.Rollbacks) {
			for i, n := range places {
				for j := range n {
					for range 3 { // who looks again undoes nothing more
						b.Undone(r.ID(), fmt.Sprintf("user:%d", i), fmt.Sprintf("place %d %d", i, j))
					}
				}
			}
		}
	}
	calls := func(n int) func(*policy.Rollbacks) {
		return func(b *policy.Rollbacks) {
			for range n {
				b.Called(r.ID())
			}
		}
	}
	masks := func(n int) func(*policy.Rollbacks) {
		return func(b *policy.Rollbacks) { b.Masked(r.ID(), n) }
	}
	for name, tc := range map[string]struct {
		counted []func(*policy.Rollbacks)
		at      time.Time
		want    string
	}{
		"denials":                       {[]func(*policy.Rollbacks){denied(4, 4, 4), calls(200)}, inside, "denied"},
		"undone masks":                  {[]func(*policy.Rollbacks){undone(4, 4, 4), masks(120)}, inside, "undone"},
		"nothing":                       {nil, inside, ""},
		"many denials of one person":    {[]func(*policy.Rollbacks){denied(1000), calls(1000)}, inside, ""},
		"of one person and two helpers": {[]func(*policy.Rollbacks){denied(1000, 1, 1), calls(1000)}, inside, ""},
		"of two persons":                {[]func(*policy.Rollbacks){denied(500, 500), calls(1000)}, inside, ""},
		"late":                          {[]func(*policy.Rollbacks){calls(3000), denied(1000, 1000, 1000, 1000, 1000), calls(5000)}, inside, "denied"},
		"late, and some of few":         {[]func(*policy.Rollbacks){calls(3000), denied(1000, 1000, 4, 1), calls(2006)}, inside, ""},
		"few":                           {[]func(*policy.Rollbacks){denied(3, 3, 3), calls(9)}, inside, ""},
		"a low rate":                    {[]func(*policy.Rollbacks){denied(4, 4, 4), calls(241)}, inside, ""},
		"masks undone by one person":    {[]func(*policy.Rollbacks){undone(100), masks(100)}, inside, ""},
		"masks undone by two":           {[]func(*policy.Rollbacks){undone(50, 50), masks(100)}, inside, ""},
		"a few masks of many":           {[]func(*policy.Rollbacks){undone(4, 4, 4), masks(121)}, inside, ""},
		"before the window":             {[]func(*policy.Rollbacks){denied(4, 4, 4), calls(12)}, r.From.Add(-time.Second), ""},
		"after the window":              {[]func(*policy.Rollbacks){denied(4, 4, 4), calls(12)}, r.Until, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, j := statePath(t), new(journal)
			b := openRollbacks(t, path)
			for i, count := range tc.counted {
				count(b)
				if i == 0 {
					must(t, b.Flush(t.Context())) // half of it before a restart
					b = openRollbacks(t, path)
				}
			}
			must(t, b.Flush(t.Context()))
			must(t, b.Judge(t.Context(), e, tc.at, j.draw, j.tell))
			end, back := b.Ended(r.ID())
			if back != (tc.want != "") || end.Evidence.Why != tc.want || len(j.told) != 0 != back {
				t.Errorf("got %v, %+v, told %d times; want %q", back, end, len(j.told), tc.want)
			}
		})
	}
}

// What went back stays so, is told once, and counts only when the log has it.
func TestRollbackIsDurable(t *testing.T) {
	t.Parallel()
	inside := time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)
	row := "{name: a, class: iban, action: block, " + window + ", revert: {denied: 5, least: 6, actors: 3}}"
	e := rolling(t, row)
	r := &e.Rollouts()[0]
	path, j := statePath(t), new(journal)
	b, other := openRollbacks(t, path), openRollbacks(t, path)
	for i := range 6 {
		b.Denied(r.ID(), fmt.Sprintf("user:%d", i))
	}
	must(t, b.Flush(t.Context()))
	j.fails = true
	if err := b.Judge(t.Context(), e, inside, j.draw, j.tell); err == nil {
		t.Fatal("a log that takes nothing is no error")
	}
	if _, back := b.Ended(r.ID()); back {
		t.Fatal("it counts before the log has it")
	}
	b = openRollbacks(t, path) // the process died
	if _, back := b.Ended(r.ID()); back {
		t.Fatal("it counts before the log has it, after a restart")
	}
	j.fails = false
	late := r.Until.Add(time.Hour) // also when the window is over meanwhile
	for range 3 {
		must(t, b.Judge(t.Context(), e, late, j.draw, j.tell))
	}
	end, back := b.Ended(r.ID())
	if !back || len(j.told) != 1 || j.told[0].Event != [16]byte{1} || end.Event != j.told[0].Event || end.Name != "a" || !end.At.Equal(inside) || end.Evidence.Denied != 6 || end.Evidence.DeniedTo != 6 {
		t.Errorf("got %v, %+v, told %+v", back, end, j.told)
	}
	// Another gateway on the same database hears of it and tells nothing.
	must(t, other.Judge(t.Context(), e, inside, j.draw, j.tell))
	if _, back := other.Ended(r.ID()); !back || len(j.told) != 1 {
		t.Errorf("another gateway: %v, told %d times", back, len(j.told))
	}
	if _, back := openRollbacks(t, path).Ended(r.ID()); !back {
		t.Error("after a restart it is in force again")
	}
	// Whoever changes it rolls out something else.
	changed := rolling(t, strings.Replace(row, "denied: 5", "denied: 6", 1))
	if _, back := b.Ended(changed.Rollouts()[0].ID()); back {
		t.Error("a changed rollout has gone back")
	}
	if same := rolling(t, row); same.Rollouts()[0].ID() != r.ID() {
		t.Error("the same rollout has two ids")
	}
}

// A rule that was enforced before does not go back, whatever is provoked.
func TestWhatWasEnforcedStays(t *testing.T) {
	t.Parallel()
	inside := time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)
	path, j := statePath(t), new(journal)
	b := openRollbacks(t, path)
	before := engine(t, policy.Config{Overlays: []*policy.Overlay{overlay(t, "version: 1\nenforcement:\n- {class: iban, route: desk, action: block}\n")}})
	must(t, b.NoteEnforced(t.Context(), before, inside.Add(-time.Hour)))
	e := rolling(t,
		"{name: a, class: iban, action: block, "+window+", revert: {denied: 5, least: 6, actors: 3}}",
		"{name: b, class: iban, route: chat, action: block, "+window+", revert: {denied: 5, least: 6, actors: 3}}")
	b = openRollbacks(t, path)
	must(t, b.NoteEnforced(t.Context(), e, inside))
	for i := range e.Rollouts() {
		for actor := range 6 {
			b.Denied(e.Rollouts()[i].ID(), fmt.Sprintf("user:%d", actor))
		}
	}
	must(t, b.Flush(t.Context()))
	must(t, b.Judge(t.Context(), e, inside, j.draw, j.tell))
	if len(j.told) != 1 || j.told[0].Name != "b" {
		t.Errorf("got back %+v, want b alone", j.told)
	}
	if stays, err := b.EnforcedBefore(t.Context(), &e.Rollouts()[0]); err != nil || !stays {
		t.Errorf("got %v, %v", stays, err)
	}
}

// A row about a rule that was in force before switches it off for nobody: it counts for all,
// here at once and in other processes from their next look on.
func TestRuleInForceIsForAll(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)
	dir := rules(t, "package caregate.operator\ndeny contains \"no_deletes\" if input.effect == \"delete\"\ndeny contains \"no_writes\" if input.effect == \"write\"\n")
	row := "version: 1\nenforcement:\n- {class: iban, action: mask}\nrollout:\n- {name: w, rule: no_writes, " + window + "}\n"
	before := engine(t, policy.Config{Dir: dir, Overlays: []*policy.Overlay{overlay(t, row)}})
	e := engine(t, policy.Config{Dir: dir, Overlays: []*policy.Overlay{overlay(t, row+"- {name: d, rule: no_deletes, share: 10, "+window+"}\n- {name: i, class: iban, action: block, "+window+"}\n")}})
	forAll := func(b *policy.Rollbacks) (names string) {
		for i := range e.Rollouts() {
			if r := &e.Rollouts()[i]; b.ForAll(r) {
				names += r.Name
			}
		}
		return names
	}
	path, j := statePath(t), new(journal)
	b, other := openRollbacks(t, path), openRollbacks(t, path)
	if got := forAll(b); got != "" {
		t.Errorf("before anything was in force: got %q", got)
	}
	must(t, b.NoteEnforced(t.Context(), before, now))
	must(t, b.NoteEnforced(t.Context(), e, now))
	must(t, other.Judge(t.Context(), e, now, j.draw, j.tell))
	for where, b := range map[string]*policy.Rollbacks{"here": b, "in another process": other, "after a restart": openRollbacks(t, path)} {
		if got := forAll(b); got != "d" {
			t.Errorf("%s: got %q, want d", where, got)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	b = openRollbacks(t, statePath(t))
	if err := b.NoteEnforced(canceled, before, now); err == nil || forAll(b) != "d" {
		t.Errorf("where nothing can be written: got %v, %q", err, forAll(b))
	}
}

// What was counted is deleted when the end is told, and when the window closed long ago.
func TestRollbacksAreTidied(t *testing.T) {
	t.Parallel()
	inside := time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)
	e := rolling(t, "{name: a, class: iban, action: block, "+window+", revert: {denied: 5, least: 6, actors: 3}}",
		"{name: b, class: iban, route: chat, action: block, "+window+", revert: {denied: 5, least: 6, actors: 3}}")
	path, j := statePath(t), new(journal)
	db := openDB(t, path)
	b, err := policy.OpenRollbacks(t.Context(), db)
	must(t, err)
	must(t, b.NoteEnforced(t.Context(), e, inside))
	left := func(what string, i, want int) {
		t.Helper()
		for _, table := range []string{"rollout_sign", "rollout_volume"} {
			var n int
			must(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM `+table+` WHERE rollout = $1`, e.Rollouts()[i].ID()).Scan(&n))
			if n != want {
				t.Errorf("%s: %s has %d rows of %s, want %d", what, table, n, e.Rollouts()[i].Name, want)
			}
		}
	}
	for range 6 {
		b.Called(e.Rollouts()[0].ID())
	}
	for actor := range 6 {
		b.Denied(e.Rollouts()[0].ID(), fmt.Sprintf("user:%d", actor))
	}
	b.Called(e.Rollouts()[1].ID())
	b.Denied(e.Rollouts()[1].ID(), "user:0")
	must(t, b.Flush(t.Context()))
	left("counted", 1, 1)
	must(t, b.Judge(t.Context(), e, inside, j.draw, j.tell))
	if len(j.told) != 1 {
		t.Fatalf("told %+v", j.told)
	}
	left("it went back", 0, 0)
	left("the other went back", 1, 1)
	must(t, b.Judge(t.Context(), e, e.Rollouts()[1].Until.Add(time.Hour), j.draw, j.tell))
	left("its window is over", 1, 1)
	must(t, b.Judge(t.Context(), e, e.Rollouts()[1].Until.Add(8*24*time.Hour), j.draw, j.tell))
	left("its window is long over", 1, 0)
	if _, back := b.Ended(e.Rollouts()[0].ID()); !back {
		t.Error("what went back is in force again")
	}
}

// Whatever is read as a document has rollouts within their bounds, and none of what is
// protected goes back.
func FuzzRollout(f *testing.F) {
	f.Add("{name: a, class: iban, action: mask, undo: 1h, share: 10, " + window + ", revert: {undone: 5, denied: 2, least: 20, actors: 3}}")
	f.Add("{name: a, rule: x, route: desk, role: agent, " + window + ", revert: {denied: 2}}")
	f.Add("{name: a, class: us_ssn, action: block, " + window + ", revert: {denied: 2}}")
	f.Add("{name: a, class: card_pin, action: mask, undo: 1h, " + window + "}")
	f.Fuzz(func(t *testing.T, row string) {
		o, err := policy.ParseOverlay("o.yaml", []byte("version: 1\nrollout:\n- "+row+"\n"))
		if err != nil {
			return
		}
		for _, r := range o.Rollouts() {
			protected := strings.HasPrefix(r.Class, "card_") || strings.HasPrefix(r.Class, "us_ssn") || r.Class == "credit_card" || r.Class == "us_itin"
			switch {
			case r.Name == "" || len(r.Name) > 64 || r.Share < 0 || r.Share > 100 || !r.From.Before(r.Until) || (r.Class == "") == (r.Rule == ""):
				t.Errorf("out of bounds: %+v", r)
			case r.Revert != nil && (protected || r.Revert.Actors < policy.FewestActors || r.Revert.Least < r.Revert.Actors || r.Revert.Undone+r.Revert.Denied == 0):
				t.Errorf("it goes back too easily: %+v", r.Revert)
			}
			if len(r.ID()) != 32 {
				t.Errorf("an id of %d digits", len(r.ID()))
			}
		}
	})
}
