package vault_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/vault"
)

// pendingRows is how many calls have a mark.
func pendingRows(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM token_pending").Scan(&n))
	return n
}

// What is kept without waiting is noted soon, and at the latest when the vault is closed.
func TestKeepRecorded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	db := openDB(t, dir)
	v := opened(t, dir, vault.Config{Recorded: recorded(true, nil)})
	issue := func(text string) *vault.Issue {
		t.Helper()
		is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", text)})
		must(t, err)
		if (is.Event == [16]byte{}) != (db.Dialect == store.Postgres) {
			t.Fatal("the event is not the one to be asked for")
		}
		return is
	}
	first := issue("FIRST")
	must(t, first.KeepRecorded(t.Context()))
	must(t, first.KeepRecorded(t.Context())) // there is nothing to do
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for pendingRows(t, db) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the mark stays")
		}
	}
	// One that another call has not kept is kept before it is released.
	pending, found := issue("SECOND"), issue("SECOND")
	must(t, found.KeepRecorded(t.Context()))
	last := issue("LAST")
	must(t, last.KeepRecorded(t.Context()))
	must(t, v.Close())
	if n := pendingRows(t, db); n != 1 {
		t.Errorf("%d calls have a mark behind the end, want the one that was not kept", n)
	}
	// The log is not asked about what was noted.
	w := opened(t, dir, vault.Config{Now: (&clock{at: time.Now().Add(2 * vault.OrphanTime)}).now, Recorded: recorded(false, nil)})
	swept, err := w.Sweep(t.Context())
	if err != nil || swept != (vault.Swept{}) {
		t.Errorf("swept: got %+v, %v, want nothing", swept, err)
	}
	for text, is := range map[string]*vault.Issue{"FIRST": first, "SECOND": pending, "LAST": last} {
		if revealed(t, w, is.Tokens[0].Text) != text {
			t.Errorf("%s is gone", text)
		}
	}
}

// VT3: where a crash leaves in doubt whether tokens were released, the log decides; and where
// it cannot be asked, nothing is taken.
func TestTokensInDoubt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	v := opened(t, dir, vault.Config{Recorded: recorded(true, nil)})
	var events [][16]byte
	var tokens []string
	for _, text := range []string{"RELEASED", "ORPHAN"} {
		is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", text), val("iban", text+"2")})
		must(t, err)
		events, tokens = append(events, is.Event), append(tokens, is.Tokens[0].Text)
	}
	must(t, v.Close())
	sweep := func(recorded func(context.Context, [16]byte) (bool, error)) (vault.Swept, error) {
		t.Helper()
		w := opened(t, dir, vault.Config{Now: (&clock{at: time.Now().Add(2 * vault.OrphanTime)}).now, Recorded: recorded})
		return w.Sweep(t.Context())
	}
	down := errors.New("the log is down")
	for _, tc := range []struct {
		name     string
		recorded func(context.Context, [16]byte) (bool, error)
		want     vault.Swept
		err      error
	}{
		{"nobody can be asked", nil, vault.Swept{}, nil},
		{"the log does not answer", recorded(false, down), vault.Swept{}, down},
		{"the log has one of them", func(_ context.Context, event [16]byte) (bool, error) {
			if !slices.Contains(events, event) {
				t.Error("the log is asked for another event")
			}
			return event == events[0], nil
		}, vault.Swept{Orphans: 2}, nil},
		{"that is noted", recorded(false, nil), vault.Swept{}, nil},
	} {
		if swept, err := sweep(tc.recorded); swept != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: swept %+v, %v, want %+v, %v", tc.name, swept, err, tc.want, tc.err)
		}
	}
	w := opened(t, dir, vault.Config{})
	if revealed(t, w, tokens[0]) != "RELEASED" {
		t.Error("a token that was released is gone")
	}
	if _, err := w.Reveal(t.Context(), tokens[1]); !errors.Is(err, vault.ErrToken) {
		t.Errorf("one that was not: got %v, want ErrToken", err)
	}
}

