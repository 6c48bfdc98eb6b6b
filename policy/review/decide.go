package review

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Decision is what one reviewer says about some items.
type Decision struct {
	// Items are numbers of items, What is Keep or Revoke.
	Items []int
	What  string
	// Reviewer is the ID of the actor who decides; Reason and Ticket say why.
	Reviewer, Reason, Ticket string
}

// Decide notes a decision about items, all of them or none. An earlier one gives way. own
// tells whether an item is the reviewer's own right. ErrNone, ErrWish, ErrOwn.
func (s *Store) Decide(ctx context.Context, id string, d Decision, own func(Item) bool) error {
	if d.What != Keep && d.What != Revoke || d.Reviewer == "" {
		return fmt.Errorf("%w: the decision is %s or %s", ErrWish, Keep, Revoke)
	}
	why, err := s.sealed(ctx, id, d.Reason)
	if err != nil {
		return fmt.Errorf("deciding in a review: %w", err)
	}
	return s.change(ctx, id, Open, func(tx *sql.Tx, _ *Review) error {
		items, err := s.items(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, n := range d.Items {
			if n < 1 || n > len(items) {
				return fmt.Errorf("%w: there is no item %d; there are 1 to %d", ErrWish, n, len(items))
			}
			if own(items[n-1]) {
				return fmt.Errorf("%w: item %d", ErrOwn, n)
			}
			if _, err := tx.ExecContext(ctx, `UPDATE review_item SET decision = $1, reviewer = $2, why = $3, ticket = $4, decided = $5 WHERE review = $6 AND n = $7`,
				d.What, d.Reviewer, why, d.Ticket, store.Millis(s.now()), id, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// change changes a review that is in a state, while nobody else does.
func (s *Store) change(ctx context.Context, id, state string, do func(tx *sql.Tx, r *Review) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("changing a review: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	r, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM review WHERE id = $1`+s.db.ForUpdate(), id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrNone
	case err != nil:
		return fmt.Errorf("changing a review: %w", err)
	case r.State != state:
		return fmt.Errorf("%w: it is %s", ErrWish, r.State)
	}
	if err := do(tx, &r); err != nil {
		return fmt.Errorf("changing a review: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("changing a review: %w", err)
	}
	return nil
}

// Closer is who closes a review.
type Closer struct {
	// By is the ID of the actor, Agreed are the others who agreed.
	By     string
	Agreed []string
	Ticket string
	// Decisions is what Decisions returned when the others agreed; empty where nobody had
	// to. A review in which something else was decided since is not closed.
	Decisions string
}

// Close ends the deciding. What is revoked and can be carried out is pending from then on.
// ErrNone; ErrWish while items are undecided, or when others agreed to other decisions.
func (s *Store) Close(ctx context.Context, id string, c Closer) error {
	return s.change(ctx, id, Open, func(tx *sql.Tx, _ *Review) error {
		items, err := s.items(ctx, tx, id)
		if err != nil {
			return err
		}
		if c.Decisions != "" && decisions(items) != c.Decisions {
			return fmt.Errorf("%w: something was decided meanwhile", ErrWish)
		}
		undecided := 0
		for _, it := range items {
			if it.Decision == "" {
				undecided++
			}
		}
		if undecided > 0 {
			return fmt.Errorf("%w: %d of %d items are undecided", ErrWish, undecided, len(items))
		}
		for _, it := range items {
			if it.Decision != Revoke {
				continue
			}
			outcome := Pending
			if it.Action == ActByHand {
				outcome = ByHand
			}
			if _, err := tx.ExecContext(ctx, `UPDATE review_item SET outcome = $1, event = $2 WHERE review = $3 AND n = $4`, outcome, draw(), id, it.Number); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE review SET state = 'closing', closing = $1, closed_by = $2, agreed = $3, close_ticket = $4, event = $5 WHERE id = $6`,
			store.Millis(s.now()), c.By, strings.Join(c.Agreed, ","), c.Ticket, draw(), id)
		return err
	})
}

// Decisions describes what is decided in a review as it stands, for others to agree to. It
// holds nothing personal. ErrNone.
func (s *Store) Decisions(ctx context.Context, id string) (string, error) {
	_, items, err := s.Get(ctx, id)
	if err != nil {
		return "", err
	}
	return decisions(items), nil
}

func decisions(items []Item) string {
	var b strings.Builder
	for _, it := range items {
		fmt.Fprintf(&b, "%d %s %s %d\n", it.Number, it.Decision, it.Reviewer, store.Millis(it.Decided))
	}
	return b.String()
}

// leaseTime is for how long one gateway of several carries a review out before another one
// takes over. What it does is then done twice, which does no harm.
const leaseTime = 2 * time.Minute

// CarryOut goes through the reviews that are closing: do carries out an item that is pending,
// one of items, and writes its event, end writes the report and the event that says the review is closed,
// with what of the report was kept by an earlier try, nil before the first. It is called
// until neither fails: an item that fails keeps no other one waiting, and end waits for all.
// On PostgreSQL another gateway may be at it, or take over; then it does nothing more.
func (s *Store) CarryOut(ctx context.Context, do func(ctx context.Context, r Review, items []Item, it Item) error, end func(ctx context.Context, r Review, items []Item, report []byte) error) error {
	list, err := s.List(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, r := range list {
		if r.State != Closing {
			continue
		}
		if err := s.carryOut(ctx, r, do, end); err != nil {
			failed = errors.Join(failed, fmt.Errorf("carrying out review %s: %w", r.ID, err))
		}
	}
	return failed
}

func (s *Store) carryOut(ctx context.Context, r Review, do func(context.Context, Review, []Item, Item) error, end func(context.Context, Review, []Item, []byte) error) error {
	hold := func() (bool, error) { return true, nil } // a directory of SQLite files has one gateway
	if s.db.Dialect == store.Postgres {
		// The lease is whose value it has: who takes over after its end gives it a later one.
		now := s.now()
		lease := store.Millis(now.Add(leaseTime))
		took, err := s.changed(ctx, `UPDATE review SET lease = $1 WHERE id = $2 AND state = 'closing' AND lease <= $3`, lease, r.ID, store.Millis(now))
		if err != nil || !took {
			return err
		}
		defer func() {
			_, _ = s.changed(context.WithoutCancel(ctx), `UPDATE review SET lease = 0 WHERE id = $1 AND lease = $2`, r.ID, lease) // else it ends by itself
		}()
		hold = func() (bool, error) {
			longer := max(lease, store.Millis(s.now().Add(leaseTime)))
			held, err := s.changed(ctx, `UPDATE review SET lease = $1 WHERE id = $2 AND state = 'closing' AND lease = $3`, longer, r.ID, lease)
			if held {
				lease = longer
			}
			return held, err
		}
	}
	// Another one may have gone on before the lease was had.
	r, items, err := s.Get(ctx, r.ID)
	if err != nil || r.State != Closing {
		return err
	}
	var failed error
	failures := 0
	for _, it := range items {
		if it.Outcome != Pending {
			continue
		}
		if held, err := hold(); err != nil || !held {
			return errors.Join(failed, err)
		}
		// A crash in do, or before the next statement: it is done again. What it does is the
		// same whether done once or twice, and its event has the ID that was drawn.
		if err := do(ctx, r, items, it); err != nil {
			if failures++; failed == nil {
				failed = fmt.Errorf("item %d: %w", it.Number, err)
			}
			if ctx.Err() != nil {
				return failed
			}
			continue
		}
		if _, err := s.db.ExecContext(ctx, `UPDATE review_item SET outcome = 'done', done = $1 WHERE review = $2 AND n = $3`, store.Millis(s.now()), r.ID, it.Number); err != nil {
			return err
		}
	}
	if failed != nil {
		return fmt.Errorf("%d items failed, the first: %w", failures, failed)
	}
	if held, err := hold(); err != nil || !held {
		return err
	}
	report, err := s.Report(ctx, r.ID)
	if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	if items, err = s.items(ctx, s.db, r.ID); err != nil {
		return err
	}
	if err := end(ctx, r, items, report); err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `UPDATE review SET state = 'closed', closed = $1 WHERE id = $2 AND state = 'closing'`, store.Millis(s.now()), r.ID)
	return err
}

// changed tells whether a statement changed a row.
func (s *Store) changed(ctx context.Context, query string, args ...any) (bool, error) {
	res, err := s.db.ExecContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// SetReport keeps the report of a review that is closing. digest is what the event will
// say. The first one stays; ErrWish for a second.
func (s *Store) SetReport(ctx context.Context, id string, report, digest []byte) error {
	sealed, err := s.sealed(ctx, id, report)
	if err != nil {
		return fmt.Errorf("keeping the report of a review: %w", err)
	}
	res, err := s.db.ExecContext(ctx, `UPDATE review SET report = $1, digest = $2 WHERE id = $3 AND state = 'closing' AND length(report) = 0`, sealed, digest, id)
	if err != nil {
		return fmt.Errorf("keeping the report of a review: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("%w: it has a report", ErrWish))
	}
	return nil
}

// Report is what SetReport kept. ErrNone while there is none.
func (s *Store) Report(ctx context.Context, id string) (report []byte, err error) {
	var stored []byte
	err = s.db.QueryRowContext(ctx, `SELECT report FROM review WHERE id = $1`, id).Scan(&stored)
	if errors.Is(err, sql.ErrNoRows) || err == nil && len(stored) == 0 {
		return nil, ErrNone
	}
	if err == nil {
		err = s.opened(ctx, id, stored, &report)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the report of a review: %w", err)
	}
	return report, nil
}

// Import keeps the accounts of a source, in place of what was imported of it before. ErrWish
// when there are MaxSources others; two calls at one moment may make one more.
func (s *Store) Import(ctx context.Context, in Import) error {
	var others int
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM review_import WHERE source <> $1`, in.Source).Scan(&others); err != nil {
		return fmt.Errorf("keeping accounts: %w", err)
	}
	if others >= MaxSources {
		return fmt.Errorf("%w: there are %d sources already, and can be no more", ErrWish, others)
	}
	sealed, err := s.sealed(ctx, importName(in.Source), in.Accounts)
	if err != nil {
		return fmt.Errorf("keeping accounts: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, `INSERT INTO review_import (source, format, at, by_whom, count, digest, accounts) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (source) DO UPDATE SET format = excluded.format, at = excluded.at, by_whom = excluded.by_whom, count = excluded.count, digest = excluded.digest, accounts = excluded.accounts`,
		in.Source, in.Format, store.Millis(s.now()), in.By, len(in.Accounts), in.Digest, sealed); err != nil {
		return fmt.Errorf("keeping accounts: %w", err)
	}
	return nil
}

// importName is what accounts of a source are sealed under. No review is called so.
func importName(source string) string { return "import:" + source }

// Imports returns the newest import of each source, by name, with its accounts.
func (s *Store) Imports(ctx context.Context) ([]Import, error) {
	list, err := store.List(ctx, s.db, func(row store.Row) (in Import, err error) {
		var at int64
		var sealed []byte
		if err := row.Scan(&in.Source, &in.Format, &at, &in.By, &in.Count, &in.Digest, &sealed); err != nil {
			return in, err
		}
		in.At = store.Moment(at)
		return in, s.opened(ctx, importName(in.Source), sealed, &in.Accounts)
	}, `SELECT source, format, at, by_whom, count, digest, accounts FROM review_import ORDER BY source`)
	if err != nil {
		return nil, fmt.Errorf("reading imports: %w", err)
	}
	return list, nil
}

// Counts counts items by what was decided and what became of it.
func Counts(items []Item) (undecided, kept, revoked, byHand int) {
	for _, it := range items {
		switch {
		case it.Decision == "":
			undecided++
		case it.Decision == Keep:
			kept++
		case it.Action == ActByHand:
			byHand++
		default:
			revoked++
		}
	}
	return undecided, kept, revoked, byHand
}
