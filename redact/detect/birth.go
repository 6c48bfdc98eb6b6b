package detect

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
)

// The years in which a date of birth may lie. This package has no clock: the last
// one leaves room for children of the years in which a release is used.
const (
	firstBirthYear = 1900
	lastBirthYear  = 2039
)

// monthNames are the first letters of the months' names, enough to tell them apart, in
// the languages of the names table.
var monthNames = map[string]int{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
	"mär": 3, "mrz": 3, "mai": 5, "okt": 10, "dez": 12,
	"janvier": 1, "fév": 2, "fev": 2, "mars": 3, "avr": 4, "juin": 6, "juillet": 7, "aoû": 8, "aou": 8, "déc": 12,
	"ene": 1, "abr": 4, "ago": 8, "set": 9, "dic": 12,
	"gen": 1, "mag": 5, "giu": 6, "lug": 7, "ott": 10,
	"out": 10, "maa": 3, "mei": 5, "maj": 5, "sty": 1, "lut": 2, "kwi": 4, "cze": 6, "lip": 7, "sie": 8, "wrz": 9, "paź": 10, "lis": 11, "gru": 12,
	"янв": 1, "фев": 2, "мар": 3, "апр": 4, "мая": 5, "май": 5, "июн": 6, "июл": 7, "авг": 8, "сен": 9, "окт": 10, "ноя": 11, "дек": 12,
}

// month returns the month that word names, or 0: by the whole word, or by its first
// three letters when the word is no longer than a month.
func month(word []byte) int {
	if len(word) < 3 || len(word) > 2*len("september") {
		return 0
	}
	var buf [2 * maxWord]byte
	w := fold(buf[:0], word)
	if m := monthNames[string(w)]; m > 0 {
		return m
	}
	n := 0
	for k := 0; k < 3 && n < len(w); k++ {
		_, size := utf8.DecodeRune(w[n:])
		n += size
	}
	if string(w[:n]) == "jui" {
		return 0 // juin, juillet: whole words
	}
	return monthNames[string(w[:n])]
}

// monthPairs has a bit for the first two bytes of each month's name, in any case.
var monthPairs = func() (t [32]uint32) {
	for m := range monthNames {
		t[m[0]&31] |= 1 << (m[1] & 31)
	}
	return t
}()

// monthTriples has a bit for the first three bytes of each month's name, in any case.
var monthTriples = func() (t [1 << 10]uint32) {
	for m := range monthNames {
		forms := [][]byte{nil} // of the first letters
		for _, r := range []rune(m)[:3] {
			var longer [][]byte
			for _, f := range forms {
				longer = append(longer, utf8.AppendRune(slices.Clone(f), r), utf8.AppendRune(slices.Clone(f), unicode.ToUpper(r)))
			}
			forms = longer
		}
		for _, f := range forms {
			t[int(f[0]&31)<<5|int(f[1]&31)] |= 1 << (f[2] & 31)
		}
	}
	return t
}()

// monthAt reports whether the name of a month may begin at i, where three bytes stand. It
// is quick, and may be wrong on the side of yes.
func monthAt(text []byte, i int) bool {
	a, b, c := text[i], text[i+1], text[i+2]
	return monthPairs[a&31]>>(b&31)&1 != 0 && monthTriples[int(a&31)<<5|int(b&31)]>>(c&31)&1 != 0
}

// monthNear reports whether the name of a month may stand right beside text[i:end],
// a day. It is quick, and may be wrong on the side of yes.
func monthNear(text []byte, i, end int) bool {
	// A date begins with its day and the month follows, perhaps behind "th", "of" or
	// "de", or the month stands in front and the year follows.
	return monthAhead(text, end) || i >= 4 && yearBehind(text, end) && monthFront(text, i)
}

// monthAhead is monthNear for the month behind end.
func monthAhead(text []byte, end int) bool {
	at := end
	for n := 0; n < 3; n++ {
		for k := 0; k < 3 && at < len(text) && !isWordByte(text[at]); k++ {
			at++
		}
		if at+3 > len(text) || isDigit(text[at]) {
			break
		}
		if monthAt(text, at) {
			return true
		}
		if n == 2 || isWordByte(text[at+2]) {
			break
		}
		at += 2
	}
	return false
}

