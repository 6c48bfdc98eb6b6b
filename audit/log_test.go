package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/internal/store"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(torturedEnv); dir != "" {
		inChild(func() error { return tortured(dir) })
	}
	if where := os.Getenv(killedEnv); where != "" {
		inChild(func() error { return killedInRollover(where) })
	}
	if dir := os.Getenv(watchedEnv); dir != "" {
		os.Exit(watchedChild(dir))
	}
	leaks.Main(m)
}

// newLog creates and opens a log in a new directory.
func newLog(t testing.TB, c Config) (*Log, string) {
	t.Helper()
	dir := t.TempDir()
	create(t, dir, &c)
	return reopen(t, dir, c), dir
}

func reopen(t testing.TB, dir string, c Config) *Log {
	t.Helper()
	l, err := Open(t.Context(), dir, stored(t, dir, c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// sample is an event like those of a real exchange.
func sample(n int) Event {
	return Event{
		Exchange: NewID(), Class: 6003, Type: "request.decided",
		Tenant: "default", Route: "desk", Decision: DecisionAllow, Policy: "sha256:0123456789abcdef",
		Input: `{"v":1,"channel":"zendesk","operation":"ticket.create","classes":{"credit_card":1}}`,
		Actor: Pseudonym{1, 2, 3}, Mail: Pseudonym{4, byte(n % 5)}, Identity: "asserted", Roles: []string{"agent"},
		Channel: "zendesk", Operation: "ticket.create", Effect: "write", Scope: "one", Network: "internal",
		Forwarded: true, Outcome: OutcomeReleased, Retention: "short",
		Released: []Count{{Class: "credit_card", Masked: 1}, {Class: "email", Clear: n % 3}},
		Subjects: []Ref{{ID: Pseudonym{9, byte(n)}, Classes: []string{"email"}}},
		Records:  []Ref{{ID: Pseudonym{7, byte(n >> 8), byte(n)}}},
		Details: []Sealed{
			{Part: "subject", Key: "k1", Ciphertext: []byte(strings.Repeat("c", 100) + NewID().String()), Commitment: []byte("com")},
			{Part: "actor", Key: "k2", Ciphertext: []byte(strings.Repeat("d", 50) + NewID().String()), Commitment: []byte("com")},
		},
	}
}

// record appends one event and waits for it.
func record(t testing.TB, l *Log, e Event) Receipt {
	t.Helper()
	r, err := tryRecord(t.Context(), l, e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryRecord(ctx context.Context, l *Log, e Event) (Receipt, error) {
	s, err := l.Reserve(ctx, LaneNormal)
	if err != nil {
		return Receipt{}, err
	}
	defer s.Release()
	return s.Append(e).Wait(ctx)
}

// recordMany records n events from several callers at once.
func recordMany(t testing.TB, l *Log, n int) (ids []ID) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	const callers = 16
	for c := range callers {
		wg.Go(func() {
			for i := c; i < n; i += callers {
				r, err := tryRecord(context.Background(), l, sample(i))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids = append(ids, r.ID)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return ids
}

// covered waits until a checkpoint covers everything recorded before, and the rows
// are deleted.
func covered(t testing.TB, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	_, target, err := l.core.intake.bounds(ctx)
	for err == nil {
		var pruned position
		if pruned, _, err = l.core.intake.bounds(ctx); err == nil && !pruned.before(target) {
			return
		}
		if err == nil {
			_, err = l.core.q.barrier().Wait(ctx)
		}
	}
	t.Fatal(err)
}

// mustVerify runs Verify and demands an outcome.
func mustVerify(t testing.TB, dir string, want Outcome) Report {
	t.Helper()
	r, err := Verify(t.Context(), VerifyOptions{Dir: dir, patience: testPatience(want)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Outcome != want {
		t.Errorf("verify: got %s, want %s; problems %v, unchecked %v", r.Outcome, want, r.Problems, r.Unchecked)
	}
	return r
}

// testPatience does not wait for an index that nobody brings up, and longer than anybody
// would for one that a busy machine does.
func testPatience(want Outcome) time.Duration {
	switch want {
	case Incomplete:
		return time.Millisecond
	case Valid:
		return 5 * time.Minute
	}
	return indexPatience
}

// A2, A14: an event is found from the moment its wait resolves, before and after
// a checkpoint covers it, and after the log was closed and opened again.
func TestRecordAndFind(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: 10 * time.Millisecond})
	e := sample(1)
	e.ID = NewID()
	r := record(t, l, e)
	if r.ID != e.ID {
		t.Errorf("receipt: got %s, want %s", r.ID, e.ID)
	}
	check := func(when string, l Leaf, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		enc, _, _ := appendLeaf(nil, &l)
		if tlog.RecordHash(enc) != r.LeafHash || l.Operation != "ticket.create" || l.Exchange != e.Exchange {
			t.Errorf("%s: found another leaf", when)
		}
	}
	f, err := l.Find(t.Context(), e.ID)
	check("at once", f, err)
	covered(t, l)
	if l.Size() < 2 {
		t.Errorf("size: got %d, want genesis and event", l.Size())
	}
	f, err = l.Find(t.Context(), e.ID)
	check("covered", f, err)
	f, err = Lookup(t.Context(), dir, e.ID)
	check("from outside, log open", f, err)
	mustClose(t, l)
	if left, _ := filepath.Glob(filepath.Join(dir, auditDir, "*-wal")); len(left) != 0 {
		t.Errorf("a closed log left %v", left)
	}
	f, err = Lookup(t.Context(), dir, e.ID)
	check("from outside, log closed", f, err)
	l = reopen(t, dir, Config{})
	f, err = l.Find(t.Context(), e.ID)
	check("opened again", f, err)
	mustVerify(t, dir, Valid)
	if _, err := l.Find(t.Context(), NewID()); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown event: got %v, want ErrNotFound", err)
	}
}

// Whether an event is in the log is known without its entry.
func TestHasBesideALostBundle(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: 10 * time.Millisecond})
	e := sample(1)
	e.ID = NewID()
	has := func(when string, id ID, want bool) {
		t.Helper()
		if got, err := l.Has(t.Context(), id); got != want || err != nil {
			t.Errorf("%s: got %t, %v, want %t", when, got, err, want)
		}
	}
	has("not yet", e.ID, false)
	record(t, l, e)
	has("at once", e.ID, true)
	covered(t, l)
	has("covered", e.ID, true)
	bundles, err := filepath.Glob(filepath.Join(dir, auditDir, treeDir, "*", "tile", "entries"))
	if err != nil || len(bundles) == 0 {
		t.Fatalf("bundles: got %v, %v", bundles, err)
	}
	for _, b := range bundles {
		if err := os.Rename(b, b+".lost"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Find(t.Context(), e.ID); err == nil {
		t.Error("the event is found, so the test sees nothing")
	}
	has("its bundle is lost", e.ID, true)
	for _, b := range bundles {
		if err := os.Rename(b+".lost", b); err != nil {
			t.Fatal(err)
		}
	}
}

// F24, A20: nothing is created that was not asked for, and nothing is overwritten.
func TestCreateAndOpenRefuse(t *testing.T) {
	t.Parallel()
	c := Config{Deployment: "acme"}
	empty := t.TempDir()
	if _, err := Open(t.Context(), empty, c); !errors.Is(err, ErrMissing) {
		t.Errorf("empty directory: got %v, want ErrMissing", err)
	}
	if left, _ := os.ReadDir(empty); len(left) != 0 {
		t.Error("opening an empty directory left files")
	}
	dir := t.TempDir()
	if err := Create(t.Context(), dir, c); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), dir, c); !errors.Is(err, ErrExists) {
		t.Errorf("creating twice: got %v, want ErrExists", err)
	}
	mustVerify(t, dir, Valid)
	if _, err := Open(t.Context(), dir, Config{Deployment: "other"}); err == nil {
		t.Error("another deployment: opened")
	}
	if _, err := Open(t.Context(), dir, Config{Deployment: "acme", Node: "node-2"}); err == nil {
		t.Error("another node: opened")
	}
	for _, bad := range []string{"", "a/b", "a b", "a+b", strings.Repeat("a", 101)} {
		if err := Create(t.Context(), t.TempDir(), Config{Deployment: bad}); err == nil {
			t.Errorf("deployment %q: created", bad)
		}
	}
	for _, name := range []string{lockFile, intakeFile, detailFile, treeDir} {
		gone := t.TempDir()
		if err := os.CopyFS(gone, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(gone, auditDir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), gone, c); !errors.Is(err, ErrMissing) {
			t.Errorf("without %s: got %v, want ErrMissing", name, err)
		}
	}
	// The log is gone and its key is not: a second history under one key.
	if err := os.RemoveAll(filepath.Join(dir, auditDir)); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), dir, c); !errors.Is(err, ErrExists) {
		t.Errorf("key without log: got %v, want ErrExists", err)
	}
}

// A10: another process's log is refused.
func TestOpenLocked(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{})
	mustClose(t, l)
	release, err := store.LockDir(filepath.Join(dir, auditDir))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := Open(t.Context(), dir, stored(t, dir, Config{})); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
}

// F21, A10, A22: generations of a configuration share one writer, closed in any order
// while events are in flight.
func TestReload(t *testing.T) {
	t.Parallel()
	first, dir := newLog(t, Config{Checkpoint: 5 * time.Millisecond})
	var current atomic.Pointer[Log]
	current.Store(first)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var acked sync.Map
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				s, err := current.Load().Reserve(context.Background(), LaneNormal)
				if errors.Is(err, ErrClosed) {
					continue // this generation ended between Load and Reserve
				}
				if err != nil {
					t.Error(err)
					return
				}
				r, err := s.Append(sample(i)).Wait(context.Background())
				s.Release()
				if err != nil {
					t.Errorf("in flight during a reload: %v", err)
					return
				}
				acked.Store(r.ID, true)
			}
		})
	}
	for range 50 {
		old := current.Load()
		next := reopen(t, dir, Config{})
		if next.core != old.core {
			t.Fatal("a second writer was opened")
		}
		current.Store(next)
		mustClose(t, old)
		mustClose(t, old) // twice is fine
		if _, err := old.Reserve(t.Context(), LaneNormal); !errors.Is(err, ErrClosed) {
			t.Errorf("closed handle: got %v, want ErrClosed", err)
		}
	}
	close(stop)
	wg.Wait()
	mustClose(t, current.Load())
	n := int64(0)
	acked.Range(func(id, _ any) bool {
		n++
		if _, err := Lookup(t.Context(), dir, id.(ID)); err != nil {
			t.Errorf("acknowledged event: %v", err)
		}
		return n < 500
	})
	mustVerify(t, dir, Valid)
}

