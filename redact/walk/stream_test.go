package walk

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// streamed runs in through a stream, cut after the given offsets, and returns
// the output and the findings. What is settled is taken after every write, or
// only when more than late bytes are.
func streamed(t testing.TB, d *detect.Detector, kind Kind, in string, late int, cuts ...int) (string, []redact.Finding, error) {
	t.Helper()
	var out strings.Builder
	var found []redact.Finding
	s, err := NewStream(kind, d, nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	take := func() {
		doc := s.Take()
		if doc == nil {
			return
		}
		for _, f := range doc.Findings {
			f.Start += read
			f.End += read
			found = append(found, f)
		}
		out.Write(doc.Rewrite(byDefault))
		read += len(doc.raw)
	}
	at := 0
	for _, c := range append(cuts, len(in)) {
		if _, err := io.WriteString(s, in[at:c]); err != nil {
			take()
			return out.String(), found, err
		}
		if n, _ := s.Settled(); n > late {
			take()
		}
		at = c
	}
	err = s.Close()
	take()
	return out.String(), found, err
}

// streamTexts hold what is hard to cut: values at the begin and the end, words
// far in front, overlapping candidates, long runs, tracks, wide characters.
var streamTexts = []string{
	"",
	"4111 1111 1111 1111",
	"4111111111111111",
	"hello, my card is 4111 1111 1111 1111 exp 12/26 cvv 123, ssn 536-22-8145.\n",
	"2026 4111 1111 1111 1111 2026",
	"C4RD %B4111111111111111^DOE/JANE^26121010000000000000? ;4111111111111111=26121010000012345?",
	"ssn of the customer as written on the form: 536228145; order 4111111111111111; \u00e9\u20ac\U0001f600 5555\u00a05555\u00a05555\u00a04444",
	strings.Repeat("4", 3000) + " 4111111111111111 " + strings.Repeat("0 1 ", 700),
	strings.Repeat("4 ", 900) + "card 4111-1111-1111-1111",
	strings.Repeat("word ", 400) + "4111111111111111" + strings.Repeat(" word", 400),
	"4111111111111111 is my order number, and 4242424242424242 is my card",
	strings.Repeat("4111 1111 1111 1111 ", 80),
	strings.Repeat("536-22-8145 ", 120),
	strings.Repeat("4111\u00a01111\u00a0", 200),
	"DE89 3704 0044 0532 0130 00 and GB29 NWBK 6016 1331 9268 19",
	"%B %B ;;; %B4111111111111111 ;4111111111111111",
	// A chain of groups that is longer than what is looked at: numbers of other kinds in it.
	strings.Repeat("34313131313131313131313131313131 ", 12) + strings.Repeat("nothing here ", 70),
	"DE89370400440532013000 DE89370400440532 013000" + strings.Repeat(" 1", 120) + strings.Repeat(" nothing here", 70),
	// Spoken numbers behind digits no number has, and behind words that are no number.
	"eleven 4" + strings.Repeat(" 1 1 1 1 2 4 1 1 1 1 1 1 1 1 1 1", 4) + " 1 1 1 1 " + strings.Repeat("67313200", 35) + "6" + spokenCard + strings.Repeat(" nothing here", 70),
	strings.Repeat("5678901234", 45) + "56789four um card four four four four " + strings.Repeat("1.", 105) + " " + strings.Repeat("17230=34536228145", 28) + strings.Repeat("<b>", 17) + strings.Repeat("4 four ", 33),
	// A spoken number that goes on in a mark.
	"for four four four card" + strings.Repeat(" four", 4) + " card" + strings.Repeat(" four", 4) + " card" + strings.Repeat(" four", 4) + ` |\u0031\u0032\u0020` + strings.Repeat(" nothing here", 75),
	// Spoken numbers far behind others, with nothing but hyphens between.
	" o one one owgc2lldGU" + strings.Repeat(" nothing here", 10) + " 20" + strings.Repeat("-", 250) + "\u00a0for nine six three uh four four three three uh nine two one six uh six eight six three," + strings.Repeat(" nothing here", 80),
	// What the text says by itself and in a view.
	"8 1 0 7 8 3 8 6 7|3422\u2013021808\u201381095_&#52;  frau.holle@" + strings.Repeat(" nothing here", 75),
}

// spokenCard is 4111 1111 1111 1111.
var spokenCard = "four" + strings.Repeat(" one", 15)

func TestStreamEqualsWhole(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for n, in := range streamTexts {
		doc, err := Parse(Text, []byte(in), d, nil, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		want := string(doc.Rewrite(byDefault))
		step := 1 + len(in)/500
		for cut := 0; cut <= len(in); cut += step {
			got, found, err := streamed(t, d, Text, in, cut%2*100, cut)
			if err != nil || got != want || !same(found, doc.Findings) {
				t.Fatalf("text %d cut at %d: %v, or the output differs", n, cut, err)
			}
		}
		var every []int
		for i := 1; i < len(in); i++ {
			every = append(every, i)
		}
		if got, found, err := streamed(t, d, Text, in, n%3*200, every...); err != nil || got != want || !same(found, doc.Findings) {
			t.Errorf("text %d, byte by byte: %v, or the output differs", n, err)
		}
	}
}

// same compares findings, but for their units, which are counted in each
// document.
func same(a, b []redact.Finding) bool {
	return slices.EqualFunc(a, b, func(a, b redact.Finding) bool {
		a.Unit, b.Unit = 0, 0
		return a == b
	})
}

func TestStreamLines(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	in := "{\"a\":\"4111111111111111\"}\n\n{\"id\":4111111111111111}\r\n  {\"ssn\":\"536228145\"}"
	want := "{\"a\":\"XXXXXXXXXXXX1111\"}\n\n{\"id\":4111111111111111}\r\n  {\"ssn\":\"XXX-XX-XXXX\"}"
	for cut := range len(in) {
		got, found, err := streamed(t, d, NDJSON, in, cut%2*30, cut)
		if err != nil || got != want {
			t.Fatalf("cut at %d: %v, got %s", cut, err, got)
		}
		if len(found) != 3 || in[found[2].Start:found[2].End] != "536228145" {
			t.Fatalf("cut at %d: findings %+v", cut, found)
		}
	}
	var r *Refusal
	if _, _, err := streamed(t, d, NDJSON, "{}\n{\"a\":1,\"a\":2}\n", 0); !errors.As(err, &r) || r.Reason != ReasonDuplicate || r.Offset != 10 {
		t.Errorf("duplicate in the second line: got %v", err)
	}
	if _, _, err := streamed(t, d, NDJSON, strings.Repeat(" ", 1<<20+1), 0); !errors.As(err, &r) || r.Reason != ReasonLine {
		t.Errorf("long line: got %v", err)
	}
	if _, _, err := streamed(t, d, Text, "abc\xe2\x82", 0); !errors.As(err, &r) || r.Reason != ReasonUTF8 || r.Offset != 3 {
		t.Errorf("torn character at the end: got %v", err)
	}
	if _, err := NewStream(JSON, newDetector(t), nil, Limits{}); err == nil {
		t.Error("JSON is not streamed")
	}
}

// What is held back stays small on any input.
func TestStreamMemory(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]string{
		"digits": "4", "digits and blanks": "4 ", "prose": "hello there ", "wide": "\u20ac",
		"cards": "4111 1111 1111 1111 ", "no-break": "4\u00a0", "percent": "%B",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := NewStream(Text, newDetector(t), nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for range 40 {
				if _, err := io.WriteString(s, strings.Repeat(piece, 4000)); err != nil {
					t.Fatal(err)
				}
				s.Take()
				if held := len(s.buf) - s.taken; held > 2048 {
					t.Fatalf("%d bytes held back", held)
				}
			}
			if cap(s.buf) > 1<<18 {
				t.Errorf("buffer of %d bytes", cap(s.buf))
			}
		})
	}
}

