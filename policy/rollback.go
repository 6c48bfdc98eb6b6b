package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Kinds of what is counted of a rollout.
const (
	signUndone  = "undone"
	signDenied  = "denied"
	volumeMasks = "masks"
	volumeCalls = "calls"
)

// maxNoted bounds what is counted in memory until it is written. What has no room is not
// counted: a rollout goes back later, never sooner.
const maxNoted = 1 << 16

// How long what was counted is kept after a window, for whoever wants to look at it, and
// how often what is older is deleted.
const (
	keptAfterWindow = 7 * 24 * time.Hour
	tidyEvery       = time.Hour
)

// Evidence is what sent a rollout back.
type Evidence struct {
	// Why is undone or denied.
	Why string `json:"why"`
	// Undone of Masks masks that can be undone were undone, by UndoneBy persons. Denied of
	// Calls calls of proven staff were denied for nothing but the rollout, of DeniedTo
	// persons. Nobody counts for more than half of what it takes, or than what each of as
	// many persons as it takes has, whichever is more.
	Undone   int `json:"undone"`
	Masks    int `json:"masks"`
	UndoneBy int `json:"undone_by"`
	Denied   int `json:"denied"`
	Calls    int `json:"calls"`
	DeniedTo int `json:"denied_to"`
}

// Ended is a rollout that went back by itself.
type Ended struct {
	// ID is that of the rollout, Name its name.
	ID, Name string
	At       time.Time
	Evidence Evidence
	// Event is the id of the event that tells of it.
	Event [16]byte
}

// Rollbacks count what speaks against rollouts, in state.db, and know those that went
// back. They are safe for concurrent use, also by several processes on one database.
type Rollbacks struct {
	db *store.DB

	// flushing is held by Flush: whoever comes second finds written what the first took.
	flushing sync.Mutex

	mu      sync.Mutex // owns the two
	signs   map[sign]int
	volumes map[volume]int

	judging sync.Mutex // held by Judge: during a reload two configurations ask
	tidied  time.Time  // judging owns it
	// fresh tells that signs were written that nobody has weighed.
	fresh atomic.Bool
	ended atomic.Pointer[map[string]Ended] // by ID

	noting sync.Mutex // held by whoever adds to rules
	// rules are the codes that were enforced without a rollout; anyRule among them when
	// nobody can read which. It only grows, as its table does.
	rules atomic.Pointer[map[string]bool]
}

// anyRule stands for a rule that nobody can read. It is the code of none.
const anyRule = ""

type sign struct{ rollout, kind, actor, what string }

type volume struct{ rollout, kind string }

// OpenRollbacks prepares the tables and reads which rollouts went back. The database stays
// the caller's.
func OpenRollbacks(ctx context.Context, db *store.DB) (*Rollbacks, error) {
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	b := &Rollbacks{db: db, signs: make(map[sign]int), volumes: make(map[volume]int)}
	b.fresh.Store(true) // of the process before
	b.rules.Store(&map[string]bool{})
	return b, b.read(ctx)
}

// Ended is how a rollout went back; false for one that did not.
func (b *Rollbacks) Ended(id string) (Ended, bool) {
	e, ok := (*b.ended.Load())[id]
	return e, ok
}

// ForAll tells whether a rollout counts for everybody, whatever its share and its instants,
// and also after it went back: it is about a rule that was enforced before without a
// rollout, here or in another process, and the row would switch it off for the others. It
// is never so for a row of a class, which takes nothing back.
func (b *Rollbacks) ForAll(r *Rollout) bool {
	rules := *b.rules.Load()
	return r.Rule != "" && (rules[r.Rule] || rules[anyRule])
}

// Masked counts masks of a rollout that can be undone, Undone that one of them was: place
// names the mask, for the log, and the same mask counts once.
func (b *Rollbacks) Masked(id string, n int) { b.add(volume{id, volumeMasks}, n) }

// Undone counts that somebody undid a mask, see Masked.
func (b *Rollbacks) Undone(id, actor, place string) { b.note(sign{id, signUndone, actor, place}) }

// Called counts a call of proven staff that a rollout is about, Denied that one of them was
// denied for nothing but the rollout.
func (b *Rollbacks) Called(id string) { b.add(volume{id, volumeCalls}, 1) }

// Denied counts a denial, see Called.
func (b *Rollbacks) Denied(id, actor string) { b.note(sign{id, signDenied, actor, ""}) }

func (b *Rollbacks) note(s sign) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.signs[s]; known || len(b.signs) < maxNoted {
		b.signs[s]++
	}
}