// A17: a client whose slots wait leaves room for others, and has it back when it uses
// or releases them.
func TestShares(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, Config{QueueEvents: 80}) // 36 slots in the normal lane
	settle := func() {
		if _, err := l.core.q.barrier().Wait(t.Context()); err != nil { // the log's own events have room too
			t.Fatal(err)
		}
	}
	settle()
	hold := func(client string) (slots []*Slot) {
		for {
			s, err := l.ReserveFor(t.Context(), client)
			if err != nil {
				if !errors.Is(err, ErrOverloaded) {
					t.Errorf("%s: got %v", client, err)
				}
				return slots
			}
			slots = append(slots, s)
		}
	}
	// Half of the room, then half of what is left, and so on: nobody is shut out.
	first := hold("first")
	if len(first) != 18 {
		t.Errorf("the first client holds %d, want 18", len(first))
	}
	second := hold("second")
	if len(second) != 9 {
		t.Errorf("the second client holds %d, want 9", len(second))
	}
	third := hold("third")
	if len(third) == 0 {
		t.Error("the third client is shut out")
	}
	if nobody := hold(""); len(nobody) == 0 {
		t.Error("what has no client is shut out")
	} else {
		for _, s := range nobody {
			s.Release()
		}
	}
	// Both events used, released, and released twice.
	for i, s := range first {
		if i%2 == 0 {
			for j := range 2 {
				if _, err := s.Append(sample(j)).Wait(t.Context()); err != nil {
					t.Errorf("event %d: %v", j, err)
				}
			}
		}
		s.Release()
		s.Release()
	}
	if again := hold("first"); len(again) == 0 {
		t.Error("what the first client gave back is lost")
	} else {
		first = again
	}
	for _, s := range slices.Concat(first, second, third) {
		s.Release()
	}
	settle()
	q := &l.core.q
	q.mu.Lock()
	if len(q.held) != 0 || q.events != 0 {
		t.Errorf("left: %d clients, %d events", len(q.held), q.events)
	}
	q.mu.Unlock()
	// By bytes as well.
	l, _ = newLog(t, Config{QueueBytes: 20 * slotEvents * nominalBytes})
	settle()
	if n := len(hold("first")); n != 9 {
		t.Errorf("by bytes: the client holds %d, want 9", n)
	}
}

