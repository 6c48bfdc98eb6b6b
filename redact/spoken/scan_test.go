package spoken

import (
	"strings"
	"testing"
)

// luhnJudge wants Visa, Mastercard and American Express with a right check
// digit, nine digits behind "social" and three behind "code".
type luhnJudge struct {
	text  string
	found []string
	start []int
}

func (j *luhnJudge) Begins(f uint32) bool {
	return f/100 == 4 || f/10 >= 51 && f/10 <= 55 || f/10 == 34 || f/10 == 37
}

func (j *luhnJudge) Fits(first8 uint32, digits int, luhn bool) bool {
	f := first8 / 1e5
	return luhn && j.Begins(f) && (digits == 16 && f/100 >= 4 || digits == 15 && f/100 == 3)
}

func (j *luhnJudge) Named(at int) bool {
	return strings.Contains(strings.ToLower(j.text[max(0, at-64):at]), "card")
}

func (j *luhnJudge) Short(at, digits int) bool {
	before := strings.ToLower(j.text[max(0, at-64):at])
	if digits == 9 {
		return strings.Contains(before, "social")
	}
	return strings.Contains(before, "code") || strings.Contains(before, "digits on the back")
}

func (j *luhnJudge) Take(n *Number) bool {
	j.found = append(j.found, string(n.Digits))
	j.start = append(j.start, n.Start, n.End)
	return true
}

func newReader(t testing.TB) *Reader {
	t.Helper()
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestScan(t *testing.T) {
	t.Parallel()
	const visa = "4111111111111111"
	r := newReader(t)
	for name, c := range map[string]struct{ text, want string }{
		"digits":             {"four one one one one one one one one one one one one one one one", visa},
		"recogniser":         {"It's four, one, one, one. One, one, one, one, one, one, one, one, one, one, one, one.", visa},
		"pairs":              {"yes forty-one eleven eleven eleven eleven eleven eleven eleven", visa},
		"repeats":            {"four triple one double one double one quadruple one quadruple one", visa},
		"blocks":             {"four one one one, okay, one one one one, and then one one one one, um, one one one one", visa},
		"numerals":           {"4 one 1 1 1111 one one one one 1111", visa},
		"numeral blocks":     {"four 111 1111 one one one one 1111", visa},
		"turns":              {"Customer: four one one one\nAgent: go on.\nCustomer: one one one one\nAgent: thank you, and then?\nCustomer: one one one one one one one one\n", visa},
		"turns inline":       {"Agent: go ahead. Customer: four one one one. Agent: go on. Customer: one one one one. Agent: ok. Customer: one one one one one one one one", visa},
		"read back":          {"Customer: four one one one\nAgent: four one one one\nCustomer: one one one one\nAgent: one one one one\nCustomer: one one one one\nAgent: okay\nCustomer: one one one one\nAgent: thanks", visa},
		"counts":             {"the first four are four one one one, the next four are one one one one then one one one one and the last four one one one one", visa},
		"correction":         {"four one one two, sorry, one, one one one one, one one one one, one one one one", visa},
		"homophone":          {"for one one one one one one one one one one one one one one one", visa},
		"expiry behind":      {"four one one one one one one one one one one one one one one one expires twelve twenty six", visa},
		"expiry joined":      {"the card is four one one one one one one one one one one one one one one one twelve twenty six one two three", visa},
		"thousands":          {"four thousand one hundred eleven, one thousand one hundred and eleven, eleven hundred eleven, eleven hundred and eleven", visa},
		"spanish":            {"cuatro uno uno uno, uno uno uno uno, uno uno uno uno, uno uno uno uno", visa},
		"spanish pairs":      {"cuarenta y uno once once once once once once once", visa},
		"german":             {"vier eins eins eins eins eins eins eins eins eins eins eins eins eins eins eins", visa},
		"german pairs":       {"einundvierzig elf elf elf elf elf elf elf", visa},
		"french":             {"quatre un un un un un un un un un un un un un un un", visa},
		"french pairs":       {"quarante et un onze onze onze onze onze onze onze", visa},
		"french nineties":    {"cinquante-cinq cinquante-cinq cinquante-cinq cinquante-cinq cinquante-cinq cinquante-cinq quarante-quatre quarante-quatre", "5555555555554444"},
		"amex":               {"thirty-seven eighty-two, eight two two four six three, one oh oh oh five", "378282246310005"},
		"split":              {"forty two forty two forty two forty two forty two forty two forty two forty two", "4242424242424242"},
		"social":             {"my social is five one nine, two two, eight one four five", "519228145"},
		"code":               {"the three digits on the back are one two three", "123"},
		"people":             {"one or two people, two to three days, nine one one, ten thirty, one two three four five six seven eight nine ten eleven", ""},
		"telephone":          {"call me on two one two five five five oh one four seven please, two one two, five five five, oh one four seven", ""},
		"phone with context": {"it is not my social, call two one two, five five five, oh one four seven", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &luhnJudge{text: c.text}
			r.Scan([]byte(c.text), 0, len(c.text), 0, j)
			if got := strings.Join(j.found, " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A number that ends with the last token of a long stretch of number words, where
// there is nothing behind it to go on with, whatever was kept of the stretch.
func TestScanToTheLastToken(t *testing.T) {
	t.Parallel()
	const card = "four one one one one one one one one one one one one one one one"
	r := newReader(t)
	for _, behind := range []string{"", strings.Repeat(" ", 400) + "and so on"} {
		for n := 480; n < 520; n++ {
			text := strings.Repeat("seven, ", n) + "my card: " + card + behind
			j := &luhnJudge{text: text}
			r.Scan([]byte(text), 0, len(text), 0, j)
			if got := strings.Join(j.found, " "); got != "4111111111111111" {
				t.Errorf("behind %d words: got %q", n, got)
			}
		}
	}
}
