package retention_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caregate/caregate/retention"
)

// The environment of a child that runs duties and dies at a step, the n-th time it comes
// there.
const (
	dieAt    = "CAREGATE_RETENTION_DIES_AT"
	dieNth   = "CAREGATE_RETENTION_DIES_NTH"
	dieWhere = "CAREGATE_RETENTION_DIES_IN"
	dieDir   = "CAREGATE_RETENTION_DIES_WITH"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// files are a vendor and a log that outlive a process: a record is a file, and an entry
// of the log is one, named by its id.
type files struct{ dir string }

// purge removes records; the calls file has a line for each record that really went.
func (f files) purge() retention.Kind {
	remove := func(step string) retention.Step {
		return retention.Step{Name: step, Do: func(_ context.Context, w retention.Work) (string, error) {
			err := os.Remove(filepath.Join(f.dir, "vendor", digest(w.Key)))
			if errors.Is(err, os.ErrNotExist) && w.Try > 1 {
				return "gone", nil
			}
			return "removed", err
		}}
	}
	return retention.Kind{Name: "purge", Destroys: true, Steps: []retention.Step{remove("vendor"), remove("keys")}}
}

func (f files) record(_ context.Context, e retention.Entry) (string, error) {
	name := filepath.Join(f.dir, "log", digest(e.ID))
	line := strings.Join([]string{e.ID, e.Obligation, e.Kind, e.Step, string(e.Body)}, "\n")
	if old, err := os.ReadFile(name); err == nil {
		if string(old) != line {
			return "", errors.New("another entry under an id that exists")
		}
		return digest(e.ID), nil
	}
	if err := os.WriteFile(name+".new", []byte(line), 0o600); err != nil {
		return "", err
	}
	return digest(e.ID), os.Rename(name+".new", name)
}

func (f files) entries(t *testing.T) (found []retention.Entry) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(f.dir, "log", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".new") {
			continue
		}
		part := strings.SplitN(string(b), "\n", 5)
		found = append(found, retention.Entry{ID: part[0], Obligation: part[1], Kind: part[2], Step: part[3], Body: []byte(part[4])})
	}
	return found
}

// runAndDie runs what is due and ends itself, as kill -9 does. It returns only when the
// step was not reached.
func runAndDie() error {
	ctx := context.Background()
	db, s, err := openStore(ctx, os.Getenv(dieWhere))
	if err != nil {
		return err
	}
	defer db.Close()
	f := files{os.Getenv(dieDir)}
	w := &world{db: db}
	r, err := retention.NewRunner(retention.Config{Store: s, Kinds: []retention.Kind{f.purge()}, Holds: w, Record: f.record, Log: quiet()})
	if err != nil {
		return err
	}
	nth, err := strconv.Atoi(os.Getenv(dieNth))
	if err != nil {
		return err
	}
	r.OnStep(func(step string) {
		if step != os.Getenv(dieAt) {
			return
		}
		if nth--; nth == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	for {
		worked, err := r.Once(ctx)
		if err != nil {
			return err
		}
		if !worked {
			return errors.New("the step was not reached")
		}
	}
}

// W1, W2, W5, W6, W7: a runner that is killed at any step loses nothing and doubles
// nothing: the next one ends every duty, each record went once, and the log has each
// completion once.
func TestKilledRunner(t *testing.T) {
	t.Parallel()
	const duties = 3
	for _, step := range []string{"before the claim", "claim rows", "claimed", "acted", "outcome rows", "before recording", "recorded"} {
		for _, nth := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s/%d", step, nth), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				f := files{t.TempDir()}
				for _, d := range []string{"vendor", "log"} {
					if err := os.Mkdir(filepath.Join(f.dir, d), 0o700); err != nil {
						t.Fatal(err)
					}
				}
				for i := range duties {
					o := w.add(t, fmt.Sprintf("log-%d:purge", i), "purge", "int.logpii", began.Add(-2*month))
					for _, step := range []string{"vendor", "keys"} {
						if err := os.WriteFile(filepath.Join(f.dir, "vendor", digest(o.ID+"/"+step)), []byte("x"), 0o600); err != nil {
							t.Fatal(err)
						}
					}
				}
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), dieAt+"="+step, dieNth+"="+strconv.Itoa(nth), dieWhere+"="+w.where, dieDir+"="+f.dir)
				var says bytes.Buffer
				cmd.Stdout, cmd.Stderr = &says, &says
				err := cmd.Run()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("the child ended with %v: %s", err, says.String())
				}

				// A day later all leases are over.
				w.s.SetNow(func() time.Time { return time.Now().Add(24 * time.Hour) })
				r, err := retention.NewRunner(retention.Config{Store: w.s, Kinds: []retention.Kind{f.purge()}, Holds: w, Record: f.record, Log: quiet()})
				if err != nil {
					t.Fatal(err)
				}
				drain(t, r)
				for i := range duties {
					if o := w.get(t, fmt.Sprintf("log-%d:purge", i)); o.State != retention.StateDone || len(o.Steps) != 2 || !o.Steps[0].Done || !o.Steps[1].Done {
						t.Errorf("got %+v, want it done", o)
					}
				}
				if left, err := os.ReadDir(filepath.Join(f.dir, "vendor")); err != nil || len(left) != 0 {
					t.Errorf("%d records are left (%v)", len(left), err)
				}
				log := f.entries(t)
				checkLog(t, log)
				count := map[string]int{}
				for _, e := range log {
					count[e.Kind]++
				}
				if count["obligation.added"] != duties || count["step.completed"] != 2*duties || count["obligation.done"] != duties {
					t.Errorf("the log has %v", count)
				}
			})
		}
	}
}
