package channel

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// actions reads what can be done to records at their source.
func (b *builder) actions(n *yaml.Node) {
	types := b.recordTypes()
	for name, kinds := range b.object(n, "`actions`", nil, []string{ActionDelete, ActionRedact}) {
		for _, p := range b.pairs(kinds, "`"+name+"`") {
			typ := b.name(p.key, "a type of records")
			if typ != "" && !types[typ] {
				b.fail(p.key, fmt.Sprintf("no place and no parameter of this file has records of the type %q", typ), didYouMean(typ, sortedKeys(types)), sortedKeys(types)...)
			}
			b.channel.Actions = append(b.channel.Actions, b.action(p.value, name, typ))
		}
	}
	// The order of a map is none.
	slices.SortFunc(b.channel.Actions, func(x, y *Action) int {
		return strings.Compare(x.Name+" "+x.Record, y.Name+" "+y.Record)
	})
	for _, a := range b.channel.Actions {
		if a.With != "" && (b.channel.Action(a.Name, a.With) == nil || b.channel.Action(a.Name, a.With).With != "") {
			b.fail(n, fmt.Sprintf("%s of `%s` goes with `%s`, for which there are no calls", a.Name, a.Record, a.With), "say how that one is done")
		}
	}
	if b.channel.Budget == nil && len(b.channel.Actions) > 0 {
		b.fail(n, "a file with `actions` has no `rate`", "say how many calls the vendor takes of an account, for instance `rate: {calls: 100, per: 1m}`")
	}
}

func (b *builder) action(n *yaml.Node, name, typ string) *Action {
	a := &Action{Name: name, Record: typ}
	what := name + " of `" + typ + "`"
	m := b.object(n, what, nil, []string{"with", "calls", "read_back", "trash"})
	if w := m["with"]; w != nil {
		if a.With = b.name(w, "`with`"); len(m) > 1 {
			b.fail(n, what+" has `with` and calls", "keep what is true: it goes with another record, or has calls of its own")
		}
		return a
	}
	if m["calls"] == nil || m["read_back"] == nil {
		b.fail(n, what+" lacks `calls` or `read_back`", "say what is called, and by which call it is seen that it is done; or `with`, the type of the record that takes it along")
		return a
	}
	for _, c := range b.list(m["calls"], "`calls`") {
		cm := b.object(c, "a call of "+what, []string{"call", "done"}, []string{"gone", "ids", "body", "limit", "job"})
		call := b.actionCall(cm, c, typ)
		if op := call.Operation; op != nil {
			if op.Effect == EffectRead {
				b.fail(cm["call"], fmt.Sprintf("`call` is %q, which reads", op.Name), "name one that deletes or changes something")
			}
			if op.Scope != ScopeOne {
				b.fail(cm["call"], fmt.Sprintf("`call` is %q, which is about many records", op.Name), "name one that is about one record: a failure of one is not to be another's")
			}
			call.Method = op.Methods[0]
		}
		if l := cm["limit"]; l != nil {
			call.Limit = b.rate(b.object(l, "`limit`", []string{"calls", "per"}, nil))
		}
		if cm["body"] != nil {
			call.body = b.actionBody(cm["body"])
		}
		if j := cm["job"]; j != nil {
			call.Job = b.job(j)
		}
		a.Calls = append(a.Calls, call)
	}
	a.ReadBack = b.readBack(m["read_back"], what, typ)
	if m["trash"] != nil {
		a.Trash = b.span(m["trash"], "`trash`", 0)
	}
	return a
}

// actionCall reads which call it is, what its answers say, and whose ids stand in its path.
func (b *builder) actionCall(m map[string]*yaml.Node, n *yaml.Node, typ string) *ActionCall {
	c := &ActionCall{done: b.statuses(m["done"], "`done`"), gone: b.statuses(m["gone"], "`gone`")}
	for _, s := range c.gone {
		if slices.Contains(c.done, s) {
			b.fail(m["gone"], fmt.Sprintf("%d is in `done` and in `gone`", s), "keep one of them")
		}
	}
	name := b.text(m["call"], "`call`")
	if name == "" {
		return c
	}
	if c.Operation = b.channel.names[name]; c.Operation == nil || strings.HasSuffix(c.Operation.Pattern, "**") {
		b.fail(m["call"], fmt.Sprintf("`call` is %q, which is no call of this file", name), "name one of `operations` with a whole path")
		c.Operation = nil
		return c
	}
	named := b.values(m["ids"], "`ids`")
	for _, p := range c.Operation.params {
		of, ok := named.Get(p.name), named.Has(p.name)
		named.Del(p.name)
		if of == "" {
			of, ok = strings.CutPrefix(p.label, LabelRecord)
		}
		if !ok && typ != "" {
			b.fail(n, fmt.Sprintf("the parameter %q of `%s` is no record's id", p.name, name), "say under `ids` the type of the record whose id it is, for instance `ids: {"+p.name+": "+typ+"}`")
		}
		c.ids = append(c.ids, of)
	}
	for _, left := range sortedKeys(named) {
		b.fail(m["ids"], fmt.Sprintf("`%s` has no parameter %q", name, left), "")
	}
	return c
}

