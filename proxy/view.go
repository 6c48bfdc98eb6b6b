package proxy

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/transform"
	"github.com/caregate/caregate/redact/walk"
)

// labelView and labelLists begin the labels of captures that a view of the policy asks for,
// the number of the view behind: of the field itself, and of lists whose elements it is.
const (
	labelView  = "view:"
	labelLists = "views:"
)

// views remember what is looked for because of views. They are of one policy, and safe for
// concurrent use.
type views struct {
	answers sync.Map // answerKey: *answerViews
	writes  sync.Map // writeKey: *writeGuard
	kept    atomic.Int64
}

// maxCompiled is how much is remembered: operations by roles are some hundreds, but composite
// calls can be as different as their callers like.
const maxCompiled = 1 << 10

// keep remembers a compilation, and forgets all when they are too many.
func (v *views) keep(in *sync.Map, key, value any) {
	if v.kept.Add(1) > maxCompiled {
		v.answers.Clear()
		v.writes.Clear()
		v.kept.Store(1)
	}
	in.Store(key, value)
}

// answerKey and writeKey name one compilation: by the places of the channel file, of which
// there are as many as operations, and what was decided, of which there are as many as
// combinations of roles.
type answerKey struct {
	of     *walk.Fields
	digest string
}

// answerViews are the places of an operation's answer, with those that views are about.
type answerViews struct {
	places *walk.Fields
	// listed is [hasPlaces] of the operation.
	listed bool
}

// ofAnswer returns what is looked for in the answer of an operation.
func (v *views) ofAnswer(op *channel.Operation, d *policy.Decision) (*answerViews, error) {
	key := answerKey{op.Response, d.ViewsDigest()}
	if a, ok := v.answers.Load(key); ok {
		return a.(*answerViews), nil
	}
	a := new(answerViews)
	var err error
	if a.places, err = op.Response.With(viewRules(d.Views)); err != nil {
		return nil, err
	}
	a.listed = hasPlaces(op, d.Views)
	v.keep(&v.answers, key, a)
	return a, nil
}

// hasPlaces tells whether the channel file has a place in an operation's answer that one of the
// rows hides or masks.
func hasPlaces(op *channel.Operation, rows []policy.FieldView) bool {
	return slices.ContainsFunc(rows, func(row policy.FieldView) bool {
		return row.View != policy.ViewFull && slices.ContainsFunc(op.ResponseRules, func(r walk.Rule) bool { return says(r, row.Field) })
	})
}

// viewRules are the rules that find what views are about.
func viewRules(rows []policy.FieldView) []walk.Rule {
	var rules []walk.Rule
	for i, row := range rows {
		n := strconv.Itoa(i)
		rules = append(rules, walk.Rule{Pointer: row.Field, Label: labelView + n, Flags: walk.Wanted})
		for field := row.Field; row.View != policy.ViewFull && ofElements(field); {
			field = field[:strings.LastIndexByte(field, '/')]
			rules = append(rules, walk.Rule{Pointer: field, Label: labelLists + n, Flags: walk.Wanted})
		}
	}
	return rules
}

// ofElements tells whether what a pointer is about may be elements of a list.
func ofElements(pointer string) bool {
	last := pointer[strings.LastIndexByte(pointer, '/')+1:]
	return pointer != "" && (last == "*" || last != "" && strings.Trim(last, "0123456789") == "")
}

// says tells whether a rule of a channel file says that a value is at or below a place which
// the pointer of a view is about.
func says(r walk.Rule, pointer string) bool {
	if r.Pointer == "" || r.Flags == walk.Unit {
		return false // which say where something is, and of nothing what it is called
	}
	return meet(strings.Split(pointer, "/"), strings.Split(r.Pointer, "/"))
}

