package hold

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/index"
)

// keptMark is for how long the mark of a destruction that ended stays: longer than whoever
// places a hold takes from finding a person's pseudonym to the commit, and than another
// gateway remembers a key.
const keptMark = 24 * time.Hour

// lock makes holds and what they stop wait for one another, until the transaction ends. A
// SQLite transaction has the whole file.
func (s *Store) lock(ctx context.Context, tx *sql.Tx) error {
	return s.lockFor(ctx, tx, s.db.ForUpdate())
}

// SparedIn tells whether a record must stay, as Sparing says, in the transaction that permits its
// destruction. It locks the gate first, so that a hold that was committed before is seen, and one
// that is being placed waits for the commit. The record is there now, whenever it was seen last, and
// in doubt so is what hangs on it. Such a destruction leaves no mark: a hold that comes later is
// not told of it.
func (s *Store) SparedIn(ctx context.Context, tx *sql.Tx, k Key) (spared bool, err error) {
	if err := s.lock(ctx, tx); err != nil {
		return false, err
	}
	sparing, err := SparingIn(ctx, tx)
	if err != nil {
		return false, err
	}
	sparing.there = true
	by, err := sparing.Of(ctx, k, k)
	return len(by) > 0, err
}

func (s *Store) lockFor(ctx context.Context, tx *sql.Tx, mode string) error {
	var id int64
	if err := tx.QueryRowContext(ctx, `SELECT id FROM hold_gate WHERE id = 1`+mode).Scan(&id); err != nil {
		return fmt.Errorf("locking the gate of holds: %w", err)
	}
	return nil
}

// Pass lets the erasure of persons through the gate, under the id of the event that is going to
// put it on record, or returns a *HeldError. Behind it no hold stops the erasure; one that is
// placed then is told so. gateway is who erases. index.ErrTooMany where more names are linked
// than one person has, since nobody can say then whom a hold names.
//
// After a crash the mark is there, or not, with the commit. Who passed calls Ended when the
// keys are gone, and Dropped when the event certainly was not written.
func (s *Store) Pass(ctx context.Context, event [16]byte, gateway string, persons []index.Person) error {
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		if err := s.lock(ctx, tx); err != nil {
			return err
		}
		s.step("passing: locked")
		if err := s.stopped(ctx, tx, persons); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM hold_passed WHERE ended > 0 AND ended < $1`, now.Add(-keptMark).UnixMilli()); err != nil {
			return err
		}
		// With the names that are linked now: the index forgets the links before the mark ends.
		all, err := index.SameIn(ctx, tx, persons)
		if errors.Is(err, index.ErrTooMany) {
			all, err = persons, nil
		}
		if err != nil {
			return err
		}
		for _, p := range all {
			if _, err := tx.ExecContext(ctx, `INSERT INTO hold_passed (event, person, gateway, begun, ended) VALUES ($1, $2, $3, $4, 0) ON CONFLICT DO NOTHING`, event[:], p[:], gateway, now.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking for holds: %w", err)
	}
	s.step("passed")
	return nil
}

// Check returns a *HeldError when a hold is in force for one of the persons now, and
// index.ErrTooMany as Pass does. It permits nothing: Pass does.
func (s *Store) Check(ctx context.Context, persons []index.Person) error {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("looking for holds: %w", err)
	}
	defer tx.Rollback()
	if err := s.stopped(ctx, tx, persons); err != nil {
		return fmt.Errorf("looking for holds: %w", err)
	}
	return nil
}

// Ended notes that an erasure is carried out.
func (s *Store) Ended(ctx context.Context, event [16]byte) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		_, err := tx.ExecContext(ctx, `UPDATE hold_passed SET ended = $1 WHERE event = $2 AND ended = 0`, now.UnixMilli(), event[:])
		if err != nil {
			return fmt.Errorf("noting an erasure: %w", err)
		}
		return nil
	})
}

// Dropped takes the mark of an erasure away that did not happen, and with it what holds say
// about having come too late for it.
func (s *Store) Dropped(ctx context.Context, event [16]byte) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx, _ time.Time) error {
		for _, q := range [...]string{`DELETE FROM hold_passed WHERE event = $1`, `DELETE FROM hold_late WHERE event = $1`} {
			if _, err := tx.ExecContext(ctx, q, event[:]); err != nil {
				return fmt.Errorf("taking the mark of an erasure away: %w", err)
			}
		}
		return nil
	})
}

// Unended returns the erasures of a gateway of which nobody noted an end. A gateway asks when it
// starts, while none of its own are under way.
func (s *Store) Unended(ctx context.Context, gateway string) (events [][16]byte, err error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for erasures that did not end: %w", err)
	}
	defer tx.Rollback()
	err = each(ctx, tx, `SELECT DISTINCT event FROM hold_passed WHERE gateway = $1 AND ended = 0 ORDER BY event`, func(rows *sql.Rows) error {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return err
		}
		if len(b) != 16 {
			return errors.New("the id of an event has a wrong length")
		}
		events = append(events, [16]byte(b))
		return nil
	}, gateway)
	if err != nil {
		return nil, fmt.Errorf("looking for erasures that did not end: %w", err)
	}
	return events, nil
}

// Held implements the Holds of package retention: whether a hold is in force for the subject of
// a duty, its pseudonym in hexadecimal digits. What is no pseudonym nobody can compare with
// holds: it is held while any hold is in force.
func (s *Store) Held(ctx context.Context, tx *sql.Tx, subject string) (bool, error) {
	mode := ""
	if s.db.Dialect == store.Postgres {
		mode = " FOR SHARE"
	}
	if err := s.lockFor(ctx, tx, mode); err != nil {
		return false, err
	}
	var p index.Person
	if raw, err := hex.DecodeString(subject); err != nil || len(raw) != len(p) {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM hold WHERE state <> 'lifted'`).Scan(&n); err != nil {
			return false, fmt.Errorf("looking for holds: %w", err)
		}
		return n > 0, nil
	} else {
		copy(p[:], raw)
	}
	err := s.stopped(ctx, tx, []index.Person{p})
	var held *HeldError
	if errors.As(err, &held) || errors.Is(err, index.ErrTooMany) {
		return true, nil
	}
	return false, err
}

