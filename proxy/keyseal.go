package proxy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caregate/caregate/vault"
	"github.com/caregate/caregate/vault/awskms"
)

// KeySealConfig says how the vault's key files are sealed. The zero value is not at all:
// they are protected by their mode only. It holds references, never a secret.
type KeySealConfig struct {
	// Passphrase is a reference to the words, {env.NAME} or {file./path}, 12 characters
	// at least.
	Passphrase string `json:"passphrase,omitempty"`
	// KeyFile is a file of 32 random bytes or more, mode 0600, on another volume than
	// the key files.
	KeyFile string `json:"key_file,omitempty"`
	// KMS is a key of AWS KMS, which is asked at each start.
	KMS *KMSConfig `json:"awskms,omitempty"`
}

// KMSConfig names a key of AWS KMS. Credentials come from the environment, AWS's shared
// files, or the role of the machine or container, and need kms:Encrypt and kms:Decrypt.
type KMSConfig struct {
	// Key is the key's ARN, its id, or alias/NAME. Required.
	Key string `json:"key"`
	// Region of the key. Default: what the ARN or the environment says.
	Region string `json:"region,omitempty"`
	// Endpoint is the address of a service that is not AWS's own. Default AWS.
	Endpoint string `json:"endpoint,omitempty"`
	// Timeout bounds one question with its repetitions. Default 10 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// Renew is the time between two renewals: how soon a disabled key stops the gateway.
	// Default 5 minutes.
	Renew caddy.Duration `json:"renew,omitempty"`
	// Hold is how long keys stay in memory while KMS cannot be reached. Default 24 hours.
	Hold caddy.Duration `json:"hold,omitempty"`
}

// IsZero tells that key files are not sealed.
func (c KeySealConfig) IsZero() bool { return c == KeySealConfig{} }

// Kind is the word for the seal: none, passphrase, key_file or awskms.
func (c KeySealConfig) Kind() string {
	switch {
	case c.KMS != nil:
		return awskms.Kind
	case c.Passphrase != "":
		return "passphrase"
	case c.KeyFile != "":
		return "key_file"
	}
	return "none"
}

func (c KeySealConfig) validate() error {
	if c.Passphrase != "" && c.KeyFile != "" || c.KMS != nil && (c.Passphrase != "" || c.KeyFile != "") {
		return errors.New("keys: a seal is a passphrase, a key_file or a key of KMS, and no two of them")
	}
	if c.KMS != nil && c.KMS.Key == "" {
		return errors.New("keys awskms wants a key")
	}
	if k := c.KMS; k != nil && k.Hold > 0 && k.Hold < max(k.Renew, caddy.Duration(time.Minute)) {
		return errors.New("keys awskms hold: keys would be forgotten before they are renewed")
	}
	if c.Passphrase != "" && !isReference(c.Passphrase) {
		return fmt.Errorf("keys passphrase: %w", errNotReference)
	}
	return nil
}

// Open reads what the references stand for; nil for no seal. Its errors name references
// and repeat nothing of a secret.
func (c KeySealConfig) Open(ctx context.Context, deployment string) (vault.KeySeal, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	switch repl := caddy.NewReplacer(); {
	case c.KMS != nil:
		k := c.KMS
		// An interface that holds a nil pointer would be a seal.
		s, err := awskms.Open(ctx, awskms.Config{
			Key: repl.ReplaceKnown(k.Key, ""), Region: repl.ReplaceKnown(k.Region, ""), Endpoint: repl.ReplaceKnown(k.Endpoint, ""),
			Deployment: deployment, Timeout: time.Duration(k.Timeout), Renew: time.Duration(k.Renew), Hold: time.Duration(k.Hold),
		})
		if err != nil {
			return nil, err
		}
		return s, nil
	case c.Passphrase != "":
		words, err := repl.ReplaceOrErr(c.Passphrase, true, true)
		if err != nil || words == "" {
			return nil, fmt.Errorf("keys passphrase: %s is empty, or there is no such variable or file", c.Passphrase)
		}
		return vault.NewPassphrase(words)
	case c.KeyFile != "":
		return vault.NewKeyFileSeal(repl.ReplaceKnown(c.KeyFile, ""))
	}
	return nil, nil
}

// parseKeys reads
//
//	keys file <directory> {
//		passphrase <reference>
//		key_file   <file>
//	}
//	keys awskms <key> [<directory>] {
//		region   <name>
//		endpoint <url>
//		timeout  10s
//		renew    5m
//		hold     24h
//	}
//
// with one of passphrase and key_file, or none. Nothing here repeats an argument of
// passphrase: it may be one that does not belong there.
func parseKeys(d *caddyfile.Dispenser, app *App, folder string) error {
	var kind, of string
	if !d.Args(&kind, &of) {
		return d.Err("keys wants a kind and a directory or key, for example: keys file ./data/keys, or: keys awskms arn:aws:kms:REGION:ACCOUNT:key/ID ./data/keys")
	}
	var option func(name, value string) error
	switch kind {
	case "file":
		app.Keys = absolute(folder, of)
		option = func(name, value string) error { return app.KeySeal.set(name, value, folder) }
	case "awskms":
		app.KeySeal.KMS = &KMSConfig{Key: of}
		if d.NextArg() {
			app.Keys = absolute(folder, d.Val())
		}
		option = app.KeySeal.KMS.set
	default:
		return d.Errf("keys %s: there are file and awskms", kind)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var value string
		name := d.Val()
		if !d.Args(&value) {
			return d.ArgErr()
		}
		if err := option(name, value); err != nil {
			return d.WrapErr(err)
		}
	}
	if err := app.KeySeal.validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// set is one option of keys file.
func (c *KeySealConfig) set(name, value, folder string) error {
	switch name {
	case "passphrase":
		if !isReference(value) {
			return fmt.Errorf("keys passphrase: %w", errNotReference)
		}
		if path, is := strings.CutPrefix(strings.TrimSuffix(value, "}"), "{file."); is && !filepath.IsAbs(path) {
			value = "{file." + absolute(folder, path) + "}"
		}
		c.Passphrase = value
	case "key_file":
		c.KeyFile = absolute(folder, value)
	default:
		return fmt.Errorf("unknown option %s of keys file; it has passphrase, key_file", name)
	}
	return nil
}

// set is one option of keys awskms.
func (c *KMSConfig) set(name, value string) error {
	times := map[string]*caddy.Duration{"timeout": &c.Timeout, "renew": &c.Renew, "hold": &c.Hold}
	switch of := times[name]; {
	case of != nil:
		d, err := caddy.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("keys awskms %s %s: want a duration, for example 10s", name, value)
		}
		*of = caddy.Duration(d)
	case name == "region":
		c.Region = value
	case name == "endpoint":
		c.Endpoint = value
	default:
		return fmt.Errorf("unknown option %s of keys awskms; it has region, endpoint, timeout, renew, hold", name)
	}
	return nil
}
