package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// KindPayment is the kind of value that a token of a payment stands for. No other can be
// turned back by a spend.
const KindPayment = "payment_reference"

// keyWindow is for how long a call whose outcome nobody knows may be made again under its
// idempotency key. Processors forget keys after a day at the earliest, and a repetition
// after that would be a second refund.
const keyWindow = 20 * time.Hour

// Spend is what a call to a processor wants of a token.
type Spend struct {
	// Token is the field's or path segment's whole value.
	Token string
	// Form is what a reference of this processor looks like, all of it.
	Form *regexp.Regexp
	// Place and Account are as in Payment; every call has them.
	Place, Account string
	// Order and Currency are empty where the call does not say.
	Order, Currency string
	// Moves says that the call takes money from the payment; Amount is how much, in the
	// smallest unit, zero for all that is left.
	Moves  bool
	Amount int64
	// AmountIn is the amount as a currency counts it, -1 where it has no such amount. It is
	// asked with the payment's when the call names no currency; nil: Amount.
	AmountIn func(currency string) int64
	// Operation and Key, the caller's idempotency key, tell calls apart that move money.
	Operation, Key string
	// Once says that the processor ignores such keys: the same call again is another one to
	// it, and is not made while the outcome of the first is unknown.
	Once bool
}

// Answers of a Standing.
const (
	StandsKnown    = "known"
	StandsSame     = "same"
	StandsOther    = "other"
	StandsUnstated = "unstated" // the call or the payment does not say
	StandsWithin   = "within"
	StandsOver     = "over"
	StandsNew      = "new"
	StandsAgain    = "again"   // the outcome of the same call is unknown, and it may be made again
	StandsUsed     = "used"    // the key was used for another call, or for one whose outcome is known
	StandsMissing  = "missing" // the call has no key
	StandsUnknown  = "unknown"
	StandsNothing  = "" // not asked: the call moves nothing
)

// Standing is how a spend stands to what is known. It says nothing that would tell one
// payment from another.
type Standing struct {
	// Token is StandsKnown or StandsUnknown: forged, expired, of another tenant, of
	// another kind of value, not written as it was issued (V9). Then all else is unknown.
	Token string
	// Payment is StandsKnown when a processor has told of it.
	Payment string
	// Place and Account are StandsSame, StandsOther or StandsUnknown; Order and Currency
	// also StandsUnstated.
	Place, Account, Order, Currency string
	// Balance is StandsWithin, StandsOver or StandsUnknown, Key one of the last five; both
	// are StandsNothing for a call that moves nothing.
	Balance, Key string
}

// Stand compares a spend with what is known. It changes nothing.
func (v *Vault) Stand(ctx context.Context, s *Spend) (Standing, error) {
	if err := v.usable(); err != nil {
		return Standing{}, err
	}
	st, _, err := v.stand(ctx, ledger{v, v.db}, s, false)
	return st, err
}

// plan is what Reserve does for a spend.
type plan struct {
	payment *paymentRow
	was     *spendRow // under the same key
	keyed   []byte
	call    []byte
	amount  int64
}

// stand is Stand; with lock it keeps others from changing the payment.
func (v *Vault) stand(ctx context.Context, in ledger, s *Spend, lock bool) (Standing, *plan, error) {
	st := Standing{Token: StandsUnknown, Payment: StandsUnknown, Place: StandsUnknown, Account: StandsUnknown, Order: StandsUnknown, Currency: StandsUnknown}
	if s.Moves {
		st.Balance, st.Key = StandsUnknown, StandsUnknown
	}
	id, err := v.spendable(ctx, s)
	if errors.Is(err, ErrToken) {
		return st, nil, nil
	}
	if err != nil {
		return st, nil, err
	}
	st.Token = StandsKnown
	pay, err := in.paymentOf(ctx, id, lock)
	if err != nil || pay == nil {
		return st, nil, err
	}
	st.Payment = StandsKnown
	st.Place = sameOr(pay.place, v.payDigest("place", s.Place))
	st.Account = sameOr(pay.account, v.payDigest("account", s.Account))
	st.Order, st.Currency = StandsUnstated, StandsUnstated
	if s.Order != "" && len(pay.order) > 0 {
		st.Order = sameOr(pay.order, v.payDigest("order", s.Order))
	}
	if s.Currency != "" {
		st.Currency = sameOr([]byte(pay.currency), []byte(s.Currency))
	}
	if !s.Moves {
		return st, nil, nil
	}
	p := &plan{payment: pay, amount: s.Amount}
	if s.Currency == "" && s.Amount > 0 && s.AmountIn != nil {
		p.amount = s.AmountIn(pay.currency)
	}
	p.keyed = v.Digest("payment key", appendPart(appendPart(appendPart(nil, s.Place), s.Account), s.Key))
	p.call = v.Digest("payment call", appendPart(appendPart(appendPart(pay.id[:], s.Operation), s.Currency), strconv.FormatInt(s.Amount, 10)))
	if p.was, err = in.spendOf(ctx, p.keyed); err != nil {
		return st, nil, err
	}
	st.Key = keyStands(s, p, v.now())
	spends, err := in.spends(ctx, pay.id)
	if err != nil {
		return st, nil, err
	}
	left := pay.amount - pay.elsewhere
	if len(spends) >= maxSpends {
		left = 0
	}
	var own []byte
	if st.Key == StandsAgain {
		own = p.keyed
	}
	left -= sumOf(spends, own)
	if p.amount == 0 {
		p.amount = max(left, 1)
	}
	st.Balance = StandsWithin
	if p.amount > left || p.amount < 0 {
		st.Balance = StandsOver
	}
	return st, p, nil
}

