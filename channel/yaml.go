package channel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFile bounds a channel file; the longest real one is a tenth of it.
const maxFile = 1 << 20

// FieldError is one mistake in a channel file. Parse returns all of them, joined.
type FieldError struct {
	// File is the name given to Parse; Line and Column count from 1 and point at
	// the word that is wrong.
	File         string
	Line, Column int
	// What is wrong, in words.
	What string
	// Allowed lists the values that would be right, where there is such a list.
	Allowed []string
	// Hint says what to do; may be empty.
	Hint string
}

// Error prints "file:line:column: what (allowed: a, b); hint".
func (e *FieldError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", e.File, e.Line, e.Column, e.What)
	if len(e.Allowed) > 0 {
		fmt.Fprintf(&b, " (allowed: %s)", strings.Join(e.Allowed, ", "))
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// reader walks the YAML tree and collects mistakes instead of stopping at the
// first, so that one run of `caregate channel check` shows them all.
type reader struct {
	file string
	errs []*FieldError
}

// document reads src as exactly one YAML document and returns its top node, or
// nil after reporting why not.
func (r *reader) document(src []byte) *yaml.Node {
	if len(src) > maxFile {
		r.errs = append(r.errs, &FieldError{File: r.file, Line: 1, Column: 1,
			What: fmt.Sprintf("the file has %d bytes, the limit is %d", len(src), maxFile)})
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(src))
	var doc, second yaml.Node
	if err == nil {
		err = loader.Load(&doc)
	}
	if err == nil {
		if again := loader.Load(&second); again == nil {
			r.fail(&second, "a second YAML document", "a file describes one channel; remove everything from the second `---` on")
			return nil
		} else if !errors.Is(again, io.EOF) {
			err = again
		}
	}
	if err != nil {
		r.syntax(err)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		r.errs = append(r.errs, &FieldError{File: r.file, Line: 1, Column: 1, What: "the file is empty", Hint: "start with `version: 1`"})
		return nil
	}
	return doc.Content[0]
}

// syntax reports a mistake that the YAML parser found.
func (r *reader) syntax(err error) {
	e := &FieldError{File: r.file, Line: 1, Column: 1, What: "not YAML: " + err.Error()}
	var load *yaml.LoadError
	switch {
	case errors.Is(err, io.EOF):
		e.What, e.Hint = "the file is empty", "start with `version: 1`"
	case errors.As(err, &load):
		e.What = "not YAML: " + load.Message
		if load.Mark.Line > 0 {
			e.Line, e.Column = load.Mark.Line, max(load.Mark.Column, 1)
		}
		if strings.Contains(load.Message, "tab") {
			e.Hint = "indent with spaces"
		}
	}
	r.errs = append(r.errs, e)
}

// fail records a mistake at n.
func (r *reader) fail(n *yaml.Node, what, hint string, allowed ...string) {
	r.errs = append(r.errs, &FieldError{File: r.file, Line: max(n.Line, 1), Column: max(n.Column, 1), What: what, Allowed: allowed, Hint: hint})
}

// plain refuses what the format does not use: aliases, anchors and tags. Sets
// under `fields` do their work, and no file can then expand beyond its size.
func (r *reader) plain(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fail(n, "YAML anchors and aliases are not used here", "give the set a name under `fields` and name it where it is needed")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(n, "YAML tags are not used here", "remove "+n.Tag)
		return false
	}
	return true
}

// pair is one entry of a mapping.
type pair struct{ key, value *yaml.Node }

// pairs returns the entries of a mapping, reporting duplicates and keys that
// are not words.
func (r *reader) pairs(n *yaml.Node, what string) []pair {
	if !r.plain(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, what+" is "+kindName(n)+" and should be a mapping", "write `key: value` lines")
		return nil
	}
	out := make([]pair, 0, len(n.Content)/2)
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !r.plain(key) {
			continue
		}
		if key.Kind != yaml.ScalarNode {
			r.fail(key, "a key of "+what+" is "+kindName(key)+" and should be a word", "")
			continue
		}
		if line, twice := seen[key.Value]; twice {
			r.fail(key, fmt.Sprintf("%q stands twice in %s (first on line %d)", key.Value, what, line), "keep one")
			continue
		}
		seen[key.Value] = key.Line
		out = append(out, pair{key, value})
	}
	return out
}

