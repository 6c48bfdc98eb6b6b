package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/vault"
)

// card is a published test number.
const card = "4111111111111111"

func val(kind, text string) vault.Value { return vault.Value{Kind: kind, Text: []byte(text)} }

// tokenOf issues and keeps one token.
func tokenOf(t testing.TB, v *vault.Vault, scope string, value vault.Value) string {
	t.Helper()
	is, err := v.Tokenize(t.Context(), scope, 0, []vault.Value{value})
	must(t, err)
	must(t, is.Keep(t.Context()))
	return is.Tokens[0].Text
}

func revealed(t testing.TB, v *vault.Vault, token string) string {
	t.Helper()
	got, err := v.Reveal(t.Context(), token)
	must(t, err)
	return string(got.Text)
}

// V3: equal value, tenant, scope and kind have one token; everything else another.
func TestOneTokenForOneValue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	must(t, vault.Create(t.Context(), dir, vault.Config{Tenant: "second"}))
	second := opened(t, dir, vault.Config{Tenant: "second"})
	first := tokenOf(t, v, "", val("credit_card", card))
	again := open(t, dir)
	for name, got := range map[string]string{
		"again":             tokenOf(t, v, "", val("credit_card", card)),
		"grouped":           tokenOf(t, v, "", val("credit_card", "4111 1111-1111 1111")),
		"by another vault":  tokenOf(t, again, "", val("credit_card", card)),
		"of another person": tokenOf(t, v, "", vault.Value{Kind: "credit_card", Text: []byte(card), Subject: subject(t, v, "email", "ann@example.com")}),
	} {
		if got != first {
			t.Errorf("%s: got another token", name)
		}
	}
	seen := map[string]string{first: "the first"}
	for name, got := range map[string]string{
		"another value":  tokenOf(t, v, "", val("credit_card", "5555555555554444")),
		"another kind":   tokenOf(t, v, "", val("payment_reference", card)),
		"another scope":  tokenOf(t, v, "zendesk:ticket:7", val("credit_card", card)),
		"another tenant": tokenOf(t, second, "", val("credit_card", card)),
	} {
		if seen[got] != "" {
			t.Errorf("%s has the token of %s", name, seen[got])
		}
		seen[got] = name
	}
	if _, err := second.Reveal(t.Context(), first); !errors.Is(err, vault.ErrToken) {
		t.Errorf("in another tenant: got %v, want ErrToken", err)
	}
	// One call with all of them, twice the same among them.
	is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "de89370400440532013000"), val("credit_card", card), val("iban", "DE89 3704 0044 0532 0130 00")})
	must(t, err)
	if is.Tokens[1].Text != first || is.Tokens[0] != is.Tokens[2] {
		t.Error("one call: equal values have different tokens")
	}
}

// VT4: many writers in two vaults on one database race for the same values.
func TestTokensRace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vaults := []*vault.Vault{open(t, dir), open(t, dir)}
	const writers, values = 64, 12
	var mu sync.Mutex
	got := map[string]map[string]bool{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			v := vaults[w%2]
			var all []vault.Value
			for i := range values {
				all = append(all, val("iban", fmt.Sprint("IBAN", (i+w)%values)))
			}
			is, err := v.Tokenize(t.Context(), "", 0, all)
			if err == nil {
				err = is.Keep(t.Context())
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i, tok := range is.Tokens {
				text := string(all[i].Text)
				if got[text] == nil {
					got[text] = map[string]bool{}
				}
				got[text][tok.Text] = true
			}
		})
	}
	wg.Wait()
	for text, tokens := range got {
		if len(tokens) != 1 {
			t.Errorf("one value has %d tokens", len(tokens))
		}
		for token := range tokens {
			if revealed(t, vaults[0], token) != text {
				t.Error("a token leads to another value")
			}
		}
	}
}

