package proxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// checkWish refuses what would be a key in name only: grants that grant nothing here,
// and a name that holds what the gateway keeps out of everybody else's lists. Its
// error is console.ErrInvalid with a text that may be shown.
func (a *App) checkWish(n console.NewKey) error {
	for _, f := range a.detection.Load().detector.Text(nil, []byte(n.Name), detect.Hint{}) {
		if f.Class == redact.CreditCard || f.Class == redact.USSSN {
			return fmt.Errorf("%w: name: holds a %s; a name stands in lists, and is no place for data of a person", console.ErrInvalid, f.Class)
		}
	}
	for _, g := range n.Grants {
		if err := policy.ParseGrant(g); err != nil {
			return fmt.Errorf("%w: %w", console.ErrInvalid, err)
		}
		if err := a.checkGrant(g); err != nil {
			return err
		}
	}
	return nil
}

// checkGrant looks for an operation that a grant covers, in the channels that the
// gateway brings and those of its routes.
func (a *App) checkGrant(g string) error {
	name, operation, _ := strings.Cut(g, ":")
	if name == "*" || g == policy.OwnChannel+":token.reveal_full" { // the one operation of ours that takes a grant
		return nil
	}
	var known []*channel.Channel
	for _, h := range a.routes {
		known = append(known, h.ch)
	}
	names := channel.Names()
	for _, builtin := range names {
		if c, err := channel.Load(builtin); err == nil {
			known = append(known, c)
		}
	}
	found := false
	for _, c := range known {
		if c.Name != name {
			if !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
			continue
		}
		found = true
		if covers(c, operation) {
			return nil
		}
	}
	if !found {
		slices.Sort(names)
		return fmt.Errorf("%w: grants: there is no channel %s here (there is: %s)", console.ErrInvalid, name, strings.Join(names, ", "))
	}
	return fmt.Errorf("%w: grants: %s has no operation that %s covers; the refusal of a call names the grant that it needs", console.ErrInvalid, name, g)
}

// covers tells whether an operation of c is what a grant names. Calls that the file
// does not know have names too.
func covers(c *channel.Channel, operation string) bool {
	operation, _, _ = strings.Cut(operation, "/")
	if operation == "*" || strings.HasPrefix(operation, "unmapped.") {
		return true
	}
	family, pattern := strings.CutSuffix(operation, "*")
	return slices.ContainsFunc(c.Operations, func(op *channel.Operation) bool {
		return op.Name == operation || pattern && strings.HasPrefix(op.Name, family)
	})
}