// reads refuses a call that is no GET that reads.
func (b *builder) reads(c *ActionCall, n *yaml.Node) {
	if op := c.Operation; op != nil {
		if c.Method = http.MethodGet; op.Effect != EffectRead || !slices.Contains(op.Methods, http.MethodGet) {
			b.fail(n, fmt.Sprintf("`call` is %q, which is not a GET that reads", op.Name), "name one that is: looking must change nothing")
		}
	}
}

func (b *builder) job(n *yaml.Node) *ActionJob {
	m := b.object(n, "`job`", []string{"id", "call", "state", "done", "failed"}, nil)
	j := &ActionJob{id: b.place(m["id"], "`job.id`"), state: b.place(m["state"], "`job.state`"), done: b.texts(m["done"], "`job.done`"), failed: b.texts(m["failed"], "`job.failed`")}
	j.Look = b.actionCall(map[string]*yaml.Node{"call": m["call"]}, n, "")
	j.Look.done, j.Look.gone = []int{http.StatusOK}, []int{http.StatusNotFound}
	b.reads(j.Look, n)
	if op := j.Look.Operation; op != nil {
		if len(op.params) != 1 {
			b.fail(m["call"], fmt.Sprintf("`call` is %q, which has not one parameter in its path", op.Name), "name the call that shows one job")
		}
		j.Look.ids = make([]string, len(op.params)) // all the id of the job
	}
	return j
}

func (b *builder) readBack(n *yaml.Node, what, typ string) *ReadBack {
	m := b.object(n, "`read_back`", []string{"call"}, []string{"gone", "ids", "items", "id", "is"})
	r := &ReadBack{ActionCall: b.actionCall(m, n, typ), items: b.place(m["items"], "`items`"), id: b.place(m["id"], "`id`")}
	r.done = []int{http.StatusOK}
	b.reads(r.ActionCall, n)
	if m["is"] != nil {
		for _, p := range b.pairs(m["is"], "`is`") {
			r.is = append(r.is, said{b.place(p.key, "a place of `is`"), b.text(p.value, "what stands there")})
		}
	}
	if len(r.gone) == 0 && len(r.is) == 0 {
		b.fail(n, "`read_back` of "+what+" cannot see that it is done", "say by which answer the record is `gone`, or what the answer `is` then")
	}
	if (m["items"] == nil) != (m["id"] == nil) || m["items"] != nil && m["is"] == nil {
		b.fail(n, "`items`, `id` and `is` go together", "name the list, the place of the id in an element, and what stands in it when it is done")
	}
	return r
}

// actionBody reads the members of a body.
func (b *builder) actionBody(n *yaml.Node) (body []bodyMember) {
	values, types := b.values(n, "`body`"), b.recordTypes()
	for _, name := range sortedKeys(values) {
		if typ, ok := inBraces(values.Get(name)); ok && !types[typ] {
			b.fail(n, fmt.Sprintf("`body` has the id of a %q, which is no type of records of this file", typ), didYouMean(typ, sortedKeys(types)), sortedKeys(types)...)
		}
		body = append(body, bodyMember{name, values.Get(name)})
	}
	return body
}

// statuses reads statuses of answers.
func (r *reader) statuses(n *yaml.Node, what string) (all []int) {
	if n == nil {
		return nil
	}
	for _, item := range r.list(n, what) {
		v := r.text(item, what)
		if v == "" {
			continue
		}
		s, err := strconv.Atoi(v)
		if err != nil || s < 200 || s > 499 {
			r.fail(item, fmt.Sprintf("%s is %q", what, v), "write the status of an answer, from 200 to 499, or a list of them")
			continue
		}
		all = append(all, s)
	}
	return all
}
