package proxy

import (
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/transform"
	"github.com/caregate/caregate/redact/walk"
)

// Labels of what is looked for in a write by somebody who is not shown a field: what the
// channel file says is replaced whole, and in it the objects that have the field, and the
// field. The number of the rule is behind the last two.
const (
	labelWhole = "whole"
	labelHas   = "has:"
	labelPart  = "part:"
)

type writeKey struct {
	op     *channel.Operation
	digest string
}

// writeGuard is what is looked for in writes of one operation.
type writeGuard struct {
	forms walk.Guard
	// parts finds objects that are replaced whole by the write; nil where none of them has a
	// field that is guarded.
	parts *walk.Fields
}

// ofWrite returns what is looked for in the write of an operation.
func (v *views) ofWrite(op *channel.Operation, d *policy.Decision) (*writeGuard, error) {
	key := writeKey{op, d.GuardedDigest()}
	if g, ok := v.writes.Load(key); ok {
		return g.(*writeGuard), nil
	}
	g := &writeGuard{forms: walk.Guard{Names: make(map[string]bool)}}
	names := make(map[string]bool)
	for _, row := range d.Guarded {
		name := lastName(row.Field)
		if name != "" {
			names[name] = true
		}
		if row.View != policy.ViewMasked {
			continue
		}
		if name == "" {
			g.forms.All = true
		} else {
			g.forms.Names[name] = true
		}
	}
	rules := partRules(op.RequestRules, names)
	if len(rules) > 0 {
		var err error
		if g.parts, err = walk.Compile(rules); err != nil {
			return nil, err
		}
	}
	v.keep(&v.writes, key, g)
	return g, nil
}

// lastName is the last name of a pointer, "" where it has none.
func lastName(pointer string) string {
	for pointer != "" {
		at := strings.LastIndexByte(pointer, '/')
		if last := pointer[at+1:]; last != "**" && (last == "" || !ofElements(pointer)) {
			return strings.NewReplacer("~1", "/", "~0", "~").Replace(last)
		}
		pointer = pointer[:at]
	}
	return ""
}

// partRules are the rules that find what of a write is replaced whole, and the members of the
// given names that the channel file says are in it.
func partRules(request []walk.Rule, names map[string]bool) []walk.Rule {
	var rules []walk.Rule
	seen := make(map[string]bool)
	add := func(pointer, label string) {
		if !seen[label+" "+pointer] {
			seen[label+" "+pointer] = true
			rules = append(rules, walk.Rule{Pointer: pointer, Label: label, Flags: walk.Wanted})
		}
	}
	for _, whole := range request {
		if whole.Flags&walk.Overwrite == 0 {
			continue
		}
		for _, part := range request {
			pointer := part.Pointer
			for strings.HasSuffix(pointer, "/*") || strings.HasSuffix(pointer, "/**") {
				pointer = pointer[:strings.LastIndexByte(pointer, '/')]
			}
			if !strings.HasPrefix(pointer, whole.Pointer+"/") || !names[lastName(pointer)] {
				continue
			}
			n := strconv.Itoa(len(rules))
			if !seen[pointer] {
				seen[pointer] = true
				add(whole.Pointer, labelWhole)
				add(pointer[:strings.LastIndexByte(pointer, '/')], labelHas+n)
				add(pointer, labelPart+n)
			}
		}
	}
	return rules
}

// incomplete are the values that the write would replace whole without a field in them that
// the writer was not shown, and so cannot repeat.
func (g *writeGuard) incomplete(doc *walk.Doc) ([]walk.Capture, error) {
	if g.parts == nil || doc.Kind != walk.JSON {
		return nil, nil
	}
	captures, err := doc.Wanted(g.parts)
	if err != nil {
		return nil, err
	}
	parts := make(map[string][]walk.Capture) // by number, in document order as all captures
	for _, c := range captures {
		if n, ok := strings.CutPrefix(c.Label, labelPart); ok {
			parts[n] = append(parts[n], c)
		}
	}
	var lacking []walk.Capture
	for _, c := range captures {
		if n, ok := strings.CutPrefix(c.Label, labelHas); ok && isObject(doc, c) && !hasPart(c, parts[n]) {
			lacking = append(lacking, c)
		}
	}
	var out []walk.Capture
	for _, c := range captures {
		if i := startingAt(lacking, c.Start); c.Label == labelWhole && i < len(lacking) && lacking[i].End <= c.End {
			out = append(out, c)
		}
	}
	return out, nil
}

func isObject(doc *walk.Doc, c walk.Capture) bool {
	return c.Place != redact.PlaceText && doc.Value(c)[0] == '{'
}

// hasPart tells whether an object has one of parts as its own member.
func hasPart(object walk.Capture, parts []walk.Capture) bool {
	for _, p := range parts[startingAt(parts, object.Start):] {
		if p.Start >= object.End {
			return false
		}
		if p.Path[:strings.LastIndexByte(p.Path, '/')] == object.Path {
			return true
		}
	}
	return false
}

// startingAt is the index of the first of captures in document order that begins at start or
// behind it.
func startingAt(captures []walk.Capture, start int) int {
	return sort.Search(len(captures), func(i int) bool { return captures[i].Start >= start })
}

// patchFields find the steps of a JSON Patch (RFC 6902).
var patchFields = sync.OnceValue(func() *walk.Fields {
	f, err := walk.Compile([]walk.Rule{
		{Pointer: "/*", Label: "step", Flags: walk.Wanted},
		{Pointer: "/*/path", Label: "path", Flags: walk.Wanted},
		{Pointer: "/*/value", Label: "value", Flags: walk.Wanted},
	})
	if err != nil {
		panic(err) // the rules are above
	}
	return f
})

