package schedule

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/retention/clock"
)

// Actions of rules.
const (
	// Delete takes the record away at its source.
	Delete = "delete"
	// Redact masks what is found in it at its source: the classes of the rule, or all.
	Redact = "redact"
	// Forget takes the record out of our own index.
	Forget = "forget"
)

// From what a period counts.
const (
	Creation = "creation"
	Closing  = "closing"
)

// Schedule is a version of the rules. It does not change and may be used concurrently.
type Schedule struct {
	// Digest is the SHA-256 of the file, in hexadecimal digits: which version it is.
	Digest string `json:"digest"`
	// Revision is what the operator calls this version.
	Revision string   `json:"revision"`
	Regions  []Region `json:"regions,omitempty"`
	Rules    []Rule   `json:"rules"`

	channels map[string]*channel.Channel
}

// Action is how an action is carried out at the source of records, nil where nobody but a person
// can.
func (s *Schedule) Action(action, name, typ string) *channel.Action {
	ch := s.channels[name]
	if ch == nil {
		return nil
	}
	return ch.Action(action, typ)
}

// Region is a name for accounts: which of them a region is the index cannot know.
type Region struct {
	ID string `json:"id"`
	// Hosts are accounts, as acme-eu.zendesk.com or *.eu.example.com.
	Hosts []string `json:"hosts"`
}

// Rule says for how long something is kept.
type Rule struct {
	ID string `json:"id"`
	// Purpose is what the records are kept for.
	Purpose string `json:"purpose"`
	// Channel, Types, Region and Classes are which records: empty for any. Of classes the
	// record has one at least.
	Channel string   `json:"channel,omitempty"`
	Types   []string `json:"types,omitempty"`
	Region  string   `json:"region,omitempty"`
	Classes []string `json:"classes,omitempty"`
	// From is Creation or Closing.
	From string `json:"from"`
	// Period is the time from then on; Clock is the rule of package clock that it is of, or
	// empty.
	Period clock.Period `json:"period"`
	Clock  string       `json:"rule,omitempty"`
	// Action is Delete, Redact or Forget.
	Action string `json:"action"`
	// Line is where it begins in the file.
	Line int `json:"line"`

	hosts []string // of the region
}

// Limits of a schedule.
const (
	// MaxFile is how large a file may be, in bytes.
	MaxFile = 256 << 10
	// MaxRules bounds what a plan keeps in memory and how long it takes for a record.
	MaxRules = 200
	maxList  = 200
)

// ErrSchedule is wrapped when a schedule has mistakes.
var ErrSchedule = errors.New("the schedule has mistakes")

