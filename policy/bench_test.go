package policy_test

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"github.com/caregate/caregate/policy"
)

// thousandRows is an overlay with a thousand enforcement rows, of which two fit a
// call, and as many grants.
func thousandRows(t testing.TB) *policy.Overlay {
	t.Helper()
	src := []byte("version: 1\nenforcement:\n")
	for i := range 998 {
		src = fmt.Appendf(src, "  - {class: iban, route: route-%d, role: lead, action: mask}\n", i)
	}
	src = append(src, "  - {class: iban, route: desk, action: mask}\n  - {class: credit_card, route: desk, role: agent, action: drop}\n"...)
	o, err := policy.ParseOverlay("rows.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// ticket is a call as most are: an agent writes a comment with a card and an
// address in it.
func ticket() policy.Input {
	return policy.Input{
		Tenant: "default", Route: "desk", Direction: policy.Request, Channel: "zendesk", Operation: "ticket.update",
		Mapped: true, Effect: "write", Scope: "one", Method: "unsafe", Network: "private", Records: 1,
		Actor:    policy.InputActor{Kind: policy.KindVendor, Strength: policy.StrengthAsserted, Roles: []string{"agent"}, Asserts: true},
		Findings: []policy.Finding{{Class: "credit_card", Place: policy.PlaceText, Count: 1}, {Class: "email", Place: policy.PlaceText, Count: 3}},
	}
}

func engine(t testing.TB, c policy.Config) *policy.Engine {
	t.Helper()
	c.Timeout = cmp.Or(c.Timeout, time.Minute) // other tests share the processors
	e, err := policy.NewEngine(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func BenchmarkDecideCached(b *testing.B) {
	e, in := engine(b, policy.Config{Overlays: []*policy.Overlay{thousandRows(b)}}), ticket()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Decide(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

// uncached asks the rules each time.
func uncached(b *testing.B, c policy.Config) {
	c.Cache = 1
	e, in := engine(b, c), ticket()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		in.Purpose = fmt.Sprint("p", i%2)
		if _, err := e.Decide(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecideUncached(b *testing.B) { uncached(b, policy.Config{}) }

// BenchmarkDecideThousandRows has a thousand rows of data, of which two fit, and
// BenchmarkDecideThousandRules a thousand rules of a deployment. The budget of
// both is 100 µs.
func BenchmarkDecideThousandRows(b *testing.B) {
	uncached(b, policy.Config{Overlays: []*policy.Overlay{thousandRows(b)}})
}

func BenchmarkDecideThousandRules(b *testing.B) {
	uncached(b, policy.Config{Dir: rules(b, thousandRules())})
}

// thousandRules are rules of a deployment, of which the index finds none for most calls.
func thousandRules() string {
	src := []byte("package caregate.operator\n")
	for i := range 1000 {
		src = fmt.Appendf(src, "\ndeny contains \"rule_%d\" if {\n\tinput.operation == \"family.operation_%d\"\n\tinput.effect == \"delete\"\n}\n", i, i)
	}
	return string(src)
}

// The time that a decision takes follows what it allocates, which does not depend on the
// machine: some 450 times, a hundred of which are of two findings and of the rules' own
// work, and twice where the decision is kept. A rule that looks through rows instead of
// finding them takes thousands. OPA's pools keep less under the race detector.
func TestDecisionsAllocateLittle(t *testing.T) {
	rows, in := thousandRows(t), ticket()
	for name, c := range map[string]struct {
		config policy.Config
		most   float64
	}{
		"kept":           {policy.Config{Cache: 2}, 20},
		"built-in rules": {policy.Config{Cache: 1}, 800},
		"thousand rows":  {policy.Config{Cache: 1, Overlays: []*policy.Overlay{rows}}, 800},
		"thousand rules": {policy.Config{Cache: 1, Dir: rules(t, thousandRules())}, 800},
	} {
		e, i := engine(t, c.config), 0
		got := testing.AllocsPerRun(200, func() {
			i++
			in.Purpose = [2]string{"p0", "p1"}[i%2]
			if _, err := e.Decide(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		})
		if got > c.most {
			t.Errorf("%s: a decision allocates %v times, want at most %v", name, got, c.most)
		}
		t.Logf("%s: %v", name, got)
	}
}
