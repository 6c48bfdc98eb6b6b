package walk

import (
	"bytes"

	"github.com/caregate/caregate/redact/detect"
)

// mailTextReader reads the text of a mail as people see it: without the marks of
// quotations, and with soft line breaks joined (RFC 3676) where the text is
// flowed.
type mailTextReader struct {
	collector
	body joined
}

func (p *mailTextReader) document() *Refusal {
	raw := p.raw
	if at := invalidUTF8(raw); at >= 0 {
		return &Refusal{ReasonUTF8, int64(at)}
	}
	flowed := p.Kind != quotedText
	if !flowed && !bytes.HasPrefix(raw, []byte(">")) && !bytes.Contains(raw, []byte("\n>")) {
		p.body.copy(raw, 0, len(raw))
	} else {
		for i, depth, soft := 0, 0, false; i < len(raw); {
			end := lineEnd(raw, i, len(raw))
			begin, quotes := quoteMarks(raw, i, end)
			if flowed && begin < end && raw[begin] == ' ' {
				begin++ // stuffed
			}
			if soft && quotes != depth {
				p.body.gap("\n", i, i)
			}
			depth = quotes
			text := bytes.TrimRight(raw[begin:end], "\r\n")
			soft = flowed && len(text) > 0 && text[len(text)-1] == ' ' && string(text) != "-- "
			switch {
			case soft && p.Kind == flowedTight:
				p.body.copy(raw, begin, begin+len(text)-1)
			case soft:
				p.body.copy(raw, begin, begin+len(text))
			default:
				p.body.copy(raw, begin, end)
			}
			i = end
		}
	}
	p.uuencoded()
	p.scan(&p.body, detect.Hint{}, style{write: asText})
	return nil
}

// quoteMarks returns where the text of the line begins and how deeply it is
// quoted.
func quoteMarks(raw []byte, i, end int) (begin, depth int) {
	for begin = i; begin < end && raw[begin] == '>'; {
		depth++
		begin++
		if begin+1 < end && raw[begin] == ' ' && raw[begin+1] == '>' {
			begin++
		}
	}
	if depth > 0 && begin < end && raw[begin] == ' ' {
		begin++
	}
	return begin, depth
}

// uuencoded records files that stand in the text, as before MIME.
func (p *mailTextReader) uuencoded() {
	raw := p.raw
	for i := 0; i < len(raw); {
		n := bytes.Index(raw[i:], []byte("begin "))
		if n < 0 {
			return
		}
		i += n
		begin := i
		end := lineEnd(raw, i, len(raw))
		i += len("begin ")
		if begin > 0 && raw[begin-1] != '\n' || end-begin < 11 || !bytes.HasPrefix(raw[end:], []byte("M")) {
			continue
		}
		line := bytes.TrimRight(raw[end:lineEnd(raw, end, len(raw))], "\r\n")
		if len(line) == 61 { // 45 bytes
			p.notRead(begin, len(raw), "other")
			return
		}
	}
}
