package detect

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// manyGroups is text in which cards in pieces nearly stand: groups of few values, so that
// sums come out, some read back, some not of four digits.
func manyGroups(r *rand.Rand) []byte {
	groups := [...]string{"4111", "1111", "1111", "1881", "4012", "8888", "5555", "4444", "6200", "0000", "0005", "123", "12345", "19"}
	between := [...]string{" uh ", " uh ", " um and ", " ", "-", " - ", " x ", " cats ", "カード", ". ", " Agent: ", strings.Repeat(" uh", 90)}
	var b strings.Builder
	for range 6 + r.IntN(20) {
		g := groups[r.IntN(len(groups))]
		for k := 1 + r.IntN(4)/3; k > 0; k-- {
			b.WriteString(g)
			b.WriteString(between[r.IntN(len(between))])
		}
	}
	return []byte(b.String())
}

// TestGroupRow: of a row that is kept from place to place the same is read as of a new one,
// and where its sums say that there is no card none is read.
func TestGroupRow(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	r := rand.New(rand.NewPCG(4, 16))
	none, cards := 0, 0
	for range 3000 {
		text := manyGroups(r)
		var kept groupRow
		for i := nextDigit(text, 0); i < len(text); i = nextDigit(text, runEnd(text, i)) {
			end := runEnd(text, i)
			if r.IntN(3) == 0 {
				continue
			}
			var fresh groupRow
			got, ok := d.pieceBegin(text, i, end, &kept)
			want, wanted := d.pieceBegin(text, i, end, &fresh)
			if got != want || ok != wanted {
				t.Fatalf("begin at %d of %q: got %+v %v, want %+v %v", i, text, got, ok, want, wanted)
			}
			for _, back := range [...]bool{false, true} {
				if !ok || back && !got.repeated {
					continue
				}
				var p, q pieces
				found := p.read(d, text, got, back, &kept)
				if q.read(d, text, want, back, &fresh) != found || found && p.n != q.n {
					t.Fatalf("card at %d of %q, read back %v: a kept row and a new one differ", i, text, back)
				}
				if found {
					cards++
				}
				if kept.none16(d, text, got.lengths, back) {
					if none++; found {
						t.Fatalf("card at %d of %q, read back %v: the sums say that there is none", i, text, back)
					}
				}
			}
		}
	}
	if none < 100 || cards < 100 {
		t.Errorf("%d rows with no card by their sums and %d cards, want at least 100 of each", none, cards)
	}
}
