package schedule_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/retention/schedule"
)

func TestBuiltin(t *testing.T) {
	t.Parallel()
	s, err := schedule.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Rules) != 2 || s.Rules[0].Period.String() != "P18M" || s.Rules[0].From != schedule.Closing || s.Rules[1].Period.String() != "PT720H" || len(s.Check()) != 0 {
		t.Errorf("got %+v, %+v", s, s.Check())
	}
}

// Each mistake has its line and column, and says what to do.
func TestMistakes(t *testing.T) {
	t.Parallel()
	const head = "version: 1\nrevision: r1\nrules:\n"
	const good = "purpose: support, from: creation, action: delete, period: P1M"
	for name, test := range map[string]struct{ src, want string }{
		"nothing":           {"", "t.yaml:1:1: the file is empty"},
		"no YAML":           {"a: [", "not YAML"},
		"two documents":     {"version: 1\n---\nversion: 1\n", "a second YAML document"},
		"no rules":          {"version: 1\nrevision: r1\n", "has no `rules`"},
		"another version":   {"version: 2\nrevision: r1\nrules:\n  - {id: a, " + good + "}\n", "t.yaml:1:10: `version` is 1"},
		"an anchor":         {head + "  - &a {id: a, " + good + "}\n", "anchors, aliases and tags"},
		"unknown key":       {head + "  - {id: a, days: 3, " + good + "}\n", `t.yaml:4:13: unknown key "days"`},
		"unknown channel":   {head + "  - {id: a, channel: zendex, " + good + "}\n", `t.yaml:4:22: there is no channel "zendex": there are adyen`},
		"unknown type":      {head + "  - {id: a, channel: zendesk, types: [tickets], " + good + "}\n", `there are no records of the type "tickets" in the channel zendesk: there are `},
		"unknown class":     {head + "  - {id: a, classes: [cards], " + good + "}\n", `"cards" is no data class`},
		"unknown region":    {head + "  - {id: a, region: eu, " + good + "}\n", `there is no region "eu": say under`},
		"an id twice":       {head + "  - {id: a, " + good + "}\n  - {id: a, " + good + "}\n", "t.yaml:5:5: the rule of line 4 has this id"},
		"years":             {head + "  - {id: a, purpose: p, from: creation, action: delete, period: P2Y}\n", "years are months: P24M"},
		"no period":         {head + "  - {id: a, purpose: p, from: creation, action: delete}\n", "a rule has a `period`"},
		"a rule of answers": {head + "  - {id: a, purpose: p, from: creation, action: delete, rule: eu.dsar.respond}\n", "says for how long something is kept at most"},
		"another action":    {head + "  - {id: a, purpose: p, from: creation, action: shred, period: P1M}\n", "`action` is one of: delete, redact, forget"},
		"a host with path":  {"version: 1\nrevision: r1\nregions:\n  - {id: eu, hosts: [a.example/b]}\nrules:\n  - {id: a, " + good + "}\n", "t.yaml:4:22: a host is written as"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := schedule.Parse("t.yaml", []byte(test.src), nil)
			if !errors.Is(err, schedule.ErrSchedule) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// Which of two rules counts, and why.
func TestCheck(t *testing.T) {
	t.Parallel()
	rule := func(id, about string) string {
		return "  - {id: " + id + ", from: creation, period: P1M, " + about + "}\n"
	}
	for name, test := range map[string]struct{ a, b, wins, why string }{
		"type before channel":    {"purpose: p, action: delete, types: [ticket]", "purpose: p, action: delete, channel: zendesk", "a", "a names types"},
		"channel before region":  {"purpose: p, action: delete, region: eu", "purpose: p, action: redact, channel: zendesk", "b", "b names a channel"},
		"region before class":    {"purpose: p, action: delete, classes: [email]", "purpose: p, action: delete, region: eu", "b", "b names a region"},
		"class before nothing":   {"purpose: p, action: delete, classes: [email]", "purpose: p, action: delete", "a", "a names classes"},
		"as much":                {"purpose: p, action: delete", "purpose: p, action: redact", "", "both count"},
		"two purposes":           {"purpose: p, action: delete", "purpose: q, action: delete, types: [ticket]", "", "two purposes"},
		"other channels":         {"purpose: p, action: delete, channel: zendesk", "purpose: p, action: delete, channel: stripe", "-", ""},
		"other types":            {"purpose: p, action: delete, types: [ticket]", "purpose: p, action: delete, types: [user]", "-", ""},
		"other regions":          {"purpose: p, action: delete, region: eu", "purpose: p, action: delete, region: us", "-", ""},
		"a region below another": {"purpose: p, action: delete, region: eu", "purpose: p, action: delete, region: de", "", "both count"},
		"a class and all":        {"purpose: p, action: redact, classes: [email]", "purpose: p, action: delete", "-", ""},
		"source and index":       {"purpose: p, action: forget", "purpose: p, action: delete", "-", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := parse(t, "version: 1\nrevision: r1\nregions:\n  - {id: eu, hosts: [\"*.eu.example\"]}\n  - {id: us, hosts: [us.example]}\n  - {id: de, hosts: [de.eu.example]}\nrules:\n"+rule("a", test.a)+rule("b", test.b))
			got := s.Check()
			if test.wins == "-" {
				if len(got) != 0 {
					t.Errorf("got %+v, want none", got)
				}
				return
			}
			if len(got) != 1 || got[0].Wins != test.wins || !strings.Contains(got[0].Why, test.why) || got[0].Line != 8 || got[0].OtherLine != 9 {
				t.Errorf("got %+v, want %s: %s", got, test.wins, test.why)
			}
		})
	}
}

// Whatever a file says: a schedule whose rules have ids and periods, or mistakes with places.
func FuzzParse(f *testing.F) {
	f.Add([]byte(rules))
	f.Add([]byte("version: 1\nrules: [{id: a}]\n"))
	f.Add([]byte("a: &a [*a]"))
	if src, err := os.ReadFile("default.yaml"); err == nil {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := schedule.Parse("f", src, nil)
		if err != nil {
			if !errors.Is(err, schedule.ErrSchedule) || !strings.Contains(err.Error(), "f:") {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		ids := make(map[string]bool)
		for _, r := range s.Rules {
			if r.ID == "" || ids[r.ID] || r.Period.IsZero() || r.Line < 1 {
				t.Fatalf("rule %+v", r)
			}
			ids[r.ID] = true
		}
		s.Check()
	})
}
