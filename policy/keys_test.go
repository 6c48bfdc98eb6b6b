package policy_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// digest stands for the vault's.
func digest(purpose string, b []byte) []byte {
	m := hmac.New(sha256.New, []byte("a key of the tests"))
	fmt.Fprintf(m, "%d %s ", len(purpose), purpose)
	m.Write(b)
	return m.Sum(nil)
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.UnixMilli(1_800_000_000_000).UTC()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// statePath is where a test's state database is: a file, or a database under
// TestOnPostgres.
func statePath(t testing.TB) string {
	t.Helper()
	if strings.HasPrefix(t.Name(), "TestOnPostgres/") {
		return pgtest.Database(t)
	}
	return filepath.Join(t.TempDir(), "state.db")
}

// TestOnPostgres runs the tests of what is stored again, in PostgreSQL.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"KeyLife":            TestKeyLife,
		"KeyRevoke":          TestKeyRevoke,
		"KeyRotate":          TestKeyRotate,
		"KeyRotateRace":      TestKeyRotateRace,
		"KeyNarrow":          TestKeyNarrow,
		"KeysThatAreRefused": TestKeysThatAreRefused,
		"KeysUnderRace":      TestKeysUnderRace,
		"KeyDatabaseFailure": TestKeyDatabaseFailure,

		"SessionsEnd":    TestSessionsEnd,
		"SessionsAtRest": TestSessionsAtRest,

		"Limits":         TestLimits, // VT8, V10
		"LimitsTogether": TestLimitsTogether,
		"LimitBreaker":   TestLimitBreaker,
		"LimitParts":     TestLimitParts,
		"LimitOldRows":   TestLimitPartsOfOldRows,
		"LimitDifferent": TestLimitsOfDifferentOnes,
		"LimitManyOnes":  TestLimitsOfManyDifferentOnes,

		"RollbackRates":     TestRollbackRates,
		"RollbackIsDurable": TestRollbackIsDurable,
		"EnforcedStays":     TestWhatWasEnforcedStays,
		"RuleInForce":       TestRuleInForceIsForAll,
		"RollbacksTidied":   TestRollbacksAreTidied,

		"ApprovalLife":        TestApprovalLife,
		"ApprovalDualControl": TestApprovalDualControl,
		"ApprovalsNotCounted": TestApprovalsThatDoNotCount,
		"ApprovalEnds":        TestApprovalEnds,
		"ApprovalsFull":       TestApprovalsFull,
		"ApprovalRace":        TestApprovalRace,
		"Standing":            TestStandingApproval,
		"StandingRefused":     TestStandingApprovalRefused,
		"TermsRefused":        TestTermsThatAreRefused,
	} {
		t.Run(name, test)
	}
}

// Of several who rotate a key at once, without an overlap, one gets the successor.
func TestKeyRotateRace(t *testing.T) {
	t.Parallel()
	k := openKeys(t, statePath(t), newClock())
	made, _, err := k.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"agent"}})
	must(t, err)
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() {
			_, _, err := k.Rotate(context.Background(), made.ID, 0)
			errs <- err
		}()
	}
	rotated := 0
	for range cap(errs) {
		switch err := <-errs; {
		case err == nil:
			rotated++
		case !errors.Is(err, policy.ErrKeyEnded):
			t.Errorf("got %v, want ErrKeyEnded", err)
		}
	}
	if rotated != 1 {
		t.Errorf("%d successors, want 1", rotated)
	}
}

func openDB(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{Create: true})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

func openKeys(t testing.TB, path string, c *clock) *policy.Keys {
	t.Helper()
	k, err := policy.OpenKeys(t.Context(), openDB(t, path), policy.KeysConfig{Digest: digest, Now: c.Now})
	must(t, err)
	t.Cleanup(func() { must(t, k.Close()) })
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeyLife(t *testing.T) {
	t.Parallel()
	path := statePath(t)
	c := newClock()
	k := openKeys(t, path, c)
	made, secret, err := k.Create(t.Context(), policy.NewKey{Name: "nightly export", Roles: []string{"service"}, Grants: []string{"zendesk:ticket.export", "zendesk:*/read"}, Expires: c.Now().Add(time.Hour)})
	must(t, err)
	if !regexp.MustCompile(`^cgk1[0-9a-hjkmnp-tv-z]{30}$`).MatchString(string(secret)) {
		t.Error("the key does not have its documented form")
	}
	got, err := k.Verify(t.Context(), secret)
	must(t, err)
	if got.ID != made.ID || got.Name != "nightly export" || fmt.Sprint(got.Roles, got.Grants) != "[service] [zendesk:*/read zendesk:ticket.export]" {
		t.Errorf("Verify: got %+v", got)
	}

	must(t, k.Close()) // the last use is written
	k = openKeys(t, path, c)
	list, err := k.List(t.Context())
	must(t, err)
	if len(list) != 1 || list[0].LastUsed != c.Now() || list[0].Created != c.Now() || !list[0].Revoked.IsZero() {
		t.Errorf("List: got %+v", list)
	}

	c.Move(time.Hour)
	if _, err := k.Verify(t.Context(), secret); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("expired key: got %v, want ErrRefused", err)
	}
	if _, _, err := k.Rotate(t.Context(), made.ID, time.Hour); !errors.Is(err, policy.ErrKeyEnded) {
		t.Errorf("rotating an expired key: got %v, want ErrKeyEnded", err)
	}
}

