package detect

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pattern, text, want string }{
		{"ORD-########", "see ORD-12345678.", "ORD-12345678"},
		{"ORD-########", "see ORD-123456789, XORD-12345678, ORD-12345678a, ord-12345678", ""},
		{"[A-C]{2}#{3,5}", "AB1234 and BC12 and CC123456", "AB1234"},
		{"P#{2,4}-?{2}", "P1234-a1 P12-zz P1-zz P12345-zz", "P1234-a1,P12-zz"},
		{"X#{1,3}Y#{1,3}", "X12Y3 X1Y123 XY1", "X12Y3,X1Y123"},
		{"35#############", "imei 353916052893450", "353916052893450"},
		{`\#A####`, "#A1234 and A1234", "#A1234"},
		{"CUST ####", "CUST 1234", "CUST 1234"},
		{"[0-9A-F]{8}-Q", "00AF12EE-Q", "00AF12EE-Q"},
	} {
		p, err := compilePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		var got []string
		for i := range len(c.text) {
			if end := p.end([]byte(c.text), i); end > 0 && patternBegin([]byte(c.text), i) {
				got = append(got, c.text[i:end])
			}
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("%s in %q: got %q, want %q", c.pattern, c.text, got, c.want)
		}
	}
	for _, bad := range []string{"", "###", "A*", "A+1234", "(ab)cd", "[Z-A]123", "[", "#{0,4}abcd", "#{4,2}abcd", "#{99}", "abc{", "é1234", `abcd\`, "#{40}#{40}"} {
		if _, err := compilePattern(bad); err == nil {
			t.Errorf("pattern %q is taken", bad)
		}
	}
}

// slowEnd is pattern.end as a search over all ways to read a pattern.
func slowEnd(sets [][2]uint64, low, high []int, t []byte, i int) int {
	best := 0
	var try func(k, at int)
	try = func(k, at int) {
		if k == len(sets) {
			if at == len(t) || !isWordByte(t[at]) && t[at] != '_' {
				best = max(best, at)
			}
			return
		}
		for n := 0; n <= high[k]; n++ {
			if n >= low[k] {
				try(k+1, at+n)
			}
			if at+n == len(t) || t[at+n] >= 0x80 || sets[k][t[at+n]>>6]>>(t[at+n]&63)&1 == 0 {
				return
			}
		}
	}
	try(0, i)
	return best
}

// FuzzPattern: a pattern is refused or matches as the slow reading of it does.
func FuzzPattern(f *testing.F) {
	f.Add("ORD-########", "ORD-12345678")
	f.Add("[A-C]{2}#{3,5}?{1,2}", "AB1234x")
	f.Add(`\\#{1,2}#{1,2}#{1,2}`, `\123`)
	f.Fuzz(func(t *testing.T, src, text string) {
		p, err := compilePattern(src)
		if err != nil || len(text) > 40 || len(src) > 40 {
			return
		}
		var sets [][2]uint64
		var lows, highs []int
		elements := 1
		for i := 0; i < len(src); {
			var set [2]uint64
			next, _, err := patternSet(src, i, &set)
			if err != nil {
				t.Fatal(err)
			}
			low, high := 1, 1
			if next < len(src) && src[next] == '{' {
				if next, low, high, err = patternCount(src, next); err != nil {
					t.Fatal(err)
				}
			}
			sets, lows, highs = append(sets, set), append(lows, low), append(highs, high)
			if elements *= high - low + 1; elements > 1<<12 {
				return
			}
			i = next
		}
		for i := range len(text) {
			if got, want := p.end([]byte(text), i), slowEnd(sets, lows, highs, []byte(text), i); got != want {
				t.Fatalf("%q in %q at %d: ends at %d, slowly at %d", src, text, i, got, want)
			}
		}
	})
}

