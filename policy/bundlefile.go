package policy

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Limits of a bundle, beside those of its rules and its document. A policy of a large
// deployment is some hundred kilobytes; what is larger is a mistake or an attack.
const (
	// MaxBundle is the largest bundle as it is sent, in bytes.
	MaxBundle = 8 << 20
	// maxUnpacked bounds what it becomes, so that little cannot become much.
	maxUnpacked = 32 << 20
	// maxBundleName bounds the path of a file in a bundle, in bytes.
	maxBundleName = 200
	// maxBundleMeta bounds manifest and signatures, in bytes.
	maxBundleMeta = 1 << 20
	// maxBundleDepth is how many directories may lie one in the other.
	maxBundleDepth = 16
	// maxDocumentMarks bounds the values of a document before it is read. Two bytes can be
	// a value of YAML, which takes five hundred times as much while it is read.
	maxDocumentMarks = 128 << 10
	// maxDocumentNames bounds a mapping of YAML, whose reading costs the square of it.
	maxDocumentNames = 1 << 10
)

// Names in a bundle, as Open Policy Agent has them.
const (
	manifestFile   = ".manifest"
	signaturesFile = ".signatures.json"
)

// documentFiles are the names that the one document of a bundle may have.
var documentFiles = [...]string{"data.json", "data.yaml", "data.yml"}

// bundleWants is said of a file that has no place in a bundle: what nobody reads could
// not be told from what is forgotten.
const bundleWants = "a bundle has .manifest, .signatures.json, one of data.json, data.yaml and data.yml, and *.rego"

// limitOf is how large a file of this name may be, in bytes. It is 0 for a name that has no
// place in a bundle.
func limitOf(name string) int64 {
	switch {
	case name == manifestFile, name == signaturesFile:
		return maxBundleMeta
	case slices.Contains(documentFiles[:], name):
		return maxOverlay
	case path.Ext(name) == ".rego":
		return maxRegoFile
	}
	return 0
}

// bundleName is the one form of a name in an archive, without what may stand before it.
// Nothing is ever written under it: it names a rule in messages and in the signature, and
// two names of one file would be two files.
func bundleName(raw string) (string, error) {
	name := strings.TrimPrefix(strings.TrimPrefix(raw, "./"), "/")
	bad := len(name) > maxBundleName || strings.Count(name, "/") > maxBundleDepth
	for part := range strings.SplitSeq(name, "/") {
		hidden := strings.HasPrefix(part, ".") && name != manifestFile && name != signaturesFile
		bad = bad || part == "" || hidden || strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != ""
	}
	if bad {
		return "", fmt.Errorf("%.100q is no name in a bundle: want letters, digits, dots, hyphens and underscores, in directories, and nothing that begins with a dot", raw)
	}
	return name, nil
}

// unpack reads an archive, gzipped tar, into memory. Everything in it is either one of the
// files that a bundle has or an error. The files come in order of name.
func unpack(archive []byte) ([]source, error) {
	if len(archive) > MaxBundle {
		return nil, fmt.Errorf("larger than %d bytes, the limit of a bundle", MaxBundle)
	}
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, errors.New("it is no gzipped tar archive")
	}
	// Twice the limit, because an entry of a tar file is up to two blocks longer than what
	// it holds. The sizes below are counted apart: a sparse file is long and takes no room.
	in := tar.NewReader(io.LimitReader(plain, 2*maxUnpacked))
	var files []source
	var total int64
	for entries := 0; ; entries++ {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.New("it is no whole gzipped tar archive, or becomes too large")
		}
		if entries == maxEntries {
			return nil, fmt.Errorf("more than %d entries", maxEntries)
		}
		if head.Typeflag == tar.TypeDir {
			continue
		}
		name, err := bundleName(head.Name)
		if err != nil {
			return nil, err
		}
		limit := limitOf(name)
		switch {
		case head.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("%s is no plain file: a bundle has no links and no devices", name)
		case limit == 0:
			return nil, fmt.Errorf("%s has no place in a bundle: %s", name, bundleWants)
		case head.Size > limit:
			return nil, fmt.Errorf("%s: larger than %d bytes, its limit", name, limit)
		}
		if total += head.Size; total > maxUnpacked {
			return nil, fmt.Errorf("unpacked, it is larger than %d bytes, the limit of a bundle", maxUnpacked)
		}
		src, err := io.ReadAll(io.LimitReader(in, head.Size))
		if err != nil || int64(len(src)) != head.Size {
			return nil, errors.New("it is no whole gzipped tar archive, or becomes too large")
		}
		files = append(files, source{name, src})
	}
	return files, sortFiles(files)
}

