package request

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/index"
)

// Note notes what became of things, in place of what was noted of them before. rest, where it
// is not empty, is the result of every record of the proven names, and of the names that are
// one with them, of which nothing is noted yet. Nothing is noted as destroyed unless the person proved
// again who they are, a day before at most. ErrUnproven, ErrWish.
func (s *Store) Note(ctx context.Context, id, by string, items []Item, rest string) (Request, error) {
	if len(items) == 0 && rest == "" || len(items) > MaxItems {
		return Request{}, wish("items: want 1 to %d", MaxItems)
	}
	for i := range items {
		if err := s.checkItem(ctx, &items[i]); err != nil {
			return Request{}, err
		}
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return Request{}, err
	}
	if !r.proven() {
		return Request{}, ErrUnproven
	}
	if len(results[r.Kind]) == 0 {
		return Request{}, wish("a request of this kind sets a flag, and is about no things")
	}
	if rest != "" {
		switch rest {
		case KeptHold, KeptStatute:
			return Request{}, wish("rest: a hold or a statute is named for each thing")
		case NotFound, Withheld:
			return Request{}, wish("rest: these records are known: that one was not found, or belongs to others as well, is found out for each")
		}
		left, err := s.left(ctx, id, MaxAllItems)
		if err != nil {
			return Request{}, err
		}
		for _, place := range left {
			if !slices.ContainsFunc(items, func(i Item) bool { return i.Place == place }) {
				items = append(items, Item{Place: place, Result: rest})
			}
		}
		if len(items) == 0 {
			return Request{}, wish("rest: nothing is left")
		}
	}
	if err := s.ofPerson(ctx, id, items); err != nil {
		return Request{}, err
	}
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		if !r.proven() {
			return ErrUnproven
		}
		attrs, begun := map[string]string{}, r.Begun
		counts := map[string]int{}
		for _, it := range items {
			if !slices.Contains(results[r.Kind], it.Result) {
				return wish("result: of %s there are %s", r.Kind, strings.Join(results[r.Kind], ", "))
			}
			if destroys(it.Result) && begun.IsZero() {
				if r.Again.IsZero() || now.Before(r.Again) || now.Sub(r.Again) >= againFor {
					return wish("before anything is destroyed the person proves again who they are, %d hours before at most: see reauthenticate", int(againFor.Hours()))
				}
				begun = now
			}
			if it.Result == KeptStatute && it.Until < now.UTC().Format(time.DateOnly) {
				return wish("until: that day is over, and nothing is kept by it")
			}
			if it.Place == Everything && (len(items) > 1 || len(r.Items) > 0) {
				return wish("item: %q is for a person of whom nothing is known, and stands alone", Everything)
			}
			counts[it.Result]++
		}
		if _, err := tx.ExecContext(ctx, `UPDATE request SET begun = $1 WHERE id = $2`, store.Millis(begun), id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM request_item WHERE request = $1 AND place = $2`, id, Everything); err != nil {
			return err
		}
		put, err := tx.PrepareContext(ctx, `INSERT INTO request_item (request, place, result, hold, statute, until, at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (request, place) DO UPDATE SET result = excluded.result, hold = excluded.hold, statute = excluded.statute, until = excluded.until, at = excluded.at, actor = excluded.actor`)
		if err != nil {
			return err
		}
		defer put.Close()
		for _, it := range items {
			if _, err := put.ExecContext(ctx, id, it.Place, it.Result, it.Hold, it.Statute, it.Until, store.Millis(now), by); err != nil {
				return err
			}
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM request_item WHERE request = $1`, id).Scan(&n); err != nil {
			return err
		}
		if n > MaxAllItems {
			return wish("items: a request has at most %d", MaxAllItems)
		}
		s.step("items")
		for result, n := range counts {
			attrs[result] = strconv.Itoa(n)
		}
		return s.note(ctx, tx, id, EventItems, by, attrs, now)
	})
}

func (s *Store) checkItem(ctx context.Context, it *Item) error {
	_, record := recordOf(it.Place)
	switch {
	case it.Place != Everything && !record && !number.MatchString(it.Place):
		return wish("item: want CHANNEL/HOST/TYPE/ID, the code of a system, or %q", Everything)
	case it.Place == Everything && it.Result != NotFound:
		return wish("item: of %q there is only %s", Everything, NotFound)
	case (it.Hold != "") != (it.Result == KeptHold):
		return wish("item: %s names a hold, and nothing else does", KeptHold)
	case (it.Statute != "" || it.Until != "") && it.Result != KeptStatute, it.Result == KeptStatute && !code.MatchString(it.Statute):
		return wish("item: %s names a statute as a code, and until when; nothing else does", KeptStatute)
	}
	if it.Result == KeptStatute {
		if _, err := time.Parse(time.DateOnly, it.Until); err != nil {
			return wish("until: want the last day, as 2030-12-31")
		}
	}
	if it.Result == KeptHold {
		held, err := s.HoldInForce(ctx, it.Hold)
		if err != nil {
			return err
		}
		if !held {
			return wish("hold: there is none of this id in force")
		}
	}
	return nil
}

