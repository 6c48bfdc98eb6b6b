package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/vault"
)

// original is what a mask of an hour stands for.
func original(kind, text string, of vault.Subject) vault.Original {
	return vault.Original{Value: vault.Value{Kind: kind, Text: []byte(text), Subject: of}, Life: time.Hour}
}

// shelve keeps originals for the masks of one event, and returns their places.
func shelve(t testing.TB, v *vault.Vault, event [16]byte, all ...vault.Original) (places []string) {
	t.Helper()
	is, err := v.Shelve(t.Context(), event, all)
	must(t, err)
	must(t, is.Keep(t.Context()))
	for i := range all {
		p := vault.Place{Event: event, Number: i + 1}.String()
		if name, ok := v.TokenName(p); !ok || name != is.Tokens[i].Name || is.Tokens[i].Text != "" {
			t.Errorf("place %d: the log's name is not that of the place, or there is a token to be seen", i+1)
		}
		places = append(places, p)
	}
	return places
}

// What a mask stands for comes back byte for byte by its place, and by nothing else (V9).
func TestShelve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	ann := subject(t, v, "email", "ann@example.com")
	const grouped = "4111 1111-1111.1111"
	event := [16]byte{1, 2, 3}
	// The same value twice, by two places.
	at := shelve(t, v, event, original("credit_card", grouped, ann), original("us_ssn", "536-22-8145", vault.Subject{}), original("credit_card", grouped, ann))
	for i, want := range []string{grouped, "536-22-8145", grouped} {
		got, err := opened(t, dir, vault.Config{}).Reveal(t.Context(), at[i])
		must(t, err)
		if string(got.Text) != want {
			t.Errorf("place %d: another value came back", i+1)
		}
		if (got.Subject.Pseudonym("o") == ann.Pseudonym("o")) != (i != 1) {
			t.Errorf("place %d: another person's", i+1)
		}
	}
	// An equal value that becomes a token meets neither.
	token := tokenOf(t, v, "", val("credit_card", card))
	name, _ := v.TokenName(token)
	for _, p := range at {
		if other, _ := v.TokenName(p); other == name {
			t.Error("a mask has the name of a token")
		}
	}
	must(t, vault.Create(t.Context(), dir, vault.Config{Tenant: "second"}))
	second := opened(t, dir, vault.Config{Tenant: "second"})
	for name, tc := range map[string]struct {
		v    *vault.Vault
		text string
	}{
		"number of no mask":   {v, vault.Place{Event: event, Number: 4}.String()},
		"another event":       {v, vault.Place{Event: [16]byte{9}, Number: 1}.String()},
		"another tenant":      {second, at[0]},
		"punctuation around":  {v, "<" + at[0] + ">"},
		"upper case":          {v, "0102030000000000000000000000000A/1"},
		"without its number":  {v, at[0][:32]},
		"with a leading zero": {v, at[0][:33] + "01"},
	} {
		if _, err := tc.v.Reveal(t.Context(), tc.text); !errors.Is(err, vault.ErrToken) {
			t.Errorf("%s: got %v, want ErrToken", name, err)
		}
	}
	if spans := v.Spans(nil, []byte("see "+at[0]+" there")); len(spans) != 0 {
		t.Error("a place is taken for a token")
	}
	if got, err := v.Verify(t.Context(), at[1], "8145"); err != nil || !got.Matches {
		t.Errorf("the last digits of what a mask stands for: %v, %v", got.Matches, err)
	}
}

// V14 and bounds: what may not be kept is not kept behind a mask either, and nothing is
// without an end.
func TestOriginalsThatAreNotKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	endless := original("us_ssn", "536-22-8145", vault.Subject{})
	endless.Life = 0
	for name, tc := range map[string]struct {
		all  []vault.Original
		want error
	}{
		"verification code": {[]vault.Original{original("us_ssn", "536-22-8145", vault.Subject{}), original("card_verification_code", "123", vault.Subject{})}, vault.ErrNeverKept},
		"PIN":               {[]vault.Original{original("card_pin", "1234", vault.Subject{})}, vault.ErrNeverKept},
		"track":             {[]vault.Original{original("card_track_data", ";4111111111111111=2512101?", vault.Subject{})}, vault.ErrNeverKept},
		"nothing":           {[]vault.Original{original("iban", "", vault.Subject{})}, vault.ErrValue},
		"without an end":    {[]vault.Original{endless}, vault.ErrPlaces},
		"a text":            {[]vault.Original{original("iban", string(bytes.Repeat([]byte("x"), vault.MaxValue+1)), vault.Subject{})}, vault.ErrPlaces},
		// Its digits are few enough, what stands between them is not.
		"a card in a text": {[]vault.Original{original("credit_card", "4111"+string(bytes.Repeat([]byte("-"), vault.MaxValue)), vault.Subject{})}, vault.ErrPlaces},
		"too many":         {make([]vault.Original, vault.MaxPlaces+1), vault.ErrPlaces},
	} {
		if _, err := v.Shelve(t.Context(), [16]byte{7}, tc.all); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	if n := len(vault.ColumnsOfTokens(t.Context(), v)); n != 0 {
		t.Errorf("%d columns were written all the same", n)
	}
}

