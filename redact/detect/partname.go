package detect

import (
	"bytes"
	"strings"
)

// Part says what of a payment card, or of a social security number, a field holds by
// its name, beside other fields with the rest.
type Part uint8

const (
	// NoPart is any other field.
	NoPart Part = iota
	// CardPart is one of several groups of a card number: card2, cc_first4.
	CardPart
	// SSNPart is one of several groups of a social security number: ssn1, ssn_area.
	SSNPart
	// MonthPart is the month of an expiry date: exp_month.
	MonthPart
	// YearPart is its year: expiryYear.
	YearPart
	// ExpiryPart is all of an expiry date: exp, validThru.
	ExpiryPart
	// CodePart is the verification code under a name that says so only beside a card: cid.
	CodePart
	// MaybeCodePart is the same under a name that needs an expiry date beside it, too: code.
	MaybeCodePart
)

// What a name ends in whose field is a part, lower case: fillers say nothing alone.
var (
	ordinals   = wordSet("first", "second", "third", "fourth", "fifth", "one", "two", "three", "four", "middle", "last", "start", "begin", "end", "area", "group", "serial", "a", "b", "c", "d")
	fillers    = wordSet("digits", "digit", "part", "block", "segment", "chunk", "quad", "number", "num", "no", "field", "p", "six", "eight")
	monthWords = wordSet("month", "months", "mm", "mon", "mois", "mes", "mese", "maand")
	yearWords  = wordSet("year", "years", "yy", "yyyy", "yr", "jahr", "annee", "ano", "anno", "jaar")
)

// NameEnd says what a name may be of, by how it ends. It may be wrong on the side of
// yes.
type NameEnd uint8

const (
	// EndsPart: the field may be a part of a card, a date of one, or a tax number.
	EndsPart NameEnd = 1 << iota
	// EndsPassword: the value may be a password.
	EndsPassword
)

// nameEnds is what the last two letters of a name say.
var nameEnds = func() (ends [1 << 10]NameEnd) {
	add := func(w string, e NameEnd) {
		if n := len(w); n > 1 {
			ends[int(w[n-2]&31)<<5|int(w[n-1]&31)] |= e
		}
	}
	for _, set := range []map[string]bool{ordinals, fillers, monthWords, yearWords} {
		for w := range set {
			add(w, EndsPart)
		}
	}
	for _, w := range idNames[nameExpiry] {
		add(w, EndsPart)
	}
	add("date", EndsPart)
	for _, letter := range "abcd" { // card_a
		for _, before := range "_- ." {
			add(string([]rune{before, letter}), EndsPart)
		}
	}
	for w := range passwordKeys {
		add(w, EndsPassword)
	}
	add("confirm", EndsPassword)
	return ends
}()

// endsOf is what the last two letters of a name say.
func endsOf(a, b byte) NameEnd { return nameEnds[int(a&31)<<5|int(b&31)] }

// codePart says whether a name may be that of a verification code beside a card.
func codePart(name []byte) Part {
	switch {
	case len(name) == 3 && foldEqual(name, "cid"):
		return CodePart
	case len(name) == 4 && foldEqual(name, "code"):
		return MaybeCodePart
	}
	return NoPart
}

// IsCode reports whether text reads as a verification code.
func IsCode(text []byte) bool {
	return (len(text) == 3 || len(text) == 4) && runEnd(text, 0) == len(text)
}

// EndOf reads the end of a name. It is quick.
func EndOf(name []byte) NameEnd {
	n := len(name)
	if n < 2 {
		return 0
	}
	if n <= 4 && codePart(name) != NoPart {
		return EndsPart | endsOf(name[n-2], name[n-1])
	}
	if b := name[n-1]; b <= '9' || b == ']' {
		return endBehind(name)
	}
	return endsOf(name[n-2], name[n-1])
}

// endBehind is EndOf for names that end in digits or brackets.
func endBehind(name []byte) NameEnd {
	n, e := len(name), NameEnd(0)
	if name[n-1] == ']' && name[n-2] == '[' { // cc[], of which there are several
		return EndsPart
	}
	for n > 1 && (name[n-1] == ']' || isDigit(name[n-1])) {
		if n--; isDigit(name[n]) {
			e = EndsPart
		}
	}
	if n < 2 {
		return e
	}
	return e | endsOf(name[n-2], name[n-1])
}

func wordSet(words ...string) map[string]bool {
	set := make(map[string]bool, len(words))
	for _, w := range words {
		set[w] = true
	}
	return set
}

// PartOf says what a field is a part of, by its name and the name of what it stands in,
// which may be empty. Fields that are groups of one number have the same stem. A month
// or a year that may be of any date has no stem.
func (d *Detector) PartOf(name, outer string) (p Part, stem string) {
	if p := codePart([]byte(name)); p != NoPart {
		return p, "code"
	}
	var buf, mem [2 * maxKey]byte
	words := wordsOfKey(buf[:0], name)
	around := wordsOfKey(mem[:0], outer)
	rest, ordinal := words, strings.HasSuffix(name, "[]")
	for len(rest) > 0 {
		at := len(bytes.TrimRight(rest, " []'\""))
		rest = rest[:at]
		for at > 0 && isDigit(rest[at-1]) {
			at--
		}
		if at < len(rest) {
			rest, ordinal = rest[:at], true
			continue
		}
		at = bytes.LastIndexAny(rest, " []") + 1
		w := rest[at:]
		if !ordinals[string(w)] && !fillers[string(w)] {
			break
		}
		ordinal = ordinal || ordinals[string(w)]
		rest = rest[:at]
	}
	if ordinal {
		if len(rest) == 0 {
			rest = around
		}
		switch {
		case senseOfKey(string(rest)) == keySSN:
			return SSNPart, string(rest)
		case d.NamesCard(rest):
			return CardPart, string(rest)
		}
	}
	last := bytes.TrimRight(words, " []'\"")
	last = last[bytes.LastIndexAny(last, " []")+1:]
	expiry := d.namesExpiry(words)
	switch {
	case monthWords[string(last)]:
		p = MonthPart
	case yearWords[string(last)]:
		p = YearPart
	case expiry && string(last) != "in":
		return ExpiryPart, "expiry"
	default:
		return NoPart, ""
	}
	if expiry || d.namesExpiry(around) {
		stem = "expiry"
	}
	return p, stem
}

// namesExpiry reports whether words of a key name an expiry date.
func (d *Detector) namesExpiry(words []byte) bool {
	for at := len(words); ; {
		start, end, ok := wordBefore(words, at, 0)
		if !ok {
			return false
		}
		if d.vocab.phrase(words, start, end, 0)&nameExpiry != 0 {
			return true
		}
		at = start
	}
}

// IsExpiry reports whether all of text is the expiry date of a card, or the month or
// the year of one, as p says.
func IsExpiry(text []byte, p Part) bool {
	n := len(text)
	switch {
	case p == ExpiryPart && n >= len("1/27") && isDigit(text[0]):
		end, _ := expiryDate(text, 0)
		return end == n
	case n == 0 || n > 4 || runEnd(text, 0) != n:
		return false
	case p == MonthPart:
		return n <= 2 && number(text) >= 1 && number(text) <= 12
	case p == YearPart:
		return n == 2 || n == 4 && text[0] == '2' && text[1] == '0'
	}
	return false
}
