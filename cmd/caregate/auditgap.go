package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/caregate/caregate/audit"
)

// printGap says in a few lines what the log does not know.
func printGap(w io.Writer, g audit.Gap) {
	place := "not on record yet"
	if g.Index >= 0 {
		place = fmt.Sprintf("entry %d", g.Index)
	}
	fmt.Fprintf(w, "  gap %s (%s), %s: from %s to %s\n", g.ID, place, plain(g.Cause), dash(gapTime(g.From)), dash(gapTime(g.To)))
	for _, r := range g.Routes {
		fmt.Fprintf(w, "    route %s: %d requests forwarded, %d answers released, %d calls refused without an event, as far as known\n", plain(r.Route), r.Requests, r.Responses, r.Refused)
	}
	for _, n := range g.Released {
		var parts []string
		for _, part := range [...]struct {
			n    int
			what string
		}{{n.Clear, "in the clear"}, {n.Masked, "masked"}, {n.Tokenized, "tokenized"}, {n.Dropped, "dropped"}, {n.NotInspected, "not inspected"}} {
			if part.n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
			}
		}
		fmt.Fprintf(w, "    %s: %s\n", plain(n.Class), strings.Join(parts, ", "))
	}
	for _, name := range sortedKeys(g.Lost) {
		fmt.Fprintf(w, "    %s: %s\n", plain(name), plain(g.Lost[name]))
	}
}