func TestKeyRevoke(t *testing.T) {
	t.Parallel()
	path := statePath(t)
	c := newClock()
	k, other := openKeys(t, path, c), openKeys(t, path, c)
	made, secret, err := k.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"agent"}})
	must(t, err)
	for _, x := range []*policy.Keys{k, other} {
		_, err = x.Verify(t.Context(), secret)
		must(t, err)
	}
	must(t, k.Revoke(t.Context(), made.ID))
	if _, err := k.Verify(t.Context(), secret); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("revoked here: got %v, want ErrRefused at once", err)
	}
	c.Move(5 * time.Second)
	if _, err := other.Verify(t.Context(), secret); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("revoked elsewhere: got %v, want ErrRefused after five seconds", err)
	}
	first, err := k.List(t.Context())
	must(t, err)
	c.Move(time.Hour)
	must(t, k.Revoke(t.Context(), made.ID))
	again, err := k.List(t.Context())
	must(t, err)
	if again[0].Revoked != first[0].Revoked {
		t.Error("revoking twice changed the instant")
	}
	if err := k.Revoke(t.Context(), "nobody"); !errors.Is(err, policy.ErrNoKey) {
		t.Errorf("revoking nothing: got %v, want ErrNoKey", err)
	}
	if _, _, err := k.Rotate(t.Context(), made.ID, 0); !errors.Is(err, policy.ErrKeyEnded) {
		t.Errorf("rotating a revoked key: got %v, want ErrKeyEnded", err)
	}
}

func TestKeyRotate(t *testing.T) {
	t.Parallel()
	c := newClock()
	k := openKeys(t, statePath(t), c)
	old, oldSecret, err := k.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"agent"}, Grants: []string{"zendesk:*/bulk"}})
	must(t, err)
	_, err = k.Verify(t.Context(), oldSecret) // in the cache
	must(t, err)
	next, nextSecret, err := k.Rotate(t.Context(), old.ID, time.Minute)
	must(t, err)
	if next.ID == old.ID || nextSecret == oldSecret || next.Name != old.Name || fmt.Sprint(next.Roles, next.Grants) != fmt.Sprint(old.Roles, old.Grants) {
		t.Error("the successor is not a new key with the same rights")
	}
	for _, s := range []policy.Secret{oldSecret, nextSecret} {
		if _, err := k.Verify(t.Context(), s); err != nil {
			t.Errorf("during the overlap: got %v, want both to count", err)
		}
	}
	c.Move(time.Minute)
	if _, err := k.Verify(t.Context(), oldSecret); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("old key after the overlap: got %v, want ErrRefused", err)
	}
	_, err = k.Verify(t.Context(), nextSecret)
	must(t, err)
	list, err := k.List(t.Context())
	must(t, err)
	for _, x := range list {
		if x.ID == old.ID && x.Successor != next.ID {
			t.Error("the old key does not name its successor")
		}
	}
	if _, _, err := k.Rotate(t.Context(), "nobody", 0); !errors.Is(err, policy.ErrNoKey) {
		t.Errorf("rotating nothing: got %v, want ErrNoKey", err)
	}
}

// Every way of being wrong is one error, so that nothing can be learned from it.
func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	c := newClock()
	k := openKeys(t, statePath(t), c)
	_, secret, err := k.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"agent"}})
	must(t, err)
	elsewhere := openKeys(t, statePath(t), c)
	_, foreign, err := elsewhere.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"agent"}})
	must(t, err)
	good := string(secret)
	for _, tc := range []struct {
		name string
		key  policy.Secret
	}{
		{"empty", ""},
		{"prefix only", "cgk1"},
		{"another prefix", policy.Secret("cgk2" + good[4:])},
		{"cut short", policy.Secret(good[:len(good)-1])},
		{"too long", policy.Secret(good + "0")},
		{"upper case", policy.Secret(strings.ToUpper(good))},
		{"wrong check", policy.Secret(good[:len(good)-1] + string(rotate(good[len(good)-1])))},
		{"one character changed", policy.Secret(good[:10] + string(rotate(good[10])) + good[11:])},
		{"right form and check, never made here", foreign},
		{"not ASCII", policy.Secret(good[:10] + "ü" + good[12:])},
		{"quote", policy.Secret(good[:10] + "'" + good[11:])},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := k.Verify(t.Context(), tc.key)
			if !errors.Is(err, policy.ErrRefused) || err.Error() != policy.ErrRefused.Error() {
				t.Errorf("got %v, want exactly ErrRefused", err)
			}
		})
	}
}

// rotate is another character of the alphabet.
func rotate(c byte) byte {
	if c == '0' {
		return '1'
	}
	return '0'
}

