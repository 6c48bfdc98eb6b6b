package clock_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/retention/clock"
)

// published are the days off of 2026 and 2027 that are no weekend, one by one; the
// calendars claim these years as checked.
var published = map[string][2]string{
	"NONE":      {"", ""},
	"DE":        {"01-01 04-03 04-06 05-01 05-14 05-25 12-25", "01-01 03-26 03-29 05-06 05-17"},
	"AT":        {"01-01 01-06 04-06 05-01 05-14 05-25 06-04 10-26 12-08 12-25", "01-01 01-06 03-29 05-06 05-17 05-27 10-26 11-01 12-08"},
	"FR":        {"01-01 04-06 05-01 05-08 05-14 05-25 07-14 11-11 12-25", "01-01 03-29 05-06 05-17 07-14 11-01 11-11"},
	"IE":        {"01-01 02-02 03-17 04-06 05-04 06-01 08-03 10-26 12-25", "01-01 02-01 03-17 03-29 05-03 06-07 08-02 10-25"},
	"GB-EAW":    {"01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28", "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28"},
	"GB-SCT":    {"01-01 01-02 04-03 05-04 05-25 06-15 08-03 11-30 12-25 12-28", "01-01 01-04 03-26 05-03 05-31 08-02 11-30 12-27 12-28"},
	"GB-NIR":    {"01-01 03-17 04-03 04-06 05-04 05-25 07-13 08-31 12-25 12-28", "01-01 03-17 03-26 03-29 05-03 05-31 07-12 08-30 12-27 12-28"},
	"US":        {"01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25", "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31"},
	"US-CA":     {"01-01 01-19 02-16 05-25 09-07 11-11 11-26 12-25", "01-01 01-18 02-15 05-31 07-05 09-06 11-11 11-25"},
	"BR":        {"01-01 04-03 04-21 05-01 09-07 10-12 11-02 11-20 12-25", "01-01 03-26 04-21 09-07 10-12 11-02 11-15"},
	"BR-CLOSED": {"01-01 02-16 02-17 04-03 04-21 05-01 06-04 09-07 10-12 11-02 11-20 12-25", "01-01 02-08 02-09 03-26 04-21 05-27 09-07 10-12 11-02 11-15"},
}

func TestCalendars(t *testing.T) {
	t.Parallel()
	for _, c := range builtin(t).Calendars() {
		want, ok := published[c.ID]
		if !ok {
			t.Errorf("nobody has listed the days of %s", c.ID)
			continue
		}
		if c.ID != "NONE" && c.Checked != [2]int{2026, 2027} {
			t.Errorf("%s claims that %d were checked; the list here is of 2026 and 2027", c.ID, c.Checked)
		}
		for i, year := range []int{2026, 2027} {
			var got []string
			for _, d := range c.DaysOff(year) {
				got = append(got, fmt.Sprintf("%02d-%02d", d.Month, d.Day))
			}
			if g := strings.Join(got, " "); g != want[i] {
				t.Errorf("%s in %d:\n got %s\nwant %s", c.ID, year, g, want[i])
			}
		}
	}
}

// Rules whose year matters, and days that came once.
func TestCalendarYears(t *testing.T) {
	t.Parallel()
	calendars := map[string]*clock.Calendar{}
	for _, c := range builtin(t).Calendars() {
		calendars[c.ID] = c
	}
	for _, tt := range []struct{ id, day, why string }{
		{"DE", "2017-10-31", "Reformation Day 2017"},
		{"DE", "2018-10-31", ""},
		{"DE", "1989-10-03", ""},
		{"GB-EAW", "2020-05-08", "Early May bank holiday"},
		{"GB-EAW", "2020-05-04", ""},
		{"GB-EAW", "2022-05-30", ""},
		{"GB-EAW", "2022-06-02", "Spring bank holiday"},
		{"GB-EAW", "2022-09-19", "Royal and other single holidays"},
		{"GB-EAW", "2021-12-27", "Christmas Day (substitute day)"},
		{"GB-EAW", "2021-12-28", "Boxing Day (substitute day)"},
		{"GB-EAW", "2022-12-27", "Christmas Day (substitute day)"},
		{"GB-SCT", "2023-01-03", "New Year's Day (substitute day)"},
		{"US", "2021-12-31", "New Year's Day (substitute day)"},
		{"US", "2020-06-19", ""},
		{"US", "2026-07-04", "a Saturday"},
		{"IE", "2030-02-01", "St Brigid's Day"},
		{"IE", "2030-02-04", ""},
		{"BR", "2023-11-20", ""},
		{"BR", "2024-11-20", "Black Consciousness Day"},
	} {
		d, err := clock.ParseDate(tt.day)
		if err != nil {
			t.Fatal(err)
		}
		if got := calendars[tt.id].Off(d); got != tt.why {
			t.Errorf("%s on %s: got %q, want %q", tt.id, tt.day, got, tt.why)
		}
	}
}

func TestEaster(t *testing.T) {
	t.Parallel()
	for _, want := range []string{
		"1961-04-02", "1970-03-29", "1981-04-19", "2000-04-23", "2008-03-23", "2011-04-24", "2024-03-31", "2025-04-20", "2026-04-05", "2027-03-28",
		"2028-04-16", "2038-04-25", "2049-04-18", "2076-04-19", "2106-04-18", "2160-03-23", "2190-04-25", "2199-04-14",
	} {
		d, err := clock.ParseDate(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := clock.Easter(d.Year); got != d {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A local day ends where its last second does, whatever the clocks do around it.
func TestEndOfDay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, zone, day, end string }{
		{"an ordinary day", "Europe/Berlin", "2026-06-15", "2026-06-16T00:00:00+02:00"},
		{"23 hours", "Europe/Berlin", "2027-03-28", "2027-03-29T00:00:00+02:00"},
		{"25 hours", "Europe/Berlin", "2026-10-25", "2026-10-26T00:00:00+01:00"},
		{"midnight does not exist", "America/Sao_Paulo", "2018-11-03", "2018-11-04T01:00:00-02:00"},
		{"the last hour comes twice", "America/Sao_Paulo", "2019-02-16", "2019-02-17T00:00:00-03:00"},
		{"midnight comes twice", "America/Havana", "2026-10-31", "2026-11-01T00:00:00-04:00"},
		{"midnight does not exist in Beirut", "Asia/Beirut", "2026-03-28", "2026-03-29T01:00:00+03:00"},
		{"a day was skipped", "Pacific/Apia", "2011-12-29", "2011-12-31T00:00:00+14:00"},
		{"the day that was skipped", "Pacific/Apia", "2011-12-30", "2011-12-31T00:00:00+14:00"},
		{"half hours", "Asia/Kolkata", "2026-06-15", "2026-06-16T00:00:00+05:30"},
		{"half an hour of summer", "Australia/Lord_Howe", "2026-10-04", "2026-10-05T00:00:00+11:00"},
		{"before there were zones", "Europe/Berlin", "1890-01-01", "1890-01-02T00:00:00+00:53"},
		{"UTC", "UTC", "2199-12-31", "2200-01-01T00:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := clock.ParseDate(tt.day)
			if err != nil {
				t.Fatal(err)
			}
			got := clock.EndOf(d, zone(t, tt.zone))
			if want := instant(t, tt.end); got.Truncate(time.Minute).Sub(want).Abs() > time.Minute {
				t.Errorf("got %s, want %s", got.In(zone(t, tt.zone)), want)
			}
		})
	}
}
