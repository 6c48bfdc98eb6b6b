package clock

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Moment is a point of a clock. The zero Moment is none.
type Moment struct {
	// At is the instant, in UTC. Of a deadline it is the first one that is too late.
	At time.Time
	// Day is the local date whose end At is; zero for moments that were not counted
	// in days.
	Day Date
}

// IsZero reports that there is no such moment.
func (m Moment) IsZero() bool { return m.At.IsZero() }

// Extension is what a clock may still be extended to.
type Extension struct {
	// By is what is added.
	By Period
	// NoticePlanBy and NoticeDue say until when the notice must be sent.
	NoticePlanBy, NoticeDue Moment
	// PlanBy and LegalDue would follow.
	PlanBy, LegalDue Moment
}

// Reading is another way to count that somebody defends. It is shown, and nothing
// goes by it.
type Reading struct {
	Name string
	Due  Moment
}

// State is where a clock stands after its events.
type State struct {
	// Rule and Version name what counts, Title the duty, Calendar the holidays
	// used, or nothing.
	Rule     string
	Version  int
	Title    string
	Kind     string
	Calendar string
	Zone     string
	// Anchor is the moment counted from.
	Anchor time.Time
	// PlanBy, LegalDue and NotBefore: see the package comment. A minimum has only
	// NotBefore; a purge has all three; a duty without a number no LegalDue.
	PlanBy, LegalDue, NotBefore Moment
	// PausedSince is when the pause began that is not over, of PauseCause. The
	// deadlines are then those of a clock that goes on this moment.
	PausedSince time.Time
	PauseCause  string
	// Extended tells that the extension was used; Extension what is left of it, nil
	// for nothing.
	Extended  bool
	Extension *Extension
	// Readings are other ways to count, for information.
	Readings []Reading
	// Newer lists what the register has that this clock does not follow: a newer
	// calendar, a newer version of the rule.
	Newer []string
	// Steps explain the arithmetic, a sentence each.
	Steps []string
}

// span is a pause; to is zero while it lasts.
type span struct {
	from, to time.Time
	bothDays bool
	cause    string
}

// running is a clock while its events are folded.
type running struct {
	rule           *Rule
	version        *Version
	start          Event
	zone, received *time.Location
	calendar       *Calendar

	anchor time.Time
	// period is the version's, or that of a restart; not past limit, if that is set.
	period   Period
	workdays int
	roll     bool
	noon     bool
	limit    time.Time
	pauses   []span
	extended bool
}

// Fold computes the state after all events, which are in the order of their time.
// It refuses what the rule does not allow (an extension after the period, a pause
// of a clock that has run out, an unknown cause), so an event is folded before it
// is stored. ErrUnknown is wrapped where this program's register lacks something.
// It does not keep or change the events and may be called concurrently.
func (r *Register) Fold(events []Event) (State, error) {
	if len(events) == 0 || len(events) > MaxEvents {
		return State{}, fmt.Errorf("a clock has 1 to %d events", MaxEvents)
	}
	var c *running
	var last time.Time
	for i, e := range events {
		if err := e.check(); err != nil {
			return State{}, fmt.Errorf("event %d: %w", i+1, err)
		}
		e.At, e.Anchor = e.At.UTC().Truncate(time.Second), e.Anchor.UTC().Truncate(time.Second)
		if (e.Kind == Started) != (i == 0) {
			return State{}, fmt.Errorf("event %d: a clock starts with its first event, and once", i+1)
		}
		if e.At.Before(last) {
			return State{}, fmt.Errorf("event %d: it happened before the event ahead of it", i+1)
		}
		last = e.At
		var err error
		if i == 0 {
			c, err = r.begin(e)
		} else {
			err = c.take(r, e)
		}
		if err != nil {
			return State{}, fmt.Errorf("event %d (%s): %w", i+1, e.Kind, err)
		}
	}
	return c.state(r), nil
}

// begin reads a Started event.
func (r *Register) begin(e Event) (*running, error) {
	rule, err := r.rule(e.Rule)
	if err != nil {
		return nil, err
	}
	if e.Version < 1 || e.Version > len(rule.Versions) {
		return nil, fmt.Errorf("version %d of rule %s: %w", e.Version, e.Rule, ErrUnknown)
	}
	v := rule.Versions[e.Version-1]
	c := &running{rule: rule, version: v, start: e, anchor: e.At, period: v.Period, workdays: v.Workdays, roll: v.Roll, noon: v.Noon}
	if c.zone, err = zoneOf(e.Zone); err != nil {
		return nil, err
	}
	c.received = c.zone
	if e.ReceivedIn != "" {
		if c.received, err = zoneOf(e.ReceivedIn); err != nil {
			return nil, err
		}
	}
	if day := dateOf(e.At, c.zone); rule.on(day) != v {
		return nil, fmt.Errorf("version %d of rule %s was not in force on %s", e.Version, e.Rule, day)
	}
	if e.Variant != "" {
		variant, ok := v.Variants[e.Variant]
		if !ok {
			return nil, fmt.Errorf("variant %.40q: %w", e.Variant, ErrUnknown)
		}
		c.roll, c.noon = c.roll || variant.Roll, c.noon || variant.Noon
		if variant.Workdays != 0 {
			c.workdays = variant.Workdays
		}
	}
	if !e.Agreed.IsZero() && (!v.Agreed || e.Agreed.Hours == 0 || e.Agreed.Hours > maxHours) {
		return nil, errors.New("this rule leaves no number of hours to a contract")
	}
	if e.Occurrence < 0 || e.Occurrence > maxOccurrence || e.Occurrence > 1 && !v.Repeat {
		return nil, errors.New("this duty does not come so many times")
	}
	return c, c.take(r, Event{Kind: Recalendared, Calendar: e.Calendar})
}

