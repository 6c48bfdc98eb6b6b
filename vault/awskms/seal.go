// Package awskms seals the vault's key files with a key of AWS KMS: what is in the files
// opens only while KMS decrypts for us. The key itself never leaves KMS, so that the
// files, the database and every backup of both are useless without the account.
//
// Each key file has a key of its own (package vault), which KMS encrypts with the file's
// name in the encryption context: it stands in CloudTrail, and one file's key does not
// open another. KMS is asked at a start, at each renewal and when a file is written, and
// never while a call is being answered.
package awskms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"

	"github.com/caregate/caregate/vault"
)

// Kind is what stands in a key file.
const Kind = "awskms"

// Defaults of Config.
const (
	// DefaultTimeout is for one question with its repetitions: KMS answers within tens of
	// milliseconds, and a start asks three times.
	DefaultTimeout = 10 * time.Second
	// DefaultRenew is how soon a key that was disabled, or a right that was taken away,
	// stops this process.
	DefaultRenew = 5 * time.Minute
	// DefaultHold is how long an outage of KMS may last: a day, so that somebody can act.
	DefaultHold = 24 * time.Hour
)

// Config names a key.
type Config struct {
	// Key is the ARN of the key or of an alias, or the id or alias/NAME. Required.
	Key string
	// Region of the key. Default: what an ARN or the environment says.
	Region string
	// Endpoint is the address of a service that is not AWS's own. Default AWS.
	Endpoint string
	// Deployment is part of the encryption context, so that two deployments on one key
	// cannot open each other's files. It is fixed once files are sealed.
	Deployment string
	// Timeout bounds one question with its repetitions, Renew is the time between two
	// renewals, Hold how long keys stay in memory without one. Zero: the defaults.
	Timeout, Renew, Hold time.Duration
	// Credentials sign the calls; nil: from the environment, AWS's shared files, or the
	// role of the machine or container. They need kms:Encrypt and kms:Decrypt.
	Credentials aws.CredentialsProvider
}

// Seal implements vault.KeySeal and vault.LeasedSeal.
type Seal struct {
	client *kms.Client
	c      Config
}

// Open prepares a seal. It asks nobody.
func Open(ctx context.Context, c Config) (*Seal, error) {
	if c.Key == "" {
		return nil, errors.New("preparing AWS KMS: no key is named")
	}
	for _, d := range []struct {
		of   *time.Duration
		zero time.Duration
	}{{&c.Timeout, DefaultTimeout}, {&c.Renew, DefaultRenew}, {&c.Hold, DefaultHold}} {
		if *d.of <= 0 {
			*d.of = d.zero
		}
	}
	if c.Hold < c.Renew {
		return nil, errors.New("preparing AWS KMS: keys would be forgotten before they are renewed")
	}
	var options []func(*config.LoadOptions) error
	if c.Region == "" {
		c.Region = regionOf(c.Key)
	}
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.Credentials != nil {
		options = append(options, config.WithCredentialsProvider(c.Credentials))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("preparing AWS KMS: %w", err)
	}
	if loaded.Region == "" {
		return nil, errors.New("preparing AWS KMS: the region of the key is not known; give its ARN, or the region")
	}
	return &Seal{c: c, client: kms.NewFromConfig(loaded, func(o *kms.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})}, nil
}

// regionOf is the region in an ARN, "" for what is none.
func regionOf(key string) string {
	part, field := 0, ""
	for _, b := range []byte(key) {
		if b == ':' {
			part++
			continue
		}
		if part == 3 {
			field += string(b)
		}
	}
	if part < 5 {
		return ""
	}
	return field
}

// Kind implements vault.KeySeal.
func (*Seal) Kind() string { return Kind }

// Lease implements vault.LeasedSeal.
func (s *Seal) Lease() (renew, hold time.Duration) { return s.c.Renew, s.c.Hold }

// wrapped is what stands in a key file.
type wrapped struct {
	// Key is the ARN of the key that encrypted, as KMS says.
	Key        string `json:"key"`
	Ciphertext []byte `json:"ciphertext"`
}

func (s *Seal) encryptionContext(name string) map[string]string {
	return map[string]string{"caregate:purpose": "key file", "caregate:deployment": s.c.Deployment, "caregate:file": name}
}

// Wrap implements vault.KeySeal by kms:Encrypt.
func (s *Seal) Wrap(ctx context.Context, name string, key []byte) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	out, err := s.client.Encrypt(ctx, &kms.EncryptInput{KeyId: &s.c.Key, Plaintext: key, EncryptionContext: s.encryptionContext(name)})
	if err != nil {
		return nil, s.failed("encrypt", name, err)
	}
	if len(out.CiphertextBlob) == 0 {
		return nil, fmt.Errorf("%w: AWS KMS gave no answer that makes sense about %s", vault.ErrSealDown, name)
	}
	return json.Marshal(wrapped{Key: aws.ToString(out.KeyId), Ciphertext: out.CiphertextBlob})
}

// Unwrap implements vault.KeySeal by kms:Decrypt, with the configured key only: a file
// that another key of the account sealed does not open.
func (s *Seal) Unwrap(ctx context.Context, name string, raw json.RawMessage) ([]byte, error) {
	var w wrapped
	if err := json.Unmarshal(raw, &w); err != nil || len(w.Ciphertext) == 0 {
		return nil, fmt.Errorf("%s is damaged where it says how it is sealed; restore it from the backup of your keys: %w", name, vault.ErrKeyFile)
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	out, err := s.client.Decrypt(ctx, &kms.DecryptInput{KeyId: &s.c.Key, CiphertextBlob: w.Ciphertext, EncryptionContext: s.encryptionContext(name)})
	if err != nil {
		return nil, s.failed("decrypt", name, err)
	}
	if len(out.Plaintext) != 32 {
		clear(out.Plaintext)
		return nil, fmt.Errorf("%w: AWS KMS gave no answer that makes sense about %s", vault.ErrSealDown, name)
	}
	return out.Plaintext, nil
}

// failed tells a refusal from an outage. What KMS says beside its code is left out: it
// names principals and keys.
func (s *Seal) failed(what, name string, err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%w: AWS KMS did not %s for %s within %v", vault.ErrSealDown, what, name, s.c.Timeout)
	}
	says := "AWS KMS refused to " + what + " for " + name + " (" + api.ErrorCode() + ")"
	switch api.ErrorCode() {
	case "DisabledException":
		return fmt.Errorf("%w: %s: the key is disabled; enable it", vault.ErrKeySeal, says)
	case "KMSInvalidStateException":
		return fmt.Errorf("%w: %s: the key is about to be deleted, or not ready; cancel its deletion and enable it", vault.ErrKeySeal, says)
	case "NotFoundException":
		return fmt.Errorf("%w: %s: there is no such key in this account and region", vault.ErrKeySeal, says)
	case "AccessDeniedException":
		return fmt.Errorf("%w: %s: the caller needs kms:Encrypt and kms:Decrypt on the key", vault.ErrKeySeal, says)
	case "IncorrectKeyException", "InvalidCiphertextException":
		return fmt.Errorf("%w: %s: the file was sealed by another key or for another deployment", vault.ErrKeySeal, says)
	case "InvalidKeyUsageException":
		return fmt.Errorf("%w: %s: want a symmetric key for encryption", vault.ErrKeySeal, says)
	}
	return fmt.Errorf("%w: %s", vault.ErrSealDown, says)
}

var _ vault.LeasedSeal = (*Seal)(nil)
