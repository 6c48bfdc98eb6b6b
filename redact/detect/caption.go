package detect

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// A table of words says what most labels in front of a number say. This file is about the
// others: languages have more names for orders and parcels, in more cases, than a table
// holds, and businesses make names of their own. Two things tell them all the same: how
// the word begins, and that it stands in the form of a label ("docket number", "número de
// guía", "伝票番号"), in which a card would be called one.
//
// It is asked about digits that issuer and check digit allow to be a card, and about no
// others, so it may take its time.

// caption reports whether the number at i stands behind a label that names it something
// else, by words that the vocabulary does not have. It is for a number near which no card
// is spoken of.
func (s *scanner) caption(i int) bool {
	if s.spokenBy(i) >= 0 {
		return false
	}
	from := lo(i, wordWindow)
	behind := false // the word behind the one that is looked at says "number"
	said := false   // such a word was seen
	reads := false  // "says" was: what stands in front of it has something written on it
	for at := i; ; {
		start, end, ok := wordBefore(s.text, at, from)
		if !ok || i-end > directReach || isDigit(s.text[start]) || captionEnds(s.text[end:at], end-start) && (at != i || !commaOnly(s.text[end:at])) {
			return false
		}
		if at != i && s.spokenBy(at) == start {
			return false // "Customer: The number is 4111..."
		}
		var buf [2 * maxScript]byte
		w := fold(buf[:0], s.text[max(start, end-maxScript):end])
		sn := s.d.vocab.sense(s.text[start:end])
		sharp := at == i && bytes.IndexByte(s.text[end:at], '#') >= 0 // "docket # 4111"
		switch {
		case reads && sn&senseLink == 0:
			return s.written(start, end, from, sn, w) // "the barcode says"
		case at == i && commaOnly(s.text[end:at]) && !numberBehind[string(w)] && !numberInFront[string(w)]:
			return false
		case !said && foldEqual(w, "lot") && s.paired(start, from, muchWords):
			return false // "thanks a lot"
		case pairNames[string(w)] != nil && s.paired(start, from, pairNames[string(w)]):
			return true // "bus pass"
		case sn&(senseCard|senseCVV|sensePIN|senseSSN) != 0 || cardName(w):
			return false
		case said && sn&(senseSoft|senseHard) != 0 || sn == 0 && !numberBehind[string(w)] && !numberInFront[string(w)] && compound(w)&senseSoft != 0 ||
			hasStem(roleStems, w) || otherName(w) || scriptCaption(w):
			return true
		case behind && end-start > 1 && sn&senseLink == 0 && !plainName(w) && !s.plainHere(start, end, at, from):
			return true // "docket no."
		case sharp && end-start > 1 && sn&senseLink == 0 && !plainName(w) && !upper(s.text[start]) && !leadWords[string(w)] && !doneWords[string(w)]:
			return true
		}
		behind = false
		switch {
		case numberBehind[string(w)] && (string(w) != "no" || end < len(s.text) && (s.text[end] == '.' || s.text[end] == ':')): // Portuguese has a "no", too
			behind, said = true, true
		case numberInFront[string(w)]:
			said = true
		case readWords[string(w)]:
			reads = true
		case sn&senseLink != 0 || withWords[string(w)]:
		case said || plainName(w) || !s.partOfNumber(start, from):
			return false
		default:
			return true // "número de guía"
		}
		at = start
	}
}

// plainHere reports whether the unknown word text[start:end], behind which a word for number
// begins at at, names nothing that is numbered, by what it stands beside: it is an answer
// ("Hardly no. 4111"), something that is to be done ("please remember number 4111"), or
// somebody who has the number ("my nans number", "my Valerie number").
func (s *scanner) plainHere(start, end, at, from int) bool {
	t := s.text
	_, stop, _ := wordAfter(t, at, len(t))
	number := t[at:stop]
	a, b, front := wordBefore(t, start, from)
	begins := !front || clauseEnds(t[b:start])
	switch {
	case bytes.IndexByte(t[end:at], ':') >= 0:
		return true // "Joanna: number 4111"
	case foldEqual(number, "no"):
		return begins && (stop+1 >= len(t) || t[stop] != ':' && t[stop+1] != ':') // unless it is "Docket no.:"
	case foldEqual(number, "nummer"):
		return !begins && upper(t[start]) // "Tante Ilse Nummer": a thing's number is one word
	case !foldEqual(number, "number") && !foldEqual(number, "numbers"):
		return false
	case s.among(doneWords, start, end):
		return begins || !s.among(doneNouns, start, end) || s.among(leadWords, a, b) || s.d.vocab.sense(t[a:b])&senseLink != 0 || s.among(plainWords, a, b)
	case t[end-1]|0x20 == 's':
		return true
	}
	// "my Valerie number", and "Valerie number", of which nobody knows whether it is a name.
	return upper(t[start]) && !upper(t[start+1]) && !upper(t[at]) || !begins && s.among(leadWords, a, b)
}

