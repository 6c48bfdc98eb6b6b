package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/caregate/caregate/internal/store"
)

// Names of the key files. Each is a Tink keyset in Tink's JSON form, which names
// type and parameters of every key, or one that is sealed (sealedFile).
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
	// masterKeys is the keyset of master.
	masterKeys *keyset.Handle

	index *branch
	check *branch
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

// keyFileVersion is the version of the form of a sealed key file.
const keyFileVersion = 1

// sealedFile is a key file that is sealed. One that is not is Tink's JSON as it is.
type sealedFile struct {
	Version int             `json:"caregate_key_file"`
	Seal    string          `json:"seal"`
	Wrapped json.RawMessage `json:"wrapped"`
	// Keyset is a Tink EncryptedKeyset; it names its keys in clear.
	Keyset json.RawMessage `json:"keyset"`
}

// keyFileMost bounds a key file, in bytes: far above one of a hundred keys.
const keyFileMost = 256 << 10

// loadKeys opens the three files in dir.
func loadKeys(ctx context.Context, dir string, seal KeySeal) (*keys, error) {
	if err := checkMode(dir, keyDirMode); err != nil {
		return nil, err
	}
	var handles [len(keyFiles)]*keyset.Handle
	for i, f := range keyFiles {
		h, err := loadKeyFile(ctx, filepath.Join(dir, f.name), seal)
		if err != nil && i > 0 && errors.Is(err, ErrKeySeal) {
			err = fmt.Errorf("%w; %s does open: a change of the seal was interrupted: run `caregate keys rotate --seal` again", err, keyFiles[i-1].name)
		}
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
	k.masterKeys = handles[0]
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

// readKeyFile reads a key file as it stands, sealed or not.
func readKeyFile(path string) (raw []byte, sealed *sealedFile, err error) {
	if err := checkMode(path, keyFileMode); err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading key file: %w", err)
	}
	defer f.Close()
	if raw, err = io.ReadAll(io.LimitReader(f, keyFileMost+1)); err != nil {
		return nil, nil, fmt.Errorf("reading key file: %w", err)
	}
	var s sealedFile
	if len(raw) > keyFileMost || json.Unmarshal(raw, &s) != nil {
		clear(raw)
		return nil, nil, damaged(path)
	}
	if s.Version == 0 {
		return raw, nil, nil
	}
	if s.Version != keyFileVersion {
		return nil, nil, fmt.Errorf("%s was written by a newer version of this program: %w", path, ErrKeyFile)
	}
	return raw, &s, nil
}

func damaged(path string) error {
	return fmt.Errorf("%s is damaged or not a Tink keyset; restore it from the backup of your keys: %w", path, ErrKeyFile)
}

// loadKeyFile reads one keyset. What the parser says about a damaged file is left
// out, because it may quote the file.
func loadKeyFile(ctx context.Context, path string, seal KeySeal) (*keyset.Handle, error) {
	raw, s, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	name := filepath.Base(path)
	switch {
	case s == nil && seal == nil:
		h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
		if err != nil {
			return nil, damaged(path)
		}
		return h, nil
	case s == nil:
		return nil, fmt.Errorf("%w: %s is not sealed, and the configuration has the seal %s: run `caregate keys rotate --seal`", ErrKeySeal, name, seal.Kind())
	case seal == nil:
		return nil, fmt.Errorf("%w: %s is sealed with %s, and the configuration names no seal: add it to `keys`", ErrKeySeal, name, s.Seal)
	case s.Seal != seal.Kind():
		return nil, fmt.Errorf("%w: %s is sealed with %s, and the configuration has the seal %s", ErrKeySeal, name, s.Seal, seal.Kind())
	}
	key, err := seal.Unwrap(ctx, name, s.Wrapped)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	c, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, damaged(path)
	}
	h, err := keyset.ReadWithAssociatedData(keyset.NewJSONReader(bytes.NewReader(s.Keyset)), c, keyFileAD(name))
	if err != nil {
		return nil, damaged(path)
	}
	return h, nil
}

func keyFileAD(name string) []byte {
	return appendPart(appendPart(nil, "caregate key file v1"), name)
}

// writeKeyFile replaces a key file, durably and at once.
func writeKeyFile(ctx context.Context, path string, h *keyset.Handle, seal KeySeal) error {
	name := filepath.Base(path)
	var buf bytes.Buffer
	if seal == nil {
		if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&buf)); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		defer clear(buf.Bytes())
		return store.WriteFile(path, buf.Bytes(), keyFileMode)
	}
	key := make([]byte, fileKeySize)
	defer clear(key)
	rand.Read(key) // never fails: the runtime ends the process first
	c, err := subtle.NewAESGCM(key)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := h.WriteWithAssociatedData(keyset.NewJSONWriter(&buf), c, keyFileAD(name)); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	s := sealedFile{Version: keyFileVersion, Seal: seal.Kind(), Keyset: buf.Bytes()}
	if s.Wrapped, err = seal.Wrap(ctx, name, key); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return store.WriteFile(path, append(raw, '\n'), keyFileMode)
}

// makeKeyFile writes a new keyset unless path exists already.
func makeKeyFile(ctx context.Context, path string, template *tinkpb.KeyTemplate, seal KeySeal) error {
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
	return writeKeyFile(ctx, path, h, seal)
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