var (
	idForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	hostForm = regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[1-9][0-9]{0,4})?$`)
)

//go:embed default.yaml
var builtin []byte

// Builtin is the schedule of whoever has none: conversations for 18 months from their closing,
// what logs of vendors say of persons for 30 days.
func Builtin() (*Schedule, error) { return Parse("default.yaml", builtin, nil) }

// Parse reads a schedule. file stands in messages only; own are channels beside the built-in
// ones. The error wraps ErrSchedule and has a line "file:line:column: what" for each mistake,
// which says what to do and quotes names and ids only.
func Parse(file string, src []byte, own []*channel.Channel) (*Schedule, error) {
	sum := sha256.Sum256(src)
	s := &Schedule{Digest: hex.EncodeToString(sum[:])}
	r := &reader{file: file}
	if top := r.document(src); top != nil {
		if err := r.schedule(top, s, own); err != nil {
			return nil, err
		}
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// known is what rules may name.
type known struct {
	types    map[string][]string // by channel
	channels map[string]*channel.Channel
	periods  map[string]clock.Period
}

func whatIsKnown(own []*channel.Channel) (k known, err error) {
	k.types, k.channels = make(map[string][]string), make(map[string]*channel.Channel)
	for _, name := range channel.Names() {
		c, err := channel.Load(name)
		if err != nil {
			return k, err
		}
		k.types[name], k.channels[name] = c.RecordTypes(), c
	}
	for _, c := range own {
		k.types[c.Name], k.channels[c.Name] = c.RecordTypes(), c
	}
	k.periods, err = periods()
	return k, err
}

// periods are those of the rules of package clock that say for how long something is kept at
// most. They are part of the program, so they are read once.
var periods = sync.OnceValues(func() (map[string]clock.Period, error) {
	register, err := clock.Builtin()
	if err != nil {
		return nil, err
	}
	found := make(map[string]clock.Period)
	for _, rule := range register.Rules() {
		if v := rule.Versions[len(rule.Versions)-1]; v.Kind == clock.Purge {
			found[rule.ID] = v.Period
		}
	}
	return found, nil
})

func (r *reader) schedule(top *yaml.Node, s *Schedule, own []*channel.Channel) error {
	k, err := whatIsKnown(own)
	if err != nil {
		return err
	}
	s.channels = k.channels
	m := r.object(top, "the schedule", []string{"version", "revision", "rules"}, "regions")
	if v := r.text(m["version"], "`version`"); v != "" && v != "1" {
		r.fail(m["version"], "`version` is 1: another one is for another version of this program")
	}
	s.Revision = r.id(m["revision"], "`revision`")
	for _, n := range r.list(m["regions"], "`regions`", maxList) {
		o := r.object(n, "a region", []string{"id", "hosts"})
		region := Region{ID: r.id(o["id"], "`id`")}
		for _, host := range r.texts(o["hosts"], "`hosts`") {
			if !hostForm.MatchString(host.Value) {
				r.fail(host, "a host is written as acme.zendesk.com or *.zendesk.com, without scheme and path")
			}
			region.Hosts = append(region.Hosts, host.Value)
		}
		if slices.ContainsFunc(s.Regions, func(o Region) bool { return o.ID == region.ID }) && region.ID != "" {
			r.fail(n, "a region has the id of another one: give it one of its own")
		}
		s.Regions = append(s.Regions, region)
	}
	for _, n := range r.list(m["rules"], "`rules`", MaxRules) {
		rule := r.rule(n, s, k)
		if i := slices.IndexFunc(s.Rules, func(o Rule) bool { return o.ID == rule.ID }); i >= 0 && rule.ID != "" {
			r.fail(n, "the rule of line %d has this id: plans and events name rules by it", s.Rules[i].Line)
		}
		s.Rules = append(s.Rules, rule)
	}
	return nil
}

func (r *reader) rule(n *yaml.Node, s *Schedule, k known) Rule {
	m := r.object(n, "a rule", []string{"id", "purpose", "from", "action"}, "channel", "types", "region", "classes", "period", "rule")
	rule := Rule{Line: n.Line, ID: r.id(m["id"], "`id`"), Purpose: r.id(m["purpose"], "`purpose`"), From: r.oneOf(m["from"], "`from`", Creation, Closing), Action: r.oneOf(m["action"], "`action`", Delete, Redact, Forget)}
	rule.Channel = r.text(m["channel"], "`channel`")
	if _, ok := k.types[rule.Channel]; rule.Channel != "" && !ok {
		r.fail(m["channel"], "there is no channel %.40q: there are %s", rule.Channel, strings.Join(slices.Sorted(maps.Keys(k.types)), ", "))
		rule.Channel = ""
	}
	for _, t := range r.texts(m["types"], "`types`") {
		if !k.has(rule.Channel, t.Value) {
			r.fail(t, "there are no records of the type %.40q%s: there are %s", t.Value, channelWord(rule.Channel), strings.Join(k.all(rule.Channel), ", "))
		}
		rule.Types = append(rule.Types, t.Value)
	}
	for _, c := range r.texts(m["classes"], "`classes`") {
		if _, ok := redact.Lookup(c.Value); !ok {
			r.fail(c, "%.40q is no data class: docs/data-classes.md lists them", c.Value)
		}
		rule.Classes = append(rule.Classes, c.Value)
	}
	if rule.Region = r.text(m["region"], "`region`"); rule.Region != "" {
		i := slices.IndexFunc(s.Regions, func(o Region) bool { return o.ID == rule.Region })
		if i < 0 {
			r.fail(m["region"], "there is no region %.40q: say under `regions` which hosts it is", rule.Region)
		} else {
			rule.hosts = s.Regions[i].Hosts
		}
	}
	r.period(n, m, &rule, k)
	return rule
}

func (r *reader) period(n *yaml.Node, m map[string]*yaml.Node, rule *Rule, k known) {
	switch {
	case (m["period"] == nil) == (m["rule"] == nil):
		r.fail(n, "a rule has a `period` as P18M, P30D or PT72H, or the `rule` of docs/legal-clocks.md that has one")
	case m["rule"] != nil:
		rule.Clock = r.text(m["rule"], "`rule`")
		p, ok := k.periods[rule.Clock]
		if rule.Clock != "" && !ok {
			r.fail(m["rule"], "no rule %.60q of docs/legal-clocks.md says for how long something is kept at most: write a `period`", rule.Clock)
		}
		rule.Period = p
	default:
		text := r.text(m["period"], "`period`")
		p, err := clock.ParsePeriod(text)
		if text != "" && err != nil {
			r.fail(m["period"], "%v; years are months: P24M", err)
		}
		rule.Period = p
	}
}

// has tells whether a channel, or any where it is empty, has records of a type.
func (k known) has(name, typ string) bool { return slices.Contains(k.all(name), typ) }

func (k known) all(name string) []string {
	if name != "" {
		return k.types[name]
	}
	var all []string
	for _, types := range k.types {
		all = append(all, types...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func channelWord(name string) string {
	if name == "" {
		return ""
	}
	return " in the channel " + name
}
