package console

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// RecordQuestion asks which records of vendors name a person.
type RecordQuestion struct {
	// Subjects name the person: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID.
	Subjects []string
	// Linked adds the names that a vendor's profile, or somebody here, says are the same
	// person's.
	Linked bool
	// After is the last record of the page before, as it was answered; empty for the first.
	After string
	// Limit bounds the answer. 1 to MaxFound; zero: 100.
	Limit int
}

// KnownRecord is a record as the index knows it.
type KnownRecord struct {
	// Record is its place, CHANNEL/HOST/TYPE/ID; Parent that of the record it hangs on.
	Record  string `json:"record"`
	Parent  string `json:"parent,omitempty"`
	Channel string `json:"channel"`
	// Host is the account's.
	Host string `json:"host"`
	Type string `json:"type"`
	ID   string `json:"id"`
	// FirstSeen and LastSeen are when it passed the gateway or was imported, LastSeen to ten minutes.
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	// Created and Closed are the vendor's times, absent when it said none. Open says that the
	// vendor calls it open.
	Created  time.Time `json:"created,omitzero"`
	Closed   time.Time `json:"closed,omitzero"`
	Open     bool      `json:"open"`
	Reopened int       `json:"reopened"`
	// Gone is when a call deleted it.
	Gone time.Time `json:"gone,omitzero"`
	// Backfilled is when an import last showed it, absent for a record that none did.
	Backfilled time.Time `json:"backfilled,omitzero"`
	// Classes are the data classes that were ever found in it.
	Classes []string `json:"classes"`
}

// RecordList answers a RecordQuestion, in the order of systems, types and ids.
type RecordList struct {
	Records []KnownRecord `json:"records"`
	// Known is how many of the names any call ever named; Linked is how many more are linked
	// to them, whether they were asked for or not.
	Known  int  `json:"known"`
	Linked int  `json:"linked"`
	More   bool `json:"more"`
}

// maxRecord bounds the place of a record.
const maxRecord = 1024

// decodeRecordQuestion reads {"subjects", "linked", "after", "limit"}.
func decodeRecordQuestion(body []byte) (any, *Refusal) {
	q := RecordQuestion{Limit: 100}
	if ref := decodeObject(body, member{"subjects", &q.Subjects}, member{"linked", &q.Linked}, member{"after", &q.After}, member{"limit", &q.Limit}); ref != nil {
		return nil, ref
	}
	if ref := checkSubjects(q.Subjects); ref != nil {
		return nil, ref
	}
	if q.Limit < 1 || q.Limit > MaxFound {
		return nil, refuse(reasonInvalid, "limit: want 1 to 10000", nil)
	}
	if q.After != "" && !isText(q.After, maxRecord) {
		return nil, refuse(reasonInvalid, "after: want the place of a record, CHANNEL/HOST/TYPE/ID", nil)
	}
	return q, nil
}

// checkSubjects refuses names of persons that are too many or too long.
func checkSubjects(all []string) *Refusal {
	if len(all) == 0 || len(all) > maxErased {
		return refuse(reasonInvalid, fmt.Sprintf("subjects: want 1 to %d", maxErased), nil)
	}
	for _, s := range all {
		if !isText(s, maxSubject) {
			return refuse(reasonInvalid, fmt.Sprintf("subjects: want 1 to %d bytes of printable text each", maxSubject), nil)
		}
	}
	return nil
}

// subjectRecords answers POST /api/v1/subjects/records.
func subjectRecords(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Records(c.ctx, c.body.(RecordQuestion))
	switch {
	case errors.Is(err, ErrNotFound):
		return answer{}, refuse(reasonNotFound, "after: no record was ever seen of this channel, account and type", err)
	case errors.Is(err, ErrInvalid):
		return answer{}, refuse(reasonInvalid, "a subject or the place of a record has not the form it should have, or too many names are linked", err)
	case err != nil:
		return answer{}, refuse(reasonInternal, "", err)
	}
	if list.Records == nil {
		list.Records = []KnownRecord{}
	}
	return answer{status: http.StatusOK, body: list, attrs: map[string]string{"known": strconv.Itoa(list.Known), "found": strconv.Itoa(len(list.Records))}}, nil
}
