package hold

// OnStep has f called at each step of a store.
func (s *Store) OnStep(f func(string)) { s.step = f }
