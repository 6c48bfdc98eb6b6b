package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// What an evaluation finds again is what OPA's own memory would have found, whether it has
// room or not, under a "with" and in the next evaluation.
func TestFoundIsOPAs(t *testing.T) {
	t.Parallel()
	var all []ast.Ref
	for n := range 3 * mostFound {
		all = append(all, ast.MustParseRef(fmt.Sprintf("data.caregate.p%d.rule", n/4)).Append(ast.IntNumberTerm(n%4)))
	}
	f := new(found)
	for seed := range uint64(200) {
		draw := rand.New(rand.NewPCG(seed, 1))
		f.clear()
		opa := topdown.NewVirtualCache()
		refs, depth := 1+draw.IntN(len(all)), 0
		for step := range 600 {
			ref := all[draw.IntN(refs)][:2+draw.IntN(4)] // some are the beginning of others
			switch what := draw.IntN(20); {
			case what == 0:
				f.Push()
				opa.Push()
				depth++
			case what == 1 && depth > 0:
				f.Pop()
				opa.Pop()
				depth--
			case what < 8:
				var value *ast.Term
				if draw.IntN(3) > 0 {
					value = ast.IntNumberTerm(step)
				}
				f.Put(slices.Clone(ref), value)
				opa.Put(slices.Clone(ref), value)
			default:
				got, gone := f.Get(ref)
				want, wantGone := opa.Get(ref)
				if got != want || gone != wantGone {
					t.Fatalf("seed %d, step %d, %v: got %v %v, want %v %v", seed, step, ref, got, gone, want, wantGone)
				}
			}
		}
		got, want := f.Keys(), opa.Keys()
		slices.SortFunc(got, func(a, b ast.Ref) int { return a.Compare(b) })
		slices.SortFunc(want, func(a, b ast.Ref) int { return a.Compare(b) })
		if !slices.EqualFunc(got, want, func(a, b ast.Ref) bool { return a.Equal(b) }) {
			t.Fatalf("seed %d: got the keys %v, want %v", seed, got, want)
		}
	}
}
