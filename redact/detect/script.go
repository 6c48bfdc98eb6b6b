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
	if len(word) == 0 {
		return 0
	}
	if to := len(word); word[to-1] < utf8.RuneSelf {
		from := to
		if word[to-1] == '2' { // cvv2
			from--
		}
		for from > 0 && to-from < maxGlued && isLetter(word[from-1]) {
			from--
		}
		return v.codeGlued(word, from, to)
	}
	word = word[lo(len(word), maxScript):]
	for i := 0; i < len(word); i++ {
		b := word[i]
		if b&0xC0 == 0x80 {
			continue // inside a character
		}
		if b < utf8.RuneSelf {
			to := i + 1
			for to < len(word) && isLetter(word[to]) {
				to++
			}
			if gluedTail(word[to:]) {
				s |= v.codeGlued(word, i, to)
			}
			if to > i+1 {
				i = to - 1
			}
			continue
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

// gluedTail reports whether nothing stands behind the name of a code but what links it to the code.
func gluedTail(rest []byte) bool {
	for cut := true; cut; {
		cut = false
		for _, set := range [...][][]byte{scriptTails, gluedTails} {
			for _, x := range set {
				if bytes.HasPrefix(rest, x) {
					rest, cut = rest[len(x):], true
				}
			}
		}
	}
	return len(rest) == 0
}

// gluedTails end the name of a code, or link it to what follows, as scriptTails do.
var gluedTails = byteWords("码", "碼", "位", "コード", "코드", "รหัส", "的")

// maxGlued is the length of the longest name of a code in ASCII that is looked for in a run of
// letters of another script.
const maxGlued = 4

// codeGlued is what the letters word[from:to] of ASCII say of a code, where a script without
// spaces stands on one side of them or on both: CVV是, 我的cvv是, 我的cvv.
func (v *vocabulary) codeGlued(word []byte, from, to int) sense {
	if n := to - from; n < minCode || n > maxGlued || n == len(word) || foldEqual(word[from:to], "cid") { // also of customers
		return 0
	}
	sn := v.sense(word[from:to]) & senseCVV
	if sn == 0 {
		return 0
	}
	if r, _ := utf8.DecodeRune(word[to:]); to < len(word) && !unspaced(r) {
		return 0
	}
	if r, _ := utf8.DecodeLastRune(word[:from]); from > 0 && !unspaced(r) {
		return 0
	}
	return sn
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
