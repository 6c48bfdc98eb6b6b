package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.yaml.in/yaml/v4"
)

// Views of a field, from the one that shows most.
const (
	ViewFull   = "full"   // what is treated elsewhere is shown, where a class is named
	ViewMasked = "masked" // of a text its form is left
	ViewHidden = "hidden" // nothing is left, not even the name
)

// viewNames is the closed list of views, the strictest last.
var viewNames = [...]string{ViewFull, ViewMasked, ViewHidden}

// Bounds of views.
const (
	// maxViews is how many rows may be about one channel, those about every channel
	// included: each is a pointer that is looked for in an answer.
	maxViews   = 256
	maxPointer = 256 // bytes
	maxTokens  = 32  // names and signs in a pointer
)

// FieldView says how the caller sees a field of the answer.
type FieldView struct {
	// Field is a JSON Pointer (RFC 6901) in which * stands for any one name or index and **
	// for any number of them.
	Field string `json:"field"`
	// View is one of the View constants.
	View string `json:"view"`
	// Class is the data class of which ViewFull shows findings that are treated elsewhere;
	// empty where it shows none, and for the others.
	Class string `json:"class,omitempty"`
}

// viewRow is a views row.
type viewRow struct {
	about
	FieldView
	where string // file and line
}

func (p *overlayParser) view(n *yaml.Node) {
	out := viewRow{about: aboutAll(), where: fmt.Sprintf("%s:%d", p.file, n.Line)}
	p.members(n, "a views row", func(key string, v *yaml.Node) bool {
		switch key {
		case "field":
			if err := checkPointer(v.Value); err != nil {
				p.fail(v, "field wants a JSON Pointer, as /user/email or /**/phone: %v", err)
			}
			out.Field = v.Value
		case "view":
			if !slices.Contains(viewNames[:], v.Value) {
				p.fail(v, "view wants one of %s", strings.Join(viewNames[:], ", "))
			}
			out.View = v.Value
		case "class":
			if _, ok := p.tables.Classes[v.Value]; !ok {
				p.fail(v, "class %q is not known; the classes are %s", v.Value, names(p.tables.Classes))
			}
			out.Class = v.Value
		default:
			return p.aboutMember(&out.about, key, v)
		}
		return true
	}, "operation", "roles", "field", "view", "class")
	switch {
	case out.Field == "" || out.View == "":
		p.fail(n, "a views row wants field and view")
	case out.channel == OwnChannel:
		p.fail(n, "operation is one of a channel that is governed")
	case out.View != ViewFull && out.Class != "":
		p.fail(n, "class goes with view full, which shows findings of that class; masked and hidden are about the whole value")
	case slices.Contains(p.tables.NeverShown, out.Class):
		p.fail(n, "%s is never shown where it would be masked", out.Class)
	}
	p.out.views = append(p.out.views, out)
}

// checkPointer tells what is wrong with a pointer.
func checkPointer(s string) error {
	if len(s) > maxPointer || strings.Count(s, "/") > maxTokens {
		return fmt.Errorf("it has more than %d bytes or %d names", maxPointer, maxTokens)
	}
	if !strings.HasPrefix(s, "/") {
		return fmt.Errorf("it does not begin with /")
	}
	for i := range len(s) {
		if s[i] == '~' && (i+1 == len(s) || s[i+1] != '0' && s[i+1] != '1') {
			return fmt.Errorf("~ is written ~0, and / in a name ~1")
		}
		if s[i] < ' ' || s[i] == 0x7f {
			return fmt.Errorf("it has a control character")
		}
	}
	return nil
}

// checkViews refuses more rows about one channel than an answer is searched for, whatever
// document they stand in.
func checkViews(overlays []*Overlay) error {
	counts := make(map[string]int)
	for _, o := range overlays {
		for _, r := range o.views {
			counts[r.channel]++
			most := 0
			for channel, n := range counts {
				if channel != "*" {
					most = max(most, n)
				}
			}
			if most+counts["*"] > maxViews {
				return fmt.Errorf("%s: with this row, more than %d views are about one channel, those about every channel included", r.where, maxViews)
			}
		}
	}
	return nil
}

// viewIndex has the views of all documents.
func viewIndex(overlays []*Overlay) map[string]any {
	index := make(aboutIndex)
	for _, o := range overlays {
		for _, r := range o.views {
			index.add(r.about, map[string]any{"field": r.Field, "view": r.View, "class": r.Class})
		}
	}
	return index
}

