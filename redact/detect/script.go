package detect

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// scriptAt gives the numbers of the words of v.script with which text may begin, by its first
// character.
func (v *vocabulary) scriptAt(text []byte) []uint16 {
	if len(text) < 3 {
		return nil
	}
	return v.scripts[threeHash(text)]
}

// scriptSense is what the words inside a run of letters say. Of a long run only the end
// counts, which is nearest to what follows. Of words that name a card or another number
// the last one counts: 注文のカード番号, カードの注文番号.
func (v *vocabulary) scriptSense(word []byte) (s sense) {
	if len(word) == 0 || word[len(word)-1] < utf8.RuneSelf {
		return 0
	}
	word = word[lo(len(word), maxScript):]
	for i, b := range word {
		if b&0xC0 == 0x80 {
			continue // inside a character
		}
		for _, k := range v.scriptAt(word[i:]) {
			if x := &v.script[k]; bytes.HasPrefix(word[i:], x.text) {
				s |= x.sense
			}
		}
	}
	const naming = senseCard | senseSoft | senseHard
	if n := s & naming; n&(n-1) == 0 {
		return s
	}
	s &^= naming
	for len(word) > 0 {
		var longest scriptWord
		for _, k := range v.scriptAt(word) {
			if x := &v.script[k]; x.sense&naming != 0 && len(x.text) > len(longest.text) && bytes.HasPrefix(word, x.text) {
				longest = *x
			}
		}
		if len(longest.text) == 0 {
			_, size := utf8.DecodeRune(word)
			word = word[size:]
			continue
		}
		s = s&^naming | longest.sense
		word = word[len(longest.text):]
	}
	return s
}

// wishes reports whether a run of letters in a script without spaces goes on behind the last
// name of another number, to say something else than that it is that: 予約したいです and 订单请用
// name no number, 注文は and 订单号 do.
func (v *vocabulary) wishes(word []byte) bool {
	if word[len(word)-1] < utf8.RuneSelf {
		return false
	}
	if r, _ := utf8.DecodeLastRune(word); !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai) {
		return false
	}
	end := -1
	for i := range v.script {
		if x := &v.script[i]; x.sense&(senseSoft|senseHard) != 0 {
			if at := bytes.LastIndex(word, x.text); at >= 0 {
				end = max(end, at+len(x.text))
			}
		}
	}
	if end < 0 {
		return false
	}
	rest := word[end:]
	for _, x := range scriptNumberWords {
		if bytes.Contains(rest, x) {
			return false
		}
	}
	for cut := true; cut; {
		cut = false
		for _, x := range scriptTails {
			if bytes.HasPrefix(rest, x) {
				rest, cut = rest[len(x):], true
			}
		}
	}
	return len(rest) > 0
}
