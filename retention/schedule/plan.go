package schedule

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/index"
)

// How an action is carried out.
const (
	// Connector: the gateway does it at the vendor, by the channel file, in a run that others
	// agreed to.
	Connector = "connector"
	// ByHand: nothing of ours does it at the vendor, a person has to.
	ByHand = "by_hand"
	// NotYet: it would be ours to do, and this version does not.
	NotYet = "not_yet"
)

// Why something that a rule is about is kept.
const (
	KeptAge      = "age"              // not old enough
	KeptOpen     = "open"             // the vendor calls it open
	KeptReopened = "open_again"       // and it had been closed before
	KeptClosing  = "closing_unknown"  // nobody said whether it is closed
	KeptCreation = "creation_unknown" // nobody said when it was created
)

// Plan is what is due, and what is not. It names no person.
type Plan struct {
	// Schedule is the digest of the schedule, Revision what the operator calls it.
	Schedule string `json:"schedule"`
	Revision string `json:"revision"`
	// Made is when it was made; At is the time for which it says what is due.
	Made time.Time `json:"made"`
	At   time.Time `json:"at"`
	// Doubt says why the clock is not to be believed, empty where it is. By a clock in doubt
	// nothing may be carried out.
	Doubt string `json:"clock_in_doubt,omitempty"`
	// Records is how many the index has. Matched are those that are due by a rule at least;
	// Held of these are spared by a hold.
	Records int64 `json:"records"`
	Matched int64 `json:"matched"`
	Held    int64 `json:"held"`
	// Due is what may be acted on, without what holds spare, by rule, channel and type.
	Due []Due `json:"due"`
	// Samples are some of the records of each rule that has some.
	Samples []Sample `json:"samples"`
	// Spared is what holds keep, by hold: a record that two holds keep counts for both.
	Spared []Spared `json:"spared"`
	// Kept is what rules are about and is not due, by rule and reason.
	Kept []Kept `json:"kept"`
	// Gone are records that were seen to be deleted at their source, where something would
	// have been due at the source.
	Gone int64 `json:"gone"`
	// Uncovered are records of which no rule says when they end at their source.
	Uncovered []Uncovered `json:"uncovered"`
}

// Due is what a rule lets go of.
type Due struct {
	Rule    string `json:"rule"`
	Action  string `json:"action"`
	Carried string `json:"carried_out"` // Connector, ByHand, NotYet
	Channel string `json:"channel"`
	Type    string `json:"type"`
	Records int64  `json:"records"`
	// Reopened of these had been opened again and are closed since.
	Reopened int64 `json:"reopened"`
	// Classes are those found in the records, or of a rule about classes those that it is
	// about; a record with two counts for both.
	Classes map[string]int64 `json:"classes"`
}

// Sample are places of records, CHANNEL/HOST/TYPE/ID, in the order of the index. An id that
// could be an address or a telephone number with its plus sign is left out.
type Sample struct {
	Rule    string   `json:"rule"`
	Records []string `json:"records"`
}

// Spared is what one hold keeps.
type Spared struct {
	Hold    string `json:"hold"`
	Matter  string `json:"matter"`
	Records int64  `json:"records"`
}

// Kept is what a rule is about and is not due.
type Kept struct {
	Rule    string `json:"rule"`
	Why     string `json:"why"`
	Records int64  `json:"records"`
}

// Uncovered are records of one type.
type Uncovered struct {
	Channel string `json:"channel"`
	Type    string `json:"type"`
	Records int64  `json:"records"`
}

// Sources of a plan.
type Sources struct {
	// DB has the tables of package index and package hold.
	DB *store.DB
	// At is the time for which it is asked what is due; zero for now.
	At time.Time
	// Doubt says why the clock is not to be believed, empty where it is.
	Doubt string
	// Take is given what is due about a record as a whole at its source, without what holds
	// spare, in the order of the index; nil for a plan alone. The record is not kept.
	Take func(rec *index.Aged, rule *Rule) error
}

const (
	// maxSample is how many places a rule's sample has.
	maxSample = 5
	// ahead is how far the index may be ahead of the clock, before the clock is in doubt:
	// several gateways have a clock each.
	ahead = 5 * time.Minute
	// maxAnswers bounds the remembered answers to which rules count.
	maxAnswers = 4096
)

