package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/walk"
	"github.com/caregate/caregate/vault"
)

// What a vendor.gap leaf says in "gap".
const (
	// gapRetention: the vendor no longer keeps what was not read yet.
	gapRetention = "retention"
	// gapCursor: the vendor refused the place where reading stood. The window is read
	// again; a vendor.covered leaf over the same time closes the gap.
	gapCursor = "cursor_refused"
	// gapPaging: pages that never end, or that do not say where the next one is.
	gapPaging = "paging"
	// gapOrder: times jumped back within a window that is in order, so entries between
	// two pages may have been passed over.
	gapOrder = "order"
	// gapVanished: an entry that was there is not there any more.
	gapVanished = "vanished"
	// gapUnreadable: entries without an id or a time.
	gapUnreadable = "unreadable"
	// gapClock: the vendor's clock lies behind the time up to which it was read.
	gapClock = "clock"
	// gapLate: what was read before could not be read again, so entries that turned up
	// late may have been missed.
	gapLate = "late"
)

// ocsfEntityManagement is the class of leaves about somebody else's records: a call
// that we saw has another.
const ocsfEntityManagement = 3004

// clean masks what must not be kept, not even sealed: the details of entries are made
// of the result. It refuses what is not one document of JSON.
func (p *poller) clean(raw []byte) ([]byte, error) {
	doc, err := walk.Parse(walk.JSON, raw, p.detector(), nil, walk.Limits{})
	if err != nil {
		return nil, err
	}
	return doc.Rewrite(func(f redact.Finding) redact.Action {
		info, known := redact.Lookup(string(f.Class))
		switch {
		case !known, f.Class == redact.Secret, f.Class == redact.Password, info.Default == redact.Tokenize, info.Default == redact.Block:
			return redact.Mask
		}
		return info.Default
	}), nil
}

// trailBatch is how many events wait for one commit.
const trailBatch = 128

// record makes entries durable that the log does not have yet, and counts all of
// them in the window.
func (p *poller) record(ctx context.Context, entries []channel.TrailEntry) error {
	w := *p.cur.Window // the counts of a page that fails are not kept
	newest := p.cur.Newest
	var waits []audit.Wait
	var ids []audit.ID
	flush := func() error {
		for i, wait := range waits {
			if _, err := wait.Wait(ctx); err != nil {
				return err
			}
			p.recent.Add(ids[i], struct{}{})
		}
		p.metrics.recorded(len(waits))
		waits, ids = waits[:0], ids[:0]
		return nil
	}
	page := make(map[audit.ID]bool, len(entries))
	for i := range entries {
		e := &entries[i]
		id := p.eventID(e)
		outside := e.Time.Before(w.From.Add(-time.Second)) || e.Time.After(w.To.Add(time.Second))
		if outside {
			w.Outside++
		} else {
			if p.trail.Ascending && !w.Disordered && e.Time.Before(w.Last.Add(-time.Second)) {
				if err := p.gap(ctx, gapOrder, e.Time, w.Last, nil); err != nil {
					return err
				}
				w.Disordered, p.cur.Window.Disordered = true, true
			}
			if e.Time.After(w.Last) {
				w.Last = e.Time
			}
		}
		if w.Mark != nil && id == w.Mark.Event {
			w.Seen = true
		}
		if !outside && (newest == nil || e.Time.After(newest.Time)) {
			newest = &trailMark{Event: id, Time: e.Time}
		}
		w.Entries++
		if !p.wanted(e) {
			w.Skipped++
			continue
		}
		known := page[id]
		if !known {
			var err error
			if known, err = p.known(ctx, id); err != nil {
				return err
			}
		}
		page[id] = true
		if !known {
			wait, err := p.append(ctx, id, e)
			if err != nil {
				return err
			}
			if waits, ids = append(waits, wait), append(ids, id); len(waits) == trailBatch {
				if err := flush(); err != nil {
					return err
				}
			}
		} else {
			w.Repeated++
		}
	}
	if err := flush(); err != nil {
		return err
	}
	*p.cur.Window, p.cur.Newest = w, newest
	return nil
}

