package spoken

import (
	"encoding/binary"
	"math/bits"
)

// The trigger looks at [window] bytes, two pieces of four, out of every stride. A
// stretch of number words, with what stands between and around them, that is at
// least stride+window-1 bytes long holds a window at a multiple of stride, whatever
// its offset. Behind the first [denseEnd] bytes of a text that are 23 bytes: sixteen
// digits in pairs of ten have 31, nine digits one by one have 35, so no card or tax
// number said in one go lies between the samples. A number in blocks, with fillers or
// another speaker between them, is seen when one of its blocks is; most blocks of
// four digits have 18 bytes, and of one in a thousand such numbers no block is.
// In front, where short messages are, a stretch of 15 bytes is always seen, and
// so is every number of three words and more.
//
// Offsets count from the begin of the stream, not of the buffer, so that the same
// places are looked at however the stream is cut.
const (
	stride      = 16
	denseStride = 8
	denseEnd    = 512
	gram        = 4
	window      = 2 * gram
)

// grams is the size of the set of four-byte pieces, in bits. Four languages use
// nine thousand of them, so that few others pass for one.
const (
	gramBits  = 16
	grams     = 1 << gramBits
	gramPrime = 0x9E3779B1 // pieces_amd64.s knows it, and gramBits
)

// gramHash spreads a folded piece over gramBits bits.
func gramHash(piece uint32) uint32 { return piece * gramPrime >> (32 - gramBits) }

// blockSize is how many bytes, and maxBlocks how many blocks, are looked at at once.
const (
	blockSize = 64
	maxBlocks = 16
)

// foldPiece makes letters lower case and every digit a zero.
func foldPiece(w uint64) uint64 {
	digits := w >> 4 &^ (w >> 6) & 0x0101010101010101
	return (w | 0x2020202020202020) &^ (digits * 0x0F)
}

// addGrams puts every piece of four bytes that a stretch of number words can
// have into the set.
func (d *dictionary) addGrams() {
	put := func(s string) {
		for i := 0; i+gram <= len(s); i++ {
			h := gramHash(uint32(foldPiece(uint64(binary.LittleEndian.Uint32([]byte(s[i : i+gram]))))))
			d.grams[h/64] |= 1 << (h % 64)
		}
	}
	// What people and recognisers put between the words.
	separators := []string{" ", "-", ", ", ". ", "\n", "\u00a0"}
	heads, tails := map[string]uint8{}, map[string]uint8{}
	for w, name := range d.names {
		if d.parts[w] == 0 {
			continue
		}
		put(name)
		// What may stand right before and behind the first and the last word.
		for _, mark := range []string{"\"", "'", "(", "[", ":", ">"} {
			put(mark + name[:min(len(name), gram-1)])
		}
		for _, mark := range []string{"\"", "'", ")", "]", ".", "?", "!", ";", ":", "<"} {
			put(name[max(0, len(name)-gram+1):] + mark)
		}
		heads[name[:min(len(name), gram-1)]] |= d.parts[w]
		tails[name[max(0, len(name)-gram+1):]] |= d.parts[w]
	}
	// Digits among words, and single digits in a row; longer runs are left to those
	// who read digits.
	for _, run := range []string{"0", "00", "000"} {
		heads[run], tails[run] = 0xFF, 0xFF
	}
	put("0 0 ")
	put(" 0 0")
	for tail, a := range tails {
		for head, b := range heads {
			if a&b == 0 || tail[0] == '0' && head[0] == '0' {
				continue
			}
			for _, sep := range separators {
				put(tail + sep + head)
				// A short word fills a piece with what stands around it.
				for _, around := range separators {
					if len(tail) < gram-1 {
						put(around + tail + sep + head)
					}
					if len(head) < gram-1 {
						put(tail + sep + head + around)
					}
				}
			}
		}
	}
}

// Next returns the next sample at or after i that lies in a stretch of number
// words with at least three digits, or len(text). phase is the offset of text in
// its stream, 0 for a text that is whole. Next does not allocate, and reads a few
// bytes in sixteen of text that holds no numbers. What it says about a sample
// depends on the [Lead] bytes around it.
func (r *Reader) Next(text []byte, i, phase int) int {
	if i+phase < denseEnd {
		to := min(len(text), denseEnd-phase)
		if p := r.sample(text, i+(-(i+phase))&(denseStride-1), to, denseStride); p < to {
			return p
		}
		i = to
	}
	return r.sample(text, i+(-(i+phase))&(stride-1), len(text), stride)
}

// within is Next for text[i:to), behind the begin of a text where the samples are dense.
func (r *Reader) within(text []byte, i, to, phase int) int {
	if i+phase < denseEnd {
		return len(text)
	}
	return r.sample(text, i+(-(i+phase))&(stride-1), min(to, len(text)), stride)
}

// sample returns the next sample in text[p:to), or len(text).
func (r *Reader) sample(text []byte, p, to, step int) int {
	g, begin := &r.dict.grams, p
	end := min(to, len(text)-step%stride) // of what may be looked at in blocks
	// Most that are found stand near the last one, so more is looked at only by and by.
	for blocks := 1; r.quick; blocks = min(2*blocks, maxBlocks) {
		n := min(blocks, (end-p)/blockSize)
		if n <= 0 {
			if p == begin || end-p < 2*step {
				break
			}
			// One block more, of which some was looked at.
			p -= (p + blockSize - end + step - 1) / step * step
			n, end = 1, p
		}
		q := r.first(text, p, n)
		if step == denseStride {
			q = min(q, r.first(text, p+denseStride, n))
		}
		if q < len(text) {
			return q
		}
		p += n * blockSize
	}
	for ; p < to && p+window <= len(text); p += step {
		w := foldPiece(binary.LittleEndian.Uint64(text[p:]))
		a, b := gramHash(uint32(w)), gramHash(uint32(w>>32))
		if g[a>>6&(grams/64-1)]>>(a&63)&(g[b>>6&(grams/64-1)]>>(b&63))&1 != 0 && r.mayStretch(text, p) && r.goesOn(text, p) && r.stretch(text, p) {
			return p
		}
	}
	// At the end of the text blanks fill the window.
	if p < to && p+gram < len(text) && len(text)-p < window && r.stretch(text, p) {
		return p
	}
	return len(text)
}

// first returns the first of the samples at p, p+16 and so on, in so many blocks of
// text, that lies in a stretch, or len(text).
func (r *Reader) first(text []byte, p, blocks int) int {
	for m := pieces(&text[p], blocks, &r.dict.grams[0]); m != 0; m &= m - 1 {
		if q := p + bits.TrailingZeros64(m)*stride; r.mayStretch(text, q) && r.goesOn(text, q) && r.stretch(text, q) {
			return q
		}
	}
	return len(text)
}

// goesOn reports whether the piece in front of a sample, or the one behind it, may
// be number words too: most samples that are something else end here.
func (r *Reader) goesOn(text []byte, p int) bool {
	if p < gram || p+window+gram > len(text) {
		return p+window+gram > len(text) || r.isPiece(text[p+window:])
	}
	return r.inSet(text[p-gram:])|r.inSet(text[p+window:]) != 0 // one branch, not two: nobody can foretell it
}

func (r *Reader) isPiece(text []byte) bool { return r.inSet(text) != 0 }

// inSet is 1 for a piece that is in the set.
func (r *Reader) inSet(text []byte) uint64 {
	h := gramHash(uint32(foldPiece(uint64(binary.LittleEndian.Uint32(text)))))
	return r.dict.grams[h>>6&(grams/64-1)] >> (h & 63) & 1
}
