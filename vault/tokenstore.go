package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
)

const (
	findTokensSQL = `SELECT mac, tag, tenant, scope, kind, id, person, created, expires, coalesce((SELECT p.mark FROM token_pending p WHERE p.mark = token.mark), 0), mark
FROM token WHERE `
	// Not with IN, for which SQLite makes an index of the list.
	loadTokenSQL = `SELECT id, scope, kind, person, sealed, created, expires FROM token WHERE id = $1 AND tenant = $2
UNION ALL SELECT id, scope, kind, person, sealed, created, expires FROM token WHERE id = $3 AND tenant = $2`
)

// wish is a value for which a token is to be found or made.
type wish struct {
	scope, kind string
	kept        []byte
	mac         [macSize]byte
	of          *person
	life        time.Duration
	// id is that of the token's row, and what the token will say; zero: it is drawn.
	id [idSize]byte
	// unknownTo is up to which row of a SQLite file none has the value: it was looked for.
	unknownTo int64
}

// tokenRow is a row of the table token.
type tokenRow struct {
	id, person       [idSize]byte
	scope, kind      string
	created, expires int64
	sealed           []byte // nil where it was not asked for
	mark             int64  // the call in whose row of token_pending it stands; 0 when it is kept
	born             int64  // the mark that the row was made with, unless another call kept it
	loaded           time.Time
}

func (r *tokenRow) expired(now time.Time) bool { return r.expires > 0 && r.expires <= now.UnixMilli() }

// serves reports whether the token can be given out again as it is: it has not expired
// and has most of a life before it.
func (r *tokenRow) serves(now time.Time, life time.Duration) bool {
	if r.expires == 0 {
		return true // what was promised for ever stays so
	}
	return life > 0 && r.expires-now.UnixMilli() >= (life-life/8).Milliseconds()
}

// ad is the associated data of the sealed value: all that a row says of its value and whose it
// is (V15). tag binds mac to the rest; version names the key of both, so a row with another one is not
// found; a mark says only what a sweep may take away.
func (r *tokenRow) ad(tenant string) []byte {
	b := appendPart(make([]byte, 0, 128), "caregate token v1")
	b = appendPart(b, tenant)
	b = appendPart(b, r.scope)
	b = appendPart(b, r.kind)
	b = append(b, r.id[:]...)
	b = append(b, r.person[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.created))
	return binary.BigEndian.AppendUint64(b, uint64(r.expires))
}

// tokenLabel separates the sealing of values from other uses of a person's key.
const tokenLabel = "caregate token v1"

// sealToken encrypts a value as Seal does, without a commitment: the row says whose key
// it is, and the key is the person's only one.
func (p *person) sealToken(ad, kept []byte) ([]byte, error) {
	head := make([]byte, 1+saltSize, sealedMin+len(kept))
	head[0] = sealVersion
	rand.Read(head[1:]) // never fails: the runtime ends the process first
	c, err := p.tokenCipher(head, ad)
	if err != nil {
		return nil, fmt.Errorf("sealing a value: %w", err)
	}
	return c.Seal(head, nil, kept, ad), nil
}

// tokenCipher seals one value: AES-GCM behind a random nonce of 12 bytes, as Tink writes
// it. Tink's own is as large as a dozen values and is of use for one.
func (p *person) tokenCipher(head, ad []byte) (cipher.AEAD, error) {
	var key [32]byte
	defer clear(key[:])
	b, err := aes.NewCipher(p.appendDerived(key[:0], tokenLabel, head, ad, len(key)))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(b)
}

// openToken decrypts what sealToken made; the error says nothing.
func (p *person) openToken(sealed, ad []byte) ([]byte, error) {
	if len(sealed) < sealedMin || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	c, err := p.tokenCipher(sealed[:1+saltSize], ad)
	if err != nil {
		return nil, fmt.Errorf("opening a value: %w", err)
	}
	return c.Open(nil, nil, sealed[1+saltSize:], ad)
}

