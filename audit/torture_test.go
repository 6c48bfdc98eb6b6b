package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// torturedEnv makes the test binary record events in the named directory until it
// is killed, printing each acknowledged one.
const torturedEnv = "CAREGATE_AUDIT_TORTURED"

func tortured(dir string) {
	l, err := Open(context.Background(), dir, Config{Deployment: "acme", Checkpoint: 3 * time.Millisecond, SealIndex: 10 * time.Millisecond})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				r, err := tryRecord(context.Background(), l, sample(i))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(r.ID)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// A2, F1 in part: a process killed at a random moment loses no acknowledged event,
// and the next one finds each exactly once.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	if err := Create(t.Context(), dir, Config{Deployment: "acme"}); err != nil {
		t.Fatal(err)
	}
	var acked []ID
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), torturedEnv+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for stop := 1 + rand.IntN(1500); stop > 0 && lines.Scan(); stop-- {
			id, err := ParseID(lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			acked = append(acked, id)
		}
		// Another process's log verifies while it is in use (A8, A9).
		if r, err := Verify(t.Context(), VerifyOptions{Dir: dir, patience: time.Minute}); err != nil || r.Outcome != Valid {
			t.Errorf("round %d, in use: got %s, %v, %v, %v", round, r.Outcome, err, r.Problems, r.Unchecked)
		}
		if _, err := Open(t.Context(), dir, Config{Deployment: "acme"}); !errors.Is(err, ErrInUse) {
			t.Errorf("round %d: opening a log in use: got %v, want ErrInUse", round, err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // acknowledged before the kill, still in the pipe
			if id, err := ParseID(lines.Text()); err == nil {
				acked = append(acked, id)
			}
		}
		_ = cmd.Wait() // killed
		if r, err := Verify(t.Context(), VerifyOptions{Dir: dir}); err != nil || r.Outcome == Invalid {
			t.Fatalf("round %d, as left: %v, %v", round, err, r.Problems)
		}
		mustClose(t, reopen(t, dir, Config{}))
		mustVerify(t, dir, Valid)
		once(t, dir, acked)
	}
	t.Logf("%d acknowledged events in %d rounds", len(acked), rounds)
}
