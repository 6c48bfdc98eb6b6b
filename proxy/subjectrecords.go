package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/retention/index"
)

// records answers console's question which records of vendors name a person.
func (c consoleMount) records(ctx context.Context, q console.RecordQuestion) (list console.RecordList, err error) {
	d := c.a.gen.data
	var named []index.Person
	for _, s := range q.Subjects {
		ident, err := subjectIdent(s)
		if err != nil {
			return list, err
		}
		who, err := d.Vault.Known(ctx, ident)
		if err != nil {
			return list, err
		}
		if p := index.Person(who.Pseudonym(pseudonymIndex)); !who.IsZero() && !slices.Contains(named, p) {
			named = append(named, p)
		}
	}
	list.Known = len(named)
	if len(named) == 0 {
		return list, nil
	}
	all, _, err := d.Index.Same(ctx, named)
	switch {
	case errors.Is(err, index.ErrTooMany) && q.Linked:
		return list, fmt.Errorf("%w: %w", console.ErrInvalid, err)
	case errors.Is(err, index.ErrTooMany):
		list.Linked = index.MaxOne
	case err != nil:
		return list, err
	default:
		list.Linked = len(all) - len(named)
	}
	if !q.Linked {
		all = named
	}
	return c.a.recordsOf(ctx, list, all, q)
}

// recordsOf adds a page of the records that name persons.
func (a *App) recordsOf(ctx context.Context, list console.RecordList, persons []index.Person, q console.RecordQuestion) (console.RecordList, error) {
	var after index.Record
	var err error
	if q.After != "" {
		if after, err = placeOfRecord(q.After); err != nil {
			return list, err
		}
	}
	found, err := a.gen.data.Index.Of(ctx, persons, after, q.Limit+1)
	if errors.Is(err, index.ErrNone) {
		return list, fmt.Errorf("%w: %w", console.ErrNotFound, err)
	}
	if err != nil {
		return list, err
	}
	if list.More = len(found) > q.Limit; list.More {
		found = found[:q.Limit]
	}
	for _, e := range found {
		r := console.KnownRecord{
			Record: recordPlace(e.Record), Channel: e.Channel, Host: e.Host, Type: e.Type, ID: e.ID, FirstSeen: e.FirstSeen, LastSeen: e.LastSeen,
			Created: e.Created, Closed: e.Closed, Open: e.Open, Reopened: e.Reopened, Gone: e.Gone, Backfilled: e.Backfilled, Classes: append([]string{}, e.Classes...),
		}
		if !e.Parent.IsZero() {
			r.Parent = recordPlace(e.Parent)
		}
		list.Records = append(list.Records, r)
	}
	return list, nil
}

// recordPlace writes the place of a record.
func recordPlace(r index.Record) string {
	return r.Channel + "/" + r.Host + "/" + r.Type + "/" + r.ID
}

// placeOfRecord reads CHANNEL/HOST/TYPE/ID. Only the id may have a slash.
func placeOfRecord(s string) (index.Record, error) {
	parts := strings.SplitN(s, "/", 4)
	if len(parts) != 4 || slices.Contains(parts, "") {
		return index.Record{}, fmt.Errorf("%w: record", console.ErrInvalid)
	}
	return index.Record{Channel: parts[0], Host: parts[1], Type: parts[2], ID: parts[3]}, nil
}