func (b *Rollbacks) add(v volume, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.volumes[v] += n // one for each rollout and kind
}

// Flush writes what was counted. What cannot be written is counted on. A crash loses what
// was counted since the last Flush. When it returns nil, what was counted before it was
// called is written, by whomever.
func (b *Rollbacks) Flush(ctx context.Context) (err error) {
	b.flushing.Lock()
	defer b.flushing.Unlock()
	b.mu.Lock()
	signs, volumes := b.signs, b.volumes
	b.signs, b.volumes = make(map[sign]int), make(map[volume]int)
	b.mu.Unlock()
	if len(signs) == 0 && len(volumes) == 0 {
		return nil
	}
	defer func() {
		if err == nil {
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for s, n := range signs {
			b.signs[s] += n
		}
		for v, n := range volumes {
			b.volumes[v] += n
		}
	}()
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("counting what speaks against rollouts: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	// In one order, so that two gateways never wait for each other's rows crosswise.
	order := slices.SortedFunc(maps.Keys(signs), func(x, y sign) int {
		return slices.Compare([]string{x.rollout, x.kind, x.actor, x.what}, []string{y.rollout, y.kind, y.actor, y.what})
	})
	for _, s := range order {
		n := signs[s]
		const undone = `INSERT INTO rollout_sign (rollout, kind, actor, what, n) VALUES ($1, $2, $3, $4, 1) ON CONFLICT (rollout, kind, actor, what) DO NOTHING`
		const denied = `INSERT INTO rollout_sign (rollout, kind, actor, what, n) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (rollout, kind, actor, what) DO UPDATE SET n = rollout_sign.n + $5`
		if s.kind == signUndone {
			_, err = tx.ExecContext(ctx, undone, s.rollout, s.kind, s.actor, s.what)
		} else {
			_, err = tx.ExecContext(ctx, denied, s.rollout, s.kind, s.actor, s.what, n)
		}
		if err != nil {
			return fmt.Errorf("counting what speaks against rollouts: %w", err)
		}
	}
	for _, v := range slices.SortedFunc(maps.Keys(volumes), func(x, y volume) int {
		return slices.Compare([]string{x.rollout, x.kind}, []string{y.rollout, y.kind})
	}) {
		if _, err = tx.ExecContext(ctx, `INSERT INTO rollout_volume (rollout, kind, n) VALUES ($1, $2, $3) ON CONFLICT (rollout, kind) DO UPDATE SET n = rollout_volume.n + $3`,
			v.rollout, v.kind, volumes[v]); err != nil {
			return fmt.Errorf("counting what speaks against rollouts: %w", err)
		}
	}
	if err = tx.Commit(); err != nil {
		return fmt.Errorf("counting what speaks against rollouts: %w", err)
	}
	if len(signs) > 0 {
		b.fresh.Store(true)
	}
	return nil
}

// NoteEnforced remembers what a policy enforces without a rollout, and when the windows of
// its rollouts close. It comes before the first Judge of that policy. What it enforces is
// known from now on even if it cannot be written.
func (b *Rollbacks) NoteEnforced(ctx context.Context, e *Engine, now time.Time) error {
	b.addRules(e.Enforced())
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("noting what is enforced: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	for _, what := range e.Enforced() {
		if _, err := tx.ExecContext(ctx, `INSERT INTO rollout_enforced (what, at) VALUES ($1, $2) ON CONFLICT (what) DO NOTHING`, what, now.UnixMilli()); err != nil {
			return fmt.Errorf("noting what is enforced: %w", err)
		}
	}
	for i := range e.rollouts {
		r := &e.rollouts[i]
		if _, err := tx.ExecContext(ctx, `INSERT INTO rollout_window (rollout, closes) VALUES ($1, $2) ON CONFLICT (rollout) DO NOTHING`, r.ID(), r.Until.UnixMilli()); err != nil {
			return fmt.Errorf("noting what is rolled out: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("noting what is enforced: %w", err)
	}
	return b.tidy(ctx, now) // for a policy without rollouts, which nobody judges
}

// addRules adds the rules among words of Enforced to those that are known.
func (b *Rollbacks) addRules(enforced []string) {
	b.noting.Lock()
	defer b.noting.Unlock()
	known := *b.rules.Load()
	var more map[string]bool
	for _, what := range enforced {
		rule, ok := ruleOf(what)
		if !ok || known[rule] {
			continue
		}
		if more == nil {
			more = maps.Clone(known)
		}
		more[rule] = true
	}
	if more != nil {
		b.rules.Store(&more)
	}
}

// Judge sends back the rollouts of e whose rates are passed at now, and tells of each that
// tell has not told of yet, also those of a process that died before; then it counts, here
// and, with their next Judge, in other processes. tell makes it durable in the log, and
// does so once for one event: it may be called again for one that it has told. What is
// sent back stays so, also after a restart and after the window. newEvent draws the id
// of an event.
func (b *Rollbacks) Judge(ctx context.Context, e *Engine, now time.Time, newEvent func() [16]byte, tell func(context.Context, Ended) error) error {
	b.judging.Lock()
	defer b.judging.Unlock()
	// Without a new sign no rate that was not passed is passed now: calls and masks only
	// make rates smaller.
	if b.fresh.Swap(false) {
		if err := b.judge(ctx, e, now, newEvent); err != nil {
			b.fresh.Store(true)
			return err
		}
	}
	waiting, err := b.list(ctx, 0)
	if err != nil {
		return err
	}
	for _, end := range waiting {
		if err := tell(ctx, end); err != nil {
			return fmt.Errorf("telling that a rollout went back: %w", err)
		}
		if _, err := b.db.ExecContext(ctx, `UPDATE rollout_end SET told = 1 WHERE rollout = $1`, end.ID); err != nil {
			return fmt.Errorf("sending a rollout back: %w", err)
		}
	}
	if err := b.read(ctx); err != nil {
		return err
	}
	if len(waiting) > 0 || now.Sub(b.tidied).Abs() >= tidyEvery {
		if err := b.tidy(ctx, now); err != nil {
			return err
		}
		b.tidied = now
	}
	return nil
}

// tidy deletes what was counted of rollouts whose end is told, and of those whose window
// closed long ago: nothing is weighed of them any more.
func (b *Rollbacks) tidy(ctx context.Context, now time.Time) error {
	const over = ` WHERE rollout IN (SELECT rollout FROM rollout_end WHERE told = 1) OR rollout IN (SELECT rollout FROM rollout_window WHERE closes < $1)`
	before := now.Add(-keptAfterWindow).UnixMilli()
	for _, of := range []string{`DELETE FROM rollout_sign` + over, `DELETE FROM rollout_volume` + over} {
		if _, err := b.db.ExecContext(ctx, of, before); err != nil {
			return fmt.Errorf("deleting what was counted of rollouts: %w", err)
		}
	}
	return nil
}

// judge notes the rollouts whose rates are passed.
func (b *Rollbacks) judge(ctx context.Context, e *Engine, now time.Time, newEvent func() [16]byte) error {
	for i := range e.rollouts {
		r := &e.rollouts[i]
		id := r.ID()
		if _, over := b.Ended(id); over || r.Revert == nil || !r.InWindow(now) {
			continue
		}
		ev, err := b.weigh(ctx, r, id)
		if err != nil {
			return err
		}
		if ev.Why == "" {
			continue
		}
		before, err := b.EnforcedBefore(ctx, r)
		if err != nil {
			return err
		}
		if before {
			continue
		}
		doc, err := json.Marshal(ev)
		if err != nil {
			return fmt.Errorf("sending a rollout back: %w", err)
		}
		event := newEvent()
		// Noted first, with its event: whoever dies behind this line is followed by one who
		// tells of it under the same id.
		if _, err := b.db.ExecContext(ctx, `INSERT INTO rollout_end (rollout, name, at, evidence, event, told) VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (rollout) DO NOTHING`,
			id, r.Name, now.UnixMilli(), string(doc), event[:]); err != nil {
			return fmt.Errorf("sending a rollout back: %w", err)
		}
	}
	return nil
}

// EnforcedBefore tells whether a policy has enforced before what r rolls out, or a part of
// it. Then r does not go back by itself.
func (b *Rollbacks) EnforcedBefore(ctx context.Context, r *Rollout) (bool, error) {
	if b.ForAll(r) {
		return true, nil
	}
	enforced, err := b.enforced(ctx, "")
	return slices.ContainsFunc(enforced, r.Loosens), err
}

// enforced reads words of Enforced.
func (b *Rollbacks) enforced(ctx context.Context, where string) (list []string, err error) {
	if list, err = store.List(ctx, b.db, store.Scanned[string], `SELECT what FROM rollout_enforced`+where); err != nil {
		return nil, fmt.Errorf("reading what was enforced: %w", err)
	}
	return list, nil
}

// weigh adds up what speaks against a rollout. Why is empty while it is not enough.
func (b *Rollbacks) weigh(ctx context.Context, r *Rollout, id string) (ev Evidence, err error) {
	// A mask that two persons undid counts for whoever comes first.
	undone, err := b.perActor(ctx, `SELECT count(*) FROM (SELECT what, min(actor) AS who FROM rollout_sign WHERE rollout = $1 AND kind = $2 GROUP BY what) AS firsts GROUP BY who`, id, signUndone)
	if err != nil {
		return ev, err
	}
	denied, err := b.perActor(ctx, `SELECT sum(n) FROM rollout_sign WHERE rollout = $1 AND kind = $2 GROUP BY actor`, id, signDenied)
	if err != nil {
		return ev, err
	}
	for kind, to := range map[string]*int{volumeMasks: &ev.Masks, volumeCalls: &ev.Calls} {
		if err := b.db.QueryRowContext(ctx, `SELECT coalesce(sum(n), 0) FROM rollout_volume WHERE rollout = $1 AND kind = $2`, id, kind).Scan(to); err != nil {
			return ev, fmt.Errorf("weighing a rollout: %w", err)
		}
	}
	var enough [2]bool
	ev.Undone, enough[0] = r.Revert.counted(undone)
	ev.Denied, enough[1] = r.Revert.counted(denied)
	ev.UndoneBy, ev.DeniedTo = len(undone), len(denied)
	passes := func(rate, n, of int) bool { return rate > 0 && n*100 >= rate*of }
	switch {
	case enough[0] && passes(r.Revert.Undone, ev.Undone, ev.Masks):
		ev.Why = signUndone
	case enough[1] && passes(r.Revert.Denied, ev.Denied, ev.Calls):
		ev.Why = signDenied
	}
	return ev, nil
}

// counted adds up what speaks against a rollout, by person, and tells whether that is
// enough of enough persons. For that nobody counts for more than half of Least. In the sum,
// which a rate is made of, somebody may count for as much as the person does who has the
// most after Actors-1 others: what so many have is no whim of a few, and without it the
// calls of the quiet days before would outweigh what breaks late, however much that is.
func (at *RevertAt) counted(byPerson []int) (sum int, enough bool) {
	slices.SortFunc(byPerson, func(a, b int) int { return cmp.Compare(b, a) })
	half := (at.Least + 1) / 2
	most := half
	if len(byPerson) >= at.Actors {
		most = max(half, byPerson[at.Actors-1])
	}
	least := 0
	for _, n := range byPerson {
		sum += min(n, most)
		least += min(n, half)
	}
	return sum, least >= at.Least && len(byPerson) >= at.Actors
}

// perActor reads a number for each actor.
func (b *Rollbacks) perActor(ctx context.Context, query, id, kind string) (list []int, err error) {
	if list, err = store.List(ctx, b.db, store.Scanned[int], query, id, kind); err != nil {
		return nil, fmt.Errorf("weighing a rollout: %w", err)
	}
	return list, nil
}

// read takes over which rollouts went back, and which rules were enforced.
func (b *Rollbacks) read(ctx context.Context) error {
	rules, err := b.enforced(ctx, ` WHERE what NOT LIKE '["",%'`) // no row of a class
	if err != nil {
		return err
	}
	b.addRules(rules)
	list, err := b.list(ctx, 1)
	if err != nil {
		return err
	}
	ended := make(map[string]Ended, len(list))
	for _, end := range list {
		ended[end.ID] = end
	}
	b.ended.Store(&ended)
	return nil
}

func (b *Rollbacks) list(ctx context.Context, told int) (list []Ended, err error) {
	if list, err = store.List(ctx, b.db, scanEnded, `SELECT rollout, name, at, evidence, event FROM rollout_end WHERE told = $1 ORDER BY at, rollout`, told); err != nil {
		return nil, fmt.Errorf("reading which rollouts went back: %w", err)
	}
	return list, nil
}

func scanEnded(row store.Row) (end Ended, err error) {
	var at int64
	var evidence string
	var event []byte
	if err := row.Scan(&end.ID, &end.Name, &at, &evidence, &event); err != nil {
		return end, err
	}
	if len(event) != len(end.Event) {
		return end, fmt.Errorf("an event's id has %d bytes", len(event))
	}
	copy(end.Event[:], event)
	end.At = store.Moment(at)
	return end, json.Unmarshal([]byte(evidence), &end.Evidence)
}
