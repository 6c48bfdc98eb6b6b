package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// about is what a row of an operator's document is about: calls in the form of a grant, and
// the roles of those who make them. The row is found under each of its roles.
type about struct {
	channel, operation, ending string
	roles                      []string
}

// aboutAll is about all calls of everybody.
func aboutAll() about { return about{channel: "*", operation: "*", roles: []string{"*"}} }

// condition is what a call has to meet.
type condition struct {
	about
	class                              string
	networks, regions, hours, purposes []string
	actorRegions                       []string
}

// aboutMember reads the members that say what a row is about.
func (p *overlayParser) aboutMember(a *about, key string, v *yaml.Node) bool {
	switch key {
	case "operation":
		if err := ParseGrant(v.Value); err != nil {
			p.fail(v, "operation wants the form of a grant: %v", err)
			return true
		}
		p.name(Named{Operation: v.Value}, v)
		a.channel, a.operation, _ = strings.Cut(v.Value, ":")
		a.operation, a.ending, _ = strings.Cut(a.operation, "/")
	case "roles":
		a.roles = p.roles(v)
	default:
		return false
	}
	return true
}

func (p *overlayParser) roles(v *yaml.Node) []string {
	return p.list(v, "roles", func(role string) error {
		if _, ok := p.tables.Roles[role]; !ok {
			return fmt.Errorf("role %q is not known; the roles are %s", role, names(p.tables.Roles))
		}
		return nil
	})
}

func (p *overlayParser) purposes(v *yaml.Node, what string) []string {
	return p.list(v, what, func(s string) error {
		if _, ok := ParsePurpose(s); !ok {
			return fmt.Errorf("purpose %q cannot be sent in Caregate-Purpose", s)
		}
		return nil
	})
}

// list reads one or more texts, each once.
func (p *overlayParser) list(n *yaml.Node, what string, check func(string) error) (list []string) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.fail(n, "%s wants a list with something in it, as [a, b]", what)
		return nil
	}
	for _, item := range n.Content {
		if err := check(item.Value); err != nil {
			p.fail(item, "%v", err)
		} else if slices.Contains(list, item.Value) {
			p.fail(item, "%s has %q twice", what, item.Value)
		}
		list = append(list, item.Value)
	}
	return list
}

// isWord tells whether s can name something of a document: 1 to 64 of a-z, 0-9, hyphen and
// underscore.
func isWord(s string) bool { return len(s) <= 64 && isName(s, "") && !strings.Contains(s, ".") }

func (p *overlayParser) word(v *yaml.Node, what string) string {
	if !isWord(v.Value) {
		p.fail(v, "%s wants 1 to 64 lower-case letters, digits, hyphens and underscores", what)
	}
	return v.Value
}

func (p *overlayParser) network(n *yaml.Node) {
	var out network
	p.members(n, "a networks row", func(key string, v *yaml.Node) bool {
		switch key {
		case "name":
			out.name = p.word(v, "name")
		case "region":
			out.region = p.word(v, "region")
		case "addresses":
			p.list(v, "addresses", func(s string) error {
				prefix, err := parsePrefix(s)
				out.prefixes = append(out.prefixes, prefix)
				return err
			})
		default:
			return false
		}
		return true
	}, "name", "addresses", "region")
	switch {
	case out.name == "" || len(out.prefixes) == 0:
		p.fail(n, "a networks row wants name and addresses")
	case slices.ContainsFunc(p.out.networks, func(o network) bool { return o.name == out.name }):
		p.fail(n, "network %q is there twice; write all its addresses into one row", out.name)
	}
	if p.out.networks = append(p.out.networks, out); len(p.out.networks) == maxNetworks+1 {
		p.fail(n, "more than %d networks", maxNetworks)
	}
}

// parsePrefix reads an address, or a network as 198.51.100.0/24. Bits behind the mask are a
// mistake: 10.1.2.3/8 is most often meant otherwise.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil || prefix.Addr().Is4In6() {
		return prefix, fmt.Errorf("%q is no address and no network, as 198.51.100.7, 198.51.100.0/24 or 2001:db8::/32", s)
	}
	if prefix != prefix.Masked() {
		return prefix, fmt.Errorf("%q has bits behind its length; the network is %s", s, prefix.Masked())
	}
	return prefix, nil
}

// weekdays are the words for days, in the order of time.Weekday.
var weekdays = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (p *overlayParser) hour(n *yaml.Node) {
	out := hours{days: [7]bool{true, true, true, true, true, true, true}, to: 24 * 60}
	p.members(n, "an hours row", func(key string, v *yaml.Node) bool {
		switch key {
		case "name":
			out.name = p.word(v, "name")
		case "zone":
			var err error
			if out.zone, err = time.LoadLocation(v.Value); err != nil || v.Value == "" || v.Value == "Local" {
				p.fail(v, "zone wants a name of the IANA time zone database, as Europe/Berlin or UTC")
			}
		case "days":
			out.days = [7]bool{}
			p.list(v, "days", func(s string) error {
				i := slices.Index(weekdays[:], s)
				if i < 0 {
					return fmt.Errorf("day %q is not known; the days are %s", s, strings.Join(weekdays[:], ", "))
				}
				out.days[i] = true
				return nil
			})
		case "from":
			out.from = p.timeOfDay(v, "from")
		case "to":
			out.to = p.timeOfDay(v, "to")
		default:
			return false
		}
		return true
	}, "name", "zone", "days", "from", "to")
	switch {
	case out.name == "" || out.zone == nil:
		p.fail(n, "an hours row wants name and zone")
	case out.from == out.to || out.from == 24*60:
		p.fail(n, "from and to are the same minute, or from is the end of the day")
	}
	known := slices.ContainsFunc(p.out.hours, func(o hours) bool { return o.name == out.name })
	if p.out.hours = append(p.out.hours, out); !known && countHours(p.out.hours) == maxHours+1 {
		p.fail(n, "more than %d names of hours", maxHours)
	}
}

