package retention_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
)

func TestMain(m *testing.M) { leaks.MainOrDie(m, dieAt, runAndDie) }

// onPostgres is the name of the test that runs others on PostgreSQL.
const onPostgres = "TestOnPostgres"

// TestOnPostgres runs the tests of what is stored again, in PostgreSQL.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"AddedWithItsFact":     TestAddedWithItsFact,
		"ClockMoves":           TestClockMoves,
		"NeverEarly":           TestNeverEarly,
		"NoticesAreNotLate":    TestNoticesAreNotLate,
		"SuspectClock":         TestSuspectClock,
		"DoubtOfAnother":       TestDoubtOfAnother,
		"StaleWorker":          TestStaleWorker,
		"MovedDuringStep":      TestMovedDuringStep,
		"ClaimTooOld":          TestClaimTooOld,
		"LostReply":            TestLostReply,
		"CompletedOnce":        TestCompletedOnce,
		"Failures":             TestFailures,
		"UnknownIsLeftAlone":   TestUnknownIsLeftAlone,
		"ChangedDueIsSeen":     TestChangedDueIsSeen,
		"HoldWins":             TestHoldWins,
		"HoldsRace":            TestHoldsRace,
		"ManyRunners":          TestManyRunners,
		"VirtualYear":          TestVirtualYear,
		"KilledRunner":         TestKilledRunner,
		"RecordingIsTriedOver": TestRecordingIsTriedOver,
		"Replay":               TestReplay,
		"ReplayRefuses":        TestReplayRefuses,
	} {
		t.Run(name, test)
	}
}

// world is a database with duties, a clock that only the test moves, a log and a table
// of holds.
type world struct {
	where string
	db    *store.DB
	s     *retention.Store

	mu sync.Mutex
	// wall is the database's time, true the one that passes.
	wall, real time.Time
	log        []retention.Entry
}

// began is when the clock of the tests starts.
var began = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{where: filepath.Join(t.TempDir(), "state.db"), wall: began, real: began}
	if strings.HasPrefix(t.Name(), onPostgres+"/") {
		w.where = pgtest.Database(t)
	}
	w.db, w.s = openAt(t, w.where)
	w.s.SetNow(w.now)
	w.exec(t, `CREATE TABLE held (subject TEXT PRIMARY KEY)`, `CREATE TABLE gate (id BIGINT PRIMARY KEY)`, `INSERT INTO gate (id) VALUES (1)`, `CREATE TABLE fact (id TEXT PRIMARY KEY)`)
	return w
}

func openAt(t *testing.T, where string) (*store.DB, *retention.Store) {
	t.Helper()
	db, s, err := openStore(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, s
}

func openStore(ctx context.Context, where string) (*store.DB, *retention.Store, error) {
	db, err := store.Open(ctx, where, store.Options{Create: true})
	if err != nil {
		return nil, nil, err
	}
	register, err := clock.Builtin()
	if err != nil {
		return nil, nil, err
	}
	s, err := retention.Open(ctx, db, register)
	return db, s, err
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wall
}

func (w *world) mono() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.real.Sub(began)
}

// pass lets time pass; step moves the database's clock alone.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wall, w.real = w.wall.Add(d), w.real.Add(d)
}

func (w *world) step(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wall = w.wall.Add(d)
}

