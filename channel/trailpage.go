package channel

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// TrailPage is one answer of a vendor to a question for its trail.
type TrailPage struct {
	Entries []TrailEntry
	// Unreadable counts elements of the list that have no id or no time, which
	// nothing can be recorded of.
	Unreadable int
	// Next is the query of the next call, empty at the end of the window.
	Next string
}

// TrailEntry is one entry of a trail: the vendor's word.
type TrailEntry struct {
	// ID is the vendor's name of the entry, Time when it says that it happened.
	ID   string
	Time time.Time
	// Name is a name of the trail's file or of an operation of the channel, or
	// OtherEvent. Effect and Scope are the file's.
	Name   string
	Effect Effect
	Scope  Scope
	// Actor is the vendor's id of who did it; empty where there is none.
	Actor string
	// Status is the HTTP status that the vendor says it answered, 0 without one.
	Status int
	// About are the persons and records it is about, by their labels.
	About []Param
	// ActorDetail is what the entry tells of the actor, Detail all the rest, both
	// objects of JSON, shortened. They are personal data.
	ActorDetail, Detail json.RawMessage
}

// Errors about an answer. None repeats anything of it.
var (
	// ErrTrailShape: the answer is no list of entries as the file describes it.
	ErrTrailShape = errors.New("the answer does not have the shape that the channel file describes")
	// ErrTrailNext: there is more, and the answer does not say where, or says the place
	// that it came from.
	ErrTrailNext = errors.New("the answer says that there is more and not where")
)

// Bounds of what is taken of an entry.
const (
	maxTrailID     = 128
	maxTrailNext   = 4 << 10
	maxTrailString = 2 << 10  // of a detail's strings, in bytes
	maxTrailDetail = 32 << 10 // of a detail
	// maxTrailPages bounds the number of pages that an answer may claim.
	maxTrailPages = 100_000
)

// Read takes an answer apart that was given to the call with query. raw is the body
// as it came and must be one document of JSON without duplicate names; clean is the
// same document with its findings masked, and what the details are made of.
func (t *Trail) Read(query string, raw, clean []byte) (TrailPage, error) {
	doc, err := document(raw)
	if err != nil {
		return TrailPage{}, err
	}
	masked := doc
	if !bytes.Equal(raw, clean) {
		if masked, err = document(clean); err != nil {
			return TrailPage{}, err
		}
	}
	items, ok := t.items.Value(doc).([]any)
	shown, same := t.items.Value(masked).([]any)
	if !ok || !same || len(items) != len(shown) {
		return TrailPage{}, ErrTrailShape
	}
	var page TrailPage
	for i, item := range items {
		if e, ok := t.entry(item, shown[i]); ok {
			page.Entries = append(page.Entries, e)
		} else {
			page.Unreadable++
		}
	}
	page.Next, err = t.nextQuery(doc, query)
	return page, err
}

func document(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // ids are longer than a float's 53 bits
	var v any
	if d.Decode(&v) != nil {
		return nil, ErrTrailShape
	}
	return v, nil
}

// nextQuery is where the page after the one of query is.
func (t *Trail) nextQuery(doc any, query string) (string, error) {
	if t.page != "" {
		q, err := url.ParseQuery(query)
		if err != nil {
			return "", ErrTrailNext
		}
		n, err := strconv.Atoi(q.Get(t.page))
		total, bad := strconv.Atoi(t.total.Text(doc))
		if err != nil || bad != nil || n < 1 || n > maxTrailPages {
			return "", ErrTrailShape // without the number, an end could not be told from a cut
		}
		if n >= total {
			return "", nil
		}
		q.Set(t.page, strconv.Itoa(n+1))
		return q.Encode(), nil
	}
	if t.more != nil {
		switch more := t.more.Value(doc).(type) {
		case bool:
			if !more {
				return "", nil
			}
		default:
			return "", ErrTrailShape
		}
	}
	address := t.next.Text(doc)
	if address == "" && t.more == nil {
		return "", nil
	}
	// The host of the address is not asked, nor its path: whatever they are, the call
	// with the credential goes where the operator said.
	_, next, _ := strings.Cut(address, "?")
	next, _, _ = strings.Cut(next, "#")
	if next == "" || next == query || len(next) > maxTrailNext || !plainQuery(next) {
		return "", ErrTrailNext
	}
	return next, nil
}