func countHours(rows []hours) int {
	seen := make(map[string]bool)
	for i := range rows {
		seen[rows[i].name] = true
	}
	return len(seen)
}

// timeOfDay reads hours and minutes from 00:00 to 24:00, as minutes.
func (p *overlayParser) timeOfDay(v *yaml.Node, what string) int {
	h, m, ok := strings.Cut(v.Value, ":")
	hour, err := strconv.Atoi(h)
	minute, err2 := strconv.Atoi(m)
	if !ok || err != nil || err2 != nil || len(h) != 2 || len(m) != 2 || hour < 0 || minute < 0 || minute > 59 || hour*60+minute > 24*60 {
		p.fail(v, `%s wants a time of the day in quotes, as "07:30"`, what)
	}
	return hour*60 + minute
}

func (p *overlayParser) condition(n *yaml.Node) {
	out := condition{about: aboutAll(), class: "*"}
	name := func(what string) func(string) error {
		return func(s string) error {
			if !isWord(s) {
				return fmt.Errorf("%s %q cannot be a name", what, s)
			}
			return nil
		}
	}
	p.members(n, "a conditions row", func(key string, v *yaml.Node) bool {
		switch key {
		case "class":
			if _, ok := p.tables.Classes[v.Value]; !ok && v.Value != "*" {
				p.fail(v, "class %q is not known; the classes are %s, and * for all", v.Value, names(p.tables.Classes))
			}
			out.class = v.Value
		case "networks":
			out.networks = p.list(v, key, name("network"))
			p.named = append(p.named, reference{v, "network", out.networks})
		case "regions":
			out.regions = p.list(v, key, name("region"))
			p.named = append(p.named, reference{v, "region", out.regions})
		case "actor_regions": // which the configuration names, where issuers are
			out.actorRegions = p.list(v, key, name("region"))
		case "hours":
			out.hours = p.list(v, key, name("hours"))
			p.named = append(p.named, reference{v, "hours", out.hours})
		case "purposes":
			out.purposes = p.purposes(v, key)
		default:
			return p.aboutMember(&out.about, key, v)
		}
		return true
	}, "operation", "roles", "class", "networks", "regions", "actor_regions", "hours", "purposes")
	if len(out.networks)+len(out.regions)+len(out.actorRegions)+len(out.hours)+len(out.purposes) == 0 {
		p.fail(n, "a conditions row wants networks, regions, actor_regions, hours or purposes")
		return
	}
	p.out.conditions = append(p.out.conditions, out)
}

// reference is a place that names something which has to be in the same document.
type reference struct {
	at   *yaml.Node
	kind string
	list []string
}

// checkNamed reports names that nothing of the document has.
func (p *overlayParser) checkNamed() {
	known := map[string][]string{}
	for i := range p.out.networks {
		known["network"] = append(known["network"], p.out.networks[i].name)
		known["region"] = append(known["region"], p.out.networks[i].region)
	}
	for i := range p.out.hours {
		known["hours"] = append(known["hours"], p.out.hours[i].name)
	}
	for _, r := range p.named {
		for _, s := range r.list {
			if !slices.Contains(known[r.kind], s) {
				p.fail(r.at, "no row of this document defines the %s %q", r.kind, s)
			}
		}
	}
}

// situations are the networks and hours of all documents. What a later one calls by a name
// takes the place of what an earlier one did.
func situations(overlays []*Overlay) (networks []network, open []hours) {
	for _, o := range overlays {
		networks = slices.DeleteFunc(networks, func(n network) bool {
			return slices.ContainsFunc(o.networks, func(later network) bool { return later.name == n.name })
		})
		open = slices.DeleteFunc(open, func(h hours) bool {
			return slices.ContainsFunc(o.hours, func(later hours) bool { return later.name == h.name })
		})
		networks, open = append(networks, o.networks...), append(open, o.hours...)
	}
	return networks, open
}

// checkSituations refuses more names than an Input has room for: a call that is in all of
// them at once could not be decided.
func checkSituations(networks []network, open []hours) error {
	if len(networks) > maxNetworks {
		return fmt.Errorf("the documents have more than %d networks together", maxNetworks)
	}
	if countHours(open) > maxHours {
		return fmt.Errorf("the documents have more than %d names of hours together", maxHours)
	}
	return nil
}

// aboutIndex puts rows where rules find those that fit a call without looking at the
// others: by channel, operation, ending and role.
type aboutIndex map[string]any

func (x aboutIndex) add(a about, row map[string]any) {
	at := func(m map[string]any, key string) map[string]any {
		if m[key] == nil {
			m[key] = make(map[string]any)
		}
		return m[key].(map[string]any)
	}
	found := at(at(at(x, a.channel), a.operation), a.ending)
	for _, role := range a.roles {
		rows, _ := found[role].([]any)
		found[role] = append(rows, row)
	}
}

// conditionIndex has the conditions of all documents; each of them counts.
func conditionIndex(overlays []*Overlay) map[string]any {
	index := make(aboutIndex)
	for _, o := range overlays {
		for _, c := range o.conditions {
			row := map[string]any{"class": c.class}
			for member, list := range map[string][]string{"networks": c.networks, "regions": c.regions, "actor_regions": c.actorRegions, "hours": c.hours, "purposes": c.purposes} {
				if len(list) > 0 {
					row[member] = anyList(list)
				}
			}
			index.add(c.about, row)
		}
	}
	return index
}

func anyList(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
