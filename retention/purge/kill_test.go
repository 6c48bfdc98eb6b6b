package purge_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/retention/index"
)

// The environment of a child that carries a run out and dies at a step, the n-th time it comes
// there.
const (
	dieAt    = "CAREGATE_TEST_DIE_AT"
	dieNth   = "CAREGATE_TEST_DIE_NTH"
	dieWhere = "CAREGATE_TEST_DIE_WHERE"
	dieDesk  = "CAREGATE_TEST_DIE_DESK"
	dieRun   = "CAREGATE_TEST_DIE_RUN"
)

// purgeAndDie ends itself at a step, as kill -9 does. It returns only when the step was not
// reached.
func purgeAndDie() error {
	ctx := context.Background()
	w, err := openWorld(ctx, os.Getenv(dieWhere), os.Getenv(dieDesk))
	if err != nil {
		return err
	}
	nth, err := strconv.Atoi(os.Getenv(dieNth))
	if err != nil {
		return err
	}
	w.s.OnStep(func(step string) {
		if step != os.Getenv(dieAt) {
			return
		}
		if nth--; nth == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	if err := w.finish(ctx, os.Getenv(dieRun), func() {}); err != nil {
		return err
	}
	return errors.New("the step was not reached")
}

// A process that is killed at any step leaves a run that goes on: what is due is erased, each
// ticket once, nothing else, and each call is on record once.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"noted", "asked", "before the commit", "told"} {
		for nth := 1; nth <= 12; nth++ {
			for _, database := range []string{"sqlite", "postgres"} {
				if database == "postgres" && nth%3 != 1 {
					continue
				}
				t.Run(step+" "+strconv.Itoa(nth)+" "+database, func(t *testing.T) {
					t.Parallel()
					where := filepath.Join(t.TempDir(), "state.db")
					if database == "postgres" {
						where = pgtest.Database(t)
					}
					w := newWorld(t, where)
					// One whose deletion is one call, so that nothing but the note of the call proves it.
					if err := os.WriteFile(filepath.Join(w.dir, "live", "5"), nil, 0o600); err != nil {
						t.Fatal(err)
					}
					if err := w.index.Note(t.Context(), []index.Sighting{{Record: record("suspended_ticket", "5"), Created: w.now.AddDate(-3, 0, 0), At: w.now}}); err != nil {
						t.Fatal(err)
					}
					r, err := w.begin(t.Context(), fmt.Sprintf(old, "P12M")+"  - {id: spam, purpose: support, types: [suspended_ticket], from: creation, period: P1M, action: delete}\n")
					if err != nil {
						t.Fatal(err)
					}
					child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^$")
					child.Env = append(os.Environ(), dieAt+"="+step, dieNth+"="+strconv.Itoa(nth), dieWhere+"="+where, dieDesk+"="+w.dir, dieRun+"="+r.ID)
					out, err := child.CombinedOutput()
					var ended *exec.ExitError
					if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
						t.Fatalf("the child was not killed: %v\n%s", err, out)
					}
					if err := w.finish(t.Context(), r.ID, func() {}); err != nil {
						t.Fatal(err)
					}
					if r, err = w.s.Get(t.Context(), r.ID); err != nil || strings.ReplaceAll(outcomes(r), " answer_lost", "") != "comment 2 erased, suspended_ticket 1 erased, ticket 2 erased" {
						t.Errorf("got %s, %v", outcomes(r), err)
					}
					if live, trash := w.list("live"), w.list("trash"); !slices.Equal(live, []string{"3", "4"}) || len(trash) > 0 {
						t.Errorf("live %q, trash %q", live, trash)
					}
					if effects := w.list("effects"); len(effects) != 5 {
						t.Errorf("the desk did %q", effects)
					}
					doc, err := w.s.Certificate(t.Context(), r.ID)
					if err != nil {
						t.Fatal(err)
					}
					log := slices.DeleteFunc(w.list("log"), func(name string) bool { return strings.HasSuffix(name, ".new") })
					if calls := strings.Count(string(doc), `"event"`); calls != len(log) {
						t.Errorf("%d calls, %d on record", calls, len(log))
					}
				})
			}
		}
	}
}
