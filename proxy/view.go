package proxy

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/walk"
)

// labelView begins the labels of captures that a view of the policy asks for; the number of
// the view stands behind it. labelGuard is that of fields which a write is guarded for.
const (
	labelView  = "view:"
	labelGuard = "guard"
)

// views remember the places of operations together with those of views. They are of one
// policy, and safe for concurrent use.
type views struct{ compiled sync.Map }

// places are the places of an operation's answer, with those that the caller's views are
// about. The error is one of a policy whose pointers are too many to be looked for at once.
func (v *views) places(of *walk.Fields, rows []policy.FieldView) (*walk.Fields, error) {
	if len(rows) == 0 {
		return of, nil
	}
	type key struct {
		of   *walk.Fields
		rows string
	}
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(r.Field + "\n")
	}
	k := key{of, b.String()}
	if f, ok := v.compiled.Load(k); ok {
		return f.(*walk.Fields), nil
	}
	rules := make([]walk.Rule, len(rows))
	for i, r := range rows {
		rules[i] = walk.Rule{Pointer: r.Field, Label: labelView + strconv.Itoa(i), Flags: walk.Wanted}
	}
	f, err := of.With(rules)
	if err == nil {
		v.compiled.Store(k, f)
	}
	return f, err
}

// viewed is how the caller sees one answer, or one window of it.
type viewed struct {
	// covered are ranges of the document of which the caller sees nothing, or the form only:
	// sorted, none in another. full are those in which findings of a class are shown.
	covered []coveredRange
	full    []fullRange
	edits   []walk.Edit
}

type coveredRange struct {
	start, end int
	hidden     bool
}

type fullRange struct {
	start, end int
	class      string
}

// fieldViews are the views that the policy has for this call, none on a route that observes.
func (x *exchange) fieldViews() []policy.FieldView {
	if x.ruled == nil {
		return nil
	}
	return x.ruled.Views
}

// responsePlaces are the places of the answer.
func (x *exchange) responsePlaces() (*walk.Fields, *refusal) {
	f, err := x.det.policy.views.places(x.match.Op.Response, x.fieldViews())
	if err != nil {
		return nil, refuseErr(reasonPolicyError, err)
	}
	return f, nil
}

// locatable tells whether the places of fields are known in bodies of a kind.
func locatable(kind walk.Kind) bool {
	return kind == walk.JSON || kind == walk.NDJSON || kind == walk.Form
}

// look finds what the caller's views are about in what was read of the answer. An answer in
// which nobody can tell where a field is has none of it that may be shown, where a field is
// to be hidden or masked.
func (x *exchange) look(side *half) *refusal {
	side.viewed = viewed{}
	rows := x.fieldViews()
	b := &side.body
	if len(rows) == 0 || side != &x.response || !b.present {
		return nil
	}
	doc := b.doc
	if doc == nil && b.stream != nil && b.kind == walk.NDJSON {
		return nil // no line of it has come yet
	}
	if b.unread != "" || b.partly != "" || doc == nil || !locatable(doc.Kind) {
		if slices.ContainsFunc(rows, func(r policy.FieldView) bool { return r.View != policy.ViewFull }) {
			return refuse(reasonViewUnreadable)
		}
		return nil
	}
	type place struct {
		capture walk.Capture
		hidden  bool
	}
	var places []place
	for _, c := range doc.Captures {
		number, ok := strings.CutPrefix(c.Label, labelView)
		if !ok {
			continue
		}
		i, err := strconv.Atoi(number)
		if err != nil || i >= len(rows) {
			continue // of no view of ours
		}
		switch r := rows[i]; r.View {
		case policy.ViewFull:
			side.viewed.full = append(side.viewed.full, fullRange{c.Start, c.End, r.Class})
		default:
			places = append(places, place{c, r.View == policy.ViewHidden})
		}
	}
	// What is around others first, and of one place the strictest.
	slices.SortStableFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.capture.Start, b.capture.Start), cmp.Compare(b.capture.End, a.capture.End), hiddenFirst(a.hidden, b.hidden))
	})
	v := &side.viewed
	for _, p := range places {
		c := p.capture
		if n := len(v.covered); n > 0 && c.Start < v.covered[n-1].end {
			continue
		}
		if n := len(v.covered); n > 0 && c.Start == v.covered[n-1].start && c.End == v.covered[n-1].end {
			continue // an empty text, which is there twice
		}
		v.covered = append(v.covered, coveredRange{c.Start, c.End, p.hidden})
		switch {
		case c.Place != redact.PlaceText:
			v.edits = append(v.edits, walk.Edit{Start: c.Start, End: c.End, New: []byte("null")})
		case p.hidden:
			v.edits = append(v.edits, doc.SetString(c, removedText))
		default:
			v.edits = append(v.edits, doc.SetString(c, formOf(string(doc.Value(c)))))
		}
	}
	return nil
}

func hiddenFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// removedText is what stands for a text of which nothing is shown.
const removedText = "[removed]"

// formOf is what is left of a masked text: letters, digits and everything that is neither
// a space nor a sign of ASCII become X.
func formOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' || r < 0x80 && unicode.IsOneOf([]*unicode.RangeTable{unicode.Punct, unicode.Symbol}, r) {
			return r
		}
		return 'X'
	}, text)
}

