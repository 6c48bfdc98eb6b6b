package proxy

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

// innerCall is one call inside a composite call.
type innerCall struct {
	channel.Inner
	match channel.Match
}

// folded is the body of a composite call whose calls have been read: what belongs to one of
// them is judged as if it had come alone.
type folded []innerCall

// unfold reads the calls inside a composite call, and returns the places of its body: those
// of the operation with those of each inner one in the inner bodies.
func (x *exchange) unfold() (*walk.Fields, *refusal) {
	op, b := x.match.Op, &x.request.body
	c := op.Composite
	if c == nil {
		return op.Request, nil
	}
	if !b.present || b.unread != "" || b.kind != walk.JSON || b.stream != nil {
		return op.Request, x.stop(&x.request, refuse(reasonComposite))
	}
	read, at, err := c.Read(b.plain)
	if err != nil {
		return op.Request, x.stop(&x.request, compositeRefusal(at, err))
	}
	calls := make(folded, 0, len(read))
	parts := make([]*walk.Fields, 0, len(read))
	for i := range read {
		call := innerCall{Inner: read[i]}
		if ref := x.matchInner(&call); ref != nil {
			ref.inner = i + 1
			if call.match.Op != nil {
				ref.innerOp = call.match.Op.Name
			}
			return op.Request, x.stop(&x.request, ref)
		}
		calls, parts = append(calls, call), append(parts, call.match.Op.Request)
	}
	for i := range calls {
		if ref := x.detectInner(&calls[i]); ref != nil {
			ref.inner, ref.innerOp = i+1, calls[i].match.Op.Name
			return op.Request, x.stop(&x.request, ref)
		}
	}
	x.inner = calls
	return op.Request.Mount(c.Calls, c.Body, parts, append([]string{c.Method, c.URL}, c.Also...)...), nil
}

// compositeRefusal says why the calls inside cannot be read.
func compositeRefusal(at int, err error) *refusal {
	code := reasonComposite
	switch {
	case errors.Is(err, channel.ErrInnerMany):
		code = reasonCompositeLimit
	case errors.Is(err, channel.ErrInnerAddress):
		code = reasonPath
	case errors.Is(err, channel.ErrInnerReference):
		code = reasonCompositeReference
	}
	ref := refuseErr(code, err)
	ref.inner = at + 1
	return ref
}

// matchInner finds out what an inner call is. One that the channel file does not know has
// no place in a composite call, nor has one that needs what only a call of its own can
// show: a mark, or calls inside again. Nobody can see into references that the vendor
// resolves.
func (x *exchange) matchInner(c *innerCall) *refusal {
	if ref := checkPath(c.Path); ref != nil {
		return ref
	}
	c.match = x.h.ch.Match(c.Method, c.Path)
	plain := x.h.ch.MatchPlainest(c.Method, c.Path)
	for _, op := range [...]*channel.Operation{c.match.Op, plain.Op} {
		if op.Composite != nil || op.Mark != channel.MarkNone {
			return refuse(reasonCompositeOperation)
		}
	}
	switch {
	case !c.match.Mapped:
		return refuse(reasonCompositeOperation)
	case c.Refers && x.h.Uninspected != "pass" && !x.observe():
		return refuse(reasonCompositeReference)
	case x.h.Credential != nil && namesToken(c.RawQuery):
		return refuse(reasonCredentialQuery)
	}
	return nil
}

// detectInner looks at the address of an inner call. What is found there is at a place
// that cannot be rewritten: another address would be another call.
func (x *exchange) detectInner(c *innerCall) *refusal {
	found := func(place string, f redact.Finding) {
		x.request.found = append(x.request.found, outside{place: place, call: c.Start, finding: f})
	}
	path, err := decodeOnce(c.Path)
	if err != nil {
		return refuse(reasonPath)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if isID(c.match.Params, segment) {
			continue
		}
		for _, f := range x.det.detector.Text(nil, []byte(segment), detect.Hint{}) {
			found(policy.PlacePath, f)
		}
	}
	if c.RawQuery == "" {
		return nil
	}
	doc, err := walk.Parse(walk.Form, []byte(c.RawQuery), x.det.detector, nil, walk.Limits{Values: maxQueryValues})
	if err != nil {
		return refuseErr(reasonQuery, err)
	}
	for pair := range strings.SplitSeq(c.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err != nil || strings.EqualFold(name, "_method") {
			return refuse(reasonOverride)
		}
	}
	for _, f := range doc.Findings {
		switch {
		case f.Place == redact.PlaceKey:
			found(policy.PlaceKey, f)
		case !c.match.Op.Query(parameter(f.Path)).ID:
			found(policy.PlacePath, f)
		}
	}
	return nil
}

