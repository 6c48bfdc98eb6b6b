package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// memTree collects what an edge emits.
type memTree map[string][]byte

func (m memTree) emit(name string, data []byte) { m[name] = bytes.Clone(data) }

func (m memTree) read(name string) ([]byte, error) {
	if b, ok := m[name]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

// F18, A4: every tile and root is what x/mod's own tree code makes of the
// same entries, and its proofs check against our tiles.
func TestEdgeMatchesTlog(t *testing.T) {
	t.Parallel()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			out[i] = stored[x]
		}
		return out, nil
	})
	const total = 66_000 // past 256², so that there is a full tile on level 1
	var e edge
	tree := memTree{}
	checkAt := map[int64]bool{1: true, 2: true, 255: true, 256: true, 257: true, 511: true, 4096: true, 65_535: true, 65_536: true, 65_537: true, total: true}
	for i := range int64(total) {
		entry := fmt.Appendf(nil, "entry %d", i)
		hashes, err := tlog.StoredHashes(i, entry, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		e.add(entry, tlog.RecordHash(entry), tree.emit)
		if !checkAt[e.size] {
			continue
		}
		want, err := tlog.TreeHash(e.size, reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.root(); got != want {
			t.Fatalf("root at %d: got %v, want %v", e.size, got, want)
		}
		e.partials(tree.emit)
		for _, tile := range tlog.NewTiles(tileHeight, 0, e.size) {
			want, err := tlog.ReadTileData(tile, reader)
			if err != nil {
				t.Fatal(err)
			}
			name := tileName(tile.L, tile.N, tile.W)
			if got := tree[name]; !bytes.Equal(got, want) {
				t.Errorf("size %d: %s differs", e.size, name)
			}
			if strings.TrimPrefix(tile.Path(), "tile/8/") != strings.TrimPrefix(name, "tile/") {
				t.Errorf("name: got %s, want %s without its height", name, tile.Path())
			}
		}
		// A proof read from our tiles by x/mod holds for the first and last entry.
		root := e.root()
		hr := tileHashes(tree.read, checkpoint{size: e.size, root: root})
		for _, n := range []int64{0, e.size - 1} {
			proof, err := tlog.ProveRecord(e.size, n, hr)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(proof, e.size, root, n, tlog.RecordHash(fmt.Appendf(nil, "entry %d", n))); err != nil {
				t.Errorf("size %d, entry %d: %v", e.size, n, err)
			}
		}
		// An edge loaded from the files goes on like the one that made them.
		again, err := loadEdge(tree.read, e.size)
		if err != nil {
			t.Fatal(err)
		}
		if again.root() != root || !bytes.Equal(again.bundle, e.bundle) {
			t.Errorf("size %d: the loaded edge differs", e.size)
		}
	}
}

func TestTileNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		level int
		n     int64
		width int
		want  string
	}{
		{0, 0, 256, "tile/0/000"},
		{1, 999, 1, "tile/1/999.p/1"},
		{levelEntries, 1000, 256, "tile/entries/x001/000"},
		{levelEntries, 1234067, 255, "tile/entries/x001/x234/067.p/255"},
	}
	for _, tt := range tests {
		if got := tileName(tt.level, tt.n, tt.width); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
		level, n, w, ok := parseTileName(tt.want)
		if !ok || level != tt.level || n != tt.n || w != tt.width {
			t.Errorf("parse %s: got %d %d %d %v", tt.want, level, n, w, ok)
		}
	}
	for _, bad := range []string{"", "tile/", "tile/0/", "tile/0/0", "tile/0/0000", "tile/8/000", "tile/00/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/x000/001", "tile/0/001/002", "tile/entries/-01", "checkpoint", "tile/0/000.p/1.p/2"} {
		if _, _, _, ok := parseTileName(bad); ok {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzParseTileName(f *testing.F) {
	f.Add("tile/entries/x001/x234/067.p/255")
	f.Fuzz(func(t *testing.T, name string) {
		if level, n, w, ok := parseTileName(name); ok && tileName(level, n, w) != name {
			t.Errorf("accepted another spelling of %s", tileName(level, n, w))
		}
	})
}

func FuzzParseBundle(f *testing.F) {
	f.Add(appendEntry(appendEntry(nil, []byte("a")), nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseBundle(data, -1)
		if err != nil {
			if !errors.Is(err, errBundle) {
				t.Errorf("got %v", err)
			}
			return
		}
		var again []byte
		for _, e := range entries {
			again = appendEntry(again, e)
		}
		if !bytes.Equal(again, data) || len(entries) > tileWidth {
			t.Error("accepted what it would not write")
		}
	})
}
