package vault

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// The states of a spend. What is held, settled or unknown counts against the payment.
const (
	spendHeld     = "held"     // a call for it is under way
	spendSettled  = "settled"  // the processor did it
	spendReleased = "released" // the processor did not
	spendUnknown  = "unknown"  // nobody knows
)

// staleHold is when a call that is under way counts as one whose outcome nobody knows: no
// exchange lasts that long, so its process has ended.
const staleHold = 10 * time.Minute

// maxSpends is how many spends of one payment are looked at. A payment with more is spent.
const maxSpends = 4096

// paymentRow is a row of payment; the digests have 32 bytes, order none when unknown.
type paymentRow struct {
	id                    [idSize]byte
	place, account, order []byte
	currency              string
	amount, elsewhere     int64
	tag                   []byte
}

// spendRow is a row of payment_spend.
type spendRow struct {
	keyed            []byte
	payment          [idSize]byte
	call             []byte
	amount           int64
	state            string
	attempt          int64
	created, changed int64
}

// standing is the state that counts at a time.
func (s *spendRow) standing(now time.Time) string {
	if s.state == spendHeld && now.Sub(time.UnixMilli(s.changed)) > staleHold {
		return spendUnknown
	}
	return s.state
}

// sumOf is what spends take of a payment, those of but left out.
func sumOf(spends []spendRow, but []byte) (sum int64) {
	for i := range spends {
		if s := &spends[i]; s.state != spendReleased && string(s.keyed) != string(but) {
			sum += s.amount
		}
	}
	return sum
}

// includedIn is how much of what spends take is surely in what a processor says that was
// asked at a time: what it had done by then, and what nobody knows for so long that it has
// happened or never will. Other spends may be in it or not, and taking them off would hide
// that others asked for as much; so they count twice until the next time it is asked.
func includedIn(spends []spendRow, asked time.Time) (sum int64) {
	for i := range spends {
		s := &spends[i]
		switch s.standing(asked) {
		case spendSettled:
			if s.changed <= asked.UnixMilli() {
				sum += s.amount
			}
		case spendUnknown:
			if asked.Sub(time.UnixMilli(s.created)) >= keyWindow {
				sum += s.amount
			}
		}
	}
	return sum
}

// payDigest is what is kept of a name that a payment is bound to.
func (v *Vault) payDigest(what, name string) []byte {
	return v.Digest("payment "+what, []byte(name))
}

func (v *Vault) paymentTag(r *paymentRow) []byte {
	b := appendPart(r.id[:], r.place)
	for _, part := range [][]byte{r.account, r.order, []byte(r.currency)} {
		b = appendPart(b, part)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.amount))
	return v.Digest("payment row", binary.BigEndian.AppendUint64(b, uint64(r.elsewhere)))
}

func (v *Vault) linkedTag(token, payment [idSize]byte) []byte {
	return v.Digest("payment token", append(token[:], payment[:]...))
}

func (v *Vault) spendTag(s *spendRow) []byte {
	b := appendPart(nil, s.keyed)
	b = append(b, s.payment[:]...)
	b = appendPart(b, s.call)
	b = appendPart(b, s.state)
	for _, n := range [...]int64{s.amount, s.attempt, s.created, s.changed} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return v.Digest("payment spend", b)
}

func sameTag(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// ledger reads and writes the rows of payments. Every row is authenticated as it is read.
type ledger struct {
	*Vault
	q querier
}

// rowOf is the id of the row of a token; the error is ErrToken when there is none.
func (l ledger) rowOf(ctx context.Context, said [idSize]byte) (id [idSize]byte, err error) {
	ids := l.rowsOf(said)
	var found []byte
	var created int64
	err = l.q.QueryRowContext(ctx, `SELECT id, created FROM token WHERE id IN ($1, $2)`, ids[0][:], ids[1][:]).Scan(&found, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return id, fmt.Errorf("noting payments: %w", ErrToken)
	}
	if err != nil {
		return id, fmt.Errorf("noting payments: %w", err)
	}
	if len(found) != idSize {
		return id, l.changed("token", found)
	}
	if id = [idSize]byte(found); l.saidBy(id, created) != said {
		return id, fmt.Errorf("noting payments: %w", ErrToken)
	}
	return id, nil
}

// paymentOf is the payment that the token of a row stands for, nil when none is known. With lock it
// waits for others who change it.
func (l ledger) paymentOf(ctx context.Context, token [idSize]byte, lock bool) (*paymentRow, error) {
	var tag, id []byte
	err := l.q.QueryRowContext(ctx, `SELECT payment, tag FROM payment_token WHERE token = $1`, token[:]).Scan(&id, &tag)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a payment: %w", err)
	}
	if len(id) != idSize || !sameTag(tag, l.linkedTag(token, [idSize]byte(id))) {
		return nil, l.changed("payment_token", token[:])
	}
	query := `SELECT tenant, place, account, ord, currency, amount, elsewhere, tag FROM payment WHERE id = $1`
	if lock {
		query += l.db.ForUpdate()
	}
	r := &paymentRow{id: [idSize]byte(id)}
	var tenant string
	err = l.q.QueryRowContext(ctx, query, id).Scan(&tenant, &r.place, &r.account, &r.order, &r.currency, &r.amount, &r.elsewhere, &r.tag)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // taken away between the two questions
	}
	if err != nil {
		return nil, fmt.Errorf("reading a payment: %w", err)
	}
	if tenant != l.tenant || !sameTag(r.tag, l.paymentTag(r)) {
		return nil, l.changed("payment", id)
	}
	return r, nil
}