// stopped returns a *HeldError for the oldest hold in force that covers one of the persons.
func (s *Store) stopped(ctx context.Context, tx *sql.Tx, persons []index.Person) error {
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM hold WHERE state <> 'lifted'`).Scan(&n); err != nil || n == 0 || len(persons) == 0 {
		return err
	}
	all, err := index.SameIn(ctx, tx, persons)
	if err != nil {
		return err
	}
	found, err := covering(ctx, tx, all, "")
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return &HeldError{Hold: found[0].ID, Matter: found[0].Matter}
	}
	return nil
}

// late notes for which erasures a hold that is being placed comes too late, and counts them.
// Of one that ended the index knows nothing any more, so the hold has to name the person. Of
// one that is under way it may have forgotten the records: then a hold by records or queries,
// byRecord, is told in doubt.
func (s *Store) late(ctx context.Context, tx *sql.Tx, id string, byRecord bool, now time.Time) (n int, err error) {
	begun := make(map[[16]byte]int64)
	err = each(ctx, tx, `SELECT DISTINCT m.event, m.begun FROM hold_passed m JOIN hold_person p ON p.person = m.person WHERE p.hold = $1 AND m.ended >= $2`, func(rows *sql.Rows) error {
		var event []byte
		var at int64
		err := rows.Scan(&event, &at)
		begun[eventID(event)] = at
		return err
	}, id, max(now.Add(-keptMark).UnixMilli(), 1))
	if err != nil {
		return 0, err
	}
	type mark struct {
		begun   int64
		persons []index.Person
	}
	open := make(map[[16]byte]mark)
	err = each(ctx, tx, `SELECT event, person, begun FROM hold_passed WHERE ended = 0`, func(rows *sql.Rows) error {
		var event, person []byte
		var m mark
		if err := rows.Scan(&event, &person, &m.begun); err != nil {
			return err
		}
		var p index.Person
		copy(p[:], person)
		e := eventID(event)
		m.persons = append(open[e].persons, p)
		open[e] = m
		return nil
	})
	if err != nil {
		return 0, err
	}
	for event, m := range open {
		if byRecord {
			unknown, err := unrecorded(ctx, tx, m.persons)
			if err != nil {
				return 0, err
			}
			if unknown {
				begun[event] = m.begun
				continue
			}
		}
		all, err := index.SameIn(ctx, tx, m.persons)
		if errors.Is(err, index.ErrTooMany) {
			begun[event] = m.begun // nobody can say whom the hold names
			continue
		}
		if err != nil {
			return 0, err
		}
		found, err := covering(ctx, tx, all, id)
		if err != nil {
			return 0, err
		}
		if len(found) > 0 {
			begun[event] = m.begun
		}
	}
	for event, at := range begun {
		if _, err := tx.ExecContext(ctx, `INSERT INTO hold_late (hold, event, begun) VALUES ($1, $2, $3)`, id, event[:], at); err != nil {
			return 0, err
		}
	}
	return len(begun), nil
}

// unrecorded tells whether the index has no record of one of the persons.
func unrecorded(ctx context.Context, tx *sql.Tx, persons []index.Person) (bool, error) {
	for _, p := range persons {
		var has bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM record_person WHERE person = $1)`, p[:]).Scan(&has); err != nil || !has {
			return err == nil, err
		}
	}
	return false, nil
}

