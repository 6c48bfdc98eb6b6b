package policy

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/util"
)

// BundleSigning says how SignBundle signs.
type BundleSigning struct {
	// Key is a private key in PEM, not encrypted: Ed25519, ECDSA or RSA. Required.
	Key []byte
	// KeyID and Scope are as in ParseBundleKey and BundleTrust.
	KeyID, Scope string
	// Revision is the bundle's; zero means the one in the directory's .manifest.
	Revision int64
}

// SignBundle makes a bundle of a directory with rules (*.rego, without their tests), a
// document (data.yaml or data.json) and perhaps a .manifest, and signs it. A bundle that a
// gateway would not take is refused, with file and line. The same directory makes the same
// bundle but for the signature, which for ECDSA and RSA has chance in it.
func SignBundle(ctx context.Context, dir string, s BundleSigning) (archive []byte, b *SignedBundle, err error) {
	private, public, err := parseSigningKey(s.KeyID, s.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the key: %w", err)
	}
	files, err := bundleDirectory(dir)
	if err != nil {
		return nil, nil, err
	}
	archive, b, err = seal(files, private, public, s)
	if err != nil {
		return nil, nil, err
	}
	if _, err := NewEngine(ctx, Config{Bundle: b}); err != nil {
		return nil, nil, err
	}
	return archive, b, nil
}

// seal makes a bundle of files, and reads it as a gateway would.
func seal(files []source, private crypto.Signer, public *BundleKey, s BundleSigning) (archive []byte, b *SignedBundle, err error) {
	files = slices.DeleteFunc(files, func(f source) bool {
		return f.name == signaturesFile || strings.HasSuffix(f.name, "_test.rego")
	})
	if files, err = stampManifest(files, s.Revision); err != nil {
		return nil, nil, err
	}
	signatures, err := signFiles(files, private, public, s.Scope)
	if err != nil {
		return nil, nil, err
	}
	if archive, err = pack(append(files, source{signaturesFile, signatures})); err != nil {
		return nil, nil, err
	}
	b, err = OpenBundle(archive, BundleTrust{Keys: []*BundleKey{public}, Scope: s.Scope})
	return archive, b, err
}

// parseSigningKey reads a private key and its public half.
func parseSigningKey(id string, src []byte) (crypto.Signer, *BundleKey, error) {
	block, _ := pem.Decode(src)
	if block == nil {
		return nil, nil, errors.New("want a private key in PEM, as `openssl genpkey -algorithm ed25519` makes it")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, nil, fmt.Errorf("want a private key in PEM that is not encrypted, got BEGIN %.40q", block.Type)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, nil, errors.New("this is no private key that can be read") // the cause may quote it
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, nil, errors.New("want an Ed25519, ECDSA or RSA key")
	}
	public, err := newBundleKey(id, signer.Public(), der)
	return signer, public, err
}

// stampManifest gives the files their manifest.
func stampManifest(files []source, revision int64) ([]source, error) {
	manifest := map[string]any{}
	for i, f := range files {
		if f.name != manifestFile {
			continue
		}
		if err := util.UnmarshalJSON(f.src, &manifest); err != nil {
			return nil, fmt.Errorf("%s: %w", manifestFile, err)
		}
		if manifest == nil { // null
			return nil, fmt.Errorf("%s: want an object", manifestFile)
		}
		files = slices.Delete(files, i, i+1)
		break
	}
	if revision != 0 {
		manifest["revision"] = strconv.FormatInt(revision, 10)
	}
	if manifest["revision"] == nil {
		return nil, errors.New("the bundle has no revision: give it one, above the last")
	}
	manifest["rego_version"] = 1
	src, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, err)
	}
	return append([]source{{manifestFile, src}}, files...), nil
}

// signFiles makes the content of .signatures.json.
func signFiles(files []source, private crypto.Signer, public *BundleKey, scope string) ([]byte, error) {
	hash, err := opa.NewSignatureHasher(opa.SHA256)
	if err != nil {
		return nil, err
	}
	infos := make([]opa.FileInfo, len(files))
	for i, f := range files {
		var value any = f.src
		if opa.IsStructuredDoc(f.name) {
			if err := util.Unmarshal(f.src, &value); err != nil {
				// Ours names the line where there is one.
				if _, ours := ParseOverlay(f.name, f.src); ours != nil {
					err = ours
				}
				return nil, err
			}
		}
		sum, err := hash.HashFile(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		infos[i] = opa.NewFile(f.name, hex.EncodeToString(sum), opa.SHA256.String())
	}
	claims := map[string]any{"files": infos, "keyid": public.id}
	if scope != "" {
		claims["scope"] = scope
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	algorithm := jose.SignatureAlgorithm(public.algorithms[0]) // of RSA's, PS256
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: private}, new(jose.SignerOptions).WithHeader("kid", public.id))
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	signature, err := signer.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	token, err := signature.CompactSerialize()
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return json.Marshal(opa.SignaturesConfig{Signatures: []string{token}})
}
