package clock

import (
	"fmt"
	"slices"
	"time"
)

// due is one computation.
type due struct {
	plan, legal, notBefore Moment
	readings               []Reading
}

// steps collects the explanation; nil where nobody reads it.
type steps []string

func (s *steps) say(format string, args ...any) {
	if s != nil {
		*s = append(*s, fmt.Sprintf(format, args...))
	}
}

// due computes the moments of a clock as they stand at asOf: a pause that is open
// then counts up to that moment.
func (c *running) due(asOf time.Time, extended bool, explain *[]string) due {
	say := (*steps)(explain)
	v := c.version
	say.say("%s@%d, in force for triggers from %s%s: %s.", c.rule.ID, v.Version, v.From, until(v.Until), v.Source)
	if c.start.Variant != "" {
		say.say("Variant %s: %s.", c.start.Variant, v.Variants[c.start.Variant].Title)
	}
	if c.anchor.Equal(c.start.At) {
		say.say("It counts from %s (%s).", c.local(c.anchor), c.rule.Trigger)
	} else {
		say.say("The trigger was %s (%s); it counts from %s.", c.local(c.start.At), c.rule.Trigger, c.local(c.anchor))
	}
	var d due
	switch {
	case c.workdays != 0:
		d = c.dueInWorkdays(asOf, say)
	case v.By != "":
		d = c.dueByDay(say)
	case c.period.Hours != 0 || !v.Target.IsZero():
		d = c.dueInHours(asOf, extended, say)
	default:
		d = c.dueInDays(asOf, extended, say)
	}
	if !d.notBefore.IsZero() && v.Kind == Minimum {
		say.say("not_before: %s.", c.sayStart(d.notBefore))
		return d
	}
	if d.plan.At.After(d.legal.At) && !d.legal.IsZero() {
		d.plan = d.legal
	}
	say.say("plan_by: %s.", c.say(d.plan))
	if d.legal.IsZero() {
		say.say("legal_due: none; the law has no number.")
	} else {
		say.say("legal_due: %s.", c.say(d.legal))
	}
	for _, r := range d.readings {
		say.say("For information only: %s would end %s.", r.Name, c.say(r.Due))
	}
	return d
}

// dueInHours adds on the UTC timeline.
func (c *running) dueInHours(asOf time.Time, extended bool, say *steps) (d due) {
	paused := c.pausedFor(asOf)
	add := func(p Period) time.Time { return c.anchor.Add(p.duration() + paused) }
	if paused != 0 {
		say.say("It stood still for %s.", paused)
	}
	if t := c.version.Target; !t.IsZero() {
		d.plan.At = add(t)
		say.say("The law has no number here; the plan is %s.", t.words())
		if a := c.start.Agreed; !a.IsZero() {
			d.legal.At = add(a)
			say.say("The contract says %s.", a.words())
		}
		return d
	}
	p := c.period
	if extended {
		p = p.plus(c.version.Extend)
	}
	end := add(p)
	say.say("%s, every hour of the day and of the week: %s.", p.words(), c.local(end))
	if !c.limit.IsZero() && end.After(c.limit.Add(paused)) {
		end = c.limit.Add(paused)
		say.say("But no later than %s after the trigger: %s.", c.version.Period.words(), c.local(end))
	}
	d.plan.At, d.legal.At = end, end
	if c.version.Kind != Deadline {
		d.notBefore = d.legal
	}
	if c.noon {
		if moved, ok := c.toNoon(dateOf(end, c.zone), say); ok {
			d.legal = moved
		}
	}
	if c.version.NextHour {
		local := c.anchor.In(c.zone)
		full := c.anchor.Add(time.Hour - time.Duration(local.Minute())*time.Minute - time.Duration(local.Second())*time.Second)
		d.readings = append(d.readings, Reading{"counting from the next full hour (Regulation 1182/71 Art. 3(1))", Moment{At: full.Add(p.duration() + paused)}})
	}
	return d
}

