package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/caregate/caregate/redact/walk"
)

// maxLine bounds one line of --jsonl: a mail with its attachments in base64.
const maxLine = 64 << 20

// line is one object of --jsonl. Its texts keep their places in the raw line, so
// that everything else can be printed as it came.
type line struct {
	raw []byte
	// id is the raw value of "id", null when there is none.
	id []byte
	// kind is what "type" says, walk.Auto when it says nothing that is known.
	kind walk.Kind
	// texts are the strings to look into; many tells that they are "messages".
	texts []span
	many  bool
}

// span is a JSON string literal at raw[start:end] with its decoded value.
type span struct {
	start, end int
	value      string
}

// eachLine reads objects line by line and prints what do makes of each. It stops
// at the first line that is none, with its number: a text that was silently left
// out would count as clean.
func eachLine(in io.Reader, out io.Writer, name string, do func(dst []byte, l *line) ([]byte, error)) error {
	r := bufio.NewReaderSize(in, 1<<20)
	w := bufio.NewWriterSize(out, 1<<18)
	var buf, result []byte
	for n := 1; ; n++ {
		var err error
		buf, err = readLine(r, buf[:0])
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		if err != nil {
			return errors.Join(w.Flush(), fail("", "reading line %d of %s: %w", n, name, err))
		}
		if len(bytes.TrimSpace(buf)) == 0 {
			continue
		}
		l, err := parseLine(buf)
		if err == nil {
			result, err = do(result[:0], l)
		}
		if err != nil {
			return errors.Join(w.Flush(), fail(`want {"id": ..., "text": "..."} or {"id": ..., "messages": ["..."]}; the lines before it were done`, "line %d of %s: %w", n, name, err))
		}
		if _, err := w.Write(append(result, '\n')); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
}

// readLine appends the next line to buf without its end. It returns io.EOF when
// nothing is left.
func readLine(r *bufio.Reader, buf []byte) ([]byte, error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(buf)+len(part) > maxLine {
			return buf, fmt.Errorf("longer than %d MiB", maxLine>>20)
		}
		buf = append(buf, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(bytes.TrimSuffix(buf, []byte("\n")), []byte("\r")), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(buf) > 0:
			return buf, nil
		default:
			return buf, err
		}
	}
}

// parseLine reads one object. The decoder's errors can repeat what they could
// not read, so none of them is passed on.
func parseLine(raw []byte) (*line, error) {
	l := &line{raw: raw, id: []byte("null"), kind: walk.Auto}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var text, messages bool
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil {
			return nil, errors.New("not a JSON object")
		}
		start := int(dec.InputOffset()) - len(value)
		switch name {
		case "id":
			l.id = value
		case "type":
			var kind string
			if json.Unmarshal(value, &kind) == nil {
				l.kind = kinds[kind] // a type that is not known here is Auto
			}
		case "text":
			s, err := stringAt(value, start)
			if err != nil || text {
				return nil, errors.New(`"text" is not one string`)
			}
			text, l.texts = true, append(l.texts, s)
		case "messages":
			if messages {
				return nil, errors.New(`"messages" is given twice`)
			}
			messages, l.many = true, true
			if l.texts, err = stringsAt(l.texts, value, start); err != nil {
				return nil, err
			}
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	if text == messages {
		return nil, errors.New(`want either "text" or "messages"`)
	}
	return l, nil
}

func stringAt(value []byte, start int) (span, error) {
	s := span{start: start, end: start + len(value)}
	if len(value) == 0 || value[0] != '"' || json.Unmarshal(value, &s.value) != nil {
		return s, errors.New("not a string")
	}
	return s, nil
}

func stringsAt(dst []span, list []byte, start int) ([]span, error) {
	dec := json.NewDecoder(bytes.NewReader(list))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, errors.New(`"messages" is not an array`)
	}
	for dec.More() {
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New(`"messages" is not an array of strings`)
		}
		s, err := stringAt(value, start+int(dec.InputOffset())-len(value))
		if err != nil {
			return nil, errors.New(`"messages" is not an array of strings`)
		}
		dst = append(dst, s)
	}
	return dst, nil
}

// kindOf is the line's own type, or else the one of the command line.
func (l *line) kindOf(flag walk.Kind) walk.Kind {
	if l.kind != walk.Auto {
		return l.kind
	}
	return flag
}

// readText reads one text of a line. A text that its type does not describe is
// read as text: a mistake in "type" must not hide what is in it.
func (r *reader) readText(kind walk.Kind, text string) (*walk.Doc, error) {
	doc, err := r.read(kind, []byte(text))
	var refusal *walk.Refusal
	if errors.As(err, &refusal) {
		return r.read(walk.Text, []byte(text))
	}
	return doc, err
}

// readTexts reads all texts of a line.
func (r *reader) readTexts(l *line, flag walk.Kind) ([]*walk.Doc, []part, error) {
	docs := make([]*walk.Doc, len(l.texts))
	for i, t := range l.texts {
		doc, err := r.readText(l.kindOf(flag), t.value)
		if err != nil {
			return nil, nil, err
		}
		docs[i] = doc
	}
	parts, err := r.together(l, docs)
	return docs, parts, err
}

// scanLine appends the findings of one line.
func (r *reader) scanLine(dst []byte, l *line, flag walk.Kind) ([]byte, error) {
	docs, parts, err := r.readTexts(l, flag)
	if err != nil {
		return nil, err
	}
	findings := []found{}
	for i, doc := range docs {
		var message *int
		if l.many {
			message = &i
		}
		for _, f := range doc.Findings {
			if listed(f) && !covered(parts, i, f) {
				findings = append(findings, found{Class: f.Class, Start: f.Start, End: f.End, Confidence: f.Confidence, Message: message})
			}
		}
		own := len(findings)
		for _, p := range parts {
			if p.message == i {
				findings = append(findings, found{Class: p.Class, Start: p.Start, End: p.End, Confidence: p.Confidence, Message: message, Group: p.group})
			}
		}
		if own < len(findings) {
			slices.SortStableFunc(findings, func(a, b found) int {
				if l.many && *a.Message != *b.Message {
					return *a.Message - *b.Message
				}
				return a.Start - b.Start
			})
		}
	}
	list, err := json.Marshal(findings)
	if err != nil {
		return nil, err
	}
	dst = append(dst, `{"id":`...)
	dst = append(dst, l.id...)
	dst = append(dst, `,"findings":`...)
	dst = append(dst, list...)
	return append(dst, '}'), nil
}

// redactLine appends the line with its texts masked. A text without findings
// stays as it was written, escapes and all.
func (r *reader) redactLine(dst []byte, l *line, flag walk.Kind) ([]byte, error) {
	docs, parts, err := r.readTexts(l, flag)
	if err != nil {
		return nil, err
	}
	at := 0
	for i, t := range l.texts {
		masked := string(docs[i].Rewrite(offlineAction, edits(parts, i, t.value)...))
		if masked == t.value {
			continue
		}
		dst = append(dst, l.raw[at:t.start]...)
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(masked); err != nil {
			return nil, err
		}
		dst = append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
		at = t.end
	}
	return append(dst, l.raw[at:]...), nil
}
