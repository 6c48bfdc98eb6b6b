package request

import "github.com/caregate/caregate/retention"

// OnStep has f called at each step of a store.
func (s *Store) OnStep(f func(string)) { s.step = f }

// WithDuties is the store with other duties, of another clock.
func (s *Store) WithDuties(d *retention.Store) *Store {
	return &Store{Config: Config{DB: s.DB, Duties: d, Register: s.Register, Index: s.Index, Seal: s.Seal, HoldInForce: s.HoldInForce}, step: s.step, patience: s.patience}
}

// RecordOf reads the place of a record.
var RecordOf = recordOf
