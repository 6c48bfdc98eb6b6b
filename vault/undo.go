package vault

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Place is where a mask stands whose original is kept for a while. It is the name by which
// the original is asked for: the mask itself shows no token.
type Place struct {
	// Event is the event that records the mask.
	Event [idSize]byte
	// Number is which of the event's masks that can be undone it is, from 1 to MaxPlaces.
	Number int
}

// MaxPlaces is how many originals one event can have: as many as its details say where
// they stood.
const MaxPlaces = 256

// String is the form that ParsePlace reads: the event's id, a slash and the number.
func (p Place) String() string { return hex.EncodeToString(p.Event[:]) + "/" + strconv.Itoa(p.Number) }

// ParsePlace reads a place: 32 lower-case hexadecimal digits, a slash, and a number
// without leading zeros. Nothing else may stand around it.
func ParsePlace(text string) (p Place, ok bool) {
	event, number, ok := strings.Cut(text, "/")
	if !ok || len(event) != hex.EncodedLen(idSize) || strings.ToLower(event) != event {
		return p, false
	}
	if _, err := hex.Decode(p.Event[:], []byte(event)); err != nil {
		return p, false
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > MaxPlaces || strconv.Itoa(n) != number {
		return p, false
	}
	p.Number = n
	return p, true
}

// Original is what a mask stands for.
type Original struct {
	Value
	// Life is how long it is kept; it must have an end.
	Life time.Duration
}

// ErrPlaces is returned for more originals than MaxPlaces, for one without an end, and for an
// event that has originals.
var ErrPlaces = errors.New("these originals cannot be kept")

// Shelve keeps what the masks of one event stand for, byte for byte, until their lives
// are over: the first under number 1. It is Tokenize but for two things: a value is found
// by its place and not by what it is, so that neither equal values nor the people who
// have them meet; and no token is given out, only the names of tokens for the log. The
// caller draws event at random and uses it once.
//
// As with Tokenize, Keep waits for the event, whose id is event.
func (v *Vault) Shelve(ctx context.Context, event [idSize]byte, originals []Original) (*Issue, error) {
	if err := v.usable(); err != nil {
		return nil, err
	}
	if len(originals) > MaxPlaces {
		return nil, ErrPlaces
	}
	is := &Issue{vault: v, pending: keeping{mark: drawMark()}}
	if v.defers() {
		is.Event = event
	}
	wanted := make([]change, len(originals))
	var nobody Subject
	now := v.now()
	for i := range originals {
		o := &originals[i]
		if o.Life <= 0 || len(o.Text) > MaxValue {
			return nil, ErrPlaces
		}
		w, err := v.wishFor(ctx, "", o.Life, &o.Value, &nobody)
		if err != nil {
			return nil, err
		}
		at := Place{event, i + 1}
		w.scope, w.mac = scopeUndo+at.String(), v.placeMAC(at)
		w.id, w.kept = [idSize]byte(w.mac[:idSize]), slices.Clone(o.Text)
		d, err := v.drafted(w, is.pending.mark, is.Event, now)
		if err != nil {
			return nil, err
		}
		wanted[i].draft = d
	}
	made, err := v.changes.do(ctx, wanted)
	if err != nil {
		return nil, errors.Join(err, v.forgetGone(ctx, wanted))
	}
	is.Tokens = make([]Token, len(made))
	for i, o := range made {
		is.set(i, o)
		is.Tokens[i].Text = "" // nobody is given it
	}
	return is, nil
}

// scopeUndo begins the scope of originals. Each place is one of its own, so that rows of
// two places cannot be exchanged (V15) and equal values share nothing (V3).
const scopeUndo = "undo "

// labelPlace separates the places of masks from other inputs of the index branch.
const labelPlace = "token place"

// placeMAC is what an original is found by, and its first bytes are what its token says:
// computed from where the mask stands, and not from the value (V2).
func (v *Vault) placeMAC(p Place) [macSize]byte {
	var buf [128]byte
	in := appendPart(buf[:0], labelPlace)
	in = appendPart(in, v.tenant)
	in = append(in, p.Event[:]...)
	return v.keys.index.compute(binary.BigEndian.AppendUint32(in, uint32(p.Number)))
}

// locate reads a text that says what is to be turned back: a token, or the place of a
// mask. ok is false for everything else.
func (v *Vault) locate(text string) (id [idSize]byte, ok bool) {
	if p, ok := ParsePlace(text); ok {
		mac := v.placeMAC(p)
		return [idSize]byte(mac[:idSize]), true
	}
	return v.parseToken([]byte(text))
}
