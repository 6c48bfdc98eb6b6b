package sample

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// object is one record as JSON holds it. Values that came from a client are
// kept as they came; numbers stay json.Number.
type object = map[string]any

// First ids of each kind and the step between two. Users and tickets have 13
// digits, comments 14, as the vendor's own; with these starts, some pass the
// card checksum within a known brand's range.
const (
	firstTicket  = 4_025_900_000_011
	firstUser    = 4_917_400_000_003
	firstComment = 36_018_600_000_007
	firstOther   = 30_115_200_000_019
	idStep       = 37
)

// store is the helpdesk's memory. Its owner holds the lock.
type store struct {
	next    map[string]int64
	tickets *table
	users   *table
	orgs    *table
	deleted *table
	// comments and audits by ticket id
	comments map[int64][]object
	audits   map[int64][]object
	solved   map[int64]any // when a ticket was solved, nil for one that is open
	files    *table        // attachments; content in bytes
	bytes    map[int64][]byte
	fileSize int
	tokens   map[string][]int64 // upload token -> attachment ids
	// auditLog and accessLog are what the vendor itself writes down, the oldest first.
	auditLog, accessLog []object

	jobs     map[string]object
	jobOrder []string

	// trashed is when a ticket was deleted; purging are jobs that take one out of the trash.
	trashed map[int64]time.Time
	purging map[string]*purging
}

// table keeps objects by id in order of creation, forgetting the oldest.
type table struct {
	byID  map[int64]object
	order []int64
}

func newStore() *store {
	return &store{
		next:    map[string]int64{"ticket": firstTicket, "user": firstUser, "comment": firstComment, "other": firstOther},
		tickets: newTable(), users: newTable(), orgs: newTable(), deleted: newTable(), files: newTable(),
		comments: make(map[int64][]object), audits: make(map[int64][]object), bytes: make(map[int64][]byte),
		tokens: make(map[string][]int64), jobs: make(map[string]object), solved: make(map[int64]any), trashed: make(map[int64]time.Time), purging: make(map[string]*purging),
	}
}

func newTable() *table { return &table{byID: make(map[int64]object)} }

// id returns a fresh id of the kind.
func (s *store) id(kind string) int64 {
	n := s.next[kind]
	s.next[kind] = n + idStep
	return n
}

// put adds or replaces an object and returns the id of one that was forgotten.
func (t *table) put(id int64, o object) (forgotten int64) {
	if _, known := t.byID[id]; !known {
		t.order = append(t.order, id)
	}
	t.byID[id] = o
	if len(t.order) > maxObjects {
		forgotten = t.order[0]
		t.remove(forgotten)
	}
	return forgotten
}

// remove takes an object out.
func (t *table) remove(id int64) {
	delete(t.byID, id)
	if i := slices.Index(t.order, id); i >= 0 {
		t.order = slices.Delete(t.order, i, i+1)
	}
}

// all returns copies of the objects, oldest first. A copy is shallow: whoever
// changes an object replaces the values in it and never what they point to.
func (t *table) all() []object {
	out := make([]object, 0, len(t.order))
	for _, id := range t.order {
		out = append(out, maps.Clone(t.byID[id]))
	}
	return out
}

// pick returns copies of the objects with these ids.
func (t *table) pick(ids []int64) []object {
	out := make([]object, 0, len(ids))
	for _, id := range ids {
		if o := t.byID[id]; o != nil {
			out = append(out, maps.Clone(o))
		}
	}
	return out
}

// userByEmail finds a user without regard to case.
func (s *store) userByEmail(email string) object {
	if email == "" {
		return nil
	}
	for _, id := range s.users.order {
		if u := s.users.byID[id]; strings.EqualFold(text(u["email"]), email) {
			return u
		}
	}
	return nil
}

// text returns a JSON value as text: strings as they are, numbers as written,
// anything else as JSON.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case int64:
		return strconv.FormatInt(v, 10)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

// number returns a JSON value as an id, 0 when it is none.
func number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case json.Number:
		n, _ := v.Int64()
		return n
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}

// stamp is the vendor's time format.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// list returns v as a list.
func list(v any) []any {
	l, _ := v.([]any)
	return l
}
