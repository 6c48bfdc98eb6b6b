package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// closedLog makes a log of three bundles with details and index seals.
func closedLog(t testing.TB) string {
	t.Helper()
	l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond, SealIndex: 20 * time.Millisecond})
	recordMany(t, l, 600)
	covered(t, l)
	l.core.q.push(mustEncode(t, l.core, Event{ID: NewID(), Type: "test.last"}), nil)
	mustClose(t, l)
	mustVerify(t, dir, Valid)
	return dir
}

func mustEncode(t testing.TB, c *core, e Event) entry {
	t.Helper()
	enc, err := c.encode(&e)
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

// A14, A21, F17: a bit changed anywhere in a file of the tree or in the key beside
// the log is found, as is a file cut, extended, missing or swapped.
func TestTamperedFiles(t *testing.T) {
	t.Parallel()
	dir := closedLog(t)
	var files []string
	root := filepath.Join(dir, auditDir)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(d.Name(), ".db") && d.Name() != "LOCK" {
			files = append(files, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	needed := func(path string) bool { return !strings.Contains(path, ".p/") || strings.Contains(path, "/1/") }
	classes := map[string]bool{}
	bits := 4
	if testing.Short() {
		bits = 1
	}
	for _, path := range files {
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		if testing.Short() && classes[filepath.Dir(rel)] {
			continue // one file of each folder; all of them are some hundred verifications
		}
		classes[filepath.Dir(rel)] = true
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		try := func(what string, bad []byte) {
			t.Helper()
			if bytes.Equal(bad, good) {
				return
			}
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if r, err := Verify(t.Context(), VerifyOptions{Dir: dir}); err == nil && r.Outcome != Invalid {
				t.Errorf("%s, %s: got %s", rel, what, r.Outcome)
			}
		}
		for range bits {
			bad := bytes.Clone(good)
			bad[rand.IntN(len(bad))] ^= 1 << rand.IntN(8)
			try("one bit", bad)
		}
		for _, at := range []int{0, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[at] ^= 1
			try("one bit at an end", bad)
		}
		try("cut", good[:len(good)-1])
		try("emptied", nil)
		try("extended", append(bytes.Clone(good), 0))
		if other, err := os.ReadFile(files[(len(files)+1)/2]); err == nil {
			try("swapped", other)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if r, err := Verify(t.Context(), VerifyOptions{Dir: dir}); err == nil && r.Outcome == Valid && needed(path) {
			t.Errorf("%s, missing: got valid", rel)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{".", "tree/" + shardName(time.Now()), "tree/" + shardName(time.Now()) + "/tile/0", "tree/" + shardName(time.Now()) + "/tile/entries"} {
		if !classes[want] {
			t.Errorf("no file of %s was tried", want)
		}
	}
	stray := filepath.Join(root, treeDir, shardName(time.Now()), "tile/0/notes.txt")
	if err := os.WriteFile(stray, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, dir, Invalid)
	if err := os.Remove(stray); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, dir, Valid)
}

// F17, A11, A14, A21: a row changed, added, moved or removed in any database is found.
func TestTamperedRows(t *testing.T) {
	t.Parallel()
	clean := closedLog(t)
	// Leaves of the log itself have no details and stand anywhere: each statement
	// looks for the next row of an event.
	tests := []struct{ name, file, sql string }{
		{"detail ciphertext", detailFile, "UPDATE audit_detail SET ciphertext = zeroblob(132) WHERE idx = (SELECT min(idx) FROM audit_detail WHERE idx >= 300) AND part = 'subject'"},
		{"detail commitment", detailFile, "UPDATE audit_detail SET commitment = x'00' WHERE idx = (SELECT min(idx) FROM audit_detail WHERE idx >= 300)"},
		{"detail key", detailFile, "UPDATE audit_detail SET key = 'k3' WHERE idx = (SELECT min(idx) FROM audit_detail WHERE idx >= 300)"},
		{"detail part", detailFile, "UPDATE audit_detail SET part = 'other' WHERE idx = (SELECT min(idx) FROM audit_detail WHERE idx >= 300) AND part = 'actor'"},
		{"detail removed", detailFile, "DELETE FROM audit_detail WHERE idx = (SELECT min(idx) FROM audit_detail WHERE idx >= 7) AND part = 'actor'"},
		{"details removed", detailFile, "DELETE FROM audit_detail"},
		{"detail moved", detailFile, "UPDATE audit_detail SET idx = 100000 WHERE idx = (SELECT min(idx) FROM audit_detail WHERE idx >= 300)"},
		{"detail added", detailFile, "INSERT INTO audit_detail VALUES ('SHARD', -1, 'a', 'k', x'00', x'00')"},
		{"detail added beyond", detailFile, "INSERT INTO audit_detail SELECT shard, 9999, part, key, ciphertext, commitment FROM audit_detail WHERE idx = (SELECT min(idx) FROM audit_detail WHERE idx >= 7)"},
		{"details swapped", detailFile, "UPDATE audit_detail SET idx = idx - (SELECT min(idx) + max(idx) FROM audit_detail) WHERE idx IN (SELECT min(idx) FROM audit_detail UNION SELECT max(idx) FROM audit_detail); UPDATE audit_detail SET idx = -idx WHERE idx < 0"},
		{"index field", indexFile, "UPDATE audit_entry SET kind = (SELECT min(kind) FROM audit_kind WHERE kind <> audit_entry.kind) WHERE idx = 100"},
		{"index code", indexFile, "UPDATE audit_kind SET decision = 'aLlow' WHERE kind = (SELECT kind FROM audit_entry WHERE idx = 100)"},
		{"index code removed", indexFile, "DELETE FROM audit_kind WHERE kind = (SELECT kind FROM audit_entry WHERE idx = 100)"},
		{"index code added", indexFile, "INSERT INTO audit_kind SELECT 999, type, tenant, route, 'other', reason, idk, chan, op, effect, scope, status, outcome, unread FROM audit_kind LIMIT 1"},
		{"index time", indexFile, "UPDATE audit_entry SET wall = wall + 1 WHERE idx = 599"},
		{"index row removed", indexFile, "DELETE FROM audit_entry WHERE idx = 100"},
		{"last index row removed", indexFile, "DELETE FROM audit_entry WHERE idx = (SELECT max(idx) FROM audit_entry)"},
		{"index row added", indexFile, "INSERT INTO audit_entry SELECT shard, 100000, leaf_hash, eid, xid, wall, act, kind FROM audit_entry WHERE idx = 1"},
		{"index of another shard", indexFile, "INSERT INTO audit_cover VALUES ('2020h1', 5)"},
		{"exposure removed", indexFile, "DELETE FROM audit_exposure WHERE idx = (SELECT min(idx) FROM audit_exposure WHERE idx >= 5 AND kind = 1) AND kind = 1"},
		{"exposure changed", indexFile, "UPDATE audit_exposure SET class = 'us_ssn' WHERE idx = (SELECT min(idx) FROM audit_exposure WHERE idx >= 400 AND kind = 1) AND kind = 1"},
		{"exposure added", indexFile, "INSERT INTO audit_exposure VALUES (x'00', 'a', 1, 'SHARD', -5)"},
		{"block digest", indexFile, "UPDATE audit_block SET digest = zeroblob(32) WHERE n = 1"},
		{"block removed", indexFile, "DELETE FROM audit_block WHERE n = 0"},
		{"block added", indexFile, "INSERT INTO audit_block VALUES ('SHARD', 77, zeroblob(32), 0, 0)"},
		{"block time", indexFile, "UPDATE audit_block SET last = last + 1 WHERE n = 1"},
		{"cover ahead", indexFile, "UPDATE audit_cover SET size = size + 1"},
		{"cover behind", indexFile, "UPDATE audit_cover SET size = size - 1"},
		{"lock body", lockFile, "UPDATE audit_lock SET body = replace(body, 'audit', 'audiT')"},
		{"lock origin", lockFile, "UPDATE audit_lock SET origin = 'acme/audit/2026h1'"},
		{"lock removed", lockFile, "DELETE FROM audit_lock"},
		{"lock added", lockFile, "INSERT INTO audit_lock VALUES ('other/audit/2026h2', 'x')"},
		{"intake row", intakeFile, "INSERT INTO audit_intake VALUES ('node-1', 9, 1, 1, x'00000002000000007b7d')"},
		{"deletion mark back", intakeFile, "UPDATE audit_pruned SET nseq = nseq - 1"},
		{"deletion mark ahead", intakeFile, "UPDATE audit_pruned SET nseq = nseq + 1"},
		{"deletion mark removed", intakeFile, "DELETE FROM audit_pruned"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := image(t, clean)
			db := openForgery(t, dir, tt.file)
			res, err := db.Exec(forgery(db, strings.ReplaceAll(tt.sql, "SHARD", shardName(time.Now()))))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := res.RowsAffected(); err != nil || n == 0 {
				t.Fatalf("changed %d rows, %v", n, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			mustVerify(t, dir, Invalid)
		})
	}
}

// F5, F17, A21: bits changed in the pages of a database are found as soon as they change
// what a row says; in the dead space of a page they are nobody's.
func TestTamperedPages(t *testing.T) {
	t.Parallel()
	dir := closedLog(t)
	path := filepath.Join(dir, auditDir, detailFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// rows is what the details say, empty when they cannot be read.
	rows := func() (out string) {
		db, err := store.Open(t.Context(), path, store.Options{ReadOnly: true})
		if err != nil {
			return ""
		}
		defer db.Close()
		list, err := loadDetails(t.Context(), db, shardName(time.Now()), 0, 1<<40)
		if err != nil {
			return ""
		}
		return fmt.Sprint(list)
	}
	want, changed := rows(), 0
	for range 30 {
		bad := bytes.Clone(good)
		bad[4096+rand.IntN(len(good)-4096)] ^= 1 << rand.IntN(8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if rows() != want {
			changed++
			mustVerify(t, dir, Invalid)
		}
	}
	if changed < 5 {
		t.Errorf("only %d of 30 bits changed a row: the test does not see enough", changed)
	}
}

// A7: what is durable and under no checkpoint yet is told of, not passed over.
func TestVerifyTellsOfEventsAhead(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: time.Hour})
	for i := range 5 {
		record(t, l, sample(i))
	}
	r := mustVerify(t, image(t, dir), Valid)
	if len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], "5 durable events under no checkpoint yet: not checked") {
		t.Errorf("got %q, want a note of 5 events", r.Notes)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r := mustVerify(t, dir, Valid); len(r.Notes) != 0 {
		t.Errorf("after a clean stop: %q", r.Notes)
	}
}

// F5, A2: a changed row in the intake stops the start: the chain is checked before
// anything is derived.
func TestTamperedIntake(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"leaf":    "UPDATE audit_intake SET events = CAST(replace(CAST(events AS TEXT), '\"allow\"', '\"aLlow\"') AS BLOB) WHERE nseq = 3",
		"detail":  "UPDATE audit_intake SET events = CAST(substr(events, 1, length(events) - 1) || 'x' AS BLOB) WHERE nseq = 3",
		"short":   "UPDATE audit_intake SET events = CAST(substr(events, 1, length(events) - 1) AS BLOB) WHERE nseq = 3",
		"length":  "UPDATE audit_intake SET events = CAST(x'ff' || substr(events, 2) AS BLOB) WHERE nseq = 3",
		"empty":   "UPDATE audit_intake SET events = x'' WHERE nseq = 3",
		"missing": "DELETE FROM audit_intake WHERE nseq = 3",
		"last":    "UPDATE audit_intake SET last = last + 1 WHERE nseq = 3",
		"moved":   "UPDATE audit_intake SET nseq = 77, last = 77 WHERE nseq = (SELECT max(nseq) FROM audit_intake)",
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, dir := newLog(t, Config{Checkpoint: time.Hour})
			for i := range 5 {
				record(t, l, sample(i)) // a commit each
			}
			crashed := image(t, dir)
			db := openForgery(t, crashed, intakeFile)
			if _, err := db.Exec(forgery(db, change)); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), crashed, stored(t, crashed, Config{})); !errors.Is(err, ErrCorrupt) {
				t.Errorf("open: got %v, want ErrCorrupt", err)
			}
			mustVerify(t, crashed, Invalid)
		})
	}
}