// patched are the steps of a JSON Patch that would write a form to a field which the writer
// sees masked. The name of the field stands in their path. whole says that all of the patch
// must go: because no step would be left, or because a form is in an object or a list that a
// step writes, of which nothing can be taken out, for what it lacks is deleted.
func (g *writeGuard) patched(doc *walk.Doc) (steps []walk.Capture, whole bool, err error) {
	if doc.Kind != walk.JSON || !g.forms.All && len(g.forms.Names) == 0 || !doc.IsArray() {
		return nil, false, nil
	}
	captures, err := doc.Wanted(patchFields())
	if err != nil {
		return nil, false, err
	}
	everywhere, _, _ := doc.ComeBack(false, &walk.Guard{All: true})
	guarded, _, _ := doc.ComeBack(false, &g.forms)
	all := 0
	for i := 0; i < len(captures); {
		step := captures[i]
		var path, value *walk.Capture
		for i++; i < len(captures) && captures[i].Label != "step"; i++ {
			if c := &captures[i]; c.Label == "path" {
				path = c
			} else {
				value = c
			}
		}
		all++
		if path == nil || value == nil || path.Place != redact.PlaceText {
			continue
		}
		named := g.forms.All || g.forms.Names[lastName(string(doc.Value(*path)))]
		switch text := value.Place == redact.PlaceText; {
		case text && named && transform.IsForm(doc.Value(*value)):
			steps = append(steps, step)
		case !text && (overlap(guarded, *value) || named && overlap(everywhere, *value)):
			return nil, true, nil
		}
	}
	return steps, all > 0 && len(steps) == all, nil
}

// overlap tells whether one of the edits is about a value, or something in it.
func overlap(edits []walk.Edit, c walk.Capture) bool {
	return slices.ContainsFunc(edits, func(e walk.Edit) bool { return e.Start < c.End && e.End > c.Start })
}

// guard is what must not come back in this write because the caller is not shown it whole,
// nil for nothing.
func (x *exchange) guard() (*walk.Guard, *refusal) {
	if x.ruled == nil || len(x.ruled.Guarded) == 0 {
		return nil, nil
	}
	g, err := x.det.policy.views.ofWrite(x.match.Op, x.ruled)
	if err != nil {
		return nil, refuseErr(reasonPolicyError, err)
	}
	forms := g.forms
	if q := x.request.query; q != nil {
		if edits, _, stuck := q.ComeBack(false, &forms); len(edits)+stuck > 0 {
			return nil, refuse(reasonMaskedWrite)
		}
	}
	if doc := x.request.body.doc; doc != nil {
		var patched []walk.Capture
		var whole bool
		if forms.Also, err = g.incomplete(doc); err == nil {
			patched, whole, err = g.patched(doc)
		}
		switch {
		case err != nil:
			return nil, refuseErr(reasonInternal, err) // cannot be: it was read before
		case whole:
			return nil, refuse(reasonMaskedWrite)
		}
		forms.Also = append(forms.Also, patched...)
	}
	return &forms, nil
}

// maskedWrite keeps a value that we masked, tokenized or did not show on its way out from
// replacing its original on its way back: tools that synchronise read a record and write it
// whole. Where the channel file names the field, it is taken out of the write;
// in a call that the file does not know the whole write is refused, and so is a mask at
// a place of a form that the file does not name, because nothing tells a field of it
// that is replaced from one that is added. In JSON, a mask in text that is added, such
// as a comment, replaces nothing and passes.
//
// The form of a field that the caller sees masked is known by the field's name, wherever it
// stands and whatever the method: the body of a write is seldom built like the answer.
func (x *exchange) maskedWrite(r *http.Request) *refusal {
	guard, ref := x.guard()
	if ref != nil {
		return x.stop(&x.request, ref)
	}
	doc := x.request.body.doc
	masks := r.Method == http.MethodPut || r.Method == http.MethodPatch || !x.match.Mapped || len(x.inner) > 0
	if doc == nil || !masks && guard == nil {
		return nil
	}
	edits, elsewhere, stuck := x.comesBack(doc, masks, guard)
	switch {
	case stuck > 0,
		!x.match.Mapped && guard != nil && len(edits) > 0,
		!x.match.Mapped && r.Method != http.MethodPost && (elsewhere > 0 || len(edits) > 0),
		elsewhere > 0 && (doc.Kind == walk.Form || doc.Kind == walk.Multipart):
		return x.stop(&x.request, refuse(reasonMaskedWrite))
	case len(edits) > 0 && x.observe():
		x.request.would = reasonMaskedWrite
	case x.match.Mapped:
		x.request.edits = append(x.request.edits, edits...)
		x.request.withheld = len(edits)
	}
	return nil
}

// comesBack is what of a write is taken out. Of calls inside a composite one, masks are taken
// out of those that replace what they name.
func (x *exchange) comesBack(doc *walk.Doc, masks bool, guard *walk.Guard) (edits []walk.Edit, elsewhere, stuck int) {
	if len(x.inner) == 0 {
		return doc.ComeBack(masks, guard)
	}
	edits, elsewhere, _ = doc.ComeBack(masks, nil)
	edits = slices.DeleteFunc(edits, func(e walk.Edit) bool { return !x.inner.at(e.Start).replaces() })
	forms, _, stuck := doc.ComeBack(false, guard)
	if len(edits) == 0 || len(forms) == 0 {
		return append(edits, forms...), elsewhere, stuck
	}
	// Neighbours that are taken out apart may leave a comma; then nothing is written.
	edits = append(edits, forms...)
	left := doc.Rewrite(func(redact.Finding) redact.Action { return redact.Report }, edits...)
	if _, err := walk.Parse(doc.Kind, left, x.det.detector, nil, x.h.Limits.walk()); err != nil {
		stuck++
	}
	return edits, elsewhere, stuck
}
