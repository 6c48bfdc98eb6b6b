package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/vault"
)

// search answers console's questions about the log: it turns persons and records into
// the pseudonyms that stand there.
type search struct {
	vault *vault.Vault
	index *audit.Index
	find  func(context.Context, audit.ID) (audit.Leaf, error)
	// settle waits until the index has what is durable; nil for files nobody writes.
	settle func(context.Context) error
	// gateways have logs that are not asked; nil without others.
	gateways *gateways
}

// settleTime bounds the wait for the index. A log so busy that it takes longer
// answers with what there is.
var settleTime = 5 * time.Second

// SearchEvents answers a search of the log in a data directory while no gateway runs
// there.
func SearchEvents(ctx context.Context, c DataConfig, s console.Search) (console.FoundList, error) {
	return offline(ctx, c, s, search.events)
}

// SearchExposures is SearchEvents for exposures.
func SearchExposures(ctx context.Context, c DataConfig, s console.Search) (console.ExposureList, error) {
	return offline(ctx, c, s, search.exposures)
}

func offline[T any](ctx context.Context, c DataConfig, s console.Search, do func(search, context.Context, console.Search) (T, error)) (list T, err error) {
	c = c.withDefaults()
	keys, err := c.vault(ctx)
	if err != nil {
		return list, err
	}
	v, err := vault.Open(ctx, c.Dir, keys)
	if err != nil {
		return list, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	x, err := audit.OpenIndex(ctx, c.Dir)
	if err != nil {
		return list, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	find := func(ctx context.Context, id audit.ID) (audit.Leaf, error) { return audit.Lookup(ctx, c.Dir, id) }
	all, done, err := c.gateways(ctx)
	if err != nil {
		return list, err
	}
	defer func() { err = errors.Join(err, done()) }()
	return do(search{vault: v, index: x, find: find, gateways: all}, ctx, s)
}

// nobody stands for a person whom no call ever named: no event has this pseudonym.
func nobody(string) audit.Pseudonym { return audit.Pseudonym{0xff} }

// query translates a search. Errors of its form wrap console.ErrInvalid and repeat
// nothing of it.
func (s search) query(ctx context.Context, in console.Search) (audit.Query, error) {
	if s.settle != nil {
		settling, cancel := context.WithTimeout(ctx, settleTime)
		defer cancel()
		if err := s.settle(settling); err != nil && settling.Err() == nil {
			return audit.Query{}, err
		}
	}
	q := audit.Query{
		From: in.From, To: in.To, Class: in.Class, Type: in.Type, Route: in.Route,
		Channel: in.Channel, Operation: in.Operation, Decision: in.Decision, Reason: in.Reason,
	}
	if in.Same != "" {
		id, err := audit.ParseID(in.Same)
		if err != nil {
			return q, fmt.Errorf("%w: receipt", console.ErrInvalid)
		}
		leaf, err := s.find(ctx, id)
		if errors.Is(err, audit.ErrNotFound) {
			return q, fmt.Errorf("%w: %w", console.ErrNotFound, err)
		}
		if err != nil {
			return q, err
		}
		if q.Actor, err = s.same(ctx, leaf.Actor); err != nil {
			return q, err
		}
	}
	switch {
	case in.Actor == "":
	case isMail(in.Actor):
		who, err := s.vault.KnownActor(ctx, mailActor(strings.TrimPrefix(in.Actor, "email:")))
		if err != nil {
			return q, err
		}
		q.Mail = pseudonyms(who)
	default:
		who, err := s.vault.KnownActor(ctx, in.Actor)
		if err != nil {
			return q, err
		}
		q.Actor = pseudonyms(who)
	}
	if in.Subject != "" {
		ident, err := subjectIdent(in.Subject)
		if err != nil {
			return q, err
		}
		who, err := s.vault.Known(ctx, ident)
		if err != nil {
			return q, err
		}
		q.Subject = pseudonyms(who)
	}
	if in.Record != "" {
		parts := strings.SplitN(in.Record, ":", 3)
		if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
			return q, fmt.Errorf("%w: record", console.ErrInvalid)
		}
		q.Record = s.vault.Record(parts[0]+":"+parts[1], parts[2])
	}
	return q, nil
}

// isMail tells e-mail addresses from the ids of actors.
func isMail(actor string) bool {
	kind, _, named := strings.Cut(actor, ":")
	return strings.Contains(actor, "@") && (!named || kind == "email")
}

// same finds the pseudonyms in all half years of whoever has one in one of them. Of an
// actor whose key is gone there is that one and no other.
func (s search) same(ctx context.Context, actor audit.Pseudonym) (func(string) audit.Pseudonym, error) {
	only := func(string) audit.Pseudonym { return actor }
	origins, err := s.index.Origins(ctx)
	if err != nil {
		return nil, err
	}
	who, err := s.vault.ActorBehind(ctx, actor, origins)
	if err != nil || who.IsZero() {
		return only, err
	}
	return pseudonyms(who), nil
}

func pseudonyms(who vault.Subject) func(string) audit.Pseudonym {
	if who.IsZero() {
		return nobody
	}
	return func(origin string) audit.Pseudonym { return who.Pseudonym(origin) }
}

// limit is how many rows a search asks for.
func limit(in console.Search) int {
	if in.Limit == 0 {
		return 100
	}
	return in.Limit
}

func (s search) events(ctx context.Context, in console.Search) (out console.FoundList, err error) {
	if out.Gateways, err = s.gateways.others(ctx); err != nil {
		return out, err
	}
	q, err := s.query(ctx, in)
	if err != nil {
		return out, err
	}
	entries, more, err := s.index.Entries(ctx, q, limit(in))
	if err != nil {
		return out, err
	}
	out.More = more
	for _, e := range entries {
		f := console.Found{
			Receipt: e.ID.String(), Time: e.Time.UTC(), Type: e.Type, Route: e.Route, Channel: e.Channel, Operation: e.Operation,
			Effect: e.Effect, Scope: e.Scope, Decision: e.Decision, Reason: e.Reason, Actor: name(e.Actor), Identity: e.Identity,
			Status: e.Status, Outcome: e.Outcome, Unread: e.Unread,
		}
		if !e.Exchange.IsZero() {
			f.Exchange = e.Exchange.String()
		}
		out.Events = append(out.Events, f)
	}
	return out, nil
}

func (s search) exposures(ctx context.Context, in console.Search) (out console.ExposureList, err error) {
	if out.Gateways, err = s.gateways.others(ctx); err != nil {
		return out, err
	}
	q, err := s.query(ctx, in)
	if err != nil {
		return out, err
	}
	rows, more, err := s.index.Exposures(ctx, q, limit(in))
	if err != nil {
		return out, err
	}
	out.More = more
	for _, v := range rows {
		kind := "subject"
		if v.Record {
			kind = "record"
		}
		out.Exposures = append(out.Exposures, console.Exposure{
			Kind: kind, Who: name(v.Who), Class: v.Class, Actor: name(v.Actor), Identity: v.Identity, Route: v.Route, Channel: v.Channel,
			Times: v.Times, First: v.First.UTC(), Last: v.Last.UTC(), Receipt: v.Receipt.String(),
		})
	}
	coverage, err := s.index.Coverage(ctx, q)
	for _, c := range coverage {
		out.Coverage = append(out.Coverage, console.Coverage(c))
	}
	return out, err
}

// name prints a pseudonym, nothing for nobody.
func name(p audit.Pseudonym) string {
	if p == (audit.Pseudonym{}) {
		return ""
	}
	return hex.EncodeToString(p[:])
}
