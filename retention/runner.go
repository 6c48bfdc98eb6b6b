package retention

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/clock"
)

const (
	// defaultLease is how long a claim holds. A step has half of it, so that it has ended
	// before another runner may begin.
	defaultLease = 2 * time.Minute
	// scanEvery is the time between two looks for what is due.
	scanEvery = 30 * time.Second
	// maxFailures in a row are some two hours of tries; after them what destroys waits for a
	// person. Everything else goes on trying: what tells somebody something is better late.
	maxFailures = 10
	// firstPause follows the first failure; each further one doubles it, up to longestPause.
	firstPause   = 30 * time.Second
	longestPause = 30 * time.Minute
	// heldPause lies between two looks at a duty that is held, and at one whose rule
	// this program does not know.
	heldPause = time.Hour
	// maxJump is how far the clock may step before it is suspect.
	maxJump = 5 * time.Minute
	// storeTime bounds the storing of an outcome, which the caller's context does not end.
	storeTime = time.Minute
)

// ErrPerson is wrapped by errors of steps that no repetition will mend.
var ErrPerson = errors.New("a person is needed")

// Later is the error of a step that has done its part for now and is to be called again: what
// it waits for somebody else has to do. It is no failure. After is at most an hour.
type Later struct{ After time.Duration }

// Error implements error.
func (l Later) Error() string { return "to be done again in " + l.After.String() }

// Kind is what a runner knows about duties of one kind.
type Kind struct {
	Name string
	// Destroys: its work takes something away for good. It is never done before the
	// clock's not_before, under a hold, or by a clock in doubt, and its rule is one that
	// says how long something is kept. All other kinds tell somebody something; they are
	// never late, and by a clock in doubt done at once.
	Destroys bool
	// Margin is how long before plan_by the work of a kind that does not destroy begins.
	Margin time.Duration
	// Steps in their order. Their names are stored: a released one is not changed.
	Steps []Step
}

// Step is one thing that is done outside of the database.
type Step struct {
	Name string
	// Do does it and returns a reference to the proof, a code. It may be called again
	// with the same Work.Key, after a failure or when a process was killed: a second call
	// has to leave things as one does, so with Work.Try above 1 it looks first whether it
	// has happened. It must end when ctx does. Later has it called again.
	Do func(ctx context.Context, w Work) (result string, err error)
}

// Work is what a step is told.
type Work struct {
	// Key is the same for each try of this step of this duty, and another for all
	// others: an idempotency key.
	Key        string
	Obligation string
	Subject    string
	// Try counts from 1.
	Try int
	// Suspect: it is done early because the clock is in doubt.
	Suspect bool
}

// Holds says what must not be destroyed. Held is called in the transaction in which the
// work of a step is claimed. Who sets a hold and Held must exclude each other by a row
// that both lock, so that a hold is either seen here or was set after the claim.
type Holds interface {
	Held(ctx context.Context, tx *sql.Tx, subject string) (bool, error)
}

// Entry is something that happened, to be put on record.
type Entry struct {
	// ID is the entry's own: the log keeps entries of one id once.
	ID string
	// Obligation is the duty, empty for what concerns the clock. Kind says what happened,
	// Step of which step.
	Obligation, Kind, Step string
	At                     time.Time
	// Body is JSON with codes and digests, and no data of a person.
	Body []byte
}

// Config is what a Runner needs.
type Config struct {
	Store *Store
	Kinds []Kind
	// Holds is needed by kinds that destroy.
	Holds Holds
	// Record puts an entry on record durably and returns its place in the log. It is
	// called again with the same entry after a crash.
	Record func(ctx context.Context, e Entry) (leaf string, err error)
	Log    *slog.Logger
}

// Runner carries out what is due. One goroutine uses it; any number of runners, in any
// number of processes, work on one database.
type Runner struct {
	cfg   Config
	lease time.Duration
	// mono is the monotonic clock; lastWall and lastMono are both clocks
	// at the last look.
	mono               func() time.Duration
	looked             bool
	lastWall, lastMono time.Duration
	// step is called at each step, by tests.
	step func(string)
}

