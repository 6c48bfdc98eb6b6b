package incident

// OnStep has f called between the statements of a change.
func (s *Store) OnStep(f func(string)) { s.step = f }

// Rules are the rules of the register that incidents know.
func Rules() (list []string) {
	for _, r := range breachRules {
		list = append(list, r.rule)
	}
	return list
}
