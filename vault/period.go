package vault

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	aead "github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// Period is a key of one purpose and one day (UTC). It is meant to live as long as one
// exchange; a copy in memory outlives the key's row, see Config.CacheTime.
type Period struct{ p *period }

type period struct {
	id     [idSize]byte
	day    int64
	key    *mac
	loaded time.Time
}

// periods remembers the newest key of each purpose.
type periods struct {
	mu     sync.Mutex
	newest map[string]*period // guarded by mu
}

// sealPeriodVersion opens a ciphertext that needs a period's key beside the person's;
// periodPrefix its key name.
const (
	sealPeriodVersion = 2
	periodPrefix      = "p2:"
	periodLabel       = "caregate seal in period v1"
)

// dayOf counts days since 1970 in UTC.
func dayOf(t time.Time) int64 { return t.UTC().Truncate(24*time.Hour).Unix() / (24 * 60 * 60) }

// Period finds or creates the key of a purpose for the day of t. Two processes that
// create it at once get the same one.
func (v *Vault) Period(ctx context.Context, purpose string, t time.Time) (Period, error) {
	if err := v.usable(); err != nil {
		return Period{}, err
	}
	day := dayOf(t)
	v.periods.mu.Lock()
	p := v.periods.newest[purpose]
	v.periods.mu.Unlock()
	if p != nil && p.day == day && v.now().Sub(p.loaded) <= v.cacheTime {
		return Period{p}, nil
	}
	p, err := v.readPeriod(ctx, `tenant = $1 AND purpose = $2 AND day = $3`, v.tenant, purpose, day)
	if errors.Is(err, sql.ErrNoRows) {
		if err := v.makePeriod(ctx, purpose, day); err != nil {
			return Period{}, err
		}
		p, err = v.readPeriod(ctx, `tenant = $1 AND purpose = $2 AND day = $3`, v.tenant, purpose, day)
	}
	if err != nil {
		return Period{}, fmt.Errorf("finding the key of a day: %w", err)
	}
	v.periods.mu.Lock()
	defer v.periods.mu.Unlock()
	if v.periods.newest == nil {
		v.periods.newest = map[string]*period{}
	}
	if have := v.periods.newest[purpose]; have == nil || have.day <= day {
		v.periods.newest[purpose] = p
	}
	return Period{p}, nil
}

// makePeriod inserts a key, unless there is one.
func (v *Vault) makePeriod(ctx context.Context, purpose string, day int64) error {
	var id [idSize]byte
	rand.Read(id[:]) // never fails: the runtime ends the process first
	key := make([]byte, 32)
	defer clear(key)
	rand.Read(key)
	return v.whileRotated(ctx, func() error {
		tx, err := v.writer.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("creating the key of a day: %w", err)
		}
		defer tx.Rollback() // after a commit it has nothing to do
		h, err := v.fenced(ctx, tx)
		if err != nil {
			return err
		}
		wrapped, err := h.data.Encrypt(key, periodAD(v.tenant, purpose, day, id))
		if err != nil {
			return fmt.Errorf("wrapping the key of a day: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO period_key (tenant, purpose, day, id, wrapped, key_version) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
			v.tenant, purpose, day, id[:], wrapped, h.primary); err != nil {
			return fmt.Errorf("creating the key of a day: %w", err)
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("creating the key of a day: %w", err)
		}
		return nil
	})
}

