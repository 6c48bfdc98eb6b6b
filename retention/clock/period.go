package clock

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Period is one of: months, days, or hours. The three never mix and never
// convert into each other: one month has no number of days, and one day is not 24
// hours.
type Period struct {
	Months, Days, Hours int
}

// The longest periods of any rule are years; the limits keep sums far from
// overflow.
const (
	maxMonths = 120
	maxDays   = 3653
	maxHours  = 24 * maxDays
)

var period = regexp.MustCompile(`^P(?:([1-9][0-9]{0,5})([MD])|T([1-9][0-9]{0,5})H)$`)

// ParsePeriod reads the durations of ISO 8601 that rules of law use: P1M, P45D,
// PT72H. It refuses everything else, among it sums, fractions, weeks and years.
func ParsePeriod(s string) (Period, error) {
	var p Period
	m := period.FindStringSubmatch(s)
	if m == nil {
		return p, fmt.Errorf("%.40q is not a period like P1M, P45D or PT72H", s)
	}
	n, err := strconv.Atoi(m[1] + m[3])
	if err != nil {
		return p, fmt.Errorf("period: %w", err)
	}
	limit := maxHours
	switch m[2] {
	case "M":
		p.Months, limit = n, maxMonths
	case "D":
		p.Days, limit = n, maxDays
	default:
		p.Hours = n
	}
	if n > limit {
		return Period{}, fmt.Errorf("the period %s is too long", s)
	}
	return p, nil
}

// IsZero reports that there is no period.
func (p Period) IsZero() bool { return p == Period{} }

// String prints what ParsePeriod reads, and nothing for no period.
func (p Period) String() string {
	switch {
	case p.Months != 0:
		return fmt.Sprintf("P%dM", p.Months)
	case p.Days != 0:
		return fmt.Sprintf("P%dD", p.Days)
	case p.Hours != 0:
		return fmt.Sprintf("PT%dH", p.Hours)
	}
	return ""
}

// UnmarshalText reads what String prints.
func (p *Period) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*p = Period{}
		return nil
	}
	*p, err = ParsePeriod(string(text))
	return err
}

// MarshalText is String.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// words prints the period as people say it.
func (p Period) words() string {
	switch {
	case p.Months != 0:
		return count(p.Months, "month")
	case p.Days != 0:
		return count(p.Days, "day")
	}
	return count(p.Hours, "hour")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// plus adds periods of one unit; the register holds no others.
func (p Period) plus(q Period) Period {
	return Period{p.Months + q.Months, p.Days + q.Days, p.Hours + q.Hours}
}

// times is the n-th repetition.
func (p Period) times(n int) Period {
	return Period{p.Months * n, p.Days * n, p.Hours * n}
}

// after adds months or days to a date.
func (p Period) after(d Date) (end Date, clamped bool) {
	if p.Months != 0 {
		return d.AddMonths(p.Months)
	}
	return d.AddDays(p.Days), false
}

// duration is the length of a period of hours.
func (p Period) duration() time.Duration { return time.Duration(p.Hours) * time.Hour }

// KeepUntil is when the time is over for which something is kept at most, counted from
// anchor: hours on the UTC timeline, months and days with the end of the last local day. It
// rounds down: one month from the 31st of January ends with the last of February. The period
// is not zero.
func (p Period) KeepUntil(anchor time.Time, zone *time.Location) time.Time {
	if p.Hours != 0 {
		return anchor.Add(p.duration()).UTC()
	}
	end, _ := p.after(dateOf(anchor, zone))
	return endOf(end, zone).UTC()
}
