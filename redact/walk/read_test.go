package walk

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"testing"
)

// A Doc that was used for other bodies, also for one that was refused, reads like a new
// one, and what was taken from it stays.
func TestReadAgain(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	f := compile(t, Rule{Pointer: "/id", Label: "id", Flags: Wanted}, Rule{Pointer: "/*", Flags: Unit})
	var doc Doc
	for i, c := range []struct {
		kind Kind
		raw  string
	}{
		{JSON, `{"id":7,"note":"card 4111 1111 1111 1111"}`}, {JSON, `{"id":`}, {Form, "id=8&note=4111111111111111"}, {XML, "<a>4111111111111111</a>"}, {Text, "nothing"},
		{Multipart, parts(field("id", "9"), field("cc1", "4111"), field("cc2", "1111"), field("cc3", "1111"), field("cc4", "1111"))}, {Form, "id=10"}, {JSON, `{"id":11}`},
	} {
		before, kept := doc.Findings, slices.Clone(doc.Findings)
		raw := []byte(c.raw)
		want, refused := Parse(c.kind, raw, d, f, Limits{})
		if err := doc.Read(c.kind, raw, d, f, Limits{}); (err == nil) != (refused == nil) {
			t.Fatalf("body %d: %v, want %v", i, err, refused)
		}
		if !slices.Equal(before, kept) {
			t.Errorf("body %d: findings of the one before changed", i)
		}
		if refused != nil {
			continue
		}
		if !slices.Equal(doc.Findings, want.Findings) || !slices.Equal(doc.Captures, want.Captures) || doc.Units != want.Units || !bytes.Equal(doc.Rewrite(byDefault), want.Rewrite(byDefault)) {
			t.Errorf("body %d: %+v, want %+v", i, doc.Findings, want.Findings)
		}
	}
}

// Further rules make captures of their own and leave those that were there.
func TestFieldsWith(t *testing.T) {
	t.Parallel()
	base, err := Compile([]Rule{{Pointer: "/a", Label: "a", Flags: Wanted}, {Pointer: "/n", Flags: Never}})
	if err != nil {
		t.Fatal(err)
	}
	more := []Rule{{Pointer: "/**/b", Label: "b", Flags: Wanted}, {Pointer: "/a", Label: "c", Flags: Wanted}}
	labels := func(f *Fields) (out []string) {
		doc, err := Parse(JSON, []byte(`{"a":"x","n":"4111111111111111","o":{"b":1}}`), newDetector(t), f, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range doc.Captures {
			out = append(out, c.Label)
		}
		slices.Sort(out)
		return out
	}
	both, err := base.With(more)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := (*Fields)(nil).With(more)
	if err != nil {
		t.Fatal(err)
	}
	if got := labels(both); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("both: got %v", got)
	}
	if got := labels(alone); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("alone: got %v", got)
	}
	if got := labels(base); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the first set changed: got %v", got)
	}
	if _, err := base.With([]Rule{{Pointer: "b"}}); err == nil {
		t.Error("a pointer that is none: got nil, want an error")
	}
}

// Many rules that begin with ** are one to follow: they take as many states as they have
// names.
func TestFieldsOfManyNames(t *testing.T) {
	t.Parallel()
	base := []Rule{{Pointer: "/list/*/id", Label: "id", Flags: Wanted}, {Pointer: "/list/*/a/b", Flags: Never}}
	var rules []Rule
	for i := range 256 {
		rules = append(rules, Rule{Pointer: fmt.Sprintf("/**/f%d/g%d", i, i), Label: strconv.Itoa(i), Flags: Wanted})
	}
	f, err := compile(t, base...).With(rules)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.states); n > 1<<10 {
		t.Errorf("they need %d states", n)
	}
	doc, err := Parse(JSON, []byte(`{"list":[{"id":1,"f7":{"g7":2,"f8":{"g8":3,"g7":4}}}],"f7":{"g8":5}}`), newDetector(t), f, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range doc.Captures {
		got = append(got, c.Label+"="+string(doc.Value(c)))
	}
	if want := []string{"id=1", "7=2", "8=3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
