package main

import (
	"strings"
	"testing"
)

// TestStoryCanFail proves that the demo notices what it is there to show.
func TestStoryCanFail(t *testing.T) {
	t.Parallel()
	receipt := strings.Repeat("a", 32)
	tests := []struct {
		name string
		st   step
		want string // part of the only complaint; empty for none
	}{
		{"all is well", step{Stored: demoCardMask, Returned: demoSSNMask, Receipt: receipt, forwarded: true}, ""},
		{"a refusal", step{Receipt: receipt, reason: "export_needs_grant"}, ""},
		{"no receipt", step{}, "no receipt"},
		{"a card is stored", step{Stored: "x " + demoCard, Receipt: receipt, forwarded: true}, "reached the helpdesk"},
		{"a number is stored without its separators", step{Stored: "4111111111111111", Receipt: receipt, forwarded: true}, "reached the helpdesk"},
		{"a social security number comes back", step{Returned: demoSSN, Receipt: receipt, forwarded: true}, "came back"},
		{"refused and forwarded", step{Receipt: receipt, reason: "export_needs_grant", forwarded: true}, "it was refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := new(story)
			s.check(&tt.st)
			switch {
			case tt.want == "" && len(s.wrong) > 0:
				t.Errorf("got complaints %q, want none", s.wrong)
			case tt.want != "" && (len(s.wrong) != 1 || !strings.Contains(s.wrong[0], tt.want)):
				t.Errorf("got complaints %q, want one with %q", s.wrong, tt.want)
			}
		})
	}
}

func TestStoryCountsEvents(t *testing.T) {
	t.Parallel()
	s := &story{steps: []*step{{forwarded: true}, {forwarded: true}, {}}}
	if got := s.events(); got != 9 {
		t.Errorf("got %d events, want 9", got)
	}
}
