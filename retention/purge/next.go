package purge

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/retention/schedule"
)

// Gateway is what a run needs of the gateway that carries it out.
type Gateway interface {
	// Doubt says why the clock is not to be believed, empty where it is.
	Doubt(ctx context.Context) (string, error)
	// Schedule reads the text of a schedule that was read before.
	Schedule(text string) (*schedule.Schedule, error)
	// Take takes a call of the vendor's budget, or says how long there is none. ok is false where
	// the gateway has no way to an account.
	Take(ctx context.Context, account index.Record, c *channel.ActionCall) (wait time.Duration, ok bool, err error)
	// Ask makes a call. An error says that nobody knows whether it was carried out.
	Ask(ctx context.Context, account index.Record, c *channel.ActionCall, path string, body []byte) (Answer, error)
	// Tell puts an event on record, once: the log may have it already.
	Tell(ctx context.Context, e Event) error
}

// Answer is a vendor's answer. Wait is how long the vendor wants to be left alone.
type Answer struct {
	Status int
	Body   []byte
	Wait   time.Duration
}

// Event is a call to a vendor with its answer. It names no person, and the record by its keyed
// name.
type Event struct {
	ID                 [16]byte
	At                 time.Time
	Channel, Operation string
	Attrs              map[string]string
}

// Step is what Next did: one call, or none.
type Step struct {
	// Record is the keyed name of the record, Operation the call, Seen what its answer said; empty
	// where none was made.
	Record, Operation string
	Status            int
	Seen              channel.Seen
	// Wait is how long there is nothing to do.
	Wait time.Duration
	// Done tells that the run has ended.
	Done bool
}

const (
	// maxFailures of one record in a row make it a person's.
	maxFailures = 6
	// firstPause follows the first failure; each further one doubles it.
	firstPause = 30 * time.Second
	// jobPause lies between two looks at a vendor's job.
	jobPause = 2 * time.Second
	// routePause lies between two tries to reach an account that is to be looked at again.
	routePause = time.Hour
	// maxBelow is how many records may hang on one that is to be deleted.
	maxBelow = 10_000
)

// Next does what is next in a run: one call to a vendor, or it says how long to wait. ErrState
// while nobody has agreed, ErrDoubt while the clock is in doubt.
func (s *Store) Next(ctx context.Context, id string, g Gateway) (Step, error) {
	r, it, wait, err := s.due(ctx, id)
	if err != nil {
		return Step{}, err
	}
	if err := s.tell(ctx, r, g); err != nil {
		return Step{}, err
	}
	switch {
	case r.State == Done:
		return Step{Done: true}, nil
	case it == nil && wait > 0:
		return Step{Wait: wait}, nil
	case it == nil:
		return Step{Done: true}, s.end(ctx, id)
	}
	return s.next(ctx, r, it, g)
}

// Look looks again at a record of which nobody can bring back what was deleted any more, in a run
// that waits for nothing else, and ends a run of which nothing is left. It changes nothing at a
// vendor, so a gateway does it by itself. run is empty where nothing was done; then the step says
// how long the vendor's budget is used up, where that is why.
func (s *Store) Look(ctx context.Context, g Gateway) (run string, step Step, err error) {
	running, err := store.List(ctx, s.db, store.Scanned[string], `SELECT id FROM purge_run WHERE state = 'running' ORDER BY started, id`)
	if err != nil {
		return "", Step{}, fmt.Errorf("looking for runs that wait: %w", err)
	}
	for _, id := range running {
		r, it, wait, err := s.due(ctx, id)
		switch {
		case err != nil:
			return "", Step{}, err
		case it == nil && wait == 0 && r.State == Running:
			return id, Step{Done: true}, s.end(ctx, id)
		case it == nil || it.state != Trash:
			continue
		}
		one, err := s.next(ctx, r, it, g)
		if err != nil || one.Operation != "" {
			return id, one, err
		}
		if step.Wait == 0 || one.Wait > 0 && one.Wait < step.Wait {
			step.Wait = one.Wait
		}
	}
	return "", step, nil
}

