package retention

import (
	"context"
	"database/sql"
	"time"
)

// MaxFailures and HeldPause are for tests that go to the limit and past it.
const (
	MaxFailures = maxFailures
	HeldPause   = heldPause
	Lease       = defaultLease
)

// ErrFenced is what a worker gets whose claim was taken over.
var ErrFenced = errFenced

// SetNow replaces the database's time.
func (s *Store) SetNow(now func() time.Time) {
	s.now = func(context.Context, *sql.Tx) (time.Time, error) { return now(), nil }
}

// SetMono replaces the runner's monotonic clock.
func (r *Runner) SetMono(mono func() time.Duration) { r.mono = mono }

// OnStep has f called at each step of a runner.
func (r *Runner) OnStep(f func(string)) { r.step = f }

// SetLease replaces how long a claim holds.
func (r *Runner) SetLease(d time.Duration) { r.lease = d }
