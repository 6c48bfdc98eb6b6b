package request_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/retention/request"
)

const (
	dieAt    = "CAREGATE_TEST_DIE_AT"
	dieNth   = "CAREGATE_TEST_DIE_NTH"
	dieWhere = "CAREGATE_TEST_DIE_WHERE"
	dieLog   = "CAREGATE_TEST_DIE_LOG"
)

// fileLog is a log that outlives a process: an event is a file, named by its id.
type fileLog struct{ dir string }

func (l fileLog) record(_ context.Context, e request.Event) error {
	name := filepath.Join(l.dir, hex.EncodeToString(e.ID[:]))
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := os.WriteFile(name+".new", []byte(e.Type), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// changeAndDie takes an objection from its beginning to its end, and ends itself as kill -9
// does. It returns only when the step was not reached.
func changeAndDie() error {
	ctx := context.Background()
	h := &hand{}
	h.set(noon)
	_, _, _, s, err := openStores(ctx, os.Getenv(dieWhere), h)
	if err != nil {
		return err
	}
	nth, err := strconv.Atoi(os.Getenv(dieNth))
	if err != nil {
		return err
	}
	s.OnStep(func(step string) {
		if step != os.Getenv(dieAt) {
			return
		}
		if nth--; nth == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	log := fileLog{os.Getenv(dieLog)}
	r, err := s.Open(ctx, wish(request.Objection, "de", ann))
	if err != nil {
		return err
	}
	if err := s.Tell(ctx, log.record); err != nil {
		return err
	}
	if _, err := s.Pause(ctx, r.ID, "key:b", "identity", "L-0", time.Time{}); err != nil {
		return err
	}
	if _, err := s.Verify(ctx, r.ID, "key:b", request.Check{Method: "account", Proof: "P-killed"}); err != nil {
		return err
	}
	if err := s.Tell(ctx, log.record); err != nil {
		return err
	}
	if _, err := s.Answer(ctx, r.ID, "key:b", "L"); err != nil {
		return err
	}
	if err := s.Tell(ctx, log.record); err != nil {
		return err
	}
	return errors.New("the step was not reached")
}

// A process that is killed at any step leaves a request with its duty, its flag and its event,
// or none of them; every event is on record once, and what the process was about can be done
// again.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		step   string
		nth    int
		events int // -1 for no request
		proven bool
		closed bool
	}{
		{step: "opening: stored", nth: 1, events: -1},
		{step: "opening: owed", nth: 1, events: -1},
		{step: "before the commit", nth: 1, events: -1},
		{step: "opened", nth: 1, events: 1},
		{step: "recorded", nth: 1, events: 1},
		{step: "before the commit", nth: 2, events: 1},
		{step: "clock", nth: 1, events: 1},
		{step: "before the commit", nth: 3, events: 1},
		{step: "changed", nth: 1, events: 2},
		{step: "verified", nth: 1, events: 2},
		{step: "flagged", nth: 1, events: 2},
		{step: "clock", nth: 2, events: 2},
		{step: "before the commit", nth: 4, events: 2},
		{step: "changed", nth: 2, events: 3, proven: true},
		{step: "recorded", nth: 2, events: 3, proven: true},
		{step: "recorded", nth: 3, events: 3, proven: true},
		{step: "ended", nth: 1, events: 3, proven: true},
		{step: "before the commit", nth: 7, events: 3, proven: true},
		{step: "changed", nth: 3, events: 4, proven: true, closed: true},
		{step: "recorded", nth: 4, events: 4, proven: true, closed: true},
		{step: "before the commit", nth: 8, events: 4, proven: true, closed: true},
	} {
		t.Run(fmt.Sprintf("%s/%d", tt.step, tt.nth), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			log := fileLog{t.TempDir()}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), dieAt+"="+tt.step, dieNth+"="+strconv.Itoa(tt.nth), dieWhere+"="+w.where, dieLog+"="+log.dir)
			says, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child ended with %v: %s", err, says)
			}
			list, err := w.s.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if tt.events < 0 {
				if len(list) != 0 {
					t.Fatalf("there is %+v", list)
				}
				var n int
				if err := w.db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM obligation) + (SELECT count(*) FROM request_event) + (SELECT count(*) FROM request_person)`).Scan(&n); err != nil || n != 0 {
					t.Fatalf("%d rows are left, %v", n, err)
				}
				w.open(t, request.Objection, "de", ann)
				return
			}
			if len(list) != 1 {
				t.Fatalf("%d requests", len(list))
			}
			id := list[0].ID
			flags, err := w.x.FlagsOf(t.Context(), []index.Person{ann}, nil, nil, noon)
			if err != nil || (len(flags) == 1) != tt.proven {
				t.Errorf("flags %v, %v", flags, err)
			}
			r, err := w.s.Get(t.Context(), id)
			if err != nil || r.Names[0].At.IsZero() == tt.proven || (r.State == request.Answered) != tt.closed {
				t.Errorf("got %+v, %v", r, err)
			}
			o, err := w.duties.Get(t.Context(), "request/"+id+"/respond")
			if err != nil || (o.State == retention.StateDone) != tt.closed {
				t.Errorf("the duty is %+v, %v", o, err)
			}
			// PostgreSQL may take a while to see that the child is gone; until then it has the
			// row of the event that was being told, which Tell passes by.
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for end := time.Now().Add(2 * time.Minute); ; <-tick.C {
				if err := w.s.Tell(t.Context(), log.record); err != nil {
					t.Fatal(err)
				}
				var left int
				if err := w.db.QueryRowContext(t.Context(), `SELECT count(*) FROM request_event WHERE told = 0`).Scan(&left); err != nil {
					t.Fatal(err)
				}
				if left == 0 {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("%d events are not told", left)
				}
			}
			if got, err := filepath.Glob(filepath.Join(log.dir, "*")); err != nil || len(got) != tt.events {
				t.Errorf("the log has %d events, %v, want %d", len(got), err, tt.events)
			}
			// It goes on where it was.
			if !tt.proven {
				if _, err := w.s.Verify(t.Context(), id, "key:b", request.Check{Method: "account", Proof: "P-killed"}); err != nil {
					t.Fatal(err)
				}
			}
			if !tt.closed {
				if r, err := w.s.Answer(t.Context(), id, "key:b", "L"); err != nil || r.State != request.Answered {
					t.Errorf("got %+v, %v", r, err)
				}
			}
		})
	}
}