func TestKeysThatCannotBeMade(t *testing.T) {
	t.Parallel()
	c := newClock()
	k := openKeys(t, statePath(t), c)
	for _, tc := range []struct {
		name string
		key  policy.NewKey
		says string
	}{
		{"no name", policy.NewKey{Roles: []string{"agent"}}, "name"},
		{"name with a line end", policy.NewKey{Name: "a\nb", Roles: []string{"agent"}}, "printable"},
		{"long name", policy.NewKey{Name: strings.Repeat("x", 129), Roles: []string{"agent"}}, "128"},
		{"no rights", policy.NewKey{Name: "x"}, "role or a grant"},
		{"unknown role", policy.NewKey{Name: "x", Roles: []string{"king"}}, "agent, dpo"},
		{"role that cannot be given", policy.NewKey{Name: "x", Roles: []string{"vendor"}}, "cannot be given"},
		{"malformed grant", policy.NewKey{Name: "x", Grants: []string{"everything"}}, "CHANNEL:OPERATION"},
		{"too many grants", policy.NewKey{Name: "x", Grants: manyGrants(257)}, "256"},
		{"expired", policy.NewKey{Name: "x", Roles: []string{"agent"}, Expires: c.Now()}, "expired"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, secret, err := k.Create(t.Context(), tc.key)
			if !errors.Is(err, policy.ErrNewKey) || !strings.Contains(fmt.Sprint(err), tc.says) || secret != "" {
				t.Errorf("got %v, want ErrNewKey saying %q", err, tc.says)
			}
		})
	}
}

func manyGrants(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("zendesk:op%d", i))
	}
	return out
}

// Neither the file nor anything printed holds a key.
func TestKeysAreNotStored(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	k := openKeys(t, path, newClock())
	made, secret, err := k.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"agent"}})
	must(t, err)
	var buf bytes.Buffer
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("x", "secret", secret, "key", made, "presented", policy.Presented{Key: secret, Asserted: "ann@example.com"})
	fmt.Fprintf(&buf, "%v %+v %#v %s %q\n", secret, secret, secret, secret, secret)
	fmt.Fprintf(&buf, "%v %+v\n", policy.Presented{Key: secret}, []policy.Secret{secret})
	raw, err := json.Marshal(map[string]any{"s": secret, "p": &secret})
	must(t, err)
	buf.Write(raw)
	for _, f := range []string{path, path + "-wal"} {
		raw, err := os.ReadFile(f)
		must(t, err)
		buf.Write(raw)
	}
	if body := string(secret)[4:30]; bytes.Contains(buf.Bytes(), []byte(body)) || bytes.Contains(buf.Bytes(), []byte("ann@")) {
		t.Error("a key or an asserted user was printed or stored")
	}
}

func TestKeysUnderRace(t *testing.T) {
	t.Parallel()
	c := newClock()
	k := openKeys(t, statePath(t), c)
	made, secret, err := k.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"agent"}})
	must(t, err)
	revoked := make(chan struct{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				before := isClosed(revoked)
				if _, err := k.Verify(context.Background(), secret); before && !errors.Is(err, policy.ErrRefused) {
					t.Errorf("after Revoke returned: got %v, want ErrRefused", err)
					return
				}
			}
		})
	}
	must(t, k.Revoke(t.Context(), made.ID))
	close(revoked)
	wg.Wait()
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestKeyDatabaseFailure(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), statePath(t), store.Options{Create: true})
	must(t, err)
	k, err := policy.OpenKeys(t.Context(), db, policy.KeysConfig{Digest: digest})
	must(t, err)
	_, secret, err := k.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"agent"}})
	must(t, err)
	must(t, db.Close())
	r, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Keys: k})
	must(t, err)
	if _, err := r.Resolve(t.Context(), policy.Presented{Key: secret}); err == nil || errors.Is(err, policy.ErrRefused) || policy.RefusalReason(err) != "policy_error" {
		t.Errorf("database gone: got %v, want an error that is no refusal", err)
	}
}

func FuzzKey(f *testing.F) {
	k := openKeys(f, filepath.Join(f.TempDir(), "state.db"), newClock())
	_, secret, err := k.Create(f.Context(), policy.NewKey{Name: "x", Roles: []string{"agent"}})
	must(f, err)
	f.Add(string(secret))
	f.Add("cgk1")
	f.Add(strings.Repeat("cgk1", 9))
	f.Fuzz(func(t *testing.T, s string) {
		_, err := k.Verify(t.Context(), policy.Secret(s))
		if (err == nil) != (s == string(secret)) {
			t.Errorf("Verify: got %v for a key that is the made one: %v", err, s == string(secret))
		}
	})
}

func BenchmarkKeyVerify(b *testing.B) {
	k := openKeys(b, filepath.Join(b.TempDir(), "state.db"), newClock())
	_, secret, err := k.Create(b.Context(), policy.NewKey{Name: "x", Roles: []string{"agent"}})
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Verify(b.Context(), secret); err != nil {
			b.Fatal(err)
		}
	}
}