// addressesAreRead takes the findings out of a document that stand in addresses of inner
// calls: they were looked for there as in addresses, where identifiers are none.
func (calls folded) addressesAreRead(doc *walk.Doc) {
	if len(calls) == 0 || doc == nil {
		return
	}
	doc.Findings = slices.DeleteFunc(doc.Findings, func(f redact.Finding) bool {
		c := calls.at(f.Start)
		return c != nil && f.Start >= c.URLStart && f.End <= c.URLEnd
	})
}

// at is the call in whose element an offset of the body is, nil for none.
func (calls folded) at(offset int) *innerCall {
	i, exact := slices.BinarySearchFunc(calls, offset, func(c innerCall, offset int) int { return c.Start - offset })
	if !exact {
		i--
	}
	if i < 0 || offset >= calls[i].End {
		return nil
	}
	return &calls[i]
}

// pathParams are the parameters of the path, and of those of inner calls.
func (x *exchange) pathParams() []channel.Param {
	if len(x.inner) == 0 {
		return x.match.Params
	}
	params := slices.Clone(x.match.Params)
	for i := range x.inner {
		params = append(params, x.inner[i].match.Params...)
	}
	return params
}

// listed is the most values that a list of ids in a query has, of the call's or of an inner
// one's.
func (calls folded) listed() (rows int) {
	for i := range calls {
		query, _ := url.ParseQuery(calls[i].RawQuery)
		rows += idsListed(calls[i].match.Op, query)
	}
	return rows
}

// idsListed is how many values the longest list of ids in a query has.
func idsListed(op *channel.Operation, query url.Values) (rows int) {
	for name, values := range query {
		if q := op.Query(name); q.ID || q.Label != "" {
			rows = max(rows, len(values)+strings.Count(strings.Join(values, ""), ","))
		}
	}
	return rows
}

// part is something that a call does besides what its own operation says: a call inside a
// composite one, or what is done to each of many records. It is decided as if it had come alone.
type part struct {
	in policy.Input
	op *channel.Operation
	// inner is the number of the call inside, from 1, and 0 for what is done to each record.
	inner int
	// takes is how many calls it counts as.
	takes int
}

// parts are what one half of a call does besides what its own operation says.
func (x *exchange) parts(side *half, outer policy.Input) []part {
	parts := partsOfEach(x.match.Op, outer)
	asked := make(map[*channel.Operation]bool)
	for i := range x.inner {
		c := &x.inner[i]
		if outer.Direction == policy.Response && asked[c.match.Op] {
			continue
		}
		asked[c.match.Op] = true
		in := c.input(outer, side)
		parts = append(parts, part{in: in, op: c.match.Op, inner: i + 1, takes: 1})
		for _, p := range partsOfEach(c.match.Op, in) {
			p.inner = i + 1
			parts = append(parts, p)
		}
	}
	return parts
}

// partsOfEach are what an operation does to each of many records. What is found in the call is
// found in what is done to one of them, and all of them are counted.
func partsOfEach(op *channel.Operation, in policy.Input) []part {
	parts := make([]part, 0, len(op.Each))
	for _, one := range op.Each {
		of := in
		of.Many, of.Operation, of.Effect, of.Scope = op.Name, one.Name, string(one.Effect), string(one.Scope)
		parts = append(parts, part{in: of, op: one, takes: max(1, in.Records)})
	}
	return parts
}

// judge asks policy about each part of a call whose input and decision are in and outer, in one
// half, and returns what counts for all: the first denial of one, or the outer decision with the strictest action
// for what was found, with the limits of all and with the most others who must agree. of
// is the part that is denied, nil when it is none.
func (x *exchange) judge(ctx context.Context, side *half, in policy.Input, outer *policy.Decision) (d *policy.Decision, of *part, err error) {
	if !outer.Allow && outer.Reason != policy.NeedsApproval {
		return outer, nil, nil
	}
	parts := x.parts(side, in)
	if len(parts) == 0 {
		return outer, nil, nil
	}
	merged := *outer
	waits, takes := outer, make(map[string]int)
	for i := range parts {
		p := &parts[i]
		d, err := x.det.policy.engine.Decide(ctx, p.in)
		if err != nil {
			return nil, p, err
		}
		if w := d.Would; w != nil && !w.Allow && side.would == "" {
			side.would = w.Reason
		}
		if !d.Allow && d.Reason != policy.NeedsApproval {
			return d, p, nil
		}
		if !d.Allow && waits.Allow {
			waits, of = d, p
		}
		merged.Approvers = max(merged.Approvers, d.Approvers)
		merged.Places = stricter(&merged, d, p.in.Findings)
		limits := d.Limits
		if d.Would != nil {
			limits = d.Would.Limits
		}
		for _, l := range limits {
			if p.in.Many != "" {
				takes[l.Name] = max(takes[l.Name], p.takes) // several may be done, one of them is to each
			} else {
				takes[l.Name] += p.takes
			}
		}
		merged.Limits = withLimits(merged.Limits, d.Limits)
		merged.Include(d)
		if merged.Would != nil && d.Would != nil {
			would := *merged.Would
			would.Limits = withLimits(would.Limits, d.Would.Limits)
			merged.Would = &would
		}
	}
	if in.Direction == policy.Request {
		x.partTakes = takes
	}
	questions := make([]policy.Input, len(parts))
	for i := range parts {
		questions[i] = parts[i].in
	}
	all, err := merged.WithParts(in, questions)
	if err != nil {
		return nil, nil, err
	}
	if !waits.Allow {
		refused := *waits // its input is what explains it
		refused.Approvers = merged.Approvers
		return &refused, of, nil
	}
	return all, nil, nil
}

