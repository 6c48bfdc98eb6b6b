package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caregate/caregate/internal/store"
)

// removeLeftovers removes the temporary files that killed processes left in the log's
// folder: nobody reads them, and they would only take room. It is called while the lock
// on the folder is held, so that none of them is somebody's. In trees it looks where
// such a process was writing: the newest, the one before, and one that was about to
// begin. What cannot be removed stays, which harms nothing.
//
// The folder of keys is left alone: others write there, who do not hold this lock.
func (c *core) removeLeftovers(before string) {
	var removed int
	remove := func(path string, d fs.DirEntry) error {
		if !d.Type().IsRegular() || !store.IsTemp(d.Name()) {
			return nil
		}
		err := os.Remove(path)
		if err == nil {
			removed++
		}
		return err
	}
	list, err := os.ReadDir(c.dir)
	for _, d := range list {
		err = errors.Join(err, remove(filepath.Join(c.dir, d.Name()), d))
	}
	shards, e := os.ReadDir(filepath.Join(c.dir, treeDir))
	err = errors.Join(err, e)
	for _, shard := range shards {
		if !shard.IsDir() || shard.Name() < before {
			continue
		}
		err = errors.Join(err, filepath.WalkDir(filepath.Join(c.dir, treeDir, shard.Name()), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return remove(path, d)
		}))
	}
	if err != nil {
		c.log().Warn("audit log: temporary files of a former process could not be removed", "error", err)
	}
	if removed > 0 {
		c.log().Info("audit log: temporary files of a former process were removed", "files", removed)
	}
}
