package vault_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caregate/caregate/vault"
)

// A detail that was sealed in a period opens with the keys of person and day, and no
// more when one of them is gone; those of other days and purposes stay.
func TestPeriods(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	who, err := v.Actor(t.Context(), "key:1")
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 22, 23, 59, 59, 0, time.UTC)
	seal := func(purpose string, at time.Time) vault.Sealed {
		p, err := v.Period(t.Context(), purpose, at)
		if err != nil {
			t.Fatal(err)
		}
		s, err := v.SealIn(p, who, []byte("place"), []byte("198.51.100.7"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	old, next, other := seal("exchange/subject", day), seal("exchange/subject", day.Add(time.Second)), seal("exchange/actor", day)
	check := func(when string, s vault.Sealed, want error) {
		t.Helper()
		got, err := v.Open(t.Context(), s, []byte("place"))
		if !errors.Is(err, want) || err == nil && string(got) != "198.51.100.7" {
			t.Errorf("%s: got %q, %v, want %v", when, got, err, want)
		}
	}
	for _, s := range []vault.Sealed{old, next, other} {
		check("sealed", s, nil)
	}
	if _, err := v.Open(t.Context(), old, []byte("elsewhere")); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("in another place: %v", err)
	}
	forged := old
	forged.Key = next.Key
	check("under the key of another day", forged, vault.ErrSealed)
	forged.Key = "p2:00"
	check("under no key", forged, vault.ErrSealed)
	again, err := v.Period(t.Context(), "exchange/subject", day)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := v.SealIn(again, who, []byte("place"), nil); err != nil || same.Key != old.Key {
		t.Errorf("the same day has another key: %v", err)
	}
	for i, want := range []int64{1, 0} {
		if n, err := v.DestroyPeriods(t.Context(), "exchange/subject", day.Add(time.Second)); err != nil || n != want {
			t.Errorf("destroying, time %d: got %d, %v, want %d", i+1, n, err, want)
		}
	}
	check("destroyed", old, vault.ErrNoKey)
	check("the next day", next, nil)
	check("another purpose", other, nil)
}

// However many ask for the key of a day at once, there is one.
func TestPeriodRace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vaults := []*vault.Vault{open(t, dir), open(t, dir)}
	names := make(chan string)
	const callers = 8
	for i := range callers {
		go func() {
			v := vaults[i%2]
			who, err := v.Actor(context.WithoutCancel(t.Context()), "key:1")
			var s vault.Sealed
			var p vault.Period
			if err == nil {
				p, err = v.Period(context.WithoutCancel(t.Context()), "exchange/actor", time.Unix(0, 0))
			}
			if err == nil {
				s, err = v.SealIn(p, who, nil, nil)
			}
			if err != nil {
				t.Error(err)
			}
			names <- s.Key
		}()
	}
	first := <-names
	for range callers - 1 {
		if name := <-names; name != first {
			t.Errorf("got keys %s and %s", name, first)
		}
	}
}
