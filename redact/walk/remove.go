package walk

import (
	"cmp"
	"slices"
)

// Remove returns the edits that take the values out of the document: a member
// with its name, an element, a form field, each with the comma or ampersand that
// goes with it. The document itself cannot be taken out.
func (d *Doc) Remove(captures ...Capture) []Edit {
	members := make([]member, 0, len(captures))
	for _, c := range captures {
		members = append(members, c.member)
	}
	return d.remove(members)
}

func (d *Doc) remove(members []member) []Edit {
	members = slices.DeleteFunc(members, func(m member) bool { return m.container < 0 })
	slices.SortFunc(members, func(a, b member) int {
		return cmp.Or(a.container-b.container, a.index-b.index)
	})
	members = slices.CompactFunc(members, func(a, b member) bool { return a.container == b.container && a.index == b.index })
	var out []Edit
	leading := 0 // how many members from the first on are taken out of this container
	for i, m := range members {
		if i == 0 || members[i-1].container != m.container {
			leading = 0
		}
		if m.index != leading {
			// Something stays in front of it: its own comma goes with it.
			out = append(out, Edit{Start: m.comma, End: m.end})
			continue
		}
		leading++
		out = append(out, Edit{Start: m.start, End: d.nextMember(m.end)})
	}
	return out
}

// nextMember returns where the member after the one that ends at end begins, or
// end when there is none.
func (d *Doc) nextMember(end int) int {
	i := skipSpace(d.raw, end)
	switch {
	case d.Kind == Form && end < len(d.raw):
		return end + 1
	case d.Kind == JSON && i < len(d.raw) && d.raw[i] == ',':
		return skipSpace(d.raw, i+1)
	}
	return end
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// maskHits collects the masks of ours that stand in a document.
type maskHits struct {
	removable []member
	blocked   int

	formHits
}

func (h *maskHits) hit(flags Flags, m member) {
	if flags&Overwrite != 0 && m.container >= 0 {
		h.removable = append(h.removable, m)
		return
	}
	h.blocked++
}

// mark notes how much was found before a container is read; h may be nil.
func (h *maskHits) mark() maskHits {
	if h == nil {
		return maskHits{}
	}
	return *h
}

// whole takes a container flagged Overwrite out as a whole when a mask was found
// in it since mark: half of it, such as a field's id without its value, could
// empty what the write was to leave alone.
func (h *maskHits) whole(before maskHits, m member) {
	if len(h.removable) == len(before.removable) && h.blocked == before.blocked || m.container < 0 {
		return
	}
	h.removable, h.blocked = append(h.removable[:len(before.removable)], m), before.blocked
}

// MaskedWrites looks for masks and tokens of ours that come back in a write. removable takes
// the values flagged Overwrite that hold one, themselves or anywhere inside, out of
// the document; blocked counts
// those that hold one elsewhere. The document is read a second time, and only
// when it can hold one at all.
func (d *Doc) MaskedWrites() (removable []Edit, blocked int) {
	removable, blocked, _ = d.ComeBack(true, nil)
	return removable, blocked
}
