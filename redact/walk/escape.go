package walk

import (
	"unicode/utf16"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
)

// unit reads one unit of an encoded text at raw[i]: an escape or a plain byte.
// It returns how many raw bytes it takes and appends what it stands for to dst.
// The text was accepted by the reader of its kind.
func unit(kind Kind, raw []byte, i int, dst []byte) (int, []byte) {
	switch b := raw[i]; {
	case kind == JSON && b == '\\':
		switch c := raw[i+1]; c {
		case 'u':
			r := rune(hex4(raw[i+2:]))
			if utf16.IsSurrogate(r) {
				return 12, utf8.AppendRune(dst, utf16.DecodeRune(r, rune(hex4(raw[i+8:]))))
			}
			return 6, utf8.AppendRune(dst, r)
		default:
			return 2, append(dst, unescaped(c))
		}
	case kind == Form && b == '%':
		return 3, append(dst, byte(hexValue(raw[i+1])<<4|hexValue(raw[i+2])))
	case kind == Form && b == '+':
		return 1, append(dst, ' ')
	default:
		return 1, append(dst, b)
	}
}

// unescaped is what the character behind a backslash stands for, in JSON.
func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // quote, backslash, slash
}

// hexValue returns the value of a hexadecimal digit, or -1.
func hexValue(b byte) int {
	switch {
	case b-'0' <= 9:
		return int(b - '0')
	case (b|0x20)-'a' < 6:
		return int(b|0x20-'a') + 10
	}
	return -1
}

// hex4 returns the value of four hexadecimal digits, or -1.
func hex4(b []byte) int {
	if len(b) < 4 {
		return -1
	}
	n := 0
	for _, c := range b[:4] {
		v := hexValue(c)
		if v < 0 {
			return -1
		}
		n = n<<4 | v
	}
	return n
}

// decode returns the text of an encoded value, raw itself when nothing is
// encoded in it.
func decode(kind Kind, raw []byte) []byte {
	for _, b := range raw {
		if kind == JSON && b == '\\' || kind == Form && (b == '%' || b == '+') {
			return appendDecoded(kind, make([]byte, 0, len(raw)), raw)
		}
	}
	return raw
}

// appendDecoded appends the text of an encoded value.
func appendDecoded(kind Kind, dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		size, out := unit(kind, raw, i, dst)
		dst = out
		i += size
	}
	return dst
}

// rawOffsets turns the offsets of sorted findings in the decoded text of raw
// into offsets in the document, in which raw begins at base.
func rawOffsets(kind Kind, raw []byte, base int, found []redact.Finding) {
	var buf [utf8.UTFMax]byte
	at, i, n := 0, 0, 0 // decoded offset, raw offset, finding
	inside := false
	for n < len(found) {
		f := &found[n]
		if !inside && at >= f.Start {
			f.Start, inside = base+i, true
		}
		if inside && at >= f.End {
			f.End, inside = base+i, false
			n++
			continue
		}
		size, out := unit(kind, raw, i, buf[:0])
		at += len(out)
		i += size
	}
}

// appendEncoded appends text in the encoding of kind.
func appendEncoded(kind Kind, dst, text []byte) []byte {
	const hexDigits = "0123456789ABCDEF"
	for _, b := range text {
		switch kind {
		case JSON:
			switch {
			case b == '"' || b == '\\':
				dst = append(dst, '\\', b)
			case b == '\n':
				dst = append(dst, '\\', 'n')
			case b == '\r':
				dst = append(dst, '\\', 'r')
			case b == '\t':
				dst = append(dst, '\\', 't')
			case b < 0x20:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
			default:
				dst = append(dst, b)
			}
		case Form:
			switch {
			case b == ' ':
				dst = append(dst, '+')
			case b-'0' <= 9 || (b|0x20)-'a' < 26 || b == '-' || b == '.' || b == '_' || b == '*':
				dst = append(dst, b)
			default:
				dst = append(dst, '%', hexDigits[b>>4], hexDigits[b&15])
			}
		default:
			dst = append(dst, b)
		}
	}
	return dst
}
