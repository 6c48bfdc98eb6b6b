package main

import (
	"io"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact/walk"
)

// TestExcerpts are lines around the last finding of a text.
func TestExcerpts(t *testing.T) {
	t.Parallel()
	r, err := newReader("", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("é ", 100)
	for name, c := range map[string]struct {
		text, want   string
		line, column int
	}{
		"alone":               {"4111111111111111", "XXXXXXXXXXXX1111", 1, 1},
		"in its line":         {"one\n two card 4111 1111 1111 1111\t.\nthree", "two card XXXX XXXX XXXX 1111 .", 2, 11},
		"over two lines":      {"card 4111 1111\n1111 1111 ok", "card XXXX XXXX XXXX 1111 ok", 1, 6},
		"far in a long line":  {long + "card 4111111111111111 " + long, "… " + long[len(long)-55:] + "card XXXXXXXXXXXX1111 " + long[:59] + " …", 1, 206},
		"behind another":      {"jo@example.com 4111111111111111", "[email] XXXXXXXXXXXX1111", 1, 16},
		"cut inside another":  {"card 4242 4242 4242 4242 " + strings.Repeat("-", 50) + " 4111111111111111", "… XXXX XXXX XXXX 4242 " + strings.Repeat("-", 50) + " XXXXXXXXXXXX1111", 1, 77},
		"control characters":  {"\x1b[31m 4111111111111111", "\ufffd[31m XXXXXXXXXXXX1111", 1, 7},
		"all of a token":      {"log NDExMTExMTExMTExMTExMSBjYXJk end", "log [credit_card] end", 1, 5},
		"ids that are not it": {`{"order_id":"4111111111111111","b":"card 4242424242424242"}`, `{"order_id":"XXXXXXXXXXXX1111","b":"card XXXXXXXXXXXX4242"}`, 1, 42},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := r.read(walk.Auto, []byte(c.text))
			if err != nil || len(doc.Findings) == 0 {
				t.Fatalf("%v, %d findings", err, len(doc.Findings))
			}
			f := doc.Findings[len(doc.Findings)-1]
			if got := newExcerpts([]byte(c.text), doc.Findings).around(f.Start, f.End); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if line, column := newLineCounter([]byte(c.text)).at(f.Start); line != c.line || column != c.column {
				t.Errorf("at %d:%d, want %d:%d", line, column, c.line, c.column)
			}
		})
	}
}
