package lists

import (
	"fmt"
	"strings"
	"time"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"go.yaml.in/yaml/v4"
)

// reader walks the document and collects mistakes, so that one run shows them
// all. Mistakes never repeat a term, which may be what nobody should read.
type reader struct {
	out  *File
	errs []error
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %s", r.out.name, max(n.Line, 1), fmt.Sprintf(format, args...)))
}

// members calls each for the members of a mapping, which may be those of allowed
// and no others, once each.
func (r *reader) members(n *yaml.Node, what string, each func(key string, value *yaml.Node), allowed ...string) {
	if n.Kind != yaml.MappingNode || n.Anchor != "" {
		r.fail(n, "%s wants members: %s", what, strings.Join(allowed, ", "))
		return
	}
	seen := make(map[string]bool)
members:
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if seen[key.Value] {
			r.fail(key, "%s has %q twice", what, key.Value)
			continue
		}
		seen[key.Value] = true
		for _, a := range allowed {
			if key.Value == a && key.Kind == yaml.ScalarNode {
				each(a, n.Content[i+1])
				continue members
			}
		}
		r.fail(key, "%s has no member %q; it has %s", what, key.Value, strings.Join(allowed, ", "))
	}
}

// text reads a value that is one piece of text.
func (r *reader) text(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.Anchor != "" || n.Tag == "!!null" || strings.TrimSpace(n.Value) == "" {
		r.fail(n, "%s wants text", what)
		return ""
	}
	return n.Value
}

// list calls each for the elements of a list.
func (r *reader) list(n *yaml.Node, what string, each func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode || n.Anchor != "" {
		r.fail(n, "%s wants a list", what)
		return
	}
	for _, e := range n.Content {
		each(e)
	}
}

func (r *reader) document(n *yaml.Node) {
	version := false
	r.members(n, "the file", func(key string, v *yaml.Node) {
		switch key {
		case "version":
			version = true
			if v.Value != fmt.Sprint(Version) {
				r.fail(v, "version %q is not known; this one is %d", v.Value, Version)
			}
		case "allow":
			r.list(v, key, r.allow)
		case "blocklist":
			r.list(v, key, r.blocklist)
		case "find":
			r.list(v, key, r.find)
		}
	}, "version", "allow", "blocklist", "find")
	if !version {
		r.fail(n, "version is missing; write version: %d", Version)
	}
}

// row reads the members that all rows have, and calls each for the others.
func (r *reader) row(n *yaml.Node, section string, ends bool, each func(key string, value *yaml.Node), allowed ...string) Row {
	row := Row{Section: section, Line: n.Line}
	r.members(n, "a row of "+section, func(key string, v *yaml.Node) {
		switch key {
		case "author":
			row.Author = r.text(v, key)
		case "reason":
			row.Reason = r.text(v, key)
		case "until":
			day, err := time.Parse(time.DateOnly, r.text(v, key))
			if err != nil {
				r.fail(v, "until %q is no day; write 2027-06-30", v.Value)
				day = time.Unix(0, 0)
			}
			row.Until = day
		default:
			each(key, v)
		}
	}, append(allowed, "author", "until", "reason")...)
	if row.Author == "" && n.Kind == yaml.MappingNode {
		r.fail(n, "the row has no author: write who answers for it")
	}
	if ends && row.Until.IsZero() && n.Kind == yaml.MappingNode {
		r.fail(n, "the row has no last day: write until: 2027-06-30, because what nobody looks at again stays open for ever")
	}
	return row
}

func (r *reader) allow(n *yaml.Node) {
	row := allowRow{}
	errs := len(r.errs)
	row.Row = r.row(n, "allow", true, func(key string, v *yaml.Node) {
		switch key {
		case "pattern":
			row.allow.Pattern = r.text(v, key)
		case "term":
			row.allow.Term = r.text(v, key)
		case "field":
			row.allow.Field = r.text(v, key)
		case "classes":
			r.list(v, key, func(e *yaml.Node) {
				if _, known := redact.Lookup(e.Value); !known {
					r.fail(e, "class %q is none; there are %s", e.Value, classNames())
				}
				row.allow.Classes = append(row.allow.Classes, redact.Class(e.Value))
			})
			if len(row.allow.Classes) == 0 && v.Kind == yaml.SequenceNode {
				r.fail(v, "classes is empty; leave it out to mean all of them")
			}
		}
	}, "pattern", "term", "field", "classes")
	if len(r.errs) == errs {
		if err := row.allow.Check(); err != nil {
			r.fail(n, "%v", err)
		}
	}
	r.out.allow = append(r.out.allow, row)
}

func (r *reader) blocklist(n *yaml.Node) {
	row := termRow{}
	row.Row = r.row(n, "blocklist", false, func(key string, v *yaml.Node) {
		r.list(v, key, func(e *yaml.Node) {
			term := r.text(e, "a term")
			if term == "" {
				return
			}
			if err := detect.CheckTerm(term); err != nil {
				r.fail(e, "%v", err)
			}
			row.terms = append(row.terms, term)
		})
	}, "terms")
	if len(row.terms) == 0 && n.Kind == yaml.MappingNode {
		r.fail(n, "the row has no terms")
	}
	r.out.terms = append(r.out.terms, row)
}

func (r *reader) find(n *yaml.Node) {
	row := findRow{}
	errs := len(r.errs)
	row.Row = r.row(n, "find", false, func(key string, v *yaml.Node) {
		switch key {
		case "pattern":
			row.find.Pattern = r.text(v, key)
		case "class":
			row.find.Class = redact.Class(r.text(v, key))
		}
	}, "pattern", "class")
	if len(r.errs) == errs {
		if err := row.find.Check(); err != nil {
			r.fail(n, "%v", err)
		}
	}
	r.out.find = append(r.out.find, row)
}

func classNames() string {
	var names []string
	for _, c := range redact.Classes() {
		names = append(names, string(c.Class))
	}
	return strings.Join(names, ", ")
}
