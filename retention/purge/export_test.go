package purge

import (
	"context"
	"time"
)

// OnStep has f called at each step of a store.
func (s *Store) OnStep(f func(string)) { s.step = f }

// SetClock has a store take its time from now.
func (s *Store) SetClock(now func() time.Time) {
	s.now = func(context.Context) (time.Time, error) { return now(), nil }
}
