package clock_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/retention/clock"
)

var update = flag.Bool("update", false, "write docs/legal-clocks.md anew")

// groups are the headings of the page, by the first part of a rule's id.
var groups = []struct {
	title    string
	prefixes []string
}{
	{"European Union", []string{"eu", "nis2", "dora", "cra"}},
	{"United Kingdom", []string{"uk"}},
	{"California", []string{"ca"}},
	{"Other law of the United States", []string{"us", "hipaa", "sec"}},
	{"Brazil", []string{"br"}},
	{"Card industry", []string{"pci"}},
	{"Caregate's own policy", []string{"int"}},
}

// docs/legal-clocks.md tells what the register holds:
// go test ./retention/clock -run TestPage -update
func TestPage(t *testing.T) {
	t.Parallel()
	r := builtin(t)
	var b strings.Builder
	b.WriteString(`# Legal clocks

<!-- Generated from retention/clock/rules.yaml and calendars.yaml by ` + "`go test ./retention/clock -run TestPage -update`" + `. -->

The periods of law that Caregate can compute, and how. **This is engineering, not legal advice**: check a rule with counsel before you rely on it.
Breach clocks and [access reviews](access-reviews.md) run by it ([incidents](incidents.md)), and so do [requests of persons](requests.md); purges are not in the gateway yet ([design 0024](design/0024-legal-clocks.md)).

Each clock has up to three moments. ` + "`legal_due`" + ` is the last defensible one: past it, a duty was breached. ` + "`plan_by`" + ` is the strictest reading of the rule, never later; alarms go by it.
` + "`not_before`" + `, of what is kept for a time, is the first moment at which it may be destroyed or done.

- **Hours** run through nights, weekends, holidays and changes of the clocks. 72 hours are 259,200 seconds.
- **Days, months and working days** are counted on the calendar of the place where the duty arises. The day of the trigger does not count. The last day counts to its end, 24:00 there.
- **A month later** is the same number of day, or the last of a shorter month: from 31 August, 30 September. It is always added to the first day, never to a date that was shortened or moved before.
- **Weekends and holidays** move the end only where the table says "next working day", and only in ` + "`legal_due`" + `. Which holidays, the tenant says: the calendars are below. Where a country is missing, NONE is safe: it ends no later than the law.
- **Working days** are counted without holidays in ` + "`plan_by`" + `.
- **What must at least be kept** is rounded up, what may at most be kept is rounded down.
- **A pause** adds the days after the question up to the answer; "both days" also that of the question. A **later start** counts from the latest of the moments. An **extension** counts from the first day and needs a notice within the first period.
- **A new version** of a rule or of a calendar moves no clock that runs. That there is one is shown; to take over a newer calendar is an entry with a name and a reason.

"Known from" says what was read: the **text** of the law, **secondary** accounts of it, or neither (**unconfirmed**); **own** is no law.
`)
	left := map[string]bool{}
	for _, rule := range r.Rules() {
		left[rule.ID] = true
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| rule | duty | from | period | moved by | law | known from |\n| --- | --- | --- | --- | --- | --- | --- |\n", g.title)
		for _, rule := range r.Rules() {
			if !slices.Contains(g.prefixes, strings.Split(rule.ID, ".")[0]) {
				continue
			}
			delete(left, rule.ID)
			for _, v := range rule.Versions {
				row(&b, rule, v)
			}
		}
	}
	for id := range left {
		t.Errorf("%s is in no group of the page", id)
	}
	b.WriteString(`
## Calendars

Saturdays and Sundays are no working days in any of them. A date that was computed for a year that nobody has checked day by day says so.

| calendar | holidays | from | checked |
| --- | --- | --- | --- |
`)
	for _, c := range r.Calendars() {
		checked := fmt.Sprintf("%d to %d", c.Checked[0], c.Checked[1])
		if c.ID == "NONE" {
			checked = "nothing to check"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c.Ref(), c.Title, c.Source, checked)
	}
	const page = "../../docs/legal-clocks.md"
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != b.String() {
		t.Errorf("%s is not current (%v): write it with -update", page, err)
	}
}

func row(b *strings.Builder, rule *clock.Rule, v *clock.Version) {
	var period []string
	switch {
	case v.Workdays != 0:
		period = append(period, fmt.Sprintf("%d working days", v.Workdays))
	case v.By != "":
		period = append(period, "by "+v.By+" of the next year")
	case !v.Target.IsZero():
		period = append(period, "no number; plan "+v.Target.String())
	default:
		period = append(period, v.Period.String())
	}
	for _, part := range []struct {
		is   bool
		text string
	}{
		{v.Kind == clock.Minimum, "at least"},
		{v.Kind == clock.Purge, "at most"},
		{v.Agreed, "or the contract's"},
		{v.YearEnd, "from the end of the year"},
		{v.Through, "the last day included"},
		{v.Repeat, "again and again"},
		{v.Roll, "then the next working day"},
		{v.PlanEarlier != 0, "plan a day earlier"},
		{len(v.Calendars) > 0, "calendar " + strings.Join(v.Calendars, ", ")},
	} {
		if part.is {
			period = append(period, part.text)
		}
	}
	var moved []string
	for _, p := range v.Pauses {
		text := "pause: " + p.Cause
		if p.BothDays {
			text += " (both days)"
		}
		moved = append(moved, text)
	}
	for _, p := range v.Restarts {
		text := "later start: " + p.Cause
		switch {
		case p.Within:
			text += fmt.Sprintf(" (then %s, within the first period)", p.Period)
		case p.Decided:
			text = "new start: " + p.Cause
		}
		moved = append(moved, text)
	}
	if !v.Extend.IsZero() {
		moved = append(moved, "extension by "+v.Extend.String())
	}
	for _, name := range slices.Sorted(maps.Keys(v.Variants)) {
		moved = append(moved, fmt.Sprintf("variant `%s`: %s", name, v.Variants[name].Title))
	}
	id := fmt.Sprintf("`%s@%d`", rule.ID, v.Version)
	duty := rule.Title + "."
	if v.Note != "" {
		duty += " " + v.Note
	}
	in := "triggers from " + v.From.String()
	if (v.Until != clock.Date{}) {
		in += ", before " + v.Until.String()
	}
	fmt.Fprintf(b, "| %s | %s | %s; %s | %s | %s | %s | %s |\n", id, strings.ToUpper(duty[:1])+duty[1:], rule.Trigger, in, strings.Join(period, ", "), strings.Join(moved, "; "), v.Source, v.Read)
}
