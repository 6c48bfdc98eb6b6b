package walk

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
)

// quotedPrintable is the transfer encoding of RFC 2045, section 6.7. Bytes that
// it does not allow but every reader passes stay.
type quotedPrintable struct{}

// qpUnit reads the unit at raw[i]: a byte, an escape, or a soft line break, which
// stands for nothing. size is 0 where an equals sign begins none of them.
func qpUnit(raw []byte, i int) (size int, is byte, nothing bool) {
	if raw[i] != '=' {
		return 1, raw[i], false
	}
	if i+2 < len(raw) && hexValue(raw[i+1]) >= 0 && hexValue(raw[i+2]) >= 0 {
		return 3, byte(hexValue(raw[i+1])<<4 | hexValue(raw[i+2])), false
	}
	n := skipBlanks(raw, i+1, len(raw))
	switch {
	case n == len(raw):
		return n - i, 0, true
	case raw[n] == '\n':
		return n + 1 - i, 0, true
	case raw[n] == '\r' && n+1 < len(raw) && raw[n+1] == '\n':
		return n + 2 - i, 0, true
	}
	return 0, 0, false
}

// decode returns what raw stands for, or where it breaks the rules.
func (quotedPrintable) decode(raw []byte) (out []byte, bad int) {
	out = make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		n := bytes.IndexByte(raw[i:], '=')
		if n < 0 {
			return append(out, raw[i:]...), -1
		}
		out = append(out, raw[i:i+n]...)
		i += n
		size, is, nothing := qpUnit(raw, i)
		if size == 0 {
			return nil, i
		}
		if !nothing {
			out = append(out, is)
		}
		i += size
	}
	return out, -1
}

func (quotedPrintable) outward(raw []byte, offsets []int) {
	at, n := 0, 0
	for i := 0; n < len(offsets); {
		if at == offsets[n] {
			offsets[n] = i
			n++
			continue
		}
		size, _, nothing := qpUnit(raw, i)
		i += size
		if !nothing {
			at++
		}
	}
}

func (q quotedPrintable) rewrite(raw, decoded []byte, edits []Edit) []Edit {
	out := outwardEdits(q, raw, edits)
	for k, e := range edits {
		was := decoded[e.Start:e.End]
		if len(e.New) != len(was) {
			out[k].New = qpEncode(nil, e.New)
			continue
		}
		// Byte by byte, so that breaks and escapes that need not change stay.
		var b []byte
		for i, n := out[k].Start, 0; i < out[k].End; {
			size, _, nothing := qpUnit(raw, i)
			if nothing || e.New[n] == was[n] {
				b = append(b, raw[i:i+size]...)
			} else {
				b = qpEncode(b, e.New[n:n+1])
			}
			i += size
			if !nothing {
				n++
			}
		}
		out[k].New = b
	}
	return out
}

const upperHex = "0123456789ABCDEF"

func qpEncode(dst, text []byte) []byte {
	for _, b := range text {
		if b == '=' || b >= 0x7f || b < 0x20 && b != '\r' && b != '\n' && b != '\t' {
			dst = append(dst, '=', upperHex[b>>4], upperHex[b&15])
		} else {
			dst = append(dst, b)
		}
	}
	return dst
}

// outwardEdits returns the edits with the ranges in raw, without what they write.
func outwardEdits(l layer, raw []byte, edits []Edit) []Edit {
	offsets := make([]int, 0, 2*len(edits))
	for _, e := range edits {
		offsets = append(offsets, e.Start, e.End)
	}
	l.outward(raw, offsets)
	out := make([]Edit, len(edits))
	for i := range out {
		out[i] = Edit{Start: offsets[2*i], End: offsets[2*i+1]}
	}
	return out
}

// base64Lines is the transfer encoding of RFC 2045, section 6.8, with nothing but
// line ends between its characters.
type base64Lines struct{}

func (base64Lines) decode(raw []byte) (out []byte, ok bool) {
	out = make([]byte, base64.StdEncoding.DecodedLen(len(raw)))
	n, err := base64.StdEncoding.Strict().Decode(out, raw)
	return out[:n], err == nil
}

