package proxy

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/redact/walk"
	"github.com/caregate/caregate/retention/index"
)

// pseudonymIndex is the purpose of the pseudonyms in the index of records. No log is
// called so.
const pseudonymIndex = "caregate index of records"

// object is a value of a body that is a record, or is about one, with what stands in it.
type object struct {
	own, about index.Record
	// id is where the own record's id stands. A subject's id there says that the object
	// describes a person.
	id      int
	profile bool
	people  []index.Person
	classes []string
	created time.Time
	closed  index.Closing
	outer   *object
}

// record is what the places in o belong to, zero for nothing.
func (o *object) record() index.Record {
	if o.own.IsZero() {
		return o.about
	}
	return o.own
}

// objects are those of a body by the JSON Pointer of each.
type objects map[string]*object

// around finds the innermost object in which a place stands, nil for none. The place of
// the object itself counts with inclusive.
func (all objects) around(path string, inclusive bool) *object {
	for at := path; ; {
		if inclusive {
			if o := all[at]; o != nil {
				return o
			}
		}
		inclusive = true
		cut := strings.LastIndexByte(at, '/')
		if cut < 0 {
			return nil
		}
		at = at[:cut]
	}
}

// sightings are the records that an exchange showed to have come from the upstream, or to
// be there now: those of an answer with what the request added to them, those that a
// webhook tells of, and what a call deleted.
func (x *exchange) sightings(side *half, status int) []index.Sighting {
	if status < 200 || status > 299 {
		return nil
	}
	at := x.h.app.now()
	var root, parent index.Record
	for _, p := range x.match.Params {
		if kind, ok := strings.CutPrefix(p.Label, channel.LabelRecord); ok {
			if r := x.recordOf(kind, []byte(p.Value)); !r.IsZero() {
				parent, root = root, r
			}
		}
	}
	all := x.objects(side)
	rest := &object{own: root}
	if x.hook != nil && root.IsZero() && len(all) == 1 {
		// A webhook's envelope is about the one object in it.
		for _, o := range all {
			rest = o
		}
	}
	x.fill(all, rest, side)
	// What a request says of the object that its answer is belongs to the answer's record.
	if side == &x.response && x.match.Op.Effect != channel.EffectRead && x.request.body.stream == nil {
		x.fill(all, rest, &x.request)
	}
	var out []index.Sighting
	add := func(o *object, on index.Record) {
		r := o.record()
		if r.IsZero() || r == on {
			on = index.Record{}
		}
		if !r.IsZero() {
			out = append(out, index.Sighting{Record: r, Parent: on, Persons: o.people, Profile: o.profile, Classes: o.classes, Created: o.created, Closed: o.closed, At: at})
		}
	}
	for _, o := range all {
		on := root
		switch {
		case !o.own.IsZero() && !o.about.IsZero():
			on = o.about
		case o.own.IsZero():
			on = index.Record{}
		case o.outer != nil:
			on = o.outer.record()
		case o.profile || strings.HasSuffix(x.match.Op.Pattern, "}"):
			// Persons hang on nothing, and what stands beside the record that was asked for
			// is not below it.
			on = index.Record{}
		}
		add(o, on)
	}
	if rest.own != root {
		return out
	}
	if gone := x.match.Op.Effect == channel.EffectDelete && x.match.Op.Scope == channel.ScopeOne; gone || len(rest.people)+len(rest.classes) > 0 || len(all) == 0 {
		add(rest, parent)
		if n := len(out); gone && n > 0 && out[n-1].Record == root {
			out[n-1].Gone = true
		}
	}
	return out
}

// objects finds the objects of a half's body, of which each is a record or about one.
func (x *exchange) objects(side *half) objects {
	all := make(objects)
	doc := side.body.doc
	if doc == nil {
		return all
	}
	other := make(map[int]bool) // where ids of other records begin
	for i := range doc.Captures {
		if c := &doc.Captures[i]; c.Label == channel.LabelAbout {
			other[c.Start] = true
		}
	}
	for i := range doc.Captures {
		c := &doc.Captures[i]
		kind, ok := strings.CutPrefix(c.Label, channel.LabelRecord)
		if !ok || c.Flags&walk.URL != 0 {
			continue
		}
		r := x.recordOf(kind, doc.Value(*c))
		if r.IsZero() {
			continue
		}
		path := c.Path[:max(0, strings.LastIndexByte(c.Path, '/'))]
		o := all[path]
		if o == nil {
			o = &object{id: -1}
			all[path] = o
		}
		switch {
		case other[c.Start]:
			o.about = r
		case o.own.IsZero():
			o.own, o.id = r, c.Start
		}
	}
	for path, o := range all {
		o.outer = all.around(path, false)
	}
	return all
}