// Values of every byte come back as they went in, many at once.
func TestValuesComeBack(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 9))
			for range 8 {
				var values []vault.Value
				for range 20 {
					b := make([]byte, 1+random.IntN(200))
					for i := range b {
						b[i] = byte(random.Uint32())
					}
					values = append(values, vault.Value{Kind: "payment_reference", Text: b})
				}
				is, err := v.Tokenize(t.Context(), "", 0, values)
				if err == nil {
					err = is.Keep(t.Context())
				}
				if err != nil {
					t.Error(err)
					return
				}
				for i := range values {
					got, err := v.Reveal(t.Context(), is.Tokens[i].Text)
					if err != nil || !bytes.Equal(got.Text, values[i].Text) || got.Kind != values[i].Kind {
						t.Errorf("value %d came back changed: %v", i, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestValuesThatAreNotKept(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	for name, tc := range map[string]struct {
		value vault.Value
		want  error
	}{
		"verification code":  {val("card_verification_code", "123"), vault.ErrNeverKept},
		"track":              {val("card_track_data", ";4111111111111111=2512101?"), vault.ErrNeverKept},
		"PIN":                {val("card_pin", "1234"), vault.ErrNeverKept},
		"nothing":            {val("iban", ""), vault.ErrValue},
		"card of no digit":   {val("credit_card", "four one"), vault.ErrValue},
		"no kind":            {val("", "x"), vault.ErrValue},
		"a text":             {val("payment_reference", strings.Repeat("x", vault.MaxValue+1)), vault.ErrValue},
		"the longest passes": {val("payment_reference", strings.Repeat("x", vault.MaxValue)), nil},
	} {
		_, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "NL91ABNA0417164300"), tc.value})
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func openAt(t testing.TB, dir string, c *clock) *vault.Vault {
	t.Helper()
	open(t, dir)
	return opened(t, dir, vault.Config{Now: c.now})
}

// opened opens a vault that is there.
func opened(t testing.TB, dir string, c vault.Config) *vault.Vault {
	t.Helper()
	v, err := vault.Open(t.Context(), dir, c)
	must(t, err)
	closeAfter(t, v)
	return v
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	v := openAt(t, t.TempDir(), c)
	const life = 80 * time.Hour
	issue := func(text string) string {
		t.Helper()
		is, err := v.Tokenize(t.Context(), "", life, []vault.Value{val("iban", text)})
		must(t, err)
		must(t, is.Keep(t.Context()))
		return is.Tokens[0].Text
	}
	one, two := issue("ONE"), issue("TWO")
	c.pass(life / 4)
	if issue("ONE") != one { // and has its whole life again
		t.Error("the token changed before its time")
	}
	c.pass(life - life/4 - time.Millisecond)
	if revealed(t, v, one) != "ONE" || revealed(t, v, two) != "TWO" {
		t.Error("another value just before the end")
	}
	c.pass(time.Millisecond)
	if _, err := v.Reveal(t.Context(), two); !errors.Is(err, vault.ErrToken) {
		t.Errorf("expired: got %v, want ErrToken", err)
	}
	if revealed(t, v, one) != "ONE" {
		t.Error("a token that was given out again has not got more time")
	}
	if issue("TWO") == two {
		t.Error("an expired token came back")
	}
	c.pass(2 * life)
	swept, err := v.Sweep(t.Context())
	if want := (vault.Swept{Expired: 2}); err != nil || swept != want {
		t.Errorf("sweeping: got %+v, %v, want %+v", swept, err, want)
	}
	if forever := tokenOf(t, v, "", val("iban", "ONE")); forever == one {
		t.Error("a swept token came back")
	} else if c.pass(100 * life); revealed(t, v, forever) != "ONE" {
		t.Error("a token without an end has ended")
	}
}

func TestOrphansAreSwept(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	v := openAt(t, t.TempDir(), c)
	kept := tokenOf(t, v, "", val("iban", "KEPT"))
	orphan, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "ORPHAN")})
	must(t, err)
	late, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "LATE")})
	must(t, err)
	c.pass(vault.OrphanTime)
	// Somebody else finds it while it is pending, and has to keep it too.
	other, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "LATE")})
	must(t, err)
	if other.Tokens[0] != late.Tokens[0] {
		t.Error("a pending token is not the same for the next one")
	}
	must(t, other.Keep(t.Context()))
	c.pass(time.Millisecond)
	swept, err := v.Sweep(t.Context())
	if want := (vault.Swept{Orphans: 1}); err != nil || swept != want {
		t.Errorf("sweeping: got %+v, %v, want %+v", swept, err, want)
	}
	if err := orphan.Keep(t.Context()); !errors.Is(err, vault.ErrToken) {
		t.Errorf("keeping what was swept: got %v, want ErrToken", err)
	}
	if revealed(t, v, kept) != "KEPT" || revealed(t, v, late.Tokens[0].Text) != "LATE" {
		t.Error("a kept token was swept")
	}
	must(t, late.Keep(t.Context()))
}

