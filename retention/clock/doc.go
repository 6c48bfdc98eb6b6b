// Package clock computes when a legal duty is due.
//
// It is pure: events in, instants and an explanation out. It keeps nothing, asks
// no system clock and decides nothing about a case; the time zones it reads are
// those of Go's time package, which this package also compiles in for machines
// that have none. It is engineering, not legal advice: what each rule was read
// from, and how surely, stands beside it in rules.yaml.
//
// # Words
//
// A rule (eu.dsar.respond) is a duty with a period. It has versions; each is in
// force for clocks whose trigger falls between two dates. A clock is one running
// duty, and nothing but its events: started, paused, resumed, extended,
// restarted, recalendared. Fold turns them into a State:
//
//   - LegalDue is the last defensible moment; past it a duty was breached.
//   - PlanBy is the strictest reading of the rule, never later than LegalDue.
//     Alarms and plans go by it.
//   - NotBefore, of rules that say how long something is kept, is the earliest
//     moment at which it may be destroyed or done.
//
// # Arithmetic
//
//   - Hours are added on the UTC timeline, never on a wall clock.
//   - Months, days and working days are counted on dates in the zone of the place
//     where the duty arises, the day of the trigger not counted, and end with that
//     local day, at 24:00. A day that daylight saving makes 23 or 25 hours long is
//     one day.
//   - One month later is the same number of day, or the last day of a shorter
//     month. Months are always added to the original anchor, never to a date that
//     was already shortened or rolled.
//   - Where a rule rolls, an end on a Saturday, Sunday or public holiday moves to
//     the end of the next working day; in PlanBy never.
//   - Periods for which something must at least be kept round up, those for which
//     it may at most be kept round down.
//   - A pause adds whole days to periods of days and months, hours to periods of
//     hours, and is passed over where working days are counted.
//
// # Versions
//
// A clock keeps the version of the rule in force at its trigger and the version of
// the calendar that its started event names, whatever the register learns later:
// a past date can be computed again, and none moves silently. State.Newer says
// that something newer exists; taking over a newer calendar is an event with an
// actor. No rule known today reaches back into clocks that run.
//
// Calendars are computed from rules and listed exceptions for every year. For
// years whose holidays nobody has listed one by one yet the explanation says so.
package clock
