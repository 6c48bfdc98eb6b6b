package proxy_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/vault"
)

// A13, F15: an erasure that is in the log and was not carried out, because the process
// ended in between or the vault is older than the log, is carried out before anything is
// served. One that was carried out is not looked at again.
func TestErasuresAreReplayed(t *testing.T) {
	t.Parallel()
	c := proxy.DataConfig{Dir: filepath.Join(t.TempDir(), "data"), Name: "test"}
	if _, err := proxy.CreateData(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	open := func() *proxy.Data {
		t.Helper()
		d, err := proxy.OpenData(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.ReplayErasures(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		return d
	}
	ann, bob := vault.Ident{Kind: "email", Value: "ann@example.com"}, vault.Ident{Kind: "email", Value: "bob@example.com"}
	erase := func(d *proxy.Data, id vault.Ident) {
		t.Helper()
		found, err := d.Vault.FindErasable(t.Context(), []vault.Ident{id})
		if err != nil {
			t.Fatal(err)
		}
		slot, err := d.Log.Reserve(t.Context(), audit.LaneReserved)
		if err != nil {
			t.Fatal(err)
		}
		defer slot.Release()
		e := audit.Event{Type: "subject.erased", Tenant: "default", Attrs: map[string]string{"rows": found[0].ID.String()}, Retention: "administration"}
		if _, err := slot.Append(e).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	known := func(d *proxy.Data, id vault.Ident, want bool) {
		t.Helper()
		s, err := d.Vault.Known(t.Context(), id)
		if err != nil || s.IsZero() == want {
			t.Errorf("%s is known: %v, %v, want %v", id, !s.IsZero(), err, want)
		}
	}
	d := open()
	people, err := d.Vault.Subjects(t.Context(), []vault.Ident{ann, bob})
	if err != nil || len(people) != 2 {
		t.Fatal(err)
	}
	erase(d, ann)
	known(d, ann, true) // here the process ends
	closeData(t, d)

	d = open()
	known(d, ann, false)
	known(d, bob, true)
	first, err := d.Vault.ErasedUpTo(t.Context())
	if err != nil || first == (vault.ErasureMark{}) {
		t.Fatalf("the mark: %+v, %v", first, err)
	}
	erase(d, bob)
	closeData(t, d)

	d = open()
	defer closeData(t, d)
	known(d, bob, false)
	second, err := d.Vault.ErasedUpTo(t.Context())
	if err != nil || second.Shard != first.Shard || second.Index <= first.Index {
		t.Errorf("the mark: got %+v after %+v, %v", second, first, err)
	}
}

func closeData(t *testing.T, d *proxy.Data) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
