package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.yaml.in/yaml/v4"
)

// What a RateLimit counts.
const (
	LimitCalls    = "calls"    // calls to governed systems
	LimitReveals  = "reveals"  // tokens that somebody asks the gateway to open
	LimitSubjects = "subjects" // different persons that calls and their answers name
)

// countable is the closed list of what can be limited.
var countable = [...]string{LimitCalls, LimitReveals, LimitSubjects}

const (
	shortestRate = time.Minute
	longestRate  = 7 * 24 * time.Hour
	// mostOfRate bounds a row's number; of different persons, each is a row of a table.
	mostOfRate     = 1_000_000_000
	mostSubjects   = 100_000
	largestNorm    = 100
	normWindow     = 24 * time.Hour
	maxRateLimits  = 64 // of one decision: each is a look at a table
	rateNameLength = 16
)

// RateLimit is a row of the operator's documents that fits a call: how much of something its
// caller may have. It is a part of a Decision; the gateway counts, rules do not.
type RateLimit struct {
	// Of is one of the Limit constants.
	Of string `json:"of"`
	// Name tells rows apart. It stays the same when Most, Norm and Incident change, so that a changed
	// row goes on with what was counted.
	Name string `json:"name"`
	// Most is how many there may be within Window seconds. The window slides.
	Most   int `json:"most"`
	Window int `json:"window"`
	// Norm, when set, permits as many times what the caller had in an average day of the
	// seven days before, if that is more than Most.
	Norm int `json:"norm,omitempty"`
	// Incident: who goes over it is suspected of a breach, and the gateway opens an incident.
	Incident bool `json:"incident,omitempty"`
}

// Period is Window as a time.
func (l *RateLimit) Period() time.Duration { return time.Duration(l.Window) * time.Second }

// rateRow is a limits row.
type rateRow struct {
	about
	RateLimit
}

func (p *overlayParser) limit(n *yaml.Node) {
	out := rateRow{about: aboutAll()}
	named := false
	number := func(v *yaml.Node, what string, most int) int {
		x, err := strconv.Atoi(v.Value)
		if err != nil || x < 1 || x > most {
			p.fail(v, "%s wants a number from 1 to %d", what, most)
		}
		return x
	}
	p.members(n, "a limits row", func(key string, v *yaml.Node) bool {
		switch key {
		case "of":
			if !slices.Contains(countable[:], v.Value) {
				p.fail(v, "of wants what is counted: %s", strings.Join(countable[:], ", "))
			}
			out.Of = v.Value
		case "most":
			out.Most = number(v, "most", mostOfRate)
		case "norm":
			out.Norm = number(v, "norm", largestNorm)
		case "incident":
			if v.Value != "true" && v.Value != "false" {
				p.fail(v, "incident wants true or false")
			}
			out.Incident = v.Value == "true"
		case "window":
			window, err := time.ParseDuration(v.Value)
			if err != nil || window < shortestRate || window > longestRate || window%time.Second != 0 {
				p.fail(v, "window wants whole seconds from %v to %v, as 1h or 24h", shortestRate, longestRate)
			}
			out.Window = int(window / time.Second)
		default:
			named = named || key == "operation"
			return p.aboutMember(&out.about, key, v)
		}
		return true
	}, "of", "operation", "roles", "most", "window", "norm", "incident")
	switch {
	case out.Of == "" || out.Most == 0 || out.Window == 0:
		p.fail(n, "a limits row wants of, most and window")
	case named && (out.Of == LimitReveals || out.channel == OwnChannel):
		p.fail(n, "operation is one of a channel that is governed; reveals are all of one kind")
	case out.Norm > 0 && (out.Of == LimitSubjects || out.Period() != normWindow):
		p.fail(n, "norm goes with calls or reveals and a window of 24h: it compares days")
	case out.Of == LimitSubjects && out.Most > mostSubjects:
		p.fail(n, "most wants a number from 1 to %d for subjects", mostSubjects)
	}
	roles := slices.Clone(out.roles)
	slices.Sort(roles)
	sum := sha256.Sum256([]byte(strings.Join(append(roles, out.Of, out.channel, out.operation, out.ending, strconv.Itoa(out.Window)), "\n")))
	out.Name = hex.EncodeToString(sum[:])[:rateNameLength]
	p.out.limits = append(p.out.limits, out)
}

// limitIndex has the limits of all documents. A later row that differs in most, norm or
// incident only takes the place of the earlier.
func limitIndex(overlays []*Overlay) map[string]any {
	rows := make(map[string]rateRow)
	var order []string
	for _, o := range overlays {
		for _, r := range o.limits {
			if _, ok := rows[r.Name]; !ok {
				order = append(order, r.Name)
			}
			rows[r.Name] = r
		}
	}
	index := make(aboutIndex)
	for _, name := range order {
		r := rows[name]
		row := map[string]any{"of": r.Of, "name": r.Name, "most": r.Most, "window": r.Window, "norm": r.Norm}
		if r.Incident {
			row["incident"] = true
		}
		index.add(r.about, row)
	}
	return index
}

// readLimits reads which limits fit a call.
func readLimits(v ast.Value) ([]RateLimit, error) {
	rows, ok := v.(ast.Set)
	if !ok || rows.Len() > maxRateLimits {
		return nil, fmt.Errorf("%w: limits is no set, or has more than %d members", ErrUndecided, maxRateLimits)
	}
	var out []RateLimit
	for _, x := range rows.Slice() {
		number := func(key *ast.Term) int {
			n, ok := wholeOf(member(x.Value, key))
			if !ok {
				return -1
			}
			return n
		}
		l := RateLimit{Most: number(keyMost), Window: number(keyWindow), Norm: number(keyNorm)}
		incident, ok := member(x.Value, keyIncident).(ast.Boolean)
		if !ok && member(x.Value, keyIncident) != nil {
			return nil, fmt.Errorf("%w: a limit is not of its form", ErrUndecided)
		}
		l.Incident = bool(incident)
		l.Of, _ = textOf(member(x.Value, keyOf))
		l.Name, _ = textOf(member(x.Value, keyName))
		if !slices.Contains(countable[:], l.Of) || len(l.Name) != rateNameLength || l.Most < 1 || l.Norm < 0 || l.Period() < shortestRate || l.Period() > longestRate {
			return nil, fmt.Errorf("%w: a limit is not of its form", ErrUndecided)
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b RateLimit) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
