package channel

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/walk"
	"go.yaml.in/yaml/v4"
)

// LabelText marks a place that the file names as free text. Every string is
// inspected anyway; the label serves listings and redaction at the source.
const LabelText = "text"

// maxUse bounds how deep sets may use each other.
const maxUse = 8

// maxRules bounds the places of one body; `use` could multiply them otherwise.
const maxRules = 2000

// set is a named group of places, relative to wherever it is put.
type set struct {
	node  *yaml.Node
	rules []walk.Rule
	uses  []use
	used  bool
	xml   bool         // the places are elements
	talks []*yaml.Node // types of record that its messages belong to
}

// use puts another set below a prefix.
type use struct {
	node   *yaml.Node
	prefix string
	set    string
}

// flagKeys are the keys of a set that hold a list of pointers and nothing else.
var flagKeys = []struct {
	key, label string
	flags      walk.Flags
}{
	{"text", LabelText, 0},
	{"html", LabelText, walk.HTMLValue},
	{"never", "", walk.Never},
	{"url", LabelURL, walk.URL | walk.Wanted},
	{"payment_reference", LabelText, walk.PaymentReference},
	{"overwrite", "", walk.Overwrite},
	{"created", LabelTimeCreated, walk.Wanted},
	{"closed", LabelTimeClosed, walk.Wanted},
	{"speaker", LabelSpeaker, walk.Wanted},
}

// typedFields are the words under `typed`: what the system takes at a place.
var typedFields = map[string]redact.Field{"card": redact.FieldCard, "tag": redact.FieldTag, "exact": redact.FieldExact}

// subjectKinds are the words under `subject`. An identifier other than an
// e-mail address is digits or opaque, and may look like a card: it is indexed
// and never rewritten.
var subjectKinds = map[string]struct {
	label string
	flags walk.Flags
}{
	"contact":     {LabelSubjectContact, walk.Wanted | walk.Never},
	"email":       {LabelSubjectEmail, walk.Wanted},
	"phone":       {LabelSubjectPhone, walk.Wanted | walk.Never},
	"id":          {LabelSubjectID, walk.Wanted | walk.Never},
	"external_id": {LabelSubjectExternalID, walk.Wanted | walk.Never},
}

// sets reads `fields`.
func (r *reader) sets(n *yaml.Node) map[string]*set {
	out := make(map[string]*set)
	if n == nil {
		return out
	}
	for _, p := range r.pairs(n, "`fields`") {
		key := r.name(p.key, "the name of a set")
		if key == "" {
			continue
		}
		out[key] = r.set(p.value, "the set `"+key+"`")
		out[key].node = p.key
	}
	for _, key := range sortedKeys(out) {
		for _, u := range out[key].uses {
			if out[u.set] == nil {
				r.unknownSet(u.node, u.set, out)
			} else if out[u.set].xml != out[key].xml {
				r.fail(u.node, fmt.Sprintf("of the sets %q and %q one is of XML and the other is not", key, u.set), "write `format: xml` in both, or in none")
			}
		}
	}
	r.cycles(out)
	return out
}

// set reads one group of places.
func (r *reader) set(n *yaml.Node, what string) *set {
	s := &set{}
	optional := []string{"subject", "record", "about", "message", "typed", "payment", "use", "format"}
	for _, k := range flagKeys {
		optional = append(optional, k.key)
	}
	m := r.object(n, what, nil, optional)
	for _, k := range flagKeys {
		for _, ptr := range r.pointers(m[k.key], "`"+k.key+"`") {
			s.rules = append(s.rules, walk.Rule{Pointer: ptr, Label: k.label, Flags: k.flags})
		}
	}
	if sub := m["subject"]; sub != nil {
		kinds := sortedKeys(subjectKinds)
		sm := r.object(sub, "`subject`", nil, kinds)
		for _, kind := range kinds {
			for _, ptr := range r.pointers(sm[kind], "`subject."+kind+"`") {
				s.rules = append(s.rules, walk.Rule{Pointer: ptr, Label: subjectKinds[kind].label, Flags: subjectKinds[kind].flags})
			}
		}
	}
	for _, named := range [...]struct {
		key, label string
		flags      walk.Flags
	}{{"record", LabelRecord, walk.Wanted | walk.Never}, {"about", LabelRecord, walk.Wanted | walk.Never}, {"message", LabelMessage, walk.Wanted}} {
		if m[named.key] == nil {
			continue
		}
		for _, p := range r.pairs(m[named.key], "`"+named.key+"`") {
			kind := r.name(p.key, "the type of a record")
			if kind != "" && named.label == LabelMessage {
				s.talks = append(s.talks, p.key)
			}
			for _, ptr := range r.pointers(p.value, "`"+named.key+"."+kind+"`") {
				s.rules = append(s.rules, walk.Rule{Pointer: ptr, Label: named.label + kind, Flags: named.flags})
				if named.key == "about" {
					s.rules = append(s.rules, walk.Rule{Pointer: ptr, Label: LabelAbout, Flags: named.flags})
				}
			}
		}
	}
	if n := m["typed"]; n != nil {
		words := sortedKeys(typedFields)
		tm := r.object(n, "`typed`", nil, words)
		for _, word := range words {
			for _, item := range r.list(tm[word], "`typed."+word+"`") {
				if ptr := r.chosenPointer(item, "an entry of `typed."+word+"`"); ptr != "" {
					s.rules = append(s.rules, walk.Rule{Pointer: ptr, Field: typedFields[word]})
				}
			}
		}
	}
	if m["payment"] != nil {
		s.rules = append(s.rules, r.paymentRules(m["payment"])...)
	}
	if m["use"] != nil {
		s.uses = r.uses(m["use"], "`use`")
	}
	r.contradictions(n, s.rules)
	if m["format"] != nil && r.oneOf(m["format"], "`format`", "json", "xml") == "xml" {
		r.elements(s, m, what)
	}
	return s
}