// F16, A17: the queue is bounded at once, and the reserved lane still gets through.
func TestOverload(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, Config{QueueEvents: 20})
	var slots []*Slot
	for range 9 {
		s, err := l.Reserve(t.Context(), LaneNormal)
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, s)
	}
	if _, err := l.Reserve(t.Context(), LaneNormal); !errors.Is(err, ErrOverloaded) {
		t.Errorf("normal lane: got %v, want ErrOverloaded", err)
	}
	s, err := l.Reserve(t.Context(), LaneReserved)
	if err != nil {
		t.Fatalf("reserved lane: %v", err)
	}
	if _, err := l.Reserve(t.Context(), LaneReserved); !errors.Is(err, ErrOverloaded) {
		t.Errorf("full reserved lane: got %v, want ErrOverloaded", err)
	}
	// A slot always has room for its own two events; a third must find some.
	for i := range 2 {
		if _, err := s.Append(sample(i)).Wait(t.Context()); err != nil {
			t.Errorf("event %d of a slot: %v", i, err)
		}
	}
	if _, err := s.Append(sample(3)).Wait(t.Context()); err != nil {
		t.Errorf("a third event after the first two are durable: %v", err)
	}
	for _, s := range append(slots, s) {
		s.Release()
		s.Release()
	}
	if q := &l.core.q; q.events != 0 || q.bytes != 0 {
		t.Errorf("left in the queue: %d events, %d bytes", q.events, q.bytes)
	}
	bytes, _ := newLog(t, Config{QueueBytes: 10 * slotEvents * nominalBytes})
	for i := range 10 {
		s, err := bytes.Reserve(t.Context(), LaneNormal)
		if (err != nil) != (i == 9) {
			t.Errorf("reservation %d by bytes: got %v", i, err)
		}
		if err == nil {
			defer s.Release()
		}
	}
}

