package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/vault"
)

// Retention classes of events. Their details have two parts, about the persons and
// about who looked, with a retention of their own.
const (
	retentionExchange       = "exchange"
	retentionAdministration = "administration"

	partSubject = "subject"
	partActor   = "actor"
)

// DetailsConfig says how long the sealed details of events are kept. The events
// themselves hold nothing personal and stay.
type DetailsConfig struct {
	// Retain are periods (P30D, P12M, P2Y) by part ("subject", "actor"), or by class and
	// part ("exchange/subject"), which goes before. Defaults: subject P30D, actor P12M,
	// and an actor part is kept for no less.
	Retain map[string]string `json:"retain,omitempty"`
	// ClockChecked is a day (2026-11-22) on which a person found the clock right, for a
	// gateway whose deletions wait because it does not believe its clock.
	ClockChecked string `json:"clock_checked,omitempty"`
}

// Defaults of DetailsConfig.
const (
	keepSubject = "P30D"
	keepActor   = "P12M"
)

// span is a period of the calendar.
type span struct{ years, months, days int }

var errPeriod = errors.New("a period is days, months or years, as P30D, P12M or P2Y")

// maxPeriod keeps slips of the finger out.
const maxPeriod = 40000

func parsePeriod(s string) (p span, err error) {
	n := len(s)
	if n < 3 || s[0] != 'P' {
		return p, errPeriod
	}
	count, err := strconv.ParseUint(s[1:n-1], 10, 31)
	if err != nil || count == 0 || count > maxPeriod || s[1] == '0' {
		return p, errPeriod
	}
	switch s[n-1] {
	case 'D':
		p.days = int(count)
	case 'M':
		p.months = int(count)
	case 'Y':
		p.years = int(count)
	default:
		return p, errPeriod
	}
	return p, nil
}

// before is the latest midnight (UTC) that lies the whole period before now, however
// long the months in between are.
func (p span) before(now time.Time) time.Time {
	now = now.UTC()
	day := now.AddDate(-p.years, -p.months, -p.days).Truncate(24 * time.Hour)
	for day.AddDate(p.years, p.months, p.days).After(now) {
		day = day.AddDate(0, 0, -1)
	}
	return day
}

// retained is one class and part with its period.
type retained struct {
	class, part string
	keep        span
}

// periods are what is kept how long.
func (c *DetailsConfig) periods() ([]retained, error) {
	var out []retained
	known := map[string]bool{}
	for _, class := range [...]string{retentionExchange, retentionAdministration} {
		for part, text := range map[string]string{partSubject: keepSubject, partActor: keepActor} {
			for _, name := range [...]string{part, class + "/" + part} {
				known[name] = true
				if c != nil && c.Retain[name] != "" {
					text = c.Retain[name]
				}
			}
			keep, err := parsePeriod(text)
			if err != nil {
				return nil, fmt.Errorf("details: %s: %w", text, err)
			}
			if least := (span{months: 12}); part == partActor && keep.before(leapDay).After(least.before(leapDay)) {
				return nil, fmt.Errorf("details: the actor part is kept for %s, and must be for P12M at least: who looked is what the log is for", text)
			}
			out = append(out, retained{class, part, keep})
		}
	}
	if c == nil {
		return out, nil
	}
	for name := range c.Retain {
		if !known[name] {
			return nil, fmt.Errorf("details: nothing is called %s; there are the parts subject and actor, and the classes exchange and administration", name)
		}
	}
	_, err := c.clockChecked()
	return out, err
}

// leapDay compares periods: the twelve months before it are as long as any.
var leapDay = time.Date(2024, 12, 31, 0, 0, 0, 0, time.UTC)

func (c *DetailsConfig) clockChecked() (time.Time, error) {
	if c == nil || c.ClockChecked == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, c.ClockChecked)
	if err != nil {
		return t, errors.New("details: clock_checked wants a day, as 2026-11-22")
	}
	return t, nil
}

