//go:build !race

// The race detector makes pools forget what they hold, so allocations are counted
// without it.

package walk

import (
	"math"
	"runtime"
	"strings"
	"testing"
)

// leastAllocations is what run allocates each time; pools may have to be filled again
// once.
func leastAllocations(run func()) float64 {
	run()
	least := math.Inf(1)
	for range 3 {
		least = min(least, testing.AllocsPerRun(20, run))
	}
	return least
}

// A clean body costs its owner no allocation.
func TestCleanBodiesDoNotAllocate(t *testing.T) {
	d := newDetector(t)
	never := compile(t, Rule{Pointer: "/tickets/*", Flags: Unit}, Rule{Pointer: "/**/id", Flags: Never}, Rule{Pointer: "/tickets/*/description", Flags: HTMLValue})
	for _, c := range []struct {
		name string
		kind Kind
		raw  []byte
		f    *Fields
	}{
		{"a page of tickets", JSON, page(64<<10, 0), nil},
		{"a page of tickets, with rules", JSON, page(64<<10, 0), never},
		{"one ticket", JSON, []byte(`{"ticket":{"id":35436,"subject":"Delivery is late again","priority":null,"tags":["late","order_48213"],"comment":{"body":"Hello, my order 4821337\nwas due at 13:15, it cost $59.90 and nothing came.","public":true}}}`), never},
		{"a message", Text, []byte("Hello, the parcel of order 48213377 has not arrived yet and nobody answers when I call since 10:30."), nil},
		{"a form", Form, []byte("Body=Hello%2C+where+is+order+48213377&NumMedia=0&status=open"), never},
	} {
		t.Run(c.name, func(t *testing.T) {
			var doc Doc
			if n := leastAllocations(func() {
				if err := doc.Read(c.kind, c.raw, d, c.f, Limits{}); err != nil {
					t.Fatal(err)
				}
				if out := doc.Rewrite(byDefault); len(doc.Findings) > 0 || &out[0] != &c.raw[0] {
					t.Fatal("the body is not clean")
				}
			}); n > 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// What a document is rewritten in is as large as the document, however long the first
// values in it are: room is made for the rest by what was seen.
func TestLongValuesAtTheBegin(t *testing.T) {
	d := newDetector(t)
	tagged := strings.Join(strings.Split("4111111111111111", ""), "<i class='"+strings.Repeat("x", 200)+"'>")
	raw := []byte(`[` + strings.Repeat(`"`+tagged+`",`, 16) + `"` + strings.Repeat("4111111111111111 ", 20000) + `"]`)
	doc, err := Parse(JSON, raw, d, nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Findings) != 20016 {
		t.Fatalf("%d findings", len(doc.Findings))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	doc.Rewrite(byDefault)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16*uint64(len(raw)) {
		t.Errorf("%d bytes for a document of %d", n, len(raw))
	}
}
