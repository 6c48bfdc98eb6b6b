package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/caregate/caregate/internal/store"
)

// gapFileName is the marker of gaps, in the data directory and outside of the log's own
// folder: it must be writable when the log is not.
const gapFileName = "audit.gap"

// The marker has two slots, which are written in turn and in place, so that one of
// them is whole whenever a write is cut off, and so that writing needs no room on a
// full disk. A slot is a line with a magic word, a number that only grows, the length
// of what follows and a hash over both, and then the state as JSON.
const (
	gapMagic = "caregate-gap-1"
	gapSlot  = 256 << 10
	// gapHead is longer than any first line of a slot.
	gapHead = 160
)

// errGapFile means that the marker is there and neither of its slots is whole.
var errGapFile = errors.New("the marker of gaps is damaged")

// gapState is what the marker says: the gaps that have no leaf in the log yet.
type gapState struct {
	Gaps []*gapRecord `json:"gaps"`
}

// gapRecord is one gap in the marker.
type gapRecord struct {
	ID    string `json:"id"`
	Cause string `json:"cause"`
	// From and Last are when the first and the last thing happened that the log does
	// not know; To is when the log took events again, zero while it does not. All in
	// ms since 1970, by this machine's clock.
	From     int64            `json:"from"`
	Last     int64            `json:"last"`
	To       int64            `json:"to,omitempty"`
	Routes   []*GapRoute      `json:"routes,omitempty"`
	Released map[string]Count `json:"released,omitempty"`
	// Attrs and what follows it are of a repair, see repair.go.
	Attrs   map[string]string `json:"attrs,omitempty"`
	Actor   string            `json:"actor,omitempty"`
	Details []Sealed          `json:"details,omitempty"`
}

// makeGapFile writes a marker that knows no gap.
func makeGapFile(path string) error {
	empty, err := encodeGapSlot(0, &gapState{})
	if err != nil {
		return err
	}
	data := make([]byte, 2*gapSlot)
	copy(data, empty)
	return store.WriteFile(path, data, 0o600)
}

func encodeGapSlot(seq uint64, s *gapState) ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding the marker of gaps: %w", err)
	}
	if len(body) > gapSlot-gapHead {
		return nil, errors.New("the marker of gaps is full")
	}
	return fmt.Appendf(nil, "%s %d %d %s\n%s", gapMagic, seq, len(body), gapSum(seq, body), body), nil
}

// gapSum covers the number too: of a first line that was cut off, an old hash must not
// vouch for a new number.
func gapSum(seq uint64, body []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d\n", gapMagic, seq)
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// parseGapSlot reads one slot; what lies behind the state is left from longer ones.
func parseGapSlot(slot []byte) (seq uint64, s *gapState, err error) {
	end := bytes.IndexByte(slot[:min(len(slot), gapHead)], '\n')
	if end < 0 {
		return 0, nil, errGapFile
	}
	line, rest := slot[:end], slot[end+1:]
	var magic, sum string
	var size int
	if _, err := fmt.Sscanf(string(line), "%s %d %d %s", &magic, &seq, &size, &sum); err != nil || magic != gapMagic || size < 0 || size > len(rest) {
		return 0, nil, errGapFile
	}
	if gapSum(seq, rest[:size]) != sum {
		return 0, nil, errGapFile
	}
	s = new(gapState)
	dec := json.NewDecoder(bytes.NewReader(rest[:size]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		return 0, nil, errGapFile
	}
	for _, g := range s.Gaps {
		if g == nil || g.check() != nil {
			return 0, nil, errGapFile
		}
	}
	return seq, s, nil
}

// check refuses what cannot become a leaf.
func (g *gapRecord) check() error {
	if _, err := ParseID(g.ID); err != nil {
		return err
	}
	if _, err := parsePseudonym(g.Actor); err != nil {
		return err
	}
	for _, r := range g.Routes {
		if r == nil {
			return errGapFile
		}
	}
	return nil
}

// parsePseudonym reads what an actor is in a marker, "" for nobody.
func parsePseudonym(s string) (p Pseudonym, err error) {
	if s == "" {
		return p, nil
	}
	id, err := ParseID(s) // of the same form
	return Pseudonym(id), err
}

// readGapFile returns the newest state of the marker at path and its number. A missing
// marker is fs.ErrNotExist.
func readGapFile(path string) (seq uint64, s *gapState, err error) {
	fi, err := os.Stat(path)
	if err != nil {
		return 0, nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() != 2*gapSlot {
		return 0, nil, errGapFile
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, err
	}
	for len(data) >= gapSlot {
		n, state, err := parseGapSlot(data[:gapSlot])
		if err == nil && (s == nil || n > seq) {
			seq, s = n, state
		}
		data = data[gapSlot:]
	}
	if s == nil {
		return 0, nil, errGapFile
	}
	return seq, s, nil
}

// writeGapFile puts a state into the slot of its number and syncs it. The marker must
// be there: one that was deleted is found here and not when it is needed. A failed
// write or sync is final, as everywhere in the log.
func writeGapFile(path string, seq uint64, s *gapState) (err error) {
	data, err := encodeGapSlot(seq, s)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("writing the marker of gaps: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size != 2*gapSlot {
		return errors.Join(fmt.Errorf("writing the marker of gaps: %w", errGapFile), err)
	}
	if _, err := f.WriteAt(data, int64(seq%2)*gapSlot); err != nil {
		return fmt.Errorf("writing the marker of gaps: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing the marker of gaps: %w", err)
	}
	return nil
}

// ensureGapFile makes the marker if there is none.
func ensureGapFile(path string) error {
	_, _, err := readGapFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeGapFile(path)
	}
	return err
}