// monthBehind reports whether wordDate may find a month behind the day that ends at end.
// It is quick, and may be wrong on the side of yes.
func monthBehind(text []byte, end int) bool {
	at := end
	for range 3 {
		for k := 0; k < 2 && at < len(text) && !isWordByte(text[at]); k++ {
			at++
		}
		if at+3 > len(text) || isDigit(text[at]) {
			return false
		}
		if monthAt(text, at) {
			return true
		}
		from := at
		for at < len(text) && at-from < 4 && isWordByte(text[at]) && !isDigit(text[at]) {
			size := 1
			if text[at] >= 0x80 {
				size = runeAfter(text, at, len(text))
			}
			if size < 0 || text[at] == 'X' { // it ends sooner, perhaps
				return true
			}
			at += size
		}
		if at-from > 3 || at == from {
			return false
		}
	}
	return false
}

// monthFront reports whether the word in front of i may be a month.
func monthFront(text []byte, i int) bool {
	at := i
	for at > 0 && i-at < 2 && !isWordByte(text[at-1]) {
		at--
	}
	end := at
	for at > 0 && end-at < idLead && isWordByte(text[at-1]) && !isDigit(text[at-1]) {
		at--
	}
	return end-at >= 3 && monthAt(text, at)
}

// yearBehind reports whether two or four digits stand behind the day that ends at
// end, perhaps behind "th" or a comma.
func yearBehind(text []byte, end int) bool {
	if end+2 < len(text) && isLetter(text[end]) && isLetter(text[end+1]) {
		end += 2
	}
	from := end
	for end < len(text) && end-from < 3 && yearSigns[text[end]] {
		end++
	}
	n := runEnd(text, end) - end
	return n == 2 || n == 4
}

// yearSigns are what may stand between a day and its year.
var yearSigns = [256]bool{' ': true, ',': true, '.': true, '\'': true, '-': true, '/': true}

// birthYear accepts a year of two digits: a date of birth lies in the past hundred
// years, so every two digits are one.
func birthYear(y, digits int) bool {
	return digits == 2 || digits == 4 && y >= firstBirthYear && y <= lastBirthYear
}

// birth looks for a date whose first digit is at i, with its first group ending at
// end, that words or the key call a date of birth.
func (s *idScan) birth(i, end int) bool {
	start, to, full := s.date(i, end)
	if to == 0 {
		return false
	}
	s.begin(start)
	how, by := s.named(to, nameBirth, full)
	if how == unnamed || how == nearby && !full || !s.dateApart(start, to) {
		return false
	}
	f := s.found(redact.DateOfBirth, start, to, how, by, redact.EvidenceGrouping, "date and name")
	if !full {
		f.Confidence = 0.8
	}
	return true
}

// date reads a date: 12/03/1985, 1985-03-12, 12.3.85, 19850312, 12 March 1985,
// March 12, 1985, 1985年3月12日. full says that nothing else is written like it: it
// has separators and four digits of a year. to is 0 when there is none.
func (s *idScan) date(i, end int) (start, to int, full bool) {
	t, r := s.text, &s.runs
	n := end - i
	switch {
	case r.n >= 3 && r.start[0] == i && r.sep[1] == r.sep[2]:
		a, b, c := number(t[i:end]), number(t[r.start[1]:r.end[1]]), number(t[r.start[2]:r.end[2]])
		second, third := r.end[1]-r.start[1], r.end[2]-r.start[2]
		switch {
		case second > 2:
		case n == 4 && third <= 2 && birthYear(a, 4) && (monthAndDay(b, c) || monthAndDay(c, b)):
			return i, r.end[2], true
		case n <= 2 && (third == 4 || third == 2) && birthYear(c, third) && (monthAndDay(b, a) || monthAndDay(a, b)):
			return i, r.end[2], third == 4
		}
	case r.n == 1 && r.start[0] == i && n == 8:
		d := t[i:end]
		if birthYear(number(d[:4]), 4) && monthAndDay(two(d[4:]), two(d[6:])) ||
			birthYear(number(d[4:]), 4) && (monthAndDay(two(d[2:]), two(d)) || monthAndDay(two(d), two(d[2:]))) {
			return i, end, false
		}
	}
	if n == 4 && birthYear(number(t[i:end]), 4) {
		if to := ideographicDate(t, end); to > 0 {
			return i, to, true
		}
	}
	if n <= 2 {
		return s.wordDate(i, end)
	}
	return 0, 0, false
}

