package proxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// A period ends no day early, whatever months lie in between.
func TestPeriods(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ period, now, want string }{
		{"P30D", "2026-11-22T10:00:00Z", "2026-10-23T00:00:00Z"},
		{"P12M", "2026-11-22T10:00:00Z", "2025-11-22T00:00:00Z"},
		{"P1M", "2026-03-31T00:00:00Z", "2026-02-28T00:00:00Z"},
		{"P1M", "2026-03-30T23:59:59Z", "2026-02-28T00:00:00Z"},
		{"P1Y", "2024-02-29T12:00:00Z", "2023-02-28T00:00:00Z"},
		{"P1D", "2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, test.now)
		if err != nil {
			t.Fatal(err)
		}
		got, err := proxy.PeriodBefore(test.period, now)
		if err != nil || got.Format(time.RFC3339) != test.want {
			t.Errorf("%s before %s: got %s, %v, want %s", test.period, test.now, got.Format(time.RFC3339), err, test.want)
		}
	}
	for _, bad := range []string{"", "P", "PD", "30D", "P0D", "P-1D", "P30", "P30W", "P99999D", "P+1D", "P1.5Y", "P030D"} {
		if _, err := proxy.PeriodBefore(bad, time.Now()); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// Details of a call are gone, keys and ciphertexts, when their retention is over; who
// looked is kept; the log verifies.
func TestDetailsExpire(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	for range 3 {
		do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{"ticket":{"requester":{"email":"jo@example.com"},"comment":{"body":"card 4111 1111 1111 1111"}}}`})
	}
	g.WaitForEntries(7)
	g.Stop()
	count := func(file, query string) (n int) {
		t.Helper()
		db, err := g.OpenDB(file, store.Options{MaxConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	subjects, actors := "SELECT count(*) FROM audit_detail WHERE part LIKE 'subject%'", "SELECT count(*) FROM audit_detail WHERE part = 'actor'"
	keys := "SELECT count(DISTINCT purpose) FROM period_key" // the calls may be of two days
	if s, a, k := count("audit/detail.db", subjects), count("audit/detail.db", actors), count("vault.db", keys); s == 0 || a == 0 || k != 2 {
		t.Fatalf("before: %d and %d details, %d keys", s, a, k)
	}
	d, err := proxy.OpenData(t.Context(), proxy.DataConfig{Dir: g.Data, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	before := count("audit/detail.db", actors)
	for i := range 2 {
		// Thirty-one days later by what the caller says; the clock itself is believed.
		why, n, err := proxy.Expire(t.Context(), d, time.Now().AddDate(0, 0, 31))
		if err != nil || why != "" || (n > 0) != (i == 0) {
			t.Errorf("call %d: got %q, %d, %v", i+1, why, n, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if s, a, k := count("audit/detail.db", subjects), count("audit/detail.db", actors), count("vault.db", keys); s != 0 || a != before || k != 1 {
		t.Errorf("after: %d and %d details, %d keys", s, a, k)
	}
	if r := g.Verify(); r.Types[audit.TypeDetailExpired] != 1 {
		t.Errorf("leaves: %v", r.Types)
	}
	if err := g.Load(proxytest.Options{Upstream: u.URL, Block: "details {\n retain subject P60D\n retain exchange actor P24M\n clock_checked 2026-11-22\n}\n"}); err != nil {
		t.Error(err)
	}
	for block, want := range map[string]string{
		"retain actor P11M": "P12M at least", "retain actor P365D": "P12M at least", "retain subject": "part and a period", "retain everything P1Y": "nothing is called",
		"retain subject 30d": "as P30D", "clock_checked today": "wants a day", "keep subject P30D": "unknown option",
	} {
		err := g.Load(proxytest.Options{Upstream: u.URL, Block: "details {\n " + block + "\n}\n"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", block, err, want)
		}
	}
}
