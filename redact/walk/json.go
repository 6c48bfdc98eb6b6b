package walk

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
)

// jsonReader reads one JSON document, strictly by RFC 8259 and its advice on
// what interoperates (I-JSON, RFC 7493): unique names, no lone surrogates.
type jsonReader struct {
	reader
	keys     keySet
	refused  *Refusal
	frameMem [16]frame
}

// jsonReaders recycles readers, which are larger than most documents. It holds no
// state, only memory: a reader that is put back knows nothing of its document.
var jsonReaders = sync.Pool{New: func() any { return new(jsonReader) }}

// reset makes the reader forget its document. Offsets into it stay in the memory
// of frames and key sets, which is cleared by being written.
func (p *jsonReader) reset() {
	p.reader, p.refused = reader{}, nil
	p.keys.hashes, p.keys.names, p.keys.first, p.keys.table, p.keys.seen = nil, nil, 0, nil, [4]uint64{}
}

// document reads all of raw.
func (p *jsonReader) document() *Refusal {
	p.frames = p.frameMem[:0]
	if bytes.HasPrefix(p.raw, []byte("\xef\xbb\xbf")) {
		return &Refusal{ReasonBOM, 0}
	}
	i := p.any(p.space(0), p.fields.root(), 0)
	if i < 0 {
		return p.refused
	}
	if i = p.space(i); i < len(p.raw) {
		return &Refusal{ReasonTrailing, int64(i)}
	}
	return nil
}

// refuse notes why the document is refused and returns -1.
func (p *jsonReader) refuse(reason string, at int) int {
	if p.refused == nil {
		p.refused = &Refusal{reason, int64(at)}
	}
	return -1
}

// space returns the offset of the first byte at or after i that is no white
// space.
func (p *jsonReader) space(i int) int {
	if i < len(p.raw) && p.raw[i] > ' ' {
		return i
	}
	return skipSpace(p.raw, i)
}

// any reads the value at i and returns where it ends, or -1.
func (p *jsonReader) any(i int, st int32, depth int) int {
	if i >= len(p.raw) {
		return p.refuse(ReasonSyntax, len(p.raw))
	}
	if r := p.count(i); r != nil {
		p.refused = r
		return -1
	}
	if p.fields.flags(st)&Unit == 0 {
		return p.inner(i, st, depth)
	}
	before := p.unit
	p.Units++
	p.unit = p.Units
	i = p.inner(i, st, depth)
	p.unit = before
	return i
}

// inner reads the value at i, which has been counted.
func (p *jsonReader) inner(i int, st int32, depth int) int {
	switch b := p.raw[i]; {
	case b == '"':
		return p.text(i, st)
	case b == '{' || b == '[':
		if depth >= p.limits.Depth {
			return p.refuse(ReasonDepth, i)
		}
		first := -1
		if p.masks == nil && p.fields.flags(st)&(Wanted|URL) != 0 {
			first = len(p.Captures)
			p.capture(st, i, i, i, redact.PlaceNumber)
		}
		last := len(p.Captures)
		masked := p.masks.mark()
		p.frames = append(p.frames, frame{begin: i, array: b == '[', comma: -1})
		var end int
		if b == '{' {
			end = p.object(i, st, depth+1)
		} else {
			end = p.array(i, st, depth+1)
		}
		p.frames = p.frames[:len(p.frames)-1]
		if p.masks != nil && end >= 0 && p.fields.flags(st)&Overwrite != 0 {
			p.masks.whole(masked, p.memberAt(end))
		}
		if first >= 0 && end >= 0 {
			for n := first; n < last; n++ {
				p.Captures[n].End, p.Captures[n].member.end = end, end
			}
		}
		return end
	case b == '-' || b-'0' <= 9:
		return p.number(i, st)
	case b == 't':
		return p.literal(i, st, "true")
	case b == 'f':
		return p.literal(i, st, "false")
	case b == 'n':
		return p.literal(i, st, "null")
	default:
		return p.refuse(ReasonSyntax, i)
	}
}

func (p *jsonReader) literal(i int, st int32, word string) int {
	end := i + len(word)
	if end > len(p.raw) || string(p.raw[i:end]) != word {
		return p.refuse(ReasonSyntax, i)
	}
	if p.fields.flags(st) != 0 {
		p.value(st, i, end, end, nil, redact.PlaceNumber, false)
	}
	return end
}