// NewRunner checks the configuration.
func NewRunner(cfg Config) (*Runner, error) {
	if cfg.Store == nil || cfg.Record == nil || cfg.Log == nil {
		return nil, errors.New("a runner needs a store, a log to record in, and a logger")
	}
	seen := map[string]bool{}
	for _, k := range cfg.Kinds {
		if !code.MatchString(k.Name) || seen[k.Name] || len(k.Steps) == 0 || k.Margin < 0 || k.Destroys && k.Margin != 0 {
			return nil, fmt.Errorf("kind %.40q: a name of its own, steps, and a margin only if it does not destroy", k.Name)
		}
		seen[k.Name] = true
		if k.Destroys && cfg.Holds == nil {
			return nil, fmt.Errorf("kind %s destroys, and nobody says what is held", k.Name)
		}
		for _, s := range k.Steps {
			if name := k.Name + "/" + s.Name; !code.MatchString(s.Name) || s.Do == nil || seen[name] {
				return nil, fmt.Errorf("kind %s: a step without a name of its own or without work", k.Name)
			} else {
				seen[name] = true
			}
		}
	}
	begun := time.Now()
	return &Runner{cfg: cfg, lease: defaultLease, mono: func() time.Duration { return time.Since(begun) }, step: func(string) {}}, nil
}

// Run calls Once until ctx ends, pausing when nothing is due. Errors are logged: a
// database that is away comes back.
func (r *Runner) Run(ctx context.Context) {
	for ctx.Err() == nil {
		worked, err := r.Once(ctx)
		if err != nil && ctx.Err() == nil {
			r.cfg.Log.Error("carrying out duties", "error", err)
		}
		if worked && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(scanEvery):
		}
	}
}

// Once looks at the clock, does one step of one duty that is due, and puts on record what
// is not yet. It reports whether there was something to do.
func (r *Runner) Once(ctx context.Context) (worked bool, err error) {
	suspect, err := r.look(ctx)
	if err != nil {
		return false, err
	}
	begun := time.Now()
	c, err := r.claim(ctx, suspect)
	if err == nil && c != nil && c.kind != nil {
		r.step("claimed")
		// Counted from before the claim: a process that stood still after it is too late.
		doing, cancel := context.WithDeadline(ctx, begun.Add(r.lease/2))
		err = r.carryOut(ctx, doing, c)
		cancel()
	}
	// What was noted is recorded also when the step failed.
	n, errRecord := r.record(ctx)
	return c != nil || n > 0, errors.Join(err, errRecord)
}

// look compares the time with what was seen before, and notes when it is in doubt.
func (r *Runner) look(ctx context.Context) (suspect bool, err error) {
	s := r.cfg.Store
	err = s.write(ctx, func(tx *sql.Tx, _ time.Time) error {
		var high, since int64
		if err := tx.QueryRowContext(ctx, `SELECT high, suspect FROM obligation_time WHERE id = 1`+s.db.ForUpdate()).Scan(&high, &since); err != nil {
			return fmt.Errorf("reading the time seen last: %w", err)
		}
		// Who waited for the row asks both clocks afterwards.
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		mono := r.mono()
		wall := time.Duration(now.UnixMilli()) * time.Millisecond
		jumped := now.Before(time.UnixMilli(high).Add(-maxJump))
		if r.looked {
			jumped = jumped || ((wall-r.lastWall)-(mono-r.lastMono)).Abs() > maxJump
		}
		r.looked, r.lastWall, r.lastMono = true, wall, mono
		suspect = since != 0 || jumped
		switch {
		case jumped && since == 0:
			r.cfg.Log.Warn("the clock jumped: duties that destroy wait for a person, all others are done at once")
			if _, err := tx.ExecContext(ctx, `UPDATE obligation_time SET suspect = $1 WHERE id = 1`, max(now.UnixMilli(), 1)); err != nil {
				return fmt.Errorf("noting that the clock jumped: %w", err)
			}
			return s.note(ctx, tx, "", "clock.suspect", "", now, detail{})
		case !suspect && now.UnixMilli() > high:
			if _, err := tx.ExecContext(ctx, `UPDATE obligation_time SET high = $1 WHERE id = 1`, now.UnixMilli()); err != nil {
				return fmt.Errorf("noting the time: %w", err)
			}
		}
		return nil
	})
	return suspect, err
}