// next makes the next call about a record, if the clock is to be believed: by one that is ahead a
// trash is over that is not.
func (s *Store) next(ctx context.Context, r *Run, it *item, g Gateway) (Step, error) {
	doubt, err := g.Doubt(ctx)
	if err != nil {
		return Step{}, err
	}
	if doubt != "" {
		return Step{}, fmt.Errorf("%w: %s", ErrDoubt, doubt)
	}
	step, err := s.do(ctx, r, it, g)
	if err != nil {
		return Step{}, fmt.Errorf("carrying out a run: %w", err)
	}
	return step, s.tell(ctx, r, g)
}

// due returns the record that is next, or how long until there is one.
func (s *Store) due(ctx context.Context, id string) (r *Run, it *item, wait time.Duration, err error) {
	now, err := s.now(ctx)
	if err != nil {
		return nil, nil, 0, err
	}
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("reading a run: %w", err)
	}
	defer tx.Rollback()
	r = &Run{ID: id}
	var at int64
	err = tx.QueryRowContext(ctx, `SELECT state, schedule, digest, at, key FROM purge_run WHERE id = $1`, id).Scan(&r.State, &r.text, &r.Schedule, &at, &r.key)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil, 0, ErrNone
	case err != nil:
		return nil, nil, 0, fmt.Errorf("reading a run: %w", err)
	case r.State == Planned:
		return nil, nil, 0, fmt.Errorf("%w: nobody has agreed to it yet", ErrState)
	}
	r.At = store.Moment(at)
	found, err := store.List(ctx, tx, scanItem, `SELECT `+itemColumns+` FROM purge_item WHERE run = $1 AND state IN ('open', 'job', 'read_back', 'trash') ORDER BY next_try, n LIMIT 1`, id)
	switch {
	case err != nil:
		return nil, nil, 0, fmt.Errorf("reading a run: %w", err)
	case len(found) == 0:
		return r, nil, 0, nil
	case found[0].next > now.UnixMilli():
		return r, nil, time.Duration(found[0].next-now.UnixMilli()) * time.Millisecond, nil
	}
	return r, &found[0], 0, nil
}

const itemColumns = `n, kind, name, channel, host, type, rule, action, state, reason, call, doubt, proven, failures, tries, next_try, job`

func scanItem(row store.Row) (i item, err error) {
	err = row.Scan(&i.n, &i.kind, &i.rec.ID, &i.rec.Channel, &i.rec.Host, &i.rec.Type, &i.rule, &i.action, &i.state, &i.reason, &i.call, &i.doubt, &i.proven, &i.failures, &i.tries, &i.next, &i.job)
	return i, err
}

// call is what is asked of the vendor about a record.
type call struct {
	of      *channel.ActionCall
	look    *channel.ReadBack // set where the record is looked at
	job     *channel.ActionJob
	changes bool
	path    string
	body    []byte
}

// do makes the next call about a record and stores what came of it.
func (s *Store) do(ctx context.Context, r *Run, it *item, g Gateway) (Step, error) {
	sched, err := g.Schedule(r.text)
	if err != nil {
		return Step{}, err
	}
	if sched.Digest != r.Schedule { // the built-in one of another version
		return Step{}, fmt.Errorf("%w: its schedule is not the built-in one of this version: prepare another run", ErrState)
	}
	action := sched.Action(it.action, it.rec.Channel, it.rec.Type)
	if action == nil || action.With != "" || int(it.call) > len(action.Calls) || it.state == Open && int(it.call) == len(action.Calls) {
		return Step{}, s.settle(ctx, r, it, NeedsHuman, "action_changed")
	}
	c, reason, err := s.prepare(ctx, it, action)
	if err != nil {
		return Step{}, err
	}
	if reason != "" {
		return Step{}, s.settle(ctx, r, it, NeedsHuman, reason)
	}
	wait, ok, err := g.Take(ctx, it.rec, c.of)
	switch {
	case err != nil:
		return Step{}, err
	case !ok:
		return Step{}, s.postpone(ctx, r, it)
	case wait > 0:
		return Step{Wait: wait}, nil
	}
	seq, stop, err := s.begin(ctx, r, it, c, sched)
	if err != nil || stop {
		return Step{}, err
	}
	s.step("noted")
	answer, err := g.Ask(ctx, it.rec, c.of, c.path, c.body)
	s.step("asked")
	if err != nil && ctx.Err() != nil {
		return Step{}, err // whether it happened is not known, and so it is noted
	}
	out := Step{Record: r.Name(it.rec), Operation: c.of.Operation.Name, Status: answer.Status, Seen: channel.SeenUnknown}
	job := ""
	if err == nil {
		out.Seen, job = c.seen(it, &answer)
	}
	return out, s.answered(ctx, r, it, action, c, seq, out, job, answer.Wait)
}

