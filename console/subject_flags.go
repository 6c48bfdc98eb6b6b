package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Flags are what persons, or the law, want of whoever holds data of them. ErrInvalid, with a
// text that may be shown, for a person in no form and a flag that cannot be.
type Flags interface {
	// Set gives each name the flag, unless it has it. When it fails, some may have it: it may
	// be called again.
	Set(ctx context.Context, by Actor, f NewFlag) (FlagAnswer, error)
	// End ends the flag of each name.
	End(ctx context.Context, by Actor, f NewFlag) (FlagAnswer, error)
	// List says which flags the names have and had.
	List(ctx context.Context, q FlagQuestion) (FlagList, error)
}

// NewFlag is a wish to set a flag of persons, or to end it.
type NewFlag struct {
	// Subjects name them: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID.
	Subjects []string
	// Flag is its kind: restriction, opt_out_sale_sharing, limit_sensitive or objection.
	Flag string
	// Since is when it begins to count, zero for now; Until when it ends by itself, zero for
	// not. Of an end they say nothing.
	Since, Until time.Time
	// Reason is a word for why, Ticket the number under which it was asked for. Both stand in
	// the log.
	Reason, Ticket string
}

// FlagAnswer says what became of a NewFlag.
type FlagAnswer struct {
	// Flags are the flags as they stand after being set, one for each name. An end has none.
	Flags []SubjectFlag `json:"flags"`
	// Changed is how many were set or ended. The others had been before.
	Changed int `json:"changed"`
	// Event is the one that tells of it, empty when nothing changed.
	Event string `json:"event,omitempty"`
}

// FlagQuestion asks which flags persons have.
type FlagQuestion struct {
	Subjects []string
	// Linked adds the names that a vendor's profile, or somebody here, says are the same
	// person's.
	Linked bool
}

// SubjectFlag is a flag of one name of a person.
type SubjectFlag struct {
	// Subject is the place of the name in the question, from 1; 0 for a linked name.
	Subject int    `json:"subject"`
	ID      string `json:"id"`
	Flag    string `json:"flag"`
	// Counts tells whether it counts now.
	Counts bool      `json:"counts"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"`
	Ended  time.Time `json:"ended,omitzero"`
	// Erased is when the person was erased; the flag has no reason and no ticket since.
	Erased time.Time `json:"erased,omitzero"`
	Reason string    `json:"reason,omitempty"`
	Ticket string    `json:"ticket,omitempty"`
	SetBy  string    `json:"set_by,omitempty"`
	EndBy  string    `json:"end_by,omitempty"`
}

// FlagList answers a FlagQuestion, in the order of names and of the flags' begin.
type FlagList struct {
	Flags []SubjectFlag `json:"flags"`
}

// decodeNewFlag reads {"subjects", "flag", "since", "until", "reason", "ticket"}.
func decodeNewFlag(body []byte) (any, *Refusal) {
	var f NewFlag
	if ref := decodeObject(body, member{"subjects", &f.Subjects}, member{"flag", &f.Flag}, member{"since", &f.Since}, member{"until", &f.Until}, member{"reason", &f.Reason}, member{"ticket", &f.Ticket}); ref != nil {
		return nil, ref
	}
	if ref := checkFlag(f); ref != nil {
		return nil, ref
	}
	return f, nil
}

// decodeFlagEnd reads {"subjects", "flag", "reason", "ticket"}.
func decodeFlagEnd(body []byte) (any, *Refusal) {
	var f NewFlag
	if ref := decodeObject(body, member{"subjects", &f.Subjects}, member{"flag", &f.Flag}, member{"reason", &f.Reason}, member{"ticket", &f.Ticket}); ref != nil {
		return nil, ref
	}
	if ref := checkFlag(f); ref != nil {
		return nil, ref
	}
	return f, nil
}

func checkFlag(f NewFlag) *Refusal {
	if ref := checkSubjects(f.Subjects); ref != nil {
		return ref
	}
	if !isWord(f.Flag) {
		return refuse(reasonInvalid, "flag: want the kind of a flag", nil)
	}
	for what, word := range map[string]string{"reason": f.Reason, "ticket": f.Ticket} {
		if word != "" && (!isWord(word) || len(word) > maxErasureTicket) {
			return refuse(reasonInvalid, fmt.Sprintf("%s: want 1 to %d letters, digits, dashes and underscores", what, maxErasureTicket), nil)
		}
	}
	return nil
}

// decodeFlagQuestion reads {"subjects", "linked"}.
func decodeFlagQuestion(body []byte) (any, *Refusal) {
	var q FlagQuestion
	if ref := decodeObject(body, member{"subjects", &q.Subjects}, member{"linked", &q.Linked}); ref != nil {
		return nil, ref
	}
	if ref := checkSubjects(q.Subjects); ref != nil {
		return nil, ref
	}
	return q, nil
}

// setFlags answers POST /api/v1/subjects/flags.
func setFlags(a *api, c *callState) (answer, *Refusal) { return changeFlags(c, a.Flags.Set) }

// endFlags answers POST /api/v1/subjects/flags/end.
func endFlags(a *api, c *callState) (answer, *Refusal) { return changeFlags(c, a.Flags.End) }

func changeFlags(c *callState, change func(context.Context, Actor, NewFlag) (FlagAnswer, error)) (answer, *Refusal) {
	f := c.body.(NewFlag)
	done, err := change(c.ctx, c.actor, f)
	if err != nil {
		return answer{}, flagRefusal(err)
	}
	if done.Flags == nil {
		done.Flags = []SubjectFlag{}
	}
	attrs := map[string]string{"flag": f.Flag, "changed": strconv.Itoa(done.Changed)}
	for name, word := range map[string]string{"reason": f.Reason, "ticket": f.Ticket, "event": done.Event} {
		if word != "" {
			attrs[name] = word
		}
	}
	return answer{status: http.StatusOK, body: done, attrs: attrs}, nil
}

// listFlags answers POST /api/v1/subjects/flags/list.
func listFlags(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Flags.List(c.ctx, c.body.(FlagQuestion))
	if err != nil {
		return answer{}, flagRefusal(err)
	}
	if list.Flags == nil {
		list.Flags = []SubjectFlag{}
	}
	return answer{status: http.StatusOK, body: list, attrs: map[string]string{"found": strconv.Itoa(len(list.Flags))}}, nil
}

func flagRefusal(err error) *Refusal {
	if errors.Is(err, ErrInvalid) {
		return refuse(reasonInvalid, "a subject has not the form it should have, too many names are linked, or the flag is none: limit_sensitive, objection, opt_out_sale_sharing, restriction; until lies behind since and now", err)
	}
	return refuse(reasonInternal, "", err)
}
