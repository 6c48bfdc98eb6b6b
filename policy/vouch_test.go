package policy_test

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/policy"
)

// What was used is remembered until it cannot count any more, and for a while longer.
func TestVouchersCountOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v, err := policy.OpenVouchers(t.Context(), openDB(t, filepath.Join(t.TempDir(), "state.db")), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	use := func(digest string, want bool) {
		t.Helper()
		if first, err := v.Use(t.Context(), []byte(digest), now.Add(time.Minute)); err != nil || first != want {
			t.Errorf("%s: got %t, %v, want %t", digest, first, err, want)
		}
	}
	sweep := func() {
		t.Helper()
		if err := v.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	use("a", true)
	use("a", false)
	use("b", true)
	sweep()
	use("a", false)
	now = now.Add(time.Minute + policy.VoucherKept)
	sweep()
	use("a", true)
}

// The addresses of a call and of a voucher are one when they differ in nothing that leads
// anywhere else.
func FuzzVoucherAddress(f *testing.F) {
	for _, pair := range [][2]string{
		{"https://a.example/b", "HTTPS://A.example:443/b"}, {"http://a.example", "http://a.example/"}, {"https://a.example/%2e", "https://a.example/."},
		{"https://a@b.example/", "https://b.example/"}, {"https://a.example/?b", "https://a.example/"}, {"//a.example/", "https://a.example/"}, {"https:a", "https:a"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, claim, called string) {
		if !policy.SameAddress(claim, called) {
			return
		}
		a, errA := url.Parse(claim)
		b, errB := url.Parse(called)
		if errA != nil || errB != nil || !strings.EqualFold(a.Hostname(), b.Hostname()) || !strings.EqualFold(a.Scheme, b.Scheme) || a.RawQuery != "" || a.Fragment != "" || a.User != nil ||
			strings.Trim(a.EscapedPath(), "/") == "" != (strings.Trim(b.EscapedPath(), "/") == "") || strings.TrimPrefix(a.EscapedPath(), "/") != strings.TrimPrefix(b.EscapedPath(), "/") {
			t.Fatalf("taken for the same: %q and %q", claim, called)
		}
	})
}
