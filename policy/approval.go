package policy

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/store"
)

const (
	// ApprovalTime is how long others have to agree to a call, and then how long the
	// caller has to make it.
	ApprovalTime = 15 * time.Minute
	// openApprovals is how many calls of one caller may wait at once: more is a program
	// that repeats itself with changes, and would bury what somebody has to look at.
	openApprovals = 64
	// listedApprovals bounds a list that is read whole.
	listedApprovals = 1000
	// approvalKept is for how long one that has ended is listed. The log has it for ever.
	approvalKept = 30 * 24 * time.Hour
	// digestSize is the length of a keyed digest.
	digestSize = 32
)

// States of an Approval.
const (
	ApprovalAsked    = "asked"    // waits for others
	ApprovalGiven    = "given"    // enough agreed: the call can be made, once
	ApprovalStanding = "standing" // enough agreed: such calls can be made, within the terms
	ApprovalUsed     = "used"     // the call was made
	ApprovalRefused  = "refused"  // somebody refused, before or after others had agreed
	ApprovalExpired  = "expired"  // its time was over first
)

var (
	// ErrNoApproval is returned by Give and Refuse for an ID that does not exist.
	ErrNoApproval = errors.New("there is no such approval")
	// ErrApproval is returned by Given and Use for an approval that does not count: unknown, not
	// given, refused, used, expired, another caller's or another call's. Which of them is
	// not told.
	ErrApproval = errors.New("the approval does not count for this call")
	// ErrApprovalEnded is wrapped by errors of Give and Refuse for one that is over.
	ErrApprovalEnded = errors.New("the approval is over")
	// ErrOwnApproval is returned by Give to whoever asked, also by a key that theirs was
	// rotated from or to (V11).
	ErrOwnApproval = errors.New("whoever asks for an approval cannot give it")
	// ErrAgreedAlready is returned by Give to somebody who has agreed before, with this
	// credential or a key that theirs was rotated from or to (V11).
	ErrAgreedAlready = errors.New("you have agreed already, and it takes another one")
	// ErrTerms is wrapped by errors about the terms of a standing approval.
	ErrTerms = errors.New("the terms cannot be agreed to")
	// ErrApprovalsFull is returned by Ask when too many calls of one caller wait.
	ErrApprovalsFull = errors.New("too many calls of this caller wait for approval")
)

// Approval is a call that waits, or waited, for others to agree. It holds nothing of
// the call's body and nothing personal, but for what an approver wrote into Terms.
type Approval struct {
	// ID names the approval in answers, lists and the log. It is no secret: it counts for
	// the caller who asked, and for the call it was asked for.
	ID string
	// Requester is the ID of the actor who asked.
	Requester string
	// Route to Purpose say what is to be called, in the words of Input.
	Route, Channel, Operation, Effect, Scope, Purpose string
	// Records is how many records the call touches, Counts how many findings of each
	// class are in it.
	Records int
	Counts  map[string]int
	// Inner is how many calls of each operation a composite call holds, empty for another.
	// Its Effect is the strongest of theirs and its own, its Scope the widest.
	Inner map[string]int
	// Needed is how many others have to agree; Agreed are those who have.
	Needed int
	Agreed []string
	// RefusedBy is who refused, empty when nobody did.
	RefusedBy string
	// State is one of the constants above. One whose time is over is ApprovalExpired.
	State string
	// Asked, Expires (of the present state) and Settled (zero while it is open).
	Asked, Expires, Settled time.Time
	// Terms are what a standing approval is bound to, nil for one that counts once.
	Terms *Terms
	// Rows is how many rows a standing approval has let through in its last window.
	Rows int
}

// NewApproval asks for an approval.
type NewApproval struct {
	Requester                                         string
	Route, Channel, Operation, Effect, Scope, Purpose string
	Records                                           int
	Counts, Inner                                     map[string]int
	// Digest binds the approval to one call: 32 bytes of a keyed digest over operation,
	// records and counts.
	Digest []byte
	// Needed is how many others have to agree, 1 to MostApprovers.
	Needed int
}

// Approvals are the approvals in state.db. Safe for concurrent use, also by several
// processes on one database.
type Approvals struct {
	db  *store.DB
	now instants
}

// OpenApprovals prepares the tables of approvals. The database stays the caller's. now is
// the clock; nil means the database's, see OpenLimits.
func OpenApprovals(ctx context.Context, db *store.DB, now func() time.Time) (*Approvals, error) {
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	return &Approvals{db: db, now: instantsOf(db, now)}, nil
}

