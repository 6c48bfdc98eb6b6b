package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Views of a field, from the one that shows most.
const (
	ViewFull   = "full"   // findings of a class are shown that would be masked elsewhere
	ViewMasked = "masked" // of the whole value only its form is left
	ViewHidden = "hidden" // nothing of the value is left
)

// viewNames is the closed list of views, the strictest last.
var viewNames = [...]string{ViewFull, ViewMasked, ViewHidden}

// Bounds of views.
const (
	maxViews   = 256 // of one decision: each is a pointer that is looked for in an answer
	maxPointer = 256 // bytes
	maxTokens  = 32
)

// FieldView says how the caller sees a field of the answer.
type FieldView struct {
	// Field is a JSON Pointer (RFC 6901) in which * stands for any one name or index and **
	// for any number of them.
	Field string `json:"field"`
	// View is one of the View constants.
	View string `json:"view"`
	// Class is the data class that ViewFull is about, empty for the others.
	Class string `json:"class,omitempty"`
}

// viewRow is a views row.
type viewRow struct {
	about
	FieldView
}

func (p *overlayParser) view(n *yaml.Node) {
	out := viewRow{about: aboutAll()}
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
	case (out.View == ViewFull) != (out.Class != ""):
		p.fail(n, "class goes with view full, which shows findings of that class; masked and hidden are about the whole value")
	case out.View == ViewFull && slices.Contains(p.tables.NeverShown, out.Class):
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
		if s[i] < ' ' {
			return fmt.Errorf("it has a control character")
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

// guardIndex has, by channel and role, the fields that are not shown somewhere.
func guardIndex(overlays []*Overlay) map[string]any {
	index := make(map[string]any)
	for _, o := range overlays {
		for _, r := range o.views {
			if r.View == ViewFull {
				continue
			}
			if index[r.channel] == nil {
				index[r.channel] = make(map[string]any)
			}
			byRole := index[r.channel].(map[string]any)
			for _, role := range r.roles {
				fields, _ := byRole[role].([]any)
				byRole[role] = append(fields, r.Field)
			}
		}
	}
	return index
}

// readViews reads how the fields of an answer are seen, and which fields a write is
// guarded for.
func readViews(m map[string]any) (views []FieldView, guards []string, err error) {
	list, ok := m["views"].([]any)
	fields, ok2 := m["guarded"].([]any)
	if !ok || !ok2 || len(list) > maxViews || len(fields) > maxViews {
		return nil, nil, fmt.Errorf("%w: views or guarded is no set, or has more than %d members", ErrUndecided, maxViews)
	}
	for _, x := range list {
		row, _ := x.(map[string]any)
		var v FieldView
		v.Field, _ = row["field"].(string)
		v.View, _ = row["view"].(string)
		v.Class, _ = row["class"].(string)
		if checkPointer(v.Field) != nil || !slices.Contains(viewNames[:], v.View) {
			return nil, nil, fmt.Errorf("%w: a view is not of its form", ErrUndecided)
		}
		views = append(views, v)
	}
	slices.SortFunc(views, func(a, b FieldView) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.View, b.View), cmp.Compare(a.Class, b.Class))
	})
	for _, x := range fields {
		field, _ := x.(string)
		if checkPointer(field) != nil {
			return nil, nil, fmt.Errorf("%w: a guarded field is not of its form", ErrUndecided)
		}
		guards = append(guards, field)
	}
	slices.Sort(guards)
	return views, guards, nil
}
