package detect

import "github.com/caregate/caregate/redact"

// Carry is what one call of Window tells the next. The zero value begins a
// stream.
type Carry struct {
	// behind is how far before the place where the card scan goes on the last card
	// ended, plus one; 0 means there is none.
	behind int
	// ahead is how far behind the next window's begin the card scan goes on.
	ahead int
	// view is how far behind the next window's begin text was read in other ways.
	view int
	// base64 is how far behind the next window's begin base64 was read, or before it,
	// when it is negative.
	base64 int
	// at is how far the stream is settled, in bytes.
	at int
}

// Window is Text for a stream. text is a piece of it, of which text[:from] was
// settled by earlier calls and is only there as context: at least [LookBehind]
// bytes, or all there were. Window appends the findings that begin at or after
// from and cannot change any more, and returns the offset up to which text is
// settled: findings never reach beyond it, and the next call passes it as from,
// less what was cut off in front. When final is true, all of text is settled.
//
// Settled stays at most [LookBehind] and [LookAhead] bytes behind the end of
// text.
func (d *Detector) Window(dst []redact.Finding, text []byte, from int, final bool, c *Carry) (_ []redact.Finding, settled int) {
	base := len(dst)
	resume := from + c.ahead
	s := scanner{d: d, text: text, from: resume, stop: len(text), final: final, card: -1}
	s.hint.phase = c.at - from
	s.remember()
	if c.behind > 0 && c.behind-1 <= resume {
		s.card = resume - (c.behind - 1)
	}
	card := s.card
	s.viewEnd, s.end64, s.settled = from+c.view, from+c.base64, from
	decided := len(text)
	if !final {
		decided = max(from, len(text)-LookAhead)
	}
	s.earlier(&dst, lo(from, tokenReach), min(resume, decided))
	early := len(dst)
	resume = s.run(&dst, resume)
	cards := len(dst)

	// What begins before known cannot change any more.
	known := len(text)
	if !final {
		known = tokenStart(text, len(text)) - idLead
		if i := d.next(text, decided); i < len(text) {
			// A number in other digits, or in an encoding, may begin before, and a spoken
			// one that goes on in it with no sign.
			begin := i - markReach
			i = d.next(text, max(from, begin))
			known = min(known, begin, tokenStart(text, i)-idLead)
		}
		for i := range d.families {
			if f := &d.families[i]; f.open != nil {
				known = min(known, f.open(d, text, from, s.hint))
			} else if f.on&onAlways != 0 {
				known = min(known, decided)
			}
		}
		known = wholeRune(text, from, min(known, resume))
	}
	dst = s.always(dst, from, known)

	// The findings are put together behind the raw ones, which say where the card
	// scan goes on.
	all := len(dst)
	for _, f := range dst[base:all] {
		if f.Start >= from && f.Start < known {
			dst = append(dst, f)
		}
	}
	won := resolve(d.permitted(text, dst[all:], s.hint))
	for changed := true; changed; {
		changed = false
		for i := range won {
			if won[i].End > known { // something may still begin inside it that wins
				won, known, changed = won[:i], min(known, won[i].Start), true
				break
			}
		}
		for i := range s.regions {
			if r := &s.regions[i]; r.found && r.end > known { // it is read again
				s.viewEnd, s.end64, s.regions = r.before, r.before64, s.regions[:i]
				if held := wholeRune(text, from, r.held); held < known {
					known, changed = held, true
				}
				break
			}
		}
	}
	c.view, c.base64 = max(0, s.viewEnd-known), s.end64-known
	for _, f := range dst[early:cards] { // in no order: regions are read ahead
		if f.Start >= known {
			resume = min(resume, f.Start)
		}
	}
	for _, c := range s.mem.cards {
		if c.start < known {
			card = c.end
		}
	}
	c.at += known - from
	c.ahead, c.behind = max(0, resume-known), 0
	if resume = max(resume, known); card >= 0 && resume-card <= wideReach {
		c.behind = resume - card + 1
	}
	s.forget()
	return append(dst[:base], won...), known
}

// wholeRune returns the begin of the character that i is in, or from where i is before
// it.
func wholeRune(text []byte, from, i int) int {
	for i > from && text[i]&0xC0 == 0x80 {
		i--
	}
	return max(from, i)
}
