package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// watchInterval is how long a deleted or replaced intake file may go unnoticed.
const watchInterval = time.Second

// watch compares the files behind open descriptors with the files behind their
// names. A deleted file still accepts writes, and so does a file on a directory
// that was moved away, or one that was cut: events would be acknowledged and lost.
type watch struct {
	files map[string]fileIdentity // by path; the WAL joins when it first appears
}

type fileIdentity struct {
	dev, ino uint64
	seen     bool
	size     int64 // of a file; ours never become smaller while they are open
}

func newWatch(paths ...string) (*watch, error) {
	w := &watch{files: map[string]fileIdentity{}}
	for _, p := range paths {
		w.files[p] = fileIdentity{}
	}
	return w, w.check()
}

// check fails when a name no longer leads to the file it led to at first. It only
// looks at names: opening and closing a database file would drop SQLite's locks.
func (w *watch) check() error {
	for path, was := range w.files {
		fi, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) && !was.seen {
			continue
		}
		if err != nil {
			return fmt.Errorf("watching the log's files: %w", err)
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return nil // a system without inodes has nothing to compare
		}
		now := fileIdentity{dev: uint64(st.Dev), ino: st.Ino, seen: true}
		if !fi.IsDir() {
			now.size = fi.Size()
		}
		if !was.seen {
			w.files[path] = now
			continue
		}
		if now.dev != was.dev || now.ino != was.ino {
			return fmt.Errorf("watching the log's files: %s is another file than the one in use", path)
		}
		if now.size < was.size {
			return fmt.Errorf("watching the log's files: %s was cut by %d bytes while it is in use", path, was.size-now.size)
		}
		w.files[path] = now
		if !fi.IsDir() && st.Nlink != 1 {
			return fmt.Errorf("watching the log's files: %s has %d names", path, st.Nlink)
		}
	}
	return nil
}