// eventID is the name of an entry's event in our log. It follows from what the vendor
// calls the entry and when it says that it was, under a key of ours, so that the same
// entry has the same event however often it is read, by whatever process.
func (p *poller) eventID(e *channel.TrailEntry) (id audit.ID) {
	binary.BigEndian.PutUint64(id[:8], uint64(e.Time.UnixMilli())<<16)
	copy(id[6:], p.data.Vault.Digest("entry of a vendor's log", []byte(p.key+"\x00"+e.ID)))
	return id
}

// known tells whether the log has the event.
func (p *poller) known(ctx context.Context, id audit.ID) (bool, error) {
	if p.recent.Contains(id) {
		return true, nil
	}
	_, err := p.data.Log.Find(ctx, id)
	if errors.Is(err, audit.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		p.recent.Add(id, struct{}{})
	}
	return err == nil, err
}

// vendorDetail is sealed: what the vendor says, about the actor or about the rest.
type vendorDetail struct {
	Actor   string          `json:"actor,omitempty"`
	Entry   string          `json:"entry,omitempty"`
	Records []string        `json:"records,omitempty"`
	Vendor  json.RawMessage `json:"vendor,omitempty"`
}

// append hands the event of an entry to the log.
func (p *poller) append(ctx context.Context, id audit.ID, e *channel.TrailEntry) (wait audit.Wait, err error) {
	origin := p.data.Log.Origin()
	ev := audit.Event{
		ID: id, Class: ocsfEntityManagement, Type: audit.TypeVendorEvent, Tenant: tenant, Route: p.name, Identity: audit.IdentityVendor,
		Channel: p.ch.Name, Operation: e.Name, Effect: string(e.Effect), Scope: string(e.Scope), Retention: retentionExchange,
		Attrs: map[string]string{"trail": p.trail.Name, "vendor_time": fmtInstant(e.Time)},
	}
	if e.Status != 0 {
		ev.Attrs["vendor_status"] = strconv.Itoa(e.Status)
	}
	if e.Actor != "" {
		name := p.ch.Name + ":user:" + e.Actor
		who, err := p.data.Vault.Actor(ctx, name)
		if err != nil {
			return wait, err
		}
		ev.Actor = who.Pseudonym(origin)
		if err := p.seal(ctx, &ev, who, "actor", vendorDetail{Actor: name, Vendor: e.ActorDetail}); err != nil {
			return wait, err
		}
	}
	rest := vendorDetail{Entry: e.ID, Vendor: e.Detail}
	if e.Actor == "" && e.ActorDetail != nil {
		rest.Vendor = joinedObjects(e.ActorDetail, e.Detail)
	}
	// Nobody in particular: a key of the day, which ends with the day's details.
	under := vault.Ident{Kind: "caregate:day", Value: p.now().UTC().Format(time.DateOnly)}
	for _, about := range e.About {
		if kind, ok := strings.CutPrefix(about.Label, channel.LabelRecord); ok {
			ev.Records = append(ev.Records, audit.Ref{ID: p.data.Vault.Record(p.ch.Name+":"+kind, about.Value)})
			rest.Records = append(rest.Records, kind+"/"+about.Value)
		} else if ident, _, ok := identOf(p.ch.Name, about.Label, about.Value); ok {
			under = ident
			who, err := p.data.Vault.Subjects(ctx, []vault.Ident{ident})
			if err != nil {
				return wait, err
			}
			if !who[0].IsZero() {
				ev.Subjects = append(ev.Subjects, audit.Ref{ID: who[0].Pseudonym(origin)})
			}
		}
	}
	of, err := p.data.Vault.Subjects(ctx, []vault.Ident{under})
	if err != nil {
		return wait, err
	}
	if !of[0].IsZero() {
		if err := p.seal(ctx, &ev, of[0], "subject", rest); err != nil {
			return wait, err
		}
	}
	return p.leaf(ctx, ev, audit.LaneNormal)
}

// joinedObjects is one object with the members of both.
func joinedObjects(a, b json.RawMessage) json.RawMessage {
	if len(b) <= 2 {
		return a
	}
	return append(append(bytes.TrimSuffix(a, []byte("}")), ','), b[1:]...)
}

