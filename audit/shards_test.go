package audit

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// D2, A21: an evidence folder of three half years verifies with the key of any one of
// them, in the program and on the page; with a shard missing, cut off at its end or
// left out of the list it does not.
func TestExportShards(t *testing.T) {
	t.Parallel()
	data, acked := halves(t, 3)
	dir := filepath.Join(t.TempDir(), "evidence")
	receipts := []ID{acked[0], acked[len(acked)/2], acked[len(acked)-1]}
	r, err := ExportEvidence(t.Context(), EvidenceOptions{Dir: data, Out: dir, Receipts: receipts})
	if err != nil || r.Shards != 3 || r.Receipts != 3 {
		t.Fatalf("got %+v, %v", r, err)
	}
	trust, err := TrustOf(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	all, err := trust.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	_, strange, err := newKey("acme/audit/2031h1")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		trust   Trust
		text    string
		change  func(t *testing.T, dir string)
		want    Outcome
		anchors int
	}{
		{name: "all keys", trust: trust, text: string(all), want: Valid, anchors: 3},
		{name: "the first key", trust: Trust{Keys: trust.Keys[:1]}, want: Valid},
		{name: "the key in the middle", trust: Trust{Keys: trust.Keys[1:2]}, want: Valid},
		{name: "the last key", trust: Trust{Keys: trust.Keys[2:]}, want: Valid},
		{name: "no key", want: Incomplete},
		{name: "the key of no shard", trust: Trust{Keys: []string{strange}}, want: Invalid},
		{name: "a shard of which nothing is there", trust: Trust{Keys: trust.Keys[:1]}, want: Invalid, change: func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, treeDir, "2026h2")); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "a shard that is not listed", trust: Trust{Keys: trust.Keys[:1]}, want: Invalid, change: func(t *testing.T, dir string) {
			path := filepath.Join(dir, aboutFile)
			about, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			begin := strings.Index(string(about), "    {")
			end := strings.Index(string(about), "},\n") + len("},\n")
			write(t, path, append(about[:begin:begin], about[end:]...))
		}},
		{name: "the last shard left out", trust: trust, text: string(all), want: Invalid, anchors: 2, change: func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, treeDir, "2027h1")); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, aboutFile)
			about, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			cut := strings.LastIndex(string(about), ",\n    {")
			write(t, path, []byte(string(about[:cut])+"\n  ]\n}\n"))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			folder := dir
			if tt.change != nil {
				folder = copyFolder(t, dir)
				tt.change(t, folder)
			}
			r, err := VerifyExport(t.Context(), VerifyOptions{Dir: folder, Trust: tt.trust.Keys, Anchors: tt.trust.Checkpoints})
			if err != nil || r.Outcome != tt.want || r.Anchors != tt.anchors {
				t.Errorf("got %s, want %s; %v, %v, %v", r.Outcome, tt.want, err, r.Problems, r.Unchecked)
			}
			if tt.want == Valid && (r.Receipts != 3 || len(r.Shards) != 3 || r.Entries != r.Shards[0].Size+r.Shards[1].Size+r.Shards[2].Size) {
				t.Errorf("got %+v", r)
			}
			text := tt.text
			if text == "" {
				text = strings.Join(tt.trust.Keys, "\n")
			}
			if got := runPage(t, folder, []pageJob{{Trust: text}})[0]; got.Outcome != tt.want.String() {
				t.Errorf("the page: got %s, want %s; %v", got.Outcome, tt.want, got.Problems)
			}
		})
	}
	t.Run("one bit of each first leaf", func(t *testing.T) {
		t.Parallel()
		var jobs []pageJob
		for _, shard := range []string{"2026h1", "2026h2", "2027h1"} {
			name := treeDir + "/" + shard + "/tile/entries/000"
			bundle, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			bundle[80] ^= 1
			changed := base64.StdEncoding.EncodeToString(bundle)
			jobs = append(jobs, pageJob{Name: name, Data: &changed, Trust: string(all)})
		}
		for i, got := range runPage(t, dir, jobs) {
			if got.Outcome != Invalid.String() {
				t.Errorf("%s: got %s", jobs[i].Name, got.Outcome)
			}
		}
	})
}