// guardIndex has, by channel, the fields that somebody is not shown whole somewhere on it:
// named by role, and common those of everybody, with the roles that have a row of their own
// about the field wherever that one counts. "*" is for channels that no row names.
func guardIndex(overlays []*Overlay) map[string]any {
	var all []viewRow
	for _, o := range overlays {
		all = append(all, o.views...)
	}
	channels := map[string]any{}
	for _, r := range all {
		channels[r.channel] = nil
	}
	if len(all) > 0 {
		channels["*"] = nil
	}
	for channel := range channels {
		named, common := make(map[string]any), []any{}
		for _, r := range all {
			if r.View == ViewFull || r.channel != channel && r.channel != "*" {
				continue
			}
			row := map[string]any{"field": r.Field, "view": r.View}
			for _, role := range r.roles {
				if role == "*" {
					common = append(common, map[string]any{"row": row, "except": exceptions(all, r, channel)})
					continue
				}
				rows, _ := named[role].([]any)
				named[role] = append(rows, row)
			}
		}
		channels[channel] = map[string]any{"named": named, "common": common}
	}
	return channels
}

// exceptions are the roles whose own rows go before r, a row for everybody, wherever r
// counts on the channel.
func exceptions(all []viewRow, r viewRow, channel string) map[string]any {
	except := make(map[string]any)
	for _, own := range all {
		if own.Field != r.Field || own.channel != channel && own.channel != "*" || !own.covers(r.about) {
			continue
		}
		for _, role := range own.roles {
			if role != "*" {
				except[role] = true
			}
		}
	}
	return except
}

// covers tells whether a row about a is about every call that one about b is about, the
// channel aside.
func (a about) covers(b about) bool {
	family, isFamily := strings.CutSuffix(a.operation, "*")
	return (a.operation == b.operation || isFamily && strings.HasPrefix(b.operation, family)) && (a.ending == "" || a.ending == b.ending)
}

// Views are the rows of the documents that may be about the calls of a channel, in their
// order, each with the file and line where it stands.
func (e *Engine) Views(channel string) (views []FieldView, where []string) {
	for _, r := range e.views {
		if r.channel == channel || r.channel == "*" {
			views, where = append(views, r.FieldView), append(where, r.where)
		}
	}
	return views, where
}

// NeverShown tells whether no view shows findings of a class where they would be treated.
func (e *Engine) NeverShown(class string) bool { return slices.Contains(e.neverShown, class) }

// ViewsDigest names what Views says, and GuardedDigest what Guarded does, "" where it says
// nothing: 64 lower-case hex digits.
func (d *Decision) ViewsDigest() string { return d.viewsDigest }

// GuardedDigest: see ViewsDigest.
func (d *Decision) GuardedDigest() string { return d.guardedDigest }

// digestViews is what ViewsDigest answers.
func digestViews(views []FieldView) string {
	if len(views) == 0 {
		return ""
	}
	b, err := json.Marshal(views)
	if err != nil {
		panic(err) // of strings
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// readViews reads how the fields of an answer are seen, or which fields a write is guarded
// for.
func readViews(v ast.Value) ([]FieldView, error) {
	set, ok := v.(ast.Set)
	if !ok || set.Len() > maxViews {
		return nil, fmt.Errorf("%w: views or guarded is no set, or has more than %d members", ErrUndecided, maxViews)
	}
	if set.Len() == 0 {
		return nil, nil
	}
	views := make([]FieldView, 0, set.Len())
	for _, x := range set.Slice() {
		var v FieldView
		v.Field, _ = textOf(member(x.Value, keyField))
		v.View, _ = textOf(member(x.Value, keyView))
		v.Class, _ = textOf(member(x.Value, keyClass))
		if checkPointer(v.Field) != nil || !slices.Contains(viewNames[:], v.View) {
			return nil, fmt.Errorf("%w: a view is not of its form", ErrUndecided)
		}
		views = append(views, v)
	}
	sortViews(views)
	return views, nil
}

func sortViews(views []FieldView) {
	slices.SortFunc(views, func(a, b FieldView) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.View, b.View), cmp.Compare(a.Class, b.Class))
	})
}

// Include adds to d, which no one else has, what of says about the fields of a call inside
// another: nobody knows where in the answer of all of them that of one is, so its fields are
// looked for at any depth.
func (d *Decision) Include(of *Decision) {
	if len(of.Views) == 0 && len(of.Guarded) == 0 {
		return
	}
	add := func(to []FieldView, more FieldView) []FieldView {
		if slices.Contains(to, more) {
			return to
		}
		return append(to, more)
	}
	d.Views, d.Guarded = slices.Clone(d.Views), slices.Clone(d.Guarded)
	for _, v := range of.Views {
		if !strings.HasPrefix(v.Field, "/**/") {
			v.Field = "/**" + v.Field
		}
		d.Views = add(d.Views, v)
	}
	for _, v := range of.Guarded {
		d.Guarded = add(d.Guarded, v)
	}
	sortViews(d.Views)
	sortViews(d.Guarded)
	d.viewsDigest, d.guardedDigest = digestViews(d.Views), digestViews(d.Guarded)
}
