package walk

import (
	"bytes"
	"strings"

	"github.com/caregate/caregate/redact/transform"
)

// Guard says where the form of a text ([transform.IsForm]) does not come back in a write,
// because it stands for a text of which no more is shown to the writer.
type Guard struct {
	// Names are those of members, fields, elements and columns: forms at or below one of them
	// are looked for. All looks for them everywhere.
	Names map[string]bool
	All   bool
	// Also are captures of the same bytes that are taken out beside.
	Also []Capture
}

// formHits is what is known of forms while a document is read.
type formHits struct {
	// guard is nil where forms are not looked for, only where masks and tokens are not.
	guard *Guard
	only  bool
	// list is the depth of the outermost array that is being read and will be taken out, when
	// its end is known, because a form is an element of it; 0 for none.
	list  int
	stuck int
}

// ComeBack is [Doc.MaskedWrites], with masks and tokens or without, for a writer for whom
// forms do not come back either, if guard is not nil. A form is taken out with its member, an
// element of an array with the array, because elements have no name by which they are
// missed; where one is in a value flagged Overwrite, all of that goes. stuck counts the forms
// that cannot be taken out: in kinds that are not JSON or forms, and where a document would
// be left empty.
func (d *Doc) ComeBack(masks bool, guard *Guard) (removable []Edit, blocked, stuck int) {
	if guard != nil && !guard.All && len(guard.Names) == 0 && len(guard.Also) == 0 {
		guard = nil
	}
	switch {
	case !masks && guard == nil:
		return nil, 0, 0
	case d.Kind == Text:
		if masks && standIn(d.det, d.raw) {
			return nil, 1, 0
		}
		return nil, 0, 0
	case (d.Kind == JSON || d.Kind == Form) && !d.mayComeBack(masks, guard):
		if guard == nil {
			return nil, 0, 0
		}
		return d.Remove(guard.Also...), 0, 0
	}
	again := &Doc{Kind: d.Kind, lines: d.lines, raw: d.raw, det: d.det, fields: d.fields, limits: d.limits}
	hits := maskHits{formHits: formHits{guard: guard, only: !masks}}
	if err := again.read(&hits); err != nil {
		return nil, 0, 0 // cannot be: it was read before
	}
	if guard != nil {
		for _, c := range guard.Also {
			hits.removable = append(hits.removable, c.member)
		}
	}
	return d.remove(hits.removable), hits.blocked, hits.stuck
}

// mayComeBack reports whether a document of JSON or a form is worth being read again. What is
// looked for may be written with an escape.
func (d *Doc) mayComeBack(masks bool, guard *Guard) bool {
	escapes := bytes.Contains(d.raw, []byte(`\u00`)) || d.Kind == Form && bytes.IndexByte(d.raw, '%') >= 0
	if guard != nil && (guard.All || len(guard.Names) > 0) && (escapes || bytes.ContainsAny(d.raw, "xX")) {
		return true
	}
	return masks && (escapes || mayHoldToken(d.raw) || bytes.Contains(d.raw, []byte("XX")) || bytes.Contains(d.raw, []byte("removed")))
}

// Wanted reads the document again and returns the captures of other rules. They are of the
// same bytes, so Value, Remove and a [Guard] of d take them.
func (d *Doc) Wanted(f *Fields) ([]Capture, error) {
	again := &Doc{Kind: d.Kind, lines: d.lines, raw: d.raw, det: d.det, fields: f, limits: d.limits}
	if err := again.read(nil); err != nil {
		return nil, err
	}
	return again.Captures, nil
}

// Element reports whether c, a capture of this document, is an element of an array of JSON.
func (d *Doc) Element(c Capture) bool {
	return d.Kind == JSON && c.member.container >= 0 && d.raw[c.member.container] == '['
}

// IsArray reports whether d is JSON, or lines of it, that begins with an array.
func (d *Doc) IsArray() bool {
	i := skipSpace(d.raw, 0)
	return d.Kind == JSON && i < len(d.raw) && d.raw[i] == '['
}

// Root reports whether c is a document of its own, which Remove cannot take out.
func (d *Doc) Root(c Capture) bool { return c.member.container < 0 }

// holds reports whether forms are looked for and text is one.
func (h *formHits) holds(text []byte) bool { return h.guard != nil && transform.IsForm(text) }

// names reports whether forms under a name are looked for, as far as a reader of pieces knows
// the name: of elements with their prefix, of fields in brackets or with dots between, and the
// begin or the end of long ones only. They are compared without regard to case.
func (g *Guard) names(key string) bool {
	if g.All {
		return true
	}
	for name := range g.Names {
		for part := range strings.FieldsFuncSeq(key, func(r rune) bool { return r == '[' || r == ']' }) {
			_, local, _ := strings.Cut(part, ":")
			if dotted(part, name) || local != "" && dotted(local, name) {
				return true
			}
		}
		if len(name) >= keyTail && len(key) >= keyTail && (strings.EqualFold(key, name[len(name)-keyTail:]) || strings.EqualFold(key, name[:min(len(key), len(name))])) {
			return true
		}
	}
	return false
}

// dotted reports whether name is a key or, with its own dots, some of the names in it that
// have dots between, whatever their case.
func dotted(key, name string) bool {
	if len(key) <= len(name) {
		return strings.EqualFold(key, name)
	}
	return strings.Contains("."+strings.ToLower(key)+".", "."+strings.ToLower(name)+".")
}

// within is the guard of a part, whose captures are not those of the document.
func (g *Guard) within() *Guard {
	if g == nil {
		return nil
	}
	return &Guard{Names: g.Names, All: g.All}
}

// guarded reports whether the value being read stands at or below a guarded name.
func (r *reader) guarded() bool {
	g := r.masks.guard
	if g.All {
		return true
	}
	for i := range r.frames {
		f := &r.frames[i]
		if f.array {
			continue
		}
		name := r.bytes(f.name)
		if g.Names[string(name)] || r.Kind == Form && bytes.ContainsAny(name, "[.") && g.names(string(name)) {
			return true
		}
	}
	return false
}

// form notes a form that comes back; the value ends at outer.
func (r *reader) form(outer int) {
	switch n := len(r.frames); {
	case n == 0:
		r.masks.stuck++
	case r.frames[n-1].array:
		if r.masks.list == 0 || n < r.masks.list {
			r.masks.list = n
		}
	default:
		r.masks.removable = append(r.masks.removable, r.memberAt(outer))
	}
}

// listed takes out an array in which a form stood as an element, when it has been read and
// its frame is gone: all of it, for there is nothing to tell its elements apart by.
func (r *reader) listed(before maskHits, end int) {
	h, n := r.masks, len(r.frames)
	if h.list = 0; n == 0 {
		h.stuck++
		return
	}
	if r.frames[n-1].array {
		h.list = n
		return
	}
	h.removable, h.blocked = append(h.removable[:len(before.removable)], r.memberAt(end)), before.blocked
}