// take applies one event that its check has passed.
func (c *running) take(r *Register, e Event) error {
	v := c.version
	switch e.Kind {
	case Paused:
		at := slices.IndexFunc(v.Pauses, func(p PauseRule) bool { return p.Cause == e.Cause })
		if at < 0 {
			return fmt.Errorf("%.40q pauses no clock of this rule: %w", e.Cause, ErrUnknown)
		}
		if c.open() != nil {
			return errors.New("the clock stands still already")
		}
		if c.over(e.At) {
			return errors.New("the period is over")
		}
		c.pauses = append(c.pauses, span{from: e.At, bothDays: v.Pauses[at].BothDays, cause: e.Cause})
	case Resumed:
		p := c.open()
		if p == nil {
			return errors.New("the clock is not paused")
		}
		p.to = e.At
	case Extended:
		if v.Extend.IsZero() {
			return errors.New("this rule has no extension")
		}
		if c.extended {
			return errors.New("the clock was extended before")
		}
		if c.over(e.At) {
			return errors.New("the notice was sent after the period it extends")
		}
		c.extended = true
	case Restarted:
		return c.restart(e)
	case Recalendared:
		if len(v.Calendars) == 0 {
			if e.Calendar != "" {
				return errors.New("no days off matter for this rule")
			}
			return nil
		}
		found, err := r.calendar(e.Calendar)
		if err != nil {
			return err
		}
		if !slices.Contains(v.Calendars, found.ID) || c.calendar != nil && (c.calendar.ID != found.ID || found.Version <= c.calendar.Version) {
			return fmt.Errorf("the calendar is a newer version of one of %v", v.Calendars)
		}
		c.calendar = found
	}
	return nil
}

func (c *running) restart(e Event) error {
	at := slices.IndexFunc(c.version.Restarts, func(p RestartRule) bool { return p.Cause == e.Cause })
	if at < 0 {
		return fmt.Errorf("%.40q restarts no clock of this rule: %w", e.Cause, ErrUnknown)
	}
	rule, anchor := c.version.Restarts[at], e.Anchor
	if anchor.IsZero() {
		anchor = e.At
	}
	if anchor.After(e.At) {
		return errors.New("a clock does not count from a moment that is still to come")
	}
	if !rule.Decided && anchor.Before(c.anchor) {
		// The latest of the moments counts.
		return nil
	}
	c.anchor = anchor
	if !rule.Period.IsZero() {
		c.period, c.limit = rule.Period, time.Time{}
		if end := c.start.At.Add(c.version.Period.duration()); rule.Within && !anchor.After(end) {
			c.limit = end
		}
	}
	return nil
}

// open is the pause that lasts, or nil.
func (c *running) open() *span {
	if n := len(c.pauses); n > 0 && c.pauses[n-1].to.IsZero() {
		return &c.pauses[n-1]
	}
	return nil
}

// over reports that the clock had run out at that moment.
func (c *running) over(at time.Time) bool {
	d := c.due(at, c.extended, nil)
	return !d.legal.IsZero() && !at.Before(d.legal.At)
}

// state computes what the events come to.
func (c *running) state(r *Register) State {
	v := c.version
	s := State{
		Rule: c.rule.ID, Version: v.Version, Title: c.rule.Title, Kind: v.Kind, Zone: c.start.Zone,
		Anchor: c.anchor, Extended: c.extended, Newer: c.newer(r),
	}
	if c.calendar != nil {
		s.Calendar = c.calendar.Ref()
	}
	// The clock of an open pause stands at the moment of the question.
	var asOf time.Time
	if p := c.open(); p != nil {
		s.PausedSince, s.PauseCause, asOf = p.from, p.cause, p.from
	}
	d := c.due(asOf, c.extended, &s.Steps)
	s.PlanBy, s.LegalDue, s.NotBefore, s.Readings = d.plan, d.legal, d.notBefore, d.readings
	if !v.Extend.IsZero() && !c.extended {
		longer := c.due(asOf, true, nil)
		s.Extension = &Extension{By: v.Extend, NoticePlanBy: d.plan, NoticeDue: d.legal, PlanBy: longer.plan, LegalDue: longer.legal}
		s.Steps = append(s.Steps, fmt.Sprintf("With a notice sent by then it may be extended once by %s, to %s at the latest.", v.Extend.words(), c.say(longer.legal)))
	}
	if p := c.open(); p != nil {
		s.Steps = append(s.Steps, fmt.Sprintf("The clock has stood still since %s (%s); both moments move with it.", c.local(p.from), p.cause))
	}
	for _, n := range s.Newer {
		s.Steps = append(s.Steps, "Not followed: "+n+".")
	}
	return s
}

// newer lists what the register has beyond what the clock follows.
func (c *running) newer(r *Register) (found []string) {
	if n := len(c.rule.Versions); n > c.version.Version {
		found = append(found, fmt.Sprintf("version %d of the rule, in force since %s for triggers from then on", n, c.rule.Versions[n-1].From))
	}
	if c.calendar != nil {
		if n := r.newest(c.calendar.ID); n.Version > c.calendar.Version {
			found = append(found, "calendar "+n.Ref())
		}
	}
	return found
}
