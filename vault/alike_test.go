package vault_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/vault"
)

// alikeRounds is how often each refusal is timed, up to alikeTries times, and alikeMost how many times as long the
// slowest kind may take as the quickest: one that is opened and refused takes twice as
// long, and one that nobody looked up would take a fifteenth.
const (
	alikeRounds = 400
	alikeTries  = 20
	alikeMost   = 4
)

// VT7, V9: tokens that are forged, truncated, upper-case, of another deployment, expired or
// unknown are refused in the same time, by a spend and by a reveal. Compared is the
// quickest of many calls of each kind, taken in turns: what else the machine does makes
// calls slower and none quicker.
func TestRefusalsTakeAlike(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := &clock{at: time.Now()}
	place(t, dir)
	must(t, vault.Create(t.Context(), dir, vault.Config{}))
	v := opened(t, dir, vault.Config{Now: at.now, CacheTime: 48 * time.Hour})
	token := charged(t, v, "ch_1", pay())
	is, err := v.Tokenize(t.Context(), "", time.Hour, []vault.Value{val(vault.KindPayment, "ch_short")})
	must(t, err)
	must(t, is.Keep(t.Context()))
	at.pass(2 * time.Hour)
	if _, err := v.Reveal(t.Context(), token); err != nil { // so that its person is in memory
		t.Fatal(err)
	}
	tokens := map[string]string{
		"forged": vault.FormOf([16]byte{1, 2, 3}, 77), "truncated": token[:len(token)-1], "of another deployment": tokenOf(t, open(t, t.TempDir()), "", val(vault.KindPayment, "ch_1")),
		"expired": is.Tokens[0].Text, "unknown": vault.WriteToken(v, [16]byte{1, 2, 3, 4}), "no token": "hello",
	}
	timed := func(do func()) time.Duration {
		began := time.Now()
		do()
		return time.Since(began)
	}
	for name, try := range map[string]func(text string) error{
		"reveal": func(text string) error {
			_, err := v.Reveal(t.Context(), text)
			return err
		},
		"spend": func(text string) error {
			s := refund(text, 1, "k")
			st, err := v.Stand(t.Context(), &s)
			if err == nil && st.Token == vault.StandsUnknown {
				return vault.ErrToken
			}
			return err
		},
	} {
		all := map[string]string{}
		for kind, text := range tokens {
			all[kind] = text
		}
		if name == "spend" { // to a reveal it is the token
			all["upper-case"] = strings.ToUpper(token)
		}
		// More rounds only make the quickest truer, so a busy machine gets more of them.
		quickest, unasked := map[string]time.Duration{}, time.Hour
		var least, most time.Duration
		for range alikeTries {
			for range alikeRounds {
				for kind, text := range all {
					took := timed(func() {
						if err := try(text); !errors.Is(err, vault.ErrToken) {
							t.Fatalf("%s, %s: got %v, want ErrToken", name, kind, err)
						}
					})
					if was, ok := quickest[kind]; !ok || took < was {
						quickest[kind] = took
					}
				}
				unasked = min(unasked, timed(func() { v.TokenName(tokens["forged"]) }))
			}
			least, most = time.Hour, 0
			for _, took := range quickest {
				least, most = min(least, took), max(most, took)
			}
			if most <= alikeMost*least && unasked*alikeMost <= least {
				break
			}
		}
		if most > alikeMost*least {
			t.Errorf("%s: %v", name, quickest)
		}
		// An answer without the question would be seen.
		if unasked*alikeMost > least {
			t.Errorf("%s: the comparison would not see an answer that looks nothing up (%v of %v)", name, unasked, least)
		}
		t.Logf("%s: %.2f times the quickest; without a question 1/%d", name, float64(most)/float64(least), least/max(unasked, 1))
	}
}
