package vault

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// MaxValue is the length of the longest value that is kept, in bytes: far above any
// number of an account, far below a text.
const MaxValue = 1024

var (
	// ErrToken is returned for a token that is forged, unknown, expired or of another
	// tenant, and for one whose person's key was destroyed. Which of them is not told
	// (V9).
	ErrToken = errors.New("there is no such token")
	// ErrNeverKept is returned for a kind of value that nobody may keep (V14).
	ErrNeverKept = errors.New("values of this kind are never kept")
	// ErrValue is returned for a value that is empty or longer than MaxValue.
	ErrValue = errors.New("this value cannot be kept")
)

// neverKept are the data classes that must not be stored in any form after
// authorisation (PCI DSS 4.0.1, 3.3.1).
func neverKept(kind string) bool {
	switch kind {
	case "card_verification_code", "card_track_data", "card_pin":
		return true
	}
	return false
}

// Value is something to be kept behind a token. However it is printed it shows its kind
// only.
type Value struct {
	// Kind is the data class, in the words of package redact. Values of different kinds
	// never share a token.
	Kind string
	// Text is the value. Cards, social security numbers and IBANs are kept without what
	// groups them, so that one number has one token however it is written; everything
	// else byte for byte.
	Text []byte
	// Subject is the person whose key the value is sealed under; zero for nobody in
	// particular. A token that exists keeps the person it has.
	Subject Subject
}

// String shows the kind only.
func (v Value) String() string { return v.Kind + ":[personal]" }

// GoString shows the kind only.
func (v Value) GoString() string { return v.String() }

// MarshalJSON shows a fixed word.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"[personal]"`), nil }

// LogValue shows the kind only.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// appendKept appends what is kept of a value, by which equal values meet.
func appendKept(dst []byte, kind string, text []byte) []byte {
	switch kind {
	case "credit_card", "us_ssn", "us_itin":
		for _, b := range text {
			if b-'0' <= 9 {
				dst = append(dst, b)
			}
		}
		return dst
	case "iban":
		for _, b := range text {
			switch {
			case b == ' ' || b == '-' || b == '.':
			case b-'a' < 26:
				dst = append(dst, b-'a'+'A')
			default:
				dst = append(dst, b)
			}
		}
		return dst
	}
	return append(dst, text...)
}

// Token is a token that was issued.
type Token struct {
	// Text is the token itself, TokenSize bytes of a-z and 0-9.
	Text string
	// Name names it in the log: a keyed digest in hex, from which no token can be made.
	Name string
}

// Issue is what Tokenize returns.
type Issue struct {
	// Tokens are parallel to the values.
	Tokens []Token
	// Event is the id that the event which names the tokens has to have for KeepRecorded;
	// zero: any will do.
	Event [16]byte

	vault   *Vault
	pending keeping
}

// Tokenize finds or makes the tokens that stand for values, in the same order, in one
// transaction for all that are new, those of concurrent calls included. Equal kept form,
// tenant, scope and kind have one token, however many calls race for it in this process
// or another (V3); scope "" is the whole tenant. The rows are durable when it returns.
//
// life bounds how long a token can be turned back, zero is for ever. A token that is
// asked for again has seven eighths of life before it at least.
//
// No token may leave before Keep has returned nil, and Keep waits for the event: a row
// that is not kept is swept after OrphanTime.
func (v *Vault) Tokenize(ctx context.Context, scope string, life time.Duration, values []Value) (*Issue, error) {
	if err := v.usable(); err != nil {
		return nil, err
	}
	is := &Issue{vault: v, Tokens: make([]Token, len(values))}
	var unknown []wish
	var missing []change
	var at, made []int // indexes into values, beside unknown and missing
	mark := drawMark()
	now := v.now()
	var nobody Subject
	if v.defers() {
		is.Event = drawEvent(now)
	}
	for i := range values {
		w, err := v.wishFor(ctx, scope, life, &values[i], &nobody)
		if err != nil {
			return nil, err
		}
		if row, ok := v.tokens.Get(w.mac); ok && now.Sub(row.loaded) <= v.cacheTime && row.serves(now, life) {
			is.set(i, v.outcomeOf(&row))
			continue
		}
		unknown, at = append(unknown, w), append(at, i)
	}
	found, err := v.lookUpTokens(ctx, unknown)
	if err != nil {
		return nil, err
	}
	for j, i := range at {
		row := found[unknown[j].mac]
		if row == nil || !row.serves(now, life) {
			d, err := v.drafted(unknown[j], mark, is.Event, now)
			if err != nil {
				return nil, err
			}
			missing, made = append(missing, change{draft: d}), append(made, i)
			continue
		}
		is.set(i, v.outcomeOf(row))
	}
	if len(missing) > 0 {
		tokens, err := v.changes.do(ctx, missing)
		if err != nil {
			return nil, errors.Join(err, v.forgetGone(ctx, missing))
		}
		is.pending.mark = mark
		for j, i := range made {
			is.set(i, tokens[j])
		}
		if is.pending.own == nil {
			is.pending.mark = 0 // others have made all of them meanwhile
		}
	}
	return is, nil
}