// claimed is the work of one claim. Without a kind the duty was found and put aside.
type claimed struct {
	Obligation
	kind *Kind
	n    int
	work Work
}

// claim takes one duty that is due: first of kinds that must not be late.
func (r *Runner) claim(ctx context.Context, suspect bool) (c *claimed, err error) {
	r.step("before the claim")
	for _, destroys := range []bool{false, true} {
		for i := range r.cfg.Kinds {
			k := &r.cfg.Kinds[i]
			if k.Destroys != destroys {
				continue
			}
			err = r.cfg.Store.write(ctx, func(tx *sql.Tx, now time.Time) error {
				c, err = r.claimOf(ctx, tx, k, now, suspect)
				r.step("claim rows")
				return err
			})
			if err != nil {
				return nil, err
			}
			if c != nil {
				return c, nil
			}
		}
	}
	return nil, nil
}

func (r *Runner) claimOf(ctx context.Context, tx *sql.Tx, k *Kind, now time.Time, suspect bool) (*claimed, error) {
	s := r.cfg.Store
	if k.Destroys {
		// Asked here and not taken from the look: another runner may have seen a jump since.
		var since int64
		if err := tx.QueryRowContext(ctx, `SELECT suspect FROM obligation_time WHERE id = 1`).Scan(&since); err != nil || since != 0 {
			return nil, err
		}
	}
	before := now.Add(k.Margin).UnixMilli()
	if suspect {
		before = 1 << 62
	}
	// Leases and pauses that end later than any can were stored by a clock that was
	// ahead: they are over. Row locks that somebody else holds are passed over; SQLite has
	// one writer.
	lock := ""
	if s.db.Dialect == store.Postgres {
		lock = " FOR UPDATE SKIP LOCKED"
	}
	at := now.UnixMilli()
	var id string
	err := tx.QueryRowContext(ctx, `SELECT id FROM obligation WHERE state = 'open' AND kind = $1 AND due <= $2
		AND (lease <= $3 OR lease > $4) AND (next_try <= $3 OR next_try > $5) ORDER BY due, id LIMIT 1`+lock,
		k.Name, before, at, now.Add(r.lease).UnixMilli(), now.Add(heldPause).UnixMilli()).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for duties: %w", err)
	}
	c := &claimed{kind: k}
	// later puts a duty aside for a while, person for good.
	later := func() (*claimed, error) {
		c.kind = nil
		if _, err := tx.ExecContext(ctx, `UPDATE obligation SET next_try = $1 WHERE id = $2`, now.Add(heldPause).UnixMilli(), id); err != nil {
			return nil, fmt.Errorf("putting a duty aside: %w", err)
		}
		return c, nil
	}
	person := func(reason string) (*claimed, error) {
		c.kind = nil
		if _, err := tx.ExecContext(ctx, `UPDATE obligation SET state = 'needs_human' WHERE id = $1`, id); err != nil {
			return nil, fmt.Errorf("putting a duty aside: %w", err)
		}
		r.cfg.Log.Error("a duty needs a person", "obligation", id, "reason", reason)
		return c, s.note(ctx, tx, id, "obligation.needs_human", "", now, detail{Reason: reason})
	}

	// The clock is computed again: what is due must still come out the same.
	if c.Obligation, err = s.read(ctx, tx, id, ""); err != nil && !errors.Is(err, ErrClock) {
		return nil, err
	}
	var state clock.State
	if err == nil {
		state, err = s.register.Fold(c.Clock)
	}
	if errors.Is(err, ErrClock) || errors.Is(err, clock.ErrUnknown) {
		r.cfg.Log.Error("a duty has a clock that this version does not know; it is left alone", "obligation", id)
		return later()
	}
	if err != nil {
		return person("clock")
	}
	if !moment(state).Equal(c.Due) {
		return person("due_changed")
	}
	if k.Destroys && state.Kind == clock.Deadline {
		return person("nothing_ends")
	}
	if c.Steps, err = steps(ctx, tx, id); err != nil {
		return nil, err
	}
	tried := 0
	for i, p := range c.Steps {
		if i >= len(k.Steps) || p.Name != k.Steps[i].Name {
			return person("steps")
		}
		if p.Done {
			c.n = i + 1
		} else {
			tried = p.Tries
		}
	}
	if c.n == len(k.Steps) {
		return person("steps")
	}
	if k.Destroys {
		held, err := r.cfg.Holds.Held(ctx, tx, c.Subject)
		if err != nil {
			return nil, fmt.Errorf("asking for holds: %w", err)
		}
		if held {
			return later()
		}
	}

	name := k.Steps[c.n].Name
	c.Claims++
	c.work = Work{Key: id + "/" + name, Obligation: id, Subject: c.Subject, Try: tried + 1, Suspect: suspect}
	if _, err := tx.ExecContext(ctx, `UPDATE obligation SET fence = $1, lease = $2 WHERE id = $3`, c.Claims, now.Add(r.lease).UnixMilli(), id); err != nil {
		return nil, fmt.Errorf("claiming a duty: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO obligation_step (obligation, n, name, state, tries, result) VALUES ($1, $2, $3, 'started', $4, '')
		ON CONFLICT (obligation, n) DO UPDATE SET tries = excluded.tries`, id, c.n, name, c.work.Try); err != nil {
		return nil, fmt.Errorf("claiming a duty: %w", err)
	}
	return c, s.note(ctx, tx, id, "step.attempted", name, now, detail{Try: c.work.Try, Fence: c.Claims, Suspect: suspect})
}

// carryOut does the claimed step and stores the outcome.
func (r *Runner) carryOut(ctx, doing context.Context, c *claimed) error {
	if err := doing.Err(); err != nil {
		return fmt.Errorf("the claim was too old to begin: %w", err)
	}
	result, err := c.kind.Steps[c.n].Do(doing, c.work)
	r.step("acted")
	if err == nil && !code.MatchString(result) {
		err = errors.New("the step returned no reference to a proof")
	}
	if ctx.Err() != nil && err != nil {
		// Whether it happened is not known. The lease ends by itself.
		return err
	}
	// What has happened is stored also when the caller has gone meanwhile.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer stop()
	return r.cfg.Store.write(ctx, func(tx *sql.Tx, now time.Time) error {
		if errStore := r.finish(ctx, tx, c, now, result, err); errStore != nil {
			return errStore
		}
		r.step("outcome rows")
		return nil
	})
}

// errFenced: somebody else has claimed the duty since.
var errFenced = errors.New("the claim was over before the step was; its outcome is not stored")

// finish stores the outcome of a step, if the claim still holds.
func (r *Runner) finish(ctx context.Context, tx *sql.Tx, c *claimed, now time.Time, result string, failed error) error {
	s, name := r.cfg.Store, c.kind.Steps[c.n].Name
	state, failures, next := StateOpen, 0, int64(0)
	var later Later
	waits := errors.As(failed, &later)
	switch {
	case waits:
		next = now.Add(min(later.After, heldPause)).UnixMilli()
	case failed != nil:
		failures = c.Failures + 1
		next = now.Add(min(firstPause<<min(failures-1, 10), longestPause)).UnixMilli()
		if failures >= maxFailures && c.kind.Destroys || errors.Is(failed, ErrPerson) {
			state = StateNeedsHuman
		}
	case c.n == len(c.kind.Steps)-1:
		state = StateDone
	}
	res, err := tx.ExecContext(ctx, `UPDATE obligation SET state = $1, failures = $2, next_try = $3, lease = 0 WHERE id = $4 AND fence = $5 AND state = 'open'`,
		state, failures, next, c.ID, c.Claims)
	if err != nil {
		return fmt.Errorf("storing the outcome of a step: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return fmt.Errorf("storing the outcome of a step: %w", err)
	} else if n != 1 {
		return s.overtaken(ctx, tx, c)
	}
	if waits {
		return s.note(ctx, tx, c.ID, "step.waiting", name, now, detail{Try: c.work.Try, Fence: c.Claims})
	}
	if failed != nil {
		if failures < maxFailures {
			r.cfg.Log.Warn("a step of a duty failed", "obligation", c.ID, "step", name, "failures", failures)
		} else {
			r.cfg.Log.Error("a step of a duty fails again and again", "obligation", c.ID, "step", name, "failures", failures)
		}
		if err := s.note(ctx, tx, c.ID, "step.failed", name, now, detail{Try: c.work.Try, Fence: c.Claims}); err != nil {
			return err
		}
		if state == StateNeedsHuman {
			r.cfg.Log.Error("a duty needs a person", "obligation", c.ID, "reason", "failures")
			return s.note(ctx, tx, c.ID, "obligation.needs_human", "", now, detail{Reason: "failures"})
		}
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE obligation_step SET state = 'done', result = $1 WHERE obligation = $2 AND n = $3`, result, c.ID, c.n); err != nil {
		return fmt.Errorf("storing the outcome of a step: %w", err)
	}
	if err := s.note(ctx, tx, c.ID, "step.completed", name, now, detail{Result: result, Try: c.work.Try, Fence: c.Claims}); err != nil {
		return err
	}
	if state == StateDone {
		return s.note(ctx, tx, c.ID, "obligation.done", "", now, detail{})
	}
	return nil
}

