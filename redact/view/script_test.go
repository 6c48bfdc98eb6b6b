package view

import (
	"testing"
	"unicode"
)

// Every digit of every script reads as itself, and nothing else does.
func TestEveryDigit(t *testing.T) {
	t.Parallel()
	n := 0
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !unicode.Is(unicode.Nd, r) {
			continue
		}
		n++
		if s := SignOf(r); s < 0 || s > 9 {
			t.Errorf("U+%04X has no value", r)
		}
		if unicode.Is(unicode.Nd, r-1) && r-1 > unicode.MaxASCII {
			if a, b := SignOf(r-1), SignOf(r); b != (a+1)%10 {
				t.Errorf("U+%04X is %d behind %d", r, b, a)
			}
		}
	}
	if n < 600 {
		t.Errorf("only %d digits", n)
	}
	for r, want := range map[rune]Sign{
		'4': None, 'é': None, 'д': None, '中': None, '²': 2, '³': 3, '¹': 1, '⁰': 0, '⁴': 4, '₉': 9, '①': 1, '⑨': 9, '⓪': 0, '❶': 1, '➀': 1, '➊': 1, '⑴': 1,
		'\u200b': Hidden, '\ufe0f': Hidden, '\u20e3': Hidden, '\u00a0': Space, '\u3000': Space, '\u2013': Dash, '\u2022': Dash, '\u2028': Line, 0x1D7CE: 0, 0x1D7FF: 9, 0xFF14: 4,
		unicode.MaxRune: None, -1: None,
	} {
		if got := SignOf(r); got != want {
			t.Errorf("U+%04X is %d, want %d", r, got, want)
		}
	}
	for i := 1; i < len(signTable); i++ {
		if signTable[i].lo <= signTable[i-1].hi {
			t.Errorf("U+%04X stands in the table twice", signTable[i].lo)
		}
	}
}