// cover is the range that hides a finding or masks it, nil for none.
func (v *viewed) cover(start, end int) *coveredRange {
	i := sort.Search(len(v.covered), func(i int) bool { return v.covered[i].end > start })
	if i < len(v.covered) && v.covered[i].start < end {
		return &v.covered[i]
	}
	return nil
}

// shows tells whether a view shows a finding.
func (v *viewed) shows(f *redact.Finding) bool {
	return slices.ContainsFunc(v.full, func(r fullRange) bool {
		return r.class == string(f.Class) && r.start <= f.Start && f.End <= r.end
	})
}

// actionOf is what becomes of a finding of the body, the caller's views of its place
// included.
func (side *half) actionOf(f *redact.Finding) redact.Action {
	if c := side.viewed.cover(f.Start, f.End); c != nil {
		if c.hidden {
			return redact.Drop
		}
		return redact.Mask
	}
	a := side.action(f.Class, placeOf(f))
	if a.Rewrites() && a != redact.Block && side.viewed.shows(f) {
		return redact.Report
	}
	return a
}

// allEdits are the changes of the body beside those of findings. Those of views come first:
// of two that begin together the first counts.
func (side *half) allEdits() []walk.Edit {
	if len(side.viewed.edits) == 0 {
		return side.edits
	}
	return append(slices.Clip(side.viewed.edits), side.edits...)
}

// noteViews tells the log how many values the caller was not shown.
func (side *half) noteViews(attrs map[string]string) {
	hidden, masked := 0, 0
	for _, c := range side.viewed.covered {
		if c.hidden {
			hidden++
		} else {
			masked++
		}
	}
	if hidden > 0 {
		attrs["fields_hidden"] = strconv.Itoa(hidden)
	}
	if masked > 0 {
		attrs["fields_masked"] = strconv.Itoa(masked)
	}
}

// guardWrite keeps what stands for a field that the caller is not shown from replacing the
// field: a null, [removed], or a form of X, wherever a member has the field's name. It is
// taken out of the write; in a call that the channel file does not know, and where the field
// has no name of its own, the write is refused.
func (x *exchange) guardWrite(r *http.Request) *refusal {
	d, b := x.request.decision, &x.request.body
	if d == nil || len(d.Guarded) == 0 || !b.present {
		return nil
	}
	if b.stream != nil && b.kind == walk.NDJSON {
		return refuse(reasonMaskedWrite) // what of it has passed could not be taken back
	}
	if b.doc == nil || !locatable(b.doc.Kind) {
		return nil // nothing in it has the name of a field
	}
	if !mayStandIn(b.plain) {
		return nil
	}
	rules := make([]walk.Rule, 0, len(d.Guarded))
	parts := make(map[string]bool) // labels of fields of which parts are not shown
	nameless := false
	for _, field := range d.Guarded {
		name, of := guardName(field)
		nameless = nameless || name == ""
		label := labelGuard
		if of {
			label += ".parts"
			parts[label] = true
		}
		rules = append(rules, walk.Rule{Pointer: "/**/" + name, Label: label, Flags: walk.Wanted})
	}
	if nameless {
		return x.stop(&x.request, refuse(reasonMaskedWrite))
	}
	fields, err := walk.Compile(rules)
	if err != nil {
		return x.stop(&x.request, refuseErr(reasonPolicyError, err))
	}
	again, err := walk.Parse(b.doc.Kind, b.plain, x.det.detector, fields, x.h.Limits.walk())
	if err != nil {
		return x.stop(&x.request, refuseErr(reasonInternal, err)) // cannot be: it was read before
	}
	var out []walk.Capture
	for _, c := range again.Captures {
		if standsIn(again, c, b.plain, parts[c.Label]) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil
	}
	if !x.match.Mapped && r.Method != http.MethodPost {
		return x.stop(&x.request, refuse(reasonMaskedWrite))
	}
	edits := again.Remove(out...)
	all := append(slices.Clip(x.request.edits), edits...)
	if len(x.request.edits) > 0 {
		// Neighbours that are taken out apart may leave a comma; then nothing is written.
		left := b.doc.Rewrite(func(redact.Finding) redact.Action { return redact.Report }, all...)
		if _, err := walk.Parse(b.doc.Kind, left, x.det.detector, nil, x.h.Limits.walk()); err != nil {
			return refuse(reasonMaskedWrite)
		}
	}
	x.request.edits = all
	x.request.withheld += len(edits)
	return nil
}

// guardName is the last name of a pointer, and whether the pointer is about what is in it.
func guardName(pointer string) (name string, parts bool) {
	tokens := strings.Split(pointer, "/")
	for i := len(tokens) - 1; i > 0; i-- {
		if t := tokens[i]; t != "*" && t != "**" {
			return t, i < len(tokens)-1
		}
	}
	return "", true
}

// mayStandIn tells whether something in a body may stand for a field that is not shown.
func mayStandIn(raw []byte) bool {
	return bytes.Contains(raw, []byte("null")) || bytes.Contains(raw, []byte("removed")) || bytes.ContainsAny(raw, "X%\\")
}

// standsIn tells whether a value is what we put in the place of one that is not shown.
func standsIn(doc *walk.Doc, c walk.Capture, raw []byte, parts bool) bool {
	value := doc.Value(c)
	if c.Place == redact.PlaceText {
		text := string(value)
		return text == removedText || strings.Contains(text, "X") && formOf(text) == text
	}
	if string(value) == "null" {
		return true
	}
	return parts && (raw[c.Start] == '{' || raw[c.Start] == '[') && mayStandIn(value)
}
