package proxy

import (
	"net/http"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
)

// What is missing, or may be, is stated.
func TestTrailGaps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, log string
		do        func(b *trailBench)
		want      string // gaps; FROM-TO with the times of the case
		events    int
	}{
		{"the gateway was away for longer than the vendor keeps", "access", func(b *trailBench) {
			b.now = b.now.Add(100 * 24 * time.Hour)
		}, "retention 2026-06-01T11:59:50Z 2026-06-11T12:00:00Z", 0},
		{"away for less", "access", func(b *trailBench) {
			b.now = b.now.Add(80 * 24 * time.Hour)
			b.desk.NoteAccess(b.now.Add(-70*24*time.Hour), map[string]any{"method": "GET", "url": "/api/v2/users/5", "user_id": 7})
		}, "", 1},
		{"the cursor is refused in mid-window", "audit", func(b *trailBench) {
			b.now = b.now.Add(3 * time.Hour)
			b.exports(150, b.now.Add(-time.Minute))
			refused := false
			b.wrong = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Has("page[after]") && !refused {
					refused = true
					http.Error(w, `{"errors":[]}`, http.StatusBadRequest)
					return true
				}
				return false
			}
		}, "cursor_refused 2026-06-01T11:59:50Z 2026-06-01T14:59:50Z", 150},
		{"times jump back", "audit", func(b *trailBench) {
			b.now = b.now.Add(time.Hour)
			b.exports(1, b.now.Add(-10*time.Minute))
			b.exports(1, b.now.Add(-30*time.Minute))
		}, "order 2026-06-01T12:30:00Z 2026-06-01T12:50:00Z", 2},
		{"entries without a name", "audit", func(b *trailBench) {
			b.now = b.now.Add(time.Hour)
			b.desk.NoteAudit(b.now.Add(-10*time.Minute), map[string]any{"id": nil})
			b.exports(1, b.now.Add(-9*time.Minute))
		}, "unreadable 2026-06-01T11:49:49Z 2026-06-01T12:59:50Z", 1},
		{"the vendor's clock was set back", "audit", func(b *trailBench) {
			b.now = b.now.Add(time.Hour)
			b.wrong = func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Date", b.now.Add(-3*time.Hour).Format(http.TimeFormat))
				return false
			}
		}, "clock 2026-06-01T09:59:50Z 2026-06-01T11:59:50Z", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newTrailBench(t, "zendesk", tt.log)
			b.read()
			tt.do(b)
			b.read()
			if got := b.gaps(); got != tt.want {
				t.Errorf("got gaps\n%s\nwant\n%s", got, tt.want)
			}
			if got := len(b.found(audit.TypeVendorEvent)); got != tt.events {
				t.Errorf("got %d events, want %d", got, tt.events)
			}
			if got := b.p.State().Gaps; (got > 0) != (tt.want != "") {
				t.Errorf("the state counts %d gaps", got)
			}
		})
	}
}

// A log that loses what it had shown is not to be relied on.
func TestTrailNoticesWhatVanished(t *testing.T) {
	t.Parallel()
	b := newTrailBench(t, "zendesk", "audit")
	b.exports(3, b.now.Add(-time.Minute))
	b.read()
	b.desk.Forget(1)
	b.now = b.now.Add(5 * time.Minute)
	b.exports(1, b.now.Add(-time.Minute))
	b.read()
	if got, want := b.gaps(), "vanished 2026-06-01T11:49:49Z 2026-06-01T12:04:50Z"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b.now = b.now.Add(5 * time.Minute)
	b.read()
	if n := len(b.found(audit.TypeVendorGap)); n != 1 {
		t.Errorf("it is told %d times", n)
	}
}

// Entries that turn up late are read when they do.
func TestTrailReadsLateEntries(t *testing.T) {
	t.Parallel()
	b := newTrailBench(t, "zendesk", "access")
	b.read()
	b.now = b.now.Add(5 * time.Minute)
	b.read()
	b.desk.NoteAccess(b.now.Add(-7*time.Minute), map[string]any{"method": "DELETE", "url": "/api/v2/tickets/5", "user_id": 7})
	b.now = b.now.Add(5 * time.Minute)
	b.read()
	if got := b.leaves(audit.TypeVendorEvent); len(got) != 1 || got[0].Operation != "ticket.delete" {
		t.Errorf("got %d events", len(got))
	}
}

// A silent vendor is told apart from a silent gateway once an hour.
func TestTrailSaysThatNothingHappened(t *testing.T) {
	t.Parallel()
	b := newTrailBench(t, "zendesk", "access")
	for range 25 {
		b.read()
		b.now = b.now.Add(5 * time.Minute)
	}
	covered := b.leaves(audit.TypeVendorCovered)
	if len(covered) != 3 {
		t.Fatalf("got %d statements in two hours, want 3", len(covered))
	}
	for i := 1; i < len(covered); i++ {
		if covered[i].Attrs["from"] != covered[i-1].Attrs["to"] {
			t.Errorf("statement %d begins at %s, the one before ends at %s", i, covered[i].Attrs["from"], covered[i-1].Attrs["to"])
		}
	}
}

// Entries that the operator does not want one by one are counted.
func TestTrailOnly(t *testing.T) {
	t.Parallel()
	b := newTrailBench(t, "zendesk", "access")
	b.p.only = []string{"export", "delete"}
	for i, url := range []string{"/api/v2/tickets/1", "/api/v2/incremental/tickets/cursor", "/api/v2/tickets/2"} {
		b.desk.NoteAccess(b.now.Add(-time.Duration(10-i)*time.Minute), map[string]any{"method": "GET", "url": url, "user_id": 7})
	}
	b.read()
	if got := b.leaves(audit.TypeVendorEvent); len(got) != 1 || got[0].Scope != "export" {
		t.Errorf("got %d events", len(got))
	}
	if got := b.leaves(audit.TypeVendorCovered); len(got) != 1 || got[0].Attrs["entries"] != "3" || got[0].Attrs["skipped"] != "2" {
		t.Errorf("the statement is %+v", got)
	}
}
