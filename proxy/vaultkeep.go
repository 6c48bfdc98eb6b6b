package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/vault"
)

// keepEvery is how often tokens are taken away whose time is over, and rotations ended
// that could not be before.
const keepEvery = time.Hour

// keepVault keeps the vault swept, and its keys wrapped under the newest, until the data
// directory is closed. A rotation that was interrupted is ended at the start.
func keepVault(ctx context.Context, v *vault.Vault, rewrap <-chan struct{}, logger *slog.Logger) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	wrapAgain(ctx, v, logger)
	for {
		select {
		case <-ctx.Done():
			return
		case <-rewrap:
			wrapAgain(ctx, v, logger)
		case <-tick.C:
			wrapAgain(ctx, v, logger)
			sweep(ctx, v, logger)
		}
	}
}

func sweep(ctx context.Context, v *vault.Vault, logger *slog.Logger) {
	swept, err := v.Sweep(ctx)
	if err != nil && ctx.Err() == nil {
		logger.Error("sweeping the vault", slog.Any("error", err))
	}
	if swept != (vault.Swept{}) {
		logger.Info("tokens taken away", slog.Int("expired", swept.Expired), slog.Int("never_released", swept.Orphans))
	}
}

// wrapAgain ends rotations, as far as it is possible now.
func wrapAgain(ctx context.Context, v *vault.Vault, logger *slog.Logger) {
	r, err := v.Rewrap(ctx)
	if err != nil && ctx.Err() == nil {
		logger.Error("wrapping keys again", slog.Any("error", err))
	}
	if r.Unreadable > 0 {
		logger.Error("keys that were changed outside the vault hold up the end of a rotation", slog.Int("rows", r.Unreadable))
	}
	if r.Retired > 0 || r.People+r.Days > 0 {
		logger.Info("keys wrapped again", slog.Int("people", r.People), slog.Int("days", r.Days), slog.Int("old_keys_destroyed", r.Retired))
	}
}

// lookEvery is how often a gateway without a leased seal looks whether a reload has
// brought one.
const lookEvery = time.Minute

// keepRenewed asks a leased seal again and again, until the data directory is closed.
func keepRenewed(ctx context.Context, v *vault.Vault, logger *slog.Logger) {
	every := func() time.Duration { return cmp.Or(v.RenewEvery(), lookEvery) }
	for next(ctx, every()) {
		if err := v.Renew(ctx); err != nil && ctx.Err() == nil {
			logger.Error("renewing the seal of the key files", slog.Any("error", err))
		}
	}
}

// rotateKeys is console's wish to rotate keys.
func (c consoleMount) rotateKeys(ctx context.Context, k console.RotateKeys) (done console.KeysRotated, err error) {
	d := c.a.gen.data
	if err := d.Vault.Rotate(ctx); err != nil {
		return done, rotationError(err)
	}
	done.Rotated = append(done.Rotated, "data")
	select {
	case d.rewrap <- struct{}{}:
	default: // asked for already
	}
	if k.Master {
		if err := d.Vault.RotateMaster(ctx); err != nil {
			return done, rotationError(err)
		}
		done.Rotated = append(done.Rotated, "master")
	}
	return done, nil
}

// rotationError tells a caller what it can do something about.
func rotationError(err error) error {
	switch {
	case errors.Is(err, vault.ErrTooManyKeys), errors.Is(err, store.ErrLocked), errors.Is(err, vault.ErrKeySeal), errors.Is(err, vault.ErrKeyFile), errors.Is(err, vault.ErrLooseMode):
		return fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	return err
}

// KeyStatus describes the keys of a data directory, with or without a gateway on it.
func KeyStatus(ctx context.Context, c DataConfig) (vault.KeyStatus, error) {
	c = c.withDefaults()
	return vault.Inspect(ctx, c.Dir, vault.Config{Database: c.Database, Keys: c.Keys})
}

// SealKeys seals the key files as c says; from is the seal that they have, nil for none.
// It returns how many files it wrote.
func SealKeys(ctx context.Context, c DataConfig, from vault.KeySeal) (int, error) {
	c = c.withDefaults()
	keys, err := c.vault(ctx)
	if err != nil {
		return 0, err
	}
	return vault.Reseal(ctx, c.Dir, keys, from)
}
