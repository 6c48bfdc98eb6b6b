package detect

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// The signs of a string are those that a look at the whole document shows, wherever
// the string stands; more are shown only where what follows it makes them.
func TestTake(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	r := rand.New(rand.NewPCG(8, 8))
	blocks := make([]Signs, 17)
	var took, looked Glance
	for range 3000 {
		before, text, behind := glanceText(r)+strings.Repeat("-", r.IntN(100)), strings.Repeat(glanceText(r), 1+r.IntN(4)), glanceText(r)
		document := []byte(before + text + behind)
		if len(text) > maxQuick || len(document) > 16*blockSize {
			continue
		}
		clear(blocks)
		if to := d.Look(document, 0, blocks[:16]); to != len(document) {
			t.Fatalf("looked at %d of %d bytes", to, len(document))
		}
		if !took.Take(blocks, len(before), len(text)) {
			t.Fatalf("%d bytes were too many", len(text))
		}
		d.Glance([]byte(text), &looked)
		for k := 0; k*blockSize < len(text); k++ {
			a, b := took.blocks[k], looked.blocks[k]
			// In the last four bytes a sign may be made by whatever follows the text in
			// memory: words are known by three bytes, base64 by two that are four apart.
			inside := ^uint64(0)
			if left := len(text) - 4 - k*blockSize; left < blockSize {
				inside = 1<<max(left, 0) - 1
			}
			if a.digits != b.digits || d.wake.quick && b.others&^a.others&inside != 0 {
				t.Fatalf("block %d of %q behind %d bytes: %x, by itself %x", k, text, len(before), a, b)
			}
		}
	}
	if took.Take(blocks, 0, maxQuick+1) {
		t.Error("a text that is too long was taken")
	}
}
