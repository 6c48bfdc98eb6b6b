package audit

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// machine is a computer whose clock a test turns.
type machine struct {
	start, boot time.Time
	passed      atomic.Int64 // also since boot
	wrong       atomic.Int64 // of the wall clock alone
}

func newMachine() *machine {
	// In the middle of a half year, wherever the tests run.
	return &machine{start: time.Date(2026, 2, 10, 12, 0, 0, 0, time.UTC), boot: time.Now()}
}

func (c *machine) config(more Config) Config {
	more.Now = func() time.Time {
		return c.start.Add(time.Since(c.boot) + time.Duration(c.passed.Load()+c.wrong.Load())).Round(0)
	}
	more.Mono = func() time.Duration { return time.Since(c.boot) + time.Duration(c.passed.Load()) }
	more.Checkpoint = 2 * time.Millisecond
	return more
}

func (c *machine) pass(d time.Duration) { c.passed.Add(int64(d)) }

const day = 24 * time.Hour

// detailsLeft counts the sealed parts in the store by their kind.
func detailsLeft(t testing.TB, dir string) (subjects, actors int) {
	t.Helper()
	db := openForgery(t, dir, detailFile)
	for part, n := range map[string]*int{"subject": &subjects, "actor": &actors} {
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM audit_detail WHERE part = $1 OR part LIKE $2", part, part+".%").Scan(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return subjects, actors
}

// aged is a log with 300 events of a month ago and 20 of today.
func aged(t testing.TB, c *machine, more Config) (l *Log, dir string, between time.Time) {
	t.Helper()
	l, dir = newLog(t, c.config(more))
	recordMany(t, l, 300)
	covered(t, l)
	c.pass(31 * day)
	abreast(l) // or the month would pass for one without a checkpoint
	between = l.core.clock.now().Add(-day)
	recordMany(t, l, 20)
	covered(t, l)
	return l, dir, between
}

// Details go when their retention is over, part by part, the log says which, and one
// that is not there for another reason is found.
func TestExpire(t *testing.T) {
	t.Parallel()
	c := newMachine()
	l, dir, between := aged(t, c, Config{})
	e := Expiry{Class: "short", Part: "subject", Before: between}
	for i, want := range []int64{300, 0} {
		if n, err := l.ExpireDetails(t.Context(), e); err != nil || n != want {
			t.Fatalf("call %d: got %d, %v, want %d", i+1, n, err, want)
		}
	}
	if n, err := l.ExpireDetails(t.Context(), Expiry{Class: "another", Part: "subject", Before: between}); err != nil || n != 0 {
		t.Errorf("another class: got %d, %v", n, err)
	}
	if r := mustVerify(t, dir, Valid); r.Types[TypeDetailExpired] != 1 {
		t.Errorf("leaves: got %v", r.Types)
	}
	mustClose(t, l)
	if subjects, actors := detailsLeft(t, dir); subjects != 20 || actors != 320 {
		t.Errorf("left: got %d and %d", subjects, actors)
	}
	mustVerify(t, dir, Valid)

	for name, sql := range map[string]string{
		"one of today":              "DELETE FROM audit_detail WHERE part = 'subject' AND idx = (SELECT max(idx) FROM audit_detail)",
		"one of another part":       "DELETE FROM audit_detail WHERE part = 'actor' AND idx = 7",
		"one that was changed":      "UPDATE audit_detail SET commitment = ciphertext WHERE part = 'actor' AND idx = 7",
		"one of no part":            "UPDATE audit_detail SET part = 'actress' WHERE idx = 7",
		"all, and it says expiring": "DELETE FROM audit_detail",
	} {
		forged := image(t, dir)
		db := openForgery(t, forged, detailFile)
		if _, err := db.ExecContext(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		want := Invalid
		if strings.HasPrefix(name, "all") {
			// Who can write rows can pretend that an expiry is under way, and is not
			// believed: the check is not complete.
			if _, err := db.ExecContext(t.Context(), "INSERT INTO audit_expiry (shard, class, part, done, gone) SELECT shard, class, 'actor', done, 100000 FROM audit_expiry WHERE class = 'short'"); err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), "UPDATE audit_expiry SET gone = 100000"); err != nil {
				t.Fatal(err)
			}
			want = Incomplete
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err := Verify(t.Context(), VerifyOptions{Dir: forged}); err != nil || r.Outcome != want {
			t.Errorf("%s: got %s, %v, %v, want %s", name, r.Outcome, r.Problems, err, want)
		}
	}
}

// A leaf that tells of other details than its range had is found.
func TestExpiredForged(t *testing.T) {
	t.Parallel()
	c := newMachine()
	l, dir, _ := aged(t, c, Config{})
	w := l.core.appendOwn(&Event{Type: TypeDetailExpired, Attrs: map[string]string{
		attrShard: shardName(c.start), attrClass: "short", attrPart: "subject", attrFrom: "0", attrTo: "200", attrCount: "199", attrDigest: strings.Repeat("0", 64),
	}})
	if _, err := w.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	w = l.core.appendOwn(&Event{Type: TypeDetailExpired, Attrs: map[string]string{
		attrShard: shardName(c.start), attrClass: "short", attrPart: "subject", attrFrom: "0", attrTo: "2000000",
	}})
	if _, err := w.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	if r := mustVerify(t, dir, Invalid); len(r.Problems) != 2 {
		t.Errorf("problems: got %v", r.Problems)
	}
}

// Killed at any step, an expiry goes on where it was; in between, the log says no worse
// than that it does not know yet.
func TestExpireKilled(t *testing.T) {
	t.Parallel()
	for point, want := range map[hookPoint]Outcome{hookExpireDelete: Valid, hookExpireLeaf: Incomplete, hookExpireDone: Valid} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			c := newMachine()
			l, dir, between := aged(t, c, Config{hooks: func(p hookPoint) error {
				if p == point {
					return errInjected
				}
				return nil
			}})
			e := Expiry{Class: "short", Part: "subject", Before: between}
			if _, err := l.ExpireDetails(t.Context(), e); !errors.Is(err, errInjected) {
				t.Fatalf("got %v", err)
			}
			l.core.fail(errInjected) // a dead process changes nothing while it is copied
			waitFailed(t, l)
			killed := image(t, dir)
			mustVerify(t, killed, want)
			again := reopen(t, killed, c.config(Config{}))
			if _, err := again.ExpireDetails(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			mustClose(t, again)
			if subjects, actors := detailsLeft(t, killed); subjects != 20 || actors != 320 {
				t.Errorf("left: got %d and %d", subjects, actors)
			}
			mustVerify(t, killed, Valid)
		})
	}
}

