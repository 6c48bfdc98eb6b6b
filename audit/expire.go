package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// TypeDetailExpired is the type of the leaf that says which sealed details were deleted
// because their retention had ended. The log writes it.
const TypeDetailExpired = "detail.expired"

// Attributes of detail.expired.
const (
	attrShard  = "shard"
	attrClass  = "class"
	attrPart   = "part"
	attrFrom   = "from"
	attrTo     = "to"
	attrCount  = "count"
	attrDigest = "digest"
)

// Expiry names the details whose retention has ended.
type Expiry struct {
	// Class is the retention class of their events.
	Class string
	// Part is "subject" or "actor"; parts with a number behind ("subject.2") count as
	// the one before it.
	Part string
	// Before is the instant that their events are older than, by the time in their
	// leaves. Keys must be destroyed before ExpireDetails is called.
	Before time.Time
}

// expireEntries bounds one step of an expiry, expireRows one transaction of it: the
// integrator stores details in the same database meanwhile.
const (
	expireEntries = 1 << 16
	expireRows    = 1024
)

// ExpireDetails deletes the ciphertexts of details whose retention has ended, from the
// oldest entry on up to the first that is not older than e.Before, and writes a
// detail.expired leaf for each range. It returns how many details the leaves tell of.
// It may be repeated at any time, and after an interruption goes on: what was deleted
// without a leaf gets one. Calls must not overlap.
//
// An entry whose leaf claims a later time holds up all behind it: deletion is late
// rather than early.
func (l *Log) ExpireDetails(ctx context.Context, e Expiry) (count int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("expiring details: %w", err)
		}
	}()
	shards, err := l.core.expirable(ctx)
	if err != nil {
		return 0, err
	}
	for _, s := range shards {
		for {
			n, more, err := l.expireStep(ctx, s, &e)
			count += n
			if err != nil {
				return count, err
			}
			if !more {
				break
			}
		}
	}
	return count, nil
}

// expirable are the shards in the lock store, each with its size.
func (c *core) expirable(ctx context.Context) (list []signedSize, err error) {
	rows, err := c.lock.load(ctx)
	if err != nil {
		return nil, err
	}
	for origin, body := range rows {
		_, shard, err := splitOrigin(origin)
		if err != nil {
			return nil, fmt.Errorf("%w: lock store: %w", ErrCorrupt, err)
		}
		cp, err := unsignedCheckpoint([]byte(body)) // verified when the log was opened
		if err != nil {
			return nil, fmt.Errorf("%w: lock store: shard %s: %w", ErrCorrupt, shard, err)
		}
		list = append(list, signedSize{shard, cp.size})
	}
	return list, nil
}

// signedSize is a shard and how many entries its checkpoint covers.
type signedSize struct {
	shard string
	size  int64
}

// due is a range of entries whose details have expired.
type due struct {
	from, to int64
	idx      []int64 // of entries that had such details
	count    int64
	digest   hash.Hash
}

// expireStep deletes one range and puts it on record. more says that there may be
// another.
func (l *Log) expireStep(ctx context.Context, s signedSize, e *Expiry) (count int64, more bool, err error) {
	c := l.core
	done, gone, err := readExpiry(ctx, c.details, s.shard, e)
	if err != nil {
		return 0, false, err
	}
	d, err := c.findDue(ctx, s, e, done, gone)
	if err != nil || d.to == done {
		return 0, false, err
	}
	if d.count == 0 {
		// Nothing to tell of: only the place moves on.
		return 0, d.to < s.size && d.to-d.from >= expireEntries, writeExpiry(ctx, c.details, s.shard, e, d.to, d.to)
	}
	// The keys are gone. What follows can be repeated: deleting finds less the second
	// time, and the leaf follows from the entries.
	if err := c.hooks.run(hookExpireDelete); err != nil {
		return 0, false, err
	}
	if err := c.deleteDetails(ctx, s.shard, e, d, done); err != nil {
		return 0, false, err
	}
	if err := c.hooks.run(hookExpireLeaf); err != nil {
		return 0, false, err
	}
	_, err = c.appendOwn(&Event{ID: NewID(), Type: TypeDetailExpired, Attrs: map[string]string{
		attrShard: s.shard, attrClass: e.Class, attrPart: e.Part,
		attrFrom: strconv.FormatInt(d.from, 10), attrTo: strconv.FormatInt(d.to, 10),
		attrCount: strconv.FormatInt(d.count, 10), attrDigest: hex.EncodeToString(d.digest.Sum(nil)),
	}}).Wait(ctx)
	if err != nil {
		return 0, false, err
	}
	// Under a checkpoint first: until then a verification cannot see the leaf, and takes
	// the difference between done and gone for the reason.
	if err := l.Settle(ctx); err != nil {
		return 0, false, err
	}
	if err := c.hooks.run(hookExpireDone); err != nil {
		return 0, false, err
	}
	return d.count, d.to < s.size, writeExpiry(ctx, c.details, s.shard, e, d.to, d.to)
}

