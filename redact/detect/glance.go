package detect

import "math/bits"

// Signs are the places in 64 bytes of a text at which something may begin. A walker
// that looks at a whole document at once knows so which of its strings need not be
// looked at at all.
type Signs = block

// Digits has a bit for each byte that is a digit.
func (s *Signs) Digits() uint64 { return s.digits }

// Others has a bit for each other byte at which something may begin: signs, bytes
// outside ASCII, words that families wait for, base64 of digits. A bit may be set where
// only what follows the text makes it so, but never for a byte outside ASCII.
func (s *Signs) Others() uint64 { return s.others }

// Look fills blocks, 64 at most, with the signs of text from i on, as far as they go,
// and returns up to where that is. The bits of bytes behind the text are 0.
func (d *Detector) Look(text []byte, i int, blocks []Signs) (to int) {
	to, _ = d.wake.look(text, i, blocks)
	return to
}

// maxQuick is the longest text that is known at a glance, in bytes.
const maxQuick = 512

// Glance is the signs of one text of up to 512 bytes.
type Glance struct {
	n      int // how many bytes the text has, -1 where nobody looked
	blocks [maxQuick / blockSize]Signs
}

// Forget makes g the glance of no text.
func (g *Glance) Forget() { g.n = -1 }

// Take fills g with the signs of a text of n bytes that begins at byte at of blocks,
// of which there is one more than the text reaches into. It reports false when n is
// too large.
func (g *Glance) Take(blocks []Signs, at, n int) bool {
	if n > maxQuick {
		return false
	}
	g.n = n
	k, shift := at/blockSize, uint(at%blockSize)
	for i := 0; i*blockSize < n; i, k = i+1, k+1 {
		b := blocks[k]
		if shift > 0 {
			c := &blocks[k+1]
			b.digits = b.digits>>shift | c.digits<<(blockSize-shift)
			b.others = b.others>>shift | c.others<<(blockSize-shift)
		}
		if left := n - i*blockSize; left < blockSize {
			inside := uint64(1)<<left - 1
			b.digits &= inside
			b.others &= inside
		}
		g.blocks[i] = b
	}
	return true
}

// Glance looks at text. Of one that is too long to be known at a glance, g says
// nothing, and [Detector.QuickAt] knows.
func (d *Detector) Glance(text []byte, g *Glance) {
	if g.n = len(text); g.n <= maxQuick {
		d.wake.look(text, 0, g.blocks[:])
	}
}

// next returns the first place at or after i at which something may begin, or the
// length of the text.
func (g *Glance) next(i int) int {
	for i < g.n {
		b := &g.blocks[i/blockSize]
		if m := (b.digits | b.others) >> (i % blockSize); m != 0 {
			return i + bits.TrailingZeros64(m)
		}
		i = i - i%blockSize + blockSize
	}
	return g.n
}
