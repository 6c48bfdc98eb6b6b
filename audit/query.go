package audit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Query says which events a question is about. The zero Query is about all; what is
// set must hold together.
type Query struct {
	// From and To bound the wall time that the events claim; To is excluded.
	From, To time.Time
	// Actor and Subject give the pseudonym of a person in a shard, whose origin they
	// are called with: it differs from shard to shard. The first events of a shard may
	// have that of the shard before, and are found as well. Record is the same in all.
	Actor, Subject func(origin string) Pseudonym
	// Mail gives the pseudonym of an e-mail address that the call named as its user, or
	// that a token vouched for, like Actor.
	Mail   func(origin string) Pseudonym
	Record Pseudonym
	// Class is a data class that was released in the clear.
	Class string
	// The others are compared with the event's field of the same name.
	Type, Route, Channel, Operation, Decision, Reason string
}

// Found is what the index knows of an event. It is no evidence: proofs and Verify are.
type Found struct {
	// Origin and Index are where the entry stands in the log.
	Origin string
	Index  int64
	ID     ID
	// Exchange ties the events of one call together.
	Exchange ID
	// Time is what the writer's clock said.
	Time time.Time
	// Actor is the pseudonym of who called, Identity how well it was known:
	// credential, asserted, proven.
	Actor    Pseudonym
	Identity string

	Type, Route, Channel, Operation, Effect, Scope, Decision, Reason, Outcome string
	Status                                                                    int
	// Unread says that something passed which nobody had inspected.
	Unread bool
}

// Exposure is a data class of one subject or record that was released in the clear
// to one actor, over one route, at one strength of identity.
type Exposure struct {
	Origin string
	// Who is the pseudonym of the subject, or of the vendor's record when Record is
	// set.
	Who    Pseudonym
	Record bool
	Class  string

	Actor                    Pseudonym
	Identity, Route, Channel string
	// Times is in how many events it was released; First and Last are the earliest and
	// the latest of them, and Receipt names one of them.
	Times       int64
	First, Last time.Time
	Receipt     ID
}

// Coverage says how much of what went out over a route was read at all.
type Coverage struct {
	Route string
	// Answers were released, of which Unread held bytes that nobody inspected.
	Answers, Unread int64
}

// Index answers questions from the view of the log. It may be used concurrently, and
// while the log is written.
type Index struct {
	db         *store.DB
	deployment string
	own        bool
}

// OpenIndex opens the index of the log under dir for reading. Close it.
func OpenIndex(ctx context.Context, dir string) (*Index, error) {
	dir = filepath.Join(dir, auditDir)
	db, err := openReader(ctx, dir, lockFile)
	if err != nil {
		return nil, lookupError(err)
	}
	rows, err := (&lockStore{db: db}).load(ctx)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	x := &Index{own: true}
	for origin := range rows {
		if x.deployment, _, err = splitOrigin(origin); err != nil {
			return nil, fmt.Errorf("%w: lock store: %w", ErrCorrupt, err)
		}
	}
	if x.db, err = openReader(ctx, dir, indexFile); err != nil {
		return nil, lookupError(err)
	}
	return x, nil
}

// Index returns the index of an open log. It need not be closed and ends with the log.
func (l *Log) Index() *Index {
	return &Index{db: l.core.integrator.index.db, deployment: l.core.cfg.Deployment}
}

