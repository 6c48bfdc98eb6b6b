package vault

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/caregate/caregate/internal/store"
)

// RotateMaster gives master.json a new key, wraps the keysets of all tenants under it,
// and takes the old key out of the file. Other gateways on the same database go on with
// what they have in memory, and need the new file before they start again.
//
// The order makes every interruption harmless (V12): the file holds both keys before
// any row needs the new one, and holds the old one until no row needs it. A rotation
// that was interrupted is finished instead of begun anew, by this or by Rewrap.
func (v *Vault) RotateMaster(ctx context.Context) (err error) {
	if err := v.usable(); err != nil {
		return err
	}
	unlock, err := store.LockDir(v.keysDir)
	if err != nil {
		return fmt.Errorf("rotating the master key: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	path := filepath.Join(v.keysDir, masterFile)
	h, err := loadKeyFile(ctx, path, v.sealing())
	if err != nil {
		return err
	}
	if h.Len() == 1 {
		if h, err = withNewPrimary(h); err != nil {
			return err
		}
		if err := writeKeyFile(ctx, path, h, v.sealing()); err != nil {
			return err
		}
		v.reached("master: the file has both")
	}
	return v.wrapUnderMaster(ctx, path, h)
}

// finishMaster ends a rotation of the master key that was interrupted.
func (v *Vault) finishMaster(ctx context.Context) (finished bool, err error) {
	if h := v.held.Load(); h.masterKeys == nil || h.masterKeys.Len() == 1 {
		return false, nil
	}
	return true, v.RotateMaster(ctx)
}

// wrapUnderMaster wraps the keysets of all tenants under the newest master key, and
// takes the older ones out of the file.
func (v *Vault) wrapUnderMaster(ctx context.Context, path string, h *keyset.Handle) error {
	master, err := aead.New(h)
	if err != nil {
		return wrongKind(path, "encryption")
	}
	tenants, err := v.tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if err := v.wrapTenant(ctx, t, master); err != nil {
			return err
		}
		v.reached("master: a tenant is wrapped")
	}
	if h, err = onlyPrimary(h); err != nil {
		return err
	}
	if err := writeKeyFile(ctx, path, h, v.sealing()); err != nil {
		return err
	}
	v.reached("master: the old key is gone")
	if master, err = aead.New(h); err != nil {
		return wrongKind(path, "encryption")
	}
	v.reloading.Lock()
	defer v.reloading.Unlock()
	row, err := readTenant(ctx, v.db, v.tenant)
	if err != nil {
		return err
	}
	next, err := hold(row, &keys{master: master, masterKeys: h})
	if err != nil {
		return err
	}
	v.held.Store(next)
	return nil
}

func (v *Vault) tenants(ctx context.Context) (names []string, err error) {
	rows, err := v.db.QueryContext(ctx, `SELECT tenant FROM tenant_key ORDER BY tenant`)
	if err != nil {
		return nil, fmt.Errorf("reading the tenants: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return nil, fmt.Errorf("reading the tenants: %w", err)
		}
		names = append(names, t)
	}
	return names, rows.Err()
}

// wrapTenant wraps one tenant's keyset under the primary of master.
func (v *Vault) wrapTenant(ctx context.Context, tenant string, master tink.AEAD) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	tx, err := v.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("wrapping the tenant's keyset: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	row, err := scanTenant(tx.QueryRowContext(ctx, tenantSQL+v.db.ForUpdate(), tenant), tenant)
	if err != nil {
		return err
	}
	h, err := hold(row, &keys{master: master})
	if err != nil {
		return err
	}
	wrapped, err := wrapKeyset(h.keys, master, tenant)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE tenant_key SET keyset = $1 WHERE tenant = $2`, wrapped, tenant); err != nil {
		return fmt.Errorf("wrapping the tenant's keyset: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("wrapping the tenant's keyset: %w", err)
	}
	return nil
}

// sealing is the seal of the key files.
func (v *Vault) sealing() KeySeal {
	v.reloading.Lock()
	defer v.reloading.Unlock()
	return v.seal
}

// UseSeal has an open vault go on with another seal, after a configuration was
// reloaded. It is refused when it does not open the key files.
func (v *Vault) UseSeal(ctx context.Context, s KeySeal) error {
	if v.sealing() == s {
		return nil
	}
	k, err := loadKeys(ctx, v.keysDir, s)
	if err != nil {
		return err
	}
	row, err := readTenant(ctx, v.db, v.tenant)
	if err != nil {
		return err
	}
	if err := row.prove(k); err != nil {
		return err
	}
	if _, err := hold(row, k); err != nil {
		return err
	}
	v.reloading.Lock()
	defer v.reloading.Unlock()
	v.seal = s
	v.leased(s)
	return nil
}

// Reseal seals the key files anew: those that c.Seal does not open are opened with from
// and written under c.Seal; nil is for files in clear. It reads and writes key files
// only, one after the other; interrupted, it is repeated with the same arguments, and
// Open refuses meanwhile. It returns how many files it wrote. A gateway that runs is not
// disturbed; it needs the new seal when it is reloaded.
func Reseal(ctx context.Context, dir string, c Config, from KeySeal) (written int, err error) {
	c.setDefaults(dir)
	if err := checkMode(c.Keys, keyDirMode); err != nil {
		return 0, err
	}
	unlock, err := store.LockDir(c.Keys)
	if err != nil {
		return 0, fmt.Errorf("sealing the key files: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	// All are opened before one is written: a wrong passphrase changes nothing.
	var todo []int
	var handles [len(keyFiles)]*keyset.Handle
	for i, f := range keyFiles {
		path := filepath.Join(c.Keys, f.name)
		if _, err := loadKeyFile(ctx, path, c.Seal); err == nil {
			continue
		} else if !errors.Is(err, ErrKeySeal) {
			return 0, err
		}
		if handles[i], err = loadKeyFile(ctx, path, from); err != nil {
			return 0, fmt.Errorf("neither the new seal nor the old one opens %s: %w", f.name, err)
		}
		todo = append(todo, i)
	}
	for _, i := range todo {
		if err := writeKeyFile(ctx, filepath.Join(c.Keys, keyFiles[i].name), handles[i], c.Seal); err != nil {
			return written, err
		}
		written++
	}
	return written, nil
}
