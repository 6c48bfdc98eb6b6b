package proxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
)

// Names in the data directory.
const (
	shelfDir    = "policy"
	shelfBundle = "bundle.tar.gz"
	shelfMark   = "highest.json"
)

// errOlder is wrapped by what is said of a bundle behind which the gateway does not go back.
var errOlder = errors.New("a gateway never goes back")

// bundleShelves are the shelves of a data directory, one for each scope. A bundle counts in
// its own scope only, so a configuration with another scope, taken by mistake or refused
// after it had read its bundle, leaves nothing that stands in the way of the right one.
type bundleShelves struct {
	data string
	mu   sync.Mutex // guards of
	of   map[string]*bundleShelf
}

func newBundleShelves(data string) *bundleShelves {
	return &bundleShelves{data: data, of: make(map[string]*bundleShelf)}
}

// shelf is that of a scope, the same one for whoever asks.
func (s *bundleShelves) shelf(scope string) *bundleShelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[scope] == nil {
		s.of[scope] = newBundleShelf(s.data, scope)
	}
	return s.of[scope]
}

// bundleShelf keeps the bundle that was taken last for a scope, and the highest revision
// that ever was, in a folder of the data directory. It belongs to the data directory, so
// that two configurations that follow bundles during a reload see one mark. It is safe for
// concurrent use.
//
// A crash at any line leaves one of these, and the next start goes on from each:
//
//   - both old: the bundle was never in force;
//   - the new bundle and the old mark: the bundle verifies and is above the mark, so it
//     counts, and the mark follows before it is in force;
//   - both new: it counts, whether its event was written or not.
//
// The new mark beside the old bundle does not come from a crash but from whoever put an old
// file back, and that bundle does not count.
type bundleShelf struct {
	dir string
	mu  sync.Mutex // held while files are compared and replaced
	// unsure is set when a write failed: what the files seem to hold may not be on disk.
	unsure bool
}

// newBundleShelf is the shelf of a scope. Its folder is named by a digest, because a scope
// may have any letters in it.
func newBundleShelf(data, scope string) *bundleShelf {
	dir := filepath.Join(data, shelfDir)
	if scope != "" {
		sum := sha256.Sum256([]byte(scope))
		dir = filepath.Join(dir, hex.EncodeToString(sum[:16]))
	}
	return &bundleShelf{dir: dir}
}

// bundleMark is the highest revision that was taken, and what it was.
type bundleMark struct {
	Version  int    `json:"version"`
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
}

const bundleMarkVersion = 1

// mark reads the mark; a shelf that is empty has revision 0. A mark that cannot be read is
// an error: without it everything old would count again.
func (s *bundleShelf) mark() (bundleMark, error) {
	var m bundleMark
	src, err := os.ReadFile(filepath.Join(s.dir, shelfMark))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("reading the highest revision: %w", err)
	}
	if err := json.Unmarshal(src, &m); err != nil || m.Version != bundleMarkVersion || m.Revision < 1 || m.Digest == "" {
		return m, fmt.Errorf("%s says no highest revision that this version can read", filepath.Join(s.dir, shelfMark))
	}
	return m, nil
}

// allows tells whether b may follow what was taken before.
func (m bundleMark) allows(b *policy.SignedBundle) error {
	switch {
	case b.Revision < m.Revision:
		return fmt.Errorf("revision %d is older than %d, which was taken before: %w", b.Revision, m.Revision, errOlder)
	case b.Revision == m.Revision && b.Digest != m.Digest:
		return fmt.Errorf("revision %d was taken with another content; what is new has a higher revision: %w", b.Revision, errOlder)
	}
	return nil
}

// check tells whether b may be taken.
func (s *bundleShelf) check(b *policy.SignedBundle) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.mark()
	if err != nil {
		return err
	}
	return m.allows(b)
}

// kept reads the bundle that was taken last. It is fs.ErrNotExist when there is none.
func (s *bundleShelf) kept() ([]byte, error) {
	return policy.ReadBundle(filepath.Join(s.dir, shelfBundle))
}

// keep makes a bundle and its revision durable, before it is in force. When it has
// returned, no start goes back behind b.
func (s *bundleShelf) keep(archive []byte, b *policy.SignedBundle) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.mark()
	if err != nil {
		return err
	}
	if err := m.allows(b); err != nil {
		return err
	}
	if old, err := s.kept(); err == nil && bytes.Equal(old, archive) && m.Revision == b.Revision && !s.unsure {
		return nil
	}
	mark, err := json.Marshal(bundleMark{Version: bundleMarkVersion, Revision: b.Revision, Digest: b.Digest})
	if err != nil {
		return err
	}
	s.unsure = true
	s.tidy()
	// The bundle first, and durable before the mark is: the mark alone would refuse the
	// bundle beside it.
	for _, f := range []store.File{{Path: shelfBundle, Data: archive}, {Path: shelfMark, Data: append(mark, '\n')}} {
		if err := store.WriteFile(filepath.Join(s.dir, f.Path), f.Data, 0o600); err != nil {
			return fmt.Errorf("keeping the policy bundle: %w", err)
		}
	}
	s.unsure = false
	return nil
}

// tidy removes what was being written when a gateway was killed.
func (s *bundleShelf) tidy() {
	entries, _ := os.ReadDir(s.dir) // there may be none yet
	for _, e := range entries {
		if store.IsTemp(e.Name()) {
			_ = os.Remove(filepath.Join(s.dir, e.Name())) // it takes room and means nothing
		}
	}
}
