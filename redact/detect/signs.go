package detect

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// blockSize is how many bytes have one word of bits.
const blockSize = 64

// maxBlocks is how many blocks a scanner looks at at once: enough that the call
// costs little, and few enough that short texts do not pay for them.
const maxBlocks = 16

// block has a bit for each byte of a block at which something may begin.
type block struct {
	digits uint64
	others uint64 // signs, bytes outside ASCII, words that families wait for, base64 of digits from its fifth letter on
}

// signs are the places in text[from:to) at which something may begin.
type signs struct {
	from, to int
	some     uint64 // a bit for each block that has bits
	blocks   [maxBlocks]block
}

// next returns the first place at or after i, or len(text).
func (s *signs) next(w *wakeWords, text []byte, i int) int {
	for i < len(text) {
		if i < s.from || i >= s.to {
			s.from = i
			s.to, s.some = w.look(text, i, s.blocks[:])
		}
		at := uint(i-s.from) / blockSize
		b := &s.blocks[at%maxBlocks]
		if m := (b.digits | b.others) >> (uint(i-s.from) % blockSize); m != 0 {
			return i + bits.TrailingZeros64(m)
		}
		i = s.to
		if rest := s.some >> (at + 1); rest != 0 {
			i = s.from + (int(at+1)+bits.TrailingZeros64(rest))*blockSize
		}
	}
	return len(text)
}

// next returns the offset of the first byte at or after i at which something may
// begin, or len(text): a digit, another trigger of one byte, bytes of a wake word,
// letters of base64. It is for those who ask once.
func (d *Detector) next(text []byte, i int) int {
	for n := 1; i < len(text); n = 4 {
		var blocks [4]block
		to, some := d.wake.look(text, i, blocks[:n])
		if some != 0 {
			k := bits.TrailingZeros64(some)
			return i + k*blockSize + bits.TrailingZeros64(blocks[k].digits|blocks[k].others)
		}
		i = to
	}
	return len(text)
}

// probeAhead is how many bytes behind its blocks the probe reads.
const probeAhead = 2

// look fills blocks with the bits of text from i on, as far as they go, and returns up
// to where that is, and a bit for each block that has some. Bits behind the end of text
// are 0.
func (w *wakeWords) look(text []byte, i int, blocks []block) (to int, some uint64) {
	whole := min((len(text)-i-probeAhead)/blockSize, len(blocks))
	if whole > 0 {
		some = w.fill(text[i:], blocks[:whole], lettersBefore(text, i))
		i += whole * blockSize
		blocks = blocks[whole:]
	} else {
		whole = 0
	}
	rest := text[i:]
	n := (len(rest) + blockSize - 1) / blockSize
	if n == 0 || n > len(blocks) {
		return i, some
	}
	more, before := uint64(0), lettersBefore(text, i)
	if w.quick && endOfPage-int(uintptr(unsafe.Pointer(&rest[0]))%endOfPage) >= n*blockSize+probeAhead {
		// Memory is there to the end of a page, so the probe may read beyond the text; what
		// it says about that is taken out. Most texts are shorter than a block.
		more = probe(&rest[0], n, w.probes, &blocks[0], before)
		last := &blocks[n-1]
		inside := ^uint64(0) >> (-len(rest) & (blockSize - 1))
		last.digits &= inside
		last.others &= inside
		if last.digits|last.others == 0 {
			more &^= 1 << (n - 1)
		}
	} else {
		var room [2*blockSize + probeAhead]byte
		copy(room[:], rest)
		more = w.fill(room[:], blocks[:n], before)
	}
	return len(text), some | more<<whole
}

// endOfPage is what the smallest pages of memory are aligned to.
const endOfPage = 4096

// letterPair is how far apart two letters L to O stand in base64 of digits, which say
// so by that.
const letterPair = 4

// lettersBefore says which of the letterPair bytes in front of i are L to O: whether a
// letter is one of a pair must not depend on where somebody began to look.
func lettersBefore(text []byte, i int) (before uint64) {
	for k := max(0, letterPair-i); k < letterPair; k++ {
		if text[i-letterPair+k]&^3 == 'L' {
			before |= 1 << k
		}
	}
	return before
}

// fill is look for whole blocks.
func (w *wakeWords) fill(text []byte, blocks []block, before uint64) (some uint64) {
	if w.quick {
		return probe(&text[0], len(blocks), w.probes, &blocks[0], before)
	}
	for k := range blocks {
		b, letters := w.block((*[blockSize]byte)(text[k*blockSize:]))
		b.others |= letters & (letters<<letterPair | before)
		before = letters >> (blockSize - letterPair)
		if blocks[k] = b; b.digits|b.others != 0 {
			some |= 1 << k
		}
	}
	return some
}

// block is the probe for processors that have none. It looks at eight bytes at a time,
// and finds words by four of their bytes. All marks are in the high bits of the bytes.
func (w *wakeWords) block(text *[blockSize]byte) (b block, letters uint64) {
	for i := 0; i < blockSize; i += 8 {
		v := binary.LittleEndian.Uint64(text[i : i+8 : i+8])
		x := v & (0x7F * ones) // no sum below carries into the next byte
		digits := (x + (0x80-'0')*ones) &^ (x + (0x80-'9'-1)*ones) &^ v & highs
		neither := ((x ^ '@'*ones) + 0x7F*ones) & ((x ^ '_'*ones) + 0x7F*ones) &^ v
		noLO := (x&(0x7C*ones) ^ 'L'*ones) + 0x7F*ones
		words := uint64(w.grams[gramHash(uint32(v))])<<7 | uint64(w.grams[gramHash(uint32(v>>32))])<<39
		others := ^neither&highs | words
		if digits|others != 0 {
			b.digits |= gather(digits) << i
			b.others |= gather(others) << i
		}
		if lo := ^(noLO | v) & highs; lo != 0 {
			letters |= gather(lo) << i
		}
	}
	return b, letters
}

// gather makes one byte of the high bits of eight.
func gather(m uint64) uint64 { return m >> 7 * 0x0102040810204080 >> 56 }
