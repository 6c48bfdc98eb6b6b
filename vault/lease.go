package vault

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// LeasedSeal is a KeySeal whose answer counts for a time: somebody elsewhere can say no
// later. Without it keys stay in memory until Close.
type LeasedSeal interface {
	KeySeal
	// Lease is the time between two renewals, and the time after the last successful one
	// for which keys stay in memory.
	Lease() (renew, hold time.Duration)
}

var (
	// ErrSealDown is wrapped by errors of a KeySeal that nobody answered for: whether it
	// opens the files is not known.
	ErrSealDown = errors.New("the seal of the key files cannot be reached")
	// ErrLapsed is returned by everything that needs a key, when the seal has not been
	// renewed in its time or was refused. Nothing is sealed, opened or named then (V16).
	ErrLapsed = errors.New("the vault's keys have lapsed: their seal was not renewed")
)

// RenewEvery is how often Renew should be called; zero is never.
func (v *Vault) RenewEvery() time.Duration {
	if s, ok := v.sealing().(LeasedSeal); ok {
		renew, _ := s.Lease()
		return renew
	}
	return 0
}

// Renew asks a leased seal to open the key files again. When it refuses, the keys lapse at
// once; when it cannot be asked, they stay until their time is over. After that, every
// success brings them back. Other seals need no renewal.
func (v *Vault) Renew(ctx context.Context) error {
	s, ok := v.sealing().(LeasedSeal)
	if !ok {
		return nil
	}
	k, err := loadKeys(ctx, v.keysDir, s)
	var row *tenantRow
	if err == nil {
		row, err = readTenant(ctx, v.db, v.tenant)
	}
	var h *held
	if err == nil {
		h, err = hold(row, k)
	}
	if err != nil {
		if errors.Is(err, ErrKeySeal) {
			v.renewed.Store(0)
		}
		if errUse := v.usable(); errUse != nil {
			v.forget()
		}
		return err
	}
	v.reloading.Lock()
	defer v.reloading.Unlock()
	v.renewed.Store(v.now().UnixMilli())
	if v.lapsed.CompareAndSwap(true, false) {
		v.held.Store(h)
		v.log.Info("the seal of the key files answers again; the vault serves")
	}
	return nil
}

// usable is nil while keys may be used.
func (v *Vault) usable() error {
	if v.lapsed.Load() {
		return ErrLapsed
	}
	hold := v.holdTime.Load()
	if hold == 0 || v.now().UnixMilli()-v.renewed.Load() <= hold {
		return nil
	}
	return ErrLapsed
}

// leased notes the time that the seal's answer counts, from now on.
func (v *Vault) leased(s KeySeal) {
	v.renewed.Store(v.now().UnixMilli())
	v.holdTime.Store(0)
	if l, ok := s.(LeasedSeal); ok {
		_, hold := l.Lease()
		v.holdTime.Store(hold.Milliseconds())
	}
}

// forget takes the keys out of memory that open something. What only computes names (the
// keys of index and checks) stays until the process ends; nothing is asked of the index.
func (v *Vault) forget() {
	v.reloading.Lock()
	defer v.reloading.Unlock()
	if v.lapsed.Swap(true) {
		return
	}
	v.held.Store(&held{row: v.held.Load().row, master: lapsedKey{}, data: lapsedKey{}})
	v.purge()
	v.log.Error("the vault's keys have lapsed: calls that need one are refused until the seal answers", slog.String("seal", v.seal.Kind()))
}

// purge empties the caches. What was being read from the database at this moment is not
// put into them afterwards.
func (v *Vault) purge() {
	v.forgotten.Add(1)
	v.byMAC.Purge()
	v.actors.Purge()
	v.byRow.Purge()
	v.tokens.Purge()
	v.periods.mu.Lock()
	defer v.periods.mu.Unlock()
	v.periods.newest = nil
}

// lapsedKey stands where a key was.
type lapsedKey struct{}

// Encrypt implements tink.AEAD.
func (lapsedKey) Encrypt(_, _ []byte) ([]byte, error) { return nil, ErrLapsed }

// Decrypt implements tink.AEAD.
func (lapsedKey) Decrypt(_, _ []byte) ([]byte, error) { return nil, ErrLapsed }
