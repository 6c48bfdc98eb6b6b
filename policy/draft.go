package policy

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"slices"
)

// Draft compiles what would become a bundle: rules and a document by their names in it,
// slashes between directories. The draft is signed, by a key for this once, and read again,
// because only what passes as a bundle is what a gateway would take. What is wrong is told
// with file and line.
func Draft(ctx context.Context, files map[string]string) (*Engine, error) {
	var list []source
	size := 0
	for raw, text := range files {
		name, err := bundleName(raw)
		if err != nil {
			return nil, err
		}
		limit := limitOf(name)
		switch {
		case limit == 0:
			return nil, fmt.Errorf("%s has no place in a bundle: %s", name, bundleWants)
		case int64(len(text)) > limit:
			return nil, fmt.Errorf("%s: larger than %d bytes, its limit", name, limit)
		}
		if size += len(text); size > maxUnpacked {
			return nil, fmt.Errorf("together they are larger than %d bytes, the limit of a bundle", maxUnpacked)
		}
		list = append(list, source{name, []byte(text)})
	}
	if err := sortFiles(list); err != nil {
		return nil, err
	}
	return draft(ctx, list)
}

// DraftDirectory is Draft for a directory that [SignBundle] would make a bundle of.
func DraftDirectory(ctx context.Context, dir string) (*Engine, error) {
	files, err := bundleDirectory(dir)
	if err != nil {
		return nil, err
	}
	return draft(ctx, files)
}

func draft(ctx context.Context, files []source) (*Engine, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	public, err := newBundleKey("", private.Public(), der)
	if err != nil {
		return nil, err
	}
	_, b, err := seal(slices.Clip(files), private, public, BundleSigning{Revision: 1})
	if err != nil {
		return nil, err
	}
	return NewEngine(ctx, Config{Bundle: b})
}
