package walk

import (
	"bytes"
	"slices"
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
