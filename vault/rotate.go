package vault

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// mostKeys is how many keys the tenant's keyset may hold: rotations that were begun and
// whose re-wrapping has not ended.
const mostKeys = 16

// rewrapBatch is how many rows one transaction of Rewrap wraps again.
const rewrapBatch = 256

var (
	// ErrTooManyKeys is returned by Rotate when the re-wrapping of earlier rotations has
	// not ended for a long time; Rewrap says why.
	ErrTooManyKeys = errors.New("too many rotations have not ended")
)

// wrappedTable is a table whose rows hold a key under the tenant's keyset. Both have the
// same shape: id, a word, the wrapped key, a number.
type wrappedTable struct {
	name, columns string
	ad            func(tenant, word string, id [idSize]byte, number int64) []byte
}

// Places in wrappedTables.
const (
	tablePerson = iota
	tablePeriod
)

// wrappedTables are all of them.
func wrappedTables() [2]wrappedTable {
	return [2]wrappedTable{
		{"person", "id, sort, wrapped, created", personAD},
		{"period_key", "id, purpose, wrapped, day", func(tenant, word string, id [idSize]byte, number int64) []byte {
			return periodAD(tenant, word, number, id)
		}},
	}
}

// versionOf is the key that a key was wrapped under: Tink writes its id in front
// (output prefix TINK).
func versionOf(wrapped []byte) int64 {
	if len(wrapped) < 5 || wrapped[0] != 1 {
		return 0
	}
	return int64(binary.BigEndian.Uint32(wrapped[1:5]))
}

// Rotate gives the tenant's keyset a new key, under which the keys of people and days are
// wrapped from now on, by every process. What is wrapped under older keys opens as
// before; it is wrapped again when it is used, and by Rewrap, which at last destroys
// the older keys. One transaction: interrupted, it has happened or not (V12).
func (v *Vault) Rotate(ctx context.Context) error {
	if err := v.usable(); err != nil {
		return err
	}
	return v.whileRotated(ctx, func() error {
		return v.changeTenant(ctx, "rotating", func(_ *sql.Tx, h *held) (*keyset.Handle, error) {
			if h.keys.Len() >= mostKeys {
				return nil, fmt.Errorf("the tenant's keyset holds %d keys: %w", h.keys.Len(), ErrTooManyKeys)
			}
			return withNewPrimary(h.keys)
		})
	})
}

// withNewPrimary is a keyset with one key more, which is the primary.
func withNewPrimary(h *keyset.Handle) (*keyset.Handle, error) {
	m := keyset.NewManagerFromHandle(h)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return m.Handle()
}

// onlyPrimary is a keyset without its older keys.
func onlyPrimary(h *keyset.Handle) (*keyset.Handle, error) {
	m := keyset.NewManagerFromHandle(h)
	info := h.KeysetInfo()
	for _, k := range info.GetKeyInfo() {
		if k.GetKeyId() != info.GetPrimaryKeyId() {
			if err := m.Delete(k.GetKeyId()); err != nil {
				return nil, fmt.Errorf("taking an old key away: %w", err)
			}
		}
	}
	return m.Handle()
}