// recordOf reads CHANNEL/HOST/TYPE/ID.
func recordOf(place string) (index.Record, bool) {
	p := strings.SplitN(place, "/", 4)
	if len(p) != 4 {
		return index.Record{}, false
	}
	r := index.Record{Channel: p[0], Host: p[1], Type: p[2], ID: p[3]}
	return r, r.Valid() && len(place) <= maxPlace
}

// maxPlace bounds the place of a record, in bytes.
const maxPlace = 1024

// PlaceOf writes the place of a record.
func PlaceOf(r index.Record) string {
	return r.Channel + "/" + r.Host + "/" + r.Type + "/" + r.ID
}

// ofPerson refuses records that are known to be of others and not of the person.
func (s *Store) ofPerson(ctx context.Context, id string, items []Item) error {
	var persons []index.Person
	for _, it := range items {
		rec, ok := recordOf(it.Place)
		if !ok {
			continue
		}
		named, err := s.Index.PersonsOf(ctx, rec)
		if err != nil {
			return err
		}
		if len(named) == 0 {
			continue // nobody knows the record, or the person was erased
		}
		if persons == nil {
			if persons, err = s.Persons(ctx, id, true); err != nil {
				return err
			}
		}
		if !slices.ContainsFunc(named, func(p index.Person) bool { return slices.Contains(persons, p) }) {
			return wish("item: a record is known to be of others, and not of the names that are proven")
		}
	}
	return nil
}

// Persons are the pseudonyms whose records may be shown for a request: of its names that were
// proven, sorted. With linked those are among them that the index says are the same persons'.
// ErrUnproven when nobody has found out who the person is; ErrWish when the request is closed.
func (s *Store) Persons(ctx context.Context, id string, linked bool) ([]index.Person, error) {
	tx, err := s.DB.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading a request: %w", err)
	}
	defer tx.Rollback()
	r, err := s.read(ctx, tx, id, "")
	if err != nil {
		return nil, err
	}
	switch {
	case r.State != Open:
		return nil, wish("it is %s: its records are shown no more", r.State)
	case unproven(r.Kind):
		return nil, wish("nobody proves who they are for this, so no records are shown")
	case !r.proven():
		return nil, ErrUnproven
	}
	var out []index.Person
	for _, p := range r.people {
		if r.opens(p.Verified) {
			out = append(out, p.Person)
		}
	}
	if len(out) == 0 {
		return nil, wish("two things that both know are not enough to show records in California (11 CCR 7024(a)): verify in another way, or answer with categories")
	}
	if linked {
		if out, err = index.SameIn(ctx, tx, out); err != nil {
			if errors.Is(err, index.ErrTooMany) {
				return nil, wish("%v", err)
			}
			return nil, err
		}
	}
	return out, nil
}

