package vault

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/caregate/caregate/internal/store"
)

// DefaultTenant is the tenant of a deployment that has one.
const DefaultTenant = "default"

// Defaults of Config.
const (
	defaultCache     = 16_384           // people; about 400 bytes each, so 7 MB when full
	defaultCacheTime = 10 * time.Minute // how long an erased person's key may stay in another node's memory
)

// Tokens are found by what is drawn at random, so that each new one changes other pages of
// vault.db. Without room for these, disk and processor would mostly move pages.
const (
	pageCache   = 8 << 10 // KiB for each connection that reads
	writerCache = 8 << 10 // KiB for the one that writes
	// pageSize is that of files made since version 9 of the tables; others have 4 KiB. A new
	// value changes a page that nobody else changes, that of its blind index.
	pageSize = 2 << 10 // bytes
	// checkpointFrom is where a commit moves the write-ahead log itself, in bytes, because the
	// mover could not.
	checkpointFrom = 256 << 20
)

// dbFile is the name of the database in the data directory.
const dbFile = "vault.db"

//go:embed migrations
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
	// Database is the URL of a PostgreSQL database (postgres://...) that holds the
	// vault's tables in place of vault.db; "" for the one noted in the data directory
	// (store.WritePlace), else for the file.
	Database string
	// Keys is the directory of the key files; empty: "keys" in the data directory.
	Keys string
	// Log names the log whose erasures this process carries out, where several gateways with
	// a log each share the vault: each of them has a mark (ErasedUpTo). Empty for one that is
	// alone.
	Log string
	// Tenant names the tenant; empty: DefaultTenant.
	Tenant string
	// Cache is how many people's keys are held in memory; zero: 16,384.
	Cache int
	// CacheTime is for how long they are; zero: 10 minutes. It bounds how long a
	// key that was destroyed by another process can still be used by this one.
	CacheTime time.Duration
	// Seal opens the key files; nil is for files in clear.
	Seal KeySeal
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Recorded tells whether an event is durable in the log. With it, and on SQLite only,
	// Issue.KeepRecorded does not wait for the disk, and Sweep asks for the events of tokens
	// that a crash left in doubt. nil: KeepRecorded is Keep, and Sweep leaves such tokens
	// alone. It may be called from several goroutines at once.
	Recorded func(ctx context.Context, event [16]byte) (bool, error)
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
	tenant  string
	logName string // of several logs beside one vault
	keysDir string
	db      *store.DB
	// writer is db, or on SQLite a connection of its own: its page cache holds good for as
	// long as no other connection writes.
	writer    *store.DB
	keys      *keys  // index and check; what rotates is in held
	order     *order // between the ids of rows and what tokens say
	held      atomic.Pointer[held]
	reloading sync.Mutex // owns seal, and is held while held is read again
	seal      KeySeal
	// renewed and holdTime, in milliseconds, bound how long what is held may be used; see
	// lease.go.
	renewed, holdTime atomic.Int64
	lapsed            atomic.Bool
	now               func() time.Time
	log               *slog.Logger
	cacheTime         time.Duration
	recorded          func(ctx context.Context, event [idSize]byte) (bool, error) // nil: nobody can tell

	// The caches are by blind index and by row id, never by value, so that memory
	// holds no addresses.
	byMAC  *lru.Cache[[macSize]byte, *person]
	actors *lru.Cache[string, *person] // actors, whose ids are not personal
	byRow  *lru.Cache[[idSize]byte, *person]
	// forgotten counts how often the caches were emptied: what was read before that is not
	// remembered after it (see remember).
	forgotten atomic.Int64
	find      *sql.Stmt // by blind index
	load      *sql.Stmt // by row id
	create    group[wanted, *person]

	periods periods

	tokens     *lru.Cache[[macSize]byte, tokenRow] // kept ones, by blind index
	newest     *newest                             // SQLite only
	findTokens finders
	loadToken  *sql.Stmt // by id
	changes    group[change, outcome]
	rewrap     group[stale, struct{}]
	writers    writers
	writing    sync.Mutex
	mover      mover
	// step, when set, is told the name of each step of writing. Tests die there.
	step func(name string)
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

	where, err := store.Where(dir, c.Database, dbFile)
	if err != nil {
		return fmt.Errorf("creating the vault: %w", err)
	}
	db, err := store.Open(ctx, where, store.Options{Create: true, Page: pageSize, Overwrite: true})
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
		k, err := loadKeys(ctx, c.Keys, c.Seal)
		if err != nil {
			return fmt.Errorf("vault.db was made with other key files, and new ones cannot open it: %w", err)
		}
		if _, err := hold(row, k); err != nil {
			return err
		}
		if err := row.prove(k); err != nil {
			return err
		}
		return ErrExists
	}

	for _, f := range keyFiles {
		if err := makeKeyFile(ctx, filepath.Join(c.Keys, f.name), f.template(), c.Seal); err != nil {
			return err
		}
	}
	// Their names must be durable before the row that needs them.
	if err := store.SyncDir(filepath.Dir(c.Keys)); err != nil {
		return err
	}
	k, err := loadKeys(ctx, c.Keys, c.Seal)
	if err != nil {
		return err
	}
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("making the tenant's keyset: %w", err)
	}
	wrapped, err := wrapKeyset(h, k.master, c.Tenant)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO tenant_key (tenant, keyset, index_proof, check_proof, created, version) VALUES ($1, $2, $3, $4, $5, $6)`,
		c.Tenant, wrapped, proof(k.index, c.Tenant), proof(k.check, c.Tenant), c.Now().UnixMilli(), primaryOf(h)); err != nil {
		return fmt.Errorf("writing the tenant's keyset: %w", err)
	}
	return store.SyncDir(dir)
}

// Open opens the vault of the data directory dir. It creates nothing: a missing
// vault is ErrNoVault, a missing, damaged or loose key file is named together
// with what to do.
func Open(ctx context.Context, dir string, c Config) (_ *Vault, err error) {
	c.setDefaults(dir)
	where, err := store.Where(dir, c.Database, dbFile)
	if err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	left, err := os.Stat(filepath.Join(dir, dbFile+"-wal"))
	emptying := err == nil && left.Size() > 0
	db, err := store.Open(ctx, where, store.Options{Cache: pageCache, Checkpoint: checkpointFrom / pageSize, Overwrite: true})
	if errors.Is(err, store.ErrMissing) {
		return nil, fmt.Errorf("%w: %w; run `caregate init`", ErrNoVault, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	v := &Vault{tenant: c.Tenant, logName: c.Log, keysDir: c.Keys, db: db, writer: db, now: c.Now, log: c.Logger, cacheTime: c.CacheTime, seal: c.Seal, recorded: c.Recorded}
	// Whoever destroyed something last may have died before it was out of the write-ahead log.
	v.mover.emptying.Store(emptying)
	v.create.commit, v.create.writing = v.createAll, &v.writing
	v.changes.commit, v.changes.writing = v.changeAll, &v.writing
	v.rewrap.commit, v.rewrap.writing = v.rewrapTouched, &v.writing
	defer func() {
		if err != nil {
			err = errors.Join(err, v.Close())
		}
	}()
	if err := db.Migrate(ctx, "vault", migrationFiles()); errors.Is(err, store.ErrMissing) {
		return nil, fmt.Errorf("%w: %w; run `caregate init`", ErrNoVault, err)
	} else if err != nil {
		return nil, err
	}
	if db.Dialect == store.SQLite {
		var page int
		if err := db.QueryRowContext(ctx, "PRAGMA page_size").Scan(&page); err != nil {
			return nil, fmt.Errorf("opening the vault: %w", err)
		}
		v.mover.from = moveFrom / page
		if v.writer, err = store.Open(ctx, where, store.Options{Cache: writerCache, Checkpoint: checkpointFrom / page, MaxConns: 1, Overwrite: true, UndoInMemory: true}); err != nil {
			return nil, fmt.Errorf("opening the vault: %w", err)
		}
	}
	row, err := readTenant(ctx, db, c.Tenant)
	if err != nil {
		return nil, err
	}
	if v.keys, err = loadKeys(ctx, c.Keys, c.Seal); err != nil {
		return nil, err
	}
	if v.order, err = newOrder(v.keys.check, c.Tenant); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	h, err := hold(row, v.keys)
	if err != nil {
		return nil, err
	}
	if err := row.prove(v.keys); err != nil {
		return nil, err
	}
	v.held.Store(h)
	v.leased(c.Seal)
	if h.masterKeys.Len() > 1 {
		v.log.Warn("a rotation of the master key was interrupted; it is finished in the background")
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
	if v.tokens, err = lru.New[[macSize]byte, tokenRow](c.Cache); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	if v.findTokens, err = prepareFinders(ctx, db); err != nil {
		return nil, err
	}
	if db.Dialect == store.SQLite {
		if v.newest, err = newNewest(ctx, v.writer); err != nil {
			return nil, err
		}
	}
	if err := v.prepareWriters(ctx); err != nil {
		return nil, err
	}
	if v.loadToken, err = db.PrepareContext(ctx, loadTokenSQL); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	if v.find, err = db.PrepareContext(ctx, findSQL); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	if v.load, err = db.PrepareContext(ctx, loadSQL); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	v.startMover()
	return v, nil
}

// Close closes vault.db and forgets all keys it holds, after the transaction that
// is under way. Later calls fail. It may be called twice.
func (v *Vault) Close() error {
	v.create.stop()
	v.changes.stop()
	v.rewrap.stop()
	v.stopMover()
	if v.byMAC != nil {
		v.byMAC.Purge()
	}
	if v.actors != nil {
		v.actors.Purge()
	}
	if v.byRow != nil {
		v.byRow.Purge()
	}
	if v.tokens != nil {
		v.tokens.Purge()
	}
	err := v.db.Close()
	if v.writer != nil && v.writer != v.db {
		err = errors.Join(err, v.writer.Close())
	}
	return err
}

// Ready tells whether the vault can serve: vault.db answers, and the key files
// are in place and closed to others, so that the next start will find them.
func (v *Vault) Ready(ctx context.Context) error {
	if err := v.usable(); err != nil {
		return err
	}
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

// migrationFiles are the numbered SQL files; the directory is embedded, so it is
// always there.
func migrationFiles() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic("vault: embedded migrations: " + err.Error())
	}
	return sub
}
