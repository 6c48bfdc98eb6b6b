package purge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/index"
)

// CertificateKind is the kind of the statement that the log's key signs.
const CertificateKind = "retention-certificate"

// Certificate says what a run came to, record by record. It has no id of a vendor: records have
// the names that the run's events have.
type Certificate struct {
	Version    int       `json:"version"`
	Run        string    `json:"run"`
	Schedule   string    `json:"schedule"`
	Revision   string    `json:"revision"`
	List       string    `json:"list"`
	At         time.Time `json:"at"`
	Prepared   time.Time `json:"prepared"`
	PreparedBy string    `json:"prepared_by"`
	Started    time.Time `json:"started"`
	ApprovedBy string    `json:"approved_by"`
	Ended      time.Time `json:"ended"`
	// Outcomes are counts by state: erased, absent, held, kept, by_hand, needs_human.
	Outcomes map[string]int `json:"outcomes"`
	Records  []Certified    `json:"records"`
}

// Certified is one record with the proof of what became of it.
type Certified struct {
	Record  string `json:"record"`
	Channel string `json:"channel"`
	Account string `json:"account"`
	Type    string `json:"type"`
	Rule    string `json:"rule"`
	Action  string `json:"action"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	// With is the record that took it along.
	With  string      `json:"with,omitempty"`
	Ended time.Time   `json:"ended,omitzero"`
	Calls []ProofCall `json:"calls,omitempty"`
}

// ProofCall is a call to the vendor, and what its answer said. Event is its entry in the log.
type ProofCall struct {
	Operation string    `json:"operation"`
	At        time.Time `json:"at"`
	Answered  time.Time `json:"answered"`
	Status    int       `json:"status"`
	Seen      string    `json:"seen"`
	Event     string    `json:"event"`
}

// certificateVersion is the version of the form of certificates.
const certificateVersion = 1

// ErrCertificate is wrapped when a text is no certificate of this version.
var ErrCertificate = errors.New("not a certificate of a run")

// Statement reads a certificate and returns it with the text that is signed for it, which has the
// SHA-256 of the document. ErrCertificate.
func Statement(document []byte) (c Certificate, text string, err error) {
	if err := json.Unmarshal(document, &c); err != nil || c.Version != certificateVersion {
		return Certificate{}, "", fmt.Errorf("%w: its JSON is none of version %d", ErrCertificate, certificateVersion)
	}
	return c, fmt.Sprintf("run %s\nschedule %s\nlist %s\nrecords %d\nerased %d\nsha256 json %x\n", c.Run, c.Schedule, c.List, len(c.Records), c.Outcomes[Erased], sha256.Sum256(document)), nil
}

// Certificate returns what a run came to that has ended, as JSON that ends with a line feed: the
// same text whenever it is asked for. ErrState before the end.
func (s *Store) Certificate(ctx context.Context, id string) (document []byte, err error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading a run: %w", err)
	}
	defer tx.Rollback()
	r, err := read(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if r.State != Done {
		return nil, fmt.Errorf("%w: it is %s, and has a certificate at its end", ErrState, r.State)
	}
	c := Certificate{
		Version: certificateVersion, Run: r.ID, Schedule: r.Schedule, Revision: r.Revision, List: r.List, At: r.At, Prepared: r.Prepared, PreparedBy: r.PreparedBy,
		Started: r.Started, ApprovedBy: r.ApprovedBy, Ended: r.Ended, Outcomes: make(map[string]int),
	}
	calls := make(map[int64][]ProofCall)
	_, err = store.List(ctx, tx, func(row store.Row) (p ProofCall, err error) {
		var n, at, answered int64
		var event []byte
		err = row.Scan(&n, &p.Operation, &at, &answered, &p.Status, &p.Seen, &event)
		p.At, p.Answered, p.Event = store.Moment(at), store.Moment(answered), hex.EncodeToString(event)
		calls[n] = append(calls[n], p)
		return p, err
	}, `SELECT n, operation, at, answered, status, seen, event FROM purge_step WHERE run = $1 AND answered > 0 ORDER BY n, seq`, id)
	if err != nil {
		return nil, fmt.Errorf("reading the calls of a run: %w", err)
	}
	c.Records, err = store.List(ctx, tx, func(row store.Row) (one Certified, err error) {
		var n, ended int64
		var rec, above index.Record
		err = row.Scan(&n, &rec.Channel, &rec.Host, &rec.Type, &rec.ID, &one.Rule, &one.Action, &one.Outcome, &one.Reason, &ended, &above.Channel, &above.Host, &above.Type, &above.ID)
		one.Record, one.Channel, one.Account, one.Type, one.Ended, one.Calls = r.Name(rec), rec.Channel, rec.Host, rec.Type, store.Moment(ended), calls[n]
		if above.ID != "" {
			one.With = r.Name(above)
		}
		c.Outcomes[one.Outcome]++
		return one, err
	}, `SELECT i.n, i.channel, i.host, i.type, i.name, i.rule, i.action, i.state, i.reason, i.ended, coalesce(a.channel, ''), coalesce(a.host, ''), coalesce(a.type, ''), coalesce(a.name, '')
		FROM purge_item i LEFT JOIN purge_item a ON i.above <> '' AND a.run = i.run AND a.kind = i.above_kind AND a.name = i.above WHERE i.run = $1 ORDER BY i.n`, id)
	if err != nil {
		return nil, fmt.Errorf("reading the records of a run: %w", err)
	}
	if document, err = json.MarshalIndent(c, "", "\t"); err != nil {
		return nil, fmt.Errorf("writing a certificate: %w", err)
	}
	return append(document, '\n'), nil
}
