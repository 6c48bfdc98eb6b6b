package vault

import (
	"bytes"
	"context"
	"crypto/subtle"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/caregate/caregate/internal/store"
)

// DefaultTenant is the tenant of a deployment that has one.
const DefaultTenant = "default"

// Defaults of Config.
const (
	defaultCache     = 16_384           // people; about 400 bytes each, so 7 MB when full
	defaultCacheTime = 10 * time.Minute // how long an erased person's key may stay in another node's memory
)

// dbFile is the name of the database in the data directory.
const dbFile = "vault.db"

//go:embed migrations/*.sql
var migrations embed.FS

var (
	// ErrExists is returned by Create for a data directory whose vault is complete.
	ErrExists = errors.New("the vault exists already")
	// ErrNoVault is returned by Open for a data directory without one, or with one
	// whose creation was interrupted; Create makes or completes it.
	ErrNoVault = errors.New("there is no vault here")
	// ErrKeyMismatch is returned when key files and database do not belong together.
	ErrKeyMismatch = errors.New("key files and vault.db do not belong together")
)

// Config are the options of Create and Open; the zero value is usable.
type Config struct {
	// Keys is the directory of the key files; empty: "keys" in the data directory.
	Keys string
	// Tenant names the tenant; empty: DefaultTenant.
	Tenant string
	// Cache is how many people's keys are held in memory; zero: 16,384.
	Cache int
	// CacheTime is for how long they are; zero: 10 minutes. It bounds how long a
	// key that was destroyed by another process can still be used by this one.
	CacheTime time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger gets rows that were changed outside the vault; nil discards.
	Logger *slog.Logger
}

