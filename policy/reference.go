package policy

import (
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// checkReferences refuses references of compiled files of the operator to rules, packages and
// documents that there are none of. To Open Policy Agent these are undefined, for ever: a
// denial that asks for one never denies, and one that asks for its absence always does.
func (b *bundle) checkReferences(c *ast.Compiler, files []string) error {
	for _, name := range files {
		var missing ast.Ref
		at := 0 // the line of what was seen last that has one: what the compiler made has none
		ast.NewGenericVisitor(func(x any) bool {
			if missing != nil {
				return true
			}
			var l *ast.Location
			switch x := x.(type) {
			case *ast.Import:
				l = x.Location
			case *ast.Rule:
				l = x.Location
			case *ast.Head:
				l = x.Location
			case *ast.Expr:
				l = x.Location
			case *ast.Term:
				l = x.Location
			case ast.Ref:
				if n := b.unknownFrom(c.RuleTree, x); n > 0 {
					missing = x[:n]
				}
			}
			if l != nil && missing == nil {
				at = l.Row
			}
			return false
		}).Walk(c.Modules[name])
		if missing != nil {
			return fmt.Errorf("%s:%d: there is no %s; it would be undefined for ever", name, at, missing)
		}
	}
	return nil
}

// unknownFrom is how much of a reference names what there is not, zero when all can be. What
// stands behind a variable, and in the value of a rule, depends on the call.
func (b *bundle) unknownFrom(rules *ast.TreeNode, r ast.Ref) int {
	if len(r) < 2 || !r.HasPrefix(ast.DefaultRootRef) {
		return 0
	}
	first, ok := r[1].Value.(ast.String)
	if !ok {
		return 0
	}
	if doc, ok := b.data[string(first)]; ok {
		// The members of built-in documents are known; those of others are rows, which come
		// and go.
		members, ok := doc.(map[string]any)
		if len(r) > 2 && ok && slices.Contains(b.builtin, string(first)) {
			if member, ok := r[2].Value.(ast.String); ok && members[string(member)] == nil {
				return 3
			}
		}
		return 0
	}
	node := rules.Child(ast.DefaultRootDocument.Value)
	for i, t := range r[1:] {
		switch {
		case node == nil || len(node.Values) > 0 || !ast.IsConstant(t.Value):
			return 0
		case node.Child(t.Value) == nil:
			return i + 2
		}
		node = node.Child(t.Value)
	}
	return 0
}