// meet tells whether there is a place at or below what the tokens a of a view are about that
// the tokens b of a channel file spell. A sign * with more behind it stands for the index of a
// list there, which no name is.
func meet(a, b []string) bool {
	// from says, for a[i:] and each b[j:], whether they meet; the last row is that of what a
	// is around.
	from := make([]bool, len(b)+1)
	for j := range from {
		from[j] = true
	}
	for i := len(a) - 1; i >= 0; i-- {
		next := make([]bool, len(b)+1)
		name := a[i] != "*" && !ofElements("/"+a[i])
		for j := len(b); j >= 0; j-- {
			switch more := j < len(b); {
			case a[i] == "**":
				next[j] = from[j] || more && next[j+1]
			case more && b[j] == "**":
				next[j] = next[j+1] || from[j]
			case more && b[j] == "*":
				next[j] = (!name || j == len(b)-1) && from[j+1]
			default:
				next[j] = more && (a[i] == b[j] || a[i] == "*") && from[j+1]
			}
		}
		from = next
	}
	return from[0]
}

// checkViews refuses a policy whose views cannot be looked for on one of the routes, with the
// row that is one too many.
func checkViews(rules *rulesInForce, routes ...*Handler) error {
	seen := make(map[*channel.Channel]bool)
	for _, h := range routes {
		rows, where := rules.engine.Views(h.ch.Name)
		if len(rows) == 0 || seen[h.ch] {
			continue
		}
		seen[h.ch] = true
		like := make(map[string]bool) // operations whose answers have the same places
		for _, op := range h.ch.Operations {
			var places strings.Builder
			for _, r := range op.ResponseRules {
				places.WriteString(r.Pointer + "\n")
			}
			if like[places.String()] {
				continue
			}
			like[places.String()] = true
			_, err := op.Response.With(viewRules(rows))
			if err == nil {
				continue
			}
			n := sort.Search(len(rows), func(n int) bool { // fewer rows never need more
				_, err := op.Response.With(viewRules(rows[:n+1]))
				return err != nil
			})
			return fmt.Errorf("%s: with this row, the views of %s:%s are too many to be looked for at once: %w", where[min(n, len(where)-1)], h.ch.Name, op.Name, err)
		}
	}
	return nil
}

// viewed is how the caller sees one answer, or one window of it.
type viewed struct {
	// covered are ranges of the document of which the caller sees nothing, or the form only:
	// sorted, none in another.
	covered []coveredRange
	// shown has the begins of findings that a full view shows.
	shown map[int]bool
	edits []walk.Edit
}

type coveredRange struct {
	start, end int
	hidden     bool
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
	if len(x.fieldViews()) == 0 {
		return x.match.Op.Response, nil
	}
	a, err := x.det.policy.views.ofAnswer(x.match.Op, x.ruled)
	if err != nil {
		return nil, refuseErr(reasonPolicyError, err)
	}
	return a.places, nil
}

// locatable tells whether the places of fields are known in bodies of a kind.
func locatable(kind walk.Kind) bool {
	return kind == walk.JSON || kind == walk.NDJSON || kind == walk.Form
}

// look finds what the caller's views are about in what was read of the answer.
func (x *exchange) look(side *half) *refusal {
	side.viewed = viewed{}
	b := &side.body
	if len(x.fieldViews()) == 0 || side != &x.response || !b.present {
		return nil
	}
	doc := b.doc
	switch {
	case doc == nil && b.stream != nil && b.kind == walk.NDJSON:
		return nil // no line of it has come yet
	case doc == nil || b.unread != "" || !locatable(doc.Kind):
		return x.unlocated(b)
	}
	places := x.seen(doc)
	v := &side.viewed
	var gone []walk.Capture
	for _, p := range places {
		c := p.Capture
		// What is around others comes first.
		if n := len(v.covered); n > 0 && (c.Start < v.covered[n-1].end || c.Start == v.covered[n-1].start) {
			continue
		}
		v.covered = append(v.covered, coveredRange{c.Start, c.End, p.hidden})
		switch {
		case !p.hidden:
			v.edits = append(v.edits, doc.SetString(c, transform.Form(string(doc.Value(c)))))
		case doc.Root(c):
			v.edits = append(v.edits, walk.Edit{Start: c.Start, End: c.End, New: emptyOf(doc, c)})
		default:
			gone = append(gone, c)
		}
	}
	v.edits = append(v.edits, doc.Remove(gone...)...)
	v.shown = x.shownIn(doc)
	return nil
}

