package proxy

import (
	"fmt"
	"strings"

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

// checkGrant looks for an operation that a grant covers.
func (a *App) checkGrant(g string) error {
	name, operation, _ := strings.Cut(g, ":")
	if name == policy.OwnChannel && operation != "token.reveal_full" { // the one operation of ours that takes a grant
		return fmt.Errorf("%w: grants: %w", console.ErrInvalid, noChannelError{name, a.channelNames()})
	}
	if err := a.checkNamed(g); err != nil {
		return fmt.Errorf("%w: grants: %w", console.ErrInvalid, err)
	}
	return nil
}