// spends are all that was asked back of a payment.
func (l ledger) spends(ctx context.Context, payment [idSize]byte) (out []spendRow, err error) {
	rows, err := l.q.QueryContext(ctx, spendColumns+` WHERE payment = $1 LIMIT $2`, payment[:], maxSpends)
	if err != nil {
		return nil, fmt.Errorf("reading a payment: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		s, err := l.scanSpend(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, *s)
	}
	return out, rows.Err()
}

// spendOf is the spend under a key, nil when there is none.
func (l ledger) spendOf(ctx context.Context, keyed []byte) (*spendRow, error) {
	s, err := l.scanSpend(l.q.QueryRowContext(ctx, spendColumns+` WHERE keyed = $1`, keyed))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return s, err
}

const spendColumns = `SELECT keyed, payment, call, amount, state, attempt, created, changed, tag FROM payment_spend`

func (l ledger) scanSpend(row interface{ Scan(into ...any) error }) (*spendRow, error) {
	var s spendRow
	var payment, tag []byte
	if err := row.Scan(&s.keyed, &payment, &s.call, &s.amount, &s.state, &s.attempt, &s.created, &s.changed, &tag); err != nil {
		return nil, fmt.Errorf("reading what was spent: %w", err)
	}
	if len(payment) != idSize {
		return nil, l.changed("payment_spend", s.keyed)
	}
	s.payment = [idSize]byte(payment)
	if !sameTag(tag, l.spendTag(&s)) {
		return nil, l.changed("payment_spend", s.keyed)
	}
	return &s, nil
}

func (l ledger) insertPayment(ctx context.Context, r *paymentRow) error {
	order := append([]byte{}, r.order...) // not NULL
	_, err := l.q.ExecContext(ctx, `INSERT INTO payment (id, tenant, place, account, ord, currency, amount, elsewhere, tag) VALUES `+store.Places(1, 9),
		r.id[:], l.tenant, r.place, r.account, order, r.currency, r.amount, r.elsewhere, l.paymentTag(r))
	if err != nil {
		return fmt.Errorf("noting payments: %w", err)
	}
	return nil
}

func (l ledger) updatePayment(ctx context.Context, r *paymentRow) error {
	order := append([]byte{}, r.order...)
	_, err := l.q.ExecContext(ctx, `UPDATE payment SET ord = $1, amount = $2, elsewhere = $3, tag = $4 WHERE id = $5`,
		order, r.amount, r.elsewhere, l.paymentTag(r), r.id[:])
	if err != nil {
		return fmt.Errorf("noting payments: %w", err)
	}
	return nil
}

// link makes a token one of a payment's, and reports whether it was none's before.
func (l ledger) link(ctx context.Context, token, payment [idSize]byte) (bool, error) {
	res, err := l.q.ExecContext(ctx, `INSERT INTO payment_token (token, payment, tag) VALUES `+store.Places(1, 3)+` ON CONFLICT DO NOTHING`,
		token[:], payment[:], l.linkedTag(token, payment))
	if err != nil {
		return false, fmt.Errorf("noting payments: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("noting payments: %w", err)
	}
	return n == 1, nil
}

// insertSpend reports whether the key was free.
func (l ledger) insertSpend(ctx context.Context, s *spendRow) (bool, error) {
	res, err := l.q.ExecContext(ctx, `INSERT INTO payment_spend (keyed, payment, call, amount, state, attempt, created, changed, tag) VALUES `+store.Places(1, 9)+` ON CONFLICT DO NOTHING`,
		s.keyed, s.payment[:], s.call, s.amount, s.state, s.attempt, s.created, s.changed, l.spendTag(s))
	if err != nil {
		return false, fmt.Errorf("reserving: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("reserving: %w", err)
	}
	return n == 1, nil
}

func (l ledger) updateSpend(ctx context.Context, s *spendRow) error {
	_, err := l.q.ExecContext(ctx, `UPDATE payment_spend SET call = $1, amount = $2, state = $3, attempt = $4, created = $5, changed = $6, payment = $7, tag = $8 WHERE keyed = $9`,
		s.call, s.amount, s.state, s.attempt, s.created, s.changed, s.payment[:], l.spendTag(s), s.keyed)
	if err != nil {
		return fmt.Errorf("noting what was spent: %w", err)
	}
	return nil
}
