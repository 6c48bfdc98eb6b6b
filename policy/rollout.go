package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.yaml.in/yaml/v4"
)

// Bounds of rollouts.
const (
	// maxRollouts bounds what is rolled out at once: each is looked at in every call.
	maxRollouts = 64
	// longestRollout is the longest window. What has not shown in a quarter is decided by
	// people.
	longestRollout = 92 * 24 * time.Hour
	// FewestActors is how many different persons it takes at least to send a rollout back:
	// nobody does it alone.
	FewestActors = 2
	fewestSigns  = 5
	defaultSigns = 20
	defaultActs  = 3
)

// Rollout is a row or a rule that counts for a share of the callers first. Outside of it,
// and after it went back, everything is as the rest of the policy says: that is its former
// state, and no row has to name it.
type Rollout struct {
	// Name names it in the log. It is unique in a policy.
	Name string `json:"name"`
	// Class and Action are those of an enforcement row, Undo for how many seconds its masks
	// can be undone; Rule is the code of a deployment's own rule. Either Class or Rule is
	// set.
	Class  string `json:"class,omitempty"`
	Action string `json:"action,omitempty"`
	Undo   int    `json:"undo,omitempty"`
	Rule   string `json:"rule,omitempty"`
	// Route and Role narrow it; "*" for all.
	Route string `json:"route"`
	Role  string `json:"role"`
	// Share is for how many callers of a hundred it counts.
	Share int `json:"share"`
	// From is when it begins. Until is when its window ends: then it stays, and does not
	// go back by itself any more.
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Revert says what sends it back; nil for nothing.
	Revert *RevertAt `json:"revert,omitempty"`

	id string // what ID answers, in those of an Engine
}

// RevertAt are the rates that send a rollout back within its window.
type RevertAt struct {
	// Undone is how many of a hundred masks were undone, Denied how many of a hundred
	// calls of proven staff were denied for nothing else; 0 where it does not matter.
	Undone int `json:"undone,omitempty"`
	Denied int `json:"denied,omitempty"`
	// Least is how many must have been, Actors by how many different persons.
	Least  int `json:"least"`
	Actors int `json:"actors"`
}

// ID names this very rollout: 32 hexadecimal digits over all that it says. One that is
// changed in anything is another one, which has not gone back.
func (r *Rollout) ID() string {
	if r.id != "" {
		return r.id
	}
	doc, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings, numbers and two times within the years that JSON knows
	}
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:16])
}

// Began tells whether it has begun at an instant, InWindow whether its window is open.
func (r *Rollout) Began(now time.Time) bool { return !now.Before(r.From) }

// InWindow tells whether it has begun and can go back.
func (r *Rollout) InWindow(now time.Time) bool { return r.Began(now) && now.Before(r.Until) }

// Includes tells whether it counts for an actor, whenever. digest is a keyed digest, as
// vault.(*Vault).Digest: what goes into it is the ID under which the actor was proven, or
// its credential known, and which nobody can choose; so the same actor is always in or
// always out, stays in when the share grows, and cannot find out which by trying names.
// Callers whom nobody knows are in: leaving a credential out is no way around it.
func (r *Rollout) Includes(a *Actor, digest func(purpose string, b []byte) []byte) bool {
	switch {
	case r.Share >= 100:
		return true
	case r.Share <= 0:
		return false
	case a.Kind == KindAnonymous:
		return true
	}
	sum := digest("rollout", joined(r.Name, a.ID))
	return binary.BigEndian.Uint64(sum)%100 < uint64(r.Share)
}

// Concerns tells whether it is about the calls of an actor on a route.
func (r *Rollout) Concerns(route string, a *Actor) bool {
	return (r.Route == "*" || r.Route == route) && (r.Role == "*" || slices.Contains(a.Roles, r.Role))
}

// Rollouts are the rollouts of the policy, sorted by name. Do not change them.
func (e *Engine) Rollouts() []Rollout { return e.rollouts }

// Enforced names what the policy enforces without a rollout: rows and rules of the
// deployment's own, in words that [Rollout.Loosens] reads.
func (e *Engine) Enforced() []string { return e.enforced }

// Loosens tells whether going back would loosen something that a policy enforced before
// it was rolled out, as Enforced named it.
func (r *Rollout) Loosens(enforced string) bool {
	var what [4]string
	if json.Unmarshal([]byte(enforced), &what) != nil {
		return true // nobody knows what it was
	}
	meets := func(a, b string) bool { return a == b || a == "*" || b == "*" }
	return what[0] == r.Rule && meets(what[1], classOf(r)) && meets(what[2], r.Route) && meets(what[3], r.Role)
}