func TestTerms(t *testing.T) {
	t.Parallel()
	d, err := New(Config{Terms: []string{"Project Falcon", "falcon", "acme", "Zoë", "秘密", "naïve plan", "a b", "a b c", "ÄRGER"}})
	if err != nil {
		t.Fatal(err)
	}
	only := map[redact.Class]bool{redact.Blocklist: true}
	for _, want := range []string{
		"about ⟦blocklist|project  Falcon⟧, please",
		"⟦blocklist|PROJECT\nFALCON⟧ ⟦blocklist|project\x10falcon⟧",
		"the ⟦blocklist|falcon⟧ flies, falcons do not, nor does falconry",
		"⟦blocklist|Acme⟧-⟦blocklist|ACME⟧ acmes macme acme_1",
		"⟦blocklist|zoë⟧ and ⟦blocklist|ZOË⟧ but not Zoëlla",
		"这是⟦blocklist|秘密⟧文件",
		"⟦blocklist|a b c⟧ d ⟦blocklist|a b⟧ d",
		"so viel ⟦blocklist|Ärger⟧!",
		"nothing here",
		"⟦blocklist|project" + strings.Repeat(" ", maxStretch-13) + "falcon⟧",
		"project" + strings.Repeat(" ", maxStretch-12) + "⟦blocklist|falcon⟧", // too far apart for a phrase
	} {
		text := unmark(want)
		if got := mark(text, d.Text(nil, []byte(text), Hint{}), only); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	for _, bad := range []string{"", "a", " ", "  b ", strings.Repeat("x", maxTerm+1)} {
		if _, err := New(Config{Terms: []string{bad}}); err == nil {
			t.Errorf("a term of %d bytes is taken", len(bad))
		}
	}
}

// FuzzTerms: the automaton finds what looking for every term by itself finds, in
// pieces as in the whole.
func FuzzTerms(f *testing.F) {
	f.Add("acme|ac me|me", "the acme  ac me ME")
	f.Add("é é|é", "É é")
	f.Add("ac me", "AC\x10me, ac \x00me")
	f.Fuzz(func(t *testing.T, list, text string) {
		var words []string
		for _, w := range strings.Split(list, "|") {
			if w = foldTerm(w); len([]rune(w)) >= minTerm && len(w) <= maxTerm && strings.ToValidUTF8(w, "") == w {
				words = append(words, w)
			}
		}
		a, err := compileTerms(words)
		if err != nil || a == nil || strings.ToValidUTF8(text, "") != text {
			return
		}
		spans := func(from, to int) map[string]bool {
			out := map[string]bool{}
			a.find([]byte(text), from, to, func(start, end int) {
				if foldTerm(text[start:end]) == "" || !strings.Contains("|"+strings.Join(words, "|")+"|", "|"+foldTerm(text[start:end])+"|") {
					t.Fatalf("%q is no term of %q", text[start:end], words)
				}
				out[fmt.Sprint(start, end)] = true
			})
			return out
		}
		whole := spans(0, len(text))
		cut := rand.New(rand.NewPCG(uint64(len(text)), 1)).IntN(len(text) + 1)
		for cut < len(text) && text[cut]&0xC0 == 0x80 {
			cut++
		}
		parts := spans(0, cut)
		for s := range spans(cut, len(text)) {
			parts[s] = true
		}
		if len(parts) != len(whole) {
			t.Fatalf("%d in parts, %d in the whole", len(parts), len(whole))
		}
	})
}

func TestFindPatterns(t *testing.T) {
	t.Parallel()
	d, err := New(Config{Find: []Find{{"PAY-########", redact.PaymentReference}, {"77########", redact.Blocklist}}})
	if err != nil {
		t.Fatal(err)
	}
	only := map[redact.Class]bool{redact.Blocklist: true, redact.PaymentReference: true}
	for _, want := range []string{"refund ⟦payment_reference|PAY-12345678⟧ now", "⟦blocklist|7712345678⟧", "id ⟦blocklist|7712345678⟧ and 7812345678, PAY-1234"} {
		text := unmark(want)
		if got := mark(text, d.Text(nil, []byte(text), Hint{}), only); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	for _, text := range []string{"7712345678", "id 77123456", "jo@example.com", "open"} {
		if _, sure := d.Quick(nil, []byte(text), 0); sure {
			t.Errorf("%q was known at a glance, with patterns to find", text)
		}
	}
	for _, bad := range []Find{{"########", redact.Blocklist}, {"[A-Z]####", redact.Blocklist}, {"PAY-####", redact.CreditCard}, {"PAY-####", ""}} {
		if _, err := New(Config{Find: []Find{bad}}); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	d, err := New(Config{Allow: []Allow{
		{Pattern: "6006############", Classes: []redact.Class{redact.CreditCard}},
		{Pattern: "40128888########"},
		{Pattern: "################", Field: "loyalty_*"},
		{Term: "Support@Example.com"},
		{Field: "*_ip", Classes: []redact.Class{redact.IPAddress}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, key, text string
		want            int
	}{
		{"another card", "", "card 4111111111111111", 1},
		{"a pattern around the number", "", "card 4012888888881881", 0},
		{"a pattern in its field", "loyalty_number", "my card 4111111111111111", 0},
		{"the same outside", "note", "my card 4111111111111111", 1},
		{"a term in any case", "", "write to support@example.COM", 0},
		{"part of another value", "", "write to x.support@example.com", 1},
		{"a field for its class", "client_ip", "203.0.113.42", 0},
		{"a field for another class", "client_ip", "jo@example.com", 1},
		{"another field", "client_ips", "203.0.113.42", 1},
	} {
		n := 0
		for _, f := range d.Text(nil, []byte(c.text), Hint{Key: c.key}) {
			if !f.Never || f.Strong {
				n++
			}
		}
		if n != c.want {
			t.Errorf("%s: %d findings, want %d", c.name, n, c.want)
		}
	}
	for _, bad := range []Allow{{}, {Pattern: "################"}, {Field: "*"}, {Field: "a*b"}, {Pattern: "#"}} {
		if _, err := New(Config{Allow: []Allow{bad}}); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// TestManyTerms: tens of thousands of terms are compiled and found, and a stream
// finds what the whole does.
func TestManyTerms(t *testing.T) {
	t.Parallel()
	var list []string
	for i := range 30000 {
		list = append(list, fmt.Sprintf("term %dx%d", i*7919, i))
	}
	d, err := New(Config{Terms: list})
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat("some words, then term 7919x1 and more of them; ", 200))
	whole := d.Text(nil, text, Hint{})
	if len(whole) != 200 {
		t.Errorf("%d findings, want 200", len(whole))
	}
	if got := streamedText(d, text, rand.New(rand.NewPCG(1, 2))); len(got) != len(whole) {
		t.Errorf("%d findings in the stream, %d in the whole", len(got), len(whole))
	}
}
