package lists

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestProposals(t *testing.T) {
	t.Parallel()
	var s Shapes
	card := redact.Finding{Class: redact.CreditCard}
	named := redact.Finding{Class: redact.CreditCard, Evidence: redact.EvidenceWord}
	for i := range 30 {
		s.Add(card, "", fmt.Appendf(nil, "6011%012d", i*7919))         // gift cards in text
		s.Add(card, "Loyalty_No", fmt.Appendf(nil, "%016d", i*104729)) // a field of its own
		s.Add(card, "", fmt.Appendf(nil, "4242%012d", i*7919))         // cards of people
		s.Add(redact.Finding{Class: redact.Email}, "", []byte("jo@example.com"))
	}
	s.Add(named, "", []byte("4242424242424242"))
	s.Add(card, "", []byte("5555555555554444")) // once
	got := s.Proposals(20)
	if len(got) != 2 || got[0].Pattern != "################" || got[0].Field != "loyalty_no" || got[1].Pattern != "6011############" || got[1].Field != "" || got[1].Findings != 30 {
		t.Errorf("got %+v", got)
	}
	for _, p := range got {
		row := fmt.Sprintf("version: 1\nallow:\n  - pattern: %q\n    classes: [%s]\n    author: a\n    until: 2027-01-01\n", p.Pattern, p.Classes[0])
		if p.Field != "" {
			row += fmt.Sprintf("    field: %q\n", p.Field)
		}
		if _, err := Parse("x", []byte(row)); err != nil {
			t.Errorf("a proposal that the reader refuses: %v", err)
		}
	}
}

// Shapes keep no value, whatever is counted, and a bounded number of forms.
func TestShapesAreBounded(t *testing.T) {
	t.Parallel()
	var s Shapes
	for i := range maxShapes + 100 {
		s.Add(redact.Finding{Class: redact.USSSN}, fmt.Sprint("field", i), []byte("536-22-8145"))
	}
	if len(s.counts) != maxShapes || s.dropped != 100 {
		t.Errorf("%d forms, %d dropped", len(s.counts), s.dropped)
	}
	for k := range s.counts {
		if strings.ContainsAny(k.form, "0123456789") || k.leading != "" {
			t.Fatal("a form holds digits of the value")
		}
	}
}

// Blind shapes hold no digit at all and propose rows for fields only.
func TestBlindShapes(t *testing.T) {
	t.Parallel()
	s := Shapes{Blind: true}
	for i := range 30 {
		s.Add(redact.Finding{Class: redact.CreditCard}, "", fmt.Appendf(nil, "6011%012d", i*7919))
		s.Add(redact.Finding{Class: redact.CreditCard}, "gift", fmt.Appendf(nil, "6011%012d", i*7919))
	}
	got := s.Proposals(20)
	if len(got) != 1 || got[0].Pattern != "################" || got[0].Field != "gift" || got[0].Findings != 30 {
		t.Errorf("got %+v", got)
	}
	for k := range s.counts {
		if strings.ContainsAny(k.form+k.leading+k.field, "0123456789") {
			t.Fatal("a form holds digits of the value")
		}
	}
}

func TestFieldOf(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"": "", "/ticket/fields/0/value": "value", "/orders/3": "orders", "/a~1b/c~0d": "c~d", "/0/1": "",
	} {
		if got := FieldOf(path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
