package clock

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Calendar is one version of the public holidays of a place. Saturdays and
// Sundays are never working days in any of them.
type Calendar struct {
	// ID and Version name it: DE@1.
	ID      string `yaml:"id"`
	Version int    `yaml:"version"`
	// Title and Source say which holidays these are and where they come from.
	Title  string `yaml:"title"`
	Source string `yaml:"source"`
	// Checked are the first and the last year whose days somebody listed one by one;
	// other years are computed by the same rules.
	Checked [2]int `yaml:"checked,flow"`
	// Substitute says what becomes of holidays on a weekend.
	Substitute string    `yaml:"substitute"`
	Holidays   []holiday `yaml:"holidays"`

	// days holds the days off that are not weekends, as sorted numbers.
	days []int
}

// What becomes of a holiday on a weekend.
const (
	substituteNone    = "none"    // it is lost
	substituteNext    = "next"    // the next day that is neither weekend nor holiday
	substituteNearest = "nearest" // of a Saturday the Friday before, of a Sunday the Monday after
	substituteSunday  = "sunday"  // of a Sunday the Monday after; of a Saturday nothing
)

var substitutes = []string{substituteNone, substituteNext, substituteNearest, substituteSunday}

// holiday is one rule; exactly one of Date, Easter, Nth and On says when.
type holiday struct {
	Name string `yaml:"name"`
	// Date is month and day: "12-25".
	Date string `yaml:"date"`
	// Easter counts days from Easter Sunday: -2 is Good Friday.
	Easter *int `yaml:"easter"`
	// Nth is a weekday of a month: "3 monday 01", "last monday 05".
	Nth string `yaml:"nth"`
	// On lists single days, decreed once.
	On []Date `yaml:"on,flow"`
	// Since and Until are the first and last year; 0 has no bound.
	Since int `yaml:"since"`
	Until int `yaml:"until"`
	// Except moves the holiday in single years; the date zero is none at all.
	Except map[int]Date `yaml:"except"`

	in func(year int) Date
}

// The years of deadlines that can be computed, and of triggers.
const (
	firstYear   = 1970
	lastTrigger = 2199
	lastYear    = 2210 // no period is longer than ten years
)

// compile reads the rules and computes the days.
func (c *Calendar) compile() error {
	if !slices.Contains(substitutes, c.Substitute) {
		return fmt.Errorf("calendar %s: substitute is one of %s", c.ID, strings.Join(substitutes, ", "))
	}
	if c.Title == "" || c.Source == "" || c.Checked[0] > c.Checked[1] {
		return fmt.Errorf("calendar %s: title, source and the checked years are missing", c.ID)
	}
	for i := range c.Holidays {
		if err := c.Holidays[i].compile(); err != nil {
			return fmt.Errorf("calendar %s: %w", c.ID, err)
		}
	}
	for year := firstYear; year <= lastYear; year++ {
		for d := range c.year(year) {
			if w := d.Weekday(); w != time.Saturday && w != time.Sunday {
				c.days = append(c.days, d.number())
			}
		}
	}
	slices.Sort(c.days)
	c.days = slices.Compact(c.days)
	return nil
}

func (h *holiday) compile() error {
	if h.Name == "" {
		return errors.New("a holiday has no name")
	}
	given := 0
	if h.Date != "" {
		given++
		// 2000 is a leap year; a holiday on 29 February would need a rule of its own.
		d, err := ParseDate("2000-" + h.Date)
		if err != nil || h.Date == "02-29" {
			return fmt.Errorf("%s: %q is not a day like 12-25", h.Name, h.Date)
		}
		h.in = func(year int) Date { return Date{year, d.Month, d.Day} }
	}
	if h.Easter != nil {
		given++
		n := *h.Easter
		if n < -60 || n > 70 {
			return fmt.Errorf("%s: %d days from Easter is too far", h.Name, n)
		}
		h.in = func(year int) Date { return easter(year).AddDays(n) }
	}
	if h.Nth != "" {
		given++
		if err := h.compileNth(); err != nil {
			return err
		}
	}
	if len(h.On) > 0 {
		given++
	}
	if given != 1 {
		return fmt.Errorf("%s: one of date, easter, nth and on says when", h.Name)
	}
	if len(h.On) > 0 && (h.Since != 0 || h.Until != 0 || len(h.Except) > 0) {
		return fmt.Errorf("%s: single days have no since, until or except", h.Name)
	}
	return nil
}

