package purge

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/retention/schedule"
)

//go:embed migrations/*.sql
var migrations embed.FS

// MaxRecords is how many records a run has at most, those that others take along included. What
// is due beyond them is for the next run.
const MaxRecords = 100_000

// keptList is for how long a list is kept that nobody agrees to.
const keptList = 30 * 24 * time.Hour

// States of a run.
const (
	Planned = "planned" // waits for others to agree
	Running = "running"
	Done    = "done"
)

// States of a record. The last six are for good.
const (
	Open     = "open"
	Job      = "job"
	ReadBack = "read_back"
	Trash    = "trash" // seen to be gone; the vendor may still bring it back
	With     = "with"  // goes with the record that it hangs on

	Erased     = "erased"
	Absent     = "absent"
	Held       = "held"
	Kept       = "kept"
	ByHand     = "by_hand"
	NeedsHuman = "needs_human"
)

var (
	// ErrNone is returned for a run that does not exist.
	ErrNone = errors.New("there is no such run")
	// ErrState is wrapped when a run is not in the state that the call is for; the text may be
	// shown.
	ErrState = errors.New("the run is not at this point")
	// ErrDoubt is wrapped while the clock is in doubt: nothing is destroyed by it. The text may be
	// shown.
	ErrDoubt = errors.New("the clock is in doubt, and nothing is deleted by it")
)

// Store keeps runs in a database. It may be used concurrently, by several processes.
type Store struct {
	db    *store.DB
	index *index.Index
	holds *hold.Store
	now   func(context.Context) (time.Time, error)
	step  func(string) // tests end the process here
}

// NewStore brings the tables of runs in db up to date, beside those of the index and of holds.
func NewStore(ctx context.Context, db *store.DB, x *index.Index, holds *hold.Store) (*Store, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("reading the tables of purges: %w", err)
	}
	if err := db.Migrate(ctx, "purge", sub); err != nil {
		return nil, err
	}
	return &Store{db: db, index: x, holds: holds, now: db.Now, step: func(string) {}}, nil
}

// Run is a run and how far it is.
type Run struct {
	ID    string
	State string
	// Schedule is the SHA-256 of the schedule, Revision what its author calls it, At for when it
	// was asked.
	Schedule, Revision string
	At                 time.Time
	// List is the SHA-256 of what is to be done, which others agree to. More says that more is due
	// than a run has.
	List string
	More bool
	// Prepared by whom, Started when others had agreed.
	Prepared   time.Time
	PreparedBy string
	Started    time.Time
	ApprovedBy string
	Ended      time.Time
	// Outcomes are counts of records.
	Outcomes []Outcome

	text string
	key  []byte
}

// Outcome is how many records of a rule are in a state. Reason is a code, or empty.
type Outcome struct {
	Rule, Action, Channel, Type string
	State, Reason               string
	Records                     int64
}

// item is a record of a run.
type item struct {
	n, kind                              int64
	rec                                  index.Record
	rule, action, state, reason          string
	call, doubt, proven, failures, tries int64
	next                                 int64
	job                                  string
	lost                                 int64 // doubt, as it was before the present call
	aboveKind                            int64
	above                                string
}

var letters = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

func draw() (id [16]byte) {
	rand.Read(id[:]) // never fails: the runtime ends the process first
	return id
}

