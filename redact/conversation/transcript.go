package conversation

import (
	"bytes"
	"strconv"

	"github.com/caregate/caregate/redact"
)

// maxName is how long the name of a speaker may be with the time in front of it.
const maxName = 48

// Transcript finds the values that are spread over the turns of a text in which
// each turn begins with a name and a colon: "Customer: 4111 1111". found are the
// findings of the text by itself. Pieces have offsets of text, and Message.Index is
// the number of the turn, from 0. A text that is no transcript gives nothing. What
// other conversations said has no part in it.
func (t *Tracker) Transcript(text []byte, found []redact.Finding) []Found {
	turns := turns(text)
	if len(turns) < 2 {
		return nil
	}
	one := &Tracker{detector: t.detector, reader: t.reader, age: t.age, limit: 1, seed: t.seed}
	one.forget()
	var out []Found
	next := 0
	var own []redact.Finding
	for _, turn := range turns {
		own = own[:0]
		for ; next < len(found) && found[next].Start < turn.end; next++ {
			if f := found[next]; f.Start >= turn.start && f.End <= turn.end {
				f.Start -= turn.start
				f.End -= turn.start
				own = append(own, f)
			} else if whole(f) {
				one.Forget(transcriptKey) // it reaches over several turns
			}
		}
		for _, f := range one.Add(Message{Conversation: transcriptKey, ID: strconv.Itoa(turn.start), Text: text[turn.start:turn.end], Found: own}) {
			for i := range f.Pieces {
				p := &f.Pieces[i]
				start, err := strconv.Atoi(p.Message.ID)
				if err != nil {
					continue
				}
				p.Start += start
				p.End += start
				p.Message.ID = ""
			}
			out = append(out, f)
		}
	}
	one.Forget(transcriptKey)
	return out
}

const transcriptKey = "transcript"

// turn is what one speaker says at a time.
type turn struct{ start, end int }

// turns cuts a transcript before each line that begins with a name, and returns
// nothing unless there are at least two such lines.
func turns(text []byte) []turn {
	var out []turn
	named := 0
	for start := 0; start < len(text); {
		end := start + bytes.IndexByte(text[start:], '\n') + 1
		if end == start {
			end = len(text)
		}
		switch {
		case hasName(text[start:end]):
			named++
			out = append(out, turn{start, end})
		case len(out) == 0:
			out = append(out, turn{start, end})
		default:
			out[len(out)-1].end = end
		}
		start = end
	}
	if named < 2 {
		return nil
	}
	return out
}

// tags are the names of HTML elements that begin a line of text.
var tags = map[string]bool{
	"a": true, "b": true, "big": true, "blockquote": true, "body": true, "br": true, "center": true, "code": true, "dd": true, "del": true, "details": true, "div": true, "dl": true, "dt": true,
	"em": true, "font": true, "footer": true, "h1": true, "h2": true, "h3": true, "h4": true, "h5": true, "h6": true, "head": true, "header": true, "hr": true, "html": true, "i": true, "ins": true,
	"label": true, "li": true, "main": true, "mark": true, "nav": true, "ol": true, "option": true, "p": true, "pre": true, "q": true, "s": true, "section": true, "small": true, "span": true,
	"strike": true, "strong": true, "sub": true, "summary": true, "sup": true, "table": true, "tbody": true, "td": true, "tfoot": true, "th": true, "thead": true, "title": true, "tr": true, "tt": true,
	"u": true, "ul": true, "wbr": true,
}

// hasName reports whether a line begins with the name of a speaker, perhaps with a
// time in front or in brackets behind: a letter, no more than three words, a colon with a
// blank behind. The name in angle brackets needs no colon: "<ann> 4111 1111".
func hasName(line []byte) bool {
	letters, words, inside := false, 0, false
	for i, b := range line[:min(len(line), maxName)] {
		if b == '<' && i == 0 || (b == '(' || b == '[') && letters {
			inside = b != '<'
			continue
		}
		switch {
		case b == '-' && letters && line[i-1] == ' ' && i+1 < len(line) && line[i+1] == ' ':
			return words <= 3 // "ann - yes"
		case b == '>': // "<ann> yes", "ann> yes"
			if line[0] == '<' && tags[string(bytes.ToLower(line[1:i]))] {
				return false
			}
			return letters && words <= 3 && i+1 < len(line) && line[i+1] == ' ' && line[i-1] != ' ' && line[i-1] != '-'
		case inside:
			inside = b != ')' && b != ']'
		case b == ':' && letters:
			return words <= 3 && (i+1 == len(line) || line[i+1] == ' ' || line[i+1] == '\n' || line[i+1] == '\t')
		case b|0x20 >= 'a' && b|0x20 <= 'z', b >= 0x80:
			if i == 0 || line[i-1] == ' ' || line[i-1] == '<' || line[i-1] == '(' || line[i-1] == ']' {
				words++
			}
			letters = true
		case b == '/' && line[0] == '<', b == ',', b == '?', b == '!', b == '{', b == '"':
			return false
		}
	}
	return false
}