// A8, A9: a log in use verifies at any moment, and verifying does not disturb it.
func TestVerifyLive(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: time.Millisecond, SealIndex: 5 * time.Millisecond})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 10 {
			recordMany(t, l, 100+i)
		}
	}()
	last := int64(0)
	for writing := true; writing; {
		select {
		case <-done:
			writing = false // once more on the quiet log
		default:
		}
		r := mustVerify(t, dir, Valid)
		if r.Size < last || r.Entries != r.Size {
			t.Errorf("size: got %d after %d, %d entries", r.Size, last, r.Entries)
		}
		last = r.Size
	}
	if err := l.Ready(); err != nil {
		t.Errorf("after verifying: %v", err)
	}
}

// Keys from outside decide; without them the report says what it is worth.
func TestVerifyTrust(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{})
	record(t, l, sample(1))
	public := l.PublicKey()
	mustClose(t, l)
	r := mustVerify(t, dir, Valid)
	if !r.SelfConsistency || r.Origin != l.Origin() || r.Entries != 2 {
		t.Errorf("got %+v", r)
	}
	r, err := Verify(t.Context(), VerifyOptions{Dir: dir, Trust: []string{public + "\n"}})
	if err != nil || r.Outcome != Valid || r.SelfConsistency {
		t.Errorf("trusted key: got %s, %v, %v", r.Outcome, err, r.Problems)
	}
	_, other, err := newKey(l.Origin())
	if err != nil {
		t.Fatal(err)
	}
	r, err = Verify(t.Context(), VerifyOptions{Dir: dir, Trust: []string{other}})
	if err != nil || r.Outcome != Invalid {
		t.Errorf("another key: got %s, %v", r.Outcome, err)
	}
	if _, err := Verify(t.Context(), VerifyOptions{Dir: dir, Trust: []string{"rubbish"}}); err == nil {
		t.Error("a key that is none: got nil")
	}
	if _, err := Verify(t.Context(), VerifyOptions{Dir: t.TempDir()}); !errors.Is(err, ErrMissing) {
		t.Errorf("no log: got %v, want ErrMissing", err)
	}
}