func keyStands(s *Spend, p *plan, now time.Time) string {
	switch {
	case s.Key == "":
		return StandsMissing
	case p.was == nil:
		return StandsNew
	case p.was.payment != p.payment.id || !bytes.Equal(p.was.call, p.call):
		return StandsUsed
	}
	switch p.was.standing(now) {
	case spendReleased:
		return StandsNew
	case spendUnknown:
		if !s.Once && now.Sub(time.UnixMilli(p.was.created)) < keyWindow {
			return StandsAgain
		}
	}
	return StandsUsed
}

func sameOr(a, b []byte) string {
	if bytes.Equal(a, b) {
		return StandsSame
	}
	return StandsOther
}

// spendable is the id of the row of a token that may be turned back by a spend; the error is ErrToken
// for every other (V9). The value is opened and forgotten: only so is a changed row or the
// reference of another processor known before anything depends on it.
func (v *Vault) spendable(ctx context.Context, s *Spend) (id [idSize]byte, err error) {
	said, ok := v.parseToken([]byte(s.Token))
	ok = ok && v.token(said).Text == s.Token // as it was issued, and nothing around it
	// A forged token costs the same question as a real one.
	row, err := v.loadTokenRow(ctx, said)
	if err != nil {
		return id, err
	}
	val, err := v.openRow(ctx, row)
	if err != nil {
		return id, err
	}
	defer clear(val.Text)
	if !ok || val.Kind != KindPayment || s.Form == nil || !whole(s.Form, val.Text) {
		return id, ErrToken
	}
	return row.id, nil
}

// whole reports whether re matches all of text.
func whole(re *regexp.Regexp, text []byte) bool {
	at := re.FindIndex(text)
	return at != nil && at[0] == 0 && at[1] == len(text)
}

// ErrStands is returned by Reserve when a spend does not stand as its caller has seen.
var ErrStands = errors.New("the payment has changed meanwhile")

// Reservation is a spend that counts against its payment. One of its ends must be
// reported; if its process dies before, its outcome is unknown.
type Reservation struct {
	vault   *Vault
	keyed   []byte
	attempt int64
	// again is set when an earlier attempt may have been carried out.
	again bool
}

// Reserve makes a spend count, durably, if it stands as seen, which its caller has decided
// about; otherwise it returns ErrStands and how it stands now. Concurrent spends of one
// payment come one after the other, on all gateways.
func (v *Vault) Reserve(ctx context.Context, s *Spend, seen Standing) (*Reservation, Standing, error) {
	if err := v.usable(); err != nil {
		return nil, Standing{}, err
	}
	v.writing.Lock()
	defer v.writing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	tx, err := v.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, seen, fmt.Errorf("reserving: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	in := ledger{v, tx}
	st, p, err := v.stand(ctx, in, s, true)
	if err != nil {
		return nil, seen, err
	}
	if st != seen || p == nil || st.Balance != StandsWithin || st.Key != StandsNew && st.Key != StandsAgain {
		return nil, st, ErrStands
	}
	now := v.now().UnixMilli()
	row := &spendRow{keyed: p.keyed, payment: p.payment.id, call: p.call, amount: p.amount, state: spendHeld, attempt: 1, created: now, changed: now}
	if p.was == nil {
		free, err := in.insertSpend(ctx, row)
		if err != nil {
			return nil, seen, err
		}
		if !free { // another payment's call took the key between
			st.Key = StandsUsed
			return nil, st, ErrStands
		}
	} else {
		row.attempt = p.was.attempt + 1
		if st.Key == StandsAgain {
			row.created, row.amount = p.was.created, p.was.amount
		}
		if err := in.updateSpend(ctx, row); err != nil {
			return nil, seen, err
		}
	}
	v.reached("spend row")
	if err := tx.Commit(); err != nil {
		return nil, seen, fmt.Errorf("reserving: %w", err)
	}
	v.reached("reserved")
	return &Reservation{vault: v, keyed: p.keyed, attempt: row.attempt, again: st.Key == StandsAgain}, st, nil
}

// Settle reports that the processor did it.
func (r *Reservation) Settle(ctx context.Context) error { return r.end(ctx, spendSettled) }

// Release reports that the processor did not do it, and will not. Of a call that was made
// again this says nothing about the first one, whose outcome stays unknown.
func (r *Reservation) Release(ctx context.Context) error {
	if r.again {
		return r.end(ctx, spendUnknown)
	}
	return r.end(ctx, spendReleased)
}

// Unknown reports that nobody knows what the processor did: the amount stays taken, and
// the same call may be made again under the same key.
func (r *Reservation) Unknown(ctx context.Context) error { return r.end(ctx, spendUnknown) }

func (r *Reservation) end(ctx context.Context, state string) error {
	v := r.vault
	v.writing.Lock()
	defer v.writing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	tx, err := v.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("noting what was spent: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	in := ledger{v, tx}
	row, err := in.spendOf(ctx, r.keyed)
	if err != nil {
		return err
	}
	// An older attempt than the newest knows nothing of that one. But what one of them
	// did is done, since they are one to the processor.
	if row == nil || state != spendSettled && (row.attempt != r.attempt || row.state != spendHeld) {
		return nil
	}
	row.state, row.changed = state, v.now().UnixMilli()
	if err := in.updateSpend(ctx, row); err != nil {
		return err
	}
	v.reached("spend ended")
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("noting what was spent: %w", err)
	}
	v.reached("spend noted")
	return nil
}
