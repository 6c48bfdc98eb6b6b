package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// memoryImports knows the route desk, whose import m1 has one page.
type memoryImports struct{ g *gateway }

func (m memoryImports) Begin(_ context.Context, n NewImport) (Import, error) {
	switch n.Route {
	case "desk":
		return Import{ID: "m1", Route: "desk", Account: "desk/desk.example", Begun: time.Unix(1_800_000_000, 0).UTC(), Lists: []ImportList{{Name: "cases"}}}, nil
	case "bare":
		return Import{}, fmt.Errorf("%w: no credential", ErrInvalid)
	}
	return Import{}, fmt.Errorf("%w: no route", ErrNotFound)
}

func (m memoryImports) Next(ctx context.Context, id string) (Import, error) {
	if id != "m1" {
		return Import{}, fmt.Errorf("%w: no import", ErrNotFound)
	}
	i, err := m.Begin(ctx, NewImport{Route: "desk"})
	i.Lists[0] = ImportList{Name: "cases", Pages: 1, Records: 2, Done: true}
	i.Wait, i.Trouble, i.Again = 5, "the vendor answered 500", true
	return i, err
}