// periodAD is the associated data of a wrapped key: every other column of its row.
func periodAD(tenant, purpose string, day int64, id [idSize]byte) []byte {
	b := appendPart(make([]byte, 0, 64), "caregate period v1")
	b = appendPart(b, tenant)
	b = appendPart(b, purpose)
	b = append(b, id[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(day))
}

// readPeriod reads and unwraps one row.
func (v *Vault) readPeriod(ctx context.Context, where string, args ...any) (*period, error) {
	var id, wrapped []byte
	p := &period{loaded: v.now()}
	key, err := v.unwrapKey(ctx, func() ([]byte, []byte, error) {
		var purpose string
		err := v.db.QueryRowContext(ctx, `SELECT id, purpose, day, wrapped FROM period_key WHERE `+where, args...).Scan(&id, &purpose, &p.day, &wrapped)
		if err != nil {
			return nil, nil, err
		}
		if len(id) != idSize {
			return nil, nil, errWrapped
		}
		p.id = [idSize]byte(id)
		return wrapped, periodAD(v.tenant, purpose, p.day, p.id), nil
	})
	if errors.Is(err, errWrapped) {
		return nil, v.changed("period_key", id)
	}
	if err != nil {
		return nil, err
	}
	v.touched(tablePeriod, p.id, wrapped)
	p.key = newMAC(key) // which takes it over
	return p, nil
}

// mix makes the key of one message, and its commitment, from the person's and the
// period's: neither is of use without the other. HMAC under a key binds to that key.
func (p *period) mix(okm []byte) (key, commitment []byte) {
	return p.key.sum(nil, []byte("key"), okm[:32]), p.key.sum(nil, []byte("commitment"), okm[32:])
}

// SealIn is Seal under a person's and a period's key together: the detail opens as long
// as both exist.
func (v *Vault) SealIn(in Period, s Subject, ad, plaintext []byte) (Sealed, error) {
	if err := v.usable(); err != nil {
		return Sealed{}, err
	}
	if s.p == nil || in.p == nil {
		return Sealed{}, errors.New("sealing a detail for nobody")
	}
	head := make([]byte, 1+saltSize)
	head[0] = sealPeriodVersion
	rand.Read(head[1:]) // never fails: the runtime ends the process first
	key, commitment := in.p.mix(s.p.derive(periodLabel, head, ad))
	c, err := aead.NewAESGCM(key)
	if err != nil {
		return Sealed{}, fmt.Errorf("sealing a detail: %w", err)
	}
	body, err := c.Encrypt(plaintext, ad)
	if err != nil {
		return Sealed{}, fmt.Errorf("sealing a detail: %w", err)
	}
	name := periodPrefix + hex.EncodeToString(s.p.id[:]) + ":" + hex.EncodeToString(in.p.id[:])
	return Sealed{Key: name, Ciphertext: append(head, body...), Commitment: commitment}, nil
}

// openIn is Open for what SealIn made.
func (v *Vault) openIn(ctx context.Context, sealed Sealed, ad []byte) ([]byte, error) {
	person, day, ok := strings.Cut(strings.TrimPrefix(sealed.Key, periodPrefix), ":")
	if !ok {
		return nil, ErrSealed
	}
	personID, err := parseKeyName(keyPrefix + person)
	if err != nil {
		return nil, err
	}
	periodID, err := parseKeyName(keyPrefix + day)
	if err != nil {
		return nil, err
	}
	s, err := v.byID(ctx, personID)
	if err != nil {
		return nil, err
	}
	p, err := v.readPeriod(ctx, `id = $1 AND tenant = $2`, periodID[:], v.tenant)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("finding the key of a day: %w", err)
	}
	key, commitment := p.mix(s.derive(periodLabel, sealed.Ciphertext[:1+saltSize], ad))
	if subtle.ConstantTimeCompare(commitment, sealed.Commitment) != 1 {
		return nil, ErrSealed
	}
	c, err := aead.NewAESGCM(key)
	if err != nil {
		return nil, fmt.Errorf("opening a detail: %w", err)
	}
	plain, err := c.Decrypt(sealed.Ciphertext[1+saltSize:], ad)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// DestroyPeriods destroys the keys of a purpose for all days before that of t, and
// returns how many there were. What was sealed under them never opens again, here or
// from a copy of the ciphertexts; a backup of vault.db has the keys as long as it is
// kept. It may be repeated.
func (v *Vault) DestroyPeriods(ctx context.Context, purpose string, t time.Time) (n int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("destroying the keys of days: %w", err)
		}
	}()
	v.periods.mu.Lock()
	delete(v.periods.newest, purpose)
	v.periods.mu.Unlock()
	err = v.shredding(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM period_key WHERE tenant = $1 AND purpose = $2 AND day < $3`, v.tenant, purpose, dayOf(t))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}
