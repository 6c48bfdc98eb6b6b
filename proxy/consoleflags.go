package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/vault"
)

// Types of the events that tell of flags of persons. They name the persons by pseudonyms and
// are durable before the flags change: after a crash in between, whoever got no answer calls
// again.
const (
	eventFlagSet   = "subject.flag_set"
	eventFlagEnded = "subject.flag_ended"
)

// consoleFlags gives the flags of the index in console's types.
type consoleFlags struct{ a *App }

// flagged is one name of a person in a call about flags.
type flagged struct {
	ident vault.Ident
	who   vault.Subject // zero for somebody who is not known
	name  index.NameDigest
}

func (f *flagged) person() index.Person {
	if f.who.IsZero() {
		return index.Person{}
	}
	return f.who.Pseudonym(pseudonymIndex)
}

// names reads names of persons, each once. A flag may be set before anybody calls: then make
// says that who is not known gets a key.
func (c consoleFlags) names(ctx context.Context, subjects []string, makes bool) ([]flagged, error) {
	d := c.a.gen.data
	all := make([]flagged, len(subjects))
	idents := make([]vault.Ident, len(subjects))
	for i, s := range subjects {
		var err error
		if idents[i], err = subjectIdent(s); err != nil {
			return nil, err
		}
		name, ok := d.nameDigest(idents[i])
		if !ok {
			return nil, fmt.Errorf("%w: subject", console.ErrInvalid)
		}
		all[i] = flagged{ident: idents[i], name: name}
	}
	if makes {
		made, err := d.Vault.Subjects(ctx, idents)
		if err != nil {
			return nil, err
		}
		for i := range all {
			all[i].who = made[i]
		}
		return all, nil
	}
	for i := range all {
		var err error
		if all[i].who, err = d.Vault.Known(ctx, idents[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// standing are the flags of one kind of a name that were not ended, by somebody or by time.
func (c consoleFlags) standing(ctx context.Context, f *flagged, kind string, now time.Time) (all []index.Flag, err error) {
	list, err := c.a.gen.data.Index.Flags(ctx, f.person(), f.name)
	for _, had := range list {
		if had.Kind == kind && had.Ended.IsZero() && (had.Until.IsZero() || had.Until.After(now)) {
			all = append(all, had)
		}
	}
	return all, err
}

// Set implements console.Flags.
func (c consoleFlags) Set(ctx context.Context, by console.Actor, n console.NewFlag) (out console.FlagAnswer, err error) {
	now := c.a.now()
	if n.Since.IsZero() {
		n.Since = now
	}
	if !slices.Contains(index.FlagKinds(), n.Flag) || !n.Until.IsZero() && (!n.Until.After(n.Since) || !n.Until.After(now)) {
		return out, fmt.Errorf("%w: flag", console.ErrInvalid)
	}
	all, err := c.names(ctx, n.Subjects, true)
	if err != nil {
		return out, err
	}
	d := c.a.gen.data
	var fresh []flagged
	for i := range all {
		had, err := c.standing(ctx, &all[i], n.Flag, now)
		if err != nil {
			return out, err
		}
		// What is left of somebody who was erased makes way for a flag with a reason.
		if !slices.ContainsFunc(had, func(f index.Flag) bool { return f.Erased.IsZero() && f.Person == all[i].person() }) {
			fresh = append(fresh, all[i])
		}
	}
	if len(fresh) > 0 {
		attrs := map[string]string{"since": n.Since.UTC().Format(time.RFC3339)}
		if !n.Until.IsZero() {
			attrs["until"] = n.Until.UTC().Format(time.RFC3339)
		}
		if out.Event, err = c.record(ctx, eventFlagSet, by, n, fresh, attrs); err != nil {
			return out, err
		}
	}
	for i := range all {
		f := index.Flag{Kind: n.Flag, Person: all[i].person(), Since: n.Since, Until: n.Until, Reason: n.Reason, Ticket: n.Ticket, SetBy: by.ID}
		set, made, err := d.Index.SetFlag(ctx, f, all[i].name, now)
		if errors.Is(err, index.ErrFlag) {
			return out, fmt.Errorf("%w: %w", console.ErrInvalid, err)
		}
		if err != nil {
			return out, err
		}
		if made {
			out.Changed++
		}
		out.Flags = append(out.Flags, flagView(i+1, &set, now))
	}
	return out, c.stillThere(ctx, all)
}

// stillThere fails when one of these persons was erased meanwhile: nobody would find the flag
// by the pseudonym, so what outlives the person is left of it, and the rest goes.
func (c consoleFlags) stillThere(ctx context.Context, all []flagged) error {
	d := c.a.gen.data
	idents := make([]vault.Ident, len(all))
	for i := range all {
		idents[i] = all[i].ident
	}
	now, err := d.Vault.FindErasable(ctx, idents)
	if err != nil {
		return err
	}
	var gone []index.Person
	for i := range all {
		if now[i].Subject.IsZero() || now[i].Subject.Pseudonym(pseudonymIndex) != all[i].person() {
			gone = append(gone, all[i].person())
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if err := d.Index.Forget(ctx, gone); err != nil {
		return err
	}
	return errors.New("a person was erased while a flag was set: set it again")
}

// End implements console.Flags.
func (c consoleFlags) End(ctx context.Context, by console.Actor, n console.NewFlag) (out console.FlagAnswer, err error) {
	now := c.a.now()
	if !slices.Contains(index.FlagKinds(), n.Flag) {
		return out, fmt.Errorf("%w: flag", console.ErrInvalid)
	}
	all, err := c.names(ctx, n.Subjects, false)
	if err != nil {
		return out, err
	}
	var had []flagged
	var persons []index.Person
	var named []index.NameDigest
	for i := range all {
		flags, err := c.standing(ctx, &all[i], n.Flag, now)
		if err != nil {
			return out, err
		}
		if len(flags) > 0 {
			had, named = append(had, all[i]), append(named, all[i].name)
			if !all[i].who.IsZero() {
				persons = append(persons, all[i].person())
			}
		}
	}
	if len(had) == 0 {
		return out, nil
	}
	if out.Event, err = c.record(ctx, eventFlagEnded, by, n, had, nil); err != nil {
		return out, err
	}
	ended, err := c.a.gen.data.Index.EndFlags(ctx, n.Flag, persons, named, by.ID, now)
	out.Changed = int(ended)
	return out, err
}

// List implements console.Flags.
func (c consoleFlags) List(ctx context.Context, q console.FlagQuestion) (list console.FlagList, err error) {
	now, d := c.a.now(), c.a.gen.data
	all, err := c.names(ctx, q.Subjects, false)
	if err != nil {
		return list, err
	}
	add := func(at int, p index.Person, name index.NameDigest) error {
		flags, err := d.Index.Flags(ctx, p, name)
		for i := range flags {
			list.Flags = append(list.Flags, flagView(at, &flags[i], now))
		}
		return err
	}
	var known []index.Person
	for i := range all {
		if err := add(i+1, all[i].person(), all[i].name); err != nil {
			return list, err
		}
		if p := all[i].person(); p != (index.Person{}) {
			known = append(known, p)
		}
	}
	if !q.Linked || len(known) == 0 {
		return list, nil
	}
	same, _, err := d.Index.Same(ctx, known)
	if errors.Is(err, index.ErrTooMany) {
		return list, fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	if err != nil {
		return list, err
	}
	for _, p := range same {
		if !slices.Contains(known, p) {
			if err := add(0, p, index.NameDigest{}); err != nil {
				return list, err
			}
		}
	}
	return list, nil
}

func flagView(at int, f *index.Flag, now time.Time) console.SubjectFlag {
	return console.SubjectFlag{
		Subject: at, ID: hex.EncodeToString(f.ID[:]), Flag: f.Kind, Counts: f.Counts(now), Since: f.Since, Until: f.Until, Ended: f.Ended, Erased: f.Erased,
		Reason: f.Reason, Ticket: f.Ticket, SetBy: f.SetBy, EndBy: f.EndBy,
	}
}

// record writes the event of a change, and returns its receipt when it is durable. Persons
// who were erased have no pseudonym; that there are some is counted.
func (c consoleFlags) record(ctx context.Context, kind string, by console.Actor, n console.NewFlag, about []flagged, attrs map[string]string) (string, error) {
	d := c.a.gen.data
	actor, err := d.Vault.Actor(ctx, by.ID)
	if err != nil {
		return "", err
	}
	slot, err := d.Log.Reserve(ctx, audit.LaneReserved)
	if err != nil {
		return "", err
	}
	defer slot.Release()
	e := audit.Event{Type: kind, Tenant: tenant, Actor: actor.Pseudonym(d.Log.Origin()), Attrs: map[string]string{"flag": n.Flag}, Retention: retentionAdministration}
	for name, word := range attrs {
		e.Attrs[name] = word
	}
	if n.Reason != "" {
		e.Attrs["reason"] = n.Reason
	}
	if n.Ticket != "" {
		e.Attrs["ticket"] = n.Ticket
	}
	strangers := 0
	for i := range about {
		if about[i].who.IsZero() {
			strangers++
			continue
		}
		ref := audit.Ref{ID: about[i].who.Pseudonym(d.Log.Origin())}
		if !slices.ContainsFunc(e.Subjects, func(r audit.Ref) bool { return r.ID == ref.ID }) {
			e.Subjects = append(e.Subjects, ref)
		}
	}
	if strangers > 0 {
		e.Attrs["erased"] = strconv.Itoa(strangers)
	}
	r, err := slot.Append(e).Wait(ctx)
	return r.ID.String(), err
}

var _ console.Flags = consoleFlags{}
