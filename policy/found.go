package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// found is what one evaluation has found for rules, so that none is evaluated twice. OPA's
// own allocates several times for each rule; this one is used again by the next evaluation.
// It has room for the rules that a decision asks. What does not fit into it, and what is
// found under a "with" of a rule, goes to OPA's own.
type found struct {
	rows  []foundRow
	terms []*ast.Term // the references of all rows, one after the other
	more  topdown.VirtualCache
	depth int // how many "with" are open
}

// foundRow is a reference and what it was evaluated to.
type foundRow struct {
	hash      int
	ref       ast.Ref // in terms
	value     *ast.Term
	undefined bool
}

// mostFound is how many rows are looked through one by one. Decisions have some thirty.
const mostFound = 64

// clear prepares for another evaluation.
func (f *found) clear() {
	clear(f.rows)
	clear(f.terms)
	f.rows, f.terms, f.more, f.depth = f.rows[:0], f.terms[:0], nil, 0
}

// row is the row of a reference, nil for none.
func (f *found) row(ref ast.Ref, hash int) *foundRow {
	for i := range f.rows {
		if r := &f.rows[i]; r.hash == hash && slices.EqualFunc(r.ref, ref, (*ast.Term).Equal) {
			return r
		}
	}
	return nil
}

// hashOf tells most references of an evaluation apart: they differ at their ends.
func hashOf(ref ast.Ref) int {
	h := len(ref)
	for _, t := range ref[max(0, len(ref)-2):] {
		h = 31*h + t.Hash()
	}
	return h
}

// Get implements topdown.VirtualCache: nil and true for what is known to be undefined, nil
// and false for what nobody has asked.
func (f *found) Get(ref ast.Ref) (*ast.Term, bool) {
	if f.depth == 0 {
		if r := f.row(ref, hashOf(ref)); r != nil {
			if r.undefined {
				return nil, true
			}
			return r.value, false
		}
	}
	if f.more == nil {
		return nil, false
	}
	return f.more.Get(ref)
}

// Put implements topdown.VirtualCache. The reference is the caller's, its terms stay.
func (f *found) Put(ref ast.Ref, value *ast.Term) {
	if f.depth > 0 {
		f.more.Put(ref, value)
		return
	}
	hash := hashOf(ref)
	r := f.row(ref, hash)
	if r == nil {
		if len(f.rows) == mostFound {
			f.spill().Put(ref, value)
			return
		}
		from := len(f.terms)
		f.terms = append(f.terms, ref...)
		f.rows = append(f.rows, foundRow{hash: hash, ref: ast.Ref(slices.Clip(f.terms[from:]))})
		r = &f.rows[len(f.rows)-1]
	}
	if value == nil {
		r.undefined = true
	} else {
		r.value = value
	}
}

// spill is where goes what has no room.
func (f *found) spill() topdown.VirtualCache {
	if f.more == nil {
		f.more = topdown.NewVirtualCache()
	}
	return f.more
}

// Push and Pop implement topdown.VirtualCache: under a "with", nothing that was found before
// counts.
func (f *found) Push() {
	f.spill().Push()
	f.depth++
}

// Pop forgets what was found since Push.
func (f *found) Pop() {
	f.more.Pop()
	f.depth--
}

// Keys implements topdown.VirtualCache: the references that have a value.
func (f *found) Keys() []ast.Ref {
	var keys []ast.Ref
	if f.depth == 0 {
		for i := range f.rows {
			if f.rows[i].value != nil {
				keys = append(keys, f.rows[i].ref)
			}
		}
	}
	if f.more == nil {
		return keys
	}
	return append(keys, f.more.Keys()...)
}
