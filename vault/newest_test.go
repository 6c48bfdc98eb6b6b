package vault_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/vault"
)

// waysLead checks what holds between any two transactions on a SQLite file: one row for a
// value, one way at most for a row and none for others, a way for each row up to upto, and
// nothing noted of deleted ones that nobody asks for any more.
func waysLead(t *testing.T, db *store.DB) {
	t.Helper()
	for _, c := range []struct{ what, sql string }{
		{"values with two rows", `SELECT count(*) FROM (SELECT mac FROM token GROUP BY mac HAVING count(*) > 1)`},
		{"ways to no row, or to another's", `SELECT count(*) FROM token_way w LEFT JOIN token t ON t.seq = w.seq WHERE t.seq IS NULL OR substr(t.mac, 1, 16) <> w.head`},
		{"rows without their way", `SELECT count(*) FROM token t LEFT JOIN token_way w ON w.seq = t.seq WHERE w.seq IS NULL AND t.seq <= (SELECT upto FROM token_list)`},
		{"deleted rows that are noted for nothing", `SELECT count(*) FROM token_gone WHERE seq <= (SELECT upto FROM token_list)`},
		{"numbers that come again", `SELECT count(*) FROM token_list WHERE last < (SELECT coalesce(max(seq), 0) FROM token)`},
	} {
		var n int
		if must(t, db.QueryRowContext(t.Context(), c.sql).Scan(&n)); n > 0 {
			t.Errorf("%d %s", n, c.what)
		}
	}
}

// VT4, V3, V13: two vaults on one SQLite file keep, extend, lose to the sweep and erase the same
// values in any order, while their ways are carried over; now and then one of them is opened
// anew. A value that has a token is found by both, and one that lost it has another.
func TestNewestTokens(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			newestTokens(t, rand.New(rand.NewPCG(seed, 10)))
		})
	}
}

func newestTokensAt(t *testing.T, dir string, c *clock) *vault.Vault {
	t.Helper()
	return opened(t, dir, vault.Config{Now: c.now, CacheTime: 1}) // so that the tables are asked
}

// keptUntil is a token that a value has, and the person who takes it along.
type keptUntil struct {
	token, person string
	until         time.Time // zero: for ever
}

func (k keptUntil) live(now time.Time) bool {
	return k.token != "" && (k.until.IsZero() || k.until.After(now))
}

func newestTokens(t *testing.T, r *rand.Rand) {
	t.Helper()
	dir := t.TempDir()
	must(t, open(t, dir).Close())
	db := openDB(t, dir)
	c := &clock{at: time.Now().Truncate(time.Millisecond)}
	vaults := []*vault.Vault{newestTokensAt(t, dir, c), newestTokensAt(t, dir, c)}
	tokens := map[int]keptUntil{}
	someone := func() string { return fmt.Sprintf("p%d@example.com", r.IntN(8)) }
	for range 150 {
		c.pass(time.Second)
		i := r.IntN(len(vaults))
		v := vaults[i]
		switch dice := r.IntN(20); {
		case dice < 14:
			issueSome(t, v, r, c.now(), someone(), tokens)
		case dice < 16:
			c.pass(time.Duration(r.IntN(80)) * time.Minute)
		case dice < 17:
			_, err := v.Sweep(t.Context())
			must(t, err)
		case dice < 19:
			who := someone()
			found, err := v.FindErasable(t.Context(), []vault.Ident{{Kind: "email", Value: who}})
			must(t, err)
			_, err = v.Erase(t.Context(), []vault.PersonID{found[0].ID}, vault.ErasureMark{})
			must(t, err)
			for n, k := range tokens {
				if k.person == who {
					delete(tokens, n)
				}
			}
		default:
			must(t, v.Close())
			vaults[i] = newestTokensAt(t, dir, c)
		}
		waysLead(t, db)
	}
	for n, k := range tokens {
		got, err := vaults[0].Reveal(t.Context(), k.token)
		if !k.live(c.now()) {
			if !errors.Is(err, vault.ErrToken) {
				t.Errorf("an expired token: got %v", err)
			}
		} else if err != nil || string(got.Text) != fmt.Sprint("N", n) {
			t.Errorf("a token leads elsewhere: %v", err)
		}
	}
}

// issueSome keeps some values, known and new ones, and compares their tokens with those that
// they had.
func issueSome(t *testing.T, v *vault.Vault, r *rand.Rand, now time.Time, who string, tokens map[int]keptUntil) {
	t.Helper()
	life := time.Duration(r.IntN(3)) * time.Hour
	var until time.Time
	if life > 0 {
		until = now.Add(life)
	}
	of := subject(t, v, "email", who)
	var values []vault.Value
	var picked []int
	for range 1 + r.IntN(40) {
		n := r.IntN(400)
		picked = append(picked, n)
		values = append(values, vault.Value{Kind: "iban", Text: fmt.Append(nil, "N", n), Subject: of})
	}
	is, err := v.Tokenize(t.Context(), "", life, values)
	must(t, err)
	must(t, is.Keep(t.Context()))
	for i, n := range picked {
		k := tokens[n]
		switch {
		case !k.live(now):
			if k.token == is.Tokens[i].Text {
				t.Fatal("a token came back")
			}
			k = keptUntil{token: is.Tokens[i].Text, person: who, until: until}
		case k.token != is.Tokens[i].Text:
			t.Fatal("a value has another token than before")
		case !k.until.IsZero() && (life == 0 || k.until.Sub(now) < life-life/8):
			k.until = until
		}
		tokens[n] = k
	}
}