// written reports whether the word text[start:end], which is w in lower case, is what has the
// number of a thing written on it: the barcode, the shipping label, the tracking page.
func (s *scanner) written(start, end, from int, sn sense, w []byte) bool {
	if sn&senseHard != 0 && sn&namePhone == 0 || otherName(w) || labelWords[string(w)] {
		return true
	}
	a, b, ok := wordBefore(s.text, start, from)
	return ok && start-b == 1 && s.d.vocab.sense(s.text[a:b])&senseHard&^namePhone != 0
}

// paired reports whether one of the words stands right in front of i.
func (s *scanner) paired(i, from int, words map[string]bool) bool {
	a, b, ok := wordBefore(s.text, i, from)
	return ok && i-b == 1 && s.among(words, a, b)
}

// commaOnly reports whether nothing but a comma and blanks stand between a word and the
// number: "the lot number, 4111...".
func commaOnly(between []byte) bool {
	return len(between) > 0 && between[0] == ',' && len(bytes.TrimSpace(between[1:])) == 0
}

// partOfNumber reports whether "number of" stands in front of the word that begins at i, in
// a language that says so, and the word is no name of somebody: "protocolo de atendimento",
// but "número de María".
func (s *scanner) partOfNumber(i, from int) bool {
	var buf [2 * maxScript]byte
	a, b, ok := wordBefore(s.text, i, from)
	if !ok || !ofWords[string(fold(buf[:0], s.text[a:b]))] {
		return false
	}
	if a, b, ok = wordBefore(s.text, a, from); !ok {
		return false
	}
	if upper(s.text[i]) && !upper(s.text[a]) {
		return false
	}
	w := fold(buf[:0], s.text[a:b])
	return numberInFront[string(w)] || bytes.HasPrefix(w, []byte("protoco"))
}

// captionEnds reports whether what stands behind a word of n bytes ends what it is said of.
// A dot behind a short one says that there would be more of it.
func captionEnds(between []byte, n int) bool {
	const short = 5
	for i, b := range between {
		switch b {
		case ',', ';', '!', '?':
			return true
		case '.':
			if n > short || i > 0 {
				return true
			}
		case 0xE3, 0xEF:
			if wideStop(between[i:]) {
				return true
			}
		case '\n':
			if i == 0 || bytes.IndexByte(between[:i], ':') < 0 {
				return true
			}
		}
	}
	return false
}

// shortestStem is how many bytes a stem has at least.
const shortestStem = 3

// hasStem reports whether a word in lower case is one of the stems, with an ending of
// declension perhaps.
func hasStem(stems map[string]bool, w []byte) bool {
	for n, ending := len(w), 0; n >= shortestStem && ending <= longestEnding; ending++ {
		if stems[string(w[:n])] {
			return true
		}
		_, size := utf8.DecodeLastRune(w[:n])
		n -= size
	}
	return false
}

// cardName reports whether a word in lower case is one for a card, by how it begins or what
// is in it.
func cardName(w []byte) bool {
	card := lastOf(cardParts, w)
	return hasStem(cardStems, w) || card >= 0 && card > lastOf(thingParts, w)
}

// otherName reports whether a word in lower case is one for what has a number and is no card.
func otherName(w []byte) bool { return otherWords[string(w)] || hasStem(otherStems, w) }

// plainName reports whether a word in lower case names nothing in front of a word for number,
// as words that say what was done with the number do, and how.
func plainName(w []byte) bool {
	return plainWords[string(w)] || len(w) >= 4 && bytes.HasSuffix(w, []byte("ed")) || len(w) >= 7 && bytes.HasSuffix(w, []byte("ly")) ||
		bytes.HasSuffix(w, []byte("ierte")) || bytes.HasSuffix(w, []byte("ierten"))
}

// scriptCaption reports whether a run of letters in a script without spaces ends in the name
// of a number.
func scriptCaption(w []byte) bool {
	if len(w) == 0 || w[0] < 0x80 && w[len(w)-1] < 0x80 {
		return false
	}
	rest := w
	for cut := true; cut; {
		for _, x := range scriptStems {
			if bytes.HasSuffix(rest, x) {
				return true
			}
		}
		cut = false
		for _, x := range scriptTails {
			if cut = bytes.HasSuffix(rest, x); cut {
				rest = rest[:len(rest)-len(x)]
				break
			}
		}
	}
	for _, x := range scriptNumbers {
		if i := bytes.LastIndex(w, x.number); i >= 0 {
			for _, plain := range x.plain {
				if bytes.HasSuffix(w[:i], plain) {
					return false
				}
			}
			r, _ := utf8.DecodeLastRune(w[:i])
			return i >= x.least && !unicode.Is(unicode.Hiragana, r) // which ends no name: この番号, それでは番号は
		}
	}
	return false
}

// datedBehind reports whether the date of a card stands right behind i.
func (s *scanner) datedBehind(i int) bool {
	next := nextDigit(s.text[:min(len(s.text), i+4)], i)
	if next == min(len(s.text), i+4) {
		return false
	}
	end, _ := expiryDate(s.text, next)
	return end > 0
}
