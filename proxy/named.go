package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
)

// noChannelError says that a pattern is about a channel that no route has, and the gateway does
// not bring along.
type noChannelError struct{ name, known string }

func (e noChannelError) Error() string {
	return fmt.Sprintf("there is no channel %s here (there is: %s)", e.name, e.known)
}

// checkNamed looks for an operation that a pattern in the form of a grant covers, in the
// channels that the gateway brings, in those of its routes, and in its own API.
func (a *App) checkNamed(pattern string) error {
	name, operation, _ := strings.Cut(pattern, ":")
	switch name {
	case "*":
		return nil
	case policy.OwnChannel:
		if slices.ContainsFunc(console.OperationNames(), func(own string) bool { return named(operation, own) }) {
			return nil
		}
		return fmt.Errorf("the gateway's own API has no operation that %s covers", pattern)
	}
	found := false
	for _, c := range a.channels() {
		if c.Name != name {
			continue
		}
		found = true
		if covers(c, operation) {
			return nil
		}
	}
	if !found {
		return noChannelError{name, a.channelNames()}
	}
	return fmt.Errorf("%s has no operation that %s covers; the refusal of a call names the grant that it needs", name, pattern)
}

// channels are those of the routes and those that the gateway brings.
func (a *App) channels() []*channel.Channel {
	var known []*channel.Channel
	for _, h := range a.routes {
		known = append(known, h.ch)
	}
	for _, builtin := range channel.Names() {
		if c, err := channel.Load(builtin); err == nil {
			known = append(known, c)
		}
	}
	return known
}

func (a *App) channelNames() string {
	var names []string
	for _, c := range a.channels() {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// covers tells whether an operation of c is what a grant names. Calls that the file
// does not know have names too.
func covers(c *channel.Channel, operation string) bool {
	return strings.HasPrefix(operation, "unmapped.") || slices.ContainsFunc(c.Operations, func(op *channel.Operation) bool { return named(operation, op.Name) })
}

// named tells whether an operation is one that a pattern without its channel names, whatever the
// operation does.
func named(pattern, operation string) bool {
	pattern, _, _ = strings.Cut(pattern, "/")
	family, many := strings.CutSuffix(pattern, "*")
	return pattern == operation || many && strings.HasPrefix(operation, family)
}

// checkRows refuses a policy in which a row names an operation that its channel does not have:
// most often it is misspelt, and would be about nothing. Channels and routes that are not here
// may be those of another gateway with the same policy, so these are told and refuse nothing.
//
// Routes join after the policy of a new configuration is read, so this is not for then.
func (a *App) checkRows(rules *rulesInForce) error {
	var errs []error
	for _, n := range rules.named {
		if n.Route != "" {
			if n.Route != "*" && !slices.ContainsFunc(a.routes, func(h *Handler) bool { return h.Route == n.Route }) {
				a.logger.Warn("a row of the policy is about a route that is not here", zap.String("at", n.At), zap.String("route", n.Route))
			}
			continue
		}
		switch err := a.checkNamed(n.Operation); {
		case errors.As(err, new(noChannelError)):
			a.logger.Warn("a row of the policy is about a channel that is not here", zap.String("at", n.At), zap.String("operation", n.Operation))
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", n.At, err))
		}
	}
	return errors.Join(errs...)
}
