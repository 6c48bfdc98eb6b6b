package proxy

import (
	"bytes"
	"errors"
	"strings"
)

// errFraming ends the reading of a connection on which two readers could see different
// requests.
var errFraming = errors.New("the framing of a request can be read in two ways")

// framing follows the requests on a connection of HTTP/1 and stops at the first byte
// from which on two readers could take them apart differently although Go's server
// takes them (RFC 9112 sections 2.2, 5.2, 6.1 and 6.3):
//
//   - a length beside a transfer coding, a length twice, a transfer coding in HTTP/1.0;
//   - a header's value folded over lines;
//   - lines that end without CR, and CR elsewhere;
//   - a version like 1.2, which Go's server takes for 1.1;
//   - chunks with a size or an end that is not plain.
//
// It passes everything else on as it is, also what Go's server refuses by itself, after
// which nothing more is read as a request. So it need not be right about what is wrong:
// whatever it takes has one reading, and it has the same as the server.
//
// It is for one goroutine at a time, as the reading of a connection is.
type framing struct {
	state framingState
	line  [64]byte // how the line begins
	n     int      // its length, without CR and LF
	cr    bool     // a CR was the last byte

	old      bool // HTTP/1.0
	chunked  bool // a transfer coding was named
	counted  bool // a length was named
	refused  bool // the server refuses this head
	left     uint64
	stopped  bool // nothing more is taken
	preamble bool // something has been read
}

type framingState uint8

const (
	betweenRequests framingState = iota
	inRequestLine
	inHeader
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	inHTTP2 // which has frames of its own
)

// feed takes the next bytes and returns how many of them the server may read: all, or
// those before the first that is in doubt, after which there are no more.
func (f *framing) feed(p []byte) int {
	for i := 0; i < len(p); {
		if f.stopped {
			return i
		}
		switch f.state {
		case inHTTP2:
			return len(p)
		case inBody, inChunk:
			n := min(f.left, uint64(len(p)-i))
			i += int(n)
			if f.left -= n; f.left == 0 {
				f.endOfBody()
			}
		default:
			if !f.take(p[i]) {
				f.stopped = true
				return i
			}
			i++
		}
	}
	return len(p)
}

// breaks returns what the server gets in place of the bytes in doubt: nothing in a head,
// and in a body the end of a line that makes it fail. A connection that fails would look
// to the server as if the caller had gone.
func (f *framing) breaks() []byte {
	switch f.state {
	case inChunkSize, inChunkEnd:
		return []byte("\n")
	case inTrailer:
		return []byte("?\r\n\r\n")
	}
	return nil
}

func (f *framing) endOfBody() {
	if f.state == inChunk {
		f.state = inChunkEnd
		return
	}
	f.state = betweenRequests
}

// take takes a byte that is part of a line, and reports whether it is in no doubt.
func (f *framing) take(b byte) bool {
	if f.state == betweenRequests {
		if b == '\r' || b == '\n' { // Go's server skips those behind a POST, and refuses others
			return true
		}
		*f = framing{state: inRequestLine, preamble: f.preamble}
	}
	switch {
	case b == '\n':
		if !f.cr {
			return false
		}
		return f.endOfLine()
	case f.cr:
		return false
	case b == '\r':
		f.cr = true
		return true
	}
	if f.state == inChunkEnd {
		return false
	}
	if f.n == 0 && (f.state == inHeader || f.state == inTrailer) && (b == ' ' || b == '\t') {
		return false
	}
	if f.n < len(f.line) {
		f.line[f.n] = b
	} else if f.state == inRequestLine { // the version stands at the end
		copy(f.line[:], f.line[1:])
		f.line[len(f.line)-1] = b
		return true
	} else if f.state == inChunkSize && f.n >= maxChunkLine {
		return false
	}
	f.n++
	return true
}

// maxChunkLine bounds the line of a chunk's size with its extensions, in bytes.
const maxChunkLine = 256

// endOfLine reads the line that ends here.
func (f *framing) endOfLine() bool {
	line, whole := f.line[:min(f.n, len(f.line))], f.n <= len(f.line)
	f.n, f.cr = 0, false
	switch f.state {
	case inRequestLine:
		if string(line) == "PRI * HTTP/2.0" && !f.preamble {
			f.state = inHTTP2
			return true
		}
		f.preamble = true
		switch version := string(line[max(0, len(line)-len(" HTTP/1.x")):]); {
		case version == " HTTP/1.1":
		case version == " HTTP/1.0":
			f.old = true
		case strings.HasPrefix(version, " HTTP/1."):
			return false
		default:
			f.refused = true
		}
		f.state = inHeader
	case inHeader:
		if len(line) == 0 {
			return f.endOfHead()
		}
		return f.header(line, whole)
	case inChunkSize:
		return f.chunk(line)
	case inChunkEnd:
		f.state = inChunkSize
	case inTrailer:
		if len(line) == 0 {
			f.state = betweenRequests
		}
	}
	return true
}

// header reads the headers that say where a request ends.
func (f *framing) header(line []byte, whole bool) bool {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok && whole {
		f.refused = true
		return true
	}
	value = bytes.Trim(value, " \t")
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		if f.counted || f.chunked || !whole {
			return false
		}
		f.counted, f.refused = true, f.refused || !f.length(value)
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if f.counted || f.old || !whole {
			return false
		}
		// Others, and more than one, the server does not support.
		f.refused = f.refused || f.chunked || !bytes.EqualFold(value, []byte("chunked"))
		f.chunked = true
	}
	return true
}

// maxLengthDigits keeps lengths far within 64 bits.
const maxLengthDigits = 18

// length reads the value of Content-Length: digits, and nothing else.
func (f *framing) length(value []byte) bool {
	if len(value) == 0 || len(value) > maxLengthDigits {
		return false
	}
	f.left = 0
	for _, b := range value {
		if b < '0' || b > '9' {
			return false
		}
		f.left = f.left*10 + uint64(b-'0')
	}
	return true
}

// endOfHead goes on to the body. Behind a head that the server refuses there is none.
func (f *framing) endOfHead() bool {
	switch {
	case f.refused:
		f.stopped = true
	case f.chunked:
		f.state = inChunkSize
	case f.left > 0:
		f.state = inBody
	default:
		f.state = betweenRequests
	}
	return true
}

// chunk reads the line before a chunk: hexadecimal digits, then nothing or extensions.
func (f *framing) chunk(line []byte) bool {
	size, digits := uint64(0), 0
	for _, b := range line {
		d, ok := hexDigit(b)
		if !ok {
			break
		}
		size, digits = size<<4|uint64(d), digits+1
	}
	if digits == 0 || digits > maxChunkDigits || digits < len(line) && line[digits] != ';' {
		return false
	}
	f.left, f.state = size, inChunk
	if size == 0 {
		f.state = inTrailer
	}
	return true
}

// maxChunkDigits keeps the size of a chunk within 60 bits.
const maxChunkDigits = 15

func hexDigit(b byte) (d byte, ok bool) {
	switch {
	case '0' <= b && b <= '9':
		return b - '0', true
	case 'a' <= b && b <= 'f':
		return b - 'a' + 10, true
	case 'A' <= b && b <= 'F':
		return b - 'A' + 10, true
	}
	return 0, false
}
