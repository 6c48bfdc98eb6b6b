package policy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Observed is what the audit log says about one half of a call on a route that observes.
type Observed struct {
	// Receipt names the entry.
	Receipt string
	// Input is the Input as JSON, see [Decision.Input].
	Input string
	// Would is the code of the refusal that was not carried out, "" for none.
	Would string
	// Caller is the pseudonym of who called; it is counted and not reported.
	Caller string
	// Program is the kind of program that called, a word of a closed list.
	Program string
	// Replaces tells that the method replaces what is there: PUT or PATCH.
	Replaces bool
	// Signed tells that the call vouches for its own bytes.
	Signed bool
	// Clear are exact counts of findings by class.
	Clear map[string]int
	// Doubts are findings that may be none, in the form "class evidence count,..."
	Doubts string
}

// ObservedReport says what a policy would have done to what observing routes saw.
type ObservedReport struct {
	// Policy is the digest of the policy that was asked.
	Policy string `json:"policy"`
	// Halves is how many requests and answers were asked for, Situations how many
	// different inputs they had. Without is how many had no input that this version
	// reads; they are left out.
	Halves     int `json:"halves"`
	Situations int `json:"situations"`
	Without    int `json:"without"`
	// Treated is what would have become of findings: what changes most first.
	Treated []Treated `json:"treated"`
	// Breaks are the calls that would not have gone on as they did, the most frequent
	// first.
	Breaks []Break `json:"breaks"`
}

// Integration is one kind of caller on one route.
type Integration struct {
	Route   string `json:"route"`
	Channel string `json:"channel"`
	// Kind and Roles are the actor's, Program the kind of its program.
	Kind    string   `json:"kind"`
	Roles   []string `json:"roles"`
	Program string   `json:"program"`
}

// Treated is what would become of the findings of one class in the calls of one
// integration.
type Treated struct {
	Integration
	// Direction is Request or Response.
	Direction string `json:"direction"`
	Class     string `json:"class"`
	// Action is what would be done: report, mask, tokenize, drop or block.
	Action string `json:"action"`
	// Findings is how many; of a class that is treated in several ways in one call, as
	// rules see it, which is rounded down.
	Findings int `json:"findings"`
	// Doubts are those among the class's findings that may be none, by what speaks for
	// them: no word beside them names what they are.
	Doubts map[string]int `json:"doubts,omitempty"`
	// Receipts are examples.
	Receipts []string `json:"receipts"`
}

// Doubtful is how many of the findings may be none.
func (t *Treated) Doubtful() (n int) {
	for _, count := range t.Doubts {
		n += count
	}
	return n
}

// Reasons of a Break that are no refusals: the call goes on, and is another one.
const (
	// BreakSigned: the call vouches for its bytes, and something in them would change.
	BreakSigned = "signed_body"
	// BreakWriteBack: a call that the channel file does not know replaces a record with
	// something in it that would have been masked where it was read; the mask would be
	// refused.
	BreakWriteBack = "masked_write"
	// BreakNumber: a number in an answer would become null.
	BreakNumber = "number_nulled"
)

// Break is one reason for which calls of one integration would not go on as they did.
type Break struct {
	Integration
	Operation string `json:"operation"`
	Direction string `json:"direction"`
	// Why is the code of the refusal, or a Break constant.
	Why string `json:"why"`
	// Needs is the grant that would permit the call.
	Needs string `json:"needs,omitempty"`
	// Calls is how many, Callers by how many; a caller counts again in each half year.
	Calls    int      `json:"calls"`
	Callers  int      `json:"callers"`
	Receipts []string `json:"receipts"`

	callers map[string]bool
}

// WouldHave asks e about everything that routes saw while they observed. What a route
// would have refused for no reason of the policy's is in the log; the rest is asked again,
// so that the report is about e and not about the policies of that time, with its rollouts
// as if they had reached everybody. The error is
// that of seen, or of ctx.
func WouldHave(ctx context.Context, e *Engine, seen iter.Seq2[Observed, error]) (*ObservedReport, error) {
	e = e.aside()
	r := &ObservedReport{Policy: e.Digest()}
	codes := make(map[string]bool, len(e.reasons))
	for _, reason := range e.reasons {
		codes[reason.Code] = true
	}
	w := watcher{codes: codes, treated: make(map[string]*Treated), breaks: make(map[string]*Break)}
	// A digest instead of the input: a log may hold a million different ones.
	situations := make(map[[sha256.Size]byte]*watched)
	for o, err := range seen {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		key := sha256.Sum256([]byte(o.Input))
		s, ok := situations[key]
		if !ok {
			if s, err = ask(ctx, e, o.Input); errors.Is(err, ErrInput) {
				s = nil
			} else if err != nil {
				return nil, err
			}
			situations[key] = s
		}
		if s == nil {
			r.Without++
			continue
		}
		r.Halves++
		w.add(s, &o)
	}
	for _, s := range situations {
		if s != nil {
			r.Situations++
		}
	}
	r.Treated, r.Breaks = make([]Treated, 0, len(w.treated)), make([]Break, 0, len(w.breaks))
	for _, key := range slices.Sorted(maps.Keys(w.treated)) {
		r.Treated = append(r.Treated, *w.treated[key])
	}
	for _, key := range slices.Sorted(maps.Keys(w.breaks)) {
		b := w.breaks[key]
		b.Callers = len(b.callers)
		r.Breaks = append(r.Breaks, *b)
	}
	slices.SortStableFunc(r.Treated, func(a, b Treated) int {
		return cmp.Or(cmp.Compare(rewrites(b.Action), rewrites(a.Action)), cmp.Compare(b.Findings, a.Findings))
	})
	slices.SortStableFunc(r.Breaks, func(a, b Break) int { return cmp.Compare(b.Calls, a.Calls) })
	return r, nil
}