// finders are the statements that look for tokens by blind index.
type finders struct {
	macs store.Bulk // by blind index; on SQLite by its head, where token_way has it
	rows store.Bulk // by the numbers that newest has; SQLite only
}

func prepareFinders(ctx context.Context, db *store.DB) (f finders, err error) {
	if db.Dialect != store.SQLite {
		f.macs, err = store.PrepareBulk(ctx, db, findTokensSQL+`mac IN `, 0, "")
		return f, err
	}
	if f.macs, err = store.PrepareBulk(ctx, db, findTokensSQL+`seq IN (SELECT w.seq FROM token_way w WHERE w.head IN `, 0, ")"); err != nil {
		return f, err
	}
	f.rows, err = store.PrepareBulk(ctx, db, findTokensSQL+`seq IN `, 0, "")
	return f, err
}

// listedHead is how much of a row for insertListedSQL stands before the sealed value: id, blind
// index, tag and person.
const listedHead = idSize + macSize + macSize + idSize

// insertListedSQL inserts some rows on SQLite: bytes, scope and kind of each, then the number of
// the first one and what they have in common. A parameter without a number is cheapest there.
func insertListedSQL(rows int) string {
	var b strings.Builder
	b.WriteString("WITH r (n, b, scope, kind) AS (VALUES ")
	for n := range rows {
		if n > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%d, ?, ?, ?)", n)
	}
	cut := func(from, size int) string { return fmt.Sprintf("substr(b, %d, %d)", from+1, size) }
	fmt.Fprintf(&b, `)
INSERT INTO token (seq, id, mac, tag, person, sealed, scope, kind, tenant, version, created, expires, mark)
SELECT ? + n, %s, %s, %s, %s, substr(b, %d), scope, kind, ?, ?, ?, ?, ? FROM r WHERE true ON CONFLICT DO NOTHING`,
		cut(0, idSize), cut(idSize, macSize), cut(idSize+macSize, macSize), cut(idSize+2*macSize, idSize), listedHead+1)
	return b.String()
}

// writers are the statements that change tokens, on the connections that write.
type writers struct {
	find       finders
	token      store.Bulk // insert
	lock       store.Bulk // by id
	keepEach   store.Bulk // by id
	mark, keep *sql.Stmt
}

func (v *Vault) prepareWriters(ctx context.Context) (err error) {
	w := &v.writers
	if w.find, err = prepareFinders(ctx, v.writer); err != nil {
		return err
	}
	for _, s := range []struct {
		of         *store.Bulk
		head, tail string
		columns    int
	}{
		{&w.lock, `SELECT id FROM token WHERE id IN `, ` ORDER BY id` + v.db.ForNoKeyUpdate(), 0},
		{&w.keepEach, `UPDATE token SET mark = 0 WHERE id IN `, "", 0},
	} {
		if *s.of, err = store.PrepareBulk(ctx, v.writer, s.head, s.columns, s.tail); err != nil {
			return err
		}
	}
	if v.newest != nil {
		w.token, err = store.PrepareBulkOf(ctx, v.writer, insertListedSQL)
	} else {
		w.token, err = store.PrepareBulk(ctx, v.writer, `INSERT INTO token (id, mac, tenant, scope, kind, version, tag, person, sealed, created, expires, mark) VALUES `, 12, ` ON CONFLICT DO NOTHING`)
	}
	if err != nil {
		return err
	}
	if w.mark, err = v.writer.PrepareContext(ctx, `INSERT INTO token_pending (mark, created, torn, tokens, event) VALUES ($1, $2, 0, $3, $4)`); err != nil {
		return fmt.Errorf("opening the vault: %w", err)
	}
	if w.keep, err = v.writer.PrepareContext(ctx, `DELETE FROM token_pending WHERE mark = $1 AND torn = 0`); err != nil {
		return fmt.Errorf("opening the vault: %w", err)
	}
	return nil
}

