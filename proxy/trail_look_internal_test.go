package proxy

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
)

// goesOn lets time pass, with a reading every ten minutes.
func (b *trailBench) goesOn(d time.Duration) {
	b.t.Helper()
	for ; d > 0; d -= 10 * time.Minute {
		b.now = b.now.Add(10 * time.Minute)
		b.read()
	}
}

// An entry that the vendor shows hours after its time is found when the trail looks back,
// once, and the next statement counts it. What lies before the trail's beginning is not
// asked for.
func TestTrailLooksBack(t *testing.T) {
	t.Parallel()
	b := newTrailBench(t, "zendesk", "access")
	b.p.every, b.p.history = 10*time.Minute, time.Hour
	began := b.now
	b.read()
	b.goesOn(8 * time.Hour)
	if got := b.leaves(audit.TypeVendorEvent); len(got) != 0 {
		t.Fatalf("got %d events", len(got))
	}
	note := func(at time.Time, ticket string) {
		b.desk.NoteAccess(at, map[string]any{"method": "DELETE", "url": "/api/v2/tickets/" + ticket, "user_id": 7})
	}
	note(b.now.Add(-5*time.Hour), "5")
	note(began.Add(-2*time.Hour), "6") // before the beginning
	b.goesOn(70 * time.Minute)
	b.goesOn(3 * time.Hour)
	got := b.leaves(audit.TypeVendorEvent)
	if len(got) != 1 || got[0].Operation != "ticket.delete" {
		t.Fatalf("got %d events, want the late one, once", len(got))
	}
	late := 0
	for _, l := range b.leaves(audit.TypeVendorCovered) {
		if l.Attrs["late"] == "1" {
			late++
		}
	}
	if late != 1 || b.gaps() != "" {
		t.Errorf("%d statements count it; gaps: %s", late, b.gaps())
	}
	// One beyond the overlap is missed, as the page says.
	b.goesOn(24 * time.Hour)
	note(b.now.Add(-26*time.Hour), "7")
	b.goesOn(2 * time.Hour)
	if got := b.leaves(audit.TypeVendorEvent); len(got) != 1 {
		t.Errorf("got %d events", len(got))
	}
}

// A look is made once an hour at most, and costs a call where one page has all.
func TestTrailLooksSeldom(t *testing.T) {
	t.Parallel()
	b := newTrailBench(t, "zendesk", "access")
	b.p.every, b.p.history = 10*time.Minute, time.Hour
	b.read()
	looks, calls := 0, 0
	b.wrong = func(_ http.ResponseWriter, r *http.Request) bool {
		calls++
		if b.p.cur.Window.Back {
			looks++
		}
		return false
	}
	b.goesOn(6 * time.Hour)
	if looks < 5 || looks > 6 || calls > 36+looks+1 {
		t.Errorf("looked back %d times in 6 hours, with %d calls", looks, calls)
	}
}

// A vendor that cannot show the past again does not keep the trail from what is new, and
// the log says that late entries may be missing.
func TestTrailLookFails(t *testing.T) {
	t.Parallel()
	b := newTrailBench(t, "zendesk", "access")
	b.p.every, b.p.history = 10*time.Minute, time.Hour
	b.read()
	b.wrong = func(w http.ResponseWriter, _ *http.Request) bool {
		if !b.p.cur.Window.Back {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	failed := 0
	for range 18 { // three hours
		b.now = b.now.Add(10 * time.Minute)
		for b.try() != nil {
			failed++
		}
	}
	if failed == 0 || failed > 3*trailLookTries {
		t.Errorf("failed %d times", failed)
	}
	for line := range strings.SplitSeq(b.gaps(), "\n") {
		if !strings.HasPrefix(line, gapLate+" ") {
			t.Errorf("gap: %q", line)
		}
	}
	if until := b.p.State().Until; until.Before(b.now.Add(-20 * time.Minute)) {
		t.Errorf("read until %s at %s", until, b.now)
	}
}
