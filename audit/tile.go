package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Shape of the tree's files (c2sp.org/tlog-tiles).
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	// levelEntries stands for entry bundles where a level is asked for.
	levelEntries = -1
	// maxLevels is enough for 2^63 entries.
	maxLevels = 8
)

// tileName is the slash-separated path of a tile below the log's root, without
// the height segment that x/mod's tiles have. width tileWidth means a full tile.
func tileName(level int, n int64, width int) string {
	name := "tile/entries/"
	if level != levelEntries {
		name = "tile/" + strconv.Itoa(level) + "/"
	}
	number := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		number = fmt.Sprintf("x%03d/%s", n%1000, number)
	}
	name += number
	if width < tileWidth {
		name += ".p/" + strconv.Itoa(width)
	}
	return name
}

// parseTileName is the inverse of tileName. ok is false for every other string.
func parseTileName(name string) (level int, n int64, width int, ok bool) {
	rest, found := strings.CutPrefix(name, "tile/")
	if !found {
		return 0, 0, 0, false
	}
	first, rest, found := strings.Cut(rest, "/")
	if !found {
		return 0, 0, 0, false
	}
	if first == "entries" {
		level = levelEntries
	} else if level64, err := strconv.ParseUint(first, 10, 6); err == nil && level64 < maxLevels {
		level = int(level64)
	} else {
		return 0, 0, 0, false
	}
	width = tileWidth
	if base, w, partial := strings.Cut(rest, ".p/"); partial {
		w64, err := strconv.ParseUint(w, 10, 8)
		if err != nil || w64 == 0 {
			return 0, 0, 0, false
		}
		rest, width = base, int(w64)
	}
	for _, part := range strings.Split(rest, "/") {
		d, err := strconv.ParseUint(strings.TrimPrefix(part, "x"), 10, 10)
		if err != nil || d > 999 || n > 1<<50 {
			return 0, 0, 0, false
		}
		n = n*1000 + int64(d)
	}
	return level, n, width, tileName(level, n, width) == name
}

// errBundle is returned for bytes that are not an entry bundle.
var errBundle = errors.New("not an entry bundle")

// appendEntry adds one entry to a bundle: a big-endian 16-bit length, the bytes.
func appendEntry(b, entry []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(entry)))
	return append(b, entry...)
}

// parseBundle splits a bundle of at least want entries and returns the first
// want, or all when want is negative. The entries alias data.
func parseBundle(data []byte, want int) ([][]byte, error) {
	entries := make([][]byte, 0, tileWidth)
	for want != len(entries) && len(data) > 0 {
		if len(entries) == tileWidth || len(data) < 2 {
			return nil, errBundle
		}
		n := 2 + int(binary.BigEndian.Uint16(data))
		if n > len(data) {
			return nil, errBundle
		}
		entries = append(entries, data[2:n:n])
		data = data[n:]
	}
	if want >= 0 && len(entries) != want {
		return nil, errBundle
	}
	return entries, nil
}

// parseTile splits a hash tile and returns its first want hashes.
func parseTile(data []byte, want int) ([]tlog.Hash, error) {
	if len(data)%tlog.HashSize != 0 || len(data)/tlog.HashSize < want || len(data) > tileWidth*tlog.HashSize {
		return nil, errors.New("not a hash tile")
	}
	hashes := make([]tlog.Hash, want)
	for i := range hashes {
		copy(hashes[i][:], data[i*tlog.HashSize:])
	}
	return hashes, nil
}

// merkleRoot is RFC 6962's tree hash over nodes that are themselves the roots of
// equal, complete subtrees, except that the last may be smaller. It is the tree
// hash over all leaves below them. The empty list has no root here: a log always
// has its genesis leaf.
func merkleRoot(nodes []tlog.Hash) tlog.Hash {
	if len(nodes) == 1 {
		return nodes[0]
	}
	k := 1
	for k*2 < len(nodes) {
		k *= 2
	}
	return tlog.NodeHash(merkleRoot(nodes[:k]), merkleRoot(nodes[k:]))
}