// overtaken is errFenced, but nil when a person has ended the duty during the step or moved its
// clock: then nothing went wrong. Of the latter the step is done again.
func (s *Store) overtaken(ctx context.Context, tx *sql.Tx, c *claimed) error {
	o, err := s.read(ctx, tx, c.ID, "")
	switch {
	case err != nil:
		return errors.Join(err, errFenced)
	case len(o.Clock) > len(c.Clock), o.State == StateDone && o.Claims == c.Claims:
		return nil
	}
	return errFenced
}

// recordAtOnce bounds the entries that one call puts on record.
const recordAtOnce = 100

// record puts on record what is not yet, duty by duty in the order in which it happened.
// Two runners may record an entry both; its id keeps it single.
func (r *Runner) record(ctx context.Context) (n int, err error) {
	s := r.cfg.Store
	r.step("before recording")
	rows, err := s.db.QueryContext(ctx, `SELECT obligation, seq, kind, step, at, body FROM obligation_event WHERE leaf = '' ORDER BY obligation, seq LIMIT $1`, recordAtOnce)
	if err != nil {
		return 0, fmt.Errorf("reading what is to be recorded: %w", err)
	}
	defer rows.Close()
	type row struct {
		Entry
		seq int64
	}
	var found []row
	for rows.Next() {
		var e row
		var at int64
		if err := rows.Scan(&e.Obligation, &e.seq, &e.Kind, &e.Step, &at, &e.Body); err != nil {
			return 0, fmt.Errorf("reading what is to be recorded: %w", err)
		}
		e.ID, e.At = fmt.Sprintf("%s#%d", e.Obligation, e.seq), time.UnixMilli(at).UTC()
		found = append(found, e)
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("reading what is to be recorded: %w", err)
	}
	rows.Close()
	for _, e := range found {
		leaf, err := r.cfg.Record(ctx, e.Entry)
		if err != nil {
			return n, fmt.Errorf("recording what happened to a duty: %w", err)
		}
		if leaf == "" {
			return n, errors.New("recording what happened to a duty: the log named no place")
		}
		r.step("recorded")
		if _, err := s.db.ExecContext(ctx, `UPDATE obligation_event SET leaf = $1 WHERE obligation = $2 AND seq = $3 AND leaf = ''`, leaf, e.Obligation, e.seq); err != nil {
			return n, fmt.Errorf("noting what was recorded: %w", err)
		}
		n++
	}
	return n, nil
}
