package redact

import "fmt"

// Action is what happens to a finding. Actions are ordered by strength, so
// that the stronger of two wishes is the larger value.
type Action uint8

const (
	// Allow leaves the value alone and does not record it.
	Allow Action = iota
	// Report leaves the value alone and records that it was there.
	Report
	// Tokenize replaces the value by a token that can be turned back.
	Tokenize
	// Mask replaces the value for good, in the format of package transform.
	Mask
	// Drop takes the value out: every digit, or the whole secret.
	Drop
	// Block refuses the whole exchange.
	Block
)

var actionNames = [...]string{"allow", "report", "tokenize", "mask", "drop", "block"}

// String returns the name of the action as policies write it.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

// ParseAction returns the action called name. Names are compared exactly; an
// unknown name is an error, because a misspelt action must not become Allow.
func ParseAction(name string) (Action, error) {
	for i, n := range actionNames {
		if n == name {
			return Action(i), nil
		}
	}
	return Allow, fmt.Errorf("unknown action %q: allow, report, tokenize, mask, drop and block are known", name)
}

// MarshalText writes the name of the action.
func (a Action) MarshalText() ([]byte, error) {
	if int(a) >= len(actionNames) {
		return nil, fmt.Errorf("unknown action %d", uint8(a))
	}
	return []byte(actionNames[a]), nil
}

// UnmarshalText reads what MarshalText writes.
func (a *Action) UnmarshalText(text []byte) error {
	v, err := ParseAction(string(text))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// Rewrites reports whether the action changes the bytes of the value.
func (a Action) Rewrites() bool { return a >= Tokenize }
