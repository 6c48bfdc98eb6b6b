// Command generate writes the data directory that TestOlderDirectory opens. It is run
// with the source of the version whose directory is wanted:
//
//	git worktree add OLD 2fc23b9
//	mkdir OLD/audit/older && cp audit/testdata/older/generate.go OLD/audit/older
//	(cd OLD && go run ./audit/older DIR) # it kills itself
//	tar -C DIR --exclude '*-shm' --sort=name --owner=0 --group=0 -czf audit/testdata/older/2fc23b9.tar.gz .
//
// The log has 290 events, of a first process that closed it and of a second one that
// was killed before a checkpoint covered what it had acknowledged. The file "acknowledged"
// names them all. The keys in it have never signed anything else. 2fc23b9 is the oldest
// version whose index and seals are read today: nothing before it was ever in use.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caregate/caregate/audit"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir string) error {
	began := time.Now()
	spring := time.Date(2026, time.June, 20, 12, 0, 0, 0, time.UTC)
	c := audit.Config{Deployment: "acme", Checkpoint: 50 * time.Millisecond, SealIndex: 500 * time.Millisecond,
		Now: func() time.Time { return spring.Add(time.Since(began)) }, Mono: func() time.Duration { return time.Hour + time.Since(began) }}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := audit.Create(ctx, dir, c); err != nil {
		return err
	}
	l, err := audit.Open(ctx, dir, c)
	if err != nil {
		return err
	}
	var acknowledged []string
	for i := range 270 {
		if i == 260 {
			time.Sleep(time.Second) // a seal of the index has its first block
		}
		if acknowledged, err = record(ctx, l, i, acknowledged); err != nil {
			return err
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	c.Checkpoint = time.Hour
	if l, err = audit.Open(ctx, dir, c); err != nil {
		return err
	}
	for i := range 20 {
		if acknowledged, err = record(ctx, l, i, acknowledged); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "acknowledged"), []byte(strings.Join(acknowledged, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// record is one call: its event of the decision, and every third time a refusal.
func record(ctx context.Context, l *audit.Log, n int, acknowledged []string) ([]string, error) {
	e := audit.Event{
		Exchange: audit.NewID(), Class: 6003, Type: "request.decided",
		Tenant: "default", Route: "desk", Decision: audit.DecisionAllow, Policy: "sha256:0123456789abcdef",
		Input: `{"v":1,"channel":"zendesk","operation":"ticket.create","classes":{"credit_card":1}}`,
		Actor: audit.Pseudonym{1, 2, byte(n % 5)}, Identity: "credential", Roles: []string{"agent"},
		Channel: "zendesk", Operation: "ticket.create", Effect: "write", Scope: "one", Network: "internal",
		Forwarded: true, Outcome: audit.OutcomeReleased, Retention: "short",
		Released: []audit.Count{{Class: "credit_card", Masked: 1}, {Class: "email", Clear: n % 3}},
		Subjects: []audit.Ref{{ID: audit.Pseudonym{9, byte(n)}, Classes: []string{"email"}}},
		Records:  []audit.Ref{{ID: audit.Pseudonym{7, byte(n >> 8), byte(n)}}},
		Details: []audit.Sealed{
			{Part: "subject", Key: "k1", Ciphertext: []byte(strings.Repeat("c", 100) + audit.NewID().String()), Commitment: []byte("com")},
			{Part: "actor", Key: "k2", Ciphertext: []byte(strings.Repeat("d", 50) + audit.NewID().String()), Commitment: []byte("com")},
		},
	}
	if n%3 == 0 {
		e.Decision, e.Forwarded, e.Outcome = audit.DecisionDeny, false, ""
	}
	s, err := l.Reserve(ctx, audit.LaneNormal)
	if err != nil {
		return nil, err
	}
	defer s.Release()
	r, err := s.Append(e).Wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("event %d: %w", n, err)
	}
	return append(acknowledged, r.ID.String()), nil
}
