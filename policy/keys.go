package policy

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caregate/caregate/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables of this package in state.db up to date.
func migrate(ctx context.Context, db *store.DB) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("reading the tables of policy: %w", err)
	}
	return db.Migrate(ctx, "policy", sub)
}

const (
	// keyCacheTime bounds how long another process's Revoke goes unnoticed here.
	keyCacheTime = 5 * time.Second
	keyCacheSize = 1024
	// lastUsedStep is how exact LastUsed is; a write per call would be a write lock
	// per call.
	lastUsedStep = time.Minute
	// lastUsedTimeout bounds that write; it is detached from the call that caused it.
	lastUsedTimeout = 5 * time.Second
	maxKeys         = 10_000 // a list that is read whole
	maxKeyName      = 128    // bytes
)

var (
	// ErrNoKey is returned by Rotate and Revoke for an ID that does not exist.
	ErrNoKey = errors.New("there is no such API key")
	// ErrKeyEnded is returned by Rotate for a key that is revoked or expired.
	ErrKeyEnded = errors.New("the API key is revoked or expired")
	// ErrNewKey is wrapped by the errors of Create about its argument.
	ErrNewKey = errors.New("the API key cannot be made")
)

// Key is an API key as it is listed: everything but the key.
type Key struct {
	// ID names the key in lists, logs and rows; it is not secret.
	ID string `json:"id"`
	// Name is what the administrator called it.
	Name string `json:"name"`
	// Roles and Grants are what it may do.
	Roles  []string `json:"roles"`
	Grants []string `json:"grants"`
	// Created, Expires, LastUsed (exact to a minute), Revoked: zero when not.
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	LastUsed time.Time `json:"last_used,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
	// Successor is the ID of the key that Rotate made from this one.
	Successor string `json:"successor,omitempty"`
}

// ended tells whether the key does not count at now.
func (k *Key) ended(now time.Time) bool {
	return !k.Revoked.IsZero() || !k.Expires.IsZero() && !now.Before(k.Expires)
}

// NewKey asks for an API key.
type NewKey struct {
	// Name is 1 to 128 bytes of printable text.
	Name string
	// Roles are roles of the policy that can be given; Grants have the form of
	// ParseGrant. One of both is needed: a key that may do nothing is a mistake.
	Roles, Grants []string
	// Expires is when the key stops counting; zero: never.
	Expires time.Time
}

// Keys are the API keys in state.db. Safe for concurrent use.
type Keys struct {
	db     *store.DB
	digest digestFunc
	now    func() time.Time
	log    *slog.Logger
	tables *tables

	mu     sync.Mutex
	closed bool
	gen    uint64               // counts changes: what was read before one is not cached after it
	used   map[string]time.Time // by ID, when LastUsed was written last
	cache  *lru.Cache[[32]byte, cachedKey]
	writes sync.WaitGroup // of LastUsed
}

type cachedKey struct {
	key  Key
	read time.Time
}

// KeysConfig are the arguments of OpenKeys.
type KeysConfig struct {
	// Digest is a keyed digest of 32 bytes, as vault.(*Vault).Digest. It is needed.
	Digest func(purpose string, b []byte) []byte
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger gets failures to write LastUsed; nil discards.
	Logger *slog.Logger
}

// OpenKeys prepares the table of keys in state.db. The database stays the
// caller's, who closes it after Close.
func OpenKeys(ctx context.Context, db *store.DB, c KeysConfig) (*Keys, error) {
	if c.Digest == nil {
		return nil, errors.New("opening the API keys: no keyed digest was given")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	t, err := builtinTables()
	if err != nil {
		return nil, err
	}
	cache, err := lru.New[[32]byte, cachedKey](keyCacheSize)
	if err != nil {
		return nil, fmt.Errorf("opening the API keys: %w", err)
	}
	return &Keys{db: db, digest: c.Digest, now: c.Now, log: c.Logger, tables: t, used: make(map[string]time.Time), cache: cache}, nil
}

// Create makes a key. The Secret is shown once and stored nowhere.
func (k *Keys) Create(ctx context.Context, n NewKey) (Key, Secret, error) {
	key := Key{ID: newKeyID(), Name: n.Name, Roles: sorted(n.Roles), Grants: sorted(n.Grants), Created: k.now(), Expires: n.Expires}
	if err := k.check(&key); err != nil {
		return Key{}, "", err
	}
	var count int
	if err := k.db.QueryRowContext(ctx, `SELECT count(*) FROM api_key`).Scan(&count); err != nil {
		return Key{}, "", fmt.Errorf("making an API key: %w", err)
	}
	if count >= maxKeys {
		return Key{}, "", fmt.Errorf("%w: there are %d already, the limit", ErrNewKey, count)
	}
	secret := newKeyText(k.digest)
	if err := k.insert(ctx, k.db, &key, secret); err != nil {
		return Key{}, "", err
	}
	return key, secret, nil
}

// check refuses a key that nobody can have wanted.
func (k *Keys) check(key *Key) error {
	if key.Name == "" || len(key.Name) > maxKeyName || !utf8.ValidString(key.Name) || strings.ContainsFunc(key.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%w: its name wants 1 to %d bytes of printable text", ErrNewKey, maxKeyName)
	}
	if len(key.Roles)+len(key.Grants) == 0 {
		return fmt.Errorf("%w: it needs a role or a grant; the roles are %s", ErrNewKey, strings.Join(k.tables.assignable(), ", "))
	}
	if len(key.Roles) > maxRoles || len(key.Grants) > maxGrants {
		return fmt.Errorf("%w: more than %d roles or %d grants", ErrNewKey, maxRoles, maxGrants)
	}
	for _, role := range key.Roles {
		if !k.tables.Roles[role].Assignable {
			return fmt.Errorf("%w: role %q cannot be given; the roles are %s", ErrNewKey, role, strings.Join(k.tables.assignable(), ", "))
		}
	}
	for _, g := range key.Grants {
		if err := ParseGrant(g); err != nil {
			return fmt.Errorf("%w: %w", ErrNewKey, err)
		}
	}
	if key.ended(k.now()) {
		return fmt.Errorf("%w: it would have expired already", ErrNewKey)
	}
	return nil
}

// execer is a database or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (k *Keys) insert(ctx context.Context, db execer, key *Key, secret Secret) error {
	sum, ok := parseKeyText(k.digest, secret)
	if !ok {
		return errors.New("making an API key: it does not parse")
	}
	roles, err := json.Marshal(key.Roles)
	if err != nil {
		return fmt.Errorf("making an API key: %w", err)
	}
	grants, err := json.Marshal(key.Grants)
	if err != nil {
		return fmt.Errorf("making an API key: %w", err)
	}
	_, err = db.ExecContext(ctx, `INSERT INTO api_key (id, digest, name, roles, grants, created, expires, last_used, revoked, successor)
VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, '')`, key.ID, sum, key.Name, string(roles), string(grants), store.Millis(key.Created), store.Millis(key.Expires))
	if err != nil {
		return fmt.Errorf("making an API key: %w", err)
	}
	return nil
}

const keyColumns = `id, name, roles, grants, created, expires, last_used, revoked, successor`

func scanKey(row store.Row) (Key, error) {
	var key Key
	var roles, grants string
	var created, expires, used, revoked int64
	if err := row.Scan(&key.ID, &key.Name, &roles, &grants, &created, &expires, &used, &revoked, &key.Successor); err != nil {
		return Key{}, err
	}
	if err := errors.Join(json.Unmarshal([]byte(roles), &key.Roles), json.Unmarshal([]byte(grants), &key.Grants)); err != nil {
		return Key{}, fmt.Errorf("reading an API key's row: %w", err)
	}
	key.Created, key.Expires, key.LastUsed, key.Revoked = store.Moment(created), store.Moment(expires), store.Moment(used), store.Moment(revoked)
	return key, nil
}

// List returns all keys, revoked ones too, oldest first.
func (k *Keys) List(ctx context.Context) ([]Key, error) {
	list, err := store.List(ctx, k.db, scanKey, `SELECT `+keyColumns+` FROM api_key ORDER BY created, id`)
	if err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	return list, nil
}

// Rotate makes a successor with the same name, roles, grants and expiry. The old
// key stays valid for overlap, or until it would have expired anyway.
func (k *Keys) Rotate(ctx context.Context, id string, overlap time.Duration) (Key, Secret, error) {
	tx, err := k.db.BeginTx(ctx, nil)
	if err != nil {
		return Key{}, "", fmt.Errorf("rotating an API key: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	old, err := scanKey(tx.QueryRowContext(ctx, `SELECT `+keyColumns+` FROM api_key WHERE id = $1`+k.db.ForUpdate(), id))
	if errors.Is(err, sql.ErrNoRows) {
		return Key{}, "", ErrNoKey
	}
	if err != nil {
		return Key{}, "", fmt.Errorf("rotating an API key: %w", err)
	}
	now := k.now()
	if old.ended(now) {
		return Key{}, "", ErrKeyEnded
	}
	next := Key{ID: newKeyID(), Name: old.Name, Roles: old.Roles, Grants: old.Grants, Created: now, Expires: old.Expires}
	secret := newKeyText(k.digest)
	if err := k.insert(ctx, tx, &next, secret); err != nil {
		return Key{}, "", err
	}
	ends := now.Add(max(overlap, 0))
	if !old.Expires.IsZero() && old.Expires.Before(ends) {
		ends = old.Expires
	}
	if _, err := tx.ExecContext(ctx, `UPDATE api_key SET expires = $1, successor = $2 WHERE id = $3`, store.Millis(ends), next.ID, id); err != nil {
		return Key{}, "", fmt.Errorf("rotating an API key: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return Key{}, "", fmt.Errorf("rotating an API key: %w", err)
	}
	k.forget()
	return next, secret, nil
}

// Revoke ends a key at once; in other processes within five seconds. Revoking
// twice keeps the first instant.
func (k *Keys) Revoke(ctx context.Context, id string) error {
	res, err := k.db.ExecContext(ctx, `UPDATE api_key SET revoked = CASE revoked WHEN 0 THEN $1 ELSE revoked END WHERE id = $2`, store.Millis(k.now()), id)
	if err != nil {
		return fmt.Errorf("revoking an API key: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("revoking an API key: %w", err)
	}
	if n == 0 {
		return ErrNoKey
	}
	k.forget()
	return nil
}

// RevokeAlong revokes a key and the successors that Rotate made of it, up to the first of
// which but says that it is decided about by itself: they have what it had. It may be
// repeated. ErrNoKey.
func (k *Keys) RevokeAlong(ctx context.Context, id string, but func(id string) bool) error {
	return k.along(ctx, id, but, func(tx *sql.Tx, key *Key) error { return k.end(ctx, tx, key.ID) })
}

func (k *Keys) end(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := tx.ExecContext(ctx, `UPDATE api_key SET revoked = CASE revoked WHEN 0 THEN $1 ELSE revoked END WHERE id = $2`, store.Millis(k.now()), id)
	return err
}

// Narrow takes a grant from a key, and from the successors that Rotate made of it, up to the
// first of which but says that it is decided about by itself. A key that is left with
// neither role nor grant is revoked. It may be repeated. ErrNoKey.
func (k *Keys) Narrow(ctx context.Context, id, grant string, but func(id string) bool) error {
	return k.along(ctx, id, but, func(tx *sql.Tx, key *Key) error {
		left := slices.DeleteFunc(slices.Clone(key.Grants), func(g string) bool { return g == grant })
		switch {
		case len(left) == len(key.Grants):
			return nil
		case len(left)+len(key.Roles) == 0:
			return k.end(ctx, tx, key.ID)
		}
		grants, err := json.Marshal(left)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE api_key SET grants = $1 WHERE id = $2`, string(grants), key.ID)
		return err
	})
}