// A3: a caller that gives up gets "unknown", and its event is recorded all the
// same.
func TestWaitHonoursContext(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	l, _ := newLog(t, Config{hooks: func(p hookPoint) error {
		if p == hookCommit {
			<-hold
		}
		return nil
	}})
	s, err := l.Reserve(t.Context(), LaneNormal)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	e := sample(1)
	e.ID = NewID()
	w := s.Append(e)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Wait(ctx); !errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrUnknown and the cause", err)
	}
	close(hold)
	if _, err := w.Wait(t.Context()); err != nil {
		t.Errorf("waiting again: %v", err)
	}
	if _, err := l.Find(t.Context(), e.ID); err != nil {
		t.Errorf("given up and lost: %v", err)
	}
	bad := sample(1)
	bad.Type = ""
	if _, err := s.Append(bad).Wait(t.Context()); !errors.Is(err, ErrEvent) {
		t.Errorf("bad event: got %v, want ErrEvent", err)
	}
	if _, err := (Wait{}).Wait(t.Context()); !errors.Is(err, ErrEvent) {
		t.Errorf("zero Wait: got %v, want ErrEvent", err)
	}
}

// A17: denials of one flooding caller are counted together; every denial is in
// some durable leaf before its wait resolves.
func TestDenialsCounted(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{DenyRate: 3})
	const denials = 200
	receipts := make([]Receipt, denials)
	var wg sync.WaitGroup
	for i := range denials {
		wg.Go(func() {
			e := sample(i)
			e.Decision, e.Reason, e.Flood = DecisionDeny, "policy_denied", "203.0.113.7"
			r, err := tryRecord(context.Background(), l, e)
			if err != nil {
				t.Error(err)
			}
			receipts[i] = r
		})
	}
	wg.Wait()
	counted, seen := 0, map[ID]bool{}
	for _, r := range receipts {
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		leaf, err := l.Find(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		n := 1
		if leaf.Type == TypeDenialsCounted {
			if n, err = strconv.Atoi(leaf.Attrs["count"]); err != nil || len(leaf.Subjects) > 0 {
				t.Errorf("counted leaf: %v, %d subjects", err, len(leaf.Subjects))
			}
		}
		counted += n
	}
	if counted != denials {
		t.Errorf("denials in leaves: got %d, want %d", counted, denials)
	}
	if len(seen) > denials/4 {
		t.Errorf("leaves: got %d, want few", len(seen))
	}
	if q := &l.core.q; q.events != 0 || q.bytes != 0 {
		t.Errorf("left in the queue: %d events, %d bytes", q.events, q.bytes)
	}
	// A group under way when the log closes is written too.
	s, err := l.Reserve(t.Context(), LaneReserved)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	var last Wait
	for i := range 10 {
		e := sample(i)
		e.Decision, e.Flood = DecisionDeny, "198.51.100.1"
		last = s.Append(e)
	}
	mustClose(t, l)
	if _, err := last.Wait(t.Context()); err != nil {
		t.Errorf("counted while closing: %v", err)
	}
	mustVerify(t, dir, Valid)
}