// Whoever keeps a token while it is being swept either has it or is told so.
func TestSweepAndKeepRace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	later := openAt(t, dir, &clock{at: time.Now().Add(2 * vault.OrphanTime)})
	// Every second time the one who keeps it comes when the sweep has taken it away
	// and not committed.
	var meanwhile func()
	vault.OnStep(later, func(step string) {
		if step == "swept" && meanwhile != nil {
			meanwhile()
			meanwhile = nil
		}
	})
	lost := 0
	for i := range 20 {
		is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", fmt.Sprint("N", i))})
		must(t, err)
		var wg sync.WaitGroup
		var swept, kept error
		keep := func() { wg.Go(func() { kept = is.Keep(t.Context()) }) }
		if forced := i%2 == 1; forced {
			meanwhile = keep
			_, swept = later.Sweep(t.Context())
			wg.Wait()
			if !errors.Is(kept, vault.ErrToken) {
				t.Fatalf("keeping what is being swept: got %v, want ErrToken", kept)
			}
		} else {
			keep()
			_, swept = later.Sweep(t.Context())
			wg.Wait()
		}
		must(t, swept)
		_, err = v.Reveal(t.Context(), is.Tokens[0].Text)
		switch {
		case kept == nil && err != nil:
			t.Fatalf("a kept token is gone: %v", err)
		case errors.Is(kept, vault.ErrToken):
			lost++
		case kept != nil:
			t.Fatal(kept)
		}
	}
	t.Logf("%d of 20 were swept first", lost)
}

// VT2, V15: whatever is exchanged between two rows, no token leads to a value that is
// not its own, and the change is noticed or the token is gone.
func TestSwappedTokenRows(t *testing.T) {
	t.Parallel()
	for column, tc := range map[string]struct{ sealed, index bool }{ // what notices: the value's seal, the way to it
		"id": {sealed: true, index: true}, "scope": {sealed: true, index: true}, "kind": {sealed: true, index: true}, "tenant": {sealed: true, index: true},
		"person": {sealed: true}, "sealed": {sealed: true}, "created": {sealed: true, index: true}, "expires": {sealed: true},
		"mac": {index: true}, "tag": {index: true}, "version": {}, "mark": {},
	} {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c := &clock{at: time.Unix(1_800_000_000, 0)}
			v := openAt(t, dir, c)
			ann, bob := subject(t, v, "email", "ann@example.com"), subject(t, v, "email", "bob@example.com")
			values := []vault.Value{{Kind: "iban", Text: []byte("ONE"), Subject: ann}, {Kind: "iban", Text: []byte("TWO"), Subject: bob}}
			is, err := v.Tokenize(t.Context(), "", time.Hour, values)
			must(t, err)
			must(t, is.Keep(t.Context()))
			exchange(t, openDB(t, dir), column)
			w := openAt(t, dir, c)
			for i, tok := range is.Tokens {
				got, err := w.Reveal(t.Context(), tok.Text)
				if tc.sealed && !errors.Is(err, vault.ErrRow) && !errors.Is(err, vault.ErrToken) {
					t.Errorf("a forged row was opened: %v", err)
				}
				if err == nil && !bytes.Equal(got.Text, values[i].Text) {
					t.Error("a token leads to the value of another")
				}
			}
			now, err := w.Tokenize(t.Context(), "", time.Hour, values)
			if tc.index && !errors.Is(err, vault.ErrRow) {
				t.Errorf("a forged index was believed: %v", err)
			}
			if err == nil && (now.Tokens[0] == is.Tokens[1] || now.Tokens[1] == is.Tokens[0]) {
				t.Error("a value has the token of another")
			}
		})
	}
}