// Ask notes that a call waits for others. A caller who asks again for the same call gets
// the approval that is open, with fresh false. ErrApprovalsFull when too many wait.
func (a *Approvals) Ask(ctx context.Context, n NewApproval) (ap Approval, fresh bool, err error) {
	if len(n.Digest) != digestSize || n.Requester == "" || n.Needed < 1 || n.Needed > MostApprovers {
		return ap, false, errors.New("asking for an approval: the call is not described")
	}
	counts, err := json.Marshal(n.Counts)
	if err != nil {
		return ap, false, fmt.Errorf("asking for an approval: %w", err)
	}
	inside := []byte(nil)
	if len(n.Inner) > 0 {
		if inside, err = json.Marshal(n.Inner); err != nil {
			return ap, false, fmt.Errorf("asking for an approval: %w", err)
		}
	}
	now, err := a.now(ctx)
	if err != nil {
		return ap, false, fmt.Errorf("asking for an approval: %w", err)
	}
	tx, err := a.db.BeginTx(ctx, nil)
	if err != nil {
		return ap, false, fmt.Errorf("asking for an approval: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	// One whose time is over must not stand in the way of the next.
	if _, err := tx.ExecContext(ctx, `UPDATE approval SET state = 'expired', settled = expires WHERE requester = $1 AND digest = $2 AND state IN ('asked', 'given') AND expires <= $3`,
		n.Requester, n.Digest, now.UnixMilli()); err != nil {
		return ap, false, fmt.Errorf("asking for an approval: %w", err)
	}
	var open int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM approval WHERE requester = $1 AND state IN ('asked', 'given') AND expires > $2 AND digest <> $3`, n.Requester, now.UnixMilli(), n.Digest).Scan(&open); err != nil {
		return ap, false, fmt.Errorf("asking for an approval: %w", err)
	}
	if open >= openApprovals {
		return ap, false, ErrApprovalsFull
	}
	var raw [16]byte
	rand.Read(raw[:]) // never fails: the runtime ends the process first
	res, err := tx.ExecContext(ctx, `INSERT INTO approval (id, requester, route, channel, operation, effect, scope, purpose, digest, records, counts, needed, asked, expires, state, settled, told, terms, used, opened, inside)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'asked', 0, 0, '', 0, 0, $15) ON CONFLICT DO NOTHING`,
		crockford.EncodeToString(raw[:]), n.Requester, n.Route, n.Channel, n.Operation, n.Effect, n.Scope, n.Purpose, n.Digest, n.Records, string(counts), n.Needed,
		now.UnixMilli(), now.Add(ApprovalTime).UnixMilli(), string(inside))
	if err != nil {
		return ap, false, fmt.Errorf("asking for an approval: %w", err)
	}
	made, err := res.RowsAffected()
	if err != nil {
		return ap, false, fmt.Errorf("asking for an approval: %w", err)
	}
	ap, err = scanApproval(tx.QueryRowContext(ctx, `SELECT `+approvalColumns+` FROM approval WHERE requester = $1 AND digest = $2 AND state IN ('asked', 'given')`, n.Requester, n.Digest), now)
	if err != nil {
		return ap, false, fmt.Errorf("asking for an approval: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return ap, false, fmt.Errorf("asking for an approval: %w", err)
	}
	return ap, made == 1, nil
}

const approvalColumns = `id, requester, route, channel, operation, effect, scope, purpose, records, counts, needed, asked, expires, state, settled, terms, used, inside`

func scanApproval(row store.Row, now time.Time) (Approval, error) {
	var ap Approval
	var counts, terms, inside string
	var asked, expires, settled int64
	if err := row.Scan(&ap.ID, &ap.Requester, &ap.Route, &ap.Channel, &ap.Operation, &ap.Effect, &ap.Scope, &ap.Purpose,
		&ap.Records, &counts, &ap.Needed, &asked, &expires, &ap.State, &settled, &terms, &ap.Rows, &inside); err != nil {
		return ap, err
	}
	if err := json.Unmarshal([]byte(counts), &ap.Counts); err != nil {
		return ap, fmt.Errorf("reading an approval's row: %w", err)
	}
	if inside != "" {
		if err := json.Unmarshal([]byte(inside), &ap.Inner); err != nil {
			return ap, fmt.Errorf("reading an approval's row: %w", err)
		}
	}
	if terms != "" {
		ap.Terms = new(Terms)
		if err := json.Unmarshal([]byte(terms), ap.Terms); err != nil {
			return ap, fmt.Errorf("reading an approval's row: %w", err)
		}
	}
	ap.Asked, ap.Expires, ap.Settled = store.Moment(asked), store.Moment(expires), store.Moment(settled)
	if ap.open() && !now.Before(ap.Expires) {
		ap.State, ap.Settled = ApprovalExpired, ap.Expires
	}
	return ap, nil
}

// approvalAt is scanApproval for a list.
func approvalAt(now time.Time) func(store.Row) (Approval, error) {
	return func(row store.Row) (Approval, error) { return scanApproval(row, now) }
}

// open tells whether somebody can still do something about it.
func (ap *Approval) open() bool {
	return ap.State == ApprovalAsked || ap.State == ApprovalGiven || ap.State == ApprovalStanding
}

// List returns the approvals, open ones first, then the newest first; at most 1,000.
func (a *Approvals) List(ctx context.Context) ([]Approval, error) {
	now, err := a.now(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing approvals: %w", err)
	}
	list, err := store.List(ctx, a.db, approvalAt(now), `SELECT `+approvalColumns+` FROM approval
ORDER BY CASE WHEN state IN ('asked', 'given', 'standing') AND expires > $1 THEN 0 ELSE 1 END, asked DESC, id LIMIT $2`, now.UnixMilli(), listedApprovals)
	if err != nil {
		return nil, fmt.Errorf("listing approvals: %w", err)
	}
	return list, a.addVotes(ctx, a.db, list)
}

// Get returns one approval. ErrNoApproval.
func (a *Approvals) Get(ctx context.Context, id string) (Approval, error) {
	now, err := a.now(ctx)
	if err != nil {
		return Approval{}, fmt.Errorf("reading an approval: %w", err)
	}
	ap, err := scanApproval(a.db.QueryRowContext(ctx, `SELECT `+approvalColumns+` FROM approval WHERE id = $1`, id), now)
	if errors.Is(err, sql.ErrNoRows) {
		return Approval{}, ErrNoApproval
	}
	if err != nil {
		return Approval{}, fmt.Errorf("reading an approval: %w", err)
	}
	one := []Approval{ap}
	err = a.addVotes(ctx, a.db, one)
	return one[0], err
}

// queryer is a database or a transaction.
// addVotes fills in who agreed and who refused.
func (a *Approvals) addVotes(ctx context.Context, db store.Queryer, list []Approval) error {
	if len(list) == 0 {
		return nil
	}
	at := make(map[string]int, len(list))
	for i := range list {
		at[list[i].ID] = i
	}
	query, args := `SELECT approval, approver, agrees FROM approval_vote ORDER BY at, approver`, []any(nil)
	if len(list) == 1 {
		query, args = `SELECT approval, approver, agrees FROM approval_vote WHERE approval = $1 ORDER BY at, approver`, []any{list[0].ID}
	}
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("reading who agreed: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, who string
		var agrees int
		if err := rows.Scan(&id, &who, &agrees); err != nil {
			return fmt.Errorf("reading who agreed: %w", err)
		}
		i, ok := at[id]
		switch {
		case !ok:
		case agrees == 0:
			list[i].RefusedBy = who
		default:
			list[i].Agreed = append(list[i].Agreed, who)
		}
	}
	return rows.Err()
}

// Give notes that approver agrees, with terms to calls of this kind from now on. When as
// many as are needed have agreed, the call can be made, for ApprovalTime and once, or
// within the terms. Further ones who agree to a standing approval agree to its terms and
// give none.
//
// ErrNoApproval, ErrApprovalEnded, ErrOwnApproval, ErrAgreedAlready, ErrTerms.
func (a *Approvals) Give(ctx context.Context, id, approver string, terms *Terms) (Approval, error) {
	return a.vote(ctx, id, func(tx *sql.Tx, ap *Approval, now time.Time) error {
		// A key and one that it was rotated to are in one hand. It is asked here, while nobody
		// else votes: of two who agree at once, the second sees the first and its keys.
		same, err := sameHolder(ctx, tx, approver)
		if err != nil {
			return err
		}
		switch {
		case ap.State != ApprovalAsked:
			return fmt.Errorf("%w: it is %s", ErrApprovalEnded, ap.State)
		case same[ap.Requester]:
			return ErrOwnApproval
		case slices.ContainsFunc(ap.Agreed, func(who string) bool { return same[who] }):
			return ErrAgreedAlready
		case terms != nil && len(ap.Agreed) > 0:
			return fmt.Errorf("%w: others have agreed before; give it as it stands, or refuse it", ErrTerms)
		}
		if terms != nil {
			if err := terms.check(ap, now); err != nil {
				return err
			}
			ap.Terms = terms
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO approval_vote (approval, approver, agrees, at) VALUES ($1, $2, 1, $3)`, id, approver, now.UnixMilli()); err != nil {
			return err
		}
		ap.Agreed = append(ap.Agreed, approver)
		if len(ap.Agreed) >= ap.Needed {
			ap.State, ap.Expires = ApprovalGiven, now.Add(ApprovalTime)
			if ap.Terms != nil {
				ap.State, ap.Expires = ApprovalStanding, ap.Terms.Until
			}
		}
		return nil
	})
}