// unlocated decides about an answer in which nobody can tell where a field is. Where the
// channel file has no place for one that is not shown, in the answers of calls inside
// neither, there is none to hide; errors of the vendor pass with their own status, and nothing
// is in what is blank.
func (x *exchange) unlocated(b *reading) *refusal {
	a, err := x.det.policy.views.ofAnswer(x.match.Op, x.ruled)
	switch {
	case err != nil:
		return refuseErr(reasonPolicyError, err)
	case x.upstreamStatus < 200, x.upstreamStatus > 299:
		return nil
	case !a.listed && !slices.ContainsFunc(x.inner, func(c innerCall) bool { return hasPlaces(c.match.Op, x.ruled.Views) }):
		return nil
	case b.unread == "" && b.stream == nil && b.doc != nil && len(b.plain) > 0 && len(bytes.TrimSpace(b.plain)) == 0:
		return nil
	}
	return refuse(reasonViewUnreadable)
}

// seenPlace is a value of which the caller sees nothing, or the form only.
type seenPlace struct {
	walk.Capture
	hidden bool
}

// seen are the values that views hide or mask, what is around others first, and of one value
// the strictest. A value that is no text has no form and is hidden, but for null. Where
// elements of a list are hidden the list is: one of fewer elements would be written back as
// if those that are missing were to go.
func (x *exchange) seen(doc *walk.Doc) []seenPlace {
	rows := x.fieldViews()
	var places, lists []seenPlace
	for _, c := range doc.Captures {
		number, ofLists := strings.CutPrefix(c.Label, labelLists)
		if !ofLists {
			var ok bool
			if number, ok = strings.CutPrefix(c.Label, labelView); !ok {
				continue
			}
		}
		i, err := strconv.Atoi(number)
		if err != nil || i >= len(rows) || rows[i].View == policy.ViewFull {
			continue
		}
		text := c.Place == redact.PlaceText
		switch {
		case ofLists:
			if !text && doc.Value(c)[0] == '[' {
				lists = append(lists, seenPlace{c, true})
			}
		case rows[i].View == policy.ViewHidden || !text && string(doc.Value(c)) != "null":
			places = append(places, seenPlace{c, true})
		case text:
			places = append(places, seenPlace{c, false})
		}
	}
	places = append(places, listsOf(doc, places, lists)...)
	slices.SortStableFunc(places, outermost)
	return places
}

func outermost(a, b seenPlace) int {
	hidden := map[bool]int{true: 0, false: 1}
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(hidden[a.hidden], hidden[b.hidden]))
}

// listsOf are those of lists that go with a hidden element of theirs: up to the one that is
// an element of no list itself.
func listsOf(doc *walk.Doc, places, lists []seenPlace) []seenPlace {
	if len(lists) == 0 {
		return nil
	}
	slices.SortStableFunc(lists, outermost)
	slices.SortStableFunc(places, outermost)
	var out []seenPlace
	var around []int // numbers of lists, the outermost first
	next := 0
	for _, p := range places {
		if !p.hidden || !doc.Element(p.Capture) {
			continue
		}
		for ; next < len(lists) && lists[next].Start < p.Start; next++ {
			for len(around) > 0 && lists[around[len(around)-1]].End <= lists[next].Start {
				around = around[:len(around)-1]
			}
			around = append(around, next)
		}
		for len(around) > 0 && lists[around[len(around)-1]].End <= p.Start {
			around = around[:len(around)-1]
		}
		for i := len(around) - 1; i >= 0; i-- {
			if l := lists[around[i]]; !doc.Element(l.Capture) {
				out = append(out, l)
				break
			}
		}
	}
	return out
}