// along changes a key and its successors, all or none, while nobody rotates them. When a
// successor was made says nothing: another gateway may have made it, by another clock.
func (k *Keys) along(ctx context.Context, id string, but func(id string) bool, change func(tx *sql.Tx, key *Key) error) error {
	tx, err := k.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("taking rights from an API key: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	for first := true; id != "" && (first || !but(id)); first = false {
		key, err := scanKey(tx.QueryRowContext(ctx, `SELECT `+keyColumns+` FROM api_key WHERE id = $1`+k.db.ForUpdate(), id))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoKey
		}
		if err != nil {
			return fmt.Errorf("taking rights from an API key: %w", err)
		}
		if err := change(tx, &key); err != nil {
			return fmt.Errorf("taking rights from an API key: %w", err)
		}
		id = key.Successor
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("taking rights from an API key: %w", err)
	}
	k.forget()
	return nil
}

// SameHolder returns the IDs of the actors who are whoever holds an actor's credential:
// itself and, of an API key, the keys that it was rotated from and to, however often.
func (k *Keys) SameHolder(ctx context.Context, actor string) (map[string]bool, error) {
	return sameHolder(ctx, k.db, actor)
}

func sameHolder(ctx context.Context, db store.Queryer, actor string) (map[string]bool, error) {
	same := map[string]bool{actor: true}
	pairs, err := store.List(ctx, db, func(row store.Row) (pair [2]string, err error) {
		err = row.Scan(&pair[0], &pair[1])
		return [2]string{"key:" + pair[0], "key:" + pair[1]}, err
	}, `SELECT id, successor FROM api_key WHERE successor <> ''`)
	if err != nil {
		return nil, fmt.Errorf("reading which API keys are one's: %w", err)
	}
	for grown := true; grown; {
		grown = false
		for _, p := range pairs {
			if same[p[0]] != same[p[1]] {
				same[p[0]], same[p[1]], grown = true, true, true
			}
		}
	}
	return same, nil
}