// An original ends with its life and is swept; one whose event never came is swept like
// every orphan.
func TestOriginalsEnd(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	v := openAt(t, t.TempDir(), c)
	long := original("iban", "LONG", vault.Subject{})
	long.Life = 48 * time.Hour
	at := shelve(t, v, [16]byte{1}, original("iban", "SHORT", vault.Subject{}), long)
	orphan, err := v.Shelve(t.Context(), [16]byte{2}, []vault.Original{long})
	must(t, err)
	c.pass(time.Hour - time.Millisecond)
	if revealed(t, v, at[0]) != "SHORT" {
		t.Error("another value just before the end")
	}
	c.pass(time.Millisecond)
	if _, err := v.Reveal(t.Context(), at[0]); !errors.Is(err, vault.ErrToken) {
		t.Errorf("expired: got %v, want ErrToken", err)
	}
	c.pass(vault.OrphanTime)
	swept, err := v.Sweep(t.Context())
	if want := (vault.Swept{Expired: 1, Orphans: 1}); err != nil || swept != want {
		t.Errorf("sweeping: got %+v, %v, want %+v", swept, err, want)
	}
	if err := orphan.Keep(t.Context()); !errors.Is(err, vault.ErrToken) {
		t.Errorf("keeping what was swept: got %v, want ErrToken", err)
	}
	if revealed(t, v, at[1]) != "LONG" {
		t.Error("another value of the one that lives")
	}
	c.pass(24 * time.Hour)
	if swept, err := v.Sweep(t.Context()); err != nil || swept != (vault.Swept{Expired: 1}) {
		t.Errorf("sweeping the last: got %+v, %v", swept, err)
	}
	if n := len(vault.ColumnsOfTokens(t.Context(), v)); n != 0 {
		t.Errorf("%d columns are left", n)
	}
}

// VT2, V15: whatever is exchanged between the rows of two masks, none of them opens as the
// other.
func TestSwappedOriginals(t *testing.T) {
	t.Parallel()
	for _, column := range []string{"scope", "kind", "person", "sealed", "created", "expires", "tenant"} {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			v := open(t, dir)
			at := shelve(t, v, [16]byte{1},
				original("iban", "ONE", subject(t, v, "email", "ann@example.com")), original("iban", "TWO", subject(t, v, "email", "bob@example.com")))
			exchange(t, openDB(t, dir), column)
			w := open(t, dir)
			for i, p := range at {
				if _, err := w.Reveal(t.Context(), p); !errors.Is(err, vault.ErrRow) && !errors.Is(err, vault.ErrToken) {
					t.Errorf("place %d: a forged row was opened: %v", i+1, err)
				}
			}
		})
	}
}

func FuzzParsePlace(f *testing.F) {
	for _, s := range []string{"", "/", vault.Place{Event: [16]byte{0xab}, Number: 1}.String(), vault.Place{Number: vault.MaxPlaces}.String(), fmt.Sprintf("%032x/+1", 1), fmt.Sprintf("%032x/257", 1)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := vault.ParsePlace(text)
		if ok && (p.String() != text || p.Number < 1 || p.Number > vault.MaxPlaces) {
			t.Error("a place does not print as it was read, or is out of bounds")
		}
		if again, ok := vault.ParsePlace(vault.Place{Event: p.Event, Number: 1 + len(text)%vault.MaxPlaces}.String()); !ok || again.Event != p.Event {
			t.Error("a place that was printed is not read")
		}
	})
}