// Prepare lists what is due now by a schedule, whose text is stored with the run. by is a
// pseudonym of who asks. It changes nothing at a vendor. The plan is of the same moment. Lists to
// which nobody has agreed in 30 days are forgotten.
//
// A crash leaves no run: it is one transaction.
func (s *Store) Prepare(ctx context.Context, sched *schedule.Schedule, text, by, doubt string) (*Run, *schedule.Plan, error) {
	if doubt != "" {
		return nil, nil, fmt.Errorf("%w: %s", ErrDoubt, doubt)
	}
	var items []item
	r := &Run{State: Planned, PreparedBy: by, text: text, key: make([]byte, 32)}
	rand.Read(r.key)
	id := draw()
	r.ID = letters.EncodeToString(id[:])
	sum := sha256.New()
	plan, err := schedule.NewPlan(ctx, sched, schedule.Sources{DB: s.db, Take: func(rec *index.Aged, rule *schedule.Rule) error {
		if len(items) == MaxRecords {
			r.More = true
			return nil
		}
		i := item{n: int64(len(items)), kind: rec.Kind, rec: rec.Record, rule: rule.ID, action: rule.Action, state: Open}
		switch a := sched.Action(rule.Action, rec.Channel, rec.Type); {
		case a == nil:
			i.state, i.reason = ByHand, "no_action"
		case a.With != "":
			i.state, i.above = With, a.With // the type, until it is known which record it is
		}
		add(sum, i.rule, i.action, rec.Channel, rec.Host, rec.Type, rec.ID)
		items = append(items, i)
		return nil
	}})
	if err != nil {
		return nil, nil, err
	}
	if plan.Doubt != "" {
		return nil, nil, fmt.Errorf("%w: %s", ErrDoubt, plan.Doubt)
	}
	r.Schedule, r.Revision, r.At, r.Prepared = plan.Schedule, plan.Revision, plan.At, plan.Made
	r.List = hex.EncodeToString(sum.Sum(nil))
	err = s.write(ctx, func(tx *sql.Tx) error {
		for _, q := range [...]string{
			`DELETE FROM purge_item WHERE run IN (SELECT id FROM purge_run WHERE state = 'planned' AND prepared < $1)`,
			`DELETE FROM purge_run WHERE state = 'planned' AND prepared < $1`,
		} {
			if _, err := tx.ExecContext(ctx, q, r.Prepared.Add(-keptList).UnixMilli()); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO purge_run (id, state, schedule, digest, revision, at, list, more, key, prepared, prepared_by, started, approved_by, ended)
			VALUES ($1, 'planned', $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', 0)`,
			r.ID, r.text, r.Schedule, r.Revision, r.At.UnixMilli(), r.List, truth(r.More), r.key, r.Prepared.UnixMilli(), by); err != nil {
			return err
		}
		return insert(ctx, tx, r.ID, items)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("preparing a run: %w", err)
	}
	r, err = s.Get(ctx, r.ID)
	return r, plan, err
}

// insert stores the records of a run.
func insert(ctx context.Context, tx *sql.Tx, run string, items []item) error {
	one, err := tx.PrepareContext(ctx, `INSERT INTO purge_item (run, n, kind, name, channel, host, type, rule, action, state, reason, call, doubt, proven, failures, tries, next_try, job, above_kind, above, ended)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, 0, 0, 0, 0, '', $12, $13, 0)`)
	if err != nil {
		return err
	}
	defer one.Close()
	for i := range items {
		it := &items[i]
		if it.state == With {
			kind, name, ok, err := index.AboveIn(ctx, tx, it.kind, it.rec.ID, it.above)
			if err != nil {
				return err
			}
			if it.aboveKind, it.above = kind, name; !ok {
				it.state, it.reason = ByHand, "above_unknown"
			}
		}
		if _, err := one.ExecContext(ctx, run, it.n, it.kind, it.rec.ID, it.rec.Channel, it.rec.Host, it.rec.Type, it.rule, it.action, it.state, it.reason, it.aboveKind, it.above); err != nil {
			return err
		}
	}
	// What would go with a record that stays, or for which another thing is done.
	_, err = tx.ExecContext(ctx, `UPDATE purge_item SET state = 'by_hand', reason = 'above_stays' WHERE run = $1 AND state = 'with' AND NOT EXISTS (
		SELECT 1 FROM purge_item a WHERE a.run = purge_item.run AND a.kind = purge_item.above_kind AND a.name = purge_item.above AND a.action = purge_item.action AND a.state = 'open')`, run)
	return err
}

// add adds words to a digest, none of which can be taken for two.
func add(sum hash.Hash, words ...string) {
	for _, w := range words {
		fmt.Fprintf(sum, "%d:%s", len(w), w)
	}
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Start lets a run begin to which others have agreed, who are approvedBy. ErrState when nobody has,
// when the list is another one, and when it began already.
func (s *Store) Start(ctx context.Context, id, list, approvedBy string) (*Run, error) {
	if approvedBy == "" {
		return nil, fmt.Errorf("%w: nobody has agreed to it", ErrState)
	}
	now, err := s.now(ctx)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE purge_run SET state = 'running', started = $1, approved_by = $2 WHERE id = $3 AND list = $4 AND state = 'planned'`, now.UnixMilli(), approvedBy, id, list)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 1 {
			return err
		}
		r, err := read(ctx, tx, id)
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: it is %s", ErrState, r.State)
	})
	if err != nil {
		return nil, fmt.Errorf("starting a run: %w", err)
	}
	return s.Get(ctx, id)
}

// Get reads a run.
func (s *Store) Get(ctx context.Context, id string) (*Run, error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading a run: %w", err)
	}
	defer tx.Rollback()
	return read(ctx, tx, id)
}

// MaxListed is how many runs a list has.
const MaxListed = 100

// List reads the latest runs, the latest first.
func (s *Store) List(ctx context.Context) (all []*Run, err error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the runs: %w", err)
	}
	defer tx.Rollback()
	ids, err := store.List(ctx, tx, store.Scanned[string], `SELECT id FROM purge_run ORDER BY prepared DESC, id LIMIT $1`, MaxListed)
	if err != nil {
		return nil, fmt.Errorf("reading the runs: %w", err)
	}
	for _, id := range ids {
		r, err := read(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func read(ctx context.Context, tx *sql.Tx, id string) (*Run, error) {
	r := &Run{ID: id}
	var at, more, prepared, started, ended int64
	err := tx.QueryRowContext(ctx, `SELECT state, schedule, digest, revision, at, list, more, key, prepared, prepared_by, started, approved_by, ended FROM purge_run WHERE id = $1`, id).
		Scan(&r.State, &r.text, &r.Schedule, &r.Revision, &at, &r.List, &more, &r.key, &prepared, &r.PreparedBy, &started, &r.ApprovedBy, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("reading a run: %w", err)
	}
	r.At, r.More, r.Prepared, r.Started, r.Ended = store.Moment(at), more != 0, store.Moment(prepared), store.Moment(started), store.Moment(ended)
	r.Outcomes, err = store.List(ctx, tx, func(row store.Row) (o Outcome, err error) {
		err = row.Scan(&o.Rule, &o.Action, &o.Channel, &o.Type, &o.State, &o.Reason, &o.Records)
		return o, err
	}, `SELECT rule, action, channel, type, state, reason, count(*) FROM purge_item WHERE run = $1 GROUP BY rule, action, channel, type, state, reason ORDER BY rule, action, channel, type, state, reason`, id)
	if err != nil {
		return nil, fmt.Errorf("reading a run: %w", err)
	}
	return r, nil
}

// Name is the name of a record in events and in the certificate: keyed, so that nobody who has
// these alone can say whether it is a record that they guess.
func (r *Run) Name(rec index.Record) string {
	mac := hmac.New(sha256.New, r.key)
	add(mac, rec.Channel, rec.Host, rec.Type, rec.ID)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// write runs one transaction.
func (s *Store) write(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	s.step("before the commit")
	return tx.Commit()
}