// F8, A4, A7: a jump of the clock in either direction is a leaf, and the
// log goes on.
func TestClockStepped(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	l, dir := newLog(t, Config{Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
	for i, jump := range []time.Duration{10 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour, 3 * time.Second, time.Second} {
		offset.Add(int64(jump))
		record(t, l, sample(i))
	}
	mustClose(t, l)
	mustVerify(t, dir, Valid)
	rows, err := readAllIndex(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	for _, r := range rows {
		if r.typ == TypeClockStepped {
			steps++
		}
	}
	if steps != 3 {
		t.Errorf("clock.stepped leaves: got %d, want 3 (one second is within the tolerance)", steps)
	}
}

// readAllIndex dumps the index of a closed log.
func readAllIndex(t testing.TB, dir string) ([]*indexRow, error) {
	t.Helper()
	db, err := openReader(t.Context(), filepath.Join(dir, auditDir), indexFile)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	shards, err := (&Index{db: db}).shards(t.Context(), db)
	if err != nil {
		return nil, err
	}
	slices.Reverse(shards) // the oldest first
	var all []*indexRow
	for _, shard := range shards {
		v := verifier{index: db, shard: shard}
		rows, err := v.readIndex(t.Context(), 0, 1<<40)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// A14: the index is a view: deleted, it comes back equal row by row, also while it
// has been sealed by leaves.
func TestIndexRebuilt(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond, SealIndex: 4 * time.Millisecond})
	recordMany(t, l, 600)
	e := sample(1)
	e.Subjects = nil
	for i := range 1000 {
		e.Subjects = append(e.Subjects, Ref{ID: Pseudonym{3, byte(i >> 8), byte(i)}, Classes: []string{"credit_card"}})
	}
	covered(t, l) // by a run, after which the index is sealed
	record(t, l, e)
	covered(t, l)
	mustClose(t, l)
	mustVerify(t, dir, Valid)
	want, err := readAllIndex(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	exposures, seals := 0, 0
	for _, r := range want {
		for _, x := range r.exposures {
			if x.class == "credit_card" {
				exposures++
			}
		}
		if r.typ == TypeIndexSealed {
			seals++
		}
	}
	if exposures != 1000 {
		t.Errorf("exposure rows of one page: got %d, want 1000", exposures)
	}
	if seals == 0 {
		t.Error("no index.sealed leaf")
	}
	dropIndex(t, dir)
	mustVerify(t, dir, Incomplete)
	mustClose(t, reopen(t, dir, Config{}))
	got, err := readAllIndex(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || blockDigest(got) != blockDigest(want) {
		t.Errorf("the index came back with %d rows, want %d equal ones", len(got), len(want))
	}
	mustVerify(t, dir, Valid)
}
