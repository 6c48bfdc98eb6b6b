package audit

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/tlog"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(torturedEnv); dir != "" {
		tortured(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// newLog creates and opens a log in a new directory.
func newLog(t testing.TB, c Config) (*Log, string) {
	t.Helper()
	dir := t.TempDir()
	if c.Deployment == "" {
		c.Deployment = "acme"
	}
	if err := Create(t.Context(), dir, c); err != nil {
		t.Fatal(err)
	}
	return reopen(t, dir, c), dir
}

func reopen(t testing.TB, dir string, c Config) *Log {
	t.Helper()
	if c.Deployment == "" {
		c.Deployment = "acme"
	}
	l, err := Open(t.Context(), dir, c)
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
		Actor: Pseudonym{1, 2, 3}, Identity: "credential", Roles: []string{"agent"},
		Channel: "zendesk", Operation: "ticket.create", Effect: "write", Scope: "one", Network: "internal",
		Forwarded: true, Outcome: OutcomeReleased, Retention: "short",
		Released: []Count{{Class: "credit_card", Masked: 1}, {Class: "email", Clear: n % 3}},
		Subjects: []Ref{{ID: Pseudonym{9, byte(n)}, Classes: []string{"email"}}},
		Records:  []Ref{{ID: Pseudonym{7, byte(n >> 8), byte(n)}}},
		Details: []Sealed{
			{Part: "subject", Key: "k1", Ciphertext: []byte(strings.Repeat("c", 120)), Commitment: []byte("com")},
			{Part: "actor", Key: "k2", Ciphertext: []byte(strings.Repeat("d", 80)), Commitment: []byte("com")},
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

// covered waits until a checkpoint covers everything recorded before.
func covered(t testing.TB, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		pruned, last, err := l.core.intake.bounds(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if pruned == last {
			return
		}
		if _, err := l.core.q.barrier().Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
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
	f, err = l.Find(t.Context(), e.ID)
	check("covered", f, err)
	f, err = Lookup(t.Context(), dir, e.ID)
	check("from outside, log open", f, err)
	mustClose(t, l)
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

// mustVerify runs Verify and demands an outcome.
func mustVerify(t testing.TB, dir string, want Outcome) Report {
	t.Helper()
	r, err := Verify(t.Context(), VerifyOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if r.Outcome != want {
		t.Errorf("verify: got %s, want %s; problems %v, unchecked %v", r.Outcome, want, r.Problems, r.Unchecked)
	}
	return r
}
