package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// damagePages moves everything of the details into the file and writes over pages of it.
func damagePages(t testing.TB, dir string, pages ...int) {
	t.Helper()
	db := openForgery(t, dir, detailFile)
	if _, err := db.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	size := 0
	if err := db.QueryRowContext(t.Context(), "PRAGMA page_size").Scan(&size); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, auditDir, detailFile), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, size), int64(page-1)*int64(size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// storedDetails are the details in the store by their place.
func storedDetails(t testing.TB, dir string) map[string]DetailDigest {
	t.Helper()
	db := openForgery(t, dir, detailFile)
	rows, err := loadDetails(t.Context(), db, filepath.Base(newestTree(t, dir)), 0, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]DetailDigest{}
	for _, r := range rows {
		out[fmt.Sprint(r.idx, " ", r.Part)] = digestOf(r.Sealed)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// A18, A21: of details on damaged pages the log says which are lost, everything else is
// kept byte by byte, and what goes on afterwards (an expiry, another loss) is told apart.
func TestRepairDetails(t *testing.T) {
	t.Parallel()
	c := newMachine()
	l, dir, between := aged(t, c, Config{})
	if n, err := l.ExpireDetails(t.Context(), Expiry{Class: "short", Part: "subject", Before: between.Add(-300 * day)}); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	mustClose(t, l)
	before := storedDetails(t, dir)
	damagePages(t, dir, 8, 9, 12)

	o := answered(t, dir)
	o.Config = stored(t, dir, c.config(Config{}))
	done, err := Repair(t.Context(), dir, o)
	if err != nil || !done.Applied {
		t.Fatalf("got %+v, %v", done, err)
	}
	after := storedDetails(t, dir)
	r := mustVerify(t, dir, Valid)
	var lost int64
	covered := map[string]bool{}
	for _, d := range r.Gaps[0].Details {
		lost += d.Count
		for idx := d.From; idx < d.To; idx++ {
			covered[fmt.Sprint(idx, " ", d.Part)] = true
		}
	}
	missing := 0
	for place, digest := range before {
		switch have, ok := after[place]; {
		case !ok && !covered[place]:
			t.Errorf("%s is gone and not told of", place)
		case !ok:
			missing++
		case have != digest:
			t.Errorf("%s has other bytes", place)
		case covered[place]:
			t.Errorf("%s is there and told as lost", place)
		}
	}
	if missing == 0 || int64(missing) != lost || missing > len(before)/2 {
		t.Errorf("lost: got %d of %d, told of %d", missing, len(before), lost)
	}
	// The details that the repair itself sealed, and nothing that was not there.
	if len(after) != len(before)-missing+1 {
		t.Errorf("got %d parts of %d without %d", len(after), len(before), missing)
	}

	// What goes on: everything of a month ago expires, the lost ones with it.
	l = reopen(t, dir, c.config(Config{}))
	for _, part := range []string{"subject", "actor"} {
		if n, err := l.ExpireDetails(t.Context(), Expiry{Class: "short", Part: part, Before: between}); err != nil || n != 300 {
			t.Errorf("expiring: got %d, %v", n, err)
		}
	}
	mustClose(t, l)
	mustVerify(t, dir, Valid)

	// A later loss is another gap, and only what it covers may be missing.
	db := openForgery(t, dir, detailFile)
	if _, err := db.ExecContext(t.Context(), "DELETE FROM audit_detail WHERE part = 'subject' AND idx = (SELECT idx FROM audit_detail WHERE part = 'subject' ORDER BY idx DESC LIMIT 1 OFFSET 3)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(t.Context(), VerifyOptions{Dir: dir}); err != nil || r.Outcome != Invalid {
		t.Errorf("another loss: got %s, %v", r.Outcome, err)
	}
	if done, err = Repair(t.Context(), dir, o); err != nil || !done.Applied {
		t.Fatalf("again: got %+v, %v", done, err)
	}
	r = mustVerify(t, dir, Valid)
	if n := len(r.Gaps); n != 2 || len(r.Gaps[1].Details) != 1 || r.Gaps[1].Details[0].Count != 1 {
		t.Errorf("gaps: got %+v", r.Gaps)
	}
}

// When the file cannot be read at all, how far details had expired is read from the
// log, and the clock is held against its last entry.
func TestRepairDetailsProgress(t *testing.T) {
	t.Parallel()
	c := newMachine()
	l, dir, between := aged(t, c, Config{})
	e := Expiry{Class: "short", Part: "subject", Before: between}
	if _, err := l.ExpireDetails(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	for _, suffix := range databaseFiles(detailFile) {
		removeIfThere(t, filepath.Join(dir, auditDir, detailFile+suffix))
	}
	o := answered(t, dir)
	o.Config = stored(t, dir, c.config(Config{}))
	done, err := Repair(t.Context(), dir, o)
	if err != nil || len(done.Findings) != 1 || !strings.HasPrefix(done.Findings[0].Lost, "340 sealed parts: ") {
		t.Fatalf("got %+v, %v", done, err)
	}
	mustVerify(t, dir, Valid)
	l = reopen(t, dir, c.config(Config{}))
	if n, err := l.ExpireDetails(t.Context(), e); err != nil || n != 0 {
		t.Errorf("what expired before: got %d, %v", n, err)
	}
	c.wrong.Store(int64(30 * day))
	if why, err := l.ClockSuspect(t.Context(), time.Time{}); err != nil || why == "" {
		t.Errorf("a clock that jumped: got %q, %v", why, err)
	}
	mustClose(t, l)
}

// Details that the intake still has are taken from there.
func TestRepairDetailsFromIntake(t *testing.T) {
	t.Parallel()
	dir, _ := unfinished(t)
	if _, err := Open(t.Context(), dir, stored(t, dir, Config{hooks: func(p hookPoint) error {
		if p == hookIndex { // behind the checkpoint, before the intake is emptied
			return errInjected
		}
		return nil
	}})); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	before := storedDetails(t, dir)
	db := openForgery(t, dir, detailFile)
	if _, err := db.ExecContext(t.Context(), "DELETE FROM audit_detail WHERE idx >= 301"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	done, err := Repair(t.Context(), dir, answered(t, dir))
	if err != nil || !done.Applied || done.Findings[0].Lost != "" {
		t.Fatalf("got %+v, %v", done, err)
	}
	after := storedDetails(t, dir)
	for place, digest := range before {
		if after[place] != digest {
			t.Errorf("%s did not come back", place)
		}
	}
	mustVerify(t, dir, Valid)
}

// Many ranges are joined until one entry can tell of them.
func TestLostDetails(t *testing.T) {
	t.Parallel()
	x := newLostDetails()
	k := expiryKey{"2026h1", "exchange", "subject"}
	for idx := int64(0); idx < 100_000; idx++ {
		if idx%10 == 3 || idx > 50_000 && idx < 60_000 {
			x.add(k, idx)
		} else {
			x.there(k, idx)
		}
	}
	if text := x.text(); !strings.HasPrefix(text, "18999 sealed parts: 1 of subject (exchange) in entries 3 to 3 of 2026h1, ") || !strings.HasSuffix(text, "more ranges") {
		t.Errorf("got %q", text)
	}
	text, err := x.encode()
	if err != nil || len(text) > maxValue {
		t.Fatalf("got %d bytes, %v", len(text), err)
	}
	list, err := parseLostDetails(text)
	var count int64
	for _, d := range list {
		count += d.Count
	}
	if err != nil || count != 18999 || list[0].From != 3 || list[len(list)-1].To != 99_994 {
		t.Errorf("got %d parts in %d ranges, %v", count, len(list), err)
	}
	for _, bad := range []string{"", "[]", `{"2026h1":{"a":{"b":[[5,5,1]]}}}`, `{"x":{"a":{"b":[[1,5,1]]}}}`, `{"2026h1":{"a":{"b":[[1,5,0]]}}}`} {
		if _, err := parseLostDetails(bad); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// A leaf cannot excuse details of entries behind it.
func TestLostDetailsForged(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond})
	text, err := json.Marshal(lostInLeaf{filepath.Base(newestTree(t, dir)): {"short": {"subject": {{0, 1 << 20, 1}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.core.appendOwn(&Event{Type: TypeGap, Attrs: map[string]string{"cause": GapRepair, attrLostDetails: string(text)}}).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	mustVerify(t, dir, Invalid)
}

// What a leaf says of lost details is refused, or names ranges that a verification can
// hold against the entries.
func FuzzLostDetails(f *testing.F) {
	for _, seed := range []string{`{"2026h1":{"exchange":{"subject":[[3,9,2],[20,21,1]]}}}`, `{"2026h1":{"exchange":{"actor":[[9,3,2]]}}}`, `{}`, `null`, `{"":{}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseLostDetails(text)
		if err != nil {
			return
		}
		var told expiries
		for _, d := range list {
			if !validShard(d.Shard) || d.From < 0 || d.To <= d.From || d.Count <= 0 {
				t.Fatalf("taken: %+v", d)
			}
			told.tell(d.key(), span{d.From, d.To})
		}
		told.settle()
		for _, d := range list {
			if !told.covered(d.key(), span{d.From, d.To}) {
				t.Fatalf("not covered: %+v", d)
			}
		}
	})
}
