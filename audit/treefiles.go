package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// treeFiles is where a verification reads the files of one tree. Its callers
// trust nothing that comes out of it.
type treeFiles interface {
	// read returns the file of a slash-separated name, at most maxTreeFile bytes.
	// A file that is missing, or is none, is an error.
	read(ctx context.Context, name string) ([]byte, error)
	// walk calls visit with the name of each file, in no order, until visit or ctx
	// ends it. Memory does not grow with the number of files.
	walk(ctx context.Context, visit func(name string) error) error
}

// dirFiles is a tree in a folder.
type dirFiles string

var _ treeFiles = dirFiles("")

func (d dirFiles) read(_ context.Context, name string) ([]byte, error) {
	return readTreeFile(string(d), name)
}

// walkChunk is how many names are read from a folder at once, so that one with
// millions of files fills no memory and does not outlast a deadline.
const walkChunk = 1024

// maxWalkDepth is deeper than any file of a tree lies.
const maxWalkDepth = 16

func (d dirFiles) walk(ctx context.Context, visit func(name string) error) error {
	return walkFolder(ctx, string(d), "", visit)
}

// walkFolder visits the files of root/rel. Links are names like any other and are
// not followed, so that no folder is visited twice.
func walkFolder(ctx context.Context, root, rel string, visit func(name string) error) (err error) {
	if strings.Count(rel, "/") > maxWalkDepth {
		return visit(rel)
	}
	f, err := os.Open(filepath.Join(root, filepath.FromSlash(rel)))
	if err != nil {
		return skipMissing(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		list, err := f.ReadDir(walkChunk)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return skipMissing(err)
		}
		for _, e := range list {
			name := path.Join(rel, e.Name())
			if e.IsDir() {
				err = walkFolder(ctx, root, name, visit)
			} else {
				err = visit(name)
			}
			if err != nil {
				return err
			}
		}
	}
}

// skipMissing forgives a folder that a running log removed meanwhile; what is
// needed of it was read before.
func skipMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("listing the tree: %w", err)
}
