package hold

import "time"

// OnStep has f called at each step of a store.
func (s *Store) OnStep(f func(string)) { s.step = f }

// Wait makes d the patience of a store.
func (s *Store) Wait(d time.Duration) { s.patience = d }
