package proxy

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/vault"
)

// W11, WT7: what a process leaves that ends between the gate of holds and the end of an
// erasure, on both databases: an erasure that is in the log is carried out, and holds came too
// late for it; one that is not never was, and a hold wins.
func TestErasureInterruptedAtTheGate(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "postgres"} {
		for _, logged := range []bool{false, true} {
			name := kind + "/before its event"
			if logged {
				name = kind + "/behind its event"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := DataConfig{Dir: filepath.Join(t.TempDir(), "data"), Name: "test"}
				if kind == "postgres" {
					c.Database = pgtest.Database(t)
				}
				if _, err := CreateData(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				open := func() *Data {
					t.Helper()
					d, err := OpenData(t.Context(), c)
					if err != nil {
						t.Fatal(err)
					}
					return d
				}
				ann := []vault.Ident{{Kind: "email", Value: "ann@example.com"}}
				d := open()
				if _, err := d.Vault.Subjects(t.Context(), ann); err != nil {
					t.Fatal(err)
				}
				found, err := d.Vault.FindErasable(t.Context(), ann)
				if err != nil {
					t.Fatal(err)
				}
				person := []index.Person{found[0].Subject.Pseudonym(pseudonymIndex)}
				event := audit.NewID()
				if err := d.Holds.Pass(t.Context(), event, d.gateway, person); err != nil {
					t.Fatal(err)
				}
				if logged {
					if _, err := d.recordErasure(t.Context(), event, []vault.PersonID{found[0].ID}, nil); err != nil {
						t.Fatal(err)
					}
				}
				h, err := d.Holds.Place(t.Context(), hold.New{Matter: "CASE-7", Custodian: "legal", Reason: "x", By: "local", Scope: hold.Scope{Persons: person}})
				if err != nil {
					t.Fatal(err)
				}
				if len(h.TooLate) != 1 || h.TooLate[0].Event != event {
					t.Errorf("behind the gate: too late for %v", h.TooLate)
				}
				if err := d.Close(); err != nil { // here the process ends
					t.Fatal(err)
				}

				d = open()
				defer func() {
					if err := d.Close(); err != nil {
						t.Error(err)
					}
				}()
				quiet := slog.New(slog.DiscardHandler)
				left, err := d.Holds.Unended(t.Context(), d.gateway)
				if err != nil || len(left) != 1 {
					t.Fatalf("left: %v, %v", left, err)
				}
				d.replaySoon(t.Context(), left, quiet)
				if left, err := d.Holds.Unended(t.Context(), d.gateway); err != nil || len(left) != 0 {
					t.Errorf("left: %v, %v", left, err)
				}
				who, err := d.Vault.Known(t.Context(), ann[0])
				if err != nil || who.IsZero() != logged {
					t.Errorf("the person is there: %v, %v, want %v", !who.IsZero(), err, !logged)
				}
				h, err = d.Holds.Get(t.Context(), h.ID)
				if err != nil || (len(h.TooLate) == 1) != logged {
					t.Errorf("too late for %v, %v, want that: %v", h.TooLate, err, logged)
				}
				if err := d.Holds.Check(t.Context(), person); err == nil {
					t.Error("nothing holds the person")
				}
				if err := d.tellHolds(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := d.Log.Settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				all, _, err := d.Log.Index().Entries(t.Context(), audit.Query{Type: hold.EventPlaced}, 10)
				if err != nil || len(all) != 1 {
					t.Errorf("the log has %v, %v", all, err)
				}
			})
		}
	}
}
