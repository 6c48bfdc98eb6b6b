package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Payment is what a processor says of a payment whose reference has a token.
type Payment struct {
	// Place is the channel and the route on which it was said.
	Place string
	// Account is the merchant's account, Order the shop's name of the order; both may be
	// empty. Only keyed digests of them are kept.
	Account, Order string
	// Currency is the ISO 4217 code in upper case.
	Currency string
	// Amount is what was paid and Refunded what has gone back of it in all, whoever
	// asked, in the smallest unit of the currency; neither is negative.
	Amount, Refunded int64
}

// Learned is a payment with the tokens of its references, in the form in which Tokenize
// gave them.
type Learned struct {
	Tokens []string
	// Asked is when the processor was asked: what this vault knows to have been spent by
	// then is in what it said. Zero: now.
	Asked time.Time
	Payment
}

// maxCurrency is the length of a currency's code.
const maxCurrency = 3

// Learn notes what a processor says of payments, all or none, durably. Place, account,
// currency and order hold from the first time that they were said; another place, account
// or currency for the same token is not taken, and not an error. What was paid and what
// went back is always the newest.
func (v *Vault) Learn(ctx context.Context, all []Learned) error {
	if err := v.usable(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	// In one order, so that two gateways on one PostgreSQL never wait for each other's
	// rows crosswise.
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Learned) int { return slices.Compare(a.Tokens, b.Tokens) })
	v.writing.Lock()
	defer v.writing.Unlock()
	for round := 0; ; round++ {
		var again bool
		err := untangled(func() (err error) {
			again, err = v.learnOnce(ctx, all)
			return err
		})
		if err != nil || !again {
			return err
		}
		if round == 3 {
			return errors.New("noting payments: others keep noting the same ones")
		}
	}
}

// learnOnce is Learn in one transaction; again says that another process came between.
func (v *Vault) learnOnce(ctx context.Context, all []Learned) (again bool, err error) {
	tx, err := v.writer.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("noting payments: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	for i := range all {
		if again, err := v.learn(ctx, ledger{v, tx}, &all[i]); err != nil || again {
			return again, err
		}
	}
	v.reached("before the learning")
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("noting payments: %w", err)
	}
	v.reached("after the learning")
	return false, nil
}

func (v *Vault) learn(ctx context.Context, in ledger, said *Learned) (again bool, err error) {
	if said.Amount < 0 || said.Refunded < 0 || len(said.Currency) != maxCurrency || len(said.Tokens) == 0 {
		return false, errors.New("noting payments: this is no payment")
	}
	var ids [][idSize]byte
	for _, text := range said.Tokens {
		said, ok := v.parseToken([]byte(text))
		if !ok {
			return false, fmt.Errorf("noting payments: %w", ErrToken)
		}
		id, err := in.rowOf(ctx, said)
		if err != nil {
			return false, err
		}
		ids = append(ids, id)
	}
	row := &paymentRow{place: v.payDigest("place", said.Place), account: v.payDigest("account", said.Account), currency: said.Currency}
	if said.Order != "" {
		row.order = v.payDigest("order", said.Order)
	}
	known := false
	for _, id := range ids {
		was, err := in.paymentOf(ctx, id, true)
		if err != nil {
			return false, err
		}
		if was == nil {
			continue
		}
		if was.currency != row.currency || !bytes.Equal(was.place, row.place) || !bytes.Equal(was.account, row.account) {
			return false, nil
		}
		if len(was.order) == 0 {
			was.order = row.order
		}
		row, known = was, true
		break
	}
	if !known {
		rand.Read(row.id[:]) // never fails: the runtime ends the process first
	}
	spends, err := in.spends(ctx, row.id)
	if err != nil {
		return false, err
	}
	asked := said.Asked
	if asked.IsZero() {
		asked = v.now()
	}
	row.amount, row.elsewhere = said.Amount, max(0, said.Refunded-includedIn(spends, asked))
	switch {
	case !known:
		err = in.insertPayment(ctx, row)
	case !bytes.Equal(row.tag, v.paymentTag(row)):
		err = in.updatePayment(ctx, row)
	}
	if err != nil {
		return false, err
	}
	for i, id := range ids {
		linked, err := in.link(ctx, id, row.id)
		if err != nil {
			return false, err
		}
		if !linked && !known && i == 0 {
			return true, nil // another process has just noted it
		}
	}
	return false, nil
}