// forgetGone empties the caches when one of the people whose values could not be kept has
// no row any more: another process erased it, and the next call makes a new one.
func (v *Vault) forgetGone(ctx context.Context, all []change) error {
	for i := range all {
		var there int
		if err := v.db.QueryRowContext(ctx, `SELECT count(*) FROM person WHERE id = $1`, all[i].draft.of.id[:]).Scan(&there); err != nil {
			return fmt.Errorf("looking for people: %w", err)
		}
		if there == 0 {
			v.purge()
			return ErrNoKey
		}
	}
	return nil
}

// set notes the token of a value, and what has to be done before it may be released.
func (is *Issue) set(i int, o outcome) {
	is.Tokens[i] = is.vault.token(o.said)
	switch o.mark {
	case 0:
	case is.pending.mark:
		is.pending.own = append(is.pending.own, o.id)
	default:
		is.pending.others = append(is.pending.others, o.id)
	}
}

// Keep notes that the event which names the tokens is durable. When it returns nil they
// may be released, and will not be swept.
func (is *Issue) Keep(ctx context.Context) error {
	if is.pending.own == nil && is.pending.others == nil {
		return nil
	}
	kept, err := is.vault.changes.do(ctx, []change{{keep: &is.pending}})
	if err != nil {
		return err
	}
	if !kept[0].kept {
		return fmt.Errorf("keeping a token: %w", ErrToken) // it was swept or its person erased meanwhile
	}
	is.pending = keeping{}
	return nil
}

// defers tells whether a mark may stay for a while after its tokens were released. Several
// gateways on one PostgreSQL would have to ask each other's logs.
func (v *Vault) defers() bool { return v.recorded != nil && v.db.Dialect == store.SQLite }

// drawEvent draws the id of an event: 48 bits of time in milliseconds and 80 random ones, as
// the log draws its own, so that its index goes on growing at the end.
func drawEvent(now time.Time) (id [idSize]byte) {
	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16)
	rand.Read(id[6:]) // never fails: the runtime ends the process first
	return id
}

// drawnAt is when the id of an event was drawn.
func drawnAt(event [idSize]byte) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(event[:8]) >> 16))
}

// KeepRecorded is Keep for a caller whose event has the id Event and is durable in the log
// that Config.Recorded reads. It waits for nothing then: the mark is taken away with what
// the next calls write, and should the process die before, Sweep finds the event. Who
// erases a person meanwhile is not noticed; that person's tokens lead to nothing.
//
// Tokens that another call has made and not kept yet are kept as by Keep, and so are all
// where Event was drawn so long ago by the clock that Sweep may have come between.
func (is *Issue) KeepRecorded(ctx context.Context) error {
	age := is.vault.now().Sub(drawnAt(is.Event))
	if is.Event == ([idSize]byte{}) || is.pending.others != nil || age.Abs() > OrphanTime/2 {
		return is.Keep(ctx)
	}
	if is.pending.own != nil {
		pending := is.pending
		pending.released = true
		is.vault.changes.later(change{keep: &pending})
		is.pending = keeping{}
	}
	return nil
}

// wishFor is what has to be found or made for a value. Whoever stands for nobody in the scope
// is looked for once in a call, and left in nobody.
func (v *Vault) wishFor(ctx context.Context, scope string, life time.Duration, val *Value, nobody *Subject) (wish, error) {
	if neverKept(val.Kind) {
		return wish{}, fmt.Errorf("%w: %s", ErrNeverKept, val.Kind)
	}
	kept := appendKept(nil, val.Kind, val.Text)
	if val.Kind == "" || len(kept) == 0 || len(kept) > MaxValue {
		return wish{}, ErrValue
	}
	of := val.Subject
	if of.IsZero() {
		if nobody.IsZero() {
			found, err := v.Subjects(ctx, []Ident{{Kind: identTokens, Value: "all " + scope}})
			if err != nil {
				return wish{}, err
			}
			*nobody = found[0]
		}
		of = *nobody
	}
	return wish{scope: scope, kind: val.Kind, kept: kept, mac: v.tokenMAC(scope, val.Kind, kept), of: of.p, life: life}, nil
}

// identTokens is the kind of ident behind which nobody in particular is: whose key
// seals what cannot be said to be somebody's.
const identTokens = "caregate:tokens"