// What cannot be asked about stays, and nothing else stays with it.
func TestSweepBesideADamagedLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vault.StopMover(open(t, dir)) // it would be in the way of the other
	v := opened(t, dir, vault.Config{Recorded: recorded(true, nil)})
	vault.StopMover(v)
	is, err := v.Tokenize(t.Context(), "", time.Hour, []vault.Value{val(vault.KindPayment, "ch_short")})
	must(t, err)
	must(t, is.Keep(t.Context()))
	must(t, v.Learn(t.Context(), []vault.Learned{{Tokens: []string{is.Tokens[0].Text}, Payment: pay()}}))
	const orphans = 50 // more than one transaction takes away
	var asked [16]byte
	var stays string
	for i := range orphans {
		is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", fmt.Sprint("ORPHAN", i))})
		must(t, err)
		asked, stays = is.Event, is.Tokens[0].Text
	}
	damaged := errors.New("a bundle is damaged")
	w := opened(t, dir, vault.Config{Now: (&clock{at: time.Now().Add(2 * vault.OrphanTime)}).now, Recorded: func(_ context.Context, event [16]byte) (bool, error) {
		if event == asked {
			return false, damaged
		}
		return false, nil
	}})
	vault.StopMover(w)
	swept, err := w.Sweep(t.Context())
	if want := (vault.Swept{Orphans: orphans - 1, Expired: 1}); swept != want || !errors.Is(err, damaged) {
		t.Errorf("swept: got %+v, %v, want %+v, %v", swept, err, want, damaged)
	}
	db := openDB(t, dir)
	var payments int
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM payment").Scan(&payments))
	if n := pendingRows(t, db); n != 1 || payments != 0 {
		t.Errorf("%d calls have a mark and %d payments are there, want 1 and none", n, payments)
	}
	if _, err := w.Reveal(t.Context(), stays); err != nil {
		t.Errorf("what the log could not be asked about: %v", err)
	}
	vault.LookAtLog(t.Context(), w)
	if size := logSize(t, dir); size != 0 {
		t.Errorf("the write-ahead log has %d bytes of what was taken away, want none", size)
	}
}

// Nobody waits for the log but Sweep, and what is kept meanwhile stays.
func TestLogIsAskedUnlocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	c := &clock{at: time.Now()}
	var is *vault.Issue
	asked := 0
	v := opened(t, dir, vault.Config{Now: c.now, Recorded: func(ctx context.Context, _ [16]byte) (bool, error) {
		asked++
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return false, is.Keep(ctx)
	}})
	is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "KEPT")})
	must(t, err)
	c.pass(2 * vault.OrphanTime)
	if swept, err := v.Sweep(t.Context()); err != nil || asked != 1 || swept != (vault.Swept{}) {
		t.Errorf("swept: got %+v, %v and %d questions, want nothing and 1", swept, err, asked)
	}
	if revealed(t, v, is.Tokens[0].Text) != "KEPT" {
		t.Error("another value came back")
	}
}

// Calls that are refused when their events are in the log leave nothing behind; one that had
// released its tokens keeps what was not erased.
func TestRefusedBehindItsEvent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	v := opened(t, dir, vault.Config{Recorded: recorded(true, nil)})
	issue := func(hers, own string) *vault.Issue {
		t.Helper()
		is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{
			{Kind: "iban", Text: []byte(hers), Subject: subject(t, v, "email", annMail)}, val("iban", own)})
		must(t, err)
		return is
	}
	issue("HERS", "NEVER RELEASED")
	given, torn, released := issue("HERS", "BESIDE HERS"), issue("HERS TOO", "WITH HERS"), issue("HERS AS WELL", "RELEASED")
	found, err := v.FindErasable(t.Context(), []vault.Ident{{Kind: "email", Value: annMail}})
	must(t, err)
	_, err = v.Erase(t.Context(), []vault.PersonID{found[0].ID}, vault.ErasureMark{})
	must(t, err)
	for name, keep := range map[string]func(context.Context) error{"given one of hers": given.KeepRecorded, "made one of hers": torn.Keep} {
		if err := keep(t.Context()); !errors.Is(err, vault.ErrToken) {
			t.Errorf("%s: got %v, want ErrToken", name, err)
		}
	}
	must(t, released.KeepRecorded(t.Context()))
	must(t, v.Close())
	w := opened(t, dir, vault.Config{Now: (&clock{at: time.Now().Add(2 * vault.OrphanTime)}).now, Recorded: recorded(true, nil)})
	swept, err := w.Sweep(t.Context())
	if want := (vault.Swept{Orphans: 2}); err != nil || swept != want {
		t.Errorf("swept: got %+v, %v, want %+v", swept, err, want)
	}
	if revealed(t, w, released.Tokens[1].Text) != "RELEASED" {
		t.Error("a token that was released is gone")
	}
}

// Where the clock says that a sweep may have come between, KeepRecorded looks.
func TestKeepRecordedBehindAClockStep(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		step  time.Duration
		swept int
	}{
		"forward":          {vault.OrphanTime/2 + time.Second, 0},
		"back":             {-vault.OrphanTime/2 - time.Second, 0},
		"forward and over": {vault.OrphanTime + time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			open(t, dir)
			c := &clock{at: time.Now()}
			v := opened(t, dir, vault.Config{Now: c.now, Recorded: recorded(false, nil)})
			is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "STEPPED")})
			must(t, err)
			c.pass(tc.step)
			swept, err := v.Sweep(t.Context())
			if want := (vault.Swept{Orphans: tc.swept}); err != nil || swept != want {
				t.Errorf("swept: got %+v, %v, want %+v", swept, err, want)
			}
			if err := is.KeepRecorded(t.Context()); errors.Is(err, vault.ErrToken) != (tc.swept > 0) || (err != nil) != (tc.swept > 0) {
				t.Errorf("keeping: got %v, with %d swept", err, tc.swept)
			}
			if n := pendingRows(t, openDB(t, dir)); n != 0 {
				t.Errorf("%d calls have a mark, want none", n)
			}
		})
	}
}