// Settle waits until the index has every event that is durable now, which takes as
// long as the next checkpoint. The error is the context's, or says why the log failed.
func (l *Log) Settle(ctx context.Context) error {
	c := l.core
	pruned, last, err := c.intake.bounds(ctx)
	if err != nil || !pruned.before(last) { // what left the intake is in the index
		return err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if at := c.prunable.Load(); at != nil && !at.before(last) {
			return nil
		}
		select {
		case <-tick.C:
		case <-c.failed:
			return l.Ready()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close closes what OpenIndex opened.
func (x *Index) Close() error {
	if !x.own {
		return nil
	}
	return x.db.Close()
}

// where collects conditions and their arguments.
type where struct {
	terms []string
	args  []any
}

// add appends a condition; each ? in it becomes the number of the next argument.
func (w *where) add(term string, args ...any) {
	for _, a := range args {
		w.args = append(w.args, a)
		term = strings.Replace(term, "?", fmt.Sprintf("$%d", len(w.args)), 1)
	}
	w.terms = append(w.terms, term)
}

func (w *where) String() string { return strings.Join(w.terms, " AND ") }

// period is a shard and the one before, "" for the first. An event that was made just
// before the border may stand behind it, under the names it was made with.
type period struct{ shard, before string }

// named adds the condition that a column has the name of a person in the shard.
func (x *Index) named(w *where, column string, p period, name func(origin string) Pseudonym) {
	who := name(originOf(x.deployment, p.shard))
	if p.before == "" {
		w.add(column+" = ?", who[:])
		return
	}
	was := name(originOf(x.deployment, p.before))
	w.add(column+" IN (?, ?)", who[:], was[:])
}

// conditions are those of q on the entries e, of the kinds k, of one shard. ok is
// false when no entry can be meant.
func (x *Index) conditions(ctx context.Context, tx queryer, p period, q *Query) (w *where, ok bool, err error) {
	w = &where{}
	shard := p.shard
	w.add("e.shard = ?", shard)
	if !q.From.IsZero() || !q.To.IsZero() {
		from, to := int64(math.MinInt64), int64(math.MaxInt64)
		if !q.From.IsZero() {
			from = q.From.UnixMilli()
		}
		if !q.To.IsZero() {
			to = q.To.UnixMilli()
		}
		lo, hi, err := blocksBetween(ctx, tx, shard, from, to)
		if err != nil || lo >= hi {
			return nil, false, err
		}
		w.add("e.idx >= ? AND e.idx < ?", lo, hi)
		w.add("e.wall >= ? AND e.wall < ?", from, to)
	}
	if q.Actor != nil {
		x.named(w, "e.act", p, q.Actor)
	}
	if q.Mail != nil {
		sub := where{args: w.args}
		sub.add("m.shard = ? AND m.kind = 3", shard)
		x.named(&sub, "m.pseudonym", p, q.Mail)
		w.args = sub.args
		w.add("e.idx IN (SELECT m.idx FROM audit_exposure m WHERE " + sub.String() + ")")
	}
	for column, value := range map[string]string{"type": q.Type, "route": q.Route, "chan": q.Channel, "op": q.Operation, "decision": q.Decision, "reason": q.Reason} {
		if value != "" {
			w.add("k."+column+" = ?", value)
		}
	}
	return w, true, nil
}

// exposed adds the conditions of q on exposures x.
func (x *Index) exposed(w *where, p period, q *Query) {
	if q.Subject != nil {
		x.named(w, "x.pseudonym", p, q.Subject)
		w.add("x.kind = 1")
	}
	if q.Record != (Pseudonym{}) {
		w.add("x.pseudonym = ? AND x.kind = 2", q.Record[:])
	}
	if q.Class != "" {
		w.add("x.class = ?", q.Class)
	}
}

// blocksBetween returns the range of entries outside of which none was written
// between two wall times. A clock that was set makes it wider, never wrong: what
// stands in no finished block yet is always within.
func blocksBetween(ctx context.Context, tx queryer, shard string, from, to int64) (lo, hi int64, err error) {
	var blocks, least, most, hits int64
	err = tx.QueryRowContext(ctx, `SELECT count(*),
			coalesce(min(CASE WHEN last >= $2 AND first < $3 THEN n END), -1),
			coalesce(max(CASE WHEN last >= $2 AND first < $3 THEN n END), -1),
			count(CASE WHEN last >= $2 AND first < $3 THEN 1 END)
		FROM audit_block WHERE shard = $1`, shard, from, to).Scan(&blocks, &least, &most, &hits)
	if err != nil {
		return 0, 0, fmt.Errorf("reading index: %w", err)
	}
	lo, hi = blocks*tileWidth, math.MaxInt64
	if hits > 0 {
		lo = least * tileWidth
	}
	var newest int64 // in the unfinished block
	err = tx.QueryRowContext(ctx, `SELECT count(*) FROM audit_entry WHERE shard = $1 AND idx >= $2 AND wall >= $3 AND wall < $4`,
		shard, blocks*tileWidth, from, to).Scan(&newest)
	if err != nil {
		return 0, 0, fmt.Errorf("reading index: %w", err)
	}
	if newest == 0 {
		hi = (most + 1) * tileWidth
	}
	return lo, hi, nil
}

// Origins returns the origins of the shards in the index, the newest first.
func (x *Index) Origins(ctx context.Context) ([]string, error) {
	list, err := x.shards(ctx, x.db)
	for i, shard := range list {
		list[i] = originOf(x.deployment, shard)
	}
	return list, err
}

// shards returns the shards in the index, the newest first.
func (x *Index) shards(ctx context.Context, tx queryer) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT shard FROM audit_cover ORDER BY shard DESC`)
	if err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var shard string
		if err := rows.Scan(&shard); err != nil {
			return nil, fmt.Errorf("reading index: %w", err)
		}
		out = append(out, shard)
	}
	return out, rows.Err()
}

// eachShard answers q from one snapshot of the index, shard by shard, the newest first:
// ask gets the conditions of q in a shard that may hold something, and returns false
// when it has enough.
func (x *Index) eachShard(ctx context.Context, q *Query, ask func(tx queryer, p period, w *where) (more bool, err error)) error {
	tx, err := x.db.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("reading index: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	shards, err := x.shards(ctx, tx)
	if err != nil {
		return err
	}
	for i, shard := range shards {
		p := period{shard: shard}
		if i+1 < len(shards) {
			p.before = shards[i+1]
		}
		w, ok, err := x.conditions(ctx, tx, p, q)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if more, err := ask(tx, p, w); err != nil || !more {
			return err
		}
	}
	return nil
}

// Entries returns the newest events that q is about, at most limit of them, the
// newest first, and whether there are more.
func (x *Index) Entries(ctx context.Context, q Query, limit int) (out []Found, more bool, err error) {
	err = x.eachShard(ctx, &q, func(tx queryer, p period, w *where) (bool, error) {
		if q.Subject != nil || q.Record != (Pseudonym{}) || q.Class != "" {
			sub := where{args: w.args}
			sub.add("x.shard = ?", p.shard)
			x.exposed(&sub, p, &q)
			w.args = sub.args
			w.add("e.idx IN (SELECT x.idx FROM audit_exposure x WHERE " + sub.String() + ")")
		}
		w.args = append(w.args, limit+1-len(out))
		found, err := x.entries(ctx, tx, p.shard, fmt.Sprintf("%s ORDER BY e.idx DESC LIMIT $%d", w, len(w.args)), w.args)
		out = append(out, found...)
		return len(out) <= limit, err
	})
	if len(out) > limit {
		out, more = out[:limit], true
	}
	return out, more, err
}

func (x *Index) entries(ctx context.Context, tx queryer, shard, where string, args []any) (out []Found, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT e.idx, e.eid, e.xid, e.wall, e.act, k.idk, k.type, k.route, k.chan, k.op, k.effect, k.scope, k.decision, k.reason, k.outcome, k.status, k.unread
		FROM audit_entry e JOIN audit_kind k ON k.kind = e.kind WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		e := Found{Origin: originOf(x.deployment, shard)}
		var eid, xid, act []byte
		var wall, unread int64
		if err := rows.Scan(&e.Index, &eid, &xid, &wall, &act, &e.Identity, &e.Type, &e.Route, &e.Channel, &e.Operation, &e.Effect, &e.Scope,
			&e.Decision, &e.Reason, &e.Outcome, &e.Status, &unread); err != nil {
			return nil, fmt.Errorf("reading index: %w", err)
		}
		copy(e.ID[:], eid)
		copy(e.Exchange[:], xid)
		copy(e.Actor[:], act)
		e.Time, e.Unread = time.UnixMilli(wall), unread != 0
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	return out, nil
}

// released are the outcomes of answers of which something reached the caller.
const released = "k.outcome IN ('" + OutcomeReleased + "', '" + OutcomeCut + "')"

// Exposures returns whose data of which class was released in the clear: a row for
// each subject or record, class, actor, identity and route, at most limit of them,
// and whether there are more. A query without a class is about all classes.
//
// The answer is as good as the identities in it and the coverage of the routes: see
// Coverage, and Exposure.Identity.
func (x *Index) Exposures(ctx context.Context, q Query, limit int) (out []Exposure, more bool, err error) {
	err = x.eachShard(ctx, &q, func(tx queryer, p period, w *where) (bool, error) {
		w.add("x.shard = ?", p.shard)
		w.add("x.class <> ''")
		from, err := x.driven(ctx, tx, p, &q)
		if err != nil {
			return false, err
		}
		x.exposed(w, p, &q)
		w.add(released)
		found, err := x.exposures(ctx, tx, p.shard, from, w, limit+1-len(out))
		out = append(out, found...)
		return len(out) <= limit, err
	})
	if len(out) > limit {
		out, more = out[:limit], true
	}
	return out, more, err
}

// busyActor is how many entries of one actor are more than the exposures of one class,
// as a rule: an integration under whose name everybody works.
const busyActor = 100_000

// driven says from which side exposures are looked for, as the tables of a FROM: from
// the exposures that q names, or from the entries of its actor when they are fewer.
// Neither database guesses well how many an actor has.
func (x *Index) driven(ctx context.Context, tx queryer, p period, q *Query) (string, error) {
	const exposures = "audit_exposure x CROSS JOIN audit_entry e CROSS JOIN audit_kind k"
	entries := "audit_entry e CROSS JOIN audit_kind k CROSS JOIN audit_exposure x"
	if x.db.Dialect == store.SQLite { // which would go through the whole shard
		entries = "audit_entry e INDEXED BY audit_entry_act CROSS JOIN audit_kind k CROSS JOIN audit_exposure x"
	}
	switch {
	case q.Subject != nil, q.Record != (Pseudonym{}):
		return exposures, nil
	case q.Mail != nil: // by the entries that it finds
		return "audit_entry e CROSS JOIN audit_kind k CROSS JOIN audit_exposure x", nil
	case q.Actor == nil:
		return exposures, nil
	case q.Class == "":
		return entries, nil
	}
	who := q.Actor(originOf(x.deployment, p.shard))
	var n int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM audit_entry WHERE act = $1 AND shard = $2 LIMIT $3) AS few`, who[:], p.shard, busyActor).Scan(&n)
	if err != nil {
		return "", fmt.Errorf("reading index: %w", err)
	}
	if n == busyActor {
		return exposures, nil
	}
	return entries, nil
}

func (x *Index) exposures(ctx context.Context, tx queryer, shard, from string, w *where, limit int) ([]Exposure, error) {
	w.args = append(w.args, limit)
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`SELECT x.pseudonym, x.kind, x.class, e.act, k.idk, k.route, k.chan, count(*), min(e.wall), max(e.wall), min(e.idx)
		FROM %s WHERE e.shard = x.shard AND e.idx = x.idx AND k.kind = e.kind AND %s GROUP BY x.pseudonym, x.kind, x.class, e.act, k.idk, k.route, k.chan
		ORDER BY x.kind, x.class, x.pseudonym, e.act, k.idk, k.route, k.chan LIMIT $%d`, from, w, len(w.args)), w.args...)
	if err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	defer rows.Close()
	var out []Exposure
	var at []int64
	for rows.Next() {
		v := Exposure{Origin: originOf(x.deployment, shard)}
		var who, act []byte
		var kind, first, last, idx int64
		if err := rows.Scan(&who, &kind, &v.Class, &act, &v.Identity, &v.Route, &v.Channel, &v.Times, &first, &last, &idx); err != nil {
			return nil, fmt.Errorf("reading index: %w", err)
		}
		copy(v.Who[:], who)
		copy(v.Actor[:], act)
		v.Record, v.First, v.Last = kind == kindRecord, time.UnixMilli(first), time.UnixMilli(last)
		out, at = append(out, v), append(at, idx)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	for i, idx := range at {
		var eid []byte
		if err := tx.QueryRowContext(ctx, `SELECT eid FROM audit_entry WHERE shard = $1 AND idx = $2`, shard, idx).Scan(&eid); err != nil {
			return nil, fmt.Errorf("reading index: %w", err)
		}
		copy(out[i].Receipt[:], eid)
	}
	return out, nil
}

// Coverage counts, for each route, the answers that q is about and those of them that
// held bytes which nobody inspected: what they showed, no exposure tells. The query's
// subject, record and class do not matter here.
func (x *Index) Coverage(ctx context.Context, q Query) (out []Coverage, err error) {
	at := map[string]int{}
	err = x.eachShard(ctx, &q, func(tx queryer, _ period, w *where) (bool, error) {
		w.add(released)
		found, err := coverage(ctx, tx, w)
		for _, c := range found {
			i, known := at[c.Route]
			if !known {
				i = len(out)
				at[c.Route], out = i, append(out, Coverage{Route: c.Route})
			}
			out[i].Answers += c.Answers
			out[i].Unread += c.Unread
		}
		return true, err
	})
	return out, err
}

func coverage(ctx context.Context, tx queryer, w *where) (out []Coverage, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT k.route, count(*), sum(k.unread) FROM audit_entry e JOIN audit_kind k ON k.kind = e.kind
		WHERE `+w.String()+` GROUP BY k.route ORDER BY k.route`, w.args...)
	if err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c Coverage
		if err := rows.Scan(&c.Route, &c.Answers, &c.Unread); err != nil {
			return nil, fmt.Errorf("reading index: %w", err)
		}
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	return out, nil
}