// NewPlan says what is due by a schedule. All of it is of one instant of the database; records
// are read in the order of the index and not kept, so that memory does not grow with their
// number. It changes nothing.
func NewPlan(ctx context.Context, s *Schedule, from Sources) (*Plan, error) {
	made, err := from.DB.Now(ctx)
	if err != nil {
		return nil, fmt.Errorf("planning a purge: %w", err)
	}
	p := &planning{s: s, take: from.Take, at: from.At.UTC(), answers: make(map[string][]question), due: make(map[dueKey]*Due), samples: make(map[string][]string), kept: make(map[Kept]int64), uncovered: make(map[Uncovered]int64)}
	if from.At.IsZero() {
		p.at = made
	}
	tx, err := from.DB.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("planning a purge: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if p.sparing, err = hold.SparingIn(ctx, tx); err != nil {
		return nil, fmt.Errorf("planning a purge: %w", err)
	}
	p.spared = make([]int64, len(p.sparing.Holds()))
	if err := index.WalkIn(ctx, tx, func(page []index.Aged) error { return p.page(ctx, page) }); err != nil {
		return nil, fmt.Errorf("planning a purge: %w", err)
	}
	out := p.plan()
	out.Made, out.Doubt = made, from.Doubt
	if out.Doubt == "" && p.newest.After(made.Add(ahead)) {
		out.Doubt = "the index has seen records " + p.newest.Sub(made).Round(time.Second).String() + " after the present time"
	}
	return out, nil
}

type dueKey struct{ rule, channel, typ string }

// planning is a plan that is being made. Its size depends on rules, types and holds.
type planning struct {
	s       *Schedule
	at      time.Time
	take    func(*index.Aged, *Rule) error
	sparing *hold.Sparing
	newest  time.Time
	// answers are questions by kind and classes.
	answers map[string][]question

	records, matched, held, gone int64
	due                          map[dueKey]*Due
	samples                      map[string][]string
	spared                       []int64
	kept                         map[Kept]int64 // with no count of their own
	uncovered                    map[Uncovered]int64
}

// found is what is due about one record.
type found struct {
	rec   *index.Aged
	rules []foundRule
}

type foundRule struct {
	rule    *Rule
	classes []string
	whole   bool // about the record as a whole, at its source
}