// A9, A16: an archive takes one half year after the other, also when it starts late or
// was interrupted between two, locks the edge of each that has ended, and verifies from
// the bucket alone.
func TestArchiveShards(t *testing.T) {
	t.Parallel()
	k := lateIn(2026, time.July)
	l, dir := newLog(t, k.config())
	bucket := &memoryBucket{}
	now := func() time.Time { return k.now() }
	archive := func(t *testing.T, b Bucket) *Archive {
		t.Helper()
		a, err := NewArchive(dir, ArchiveConfig{Bucket: b, Prefix: "logs/acme", Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.runOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	recordMany(t, l, 300)
	covered(t, l)
	running := archive(t, bucket)
	for range 2 {
		recordMany(t, l, 300)
		k.toNext(t, l)
		opened(t, dir, l.Origin())
		recordMany(t, l, 20)
		covered(t, l)
		if _, err := running.runOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.nextHalf(t, l)
	}
	mustClose(t, l)
	running = archive(t, bucket) // a new process
	total, err := Size(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := ArchivedSize(dir); err != nil || n != total || running.cursor.total() != total {
		t.Errorf("archived %d and %d of %d, %v", n, running.cursor.total(), total, err)
	}
	trust, err := TrustOf(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if r := verifyArchive(t, bucket, trust); r.Outcome != Valid || len(r.Shards) != 3 || r.Anchors != 3 || r.Entries != total {
		t.Errorf("got %s, %d shards, %d entries, %v, %v", r.Outcome, len(r.Shards), r.Entries, r.Problems, r.Unchecked)
	}
	for _, key := range trust.Keys {
		if r := verifyArchive(t, bucket, Trust{Keys: []string{key}}); r.Outcome != Valid {
			t.Errorf("with one key: got %s, %v", r.Outcome, r.Problems)
		}
	}
	for key, versions := range bucket.objects {
		newest := versions[len(versions)-1]
		if strings.HasPrefix(key, "logs/acme/2026") && !newest.deleted && newest.until.IsZero() && !strings.HasSuffix(key, "/"+checkpointFile) {
			t.Errorf("%s has no lock, and its shard has ended", key)
		}
	}
	late := &memoryBucket{}
	if err := os.Remove(filepath.Join(dir, auditDir, archiveFile)); err != nil {
		t.Fatal(err)
	}
	archive(t, late)
	if r := verifyArchive(t, late, trust); r.Outcome != Valid || len(r.Shards) != 3 {
		t.Errorf("an archive that starts late: got %s, %v", r.Outcome, r.Problems)
	}

	without := func(b *memoryBucket, shard string) *memoryBucket {
		out := &memoryBucket{objects: map[string][]memoryObject{}}
		for key, o := range b.objects {
			if !strings.HasPrefix(key, "logs/acme/"+shard+"/") {
				out.objects[key] = slices.Clone(o)
			}
		}
		return out
	}
	keys := Trust{Keys: trust.Keys}
	if r := verifyArchive(t, without(late, "2026h1"), keys); r.Outcome != Incomplete {
		t.Errorf("the oldest shard gone: got %s, %v", r.Outcome, r.Problems)
	}
	if r := verifyArchive(t, without(late, "2026h2"), keys); r.Outcome != Invalid {
		t.Errorf("a shard in the middle gone: got %s", r.Outcome)
	}
	if r := verifyArchive(t, without(late, "2027h1"), trust); r.Outcome != Invalid {
		t.Errorf("the newest shard gone, and a checkpoint of it known: got %s", r.Outcome)
	}

	// The log is set back to before a rollover, its archive is not (A19).
	back := t.TempDir()
	copyDir(t, back, dir)
	if err := os.RemoveAll(filepath.Join(back, auditDir, treeDir, "2027h1")); err != nil {
		t.Fatal(err)
	}
	a, err := NewArchive(back, ArchiveConfig{Bucket: late, Prefix: "logs/acme", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.runOnce(t.Context()); !errors.Is(err, ErrArchiveDiffers) {
		t.Errorf("a log that was set back: got %v, want ErrArchiveDiffers", err)
	}
}

// A16, A21: a chain of shards with a link missing, cut or forged does not verify.
func TestTamperedShards(t *testing.T) {
	t.Parallel()
	clean, _ := halves(t, 3)
	keys, err := TrustOf(t.Context(), clean)
	if err != nil {
		t.Fatal(err)
	}
	tree := func(dir, shard string, name ...string) string {
		return filepath.Join(append([]string{dir, auditDir, treeDir, shard}, name...)...)
	}
	unlock := func(t *testing.T, dir, shard string) {
		db := openForgery(t, dir, lockFile)
		if _, err := db.Exec("DELETE FROM audit_lock WHERE origin = $1", "acme/audit/"+shard); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(t *testing.T, dir, shard string) {
		if err := os.RemoveAll(tree(dir, shard)); err != nil {
			t.Fatal(err)
		}
		unlock(t, dir, shard)
		for file, tables := range map[string][]string{indexFile: {"audit_entry", "audit_exposure", "audit_block", "audit_cover"}, detailFile: {"audit_detail"}} {
			db := openForgery(t, dir, file)
			for _, table := range tables {
				if _, err := db.Exec("DELETE FROM "+table+" WHERE shard = $1", shard); err != nil {
					t.Fatal(err)
				}
			}
		}
		path := filepath.Join(dir, auditDir, publicFile)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.DeleteFunc(strings.Split(string(data), "\n"), func(l string) bool { return strings.HasPrefix(l, "acme/audit/"+shard) })
		write(t, path, []byte(strings.Join(lines, "\n")))
	}
	// forge signs another first leaf for the newest shard, with its real key.
	forge := func(t *testing.T, dir string, change func(attrs map[string]string)) {
		trees, err := openTrees(dir)
		if err != nil {
			t.Fatal(err)
		}
		newest := trees[2]
		signer, _, err := loadKey(keyFile(filepath.Join(dir, "keys"), newest.shard), newest.origin)
		if err != nil {
			t.Fatal(err)
		}
		var e edge
		emit := func(name string, data []byte) {
			path := tree(dir, newest.shard, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, path, slices.Clone(data))
		}
		err = newest.each(t.Context(), 0, newest.size, func(x Entry) error {
			data, hash := x.Data, x.Hash
			if x.Index == 0 {
				x.Leaf.Attrs = maps.Clone(x.Leaf.Attrs)
				change(x.Leaf.Attrs)
				data, _, _ = appendLeaf(nil, &x.Leaf)
				hash = tlog.RecordHash(data)
			}
			e.add(data, hash, emit)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		e.partials(emit)
		signed, err := checkpoint{origin: newest.origin, size: e.size, root: e.root()}.sign(signer)
		if err != nil {
			t.Fatal(err)
		}
		write(t, tree(dir, newest.shard, checkpointFile), signed)
		db := openForgery(t, dir, lockFile)
		if _, err := db.Exec("UPDATE audit_lock SET body = $1 WHERE origin = $2", string(signed), newest.origin); err != nil {
			t.Fatal(err)
		}
		remove(t, filepath.Join(dir, auditDir, indexFile)) // it would tell by itself
	}
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
		opens  bool // a gateway does not notice; verify does
	}{
		{"the first shard is gone", func(t *testing.T, dir string) { gone(t, dir, "2026h1") }, false},
		{"a shard in the middle is gone", func(t *testing.T, dir string) { gone(t, dir, "2026h2") }, false},
		{"a shard has no row in the lock store", func(t *testing.T, dir string) { unlock(t, dir, "2026h2") }, false},
		{"a shard has no tree", func(t *testing.T, dir string) {
			if err := os.RemoveAll(tree(dir, "2026h1")); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"an old shard ends earlier", func(t *testing.T, dir string) {
			// Its last checkpoint is exchanged for one that was signed before.
			trees, err := openTrees(dir)
			if err != nil {
				t.Fatal(err)
			}
			old := trees[0]
			signer, _, err := loadKey(keyFile(filepath.Join(dir, "keys"), old.shard), old.origin)
			if err != nil {
				t.Fatal(err)
			}
			root, err := tlog.TreeHash(256, tileHashes(old.readFile, old.checkpoint))
			if err != nil {
				t.Fatal(err)
			}
			signed, err := checkpoint{origin: old.origin, size: 256, root: root}.sign(signer)
			if err != nil {
				t.Fatal(err)
			}
			write(t, tree(dir, old.shard, checkpointFile), signed)
			db := openForgery(t, dir, lockFile)
			if _, err := db.Exec("UPDATE audit_lock SET body = $1 WHERE origin = $2", string(signed), old.origin); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"another size in the first leaf", func(t *testing.T, dir string) {
			forge(t, dir, func(a map[string]string) { a[attrPrevSize] = "7" })
		}, false},
		{"another root in the first leaf", func(t *testing.T, dir string) {
			forge(t, dir, func(a map[string]string) { a[attrPrevRoot] = strings.Repeat("00", 32) })
		}, false},
		{"another checkpoint in the first leaf", func(t *testing.T, dir string) {
			forge(t, dir, func(a map[string]string) {
				a[attrPrevCheckpoint] = strings.Replace(a[attrPrevCheckpoint], "\n\n", "\nx\n", 1)
			})
		}, false},
		{"another shard before", func(t *testing.T, dir string) {
			forge(t, dir, func(a map[string]string) { a[attrPrevOrigin] = "acme/audit/2026h1" })
		}, false},
		{"another origin in the first leaf", func(t *testing.T, dir string) {
			forge(t, dir, func(a map[string]string) { a[attrOrigin] = "acme/audit/2027h2" })
		}, false},
		{"another key in the first leaf", func(t *testing.T, dir string) {
			forge(t, dir, func(a map[string]string) { a[attrKey] = keys.Keys[0] })
		}, true},
		{"a key of no shard beside the log", func(t *testing.T, dir string) {
			_, key, err := newKey("acme/audit/2031h1")
			if err != nil {
				t.Fatal(err)
			}
			if err := addPublicKey(filepath.Join(dir, auditDir), key); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a tree of no shard", func(t *testing.T, dir string) {
			if err := os.MkdirAll(tree(dir, "2031h1", "tile"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a file in a shard that has ended", func(t *testing.T, dir string) { write(t, tree(dir, "2026h1", "note"), []byte("x")) }, true},
		{"a bit in a shard that has ended", func(t *testing.T, dir string) {
			path := tree(dir, "2026h1", "tile", "entries", "000")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 1
			write(t, path, data)
		}, true},
		{"an old checkpoint published", func(t *testing.T, dir string) {
			data, err := os.ReadFile(tree(dir, "2026h2", checkpointFile))
			if err != nil {
				t.Fatal(err)
			}
			write(t, tree(dir, "2026h1", checkpointFile), data)
		}, true},
		{"details of a shard that has ended", func(t *testing.T, dir string) {
			db := openForgery(t, dir, detailFile)
			if _, err := db.Exec("INSERT INTO audit_detail VALUES ('2026h1', 9000, 'a', 'k', x'00', x'00')"); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"details of no shard", func(t *testing.T, dir string) {
			db := openForgery(t, dir, detailFile)
			if _, err := db.Exec("INSERT INTO audit_detail VALUES ('2031h1', 1, 'a', 'k', x'00', x'00')"); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"index rows of an old shard moved", func(t *testing.T, dir string) {
			db := openForgery(t, dir, indexFile)
			if _, err := db.Exec("UPDATE audit_entry SET wall = wall + 1 WHERE shard = '2026h1' AND idx = 17"); err != nil {
				t.Fatal(err)
			}
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := image(t, clean)
			tt.change(t, dir)
			r := mustVerify(t, dir, Invalid)
			if len(r.Problems) == 0 {
				t.Error("no problem is told")
			}
			l, err := Open(t.Context(), dir, Config{Deployment: "acme"})
			if err == nil {
				mustClose(t, l)
			}
			if (err == nil) != tt.opens || err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("open: got %v", err)
			}
		})
	}
	t.Run("set back to before a rollover", func(t *testing.T) {
		t.Parallel()
		dir := image(t, clean)
		gone(t, dir, "2027h1")
		// Nothing in the log itself can tell that; a checkpoint from outside does (A19).
		if r, err := Verify(t.Context(), VerifyOptions{Dir: dir, Trust: keys.Keys, Anchors: keys.Checkpoints}); err != nil || r.Outcome != Invalid {
			t.Errorf("got %s, %v", r.Outcome, err)
		}
	})
}

// A question about a person finds what was recorded in each shard, and also an event
// that was made for the shard before and appended after its end.
func TestQueryOverShards(t *testing.T) {
	t.Parallel()
	person := func(origin string) Pseudonym {
		sum := sha256.Sum256([]byte("someone in " + origin))
		return Pseudonym(sum[:16])
	}
	k := lateIn(2026, time.July)
	l, dir := newLog(t, k.config())
	old := l.Origin()
	event := func(origin string) Event {
		e := sample(1)
		e.Actor, e.Subjects = person(origin), []Ref{{ID: person(origin), Classes: []string{"credit_card"}}}
		return e
	}
	record(t, l, event(old))
	k.toNext(t, l)
	opened(t, dir, l.Origin())
	record(t, l, event(l.Origin()))
	record(t, l, event(old)) // made before, appended after
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]Query{"actor": {Actor: person}, "subject": {Subject: person}} {
		found, more, err := l.Index().Entries(t.Context(), q, 10)
		if err != nil || more || len(found) != 3 {
			t.Errorf("events by %s: got %d, %v", name, len(found), err)
		}
		q.Class = "credit_card"
		seen, _, err := l.Index().Exposures(t.Context(), q, 10)
		if err != nil || len(seen) != 3 {
			t.Errorf("exposures by %s: got %d, %v", name, len(seen), err)
		}
	}
}