// findDue reads entries from where the last range ended. An interrupted expiry is
// never shortened: what may be deleted already stays in the range.
func (c *core) findDue(ctx context.Context, s signedSize, e *Expiry, from, least int64) (*due, error) {
	d := &due{from: from, to: from, digest: sha256.New()}
	before := e.Before.UnixMilli()
	tree := dirFiles(filepath.Join(c.dir, treeDir, s.shard))
	read := func(name string) ([]byte, error) { return readTreeFile(string(tree), name) }
	for d.to < s.size && (d.to-from < expireEntries || d.to < least) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := d.to / tileWidth
		w := int(min(tileWidth, s.size-n*tileWidth))
		data, err := readWidth(read, levelEntries, n, w)
		if errors.Is(err, os.ErrNotExist) && w < tileWidth {
			return d, nil // a checkpoint came meanwhile; the next run sees it
		}
		if err != nil {
			return nil, err
		}
		entries, err := parseBundle(data, w)
		if err != nil {
			return nil, fmt.Errorf("%w: entry bundle %d: %w", ErrCorrupt, n, err)
		}
		for _, entry := range entries[d.to-n*tileWidth:] {
			leaf, err := ParseLeaf(entry)
			if err != nil {
				return nil, fmt.Errorf("%w: entry %d: %w", ErrCorrupt, d.to, err)
			}
			if leaf.Wall >= before && d.to >= least {
				return d, nil
			}
			if n := e.digest(d.digest, d.to, &leaf); n > 0 {
				d.idx, d.count = append(d.idx, d.to), d.count+n
			}
			d.to++
		}
	}
	return d, nil
}

// covers reports whether a part of an event belongs to the expiry.
func (e *Expiry) covers(class, part string) bool {
	return class == e.Class && partKind(part) == e.Part
}

// partKind is a part's name without its number.
func partKind(part string) string {
	kind, _, _ := strings.Cut(part, ".")
	return kind
}

// digest adds what the leaf says of the details that belong to the expiry, and returns
// how many they are.
func (e *Expiry) digest(h hash.Hash, idx int64, l *Leaf) (n int64) {
	for _, d := range l.Digests {
		if !e.covers(l.Retention, d.Part) {
			continue
		}
		b := binary.AppendVarint(nil, idx)
		b = appendPart(b, d.Part)
		h.Write(append(append(b, d.Sum[:]...), d.Com[:]...))
		n++
	}
	return n
}

// deleteDetails deletes the ciphertexts of a range. The first transaction says how far
// it will go.
func (c *core) deleteDetails(ctx context.Context, shard string, e *Expiry, d *due, done int64) error {
	if err := writeExpiry(ctx, c.details, shard, e, done, d.to); err != nil {
		return err
	}
	for at := 0; at < len(d.idx); at += expireRows {
		tx, err := c.details.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for _, idx := range d.idx[at:min(at+expireRows, len(d.idx))] {
			if _, err := tx.ExecContext(ctx, `DELETE FROM audit_detail WHERE shard = $1 AND idx = $2 AND (part = $3 OR part LIKE $4)`, shard, idx, e.Part, e.Part+".%"); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// readExpiry says how far an expiry has come.
func readExpiry(ctx context.Context, q queryer, shard string, e *Expiry) (done, gone int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT done, gone FROM audit_expiry WHERE shard = $1 AND class = $2 AND part = $3`, shard, e.Class, e.Part).Scan(&done, &gone)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return done, gone, err
}

func writeExpiry(ctx context.Context, db execer, shard string, e *Expiry, done, gone int64) error {
	_, err := db.ExecContext(ctx, `INSERT INTO audit_expiry (shard, class, part, done, gone) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (shard, class, part) DO UPDATE SET done = excluded.done, gone = excluded.gone`, shard, e.Class, e.Part, done, gone)
	return err
}

// execer is what *sql.DB and *sql.Tx have in common for writing.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Bounds of a clock that may be believed when something is going to be destroyed.
// Within one boot wall time and time since boot must agree; across boots nothing says
// how long the machine was off, and a week is as long as is believed.
const (
	clockDrift = 5 * time.Minute
	clockAway  = 7 * 24 * time.Hour
)

// ClockSuspect says why the clock is not to be believed by what destroys, "" when it
// is. It holds the clock against the last time that it was believed, which a database
// keeps: a restart does not make a wrong clock right. checked, when not zero, is a day
// on which a person found the clock right; within a week from it the clock is believed.
// The first call of a log's life believes.
func (l *Log) ClockSuspect(ctx context.Context, checked time.Time) (why string, err error) {
	c := l.core
	now, mono := time.UnixMilli(c.clock.wallMS()), c.clock.mono()
	var wall, lastMono int64
	var boot string
	err = c.details.QueryRowContext(ctx, `SELECT wall, mono, boot FROM audit_clock WHERE id = 1`).Scan(&wall, &lastMono, &boot)
	last := time.UnixMilli(wall)
	switch {
	case errors.Is(err, sql.ErrNoRows): // the first time
	case err != nil:
		return "", fmt.Errorf("reading when the clock was believed: %w", err)
	case !checked.IsZero() && !now.Before(checked) && now.Sub(checked) <= clockAway:
	case boot == c.clock.boot:
		if drift := now.Sub(last) - (mono - time.Duration(lastMono)); drift.Abs() > clockDrift {
			why = fmt.Sprintf("wall time went %s away from the time since boot", drift.Round(time.Second))
		}
	case now.Before(last.Add(-clockDrift)):
		why = "it is " + last.Sub(now).Round(time.Second).String() + " behind what it was"
	case now.Sub(last) > clockAway:
		why = "it was believed last " + now.Sub(last).Round(time.Second).String() + " ago"
	}
	if why != "" {
		return why, nil
	}
	_, err = c.details.ExecContext(ctx, `INSERT INTO audit_clock (id, wall, mono, boot) VALUES (1, $1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET wall = excluded.wall, mono = excluded.mono, boot = excluded.boot`, now.UnixMilli(), int64(mono), c.clock.boot)
	if err != nil {
		return "", fmt.Errorf("noting that the clock was believed: %w", err)
	}
	return "", nil
}
