package detect

// oneSeparator returns what the one separator between the digits before i and
// those behind is, and where those begin, or 0.
func oneSeparator(text []byte, i int) (byte, int) {
	if i >= len(text) {
		return 0, 0
	}
	kind, size := separator(text, i)
	if i += size; kind == none || i >= len(text) || !isDigit(text[i]) {
		return 0, 0
	}
	switch kind {
	case gapSpace:
		return ' ', i
	case gapDash:
		return '-', i
	case gapDot:
		return '.', i
	case gapPath:
		if text[i-1] == '/' {
			return '/', i
		}
	}
	return 0, 0
}

// apart reports whether text[start:end] stands by itself, and is no part of a
// longer number, token, path or fraction. inner is the separator inside it, 0 for
// none. An X reads as a digit, which it may have been before it was masked.
func (s *idScan) apart(start, end int, inner byte) bool {
	return s.apartBefore(start, inner) && s.apartAfter(end, inner)
}

// apartBefore is apart for what stands in front.
func (s *idScan) apartBefore(start int, inner byte) bool {
	t := s.text
	if start > 0 {
		b := t[start-1]
		if isWordByte(b) && (b < 0x80 || wideLetterBefore(t, start)) {
			return false
		}
		second := byte(' ')
		if start > 1 {
			second = t[start-2]
		}
		switch b {
		case '_', '@', '%', '$', '+', '\\', '~':
			return false
		case '-', '.', '/':
			if second > ' ' && second != '(' && second != ':' {
				return false
			}
		case ',', ':':
			if isDigit(second) || second == 'X' {
				return false
			}
		case '#', '&':
			if isWordByte(second) || second == '&' {
				return false
			}
		case inner:
			if isDigit(second) || second == 'X' {
				return false
			}
		}
		if b >= 0x80 {
			kind, size := separatorBefore(t, start)
			b = byteBefore(t, start-size)
			if (kind == gapDash && b > ' ') || (kind == gapSpace && inner == ' ' && (isDigit(b) || b == 'X')) {
				return false
			}
		}
	}
	return true
}

// apartAfter is apart for what stands behind.
func (s *idScan) apartAfter(end int, inner byte) bool {
	t := s.text
	if end < len(t) {
		b := t[end]
		if isLetter(b) || isDigit(b) {
			return false
		}
		next := byte(' ')
		if end+1 < len(t) {
			next = t[end+1]
		}
		switch b {
		case '_', '@', '%', '~':
			return false
		case '-', '/', '=', '&', '+', '\\':
			if isLetter(next) && b != '&' && b != '\\' || isDigit(next) || next == '/' {
				return false
			}
		case '.', ':', ',':
			if isDigit(next) || next == 'X' || b == '.' && isLetter(next) && inner != ' ' && !upper(next) {
				return false
			}
		case inner:
			if isDigit(next) || next == 'X' {
				return false
			}
		}
	}
	return true
}

func upper(b byte) bool { return b-'A' < 26 }

// wideLetterBefore reports whether the character outside ASCII before i is a
// letter of a script that writes spaces: of two bytes, in UTF-8.
func wideLetterBefore(text []byte, i int) bool { return runeBefore(text, i, lo(i, 4)) == 2 }
