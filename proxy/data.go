package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/vault"
)

// DataConfig names a data directory and the deployment that lives in it.
type DataConfig struct {
	// Dir is the directory; Keys the directory of key files, "" for Dir/keys.
	Dir, Keys string
	// Name is the deployment's name. It is part of the log's origin and cannot be
	// changed later without starting a new log.
	Name string
	// Logger receives what operators should know; nil is silent. It outlives the
	// configuration that opened the directory.
	Logger *slog.Logger
}

// DefaultName is the deployment's name where none is configured.
const DefaultName = "caregate"

func (c DataConfig) withDefaults() DataConfig {
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.Keys == "" {
		c.Keys = filepath.Join(c.Dir, "keys")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c DataConfig) audit() audit.Config {
	return audit.Config{Deployment: c.Name, KeyDir: c.Keys, Logger: c.Logger}
}

func (c DataConfig) vault() vault.Config {
	return vault.Config{Keys: c.Keys, Logger: c.Logger}
}

// Created says what CreateData made.
type Created struct {
	// Origin is the name of the first shard of the log.
	Origin string
	// PublicKey is the verifier key of the log, to be kept outside the machine.
	PublicKey string
}

// ErrNoData is returned by OpenData for a directory that CreateData never made.
// A gateway must not begin a new log because a volume was not mounted.
var ErrNoData = errors.New("this directory holds no Caregate data")

// statePath is the database of API keys, webhook deliveries, and later of everything that is neither
// log nor vault.
func statePath(dir string) string { return filepath.Join(dir, "state.db") }

// CreateData makes keys, vault, state and the log's first shard in an empty or
// missing directory. It stops at the first thing that exists already; a creation
// that was interrupted is repeated after the directory was removed.
func CreateData(ctx context.Context, c DataConfig) (Created, error) {
	c = c.withDefaults()
	if _, err := os.Stat(statePath(c.Dir)); err == nil {
		return Created{}, fmt.Errorf("%s holds data already: %w", c.Dir, fs.ErrExist)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return Created{}, fmt.Errorf("creating the data directory: %w", err)
	}
	if err := vault.Create(ctx, c.Dir, c.vault()); err != nil {
		return Created{}, fmt.Errorf("creating the vault: %w", err)
	}
	if err := audit.Create(ctx, c.Dir, c.audit()); err != nil {
		return Created{}, fmt.Errorf("creating the audit log: %w", err)
	}
	// Last, because its presence says that the directory is whole.
	state, err := store.Open(ctx, statePath(c.Dir), store.Options{Create: true})
	if err != nil {
		return Created{}, fmt.Errorf("creating the state database: %w", err)
	}
	if err := state.Close(); err != nil {
		return Created{}, err
	}
	d, err := OpenData(ctx, c)
	if err != nil {
		return Created{}, err
	}
	made := Created{Origin: d.Log.Origin(), PublicKey: d.Log.PublicKey()}
	return made, d.Close()
}

// Data is an open data directory: what lives longer than one configuration. All
// its parts are safe for concurrent use.
type Data struct {
	Dir   string
	Log   *audit.Log
	Vault *vault.Vault
	Keys  *policy.Keys

	state      *store.DB
	deliveries *deliveries
	socket
	closing chan struct{} // closed by Close
}

// OpenData opens a directory made by CreateData, after the log has checked
// itself. It returns ErrNoData when there is nothing.
func OpenData(ctx context.Context, c DataConfig) (d *Data, err error) {
	c = c.withDefaults()
	if _, err := os.Stat(statePath(c.Dir)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w; create it with: caregate init --data %s", c.Dir, ErrNoData, c.Dir)
	}
	d = &Data{Dir: c.Dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
			d = nil
		}
	}()
	if d.Log, err = audit.Open(ctx, c.Dir, c.audit()); err != nil {
		return d, fmt.Errorf("opening the audit log: %w", err)
	}
	if d.Vault, err = vault.Open(ctx, c.Dir, c.vault()); err != nil {
		return d, fmt.Errorf("opening the vault: %w", err)
	}
	if d.state, err = store.Open(ctx, statePath(c.Dir), store.Options{}); err != nil {
		return d, fmt.Errorf("opening the state database: %w", err)
	}
	if d.Keys, err = policy.OpenKeys(ctx, d.state, policy.KeysConfig{Digest: d.Vault.Digest, Logger: c.Logger}); err != nil {
		return d, fmt.Errorf("opening the API keys: %w", err)
	}
	if d.deliveries, err = openDeliveries(ctx, d.state); err != nil {
		return d, fmt.Errorf("opening the deliveries of webhooks: %w", err)
	}
	d.closing = make(chan struct{})
	go d.watch(c.Logger)
	return d, nil
}

// OnLogFailure, when set, is called once after the audit log has failed for good
// and the calls that were under way have had drainTime to be answered. The
// program sets it before it loads a configuration and ends itself in it: a log
// that failed takes no event until its recovery has run (invariant A6).
var OnLogFailure func()

// drainTime is for the answers of calls that met the failure.
const drainTime = 2 * time.Second

// watch waits for the log to fail.
func (d *Data) watch(logger *slog.Logger) {
	select {
	case <-d.closing:
		return
	case <-d.Log.Failed():
	}
	logger.Error("the audit log has failed: every call is refused; look at the disk, then start the gateway again")
	select {
	case <-d.closing:
	case <-time.After(drainTime):
		if OnLogFailure != nil {
			OnLogFailure()
		}
	}
}

// Close closes everything, the log last so that whatever the others do can still
// be recorded.
func (d *Data) Close() error {
	if d.closing != nil {
		close(d.closing)
	}
	err := d.socket.close()
	if d.Keys != nil {
		err = errors.Join(err, d.Keys.Close())
	}
	if d.state != nil {
		err = errors.Join(err, d.state.Close())
	}
	if d.Vault != nil {
		err = errors.Join(err, d.Vault.Close())
	}
	if d.Log != nil {
		err = errors.Join(err, d.Log.Close())
	}
	return err
}

// Destruct implements caddy.Destructor for the pool of generation.go.
func (d *Data) Destruct() error {
	defer held.add(-1)
	return d.Close()
}