// W3, D9: a clock that went away from the time since boot, or across boots backwards or
// far ahead, is not believed, however often the log is opened, until it is right again
// or a person says so.
func TestClockSuspect(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		reboot  bool
		wrong   time.Duration
		passed  time.Duration
		checked time.Duration // from now; zero for nobody
		suspect bool
	}{
		{name: "a month of steady time", passed: 30 * day},
		{name: "a small correction", passed: day, wrong: 3 * time.Minute},
		{name: "a day ahead", passed: time.Hour, wrong: day, suspect: true},
		{name: "a day behind", passed: 2 * day, wrong: -day, suspect: true},
		{name: "a day ahead, and a person looked", passed: time.Hour, wrong: day, checked: -time.Hour},
		{name: "a day ahead, and a person looked long ago", passed: time.Hour, wrong: day, checked: -8 * day, suspect: true},
		{name: "a day ahead, and a person will look", passed: time.Hour, wrong: day, checked: time.Hour, suspect: true},
		{name: "a weekend off", reboot: true, passed: 2 * day},
		{name: "ten years ahead after a boot", reboot: true, wrong: 3650 * day, suspect: true},
		{name: "back in 1970 after a boot", reboot: true, wrong: -20000 * day, suspect: true},
	}
	l, dir := newLog(t, newMachine().config(Config{}))
	mustClose(t, l)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := image(t, dir)
			c := newMachine()
			l := reopen(t, dir, c.config(Config{}))
			if why, err := l.ClockSuspect(t.Context(), time.Time{}); why != "" || err != nil {
				t.Fatalf("the first time: got %q, %v", why, err)
			}
			if test.reboot {
				if _, err := l.core.details.ExecContext(t.Context(), "UPDATE audit_clock SET boot = 'another', mono = 5"); err != nil {
					t.Fatal(err)
				}
			}
			c.pass(test.passed)
			c.wrong.Store(int64(test.wrong))
			checked := time.Time{}
			if test.checked != 0 {
				checked = l.core.clock.now().Add(test.checked)
			}
			for range 2 {
				if why, err := l.ClockSuspect(t.Context(), checked); (why != "") != test.suspect || err != nil {
					t.Errorf("got %q, %v, want suspect %v", why, err, test.suspect)
				}
				mustClose(t, l)
				l = reopen(t, dir, c.config(Config{}))
			}
			if !test.suspect {
				return
			}
			c.wrong.Store(0)
			if why, err := l.ClockSuspect(t.Context(), time.Time{}); why != "" || err != nil {
				t.Errorf("right again: got %q, %v", why, err)
			}
		})
	}
}
