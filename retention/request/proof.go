package request

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/clock"
)

// Verify notes that somebody found out that names are the person's. From then on the records of
// these names are shown, and a flag that needs it is set. A clock that stood still for it goes
// on.
func (s *Store) Verify(ctx context.Context, id, by string, c Check) (Request, error) {
	sets := false
	r, err := s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		if r.Failed >= maxFailed {
			return errFailed
		}
		var names []Name
		for _, n := range c.Names {
			if n < 1 || n > len(r.people) {
				return wish("names: they are numbers from 1 to %d", len(r.people))
			}
		}
		if len(c.Names) == 0 && len(r.people) > 1 {
			return wish("names: the request has %d; say which ones were proven, each by itself", len(r.people))
		}
		authority := r.Authority
		switch {
		case r.Agent && authority == "" && !slices.Contains(Authorities(), c.Authority):
			return wish("authority: an agent asks; say with what right: %s", strings.Join(Authorities(), ", "))
		case !r.Agent && (c.Authority != "" || c.Method == ByAttorney):
			return wish("authority: no agent asks")
		case c.Method == ByAttorney && c.Authority != ByAttorney:
			return wish("authority: a power of attorney is with what right the agent asks, too")
		case c.Authority != "":
			if !slices.Contains(Authorities(), c.Authority) {
				return wish("authority: there are %s", strings.Join(Authorities(), ", "))
			}
			authority = c.Authority
		}
		at, err := s.checked(ctx, tx, r, by, "identity", c, now)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE request SET authority = $1 WHERE id = $2`, authority, id); err != nil {
			return err
		}
		fresh := false
		for i, p := range r.people {
			if len(c.Names) > 0 && !slices.Contains(c.Names, i+1) {
				continue
			}
			names = append(names, p.Name)
			fresh = fresh || p.At.IsZero()
			if _, err := tx.ExecContext(ctx, `UPDATE request_person SET verified = $1, method = $2 WHERE request = $3 AND n = $4`, store.Millis(at), c.Method, id, i+1); err != nil {
				return err
			}
		}
		if fresh {
			// The second check was about the names that were known then.
			if _, err := tx.ExecContext(ctx, `UPDATE request SET again = 0, begun = 0 WHERE id = $1`, id); err != nil {
				return err
			}
		}
		s.step("verified")
		attrs := map[string]string{"method": c.Method, "proof": c.Proof, "checked": stamp(at), "names": strconv.Itoa(len(names))}
		if authority != "" {
			attrs["authority"] = authority
		}
		if flags[r.Kind] != "" && !unproven(r.Kind) {
			sets = true
			if err := s.flag(ctx, tx, id, r.Kind, by, names, now); err != nil {
				return err
			}
			attrs["flag"] = flags[r.Kind]
		}
		if d := r.duty(Respond); d.PauseCause == ReasonIdentity {
			// It stood still until the check was made, not until somebody noted it.
			o, err := s.Duties.In(ctx, tx, d.ID)
			if err != nil {
				return err
			}
			resumed := at
			if last := o.Clock[len(o.Clock)-1].At; resumed.Before(last) {
				resumed = last
			}
			if err := s.happened(ctx, tx, d, clock.Event{Kind: clock.Resumed, At: resumed, Actor: subject(id), Reason: "verified"}); err != nil {
				return err
			}
			attrs["resumed"] = "yes"
		}
		return s.note(ctx, tx, id, EventVerified, by, attrs, now)
	})
	if sets {
		s.Index.FlagsSet()
	}
	return r, err
}

var errFailed = wish("%d checks have failed: refuse it, and have the person ask anew", maxFailed)

// checked stores a check, which counts once.
func (s *Store) checked(ctx context.Context, tx *sql.Tx, r *Request, by, purpose string, c Check, now time.Time) (time.Time, error) {
	if unproven(r.Kind) {
		return time.Time{}, wish("nobody proves who they are for this: the flag is set")
	}
	if !slices.Contains(Methods(), c.Method) {
		return time.Time{}, wish("method: there are %s", strings.Join(Methods(), ", "))
	}
	if !number.MatchString(c.Proof) {
		return time.Time{}, wish("proof: want the number of the record of the check: 1 to 64 letters, digits, dashes and underscores")
	}
	at, err := r.moment(c.At, now)
	if err != nil {
		return at, err
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO request_check (proof, request, purpose, method, at, noted, actor) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (proof) DO NOTHING`,
		c.Proof, r.ID, purpose, c.Method, store.Millis(at), store.Millis(now), by)
	if err != nil {
		return at, err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return at, errors.Join(err, wish("proof: a check counts once, and this one has"))
	}
	return at, nil
}

// VerifyFailed notes that a check did not find the person to be who they say.
func (s *Store) VerifyFailed(ctx context.Context, id, by string, c Check) (Request, error) {
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		at, err := s.checked(ctx, tx, r, by, "failed", c, now)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE request SET failed = failed + 1, again = 0 WHERE id = $1`, id); err != nil {
			return err
		}
		return s.note(ctx, tx, id, EventFailed, by, map[string]string{"method": c.Method, "proof": c.Proof, "checked": stamp(at), "failed": strconv.Itoa(r.Failed + 1)}, now)
	})
}

// Reauthenticated notes that a person who asks for deletion proved again who they are. It is a
// check of its own, made after the first.
func (s *Store) Reauthenticated(ctx context.Context, id, by string, c Check) (Request, error) {
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		if r.Kind != Deletion {
			return wish("only who asks for deletion proves again who they are")
		}
		if !r.proven() {
			return ErrUnproven
		}
		if r.Failed >= maxFailed {
			return errFailed
		}
		at, err := s.checked(ctx, tx, r, by, "again", c, now)
		if err != nil {
			return err
		}
		for _, p := range r.people {
			if at.Before(p.At) {
				return wish("at: the person proves again who they are after the first time")
			}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE request SET again = $1 WHERE id = $2`, store.Millis(at), id); err != nil {
			return err
		}
		return s.note(ctx, tx, id, EventAgain, by, map[string]string{"method": c.Method, "proof": c.Proof, "checked": stamp(at)}, now)
	})
}
