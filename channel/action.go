package channel

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is done to a record at its source.
const (
	ActionDelete = "delete"
	ActionRedact = "redact"
)

// Action is how a record is deleted or redacted at its source: calls one after another, and a
// look whether it is done.
type Action struct {
	// Name is ActionDelete or ActionRedact, Record the type of record it is done to.
	Name, Record string
	// With is the type of the record that takes this one along when the same is done to it.
	// Then the rest is empty.
	With string
	// Calls are made in their order.
	Calls []*ActionCall
	// ReadBack looks at the record.
	ReadBack *ReadBack
	// Trash is for how long the vendor can bring the record back, zero where it cannot.
	Trash time.Duration
}

// ActionCall is one call of an action.
type ActionCall struct {
	// Operation is the call, Method one of its methods.
	Operation *Operation
	Method    string
	// Limit is what the vendor documents of this call alone, zero for nothing.
	Limit Rate
	// Job is where the vendor says that the work is done later; nil where its answer says so.
	Job *ActionJob

	done, gone []int
	body       []bodyMember
	ids        []string // types of records, for each parameter of the path
}

// ActionJob is work that the vendor does after it answered.
type ActionJob struct {
	// Look is the call that asks for the job.
	Look *ActionCall

	id, state    Place
	done, failed []string
}

// ReadBack is the call that looks at a record.
type ReadBack struct {
	*ActionCall

	items, id Place // of the record in a list; nil where the answer is about the record alone
	is        []said
}

// bodyMember is a string of a body; one that stands in braces is the id of a record of that type.
type bodyMember struct{ name, value string }

// said is a place with the word that stands there when the action is done.
type said struct {
	place Place
	word  string
}

// Seen is what an answer says of a record or of a job.
type Seen string

// What answers say. SeenUnknown is an answer that the channel file does not describe: it proves
// nothing.
const (
	SeenDone    Seen = "done"   // the call did it, or the record is redacted
	SeenGone    Seen = "gone"   // the vendor has no such record
	SeenThere   Seen = "there"  // the record is as it was, or the job goes on
	SeenFailed  Seen = "failed" // the job ended without it
	SeenUnknown Seen = "unknown"
)

// Action returns what is done to records of a type, or nil where the file knows no way.
func (c *Channel) Action(name, record string) *Action {
	for _, a := range c.Actions {
		if a.Name == name && a.Record == record {
			return a
		}
	}
	return nil
}

// Request is the path and the body of the call, by the ids of the record and of those it hangs
// on, by type. A type that the call names and ids has not is returned as missing.
func (c *ActionCall) Request(ids map[string]string) (path string, body []byte, missing string) {
	path, n := "", 0
	for segment := range strings.SplitSeq(c.Operation.Pattern[1:], "/") {
		if strings.HasPrefix(segment, "{") {
			id := ids[c.ids[n]]
			if !plainID(id) {
				return "", nil, c.ids[n]
			}
			segment = url.PathEscape(id)
			n++
		}
		path += "/" + segment
	}
	if len(c.body) == 0 {
		return path, nil, ""
	}
	members := make(map[string]string, len(c.body))
	for _, m := range c.body {
		if typ, ok := inBraces(m.value); ok {
			id := ids[typ]
			if !plainID(id) {
				return "", nil, typ
			}
			members[m.name] = id
			continue
		}
		members[m.name] = m.value
	}
	body, _ = json.Marshal(members) // strings alone
	return path, body, ""
}

// plainID tells whether an id may stand in a path: no step up or down in it, whatever a server
// makes of an escaped one.
func plainID(id string) bool {
	return id != "" && id != "." && id != ".." && len(id) <= maxImportID && !strings.ContainsAny(id, "/\\%?#") && strings.IndexFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// inBraces is the type that a value of a body names.
func inBraces(v string) (typ string, ok bool) {
	if strings.HasPrefix(v, "{") && strings.HasSuffix(v, "}") {
		return v[1 : len(v)-1], true
	}
	return "", false
}

// Answered is what the answer to the call says: SeenDone, SeenGone or SeenUnknown. Where the
// vendor works on after its answer, job is the id to ask for; an answer without one is unknown.
func (c *ActionCall) Answered(status int, raw []byte) (seen Seen, job string) {
	switch {
	case slices.Contains(c.gone, status):
		return SeenGone, ""
	case !slices.Contains(c.done, status):
		return SeenUnknown, ""
	case c.Job == nil:
		return SeenDone, ""
	}
	doc, err := document(raw)
	if err != nil {
		return SeenUnknown, ""
	}
	if job = c.Job.id.Text(doc); !plainID(job) {
		return SeenUnknown, ""
	}
	return SeenDone, job
}

// Answered is what the answer says of the job: SeenDone, SeenFailed, SeenThere while it goes on,
// SeenGone when nobody knows it any more, or SeenUnknown.
func (j *ActionJob) Answered(status int, raw []byte) Seen {
	if seen, _ := j.Look.Answered(status, raw); seen != SeenDone {
		return seen
	}
	doc, err := document(raw)
	if err != nil {
		return SeenUnknown
	}
	switch state := j.state.Text(doc); {
	case state == "":
		return SeenUnknown
	case slices.Contains(j.done, state):
		return SeenDone
	case slices.Contains(j.failed, state):
		return SeenFailed
	}
	return SeenThere
}

// Path is the path of the call that asks for the job with an id.
func (j *ActionJob) Path(id string) string {
	path, _, _ := j.Look.Request(map[string]string{"": id})
	return path
}

// Answered is what the answer says of the record with an id: SeenGone, SeenDone where it is
// redacted, SeenThere or SeenUnknown. A list without the record is unknown: it may be on another
// page.
func (b *ReadBack) Answered(id string, status int, raw []byte) Seen {
	seen, _ := b.ActionCall.Answered(status, raw)
	if seen != SeenDone {
		return seen
	}
	if len(b.is) == 0 {
		return SeenThere
	}
	doc, err := document(raw)
	if err != nil {
		return SeenUnknown
	}
	if b.items != nil {
		items, _ := b.items.Value(doc).([]any)
		i := slices.IndexFunc(items, func(item any) bool { return b.id.Text(item) == id })
		if i < 0 {
			return SeenUnknown
		}
		doc = items[i]
	}
	for _, s := range b.is {
		if wordOf(s.place.Value(doc)) != s.word {
			return SeenThere
		}
	}
	return SeenDone
}

// wordOf is a string, a number, true or false as text; empty for anything else.
func wordOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}
