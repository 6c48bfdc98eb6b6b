package proxy

import (
	"reflect"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/retention/ropa"
)

// Traffic counts calls that were let through, each finding once, also those of streams, and
// nothing that was refused.
func TestTraffic(t *testing.T) {
	t.Parallel()
	leaf := func(kind, decision string, wall int64, counts ...audit.Count) *audit.Leaf {
		return &audit.Leaf{Event: audit.Event{Type: kind, Decision: decision, Route: "desk", Channel: "zendesk", Effect: "write", Released: counts}, Wall: wall}
	}
	tr := traffic{at: make(map[[2]string]int)}
	more := leaf(eventResponse, audit.DecisionAllow, 9000, audit.Count{Class: "email", Clear: 100})
	more.Cont = 1
	for _, l := range []*audit.Leaf{
		leaf(eventRequest, audit.DecisionAllow, 2000, audit.Count{Class: "credit_card", Masked: 1, Tokenized: 2, Dropped: 4}),
		leaf(eventRequestWindow, audit.DecisionAllow, 1000, audit.Count{Class: "email", Clear: 3}),
		leaf(eventRequestClosed, audit.DecisionAllow, 9000, audit.Count{Class: "email", Clear: 3}),
		leaf(eventResponse, audit.DecisionAllow, 3000, audit.Count{Class: "email", Clear: 5}, audit.Count{Class: "*", NotInspected: 1}),
		leaf(eventResponseWindow, audit.DecisionAllow, 4000, audit.Count{Class: "email", Clear: 1}),
		leaf(eventResponseClosed, audit.DecisionAllow, 9000, audit.Count{Class: "email", Clear: 6}),
		leaf(eventRefused, audit.DecisionDeny, 9000, audit.Count{Class: "email", Clear: 9}),
		leaf(eventRequest, audit.DecisionDeny, 9000),
		leaf(eventOwn, audit.DecisionAllow, 9000),
		more,
	} {
		tr.add(l)
	}
	want := []ropa.Seen{{
		Route: "desk", Channel: "zendesk", Calls: 1, Effects: map[string]bool{"write": true}, First: time.UnixMilli(1000).UTC(), Last: time.UnixMilli(4000).UTC(),
		Request:  map[string]ropa.Amount{"credit_card": {Withheld: 7}, "email": {Clear: 3}},
		Response: map[string]ropa.Amount{"email": {Clear: 6}, "*": {Unread: 1}},
	}}
	if !reflect.DeepEqual(tr.seen, want) {
		t.Errorf("got %+v\nwant %+v", tr.seen, want)
	}
}

// Another configuration in the window or after it is noticed; the same one again, and what
// was before, is not. Calls count in the window only.
func TestTrafficConfig(t *testing.T) {
	t.Parallel()
	load := func(config string, wall int64) *audit.Leaf {
		return &audit.Leaf{Event: audit.Event{Type: "config.loaded", Attrs: map[string]string{"config": config}}, Wall: wall}
	}
	call := func(wall int64) *audit.Leaf {
		return &audit.Leaf{Event: audit.Event{Type: eventRequest, Decision: audit.DecisionAllow, Route: "desk"}, Wall: wall}
	}
	for name, tt := range map[string]struct {
		leaves         []*audit.Leaf
		changed, calls int64
	}{
		"the same again":           {[]*audit.Leaf{load("a", 50), call(110), load("a", 150), call(160)}, 0, 2},
		"another before":           {[]*audit.Leaf{load("a", 10), load("b", 50), call(90), call(110), call(200)}, 0, 1},
		"another in it":            {[]*audit.Leaf{load("a", 10), load("b", 110), call(150), load("a", 160)}, 160, 1},
		"another after it":         {[]*audit.Leaf{load("a", 10), call(150), load("b", 300)}, 300, 1},
		"the log begins with one":  {[]*audit.Leaf{load("a", 110), call(150)}, 0, 1},
		"nobody knows what before": {[]*audit.Leaf{call(110), load("a", 150)}, 150, 1},
	} {
		tr := traffic{from: time.UnixMilli(100), to: time.UnixMilli(200), at: make(map[[2]string]int)}
		for _, l := range tt.leaves {
			tr.add(l)
		}
		var changed int64
		if !tr.changed.IsZero() {
			changed = tr.changed.UnixMilli()
		}
		if changed != tt.changed || len(tr.seen) != 1 || tr.seen[0].Calls != tt.calls {
			t.Errorf("%s: changed at %d, seen %+v; want %d and %d calls", name, changed, tr.seen, tt.changed, tt.calls)
		}
	}
}

// The host of a route is as a register writes it.
func TestRecordRoute(t *testing.T) {
	t.Parallel()
	for upstream, host := range map[string]string{"https://Acme.zendesk.com": "acme.zendesk.com", "https://acme.zendesk.com:443": "acme.zendesk.com", "http://127.0.0.1:8080": "127.0.0.1:8080", "http://desk.test:80": "desk.test"} {
		got, err := (&Handler{Channel: "zendesk", Upstream: upstream}).RecordRoute()
		if want := (ropa.Route{Name: "zendesk", Channel: "zendesk", Host: host}); err != nil || got != want {
			t.Errorf("%s: got %+v (%v), want %+v", upstream, got, err, want)
		}
	}
	got, err := (&Handler{Channel: "zendesk", Upstream: "https://desk.example", Webhooks: true}).RecordRoute()
	if want := (ropa.Route{Name: "zendesk/webhooks", Channel: "zendesk", Host: "desk.example", Webhooks: true}); err != nil || got != want {
		t.Errorf("webhooks: got %+v (%v), want %+v", got, err, want)
	}
}
