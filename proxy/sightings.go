package proxy

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/redact/walk"
	"github.com/caregate/caregate/retention/index"
)

// pseudonymIndex is the purpose of the pseudonyms in the index of records. No log is
// called so.
const pseudonymIndex = "caregate index of records"

// object is a value of a body that is a record, or is about one, with what stands in it.
type object struct {
	path       string
	own, about index.Record
	// id is where the own record's id stands. A subject's id there says that the object
	// describes a person, whose other names are self.
	id      int
	profile bool
	self    []index.Person
	people  []index.Person
	classes []string
	created time.Time
	closed  index.Closing
	// speaks are the types of record in whose conversation the object says something.
	speaks []string
	outer  *object
}

// record is what the places in o belong to, zero for nothing.
func (o *object) record() index.Record {
	if o.own.IsZero() {
		return o.about
	}
	return o.own
}

// objects are those of a body by their place.
type objects map[string]*object

// around finds the innermost object in which a place stands, nil for none. The place of
// the object itself counts with inclusive.
func (all objects) around(place string, inclusive bool) *object {
	for at := place; ; {
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

// places tells places of a body apart, in which the same path may stand in every line.
type places struct {
	kind  walk.Kind
	lines []int // where they end, of a body of lines that is whole
	units bool  // each line is a unit: windows of a stream
}

func placesOf(body *reading) places {
	p := places{kind: body.kind}
	if body.kind != walk.NDJSON {
		return p
	}
	if p.units = body.stream != nil; !p.units {
		for i, c := range body.plain {
			if c == '\n' {
				p.lines = append(p.lines, i)
			}
		}
	}
	return p
}

// of is the place of what stands at a path: the path itself in a JSON document, with the
// line in front of it in lines. In every other kind nothing stands in anything: what a path
// there says is not enough to tell one element from the next.
func (p places) of(path string, unit, start int) string {
	switch {
	case p.kind == walk.JSON:
		return path
	case p.kind != walk.NDJSON:
		return "#" + strconv.Itoa(start)
	case p.units:
		return strconv.Itoa(unit) + ":" + path
	}
	line, _ := slices.BinarySearch(p.lines, start)
	return strconv.Itoa(line) + ":" + path
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
			if r := x.recordOf(kind, []byte(p.Value)); r.Valid() {
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
	if side == &x.response && x.match.Op.Effect != channel.EffectRead && x.request.body.stream == nil && side.body.kind == walk.JSON {
		x.fill(all, x.oneAnswered(all, rest), &x.request)
	}
	var out []index.Sighting
	add := func(o *object, on index.Record) {
		r := o.record()
		if r == on {
			on = index.Record{}
		}
		if r.IsZero() {
			return
		}
		s := index.Sighting{Record: r, Parent: on, Persons: o.people, Classes: o.classes, Created: o.created, Closed: o.closed, At: at}
		if o.profile && x.h.app.alone(x.h) {
			s.Profile = o.self
		}
		out = append(out, s)
	}
	for _, place := range slices.Sorted(maps.Keys(all)) {
		o := all[place]
		var on index.Record
		switch {
		case o.own.IsZero():
		case !o.about.IsZero():
			on = o.about
		case o.outer != nil:
			on = o.outer.record()
		case slices.Contains(o.speaks, root.Type):
			on = root
		}
		add(o, on)
	}
	if rest.own != root {
		return out
	}
	// Other calls that delete take something out of the record that their address ends in,
	// or only end it.
	gone := len(x.match.Op.Methods) == 1 && x.match.Op.Methods[0] == http.MethodDelete && x.match.Op.Effect == channel.EffectDelete && x.match.Op.Scope == channel.ScopeOne && strings.HasSuffix(x.match.Op.Pattern, "}")
	if gone || len(rest.people)+len(rest.classes) > 0 || len(all) == 0 {
		add(rest, parent)
		if n := len(out); gone && n > 0 && out[n-1].Record == root {
			out[n-1].Gone = true
		}
	}
	return out
}

// oneAnswered is what the places of a request belong to that are in none of the answer's
// objects: the one object of the answer, where the address names no record.
func (x *exchange) oneAnswered(all objects, rest *object) *object {
	if rest.own.IsZero() && len(all) == 1 && x.match.Op.Scope == channel.ScopeOne {
		for _, o := range all {
			if !indexedPath(o.path) {
				return o
			}
		}
	}
	return rest
}

// indexedPath tells whether a path goes through an element of an array.
func indexedPath(path string) bool {
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && strings.Trim(name, "0123456789") == "" {
			return true
		}
	}
	return false
}

// objects finds the objects of a half's body, of which each is a record or about one.
func (x *exchange) objects(side *half) objects {
	all := make(objects)
	doc := side.body.doc
	if doc == nil {
		return all
	}
	at := placesOf(&side.body)
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
		if !r.Valid() {
			continue
		}
		path := outerPath(c.Path)
		place := at.of(path, c.Unit, c.Start)
		o := all[place]
		if o == nil {
			o = &object{path: path, id: -1}
			all[place] = o
		}
		switch {
		case other[c.Start]:
			o.about = r
		case o.own.IsZero():
			o.own, o.id = r, c.Start
		}
	}
	for place, o := range all {
		o.outer = all.around(place, false)
	}
	return all
}

// outerPath is the path of the object that a value is a member of.
func outerPath(path string) string { return path[:max(0, strings.LastIndexByte(path, '/'))] }

// fill puts what stands in a half's body into the objects, and what stands in none of them
// into rest. What a caller wrote is not yet what the vendor says: it makes nobody one with
// somebody else and no record older, and it stands in an object of the answer only where
// the same path can mean no other one.
func (x *exchange) fill(all objects, rest *object, side *half) {
	doc, p := side.body.doc, &side.people
	for _, i := range p.params { // the address says what it is about
		rest.people = append(rest.people, p.pseudonym(i)...)
	}
	if doc == nil {
		return
	}
	said := side == &x.response || x.hook != nil // by the vendor
	at := placesOf(&side.body)
	if !said && at.kind != walk.JSON {
		all = nil
	}
	within := func(path string, unit, start int) *object {
		o := all.around(at.of(path, unit, start), true)
		if o == nil || !said && indexedPath(o.path) {
			return rest
		}
		return o
	}
	for i := range doc.Captures {
		c := &doc.Captures[i]
		switch {
		case c.Label == channel.LabelTimeCreated && said:
			if o := within(c.Path, c.Unit, c.Start); o != rest && o.created.IsZero() {
				o.created = channel.Instant(doc.Value(*c))
			}
		case c.Label == channel.LabelTimeClosed && said:
			if o := within(c.Path, c.Unit, c.Start); o != rest && !o.closed.Known {
				o.closed = closing(doc.Value(*c))
			}
		case strings.HasPrefix(c.Label, channel.LabelMessage) && said:
			if o := within(c.Path, c.Unit, c.Start); o != rest {
				o.speaks = append(o.speaks, c.Label[len(channel.LabelMessage):])
			}
		case i < len(p.at) && p.at[i] >= 0:
			o := within(c.Path, c.Unit, c.Start)
			who := p.pseudonym(p.at[i])
			o.people = append(o.people, who...)
			if said && o != rest && outerPath(c.Path) == o.path && identifies(c.Label) {
				o.self = append(o.self, who...)
				o.profile = o.profile || c.Label == channel.LabelSubjectID && c.Start == o.id
			}
		}
	}
	for i := range doc.Findings {
		f := &doc.Findings[i]
		o := within(f.Path, f.Unit, f.Start)
		o.classes = merge(o.classes, string(f.Class))
	}
}

// identifies tells whether two who have the same value are one person. Households and
// switchboards share a number, and numbers are given to others later.
func identifies(label string) bool {
	return label == channel.LabelSubjectID || label == channel.LabelSubjectEmail || label == channel.LabelSubjectExternalID
}

// recordOf is the record of a kind with the id that a vendor writes so. It is not valid for
// an id that is none.
func (x *exchange) recordOf(kind string, id []byte) index.Record {
	if string(id) == "null" {
		return index.Record{}
	}
	return index.Record{Channel: x.h.ch.Name, Host: x.h.app.account(x.h), Type: kind, ID: string(id)}
}

// closing reads what a vendor says about the end of a record: null is none.
func closing(b []byte) index.Closing {
	if bytes.Equal(b, []byte("null")) {
		return index.Closing{Known: true}
	}
	t := channel.Instant(b)
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
// beside the log's write. On a route that goes on without the log, what keeps the log from
// writing does not stop a call here either.
func (x *exchange) noteRecords(ctx context.Context, side *half, status int) func() *refusal {
	seen := x.sightings(side, status)
	if len(seen) == 0 {
		return func() *refusal { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- x.gen.data.Index.Note(ctx, seen) }()
	return func() *refusal {
		err := <-done
		if passes := x.h.AuditDown == auditPass && (x.down != nil || store.NoRoom(err)); err != nil && !passes {
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
	if hosts := a.accounts(h); len(hosts) == 1 {
		return hosts[0]
	}
	return accountUnknown
}

// accounts are the hosts of a channel's accounts.
func (a *App) accounts(h *Handler) (hosts []string) {
	for _, other := range a.routes {
		if !other.Webhooks && other.ch.Name == h.ch.Name {
			hosts = merge(hosts, hostOf(other.Upstream))
		}
	}
	return hosts
}

// alone tells whether a channel has no more than one account. The names that a vendor gives
// to persons say nothing of the account: with two, one name may be two persons, who must not
// become one.
func (a *App) alone(h *Handler) bool { return len(a.accounts(h)) < 2 }

// accountUnknown stands for the account of a webhook whose channel has no route of its own,
// or several accounts.
const accountUnknown = "unknown"

// hostOf is the host of an upstream, with its port if it has one.
func hostOf(upstream string) string {
	_, host, _ := strings.Cut(upstream, "://")
	return strings.ToLower(host)
}
