package clock

import (
	"fmt"
	"time"
	_ "time/tzdata" // a container without zone files must not get other deadlines, or none
)

// Date is a day of the Gregorian calendar, without a place.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// dateOf is the local date of an instant.
func dateOf(t time.Time, zone *time.Location) Date {
	y, m, d := t.In(zone).Date()
	return Date{y, m, d}
}

// ParseDate reads "2026-02-28" and refuses days that do not exist.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is not a date like 2026-02-28", s)
	}
	return dateOf(t, time.UTC), nil
}

// String prints "2026-02-28".
func (d Date) String() string {
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
}

// UnmarshalText reads what String prints.
func (d *Date) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDate(string(text))
	return err
}

// MarshalText is String.
func (d Date) MarshalText() ([]byte, error) {
	return []byte(d.String()), nil
}

// words prints a date as people check it: with its day of the week.
func (d Date) words() string {
	return d.Weekday().String()[:3] + " " + d.String()
}

// number counts days since 1970-01-01.
func (d Date) number() int {
	return int(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// Weekday is the day of the week.
func (d Date) Weekday() time.Weekday {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Weekday()
}

// Before reports whether d is an earlier day than e.
func (d Date) Before(e Date) bool {
	return d.Year < e.Year || d.Year == e.Year && (d.Month < e.Month || d.Month == e.Month && d.Day < e.Day)
}

// AddDays is n days later, or earlier for a negative n.
func (d Date) AddDays(n int) Date {
	return dateOf(time.Date(d.Year, d.Month, d.Day+n, 0, 0, 0, 0, time.UTC), time.UTC)
}

// AddMonths is the same number of day n months later, or the last day of that
// month if it has no such day; clamped tells that. (Regulation 1182/71 Art. 3(2)(c).)
// Adding twice one month is not adding two: add to the original date.
func (d Date) AddMonths(n int) (later Date, clamped bool) {
	first := time.Date(d.Year, d.Month+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return Date{first.Year(), first.Month(), min(d.Day, last)}, d.Day > last
}

// easter is Easter Sunday of the Gregorian calendar, by the anonymous algorithm
// (J. Meeus, Astronomical Algorithms, chapter 8).
func easter(year int) Date {
	a, b, c := year%19, year/100, year%100
	h := (19*a + b - b/4 - (b-(b+8)/25+1)/3 + 15) % 30
	l := (32 + 2*(b%4) + 2*(c/4) - h - c%4) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return Date{year, time.Month(n / 31), n%31 + 1}
}

// endOf is the end of a local day, 24:00: the first instant from which on the
// local date is a later one. Where clocks go back over midnight that is the second
// midnight, where they skip midnight the moment of the jump, where a zone skipped
// a whole day the end of the day before.
func endOf(d Date, zone *time.Location) time.Time {
	next := d.AddDays(1)
	// Noon UTC of the day after the next is a later local date everywhere: zones
	// differ from UTC by less than a day. From there back to the last moment of d.
	t := time.Date(next.Year, next.Month, next.Day+1, 12, 0, 0, 0, time.UTC)
	for {
		start, _ := t.In(zone).ZoneBounds()
		_, offset := t.In(zone).Zone()
		midnight := time.Date(next.Year, next.Month, next.Day, 0, 0, 0, 0, time.UTC).Add(-time.Duration(offset) * time.Second)
		if start.IsZero() || midnight.After(start) {
			return midnight
		}
		before := start.Add(-1)
		if dateOf(before, zone).Before(next) {
			return start.UTC()
		}
		t = before
	}
}
