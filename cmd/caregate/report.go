package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/transform"
	"github.com/caregate/caregate/redact/walk"
)

// excerptReach is how much of the line is shown on each side of a finding, in
// bytes: enough to see what the text speaks of, on one line of a terminal.
const excerptReach = 60

// excerpts shows what stands around the findings of a text, with everything that
// was found in it replaced, whatever its class and its treatment.
type excerpts struct {
	text  []byte
	spans []hiddenSpan // sorted, apart from each other
}

// hiddenSpan is a stretch of text that is never shown.
type hiddenSpan struct {
	start, end int
	mask       string
}

// newExcerpts prepares the excerpts of text. found are all findings in it, those
// among them that are not listed.
func newExcerpts(text []byte, found []redact.Finding) *excerpts {
	e := &excerpts{text: text}
	for _, f := range found {
		e.spans = append(e.spans, e.hide(f))
	}
	slices.SortFunc(e.spans, func(a, b hiddenSpan) int { return cmp.Or(a.start-b.start, b.end-a.end) })
	out := e.spans[:0]
	for _, s := range e.spans {
		if n := len(out); n > 0 && s.start < out[n-1].end {
			out[n-1].end = max(out[n-1].end, s.end)
			continue
		}
		out = append(out, s)
	}
	e.spans = out
	return e
}

// hide returns what is shown for a finding: the mask that `redact` writes where it
// is one of digits, and the name of the class otherwise. A value inside of
// something that is encoded as a whole, such as base64, hides all of that.
func (e *excerpts) hide(f redact.Finding) hiddenSpan {
	s := hiddenSpan{f.Start, f.End, "[" + string(f.Class) + "]"}
	value := e.text[f.Start:f.End]
	if bytes.IndexFunc(value, isLatin) >= 0 && f.Evidence&redact.EvidenceSpoken == 0 {
		for s.start > 0 && inToken(e.text[s.start-1]) {
			s.start--
		}
		for s.end < len(e.text) && inToken(e.text[s.end]) {
			s.end++
		}
		return s
	}
	info, _ := redact.Lookup(string(f.Class))
	if !info.Default.Rewrites() || f.Class == redact.PaymentReference {
		return s
	}
	if f.Evidence&redact.EvidenceSplit != 0 {
		s.mask = string(transform.AppendPiece(nil, value, redact.Mask))
	} else {
		s.mask = string(transform.Append(nil, value, f.Class, info.Default))
	}
	return s
}

func isLatin(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }

// inToken reports whether b may continue base64 or a name.
func inToken(b byte) bool {
	return b-'0' <= 9 || isLatin(rune(b)) || bytes.IndexByte([]byte("+/-_="), b) >= 0
}

// around returns the line around text[start:end], cut where it is long.
func (e *excerpts) around(start, end int) string {
	var b strings.Builder
	from, to := max(0, start-excerptReach), min(len(e.text), end+excerptReach)
	if n := bytes.LastIndexByte(e.text[from:start], '\n'); n >= 0 {
		from += n + 1
	} else if from > 0 && e.text[from-1] != '\n' {
		for from < start && !utf8.RuneStart(e.text[from]) {
			from++
		}
		b.WriteString("… ")
	}
	more := false
	if n := bytes.IndexByte(e.text[end:to], '\n'); n >= 0 {
		to = end + n
	} else if more = to < len(e.text); more {
		for to > end && !utf8.RuneStart(e.text[to]) {
			to--
		}
	}
	i, _ := slices.BinarySearchFunc(e.spans, from, func(s hiddenSpan, at int) int {
		if s.end <= at {
			return -1
		}
		return 1
	})
	at := from
	for ; i < len(e.spans) && e.spans[i].start < to; i++ {
		s := e.spans[i]
		b.Write(e.text[at:max(at, s.start)])
		b.WriteString(s.mask)
		at = s.end
	}
	if at < to {
		b.Write(e.text[at:to])
	}
	if more {
		b.WriteString(" …")
	}
	line := strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ").Replace(b.String())
	return plain(strings.ToValidUTF8(strings.TrimSpace(line), "\ufffd"))
}

// pointer returns the place of a finding in its document without what it found
// there: names of members are data of strangers, too.
func (r *reader) pointer(f redact.Finding) string {
	path := f.Path
	if f.Place == redact.PlaceKey {
		path = path[:max(0, strings.LastIndexByte(path, '/'))] + "/[" + string(f.Class) + "]"
	}
	doc, err := r.read(walk.Text, []byte(path))
	if err != nil || len(doc.Findings) == 0 {
		return path
	}
	return string(doc.Rewrite(func(redact.Finding) redact.Action { return redact.Drop }))
}

// printFindings prints the findings for a person.
func printFindings(out io.Writer, name string, findings []found, e *excerpts) error {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s:%d:%d: %s, confidence %.2f\n", plain(name), f.Line, f.Column, f.Class, f.Confidence)
		fmt.Fprintf(&b, "    bytes %d to %d", f.Start, f.End)
		if f.Path != "" {
			fmt.Fprintf(&b, ", %s %s", f.Place, plain(f.Path))
		}
		if f.Group > 0 {
			fmt.Fprintf(&b, ", piece of value %d", f.Group)
		}
		fmt.Fprintf(&b, ", because of: %s", dash(f.Rule))
		if len(f.Evidence) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(f.Evidence, ", "))
		}
		fmt.Fprintf(&b, "\n    | %s\n", e.around(f.Start, f.End))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// lineCounter finds lines and columns of rising offsets in one pass.
type lineCounter struct {
	text              []byte
	pos, line, column int
}

func newLineCounter(text []byte) *lineCounter { return &lineCounter{text: text, line: 1, column: 1} }

// at is the line of the byte at offset, and its column in characters, both from 1.
// Offsets may not fall.
func (c *lineCounter) at(offset int) (line, column int) {
	passed := c.text[c.pos:max(offset, c.pos)]
	if n := bytes.LastIndexByte(passed, '\n'); n >= 0 {
		c.line += bytes.Count(passed, []byte("\n"))
		c.column, passed = 1, passed[n+1:]
	}
	c.column += utf8.RuneCount(passed)
	c.pos = max(offset, c.pos)
	return c.line, c.column
}