// elementKeys are the keys of a set of XML. The others say how something is written back,
// or belong to conversations, and no system that answers XML needs them.
var elementKeys = []string{"format", "text", "subject", "record", "about", "payment", "payment_reference", "created", "closed", "use"}

// elements makes the places of a set elements of XML.
func (r *reader) elements(s *set, m map[string]*yaml.Node, what string) {
	s.xml = true
	for _, key := range sortedKeys(m) {
		if m[key] != nil && !slices.Contains(elementKeys, key) {
			r.fail(m[key], fmt.Sprintf("`%s` does not stand in %s, which is of XML", key, what), "take it out", elementKeys...)
		}
	}
	for i := range s.rules {
		s.rules[i].Flags |= walk.Element
	}
}

// contradictions refuses places that are both text to rewrite and never to be
// rewritten.
func (r *reader) contradictions(n *yaml.Node, rules []walk.Rule) {
	never, fields := make(map[string]bool), make(map[string]redact.Field)
	for _, rule := range rules {
		if f := fields[rule.Pointer]; f != 0 && rule.Field != 0 && f != rule.Field {
			r.fail(n, fmt.Sprintf("%s stands under two words of `typed`", rule.Pointer), "keep one")
			return
		}
		if rule.Field != 0 {
			fields[rule.Pointer] = rule.Field
		}
		if rule.Flags&walk.Never != 0 {
			never[rule.Pointer] = true
		}
	}
	for _, rule := range rules {
		if never[rule.Pointer] && (rule.Label == LabelText || rule.Field != 0 || strings.HasPrefix(rule.Label, LabelMessage) || rule.Flags&(walk.HTMLValue|walk.PaymentReference|walk.Overwrite) != 0) {
			r.fail(n, fmt.Sprintf("%s is text to rewrite and at the same time never rewritten", rule.Pointer),
				"keep one; subjects (except e-mail) and records are never rewritten")
			return
		}
	}
}

// uses reads a mapping of prefixes to set names.
func (r *reader) uses(n *yaml.Node, what string) []use {
	var out []use
	for _, p := range r.pairs(n, what) {
		prefix := p.key.Value
		if problem := badPointer(prefix); problem != "" {
			r.fail(p.key, fmt.Sprintf("%q is no JSON Pointer: %s", prefix, problem), pointerHint)
			continue
		}
		for _, item := range r.list(p.value, what) {
			if v := r.text(item, "a set's name in "+what); v != "" {
				out = append(out, use{node: item, prefix: prefix, set: v})
			}
		}
	}
	return out
}

// unknownSet reports a set that `fields` does not define.
func (r *reader) unknownSet(n *yaml.Node, got string, sets map[string]*set) {
	known := sortedKeys(sets)
	r.fail(n, fmt.Sprintf("no set is called %q", got), didYouMean(got, known), known...)
}

// cycles reports sets that use themselves and takes the closing `use` out. Each
// set is visited once, whatever the file says.
func (r *reader) cycles(sets map[string]*set) {
	const open, closed = 1, 2
	state := make(map[string]int, len(sets))
	var visit func(name string, path []string)
	visit = func(name string, path []string) {
		state[name] = open
		path = append(path, name)
		s := sets[name]
		s.uses = slices.DeleteFunc(s.uses, func(u use) bool {
			switch {
			case sets[u.set] == nil:
			case state[u.set] == open:
				around := append(slices.Clone(path[slices.Index(path, u.set):]), u.set)
				r.fail(u.node, "the set uses itself: "+strings.Join(around, " > "), "take one `use` out")
				return true
			case state[u.set] != closed:
				visit(u.set, path)
			}
			return false
		})
		state[name] = closed
	}
	for _, name := range sortedKeys(sets) {
		if state[name] != closed {
			visit(name, nil)
		}
	}
}

