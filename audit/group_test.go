package audit

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// groupOf is a commit of n events that follow at.
func groupOf(t testing.TB, n int, at position) (g group) {
	t.Helper()
	c := core{node: "node-1", epoch: at.epoch, clock: newClock(Config{})}
	for i := range n {
		e := sample(i)
		e.ID = NewID()
		enc, err := c.encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		at = g.add(&enc.leaf, enc.parts, c.epoch, at)
		enc.free()
	}
	return g
}

func TestGroupRows(t *testing.T) {
	t.Parallel()
	at := position{epoch: 3, seq: 41, hash: tlog.Hash{7}}
	g := groupOf(t, 5, at)
	c := commitRow{epoch: 3, first: 42, last: 46, events: g.events}
	rows, err := c.rows()
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		want := g.rows[i]
		if r.epoch != want.epoch || r.seq != want.seq || !bytes.Equal(r.leaf, want.leaf) || !bytes.Equal(r.detail, want.detail) || len(r.detail) == 0 {
			t.Errorf("event %d is not what was written", i)
		}
		l, hash, err := nextInStream(r.leaf, "node-1", at)
		if err != nil || l.Seq != r.seq || hash != want.hash {
			t.Errorf("event %d: number %d, %v", i, l.Seq, err)
		}
		at = position{epoch: r.epoch, seq: r.seq, hash: hash}
	}
	for _, last := range []int64{41, 45, 47} {
		c.last = last
		if _, err := c.rows(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("last event %d: got %v, want ErrCorrupt", last, err)
		}
	}
}

// Deletion goes forward by a bounded number of commits, in whole commits, and never
// beyond what is due.
func TestPruneSteps(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	in, err := openIntake(ctx, filepath.Join(t.TempDir(), intakeFile), "node-1", true)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	at := position{epoch: 1}
	var ends []position
	for i := range 2*pruneCommits + 5 {
		g := groupOf(t, 1+i%3, at)
		if _, err := in.write(&g, nil); err != nil {
			t.Fatal(err)
		}
		at = g.rows[len(g.rows)-1].position
		ends = append(ends, position{epoch: at.epoch, seq: at.seq})
	}
	due := ends[len(ends)-3]
	for _, want := range []position{ends[pruneCommits-1], ends[2*pruneCommits-1], due} {
		pruned, err := in.write(&group{}, &due)
		if err != nil || pruned != want {
			t.Fatalf("deleted up to %d (%v), want %d", pruned.seq, err, want.seq)
		}
		mark, last, err := in.bounds(ctx)
		if err != nil || mark != want || last != ends[len(ends)-1] {
			t.Errorf("mark at %d, last event %d (%v), want %d and %d", mark.seq, last.seq, err, want.seq, ends[len(ends)-1].seq)
		}
	}
	if rows, err := in.rows(ctx, position{epoch: 1, seq: due.seq, hash: tlog.Hash{}}, 100, 1<<20); !errors.Is(err, ErrCorrupt) {
		t.Errorf("reading on from a wrong hash: got %d rows, %v, want ErrCorrupt", len(rows), err)
	}
}

// F21, A22: rows that an older version left, one for each event, are still read.
func TestIntakeOfSingleRows(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), intakeFile)
	db, err := store.Open(ctx, path, store.Options{Create: true, Sync: store.SyncFull})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	first, err := migrationFiles.ReadFile("migrations/intake/00001_intake.sql")
	if err != nil {
		t.Fatal(err)
	}
	second, err := migrationFiles.ReadFile("migrations/intake/00002_commits.sql")
	if err != nil {
		t.Fatal(err)
	}
	run := func(script []byte) {
		up, _, _ := bytes.Cut(script, []byte("-- +goose Down"))
		if _, err := db.ExecContext(ctx, string(up)); err != nil {
			t.Fatal(err)
		}
	}
	run(first)
	g := groupOf(t, 3, position{epoch: 1})
	g.rows[1].detail = nil
	for _, r := range g.rows {
		var detail any
		if r.detail != nil {
			detail = r.detail
		}
		if _, err := db.ExecContext(ctx, "INSERT INTO audit_intake VALUES ('node-1', $1, $2, $3, $4)", r.epoch, r.seq, r.leaf, detail); err != nil {
			t.Fatal(err)
		}
	}
	run(second)
	in := intake{db: db, node: "node-1"}
	rows, err := in.rows(ctx, position{epoch: 1}, 100, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		if !bytes.Equal(r.leaf, g.rows[i].leaf) || !bytes.Equal(r.detail, g.rows[i].detail) || r.seq != g.rows[i].seq {
			t.Errorf("event %d is not what was written", i)
		}
	}
	if len(rows) != 3 {
		t.Errorf("got %d events, want 3", len(rows))
	}
}

// Whatever stands in a row of the intake, it is taken apart into parts of itself or
// refused.
func FuzzCommitRow(f *testing.F) {
	g := groupOf(f, 2, position{epoch: 1})
	f.Add(g.events, int64(1), int64(2))
	f.Add(g.events[:40], int64(1), int64(1))
	f.Add([]byte{}, int64(1), int64(0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, int64(1), int64(1))
	f.Fuzz(func(t *testing.T, events []byte, first, last int64) {
		c := commitRow{epoch: 1, first: first, last: last, events: events}
		rows, err := c.rows()
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Error(err)
			}
			return
		}
		size := 0
		for _, r := range rows {
			size += lengths + len(r.leaf) + len(r.detail)
		}
		if size != len(events) || int64(len(rows)) != last-first+1 {
			t.Errorf("%d events of %d bytes out of %d bytes", len(rows), size, len(events))
		}
	})
}
