package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// unfinished is a log of 300 covered events and some that are committed only, as a
// process left it that was killed.
func unfinished(t testing.TB) (dir string, acked []ID) {
	t.Helper()
	var stopped atomic.Bool
	stands, goOn := make(chan struct{}, 1), make(chan struct{})
	l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond, hooks: func(p hookPoint) error {
		if p == hookLock && stopped.Load() {
			select {
			case stands <- struct{}{}:
			default:
			}
			<-goOn // covers nothing more
		}
		return nil
	}})
	t.Cleanup(func() { close(goOn) })
	recordMany(t, l, 300)
	covered(t, l)
	stopped.Store(true)
	for i := range 5 {
		acked = append(acked, record(t, l, sample(i)).ID)
	}
	<-stands // and writes no file of the tree while they are copied
	dir = image(t, dir)
	return dir, acked
}

// quiet is a log of 300 events that was closed.
func quiet(t testing.TB) string {
	t.Helper()
	l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond})
	recordMany(t, l, 300)
	covered(t, l)
	mustClose(t, l)
	return image(t, dir)
}

// answered are options for somebody who answers for a repair.
func answered(t testing.TB, dir string) RepairOptions {
	t.Helper()
	return RepairOptions{
		Config: stored(t, dir, Config{}), Apply: true, Note: "Jo, after the power cut",
		Seal: func(origin string, id ID) (Pseudonym, []Sealed, error) {
			return Pseudonym{1}, []Sealed{{Part: "actor", Key: "k", Ciphertext: []byte("who and why"), Commitment: []byte("c")}}, nil
		},
	}
}

// contents are the files of dir by their hash, but for what SQLite keeps beside, and
// what opening and locking leaves.
func contents(t testing.TB, dir string) map[string][32]byte {
	t.Helper()
	out := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, "LOCK") {
			return err
		}
		data, err := os.ReadFile(path)
		if !strings.HasSuffix(path, "-wal") || len(data) > 0 {
			out[path] = sha256.Sum256(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newestTree(t testing.TB, dir string) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, auditDir, treeDir, "*"))
	if err != nil || len(list) == 0 {
		t.Fatal(err)
	}
	return list[len(list)-1]
}

