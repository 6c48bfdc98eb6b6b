package detect

import "github.com/caregate/caregate/redact"

// trigger says what makes the scan ask a family about a stretch of text. The one
// pass over a text looks for these and for nothing else.
type trigger uint16

const (
	// onDigits: a chain of digit groups, with one to three separators between any
	// two, that has at least family.digits digits in all.
	onDigits trigger = 1 << iota
	// onGlued: a digit with a letter right before or right behind it, as tokens,
	// addresses and most identifiers have.
	onGlued
	// onAt: the sign @.
	onAt
	// onUnder: the underscore.
	onUnder
	// onWords: one of family.wake.
	onWords
	// onWide: a stretch of characters outside ASCII, with the letters between.
	onWide
	// onDots: digits with a dot or colon on both sides, or a double colon, as
	// addresses of machines have.
	onDots
	// onFour: a group of exactly four digits, or of eight that no letter touches.
	onFour
	// onAlways: all of the text, in one call. For what has a quick trigger of its
	// own.
	onAlways
)

// family finds some classes in plain text. It keeps no state: whether something
// is a finding depends on text[begin-LookBehind : begin+LookAhead] and the hint.
type family struct {
	// name is for tests and benchmarks.
	name string
	// on are the triggers at which the family is asked.
	on trigger
	// digits is for onDigits: the fewest digits a chain must have in all.
	digits int
	// yields says that nothing that the family finds is enforced by default: it gives way
	// to a card wherever the two overlap.
	yields bool
	// wake are words for onWords: lower-case ASCII, seven to 32 bytes long, found
	// anywhere and in any case, also inside longer words: the family looks closer.
	wake []string
	// vocabulary are words the family wants to know about, by what they mean:
	// lower case, whole words, or phrases of two or three words with one blank
	// between. See vocabulary.phrase.
	vocabulary map[sense][]string
	// find appends the findings that begin in text[from:to), or up to idLead bytes
	// in front: the token or the chain that holds the trigger, up to and with the
	// trigger. When the trigger is
	// a word, it also appends what begins behind it, up to wakeReach bytes.
	// Everything else of text is context, to be read LookBehind and LookAhead bytes
	// far. It may be asked about parts of a token, and about a stretch again: what
	// it finds must not depend on that. No allocation when nothing is found.
	find func(d *Detector, dst []redact.Finding, text []byte, from, to int, h Hint) []redact.Finding
	// open is for families that read further than LookAhead, and for onAlways: it
	// returns the first offset at or after from at which a finding may begin that
	// more text could still change, or len(text). When it is nil, LookAhead decides.
	open func(d *Detector, text []byte, from int, h Hint) int
}

// maxFamilies is how many families there may be.
const maxFamilies = 16

// wakeReach is how far behind a word of family.wake a finding may begin, and
// tokenReach how far in front of any other trigger, in bytes.
const (
	wakeReach  = 128
	tokenReach = 128
)

// families are asked in this order; it has no influence on the result. A new
// family is a file with its find function and a line here.
func families() []family {
	return []family{
		lastFourFamily(),
		lookalikeFamily(),
		idFamily(),

		// secrets: keys, passwords, crypto addresses, e-mail, IP, blocklist, payment references
		{name: "tokens", on: onGlued | onUnder | onWords, wake: []string{"---begin"}, find: (*Detector).findTokens, open: (*Detector).openToken},
		{name: "seeds", on: onWords, wake: seedWakes, find: (*Detector).findSeeds},
		{name: "passwords", on: onWords | onWide | onGlued, wake: passwordWakes, find: (*Detector).findPasswords},
		{name: "mail", on: onAt, find: (*Detector).findMail},
		{name: "ip", on: onDots, find: (*Detector).findIP},

		// spoken and split values
		spokenFamily(),
		piecesFamily(),
	}
}

// rankEnforced is the least rank of what is enforced by default.
const rankEnforced = 32

// rank orders findings that overlap: what is enforced by default first, then what
// has a check digit, then what a word or key names, then the mere shape.
func rank(f *redact.Finding) int {
	r := 0
	switch f.Class {
	case redact.CardTrackData:
		r = 48
	case redact.CreditCard, redact.CardVerificationCode, redact.CardPIN, redact.USSSN, redact.USITIN:
		r = rankEnforced
	case redact.Blocklist:
		r = 16
	}
	if f.Evidence&redact.EvidenceChecksum != 0 {
		r += 4
	}
	if f.Evidence&(redact.EvidenceWord|redact.EvidenceKey) != 0 {
		r += 2
	}
	if f.Evidence&(redact.EvidenceIssuer|redact.EvidenceGrouping) != 0 {
		r++
	}
	return r
}

// better reports whether a wins over b, which overlaps it.
func better(a, b *redact.Finding) bool {
	if x, y := rank(a), rank(b); x != y {
		return x > y
	}
	if x, y := a.End-a.Start, b.End-b.Start; x != y {
		return x > y
	}
	if a.Confidence != b.Confidence {
		return a.Confidence > b.Confidence
	}
	if a.Class != b.Class {
		return a.Class < b.Class
	}
	// What the text says by itself, whichever was found first: a stream may read a view
	// of it before.
	const view = redact.EvidenceEncoded | redact.EvidenceScript
	return a.Evidence&view < b.Evidence&view
}

// resolve sorts found and takes out all but the best of those that overlap, from
// the left: a finding that lost does not defend what stands behind it.
func resolve(found []redact.Finding) []redact.Finding {
	apart := 1 // how many stand one behind the other already, as nearly all do
	for apart < len(found) && found[apart].Start >= found[apart-1].End {
		apart++
	}
	if apart >= len(found) {
		return found
	}
	for i := apart; i < len(found); i++ { // nearly sorted, and mostly very few
		f, at := found[i], i
		for at > 0 && (f.Start < found[at-1].Start || f.Start == found[at-1].Start && better(&f, &found[at-1])) {
			at--
		}
		if at < i {
			copy(found[at+1:i+1], found[at:i])
			found[at] = f
		}
	}
	out := found[:1]
	for i := 1; i < len(found); i++ {
		f, last := &found[i], &out[len(out)-1]
		switch {
		case f.Start >= last.End:
			if out = out[:len(out)+1]; len(out) <= i {
				out[len(out)-1] = *f
			}
		case f.Class == redact.CreditCard && last.Class == redact.CreditCard:
			// Two readings of one stretch: nothing of either may stay.
			start, end := last.Start, max(last.End, f.End)
			if better(f, last) {
				*last = *f
			}
			last.Start, last.End = start, end
		case last.Class == redact.CreditCard && (f.Class == redact.CardVerificationCode || f.Class == redact.CardPIN) && f.Start > last.Start && f.End >= last.End:
			// One reading takes a code for the end of a card, of which four digits stay.
			last.End = f.Start
			out = append(out, *f)
		case better(f, last):
			*last = *f
		}
	}
	return out
}
