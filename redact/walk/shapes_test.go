package walk

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// A string is looked at again when it differs from that of the record before in more
// than the digits of an identifier, or when these may be a card's.
func TestShapes(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for _, c := range []struct {
		name, key, first, second string
		want                     []redact.Class // in the second
	}{
		{"address, other id", "url", "https://acme.example/tickets/4402126792469.json", "https://acme.example/tickets/4402126792470.json", nil},
		{"address, digits of a card behind a sign", "url", "https://acme.example/tickets/4402126792469123.json", "https://acme.example/?card=4111111111111111.jso", []redact.Class{redact.CreditCard}},
		{"a card by itself", "value", "4402126792469123", "4111111111111111", []redact.Class{redact.CreditCard}},
		{"other words", "note", "a delivery of 5 lamps", "my password: hunter22", []redact.Class{redact.Password}},
		{"other words of one length", "note", "please call me back", "please pin 2468 now", []redact.Class{redact.CardPIN}},
		{"no digit where one was", "note", "the lamp 4111 of my", "the lamp four of my", nil},
		{"in words", "note", "the lamp and the chair were sent with the wrong table to ou", "one two three four five six seven eight nine one two three four", nil},
		{"a mail address", "from", "jo1234@example.com", "jo5678@example.com", []redact.Class{redact.Email}},
		{"a mail address, then none", "from", "jo1234@example.com", "jo1234_example.com", nil},
		{"an escape", "note", `lamp \u0034111111111111112 x`, `lamp \u0034111111111111111 x`, []redact.Class{redact.CreditCard}},
		{"an escaped sign becomes a digit", "note", `visa \u00a0111111111111111 x`, `visa \u0034111111111111111 x`, []redact.Class{redact.CreditCard}},
		{"a time", "created_at", "2026-11-22T04:56:21Z", "2025-01-02T03:04:05Z", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			first := fmt.Sprintf(`[{"%s":"%s"},`, c.key, c.first)
			doc, err := Parse(JSON, fmt.Appendf(nil, `%s{"%s":"%s"}]`, first, c.key, c.second), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var got []redact.Class
			for _, f := range doc.Findings {
				if f.Start > len(first) {
					got = append(got, f.Class)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("in the second record %v, want %v", got, c.want)
			}
		})
	}
}

// digitless has zeros for all digits.
func digitless(s string) string {
	return strings.Map(func(r rune) rune {
		if r != ' ' {
			return '0'
		}
		return r
	}, s)
}

// What is found in a record does not depend on those before it.
func TestRecordsOfOneShape(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	r := rand.New(rand.NewPCG(8, 1))
	texts := []string{
		"https://acme.example/api/v2/tickets/0000000000000000.json", "Delivery of order 00000000", "2000-00-00T00:00:00Z", "jo000@example.com", "0000000000000000", "000000000000000", "000-00-0000",
		"my card 0000 0000 0000 0000 is lost", "call +00 000 0000000 or 000-0000", `two lines\nof order 0000000000000`, "order_0000 and 000000", "nothing at all but words", "pin 0000 and 00/00", "10.0.000.00 was here",
	}
	keys := []string{"note", "url", "id", "value", "card", "number", "ssn", "exp"}
	fill := func(text string) string {
		b := []byte(text)
		for i := range b {
			if b[i] == '0' && (i == 0 || b[i-1] != 'u') {
				b[i] = "0123456789411"[r.IntN(13)]
			}
		}
		if r.IntN(3) == 0 { // a card where as many digits stand
			for _, card := range []string{"4111111111111111", "378282246310005", "4111 1111 1111 1111"} {
				if at := strings.Index(text, digitless(card)); at >= 0 {
					copy(b[at:], card)
					break
				}
			}
		}
		return string(b)
	}
	for range 2000 {
		var b strings.Builder
		b.WriteString(`[`)
		key := keys[r.IntN(len(keys))]
		var from []int
		for n := range 2 + r.IntN(6) {
			if n > 0 {
				b.WriteByte(',')
			}
			from = append(from, b.Len())
			value := fill(texts[r.IntN(len(texts))])
			if r.IntN(2) == 0 && n > 0 {
				value = value[:len(value)-1] + "4"
			}
			fmt.Fprintf(&b, `{"%s":"%s","tags":["%s"]}`, key, value, fill(texts[r.IntN(len(texts))]))
		}
		raw := append([]byte(b.String()), ']')
		doc, err := Parse(JSON, raw, d, nil, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var want []redact.Finding
		for i, begin := range from {
			end := len(raw) - 1
			if i+1 < len(from) {
				end = from[i+1] - 1
			}
			one, err := Parse(JSON, raw[begin:end], d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range one.Findings {
				f.Start, f.End = f.Start+begin, f.End+begin
				if f.Path != "" {
					f.Path = fmt.Sprintf("/%d%s", i, f.Path)
				}
				want = append(want, f)
			}
		}
		if !slices.Equal(doc.Findings, want) {
			t.Fatalf("together %+v, one by one %+v", doc.Findings, want)
		}
	}
}
