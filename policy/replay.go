package policy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"
)

// mostReceipts is how many examples a Change names.
const mostReceipts = 3

// Recorded is what the audit log says about one decision.
type Recorded struct {
	// Receipt names the entry.
	Receipt string
	// Input is the Input as JSON, see [Decision.Input]; empty where none was recorded.
	Input string
	// Reason is the code of a refusal, empty for what was allowed.
	Reason string
	// Policy is the digest of the policy that decided.
	Policy string
}

// ReplayReport says what a draft would have decided otherwise.
type ReplayReport struct {
	// Now and Draft are the digests of both policies.
	Now   string `json:"now"`
	Draft string `json:"draft"`
	// Decisions is how many recorded decisions were asked for again, Situations how many
	// different inputs they had.
	Decisions  int `json:"decisions"`
	Situations int `json:"situations"`
	// Before is how many had been decided by another policy than Now.
	Before int `json:"before"`
	// Otherwise is how many had been refused for something that no policy decides, such
	// as a body that is too large. They are not asked for.
	Otherwise int `json:"otherwise"`
	// Without is how many had no input, or one that this version cannot read.
	Without int `json:"without"`
	// Lost is how many decisions are permissions now and denials in the draft, Gained
	// the reverse, Treated how many are neither and change what happens to a finding or
	// why a call is denied.
	Lost    int `json:"lost"`
	Gained  int `json:"gained"`
	Treated int `json:"treated"`
	// Changes are the differences: what is lost first, then what is gained, then the
	// others, the most frequent first.
	Changes []Change `json:"changes"`
}

// Change is one difference between two policies for one kind of caller and call.
type Change struct {
	// Kind and Roles are the actor's.
	Kind  string   `json:"kind"`
	Roles []string `json:"roles"`
	// Route to Operation say what was called.
	Route     string `json:"route"`
	Channel   string `json:"channel"`
	Operation string `json:"operation"`
	// Direction is Request or Response: a call that is refused, or its answer withheld.
	Direction string `json:"direction"`
	// Class and Place are set where a finding is treated otherwise.
	Class string `json:"class,omitempty"`
	Place string `json:"place,omitempty"`
	// Observed tells that the route observes: nothing was carried out, nor would be.
	Observed bool `json:"observed"`
	// Before is what the policy in force decides, After what the draft does: "allow",
	// or "deny" with the reason and the codes of own rules behind it; for a finding its
	// action, with the time in which a mask can be undone.
	Before string `json:"before"`
	After  string `json:"after"`
	// Decisions is how many recorded ones are so, Receipts some of them.
	Decisions int      `json:"decisions"`
	Receipts  []string `json:"receipts"`
}

// situation is what all decisions with one input share.
type situation struct {
	decisions int
	before    int // of them, those that another policy decided
	receipts  []string
	unread    bool
	changes   []*Change // which it shares with others
}

// Replay asks now and draft for every recorded decision again and reports where they
// differ. An input is data-free, so this shows nobody's data; it is all that the rules see,
// so it is what the draft would have decided. Grants were recorded as the caller had them:
// those of the draft's documents do not count.
//
// A policy that gives no decision denies, as the gateway does. Equal inputs are asked for
// once, at most as many at a time as there are askers: all processors of a machine that
// does nothing else, one of a gateway's. Both policies may be in force; what they are asked
// here stands in no log and in no cache of theirs. The error is that of recorded, or of ctx.
func Replay(ctx context.Context, now, draft *Engine, recorded iter.Seq2[Recorded, error], askers int) (*ReplayReport, error) {
	now, draft = now.aside(), draft.aside()
	r := &ReplayReport{Now: now.Digest(), Draft: draft.Digest()}
	codes := make(map[string]bool, len(now.reasons))
	for _, reason := range now.reasons {
		codes[reason.Code] = true
	}
	// A digest instead of the input: a log may hold a million different ones.
	situations := make(map[[sha256.Size]byte]*situation)
	var mu sync.Mutex
	groups := make(map[string]*Change) // owned by mu until all are asked for
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(askers)
	var failed error
	for rec, err := range recorded {
		if failed = cmp.Or(err, ctx.Err()); failed != nil {
			break
		}
		switch {
		case rec.Reason != "" && !codes[rec.Reason]:
			r.Otherwise++
			continue
		case rec.Input == "":
			r.Without++
			continue
		}
		key := sha256.Sum256([]byte(rec.Input))
		s := situations[key]
		if s == nil {
			s = new(situation)
			situations[key] = s
			asking.Go(func() error {
				changes, err := compare(ctx, now, draft, rec.Input)
				if errors.Is(err, ErrInput) {
					s.unread, err = true, nil
				}
				mu.Lock()
				defer mu.Unlock()
				for i := range changes {
					key := changes[i].key()
					if groups[key] == nil {
						groups[key] = &changes[i]
					}
					s.changes = append(s.changes, groups[key])
				}
				return err
			})
		}
		s.decisions++
		if rec.Policy != r.Now {
			s.before++
		}
		if len(s.receipts) < mostReceipts {
			s.receipts = append(s.receipts, rec.Receipt)
		}
	}
	if err := cmp.Or(asking.Wait(), failed); err != nil {
		return nil, err
	}
	r.count(maps.Values(situations), groups)
	return r, nil
}

// aside is the same policy with a cache of its own that keeps little, because equal inputs
// are asked for once, and without a log.
func (e *Engine) aside() *Engine {
	other := *e
	other.log = slog.New(slog.DiscardHandler)
	other.cache, _ = lru.New[string, *Decision](1) // an error is for a size below one
	return &other
}

