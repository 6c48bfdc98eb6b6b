package detect

// phrase is sense for text[start:end] and for the phrases of two or three words it
// ends, none of which begins before from.
func (v *vocabulary) phrase(text []byte, start, end, from int) sense {
	s := v.sense(text[start:end])
	if s&sensePhrase == 0 {
		return s
	}
	if start > 1 && isDigit(text[start-1]) && isDigit(text[start-2]) {
		return s // no word of a phrase ends in a number
	}
	if a, b, ok := wordBefore(text, start, from); !ok || v.sense(text[a:b])&senseFront == 0 {
		return s // as mostly
	}
	return s | v.phrases(text, start, end, from)
}

// phrases is what the phrases of two or three words say that text[start:end] ends.
func (v *vocabulary) phrases(text []byte, start, end, from int) (s sense) {
	var buf [3*maxWord + 2]byte
	n := copy(buf[len(buf)-(end-start):], text[start:end])
	for range 2 {
		a, b, ok := wordBefore(text, start, from)
		if !ok || n+1+b-a > len(buf) || v.sense(text[a:b])&senseFront == 0 {
			break
		}
		buf[len(buf)-n-1] = ' '
		n += 1 + copy(buf[len(buf)-n-1-(b-a):], text[a:b])
		var folded [2 * len(buf)]byte
		more, _ := v.folded(fold(folded[:0], buf[len(buf)-n:]))
		s |= more
		start = a
	}
	return s
}

// numberSoon reports whether a number, or a mask of ours, stands soon behind i: a
// word in front of a number names that one.
func numberSoon(text []byte, i int) bool {
	limit := min(len(text), i+wordWindow/4)
	for ; i < limit; i++ {
		if isDigit(text[i]) || maskAt(text, i) {
			return true
		}
	}
	return false
}
