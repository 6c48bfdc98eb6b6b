package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// memoryBucket is a bucket with versions, locks, and faults before and after the
// store.
type memoryBucket struct {
	mu      sync.Mutex
	objects map[string][]memoryObject // oldest first
	// before and after run around each call that stores, with its key.
	before, after func(key string) error
	// stale hides what is there from reading, as many times.
	stale int
	calls int
}

type memoryObject struct {
	data    []byte
	until   time.Time
	deleted bool
}

var _ Bucket = (*memoryBucket)(nil)

func (b *memoryBucket) Check(context.Context) error { return nil }

func (b *memoryBucket) store(ctx context.Context, key string, o memoryObject, fresh bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.before != nil {
		if err := b.before(key); err != nil {
			return err
		}
	}
	if v := b.objects[key]; fresh && len(v) > 0 && !v[len(v)-1].deleted {
		return ErrObjectExists
	}
	if b.objects == nil {
		b.objects = map[string][]memoryObject{}
	}
	o.data = bytes.Clone(o.data)
	b.objects[key] = append(b.objects[key], o)
	if b.after != nil {
		return b.after(key)
	}
	return nil
}

func (b *memoryBucket) Create(ctx context.Context, key string, data []byte, until time.Time) error {
	return b.store(ctx, key, memoryObject{data: data, until: until}, true)
}

func (b *memoryBucket) Replace(ctx context.Context, key string, data []byte) error {
	return b.store(ctx, key, memoryObject{data: data}, false)
}

func (b *memoryBucket) Remove(ctx context.Context, key string) error {
	return b.store(ctx, key, memoryObject{deleted: true}, false)
}

func (b *memoryBucket) Oldest(ctx context.Context, key string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stale > 0 {
		b.stale--
		return nil, fs.ErrNotExist
	}
	for _, o := range b.objects[key] {
		if !o.deleted {
			return o.data, ctx.Err()
		}
	}
	return nil, fs.ErrNotExist
}