// sortFiles puts the files of a bundle in order of name. A name that is there twice is an
// error: two readers could take one each.
func sortFiles(files []source) error {
	slices.SortFunc(files, func(a, b source) int { return cmp.Compare(a.name, b.name) })
	rules := 0
	for i, f := range files {
		if i > 0 && files[i-1].name == f.name {
			return fmt.Errorf("%s is in it twice", f.name)
		}
		if path.Ext(f.name) == ".rego" {
			rules++
		}
	}
	if rules > maxRegoFiles {
		return fmt.Errorf("more than %d rules files", maxRegoFiles)
	}
	return nil
}

// pack makes an archive of files. The same files make the same bytes.
func pack(files []source) ([]byte, error) {
	var archive bytes.Buffer
	zip := gzip.NewWriter(&archive)
	out := tar.NewWriter(zip)
	for _, f := range files {
		head := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.src)), Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := out.WriteHeader(head); err != nil {
			return nil, fmt.Errorf("packing %s: %w", f.name, err)
		}
		if _, err := out.Write(f.src); err != nil {
			return nil, fmt.Errorf("packing %s: %w", f.name, err)
		}
	}
	if err := errors.Join(out.Close(), zip.Close()); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	if archive.Len() > MaxBundle {
		return nil, fmt.Errorf("packed, it is larger than %d bytes, the limit of a bundle", MaxBundle)
	}
	return archive.Bytes(), nil
}

// ReadBundle reads the archive of a bundle from a file, or packs what lies unpacked in a
// directory.
func ReadBundle(name string) (archive []byte, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	if info.IsDir() {
		return PackDirectory(name)
	}
	// One byte more tells OpenBundle that there is more.
	return readPlain(name, MaxBundle+1)
}

// readPlain reads at most limit bytes of a file. Whoever can write where a bundle comes
// from could put a pipe there, which nobody ever fills, or a device without an end.
func readPlain(name string, limit int64) (src []byte, err error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading the bundle: %s is no plain file", name)
	}
	if src, err = io.ReadAll(io.LimitReader(f, limit)); err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	return src, nil
}

// PackDirectory makes the archive of a bundle that lies unpacked in a directory: the same
// files make the same bytes. Files that have no place in a bundle are left out, and so is
// what begins with a dot beside .manifest and .signatures.json. Links are followed, as
// clusters mount files.
func PackDirectory(dir string) ([]byte, error) {
	files, err := bundleDirectory(dir)
	if err != nil {
		return nil, err
	}
	return pack(files)
}

// bundleDirectory reads the files of a bundle from a directory, in order of name.
func bundleDirectory(dir string) ([]source, error) {
	var files []source
	var total int64
	seen := 0
	var look func(below string) error
	look = func(below string) error {
		entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(below)))
		if err != nil {
			return fmt.Errorf("reading the bundle: %w", err)
		}
		for _, e := range entries {
			if seen++; seen > maxEntries {
				return fmt.Errorf("%s: more than %d files and directories", dir, maxEntries)
			}
			rel := path.Join(below, e.Name())
			if strings.HasPrefix(e.Name(), ".") && limitOf(rel) == 0 {
				continue
			}
			file := filepath.Join(dir, filepath.FromSlash(rel))
			info, err := os.Stat(file)
			if err != nil {
				return fmt.Errorf("reading the bundle: %w", err)
			}
			if info.IsDir() {
				if strings.Count(rel, "/") == maxBundleDepth {
					return fmt.Errorf("%s: more than %d directories one in the other", file, maxBundleDepth)
				}
				if err := look(rel); err != nil {
					return err
				}
				continue
			}
			limit := limitOf(rel)
			if limit == 0 {
				continue
			}
			if _, err := bundleName(rel); err != nil {
				return fmt.Errorf("reading the bundle: %w", err)
			}
			src, err := readPlain(file, limit+1)
			if err != nil {
				return err
			}
			if total += int64(len(src)); int64(len(src)) > limit || total > maxUnpacked {
				return fmt.Errorf("%s: larger than %d bytes, its limit, or the bundle than %d", file, limit, maxUnpacked)
			}
			files = append(files, source{rel, src})
		}
		return nil
	}
	if err := look(""); err != nil {
		return nil, err
	}
	return files, sortFiles(files)
}