// lookUpTokens finds the tokens of values, by blind index. Values that have none are not
// in what it returns.
func (v *Vault) lookUpTokens(ctx context.Context, wishes []wish) (map[[macSize]byte]*tokenRow, error) {
	since := v.forgotten.Load()
	var upTo int64
	if v.newest != nil {
		upTo = v.newest.last() // before anything is looked for
	}
	by := make(map[[macSize]byte]*wish, len(wishes))
	var macs [][macSize]byte
	for i := range wishes {
		if w := &wishes[i]; by[w.mac] == nil {
			by[w.mac] = w
			macs = append(macs, w.mac)
		}
	}
	found := make(map[[macSize]byte]*tokenRow, len(macs))
	if err := v.findByMAC(ctx, &v.findTokens, nil, macs, by, found); err != nil {
		return nil, err
	}
	for i := range wishes {
		if w := &wishes[i]; found[w.mac] == nil {
			w.unknownTo = upTo
		}
	}
	for mac, row := range found {
		if row.mark == 0 {
			remember(v, v.tokens, mac, *row, since)
		}
	}
	return found, nil
}

// findByMAC finds tokens by blind index, in tx if it is not nil.
func (v *Vault) findByMAC(ctx context.Context, f *finders, tx *sql.Tx, macs [][macSize]byte, by map[[macSize]byte]*wish, into map[[macSize]byte]*tokenRow) error {
	var heads, numbers []any
	for i := range macs {
		if v.newest == nil {
			heads = append(heads, macs[i][:])
		} else if seq := v.newest.lookUp(&macs[i]); seq > 0 {
			numbers = append(numbers, seq)
		} else {
			heads = append(heads, macs[i][:headSize])
		}
	}
	for _, s := range []struct {
		with *store.Bulk
		args []any
	}{{&f.macs, heads}, {&f.rows, numbers}} {
		for args := range store.InBulk(s.args) {
			find := s.with.Of(len(args))
			if tx != nil {
				find = tx.StmtContext(ctx, find)
			}
			if err := v.scanTokens(ctx, find, by, into, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// scanTokens reads and authenticates rows of the blind index with the tokens that they
// lead to.
func (v *Vault) scanTokens(ctx context.Context, find *sql.Stmt, by map[[macSize]byte]*wish, into map[[macSize]byte]*tokenRow, args ...any) error {
	rows, err := find.QueryContext(ctx, args...)
	if err != nil {
		return fmt.Errorf("looking for tokens: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var mac, tag, id, of []byte
		var tenant string
		r := &tokenRow{loaded: v.now()}
		if err := rows.Scan(&mac, &tag, &tenant, &r.scope, &r.kind, &id, &of, &r.created, &r.expires, &r.mark, &r.born); err != nil {
			return fmt.Errorf("looking for tokens: %w", err)
		}
		var w *wish
		if len(mac) == macSize {
			w = by[[macSize]byte(mac)]
		}
		if w == nil || len(id) != idSize || len(of) != idSize || tenant != v.tenant || r.scope != w.scope || r.kind != w.kind {
			return v.changed("token", id)
		}
		r.id, r.person = [idSize]byte(id), [idSize]byte(of)
		if !sameMAC(tag, v.tokenTag(w.scope, w.kind, w.mac, v.saidBy(r.id, r.created))) {
			return v.changed("token", id)
		}
		into[w.mac] = r
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("looking for tokens: %w", err)
	}
	return nil
}

// loadTokenRow reads a token by what it says.
func (v *Vault) loadTokenRow(ctx context.Context, said [idSize]byte) (*tokenRow, error) {
	r := &tokenRow{}
	var id, of []byte
	ids := v.rowsOf(said)
	err := v.loadToken.QueryRowContext(ctx, ids[0][:], v.tenant, ids[1][:]).Scan(&id, &r.scope, &r.kind, &of, &r.sealed, &r.created, &r.expires)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrToken
	}
	if err != nil {
		return nil, fmt.Errorf("reading a token: %w", err)
	}
	if len(id) != idSize || len(of) != idSize {
		return nil, v.changed("token", id)
	}
	r.id, r.person = [idSize]byte(id), [idSize]byte(of)
	if v.saidBy(r.id, r.created) != said {
		return nil, ErrToken // nobody was given this one
	}
	return r, nil
}
