package vault

import (
	"bytes"
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/caregate/caregate/internal/store"
)

// tenantRow is a row of tenant_key.
type tenantRow struct {
	tenant                         string
	keyset, indexProof, checkProof []byte
	version                        int64
}

const tenantSQL = `SELECT keyset, index_proof, check_proof, version FROM tenant_key WHERE tenant = $1`

func readTenant(ctx context.Context, db *store.DB, tenant string) (*tenantRow, error) {
	return scanTenant(db.QueryRowContext(ctx, tenantSQL, tenant), tenant)
}

func scanTenant(row *sql.Row, tenant string) (*tenantRow, error) {
	r := &tenantRow{tenant: tenant}
	err := row.Scan(&r.keyset, &r.indexProof, &r.checkProof, &r.version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: its creation was interrupted; run `caregate init` again", ErrNoVault)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tenant's keyset: %w", err)
	}
	return r, nil
}

// held is what this process has in memory of the keys that rotate. It is replaced as a
// whole and never changed.
type held struct {
	master     tink.AEAD
	masterKeys *keyset.Handle
	row        *tenantRow
	keys       *keyset.Handle // the tenant's
	data       tink.AEAD      // wraps the keys of people and days
	primary    int64          // the key of keys that wraps
}

// hold opens the tenant's keyset.
func hold(row *tenantRow, k *keys) (*held, error) {
	h := &held{master: k.master, masterKeys: k.masterKeys, row: row}
	var err error
	// What Tink says about a failure is left out; it has no more to tell.
	if h.keys, err = keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(row.keyset)), k.master, tenantAD(row.tenant)); err != nil {
		return nil, fmt.Errorf("%w: %s cannot open it; after `caregate keys rotate --master` every gateway needs the new file", ErrKeyMismatch, masterFile)
	}
	if h.data, err = aead.New(h.keys); err != nil {
		return nil, fmt.Errorf("opening the tenant's keyset: %w", err)
	}
	h.primary = primaryOf(h.keys)
	return h, nil
}

func primaryOf(h *keyset.Handle) int64 { return int64(h.KeysetInfo().GetPrimaryKeyId()) }

// prove checks that index and check keys belong to the tenant's row.
func (r *tenantRow) prove(k *keys) error {
	for _, b := range []struct {
		name   string
		branch *branch
		want   []byte
	}{{indexFile, k.index, r.indexProof}, {checkFile, k.check, r.checkProof}} {
		if subtle.ConstantTimeCompare(proof(b.branch, r.tenant), b.want) != 1 {
			return fmt.Errorf("%w: %s is another key than the one it was made with", ErrKeyMismatch, b.name)
		}
	}
	return nil
}

func tenantAD(tenant string) []byte {
	return appendPart(appendPart(nil, "caregate tenant v1"), tenant)
}

// wrapKeyset encrypts a tenant's keyset under the master keyset.
func wrapKeyset(h *keyset.Handle, master tink.AEAD, tenant string) ([]byte, error) {
	var wrapped bytes.Buffer
	if err := h.WriteWithAssociatedData(keyset.NewBinaryWriter(&wrapped), master, tenantAD(tenant)); err != nil {
		return nil, fmt.Errorf("wrapping the tenant's keyset: %w", err)
	}
	return wrapped.Bytes(), nil
}

// errRotated says that the keyset in memory is not the newest.
var errRotated = errors.New("the tenant's keyset was rotated meanwhile")

// fenced returns the keyset in memory when it is the one in force, for a transaction
// that is going to write wrapped keys. The row is locked against a rotation until the
// transaction ends, so that no key is wrapped under a key that is being destroyed (V12).
func (v *Vault) fenced(ctx context.Context, tx *sql.Tx) (*held, error) {
	query := `SELECT version FROM tenant_key WHERE tenant = $1`
	if v.db.Dialect == store.Postgres {
		query += ` FOR SHARE` // a transaction on SQLite is alone anyway
	}
	var version int64
	if err := tx.QueryRowContext(ctx, query, v.tenant).Scan(&version); err != nil {
		return nil, fmt.Errorf("reading the tenant's keyset: %w", err)
	}
	if h := v.held.Load(); h.row.version == version {
		return h, nil
	}
	return nil, errRotated
}

// whileRotated runs do again with the newest keyset when it ran into a rotation.
func (v *Vault) whileRotated(ctx context.Context, do func() error) error {
	const tries = 5 // rotations in the time of a transaction
	for n := 1; ; n++ {
		err := untangled(do)
		if n == tries || !errors.Is(err, errRotated) {
			return err
		}
		if _, err := v.reload(ctx); err != nil {
			return err
		}
	}
}

// reload takes over what another process made of the tenant's keyset, and reports
// whether that is anything new.
func (v *Vault) reload(ctx context.Context) (changed bool, err error) {
	v.reloading.Lock()
	defer v.reloading.Unlock()
	have := v.held.Load()
	row, err := readTenant(ctx, v.db, v.tenant)
	if err != nil {
		return false, err
	}
	if row.version == have.row.version && bytes.Equal(row.keyset, have.row.keyset) {
		return false, nil
	}
	next, err := hold(row, &keys{master: have.master, masterKeys: have.masterKeys})
	if errors.Is(err, ErrKeyMismatch) {
		// The master key was rotated too: its file says so.
		var k *keys
		if k, err = loadKeys(ctx, v.keysDir, v.seal); err != nil {
			return false, err
		}
		next, err = hold(row, k)
	}
	if err != nil {
		return false, err
	}
	v.held.Store(next)
	v.log.Info("the tenant's keyset was rotated by another process; the new one is in use")
	return true, nil
}

// errWrapped says that a wrapped key does not open: its row was changed.
var errWrapped = errors.New("a wrapped key does not open")

// unwrapKey opens the wrapped key that read returns, with its associated data. One that
// does not open may be wrapped by a key that is newer than what this process has, or was
// read before a rotation ended that has destroyed its key since: what can have changed is
// read again, until nothing has. Then the error is errWrapped.
func (v *Vault) unwrapKey(ctx context.Context, read func() (wrapped, ad []byte, err error)) ([]byte, error) {
	var with *held
	var tried []byte
	for {
		wrapped, ad, err := read()
		if err != nil {
			return nil, err
		}
		v.reached("wrapped key read")
		h := v.held.Load()
		v.reached("keyset taken")
		if h == with && bytes.Equal(wrapped, tried) {
			return nil, errWrapped
		}
		key, err := h.data.Decrypt(wrapped, ad)
		if err == nil || errors.Is(err, ErrLapsed) {
			return key, err
		}
		with, tried = h, wrapped
		if _, err := v.reload(ctx); err != nil {
			return nil, err
		}
	}
}