// ruleOf is the rule that one of the words of Enforced names, anyRule for what nobody can
// read; false for a row of a class.
func ruleOf(enforced string) (string, bool) {
	var what [4]string
	if json.Unmarshal([]byte(enforced), &what) != nil {
		return anyRule, true
	}
	return what[0], what[0] != ""
}

// classOf is the class of a rollout, or what stands for it in one of a rule.
func classOf(r *Rollout) string {
	if r.Rule != "" {
		return "*"
	}
	return r.Class
}

// target is one of the words of Enforced.
func target(rule, class, route, role string) string {
	doc, _ := json.Marshal([4]string{rule, class, route, role}) // strings always marshal
	return string(doc)
}

// rollout reads a row.
func (p *overlayParser) rollout(n *yaml.Node) {
	before := len(p.errs)
	r := Rollout{Route: "*", Role: "*", Share: 100}
	var undo *yaml.Node
	p.members(n, "a rollout", func(key string, v *yaml.Node) bool {
		switch key {
		case "name":
			if r.Name = v.Value; !isRolloutName(r.Name) {
				p.fail(v, "name wants 1 to 64 lower-case letters, digits, hyphens and underscores")
			}
		case "class":
			if _, ok := p.tables.Classes[v.Value]; !ok {
				p.fail(v, "class %q is not known; the classes are %s", v.Value, names(p.tables.Classes))
			}
			r.Class = v.Value
		case "rule":
			if !isCode(ownPrefix + v.Value) {
				p.fail(v, "rule wants the code of a rule of your own")
			}
			r.Rule = v.Value
		case "action":
			if p.tables.Rank[v.Value] < p.tables.EnforcedFrom {
				p.fail(v, "action of a rollout wants one that enforces: mask, tokenize, drop or block")
			}
			r.Action = v.Value
		case "undo":
			undo = v
			if d, err := time.ParseDuration(v.Value); err != nil || d < ShortestUndo || d > LongestUndo || d%time.Second != 0 {
				p.fail(v, "undo wants whole seconds from %v to %v, as 90m or 24h", ShortestUndo, LongestUndo)
			} else {
				r.Undo = int(d / time.Second)
			}
		case "route":
			if v.Value == "" || len(v.Value) > maxName {
				p.fail(v, "route wants the name of a route, at most %d bytes", maxName)
			}
			r.Route = v.Value
		case "role":
			if _, ok := p.tables.Roles[v.Value]; !ok {
				p.fail(v, "role %q is not known; the roles are %s", v.Value, names(p.tables.Roles))
			}
			r.Role = v.Value
		case "share":
			r.Share = p.number(v, "share", 0, 100)
		case "from":
			r.From = p.instant(v, "from")
		case "until":
			r.Until = p.instant(v, "until")
		case "revert":
			r.Revert = p.revert(v)
		default:
			return false
		}
		return true
	}, "name", "class", "action", "undo", "rule", "route", "role", "share", "from", "until", "revert")
	switch {
	case len(p.errs) > before:
	case r.Name == "" || r.From.IsZero() || r.Until.IsZero():
		p.fail(n, "a rollout wants name, from and until")
	case (r.Class == "") == (r.Rule == "") || (r.Class == "") != (r.Action == ""):
		p.fail(n, "a rollout wants class and action, or the rule of your own that is rolled out")
	case !r.Until.After(r.From) || r.Until.Sub(r.From) > longestRollout:
		p.fail(n, "until of a rollout is after from, by %d days at most", int(longestRollout.Hours()/24))
	case r.Action == "tokenize" && slices.Contains(p.tables.NeverKept, r.Class):
		p.fail(n, "%s may not be kept in any form after authorisation, so it cannot be tokenized; use drop or block", r.Class)
	case undo != nil && (r.Action != "mask" || slices.Contains(p.tables.NeverKept, r.Class)):
		p.fail(undo, "undo goes with action mask, and not with what may not be kept after authorisation")
	case r.Revert != nil && slices.Contains(p.tables.NeverReverted, r.Class):
		p.fail(n, "%s is never taken back by itself: nobody may switch protection off by provoking denials; leave revert out", r.Class)
	case r.Revert != nil && r.Revert.Undone > 0 && undo == nil:
		p.fail(n, "revert on undone masks wants masks that can be undone: undo")
	case slices.ContainsFunc(p.out.rollouts, func(o Rollout) bool { return o.Name == r.Name }):
		p.fail(n, "there are two rollouts of the name %s", r.Name)
	case len(p.out.rollouts) == maxRollouts:
		p.fail(n, "more than %d rollouts", maxRollouts)
	default:
		p.out.rollouts = append(p.out.rollouts, r)
	}
}