func (c *Config) setDefaults(dir string) {
	if c.Keys == "" {
		c.Keys = filepath.Join(dir, "keys")
	}
	if c.Tenant == "" {
		c.Tenant = DefaultTenant
	}
	if c.Cache <= 0 {
		c.Cache = defaultCache
	}
	if c.CacheTime <= 0 {
		c.CacheTime = defaultCacheTime
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Vault is an open vault. It is safe for concurrent use.
type Vault struct {
	tenant    string
	keysDir   string
	db        *store.DB
	keys      *keys
	data      tink.AEAD // the tenant's keyset: wraps the keys of people
	now       func() time.Time
	log       *slog.Logger
	cacheTime time.Duration

	// The caches are by blind index and by row id, never by value, so that memory
	// holds no addresses.
	byMAC  *lru.Cache[[macSize]byte, *person]
	actors *lru.Cache[string, *person] // actors, whose ids are not personal
	byRow  *lru.Cache[[idSize]byte, *person]
	find   *sql.Stmt // by blind index
	load   *sql.Stmt // by row id
	create creator
}

// Create makes the key files and vault.db in the data directory dir, which is
// made too if it is missing. When it is interrupted it can be repeated: the row
// of the tenant in vault.db is written last, and until then nothing depends on
// the key files that are there already. A complete vault is ErrExists. A
// database whose key files are gone is refused: new ones could not open it.
func Create(ctx context.Context, dir string, c Config) (err error) {
	c.setDefaults(dir)
	if err := os.MkdirAll(dir, keyDirMode); err != nil {
		return fmt.Errorf("creating the vault: %w", err)
	}
	if err := os.Mkdir(c.Keys, keyDirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("creating the vault: %w", err)
	}
	if err := checkMode(c.Keys, keyDirMode); err != nil {
		return err
	}
	unlock, err := store.LockDir(c.Keys)
	if err != nil {
		return fmt.Errorf("creating the vault: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()

	db, err := store.Open(ctx, filepath.Join(dir, dbFile), store.Options{Create: true})
	if err != nil {
		return fmt.Errorf("creating the vault: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Migrate(ctx, "vault", migrationFiles()); err != nil {
		return err
	}
	row, err := readTenant(ctx, db, c.Tenant)
	if err != nil && !errors.Is(err, ErrNoVault) {
		return err
	}
	if err == nil {
		k, err := loadKeys(c.Keys)
		if err != nil {
			return fmt.Errorf("vault.db was made with other key files, and new ones cannot open it: %w", err)
		}
		if _, err := row.unwrap(k); err != nil {
			return err
		}
		return ErrExists
	}

	for _, f := range keyFiles {
		if err := makeKeyFile(filepath.Join(c.Keys, f.name), f.template()); err != nil {
			return err
		}
	}
	// Their names must be durable before the row that needs them.
	if err := store.SyncDir(filepath.Dir(c.Keys)); err != nil {
		return err
	}
	k, err := loadKeys(c.Keys)
	if err != nil {
		return err
	}
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("making the tenant's keyset: %w", err)
	}
	var wrapped bytes.Buffer
	if err := h.WriteWithAssociatedData(keyset.NewBinaryWriter(&wrapped), k.master, tenantAD(c.Tenant)); err != nil {
		return fmt.Errorf("wrapping the tenant's keyset: %w", err)
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO tenant_key (tenant, keyset, index_proof, check_proof, created) VALUES ($1, $2, $3, $4, $5)`,
		c.Tenant, wrapped.Bytes(), proof(k.index, c.Tenant), proof(k.check, c.Tenant), c.Now().UnixMilli()); err != nil {
		return fmt.Errorf("writing the tenant's keyset: %w", err)
	}
	return store.SyncDir(dir)
}

// Open opens the vault of the data directory dir. It creates nothing: a missing
// vault is ErrNoVault, a missing, damaged or loose key file is named together
// with what to do.
func Open(ctx context.Context, dir string, c Config) (_ *Vault, err error) {
	c.setDefaults(dir)
	db, err := store.Open(ctx, filepath.Join(dir, dbFile), store.Options{})
	if errors.Is(err, store.ErrMissing) {
		return nil, fmt.Errorf("%w: %s is missing; run `caregate init`", ErrNoVault, filepath.Join(dir, dbFile))
	}
	if err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	v := &Vault{tenant: c.Tenant, keysDir: c.Keys, db: db, now: c.Now, log: c.Logger, cacheTime: c.CacheTime}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.Close())
		}
	}()
	if err := db.Migrate(ctx, "vault", migrationFiles()); err != nil {
		return nil, err
	}
	row, err := readTenant(ctx, db, c.Tenant)
	if err != nil {
		return nil, err
	}
	if v.keys, err = loadKeys(c.Keys); err != nil {
		return nil, err
	}
	if v.data, err = row.unwrap(v.keys); err != nil {
		return nil, err
	}
	if v.byMAC, err = lru.New[[macSize]byte, *person](c.Cache); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	if v.actors, err = lru.New[string, *person](c.Cache); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	if v.byRow, err = lru.New[[idSize]byte, *person](c.Cache); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	if v.find, err = db.PrepareContext(ctx, findSQL); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	if v.load, err = db.PrepareContext(ctx, loadSQL); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	return v, nil
}

// Close closes vault.db and forgets all keys it holds, after the transaction that
// is under way. Later calls fail. It may be called twice.
func (v *Vault) Close() error {
	v.create.stop()
	if v.byMAC != nil {
		v.byMAC.Purge()
	}
	if v.actors != nil {
		v.actors.Purge()
	}
	if v.byRow != nil {
		v.byRow.Purge()
	}
	return v.db.Close()
}

// Ready tells whether the vault can serve: vault.db answers, and the key files
// are in place and closed to others, so that the next start will find them.
func (v *Vault) Ready(ctx context.Context) error {
	if _, err := readTenant(ctx, v.db, v.tenant); err != nil {
		return err
	}
	if err := checkMode(v.keysDir, keyDirMode); err != nil {
		return err
	}
	for _, f := range keyFiles {
		if err := checkMode(filepath.Join(v.keysDir, f.name), keyFileMode); err != nil {
			return err
		}
	}
	return nil
}

// tenantRow is a row of tenant_key.
type tenantRow struct {
	tenant                         string
	keyset, indexProof, checkProof []byte
}

func readTenant(ctx context.Context, db *store.DB, tenant string) (*tenantRow, error) {
	r := &tenantRow{tenant: tenant}
	err := db.QueryRowContext(ctx, `SELECT keyset, index_proof, check_proof FROM tenant_key WHERE tenant = $1`, tenant).
		Scan(&r.keyset, &r.indexProof, &r.checkProof)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: its creation was interrupted; run `caregate init` again", ErrNoVault)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tenant's keyset: %w", err)
	}
	return r, nil
}

// unwrap opens the tenant's keyset and checks that all three key files belong to
// it. What Tink says about a failure is left out; it has no more to tell.
func (r *tenantRow) unwrap(k *keys) (tink.AEAD, error) {
	h, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(r.keyset)), k.master, tenantAD(r.tenant))
	if err != nil {
		return nil, fmt.Errorf("%w: %s cannot open it", ErrKeyMismatch, masterFile)
	}
	for _, b := range []struct {
		name   string
		branch *branch
		want   []byte
	}{{indexFile, k.index, r.indexProof}, {checkFile, k.check, r.checkProof}} {
		if subtle.ConstantTimeCompare(proof(b.branch, r.tenant), b.want) != 1 {
			return nil, fmt.Errorf("%w: %s is another key than the one it was made with", ErrKeyMismatch, b.name)
		}
	}
	a, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("opening the tenant's keyset: %w", err)
	}
	return a, nil
}

func tenantAD(tenant string) []byte {
	return appendPart(appendPart(nil, "caregate tenant v1"), tenant)
}

// migrationFiles are the numbered SQL files; the directory is embedded, so it is
// always there.
func migrationFiles() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic("vault: embedded migrations: " + err.Error())
	}
	return sub
}
