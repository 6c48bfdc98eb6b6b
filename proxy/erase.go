package proxy

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/vault"
)

// eventErased is the event that says whose keys are destroyed. It is durable before
// they are, and is what has them destroyed again when a backup brings them back.
const eventErased = "subject.erased"

// attrErased holds the ids of their rows.
const attrErased = "rows"

// planTime is how long a plan can be carried out.
const planTime = 15 * time.Minute

// errPlan is the refusal of a plan that is over or about something else.
var errPlan = fmt.Errorf("%w: the plan is over, or other persons are known by these names now; make a new one", console.ErrInvalid)

// erase is console's wish to erase persons: a plan first, then the deed.
func (c consoleMount) erase(ctx context.Context, wish console.Erasure) (out console.ErasureAnswer, err error) {
	d := c.a.gen.data
	idents := make([]vault.Ident, len(wish.Subjects))
	for i, s := range wish.Subjects {
		if idents[i], err = subjectIdent(s); err != nil {
			return out, err
		}
	}
	found, err := d.Vault.FindErasable(ctx, idents)
	if err != nil {
		return out, err
	}
	var ids []vault.PersonID
	var refs []audit.Ref
	var indexed []index.Person
	for i, f := range found {
		p := console.ErasedPerson{Kind: idents[i].Kind, Known: !f.Subject.IsZero(), Tokens: f.Tokens}
		out.People = append(out.People, p)
		if p.Known && !slices.Contains(ids, f.ID) {
			ids = append(ids, f.ID)
			refs = append(refs, audit.Ref{ID: f.Subject.Pseudonym(d.Log.Origin())})
			indexed = append(indexed, f.Subject.Pseudonym(pseudonymIndex))
		}
	}
	slices.SortFunc(ids, func(a, b vault.PersonID) int { return slices.Compare(a[:], b[:]) })
	// A plan that could not be carried out is none.
	if err := d.Holds.Check(ctx, indexed); err != nil {
		return out, heldRefusal(err)
	}
	now := time.Now()
	if wish.Plan == "" {
		if len(ids) > 0 {
			out.Plan = d.planOf(ids, now.Add(planTime).Unix())
		}
		return out, nil
	}
	if !d.planned(wish.Plan, ids, now) {
		return out, errPlan
	}
	// From the gate on no hold stops it. A crash before the event is durable leaves a mark of
	// an erasure that never was, which the next start takes away.
	event := audit.NewID()
	if err := d.Holds.Pass(ctx, event, d.gateway, indexed); err != nil {
		return out, heldRefusal(err)
	}
	receipt, err := d.recordErasure(ctx, event, ids, refs)
	if err != nil {
		return out, err // whether the log has it nobody knows before the next start
	}
	out.Erased, out.Event = true, receipt.String()
	// From here on it happens, by this call or by the next start. The index goes first:
	// without the key nobody can tell which of its rows are the person's.
	if err := d.Index.Forget(ctx, indexed); err != nil {
		return out, fmt.Errorf("the erasure %s is in the log and not carried out yet; the next start does it: %w", receipt, err)
	}
	if _, err := d.Vault.Erase(ctx, ids, vault.ErasureMark{}); err != nil {
		return out, fmt.Errorf("the erasure %s is in the log and not carried out yet; the next start does it: %w", receipt, err)
	}
	// An exchange that was under way had the key still.
	if err := d.Index.Forget(ctx, indexed); err != nil {
		return out, fmt.Errorf("the erasure %s is carried out, but the index of records may name the person as nobody who is known: %w", receipt, err)
	}
	if err := d.Holds.Ended(ctx, event); err != nil {
		return out, fmt.Errorf("the erasure %s is carried out, and its mark stays until the next start: %w", receipt, err)
	}
	return out, nil
}

// subjectIdent reads email:ADDRESS, phone:NUMBER or CHANNEL:OBJECT:ID.
func subjectIdent(text string) (vault.Ident, error) {
	i := strings.LastIndex(text, ":")
	if kind, _, _ := strings.Cut(text, ":"); kind == "email" || kind == "phone" {
		i = len(kind) // the value may have colons
	}
	if i <= 0 || i == len(text)-1 {
		return vault.Ident{}, fmt.Errorf("%w: subject", console.ErrInvalid)
	}
	return vault.Ident{Kind: text[:i], Value: text[i+1:]}, nil
}

// planOf names a plan: until when it counts, and a keyed digest over that and the rows.
func (d *Data) planOf(ids []vault.PersonID, until int64) string {
	in := binary.BigEndian.AppendUint64(nil, uint64(until))
	for _, id := range ids {
		in = append(in, id[:]...)
	}
	return strconv.FormatInt(until, 36) + "-" + hex.EncodeToString(d.Vault.Digest("erasure plan", in)[:16])
}