// forget empties the cache and keeps reads that are under way out of it.
func (k *Keys) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gen++
	k.cache.Purge()
}

// Verify finds the key that was presented. A key that is malformed, unknown,
// revoked or expired is ErrRefused, one error for all; other errors mean that the
// database could not be asked.
func (k *Keys) Verify(ctx context.Context, presented Secret) (Key, error) {
	sum, ok := parseKeyText(k.digest, presented)
	if !ok {
		return Key{}, ErrRefused
	}
	now := k.now()
	key, err := k.bySum(ctx, [32]byte(sum), now)
	if err != nil {
		return Key{}, err
	}
	if key.ended(now) {
		return Key{}, ErrRefused
	}
	k.touch(key.ID, now)
	return key, nil
}

func (k *Keys) bySum(ctx context.Context, sum [32]byte, now time.Time) (Key, error) {
	if c, ok := k.cache.Get(sum); ok && now.Sub(c.read) < keyCacheTime {
		return c.key, nil
	}
	k.mu.Lock()
	gen := k.gen
	k.mu.Unlock()
	key, err := scanKey(k.db.QueryRowContext(ctx, `SELECT `+keyColumns+` FROM api_key WHERE digest = $1`, sum[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return Key{}, ErrRefused
	}
	if err != nil {
		return Key{}, fmt.Errorf("looking for an API key: %w", err)
	}
	k.mu.Lock()
	if gen == k.gen {
		k.cache.Add(sum, cachedKey{key, now})
	}
	k.mu.Unlock()
	return key, nil
}

// touch writes LastUsed, at most once a minute for each key, beside the call:
// knowing when a key was used is not worth a call's time, nor its failure.
func (k *Keys) touch(id string, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if last, ok := k.used[id]; k.closed || ok && now.Sub(last) < lastUsedStep {
		return
	}
	k.used[id] = now
	k.writes.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), lastUsedTimeout)
		defer cancel()
		if _, err := k.db.ExecContext(ctx, `UPDATE api_key SET last_used = $1 WHERE id = $2 AND last_used < $1`, store.Millis(now), id); err != nil {
			k.log.Warn("an API key's last use was not written", slog.String("key", id), slog.Any("error", err))
		}
	})
}

// Close waits for writes that are under way. It may be called twice.
func (k *Keys) Close() error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.writes.Wait()
	return nil
}

// sorted is a sorted copy without duplicates, never nil.
func sorted(list []string) []string {
	out := append([]string{}, list...)
	slices.Sort(out)
	return slices.Compact(out)
}
