package channel

import (
	"net/url"
	"strconv"
	"time"
)

// Import is a list of the vendor's by which the records that it has already are found, page
// by page: Query gives the call of a page, Read takes its answer apart and says what the
// next one is.
type Import struct {
	// Name is unique in the channel ("tickets"), Title is for people.
	Name, Title string
	// Operation is the call, a GET without parameters in its path. Its places say where ids,
	// persons and texts of the answer stand, as for everybody's calls.
	Operation *Operation
	// Record is the type of record that each element is.
	Record string
	// Limit is what the vendor documents of this call alone, zero for nothing.
	Limit Rate

	query, first url.Values // of every call, of the first one only

	items       Place // of the list
	id, created Place // in an element

	cursor, end, more Place  // of the next cursor; true at the end; true before it
	parameter         string // of the cursor
}

// Rate is how many calls a vendor takes in a stretch of time.
type Rate struct {
	Calls int
	Per   time.Duration
}

// IsZero reports whether r says nothing.
func (r Rate) IsZero() bool { return r.Calls <= 0 || r.Per <= 0 }

// Budget says how an account's calls are limited, and how answers tell of it.
type Budget struct {
	// Rate is the least that the vendor gives an account, for as long as no answer says more.
	Rate Rate
	// Limit, Remaining and Reset are headers of answers, empty where there is none. Reset
	// says in seconds, or as seconds since 1970, when all are there again.
	Limit, Remaining, Reset string
}

// ImportPage is one answer.
type ImportPage struct {
	// IDs are the ids of the elements, as the vendor writes them.
	IDs []string
	// Next is the cursor of the next page, empty at the end.
	Next string
}

// ImportError is an answer that is not what the channel file says. It repeats nothing of
// the answer.
type ImportError struct {
	// What is the mistake, Element the number of the element that has it, from 1, and 0 for
	// the answer as a whole.
	What    string
	Element int
}

// Error says where it is.
func (e *ImportError) Error() string {
	s := "the answer is not what the channel file describes: " + e.What
	if e.Element > 0 {
		s += ", element " + strconv.Itoa(e.Element)
	}
	return s
}

// Bounds of what is taken of an answer.
const (
	maxImportID     = 256
	maxImportCursor = 4 << 10
	maxImportItems  = 100_000
)

// Import returns the list called name, or nil.
func (c *Channel) Import(name string) *Import {
	for _, i := range c.Imports {
		if i.Name == name {
			return i
		}
	}
	return nil
}

// Query is the query of the call for the page at a cursor, empty for the first page.
func (i *Import) Query(cursor string) string {
	q := url.Values{}
	add := func(values url.Values) {
		for name, v := range values {
			q[name] = append(q[name], v...)
		}
	}
	add(i.query)
	if cursor == "" {
		add(i.first)
	} else {
		q.Set(i.parameter, cursor)
	}
	return q.Encode()
}

// Read takes apart what was answered to the call at a cursor: one document of JSON without
// duplicate names. Every element has to have an id and, where the file names its place, a
// time of creation: what has none is no list of the records that the file describes, and
// nothing of it is to be believed. The error is an *ImportError.
func (i *Import) Read(cursor string, raw []byte) (page ImportPage, err error) {
	doc, err := document(raw)
	if err != nil {
		return page, &ImportError{What: "it is no document of JSON"}
	}
	items, ok := i.items.Value(doc).([]any)
	switch {
	case !ok:
		return page, &ImportError{What: "there is no list at " + i.items.String()}
	case len(items) > maxImportItems:
		return page, &ImportError{What: "the list at " + i.items.String() + " has more than " + strconv.Itoa(maxImportItems) + " elements"}
	}
	page.IDs = make([]string, len(items))
	for n, item := range items {
		id := i.id.Text(item)
		if id == "" || len(id) > maxImportID {
			return ImportPage{}, &ImportError{What: "no id at " + i.id.String(), Element: n + 1}
		}
		if i.created != nil {
			if at := Instant([]byte(i.created.Text(item))); at.Year() < firstImported || at.Year() >= lastYear {
				return ImportPage{}, &ImportError{What: "no time at " + i.created.String(), Element: n + 1}
			}
		}
		page.IDs[n] = id
	}
	page.Next, err = i.next(doc, cursor)
	if err != nil {
		return ImportPage{}, err
	}
	return page, nil
}

// firstImported is the year of the oldest records that are believed.
const firstImported = 1990

// next is the cursor of the page after the one at cursor.
func (i *Import) next(doc any, cursor string) (string, error) {
	if at, atEnd := i.end, true; at != nil || i.more != nil {
		if at == nil {
			at, atEnd = i.more, false
		}
		said, ok := at.Value(doc).(bool)
		if !ok {
			return "", &ImportError{What: "whether more follows does not stand at " + at.String()}
		}
		if said == atEnd {
			return "", nil
		}
	}
	next := i.cursor.Text(doc)
	switch {
	case next == "" && i.end == nil && i.more == nil:
		// Only nothing at all ends the list: a value of another kind would be a page that is
		// passed over.
		if i.cursor.Value(doc) != nil {
			return "", &ImportError{What: "what stands at " + i.cursor.String() + " is no cursor"}
		}
		return "", nil
	case next == "":
		return "", &ImportError{What: "more follows, and no cursor stands at " + i.cursor.String()}
	case len(next) > maxImportCursor:
		return "", &ImportError{What: "the cursor at " + i.cursor.String() + " is longer than 4 KiB"}
	case next == cursor:
		return "", &ImportError{What: "more follows, and the cursor at " + i.cursor.String() + " is the one of this page"}
	}
	return next, nil
}

// Instant reads a time as vendors write it: RFC 3339, or seconds or milliseconds since
// 1970. It is zero for anything else.
func Instant(b []byte) time.Time {
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