func (p *jsonReader) object(i int, st int32, depth int) int {
	i = p.space(i + 1)
	if i < len(p.raw) && p.raw[i] == '}' {
		return i + 1
	}
	mark := p.keys.open()
	kept := len(p.decoded)
	found, numbered, first, from := len(p.Findings), 0, 0, 0 // see jsonReader.numbered
	for n, comma := 0, -1; ; n++ {
		if i >= len(p.raw) || p.raw[i] != '"' {
			return p.refuse(ReasonSyntax, i)
		}
		end, form := p.scan(i + 1)
		if end < 0 {
			return end
		}
		at := ref{from: i + 1, to: end}
		if form&escaped != 0 {
			at = ref{from: len(p.decoded), decoded: true}
			p.decoded = appendDecoded(JSON, p.decoded, p.raw[i+1:end])
			at.to = len(p.decoded)
		}
		name := p.bytes(at)
		f := &p.frames[len(p.frames)-1]
		f.index, f.name, f.member, f.comma = n, at, i, comma
		if twin, same := p.keys.add(&p.reader, at, form&(wide|escaped) != 0); same {
			return p.refuse(ReasonDuplicate, i)
		} else if twin != nil && (p.fields.knows(st, name) || p.fields.knows(st, twin)) {
			return p.refuse(ReasonAmbiguous, i)
		}
		if len(name) >= shortestFinding && (form&(digits|wide) != 0 || bytes.IndexByte(name, '@') >= 0) {
			p.name(i+1, end, name)
		}
		if numberedName(name) {
			if numbered++; numbered == 1 {
				first, from = n, i
			}
		}
		i = p.space(end + 1)
		if i >= len(p.raw) || p.raw[i] != ':' {
			return p.refuse(ReasonSyntax, i)
		}
		if i = p.any(p.space(i+1), p.fields.member(st, name), depth); i < 0 {
			return i
		}
		i = p.space(i)
		if i >= len(p.raw) {
			return p.refuse(ReasonSyntax, i)
		}
		switch p.raw[i] {
		case ',':
			comma = i
			i = p.space(i + 1)
		case '}':
			if numbered > 1 && p.masks == nil {
				p.numbered(from, i, first, found, st)
			}
			p.keys.close(mark)
			p.decoded = p.decoded[:kept]
			return i + 1
		default:
			return p.refuse(ReasonSyntax, i)
		}
	}
}

// shortestFinding is the shortest name that can hold a finding.
const shortestFinding = 9

func (p *jsonReader) array(i int, st int32, depth int) int {
	i = p.space(i + 1)
	if i < len(p.raw) && p.raw[i] == ']' {
		return i + 1
	}
	begin := i
	for n, comma := 0, -1; ; n++ {
		f := &p.frames[len(p.frames)-1]
		f.index, f.member, f.comma = n, i, comma
		if i = p.any(i, p.fields.element(st, n), depth); i < 0 {
			return i
		}
		i = p.space(i)
		if i >= len(p.raw) {
			return p.refuse(ReasonSyntax, i)
		}
		switch p.raw[i] {
		case ',':
			comma = i
			i = p.space(i + 1)
		case ']':
			if n > 0 && i-begin <= maxGroupBytes {
				p.groups(begin, i, st)
			}
			return i + 1
		default:
			return p.refuse(ReasonSyntax, i)
		}
	}
}

// form says what a string holds.
type form uint8

const (
	escaped form = 1 << iota // a backslash
	wide                     // a byte outside ASCII
	digits                   // an ASCII digit, or one behind an escape
)

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// scan reads the string content at i and returns the offset of the closing
// quote. It checks control characters, escapes, surrogates and UTF-8.
func (p *jsonReader) scan(i int) (end int, f form) {
	raw, begin := p.raw, i
	var high, numbers uint64 // bytes outside ASCII and digits, gathered
	for {
		if i+8 <= len(raw) {
			w := binary.LittleEndian.Uint64(raw[i:])
			q, s := w^'"'*ones, w^'\\'*ones
			// Bytes that are zero, or below 0x20: the lowest marked one is exact.
			stop := ((q-ones)&^q | (s-ones)&^s | (w-0x20*ones)&^w) & highs
			t := w ^ 0x30*ones
			digit := (((t&(0x7f*ones) + 0x76*ones) | t) & highs) ^ highs
			if stop == 0 {
				high |= w
				numbers |= digit
				i += 8
				continue
			}
			n := bits.TrailingZeros64(stop) &^ 7
			below := uint64(1)<<n - 1
			high |= w & below
			numbers |= digit & below
			i += n >> 3
		} else {
			for i < len(raw) && raw[i] != '"' && raw[i] != '\\' && raw[i] >= 0x20 {
				high |= uint64(raw[i])
				if raw[i]-'0' <= 9 {
					numbers = 1
				}
				i++
			}
			if i == len(raw) {
				return p.refuse(ReasonSyntax, i), f
			}
		}
		switch raw[i] {
		case '"':
			if numbers != 0 {
				f |= digits
			}
			if high&highs != 0 {
				f |= wide
				if !utf8.Valid(raw[begin:i]) {
					return p.refuse(ReasonUTF8, begin+invalidUTF8(raw[begin:i])), f
				}
			}
			return i, f
		case '\\':
			f |= escaped
			n := p.escape(i)
			if n < 0 {
				return n, f
			}
			if n > 2 {
				f |= digits // rarely: what \u stands for is looked at later
			}
			i += n
		default:
			if raw[i] == 0 {
				return p.refuse(ReasonNUL, i), f
			}
			return p.refuse(ReasonSyntax, i), f
		}
	}
}

