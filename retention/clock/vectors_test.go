package clock_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/caregate/caregate/retention/clock"
)

// vector is one row of testdata/vectors.yaml.
type vector struct {
	Name       string       `yaml:"name"`
	Rule       string       `yaml:"rule"`
	Place      string       `yaml:"place"`
	ReceivedIn string       `yaml:"received_in"`
	Variant    string       `yaml:"variant"`
	Agreed     clock.Period `yaml:"agreed"`
	Occurrence int          `yaml:"occurrence"`
	On         string       `yaml:"on"`
	At         string       `yaml:"at"`
	Events     []struct {
		Kind   clock.Kind `yaml:"kind"`
		Cause  string     `yaml:"cause"`
		On     string     `yaml:"on"`
		At     string     `yaml:"at"`
		Anchor string     `yaml:"anchor"`
	} `yaml:"events"`
	Plan        string `yaml:"plan"`
	Legal       string `yaml:"legal"`
	NotBefore   string `yaml:"not_before"`
	LongerPlan  string `yaml:"longer_plan"`
	LongerLegal string `yaml:"longer_legal"`
	Reading     string `yaml:"reading"`
}

// places are those of the vectors.
var places = map[string]clock.Place{
	"DE":        {Zone: "Europe/Berlin", Calendar: "DE"},
	"GB-EAW":    {Zone: "Europe/London", Calendar: "GB-EAW"},
	"US":        {Zone: "America/New_York", Calendar: "US"},
	"US-NY":     {Zone: "America/New_York"},
	"US-CA":     {Zone: "America/Los_Angeles", Calendar: "US-CA"},
	"BR":        {Zone: "America/Sao_Paulo", Calendar: "BR"},
	"BR-CLOSED": {Zone: "America/Sao_Paulo", Calendar: "BR-CLOSED"},
}

func builtin(t testing.TB) *clock.Register {
	t.Helper()
	r, err := clock.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func vectors(t testing.TB) []vector {
	t.Helper()
	src, err := os.ReadFile("testdata/vectors.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := yaml.Load(src, &vs, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	return vs
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Every worked example comes out, at whatever time of its day it begins.
func TestVectors(t *testing.T) {
	t.Parallel()
	r := builtin(t)
	used := map[string]bool{}
	for _, v := range vectors(t) {
		used[v.Rule] = true
		place, ok := places[v.Place]
		if !ok {
			t.Fatalf("%s: nobody knows the place %s", v.Name, v.Place)
		}
		times := []string{v.At}
		if v.On != "" {
			times = []string{v.On + "T00:00:00", v.On + "T12:00:00", v.On + "T23:59:59"}
		}
		for _, at := range times {
			t.Run(v.Rule+"/"+v.Name+"/"+at, func(t *testing.T) {
				t.Parallel()
				v.run(t, r, place, at)
			})
		}
	}
	for _, rule := range r.Rules() {
		if !used[rule.ID] {
			t.Errorf("%s has no worked example", rule.ID)
		}
	}
}

func (v vector) run(t *testing.T, r *clock.Register, place clock.Place, at string) {
	z := zone(t, place.Zone)
	moment := func(on, at string) time.Time {
		if on != "" {
			at = on + "T12:00:00"
		}
		if len(at) == len("2026-01-02T12:00:00") {
			local, err := time.ParseInLocation("2006-01-02T15:04:05", at, z)
			if err != nil {
				t.Fatal(err)
			}
			return local
		}
		return instant(t, at)
	}
	place.ReceivedIn, place.Variant, place.Agreed, place.Occurrence = v.ReceivedIn, v.Variant, v.Agreed, v.Occurrence
	start, err := r.Start(v.Rule, moment("", at), place)
	if err != nil {
		t.Fatal(err)
	}
	events := []clock.Event{start}
	for _, e := range v.Events {
		next := clock.Event{Kind: e.Kind, At: moment(e.On, e.At), Actor: "dpo", Reason: "test", Cause: e.Cause}
		if e.Anchor != "" {
			next.Anchor = moment("", e.Anchor)
		}
		events = append(events, next)
	}
	s, err := r.Fold(events)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what, want string, got clock.Moment) {
		t.Helper()
		switch {
		case want == "":
			if !got.IsZero() {
				t.Errorf("%s: got %v, want none", what, got)
			}
		case strings.Contains(want, "T"):
			if !got.At.Equal(instant(t, want)) || got.Day != (clock.Date{}) {
				t.Errorf("%s: got %v, want %s", what, got, want)
			}
		default:
			// The day ends with its last second; then it is too late.
			last := got.At.Add(-time.Second).In(z).Format(time.DateOnly)
			if got.Day.String() != want || last != want || got.At.In(z).Format(time.DateOnly) == want {
				t.Errorf("%s: got %v (%s), want %s", what, got, last, want)
			}
		}
	}
	check("plan_by", v.Plan, s.PlanBy)
	check("legal_due", v.Legal, s.LegalDue)
	if s.Kind == clock.Minimum {
		if first := s.NotBefore.At.In(z).Format(time.DateOnly); first != v.NotBefore || !s.NotBefore.At.Equal(moment("", v.NotBefore+"T00:00:00")) {
			t.Errorf("not_before: got %v, want the beginning of %s", s.NotBefore, v.NotBefore)
		}
	} else {
		check("not_before", v.NotBefore, s.NotBefore)
	}
	if v.LongerLegal != "" {
		if s.Extension == nil {
			t.Fatal("nothing may be extended")
		}
		check("plan_by after an extension", v.LongerPlan, s.Extension.PlanBy)
		check("legal_due after an extension", v.LongerLegal, s.Extension.LegalDue)
		notice := clock.Event{Kind: clock.Extended, At: s.LegalDue.At.Add(-time.Second), Actor: "dpo", Reason: "complex", Notice: "msg-1"}
		long, err := r.Fold(append(events, notice))
		if err != nil {
			t.Fatal(err)
		}
		check("plan_by of the extended clock", v.LongerPlan, long.PlanBy)
		check("legal_due of the extended clock", v.LongerLegal, long.LegalDue)
		if !long.Extended || long.Extension != nil {
			t.Error("an extended clock may be extended again")
		}
		notice.At = s.LegalDue.At
		if _, err := r.Fold(append(events, notice)); err == nil {
			t.Error("a notice sent when the period was over extended it")
		}
	}
	if v.Reading != "" {
		if len(s.Readings) != 1 || !s.Readings[0].Due.At.Equal(instant(t, v.Reading)) {
			t.Errorf("other readings: got %v, want %s", s.Readings, v.Reading)
		}
	}
	if want := fmt.Sprintf("%s@%d", v.Rule, start.Version); len(s.Steps) < 3 || !strings.HasPrefix(s.Steps[0], want) {
		t.Errorf("the explanation does not begin with %s: %q", want, s.Steps)
	}
}