// damages are the states that Repair brings back.
var damages = []struct {
	name   string
	files  bool // exists with files only
	quiet  bool
	damage func(t *testing.T, dir string)
	part   string
	lost   string // in the finding; "" for nothing
	opens  bool   // recovery does not look there
}{
	{name: "index of other rows", quiet: true, part: "index", opens: true, damage: func(t *testing.T, dir string) {
		db := openForgery(t, dir, indexFile)
		if _, err := db.ExecContext(t.Context(), "UPDATE audit_entry SET wall = wall + 1 WHERE idx = 7"); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "index that is no database", files: true, quiet: true, part: "index", damage: func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, auditDir, indexFile), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "tiles gone and changed", quiet: true, part: "tree", damage: func(t *testing.T, dir string) {
		tree := newestTree(t, dir)
		if err := os.RemoveAll(filepath.Join(tree, "tile", "1")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, "tile", "0", "000"), make([]byte, 256*32), 0o600); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "no published checkpoint", quiet: true, part: "checkpoint", damage: func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(newestTree(t, dir), checkpointFile)); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "lock store that is no database", files: true, quiet: true, part: "lock store", lost: "if there was one", damage: func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, auditDir, lockFile), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "lock store with a forged checkpoint", quiet: true, part: "lock store", lost: "if there was one", damage: func(t *testing.T, dir string) {
		db := openForgery(t, dir, lockFile)
		if _, err := db.ExecContext(t.Context(), "UPDATE audit_lock SET body = replace(body, 'acme', 'acne')"); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "event changed in the intake", part: "intake", lost: "callers may have receipts of", damage: func(t *testing.T, dir string) {
		db := openForgery(t, dir, intakeFile)
		if _, err := db.ExecContext(t.Context(), forgery(db, `UPDATE audit_intake SET events = CAST(replace(CAST(events AS TEXT), '"allow"', '"aLlow"') AS BLOB)
			WHERE nseq = (SELECT max(nseq) - 1 FROM audit_intake)`)); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "event missing in the intake", part: "intake", lost: "callers may have receipts of", damage: func(t *testing.T, dir string) {
		db := openForgery(t, dir, intakeFile)
		if _, err := db.ExecContext(t.Context(), `UPDATE audit_intake SET nseq = nseq + 1, last = last + 1 WHERE nseq = (SELECT max(nseq) FROM audit_intake)`); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "no intake", files: true, part: "intake", lost: "how many is not known", damage: func(t *testing.T, dir string) {
		for _, suffix := range databaseFiles(intakeFile) {
			removeIfThere(t, filepath.Join(dir, auditDir, intakeFile+suffix))
		}
	}},
	{name: "details of other bytes", quiet: true, part: "details", lost: "2 sealed parts: 1 of actor (short) in entries 9 to 9 of", opens: true, damage: func(t *testing.T, dir string) {
		db := openForgery(t, dir, detailFile)
		for _, q := range []string{
			"UPDATE audit_detail SET key = 'k3' WHERE idx = 9 AND part = 'actor'",
			"UPDATE audit_detail SET idx = -1 WHERE idx = 20 AND part = 'subject'",
		} {
			if _, err := db.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
	}},
	{name: "details gone from the table", quiet: true, part: "details", lost: "of subject (short) in entries 0 to 119 of", opens: true, damage: func(t *testing.T, dir string) {
		db := openForgery(t, dir, detailFile)
		if _, err := db.ExecContext(t.Context(), "DELETE FROM audit_detail WHERE idx < 120"); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "details that are no database", files: true, quiet: true, part: "details", lost: "600 sealed parts", damage: func(t *testing.T, dir string) {
		for _, suffix := range databaseFiles(detailFile) {
			removeIfThere(t, filepath.Join(dir, auditDir, detailFile+suffix))
		}
		if err := os.WriteFile(filepath.Join(dir, auditDir, detailFile), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "no details", files: true, quiet: true, part: "details", lost: "600 sealed parts", damage: func(t *testing.T, dir string) {
		for _, suffix := range databaseFiles(detailFile) {
			removeIfThere(t, filepath.Join(dir, auditDir, detailFile+suffix))
		}
	}},
	{name: "a page of the details", files: true, quiet: true, part: "details", lost: "sealed parts", opens: true, damage: func(t *testing.T, dir string) {
		damagePages(t, dir, 10, 11, 12)
	}},
	{name: "older intake", quiet: true, part: "intake", lost: "how many is not known", damage: func(t *testing.T, dir string) {
		db := openForgery(t, dir, intakeFile)
		for _, q := range []string{"DELETE FROM audit_intake", "UPDATE audit_pruned SET nseq = nseq - 3"} {
			if _, err := db.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
	}},
}

// A18, A21: what recovery refuses is repaired when somebody says so, keeps the damaged
// files, and is a gap for ever.
func TestRepair(t *testing.T) {
	t.Parallel()
	for _, d := range damages {
		if d.files && strings.Contains(t.Name(), onPostgres) {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dir := ""
			if d.quiet {
				dir = quiet(t)
			} else {
				dir, _ = unfinished(t)
			}
			d.damage(t, dir)
			if l, err := Open(t.Context(), dir, stored(t, dir, Config{})); err == nil {
				mustClose(t, l)
				if !d.opens {
					t.Fatal("recovery takes it")
				}
			}
			if r, err := Verify(t.Context(), VerifyOptions{Dir: dir, patience: time.Millisecond}); err != nil || r.Outcome != Invalid {
				t.Errorf("verify before: got %s, %v", r.Outcome, err)
			}
			before := contents(t, dir)
			o := answered(t, dir)
			o.Apply = false
			plan, err := Repair(t.Context(), dir, o)
			if err != nil {
				t.Fatal(err)
			}
			if plan.Applied || len(plan.Findings) == 0 || plan.Findings[0].Part != d.part {
				t.Errorf("plan: got %+v", plan)
			}
			if lost := plan.Findings[0].Lost; (lost == "") != (d.lost == "") || !strings.Contains(lost, d.lost) {
				t.Errorf("lost: got %q, want %q", lost, d.lost)
			}
			if after := contents(t, dir); !reflect.DeepEqual(after, before) {
				t.Error("a dry run changed something")
			}
			o.Apply = true
			done, err := Repair(t.Context(), dir, o)
			if err != nil {
				t.Fatal(err)
			}
			if !done.Applied || !reflect.DeepEqual(done.Findings, plan.Findings) {
				t.Errorf("got %+v, want what the plan said: %+v", done, plan)
			}
			if note, err := os.ReadFile(filepath.Join(done.Aside, "README.txt")); err != nil || !strings.Contains(string(note), "Jo, after the power cut") {
				t.Errorf("note: got %q, %v", note, err)
			}
			l := reopen(t, dir, Config{Checkpoint: 2 * time.Millisecond})
			if leaf, err := l.Find(t.Context(), done.Gap); err != nil || leaf.Type != TypeGap || leaf.Actor != (Pseudonym{1}) || len(leaf.Digests) != 1 {
				t.Errorf("leaf: got %+v, %v", leaf, err)
			}
			record(t, l, sample(1))
			mustClose(t, l)
			r := mustVerify(t, dir, Valid)
			if len(r.Gaps) != 1 || r.Gaps[0].Cause != GapRepair || r.Gaps[0].ID != done.Gap || r.Gaps[0].Lost["aside"] == "" {
				t.Errorf("gaps: got %+v", r.Gaps)
			}
			if lost := r.Gaps[0].Lost["lost."+strings.ReplaceAll(d.part, " ", "_")]; !strings.Contains(lost, d.lost) || d.lost == "" && lost != "nothing" {
				t.Errorf("the leaf says of what was lost: %q", lost)
			}
			o.Apply = false
			if again, err := Repair(t.Context(), dir, o); err != nil || len(again.Findings) != 0 {
				t.Errorf("repaired: got %+v, %v", again.Findings, err)
			}
		})
	}
}

// What a repair keeps of the intake: everything that follows on the tree.
func TestRepairKeepsWhatIsWhole(t *testing.T) {
	t.Parallel()
	dir, acked := unfinished(t)
	db := openForgery(t, dir, intakeFile)
	var commits int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM audit_intake").Scan(&commits); err != nil {
		t.Fatal(err)
	}
	// Behind the last whole event half of another one.
	if _, err := db.ExecContext(t.Context(), forgery(db, `UPDATE audit_intake SET last = last + 1, events = CAST(CAST(events AS BLOB) || x'0000000200000000414141' AS BLOB)
		WHERE nseq = (SELECT max(nseq) FROM audit_intake)`)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	done, err := Repair(t.Context(), dir, answered(t, dir))
	if err != nil || !done.Applied {
		t.Fatal(err)
	}
	kept := 0
	l := reopen(t, dir, Config{})
	for _, id := range acked {
		if _, err := l.Find(t.Context(), id); err == nil {
			kept++
		}
	}
	if kept < len(acked)-1 {
		t.Errorf("kept %d of %d events in %d commits", kept, len(acked), commits)
	}
	mustClose(t, l)
	mustVerify(t, dir, Valid)
}

// A7, A21: what a signed checkpoint covers is never given up, and what another history
// needs is not signed.
func TestRepairRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, dir string){
		"an entry bundle is damaged": func(t *testing.T, dir string) {
			path := filepath.Join(newestTree(t, dir), "tile", "entries", "000")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data[1000] ^= 1
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"the tree is an older copy": func(t *testing.T, dir string) {
			db, err := store.Open(t.Context(), filepath.Join(dir, auditDir, intakeFile), store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), "UPDATE audit_pruned SET nseq = nseq + 10"); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		},
		"the key is gone": func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := quiet(t)
			damage(t, dir)
			before := contents(t, dir)
			if _, err := Repair(t.Context(), dir, answered(t, dir)); !errors.Is(err, ErrUnrepairable) {
				t.Errorf("got %v, want ErrUnrepairable", err)
			}
			if !reflect.DeepEqual(contents(t, dir), before) {
				t.Error("something was changed")
			}
		})
	}
	l, dir := newLog(t, Config{})
	if _, err := Repair(t.Context(), dir, answered(t, dir)); !errors.Is(err, ErrInUse) {
		t.Errorf("a log in use: got %v, want ErrInUse", err)
	}
	mustClose(t, l)
	if _, err := Repair(t.Context(), dir, RepairOptions{Config: stored(t, dir, Config{}), Apply: true}); err == nil {
		t.Error("repaired although nobody answers for it")
	}
}

// A18: killed at any step, a repair is finished by the next one and is on record.
func TestRepairKilled(t *testing.T) {
	t.Parallel()
	damaged, _ := unfinished(t)
	for _, d := range damages {
		switch d.name {
		case "event changed in the intake", "no published checkpoint":
			d.damage(t, damaged)
		}
	}
	for step := range 6 {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			dir := image(t, damaged)
			o := answered(t, dir)
			n := 0
			o.hooks = func(p hookPoint) error {
				if p != hookRepair {
					return nil
				}
				if n++; n > step {
					return errInjected
				}
				return nil
			}
			_, err := Repair(t.Context(), dir, o)
			if err == nil {
				return // it has no such step
			}
			if !errors.Is(err, errInjected) {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), dir, stored(t, dir, Config{})); !errors.Is(err, ErrCorrupt) {
				t.Errorf("half repaired: got %v, want ErrCorrupt", err)
			}
			o = answered(t, dir)
			o.Apply = false
			if plan, err := Repair(t.Context(), dir, o); err != nil || !plan.Unfinished {
				t.Errorf("plan: got %+v, %v", plan, err)
			}
			if done, err := Repair(t.Context(), dir, answered(t, dir)); err != nil || !done.Applied {
				t.Fatalf("again: got %+v, %v", done, err)
			}
			if r := mustVerify(t, dir, Valid); len(r.Gaps) == 0 || r.Gaps[0].Cause != GapRepair {
				t.Errorf("gaps: got %+v", r.Gaps)
			}
		})
	}
}