// Reveal returns the value behind the token that text is, with punctuation around it at
// most, or the original of the mask at the Place that it is. The caller has asked policy and waited for the event before (V8). The error is
// ErrToken for every token that is not to be turned back (V9).
func (v *Vault) Reveal(ctx context.Context, text string) (Value, error) {
	if err := v.usable(); err != nil {
		return Value{}, err
	}
	id, ok := v.locate(text)
	if !ok {
		// One that nobody has is looked for, so that a forged token takes as long as an
		// unknown one (V9).
		rand.Read(id[:]) // never fails: the runtime ends the process first
	}
	return v.reveal(ctx, id)
}

// reveal is Reveal by what the token says.
func (v *Vault) reveal(ctx context.Context, said [idSize]byte) (Value, error) {
	row, err := v.loadTokenRow(ctx, said)
	if err != nil {
		return Value{}, err
	}
	return v.openRow(ctx, row)
}

// openRow opens the value of a row.
func (v *Vault) openRow(ctx context.Context, row *tokenRow) (Value, error) {
	if row.expired(v.now()) {
		return Value{}, ErrToken
	}
	p, err := v.byID(ctx, row.person)
	if errors.Is(err, ErrNoKey) {
		return Value{}, ErrToken
	}
	if err != nil {
		return Value{}, err
	}
	text2, err := p.openToken(row.sealed, row.ad(v.tenant))
	if err != nil {
		return Value{}, v.changed("token", row.id[:])
	}
	return Value{Kind: row.kind, Text: text2, Subject: Subject{p}}, nil
}

// TokenName names in the log what Reveal would turn back, as Token.Name does; ok is false
// for a text that is no token of this vault and no Place. Nothing is looked up.
func (v *Vault) TokenName(text string) (name string, ok bool) {
	id, ok := v.locate(text)
	if !ok {
		return "", false
	}
	return v.token(id).Name, true
}

// Spans appends where tokens of this vault stand in text, as start and end of each.
// They are known by their check, without looking them up: one of a million strings of
// their form passes. Wrapped, quoted and upper-case tokens are known.
func (v *Vault) Spans(dst [][2]int, text []byte) [][2]int {
	for from := 0; ; {
		f, start, end, ok := nextShape(text, from)
		if !ok {
			return dst
		}
		from = start + 1
		if v.checkOf(f.body) == f.check {
			dst, from = append(dst, [2]int{start, end}), end
		}
	}
}

// parseToken reads a text that is a token and nothing else.
func (v *Vault) parseToken(text []byte) (id [idSize]byte, ok bool) {
	f, start, end, ok := nextShape(text, 0)
	if !ok || v.checkOf(f.body) != f.check {
		return id, false
	}
	for i, b := range text {
		if (i < start || i >= end) && (isWord(b) || b >= 0x80) {
			return id, false
		}
	}
	return f.body, true
}

// token is the token that says something.
func (v *Vault) token(said [idSize]byte) Token {
	var buf [TokenSize]byte
	name := v.Record(identTokens, string(said[:]))
	return Token{Text: string(appendForm(buf[:0], tokenForm{said, v.checkOf(said)})), Name: hex.EncodeToString(name[:])}
}

// Labels of the inputs of the check and index branches for tokens.
const (
	labelCheck      = "token check"
	labelTokenBlind = "token blind"
	labelTokenLink  = "token link"
)

// checkOf is the check of a token's body.
func (v *Vault) checkOf(body [idSize]byte) uint32 {
	var buf [128]byte
	in := appendPart(buf[:0], labelCheck)
	in = appendPart(in, v.tenant)
	mac := v.keys.check.compute(append(in, body[:]...))
	return binary.BigEndian.Uint32(mac[:]) >> (32 - checkBits)
}

// tokenMAC is the blind index of a kept value.
func (v *Vault) tokenMAC(scope, kind string, kept []byte) [macSize]byte {
	var buf [256]byte
	in := appendPart(buf[:0], labelTokenBlind)
	in = appendPart(in, v.tenant)
	in = appendPart(in, scope)
	in = appendPart(in, kind)
	return v.keys.index.compute(append(in, kept...))
}

// tokenTag authenticates the way from a value to what its token says, and so the id and the
// time of the row, from which that follows. A program that takes the id for what the token says
// (before version 9 of the tables, and still running) finds the row changed: it gives out no
// token that nobody could turn back.
func (v *Vault) tokenTag(scope, kind string, mac [macSize]byte, said [idSize]byte) [macSize]byte {
	var buf [256]byte
	in := appendPart(buf[:0], labelTokenLink)
	in = appendPart(in, v.tenant)
	in = appendPart(in, scope)
	in = appendPart(in, kind)
	in = append(in, mac[:]...)
	return v.keys.index.compute(append(in, said[:]...))
}

func sameMAC(a []byte, b [macSize]byte) bool { return subtle.ConstantTimeCompare(a, b[:]) == 1 }