// Refuse ends an approval that is open, a standing one too. ErrNoApproval,
// ErrApprovalEnded.
func (a *Approvals) Refuse(ctx context.Context, id, approver string) (Approval, error) {
	return a.vote(ctx, id, func(tx *sql.Tx, ap *Approval, now time.Time) error {
		if !ap.open() {
			return fmt.Errorf("%w: it is %s", ErrApprovalEnded, ap.State)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO approval_vote (approval, approver, agrees, at) VALUES ($1, $2, 0, $3)
ON CONFLICT (approval, approver) DO UPDATE SET agrees = 0, at = $3`, id, approver, now.UnixMilli()); err != nil {
			return err
		}
		ap.State, ap.Settled, ap.RefusedBy = ApprovalRefused, now, approver
		ap.Agreed = slices.DeleteFunc(ap.Agreed, func(who string) bool { return who == approver })
		return nil
	})
}

// vote changes an approval while nobody else does.
func (a *Approvals) vote(ctx context.Context, id string, change func(tx *sql.Tx, ap *Approval, now time.Time) error) (Approval, error) {
	now, err := a.now(ctx)
	if err != nil {
		return Approval{}, fmt.Errorf("deciding about an approval: %w", err)
	}
	tx, err := a.db.BeginTx(ctx, nil)
	if err != nil {
		return Approval{}, fmt.Errorf("deciding about an approval: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	ap, err := scanApproval(tx.QueryRowContext(ctx, `SELECT `+approvalColumns+` FROM approval WHERE id = $1`+a.db.ForUpdate(), id), now)
	if errors.Is(err, sql.ErrNoRows) {
		return Approval{}, ErrNoApproval
	}
	if err != nil {
		return Approval{}, fmt.Errorf("deciding about an approval: %w", err)
	}
	one := []Approval{ap}
	if err := a.addVotes(ctx, tx, one); err != nil {
		return Approval{}, err
	}
	ap = one[0]
	if err := change(tx, &ap, now); err != nil {
		return Approval{}, fmt.Errorf("deciding about an approval: %w", err)
	}
	terms := ""
	if ap.Terms != nil {
		text, err := json.Marshal(ap.Terms)
		if err != nil {
			return Approval{}, fmt.Errorf("deciding about an approval: %w", err)
		}
		terms = string(text)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE approval SET state = $1, expires = $2, settled = $3, terms = $4 WHERE id = $5`,
		ap.State, store.Millis(ap.Expires), store.Millis(ap.Settled), terms, id); err != nil {
		return Approval{}, fmt.Errorf("deciding about an approval: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return Approval{}, fmt.Errorf("deciding about an approval: %w", err)
	}
	return ap, nil
}

// Given returns how many agreed to the call that an approval was given for, and spends
// nothing: Use is still to come, and can fail when somebody else was first. The error is
// ErrApproval for every one that does not count.
func (a *Approvals) Given(ctx context.Context, id, requester string, digest []byte) (agreed int, err error) {
	now, err := a.now(ctx)
	if err != nil {
		return 0, fmt.Errorf("looking at an approval: %w", err)
	}
	var n int
	if err := a.db.QueryRowContext(ctx, `SELECT count(*) FROM approval WHERE id = $1 AND requester = $2 AND digest = $3 AND state = 'given' AND expires > $4`,
		id, requester, digest, now.UnixMilli()).Scan(&n); err != nil {
		return 0, fmt.Errorf("looking at an approval: %w", err)
	}
	if n == 0 {
		return 0, ErrApproval
	}
	return a.agreed(ctx, id)
}

// Use spends an approval on the call that it was given for, and returns how many agreed.
// It counts once, whoever else tries at the same moment. The error is ErrApproval for
// every one that does not count.
func (a *Approvals) Use(ctx context.Context, id, requester string, digest []byte) (agreed int, err error) {
	now, err := a.now(ctx)
	if err != nil {
		return 0, fmt.Errorf("using an approval: %w", err)
	}
	res, err := a.db.ExecContext(ctx, `UPDATE approval SET state = 'used', settled = $1 WHERE id = $2 AND requester = $3 AND digest = $4 AND state = 'given' AND expires > $1`, now.UnixMilli(), id, requester, digest)
	if err != nil {
		return 0, fmt.Errorf("using an approval: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("using an approval: %w", err)
	}
	if n == 0 {
		return 0, ErrApproval
	}
	return a.agreed(ctx, id)
}

func (a *Approvals) agreed(ctx context.Context, id string) (n int, err error) {
	err = a.db.QueryRowContext(ctx, `SELECT count(*) FROM approval_vote WHERE approval = $1 AND agrees = 1`, id).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting who agreed: %w", err)
	}
	return min(n, MostApprovers), nil
}

// Expire ends the approvals whose time is over and tells about each, also about those
// that a process ended and died before telling. One that tell fails for is told again by
// the next call. Those that ended long ago are forgotten. It may run in several processes
// at once: one of them tells. One that dies between telling and noting that it did is
// followed by one that tells again.
func (a *Approvals) Expire(ctx context.Context, tell func(ctx context.Context, ap Approval) error) error {
	now, err := a.now(ctx)
	if err != nil {
		return fmt.Errorf("ending approvals: %w", err)
	}
	if _, err := a.db.ExecContext(ctx, `UPDATE approval SET state = 'expired', settled = expires WHERE state IN ('asked', 'given', 'standing') AND expires <= $1`, now.UnixMilli()); err != nil {
		return fmt.Errorf("ending approvals: %w", err)
	}
	ended, err := store.List(ctx, a.db, approvalAt(now), `SELECT `+approvalColumns+` FROM approval WHERE state = 'expired' AND told = 0 AND settled > 0 ORDER BY expires, id LIMIT $1`, listedApprovals)
	if err != nil {
		return fmt.Errorf("ending approvals: %w", err)
	}
	for _, ap := range ended {
		if err := a.tellEnd(ctx, ap, tell); err != nil {
			return err
		}
	}
	if _, err := a.db.ExecContext(ctx, `DELETE FROM approval WHERE settled > 0 AND settled < $1 AND (state <> 'expired' OR told = 1)`, now.Add(-approvalKept).UnixMilli()); err != nil {
		return fmt.Errorf("forgetting approvals: %w", err)
	}
	return nil
}

// tellEnd tells of one end and notes that it did. On PostgreSQL it holds the row meanwhile,
// so that other gateways pass it by; a file has no others.
func (a *Approvals) tellEnd(ctx context.Context, ap Approval, tell func(ctx context.Context, ap Approval) error) error {
	const note = `UPDATE approval SET told = 1 WHERE id = $1`
	if a.db.Dialect != store.Postgres {
		if err := tell(ctx, ap); err != nil {
			return fmt.Errorf("telling of an approval's end: %w", err)
		}
		if _, err := a.db.ExecContext(ctx, note, ap.ID); err != nil {
			return fmt.Errorf("ending approvals: %w", err)
		}
		return nil
	}
	tx, err := a.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("ending approvals: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	var id string
	err = tx.QueryRowContext(ctx, `SELECT id FROM approval WHERE id = $1 AND told = 0 FOR UPDATE SKIP LOCKED`, ap.ID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // another gateway tells, or has told
	}
	if err != nil {
		return fmt.Errorf("ending approvals: %w", err)
	}
	if err := tell(ctx, ap); err != nil {
		return fmt.Errorf("telling of an approval's end: %w", err)
	}
	if _, err := tx.ExecContext(ctx, note, ap.ID); err != nil {
		return fmt.Errorf("ending approvals: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("ending approvals: %w", err)
	}
	return nil
}
