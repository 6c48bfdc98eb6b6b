package schedule

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
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
}

// maxMistakes is how many mistakes are shown: whoever has more mends these first.
const maxMistakes = 100

// err is nil without mistakes; else it has them in the order of the file.
func (r *reader) err() error {
	if len(r.wrong) == 0 {
		return nil
	}
	slices.SortStableFunc(r.wrong, func(a, b mistake) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	var b strings.Builder
	for i, m := range r.wrong {
		if i == maxMistakes {
			fmt.Fprintf(&b, "\nand %d more", len(r.wrong)-i)
			break
		}
		fmt.Fprintf(&b, "\n%s:%d:%d: %s", r.file, m.line, m.column, m.text)
	}
	return fmt.Errorf("%w:%s", ErrSchedule, b.String())
}

// fail notes a mistake at n.
func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.wrong = append(r.wrong, mistake{max(n.Line, 1), max(n.Column, 1), fmt.Sprintf(format, args...)})
}

// document reads src as exactly one YAML document and returns its top node, or nil.
func (r *reader) document(src []byte) *yaml.Node {
	if len(src) > MaxFile {
		r.wrong = append(r.wrong, mistake{1, 1, fmt.Sprintf("the file has %d bytes, the limit is %d", len(src), MaxFile)})
		return nil
	}
	var doc, second yaml.Node
	loader, err := yaml.NewLoader(bytes.NewReader(src))
	if err == nil {
		err = loader.Load(&doc)
	}
	if err == nil {
		if err = loader.Load(&second); err == nil {
			r.fail(&second, "a second YAML document: write one file for each schedule")
			return nil
		}
		if errors.Is(err, io.EOF) && doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			return doc.Content[0]
		}
	}
	at := mistake{1, 1, "the file is empty: docs/retention.md has an example"}
	var load *yaml.LoadError
	if errors.As(err, &load) { // its message may quote the file: the place is enough
		at = mistake{max(load.Mark.Line, 1), max(load.Mark.Column, 1), "not YAML"}
	} else if err != nil && !errors.Is(err, io.EOF) {
		at.text = "not YAML"
	}
	r.wrong = append(r.wrong, at)
	return nil
}

// plain refuses aliases, anchors and tags: no file expands beyond its size.
func (r *reader) plain(n *yaml.Node) bool {
	if n.Kind != yaml.AliasNode && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 {
		return true
	}
	r.fail(n, "anchors, aliases and tags are not used here: write the value out")
	return false
}

// object returns the values of a mapping whose keys are known.
func (r *reader) object(n *yaml.Node, what string, required []string, optional ...string) map[string]*yaml.Node {
	out := make(map[string]*yaml.Node)
	if !r.plain(n) {
		return out
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s should be a mapping", what)
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !r.plain(key) {
			continue
		}
		if key.Kind != yaml.ScalarNode || !slices.Contains(required, key.Value) && !slices.Contains(optional, key.Value) {
			r.fail(key, "unknown key %.40q in %s; it has %s", key.Value, what, strings.Join(slices.Concat(required, optional), ", "))
			continue
		}
		if out[key.Value] != nil {
			r.fail(key, "`%s` stands twice in %s: remove one", key.Value, what)
			continue
		}
		out[key.Value] = n.Content[i+1]
	}
	for _, key := range required {
		if out[key] == nil {
			r.fail(n, "%s has no `%s`: add it", what, key)
		}
	}
	return out
}

// text returns the value of a scalar; a nil node is "".
func (r *reader) text(n *yaml.Node, what string) string {
	if n == nil || !r.plain(n) {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		r.fail(n, "%s should be a word", what)
		return ""
	}
	return n.Value
}

// id returns a word of small letters, digits, dots, dashes and underscores.
func (r *reader) id(n *yaml.Node, what string) string {
	v := r.text(n, what)
	if v != "" && !idForm.MatchString(v) {
		r.fail(n, "%s wants 1 to 64 of a-z, 0-9, `.`, `-` and `_`, the first a letter or digit", what)
		return ""
	}
	return v
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
func (r *reader) list(n *yaml.Node, what string, most int) []*yaml.Node {
	switch {
	case n == nil || !r.plain(n):
		return nil
	case n.Kind != yaml.SequenceNode:
		r.fail(n, "%s should be a list", what)
		return nil
	case len(n.Content) == 0:
		r.fail(n, "%s is an empty list: remove it or fill it", what)
	case len(n.Content) > most:
		r.fail(n, "%s has more than %d entries", what, most)
		return nil
	}
	return n.Content
}

// texts returns the scalars of a list, each once.
func (r *reader) texts(n *yaml.Node, what string) []*yaml.Node {
	var out []*yaml.Node
	for _, item := range r.list(n, what, maxList) {
		v := r.text(item, "an entry of "+what)
		switch {
		case v == "":
		case slices.ContainsFunc(out, func(o *yaml.Node) bool { return o.Value == v }):
			r.fail(item, "an entry stands twice in %s: remove one", what)
		default:
			out = append(out, item)
		}
	}
	return out
}
