package clock

// For tests of the arithmetic alone.
var (
	Easter = easter
	EndOf  = endOf
)

// DaysOff lists the days of a year that are neither weekend nor working day.
func (c *Calendar) DaysOff(year int) (days []Date) {
	for d := (Date{year, 1, 1}); d.Year == year; d = d.AddDays(1) {
		if c.isHoliday(d) {
			days = append(days, d)
		}
	}
	return days
}

// Off says why a day is none to work on.
func (c *Calendar) Off(d Date) string { return c.off(d) }
