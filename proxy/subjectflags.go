package proxy

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/redact/walk"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/vault"
)

// flagsOf says which flags the persons have whom one half of the exchange is about: those
// whom it names, and those who are known to be in a record that it names. An answer is about
// those of its request as well. Where nobody has a flag it looks at nothing.
//
// Of a request that deletes something it says as well whether a legal hold covers that. Other
// calls destroy nothing, and what an answer says is destroyed by then.
func (x *exchange) flagsOf(ctx context.Context, side *half, query string) ([]string, error) {
	d := x.gen.data
	anyFlag := d.Index.AnyFlag(ctx)
	anyHold := side == &x.request && x.deletes() && d.Holds.Any(ctx)
	if !anyFlag && !anyHold {
		return nil, nil
	}
	idents, records := x.concerned(side, query)
	var persons []index.Person
	var named []index.NameDigest
	if x.spend != nil && x.spend.Token != "" && side == &x.request {
		idents = append(idents, vault.Ident{Value: x.spend.Token})
	}
	for _, id := range idents {
		// A token that stands where a name is asked for is about whom its value is about.
		if _, ok := d.Vault.TokenName(id.Value); ok {
			more, name, err := d.whose(ctx, id.Value)
			if err != nil {
				return nil, err
			}
			persons, named = append(persons, more...), append(named, name)
			continue
		}
		if id.Kind == "" {
			continue
		}
		who, err := d.Vault.Known(ctx, id)
		if err != nil {
			return nil, err
		}
		if !who.IsZero() {
			persons = append(persons, who.Pseudonym(pseudonymIndex))
		}
		if name, ok := d.nameDigest(id); ok {
			named = append(named, name)
		}
	}
	var flags []string
	if anyFlag {
		var err error
		if flags, err = d.Index.FlagsOf(ctx, persons, named, records, x.h.app.now()); err != nil {
			return nil, err
		}
	}
	if anyHold {
		held, err := d.Holds.Covers(ctx, persons, records)
		if err != nil {
			return nil, err
		}
		if held {
			flags = append(flags, flagHold)
			slices.Sort(flags)
		}
	}
	if side == &x.response {
		flags = append(flags, x.request.flags...)
		slices.Sort(flags)
		flags = slices.Compact(flags)
	}
	return flags, nil
}

// flagHold is what rules see where a legal hold covers what a call deletes. It is no flag that
// anybody sets or ends as one.
const flagHold = "legal_hold"

// deletes tells whether the call may delete something, or one of those inside it.
func (x *exchange) deletes() bool {
	deletes := func(op *channel.Operation) bool { return op.Effect == channel.EffectDelete }
	may := func(op *channel.Operation) bool { return deletes(op) || slices.ContainsFunc(op.Each, deletes) }
	return may(x.match.Op) || slices.ContainsFunc(x.inner, func(c innerCall) bool { return may(c.match.Op) })
}

// flagsOfToken says which flags the persons have whom the value behind a token is about. Of a
// text that is no token it looks at as much, so that a failure says nothing of it.
func (d *Data) flagsOfToken(ctx context.Context, token string, now time.Time) ([]string, error) {
	if !d.Index.AnyFlag(ctx) {
		return nil, nil
	}
	persons, name, err := d.whose(ctx, token)
	if err != nil {
		return nil, err
	}
	return d.Index.FlagsOf(ctx, persons, []index.NameDigest{name}, nil, now)
}

// whose are the persons whom the value behind a token is about, and the digest of the name
// that it is. For nobody, and for no name, they are zero, which nothing in the index is.
func (d *Data) whose(ctx context.Context, token string) ([]index.Person, index.NameDigest, error) {
	w, err := d.Vault.Whose(ctx, token, flagsPurpose)
	if err != nil && !errors.Is(err, vault.ErrToken) {
		return nil, index.NameDigest{}, err
	}
	return []index.Person{w.Owner.Pseudonym(pseudonymIndex), w.Named.Pseudonym(pseudonymIndex)}, w.Name, nil
}

// flagsPurpose separates the digests of names that flags have from all others.
const flagsPurpose = "flags of persons"

// concerned is whom and what one half names, each once: in its path and its query, and in its
// body.
func (x *exchange) concerned(side *half, query string) (idents []vault.Ident, records []index.Record) {
	people, things := make(map[vault.Ident]bool), make(map[index.Record]bool)
	add := func(label, value string) {
		if value == "" || value == "null" {
			return
		}
		if kind, ok := strings.CutPrefix(label, channel.LabelRecord); ok {
			if r := x.recordOf(kind, []byte(value)); r.Valid() && !things[r] {
				things[r] = true
				records = append(records, r)
			}
			return
		}
		if id, _, ok := identOf(x.h.ch.Name, label, value); ok && !people[id] {
			people[id] = true
			idents = append(idents, id)
		}
	}
	if side == &x.request {
		for _, p := range x.pathParams() {
			add(p.Label, p.Value)
		}
		queried(x.match.Op, query, add)
		for i := range x.inner {
			queried(x.inner[i].match.Op, x.inner[i].RawQuery, add)
		}
	}
	if doc := side.body.doc; doc != nil {
		for _, c := range doc.Captures {
			if channel.Indexed(c.Label) && c.Flags&walk.URL == 0 {
				add(c.Label, string(doc.Value(c)))
			}
		}
	}
	return idents, records
}

// queried calls add for what a query names: lists are separated by commas.
func queried(op *channel.Operation, query string, add func(label, value string)) {
	if query == "" {
		return
	}
	values, _ := url.ParseQuery(query) // what cannot be read was refused
	for name, all := range values {
		label := op.Query(name).Label
		if label == "" || !channel.Indexed(label) {
			continue
		}
		for _, list := range all {
			for value := range strings.SplitSeq(list, ",") {
				add(label, strings.TrimSpace(value))
			}
		}
	}
}

// nameDigest is the digest of a person's name that outlives the person's key: what is left
// of a wish that data of the person are not used is found by it when the person comes back.
func (d *Data) nameDigest(id vault.Ident) (index.NameDigest, bool) {
	name, ok := d.Vault.NameDigest(flagsPurpose, id)
	return index.NameDigest(name), ok
}
