package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// KeyStatus describes the keys of a data directory: names and counts, and nothing
// secret.
type KeyStatus struct {
	// Dir is the directory of the key files.
	Dir   string    `json:"dir"`
	Files []KeyFile `json:"files"`
	// Keys are those of the tenant's keyset that wrap keys of people and days: the one in
	// use, and older ones as long as something is under them.
	Keys []DataKey `json:"keys"`
	// Created is when the vault was made.
	Created time.Time `json:"created"`
}

// KeyFile is one file of keys.
type KeyFile struct {
	Name string `json:"name"`
	// Seal is none, passphrase or key_file.
	Seal string `json:"seal,omitempty"`
	// Keys are the ids of its keys, the one in use first.
	Keys []uint32 `json:"keys,omitempty"`
	// Changed is when the file was written.
	Changed time.Time `json:"changed,omitzero"`
	// Problem says why it cannot be used; empty when nothing is known against it. The
	// seal is not tried.
	Problem string `json:"problem,omitempty"`
}

// DataKey is a key of the tenant's keyset with what is wrapped under it.
type DataKey struct {
	// ID is 0 for the key of a vault that was made before keys had a number here.
	ID int64 `json:"id"`
	// Primary tells that new keys are wrapped under it. The others go when nothing is
	// under them any more.
	Primary bool `json:"primary"`
	// People and Days are how many keys of theirs it wraps.
	People int64 `json:"people"`
	Days   int64 `json:"days"`
}

// Rotating tells that keys are still wrapped under an older key, or the master file
// holds two.
func (s KeyStatus) Rotating() bool {
	for _, f := range s.Files {
		if f.Name == masterFile && len(f.Keys) > 1 {
			return true
		}
	}
	return len(s.Keys) > 1
}

// Inspect describes the keys of the data directory dir. It needs no seal and changes
// nothing, and may run beside a gateway. What is wrong with a key file stands in its
// entry; the error is about the database.
func Inspect(ctx context.Context, dir string, c Config) (s KeyStatus, err error) {
	c.setDefaults(dir)
	s.Dir = c.Keys
	for _, f := range keyFiles {
		s.Files = append(s.Files, inspectFile(c.Keys, f.name))
	}
	where, err := store.Where(dir, c.Database, dbFile)
	if err != nil {
		return s, fmt.Errorf("looking at the vault: %w", err)
	}
	db, err := store.Open(ctx, where, store.Options{ReadOnly: true})
	if errors.Is(err, store.ErrMissing) {
		return s, fmt.Errorf("%w: %w; run `caregate init`", ErrNoVault, err)
	}
	if err != nil {
		return s, fmt.Errorf("looking at the vault: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var created, primary int64
	if err := db.QueryRowContext(ctx, `SELECT version, created FROM tenant_key WHERE tenant = $1`, c.Tenant).Scan(&primary, &created); err != nil {
		return s, fmt.Errorf("looking at the vault: %w", err)
	}
	s.Created = time.UnixMilli(created).UTC()
	s.Keys = []DataKey{{ID: primary, Primary: true}}
	for i, table := range wrappedTables() {
		if err := s.count(ctx, db, table.name, i, c.Tenant); err != nil {
			return s, err
		}
	}
	return s, nil
}

// count adds what one table has under each key.
func (s *KeyStatus) count(ctx context.Context, db *store.DB, table string, which int, tenant string) error {
	rows, err := db.QueryContext(ctx, `SELECT key_version, count(*) FROM `+table+` WHERE tenant = $1 GROUP BY key_version ORDER BY key_version`, tenant)
	if err != nil {
		return fmt.Errorf("counting keys: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var version, n int64
		if err := rows.Scan(&version, &n); err != nil {
			return fmt.Errorf("counting keys: %w", err)
		}
		at := slices.IndexFunc(s.Keys, func(k DataKey) bool { return k.ID == version })
		if at < 0 {
			at = len(s.Keys)
			s.Keys = append(s.Keys, DataKey{ID: version})
		}
		if which == tablePerson {
			s.Keys[at].People += n
		} else {
			s.Keys[at].Days += n
		}
	}
	return rows.Err()
}

// inspectFile describes a key file without opening its keyset.
func inspectFile(dir, name string) KeyFile {
	f := KeyFile{Name: name}
	path := filepath.Join(dir, name)
	if err := checkMode(dir, keyDirMode); err != nil {
		f.Problem = err.Error()
		return f
	}
	raw, sealed, err := readKeyFile(path)
	if err != nil {
		f.Problem = err.Error()
		return f
	}
	defer clear(raw)
	if fi, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		f.Changed = fi.ModTime().UTC().Truncate(time.Second)
	}
	f.Seal = sealNone
	if sealed != nil {
		f.Seal, raw = sealed.Seal, sealed.Keyset
	}
	if f.Keys = keyIDs(raw); f.Keys == nil {
		f.Problem = damaged(path).Error()
	}
	return f
}

// keyIDs are the ids of a keyset in Tink's JSON, encrypted or not, the primary first; nil
// for what is none.
func keyIDs(raw []byte) (ids []uint32) {
	type entry struct {
		ID uint32 `json:"keyId"`
	}
	type info struct {
		Primary uint32  `json:"primaryKeyId"`
		Clear   []entry `json:"key"`
		Sealed  []entry `json:"keyInfo"`
	}
	var k struct {
		info
		Of info `json:"keysetInfo"`
	}
	if json.Unmarshal(raw, &k) != nil {
		return nil
	}
	in := k.info
	if len(k.Of.Sealed) > 0 {
		in = k.Of
	}
	for _, e := range append(in.Clear, in.Sealed...) {
		if e.ID == in.Primary {
			ids = append([]uint32{e.ID}, ids...)
		} else {
			ids = append(ids, e.ID)
		}
	}
	return ids
}
