package proxy

import (
	"context"
	"slices"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/vault"
)

// keeping is what becomes of the findings of one half that are tokenized.
type keeping struct {
	// values are kept for the findings at, by their number in the body.
	values []vault.Value
	at     []int
	// names are the log's names of the tokens; issue is nil until there are some.
	names []string
	issue *vault.Issue
	// undo is about masks.
	undo undoing
}

// some reports whether there is anything to keep, or was.
func (k *keeping) some() bool { return len(k.at) > 0 || len(k.undo.at) > 0 }

// Bounds of cards that are kept.
const (
	fewestCardDigits = 12
	mostCardDigits   = 19
)

// keep notes that the finding number i of the body is tokenized, and reports whether it
// can be. What cannot is masked, and counted as that.
func (x *exchange) keep(side *half, i int) bool {
	value, ok := x.keepable(side, i)
	if ok {
		side.keeping.values = append(side.keeping.values, value)
		side.keeping.at = append(side.keeping.at, i)
	}
	return ok
}

// keepable is the value of the finding number i of the body, if it can be kept: there must
// be room for a token, and the value must be one that may be kept and reads as it stands.
func (x *exchange) keepable(side *half, i int) (value vault.Value, ok bool) {
	doc := side.body.doc
	class := doc.Findings[i].Class
	text, ok := doc.Original(i)
	if !ok || len(text) == 0 || len(text) > vault.MaxValue {
		return value, false
	}
	switch class {
	case redact.CardVerificationCode, redact.CardTrackData, redact.CardPIN:
		return value, false // nobody may keep them; policy never asks for it
	case redact.CreditCard:
		// Nineteen digits in groups may be sixteen and the verification code behind.
		digits, plain := digitsOnly(text)
		if !x.h.app.Vault.Cards || !plain || digits < fewestCardDigits || digits > mostCardDigits || digits == mostCardDigits && len(text) > digits {
			return value, false
		}
	case redact.USSSN, redact.USITIN:
		if _, plain := digitsOnly(text); !plain {
			return value, false
		}
	}
	return vault.Value{Kind: string(class), Text: slices.Clone(text)}, true
}

// digitsOnly counts the digits of text and reports whether nothing but blanks, hyphens
// and dots stands between them.
func digitsOnly(text []byte) (n int, plain bool) {
	for _, b := range text {
		switch {
		case b-'0' <= 9:
			n++
		case b != ' ' && b != '-' && b != '.':
			return n, false
		}
	}
	return n, true
}

// tokenize makes the tokens that the decision asked for, and puts them where the
// findings stand; what masks stand for that can be undone is kept. All is in the vault when
// it returns nil, and not released yet: the event names it first.
func (x *exchange) tokenize(ctx context.Context, side *half) *refusal {
	k := &side.keeping
	if x.down != nil {
		k.undo = k.undo.none() // nobody could find what no event names
	}
	if !k.some() {
		return nil
	}
	if x.vaultDown != nil {
		side.maskInstead()
		return nil
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	err := x.index(ctx, side)
	if err != nil && x.withoutVault(err) {
		side.maskInstead()
		return nil
	}
	if err != nil {
		return refuseErr(reasonVaultUnavailable, err)
	}
	if err = x.issue(ctx, side); err == nil {
		err = x.shelve(ctx, side)
	}
	if err != nil && x.withoutVault(err) {
		side.maskInstead()
		return nil
	}
	if err != nil {
		return refuseErr(reasonVaultUnavailable, err)
	}
	for j, i := range k.at {
		side.body.doc.Substitute(i, k.issue.Tokens[j].Text)
	}
	return nil
}

// issue makes the tokens of a half, whose people are indexed.
func (x *exchange) issue(ctx context.Context, side *half) (err error) {
	k := &side.keeping
	if len(k.values) == 0 {
		return nil
	}
	for j, i := range k.at {
		k.values[j].Subject = side.people.owner(side.body.doc.Findings[i].Unit)
	}
	k.issue, err = x.gen.data.Vault.Tokenize(ctx, "", x.h.app.Vault.life(), k.values)
	for j := range k.values {
		clear(k.values[j].Text)
	}
	k.values = nil
	if err != nil {
		return err
	}
	for _, t := range k.issue.Tokens {
		k.names = append(k.names, t.Name)
	}
	return nil
}

// event is the id of the event that names the tokens, where the vault wants a certain one.
func (k *keeping) event(drawn audit.ID) audit.ID {
	if k.issue == nil || k.issue.Event == (audit.ID{}) {
		return drawn
	}
	return k.issue.Event
}

// release notes in the vault that the event which names the tokens, and what masks stand
// for, is durable. Only then the tokens may leave. last is the last event that the log
// has of the exchange.
func (k *keeping) release(ctx context.Context, last audit.ID) *refusal {
	for _, issue := range [...]*vault.Issue{k.issue, k.undo.issue} {
		if issue == nil {
			continue
		}
		keep := issue.Keep // no event names them: the log is down, and the route goes on
		if issue.Event == last {
			keep = issue.KeepRecorded
		}
		if err := keep(ctx); err != nil {
			return refuseErr(reasonVaultUnavailable, err)
		}
	}
	return nil
}

// owner is the one person whom a record of the document names, zero where it names
// nobody or several: then nobody can say whose the value is.
func (p *peopleIndex) owner(unit int) vault.Subject {
	named := p.named[unit]
	if len(named) == 0 && unit != 0 {
		named = p.named[0]
	}
	if len(named) != 1 {
		return vault.Subject{}
	}
	return named[0]
}