func (b *memoryBucket) Versions(ctx context.Context, prefix string, visit func(ObjectVersion) error) error {
	b.mu.Lock()
	keys := slices.Sorted(maps.Keys(b.objects))
	b.mu.Unlock()
	for _, key := range keys {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		for i, o := range slices.Backward(b.objects[key]) {
			if err := visit(ObjectVersion{Key: key, ID: fmt.Sprint(i), Size: int64(len(o.data)), Deleted: o.deleted}); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (b *memoryBucket) Version(ctx context.Context, v ObjectVersion) ([]byte, error) {
	var i int
	if _, err := fmt.Sscan(v.ID, &i); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.objects[v.Key][i].data, ctx.Err()
}

// archived is a log of several bundles with its archive.
func archived(t testing.TB, n int) (*memoryBucket, string, Trust) {
	t.Helper()
	l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond, SealIndex: 20 * time.Millisecond})
	b := new(memoryBucket)
	a := mustArchive(t, dir, b)
	for range 3 {
		recordMany(t, l, n/3)
		covered(t, l)
		if _, err := a.runOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	if _, err := a.runOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	trust, err := TrustOf(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return b, dir, trust
}

func mustArchive(t testing.TB, dir string, b Bucket) *Archive {
	t.Helper()
	a, err := NewArchive(dir, ArchiveConfig{Bucket: b, Prefix: "logs/acme"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func verifyArchive(t testing.TB, b Bucket, trust Trust) Report {
	t.Helper()
	r, err := VerifyArchive(t.Context(), b, "logs/acme/", VerifyOptions{Trust: trust.Keys, Anchors: trust.Checkpoints, Deadline: time.Now().Add(5 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A9, A16: the archive verifies from the bucket alone; what must never change is
// locked, and nothing sealed or secret is in it.
func TestArchive(t *testing.T) {
	t.Parallel()
	b, dir, trust := archived(t, 600)
	r := verifyArchive(t, b, trust)
	if r.Outcome != Valid || r.Entries < 600 || r.Anchors != 1 || len(r.Notes) != 0 {
		t.Errorf("got %s, %+v", r.Outcome, r)
	}
	r, err := VerifyArchive(t.Context(), b, "logs/acme", VerifyOptions{})
	if err != nil || r.Outcome != Incomplete || len(r.Problems) > 0 {
		t.Errorf("without keys: got %s, %v, %v", r.Outcome, err, r.Problems)
	}
	if _, err := VerifyArchive(t.Context(), b, "logs/other", VerifyOptions{}); !errors.Is(err, ErrMissing) {
		t.Errorf("nothing there: got %v, want ErrMissing", err)
	}
	secret, err := os.ReadFile(keyFile(filepath.Join(dir, "keys"), shardName(time.Now())))
	if err != nil {
		t.Fatal(err)
	}
	checkpoints, partials := 0, 0
	for key, versions := range b.objects {
		name := strings.TrimPrefix(key, "logs/acme/"+shardName(time.Now())+"/")
		_, _, w, tile := parseTileName(name)
		locked := tile && w == tileWidth || strings.HasPrefix(name, checkpointsDir+"/") || name == publicFile
		if strings.HasPrefix(name, checkpointsDir+"/") {
			checkpoints++
		}
		if tile && w < tileWidth && !versions[len(versions)-1].deleted {
			partials++
		}
		if locked != !versions[0].until.IsZero() {
			t.Errorf("%s: locked until %v", name, versions[0].until)
		}
		if locked && versions[0].until.Before(time.Now().AddDate(1, 0, 0)) {
			t.Errorf("%s: locked until %v only", name, versions[0].until)
		}
		if locked && len(versions) != 1 {
			t.Errorf("%s: has %d versions", name, len(versions))
		}
		for what, s := range map[string]string{"a sealed part": strings.Repeat("c", 100), "the secret key": strings.TrimSpace(string(secret))} {
			if bytes.Contains(versions[0].data, []byte(s)) {
				t.Errorf("%s holds %s", name, what)
			}
		}
	}
	// Entries, level 0 and level 1 have an unfinished edge each; those before are gone.
	if checkpoints < 3 || partials != 3 {
		t.Errorf("got %d checkpoints, %d partial files", checkpoints, partials)
	}
	// Nothing new: nothing is stored. A lost cursor: everything is found to be there.
	before := b.calls
	if n, err := mustArchive(t, dir, b).runOnce(t.Context()); n != 0 || err != nil || b.calls != before {
		t.Errorf("again: got %d, %v, %d calls", n, err, b.calls-before)
	}
	remove(t, filepath.Join(dir, auditDir, archiveFile))
	if n, err := mustArchive(t, dir, b).runOnce(t.Context()); n == 0 || err != nil {
		t.Errorf("without a cursor: got %d, %v", n, err)
	}
	if r := verifyArchive(t, b, trust); r.Outcome != Valid || len(r.Notes) != 0 {
		t.Errorf("after that: got %s, %v, %v", r.Outcome, r.Problems, r.Notes)
	}
}

// F11, A7-A9: whatever a bucket answers at whatever step, the archive that comes
// of it in the end is whole, and a checkpoint is never there before its tiles.
func TestArchiveFaults(t *testing.T) {
	t.Parallel()
	lost := errors.New("503 slow down")
	tests := map[string]func(b *memoryBucket, step int, calls *int){
		"refused": func(b *memoryBucket, step int, calls *int) {
			b.before = func(string) error { return at(calls, step, lost) }
		},
		"stored, and the reply lost": func(b *memoryBucket, step int, calls *int) {
			b.after = func(string) error { return at(calls, step, lost) }
		},
		"stored, the reply lost, then not to be seen": func(b *memoryBucket, step int, calls *int) {
			b.after = func(string) error { return at(calls, step, lost) }
			b.stale = 2
		},
	}
	l, clean := newLog(t, Config{Checkpoint: time.Hour})
	recordMany(t, l, 520)
	mustClose(t, l)
	trust, err := TrustOf(t.Context(), clean)
	if err != nil {
		t.Fatal(err)
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for step := 1; ; step++ {
				b, dir, calls := new(memoryBucket), image(t, clean), 0
				fault(b, step, &calls)
				a := mustArchive(t, dir, b)
				failed := 0
				for {
					_, err := a.runOnce(t.Context())
					if err == nil {
						break
					}
					if failed++; failed > 5 || errors.Is(err, ErrArchiveDiffers) {
						t.Fatalf("step %d: %v", step, err)
					}
					// A checkpoint that can be seen has all that it covers.
					if _, ok := b.objects["logs/acme/"+shardName(time.Now())+"/"+checkpointFile]; ok {
						if r := verifyArchive(t, b, trust); r.Outcome != Valid {
							t.Fatalf("step %d, after the fault: %v", step, r.Problems)
						}
					}
				}
				if r := verifyArchive(t, b, trust); r.Outcome != Valid || len(r.Notes) != 0 {
					t.Fatalf("step %d: got %s, %v, %v", step, r.Outcome, r.Problems, r.Notes)
				}
				if failed == 0 {
					if step < 8 {
						t.Fatalf("only %d steps were tried", step)
					}
					return
				}
			}
		})
	}
}

func at(calls *int, step int, err error) error {
	if *calls++; *calls == step {
		return err
	}
	return nil
}

// F11, F13, F14, A7, A11, A19: an archive that holds something else stops the
// archiving, and nothing is overwritten.
func TestArchiveDiffers(t *testing.T) {
	t.Parallel()
	shard := shardName(time.Now())
	t.Run("another object", func(t *testing.T) {
		t.Parallel()
		l, dir := newLog(t, Config{Checkpoint: time.Hour})
		recordMany(t, l, 300)
		mustClose(t, l)
		b := &memoryBucket{objects: map[string][]memoryObject{"logs/acme/" + shard + "/tile/0/000": {{data: []byte("x")}}}}
		a := mustArchive(t, dir, b)
		told := 0
		err := a.Run(t.Context(), func(int64, error) { told++ })
		if !errors.Is(err, ErrArchiveDiffers) || told != 1 {
			t.Errorf("got %v after %d runs, want ErrArchiveDiffers at once", err, told)
		}
		if v := b.objects["logs/acme/"+shard+"/tile/0/000"]; len(v) != 1 {
			t.Errorf("it has %d versions now", len(v))
		}
	})
	t.Run("another log of the same name", func(t *testing.T) {
		t.Parallel()
		b, _, _ := archived(t, 30)
		_, dir := newLog(t, Config{})
		if _, err := mustArchive(t, dir, b).runOnce(t.Context()); !errors.Is(err, ErrArchiveDiffers) {
			t.Errorf("got %v, want ErrArchiveDiffers", err)
		}
	})
	t.Run("an older copy of the log", func(t *testing.T) {
		t.Parallel()
		l, dir := newLog(t, Config{Checkpoint: time.Millisecond})
		recordMany(t, l, 10)
		mustClose(t, l)
		old := image(t, dir)
		l = reopen(t, dir, Config{Checkpoint: time.Millisecond})
		recordMany(t, l, 10)
		mustClose(t, l)
		b := new(memoryBucket)
		if _, err := mustArchive(t, dir, b).runOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := mustArchive(t, old, b).runOnce(t.Context())
		if !errors.Is(err, ErrArchiveDiffers) || !strings.Contains(err.Error(), "set back") {
			t.Errorf("got %v, want ErrArchiveDiffers", err)
		}
		// The old copy goes on by itself: now it is a fork.
		l = reopen(t, old, Config{Checkpoint: time.Millisecond})
		recordMany(t, l, 50)
		mustClose(t, l)
		if _, err := mustArchive(t, old, b).runOnce(t.Context()); !errors.Is(err, ErrArchiveDiffers) {
			t.Errorf("a fork: got %v, want ErrArchiveDiffers", err)
		}
	})
	t.Run("a damaged log", func(t *testing.T) {
		t.Parallel()
		l, dir := newLog(t, Config{Checkpoint: time.Hour})
		recordMany(t, l, 300)
		mustClose(t, l)
		path := filepath.Join(dir, auditDir, treeDir, shard, "tile/entries/000")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[1000] ^= 1
		write(t, path, data)
		b := new(memoryBucket)
		if _, err := mustArchive(t, dir, b).runOnce(t.Context()); !errors.Is(err, ErrCorrupt) {
			t.Errorf("got %v, want ErrCorrupt", err)
		}
		if _, ok := b.objects["logs/acme/"+shard+"/tile/entries/000"]; ok {
			t.Error("damaged entries were locked for years")
		}
	})
}

// A21, F11, F17: whatever is changed, hidden or removed in a bucket is found; what
// was only laid over a locked version is told and harms nothing.
func TestTamperedArchive(t *testing.T) {
	t.Parallel()
	clean, _, trust := archived(t, 600)
	shard := "logs/acme/" + shardName(time.Now()) + "/"
	for key := range clean.objects {
		name := strings.TrimPrefix(key, shard)
		if name == publicFile || clean.objects[key][len(clean.objects[key])-1].deleted {
			continue // not believed; partial files of the past
		}
		locked := !clean.objects[key][0].until.IsZero()
		for what, change := range map[string]func(v []memoryObject) []memoryObject{
			"one bit": func(v []memoryObject) []memoryObject {
				o := v[len(v)-1]
				o.data = bytes.Clone(o.data)
				o.data[len(o.data)/2] ^= 1
				return append(slices.Clone(v[:len(v)-1]), o)
			},
			"missing":     func([]memoryObject) []memoryObject { return nil },
			"overwritten": func(v []memoryObject) []memoryObject { return append(slices.Clone(v), memoryObject{data: []byte("x")}) },
			"deleted":     func(v []memoryObject) []memoryObject { return append(slices.Clone(v), memoryObject{deleted: true}) },
		} {
			b := &memoryBucket{objects: maps.Clone(clean.objects)}
			if b.objects[key] = change(b.objects[key]); b.objects[key] == nil {
				delete(b.objects, key)
			}
			r := verifyArchive(t, b, trust)
			switch {
			case locked && (what == "overwritten" || what == "deleted"):
				if r.Outcome != Valid || len(r.Notes) != 1 {
					t.Errorf("%s, %s: got %s, %v, %v", name, what, r.Outcome, r.Notes, r.Problems)
				}
			case strings.HasPrefix(name, checkpointsDir+"/") && what == "missing":
				// One of many: all others and the entries still hold together. The newest
				// is missed by "checkpoint" and by who holds it.
			case r.Outcome != Invalid:
				t.Errorf("%s, %s: got %s", name, what, r.Outcome)
			}
		}
	}
	b := &memoryBucket{objects: maps.Clone(clean.objects)}
	b.objects[shard+"notes.txt"] = []memoryObject{{data: []byte("x")}}
	if r := verifyArchive(t, b, trust); r.Outcome != Invalid {
		t.Errorf("a stray object: got %s", r.Outcome)
	}
	b = &memoryBucket{objects: maps.Clone(clean.objects)}
	newest := slices.Max(slices.DeleteFunc(slices.Collect(maps.Keys(b.objects)), func(k string) bool { return !strings.Contains(k, checkpointsDir) }))
	delete(b.objects, newest)
	if r := verifyArchive(t, b, trust); r.Outcome != Invalid {
		t.Errorf("the newest checkpoint is missing: got %s", r.Outcome)
	}
	r, err := VerifyArchive(t.Context(), clean, "logs/acme", VerifyOptions{Trust: trust.Keys, Deadline: time.Now().Add(-time.Second)})
	if err != nil || r.Outcome != Incomplete {
		t.Errorf("deadline passed: got %s, %v, %v", r.Outcome, err, r.Problems)
	}
}

// A1: a bucket that never answers holds up nothing, and its archive ends when it
// is told to.
func TestArchiveBlocksNothing(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: time.Millisecond})
	recordMany(t, l, 10)
	b, asked := new(memoryBucket), make(chan struct{}, 100)
	a := mustArchive(t, dir, b)
	ctx, cancel := context.WithCancel(t.Context())
	b.before = func(string) error {
		asked <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	done := make(chan error)
	go func() { done <- a.Run(ctx, func(int64, error) {}) }()
	<-asked
	recordMany(t, l, 100)
	covered(t, l)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stopped: got %v", err)
	}
}

// A9: a log that goes on and replaces its tiles while a slow bucket takes them is
// archived all the same.
func TestArchiveLive(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: time.Millisecond})
	recordMany(t, l, 300)
	covered(t, l)
	b := new(memoryBucket)
	a := mustArchive(t, dir, b)
	stored := 0
	b.before = func(string) error {
		if stored++; stored < 8 {
			recordMany(t, l, 20) // three checkpoints and more go by with each object
			covered(t, l)
		}
		return nil
	}
	if n, err := a.runOnce(t.Context()); err != nil || n < 300 {
		t.Fatalf("got %d, %v", n, err)
	}
	if _, err := a.runOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := VerifyArchive(t.Context(), b, "logs/acme", VerifyOptions{Trust: []string{l.PublicKey()}})
	if err != nil || r.Outcome != Valid || r.Entries < 440 {
		t.Errorf("got %s, %d entries, %v, %v", r.Outcome, r.Entries, err, r.Problems)
	}
}

func TestArchiveRetention(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC) }
	for _, tt := range []struct {
		shard  string
		months int
		want   string
	}{
		{"2026h2", 0, "2028-01-01"}, // default: twelve months after the end of the year
		{"2026h1", 0, "2027-07-01"},
		{"2026h2", 72, "2033-01-01"},
		{"2020h1", 12, ""}, // the time has passed
	} {
		a, err := NewArchive(t.TempDir(), ArchiveConfig{Bucket: new(memoryBucket), Retain: tt.months, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		until, err := a.until(tt.shard)
		got := ""
		if !until.IsZero() {
			got = until.Format(time.DateOnly)
		}
		if got != tt.want || err != nil {
			t.Errorf("%s, %d months: got %q, %v, want %q", tt.shard, tt.months, got, err, tt.want)
		}
	}
	for _, c := range []ArchiveConfig{{}, {Bucket: new(memoryBucket), Retain: -1}, {Bucket: new(memoryBucket), Every: -1}} {
		if _, err := NewArchive(t.TempDir(), c); err == nil {
			t.Errorf("%+v: got nil", c)
		}
	}
}