// stricter is what m says about places, with what of says about findings of its own where
// that is stricter. The places of m are not changed.
func stricter(m, of *policy.Decision, findings []policy.Finding) map[string]map[string]string {
	weight := func(d *policy.Decision, f *policy.Finding) redact.Action {
		a, err := redact.ParseAction(d.Action(f.Class, f.Place))
		if err != nil {
			return redact.Block
		}
		return a
	}
	places, cloned := m.Places, false
	for i := range findings {
		f := &findings[i]
		if weight(of, f) <= weight(m, f) {
			continue
		}
		if !cloned {
			places, cloned = make(map[string]map[string]string), true
			for place, classes := range m.Places {
				places[place] = maps.Clone(classes)
			}
		}
		if places[f.Place] == nil {
			places[f.Place] = make(map[string]string)
		}
		places[f.Place][f.Class] = of.Action(f.Class, f.Place)
	}
	return places
}

// withLimits adds limits that are not there yet.
func withLimits(to, more []policy.RateLimit) []policy.RateLimit {
	out := slices.Clip(to)
	for _, l := range more {
		if !slices.ContainsFunc(out, func(o policy.RateLimit) bool { return o.Name == l.Name }) {
			out = append(out, l)
		}
	}
	return out
}

// input describes an inner call as if it had come alone, but for how many records it
// touches: those of all of them count, so that many calls inside one are as many as they
// are. Nobody knows which part of an answer belongs to which call, so each is asked about
// all of it. outer is the input of the composite call.
func (c *innerCall) input(outer policy.Input, side *half) policy.Input {
	op := c.match.Op
	outer.Operation, outer.Effect, outer.Scope, outer.Mark, outer.Mapped = op.Name, string(op.Effect), string(op.Scope), string(op.Mark), c.match.Mapped
	outer.Method, outer.Payment = policy.MethodClass(c.Method), policy.InputPayment{}
	if outer.Direction == policy.Request {
		outer.Findings = findingsOf(side, c)
	}
	return outer
}

// counts are how many of the calls are of each operation.
func (calls folded) counts() map[string]int {
	counts := make(map[string]int)
	for i := range calls {
		counts[calls[i].match.Op.Name]++
	}
	return counts
}

// reach is the strongest effect and the widest scope of a composite call and those inside it.
func (calls folded) reach(outer *channel.Operation) (channel.Effect, channel.Scope) {
	effects := []channel.Effect{channel.EffectRead, channel.EffectWrite, channel.EffectDelete, channel.EffectAdmin}
	scopes := []channel.Scope{channel.ScopeOne, channel.ScopeBulk, channel.ScopeExport}
	effect, scope := outer.Effect, outer.Scope
	for i := range calls {
		op := calls[i].match.Op
		if slices.Index(effects, op.Effect) > slices.Index(effects, effect) {
			effect = op.Effect
		}
		if slices.Index(scopes, op.Scope) > slices.Index(scopes, scope) {
			scope = op.Scope
		}
	}
	return effect, scope
}

// noteInner tells the log what a composite call holds.
func (x *exchange) noteInner(attrs map[string]string) {
	if len(x.inner) == 0 {
		return
	}
	counts := x.inner.counts()
	var list strings.Builder
	for i, name := range slices.Sorted(maps.Keys(counts)) {
		if i == mostInnerNamed {
			list.WriteString(" more=" + strconv.Itoa(len(counts)-i))
			break
		}
		if i > 0 {
			list.WriteByte(' ')
		}
		list.WriteString(name + "=" + strconv.Itoa(counts[name]))
	}
	attrs["inner"], attrs["inner_calls"] = list.String(), strconv.Itoa(len(x.inner))
	if slices.ContainsFunc(x.inner, func(c innerCall) bool { return c.Refers }) {
		attrs["inner_references"] = "1"
	}
}

// mostInnerNamed is how many operations an event names; a name has at most 64 bytes, and an
// attribute 4 KiB.
const mostInnerNamed = 40

// replaces tells whether a call inside a composite one replaces what it names, as PUT and
// PATCH do: an edit that takes a masked value out is for those only.
func (c *innerCall) replaces() bool {
	return c != nil && (c.Method == http.MethodPut || c.Method == http.MethodPatch)
}
