package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/policy"
)

func address(t testing.TB, s string) netip.Addr {
	t.Helper()
	if s == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	must(t, err)
	return a
}

func TestSituationNetworks(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{Overlays: []*policy.Overlay{
		overlay(t, "version: 1\nnetworks:\n  - {name: office, addresses: [203.0.113.0/24, \"2001:db8:7::/48\"], region: eu}\n  - {name: all, addresses: [0.0.0.0/0, \"::/0\"]}\n  - {name: door, addresses: [203.0.113.9], region: eu}\n"),
		overlay(t, "version: 1\nnetworks:\n  - {name: vpn, addresses: [10.0.0.0/8], region: ch}\n  - {name: all, addresses: [192.0.2.1]}\n"),
	}})
	for _, tc := range []struct{ address, networks, regions string }{
		{"203.0.113.7", "office", "eu"},
		{"::ffff:203.0.113.7", "office", "eu"}, // the same in the other form
		{"203.0.113.9", "door office", "eu"},
		{"203.0.114.1", "", ""},
		{"2001:db8:7:1::5", "office", "eu"},
		{"2001:db8:8::5", "", ""},
		{"fe80::1%eth0", "", ""},
		{"10.200.3.4", "vpn", "ch"},
		{"192.0.2.1", "all", ""}, // the later document says what the name means
		{"", "", ""},
	} {
		s := e.Situation(address(t, tc.address), time.Unix(0, 0))
		if got := strings.Join(s.Networks, " "); got != tc.networks {
			t.Errorf("%q is in %q, want %q", tc.address, got, tc.networks)
		}
		if got := strings.Join(s.Regions, " "); got != tc.regions {
			t.Errorf("%q is in the regions %q, want %q", tc.address, got, tc.regions)
		}
	}
}

// What the documents name together has to fit into one call, whichever of them are open at
// once; a name that a later one takes over is one name.
func TestSituationsOfAllDocumentsAreBounded(t *testing.T) {
	t.Parallel()
	hours := func(document string) *policy.Overlay {
		rows := "version: 1\nhours:\n"
		for i := range 32 {
			rows += fmt.Sprintf("  - {name: %s%d, zone: UTC}\n", document, i)
		}
		return overlay(t, rows)
	}
	networks := func(document string) *policy.Overlay {
		rows := "version: 1\nnetworks:\n"
		for i := range 64 {
			rows += fmt.Sprintf("  - {name: %s%d, addresses: [0.0.0.0/0]}\n", document, i)
		}
		return overlay(t, rows)
	}
	for name, tc := range map[string]struct {
		documents []*policy.Overlay
		want      string
	}{
		"hours":         {[]*policy.Overlay{hours("a"), hours("b"), hours("c")}, "the documents have more than 32 names of hours together"},
		"one hour more": {[]*policy.Overlay{hours("a"), overlay(t, "version: 1\nhours:\n  - {name: b, zone: UTC}\n")}, "the documents have more than 32 names of hours together"},
		"networks":      {[]*policy.Overlay{networks("a"), networks("b")}, "the documents have more than 64 networks together"},
	} {
		if _, err := policy.NewEngine(t.Context(), policy.Config{Overlays: tc.documents}); err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
	e := engine(t, policy.Config{Overlays: []*policy.Overlay{hours("a"), networks("a"), hours("a"), networks("a")}})
	s := e.Situation(address(t, "203.0.113.7"), time.Unix(1_790_000_000, 0))
	in := ticket()
	in.Networks, in.Hours = s.Networks, s.Hours
	if len(in.Networks) != 64 || len(in.Hours) != 32 {
		t.Errorf("in %d networks and %d hours, want 64 and 32", len(in.Networks), len(in.Hours))
	}
	if _, err := e.Decide(t.Context(), in); err != nil {
		t.Errorf("in all of them at once: %v", err)
	}
}

// Hours go by the clocks of their zone, also on the days on which these are set.
func TestSituationHours(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{Overlays: []*policy.Overlay{overlay(t, `
version: 1
hours:
  - {name: desk, zone: Europe/Berlin, days: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00"}
  - {name: desk, zone: Europe/Berlin, days: [sat], from: "09:00", to: "12:00"}
  - {name: nights, zone: Europe/Berlin, days: [fri], from: "22:00", to: "06:00"}
  - {name: small, zone: Europe/Berlin, from: "02:15", to: "02:45"}
  - {name: late, zone: America/New_York, from: "23:00", to: "24:00"}
  - {name: sundays, zone: Asia/Tokyo, days: [sun]}
`)}})
	for _, tc := range []struct{ at, open string }{
		{"2026-11-23T06:59:59Z", ""}, // Monday 07:59:59 in Berlin
		{"2026-11-23T07:00:00Z", "desk"},
		{"2026-11-23T16:59:59Z", "desk"},
		{"2026-11-23T17:00:00Z", ""},
		{"2026-07-06T06:00:00Z", "desk"}, // in summer the same clock is an hour earlier
		{"2026-07-06T05:59:59Z", ""},
		{"2026-11-28T08:00:00Z", "desk"}, // a Saturday, which is a row of its own
		{"2026-11-28T11:00:00Z", ""},
		{"2026-11-27T21:00:00Z", "nights"},        // Friday
		{"2026-11-28T04:59:59Z", "late nights"},   // and Saturday morning; 23:59:59 in New York
		{"2026-11-28T05:00:00Z", ""},              // 06:00 in Berlin, midnight in New York
		{"2026-11-28T21:00:00Z", "sundays"},       // no night begins on Saturday; Sunday 06:00 in Tokyo
		{"2026-11-27T04:30:00Z", "late"},          // Friday morning belongs to the night of Thursday
		{"2026-11-29T14:59:59Z", "sundays"},       // Sunday 23:59:59
		{"2026-11-29T15:00:00Z", ""},              // Monday there
		{"2026-10-25T00:30:00Z", "small sundays"}, // 02:30 for the first time,
		{"2026-10-25T01:30:00Z", "small sundays"}, // and again an hour later
		{"2026-10-25T02:30:00Z", "sundays"},       // 03:30
		{"2026-03-29T00:59:59Z", "sundays"},       // 01:59:59
		{"2026-03-29T01:00:00Z", "sundays"},       // 03:00: there is no half past two on this day
	} {
		at, err := time.Parse(time.RFC3339, tc.at)
		must(t, err)
		if got := strings.Join(e.Situation(netip.Addr{}, at).Hours, " "); got != tc.open {
			t.Errorf("%s: open are %q, want %q", tc.at, got, tc.open)
		}
	}
}

