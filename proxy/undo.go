package proxy

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/vault"
)

// Attributes of an event whose masks policy wants to be undone.
const (
	// attrUndo is how many of its masks can be, numbered from 1 in the order of the body,
	// and attrUndoUntil is until when all of them can.
	attrUndo, attrUndoUntil = "undo", "undo_until"
	// attrNoUndo is how many are for good all the same.
	attrNoUndo = "no_undo"
	// attrRequestUndo, in the event of an answer, names the event of its request, if that
	// has masks that can be undone.
	attrRequestUndo = "request_undo"
)

// undoing is what becomes of the masks of one half that policy wants to be undone.
type undoing struct {
	// originals are kept for the findings at, by their number in the body.
	originals []vault.Original
	at        []int
	// lost counts those that cannot be kept.
	lost int
	// event is the event that will record them, until when the first of them ends, names
	// the log's names of what was kept; issue is nil until something was.
	event audit.ID
	until time.Time
	names []string
	issue *vault.Issue
}

// keepOriginal notes that what the mask of a finding stands for is kept, if policy says so;
// i is the finding's number in the body, negative for one elsewhere. The mask stands
// either way.
func (x *exchange) keepOriginal(side *half, class string, i int) {
	life := side.decision.UndoFor(class)
	if life == 0 {
		return
	}
	u := &side.keeping.undo
	if i < 0 || len(u.at) >= vault.MaxPlaces {
		u.lost++
		return
	}
	value, ok := x.keepable(side, i)
	if !ok {
		u.lost++
		return
	}
	u.originals = append(u.originals, vault.Original{Value: value, Life: life})
	u.at = append(u.at, i)
}

// shelve keeps the originals of a half, whose people are indexed.
func (x *exchange) shelve(ctx context.Context, side *half) error {
	u := &side.keeping.undo
	if len(u.originals) == 0 {
		return nil
	}
	shortest := u.originals[0].Life
	for j := range u.originals {
		o := &u.originals[j]
		shortest = min(shortest, o.Life)
		o.Subject = side.people.owner(side.body.doc.Findings[u.at[j]].Unit)
	}
	u.event = side.keeping.event(audit.NewID())
	u.until = x.h.app.now().Add(shortest).UTC().Truncate(time.Second)
	var err error
	u.issue, err = x.gen.data.Vault.Shelve(ctx, u.event, u.originals)
	u.forget()
	if err != nil {
		return err
	}
	for _, t := range u.issue.Tokens {
		u.names = append(u.names, t.Name)
	}
	return nil
}

// forget takes the values out of memory.
func (u *undoing) forget() {
	for j := range u.originals {
		clear(u.originals[j].Text)
	}
	u.originals = nil
}

// none is what remains of u when nothing can be kept: the masks, for good.
func (u *undoing) none() undoing {
	u.forget()
	return undoing{lost: u.lost + len(u.at)}
}

// number is under which number the finding i of the body can be undone, 0 for not. What
// is asked for comes in ascending order; from is where the last question ended.
func (u *undoing) number(i int, from *int) int {
	for *from < len(u.at) && u.at[*from] < i {
		*from++
	}
	if u.issue == nil || *from >= len(u.at) || u.at[*from] != i {
		return 0
	}
	return *from + 1
}

// noteUndo says in an event which masks can be undone, and gives it the id by which they
// are found.
func (x *exchange) noteUndo(e *audit.Event, side *half) {
	u := &side.keeping.undo
	if u.issue != nil {
		e.ID = u.event
		e.Tokens = slices.Concat(e.Tokens, u.names)
		e.Attrs[attrUndo], e.Attrs[attrUndoUntil] = strconv.Itoa(len(u.at)), u.until.Format(time.RFC3339)
	}
	if u.lost > 0 {
		e.Attrs[attrNoUndo] = strconv.Itoa(u.lost)
	}
	if asked := &x.request.keeping.undo; side == &x.response && asked.issue != nil {
		e.Attrs[attrRequestUndo] = asked.event.String()
	}
}
