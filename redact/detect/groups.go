package detect

import "github.com/caregate/caregate/redact/spoken"

// maxGroups is how many groups a groupRow holds: those of a number in pieces, each of them
// read back, the one behind, and some that nobody asks about any more.
const maxGroups = 2*maxPieces + 6

// groupRow are runs of digits one after the other, as far as nothing stands between two of
// them but what may stand within a number. A card in pieces may begin with each run of
// four, and looks at those behind; of places from left to right, each run is looked for
// once.
type groupRow struct {
	runs     [maxGroups]digitRun
	first, n int // those asked about are runs[first:n]
	last     bool
}

// digitRun is one of them.
type digitRun struct {
	span
	// Of four digits, what they are, and what they add to the sum of a number whose groups
	// are all even; fourless is true of any other number of digits.
	value    uint16
	sum      uint8
	fourless bool
	// same says that the digits are those of the run before, and words that there are words
	// between the two. The latter is known only beside the former.
	same, words bool
}

// begin makes text[i:end], a run of digits, the first of the row.
func (r *groupRow) begin(text []byte, i, end int) {
	for k := r.first; k < r.n; k++ {
		if r.runs[k].start == i {
			r.first = k
			return
		}
	}
	r.runs[0].span = span{i, end}
	r.runs[0].read(text)
	r.first, r.n, r.last = 0, 1, false
}

// read reads the digits of g.
func (g *digitRun) read(text []byte) {
	g.same, g.words = false, false
	if g.fourless = g.end-g.start != 4; g.fourless {
		return
	}
	w := text[g.start:g.end]
	a, b, c, d := w[0]-'0', w[1]-'0', w[2]-'0', w[3]-'0'
	g.value = uint16(a)*1000 + uint16(b)*100 + uint16(c)*10 + uint16(d)
	g.sum = doubled[a] + b + doubled[c] + d
}

// at returns the run that stands so many runs behind the first, until the next call; nil when
// there is none.
func (r *groupRow) at(text []byte, k int) *digitRun {
	if k += r.first; k < r.n {
		return &r.runs[k] // as mostly
	}
	return r.more(text, k)
}

// more is at for runs[k], which was not read yet.
func (r *groupRow) more(text []byte, k int) *digitRun {
	if k >= len(r.runs) {
		k -= r.first
		r.n = copy(r.runs[:], r.runs[r.first:r.n])
		r.first = 0
	}
	for r.n <= k {
		if r.last {
			return nil
		}
		end := r.runs[r.n-1].end
		limit := min(len(text), end+spoken.MaxBetween)
		next := nextDigit(text[:limit], end)
		if next == limit {
			r.last = true
			continue
		}
		before, g := &r.runs[r.n-1], &r.runs[r.n]
		g.span = span{next, runEnd(text, next)}
		g.read(text)
		if g.same = string(text[before.start:before.end]) == string(text[g.start:g.end]); g.same {
			g.words = wordsBetween(text, before.end, g.start)
		}
		r.n++
	}
	return &r.runs[k]
}

// wordsBetween reports whether what stands between two runs of digits is no separator, but
// perhaps what somebody says who reads them out.
func wordsBetween(text []byte, from, to int) bool {
	_, g := gapAfter(text, from)
	return g == none && signsBetween(text[from:to]) == apartNever
}

// parted reports whether words stand between two runs of digits that nobody says within a
// number, as far as the first of them tells.
func (d *Detector) parted(text []byte, from, to int) bool {
	return !d.talk.reader.MayBetween(text, from, to) && wordsBetween(text, from, to)
}

// none16 reports whether no card can be found from the first group on, by the digits
// alone: there are four groups of four, and nothing else that a card with these lengths
// could be made of, or they stand as close as in a chain. With back, groups may be left out that
// are read back; see pieces.read.
func (r *groupRow) none16(d *Detector, text []byte, lengths uint32, back bool) bool {
	if lengths&(1<<13-1) != 0 || r.runs[r.first].fourless {
		return false
	}
	prefix, sum := uint32(r.runs[r.first].value), int(r.runs[r.first].sum)
	for n, k := 1, 1; ; n, k = n+1, k+1 {
		g := r.at(text, k)
		if g != nil && back && (n == 1 || g.same) {
			if n > 1 && !g.words {
				return false
			}
			k++
			g = r.at(text, k)
		}
		switch {
		case n == 4 && g != nil && g.end-g.start < 4 && lengths>>(16+g.end-g.start)&1 != 0:
			return false // perhaps the last digits of a longer one
		case n == 4:
			return !d.issuers.read(prefix, 16, sum%10 == 0).ok || !back && r.close(text)
		case g == nil:
			return true // too few digits
		case g.fourless:
			return false
		case n == 1:
			prefix = prefix*10000 + uint32(g.value)
		}
		sum += int(g.sum)
	}
}

// close reports whether the first four groups, which were read, stand as close as in a chain.
func (r *groupRow) close(text []byte) bool {
	for k := r.first; k < r.first+3; k++ {
		if _, g := gapAfter(text, r.runs[k].end); g == none {
			return false
		}
	}
	return true
}