// wordDate reads a date whose month is a word; its day is text[i:end].
func (s *idScan) wordDate(i, end int) (start, to int, full bool) {
	t := s.text
	day := number(t[i:end])
	if day < 1 || day > 31 {
		return 0, 0, false
	}
	limit := min(len(t), end+wordWindow/2)
	// The month in front: March 12, 1985.
	if !monthFront(t, i) || !yearBehind(t, end) {
		// none
	} else if a, b, ok := wordBefore(t, i, lo(i, 2*idLead)); ok && i-b <= 2 && i-a <= idLead {
		if m := month(t[a:b]); m > 0 && monthAndDay(m, day) {
			if to, n := yearAfter(t, end, limit); to > 0 {
				return a, to, n == 4
			}
		}
	}
	// The month behind: 12 March 1985, 12th of March 1985, 12 de marzo de 1985.
	if !monthBehind(t, end) {
		return 0, 0, false
	}
	at := end
	for range 3 {
		a, b, ok := wordAfter(t, at, limit)
		if !ok || a-at > 2 || isDigit(t[a]) {
			return 0, 0, false
		}
		if m := month(t[a:b]); m > 0 {
			if !monthAndDay(m, day) {
				return 0, 0, false
			}
			if to, n := yearAfter(t, b, limit); to > 0 {
				return i, to, n == 4
			}
			return 0, 0, false
		}
		if b-a > 3 {
			return 0, 0, false
		}
		at = b
	}
	return 0, 0, false
}

// yearAfter returns where the year behind i ends, and how many digits it has. A
// comma, a suffix such as "th", "de" or "of" may stand between.
func yearAfter(t []byte, i, limit int) (to, digits int) {
	for n := 0; i < limit && n < 8; n++ {
		if isDigit(t[i]) {
			end := runEnd(t, i)
			if digits = end - i; (digits == 4 || digits == 2) && birthYear(number(t[i:end]), digits) {
				return end, digits
			}
			return 0, 0
		}
		if !isLetter(t[i]) && !indexByte(" ,.-/'\t", t[i]) && t[i] < 0x80 {
			return 0, 0
		}
		i++
	}
	return 0, 0
}

// dateSigns stand behind year, month and day in Chinese and Japanese, and in Korean.
var dateSigns = [...][2]string{{"年", "년"}, {"月", "월"}, {"日", "일"}}

// ideographicDate returns where the rest of a date ends whose year ends at i:
// 年3月12日, or the same in Hangul.
func ideographicDate(t []byte, i int) int {
	for k, signs := range dateSigns {
		for i < len(t) && t[i] == ' ' {
			i++
		}
		if k > 0 {
			end := runEnd(t, i)
			if end == i || end-i > 2 {
				return 0
			}
			i = end
		}
		if i+3 > len(t) || string(t[i:i+3]) != signs[0] && string(t[i:i+3]) != signs[1] {
			return 0
		}
		i += 3
	}
	return i
}

// number reads at most four digits.
func number(digits []byte) int {
	if len(digits) > 4 {
		return -1
	}
	n := 0
	for _, b := range digits {
		n = n*10 + int(b-'0')
	}
	return n
}

// dateApart reports whether a date is no part of a longer number. A time may stand
// behind it.
func (s *idScan) dateApart(start, end int) bool {
	t := s.text
	if end < len(t) && t[end] == 'T' && end+1 < len(t) && isDigit(t[end+1]) {
		end = len(t)
	}
	if start > 0 && (t[start-1] == '/' || t[start-1] == '-') {
		return false
	}
	if end < len(t) && (t[end] == '-' || t[end] == '/') && end+1 < len(t) && isDigit(t[end+1]) {
		return false
	}
	for at := end; at < len(t) && at < end+1; at++ {
		if isLetter(t[at]) || t[at] == '_' || t[at] == '.' && at+1 < len(t) && isDigit(t[at+1]) {
			return false
		}
	}
	return start == 0 || !isLetter(t[start-1]) && t[start-1] != '_' && (t[start-1] != '.' || start < 2 || !isDigit(t[start-2]))
}
