package detect

// dump is what stands behind a card number in a row of a dump: the month and the year,
// and the verification code, with the same separator in front of each, as in
// PAN:MM:YY:CVV, PAN|MM|YYYY|CVV, PAN;MMYY;CVV and PAN,MM/YY,CVV.
type dump struct {
	date, code span
}

// maxDumpGap is how many bytes a separator of a dump has at most: " | ".
const maxDumpGap = 3

// dumpAfter reads the dump that begins at end, behind a card. ok is false when something
// else stands there, or more than the row of a dump.
func dumpAfter(t []byte, end int) (d dump, ok bool) {
	i := end
	for i < len(t) && i-end <= maxDumpGap && !isWordByte(t[i]) && t[i] != '\n' && t[i] != '\r' {
		i++
	}
	sep := t[end:i]
	if len(sep) == 0 || len(sep) > maxDumpGap {
		return d, false
	}
	// digits returns the end of the run of digits behind the next separator, 0 for none.
	digits := func(at int, sep []byte, sizes ...int) (from, to int) {
		if at+len(sep) >= len(t) || string(t[at:at+len(sep)]) != string(sep) {
			return 0, 0
		}
		from = at + len(sep)
		to = runEnd(t[:min(len(t), from+maxCode)], from)
		for _, n := range sizes {
			if to-from == n {
				return from, to
			}
		}
		return 0, 0
	}
	from, to := digits(end, sep, 2, 4, 6)
	if to == 0 {
		return d, false
	}
	if m := two(t[from:]); m < 1 || m > 12 {
		return d, false
	}
	d.date = span{from, to}
	switch to - from {
	case 2:
		_, last := digits(to, sep, 2, 4)
		if last == 0 && to < len(t) && (t[to] == '/' || t[to] == '-') {
			_, last = digits(to, t[to:to+1], 2, 4)
		}
		if last == 0 {
			return d, false
		}
		d.date.end = last
	case 6:
		if t[from+2] != '2' || t[from+3] != '0' {
			return d, false
		}
	}
	from, to = digits(d.date.end, sep, 3, 4)
	if to == 0 || to < len(t) && (isWordByte(t[to]) || t[to] == '-' && sep[0] != '-') {
		return d, false
	}
	d.code = span{from, to}
	return d, true
}

// dumped is dumpAfter for the last card, when i is near it.
func (s *scanner) dumped(i int) (dump, bool) {
	if s.card < 0 || i <= s.card || i-s.card > codeReach {
		return dump{}, false
	}
	return dumpAfter(s.text, s.card)
}