func (h *holiday) compileNth() error {
	word := strings.Fields(h.Nth)
	bad := fmt.Errorf("%s: %q is not like `3 monday 01` or `last monday 05`", h.Name, h.Nth)
	if len(word) != 3 {
		return bad
	}
	day := slices.IndexFunc([]time.Weekday{0, 1, 2, 3, 4, 5, 6}, func(w time.Weekday) bool { return strings.EqualFold(w.String(), word[1]) })
	month, err := strconv.Atoi(word[2])
	if day < 0 || err != nil || month < 1 || month > 12 {
		return bad
	}
	if word[0] == "last" {
		h.in = func(year int) Date {
			end := Date{year, time.Month(month), 1}
			end, _ = end.AddMonths(1)
			end = end.AddDays(-1)
			return end.AddDays(-((int(end.Weekday()) - day + 7) % 7))
		}
		return nil
	}
	n, err := strconv.Atoi(word[0])
	if err != nil || n < 1 || n > 4 {
		return bad
	}
	h.in = func(year int) Date {
		first := Date{year, time.Month(month), 1}
		return first.AddDays((day-int(first.Weekday())+7)%7 + 7*(n-1))
	}
	return nil
}

// year computes the holidays of a year with their substitutes, which may lie in
// the year before.
func (c *Calendar) year(year int) map[Date]string {
	named := map[Date]string{}
	for _, h := range c.Holidays {
		if h.in == nil {
			for _, d := range h.On {
				if d.Year == year {
					named[d] = h.Name
				}
			}
			continue
		}
		if h.Since != 0 && year < h.Since || h.Until != 0 && year > h.Until {
			continue
		}
		d, moved := h.Except[year]
		if !moved {
			d = h.in(year)
		}
		named[d] = h.Name
	}
	actual := make([]Date, 0, len(named))
	for d := range named {
		actual = append(actual, d)
	}
	slices.SortFunc(actual, func(a, b Date) int { return a.number() - b.number() })
	for _, d := range actual {
		w := d.Weekday()
		if w != time.Saturday && w != time.Sunday {
			continue
		}
		by := d
		switch {
		case c.Substitute == substituteNearest && w == time.Saturday:
			by = d.AddDays(-1)
		case (c.Substitute == substituteNearest || c.Substitute == substituteSunday) && w == time.Sunday:
			by = d.AddDays(1)
		case c.Substitute == substituteNext:
			for by = d.AddDays(1); named[by] != "" || by.Weekday() == time.Saturday || by.Weekday() == time.Sunday; {
				by = by.AddDays(1)
			}
		}
		if named[by] == "" {
			named[by] = named[d] + " (substitute day)"
		}
	}
	return named
}

// off says why a day is no working day; "" for a working day.
func (c *Calendar) off(d Date) string {
	switch d.Weekday() {
	case time.Saturday, time.Sunday:
		return "a " + d.Weekday().String()
	}
	if !c.isHoliday(d) {
		return ""
	}
	for _, year := range []int{d.Year, d.Year + 1} {
		if name := c.year(year)[d]; name != "" {
			return name
		}
	}
	return "a holiday"
}

func (c *Calendar) isHoliday(d Date) bool {
	_, found := slices.BinarySearch(c.days, d.number())
	return found
}

// works reports whether a day is a working day.
func (c *Calendar) works(d Date) bool {
	w := d.Weekday()
	return w != time.Saturday && w != time.Sunday && !c.isHoliday(d)
}

// next is the first working day from d on.
func (c *Calendar) next(d Date) Date {
	for !c.works(d) {
		d = d.AddDays(1)
	}
	return d
}

// workday is the n-th working day after d that skip does not pass over.
func (c *Calendar) workday(d Date, n int, skip func(Date) bool) Date {
	for n > 0 {
		d = d.AddDays(1)
		if c.works(d) && !skip(d) {
			n--
		}
	}
	return d
}

// Ref is the calendar's name with its version: "DE@1".
func (c *Calendar) Ref() string { return c.ID + "@" + strconv.Itoa(c.Version) }

// weekends is the calendar that knows no holidays: the strictest reading of
// "working day".
var weekends = &Calendar{ID: "weekends", Substitute: substituteNone}