// plainQuery tells whether q can stand on a request line. Vendors write brackets
// as they are.
func plainQuery(q string) bool {
	for i := range len(q) {
		if q[i] <= ' ' || q[i] >= 0x7f {
			return false
		}
	}
	return true
}

// entry reads one element of the list. masked is the same without findings.
func (t *Trail) entry(item, masked any) (TrailEntry, bool) {
	e := TrailEntry{ID: t.id.Text(item), Actor: t.actor.Text(item), Name: OtherEvent}
	var ok bool
	if e.Time, ok = t.instantOf(t.time.Text(item)); !ok || e.ID == "" || len(e.ID) > maxTrailID {
		return e, false
	}
	if len(e.Actor) > maxTrailID {
		e.Actor = ""
	}
	if n, err := strconv.Atoi(t.status.Text(item)); err == nil && n >= 100 && n <= 599 {
		e.Status = n
	}
	t.classify(&e, item)
	e.ActorDetail, e.Detail = t.split(masked)
	return e, true
}

// Entries lie between these years; a time elsewhere is a slip of the vendor's that
// would move every window after it.
const firstYear, lastYear = 2000, 2200

func (t *Trail) instantOf(s string) (at time.Time, ok bool) {
	if t.unixTime {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return at, false
		}
		at = time.Unix(n, 0)
	} else {
		var err error
		if at, err = time.Parse(time.RFC3339, s); err != nil {
			return at, false
		}
	}
	at = at.UTC()
	return at, at.Year() >= firstYear && at.Year() < lastYear
}

// classify finds the kind of an entry and whom it is about.
func (t *Trail) classify(e *TrailEntry, item any) {
	for i := range t.Events {
		ev := &t.Events[i]
		if slices.ContainsFunc(ev.when, func(c condition) bool { return !slices.Contains(c.words, c.at.Text(item)) }) {
			continue
		}
		e.Name, e.Effect, e.Scope = ev.Name, ev.Effect, ev.Scope
		for _, p := range ev.places {
			e.about(p.label, p.at.Text(item))
		}
		return
	}
	if t.url == nil {
		return
	}
	m := t.call(strings.ToUpper(t.method.Text(item)), t.url.Text(item))
	e.Name, e.Effect, e.Scope = m.Op.Name, m.Op.Effect, m.Op.Scope
	for _, p := range m.Params {
		if Indexed(p.Label) {
			e.about(p.Label, p.Value)
		}
	}
}

func (e *TrailEntry) about(label, value string) {
	if value != "" && len(value) <= maxTrailID {
		e.About = append(e.About, Param{Label: label, Value: value})
	}
}

// split divides an entry into what tells of the actor and the rest.
func (t *Trail) split(item any) (actor, rest json.RawMessage) {
	about := map[string]any{}
	for _, place := range append([]Place{t.actor}, t.details...) {
		if v := place.Value(item); v != nil {
			about[strings.Join(place, ".")] = v
			place.remove(item)
		}
	}
	if len(about) > 0 {
		actor = shortened(about)
	}
	if o, ok := item.(map[string]any); ok && len(o) > 0 {
		rest = shortened(o)
	}
	return actor, rest
}

// shortened is v as JSON with its strings cut, or how long it would have been.
func shortened(v any) json.RawMessage {
	cut(v)
	b, err := json.Marshal(v)
	if err == nil && len(b) > maxTrailDetail {
		b, err = json.Marshal(map[string]int{"omitted_bytes": len(b)})
	}
	if err != nil { // json.Number can hold only what was parsed as one
		return nil
	}
	return b
}

// cut shortens the strings in objects and lists.
func cut(v any) {
	short := func(v any) any {
		s, ok := v.(string)
		if !ok || len(s) <= maxTrailString {
			cut(v)
			return v
		}
		end := maxTrailString
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		return s[:end] + "…"
	}
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			v[k] = short(m)
		}
	case []any:
		for i, m := range v {
			v[i] = short(m)
		}
	}
}
