package vault

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// PersonID names a person's row: drawn at random, it says nothing to who has no copy of
// the row. The log names those who were erased by it.
type PersonID [idSize]byte

// String is the id in hexadecimal digits.
func (p PersonID) String() string { return hex.EncodeToString(p[:]) }

// ParsePersonID reads what String wrote.
func ParsePersonID(text string) (p PersonID, err error) {
	if len(text) != hex.EncodedLen(idSize) {
		return p, errors.New("this is no id of a person's row")
	}
	if _, err := hex.Decode(p[:], []byte(text)); err != nil {
		return p, errors.New("this is no id of a person's row")
	}
	return p, nil
}

// Erasable is what the vault holds of one person.
type Erasable struct {
	// Subject is zero for a stranger.
	Subject Subject
	// ID names the row.
	ID PersonID
	// Tokens is how many values are kept under the person's key.
	Tokens int64
}

// FindErasable looks for the people behind idents, in the same order, and creates nobody.
// It reads the database, not what is remembered.
func (v *Vault) FindErasable(ctx context.Context, idents []Ident) ([]Erasable, error) {
	out := make([]Erasable, len(idents))
	for i, id := range idents {
		s, err := v.known(ctx, sortSubject, id, false)
		if err != nil {
			return nil, err
		}
		if s.IsZero() {
			continue
		}
		out[i].Subject, out[i].ID = s, s.p.id
		if err := v.db.QueryRowContext(ctx, `SELECT count(*) FROM token WHERE person = $1`, s.p.id[:]).Scan(&out[i].Tokens); err != nil {
			return nil, fmt.Errorf("looking for what is kept of a person: %w", err)
		}
	}
	return out, nil
}

// StillThere returns the people among ids who have a key that can be used, in no order: of
// others nobody can compute anything.
func (v *Vault) StillThere(ctx context.Context, ids []PersonID) ([]Subject, error) {
	var out []Subject
	for _, id := range ids {
		p, err := v.unwrap(ctx, func() (personRow, error) { return v.readPerson(ctx, id) })
		if errors.Is(err, ErrNoKey) || errors.Is(err, ErrRow) || errors.Is(err, ErrLapsed) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, Subject{p})
	}
	return out, nil
}

// ErasureMark is a place in the log: up to there erasures have been carried out.
type ErasureMark struct {
	// Shard is the origin of the log's shard, Index the entry in it. The zero mark is
	// before everything.
	Shard string
	Index int64
}

// ErasedUpTo returns the mark of the log that Config names.
func (v *Vault) ErasedUpTo(ctx context.Context) (m ErasureMark, err error) {
	err = v.db.QueryRowContext(ctx, `SELECT shard, idx FROM erasure_place WHERE tenant = $1 AND log = $2`, v.tenant, v.logName).Scan(&m.Shard, &m.Index)
	if errors.Is(err, sql.ErrNoRows) {
		return ErasureMark{}, nil
	}
	if err != nil {
		return ErasureMark{}, fmt.Errorf("reading up to where erasures are carried out: %w", err)
	}
	return m, nil
}

// Erased says what Erase destroyed.
type Erased struct {
	// People had a key here still; Tokens were kept under them.
	People, Tokens int64
}

// Erase destroys the keys of people, with all that leads to them and what is kept under
// them, and moves the mark when upTo is not zero. When it returns, no row, file or memory of
// this process opens what was sealed under these keys, nor computes their pseudonyms
// (V13); another process forgets them within its CacheTime, and a backup of the database
// has them as long as it is kept. A SQLite file's write-ahead log has the wrapped keys as
// long as somebody reads on who began before; that is waited for a second or so, and
// the log is emptied later. Who calls it has made the event durable that names
// them, so that whatever interrupts it, or a backup that is restored, is followed by
// the same call again. Ids that are gone already are no error.
func (v *Vault) Erase(ctx context.Context, ids []PersonID, upTo ErasureMark) (e Erased, err error) {
	// In one order, so that two gateways on one PostgreSQL never wait for each other's rows
	// crosswise.
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b PersonID) int { return bytes.Compare(a[:], b[:]) })
	err = v.shredding(ctx, func(tx *sql.Tx) error {
		e = Erased{}
		for _, id := range ids {
			// Locked first, so that nobody makes tokens for this person from here on.
			if _, err := tx.ExecContext(ctx, `SELECT id FROM person WHERE id = $1`+v.db.ForUpdate(), id[:]); err != nil {
				return fmt.Errorf("erasing a person: %w", err)
			}
			// Whoever is about to release one of them hears that it is gone.
			if _, err := tx.ExecContext(ctx, `UPDATE token_pending SET torn = 1 WHERE mark IN (SELECT t.mark FROM token t WHERE t.person = $1 AND t.mark <> 0)`, id[:]); err != nil {
				return fmt.Errorf("erasing a person: %w", err)
			}
			var tokens int64
			if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM token WHERE person = $1 AND tenant = $2`, id[:], v.tenant).Scan(&tokens); err != nil {
				return fmt.Errorf("erasing a person: %w", err)
			}
			// The index and the tokens go with the row.
			res, err := tx.ExecContext(ctx, `DELETE FROM person WHERE id = $1 AND tenant = $2 AND sort = $3`, id[:], v.tenant, sortSubject)
			if err != nil {
				return fmt.Errorf("erasing a person: %w", err)
			}
			n, err := res.RowsAffected()
			if err != nil {
				return fmt.Errorf("erasing a person: %w", err)
			}
			if n > 0 {
				e.People, e.Tokens = e.People+n, e.Tokens+tokens
			}
		}
		if upTo != (ErasureMark{}) {
			if _, err := tx.ExecContext(ctx, `INSERT INTO erasure_place (tenant, log, shard, idx, applied) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant, log) DO UPDATE SET shard = excluded.shard, idx = excluded.idx, applied = excluded.applied`,
				v.tenant, v.logName, upTo.Shard, upTo.Index, v.now().UnixMilli()); err != nil {
				return fmt.Errorf("noting an erasure: %w", err)
			}
		}
		v.reached("erasing: before the commit")
		return nil
	})
	if err != nil {
		return Erased{}, err
	}
	v.reached("erasing: after the commit")
	v.purge()
	return e, nil
}