// left lists the places of records that the index knows of the person and of which nothing is
// noted, up to limit.
func (s *Store) left(ctx context.Context, id string, limit int) (places []string, err error) {
	persons, err := s.Persons(ctx, id, true)
	if err != nil {
		return nil, err
	}
	noted := map[string]bool{}
	list, err := store.List(ctx, s.DB, store.Scanned[string], `SELECT place FROM request_item WHERE request = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("reading the items of a request: %w", err)
	}
	for _, p := range list {
		noted[p] = true
	}
	var after index.Record
	for len(places) < limit {
		page, err := s.Index.Of(ctx, persons, after, pageSize)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if p := PlaceOf(e.Record); !noted[p] && len(places) < limit {
				places = append(places, p)
			}
		}
		if len(page) < pageSize {
			return places, nil
		}
		after = page[len(page)-1].Record
	}
	return places, nil
}

const pageSize = 500

// Items lists what became of things, in the order of places behind after, up to limit.
// ErrUnproven, ErrNone.
func (s *Store) Items(ctx context.Context, id, after string, limit int) ([]Item, error) {
	r, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !r.proven() {
		return nil, ErrUnproven
	}
	list, err := store.List(ctx, s.DB, func(row store.Row) (it Item, err error) {
		var at int64
		err = row.Scan(&it.Place, &it.Result, &it.Hold, &it.Statute, &it.Until, &at, &it.By)
		it.At = store.Moment(at)
		return it, err
	}, `SELECT place, result, hold, statute, until, at, actor FROM request_item WHERE request = $1 AND place > $2 ORDER BY place LIMIT $3`, id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("reading the items of a request: %w", err)
	}
	return list, nil
}

// Answer closes a request that was answered. notice names what the person was told. Of access,
// portability and deletion every record that the index knows has a result then, and nothing is
// left to be done by hand.
func (s *Store) Answer(ctx context.Context, id, by, notice string) (Request, error) {
	if !code.MatchString(notice) {
		return Request{}, errNotice
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return Request{}, err
	}
	if !r.proven() {
		return Request{}, ErrUnproven
	}
	if whole(r.Kind) && (r.Kind == Deletion || r.shown()) {
		left, err := s.left(ctx, id, 1)
		if err != nil {
			return Request{}, err
		}
		if len(left) > 0 {
			return Request{}, wish("of some records that are known of the person nobody has noted what became of them: see the records, and note")
		}
	}
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		switch {
		case !r.proven():
			return ErrUnproven
		case len(results[r.Kind]) > 0 && len(r.Items) == 0:
			return wish("nothing is noted: note what became of each thing, or %q as %s", Everything, NotFound)
		case r.Items[ByHand] > 0:
			return wish("%d things are still to be done by hand", r.Items[ByHand])
		}
		return s.close(ctx, tx, r, now, by, Answered, "", notice, "")
	})
}

// Refuse closes a request that was refused. Reason is one that the law of the place knows for
// this kind; notice names what the person was told. Without a proof of who the person is it is
// refused only for a reason that says nothing about the person.
func (s *Store) Refuse(ctx context.Context, id, by, reason, notice string) (Request, error) {
	if !code.MatchString(notice) {
		return Request{}, errNotice
	}
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		l := laws[r.Place]
		switch {
		case !l.refusable(reason, r.Kind):
			return wish("reason: for this kind there are %s", l.reasons(r.Kind))
		case !r.proven() && !slices.Contains(blind, reason):
			return fmt.Errorf("%w; until then only %s refuse it", ErrUnproven, strings.Join(blind, ", "))
		case reason == ReasonIdentity && r.proven():
			return wish("reason: the person is known")
		case reason == ReasonAgent && !r.Agent:
			return wish("reason: no agent asks")
		}
		return s.close(ctx, tx, r, now, by, Refused, reason, notice, "")
	})
}

// Withdraw closes a request that the person takes back. notice names the record of that.
func (s *Store) Withdraw(ctx context.Context, id, by, notice string) (Request, error) {
	if !code.MatchString(notice) {
		return Request{}, errNotice
	}
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		return s.close(ctx, tx, r, now, by, Withdrawn, "", notice, "")
	})
}

// DuplicateOf closes a request that another one of the same kind answers, by one of the same
// names, that came before and is open. The other's person is known, unless nobody needs to
// be: somebody who asks in another's name first takes nothing from them.
func (s *Store) DuplicateOf(ctx context.Context, id, by, other, notice string) (Request, error) {
	if !code.MatchString(notice) {
		return Request{}, errNotice
	}
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		dups, err := s.duplicates(ctx, tx, r)
		if err != nil {
			return err
		}
		if !slices.Contains(dups, other) {
			return wish("other: it is no open request of this kind by a name of this one")
		}
		first, err := s.read(ctx, tx, other, "")
		if err != nil {
			return err
		}
		switch {
		case first.Received.After(r.Received) || first.Place != r.Place:
			return wish("other: it came later, or is of another place: its clock is another")
		case !first.proven():
			return wish("other: nobody has found out who asks there; close that one")
		}
		// What is proven there must be what is asked here.
		for _, p := range r.people {
			if !slices.ContainsFunc(first.people, func(o person) bool {
				return o.Person == p.Person && (unproven(r.Kind) || !o.At.IsZero())
			}) {
				return wish("other: it does not cover each name of this one with a proof")
			}
		}
		return s.close(ctx, tx, r, now, by, Duplicate, "", notice, other)
	})
}

func (s *Store) close(ctx context.Context, tx *sql.Tx, r *Request, now time.Time, by, state, reason, notice, other string) error {
	attrs := map[string]string{"outcome": state, "notice": notice, "kind": r.Kind}
	answer := r.duty(Respond)
	due := answer.LegalDue
	if state == Refused && !r.RefuseBy.IsZero() {
		due = r.RefuseBy
	}
	if !answer.at(now).Before(due) {
		attrs["late"] = "yes"
	}
	for name, v := range map[string]string{"reason": reason, "other": other} {
		if v != "" {
			attrs[name] = v
		}
	}
	for result, n := range r.Items {
		attrs[result] = strconv.Itoa(n)
	}
	for i := range r.Duties {
		if d := &r.Duties[i]; d.Done.IsZero() {
			if err := s.end(ctx, tx, r.ID, d, state, notice, now); err != nil {
				return err
			}
		}
	}
	s.step("ended")
	if _, err := tx.ExecContext(ctx, `UPDATE request SET state = $1, closed = $2, closed_by = $3, reason = $4, notice = $5, other = $6 WHERE id = $7`,
		state, store.Millis(now), by, reason, notice, other, r.ID); err != nil {
		return err
	}
	return s.note(ctx, tx, r.ID, EventClosed, by, attrs, now)
}
