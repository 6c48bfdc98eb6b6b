package detect

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A row of marks that is read from its end says the same as one that is read mark by mark.
func TestMarksFrom(t *testing.T) {
	t.Parallel()
	texts := hostile(t, "text")
	pieces := []string{"&amp;#52;", "=\n", "=3D", `\x34`, "<br>4</br>", "<b title='=34'>", "\u0664", "4=20", "%25", "x ", strings.Repeat("lorem ipsum ", 20)}
	for _, piece := range texts {
		pieces = append(pieces, piece)
	}
	slices.Sort(pieces)
	r := rand.New(rand.NewPCG(1, 2))
	rows := 0
	for range 2000 {
		var b strings.Builder
		for range 1 + r.IntN(12) {
			piece := pieces[r.IntN(len(pieces))]
			b.WriteString(strings.Repeat(piece, 1+r.IntN(1+200/len(piece))))
		}
		s := scanner{text: []byte(b.String())}
		p, m := s.nextMark(0, len(s.text))
		for ; m != 0; p, m = s.nextMark(p+1, len(s.text)) {
			rows++
			limit := p + 1 + r.IntN(maxRegion)
			end, want := p+1, m
			for end < limit {
				q, k := s.nextMark(end, min(end+markGap, limit))
				if k == 0 {
					break
				}
				end, want = q+1, want|k
			}
			if to, got := s.marksFrom(p, limit, m); to != end || got != want {
				t.Fatalf("from %d up to %d: to %d for %b, want %d for %b in %q", p, limit, to, got, end, want, b.String())
			}
			p += r.IntN(markGap)
		}
	}
	if rows < 1000 {
		t.Errorf("%d rows only", rows)
	}
}
