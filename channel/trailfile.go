package channel

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// defaultSettles is for vendors that do not say how late an entry may turn up.
const defaultSettles = 10 * time.Minute

// defaultOverlap is how far back is looked for entries that turn up later than that.
const defaultOverlap = 24 * time.Hour

// maxTrailEvents is far above any vendor's need.
const maxTrailEvents = 200

// trails reads the logs that the vendor keeps.
func (b *builder) trails(n *yaml.Node) {
	for _, p := range b.pairs(n, "`trails`") {
		name := b.name(p.key, "the name of a trail")
		if t := b.trail(p.value, name); name != "" {
			b.channel.Trails = append(b.channel.Trails, t)
		}
	}
}

func (b *builder) trail(n *yaml.Node, name string) *Trail {
	what := "the trail `" + name + "`"
	m := b.object(n, what, []string{"title", "path", "window", "items", "paging", "id", "time"},
		[]string{"headers", "query", "keeps", "settles", "overlap", "order", "time_format", "actor", "status", "call", "events"})
	t := &Trail{
		Name: name, Title: b.text(m["title"], "`title`"), channel: b.channel, Settles: defaultSettles, query: url.Values{},
		items: b.place(m["items"], "`items`"), id: b.place(m["id"], "`id`"), time: b.place(m["time"], "`time`"), status: b.place(m["status"], "`status`"),
	}
	if path := b.text(m["path"], "`path`"); path != "" {
		if t.Path = b.channel.PathPrefix + path; path[0] != '/' || strings.ContainsAny(path, "{}*%?# ") {
			b.fail(m["path"], fmt.Sprintf("`path` is %q", path), "write a plain path below `base` with a slash in front, for instance /audit_logs")
		}
	}
	if m["headers"] != nil {
		t.Headers = make(map[string]string)
		for _, p := range b.pairs(m["headers"], "`headers`") {
			name := b.header(p.key, "the name of a header")
			t.Headers[name] = b.text(p.value, "the header `"+p.key.Value+"`")
			if slices.Contains([]string{"Authorization", "Host", "Cookie", "Accept-Encoding"}, http.CanonicalHeaderKey(name)) {
				b.fail(p.key, fmt.Sprintf("the header %s is the gateway's", name), "remove it; the credential stands in the Caddyfile")
			}
		}
	}
	if m["query"] != nil {
		for _, p := range b.pairs(m["query"], "`query`") {
			t.query.Set(p.key.Value, b.text(p.value, "the parameter `"+p.key.Value+"`"))
		}
	}
	t.Keeps = b.span(m["keeps"], "`keeps`", 0)
	t.Settles = b.span(m["settles"], "`settles`", defaultSettles)
	t.Overlap = b.span(m["overlap"], "`overlap`", defaultOverlap)
	if t.Keeps > 0 {
		t.Overlap = min(t.Overlap, t.Keeps)
	}
	t.Ascending = m["order"] != nil && b.oneOf(m["order"], "`order`", "ascending", "any") == "ascending"
	t.unixTime = m["time_format"] != nil && b.oneOf(m["time_format"], "`time_format`", "rfc3339", "unix") == "unix"
	if w := m["window"]; w != nil {
		wm := b.object(w, "`window`", []string{"from", "to"}, []string{"format"})
		t.from, t.to = b.text(wm["from"], "`window.from`"), b.text(wm["to"], "`window.to`")
		t.unix = wm["format"] != nil && b.oneOf(wm["format"], "`window.format`", "rfc3339", "unix") == "unix"
	}
	if p := m["paging"]; p != nil {
		pm := b.object(p, "`paging`", nil, []string{"next", "more", "page", "total"})
		t.next, t.more = b.place(pm["next"], "`paging.next`"), b.place(pm["more"], "`paging.more`")
		t.page, t.total = b.text(pm["page"], "`paging.page`"), b.place(pm["total"], "`paging.total`")
		byAddress, byNumber := t.next != nil, t.page != "" && t.total != nil
		if byAddress == byNumber || byAddress && (t.page != "" || t.total != nil) || byNumber && t.more != nil {
			b.fail(p, "`paging` says how the next page is found, in one of two ways", "write `{next: /links/next, more: /meta/has_more}`, or `{page: page, total: /pages/total_pages}`")
		}
	}
	if a := m["actor"]; a != nil {
		am := b.object(a, "`actor`", []string{"id"}, []string{"details"})
		t.actor = b.place(am["id"], "`actor.id`")
		for _, item := range b.list(am["details"], "`actor.details`") {
			if at := b.place(item, "an entry of `actor.details`"); at != nil {
				t.details = append(t.details, at)
			}
		}
	}
	if c := m["call"]; c != nil {
		cm := b.object(c, "`call`", []string{"method", "url"}, nil)
		t.method, t.url = b.place(cm["method"], "`call.method`"), b.place(cm["url"], "`call.url`")
	}
	b.trailEvents(m["events"], t)
	return t
}

