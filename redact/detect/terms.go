package detect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// terms finds the words and phrases of an operator's list, all of them in one pass
// (Aho and Corasick, 1975): the time depends on the text and not on how long the
// list is. Case does not count, one blank stands for any blanks, and a term is
// found as whole words only, where its script has words.
type terms struct {
	// Edges of state n are labels[first[n]:first[n+1]], sorted, with their targets.
	first   []uint32
	labels  []byte
	targets []uint32
	root    [256]uint32
	fail    []uint32
	// length is the number of characters of the term that ends at a state, 0 for
	// none; suffix is the next shorter term that ends there too.
	length []uint16
	suffix []uint32
}

// The limits of a list of terms: characters of one, and bytes of all.
const (
	minTerm  = 2
	maxTerm  = 120
	maxTerms = 4 << 20
)

// foldTerm writes a term, or a text, as the automaton reads it.
func foldTerm(term string) string {
	return strings.Join(strings.FieldsFunc(strings.Map(unicode.ToLower, term), termBlank), " ")
}

// termBlank reports whether r parts the words of a term: any space, and any of
// ASCII's controls, which show as nothing or as a gap.
func termBlank(r rune) bool { return r <= ' ' || unicode.IsSpace(r) }

// compileTerms builds the automaton. Terms that are too short or too long are
// refused: one letter would be found everywhere.
func compileTerms(list []string) (*terms, error) {
	if len(list) == 0 {
		return nil, nil
	}
	folded := make([]string, 0, len(list))
	total := 0
	for _, term := range list {
		if err := CheckTerm(term); err != nil {
			return nil, err
		}
		f := foldTerm(term)
		folded = append(folded, f)
		total += len(f)
	}
	if total > maxTerms {
		return nil, fmt.Errorf("the terms of the list have %d bytes, more than %d", total, maxTerms)
	}
	slices.Sort(folded)
	folded = slices.Compact(folded)
	a := &terms{}
	// The terms that share a state are neighbours in the sorted list: a state is a
	// range of them and a depth, and the states of one depth come one after another.
	type node struct {
		lo, hi, depth int
		parent        uint32
		label         byte
	}
	nodes := []node{{hi: len(folded)}}
	for n := 0; n < len(nodes); n++ {
		at := nodes[n]
		a.first = append(a.first, uint32(len(a.labels)))
		length := uint16(0)
		if at.depth > 0 && len(folded[at.lo]) == at.depth {
			length = uint16(utf8.RuneCountInString(folded[at.lo]))
			at.lo++
		}
		a.length = append(a.length, length)
		for at.lo < at.hi {
			b := folded[at.lo][at.depth]
			next := at.lo + 1
			for next < at.hi && folded[next][at.depth] == b {
				next++
			}
			a.labels = append(a.labels, b)
			a.targets = append(a.targets, uint32(len(nodes)))
			nodes = append(nodes, node{at.lo, next, at.depth + 1, uint32(n), b})
			at.lo = next
		}
	}
	a.first = append(a.first, uint32(len(a.labels)))
	for k := a.first[0]; k < a.first[1]; k++ {
		a.root[a.labels[k]] = a.targets[k]
	}
	a.fail = make([]uint32, len(nodes))
	a.suffix = make([]uint32, len(nodes))
	for n := 1; n < len(nodes); n++ { // by depth, so that shorter ones are known
		if nodes[n].depth > 1 {
			a.fail[n] = a.next(a.fail[nodes[n].parent], nodes[n].label)
		}
		if f := a.fail[n]; a.length[f] > 0 {
			a.suffix[n] = f
		} else {
			a.suffix[n] = a.suffix[f]
		}
	}
	return a, nil
}

// next is the state behind state and b.
func (a *terms) next(state uint32, b byte) uint32 {
	for state != 0 {
		labels := a.labels[a.first[state]:a.first[state+1]]
		if i, ok := slices.BinarySearchFunc(labels, b, cmp.Compare[byte]); ok {
			return a.targets[int(a.first[state])+i]
		}
		state = a.fail[state]
	}
	return a.root[b]
}

// maxStretch is how many bytes a term may take in a text, with the blanks that stand
// for one and letters that are longer than their small ones. What is further apart is
// no phrase, and a stream does not wait for it.
const maxStretch = 4 * maxTerm

// find calls each with the terms that begin in t[from:to), by their ends.
func (a *terms) find(t []byte, from, to int, each func(start, end int)) {
	state := uint32(0)
	blank := false
	// A term that begins in the range ends at most a term behind it; one that
	// begins before is told by its start.
	limit := min(len(t), to+maxStretch)
	for i := from; i < limit; {
		b := t[i]
		next := i + 1
		switch {
		case b < utf8.RuneSelf && b > ' ':
			state, blank = a.next(state, lower(b)), false
		case b < utf8.RuneSelf:
			if !blank {
				state = a.next(state, ' ')
			}
			blank = true
		default:
			r, size := utf8.DecodeRune(t[i:])
			next = i + size
			if termBlank(r) {
				if !blank {
					state = a.next(state, ' ')
				}
				blank = true
				break
			}
			blank = false
			var buf [utf8.UTFMax]byte
			for _, c := range buf[:utf8.EncodeRune(buf[:], unicode.ToLower(r))] {
				state = a.next(state, c)
			}
		}
		i = next
		if state == 0 && i >= to {
			return
		}
		for s := state; s != 0; s = a.suffix[s] {
			if n := int(a.length[s]); n > 0 && !blank && wordEnd(t, i) {
				if start := runesBack(t, i, n, max(from, i-maxStretch)); start >= 0 && start < to && wordEnd(t, start) {
					each(start, i)
				}
			}
		}
	}
}

// runesBack returns where n characters before i begin; blanks in a row are one. It is
// -1 when that is before low.
func runesBack(t []byte, i, n, low int) int {
	for ; n > 0; n-- {
		blank := false
		for {
			if i <= low {
				return -1
			}
			r, size := utf8.DecodeLastRune(t[:i])
			if blank && !termBlank(r) {
				break
			}
			i -= size
			if blank = termBlank(r); !blank {
				break
			}
		}
	}
	if i < low {
		return -1
	}
	return i
}

// wordEnd reports whether no word goes on from before i to behind it. Scripts
// without blanks have a border between any two characters.
func wordEnd(t []byte, i int) bool {
	if i == 0 || i == len(t) {
		return true
	}
	a, _ := utf8.DecodeLastRune(t[:i])
	b, _ := utf8.DecodeRune(t[i:])
	return !inWord(a) || !inWord(b) || unspaced(a) || unspaced(b)
}

func inWord(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// unspaced reports whether the script of a letter writes no blanks between words,
// or glues particles to them.
func unspaced(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}
