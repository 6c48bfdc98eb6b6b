package clock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// Kind says what happened to a clock.
type Kind string

// The kinds of events.
const (
	// Started is the first event of a clock and comes once.
	Started Kind = "started"
	// Paused: something was asked for, and the law lets the clock stand still.
	Paused Kind = "paused"
	// Resumed: the answer is there.
	Resumed Kind = "resumed"
	// Extended: the notice that it takes longer was sent, with reasons.
	Extended Kind = "extended"
	// Restarted: the clock counts from another moment.
	Restarted Kind = "restarted"
	// Recalendared: somebody took over a newer version of the calendar.
	Recalendared Kind = "recalendared"
)

// Event is one thing that happened to a clock. Events are the clock: a State is
// computed from them and never kept instead of them. They hold no data of a
// person: names are ids, reasons are codes.
type Event struct {
	Kind Kind `json:"kind"`
	// At is when it happened, of Started the trigger, of Extended when the notice was
	// sent. To the second; a fraction is cut off.
	At time.Time `json:"at"`
	// Actor is the id of who decided, Reason a code. Every event but Started has both.
	Actor  string `json:"actor,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Notice refers to the proof that the person was told; Extended needs it.
	Notice string `json:"notice,omitempty"`
	// Cause is one of the rule's causes, for Paused and Restarted.
	Cause string `json:"cause,omitempty"`
	// Anchor is the moment from which Restarted counts, not after At; At if zero.
	Anchor time.Time `json:"anchor,omitzero"`

	// The rest is Started's. Rule and Version name the rule, Calendar (DE@1, also
	// of Recalendared) the holidays; the others are as in Place.
	Rule       string `json:"rule,omitempty"`
	Version    int    `json:"version,omitempty"`
	Calendar   string `json:"calendar,omitempty"`
	Zone       string `json:"zone,omitempty"`
	ReceivedIn string `json:"received_in,omitempty"`
	Variant    string `json:"variant,omitempty"`
	Agreed     Period `json:"agreed,omitzero"`
	Occurrence int    `json:"occurrence,omitempty"`
}

// Limits of a clock's events.
const (
	// MaxEvents is how many events a clock may have; a request with more questions
	// and answers is a case for a person.
	MaxEvents = 200
	// maxEventBytes bounds what DecodeEvents reads.
	maxEventBytes = 1 << 18
	// maxOccurrence is a hundred years of quarters.
	maxOccurrence = 400
)

// code is what ids, codes and references are made of.
var code = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`)

// history is how events are stored.
type history struct {
	V      int     `json:"v"`
	Events []Event `json:"events"`
}

// EncodeEvents writes events for storage.
func EncodeEvents(events []Event) ([]byte, error) {
	b, err := json.Marshal(history{1, events})
	if err != nil {
		return nil, fmt.Errorf("encoding the events of a clock: %w", err)
	}
	return b, nil
}

// DecodeEvents reads what EncodeEvents wrote. Unknown members and unknown versions
// are errors. Whether the events make sense together is for Fold.
func DecodeEvents(b []byte) ([]Event, error) {
	if len(b) > maxEventBytes {
		return nil, fmt.Errorf("the events of a clock have %d bytes, the limit is %d", len(b), maxEventBytes)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var h history
	if err := d.Decode(&h); err != nil {
		return nil, errors.New("the events of a clock are not as this program writes them")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the events of a clock")
	}
	if h.V != 1 {
		return nil, fmt.Errorf("events of version %d: this program knows version 1", h.V)
	}
	return h.Events, nil
}

// check looks at one event by itself.
func (e Event) check() error {
	for _, t := range []time.Time{e.At, e.Anchor} {
		if t.IsZero() && !e.At.IsZero() {
			continue
		}
		if y := t.UTC().Year(); y < firstYear || y > lastTrigger {
			return fmt.Errorf("the year is not between %d and %d", firstYear, lastTrigger)
		}
	}
	for _, s := range []string{e.Actor, e.Reason, e.Notice} {
		if s != "" && !code.MatchString(s) {
			return errors.New("actor, reason and notice are ids and codes")
		}
	}
	// Each kind has its own members: one that means nothing is a mistake.
	rest := e
	rest.Kind, rest.At, rest.Actor, rest.Reason, rest.Notice = "", time.Time{}, "", "", ""
	missing := e.Kind != Started && (e.Actor == "" || e.Reason == "")
	switch e.Kind {
	case Started:
		rest.Rule, rest.Version, rest.Calendar, rest.Zone, rest.ReceivedIn, rest.Variant, rest.Agreed, rest.Occurrence = "", 0, "", "", "", "", Period{}, 0
	case Paused:
		missing = missing || e.Cause == ""
		rest.Cause = ""
	case Resumed:
	case Extended:
		missing = missing || e.Notice == ""
	case Restarted:
		missing = missing || e.Cause == ""
		rest.Cause, rest.Anchor = "", time.Time{}
	case Recalendared:
		missing = missing || e.Calendar == ""
		rest.Calendar = ""
	default:
		return fmt.Errorf("%.40q is no kind of event: %w", e.Kind, ErrUnknown)
	}
	if missing {
		return errors.New("actor, reason, cause, calendar or the proof of the notice is missing")
	}
	if rest != (Event{}) {
		return errors.New("it has members of another kind of event")
	}
	return nil
}
