package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caregate/caregate/retention/index"
)

// track is what an action is done to. Rules of one track answer the same question.
type track struct {
	index bool   // our row; otherwise the record at its source
	class string // a class in it; empty for the record as a whole
}

// tracks are those of a rule, by the classes it names.
func (r *Rule) tracks() []track {
	switch {
	case r.Action == Forget:
		return []track{{index: true}}
	case r.Action == Redact && len(r.Classes) > 0:
		out := make([]track, len(r.Classes))
		for i, c := range r.Classes {
			out[i] = track{class: c}
		}
		return out
	}
	return []track{{}}
}

// weight says how much a rule says about a record: the type counts before the channel, the
// channel before the region, the region before the class.
func (r *Rule) weight() (w int) {
	for _, named := range []bool{len(r.Types) > 0, r.Channel != "", r.Region != "", len(r.Classes) > 0} {
		w *= 2
		if named {
			w++
		}
	}
	return w
}

// matches tells whether a rule is about a record.
func (r *Rule) matches(rec *index.Record, classes []string) bool {
	return (r.Channel == "" || r.Channel == rec.Channel) &&
		(len(r.Types) == 0 || slices.Contains(r.Types, rec.Type)) &&
		(r.Region == "" || slices.ContainsFunc(r.hosts, func(h string) bool { return isHost(h, rec.Host) })) &&
		(len(r.Classes) == 0 || slices.ContainsFunc(r.Classes, func(c string) bool { return slices.Contains(classes, c) }))
}

// isHost tells whether a host is the one of a region, or one below its wildcard.
func isHost(want, host string) bool {
	below, wild := strings.CutPrefix(want, "*")
	return want == host || wild && len(host) > len(below) && strings.HasSuffix(host, below)
}

// question is one track of a record, with the rules that count together.
type question struct {
	track
	rules []*Rule
}

// questions are those that a schedule asks about a record, in a fixed order.
func (s *Schedule) questions(rec *index.Record, classes []string) (out []question) {
	for i := range s.Rules {
		r := &s.Rules[i]
		if !r.matches(rec, classes) {
			continue
		}
		for _, t := range r.tracks() {
			if t.class != "" && !slices.Contains(classes, t.class) {
				continue
			}
			at := slices.IndexFunc(out, func(q question) bool { return q.track == t })
			if at < 0 {
				at = len(out)
				out = append(out, question{track: t})
			}
			out[at].rules = append(out[at].rules, r)
		}
	}
	for i := range out {
		q := &out[i]
		q.rules = slices.DeleteFunc(slices.Clone(q.rules), func(r *Rule) bool {
			return slices.ContainsFunc(q.rules, func(o *Rule) bool { return o.Purpose == r.Purpose && o.weight() > r.weight() })
		})
	}
	slices.SortFunc(out, func(a, b question) int {
		if a.index != b.index {
			if a.index {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.class, b.class)
	})
	return out
}

// Clash is two rules that are about the same records.
type Clash struct {
	// Rule and Other are their ids, Line and OtherLine where they stand.
	Rule      string `json:"rule"`
	Line      int    `json:"line"`
	Other     string `json:"other"`
	OtherLine int    `json:"other_line"`
	// Wins is the id of the one that counts, empty where both do.
	Wins string `json:"wins,omitempty"`
	Why  string `json:"why"`
}

// MaxClashes is how many clashes Check returns.
const MaxClashes = 1000

// Check returns where rules meet, in the order of the file; at most MaxClashes.
func (s *Schedule) Check() []Clash {
	out := []Clash{}
	for i := range s.Rules {
		for j := i + 1; j < len(s.Rules); j++ {
			a, b := &s.Rules[i], &s.Rules[j]
			if !a.meets(b) {
				continue
			}
			if len(out) == MaxClashes {
				return out
			}
			c := Clash{Rule: a.ID, Line: a.Line, Other: b.ID, OtherLine: b.Line}
			switch wa, wb := a.weight(), b.weight(); {
			case a.Purpose != b.Purpose:
				c.Why = fmt.Sprintf("two purposes, %s and %s: both count, and what both are about is kept until the later one lets go of it", a.Purpose, b.Purpose)
			case wa == wb:
				c.Why = "neither says more about the records than the other: both count, and what both are about is kept until the later one lets go of it"
			case wa > wb:
				c.Wins, c.Why = a.ID, saysMore(a, b)
			default:
				c.Wins, c.Why = b.ID, saysMore(b, a)
			}
			out = append(out, c)
		}
	}
	return out
}

// saysMore says why a rule goes before another one of its purpose.
func saysMore(a, b *Rule) string {
	for _, part := range []struct {
		name       string
		has, other bool
	}{
		{"types", len(a.Types) > 0, len(b.Types) > 0}, {"a channel", a.Channel != "", b.Channel != ""},
		{"a region", a.Region != "", b.Region != ""}, {"classes", len(a.Classes) > 0, len(b.Classes) > 0},
	} {
		if part.has && !part.other {
			return fmt.Sprintf("%s names %s, %s does not: for records of both it alone counts", a.ID, part.name, b.ID)
		}
	}
	return ""
}

// meets tells whether two rules can be about one record, on one track.
func (r *Rule) meets(o *Rule) bool {
	theirs := o.tracks()
	if !slices.ContainsFunc(r.tracks(), func(t track) bool { return slices.Contains(theirs, t) }) {
		return false
	}
	if r.Channel != "" && o.Channel != "" && r.Channel != o.Channel {
		return false
	}
	if len(r.Types) > 0 && len(o.Types) > 0 && !slices.ContainsFunc(r.Types, func(t string) bool { return slices.Contains(o.Types, t) }) {
		return false
	}
	if r.Region == "" || o.Region == "" {
		return true
	}
	// A name below a wildcard of one may be below one of the other.
	return slices.ContainsFunc(r.hosts, func(h string) bool {
		return slices.ContainsFunc(o.hosts, func(g string) bool {
			return isHost(h, strings.Replace(g, "*", "x", 1)) || isHost(g, strings.Replace(h, "*", "x", 1))
		})
	})
}
