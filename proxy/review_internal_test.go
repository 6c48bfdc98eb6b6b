package proxy

import (
	"encoding/hex"
	"path/filepath"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/policy/review"
)

// Reviews are due each quarter of an anchor that never moves; a quarter has its review when
// one that was opened in it is closed.
func TestReviewDue(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		if s == "" {
			return time.Time{}
		}
		v, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct{ name, anchor, done, want string }{
		{"none yet", "2026-11-30", "", "2027-03-01"}, // the end of 28 February
		{"in the first quarter", "2026-11-30", "2026-12-24", "2027-05-31"},
		{"on the last day of it", "2026-11-30", "2027-02-28", "2027-05-31"},
		{"on the first of the next", "2026-11-30", "2027-03-01", "2027-08-31"},
		{"a year later", "2026-11-30", "2027-09-01", "2028-03-01"}, // of a leap year: 29 February
	} {
		got, err := reviewDue(at(tt.anchor).Add(10*time.Hour), at(tt.done))
		if err != nil || !got.Equal(at(tt.want)) {
			t.Errorf("%s: got %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}

// What is interrupted while a review is carried out goes on at the next start: before the
// deed, between the deed and its event, between the event and the note of it, and behind
// the report. Each event is in the log once.
func TestReviewIsCarriedOut(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(t *testing.T, d *Data, r review.Review, it review.Item){
		"nothing": func(*testing.T, *Data, review.Review, review.Item) {},
		"the deed": func(t *testing.T, d *Data, r review.Review, it review.Item) {
			ok(t, d.Keys.RevokeAlong(t.Context(), it.Target, func(string) bool { return false }))
		},
		"deed and event": func(t *testing.T, d *Data, r review.Review, it review.Item) {
			ok(t, d.revokeReviewed(t.Context(), r, []review.Item{it}, it))
		},
		"the report": func(t *testing.T, d *Data, r review.Review, it review.Item) {
			ok(t, d.revokeReviewed(t.Context(), r, []review.Item{it}, it))
			made, digest, err := d.makeReport(t.Context(), r, []review.Item{it})
			ok(t, err)
			ok(t, d.Reviews.SetReport(t.Context(), r.ID, made, digest))
		},
		"all but the end": func(t *testing.T, d *Data, r review.Review, it review.Item) {
			ok(t, d.revokeReviewed(t.Context(), r, []review.Item{it}, it))
			ok(t, d.endReview(t.Context(), r, []review.Item{it}, nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := DataConfig{Dir: filepath.Join(t.TempDir(), "data"), Name: "test"}
			_, err := CreateData(t.Context(), c)
			ok(t, err)
			d, err := OpenData(t.Context(), c)
			ok(t, err)
			key, secret, err := d.Keys.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"service"}})
			ok(t, err)
			now := time.Now()
			opened, err := d.Reviews.Open(t.Context(), review.NewReview{By: "key:sec", Since: now.Add(-time.Hour), Until: now, Due: now, Items: []review.Item{{Kind: itemKey, Action: review.ActKey, Target: key.ID, Facts: review.Facts{Holder: "key:" + key.ID}}}})
			ok(t, err)
			ok(t, d.Reviews.Decide(t.Context(), opened.ID, review.Decision{Items: []int{1}, What: review.Revoke, Reviewer: "key:other", Reason: "x", Ticket: "CHG-1"}, func(review.Item) bool { return false }))
			d.end() // whoever carries it out has died
			d.keeping.Wait()
			ok(t, d.Reviews.Close(t.Context(), opened.ID, review.Closer{By: "key:sec", Agreed: []string{"key:third"}}))
			r, items, err := d.Reviews.Get(t.Context(), opened.ID)
			ok(t, err)
			before(t, d, r, items[0])
			ok(t, d.Close())

			if d, err = OpenData(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			defer func() { ok(t, d.Close()) }()
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for ; r.State != review.Closed; <-tick.C {
				if r, items, err = d.Reviews.Get(t.Context(), opened.ID); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := d.Keys.Verify(t.Context(), secret); err == nil {
				t.Error("the key counts")
			}
			ok(t, d.Log.Settle(t.Context()))
			for event, id := range map[string][16]byte{eventAccessRevoked: items[0].Event, eventAccessReviewed: r.Event} {
				found, _, err := d.Log.Index().Entries(t.Context(), audit.Query{Type: event}, 10)
				ok(t, err)
				if len(found) != 1 || found[0].ID != id {
					t.Errorf("%s: %d events, want the one that was drawn", event, len(found))
				}
			}
			leaf, err := d.Log.Find(t.Context(), r.Event)
			ok(t, err)
			report, err := d.Reviews.Report(t.Context(), r.ID)
			ok(t, err)
			if leaf.Attrs["approved_by"] != "key:third" || leaf.Attrs["closed_by"] != "key:sec" || len(report) == 0 {
				t.Errorf("the event has %v", leaf.Attrs)
			}
			leaf, err = d.Log.Find(t.Context(), items[0].Event)
			ok(t, err)
			if leaf.Attrs["key"] != key.ID || leaf.Attrs["reviewer"] != "key:other" || leaf.Attrs["ticket"] != "CHG-1" || leaf.Operation != review.ActKey {
				t.Errorf("the event of the revocation: %v", leaf.Attrs)
			}
		})
	}
}

// A key that was rotated is its holder's, whichever of the two reviews.
func TestOwnKeys(t *testing.T) {
	t.Parallel()
	c := DataConfig{Dir: filepath.Join(t.TempDir(), "data"), Name: "test"}
	_, err := CreateData(t.Context(), c)
	ok(t, err)
	d, err := OpenData(t.Context(), c)
	ok(t, err)
	defer func() { ok(t, d.Close()) }()
	var chain []string
	first, _, err := d.Keys.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"security"}})
	ok(t, err)
	for id := first.ID; len(chain) < 3; {
		chain = append(chain, "key:"+id)
		next, _, err := d.Keys.Rotate(t.Context(), id, time.Hour)
		ok(t, err)
		id = next.ID
	}
	other, _, err := d.Keys.Create(t.Context(), policy.NewKey{Name: "y", Roles: []string{"security"}})
	ok(t, err)
	for _, reviewer := range chain {
		own, err := d.own(t.Context(), &policy.Actor{ID: reviewer})
		ok(t, err)
		for _, holder := range append(chain, "key:"+other.ID) {
			want := holder != "key:"+other.ID
			if got := own(review.Item{Kind: itemKey, Facts: review.Facts{Holder: holder}}); got != want {
				t.Errorf("%s about %s: own %v, want %v", reviewer, holder, got, want)
			}
		}
	}
}

// A role is its holder's, whichever gateway's log has the name.
func TestOwnRole(t *testing.T) {
	t.Parallel()
	c := DataConfig{Dir: filepath.Join(t.TempDir(), "data"), Name: "test"}
	_, err := CreateData(t.Context(), c)
	ok(t, err)
	d, err := OpenData(t.Context(), c)
	ok(t, err)
	defer func() { ok(t, d.Close()) }()
	who, err := d.Vault.Actor(t.Context(), "oidc:me")
	ok(t, err)
	_, err = d.Vault.Actor(t.Context(), "oidc:other")
	ok(t, err)
	mine, err := d.own(t.Context(), &policy.Actor{ID: "oidc:me"})
	ok(t, err)
	others, err := d.own(t.Context(), &policy.Actor{ID: "oidc:other"})
	ok(t, err)
	for _, origin := range []string{d.Log.Origin(), "test.other-gateway/audit/2026h1"} {
		name := who.Pseudonym(origin)
		it := review.Item{Kind: itemRole, Facts: review.Facts{Holder: hex.EncodeToString(name[:]), Origin: origin}}
		if !mine(it) || others(it) {
			t.Errorf("a role under %s: own %v to its holder, %v to another", origin, mine(it), others(it))
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