func (d *Data) planned(plan string, ids []vault.PersonID, now time.Time) bool {
	head, _, _ := strings.Cut(plan, "-")
	until, err := strconv.ParseInt(head, 36, 64)
	return err == nil && len(ids) > 0 && now.Unix() <= until && hmac.Equal([]byte(plan), []byte(d.planOf(ids, until)))
}

// recordErasure writes the event, and returns when it is durable. Without room for it the
// erasure is taken back from the gate.
func (d *Data) recordErasure(ctx context.Context, event audit.ID, ids []vault.PersonID, refs []audit.Ref) (audit.ID, error) {
	slot, err := d.Log.Reserve(ctx, audit.LaneReserved)
	if err != nil {
		return audit.ID{}, errors.Join(err, d.Holds.Dropped(ctx, event)) // nothing was written
	}
	defer slot.Release()
	rows := make([]string, len(ids))
	for i, id := range ids {
		rows[i] = id.String()
	}
	r, err := slot.Append(audit.Event{
		ID: event, Type: eventErased, Tenant: tenant, Subjects: refs, Attrs: map[string]string{attrErased: strings.Join(rows, ",")}, Retention: retentionAdministration,
	}).Wait(ctx)
	return r.ID, err
}

// ReplayErasures carries out what the log says was erased and the vault does not know
// of: after a crash between the two, and after a backup of the vault was restored
// (audit invariant A13). It runs before anything is served, on what the log's index
// has then; replaySoon does so again when the index has everything.
func (d *Data) ReplayErasures(ctx context.Context, logger *slog.Logger) error {
	mark, err := d.Vault.ErasedUpTo(ctx)
	if err != nil {
		return err
	}
	missing, newest, err := d.erasuresSince(ctx, mark)
	if err != nil || newest == mark {
		return err
	}
	var ids []vault.PersonID
	for _, e := range missing {
		leaf, err := d.Log.Find(ctx, e.ID)
		if err != nil {
			return fmt.Errorf("reading an erasure in the log: %w", err)
		}
		for _, row := range strings.Split(leaf.Attrs[attrErased], ",") {
			id, err := vault.ParsePersonID(row)
			if err != nil {
				return fmt.Errorf("reading an erasure in the log: %w", err)
			}
			ids = append(ids, id)
		}
	}
	still, err := d.Vault.StillThere(ctx, ids)
	if err != nil {
		return fmt.Errorf("carrying out erasures that the log holds: %w", err)
	}
	indexed := make([]index.Person, len(still))
	for i, s := range still {
		indexed[i] = s.Pseudonym(pseudonymIndex)
	}
	if err := d.Index.Forget(ctx, indexed); err != nil {
		return fmt.Errorf("carrying out erasures that the log holds: %w", err)
	}
	done, err := d.Vault.Erase(ctx, ids, newest)
	if err != nil {
		return fmt.Errorf("carrying out erasures that the log holds: %w", err)
	}
	if done.People > 0 {
		logger.Warn("persons whose erasure is in the log were still in the vault, and are erased now: it was interrupted, or a backup was restored",
			slog.Int64("people", done.People), slog.Int64("tokens", done.Tokens))
	}
	return nil
}

// replaySoon is ReplayErasures for what became durable in the last second before an
// unclean stop: the index has it with the next checkpoint.
//
// left are the erasures that passed the gate of holds before this process began, and of which
// nobody noted an end.
func (d *Data) replaySoon(ctx context.Context, left [][16]byte, logger *slog.Logger) {
	err := d.Log.Settle(ctx)
	if err == nil {
		err = d.ReplayErasures(ctx, logger)
	}
	if err == nil {
		err = d.settleErasures(ctx, left, logger)
	}
	if err != nil && ctx.Err() == nil {
		logger.Error("carrying out erasures that the log holds; the next start tries again", slog.Any("error", err))
	}
}

// erasuresSince returns the erasures behind the mark, and the place of the newest.
func (d *Data) erasuresSince(ctx context.Context, mark vault.ErasureMark) (missing []audit.Found, newest vault.ErasureMark, err error) {
	for limit := 64; ; limit *= 8 {
		found, more, err := d.Log.Index().Entries(ctx, audit.Query{Type: eventErased}, limit)
		if err != nil {
			return nil, mark, fmt.Errorf("looking for erasures in the log: %w", err)
		}
		if len(found) == 0 {
			return nil, mark, nil
		}
		at := slices.IndexFunc(found, func(f audit.Found) bool { return f.Origin == mark.Shard && f.Index == mark.Index })
		newest = vault.ErasureMark{Shard: found[0].Origin, Index: found[0].Index}
		switch {
		case at >= 0:
			return found[:at], newest, nil
		case !more:
			// All of them, also when the mark is of a log that this is not: erasing twice
			// does no harm.
			return found, newest, nil
		}
	}
}