// outward gives an offset inside a group of four characters the character in
// which the byte begins.
func (base64Lines) outward(raw []byte, offsets []int) {
	n, chars := 0, 0
	for i, b := range raw {
		if b == '\r' || b == '\n' {
			continue
		}
		for n < len(offsets) && offsets[n]/3*4+offsets[n]%3 <= chars {
			offsets[n] = i
			n++
		}
		chars++
	}
	for ; n < len(offsets); n++ {
		offsets[n] = len(bytes.TrimRight(raw, "\r\n"))
	}
}

// rewrite encodes anew, in lines as long as the first.
func (base64Lines) rewrite(raw, decoded []byte, edits []Edit) []Edit {
	plain := apply(decoded, edits)
	code := make([]byte, base64.StdEncoding.EncodedLen(len(plain)))
	base64.StdEncoding.Encode(code, plain)
	begin := bytes.TrimLeft(raw, "\r\n")
	content := bytes.TrimRight(begin, "\r\n")
	width, end := len(content), ""
	if n := bytes.IndexByte(content, '\n'); n >= 0 {
		width, end = len(bytes.TrimRight(content[:n], "\r")), "\n"
		if content[n-1] == '\r' {
			end = "\r\n"
		}
	}
	var out []byte
	for end != "" && len(code) > width {
		out = append(append(out, code[:width]...), end...)
		code = code[width:]
	}
	from := len(raw) - len(begin)
	return []Edit{{from, from + len(content), append(out, code...)}}
}

// charset is a charset other than UTF-8.
type charset struct {
	enc encoding.Encoding
	// whole says that a text can only be written as one: what a byte stands for
	// depends on what was before.
	whole bool
}

// charsetOf looks a charset up by its name in mail. nil means UTF-8, or ASCII
// that turns out to be UTF-8.
func charsetOf(name string) (c *charset, ok bool) {
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968":
		return nil, true
	case "utf-16", "utf-16le", "utf-16be":
		// A byte order mark may contradict the name.
		return nil, false
	}
	enc, err := ianaindex.MIME.Encoding(name)
	if err != nil || enc == nil {
		if enc, err = htmlindex.Get(name); err != nil {
			return nil, false
		}
	}
	canonical, err := htmlindex.Name(enc)
	if err == nil && (canonical == "replacement" || canonical == "x-user-defined") {
		return nil, false
	}
	return &charset{enc, strings.HasPrefix(name, "iso-2022") || strings.HasPrefix(name, "csiso2022") || strings.HasPrefix(name, "hz")}, true
}

// decode returns raw in UTF-8. It fails where a byte stands for nothing.
func (c *charset) decode(raw []byte) (out []byte, ok bool) {
	out, err := c.enc.NewDecoder().Bytes(raw)
	return out, err == nil && !bytes.ContainsRune(out, utf8.RuneError)
}

func (c *charset) outward(raw []byte, offsets []int) {
	dec := c.enc.NewDecoder()
	buf := make([]byte, 4096)
	src, at := 0, 0
	for i, offset := range offsets {
		for at < offset {
			nDst, nSrc, err := dec.Transform(buf[:min(len(buf), offset-at)], raw[src:], true)
			at += nDst
			src += nSrc
			if !errors.Is(err, transform.ErrShortDst) || nDst == 0 {
				break
			}
		}
		offsets[i] = src
	}
}

func (c *charset) rewrite(raw, decoded []byte, edits []Edit) []Edit {
	if c.whole {
		return []Edit{{0, len(raw), c.encode(apply(decoded, edits))}}
	}
	out := outwardEdits(c, raw, edits)
	for i := range out {
		out[i].New = c.encode(edits[i].New)
	}
	return out
}

// encode writes text; what the charset does not have becomes its substitute. Masks
// are ASCII.
func (c *charset) encode(text []byte) []byte {
	out, err := encoding.ReplaceUnsupported(c.enc.NewEncoder()).Bytes(text)
	if err != nil {
		return bytes.Repeat([]byte("X"), len(text))
	}
	return slices.Clip(out)
}
