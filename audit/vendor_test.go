package audit

import (
	"encoding/json"
	"strings"
	"testing"
)

// What a vendor's own log tells is never taken for a call that we saw: it has another
// class, says whose word it is, and stands in populations under its own type.
func TestVendorsWordIsNoObservation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		event    Event
		activity int
		want     []string
	}{
		{"an export", Event{Type: TypeVendorEvent, Operation: "data.exported", Effect: "read", Scope: "export"}, ocsfRead, []string{"A.8.15"}},
		{"a deletion", Event{Type: TypeVendorEvent, Operation: "ticket.deleted", Effect: "delete"}, ocsfDelete, []string{"A.8.10", "A.8.15"}},
		{"a role", Event{Type: TypeVendorEvent, Operation: "user.changed", Effect: "admin"}, ocsfUpdate, []string{"A.8.2", "A.8.15"}},
		{"a sign-in", Event{Type: TypeVendorEvent, Operation: "session.begun"}, ocsfOther, []string{"A.8.15"}},
		{"a gap", Event{Type: TypeVendorGap, Attrs: map[string]string{"gap": "retention"}}, ocsfOther, []string{"A.8.15"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := tt.event
			e.Class, e.Channel, e.Identity = ocsfEntityManagement, "zendesk", IdentityVendor
			if e.Attrs == nil {
				e.Attrs = map[string]string{"vendor_time": "2026-11-22T08:00:00Z"}
			}
			l := Leaf{Event: e}
			line, err := Entry{Leaf: l}.OCSF()
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Class    int `json:"class_uid"`
				Activity int `json:"activity_id"`
				Severity int `json:"severity_id"`
				Metadata struct {
					Provider string `json:"log_provider"`
					Original string `json:"original_time"`
				}
				Entity   struct{ Name string }
				Unmapped struct{ Identity string }
			}
			if err := json.Unmarshal(line, &got); err != nil {
				t.Fatal(err)
			}
			severity := 1
			if e.Type == TypeVendorGap {
				severity = 3
			}
			if got.Class != ocsfEntityManagement || got.Activity != tt.activity || got.Severity != severity || got.Metadata.Provider != "zendesk" ||
				got.Metadata.Original != e.Attrs["vendor_time"] || got.Entity.Name != "zendesk" || got.Unmapped.Identity != IdentityVendor {
				t.Errorf("got %s", line)
			}
			if isCall(&l) {
				t.Error("it counts as a call")
			}
			var controls []string
			for _, c := range Controls(FrameworkISO) {
				if c.pick(&l) {
					controls = append(controls, c.ID)
				}
			}
			if strings.Join(controls, " ") != strings.Join(tt.want, " ") {
				t.Errorf("it is in the populations %v, want %v", controls, tt.want)
			}
		})
	}
}