// A21: verify ends in time whatever lies there.
func TestVerifyEnds(t *testing.T) {
	t.Parallel()
	dir := closedLog(t)
	r, err := Verify(t.Context(), VerifyOptions{Dir: dir, Deadline: time.Now().Add(-time.Second)})
	if err != nil || r.Outcome != Incomplete {
		t.Errorf("deadline passed: got %s, %v, %v", r.Outcome, err, r.Problems)
	}
	for _, name := range []string{detailFile, lockFile, publicFile, "tree/" + shardName(time.Now()) + "/checkpoint", "tree/" + shardName(time.Now()) + "/tile/0/000"} {
		bad := image(t, dir)
		path := filepath.Join(bad, auditDir, name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		// A pipe that nobody writes to blocks whoever opens it.
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := Verify(t.Context(), VerifyOptions{Dir: bad, Deadline: time.Now().Add(5 * time.Minute)}); err != nil || r.Outcome != Invalid {
			t.Errorf("%s is a pipe: got %s, %v", name, r.Outcome, err)
		}
	}
	// A database whose table is an endless view.
	bad := image(t, dir)
	db, err := store.Open(t.Context(), filepath.Join(bad, auditDir, detailFile), store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`DROP TABLE audit_detail; CREATE VIEW audit_detail AS
		WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT 's' AS shard, i AS idx, 'a' AS part, 'k' AS key, x'' AS ciphertext, x'' AS commitment FROM n`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if r, err := Verify(t.Context(), VerifyOptions{Dir: bad, Deadline: start.Add(time.Second)}); err != nil || r.Outcome == Valid {
		t.Errorf("endless view: got %s, %v", r.Outcome, err)
	}
	if d := time.Since(start); d > time.Minute {
		t.Errorf("endless view: took %v", d)
	}
}