// changeTenant replaces the tenant's keyset by what next makes of it, in one transaction
// that leaves nothing of the old one in the files. A nil keyset changes nothing.
func (v *Vault) changeTenant(ctx context.Context, step string, next func(tx *sql.Tx, h *held) (*keyset.Handle, error)) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	var now *held
	err := v.shredding(ctx, func(tx *sql.Tx) error {
		h := v.held.Load()
		if h.keys == nil {
			return ErrLapsed
		}
		row, err := scanTenant(tx.QueryRowContext(ctx, tenantSQL+v.db.ForUpdate(), v.tenant), v.tenant)
		if err != nil {
			return err
		}
		if row.version != h.row.version || !bytes.Equal(row.keyset, h.row.keyset) {
			return errRotated
		}
		made, err := next(tx, h)
		if err != nil || made == nil {
			return err
		}
		changed := *row
		if changed.keyset, err = wrapKeyset(made, h.master, v.tenant); err != nil {
			return err
		}
		changed.version = primaryOf(made)
		if now, err = hold(&changed, &keys{master: h.master, masterKeys: h.masterKeys}); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE tenant_key SET keyset = $1, version = $2 WHERE tenant = $3`, changed.keyset, changed.version, v.tenant); err != nil {
			return fmt.Errorf("writing the tenant's keyset: %w", err)
		}
		v.reached(step + ": before the commit")
		return nil
	})
	if err != nil || now == nil {
		return err
	}
	v.reached(step + ": after the commit")
	v.held.Store(now)
	return nil
}

// Rewrapped says what Rewrap did.
type Rewrapped struct {
	// People and Days are how many of their keys were wrapped again.
	People, Days int
	// Unreadable rows were changed outside the vault. They hold up the end of the
	// rotation, because the old key may be what they need.
	Unreadable int
	// Retired is how many old keys were destroyed.
	Retired int
	// Master tells that an interrupted rotation of the master key was finished.
	Master bool
}

// Rewrap wraps the keys of people and days again that are under old keys of the
// tenant's keyset, and destroys the old keys when nothing needs them any more, in any
// process. Interrupted, it goes on where it was. It may run in several processes at
// once, and beside everything else.
func (v *Vault) Rewrap(ctx context.Context) (r Rewrapped, err error) {
	if err := v.usable(); err != nil {
		return r, err
	}
	if r.Master, err = v.finishMaster(ctx); err != nil {
		return r, err
	}
	if _, err := v.reload(ctx); err != nil {
		return r, err
	}
	h := v.held.Load()
	if h.keys == nil {
		return r, ErrLapsed
	}
	if h.keys.Len() == 1 {
		return r, nil
	}
	old := []int64{0} // from before rows had a version
	for _, k := range h.keys.KeysetInfo().GetKeyInfo() {
		if id := int64(k.GetKeyId()); id != h.primary {
			old = append(old, id)
		}
	}
	for i, count := range []*int{&r.People, &r.Days} {
		table := wrappedTables()[i]
		for _, version := range old {
			if err := v.rewrapVersion(ctx, table, version, count, &r.Unreadable); err != nil {
				return r, err
			}
		}
	}
	if r.Unreadable > 0 {
		return r, nil
	}
	err = v.whileRotated(ctx, func() error { return v.retire(ctx, &r.Retired) })
	return r, err
}

func (v *Vault) rewrapVersion(ctx context.Context, table wrappedTable, version int64, done, unreadable *int) error {
	query := `SELECT ` + table.columns + ` FROM ` + table.name + ` WHERE tenant = $1 AND key_version = $2 AND id > $3 ORDER BY id LIMIT $4`
	after := []byte{}
	for {
		var n, bad int
		err := v.whileRotated(ctx, func() (err error) {
			n, bad, err = v.rewrapSome(ctx, table, query, &after, v.tenant, version, after, rewrapBatch)
			return err
		})
		if err != nil {
			return err
		}
		*done, *unreadable = *done+n, *unreadable+bad
		if n+bad < rewrapBatch {
			return nil
		}
	}
}

// rewrapSome wraps the rows of one query again, in one transaction, and moves last to
// the last one of them.
func (v *Vault) rewrapSome(ctx context.Context, table wrappedTable, query string, last *[]byte, args ...any) (done, unreadable int, err error) {
	v.writing.Lock()
	defer v.writing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	tx, err := v.writer.BeginTx(ctx, nil)
	if err != nil {
		return 0, 0, fmt.Errorf("wrapping keys again: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	h, err := v.fenced(ctx, tx)
	if err != nil {
		return 0, 0, err
	}
	done, unreadable, end, err := v.rewrapRows(ctx, tx, h, table, query, args...)
	if err != nil {
		return 0, 0, err
	}
	v.reached("rewrap: before the commit of " + table.name)
	if err := tx.Commit(); err != nil {
		return 0, 0, fmt.Errorf("wrapping keys again: %w", err)
	}
	v.reached("rewrap: after the commit of " + table.name)
	if end != nil {
		*last = end
	}
	return done, unreadable, nil
}

// wrappedRow is a row of a wrappedTable.
type wrappedRow struct {
	id, wrapped []byte
	word        string
	number      int64
}

func (v *Vault) rewrapRows(ctx context.Context, tx *sql.Tx, h *held, table wrappedTable, query string, args ...any) (done, unreadable int, last []byte, err error) {
	found, err := readWrapped(ctx, tx, query+v.db.ForNoKeyUpdate(), args...)
	if err != nil {
		return 0, 0, nil, err
	}
	for _, r := range found {
		last = r.id
		if versionOf(r.wrapped) == h.primary && len(r.id) == idSize {
			// Only the note beside it is old.
			if err := setWrapped(ctx, tx, table, r, r.wrapped, h.primary); err != nil {
				return 0, 0, nil, err
			}
			done++
			continue
		}
		next, err := v.rewrapRow(h, table, r)
		if err != nil {
			_ = v.changed(table.name, r.id) // reports it; the row stays as it is
			unreadable++
			continue
		}
		if err := setWrapped(ctx, tx, table, r, next, h.primary); err != nil {
			return 0, 0, nil, err
		}
		done++
	}
	return done, unreadable, last, nil
}

func setWrapped(ctx context.Context, tx *sql.Tx, table wrappedTable, r wrappedRow, next []byte, version int64) error {
	if _, err := tx.ExecContext(ctx, `UPDATE `+table.name+` SET wrapped = $1, key_version = $2 WHERE id = $3 AND wrapped = $4`, next, version, r.id, r.wrapped); err != nil {
		return fmt.Errorf("wrapping keys again: %w", err)
	}
	return nil
}

// rewrapRow opens one wrapped key and wraps it under the primary.
func (v *Vault) rewrapRow(h *held, table wrappedTable, r wrappedRow) ([]byte, error) {
	if len(r.id) != idSize {
		return nil, ErrRow
	}
	ad := table.ad(v.tenant, r.word, [idSize]byte(r.id), r.number)
	key, err := h.data.Decrypt(r.wrapped, ad)
	if err != nil {
		return nil, ErrRow
	}
	defer clear(key)
	return h.data.Encrypt(key, ad)
}

func readWrapped(ctx context.Context, tx *sql.Tx, query string, args ...any) (found []wrappedRow, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading wrapped keys: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r wrappedRow
		if err := rows.Scan(&r.id, &r.word, &r.wrapped, &r.number); err != nil {
			return nil, fmt.Errorf("reading wrapped keys: %w", err)
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

// retire destroys the old keys of the tenant's keyset when nothing is wrapped under
// them any more. Nobody can wrap under one meanwhile, see fenced.
func (v *Vault) retire(ctx context.Context, retired *int) error {
	*retired = 0
	return v.changeTenant(ctx, "retiring", func(tx *sql.Tx, h *held) (*keyset.Handle, error) {
		if h.keys.Len() == 1 {
			return nil, nil
		}
		for _, table := range wrappedTables() {
			var n int64
			err := tx.QueryRowContext(ctx, `SELECT count(*) FROM `+table.name+` WHERE tenant = $1 AND (key_version < $2 OR key_version > $2)`, v.tenant, h.primary).Scan(&n)
			if err != nil {
				return nil, fmt.Errorf("counting wrapped keys: %w", err)
			}
			if n > 0 {
				return nil, nil // the next Rewrap takes them
			}
		}
		*retired = h.keys.Len() - 1
		return onlyPrimary(h.keys)
	})
}

// stale is a row that was read and is wrapped under an old key.
type stale struct {
	table int // of wrappedTables
	id    [idSize]byte
}

// touched has a key wrapped again, by and by, that was used and is under an old key.
func (v *Vault) touched(table int, id [idSize]byte, wrapped []byte) {
	if versionOf(wrapped) != v.held.Load().primary {
		v.rewrap.add(stale{table, id})
	}
}

// rewrapTouched wraps again what was touched. What fails is left to Rewrap.
func (v *Vault) rewrapTouched(ctx context.Context, batch []*job[stale, struct{}]) error {
	tx, err := v.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("wrapping keys again: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	h, err := v.fenced(ctx, tx)
	if err != nil {
		return err
	}
	var all []stale
	for _, j := range batch {
		all = append(all, j.wanted...)
	}
	// In the order of Rewrap, so that the two never wait for each other's rows crosswise.
	slices.SortFunc(all, func(a, b stale) int { return cmp.Or(a.table-b.table, bytes.Compare(a.id[:], b.id[:])) })
	for _, s := range slices.Compact(all) {
		table := wrappedTables()[s.table]
		query := `SELECT ` + table.columns + ` FROM ` + table.name + ` WHERE tenant = $1 AND id = $2`
		if _, _, _, err := v.rewrapRows(ctx, tx, h, table, query, v.tenant, s.id[:]); err != nil {
			v.log.Warn("a key that was used could not be wrapped again; the sweep will", slog.Any("error", err))
			return err
		}
	}
	v.reached("touch: before the commit")
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("wrapping keys again: %w", err)
	}
	return nil
}
