package ropa

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Limits of a register. They bound what a file can make the program print.
const (
	// MaxRegister is how large a register may be, in bytes.
	MaxRegister = 512 << 10
	maxText     = 2000
	maxList     = 500
)

// mistake is one of a file, at a line and column that count from 1.
type mistake struct {
	line, column int
	text         string
}

// reader walks the YAML tree and collects mistakes, so that one run shows all.
type reader struct {
	file  string
	wrong []mistake
	// periods are those of rules, nil before they are read; failed is why that failed.
	periods map[string]string
	failed  error
}

// err is nil without mistakes; else it has them in the order of the file.
func (r *reader) err() error {
	if len(r.wrong) == 0 {
		return nil
	}
	slices.SortStableFunc(r.wrong, func(a, b mistake) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return a.column - b.column
	})
	lines := make([]string, len(r.wrong))
	for i, m := range r.wrong {
		lines[i] = fmt.Sprintf("%s:%d:%d: %s", r.file, m.line, m.column, m.text)
	}
	return fmt.Errorf("%w:\n%s", ErrRegister, strings.Join(lines, "\n"))
}

// fail notes a mistake at n.
func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.wrong = append(r.wrong, mistake{max(n.Line, 1), max(n.Column, 1), fmt.Sprintf(format, args...)})
}

// document reads src as exactly one YAML document and returns its top node, or nil.
func (r *reader) document(src []byte) *yaml.Node {
	bad := func(what string) *yaml.Node {
		r.wrong = append(r.wrong, mistake{1, 1, what})
		return nil
	}
	if len(src) > MaxRegister {
		return bad(fmt.Sprintf("the file has %d bytes, the limit is %d", len(src), MaxRegister))
	}
	var doc, second yaml.Node
	loader, err := yaml.NewLoader(bytes.NewReader(src))
	if err == nil {
		err = loader.Load(&doc)
	}
	if err == nil {
		switch again := loader.Load(&second); {
		case again == nil:
			r.fail(&second, "a second YAML document")
			return nil
		case !errors.Is(again, io.EOF):
			err = again
		}
	}
	var load *yaml.LoadError
	switch {
	case errors.Is(err, io.EOF):
		return bad("the file is empty")
	case errors.As(err, &load):
		// The parser's message may quote the file: the place is enough.
		r.wrong = append(r.wrong, mistake{max(load.Mark.Line, 1), max(load.Mark.Column, 1), "not YAML"})
		return nil
	case err != nil:
		return bad("not YAML")
	case doc.Kind != yaml.DocumentNode || len(doc.Content) != 1:
		return bad("the file is empty")
	}
	return doc.Content[0]
}

// plain refuses aliases, anchors and tags: no file expands beyond its size.
func (r *reader) plain(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		r.fail(n, "anchors, aliases and tags are not used here")
		return false
	}
	return true
}

// object returns the values of a mapping whose keys are known.
func (r *reader) object(n *yaml.Node, what string, required, optional []string) map[string]*yaml.Node {
	out := make(map[string]*yaml.Node)
	if !r.plain(n) {
		return out
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s should be a mapping", what)
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case !r.plain(key):
		case key.Kind != yaml.ScalarNode || !slices.Contains(required, key.Value) && !slices.Contains(optional, key.Value):
			r.fail(key, "unknown key %.40q in %s (allowed: %s)", key.Value, what, strings.Join(slices.Concat(required, optional), ", "))
		case out[key.Value] != nil:
			r.fail(key, "`%s` stands twice in %s", key.Value, what)
		default:
			out[key.Value] = value
		}
	}
	for _, key := range required {
		if out[key] == nil {
			r.fail(n, "%s has no `%s`", what, key)
		}
	}
	return out
}

// text returns the value of a scalar; a nil node is "".
func (r *reader) text(n *yaml.Node, what string) string {
	switch {
	case n == nil || !r.plain(n):
		return ""
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		r.fail(n, "%s should be one line of text", what)
	case strings.TrimSpace(n.Value) == "":
		r.fail(n, "%s is empty", what)
	case len(n.Value) > maxText:
		r.fail(n, "%s has more than %d bytes", what, maxText)
	case !utf8.ValidString(n.Value) || strings.ContainsFunc(n.Value, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) }):
		r.fail(n, "%s has a control character: write one line", what)
	default:
		return n.Value
	}
	return ""
}

func (r *reader) oneOf(n *yaml.Node, what string, allowed ...string) string {
	v := r.text(n, what)
	if v != "" && !slices.Contains(allowed, v) {
		r.fail(n, "%s is one of: %s", what, strings.Join(allowed, ", "))
		return ""
	}
	return v
}

// list returns the nodes of a sequence, which is not empty; a nil node is none.
func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	switch {
	case n == nil || !r.plain(n):
		return nil
	case n.Kind != yaml.SequenceNode:
		r.fail(n, "%s should be a list", what)
		return nil
	case len(n.Content) == 0:
		r.fail(n, "%s is an empty list: remove it or fill it", what)
	case len(n.Content) > maxList:
		r.fail(n, "%s has more than %d entries", what, maxList)
		return nil
	}
	return n.Content
}

// texts returns the scalars of a list, each once.
func (r *reader) texts(n *yaml.Node, what string) []string {
	var out []string
	for _, item := range r.list(n, what) {
		v := r.text(item, "an entry of "+what)
		switch {
		case v == "":
		case slices.Contains(out, v):
			r.fail(item, "an entry stands twice in %s", what)
		default:
			out = append(out, v)
		}
	}
	return out
}

// matching is texts of one form.
func (r *reader) matching(n *yaml.Node, what string, form *regexp.Regexp, want string) []string {
	var out []string
	for _, v := range r.texts(n, what) {
		if !form.MatchString(v) {
			r.fail(n, "an entry of %s is none: want %s", what, want)
			continue
		}
		out = append(out, v)
	}
	return out
}
