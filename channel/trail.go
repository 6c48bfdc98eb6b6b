package channel

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Trail is a log that the vendor itself keeps of what happens on its side: exports,
// bulk changes and sign-ins on its own screens, which no gateway sees. What stands in
// it is the vendor's word.
//
// A trail is read in windows of time: Query gives the first call of a window, Read
// takes an answer apart and says what the next call is.
type Trail struct {
	// Name is unique in the channel ("audit"), Title is for people.
	Name, Title string
	// Path of the list, base included. It is called with GET.
	Path string
	// Headers are sent with each call, by their names.
	Headers map[string]string
	// Keeps is how long the vendor keeps an entry; zero for ever.
	Keeps time.Duration
	// Settles is how long after its time an entry may still turn up.
	Settles time.Duration
	// Overlap is how far back is looked, now and then, for entries that turned up later
	// than that. One that is not longer than Settles asks for no such look.
	Overlap time.Duration
	// Ascending says that a window's entries come the oldest first.
	Ascending bool
	// Events are the kinds of entries that the file knows, the first that fits wins.
	Events []TrailEvent

	channel *Channel // of the calls that entries tell of

	query             url.Values // of every call
	from, to          string     // parameters of the window
	unix              bool       // the parameters are seconds, not RFC 3339
	items             Place      // of the list
	next, more, total Place      // of the next address, whether there is one, the number of pages
	page              string     // parameter of the page's number

	id, time, actor, status Place
	unixTime                bool
	details                 []Place // of what tells of the actor
	method, url             Place   // of the call that an entry tells of
}

// TrailEvent is a kind of entry.
type TrailEvent struct {
	// Name is unique in the trail: "data.exported".
	Name string
	// Effect and Scope are what was done; empty for neither.
	Effect Effect
	Scope  Scope

	when   []condition
	places []labelled
}

// condition holds when the value at a place is one of words.
type condition struct {
	at    Place
	words []string
}

// labelled is a place of a person or record.
type labelled struct {
	label string
	at    Place
}

// OtherEvent is the name of an entry that the file does not know. The vendor's own
// word for it stays out of every name: it could be anything.
const OtherEvent = "other"

// Query is the query of the first call for the entries between two instants, to the
// second. Whether the vendor counts the bounds in is not known: ask for a second more.
func (t *Trail) Query(from, to time.Time) string {
	q := url.Values{}
	for name, values := range t.query {
		q[name] = append(q[name], values...)
	}
	q.Add(t.from, t.instant(from))
	q.Add(t.to, t.instant(to))
	if t.page != "" {
		q.Set(t.page, "1")
	}
	return q.Encode()
}

func (t *Trail) instant(at time.Time) string {
	if t.unix {
		return strconv.FormatInt(at.Unix(), 10)
	}
	return at.UTC().Format(time.RFC3339)
}

// Names lists the names that entries of the trail can have, without those of the
// channel's operations.
func (t *Trail) Names() []string {
	out := []string{OtherEvent}
	for i := range t.Events {
		out = append(out, t.Events[i].Name)
	}
	return out
}

// TellsCalls reports whether entries tell of calls, which have the names, effects and
// scopes of the channel's operations.
func (t *Trail) TellsCalls() bool { return t.url != nil }

// Trail returns the trail called name, or nil.
func (c *Channel) Trail(name string) *Trail {
	for _, t := range c.Trails {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// call finds the operation that an entry tells of.
func (t *Trail) call(method, address string) Match {
	if i := strings.Index(address, "://"); i >= 0 {
		rest := address[i+3:]
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return t.channel.miss(method)
		}
		address = rest[slash:]
	}
	path, _, _ := strings.Cut(address, "?")
	path, _, _ = strings.Cut(path, "#")
	return t.channel.Match(method, path)
}
