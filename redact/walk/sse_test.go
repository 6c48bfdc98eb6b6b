package walk

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestRewriteSSE(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"nothing":             {": hello\n\nid: 4\nevent: add\ndata: {\"a\":1}\ndata\n\nretry: 3000\n\n", ""},
		"text":                {"data: card 4111111111111111\n\n", "data: card XXXXXXXXXXXX1111\n\n"},
		"without the blank":   {"data:4111111111111111\n\n", "data:XXXXXXXXXXXX1111\n\n"},
		"lines of one text":   {"data: 4111 1111\r\ndata:1111 1111\r\n\r\n", "data: XXXX XXXX\r\ndata:XXXX 1111\r\n\r\n"},
		"between the lines":   {"data: 4111 1111\nid: 7\ndata:1111 1111\n\n", "data: XXXX XXXX\nid: 7\ndata:XXXX 1111\n\n"},
		"in escapes, between": {"data: card 41111111&#49;\r\nevent: x\r\ndata: 1111111\r\n\r\n", "data: card XXXXXXXXX\r\nevent: x\r\ndata: XXX1111\r\n\r\n"},
		"carriage returns":    {"data: 4111111111111111\r\rdata: 5555555555554444\r\r", "data: XXXXXXXXXXXX1111\r\rdata: XXXXXXXXXXXX4444\r\r"},
		"two events":          {"data: 4111 1111\n\ndata: 1111 1111\n\n", ""},
		"json":                {"event: m\ndata: {\"id\":\"4111111111111111\",\"ssn\":\"536228145\",\"t\":\"\\u0034111 1111 1111 1111\"}\n\n", "event: m\ndata: {\"id\":\"4111111111111111\",\"ssn\":\"XXX-XX-XXXX\",\"t\":\"XXXX XXXX XXXX 1111\"}\n\n"},
		"json over lines":     {"data: {\"ssn\":\ndata: \"536228145\",\ndata: \"cvv\":\"123\"}\n\n", "data: {\"ssn\":\ndata: \"XXX-XX-XXXX\",\ndata: \"cvv\":\"XXX\"}\n\n"},
		"not json":            {"data: [4111111111111111\n\n", "data: [XXXXXXXXXXXX1111\n\n"},
		"id":                  {"id: card 4111111111111111\n\n", "id: card XXXXXXXXXXXX1111\n\n"},
		"comment":             {": card 4111111111111111\n\n", ": card XXXXXXXXXXXX1111\n\n"},
		"unknown field":       {"x: card 4111111111111111\n\n", "x: card XXXXXXXXXXXX1111\n\n"},
		"no colon":            {"card 4111111111111111\n\n", "card XXXXXXXXXXXX1111\n\n"},
		"byte order mark":     {"\xef\xbb\xbfdata: 4111111111111111\n\n", "\xef\xbb\xbfdata: XXXXXXXXXXXX1111\n\n"},
		"no end":              {"data: 4111111111111111", "data: XXXXXXXXXXXX1111"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want == "" {
				want = c.in
			}
			if got := rewritten(t, SSE, c.in); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			checkDoc(t, SSE, []byte(c.in), newDetector(t))
		})
	}
}

func TestRefusedSSE(t *testing.T) {
	t.Parallel()
	refusals(t, SSE, map[string]refusal{
		"NUL":           {"id: 1\x00\n\n", ReasonSSE, 5},
		"not UTF-8":     {"data: \xff\n\n", ReasonUTF8, 6},
		"same key":      {"id: 1\n\ndata: {\"a\":1,\ndata: \"a\":2}\n\n", ReasonDuplicate, 27},
		"long event":    {"data: x\n\n" + strings.Repeat("data: x\n", 1<<18), ReasonLine, 9},
		"many events":   {strings.Repeat("\n", 100_001), ReasonValues, 100_000},
		"escaped NUL":   {"data: {\"a\":\"\\u0000\"}\n\n", ReasonNUL, 12},
		"half a letter": {"data: {\"a\":\"\\ud800\"}\n\n", ReasonSurrogate, 12},
	})
}

// Whatever is at hand, the same events are found.
func TestEventEnd(t *testing.T) {
	t.Parallel()
	raw := []byte("data: a\n\n\nid: b\r\n\r\ndata: c\r\rdata: d\n\r\ndata: e")
	var want []int
	for i := 0; i < len(raw); {
		i, _ = eventEnd(raw, i, true)
		want = append(want, i)
	}
	var got []int
	from := 0
	for n := range len(raw) + 1 {
		for {
			end, ok := eventEnd(raw[:n], from, n == len(raw))
			if !ok || end == from {
				break
			}
			got = append(got, end)
			from = end
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestStreamSSE(t *testing.T) {
	t.Parallel()
	in := ": hi\n\ndata: 4111 1111\r\ndata: 1111 1111\r\n\r\nid: 4\rdata: {\"ssn\":\ndata: \"536228145\"}\r\rdata: x\n\n\nevent: y\ndata: 5555555555554444"
	d := newDetector(t)
	whole, err := Parse(SSE, []byte(in), d, nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := string(whole.Rewrite(byDefault))
	for a := range len(in) {
		for _, late := range []int{0, 30} {
			var every []int
			for i := a; i < len(in); i += 1 + a {
				every = append(every, i)
			}
			got, found, err := streamed(t, d, SSE, in, late, every...)
			if err != nil || got != want || !same(found, whole.Findings) {
				t.Fatalf("cut from %d on, taken late %d: %v, %q", a, late, err, got)
			}
		}
	}
	var r *Refusal
	if _, _, err := streamed(t, d, SSE, "data: 1\n\ndata: {\"a\":1,\"a\":2}\n\n", 0, 3, 9); !errors.As(err, &r) || r.Reason != ReasonDuplicate || r.Offset != 22 {
		t.Errorf("got %v", err)
	}
	if _, _, err := streamed(t, d, SSE, strings.Repeat("data: x\n", 1<<18), 0); !errors.As(err, &r) || r.Reason != ReasonLine {
		t.Errorf("endless event: got %v", err)
	}
}

func FuzzSSE(f *testing.F) {
	for _, s := range []string{"data: 4111\r\ndata: 1111 1111 1111\r\n\r\n: x\n\n", "data: {\"a\":\ndata: \"4111111111111111\"}\n\n", "id: 4111111111111111\r\r"} {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkDoc(t, SSE, raw, d)
		doc, err := Parse(SSE, raw, d, nil, Limits{})
		if err != nil || bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")) {
			return
		}
		// Events by themselves are what they are in the whole.
		var out []byte
		for i := 0; i < len(raw); {
			end, _ := eventEnd(raw, i, true)
			one, err := Parse(SSE, raw[i:end], d, nil, Limits{})
			if err != nil {
				return // a mark of byte order in the middle
			}
			out = append(out, one.Rewrite(byDefault)...)
			i = end
		}
		if !bytes.Equal(out, doc.Rewrite(byDefault)) {
			t.Fatal("event by event differs from the whole")
		}
	})
}
