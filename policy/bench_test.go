package policy_test

import (
	"fmt"
	"testing"

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
	src := []byte("package caregate.operator\n")
	for i := range 1000 {
		src = fmt.Appendf(src, "\ndeny contains \"rule_%d\" if {\n\tinput.operation == \"family.operation_%d\"\n\tinput.effect == \"delete\"\n}\n", i, i)
	}
	uncached(b, policy.Config{Dir: rules(b, string(src))})
}