// object returns the values of a mapping whose keys are known. Unknown and
// missing keys are reported.
func (r *reader) object(n *yaml.Node, what string, required, optional []string) map[string]*yaml.Node {
	known := append(append([]string{}, required...), optional...)
	sort.Strings(known)
	out := make(map[string]*yaml.Node, len(known))
	for _, p := range r.pairs(n, what) {
		i := sort.SearchStrings(known, p.key.Value)
		if i == len(known) || known[i] != p.key.Value {
			r.fail(p.key, fmt.Sprintf("unknown key %q in %s", p.key.Value, what), didYouMean(p.key.Value, known), known...)
			continue
		}
		out[p.key.Value] = p.value
	}
	if n.Kind == yaml.MappingNode {
		for _, key := range required {
			if out[key] == nil {
				r.fail(n, fmt.Sprintf("%s has no `%s`", what, key), requiredHints[key])
			}
		}
	}
	return out
}

// requiredHints explain the keys that a file may not leave out.
var requiredHints = map[string]string{
	"reach":        "say what passes the gateway and what does not, so that nobody relies on more than is true",
	"governed":     "list what passes the gateway",
	"not_governed": "list what does not pass the gateway: the vendor's own screens, apps, native connectors",
	"version":      "write `version: 1`",
	"operations":   "list the calls; a call that is not listed is inspected whole and counted as unmapped",
}

// text returns the value of a scalar, or "" after reporting. A nil node is "".
func (r *reader) text(n *yaml.Node, what string) string {
	if n == nil || !r.plain(n) {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		r.fail(n, what+" is "+kindName(n)+" and should be one word or line", "")
		return ""
	}
	if strings.TrimSpace(n.Value) == "" {
		r.fail(n, what+" is empty", "")
		return ""
	}
	return n.Value
}

// oneOf returns the value of a scalar that must be one of allowed.
func (r *reader) oneOf(n *yaml.Node, what string, allowed ...string) string {
	v := r.text(n, what)
	if v == "" {
		return ""
	}
	for _, a := range allowed {
		if v == a {
			return v
		}
	}
	r.fail(n, fmt.Sprintf("%s is %q", what, v), didYouMean(v, allowed), allowed...)
	return ""
}

// list returns the nodes of a sequence; one scalar counts as a list of one.
func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	if n == nil || !r.plain(n) {
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		if len(n.Content) == 0 {
			r.fail(n, what+" is an empty list", "remove the key or fill it")
		}
		return n.Content
	case yaml.ScalarNode:
		return []*yaml.Node{n}
	}
	r.fail(n, what+" is "+kindName(n)+" and should be a list", "write [a, b] or one `- a` per line")
	return nil
}

// texts returns the scalars of a list.
func (r *reader) texts(n *yaml.Node, what string) []string {
	var out []string
	for _, item := range r.list(n, what) {
		if v := r.text(item, "an entry of "+what); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// kindName names the shape of a node for a message.
func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "empty"
		}
		return "a single value"
	}
	return "something else"
}

// didYouMean suggests the allowed word nearest to got, when one is near.
func didYouMean(got string, allowed []string) string {
	best, distance := "", 3
	for _, a := range allowed {
		if d := editDistance(strings.ToLower(got), a); d < distance {
			best, distance = a, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean `" + best + "`?"
}

// editDistance is the Levenshtein distance; long words are far from everything.
func editDistance(a, b string) int {
	const tooLong = 64
	if len(a) > tooLong || len(b) > tooLong {
		return tooLong
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := diagonal
			if a[i-1] != b[j-1] {
				change++
			}
			diagonal = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