// An event has its originals once. Who comes with others for the same places is refused,
// before the first are kept, behind that, behind their end, and when both come at once; what
// stands there stays as it was, and a call beside it has what it wants.
func TestPlacesAreTakenOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	v := openAt(t, dir, c)
	event := [16]byte{1}
	at := vault.Place{Event: event, Number: 1}.String()
	again := func(when string) {
		t.Helper()
		if _, err := v.Shelve(t.Context(), event, []vault.Original{original("iban", "SECOND", vault.Subject{})}); !errors.Is(err, vault.ErrPlaces) {
			t.Errorf("%s: got %v, want ErrPlaces", when, err)
		}
	}
	first, err := v.Shelve(t.Context(), event, []vault.Original{original("iban", "FIRST", vault.Subject{})})
	must(t, err)
	again("before it is kept")
	must(t, first.Keep(t.Context()))
	again("kept")
	if revealed(t, v, at) != "FIRST" {
		t.Error("another original came back")
	}
	c.pass(2 * time.Hour)
	again("behind its end")
	_, err = v.Sweep(t.Context())
	must(t, err)

	// Both in one transaction, and a third call with them.
	other := opened(t, dir, vault.Config{Now: c.now})
	begun, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	vault.OnStep(other, func(step string) {
		if step == "before the commit" {
			once.Do(func() { close(begun); <-proceed })
		}
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := other.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "HOLDS THE WRITER UP")}); err != nil {
			t.Error(err)
		}
	})
	<-begun
	var refused, made atomic.Int64
	for range 2 {
		wg.Go(func() {
			switch _, err := other.Shelve(t.Context(), event, []vault.Original{original("iban", "THIRD", vault.Subject{})}); {
			case errors.Is(err, vault.ErrPlaces):
				refused.Add(1)
			case err != nil:
				t.Error(err)
			default:
				made.Add(1)
			}
		})
	}
	wg.Go(func() {
		if _, err := other.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "BESIDE")}); err != nil {
			t.Errorf("a call beside them: %v", err)
		}
	})
	vault.WaitQueued(other, 3)
	close(proceed)
	wg.Wait()
	if made.Load() != 1 || refused.Load() != 1 {
		t.Errorf("of two at once %d were made and %d refused", made.Load(), refused.Load())
	}
}

// VT5: the end of an original that is nobody's in particular is the end of its sealed
// bytes, in the file and in its write-ahead log: the key that it was sealed under lives on.
func TestEndedOriginalsLeaveTheFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	vault.StopMover(open(t, dir)) // two would be in each other's way
	v := opened(t, dir, vault.Config{Now: c.now})
	vault.StopMover(v)
	// Enough for pages that are split, and for some that become free as a whole.
	var all []vault.Original
	for n := range vault.MaxPlaces {
		o := original("iban", fmt.Sprint("SHORT", n), vault.Subject{})
		if n%8 == 0 {
			o.Life = 48 * time.Hour
		}
		all = append(all, o)
	}
	for event := range byte(4) {
		shelve(t, v, [16]byte{event}, all...)
	}
	db := openDB(t, dir)
	sealed := map[bool][][]byte{}
	rows, err := db.QueryContext(t.Context(), "SELECT sealed, expires - created > $1 FROM token", time.Hour.Milliseconds())
	must(t, err)
	for rows.Next() {
		var b []byte
		var long bool
		must(t, rows.Scan(&b, &long))
		sealed[long] = append(sealed[long], b)
	}
	must(t, rows.Err())
	must(t, rows.Close())
	in := func(which [][]byte) (n int) {
		for _, f := range []string{"vault.db", "vault.db-wal"} {
			raw, err := os.ReadFile(filepath.Join(dir, f))
			must(t, err)
			for _, b := range which {
				n += min(bytes.Count(raw, b), 1)
			}
		}
		return n
	}
	if n := in(sealed[false]); n < len(sealed[false]) {
		t.Fatalf("the test sees %d of %d where they are", n, len(sealed[false]))
	}
	c.pass(time.Hour)
	swept, err := v.Sweep(t.Context())
	if err != nil || swept.Expired != len(sealed[false]) {
		t.Fatalf("swept: got %+v, %v, want %d", swept, err, len(sealed[false]))
	}
	vault.LookAtLog(t.Context(), v)
	// SQLite overwrites what it deletes, but may leave a copy of a row in the unused part
	// of a page from which it moved the row before: of one or two in a thousand here, and of
	// four in five when nothing is overwritten.
	if n := in(sealed[false]); n > len(sealed[false])/50 {
		t.Errorf("%d of %d sealed originals stand in the files behind their end", n, len(sealed[false]))
	}
	if n := in(sealed[true]); n != len(sealed[true]) {
		t.Errorf("%d of %d that go on are there", n, len(sealed[true]))
	}
}
