package walk

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/caregate/caregate/redact/detect"
)

// headers reads the headers in raw[from:to] and returns where the body begins.
func (p *mimeReader) headers(e *entity, from, to int, path string) (int, *Refusal) {
	i := from
	if from == 0 && bytes.HasPrefix(p.raw, []byte("From ")) { // of a mailbox file
		i = min(to, lineEnd(p.raw, 0, to))
	}
	for i < to {
		end := lineEnd(p.raw, i, to)
		if len(bytes.TrimRight(p.raw[i:end], "\r\n")) == 0 {
			return end, nil
		}
		for end < to && (p.raw[end] == ' ' || p.raw[end] == '\t') {
			end = lineEnd(p.raw, end, to)
		}
		if r := p.header(e, i, end, path); r != nil {
			return 0, r
		}
		i = end
	}
	return to, nil
}

// lineEnd returns where the line at i ends, with its line feed.
func lineEnd(raw []byte, i, to int) int {
	n := bytes.IndexByte(raw[i:to], '\n')
	if n < 0 {
		return to
	}
	return i + n + 1
}

// header reads one header in raw[from:to], its folded lines included.
func (p *mimeReader) header(e *entity, from, to int, path string) *Refusal {
	if r := p.count(from); r != nil {
		return r
	}
	colon := bytes.IndexByte(p.raw[from:to], ':')
	if colon < 0 || !isToken(p.raw[from:from+colon]) {
		return &Refusal{ReasonMIME, int64(from)}
	}
	if at := invalidUTF8(p.raw[from:to]); at >= 0 {
		return &Refusal{ReasonUTF8, int64(from + at)}
	}
	name := strings.ToLower(string(p.raw[from : from+colon]))
	value := span{from + colon + 1, to}
	for n := value.from; n < to; n++ {
		if p.raw[n] == '\r' && (n+1 == to || p.raw[n+1] != '\n') {
			return &Refusal{ReasonMIME, int64(n)}
		}
	}
	structural := strings.HasPrefix(name, "content-") || name == "mime-version"
	if structural {
		if e.seen[name] {
			return &Refusal{ReasonMIME, int64(from)}
		}
		e.seen[name] = true
	}
	text := ""
	if structural {
		text = strings.NewReplacer("\r", "", "\n", "").Replace(string(p.raw[value.from:value.to]))
	}
	p.path = func() string { return path + "/" + escapePointer(name) }
	defer func() { p.path = nil }()
	switch name {
	case "content-type":
		var ok bool
		if e.media, e.params, ok = mediaType(text); !ok {
			return &Refusal{ReasonMIME, int64(from)}
		}
		return p.parameters(value)
	case "content-disposition":
		return p.parameters(value)
	case "content-transfer-encoding":
		e.transfer = strings.ToLower(strings.TrimSpace(text))
	}
	return p.words(value, detect.Hint{Key: name[max(0, len(name)-keyTail):], ID: structural || !forPeople(name)}, false)
}

// forPeople tells headers that people write and read from those of machines,
// which are full of numbers.
func forPeople(name string) bool {
	switch name {
	case "message-id", "references", "in-reply-to", "received", "return-path", "date", "dkim-signature", "authentication-results", "thread-index", "delivered-to", "x-received",
		"received-spf", "feedback-id", "precedence", "auto-submitted":
		return false
	}
	return !strings.HasPrefix(name, "arc-") && !strings.HasPrefix(name, "list-") && !strings.HasPrefix(name, "resent-") && !detect.NamesID(name)
}

// parameters looks at the names of files in a header of the structure; the rest
// of it, a boundary among it, cannot be edited.
func (p *mimeReader) parameters(v span) *Refusal {
	raw := p.raw
	for i := v.from; i < v.to; {
		begin, quoted := i, false
		for ; i < v.to && (quoted || raw[i] != ';'); i++ {
			switch {
			case raw[i] == '"':
				quoted = !quoted
			case raw[i] == '\\' && quoted:
				i++
			}
		}
		i = min(i, v.to)
		name, _, ok := bytes.Cut(raw[begin:i], []byte("="))
		attribute := strings.ToLower(strings.TrimSpace(string(name)))
		file := false
		if ok && (strings.HasPrefix(attribute, "name") || strings.HasPrefix(attribute, "filename")) {
			begin += len(name) + 1
			file = true
		}
		if r := p.words(span{begin, i}, detect.Hint{ID: !file}, !file); r != nil {
			return r
		}
		i++
	}
	return nil
}