// trailEvents reads the kinds of entries.
func (b *builder) trailEvents(n *yaml.Node, t *Trail) {
	list := b.list(n, "`events`")
	if len(list) > maxTrailEvents {
		b.fail(n, fmt.Sprintf("`events` has more than %d kinds", maxTrailEvents), "name what matters; the others are called other")
		return
	}
	for _, item := range list {
		m := b.object(item, "an entry of `events`", []string{"name", "when"}, []string{"effect", "scope", "subject", "record"})
		ev := TrailEvent{Name: b.name(m["name"], "`name`")}
		if ev.Name == OtherEvent {
			b.fail(m["name"], fmt.Sprintf("%q is what entries are called that fit no kind", OtherEvent), "choose another name")
		}
		if slices.ContainsFunc(t.Events, func(e TrailEvent) bool { return e.Name == ev.Name && ev.Name != "" }) {
			b.fail(m["name"], fmt.Sprintf("the kind %q stands twice", ev.Name), "join the two: a place in `when` may have a list of words")
		}
		if m["effect"] != nil {
			ev.Effect = Effect(b.oneOf(m["effect"], "`effect`", "read", "write", "delete", "admin"))
			ev.Scope = ScopeOne
		}
		if m["scope"] != nil {
			ev.Scope = Scope(b.oneOf(m["scope"], "`scope`", "one", "bulk", "export"))
		}
		if m["when"] != nil {
			for _, p := range b.pairs(m["when"], "`when`") {
				at := b.place(p.key, "a place in `when`")
				if words := b.texts(p.value, "`when."+p.key.Value+"`"); at != nil {
					ev.when = append(ev.when, condition{at, words})
				}
			}
		}
		for key, prefix := range map[string]string{"subject": "subject:", "record": LabelRecord} {
			if m[key] == nil {
				continue
			}
			for _, p := range b.pairs(m[key], "`"+key+"`") {
				label := prefix + p.key.Value
				if _, known := subjectKinds[p.key.Value]; key == "subject" && !known {
					b.fail(p.key, fmt.Sprintf("unknown key %q in `subject`", p.key.Value), "", sortedKeys(subjectKinds)...)
				} else if key == "record" {
					label = prefix + b.name(p.key, "the type of a record")
				}
				if at := b.place(p.value, "`"+key+"."+p.key.Value+"`"); at != nil {
					ev.places = append(ev.places, labelled{label, at})
				}
			}
		}
		slices.SortFunc(ev.places, func(x, y labelled) int { return strings.Compare(x.label, y.label) })
		t.Events = append(t.Events, ev)
	}
}

// place reads a JSON Pointer to one place, through objects.
func (r *reader) place(n *yaml.Node, what string) Place {
	if n == nil {
		return nil
	}
	p := r.pointer(n, what)
	if p == "" {
		return nil
	}
	if strings.Contains(p, "*") {
		r.fail(n, what+" points to many places", "name one place, without a star")
		return nil
	}
	return PlaceOf(p)
}

// span reads a duration in days (90d) or as Go writes it.
func (r *reader) span(n *yaml.Node, what string, otherwise time.Duration) time.Duration {
	if n == nil {
		return otherwise
	}
	v := r.text(n, what)
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(v, "d"); ok {
		d, err = time.ParseDuration(days + "h")
		d *= 24
	} else {
		d, err = time.ParseDuration(v)
	}
	if err != nil || d <= 0 || d > maxSpan {
		r.fail(n, fmt.Sprintf("%s is %q", what, v), "write a duration up to ten years, for instance 90d or 10m")
		return otherwise
	}
	return d
}

// maxSpan is ten years.
const maxSpan = 3652 * 24 * time.Hour