// A document taken from the middle of NDJSON is edited like any other: its
// captures, units and masked values are those of its lines.
func TestStreamLineUnits(t *testing.T) {
	t.Parallel()
	fields, err := Compile([]Rule{{Pointer: "/id", Label: "record:ticket", Flags: Wanted}, {Pointer: "/note", Flags: Overwrite}})
	if err != nil {
		t.Fatal(err)
	}
	in := "{\"id\":\"a\",\"d\":\"4111111111111111\"}\n{\"id\":\"b\"}\n{\"note\":\"XXXX XXXX XXXX 1111\",\"id\":\"c\",\"d\":\"536-22-8145\"}\n"
	whole, err := Parse(NDJSON, []byte(in), newDetector(t), fields, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStream(NDJSON, newDetector(t), fields, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var parts []*Doc
	for _, piece := range []string{in[:40], in[40:60], in[60:]} {
		if _, err := io.WriteString(s, piece); err != nil {
			t.Fatal(err)
		}
		if len(parts) == 0 { // the rest is taken as one
			parts = append(parts, s.Take())
			check(t, parts[0], "a=1", "1", "")
		}
	}
	check(t, s.Take(), "b=1 c=2", "2", "{\"id\":\"c\",\"d\":\"536-22-8145\"}")
	check(t, whole, "a=1 b=2 c=3", "1 3", "{\"id\":\"c\",\"d\":\"536-22-8145\"}")
}

// check looks at the ids that were captured with their units, the units of the
// findings, and what is left of the last line without its masked member.
func check(t *testing.T, doc *Doc, ids, units, last string) {
	t.Helper()
	var got, of []string
	for _, c := range doc.Captures {
		if c.Label != "" {
			got = append(got, fmt.Sprintf("%s=%d", doc.Value(c), c.Unit))
		}
	}
	for _, f := range doc.Findings {
		of = append(of, fmt.Sprint(f.Unit))
	}
	if strings.Join(got, " ") != ids || strings.Join(of, " ") != units {
		t.Errorf("got ids %v, findings of units %v; want %s, %s", got, of, ids, units)
	}
	edits, elsewhere := doc.MaskedWrites()
	out := doc.Rewrite(func(redact.Finding) redact.Action { return redact.Report }, edits...)
	if lines := strings.Split(strings.TrimSpace(string(out)), "\n"); elsewhere != 0 || last != "" && lines[len(lines)-1] != last {
		t.Errorf("without the masked member: got %s, want %s; %d elsewhere", lines[len(lines)-1], last, elsewhere)
	}
}

// The stream ends with the first error; what was settled before can be taken.
func TestStreamError(t *testing.T) {
	t.Parallel()
	s, err := NewStream(NDJSON, newDetector(t), nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var r *Refusal
	if _, err := io.WriteString(s, "{}\n{\"a\":\"4111111111111111\"]\n{}\n"); !errors.As(err, &r) || r.Reason != ReasonSyntax {
		t.Errorf("write: %v", err)
	}
	if doc := s.Take(); doc == nil || string(doc.raw) != "{}\n" || len(doc.Findings) != 0 {
		t.Errorf("before the error: %+v", doc)
	}
	if _, err := io.WriteString(s, "{}\n"); !errors.As(err, &r) {
		t.Errorf("second write: %v", err)
	}
	if err := s.Close(); !errors.As(err, &r) {
		t.Errorf("close: %v", err)
	}
}