// prepare says which call is next. reason is set where none can be made.
func (s *Store) prepare(ctx context.Context, it *item, a *channel.Action) (c call, reason string, err error) {
	switch {
	case it.state == Job:
		c.job = a.Calls[it.call].Job
		if c.job == nil {
			return c, "action_changed", nil
		}
		c.of, c.path = c.job.Look, c.job.Path(it.job)
		return c, "", nil
	// Whether the first call did something is seen; a later one is made again, since the record is
	// out of sight already. What is redacted is there still, and is not to be redacted again.
	case it.state == Open && (it.call > 0 || it.doubt == 2 || it.doubt == 0 && a.Name != channel.ActionRedact):
		c.of, c.changes = a.Calls[it.call], true
	default:
		c.of, c.look = a.ReadBack.ActionCall, a.ReadBack
	}
	ids := map[string]string{it.rec.Type: it.rec.ID}
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return c, "", err
	}
	defer tx.Rollback()
	_, above, _, _, err := index.AroundIn(ctx, tx, it.kind, it.rec.ID, maxBelow)
	if errors.Is(err, index.ErrTooMany) {
		return c, "too_many_below", nil
	}
	if err != nil {
		return c, "", err
	}
	for i := range above {
		if rec := &above[i]; ids[rec.Type] == "" && rec.Host == it.rec.Host && rec.Channel == it.rec.Channel {
			ids[rec.Type] = rec.ID
		}
	}
	var missing string
	if c.path, c.body, missing = c.of.Request(ids); missing != "" {
		return c, "above_unknown", nil
	}
	return c, "", nil
}

// begin notes a call before it is made, in one transaction with all that may forbid it. stop
// tells that it is not to be made.
func (s *Store) begin(ctx context.Context, r *Run, it *item, c call, sched *schedule.Schedule) (seq int64, stop bool, err error) {
	now, err := s.now(ctx)
	if err != nil {
		return 0, false, err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		if c.changes {
			it.lost, it.doubt = it.doubt, 1
		}
		it.tries++
		done, err := tx.ExecContext(ctx, `UPDATE purge_item SET tries = $1, doubt = $2 WHERE run = $3 AND n = $4 AND tries = $5 AND state = $6 AND call = $7`, it.tries, it.doubt, r.ID, it.n, it.tries-1, it.state, it.call)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			stop = true // somebody else goes on with it
			return err
		}
		if c.changes {
			state, reason, err := s.forbidden(ctx, tx, r, it, sched)
			if err != nil {
				return err
			}
			if state != "" {
				stop = true
				return s.settleIn(ctx, tx, r.ID, it, state, reason, now)
			}
		}
		seq = it.tries
		if _, err := tx.ExecContext(ctx, `UPDATE purge_step SET answered = $1, seen = 'lost' WHERE run = $2 AND n = $3 AND answered = 0`, now.UnixMilli(), r.ID, it.n); err != nil {
			return err
		}
		event := draw()
		_, err = tx.ExecContext(ctx, `INSERT INTO purge_step (run, n, seq, event, operation, at, answered, status, seen, told) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, '', 0)`,
			r.ID, it.n, seq, event[:], c.of.Operation.Name, now.UnixMilli())
		return err
	})
	return seq, stop, err
}