// escape checks the escape at i and returns its length, or -1.
func (p *jsonReader) escape(i int) int {
	raw := p.raw
	if i+1 >= len(raw) {
		return p.refuse(ReasonSyntax, i)
	}
	switch raw[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
	default:
		return p.refuse(ReasonSyntax, i)
	}
	switch v := hex4(raw[i+2:]); {
	case v < 0:
		return p.refuse(ReasonSyntax, i)
	case v == 0:
		return p.refuse(ReasonNUL, i)
	case v < 0xD800 || v > 0xDFFF:
		return 6
	case v > 0xDBFF || i+12 > len(raw) || raw[i+6] != '\\' || raw[i+7] != 'u':
		return p.refuse(ReasonSurrogate, i)
	}
	if low := hex4(raw[i+8:]); low < 0xDC00 || low > 0xDFFF {
		return p.refuse(ReasonSurrogate, i)
	}
	return 12
}

// text reads the string at i, quote included.
func (p *jsonReader) text(i int, st int32) int {
	end, f := p.scan(i + 1)
	if end < 0 {
		return end
	}
	ask := f&(digits|wide) != 0 || end-i-1 >= shortestWords
	if !ask && p.masks == nil && p.fields.flags(st) == 0 {
		return end + 1
	}
	text := p.raw[i+1 : end]
	if f&escaped != 0 {
		p.scratch = appendDecoded(JSON, p.scratch[:0], text)
		text = p.scratch
	}
	p.value(st, i+1, end, end+1, text, redact.PlaceText, ask)
	return end + 1
}

// number reads the number at i.
func (p *jsonReader) number(i int, st int32) int {
	raw, begin := p.raw, i
	if raw[i] == '-' {
		i++
	}
	first := i
	i = digitsEnd(raw, i)
	if i == first || raw[first] == '0' && i > first+1 {
		return p.refuse(ReasonSyntax, begin)
	}
	whole := i
	if i < len(raw) && raw[i] == '.' {
		i++
		if from := i; digitsEnd(raw, i) == from {
			return p.refuse(ReasonSyntax, begin)
		}
		i = digitsEnd(raw, i)
	}
	fraction := i
	if i < len(raw) && raw[i]|0x20 == 'e' {
		i++
		if i < len(raw) && (raw[i] == '+' || raw[i] == '-') {
			i++
		}
		from := i
		if i = digitsEnd(raw, i); i == from {
			return p.refuse(ReasonSyntax, begin)
		}
	}
	if i < len(raw) && (raw[i] == '_' || (raw[i]|0x20)-'a' < 26 || raw[i] == '.' || raw[i] == '+') {
		return p.refuse(ReasonSyntax, begin)
	}
	text := raw[first:whole]
	if i > whole {
		p.scratch = plain(p.scratch[:0], text, raw[whole:fraction], raw[fraction:i])
		text = p.scratch
	}
	if len(text) >= 3 || p.fields.flags(st) != 0 {
		p.value(st, begin, i, i, text, redact.PlaceNumber, len(text) >= 3)
	}
	return i
}

func digitsEnd(raw []byte, i int) int {
	for i < len(raw) && raw[i]-'0' <= 9 {
		i++
	}
	return i
}

// longestPlain is the most digits a number may have before its point to be
// written out: a card has nineteen.
const longestPlain = 20

// plain writes the digits before the point of a number with a fraction or an
// exponent, rounded, as a program that reads it into an integer may: 4.1e2 is
// 410, 410.9 is 411. Numbers that are too large or below one give nothing.
func plain(dst, whole, fraction, exponent []byte) []byte {
	shift := 0
	if len(exponent) > 0 {
		n, err := strconv.Atoi(string(exponent[1:min(len(exponent), 8)]))
		if err != nil || len(exponent) > 8 || n > longestPlain || n < -4*longestPlain {
			return dst
		}
		shift = n
	}
	if len(fraction) > 0 {
		fraction = fraction[1:]
	}
	at := func(i int) byte {
		switch {
		case i < 0:
			return '0'
		case i < len(whole):
			return whole[i]
		case i-len(whole) < len(fraction):
			return fraction[i-len(whole)]
		}
		return '0'
	}
	point := len(whole) + shift
	for i := 0; i < point && len(dst) < longestPlain; i++ {
		if b := at(i); b != '0' || len(dst) > 0 {
			dst = append(dst, b)
		}
	}
	if len(dst) == longestPlain {
		return dst[:0]
	}
	if len(dst) > 0 && at(point) >= '5' {
		for i := len(dst) - 1; i >= 0; i-- {
			if dst[i]++; dst[i] <= '9' {
				break
			}
			dst[i] = '0'
		}
	}
	return dst
}
