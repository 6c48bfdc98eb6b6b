package detect

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestLookalikes(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"o for zero", Hint{}, "my card is C<4O12 8888 8888 1881>"},
		{"l for one", Hint{}, "card: C<4l11 1l11 1111 11l1>"},
		{"capital i, bare", Hint{}, "visa C<4I11I111I111I111>"},
		{"mixed", Hint{}, "credit card number C<SS55-5555-5555-4444>"},
		{"cyrillic o", Hint{}, "card C<4\u041e12 8888 8888 1881>"},
		{"nearly all letters", Hint{}, "my card is C<4lll llll llll llll>"},
		{"nearly all letters, hyphens", Hint{}, "visa C<4lll-IlIl-llll-1lll>, exp 12/27"},
		{"nearly all letters, no card word", Hint{}, "see 4lll llll llll llll"},
		{"a word behind four digits", Hint{}, "card ending 4111 solo 1111 soil 1112"},
		{"by key", Hint{Key: "card_number"}, "C<4O12888888881881>"},
		{"no card word", Hint{}, "serial 4O12 8888 8888 1881"},
		{"a word behind", Hint{}, "card 4012 8888 8888 188lo"},
		{"hexadecimal", Hint{}, "card id 4b11b111b111b111b"},
		{"behind an escaped blank", Hint{}, "my%20card%20C<4O12888888881881>"},
		{"behind an escaped equals sign", Hint{}, "card%3DC<4O12888888881881>"},
		{"groups of digits in front", Hint{}, "card C<4012 8888 888B 1881>"},
		{"groups of letters in front", Hint{}, "card C<4OIZ BBBB BBBB IBBl>"},
		{"digits of another script beside", Hint{}, "card C<4O12 ８８８８ 8888 1881>"},
		{"number in words in front", Hint{}, "one three eight seven, card C<4O12 8888 8888 1881>"},
		{"check digit wrong", Hint{}, "my card is 4O12 8888 8888 1882"},
	})
}

// In a long text full of words with letters for digits, a card among them is found as in a short one,
// by a name whose sign is an escape, too.
func TestLookalikesInLongTexts(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for _, named := range []string{"card 4O12 8888 8888 1881", "cardnumber%3D4O12 8888 8888 1881", "x%2Dcard 4O12 8888 8888 1881"} {
		for _, front := range []string{"", strings.Repeat("4lO1 1I ", 40)} {
			text := []byte(front + named + " and so on")
			if found := d.Text(nil, text, Hint{}); len(found) != 1 || found[0].Class != redact.CreditCard {
				t.Errorf("%d findings for %q behind %d bytes, want one card", len(found), named, len(front))
			}
		}
	}
}
