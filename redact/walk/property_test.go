package walk

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caregate/caregate/redact"
)

// care generates text of the kind that gives a detector trouble: numbers, parts
// of numbers, separators and the words that decide about them, in any order.
func care() *rapid.Generator[string] {
	part := rapid.OneOf(
		rapid.SampledFrom([]string{
			"4111 1111 1111 1111", "4111111111111111", "5555-5555-5555-4444", "3782 822463 10005", "378282246310005", "6200000000000005", "4222222222222",
			"6212345678900000003", "536-22-8145", "536 22 8145", "536228145", "911-70-1234", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "41 11 11 11 11 11 11 11",
			"4242 4242", "4242", "1111", "4111", "5555", "123", "1234", "12/26", "12", "0", "4", "2026", "999999", "00000000000000000000",
			"%B4111111111111111^DOE/JANE^26121010000000000000?", ";4111111111111111=26121010000012345?", "=", "^", "?", "D", ";", "%B",
			"DE89370400440532013000", "a716-446655440000", "XXXX", "XXX-XX-XXXX", "XXXXXXXXXXXX1111",
		}),
		rapid.SampledFrom([]string{" ", " ", " ", "-", ".", "\n", "\r\n", "\t", "  ", " - ", ",", ", ", "/", "_", ":", ": ", "|", "*", "\u00a0", "\u2009", "\u2013", "\u200b", "#", "+", "$", "@", "(", ")", "\"", "\\"}),
		rapid.SampledFrom([]string{
			"card", "card number is", "visa", "exp", "cvv", "cvv is", "security code", "digits on the back", "pin", "pin is", "ssn", "social security", "order", "order number",
			"tracking", "imei", "phone", "gift card", "is my order", "is my card", "https://x.example/", "id=", "card=", "a", "x", "hello", "\u00e9", "カード", "e4",
		}),
		rapid.StringMatching(`[0-9]{1,5}`),
	)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(part, 1, 24).Draw(t, "parts"), "")
	})
}

// Rewriting leaves nothing that would be rewritten again, and whatever is cut
// out of it, the stream gives what the whole gives.
func TestTextProperties(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(care().Draw(t, "text"))
		doc, err := Parse(Text, raw, d, nil, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		out := doc.Rewrite(byDefault)
		again, err := Parse(Text, out, d, nil, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range again.Findings {
			t.Fatalf("found in the output: %+v\n%q\n%q", f, raw, out)
		}
		var streamedOut bytes.Buffer
		s, err := NewStream(Text, func(p []byte, _ []redact.Finding) error { streamedOut.Write(p); return nil }, d, nil, Limits{}, byDefault)
		if err != nil {
			t.Fatal(err)
		}
		// Far enough apart that context is cut off between.
		pad := strings.Repeat("lorem ipsum ", 120)
		text := pad + string(raw) + pad + string(raw) + pad
		want, err := Parse(Text, []byte(text), d, nil, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for rest := text; rest != ""; {
			n := min(len(rest), rapid.IntRange(1, 700).Draw(t, "piece"))
			if _, err := io.WriteString(s, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(streamedOut.Bytes(), want.Rewrite(byDefault)) {
			t.Fatalf("the stream differs from the whole for %q", raw)
		}
	})
}

// The same text as JSON, in any mix of escapes, is rewritten to the same text.
func TestJSONProperties(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	rapid.Check(t, func(t *rapid.T) {
		text := care().Draw(t, "text")
		key := rapid.SampledFrom([]string{"text", "id", "ssn", "cardNumber", "value", "order_id", "cvv"}).Draw(t, "key")
		var b bytes.Buffer
		b.WriteString(`{"a":[{"` + key + `":"`)
		for _, r := range text {
			switch {
			case r < 0x10000 && rapid.IntRange(0, 9).Draw(t, "escape") == 0:
				b.WriteString(`\u`)
				for shift := 12; shift >= 0; shift -= 4 {
					b.WriteByte("0123456789abCDEF"[r>>shift&15])
				}
			default:
				q, _ := json.Marshal(string(r))
				b.Write(q[1 : len(q)-1])
			}
		}
		b.WriteString("\"\n} , 12345]}")
		doc, err := Parse(JSON, b.Bytes(), d, nil, Limits{})
		if err != nil {
			t.Fatalf("%v: %s", err, b.Bytes())
		}
		plainText, _ := json.Marshal(map[string][]map[string]string{"a": {{key: text}}})
		plainDoc, err := Parse(JSON, plainText, d, nil, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		out, plainOut := doc.Rewrite(byDefault), plainDoc.Rewrite(byDefault)
		var got, want map[string][]any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("the output is no JSON: %v", err)
		}
		if err := json.Unmarshal(plainOut, &want); err != nil {
			t.Fatalf("the output is no JSON: %v", err)
		}
		if g, w := got["a"][0].(map[string]any)[key], want["a"][0].(map[string]any)[key]; g != w {
			t.Fatalf("escaped %q, plain %q", g, w)
		}
		if doc.Findings == nil && !bytes.Equal(out, b.Bytes()) {
			t.Fatal("changed without a finding")
		}
	})
}
