package clock

import (
	_ "embed" // the built-in register
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

//go:embed rules.yaml
var builtinRules []byte

//go:embed calendars.yaml
var builtinCalendars []byte

// maxRegister bounds either file; ours are a tenth of it.
const maxRegister = 1 << 19

// What a rule is about.
const (
	// Deadline: something must be done by a moment.
	Deadline = "deadline"
	// Minimum: something is kept, or left alone, at least until a moment.
	Minimum = "minimum"
	// Purge: something is kept at most until a moment and destroyed then, and
	// never before.
	Purge = "purge"
)

var kinds = []string{Deadline, Minimum, Purge}

// How surely a version's rule is known.
var certainties = []string{"text", "secondary", "unconfirmed", "own"}

// Register is the rules with their calendars. It does not change and may be used
// concurrently.
type Register struct {
	rules     []*Rule
	calendars []*Calendar
}

// Rule is one duty.
type Rule struct {
	// ID is its stable name: eu.dsar.respond.
	ID string `yaml:"id"`
	// Title says the duty, Trigger what starts its clock.
	Title   string `yaml:"title"`
	Trigger string `yaml:"trigger"`
	// Versions, oldest first; no two are in force on one day.
	Versions []*Version `yaml:"versions"`
}

// Version is what a rule says for triggers between two dates.
type Version struct {
	// Version counts from 1. A released version is never edited: what changes is a
	// new one.
	Version int `yaml:"version"`
	// From and Until are the first day on which a trigger falls under it and the
	// first on which it does no more; the zero date has no end.
	From  Date `yaml:"from"`
	Until Date `yaml:"until"`
	// Source names the law; Read says how surely it is known: "text" was read in the
	// law itself, "secondary" in somebody's account of it, "unconfirmed" nowhere yet,
	// "own" is Caregate's policy and no law.
	Source string `yaml:"source"`
	Read   string `yaml:"read"`
	// Kind is Deadline, Minimum or Purge.
	Kind string `yaml:"kind"`

	// One of Period, Workdays, By and none of them, where the law has no number.
	Period   Period `yaml:"period"`
	Workdays int    `yaml:"workdays"`
	// By is a day of the year after the trigger: "07-01".
	By string `yaml:"by"`
	// Target is what PlanBy aims at where the law has no number.
	Target Period `yaml:"target"`
	// Agreed: the number stands in a contract, and may be given when a clock starts.
	Agreed bool `yaml:"agreed"`
	// YearEnd counts from the last day of the trigger's year.
	YearEnd bool `yaml:"year_end"`
	// Through: of a minimum, the last day of the period is still kept.
	Through bool `yaml:"through"`
	// Repeat: the duty comes back, the n-th time n periods after the anchor.
	Repeat bool `yaml:"repeat"`
	// Roll moves an end on a day off to the next working day.
	Roll bool `yaml:"roll"`
	// Noon moves an end within a day off to noon of the next working day.
	Noon bool `yaml:"noon"`
	// PlanEarlier is how many days PlanBy lies before the unrolled end: 1 where the
	// day of the trigger may count as the first.
	PlanEarlier int `yaml:"plan_earlier"`
	// Calendars lists those that the clock may be started with, where days off
	// matter.
	Calendars []string `yaml:"calendars,flow"`
	// Pauses, Restarts and Extend are what may happen to a running clock.
	Pauses   []PauseRule   `yaml:"pauses"`
	Restarts []RestartRule `yaml:"restarts"`
	// Extend is added to the period, once, by a notice sent before the period ends.
	Extend Period `yaml:"extend"`
	// Variants are other readings for who they apply to, chosen when a clock starts.
	Variants map[string]Variant `yaml:"variants"`
	// NextHour shows the reading that does not count the hour of the trigger.
	NextHour bool `yaml:"next_hour"`
	// Note is what else a person must know.
	Note string `yaml:"note"`

	by Date
}

// PauseRule is a cause for which a clock stands still.
type PauseRule struct {
	Cause string `yaml:"cause"`
	// BothDays: the day of the question and the day of the answer both do not count.
	// Otherwise only the latter.
	BothDays bool `yaml:"both_days"`
}

// RestartRule is a cause for which a clock begins again.
type RestartRule struct {
	Cause string `yaml:"cause"`
	// Period runs from then on instead of the version's own.
	Period Period `yaml:"period"`
	// Within: not past the end of the first period, unless the restart itself is.
	Within bool `yaml:"within"`
	// Decided: somebody re-bases the clock, to whatever moment; otherwise the
	// latest of the moments counts.
	Decided bool `yaml:"decided"`
}

// Variant replaces parts of a version.
type Variant struct {
	Title    string `yaml:"title"`
	Workdays int    `yaml:"workdays"`
	Roll     bool   `yaml:"roll"`
	Noon     bool   `yaml:"noon"`
}

// Builtin is the register that Caregate ships.
func Builtin() (*Register, error) {
	return Parse(builtinRules, builtinCalendars)
}

// Parse reads a register. Unknown words, versions that overlap, rules without a
// source and calendars that nobody knows are errors.
func Parse(rules, calendars []byte) (*Register, error) {
	var rf struct {
		Version int     `yaml:"version"`
		Rules   []*Rule `yaml:"rules"`
	}
	var cf struct {
		Version   int         `yaml:"version"`
		Calendars []*Calendar `yaml:"calendars"`
	}
	if err := load(rules, &rf); err != nil {
		return nil, fmt.Errorf("reading the rules: %w", err)
	}
	if err := load(calendars, &cf); err != nil {
		return nil, fmt.Errorf("reading the calendars: %w", err)
	}
	if rf.Version != 1 || cf.Version != 1 {
		return nil, fmt.Errorf("a register of version %d with calendars of version %d: this program knows version 1", rf.Version, cf.Version)
	}
	r := &Register{rules: rf.Rules, calendars: cf.Calendars}
	seen := map[string]bool{}
	for _, c := range r.calendars {
		if c == nil || !calendarID.MatchString(c.ID) || c.Version < 1 || seen[c.Ref()] {
			return nil, errors.New("a calendar without an id and a version of its own")
		}
		seen[c.Ref()] = true
		if err := c.compile(); err != nil {
			return nil, err
		}
	}
	for _, rule := range r.rules {
		if rule == nil || !ruleID.MatchString(rule.ID) || seen[rule.ID] {
			return nil, errors.New("a rule without an id of its own")
		}
		seen[rule.ID] = true
		if err := r.check(rule); err != nil {
			return nil, fmt.Errorf("rule %s: %w", rule.ID, err)
		}
	}
	return r, nil
}

var (
	ruleID     = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z0-9]+)+$`)
	calendarID = regexp.MustCompile(`^[A-Z]{2}(-[A-Z]{2,10})?$|^NONE$`)
	word       = regexp.MustCompile(`^[a-z][a-z_]{0,39}$`)
)

func load(src []byte, into any) error {
	if len(src) > maxRegister {
		return fmt.Errorf("%d bytes are more than %d", len(src), maxRegister)
	}
	return yaml.Load(src, into, yaml.WithKnownFields())
}

func (r *Register) check(rule *Rule) error {
	if rule.Title == "" || rule.Trigger == "" || len(rule.Versions) == 0 {
		return errors.New("title, trigger or versions are missing")
	}
	for i, v := range rule.Versions {
		if v == nil || v.Version != i+1 {
			return errors.New("versions count from 1")
		}
		if v.From.Year < firstYear || v.Until != (Date{}) && !v.From.Before(v.Until) {
			return fmt.Errorf("version %d: it must be in force from a day on, until a later one", v.Version)
		}
		if i > 0 && (rule.Versions[i-1].Until == Date{} || v.From.Before(rule.Versions[i-1].Until)) {
			return fmt.Errorf("version %d begins before the one before it ends", v.Version)
		}
		if v.Kind == "" {
			v.Kind = Deadline
		}
		if err := r.checkVersion(v); err != nil {
			return fmt.Errorf("version %d: %w", v.Version, err)
		}
	}
	return nil
}

func (r *Register) checkVersion(v *Version) error {
	if v.Source == "" || !slices.Contains(certainties, v.Read) {
		return fmt.Errorf("source is missing, or read is not one of %s", strings.Join(certainties, ", "))
	}
	if !slices.Contains(kinds, v.Kind) {
		return fmt.Errorf("kind is one of %s", strings.Join(kinds, ", "))
	}
	given := 0
	for _, is := range []bool{!v.Period.IsZero(), v.Workdays != 0, v.By != "", !v.Target.IsZero()} {
		if is {
			given++
		}
	}
	if given != 1 {
		return errors.New("one of period, workdays, by and target says how long")
	}
	if v.Workdays < 0 || v.Workdays > 100 || v.PlanEarlier < 0 || v.PlanEarlier > 1 {
		return errors.New("workdays or plan_earlier is out of range")
	}
	if v.By != "" {
		// A day that each year has: 2001 was no leap year.
		var err error
		if v.by, err = ParseDate("2001-" + v.By); err != nil {
			return fmt.Errorf("by: %w", err)
		}
	}
	inDays := v.Period.Hours == 0 && !v.Period.IsZero()
	rolls, noon := v.Roll, v.Noon
	for name, variant := range v.Variants {
		if !word.MatchString(name) || variant.Title == "" || variant.Workdays < 0 || variant.Workdays > 100 || variant.Workdays != 0 && v.Workdays == 0 {
			return fmt.Errorf("variant %.40q: a title, and what of the version it replaces, are missing", name)
		}
		rolls, noon = rolls || variant.Roll, noon || variant.Noon
	}
	deadline := v.Kind == Deadline
	for _, rule := range []struct {
		bad  bool
		what string
	}{
		{(v.Agreed || !v.Target.IsZero()) && (v.Target.Hours == 0 || !deadline), "what has no number is a deadline with a target in hours"},
		{v.Kind != Deadline && v.Period.IsZero() || v.Kind == Minimum && !inDays, "what is kept is kept for a period, at least for days or months"},
		{v.YearEnd && v.Period.Days == 0, "year_end counts days"},
		{v.Through && (v.Kind != Minimum || !inDays), "through is for minimums of days or months"},
		{v.Repeat && v.Period.Months == 0, "what repeats has a period of months"},
		{rolls && (!inDays || !deadline), "only deadlines of days or months roll"},
		{noon && (!deadline || v.Workdays != 0 || v.By != ""), "noon is for deadlines of hours, days or months"},
		{v.PlanEarlier != 0 && (!inDays || !deadline), "plan_earlier is for deadlines of days or months"},
		{!v.Extend.IsZero() && (!deadline || v.Period.IsZero() || (v.Extend.Months != 0) != (v.Period.Months != 0) || (v.Extend.Hours != 0) != (v.Period.Hours != 0)), "extend has the unit of the period"},
		{(rolls || noon || v.Workdays != 0) != (len(v.Calendars) > 0), "calendars are named where days off matter, and only there"},
		{v.NextHour && v.Period.Hours == 0, "next_hour is for hours"},
		{(len(v.Pauses) > 0 || len(v.Restarts) > 0) && (!deadline || v.By != "" || v.Repeat || v.YearEnd), "only deadlines that run once pause and restart"},
	} {
		if rule.bad {
			return errors.New(rule.what)
		}
	}
	for _, id := range v.Calendars {
		if r.newest(id) == nil {
			return fmt.Errorf("nobody knows the calendar %.40q", id)
		}
	}
	causes := map[string]bool{}
	for _, p := range v.Pauses {
		if !word.MatchString(p.Cause) || causes[p.Cause] {
			return fmt.Errorf("pause %.40q: a cause is one word, once", p.Cause)
		}
		causes[p.Cause] = true
	}
	for _, p := range v.Restarts {
		if !word.MatchString(p.Cause) || causes[p.Cause] {
			return fmt.Errorf("restart %.40q: a cause is one word, once", p.Cause)
		}
		causes[p.Cause] = true
		if !p.Period.IsZero() && (p.Period.Hours == 0 || v.Period.Hours == 0) || p.Within && p.Period.IsZero() {
			return fmt.Errorf("restart %s: a period of its own has hours, like the version's", p.Cause)
		}
	}
	return nil
}

// Rules lists the rules in the order of the register. They are shared: do not
// change them.
func (r *Register) Rules() []*Rule { return slices.Clone(r.rules) }

// Calendars lists the calendars in the order of the register. They are shared: do
// not change them.
func (r *Register) Calendars() []*Calendar { return slices.Clone(r.calendars) }

// ErrUnknown is wrapped by errors about rules, versions, calendars, causes and
// variants that the register does not have. A clock of such is left alone: another
// version of the program may know it.
var ErrUnknown = errors.New("not in the register")

func (r *Register) rule(id string) (*Rule, error) {
	for _, rule := range r.rules {
		if rule.ID == id {
			return rule, nil
		}
	}
	return nil, fmt.Errorf("rule %.60q: %w", id, ErrUnknown)
}

// on is the version in force on a day, or nil.
func (rule *Rule) on(d Date) *Version {
	for _, v := range rule.Versions {
		if !d.Before(v.From) && (v.Until == Date{} || d.Before(v.Until)) {
			return v
		}
	}
	return nil
}

// InForce is the moment at which the first version of a rule came into force in a zone: no
// clock of the rule starts before it. ErrUnknown for a rule or zone that is not known.
func (r *Register) InForce(id, zone string) (time.Time, error) {
	rule, err := r.rule(id)
	if err != nil {
		return time.Time{}, err
	}
	in, err := zoneOf(zone)
	if err != nil {
		return time.Time{}, err
	}
	return endOf(rule.Versions[0].From.AddDays(-1), in), nil
}

// newest is the newest version of a calendar, or nil.
func (r *Register) newest(id string) (found *Calendar) {
	for _, c := range r.calendars {
		if c.ID == id && (found == nil || c.Version > found.Version) {
			found = c
		}
	}
	return found
}

// calendar finds "DE@1".
func (r *Register) calendar(ref string) (*Calendar, error) {
	for _, c := range r.calendars {
		if c.Ref() == ref {
			return c, nil
		}
	}
	return nil, fmt.Errorf("calendar %.60q: %w", ref, ErrUnknown)
}

// Place is where a duty arises, and what a tenant sets for it.
type Place struct {
	// Zone is the IANA time zone of the place: Europe/Berlin.
	Zone string
	// ReceivedIn is the zone of the system that took the trigger in, if that is
	// another: PlanBy counts from the earlier of the two local dates.
	ReceivedIn string
	// Calendar is the id of the public holidays there, DE; needed for rules that ask
	// for one.
	Calendar string
	// Variant is one of the rule's variants, or empty.
	Variant string
	// Agreed is what a contract says, for rules that leave it to one.
	Agreed Period
	// Occurrence counts the times of a duty that repeats, from 1; 0 is the first.
	Occurrence int
}

// Start makes the event that starts a clock: of the version in force on the local
// date of the trigger, with the newest version of the calendar. It fails where
// Fold would.
func (r *Register) Start(id string, trigger time.Time, place Place) (Event, error) {
	rule, err := r.rule(id)
	if err != nil {
		return Event{}, err
	}
	zone, err := zoneOf(place.Zone)
	if err != nil {
		return Event{}, err
	}
	v := rule.on(dateOf(trigger, zone))
	if v == nil {
		return Event{}, fmt.Errorf("rule %s on %s: %w", id, dateOf(trigger, zone), ErrUnknown)
	}
	e := Event{
		Kind: Started, At: trigger, Rule: id, Version: v.Version,
		Zone: place.Zone, ReceivedIn: place.ReceivedIn, Variant: place.Variant, Agreed: place.Agreed, Occurrence: place.Occurrence,
	}
	if place.Calendar != "" && len(v.Calendars) > 0 {
		c := r.newest(place.Calendar)
		if c == nil {
			return Event{}, fmt.Errorf("calendar %.60q: %w", place.Calendar, ErrUnknown)
		}
		e.Calendar = c.Ref()
	}
	_, err = r.Fold([]Event{e})
	return e, err
}

// zoneOf loads a zone by its name. "Local" and the empty name mean something else
// on every machine, and are refused.
func zoneOf(name string) (*time.Location, error) {
	if name == "" || name == "Local" || len(name) > 64 {
		return nil, errors.New("a zone has a name like Europe/Berlin")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", name, ErrUnknown)
	}
	return zone, nil
}
