package policy

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Named is something that a row of a document names, and that stands in a channel file or in
// the gateway's configuration. One of Operation and Route is set.
type Named struct {
	// Operation has the form of a grant, see ParseGrant.
	Operation string
	// Route is the name of a governed route.
	Route string
	// At is where the row names it: file and line.
	At string
}

// name notes what a row names.
func (p *overlayParser) name(n Named, at *yaml.Node) {
	n.At = fmt.Sprintf("%s:%d", p.file, at.Line)
	p.out.elsewhere = append(p.out.elsewhere, n)
}

// NamedBy is what the rows of documents name, in their order.
func NamedBy(overlays []*Overlay) []Named {
	var all []Named
	for _, o := range overlays {
		all = append(all, o.elsewhere...)
	}
	return slices.Clip(all)
}

// Named is what the rows of the bundle's document name.
func (b *SignedBundle) Named() []Named { return NamedBy(b.overlays()) }