func eventID(b []byte) (e [16]byte) {
	copy(e[:], b)
	return e
}

// seenWithin is how exact the index knows when a record was last seen.
const seenWithin = 10 * time.Minute

// above are the records that name one of the persons, with all that they hang on. UNION ends a
// circle, which a vendor's records may hang in.
var above = `WITH RECURSIVE above (kind, name) AS (
	SELECT kind, name FROM record_person WHERE person IN (PERSONS)
	UNION SELECT r.parent_kind, r.parent FROM above a JOIN record r ON r.kind = a.kind AND r.name = a.name WHERE r.parent <> '') `

// coverings find holds that cover persons: by name, by a record, by a query.
var coverings = [...]string{
	`SELECT DISTINCT h.id, h.matter, h.placed FROM hold_person p JOIN hold h ON h.id = p.hold WHERE p.person IN (PERSONS)`,
	above + `SELECT DISTINCT h.id, h.matter, h.placed FROM above a JOIN record_kind k ON k.id = a.kind
		JOIN hold_record s ON s.channel = k.channel AND s.host = k.host AND s.type = k.type AND s.name = a.name JOIN hold h ON h.id = s.hold WHERE 1 = 1`,
	above + `SELECT DISTINCT h.id, h.matter, h.placed FROM above a JOIN record_kind k ON k.id = a.kind
		JOIN hold_query q ON q.channel = k.channel AND (q.host = '' OR q.host = k.host) AND (q.type = '' OR q.type = k.type) JOIN hold h ON h.id = q.hold
		LEFT JOIN record r ON r.kind = a.kind AND r.name = a.name
		WHERE (q.until = 0 OR coalesce(r.created, 0) = 0 OR r.created < q.until) AND (q.since = 0 OR r.last_seen IS NULL OR r.last_seen + ` + strconv.FormatInt(seenWithin.Milliseconds(), 10) + ` >= q.since)`,
}

// covering returns the holds in force that cover one of the persons, or only the one of the
// id: those that name a person first, the oldest first.
func covering(ctx context.Context, tx *sql.Tx, persons []index.Person, only string) (found []Hold, err error) {
	args := make([]any, 0, len(persons)+1)
	for _, p := range persons {
		args = append(args, p[:])
	}
	one := ""
	if only != "" {
		args = append(args, only)
		one = fmt.Sprintf(" AND h.id = $%d", len(args))
	}
	for _, q := range coverings {
		query := strings.ReplaceAll(q, "PERSONS", places(len(persons))) + ` AND h.state <> 'lifted'` + one + ` ORDER BY h.placed, h.id LIMIT 10`
		if err := each(ctx, tx, query, func(rows *sql.Rows) error {
			var h Hold
			var placed int64
			err := rows.Scan(&h.ID, &h.Matter, &placed)
			found = append(found, h)
			return err
		}, args...); err != nil {
			return nil, fmt.Errorf("looking for holds: %w", err)
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, nil
}
