package walk

import (
	"slices"
	"testing"

	"github.com/caregate/caregate/redact"
)

// Documents inside a document have their own rules, each element its own, and the outer
// ones do not reach into them.
func TestMount(t *testing.T) {
	t.Parallel()
	outer := compile(t, Rule{Pointer: "/**/memo", Flags: Never}, Rule{Pointer: "/calls/*/note", Label: "note", Flags: Wanted})
	a := compile(t, Rule{Pointer: "/memo", Label: "a", Flags: Wanted | Never}, Rule{Pointer: "/list/*", Flags: Unit})
	b := compile(t, Rule{Pointer: "/text", Label: "b", Flags: Wanted})
	fields := outer.Mount([]string{"calls"}, "body", []*Fields{a, b, nil, a}, "method")
	raw := []byte(`{"memo":4111111111111111,"calls":[
		{"note":"x","body":{"memo":"4111111111111111","text":"1","list":[{},{}]}},
		{"body":{"memo":4111111111111111,"text":"2"}},
		{"body":{"memo":4111111111111111}},
		{"body":{"memo":"3"}}]}`)
	doc, err := Parse(JSON, raw, newDetector(t), fields, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range doc.Captures {
		got = append(got, c.Label+" "+c.Path)
	}
	if want := []string{"note /calls/0/note", "a /calls/0/body/memo", "b /calls/1/body/text", "a /calls/3/body/memo"}; !slices.Equal(got, want) {
		t.Errorf("captures: got %q, want %q", got, want)
	}
	var never []bool
	for _, f := range doc.Findings {
		if f.Class == redact.CreditCard {
			never = append(never, f.Never)
		}
	}
	if want := []bool{true, true, false, false}; !slices.Equal(never, want) {
		t.Errorf("places never to be rewritten: got %v, want %v", never, want)
	}
	if doc.Units != 6 { // four elements, two in the list of the first
		t.Errorf("got %d units, want 6", doc.Units)
	}
	// Names of the elements are known: two that differ in case are refused, as elsewhere.
	if _, err := Parse(JSON, []byte(`{"calls":[{"method":"a","METHOD":"b"}]}`), newDetector(t), fields, Limits{}); refusalOf(err) == nil || refusalOf(err).Reason != ReasonAmbiguous {
		t.Errorf("two methods: got %v, want %s", err, ReasonAmbiguous)
	}
	// What was mounted on is what it was.
	if plain, err := Parse(JSON, raw, newDetector(t), outer, Limits{}); err != nil || len(plain.Captures) != 1 || plain.Units != 0 {
		t.Errorf("the outer rules alone: got %+v, %v", plain, err)
	}
	if none := (*Fields)(nil).Mount([]string{"calls"}, "body", []*Fields{b}); none == nil {
		t.Error("no rules cannot be mounted on")
	} else if doc, err := Parse(JSON, []byte(`{"calls":[{"body":{"text":"1"}}]}`), newDetector(t), none, Limits{}); err != nil || len(doc.Captures) != 1 {
		t.Errorf("mounted on nothing: got %+v, %v", doc, err)
	}
}