// exchange gives each of the two tokens the other one's column, or both another value
// where they have the same.
func exchange(t *testing.T, db *store.DB, column string) {
	t.Helper()
	set := func(value, key string, args ...any) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), fmt.Sprintf("UPDATE token SET %s = %s %s", column, value, key), args...)
		must(t, err)
	}
	switch column {
	case "scope", "kind", "tenant":
		set("'other'", "")
		return
	case "created", "expires", "version", "mark":
		set(column+" + 1", "")
		return
	}
	rows, err := db.QueryContext(t.Context(), fmt.Sprintf("SELECT %s FROM token", column))
	must(t, err)
	defer rows.Close()
	var values [][]byte
	for rows.Next() {
		var v []byte
		must(t, rows.Scan(&v))
		values = append(values, v)
	}
	must(t, rows.Err())
	if len(values) != 2 || bytes.Equal(values[0], values[1]) {
		t.Fatalf("%d rows, or nothing to exchange", len(values))
	}
	// Over a third value, because some columns hold none twice.
	where := "WHERE " + column + " = $2"
	if column == "person" {
		set("CASE person WHEN $1 THEN $2 ELSE $1 END", "", values[0], values[1])
		return
	}
	set("$1", where, []byte{0}, values[0])
	set("$1", where, values[0], values[1])
	set("$1", where, values[1], []byte{0})
}

// V13 for what exists today: with the key of the person the token is gone, and the same
// value has another one.
func TestTokenGoesWithItsPerson(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	value := vault.Value{Kind: "iban", Text: []byte("ONE"), Subject: subject(t, v, "email", "ann@example.com")}
	token := tokenOf(t, v, "", value)
	_, err := openDB(t, dir).ExecContext(t.Context(), "DELETE FROM person")
	must(t, err)
	w := open(t, dir)
	if _, err := w.Reveal(t.Context(), token); !errors.Is(err, vault.ErrToken) {
		t.Errorf("without the person's key: got %v, want ErrToken", err)
	}
	if tokenOf(t, w, "", val("iban", "ONE")) == token {
		t.Error("the token came back")
	}
}

// VT5, V1, V6: nothing that is printed or stored holds a value.
func TestValuesAreNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	value := val("payment_reference", "needle-4711-needle")
	token := tokenOf(t, v, "needless", value)
	got, err := v.Reveal(t.Context(), token)
	must(t, err)
	var buf bytes.Buffer
	for _, x := range []any{value, &value, got, []vault.Value{got}} {
		fmt.Fprintf(&buf, "%v %+v %#v %s\n", x, x, x, x)
		raw, err := json.Marshal(x)
		must(t, err)
		buf.Write(raw)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = v.Tokenize(ctx, "", 0, []vault.Value{val("payment_reference", "needle-2")})
	fmt.Fprintln(&buf, err)
	_, err = v.Tokenize(t.Context(), "", 0, []vault.Value{val("card_pin", "needle-3")})
	fmt.Fprintln(&buf, err)
	_, err = v.Reveal(t.Context(), "needle")
	fmt.Fprintln(&buf, err)
	files, err := filepath.Glob(filepath.Join(dir, "vault.db*"))
	must(t, err)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		must(t, err)
		buf.Write(bytes.ReplaceAll(raw, []byte("needless"), nil)) // the scope is no secret
	}
	if bytes.Contains(buf.Bytes(), []byte("needle")) {
		t.Error("a value is where it should not be")
	}
}