// dueInDays counts months or days on local dates.
func (c *running) dueInDays(asOf time.Time, extended bool, say *steps) (d due) {
	v := c.version
	from := dateOf(c.anchor, c.zone)
	planFrom := from
	if there := dateOf(c.anchor, c.received); there.Before(from) {
		planFrom = there
		say.say("Where it came in it was still %s; the plan counts from there.", there.words())
	}
	if v.YearEnd {
		from, planFrom = Date{from.Year, time.December, 31}, Date{planFrom.Year, time.December, 31}
		say.say("It counts from the end of the year, %s.", from)
	}
	p := c.period
	if v.Repeat {
		n := max(c.start.Occurrence, 1)
		p = p.times(n)
		say.say("Time %d of every %s, counted from the same anchor.", n, c.period.words())
	}
	base := p
	if extended {
		p = p.plus(v.Extend)
		say.say("Extended by %s, to %s in all.", v.Extend.words(), p.words())
	}
	end, clamped := p.after(from)
	if clamped {
		say.say("%s after %s: there is no day %d in that month, so its last, %s.", p.words(), from, from.Day, end.words())
	} else {
		say.say("%s after %s, that day not counted: %s.", p.words(), from, end.words())
	}
	plan, _ := p.after(planFrom)
	if extended {
		// Somebody may count the extension from the end of the first period.
		chained, _ := base.after(planFrom)
		chained, _ = v.Extend.after(chained)
		if chained.Before(plan) {
			plan = chained
			say.say("Counted in two steps it would be %s; the plan goes by that.", plan.words())
		}
	}
	if n := c.pausedDays(asOf).count(); n > 0 {
		end, plan = end.AddDays(n), plan.AddDays(n)
		say.say("It stood still on %s: %s.", count(n, "day"), end.words())
	}
	if v.PlanEarlier != 0 {
		plan = plan.AddDays(-v.PlanEarlier)
		say.say("The day of the trigger may count as the first: the plan is %s.", plan.words())
	}
	if v.Kind == Minimum {
		first := end
		if v.Through || clamped {
			first = end.AddDays(1)
			say.say("What is kept for a time is kept through %s.", end.words())
		}
		last := first.AddDays(-1)
		d.notBefore = Moment{At: endOf(last, c.zone), Day: last}
		return d
	}
	d.plan = Moment{At: endOf(plan, c.zone), Day: plan}
	if c.noon {
		if moved, ok := c.toNoon(end, say); ok {
			d.legal = moved
			return d
		}
	}
	if c.roll {
		if why := c.calendar.off(end); why != "" {
			next := c.calendar.next(end)
			say.say("%s is %s; the next working day by calendar %s%s is %s.", end, why, c.calendar.Ref(), c.unchecked(next), next.words())
			end = next
		}
	}
	d.legal = Moment{At: endOf(end, c.zone), Day: end}
	if v.Kind == Purge {
		d.notBefore = d.legal
		d.plan = d.legal
	}
	return d
}

// dueInWorkdays counts working days. The plan knows no holidays.
func (c *running) dueInWorkdays(asOf time.Time, say *steps) (d due) {
	from := dateOf(c.anchor, c.zone)
	planFrom := from
	if there := dateOf(c.anchor, c.received); there.Before(from) {
		planFrom = there
	}
	paused := c.pausedDays(asOf)
	end := c.calendar.workday(from, c.workdays, paused.has)
	plan := weekends.workday(planFrom, c.workdays, paused.has)
	say.say("%s after %s by calendar %s%s, that day not counted: %s.", count(c.workdays, "working day"), from, c.calendar.Ref(), c.unchecked(end), end.words())
	if n := paused.count(); n > 0 {
		say.say("It stood still on %s.", count(n, "day"))
	}
	if plan.Before(end) {
		say.say("Without holidays: %s; the plan goes by that.", plan.words())
	}
	return due{plan: Moment{At: endOf(plan, c.zone), Day: plan}, legal: Moment{At: endOf(end, c.zone), Day: end}}
}