// count fills in what the situations say together, and adds up the groups of their changes.
func (r *ReplayReport) count(situations iter.Seq[*situation], groups map[string]*Change) {
	for s := range situations {
		if s.unread {
			r.Without += s.decisions
			continue
		}
		r.Decisions += s.decisions
		r.Before += s.before
		r.Situations++
		if len(s.changes) == 0 {
			continue
		}
		switch s.changes[0].weight() {
		case 0:
			r.Lost += s.decisions
		case 1:
			r.Gained += s.decisions
		default:
			r.Treated += s.decisions
		}
		for _, g := range s.changes {
			g.Decisions += s.decisions
			// Which situation comes first is chance; the smallest receipts are not.
			g.Receipts = append(g.Receipts, s.receipts...)
			slices.Sort(g.Receipts)
			g.Receipts = g.Receipts[:min(len(g.Receipts), mostReceipts)]
		}
	}
	r.Changes = make([]Change, 0, len(groups))
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		r.Changes = append(r.Changes, *groups[key])
	}
	slices.SortStableFunc(r.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.weight(), b.weight()), cmp.Compare(b.Decisions, a.Decisions))
	})
}

// weight orders changes: permissions that are lost, permissions that are gained, others.
func (c *Change) weight() int {
	switch {
	case c.Class != "" || denied(c.Before) == denied(c.After):
		return 2
	case denied(c.After):
		return 0
	}
	return 1
}

func denied(what string) bool { return strings.HasPrefix(what, "deny ") }

// key tells changes apart. No member holds a NUL: all are words of lists or of the
// configuration.
func (c *Change) key() string {
	return strings.Join([]string{
		c.Kind, strings.Join(c.Roles, "\x01"), c.Route, c.Channel, c.Operation, c.Direction, c.Class, c.Place, c.Before, c.After, fmt.Sprint(c.Observed),
	}, "\x00")
}

// compare asks both policies about one call and its parts. ErrInput when it cannot be read.
func compare(ctx context.Context, now, draft *Engine, recorded string) ([]Change, error) {
	asked, err := readQuestions(recorded)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for i := range asked {
		more, allowed, err := compareOne(ctx, now, draft, asked[i])
		if err != nil {
			return nil, err
		}
		changes = append(changes, more...)
		if i == 0 && !allowed {
			break // one of the two never comes to the parts
		}
	}
	slices.SortStableFunc(changes, func(a, b Change) int { return cmp.Compare(a.weight(), b.weight()) })
	return changes, nil
}

// compareOne asks both policies about one input. Allowed says that both permit it.
func compareOne(ctx context.Context, now, draft *Engine, in Input) (changes []Change, allowed bool, err error) {
	among := in.Rollouts
	var decided [2]*Would
	for i, e := range []*Engine{now, draft} {
		in.Rollouts = replayed(among, now, e)
		d, err := e.Decide(ctx, in)
		switch {
		case ctx.Err() != nil:
			return nil, false, ctx.Err()
		case errors.Is(err, ErrUndecided):
			decided[i] = &Would{Reason: "policy_error"}
		case err != nil:
			return nil, false, err
		case d.Would != nil:
			decided[i] = d.Would
		default:
			decided[i] = &Would{Allow: d.Allow, Reason: d.Reason, Reasons: d.Reasons, Actions: d.Actions, Places: d.Places, Undo: d.Undo}
		}
	}
	c := Change{
		Kind: in.Actor.Kind, Roles: in.Actor.Roles, Route: in.Route, Channel: in.Channel, Operation: in.Operation,
		Direction: in.Direction, Observed: in.Observe, Before: decided[0].words(), After: decided[1].words(),
	}
	if c.Before != c.After {
		return []Change{c}, decided[0].Allow && decided[1].Allow, nil
	}
	if !decided[0].Allow {
		return nil, false, nil // what would happen to findings never came to it
	}
	for _, f := range in.Findings {
		c.Class, c.Place = f.Class, f.Place
		c.Before, c.After = decided[0].treats(f), decided[1].treats(f)
		if c.Before != c.After {
			changes = append(changes, c)
		}
	}
	return changes, true, nil
}

// replayed are the rollouts that a recorded call is in under e: those it was in, and of
// those that now does not have all, as they will be when they have reached everybody.
func replayed(recorded []string, now, e *Engine) []string {
	var in []string
	for i := range e.rollouts {
		r := &e.rollouts[i]
		known := slices.ContainsFunc(now.rollouts, func(o Rollout) bool { return o.ID() == r.ID() })
		if !known || slices.Contains(recorded, r.Name) {
			in = append(in, r.Name)
		}
	}
	return in
}

// words say whether the call is allowed, and if not, why.
func (w *Would) words() string {
	if w.Allow {
		return "allow"
	}
	words := append(make([]string, 0, 4), "deny", w.Reason)
	for _, code := range w.Reasons {
		if strings.HasPrefix(code, ownPrefix) {
			words = append(words, code)
		}
	}
	return strings.Join(words, " ")
}

// treats says what happens to a finding.
func (w *Would) treats(f Finding) string {
	d := Decision{Actions: w.Actions, Places: w.Places, Undo: w.Undo}
	action := d.Action(f.Class, f.Place)
	if undo := d.UndoFor(f.Class); undo > 0 && action == "mask" {
		action += ", undone within " + undo.Truncate(time.Second).String()
	}
	return action
}
