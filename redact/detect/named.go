package detect

import "github.com/caregate/caregate/redact"

// wordsBehind is how many words behind a value may name it: "... is my NHS number".
const wordsBehind = 5

// named says what names text[start:end] to be what want says: the key beside it,
// or a word. Of the words in front, within wordWindow, the nearest that says what
// a number is decides, and so in "NHS 943 476 5919, order 4010232137" the second
// number is an order. Behind the value only link words may stand before the word,
// and no number right behind it. 0 means that nothing does.
func (d *Detector) named(text []byte, start, end int, h Hint, want sense) redact.Evidence {
	if h.Key != "" && d.vocab.ofKey(h.Key)&want != 0 {
		return redact.EvidenceKey
	}
	if d.nearest(text, start)&want != 0 {
		return redact.EvidenceWord
	}
	to := min(len(text), end+wordWindow/2)
	strange := 0 // the first words of a phrase say nothing by themselves
	for at, n := end, 0; n < wordsBehind; n++ {
		a, b, ok := wordAfter(text, at, to)
		if !ok {
			return 0
		}
		switch s := d.vocab.phrase(text, a, b, end); {
		case s&want != 0:
			if numberSoon(text, b) {
				return 0
			}
			return redact.EvidenceWord
		case s&senseNames != 0:
			return 0
		case s&(senseLink|sensePhrase) == 0:
			if strange++; strange > 2 {
				return 0
			}
		}
		at = b
	}
	return 0
}

// nearest returns the senses of the nearest word in front of i that says what a
// number is, or 0.
func (d *Detector) nearest(text []byte, i int) sense {
	from := lo(i, wordWindow)
	for at := i; ; {
		start, end, ok := wordBefore(text, at, from)
		if !ok {
			return 0
		}
		if s := d.vocab.phrase(text, start, end, from) & senseNames; s != 0 {
			return s
		}
		at = start
	}
}

// phrase is sense for text[start:end] and for the phrases of two or three words it
// ends, none of which begins before from.
func (v *vocabulary) phrase(text []byte, start, end, from int) sense {
	s := v.sense(text[start:end])
	if s&sensePhrase == 0 {
		return s
	}
	var buf [3*maxWord + 2]byte
	n := copy(buf[len(buf)-(end-start):], text[start:end])
	for range 2 {
		a, b, ok := wordBefore(text, start, from)
		if !ok || n+1+b-a > len(buf) {
			break
		}
		buf[len(buf)-n-1] = ' '
		n += 1 + copy(buf[len(buf)-n-1-(b-a):], text[a:b])
		var folded [2 * len(buf)]byte
		s |= v.words[string(fold(folded[:0], buf[len(buf)-n:]))]
		start = a
	}
	return s
}

// ofKey returns the senses of the words and phrases in a key: nhs_number,
// nationalInsuranceNo, "Tax File Number".
func (v *vocabulary) ofKey(key string) sense {
	if len(key) > maxKey {
		key = key[len(key)-maxKey:]
	}
	var buf [2 * maxKey]byte
	n := 0
	for i := range len(key) {
		b := key[i]
		upper := b-'A' < 26
		switch {
		case !isLetter(b) && !isDigit(b) && b < 0x80:
			b = ' '
		case upper && i > 0 && key[i-1] != ' ' && (key[i-1]-'A' >= 26 && isLetter(key[i-1]) || i+1 < len(key) && key[i+1]-'a' < 26 && isLetter(key[i-1])):
			buf[n] = ' '
			n++
		}
		buf[n] = b
		n++
	}
	var s sense
	for at := n; ; {
		start, end, ok := wordBefore(buf[:n], at, 0)
		if !ok {
			return s
		}
		s |= v.phrase(buf[:n], start, end, 0)
		at = start
	}
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
