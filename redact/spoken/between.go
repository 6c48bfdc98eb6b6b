package spoken

import "bytes"

// MaxBetween is how much of a text [Reader.Between] looks at, in bytes.
const MaxBetween = maxTurnGap

// Between returns a bit for each language in which text[from:to) says nothing but what
// stands within a number that somebody reads out: fillers, "the next four", the names
// of speakers in front of a colon. It is 0 where there is nothing of that, for more than
// [MaxBetween] bytes, and for more than maxGap bytes when no speaker is named. It is for
// those who look for the digits themselves; [Reader.Scan] finds numbers that are said in
// words.
func (r *Reader) Between(text []byte, from, to int) (langs uint8) {
	if to-from > MaxBetween {
		return 0
	}
	langs = 1<<r.langs - 1
	n, labels := 0, 0
	var before fill
	open := uint8(0) // in which the word before is a number that still has to count something
	for at := from; ; n++ {
		t, ok := r.next(text[:to], at)
		if !ok {
			break
		}
		if n == maxFillers+3 || t.kind == kindDigits || t.kind == kindOther || t.kind == kindWord && t.word == 0 {
			return 0
		}
		var word fill
		if t.kind == kindLabel {
			labels++
		} else {
			word = r.dict.fills[t.word]
			langs &= word.number | word.filler | word.counted&before.number
		}
		if langs &^= open &^ word.counted; langs == 0 {
			return 0
		}
		open, before = word.number&^before.ordinal, word
		at = t.end
	}
	if n == 0 || n-labels > maxFillers || to-from > maxGap && labels == 0 {
		return 0
	}
	return langs &^ open
}

// MayBetween reports whether [Reader.Between] may say more than 0 about text[from:to), in which
// there are no digits, by the first word there. It is quick, and may be wrong on the side of
// yes: few words stand within a number.
func (r *Reader) MayBetween(text []byte, from, to int) bool {
	for from < to && !wordByte(text[from]) {
		from += max(1, wideBlank(text[from:to]))
	}
	end := from
	for end < to && wordByte(text[end]) {
		end++
	}
	switch n := end - from; {
	case n == 1, n > 1 && n <= maxWord && r.dict.fillBegins[text[from]&31][text[from+1]&31]>>n&1 != 0:
		return true
	}
	return bytes.IndexByte(text[end:to], ':') >= 0 // perhaps behind the name of a speaker
}

// fill says what a word may be between the parts of a number, a bit for each language. A
// number word among fillers has to count something: "the next four", "three digits".
type fill struct{ filler, number, ordinal, counted uint8 }
