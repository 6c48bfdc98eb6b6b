package audit

import (
	"golang.org/x/mod/sumdb/tlog"
)

// tileSource gives x/mod's proof code our tiles.
type tileSource struct{ read readFile }

var _ tlog.TileReader = tileSource{}

// Height is the C2SP tile height.
func (tileSource) Height() int { return tileHeight }

// ReadTiles returns each tile cut to the width asked for.
func (s tileSource) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		data, err := readWidth(s.read, t.L, t.N, t.W)
		if err != nil {
			return nil, err
		}
		if _, err := parseTile(data, t.W); err != nil {
			return nil, err
		}
		out[i] = data[:t.W*tlog.HashSize]
	}
	return out, nil
}

// SaveTiles keeps nothing: the files are local.
func (tileSource) SaveTiles([]tlog.Tile, [][]byte) {}

// tileHashes reads the hashes of a tree, each authenticated against the
// checkpoint's root.
func tileHashes(read readFile, c checkpoint) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: c.size, Hash: c.root}, tileSource{read: read})
}
