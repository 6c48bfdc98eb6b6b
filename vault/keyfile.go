package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/caregate/caregate/internal/store"
)

// Names of the key files. Each is a Tink keyset in Tink's JSON form, which names
// type and parameters of every key.
const (
	masterFile = "master.json"
	indexFile  = "index.json"
	checkFile  = "check.json"
)

// Modes of key files and of their directory. Group and others get nothing.
const (
	keyFileMode fs.FileMode = 0o600
	keyDirMode  fs.FileMode = 0o700
)

var (
	// ErrLooseMode is wrapped by the refusal of a key file or directory that others
	// may read or write; the text has the command that mends it.
	ErrLooseMode = errors.New("others may read it")
	// ErrKeyFile is wrapped by the refusal of a key file that is missing, damaged or
	// of another kind or deployment.
	ErrKeyFile = errors.New("key file is not usable")
)

// keys are the three branches of key files, opened.
type keys struct {
	master tink.AEAD
	index  *branch
	check  *branch
}

// keyFiles is what Create makes and Open expects, in the order of creation.
var keyFiles = [...]struct {
	name     string
	template func() *tinkpb.KeyTemplate
}{
	{masterFile, aead.AES256GCMKeyTemplate},
	{indexFile, prf.HMACSHA256PRFKeyTemplate},
	{checkFile, prf.HMACSHA256PRFKeyTemplate},
}

// loadKeys opens the three files in dir.
func loadKeys(dir string) (*keys, error) {
	if err := checkMode(dir, keyDirMode); err != nil {
		return nil, err
	}
	var handles [len(keyFiles)]*keyset.Handle
	for i, f := range keyFiles {
		h, err := loadKeyFile(filepath.Join(dir, f.name))
		if err != nil {
			return nil, err
		}
		handles[i] = h
	}
	var k keys
	var err error
	if k.master, err = aead.New(handles[0]); err != nil {
		return nil, wrongKind(filepath.Join(dir, masterFile), "encryption")
	}
	if k.index, err = newBranch(handles[1]); err != nil {
		return nil, wrongKind(filepath.Join(dir, indexFile), "PRF")
	}
	if k.check, err = newBranch(handles[2]); err != nil {
		return nil, wrongKind(filepath.Join(dir, checkFile), "PRF")
	}
	return &k, nil
}

func wrongKind(path, kind string) error {
	return fmt.Errorf("%s holds no %s keyset; was it exchanged with another key file? %w", path, kind, ErrKeyFile)
}

// loadKeyFile reads one keyset. What the parser says about a damaged file is left
// out, because it may quote the file.
func loadKeyFile(path string) (*keyset.Handle, error) {
	if err := checkMode(path, keyFileMode); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	defer clear(raw)
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, fmt.Errorf("%s is damaged or not a Tink keyset; restore it from the backup of your keys: %w", path, ErrKeyFile)
	}
	return h, nil
}

// makeKeyFile writes a new keyset unless path exists already.
func makeKeyFile(path string, template *tinkpb.KeyTemplate) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return nil // an earlier Create was interrupted after this step; loadKeys checks it
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking for key file: %w", err)
	}
	h, err := keyset.NewHandle(template)
	if err != nil {
		return fmt.Errorf("making the keyset for %s: %w", path, err)
	}
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&buf)); err != nil {
		return fmt.Errorf("making the keyset for %s: %w", path, err)
	}
	defer clear(buf.Bytes())
	return store.WriteFile(path, buf.Bytes(), keyFileMode)
}

// checkMode refuses a path that is missing, not what it should be (a link, for
// instance, whose target another user may exchange) or open to others.
func checkMode(path string, want fs.FileMode) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing; restore it from the backup of your keys, or run `caregate init` for a new deployment: %w", path, ErrKeyFile)
	}
	if err != nil {
		return fmt.Errorf("looking at key file: %w", err)
	}
	if isDir := want == keyDirMode; fi.IsDir() != isDir || (!isDir && !fi.Mode().IsRegular()) {
		return fmt.Errorf("%s is not a regular file or directory: %w", path, ErrKeyFile)
	}
	if fi.Mode().Perm()&^want != 0 {
		return fmt.Errorf("%s has mode %#o: %w; run: chmod %#o %s", path, fi.Mode().Perm(), ErrLooseMode, want, path)
	}
	return nil
}
