package clock_test

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/retention/clock"
)

func TestParsePeriod(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]clock.Period{
		"P1M": {Months: 1}, "P18M": {Months: 18}, "P45D": {Days: 45}, "PT72H": {Hours: 72}, "PT720H": {Hours: 720},
	} {
		got, err := clock.ParsePeriod(in)
		if err != nil || got != want || got.String() != in {
			t.Errorf("%s: got %+v (%v), prints %s", in, got, err, got)
		}
	}
	for _, in := range []string{"", "P", "PT", "P0M", "P-1M", "+P1M", "P1Y", "P1W", "P1.5M", "P1M1D", "PT1M", "PT60S", "P1DT12H", "p1m", " P1M", "P1M ", "P01M", "P121M", "PT99999H", "P1H", "PT1D", "1 month", "P١M"} {
		if got, err := clock.ParsePeriod(in); err == nil {
			t.Errorf("%q was read as %s", in, got)
		}
	}
}

// One month later, from every day of a leap year and of the one after.
func TestAddMonths(t *testing.T) {
	t.Parallel()
	d := clock.Date{Year: 2028, Month: 1, Day: 1}
	for range 731 {
		for n := range 40 {
			got, clamped := d.AddMonths(n)
			months := (got.Year-d.Year)*12 + int(got.Month-d.Month)
			next := got.AddDays(1)
			if months != n || clamped != (got.Day != d.Day) || clamped && (next.Day != 1 || got.Day > d.Day) {
				t.Fatalf("%s and %d months: got %s, clamped %v", d, n, got, clamped)
			}
		}
		d = d.AddDays(1)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const calendars = "version: 1\ncalendars: [{id: DE, version: 1, title: t, source: s, checked: [2026, 2026], substitute: none, holidays: []}]\n"
	version := func(s string) string {
		return "version: 1\nrules: [{id: a.b, title: t, trigger: t, versions: [{version: 1, from: 2020-01-01, source: s, read: text, " + s + "}]}]\n"
	}
	holiday := func(s string) string {
		return "version: 1\ncalendars: [{id: DE, version: 1, title: t, source: s, checked: [2026, 2026], substitute: none, holidays: [{" + s + "}]}]\n"
	}
	for _, tt := range []struct{ name, rules, calendars, want string }{
		{"unknown version", "version: 2\nrules: []\n", calendars, "knows version 1"},
		{"unknown word", version("period: P1M, rol: true"), calendars, "rol"},
		{"no id", "version: 1\nrules: [{title: t}]\n", calendars, "without an id"},
		{"no version", "version: 1\nrules: [{id: a.b, title: t, trigger: t}]\n", calendars, "versions are missing"},
		{"empty entries", "version: 1\nrules: [null]\n", calendars, "without an id"},
		{"overlap", "version: 1\nrules: [{id: a.b, title: t, trigger: t, versions: [{version: 1, from: 2020-01-01, source: s, read: own, period: P1M}, {version: 2, from: 2021-01-01, source: s, read: own, period: P1M}]}]\n", calendars, "before the one before it ends"},
		{"two periods", version("period: P1M, workdays: 3"), calendars, "one of period"},
		{"no period", version("roll: true"), calendars, "one of period"},
		{"hours that roll", version("period: PT72H, roll: true, calendars: [DE]"), calendars, "only deadlines of days or months roll"},
		{"rolling without a calendar", version("period: P1M, roll: true"), calendars, "calendars are named"},
		{"a calendar for nothing", version("period: P1M, calendars: [DE]"), calendars, "calendars are named"},
		{"unknown calendar", version("period: P1M, roll: true, calendars: [FR]"), calendars, "nobody knows the calendar"},
		{"a day that is not in each year", version("by: 02-29"), calendars, "not a date"},
		{"mixed extension", version("period: P1M, extend: P60D"), calendars, "extend has the unit"},
		{"a minimum in hours", version("kind: minimum, period: PT24H"), calendars, "what is kept"},
		{"unknown kind", version("kind: advice, period: P1M"), calendars, "kind is one of"},
		{"one cause twice", version("period: P1M, pauses: [{cause: a}, {cause: a}]"), calendars, "once"},
		{"unknown weekday", version("period: P1M"), holiday("name: n, nth: 1 moonday 05"), "is not like"},
		{"fifth weekday", version("period: P1M"), holiday("name: n, nth: 5 monday 05"), "is not like"},
		{"no day", version("period: P1M"), holiday("name: n"), "says when"},
		{"two days", version("period: P1M"), holiday("name: n, date: 01-01, easter: 1"), "says when"},
		{"no such day", version("period: P1M"), holiday("name: n, date: 02-30"), "is not a day"},
		{"a key twice", version("period: P1M, period: P2M"), calendars, "already defined"},
		{"too long", version("period: P1M") + strings.Repeat("#", 1<<19), calendars, "more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := clock.Parse([]byte(tt.rules), []byte(tt.calendars)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}