// forbidden says in which state a record ends that must not be touched now. It locks the gate of
// holds, and looks at the record as it is known behind it.
func (s *Store) forbidden(ctx context.Context, tx *sql.Tx, r *Run, it *item, sched *schedule.Schedule) (state, reason string, err error) {
	held, err := s.holds.SparedIn(ctx, tx, hold.Key{Kind: it.kind, ID: it.rec.ID})
	if err != nil {
		return "", "", err
	}
	switch {
	case held && it.call > 0:
		return NeedsHuman, "held_meanwhile", nil // somebody has to bring it back
	case held:
		return Held, "", nil
	case it.call > 0:
		return "", "", nil // what was begun is carried to its end: the record is not what it was
	}
	rec, _, below, known, err := index.AroundIn(ctx, tx, it.kind, it.rec.ID, maxBelow)
	switch {
	case errors.Is(err, index.ErrTooMany):
		return NeedsHuman, "too_many_below", nil
	case err != nil:
		return "", "", err
	case !known:
		return NeedsHuman, "not_in_index", nil
	case !rec.Gone.IsZero():
		return Absent, "gone_already", nil
	}
	if rule, why := sched.AtSource(&rec, r.At); rule == nil || why != "" || rule.Action != it.action {
		return Kept, "not_due", nil
	}
	for i := range below {
		if rule, why := sched.AtSource(&below[i], r.At); rule != nil && why != "" && below[i].Gone.IsZero() {
			return Kept, "below_not_due", nil
		}
	}
	return "", "", nil
}

// seen is what an answer says, and the id of the job that it names.
func (c *call) seen(it *item, a *Answer) (seen channel.Seen, job string) {
	switch {
	case c.job != nil:
		return c.job.Answered(a.Status, a.Body), ""
	case c.look != nil:
		return c.look.Answered(it.rec.ID, a.Status, a.Body), ""
	}
	return c.of.Answered(a.Status, a.Body)
}