func (p *overlayParser) revert(n *yaml.Node) *RevertAt {
	at := RevertAt{Least: defaultSigns, Actors: defaultActs}
	p.members(n, "revert", func(key string, v *yaml.Node) bool {
		switch key {
		case "undone":
			at.Undone = p.number(v, "undone", 1, 100)
		case "denied":
			at.Denied = p.number(v, "denied", 1, 100)
		case "least":
			at.Least = p.number(v, "least", fewestSigns, 1_000_000)
		case "actors":
			at.Actors = p.number(v, "actors", FewestActors, 1000)
		default:
			return false
		}
		return true
	}, "undone", "denied", "least", "actors")
	if at.Undone == 0 && at.Denied == 0 {
		p.fail(n, "revert wants a rate: undone or denied, in per cent")
	}
	if at.Actors > at.Least {
		p.fail(n, "revert wants no more actors than least")
	}
	return &at
}

// number reads a whole number within bounds.
func (p *overlayParser) number(v *yaml.Node, what string, least, most int) int {
	n, err := strconv.Atoi(v.Value)
	if err != nil || n < least || n > most {
		p.fail(v, "%s wants a number from %d to %d", what, least, most)
		return least
	}
	return n
}

// instant reads a time.
func (p *overlayParser) instant(v *yaml.Node, what string) time.Time {
	t, err := time.Parse(time.RFC3339, v.Value)
	if err != nil || t.Year() < 2000 || t.Year() > 9000 {
		p.fail(v, "%s wants an instant, as 2026-12-01T08:00:00Z", what)
		return time.Time{}
	}
	return t.UTC()
}

func isRolloutName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= maxCode
}

// joinRollouts are those of all documents, later ones winning, sorted by name.
func joinRollouts(overlays []*Overlay) []Rollout {
	byName := make(map[string]Rollout)
	for _, o := range overlays {
		for _, r := range o.rollouts {
			byName[r.Name] = r
		}
	}
	out := make([]Rollout, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		r := byName[name]
		r.id = r.ID()
		out = append(out, r)
	}
	return out
}

// rolloutIndex is what rules see of them: rows by class and by rule.
func rolloutIndex(list []Rollout) map[string]any {
	classes, rules := make(map[string]any), make(map[string]any)
	for _, r := range list {
		row := map[string]any{"name": r.Name, "route": r.Route, "role": r.Role}
		to, key := rules, r.Rule
		if r.Rule == "" {
			row["action"], row["undo"] = r.Action, r.Undo
			to, key = classes, r.Class
		}
		rows, _ := to[key].([]any)
		to[key] = append(rows, row)
	}
	return map[string]any{"classes": classes, "rules": rules}
}

// checkRollouts refuses a rollout of a rule that is not there: it would hold nothing back
// and roll out nothing.
func checkRollouts(list []Rollout, codes []string) error {
	if len(list) > maxRollouts {
		return fmt.Errorf("the documents have more than %d rollouts together", maxRollouts)
	}
	for _, r := range list {
		if r.Rule != "" && !slices.Contains(codes, r.Rule) {
			return fmt.Errorf("rollout %s: no rule of yours is written as deny contains %q", r.Name, r.Rule)
		}
	}
	return nil
}

// ownCodes are the codes that the operator's rules name as they are written, sorted.
func ownCodes(modules map[string]*ast.Module, own []string) []string {
	var codes []string
	for _, name := range own {
		for _, r := range modules[name].Rules {
			if nameOf(r) != denyRule {
				continue
			}
			if code, ok := r.Head.Key.Value.(ast.String); ok {
				codes = append(codes, string(code))
			}
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// enforcedTargets are the words of Enforced.
func enforcedTargets(t *tables, overlays []*Overlay, codes []string, rolling []Rollout) []string {
	var out []string
	for _, o := range overlays {
		for _, row := range o.rows {
			if t.Rank[row.action] >= t.EnforcedFrom {
				out = append(out, target("", row.class, row.route, row.role))
			}
		}
	}
	for _, code := range codes {
		if !slices.ContainsFunc(rolling, func(r Rollout) bool { return r.Rule == code }) {
			out = append(out, target(code, "*", "*", "*"))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