// words looks at the text of a header, unfolded and with its encoded words
// (RFC 2047) decoded.
func (p *mimeReader) words(v span, h detect.Hint, never bool) *Refusal {
	p.head.reset()
	raw := p.raw
	after := -1 // where the last thing was an encoded word, its end
	for i := v.from; i < v.to; {
		if raw[i] == '\r' || raw[i] == '\n' {
			i++
			continue
		}
		if bytes.HasPrefix(raw[i:v.to], []byte("=?")) {
			size, text, r := p.encodedWord(i, v.to)
			if r != nil {
				return r
			}
			if size > 0 {
				if after >= 0 { // white space between two words is none
					p.head.drop(after)
				}
				p.head.code(text, i, i+size)
				i += size
				after = len(p.head.text)
				continue
			}
		}
		begin := i
		for i++; i < v.to && raw[i] != '\r' && raw[i] != '\n' && raw[i] != '='; i++ {
		}
		if after >= 0 && len(bytes.TrimLeft(raw[begin:i], " \t")) > 0 {
			after = -1
		}
		p.head.copy(raw, begin, i)
	}
	p.scan(&p.head, h, style{write: asText, recode: writeEncodedWord, never: never})
	return nil
}

// drop takes the text behind offset at back.
func (j *joined) drop(at int) {
	j.text = j.text[:at]
	for len(j.pieces) > 0 && int(j.pieces[len(j.pieces)-1].at) >= at {
		j.pieces = j.pieces[:len(j.pieces)-1]
	}
}

// encodedWord decodes the encoded word at raw[i]. size is 0 when there is none;
// one that is broken is shown as it is by some and decoded by others.
func (p *mimeReader) encodedWord(i, to int) (size int, text []byte, _ *Refusal) {
	word := p.raw[i:to]
	if n := bytes.IndexAny(word, " \t\r\n"); n >= 0 {
		word = word[:n]
	}
	fields := bytes.SplitN(word[2:], []byte("?"), 3)
	if len(fields) < 3 || len(fields[1]) != 1 {
		return 0, nil, nil
	}
	end := bytes.Index(fields[2], []byte("?="))
	if end < 0 {
		return 0, nil, nil
	}
	name, _, _ := strings.Cut(string(fields[0]), "*") // RFC 2231 adds a language
	coded := fields[2][:end]
	size = 2 + len(fields[0]) + 1 + 1 + 1 + end + 2
	switch fields[1][0] | 0x20 {
	case 'b':
		out := make([]byte, base64.StdEncoding.DecodedLen(len(coded)))
		n, err := base64.StdEncoding.Decode(out, coded)
		if err != nil {
			return 0, nil, &Refusal{ReasonMIMEEncoding, int64(i)}
		}
		text = out[:n]
	case 'q':
		plain, bad := quotedPrintable{}.decode(bytes.ReplaceAll(coded, []byte("_"), []byte(" ")))
		if bad >= 0 {
			return 0, nil, &Refusal{ReasonMIMEEncoding, int64(i)}
		}
		text = plain
	default:
		return 0, nil, nil
	}
	c, ok := charsetOf(name)
	if ok && c != nil {
		text, ok = c.decode(text)
	}
	if !ok || invalidUTF8(text) >= 0 {
		return 0, nil, &Refusal{ReasonCharset, int64(i)}
	}
	return size, text, nil
}

// maxEncodedWord is how much text goes into one encoded word: all of it may need
// three characters a byte, and a word has 75 at most.
const maxEncodedWord = 20

// writeEncodedWord is the encoder of what stood in an encoded word.
func writeEncodedWord(dst, text []byte) []byte {
	for n := 0; n < len(text); {
		end := min(len(text), n+maxEncodedWord)
		for end < len(text) && text[end]&0xC0 == 0x80 {
			end--
		}
		if n > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, "=?UTF-8?Q?"...)
		for _, b := range text[n:end] {
			switch {
			case b == ' ':
				dst = append(dst, '_')
			case b-'0' <= 9, (b|0x20)-'a' < 26, b == '-', b == '!', b == '*', b == '+', b == '/':
				dst = append(dst, b)
			default:
				dst = append(dst, '=', upperHex[b>>4], upperHex[b&15])
			}
		}
		dst = append(dst, "?="...)
		n = end
	}
	return dst
}