// A decision that is remembered ends with the hours that it was made in: their names are a
// part of what rules see.
func TestHoursEndForRememberedDecisions(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{Overlays: []*policy.Overlay{overlay(t, `
version: 1
hours:
  - {name: desk, zone: UTC, from: "08:00", to: "18:00"}
conditions:
  - {operation: "zendesk:*", roles: [agent], hours: [desk]}
`)}})
	for _, tc := range []struct {
		at     string
		reason string
	}{{"17:59:59", ""}, {"17:59:59", ""}, {"18:00:00", "outside_hours"}, {"18:00:00", "outside_hours"}, {"08:00:00", ""}} {
		at, err := time.Parse(time.TimeOnly, tc.at)
		must(t, err)
		in := ticket()
		in.Hours = e.Situation(netip.Addr{}, at).Hours
		d, err := e.Decide(t.Context(), in)
		must(t, err)
		if d.Reason != tc.reason || d.Allow != (tc.reason == "") {
			t.Errorf("at %s: got %v %q, want %q", tc.at, d.Allow, d.Reason, tc.reason)
		}
	}
}

// FuzzOverlay: a document is refused or makes a policy that decides, and where it says that
// something is wrong, it says where.
func FuzzOverlay(f *testing.F) {
	for _, seed := range []string{
		"version: 1\nenforcement:\n  - {class: iban, route: desk, role: lead, action: mask, undo: 24h}\ngrants:\n  - {actor: 'key:a', grants: ['zendesk:*/bulk']}\n",
		"version: 1\napprovals:\n  - {operation: \"zendesk:*/bulk\", approvers: 2, records: 50}\n",
		"version: 1\nnetworks:\n  - {name: office, addresses: [203.0.113.0/24, \"2001:db8::/32\", 192.0.2.1], region: eu}\nhours:\n  - {name: desk, zone: Europe/Berlin, days: [mon], from: \"22:00\", to: \"06:00\"}\nconditions:\n  - {operation: \"zendesk:*/write\", roles: [agent, lead], class: iban, networks: [office], regions: [eu], hours: [desk], purposes: [support]}\n",
		"version: 1\nlogins:\n  - {role: admin, max_age: 10m}\nrollout:\n  - {name: a, class: iban, action: mask, undo: 1h, share: 10, " + window + ", revert: {undone: 5, denied: 2}}\n",
		"version: 1\nrollout:\n  - {name: a, rule: no_deletes, " + window + "}\n",
		"version: 1\nchange: {ticket: CHG-1, author: jane@example.com, approver: key:7f3a}\n",
		"version: 1\nhours: &a [{name: x, zone: UTC, days: *a}]\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		o, err := policy.ParseOverlay("o.yaml", src)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "o.yaml") {
				t.Errorf("got %v, want the name of the file first", err)
			}
			return
		}
		e, err := policy.NewEngine(t.Context(), policy.Config{Overlays: []*policy.Overlay{o}, Timeout: time.Minute, Cache: 1})
		if err != nil && strings.Contains(err.Error(), "no rule of yours is written as") {
			return // what it rolls out stands beside it
		}
		if err != nil {
			t.Fatalf("a document that was taken makes no policy: %v", err)
		}
		in := ticket()
		s := e.Situation(netip.AddrFrom4([4]byte{203, 0, 113, 7}), time.Unix(1_790_000_000, 0))
		in.Networks, in.Regions, in.Hours = s.Networks, s.Regions, s.Hours
		if _, err := e.Decide(t.Context(), in); err != nil {
			t.Errorf("a document that was taken decides nothing: %v", err)
		}
	})
}