func (p *poller) seal(ctx context.Context, ev *audit.Event, who vault.Subject, part string, detail vendorDetail) error {
	plain, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	sealed, err := p.data.seal(ctx, ev, p.now(), who, part, plain)
	if err != nil {
		return err
	}
	ev.Details = append(ev.Details, sealed)
	return nil
}

// leaf gives an event to the log. In the normal lane it gives way to traffic: what is
// not taken now is read again.
func (p *poller) leaf(ctx context.Context, ev audit.Event, lane audit.Lane) (audit.Wait, error) {
	slot, err := p.data.Log.Reserve(ctx, lane)
	if err != nil {
		return audit.Wait{}, err
	}
	defer slot.Release()
	return slot.Append(ev), nil
}

// statement writes a leaf about the trail itself and waits until it is durable.
func (p *poller) statement(ctx context.Context, kind string, attrs map[string]string) error {
	attrs["trail"] = p.trail.Name
	wait, err := p.leaf(ctx, audit.Event{
		Class: ocsfEntityManagement, Type: kind, Tenant: tenant, Route: p.name, Identity: audit.IdentityVendor, Channel: p.ch.Name,
		Retention: retentionAdministration, Attrs: attrs,
	}, audit.LaneReserved)
	if err == nil {
		_, err = wait.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("recording a %s: %w", kind, err)
	}
	return nil
}

// gap states that the vendor's log between two instants is not, or may not be, in
// ours. A crash before the cursor is saved may state it twice.
func (p *poller) gap(ctx context.Context, why string, from, to time.Time, more map[string]string) error {
	attrs := map[string]string{"gap": why, "from": fmtInstant(from), "to": fmtInstant(to)}
	for k, v := range more {
		attrs[k] = v
	}
	if err := p.statement(ctx, audit.TypeVendorGap, attrs); err != nil {
		return err
	}
	p.mu.Lock()
	p.state.Gaps++
	p.mu.Unlock()
	p.metrics.gap(why)
	p.logger.Warn("a vendor's log has a gap", "trail", p.name, "gap", why, "from", from, "to", to)
	return nil
}

// skipped states a gap that is left behind: up to from the trail was read, from to on
// it will be.
func (p *poller) skipped(ctx context.Context, why string, from, to time.Time) error {
	if from.After(p.cur.Said) {
		if err := p.statement(ctx, audit.TypeVendorCovered, map[string]string{"from": fmtInstant(p.cur.Said), "to": fmtInstant(from)}); err != nil {
			return err
		}
		p.cur.Said = from
	}
	if err := p.gap(ctx, why, from, to, nil); err != nil {
		return err
	}
	p.cur.Until, p.cur.Said, p.cur.Window = to, to, nil
	p.reached()
	return p.save(ctx)
}

// coveredEvery is how often a trail in which nothing happens is said to have been
// read: silence of the vendor and silence of the gateway are not the same.
const coveredEvery = time.Hour

// covered states that the trail was read up to until, when there was something in it
// or nothing was said for long.
func (p *poller) covered(ctx context.Context, w *trailWindow, until time.Time) error {
	now := p.now().UTC()
	fresh := w.Entries - w.Repeated - w.Skipped
	if !until.After(p.cur.Said) || fresh == 0 && w.Unreadable == 0 && p.cur.Late == 0 && now.Sub(p.cur.Recorded) < coveredEvery && !now.Before(p.cur.Recorded) {
		return nil
	}
	attrs := map[string]string{"from": fmtInstant(p.cur.Said), "to": fmtInstant(until)}
	for name, n := range map[string]int{"entries": w.Entries, "repeated": w.Repeated, "skipped": w.Skipped, "outside": w.Outside, "late": p.cur.Late} {
		if n > 0 {
			attrs[name] = strconv.Itoa(n)
		}
	}
	if err := p.statement(ctx, audit.TypeVendorCovered, attrs); err != nil {
		return err
	}
	p.cur.Said, p.cur.Recorded, p.cur.Late = until, now, 0
	return nil
}