// page looks at a page of the index. Holds are asked once for the whole page.
func (p *planning) page(ctx context.Context, page []index.Aged) error {
	var all []found
	for i := range page {
		rec := &page[i]
		if p.records++; rec.LastSeen.After(p.newest) {
			p.newest = rec.LastSeen
		}
		if f := p.look(rec); len(f.rules) > 0 {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil
	}
	key := func(f *found) hold.Key { return hold.Key{Kind: f.rec.Kind, ID: f.rec.ID} }
	var held map[hold.Key][]int
	if len(p.spared) > 0 {
		var err error
		if held, err = p.sparing.Of(ctx, key(&all[0]), key(&all[len(all)-1])); err != nil {
			return err
		}
	}
	for i := range all {
		f := &all[i]
		p.matched++
		if by := held[key(f)]; len(by) > 0 {
			p.held++
			for _, n := range by {
				p.spared[n]++
			}
			continue
		}
		for _, r := range f.rules {
			p.note(f.rec, r)
			if !r.whole || p.take == nil {
				continue
			}
			if err := p.take(f.rec, r.rule); err != nil {
				return err
			}
		}
	}
	return nil
}

// look asks the rules about one record.
func (p *planning) look(rec *index.Aged) (f found) {
	f.rec = rec
	covered, gone := false, false
	for _, q := range p.questions(rec) {
		covered = covered || !q.index && q.class == ""
		rule, why := p.ask(rec, q.rules)
		switch {
		case !q.index && !rec.Gone.IsZero():
			gone = gone || why == "" // nothing is left at the source to act on
		case why != "":
			p.kept[Kept{Rule: rule.ID, Why: why}]++
		case q.class == "":
			f.rules = append(f.rules, foundRule{rule, rec.Classes, !q.index})
		default:
			i := slices.IndexFunc(f.rules, func(r foundRule) bool { return r.rule == rule })
			if i < 0 {
				f.rules = append(f.rules, foundRule{rule, []string{q.class}, false})
				continue
			}
			f.rules[i].classes = append(slices.Clone(f.rules[i].classes), q.class)
		}
	}
	if !covered && rec.Gone.IsZero() {
		p.uncovered[Uncovered{Channel: rec.Channel, Type: rec.Type}]++
	}
	if gone {
		p.gone++
	}
	return f
}

// AtSource returns the rule by which a record as a whole ends at its source, and why it is not
// due at a time: empty where it is. Both are empty where no rule is about that.
func (s *Schedule) AtSource(rec *index.Aged, at time.Time) (rule *Rule, why string) {
	p := planning{s: s, at: at}
	for _, q := range s.questions(&rec.Record, rec.Classes) {
		if !q.index && q.class == "" {
			return p.ask(rec, q.rules)
		}
	}
	return nil, ""
}

// questions remembers answers: records of a type have few combinations of classes.
func (p *planning) questions(rec *index.Aged) []question {
	key := fmt.Sprint(rec.Kind, " ", strings.Join(rec.Classes, " "))
	if q, ok := p.answers[key]; ok {
		return q
	}
	if len(p.answers) >= maxAnswers {
		clear(p.answers)
	}
	q := p.s.questions(&rec.Record, rec.Classes)
	p.answers[key] = q
	return q
}

// ask returns the rule that lets go of a record last, and why it is kept; no reason where it
// is due.
func (p *planning) ask(rec *index.Aged, rules []*Rule) (last *Rule, why string) {
	var until time.Time
	for _, r := range rules {
		anchor, unknown := age(rec, r.From)
		if unknown != "" {
			return r, unknown // nobody knows, so nothing else can let go of it
		}
		end := r.Period.KeepUntil(anchor, time.UTC)
		// Of two that let go of it together, the one that destroys less.
		if last == nil || end.After(until) || end.Equal(until) && last.Action == Delete && r.Action == Redact {
			last, until = r, end
		}
	}
	if until.After(p.at) {
		return last, KeptAge
	}
	return last, ""
}

// age is from when on a record's time counts, or why nobody knows.
func age(rec *index.Aged, from string) (anchor time.Time, why string) {
	if from == Creation {
		if rec.Created.IsZero() {
			return anchor, KeptCreation
		}
		return rec.Created, ""
	}
	closed, open := rec.Closed, rec.Open
	if closed.IsZero() && !open {
		closed, open = rec.OnClosed, rec.OnOpen
	}
	switch {
	case rec.Open && rec.Reopened > 0:
		return anchor, KeptReopened
	case open:
		return anchor, KeptOpen
	case closed.IsZero():
		return anchor, KeptClosing
	}
	return closed, ""
}

// note counts what is due.
func (p *planning) note(rec *index.Aged, f foundRule) {
	key := dueKey{f.rule.ID, rec.Channel, rec.Type}
	d := p.due[key]
	if d == nil {
		d = &Due{Rule: f.rule.ID, Action: f.rule.Action, Carried: ByHand, Channel: rec.Channel, Type: rec.Type, Classes: make(map[string]int64)}
		switch {
		case d.Action == Forget:
			d.Carried = NotYet
		case f.whole && p.s.Action(d.Action, rec.Channel, rec.Type) != nil:
			d.Carried = Connector
		}
		p.due[key] = d
	}
	d.Records++
	if rec.Reopened > 0 {
		d.Reopened++
	}
	for _, c := range f.classes {
		d.Classes[c]++
	}
	if s := p.samples[f.rule.ID]; len(s) < maxSample && showable.MatchString(rec.ID) {
		p.samples[f.rule.ID] = append(s, rec.Channel+"/"+rec.Host+"/"+rec.Type+"/"+rec.ID)
	}
}

// showable are ids that a sample shows.
var showable = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

// plan puts what was counted into a fixed order: that of the schedule, then by name.
func (p *planning) plan() *Plan {
	out := &Plan{Schedule: p.s.Digest, Revision: p.s.Revision, At: p.at, Records: p.records, Matched: p.matched, Held: p.held, Gone: p.gone,
		Due: []Due{}, Samples: []Sample{}, Spared: []Spared{}, Kept: []Kept{}, Uncovered: []Uncovered{}}
	place := make(map[string]int)
	for i, r := range p.s.Rules {
		place[r.ID] = i
		if s := p.samples[r.ID]; len(s) > 0 {
			out.Samples = append(out.Samples, Sample{Rule: r.ID, Records: s})
		}
	}
	for _, d := range p.due {
		out.Due = append(out.Due, *d)
	}
	slices.SortFunc(out.Due, func(a, b Due) int {
		return cmp.Or(cmp.Compare(place[a.Rule], place[b.Rule]), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Type, b.Type))
	})
	for i, h := range p.sparing.Holds() {
		if p.spared[i] > 0 {
			out.Spared = append(out.Spared, Spared{Hold: h.ID, Matter: h.Matter, Records: p.spared[i]})
		}
	}
	for k, n := range p.kept {
		k.Records = n
		out.Kept = append(out.Kept, k)
	}
	slices.SortFunc(out.Kept, func(a, b Kept) int {
		return cmp.Or(cmp.Compare(place[a.Rule], place[b.Rule]), cmp.Compare(a.Why, b.Why))
	})
	for u, n := range p.uncovered {
		u.Records = n
		out.Uncovered = append(out.Uncovered, u)
	}
	slices.SortFunc(out.Uncovered, func(a, b Uncovered) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Type, b.Type))
	})
	return out
}