// parseDetails reads
//
//	details {
//		retain subject P30D
//		retain exchange actor P24M
//		clock_checked 2026-11-22
//	}
func parseDetails(d *caddyfile.Dispenser) (*DetailsConfig, error) {
	c := &DetailsConfig{Retain: map[string]string{}}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch option := d.Val(); option {
		case "retain":
			args := d.RemainingArgs()
			if n := len(args); n < 2 || n > 3 {
				return nil, d.Err("retain wants a part and a period, or a class, a part and a period: retain subject P30D")
			}
			c.Retain[strings.Join(args[:len(args)-1], "/")] = args[len(args)-1]
		case "clock_checked":
			if !d.Args(&c.ClockChecked) {
				return nil, d.ArgErr()
			}
		default:
			return nil, d.Errf("unknown option %s of details; it has retain, clock_checked", option)
		}
	}
	if _, err := c.periods(); err != nil {
		return nil, d.Err(err.Error())
	}
	return c, nil
}

// seal seals one part of an event's details under the keys of the person and of the
// day, so that either can end it: an erasure, or the end of the retention.
func (d *Data) seal(ctx context.Context, e *audit.Event, at time.Time, s vault.Subject, part string, plain []byte) (audit.Sealed, error) {
	period, err := d.Vault.Period(ctx, purposeOf(d.gateway, e.Retention, part), at)
	if err != nil {
		return audit.Sealed{}, err
	}
	sealed, err := d.Vault.SealIn(period, s, vault.AD(d.Log.Origin(), e.ID, part), plain)
	return audit.Sealed{Part: part, Key: sealed.Key, Ciphertext: sealed.Ciphertext, Commitment: sealed.Commitment}, err
}

// purposeOf names the keys of days of a class and part; parts of one event are
// numbered behind a dot. Of several gateways on one vault each has keys of its own: what one
// of them ends, by its clock and its periods, is in its own log only.
func purposeOf(gateway, class, part string) string {
	kind, _, _ := strings.Cut(part, ".")
	if gateway == "" {
		return class + "/" + kind
	}
	return gateway + ":" + class + "/" + kind
}

// expireEvery is the time between two looks at what has expired. Retention counts days.
const expireEvery = time.Hour

// keepExpiring deletes details as their retention ends, until this configuration is
// over.
func (a *App) keepExpiring(list []retained, checked time.Time) {
	ctx := a.running()
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for paused := ""; ; {
		if !a.gen.acquire() { // so that the directory is not closed meanwhile
			return
		}
		why, n, err := a.gen.data.expire(ctx, a.now(), list, checked)
		err = errors.Join(err, a.gen.release())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.logger.Error("details whose retention has ended could not be deleted; it is tried again", errField(err))
		case why != "" && paused == "":
			a.logger.Error("nothing is deleted while the clock is in doubt: set it, or say in the configuration that it is right (details clock_checked)", zap.String("why", why))
		case n > 0:
			a.logger.Info("details whose retention has ended are deleted", zap.Int64("details", n))
		}
		paused = why
		a.metrics.expiryPaused(why != "")
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// expire deletes what has expired: for each class and part first the keys of days, with
// which every copy of the ciphertexts ends, then the ciphertexts, then the log says so.
// Any step may be the last before a crash; the next call goes on. why says that nothing
// was deleted because the clock is in doubt: what destroys is never early.
func (d *Data) expire(ctx context.Context, now time.Time, list []retained, checked time.Time) (why string, n int64, err error) {
	d.expiring.Lock() // two configurations are alive for a moment
	defer d.expiring.Unlock()
	if why, err = d.Log.ClockSuspect(ctx, checked); why != "" || err != nil {
		return why, 0, err
	}
	for _, r := range list {
		before := r.keep.before(now)
		if _, err := d.Vault.DestroyPeriods(ctx, purposeOf(d.gateway, r.class, r.part), before); err != nil {
			return "", n, err
		}
		count, err := d.Log.ExpireDetails(ctx, audit.Expiry{Class: r.class, Part: r.part, Before: before})
		n += count
		if err != nil {
			return "", n, err
		}
	}
	return "", n, nil
}
