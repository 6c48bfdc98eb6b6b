package spoken

import "encoding/binary"

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
// a few thousand of them.
const (
	grams     = 1 << 16
	gramPrime = 0x9E3779B1
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
			h := uint32(foldPiece(uint64(binary.LittleEndian.Uint32([]byte(s[i:i+gram]))))) * gramPrime >> 16
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

// sample returns the next sample in text[p:to), or len(text).
func (r *Reader) sample(text []byte, p, to, step int) int {
	g := &r.dict.grams
	for ; p < to && p+window <= len(text); p += step {
		w := foldPiece(binary.LittleEndian.Uint64(text[p:]))
		a, b := uint32(w)*gramPrime>>16, uint32(w>>32)*gramPrime>>16
		if g[a>>6&(grams/64-1)]>>(a&63)&(g[b>>6&(grams/64-1)]>>(b&63))&1 != 0 && r.goesOn(text, p) && r.stretch(text, p) {
			return p
		}
	}
	// At the end of the text blanks fill the window.
	if p < to && p+gram < len(text) && len(text)-p < window && r.stretch(text, p) {
		return p
	}
	return len(text)
}

// goesOn reports whether the piece in front of a sample, or the one behind it, may
// be number words too: most samples that are something else end here.
func (r *Reader) goesOn(text []byte, p int) bool {
	return p >= gram && r.isPiece(text[p-gram:]) || p+window+gram > len(text) || r.isPiece(text[p+window:])
}

func (r *Reader) isPiece(text []byte) bool {
	h := uint32(foldPiece(uint64(binary.LittleEndian.Uint32(text)))) * gramPrime >> 16
	return r.dict.grams[h>>6&(grams/64-1)]>>(h&63)&1 != 0
}

// stretch reports whether a run of number words that says at least three digits
// lies around p.
func (r *Reader) stretch(text []byte, p int) bool {
	for i := 0; i < window && !wordByte(text[p]); i++ {
		if p++; p == len(text) {
			return false
		}
	}
	start, end := around(text, p)
	langs, digits := r.part(text[start:end])
	for langs != 0 && start > 0 && digits < minDigits {
		a, b := partBefore(text, start)
		l, n := r.part(text[a:b])
		if l&langs == 0 {
			break
		}
		langs, digits, start = langs&l, digits+n, a
	}
	for langs != 0 && end < len(text) && digits < minDigits {
		a, b := partAfter(text, end)
		l, n := r.part(text[a:b])
		if l&langs == 0 {
			break
		}
		langs, digits, end = langs&l, digits+n, b
	}
	return langs != 0 && digits >= minDigits
}

// part returns in which languages a word, or a few digits, may be a part of a
// spoken number, and how many digits it adds, about.
func (r *Reader) part(text []byte) (langs uint8, digits int) {
	if len(text) > 0 && text[0]-'0' <= 9 {
		return 0xFF, len(text)
	}
	w := r.dict.find(text)
	return r.dict.parts[w], int(r.dict.weights[w])
}

// minDigits is how many digits a stretch says at least.
const minDigits = 3

// weigh notes how many digits each word adds to a stretch, about.
func (d *dictionary) weigh() {
	d.weights = make([]uint8, len(d.names))
	for w := range d.names {
		for _, s := range d.senses[w] {
			d.weights[w] = max(d.weights[w], s.size, s.repeat-min(s.repeat, 1))
		}
	}
}

// wordByte reports whether b belongs to a word: a letter, or a byte of a
// character outside ASCII that may be one.
func wordByte(b byte) bool {
	return (b|0x20)-'a' < 26 || b > 0xA0 && b != 0xC2 && b != 0xE2 || b >= 0x80 && b < 0xA0
}

// maxRun is how many digits in a row may stand in a stretch.
const maxRun = 4

// around returns the bounds of the word at p, cut at maxWord on both sides.
func around(text []byte, p int) (start, end int) {
	start, end = p, p
	for start > 0 && p-start < maxWord && wordByte(text[start-1]) && (text[start-1] != 0xA0 || start < 2 || text[start-2] != 0xC2) {
		start--
	}
	for end < len(text) && end-p < maxWord && wordByte(text[end]) {
		end++
	}
	return start, end
}

// partBefore returns the bounds of the word or of the few digits in front of i,
// with a blank, a hyphen or punctuation between; empty when something else stands
// there.
func partBefore(text []byte, i int) (start, end int) {
	end = i
	for n := 0; n < 2 && end > 0 && between(text[end-1]); n++ {
		end--
	}
	if end == i || end == 0 {
		return end, end
	}
	for start = end; start > 0 && end-start <= maxRun && text[start-1]-'0' <= 9; start-- {
	}
	if start < end {
		if end-start > maxRun {
			return end, end
		}
		return start, end
	}
	start, _ = around(text[:end], end-1)
	return start, end
}

// partAfter is partBefore for what stands behind i.
func partAfter(text []byte, i int) (start, end int) {
	start = i
	for n := 0; n < 2 && start < len(text) && between(text[start]); n++ {
		start++
	}
	if start == i || start == len(text) {
		return start, start
	}
	for end = start; end < len(text) && end-start <= maxRun && text[end]-'0' <= 9; end++ {
	}
	if end > start {
		if end-start > maxRun {
			return start, start
		}
		return start, end
	}
	_, end = around(text, start)
	return start, end
}

// between reports whether b may stand between the parts of a stretch. The bytes
// of a no-break space are among them.
func between(b byte) bool {
	switch b {
	case ' ', '-', ',', '.', '\n', '\r', '\t', 0xC2, 0xA0:
		return true
	}
	return false
}
