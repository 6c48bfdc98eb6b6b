package proxy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
)

// SignBundle makes a bundle of files and signs it, whatever is in them. Documents are JSON
// with sorted members and no blanks, whose hash is that of its bytes.
func SignBundle(private ed25519.PrivateKey, revision int64, files map[string]string) ([]byte, error) {
	files = maps.Clone(files)
	files[".manifest"] = fmt.Sprintf(`{"revision":"%d"}`, revision)
	var signed []map[string]string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256([]byte(files[name]))
		signed = append(signed, map[string]string{"name": name, "hash": hex.EncodeToString(sum[:]), "algorithm": "SHA-256"})
	}
	claims, err := json.Marshal(map[string]any{"files": signed})
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: private}, nil)
	if err != nil {
		return nil, err
	}
	signature, err := signer.Sign(claims)
	if err != nil {
		return nil, err
	}
	token, err := signature.CompactSerialize()
	if err != nil {
		return nil, err
	}
	files[".signatures.json"] = `{"signatures":["` + token + `"]}`
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(files[name])), Mode: 0o644}); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			return nil, err
		}
	}
	err = errors.Join(w.Close(), zip.Close())
	return out.Bytes(), err
}
