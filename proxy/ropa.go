package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/retention/ropa"
)

// RecordRoute is what a record of processing says of this route. It reads the channel and
// needs no provisioning.
func (h *Handler) RecordRoute() (ropa.Route, error) {
	ch, err := loadChannel(h.Channel)
	if err != nil {
		return ropa.Route{}, err
	}
	u, err := url.Parse(h.Upstream)
	if err != nil {
		return ropa.Route{}, errors.New("reading the upstream of a governed route: it is no URL") // and may hold a password
	}
	host := strings.ToLower(u.Host)
	if p := u.Port(); p == "443" && u.Scheme == "https" || p == "80" && u.Scheme == "http" {
		host = strings.TrimSuffix(host, ":"+p)
	}
	rt := ropa.Route{Name: h.Route, Channel: ch.Name, Host: host, Webhooks: h.Webhooks}
	if rt.Name == "" {
		rt.Name = (&Handler{Webhooks: h.Webhooks, ch: ch}).defaultRoute()
	}
	return rt, nil
}

// Traffic counts, for a record of processing, what the log of a data directory has of calls
// that were let through from from, and before to where to is set, by the gateway's clock. It
// reads the whole log, names nobody, and a gateway may run there. changed is when another
// configuration than before was loaded, last and not before from, also where that is after
// to; zero where none was.
func Traffic(ctx context.Context, dir string, from, to time.Time) (seen []ropa.Seen, changed time.Time, err error) {
	var failed error
	t := traffic{from: from, to: to, at: make(map[[2]string]int)}
	visit(ctx, dir, time.Time{}, time.Time{}, func(l *audit.Leaf, err error) bool {
		if failed = err; err == nil {
			t.add(l)
		}
		return err == nil
	})
	return t.seen, t.changed, failed
}

// traffic is what was seen in a window; at has where, by route and channel. config is the
// digest of the configuration that was loaded last, changed when it became another one.
type traffic struct {
	from, to time.Time
	seen     []ropa.Seen
	at       map[[2]string]int
	config   string
	changed  time.Time
}

// load looks at an entry of a configuration that was loaded. Where the oldest entries are
// gone, nobody knows what was loaded before the first.
func (t *traffic) load(l *audit.Leaf, wall time.Time) {
	another := l.Attrs["config"] != t.config && (t.config != "" || len(t.seen) > 0)
	t.config = l.Attrs["config"]
	if another && !wall.Before(t.from) && wall.After(t.changed) {
		t.changed = wall
	}
}

// add counts an entry, if it is one of a call that was let through.
func (t *traffic) add(l *audit.Leaf) {
	wall := time.UnixMilli(l.Wall).UTC()
	if l.Type == "config.loaded" {
		t.load(l, wall)
		return
	}
	if l.Decision != audit.DecisionAllow || l.Cont > 0 || wall.Before(t.from) || !t.to.IsZero() && !wall.Before(t.to) {
		return
	}
	answer := false
	switch l.Type {
	case eventRequest, eventRequestWindow: // the end of a stream has nothing that its windows do not have
	case eventResponse, eventResponseWindow:
		answer = true
	default:
		return
	}
	key := [2]string{l.Route, l.Channel}
	i, known := t.at[key]
	if !known {
		i = len(t.seen)
		t.at[key] = i
		t.seen = append(t.seen, ropa.Seen{Route: l.Route, Channel: l.Channel, Effects: make(map[string]bool), Request: make(map[string]ropa.Amount), Response: make(map[string]ropa.Amount)})
	}
	count(&t.seen[i], l, answer)
}

// count adds one entry to what was seen.
func count(s *ropa.Seen, l *audit.Leaf, answer bool) {
	wall := time.UnixMilli(l.Wall).UTC()
	if s.First.IsZero() || wall.Before(s.First) {
		s.First = wall
	}
	if wall.After(s.Last) {
		s.Last = wall
	}
	if l.Type == eventRequest {
		s.Calls++
	}
	if l.Effect != "" {
		s.Effects[l.Effect] = true
	}
	half := s.Request
	if answer {
		half = s.Response
	}
	for _, c := range l.Released {
		n := half[c.Class]
		n.Clear += int64(c.Clear)
		n.Withheld += int64(c.Masked + c.Tokenized + c.Dropped)
		n.Unread += int64(c.NotInspected)
		half[c.Class] = n
	}
}

// SignRecord writes a record out and signs it with the key of the log that it was made from.
func SignRecord(c DataConfig, r *ropa.Record) (f ropa.Files, note string, err error) {
	if f, err = ropa.Print(r); err != nil {
		return f, "", err
	}
	note, err = audit.SignStatement(c.withDefaults().Keys, r.Log.Origin, ropa.StatementKind, ropa.Statement(r, f))
	return f, note, err
}

// VerifyRecord checks a record against the statement that a log's key signed, under one of
// the verifier keys. It needs no gateway.
func VerifyRecord(f ropa.Files, note []byte, keys []string) (*ropa.Record, error) {
	signed, origin, err := audit.OpenStatement(note, ropa.StatementKind, keys)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ropa.ErrRecord, err)
	}
	return ropa.Read(f, signed, origin)
}
