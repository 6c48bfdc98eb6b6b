package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// WriteFile replaces path durably: a temporary file in the same directory is
// written and synced, renamed over path, and the directory is synced. After a
// crash path holds the old bytes or the new ones, never a mixture. A failed sync
// is final: the caller must not retry, because the page cache may show bytes
// that never reached the disk.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return WriteFiles([]File{{Path: path, Data: data}}, perm)
}

// File is one file for WriteFiles.
type File struct {
	Path string
	Data []byte
}

// WriteFiles is WriteFile for many files: each is written to a temporary name and
// synced, then all are renamed in order, then each directory is synced once.
// Missing directories are made and made durable. After a crash each file has its
// old or its new bytes, and any prefix of the renames may have happened.
func WriteFiles(files []File, perm fs.FileMode) (err error) {
	temps := make([]string, 0, len(files))
	defer func() {
		if err != nil {
			for _, name := range temps {
				_ = os.Remove(name) // best effort, see WriteFile; renamed ones are gone
			}
		}
	}()
	var dirs []string
	seen := map[string]bool{}
	mark := func(dir string) {
		if !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	for _, f := range files {
		dir := filepath.Dir(f.Path)
		if !seen[dir] {
			if err := ensureDir(dir, mark); err != nil {
				return err
			}
		}
		mark(dir)
		name, err := writeTemp(dir, f.Data, perm)
		if err != nil {
			return fmt.Errorf("writing %s: %w", f.Path, err)
		}
		temps = append(temps, name)
	}
	for i, f := range files {
		if err := os.Rename(temps[i], f.Path); err != nil {
			return fmt.Errorf("renaming to %s: %w", f.Path, err)
		}
	}
	for _, dir := range dirs {
		if err := SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// ensureDir makes dir and its missing parents, and marks each directory which got
// a new entry.
func ensureDir(dir string, mark func(string)) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := ensureDir(parent, mark); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making directory: %w", err)
	}
	mark(parent)
	return nil
}

// tempPrefix begins the names of temporary files; digits follow.
const tempPrefix = ".tmp-"

// IsTemp tells the names that WriteFile gives to temporary files. A process that is
// killed leaves such files behind, and whoever may be the only writer of a folder may
// remove them.
func IsTemp(name string) bool {
	digits, ok := strings.CutPrefix(name, tempPrefix)
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// writeTemp writes and syncs a temporary file in dir and returns its name.
func writeTemp(dir string, data []byte, perm fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			// Best effort: the name never became visible as a file of ours.
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := f.Chmod(perm); err != nil {
		return "", err
	}
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// SyncDir makes the directory's entries durable, that is, the names of files
// created, renamed or removed in it.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing directory: %w", err)
	}
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("syncing directory %s: %w", dir, err), d.Close())
	}
	return d.Close()
}

// ErrLocked is returned by LockDir when another process holds the directory.
var ErrLocked = errors.New("directory is in use by another process")

// LockDir takes an exclusive lock on dir/LOCK and holds it until release is
// called or the process ends, however it ends. It guards directories that may
// have one writer only. It does not wait.
func LockDir(dir string) (release func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), f.Close())
	}
	// The kernel drops the lock with the last descriptor. That may be one of a child that
	// was forked and has not come to its exec, so it is given back by name.
	return func() error {
		return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
	}, nil
}