// edge is the right edge of the tree: at each level the hashes of the tile that
// is not full yet, and the entries of the last bundle. It is the whole state
// needed to go on, and every tile is a pure function of the entries (invariant
// A4). x/mod's StoredHashes would compute the same tiles from a store of all
// hashes at several times the cost; the tests hold the two together.
//
// An edge belongs to one goroutine.
type edge struct {
	size   int64
	levels [maxLevels][]tlog.Hash
	bundle []byte
}

// add appends one entry and passes each file that became full to emit. emit must
// copy or write data before it returns.
func (e *edge) add(entry []byte, hash tlog.Hash, emit func(name string, data []byte)) {
	e.bundle = appendEntry(e.bundle, entry)
	e.size++
	n := (e.size - 1) / tileWidth
	if e.size%tileWidth == 0 {
		emit(tileName(levelEntries, n, tileWidth), e.bundle)
		e.bundle = e.bundle[:0]
	}
	for level := range e.levels {
		e.levels[level] = append(e.levels[level], hash)
		if len(e.levels[level]) < tileWidth {
			return
		}
		emit(tileName(level, n, tileWidth), tileBytes(e.levels[level]))
		hash = merkleRoot(e.levels[level])
		e.levels[level] = e.levels[level][:0]
		n /= tileWidth
	}
}

// partials passes every unfinished tile and the unfinished bundle to emit.
func (e *edge) partials(emit func(name string, data []byte)) {
	if w := int(e.size % tileWidth); w > 0 {
		emit(tileName(levelEntries, e.size/tileWidth, w), e.bundle)
	}
	for level, hashes := range e.levels {
		if len(hashes) > 0 {
			emit(tileName(level, e.size>>(tileHeight*(level+1)), len(hashes)), tileBytes(hashes))
		}
	}
}

// root is the tree hash at the edge's size.
func (e *edge) root() tlog.Hash {
	var rest []tlog.Hash // nothing, or the hash of what the lower levels hold
	for _, hashes := range e.levels {
		nodes := append(append(make([]tlog.Hash, 0, len(hashes)+1), hashes...), rest...)
		if len(nodes) > 0 {
			rest = []tlog.Hash{merkleRoot(nodes)}
		}
	}
	return rest[0]
}

func tileBytes(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// readFile reads a file below the log's root, by its slash-separated name.
type readFile func(name string) ([]byte, error)

// readWidth reads the first want nodes' worth of a tile or bundle: from the
// partial file of exactly that width, else from the full one, because a log drops
// partial files when it has a full one (c2sp.org/tlog-tiles).
func readWidth(read readFile, level int, n int64, want int) ([]byte, error) {
	data, err := read(tileName(level, n, want))
	if err != nil && want < tileWidth {
		if full, fullErr := read(tileName(level, n, tileWidth)); fullErr == nil {
			return full, nil
		}
	}
	return data, err
}

// loadEdge reads the edge of a tree of the given size and does not trust it: the
// hashes of the last bundle must stand in the last level-0 tile, and the caller
// compares the root.
func loadEdge(read readFile, size int64) (*edge, error) {
	e := &edge{size: size}
	for level := range e.levels {
		count := size >> (tileHeight * level)
		w := int(count % tileWidth)
		if w == 0 {
			continue
		}
		name := tileName(level, count/tileWidth, w)
		data, err := readWidth(read, level, count/tileWidth, w)
		if err != nil {
			return nil, fmt.Errorf("reading the tree's right edge: %w", err)
		}
		if e.levels[level], err = parseTile(data, w); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path.Clean(name), err)
		}
	}
	if w := int(size % tileWidth); w > 0 {
		data, err := readWidth(read, levelEntries, size/tileWidth, w)
		if err != nil {
			return nil, fmt.Errorf("reading the tree's right edge: %w", err)
		}
		entries, err := parseBundle(data, w)
		if err != nil {
			return nil, fmt.Errorf("%w: last entry bundle: %w", ErrCorrupt, err)
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != e.levels[0][i] {
				return nil, fmt.Errorf("%w: entry %d does not have the hash in its tile", ErrCorrupt, size/tileWidth*tileWidth+int64(i))
			}
			e.bundle = appendEntry(e.bundle, entry)
		}
	}
	return e, nil
}