// watched is one input and what would have been.
type watched struct {
	in    Input
	would *Would
	// actions are those of each class, the strongest first.
	actions map[string][]string
}

// ask asks about one input; nil and ErrInput for one that cannot be read.
func ask(ctx context.Context, e *Engine, input string) (*watched, error) {
	s := &watched{actions: make(map[string][]string)}
	var err error
	if s.in, err = ReadInput(input); err != nil {
		return nil, err
	}
	s.in.Observe = true
	// As they will be when they have reached everybody: what was recorded lacks those that
	// had not begun, and those that there were not.
	s.in.Rollouts = nil
	for i := range e.rollouts {
		s.in.Rollouts = append(s.in.Rollouts, e.rollouts[i].Name)
	}
	d, err := e.Decide(ctx, s.in)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, ErrUndecided):
		s.would = &Would{Reason: "policy_error"}
		return s, nil
	case err != nil:
		return nil, err
	}
	s.would = d.Would
	for _, f := range s.in.Findings {
		if a := s.action(f); !slices.Contains(s.actions[f.Class], a) {
			s.actions[f.Class] = append(s.actions[f.Class], a)
		}
	}
	return s, nil
}

func (s *watched) action(f Finding) string {
	d := Decision{Actions: s.would.Actions, Places: s.would.Places}
	return d.Action(f.Class, f.Place)
}

// rewrites orders actions: 1 for what changes something.
func rewrites(action string) int {
	if action == "allow" || action == "report" {
		return 0
	}
	return 1
}

// watcher adds up what would have been.
type watcher struct {
	codes   map[string]bool // what policies decide
	treated map[string]*Treated
	breaks  map[string]*Break
}

func (w *watcher) add(s *watched, o *Observed) {
	who := Integration{Route: s.in.Route, Channel: s.in.Channel, Kind: s.in.Actor.Kind, Roles: s.in.Actor.Roles, Program: o.Program}
	switch {
	case o.Would != "" && !w.codes[o.Would]:
		w.broken(who, s, o, o.Would, "")
	case !s.would.Allow:
		w.broken(who, s, o, s.would.Reason, s.would.Needs)
	default:
		w.changed(who, s, o)
	}
	doubts, counted := readDoubts(o.Doubts), make(map[string]bool)
	for _, f := range s.in.Findings {
		action := s.action(f)
		if action == "allow" {
			continue
		}
		key := strings.Join([]string{who.key(), s.in.Direction, f.Class, action}, "\x00")
		t := w.treated[key]
		if t == nil {
			t = &Treated{Integration: who, Direction: s.in.Direction, Class: f.Class, Action: action}
			w.treated[key] = t
		}
		switch exact := o.Clear[f.Class]; {
		case exact == 0 || len(s.actions[f.Class]) > 1:
			t.Findings += f.Count
		case !counted[f.Class]: // all places of the class at once
			t.Findings += exact
			counted[f.Class] = true
		}
		for why, n := range doubts[f.Class] {
			if t.Doubts == nil {
				t.Doubts = make(map[string]int)
			}
			t.Doubts[why] += n
		}
		delete(doubts, f.Class)
		t.Receipts = example(t.Receipts, o.Receipt)
	}
}

// changed looks for what would have gone on as another call.
func (w *watcher) changed(who Integration, s *watched, o *Observed) {
	request, edited := s.in.Direction == Request, false
	for _, f := range s.in.Findings {
		edited = edited || rewrites(s.action(f)) > 0
	}
	switch {
	case !edited:
	case request && o.Signed && s.in.Actor.Kind != KindWebhook: // which the gateway signs again
		w.broken(who, s, o, BreakSigned, "")
	case request && o.Replaces && !s.in.Mapped:
		w.broken(who, s, o, BreakWriteBack, "")
	case !request:
		if slices.ContainsFunc(s.in.Findings, func(f Finding) bool { return f.Place == PlaceNumber && rewrites(s.action(f)) > 0 }) {
			w.broken(who, s, o, BreakNumber, "")
		}
	}
}

func (w *watcher) broken(who Integration, s *watched, o *Observed, why, needs string) {
	key := strings.Join([]string{who.key(), s.in.Operation, s.in.Direction, why, needs}, "\x00")
	b := w.breaks[key]
	if b == nil {
		b = &Break{Integration: who, Operation: s.in.Operation, Direction: s.in.Direction, Why: why, Needs: needs, callers: make(map[string]bool)}
		w.breaks[key] = b
	}
	b.Calls++
	if o.Caller != "" {
		b.callers[o.Caller] = true
	}
	b.Receipts = example(b.Receipts, o.Receipt)
}

func (i *Integration) key() string {
	return strings.Join([]string{i.Route, i.Channel, i.Kind, strings.Join(i.Roles, "\x01"), i.Program}, "\x00")
}

func example(list []string, receipt string) []string {
	if len(list) < mostReceipts && !slices.Contains(list, receipt) {
		list = append(list, receipt)
	}
	return list
}

// readDoubts reads "class evidence count,..."; what has another form is left out.
func readDoubts(s string) map[string]map[string]int {
	out := make(map[string]map[string]int)
	for row := range strings.SplitSeq(s, ",") {
		words := strings.Fields(row)
		if len(words) != 3 {
			continue
		}
		n, err := strconv.Atoi(words[2])
		if err != nil || n < 1 {
			continue
		}
		if out[words[0]] == nil {
			out[words[0]] = make(map[string]int)
		}
		out[words[0]][words[1]] += n
	}
	return out
}