// fill puts what stands in a half's body into the objects, and what stands in none of them
// into rest.
func (x *exchange) fill(all objects, rest *object, side *half) {
	doc, p := side.body.doc, &side.people
	for _, i := range p.params { // the path says what it is about
		rest.people = append(rest.people, p.pseudonym(i)...)
	}
	if doc == nil {
		return
	}
	within := func(path string) *object {
		if o := all.around(path, true); o != nil {
			return o
		}
		return rest
	}
	own := side == &x.response || x.hook != nil // what a caller writes is not yet what the vendor says
	for i := range doc.Captures {
		c := &doc.Captures[i]
		switch {
		case c.Label == channel.LabelTimeCreated && own:
			if o := within(c.Path); !o.own.IsZero() && o != rest && o.created.IsZero() {
				o.created = vendorTime(doc.Value(*c))
			}
		case c.Label == channel.LabelTimeClosed && own:
			if o := within(c.Path); !o.own.IsZero() && o != rest && !o.closed.Known {
				o.closed = closing(doc.Value(*c))
			}
		case i < len(p.at) && p.at[i] >= 0:
			o := within(c.Path)
			o.people = append(o.people, p.pseudonym(p.at[i])...)
			if own && c.Label == channel.LabelSubjectID && c.Start == o.id {
				o.profile = true
			}
		}
	}
	for i := range doc.Findings {
		f := &doc.Findings[i]
		o := within(f.Path)
		o.classes = merge(o.classes, string(f.Class))
	}
}

// recordOf is the record of a kind with the id that a vendor writes so, zero for none. An id
// that is longer than any vendor's is none.
func (x *exchange) recordOf(kind string, id []byte) index.Record {
	if len(id) == 0 || len(id) > index.MaxID || string(id) == "null" {
		return index.Record{}
	}
	return index.Record{Channel: x.h.ch.Name, Host: x.h.app.account(x.h), Type: kind, ID: string(id)}
}

// vendorTime reads a time as vendors write it: RFC 3339, or seconds or milliseconds since
// 1970. Zero for anything else.
func vendorTime(b []byte) time.Time {
	if t, err := time.Parse(time.RFC3339, string(b)); err == nil {
		return t
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	switch {
	case err != nil || n <= 0:
		return time.Time{}
	case n < 1e11: // seconds until the year 5138
		return time.Unix(n, 0)
	}
	return time.UnixMilli(n)
}

// closing reads what a vendor says about the end of a record: null is none.
func closing(b []byte) index.Closing {
	if bytes.Equal(b, []byte("null")) {
		return index.Closing{Known: true}
	}
	t := vendorTime(b)
	return index.Closing{Known: !t.IsZero(), At: t}
}

// pseudonym is that of the person number i of a half, nothing for nobody.
func (p *peopleIndex) pseudonym(i int32) []index.Person {
	if int(i) >= len(p.all) || p.all[i].IsZero() {
		return nil
	}
	if p.indexed == nil {
		p.indexed = make([]index.Person, len(p.all))
	}
	if p.indexed[i] == (index.Person{}) {
		p.indexed[i] = p.all[i].Pseudonym(pseudonymIndex)
	}
	return p.indexed[i : i+1]
}

// noteRecords begins to write the records of a half into the index, and returns a function
// that waits for it: nothing leaves before the index has what the upstream has. It runs
// beside the log's write.
func (x *exchange) noteRecords(ctx context.Context, side *half, status int) func() *refusal {
	seen := x.sightings(side, status)
	if len(seen) == 0 {
		return func() *refusal { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- x.gen.data.Index.Note(ctx, seen) }()
	return func() *refusal {
		if err := <-done; err != nil {
			return x.stop(side, refuseErr(reasonIndexDown, err))
		}
		return nil
	}
}

// noteDelivery is noteRecords for a webhook: what the vendor tells of is in its request.
func (x *exchange) noteDelivery(ctx context.Context) func() *refusal {
	if x.hook == nil {
		return func() *refusal { return nil }
	}
	return x.noteRecords(ctx, &x.request, http.StatusOK)
}

// account is the host of the account that a route's records stand in. A webhook comes from
// the account of the other routes of its channel, if they have one.
func (a *App) account(h *Handler) string {
	if !h.Webhooks {
		return hostOf(h.Upstream)
	}
	host := ""
	for _, other := range a.routes {
		switch {
		case other.Webhooks || other.ch.Name != h.ch.Name:
		case host == "":
			host = hostOf(other.Upstream)
		case host != hostOf(other.Upstream):
			return accountUnknown
		}
	}
	return cmp.Or(host, accountUnknown)
}

// accountUnknown stands for the account of a webhook whose channel has no route of its own,
// or several accounts.
const accountUnknown = "unknown"

// hostOf is the host of an upstream, with its port if it has one.
func hostOf(upstream string) string {
	_, host, _ := strings.Cut(upstream, "://")
	return strings.ToLower(host)
}
