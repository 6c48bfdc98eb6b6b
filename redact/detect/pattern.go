package detect

import (
	"fmt"
	"strings"
)

// pattern is the shape of an operator's own identifier, such as ORD-########. It is
// matched with one word of state, a bit for each position that is behind (the
// shift-and automaton), so a match costs a few operations for each byte whatever
// the pattern says.
type pattern struct {
	masks    [128]uint64 // by ASCII byte, the positions that take it
	optional uint64      // the positions that may be left out
	longest  int         // the number of positions
	specific bool        // says more than classes of characters
}

// The limits of a pattern: how long what it matches may be, and how short.
const (
	maxPattern = 62
	minPattern = 4
)

// patternHelp says how patterns are written, for messages.
const patternHelp = "# is a digit, ? a letter or digit, [A-Z] or [ABC] one character of a set, {4} or {4,8} behind one repeats it, \\ takes a sign as it is"

// compilePattern reads a pattern: characters that stand for themselves, # for a
// digit, ? for a letter or a digit, [A-Z0-9] for one of a set, and {n} or {n,m}
// behind any of them for a count. A backslash takes the next character as it is.
func compilePattern(src string) (*pattern, error) {
	p := &pattern{}
	add := func(set *[2]uint64, optional bool) error {
		if p.longest == maxPattern {
			return fmt.Errorf("pattern %q matches more than %d characters", src, maxPattern)
		}
		p.longest++
		bit := uint64(1) << p.longest
		for b := range p.masks {
			if set[b>>6]>>(b&63)&1 != 0 {
				p.masks[b] |= bit
			}
		}
		if optional {
			p.optional |= bit
		}
		return nil
	}
	shortest := 0
	for i := 0; i < len(src); {
		var set [2]uint64
		next, plain, err := patternSet(src, i, &set)
		if err != nil {
			return nil, err
		}
		p.specific = p.specific || plain
		low, high := 1, 1
		if next < len(src) && src[next] == '{' {
			if next, low, high, err = patternCount(src, next); err != nil {
				return nil, err
			}
		}
		for n := range high {
			if err := add(&set, n >= low); err != nil {
				return nil, err
			}
		}
		shortest += low
		i = next
	}
	if shortest < minPattern {
		return nil, fmt.Errorf("pattern %q matches less than %d characters: %s", src, minPattern, patternHelp)
	}
	return p, nil
}

// patternSet reads one element at i into set. plain says that it is a sign or a
// letter rather than a class.
func patternSet(src string, i int, set *[2]uint64) (next int, plain bool, err error) {
	put := func(b byte) { set[b>>6] |= 1 << (b & 63) }
	span := func(from, to byte) {
		for b := int(from); b <= int(to); b++ {
			put(byte(b))
		}
	}
	switch b := src[i]; {
	case b >= 0x80 || b < ' ' || b == 0x7F:
		return 0, false, fmt.Errorf("pattern %q holds a character outside printable ASCII: use a term for words", src)
	case b == '#':
		span('0', '9')
		return i + 1, false, nil
	case b == '?':
		span('0', '9')
		span('A', 'Z')
		span('a', 'z')
		return i + 1, false, nil
	case b == '\\':
		if i+1 == len(src) || src[i+1] >= 0x7F {
			return 0, false, fmt.Errorf("pattern %q ends in a backslash, or has one before a character outside ASCII", src)
		}
		put(src[i+1])
		return i + 2, true, nil
	case b == '[':
		end := strings.IndexByte(src[i:], ']')
		if end < 2 {
			return 0, false, fmt.Errorf("pattern %q: a set is written [A-Z] or [ABC]", src)
		}
		inside := src[i+1 : i+end]
		for k := 0; k < len(inside); k++ {
			switch {
			case inside[k] >= 0x7F || inside[k] < ' ':
				return 0, false, fmt.Errorf("pattern %q holds a character outside printable ASCII: use a term for words", src)
			case k+2 < len(inside) && inside[k+1] == '-':
				if inside[k] > inside[k+2] || inside[k+2] >= 0x7F {
					return 0, false, fmt.Errorf("pattern %q: the range %s goes backwards", src, inside[k:k+3])
				}
				span(inside[k], inside[k+2])
				k += 2
			default:
				put(inside[k])
			}
		}
		return i + end + 1, false, nil
	case b == ']' || b == '{' || b == '}' || b == '*' || b == '+' || b == '(' || b == ')' || b == '|' || b == '^' || b == '$':
		return 0, false, fmt.Errorf("pattern %q: %c means nothing here; %s", src, b, patternHelp)
	default:
		put(b)
		return i + 1, true, nil
	}
}

// patternCount reads {n} or {n,m} at i.
func patternCount(src string, i int) (next, low, high int, err error) {
	end := strings.IndexByte(src[i:], '}')
	bad := fmt.Errorf("pattern %q: a count is written {4} or {4,8}, from 1 to %d", src, maxPattern)
	if end < 0 {
		return 0, 0, 0, bad
	}
	a, b, two := strings.Cut(src[i+1:i+end], ",")
	number := func(s string) int {
		n := 0
		for k := range len(s) {
			if !isDigit(s[k]) || k > 1 {
				return -1
			}
			n = n*10 + int(s[k]-'0')
		}
		if s == "" {
			return -1
		}
		return n
	}
	low = number(a)
	high = low
	if two {
		high = number(b)
	}
	if low < 1 || high < low || high > maxPattern {
		return 0, 0, 0, bad
	}
	return i + end + 1, low, high, nil
}

// end returns the longest end of a match that begins at i, or 0. A match ends where
// no letter, digit or underscore follows.
func (p *pattern) end(t []byte, i int) int {
	state, end := uint64(1), 0
	for limit := min(len(t), i+p.longest); i < limit && t[i] < 0x80; {
		state = state << 1 & p.masks[t[i]]
		if state == 0 {
			break
		}
		for skip := state; skip != 0; state |= skip {
			skip = state << 1 & p.optional &^ state
		}
		i++
		if state>>p.longest&1 != 0 && (i == len(t) || !isWordByte(t[i]) && t[i] != '_') {
			end = i
		}
	}
	return end
}

// patternBegin reports whether a match may begin at i.
func patternBegin(t []byte, i int) bool {
	return i == 0 || !isWordByte(t[i-1]) && t[i-1] != '_'
}
