package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/vault"
)

// The environment of a child that does something and dies at a step of it. What it does
// is issuing tokens, unless one of the others is set.
const (
	dieAt = "CAREGATE_VAULT_DIES_AT"
	dieIn = "CAREGATE_VAULT_DIES_IN"
	// Set for a child that spends, or does what the word says, instead.
	dieSpending = "CAREGATE_VAULT_DIES_SPENDING"
	dieDoing    = "CAREGATE_VAULT_DIES_DOING"
)

func TestMain(m *testing.M) {
	if step := os.Getenv(dieAt); step != "" {
		die := issueAndDie
		switch {
		case os.Getenv(dieSpending) != "":
			die = spendAndDie
		case os.Getenv(dieDoing) == "rotate":
			die = rotateAndDie
		case os.Getenv(dieDoing) == "erase":
			die = eraseAndDie
		}
		fmt.Fprintln(os.Stderr, die(step, os.Getenv(dieIn)))
		os.Exit(1)
	}
	leaks.Main(m)
}

// openDying opens a vault that ends its process, as SIGKILL does, at a step.
func openDying(ctx context.Context, step, dir string) (*vault.Vault, error) {
	v, err := vault.Open(ctx, dir, vault.Config{Recorded: recorded(true, nil)})
	if err != nil {
		return nil, err
	}
	vault.OnStep(v, func(s string) {
		if s == step {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	return v, nil
}

// issueAndDie issues, keeps and prints tokens, and ends itself at a step. It returns
// only when the step was never reached.
func issueAndDie(step, dir string) error {
	ctx := context.Background()
	v, err := openDying(ctx, step, dir)
	if err != nil {
		return err
	}
	is, err := v.Tokenize(ctx, "", 0, killed())
	if err != nil {
		return err
	}
	keep := is.Keep
	if step == "recorded" {
		keep = is.KeepRecorded
	}
	if err := keep(ctx); err != nil {
		return err
	}
	for _, tok := range is.Tokens {
		fmt.Println(tok.Text)
	}
	if step == "released" || step == "recorded" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return errors.New("the step was not reached")
}

// recorded is a log that has every event, or none, or cannot be asked.
func recorded(has bool, err error) func(context.Context, [16]byte) (bool, error) {
	return func(context.Context, [16]byte) (bool, error) { return has, err }
}

// killed are the values of the child: some more than one statement takes.
func killed() (values []vault.Value) {
	for i := range 100 {
		values = append(values, val("iban", fmt.Sprint("KILLED", i)))
	}
	return values
}

// VT3: a process that is killed at any step of issuing leaves either nothing or whole
// tokens; what it released goes on leading to its value, and what it did not release is
// gone after a sweep.
func TestKilledWhileIssuing(t *testing.T) {
	t.Parallel()
	steps := []string{
		"token rows", "pending rows", "before the commit", "after the commit",
		"marks taken away", "before the keeping", "after the keeping", "released", "recorded",
	}
	if !strings.HasPrefix(t.Name(), onPostgres+"/") {
		steps = append(steps, "ways") // which PostgreSQL does not write later
	}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := open(t, dir)
			before := tokenOf(t, w, "", val("iban", "BEFORE"))
			for i := range 50 { // whose ways the child will write
				tokenOf(t, w, "", val("iban", fmt.Sprint("BEFORE", i)))
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), dieAt+"="+step, dieIn+"="+dir)
			var out, says bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &says
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child ended with %v: %s", err, says.String())
			}
			released := strings.Fields(out.String())
			if (step == "released" || step == "recorded") != (len(released) == len(killed())) {
				t.Fatalf("%d tokens were released", len(released))
			}

			v := opened(t, dir, vault.Config{})
			for i, token := range released {
				if revealed(t, v, token) != string(killed()[i].Text) {
					t.Fatal("a released token leads to another value")
				}
			}
			if revealed(t, v, before) != "BEFORE" {
				t.Error("an older token is gone")
			}
			// What was released without waiting is known by its event.
			kept := step == "after the keeping" || step == "released" || step == "recorded"
			swept, err := opened(t, dir, vault.Config{Now: (&clock{at: time.Now().Add(2 * vault.OrphanTime)}).now, Recorded: recorded(step == "recorded", nil)}).Sweep(t.Context())
			must(t, err)
			committed := kept || step == "after the commit" || step == "marks taken away" || step == "before the keeping"
			want := vault.Swept{}
			if committed && !kept {
				want.Orphans = len(killed())
			}
			if swept != want {
				t.Errorf("swept: got %+v, want %+v", swept, want)
			}
			// Everything is whole: the values have tokens, and the released ones the same.
			is, err := v.Tokenize(t.Context(), "", 0, killed())
			must(t, err)
			must(t, is.Keep(t.Context()))
			for i, tok := range is.Tokens {
				if revealed(t, v, tok.Text) != string(killed()[i].Text) {
					t.Fatal("a token leads to another value")
				}
				if len(released) > 0 && released[i] != tok.Text {
					t.Fatal("a released token is not the one of its value")
				}
			}
			if tokenOf(t, v, "", val("iban", "BEFORE")) != before {
				t.Error("an older value has another token")
			}
			if db := openDB(t, dir); db.Dialect == store.SQLite {
				waysLead(t, db)
			}
		})
	}
}