// flatten appends the rules of a set put at prefix. It stops above maxRules and
// maxUse; the caller reports that.
func flatten(dst []walk.Rule, sets map[string]*set, name, prefix string, depth int, left *int) []walk.Rule {
	s := sets[name]
	if depth > maxUse {
		*left = -1
	}
	if *left--; s == nil || *left < 0 {
		return dst
	}
	s.used = true
	for _, rule := range s.rules {
		*left--
		rule.Pointer = prefix + rule.Pointer
		dst = append(dst, rule)
	}
	for _, u := range s.uses {
		dst = flatten(dst, sets, u.set, prefix+u.prefix, depth+1, left)
	}
	return dst
}

// merge joins rules of the same place: their flags add up; a place with several
// labels keeps one rule per label. Order is by pointer and label, so that equal
// files give equal rules.
func merge(rules []walk.Rule) []walk.Rule {
	sort.SliceStable(rules, func(i, j int) bool {
		if rules[i].Pointer != rules[j].Pointer {
			return rules[i].Pointer < rules[j].Pointer
		}
		return rules[i].Label < rules[j].Label
	})
	out := rules[:0]
	for _, rule := range rules {
		if n := len(out); n > 0 && out[n-1].Pointer == rule.Pointer && (out[n-1].Label == rule.Label || out[n-1].Label == "") {
			out[n-1].Flags |= rule.Flags
			out[n-1].Field = max(out[n-1].Field, rule.Field)
			out[n-1].Label = rule.Label
			continue
		}
		out = append(out, rule)
	}
	return out
}

// pointers reads a list of JSON Pointers.
func (r *reader) pointers(n *yaml.Node, what string) []string {
	var out []string
	for _, item := range r.list(n, what) {
		if ptr := r.pointer(item, "an entry of "+what); ptr != "" {
			out = append(out, ptr)
		}
	}
	return out
}

// pointerHint is added to every message about a pointer.
const pointerHint = "write /a/b, /a/*/b for every element or member of a, /a/**/b at any depth below a"

// pointer reads one JSON Pointer. The whole document ("") is no place.
func (r *reader) pointer(n *yaml.Node, what string) string {
	v := r.text(n, what)
	if v == "" {
		return ""
	}
	if problem := badPointer(v); problem != "" {
		r.fail(n, fmt.Sprintf("%s is %q, no JSON Pointer: %s", what, v, problem), pointerHint)
		return ""
	}
	return v
}

// chosenPointer reads a JSON Pointer in which one segment may be [name=value].
func (r *reader) chosenPointer(n *yaml.Node, what string) string {
	v := r.text(n, what)
	if v == "" {
		return ""
	}
	plain := v
	if from := strings.Index(v, "/["); from >= 0 {
		choice, behind, more := strings.Cut(v[from+1:], "]/")
		name, value, ok := strings.Cut(strings.TrimPrefix(choice, "["), "=")
		if !ok || !more || name == "" || value == "" || strings.Contains(behind, "[") || strings.Contains(behind, "**") || strings.ContainsAny(choice, "]/~*") {
			r.fail(n, fmt.Sprintf("%s is %q, no place", what, v), "write /list/[id=360001234567]/value for the value of the element whose `id` is 360001234567")
			return ""
		}
		plain = v[:from] + "/*/" + behind
	}
	if problem := badPointer(plain); problem != "" {
		r.fail(n, fmt.Sprintf("%s is %q, no JSON Pointer: %s", what, v, problem), pointerHint)
		return ""
	}
	return v
}

// badPointer says what is wrong with a JSON Pointer (RFC 6901, with `*` and
// `**` as whole segments), or "".
func badPointer(p string) string {
	if p == "" {
		return ""
	}
	if p[0] != '/' {
		return "it does not start with a slash"
	}
	if len(p) > 512 {
		return "it is longer than 512 bytes"
	}
	previous := ""
	for segment := range strings.SplitSeq(p[1:], "/") {
		switch {
		case segment == "":
			return "it has an empty segment"
		case segment == "**" && previous == "**":
			return "two `**` follow each other"
		case segment != "*" && segment != "**" && strings.Contains(segment, "*"):
			return "a star stands for a whole segment"
		case segment[0] == '[':
			return "[name=value] stands under `typed` only, once"
		}
		for i := 0; i < len(segment); i++ {
			if segment[i] == '~' && (i+1 == len(segment) || segment[i+1] != '0' && segment[i+1] != '1') {
				return "a tilde is written ~0 and a slash inside a name ~1"
			}
		}
		previous = segment
	}
	return ""
}

// sortedKeys returns the keys of m in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
