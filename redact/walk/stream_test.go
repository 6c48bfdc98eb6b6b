package walk

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// streamed runs in through a stream, cut after the given offsets, and returns
// the output and the findings.
func streamed(t testing.TB, kind Kind, in string, cuts ...int) (string, []redact.Finding, error) {
	t.Helper()
	var out strings.Builder
	var found []redact.Finding
	s, err := NewStream(kind, func(p []byte, f []redact.Finding) error {
		out.Write(p)
		found = append(found, f...)
		return nil
	}, newDetector(t), nil, Limits{}, byDefault)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, c := range append(cuts, len(in)) {
		if _, err := io.WriteString(s, in[at:c]); err != nil {
			return out.String(), found, err
		}
		at = c
	}
	err = s.Close()
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
}

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
			got, found, err := streamed(t, Text, in, cut)
			if err != nil || got != want || !same(found, doc.Findings) {
				t.Fatalf("text %d cut at %d: %v, or the output differs", n, cut, err)
			}
		}
		var every []int
		for i := 1; i < len(in); i++ {
			every = append(every, i)
		}
		if got, found, err := streamed(t, Text, in, every...); err != nil || got != want || !same(found, doc.Findings) {
			t.Errorf("text %d, byte by byte: %v, or the output differs", n, err)
		}
	}
}

func same(a, b []redact.Finding) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestStreamLines(t *testing.T) {
	t.Parallel()
	in := "{\"a\":\"4111111111111111\"}\n\n{\"id\":4111111111111111}\r\n  {\"ssn\":\"536228145\"}"
	want := "{\"a\":\"XXXXXXXXXXXX1111\"}\n\n{\"id\":4111111111111111}\r\n  {\"ssn\":\"XXX-XX-XXXX\"}"
	for cut := range len(in) {
		got, found, err := streamed(t, NDJSON, in, cut)
		if err != nil || got != want {
			t.Fatalf("cut at %d: %v, got %s", cut, err, got)
		}
		if len(found) != 3 || in[found[2].Start:found[2].End] != "536228145" {
			t.Fatalf("cut at %d: findings %+v", cut, found)
		}
	}
	var r *Refusal
	if _, _, err := streamed(t, NDJSON, "{}\n{\"a\":1,\"a\":2}\n"); !errors.As(err, &r) || r.Reason != ReasonDuplicate || r.Offset != 10 {
		t.Errorf("duplicate in the second line: got %v", err)
	}
	if _, _, err := streamed(t, NDJSON, strings.Repeat(" ", 1<<20+1)); !errors.As(err, &r) || r.Reason != ReasonLine {
		t.Errorf("long line: got %v", err)
	}
	if _, _, err := streamed(t, Text, "abc\xe2\x82"); !errors.As(err, &r) || r.Reason != ReasonUTF8 || r.Offset != 3 {
		t.Errorf("torn character at the end: got %v", err)
	}
	if _, err := NewStream(JSON, nil, newDetector(t), nil, Limits{}, byDefault); err == nil {
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
			s, err := NewStream(Text, func([]byte, []redact.Finding) error { return nil }, newDetector(t), nil, Limits{}, byDefault)
			if err != nil {
				t.Fatal(err)
			}
			for range 40 {
				if _, err := io.WriteString(s, strings.Repeat(piece, 4000)); err != nil {
					t.Fatal(err)
				}
				if held := len(s.buf); held > 2048 {
					t.Fatalf("%d bytes held back", held)
				}
			}
			if cap(s.buf) > 1<<18 {
				t.Errorf("buffer of %d bytes", cap(s.buf))
			}
		})
	}
}

// The stream ends with the first error, of the sink too.
func TestStreamError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s, err := NewStream(Text, func([]byte, []redact.Finding) error { return broken }, newDetector(t), nil, Limits{}, byDefault)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(s, "hello there"); !errors.Is(err, broken) {
		t.Errorf("write: %v", err)
	}
	if err := s.Close(); !errors.Is(err, broken) {
		t.Errorf("close: %v", err)
	}
}