// dueByDay is a day of the next year.
func (c *running) dueByDay(say *steps) (d due) {
	by := Date{dateOf(c.anchor, c.zone).Year + 1, c.version.by.Month, c.version.by.Day}
	say.say("It is due each year by the same day: %s.", by.words())
	m := Moment{At: endOf(by, c.zone), Day: by}
	return due{plan: m, legal: m}
}

// toNoon moves an end on a day off to noon of the next working day.
func (c *running) toNoon(end Date, say *steps) (Moment, bool) {
	why := c.calendar.off(end)
	if why == "" {
		return Moment{}, false
	}
	next := c.calendar.next(end)
	noon := time.Date(next.Year, next.Month, next.Day, 12, 0, 0, 0, c.zone).UTC()
	say.say("%s is %s; noon of the next working day by calendar %s%s is %s.", end, why, c.calendar.Ref(), c.unchecked(next), c.local(noon))
	return Moment{At: noon}, true
}

// pausedFor is how long the clock stood still since its anchor.
func (c *running) pausedFor(asOf time.Time) (sum time.Duration) {
	for _, p := range c.pauses {
		from, to := p.from, p.end(asOf)
		if from.Before(c.anchor) {
			from = c.anchor
		}
		if to.After(from) {
			sum += to.Sub(from)
		}
	}
	return sum
}

// days is a set of dates: rows of day numbers, sorted and apart.
type days [][2]int

func (s days) count() (n int) {
	for _, row := range s {
		n += row[1] - row[0] + 1
	}
	return n
}

func (s days) has(d Date) bool {
	n := d.number()
	return slices.ContainsFunc(s, func(row [2]int) bool { return row[0] <= n && n <= row[1] })
}

// pausedDays are the local dates on which the clock stood still, from its anchor
// on; a day is one, however many pauses touch it.
func (c *running) pausedDays(asOf time.Time) (set days) {
	first := dateOf(c.anchor, c.zone).number()
	for _, p := range c.pauses {
		if p.to.IsZero() && !asOf.After(p.from) {
			continue // it begins at this moment and has cost no day yet
		}
		from, to := dateOf(p.from, c.zone).number(), dateOf(p.end(asOf), c.zone).number()
		if !p.bothDays {
			from++
		}
		from = max(from, first)
		if n := len(set); n > 0 {
			from = max(from, set[n-1][1]+1)
		}
		if from <= to {
			set = append(set, [2]int{from, to})
		}
	}
	return set
}

// end is the end of a pause, asOf while it lasts.
func (p span) end(asOf time.Time) time.Time {
	if p.to.IsZero() {
		return asOf
	}
	return p.to
}

// unchecked says that nobody has listed the holidays of a year one by one.
func (c *running) unchecked(d Date) string {
	if c.calendar.Checked[0] <= d.Year && d.Year <= c.calendar.Checked[1] {
		return ""
	}
	return " (computed by rule; nobody has checked that year yet)"
}

// local prints an instant at the place of the duty.
func (c *running) local(t time.Time) string { return t.In(c.zone).Format(time.RFC3339) }

// say prints a deadline.
func (c *running) say(m Moment) string {
	if m.IsZero() {
		return "no fixed moment"
	}
	if m.Day == (Date{}) {
		return fmt.Sprintf("%s (%s)", c.local(m.At), m.At.Format(time.RFC3339))
	}
	return fmt.Sprintf("the end of %s in %s (%s)", m.Day.words(), c.start.Zone, m.At.Format(time.RFC3339))
}

// sayStart prints the moment from which on something may be done.
func (c *running) sayStart(m Moment) string {
	return fmt.Sprintf("the beginning of %s in %s (%s)", m.Day.AddDays(1).words(), c.start.Zone, m.At.Format(time.RFC3339))
}

func until(d Date) string {
	if d == (Date{}) {
		return ""
	}
	return " until before " + d.String()
}
