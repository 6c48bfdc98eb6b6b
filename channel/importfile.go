package channel

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxRate and maxRateTime bound what a file may say of a limit.
const (
	maxRate     = 1_000_000
	maxRateTime = 24 * time.Hour
)

// budget reads how an account's calls are limited.
func (r *reader) budget(n *yaml.Node) *Budget {
	m := r.object(n, "`rate`", []string{"calls", "per"}, []string{"limit", "remaining", "reset"})
	return &Budget{
		Rate: r.rate(m), Limit: r.header(m["limit"], "`rate.limit`"), Remaining: r.header(m["remaining"], "`rate.remaining`"), Reset: r.header(m["reset"], "`rate.reset`"),
	}
}

// rate reads `calls` and `per`.
func (r *reader) rate(m map[string]*yaml.Node) (rate Rate) {
	if n := m["calls"]; n != nil {
		v := r.text(n, "`calls`")
		calls, err := strconv.Atoi(v)
		if err != nil || calls < 1 || calls > maxRate {
			r.fail(n, fmt.Sprintf("`calls` is %q", v), "write a number from 1 to 1000000")
		} else {
			rate.Calls = calls
		}
	}
	if n := m["per"]; n != nil {
		if rate.Per = r.span(n, "`per`", time.Minute); rate.Per < time.Second || rate.Per > maxRateTime {
			r.fail(n, "`per` is shorter than a second or longer than a day", "write a duration, for instance 1m")
		}
	}
	return rate
}

// imports reads the lists by which records are found.
func (b *builder) imports(n *yaml.Node) {
	for _, p := range b.pairs(n, "`imports`") {
		name := b.name(p.key, "the name of a list")
		if i := b.importList(p.value, name); name != "" {
			b.channel.Imports = append(b.channel.Imports, i)
		}
	}
	if b.channel.Budget == nil && len(b.channel.Imports) > 0 {
		b.fail(n, "a file with `imports` has no `rate`", "say how many calls the vendor takes of an account, for instance `rate: {calls: 100, per: 1m}`")
	}
}

func (b *builder) importList(n *yaml.Node, name string) *Import {
	what := "the list `" + name + "`"
	m := b.object(n, what, []string{"title", "call", "record", "items", "id", "paging"}, []string{"query", "first", "created", "limit"})
	i := &Import{
		Name: name, Title: b.text(m["title"], "`title`"), Record: b.name(m["record"], "`record`"),
		items: b.place(m["items"], "`items`"), id: b.place(m["id"], "`id`"), created: b.place(m["created"], "`created`"),
		query: b.values(m["query"], "`query`"), first: b.values(m["first"], "`first`"),
	}
	if c := m["call"]; c != nil {
		if call := b.text(c, "`call`"); call != "" {
			i.Operation = b.channel.names[call]
			switch op := i.Operation; {
			case op == nil:
				b.fail(c, fmt.Sprintf("`call` is %q, which is no call of this file", call), "name one of `operations`")
			case op.Effect != EffectRead || !slices.Contains(op.Methods, http.MethodGet) || strings.ContainsAny(op.Pattern, "{*") || strings.Contains(op.Pattern, ":"):
				b.fail(c, fmt.Sprintf("`call` is %q, which is not a GET that reads, below `base` and without parameters in its path", call), "name one that is")
			}
		}
	}
	if l := m["limit"]; l != nil {
		i.Limit = b.rate(b.object(l, "`limit`", []string{"calls", "per"}, nil))
	}
	if p := m["paging"]; p != nil {
		pm := b.object(p, "`paging`", []string{"cursor", "parameter"}, []string{"end", "more"})
		i.cursor, i.parameter = b.place(pm["cursor"], "`paging.cursor`"), b.text(pm["parameter"], "`paging.parameter`")
		i.end, i.more = b.place(pm["end"], "`paging.end`"), b.place(pm["more"], "`paging.more`")
		if i.end != nil && i.more != nil {
			b.fail(p, "`paging` has `end` and `more`", "keep the one that the system answers")
		}
		if i.parameter != "" && (i.query.Has(i.parameter) || i.first.Has(i.parameter)) {
			b.fail(p, fmt.Sprintf("the parameter %q of the cursor is in `query` or `first` as well", i.parameter), "remove it there")
		}
	}
	for name := range i.first {
		if i.query.Has(name) {
			b.fail(m["first"], fmt.Sprintf("the parameter %q is in `query` and in `first`", name), "keep one of them")
		}
	}
	return i
}

// values reads parameters of a query.
func (r *reader) values(n *yaml.Node, what string) url.Values {
	q := url.Values{}
	if n == nil {
		return q
	}
	for _, p := range r.pairs(n, what) {
		q.Set(p.key.Value, r.text(p.value, "the parameter `"+p.key.Value+"`"))
	}
	return q
}
