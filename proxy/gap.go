package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
)

// auditPass is the value of audit_down that lets calls go on while the log takes no
// events.
const auditPass = "pass"

// passes tells whether this exchange may go on although the log said err. A full queue
// is no reason: a flood must not switch the record off. Nor is an event that the log
// refuses, which a caller could bring about.
func (x *exchange) passes(err error) bool {
	return x.h.AuditDown == auditPass && !errors.Is(err, audit.ErrOverloaded) && !errors.Is(err, audit.ErrEvent) && !errors.Is(err, audit.ErrClosed)
}

// takesNoEvents judges what a reservation of room in the log said.
func (x *exchange) takesNoEvents(err error) *refusal {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, audit.ErrOverloaded):
		return refuse(reasonOverloaded)
	case x.passes(err):
		x.down = err
		return nil
	}
	return refuseErr(reasonAuditUnavailable, err)
}

// maxMail is longer than any e-mail address (RFC 5321, section 4.5.3.1).
const maxMail = 320

// mail is the e-mail address of the actor: the one that a token vouches for, or else the
// one that the call names. Behind one credential there may be many.
func mail(a *policy.Actor) string {
	for _, name := range [...]string{a.Proven, a.Asserted} {
		if strings.Contains(name, "@") && len(name) <= maxMail {
			return mailActor(name)
		}
	}
	return ""
}

// mailActor is the name in the vault of whoever has an e-mail address.
func mailActor(address string) string {
	return "email:" + strings.ToLower(strings.TrimSpace(address))
}

// nameActor finds the actor's key. Its one use is the log: without one, or where the
// route goes on without one, a full disk that cannot take the key of a new actor is no
// reason to refuse.
func (x *exchange) nameActor(ctx context.Context) *refusal {
	if x.down == nil {
		if err := x.findActor(ctx); err != nil && !x.noRoom(err) && !x.withoutVault(err) {
			return refuseErr(reasonVaultUnavailable, err)
		}
	}
	return nil
}

// findActor finds or makes the keys of the actor and of its e-mail address.
func (x *exchange) findActor(ctx context.Context) (err error) {
	keys := x.gen.data.Vault
	if x.subject, err = keys.Actor(ctx, x.actor.ID); err != nil {
		return err
	}
	if name := mail(&x.actor); name != "" {
		x.mail, err = keys.Actor(ctx, name)
	}
	return err
}

// noRoom judges an error of the vault about a key that only the log needs. On a full
// disk the vault may notice before the log does; a route that goes on without the log
// then goes on without the key. Any other error of the vault is none of the log's.
func (x *exchange) noRoom(err error) bool {
	if x.h.AuditDown != auditPass || !store.NoRoom(err) {
		return false
	}
	x.down = fmt.Errorf("%w: the vault has no room either: %w", audit.ErrGated, err)
	return true
}

// unrecorded counts what would have been an event. When it returns nil, the marker of
// the gap is durable (invariant A18).
func (x *exchange) unrecorded(e *audit.Event) error {
	u := audit.Unrecorded{Route: x.h.Route, Released: e.Released, Cause: x.down, Kind: audit.GapPart}
	switch e.Type {
	case eventRequest:
		u.Kind = audit.GapRequest
	case eventResponse:
		u.Kind = audit.GapResponse
	case eventRefused:
		u.Kind = audit.GapRefused
	}
	gap, err := x.gen.data.Log.Unrecorded(u)
	if err != nil {
		return err
	}
	x.gap = gap
	x.h.app.metrics.unrecorded.WithLabelValues(x.h.Route).Inc()
	return nil
}

// permitGaps prepares the log for the routes that go on without it. The configuration
// that permits it is on record by then.
func (a *App) permitGaps() error {
	for _, h := range a.routes {
		if h.AuditDown != auditPass {
			continue
		}
		if err := a.gen.data.Log.PermitGaps(); err != nil {
			return err
		}
		a.passing = true
		a.gen.data.passing.Add(1)
		a.logger.Warn("a route goes on without record while the audit log is down", zap.String("route", h.Route))
	}
	return nil
}

// withdrawGaps is permitGaps undone, when the configuration ends.
func (a *App) withdrawGaps() {
	for _, h := range a.routes {
		if a.passing && h.AuditDown == auditPass {
			a.gen.data.passing.Add(-1)
		}
	}
}

// auditCheck is what /readyz says of the log. A gateway whose every route goes on
// without the log is ready to serve them.
func (a *App) auditCheck() console.Check {
	log := a.gen.data.Log
	c := console.Check{Name: "audit", OK: true}
	err := log.Ready()
	if err != nil {
		c.OK, c.Text = false, err.Error()
	}
	gap, open := log.Gap()
	if !open && err == nil {
		return c
	}
	var pass, refuse []string
	for _, h := range a.routes {
		if h.AuditDown == auditPass {
			pass = append(pass, h.Route)
		} else {
			refuse = append(refuse, h.Route)
		}
	}
	if err != nil && len(pass) > 0 {
		if possible := log.GapsPossible(); possible != nil {
			c.Text += fmt.Sprintf("; %s too: %v", strings.Join(pass, ", "), possible)
			return c
		}
		c.OK = len(refuse) == 0
		c.Text += "; passing without record: " + strings.Join(pass, ", ")
	}
	if open {
		c.Text = strings.TrimPrefix(c.Text+fmt.Sprintf("; gap %s", gap.ID), "; ")
	}
	return c
}