// emptyOf is what is left of a document of which nothing is shown.
func emptyOf(doc *walk.Doc, c walk.Capture) []byte {
	switch raw := doc.Value(c); {
	case c.Place == redact.PlaceText:
		return nil // between its quotation marks
	case raw[0] == '{':
		return []byte("{}")
	case raw[0] == '[':
		return []byte("[]")
	}
	return []byte("null")
}

// shownIn are the begins of the findings that views show although they are treated elsewhere.
// A finding that may be something else as well, which is shown to nobody, is not.
func (x *exchange) shownIn(doc *walk.Doc) map[int]bool {
	rows := x.fieldViews()
	// By class, without those that stand in another: places nest or are apart, so these are in
	// order, and an answer of as many places as findings costs no product of both.
	full := make(map[string][]coveredRange)
	for _, c := range doc.Captures {
		number, _ := strings.CutPrefix(c.Label, labelView)
		if i, err := strconv.Atoi(number); err == nil && i < len(rows) && rows[i].View == policy.ViewFull && rows[i].Class != "" {
			full[rows[i].Class] = append(full[rows[i].Class], coveredRange{start: c.Start, end: c.End})
		}
	}
	for class, all := range full {
		slices.SortFunc(all, func(a, b coveredRange) int { return cmp.Or(a.start-b.start, b.end-a.end) })
		outer := all[:0]
		for _, r := range all {
			if n := len(outer); n == 0 || r.end > outer[n-1].end {
				outer = append(outer, r)
			}
		}
		full[class] = outer
	}
	if len(full) == 0 {
		return nil
	}
	shown := make(map[int]bool)
	for i := range doc.Findings {
		f := &doc.Findings[i]
		in := full[string(f.Class)]
		n := sort.Search(len(in), func(i int) bool { return in[i].end >= f.End })
		if n < len(in) && in[n].start <= f.Start && !x.neverShown(doc, i) {
			shown[f.Start] = true
		}
	}
	return shown
}

// neverShown tells whether the text of a finding, or its digits alone, are also of a class
// that no view shows.
func (x *exchange) neverShown(doc *walk.Doc, i int) bool {
	f := &doc.Findings[i]
	text, ok := doc.Original(i)
	if !ok && f.Place != redact.PlaceNumber {
		return true // nobody can tell what it is whole
	}
	if f.Place == redact.PlaceNumber {
		text = doc.Value(walk.Capture{Start: f.Start, End: f.End, Place: redact.PlaceNumber})
	}
	digits := slices.DeleteFunc(slices.Clone(text), func(b byte) bool { return b < '0' || b > '9' })
	for _, t := range [][]byte{text, digits} {
		for _, other := range x.det.detector.Text(nil, t, detect.Hint{}) {
			if x.det.policy.engine.NeverShown(string(other.Class)) {
				return true
			}
		}
	}
	return false
}

// cover is the range that hides a finding or masks it, nil for none.
func (v *viewed) cover(start, end int) *coveredRange {
	i := sort.Search(len(v.covered), func(i int) bool { return v.covered[i].end > start })
	if i < len(v.covered) && v.covered[i].start < end {
		return &v.covered[i]
	}
	return nil
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
	if a.Rewrites() && a != redact.Block && side.viewed.shown[f.Start] {
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

// viewTag is what is appended to entity tags because of views: to who sees other fields, the
// same resource is another representation.
func (x *exchange) viewTag() string {
	if len(x.fieldViews()) == 0 {
		return ""
	}
	sum := x.gen.data.Vault.Digest("views", []byte(x.ruled.ViewsDigest()))
	return hex.EncodeToString(sum[:4])
}