// answered stores an answer and where the record is behind it. A crash before leaves the call in
// doubt.
func (s *Store) answered(ctx context.Context, r *Run, it *item, a *channel.Action, c call, seq int64, out Step, job string, alone time.Duration) error {
	ctx = context.WithoutCancel(ctx) // what happened is stored, whoever has gone meanwhile
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	tries := it.tries
	it.move(a, c, out, job, alone, now)
	final := it.state == Erased || it.state == Absent || it.state == NeedsHuman
	also := func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE purge_step SET answered = $1, status = $2, seen = $3 WHERE run = $4 AND n = $5 AND seq = $6 AND answered = 0`, now.UnixMilli(), out.Status, string(out.Seen), r.ID, it.n, seq); err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, `UPDATE purge_item SET state = $1, reason = $2, call = $3, doubt = $4, proven = $5, failures = $6, next_try = $7, job = $8 WHERE run = $9 AND n = $10 AND tries = $11`,
			it.state, it.reason, it.call, it.doubt, it.proven, it.failures, it.next, it.job, r.ID, it.n, tries)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 || !final {
			return err // without a row somebody else went on: this answer is the older one
		}
		return s.settleIn(ctx, tx, r.ID, it, it.state, it.reason, now)
	}
	// The index learns in the same transaction that the record is gone, or has come back.
	sightings, err := s.sightings(ctx, it, c, out.Seen, a.Name, now)
	if err != nil {
		return err
	}
	if len(sightings) > 0 {
		return s.index.NoteWith(ctx, sightings, also)
	}
	return s.write(ctx, func(tx *sql.Tx) error { return also(ctx, tx) })
}

// sightings are what a read-back says of a record that was deleted, and of all that hung on it.
func (s *Store) sightings(ctx context.Context, it *item, c call, seen channel.Seen, name string, now time.Time) (all []index.Sighting, err error) {
	// One that the vendor knows nothing of may be hidden from the gateway: it stays due.
	gone := it.state == Trash || it.state == Erased
	if c.look == nil || name != channel.ActionDelete || !gone && it.reason != cameBack {
		return nil, nil
	}
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	rec, _, below, known, err := index.AroundIn(ctx, tx, it.kind, it.rec.ID, maxBelow)
	if err != nil || !known {
		return nil, err
	}
	for _, one := range append(below, rec) {
		all = append(all, index.Sighting{Record: one.Record, Gone: gone, At: now})
	}
	return all, nil
}

// answerLost is the reason of a record that is gone behind a call whose answer nobody heard: it is
// not known that the call did it. provenLost is that in the store.
const (
	answerLost = "answer_lost"
	provenLost = 2
)

// cameBack is the reason of a record that was gone and is there again.
const cameBack = "came_back"

// move says where a record is behind an answer.
func (it *item) move(a *channel.Action, c call, out Step, job string, alone time.Duration, now time.Time) {
	if out.Status == http.StatusTooManyRequests { // it was not carried out
		it.next = now.Add(max(alone, firstPause)).UnixMilli()
		it.refused(c)
		return
	}
	seen := out.Seen
	onward := func() { // the call is behind it
		it.call, it.doubt, it.failures, it.next, it.job = it.call+1, 0, 0, 0, ""
		if it.state = Open; int(it.call) == len(a.Calls) {
			it.state = ReadBack
		}
	}
	switch {
	case it.state == Job && seen == channel.SeenThere:
		it.next = now.Add(jobPause).UnixMilli()
	case it.state == Job && seen == channel.SeenDone:
		onward()
	case it.state == Job:
		it.fail("job_"+string(seen), now)
		if it.state == Job && seen != channel.SeenUnknown { // it is asked for anew
			it.state, it.doubt, it.job = Open, 2, ""
		}
	case c.changes && seen == channel.SeenDone && job != "":
		it.state, it.job, it.doubt, it.proven, it.next = Job, job, 0, 1, now.Add(jobPause).UnixMilli()
	case c.changes && seen == channel.SeenDone:
		it.proven = 1
		onward()
	case c.changes && seen == channel.SeenGone:
		if it.lost == 1 && it.proven == 0 { // nobody heard the answer to the call before
			it.proven = provenLost
		}
		onward()
	case c.changes:
		if out.Status >= 300 && out.Status < 500 {
			it.refused(c)
		}
		it.fail("answer_"+strconv.Itoa(out.Status), now)
	// A look before the first call, or because it is in doubt.
	case it.state == Open && it.doubt == 0 && seen == channel.SeenDone:
		it.state, it.reason = Absent, "redacted_already"
	case it.state == Open && it.doubt == 0 && seen == channel.SeenGone:
		it.state = Absent
	case it.state == Open && (seen == channel.SeenDone || seen == channel.SeenGone):
		it.proven = provenLost
		onward()
	case it.state == Open && seen == channel.SeenThere:
		it.doubt = 2 // it did not happen: make it again
	case it.state == Trash && seen == channel.SeenThere:
		it.state, it.reason = NeedsHuman, cameBack
	case seen == channel.SeenThere || seen == channel.SeenUnknown:
		it.fail(map[channel.Seen]string{channel.SeenThere: "still_there", channel.SeenUnknown: "read_back_" + strconv.Itoa(out.Status)}[seen], now)
	case it.proven == 0:
		it.state = Absent
	case it.state == ReadBack && a.Trash > 0:
		it.state, it.failures, it.next = Trash, 0, now.Add(a.Trash).UnixMilli()
	default:
		if it.state = Erased; it.proven == provenLost {
			it.reason = answerLost
		}
	}
}

// refused takes back that a call is in doubt which the vendor did not carry out; an earlier one
// may be.
func (it *item) refused(c call) {
	if c.changes {
		it.doubt = it.lost
	}
}

// fail counts a failure: after maxFailures a person is needed.
func (it *item) fail(reason string, now time.Time) {
	if it.failures++; it.failures >= maxFailures {
		it.state, it.reason = NeedsHuman, reason
		return
	}
	it.next = now.Add(firstPause << (it.failures - 1)).UnixMilli()
}