func (w *world) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := w.db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) tx(t *testing.T, do func(*sql.Tx) error) error {
	t.Helper()
	tx, err := w.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// add adds a duty whose clock starts at a moment.
func (w *world) add(t *testing.T, id, kind, rule string, at time.Time) retention.Obligation {
	t.Helper()
	o := duty(t, id, kind, rule, at)
	if err := w.tx(t, func(tx *sql.Tx) error { return w.s.Add(t.Context(), tx, o) }); err != nil {
		t.Fatal(err)
	}
	return w.get(t, id)
}

func duty(t *testing.T, id, kind, rule string, at time.Time) retention.Obligation {
	t.Helper()
	register, err := clock.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := register.Start(rule, at, clock.Place{Zone: "Europe/Berlin", Calendar: "DE"})
	if err != nil {
		t.Fatal(err)
	}
	return retention.Obligation{ID: id, Kind: kind, Subject: "sub-" + id, Clock: []clock.Event{e}}
}

func (w *world) get(t *testing.T, id string) retention.Obligation {
	t.Helper()
	o, err := w.s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Held reads the test's table of holds behind a row that who sets one locks as well.
func (w *world) Held(ctx context.Context, tx *sql.Tx, subject string) (bool, error) {
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT id FROM gate WHERE id = 1`+w.db.ForUpdate()).Scan(&n); err != nil {
		return false, err
	}
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM held WHERE subject = $1`, subject).Scan(&n)
	return n > 0, err
}

func (w *world) hold(t *testing.T, subject string) {
	t.Helper()
	if err := w.tx(t, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(t.Context(), `SELECT id FROM gate WHERE id = 1`+w.db.ForUpdate()).Scan(&n); err != nil {
			return err
		}
		_, err := tx.ExecContext(t.Context(), `INSERT INTO held (subject) VALUES ($1)`, subject)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// record is the test's log: entries of one id are one.
func (w *world) record(_ context.Context, e retention.Entry) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, old := range w.log {
		if old.ID == e.ID {
			if string(old.Body) != string(e.Body) || old.Kind != e.Kind {
				return "", errors.New("another entry under an id that exists")
			}
			return fmt.Sprint(i), nil
		}
	}
	w.log = append(w.log, e)
	return fmt.Sprint(len(w.log) - 1), nil
}

// entries lists what the log says of a duty.
func (w *world) entries(id string) (kinds []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.log {
		if e.Obligation == id {
			kinds = append(kinds, strings.TrimSuffix(e.Kind+" "+e.Step, " "))
		}
	}
	return kinds
}

func (w *world) runner(t *testing.T, kinds ...retention.Kind) *retention.Runner {
	t.Helper()
	r, err := retention.NewRunner(retention.Config{Store: w.s, Kinds: kinds, Holds: w, Record: w.record, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r.SetMono(w.mono)
	return r
}

// drain runs until nothing is to be done.
func drain(t *testing.T, r *retention.Runner) {
	t.Helper()
	for range 10_000 {
		worked, err := r.Once(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !worked {
			return
		}
	}
	t.Fatal("the runner finds no end")
}

// steps makes steps that count their calls by key.
type calls struct {
	mu   sync.Mutex
	made map[string]int
}

func (c *calls) step(name string) retention.Step {
	return retention.Step{Name: name, Do: func(_ context.Context, w retention.Work) (string, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.made == nil {
			c.made = map[string]int{}
		}
		c.made[w.Key]++
		return "proof-" + name, nil
	}}
}

func (c *calls) count(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made[key]
}

func purge(c *calls) retention.Kind {
	return retention.Kind{Name: "purge", Destroys: true, Steps: []retention.Step{c.step("vendor"), c.step("keys")}}
}

func notice(c *calls) retention.Kind {
	return retention.Kind{Name: "notice", Margin: 12 * time.Hour, Steps: []retention.Step{c.step("tell")}}
}

// checkLog looks at the whole log: the entries of each duty are gapless and in order,
// each step is completed once, with a reference to a proof, and after it was begun.
func checkLog(t *testing.T, log []retention.Entry) {
	t.Helper()
	seen := map[string]int{}
	numbers := map[string][]int{}
	for _, e := range log {
		var seq int
		if _, err := fmt.Sscanf(strings.TrimPrefix(e.ID, e.Obligation+"#"), "%d", &seq); err != nil {
			t.Fatal(err)
		}
		numbers[e.Obligation] = append(numbers[e.Obligation], seq)
		key := e.Obligation + "/" + e.Step + " " + e.Kind
		seen[key]++
		if e.Kind != "step.completed" {
			continue
		}
		var body struct{ Result string }
		if err := json.Unmarshal(e.Body, &body); err != nil || body.Result == "" {
			t.Errorf("%s was completed without a proof (%v)", e.ID, err)
		}
		if seen[key] > 1 {
			t.Errorf("%s was completed %d times", key, seen[key])
		}
	}
	for id, n := range numbers {
		slices.Sort(n)
		for i, seq := range n {
			if seq != i+1 {
				t.Errorf("%s: entry %d of the log is number %d", id, i+1, seq)
				break
			}
		}
	}
}

// digest names a file for an entry.
func digest(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
