package walk

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Names that come twice are refused whether or not the records before had them in
// the same order.
func TestNamesOfRecords(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	f := compile(t, Rule{Pointer: "/*/text", Flags: Wanted})
	var many strings.Builder
	for i := range 200 {
		fmt.Fprintf(&many, `"name%d":0,`, i)
	}
	for name, c := range map[string]struct {
		in, reason string
	}{
		"same order":              {`[{"a":1,"b":2,"c":3},{"a":1,"b":2,"c":3}]`, ""},
		"other order":             {`[{"a":1,"b":2,"c":3},{"c":1,"a":2,"b":3}]`, ""},
		"some left out":           {`[{"a":1,"b":2,"c":3},{"a":1,"c":3},{"b":1},{}]`, ""},
		"one more":                {`[{"a":1,"c":3},{"a":1,"b":2,"c":3},{"a":1,"b":2,"c":3,"d":4}]`, ""},
		"nested, the same names":  {`[{"a":{"a":{"a":1}}},{"a":{"a":{"a":1,"b":1}},"b":1}]`, ""},
		"long names, alike":       {`[{"a_long_name_of_a_field_1":1},{"a_long_name_of_a_field_2":1},{"a_long_name_of_b_field_1":1,"a_long_name_of_a_field_1":1}]`, ""},
		"many names":              {"[{" + many.String() + `"z":0},{` + many.String() + `"z":0}]`, ""},
		"twice, expected":         {`[{"a":1,"b":2},{"a":1,"a":2}]`, ReasonDuplicate},
		"twice, behind others":    {`[{"a":1,"b":2,"c":3},{"a":1,"b":2,"c":3,"a":4}]`, ReasonDuplicate},
		"twice, other order":      {`[{"a":1,"b":2},{"b":1,"a":2,"b":3}]`, ReasonDuplicate},
		"twice, one left out":     {`[{"a":1,"b":2,"c":3},{"b":1,"c":3,"b":3}]`, ReasonDuplicate},
		"twice, a new one":        {`[{"a":1},{"a":1,"b":2,"b":3}]`, ReasonDuplicate},
		"twice, in the first":     {`[{"a":1,"b":2,"a":3}]`, ReasonDuplicate},
		"twice, with an escape":   {`[{"a":1,"b":2},{"a":1,"b":2,"\u0061":2}]`, ReasonDuplicate},
		"twice, many names":       {"[{" + many.String() + `"z":0},{` + many.String() + `"name3":0}]`, ReasonDuplicate},
		"twice, of eight letters": {`[{"abcdefgh":1,"abcdefg":2},{"abcdefgh":1,"abcdefg":2,"abcdefgh":3}]`, ReasonDuplicate},
		"other case":              {`[{"a":1},{"a":1,"A":2}]`, ""},
		"other case, known":       {`[{"text":1},{"text":1,"Text":2}]`, ReasonAmbiguous},
		"other case, in turn":     {`[{"Text":1},{"text":1}]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(JSON, []byte(c.in), d, f, Limits{})
			got := ""
			if r := refusalOf(err); r != nil {
				got = r.Reason
			}
			if got != c.reason {
				t.Errorf("refused with %q, want %q", got, c.reason)
			}
		})
	}
}

// Records of a few names in any order: the first that comes twice is refused, at its
// place, and paths are those of the names that stand there.
func TestNamesInAnyOrder(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	names := []string{"id", "url", "requester_id", "created_at", "subject", "a_rather_long_name_of_a_field", "ID", "x", "card", "ü", "n\\u0061me"}
	r := rand.New(rand.NewPCG(1, 9))
	for range 3000 {
		var b strings.Builder
		var paths []string
		twice := -1
		b.WriteByte('[')
		for n := range 1 + r.IntN(4) {
			if n > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('{')
			order, seen := r.Perm(len(names)), map[string]bool{}
			if r.IntN(3) > 0 {
				for i := range order {
					order[i] = i
				}
			}
			for i, k := range order[:r.IntN(len(names))] {
				if i > 0 {
					b.WriteByte(',')
				}
				if r.IntN(40) == 0 {
					k = order[r.IntN(i+1)]
				}
				if seen[names[k]] && twice < 0 {
					twice = b.Len()
				}
				seen[names[k]] = true
				fmt.Fprintf(&b, `"%s":"card 4111 1111 1111 1111"`, names[k])
				paths = append(paths, fmt.Sprintf("/%d/%s", n, strings.ReplaceAll(names[k], "\\u0061", "a")))
			}
			b.WriteByte('}')
		}
		b.WriteByte(']')
		doc, err := Parse(JSON, []byte(b.String()), d, nil, Limits{})
		if twice >= 0 {
			if r := refusalOf(err); r == nil || r.Reason != ReasonDuplicate || r.Offset != int64(twice) {
				t.Fatalf("%s: %v, want a name twice at %d", b.String(), err, twice)
			}
			continue
		}
		if err != nil || len(doc.Findings) != len(paths) {
			t.Fatalf("%s: %v", b.String(), err)
		}
		for i, f := range doc.Findings {
			if f.Path != paths[i] {
				t.Fatalf("%s: finding %d at %s, want %s", b.String(), i, f.Path, paths[i])
			}
		}
	}
}

// A text that a document repeats has the same findings at each of its places, and
// others where the name beside it says so.
func TestRepeatedTexts(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	texts := []string{
		`my card is 4111 1111 1111 1111 and my phone 212-555-0147`, `my card is \u0034111 1111 1111 1111\nthanks`, `call +49 151 23456789, SSN 536-22-8145`,
		`nothing with order 48213377, once 59.90`, `4111111111111111 and more`,
	}
	keys := []string{"note", "id", "subject", "ticket_id", "card"}
	alone := map[string]string{}
	shape := func(doc *Doc, from, to, base int) string {
		var b strings.Builder
		for _, f := range doc.Findings {
			if f.Start >= from && f.End <= to {
				fmt.Fprintf(&b, "%s %d-%d %v %v %s; ", f.Class, f.Start-base, f.End-base, f.Never, f.Strong, f.Rule)
			}
		}
		return b.String()
	}
	for _, key := range keys {
		for _, text := range texts {
			in := fmt.Sprintf(`{"%s":"%s"}`, key, text)
			doc, err := Parse(JSON, []byte(in), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			alone[key+text] = shape(doc, 0, len(in), strings.Index(in, ":"))
		}
	}
	r := rand.New(rand.NewPCG(2, 2))
	type place struct {
		key, text  string
		from, base int
	}
	var b strings.Builder
	var places []place
	b.WriteByte('[')
	for n := range 400 {
		if n > 0 {
			b.WriteByte(',')
		}
		p := place{key: keys[r.IntN(len(keys))], text: texts[r.IntN(len(texts))], from: b.Len()}
		p.base = b.Len() + len(p.key) + 3
		fmt.Fprintf(&b, `{"%s":"%s"}`, p.key, p.text)
		places = append(places, p)
	}
	b.WriteByte(']')
	doc, err := Parse(JSON, []byte(b.String()), d, nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range places {
		end := b.Len()
		if i+1 < len(places) {
			end = places[i+1].from
		}
		if got, want := shape(doc, p.from, end, p.base), alone[p.key+p.text]; got != want {
			t.Fatalf("text %d beside %s: got %q, alone %q", i, p.key, got, want)
		}
	}
}
