package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// OverlayVersion is the version of the overlay document, its member "version".
const OverlayVersion = 1

// Overlay is one document of the operator, checked. It changes what is done with
// classes on routes and for roles, and grants calls to actors:
//
//	version: 1
//	change:                  # optional: see Authorship
//	  ticket: CHG-4711
//	  author: jane@example.com
//	  approver: joe@example.com
//	enforcement:
//	  - class: iban          # a data class, or "*"
//	    route: desk          # optional: every route
//	    role: lead           # optional: everybody
//	    action: mask
//	    undo: 24h            # optional: for how long a mask can be undone
//	grants:
//	  - actor: oauth:0f3a...  # as explain and the log print it
//	    grants: ["zendesk:ticket.export"]
//	approvals:
//	  - operation: zendesk:ticket.*/delete  # in the form of a grant
//	    approvers: 1                        # how many others must agree
//	    records: 20                         # optional: from that many records on
//	logins:
//	  - role: admin                         # people who have it
//	    max_age: 1h                         # how long ago they may have logged in
//	networks:
//	  - name: office
//	    addresses: [198.51.100.0/24]
//	    region: eu                          # optional
//	hours:
//	  - name: desk
//	    zone: Europe/Berlin
//	    days: [mon, tue, wed, thu, fri]     # optional: every day
//	    from: "07:00"                       # optional, with to: the whole day
//	    to: "20:00"
//	conditions:                             # each row that fits a call has to be met
//	  - operation: zendesk:*                # optional: every call
//	    roles: [agent]                      # optional: everybody
//	    class: iban                         # optional: calls in which it is found
//	    networks: [office]                  # one of these four, or more
//	    regions: [eu]
//	    hours: [desk]
//	    purposes: [support]
//	changes:                                # of who may do what, keys and policy
//	  ticket: required                      # each names a change ticket
//	  approvers: 1                          # optional: somebody else agrees to each
//	reveal:
//	  unused_after_days: 90                 # after how long without use the right to reveal lapses; 0: never
//	rollout:
//	  - name: iban-desk       # see Rollout
//	    class: iban
//	    action: mask
//	    share: 10
//	    from: 2026-12-01T08:00:00Z
//	    until: 2026-12-15T08:00:00Z
//	limits:
//	  - of: subjects                        # or calls, reveals
//	    operation: zendesk:*                # optional: every call
//	    roles: [agent]                      # optional: everybody
//	    most: 200
//	    window: 1h
//	flags:                                  # each in place of the built-in row for it
//	  - flag: restriction
//	    roles: [dpo]                        # who reads single records all the same
//	    purposes: [legal_claims]            # for which calls are made all the same
//	  - flag: objection
//	    purposes: [marketing]               # for which calls are refused
//	    operations: ["zendesk:campaign.*"]  # optional: refused for every purpose
//	views:
//	  - operation: zendesk:user.*           # optional: every call
//	    roles: [agent]                      # optional: everybody
//	    field: /user/phone                  # of the answer
//	    view: masked                        # or hidden; or full, with a class
type Overlay struct {
	name   string
	source []byte
	rows   []enforcementRow
	grants map[string][]string
	// approvals are numbers of approvers by operation and from how many records on.
	approvals map[approvalCase]int
	// logins are how old a login may be in minutes, by role.
	logins     map[string]int
	networks   []network
	hours      []hours
	conditions []condition
	rollouts   []Rollout
	limits     []rateRow
	views      []viewRow
	flags      []flagRow
	change     Authorship
	// elsewhere is what rows name of what is not in the document.
	elsewhere []Named
	changes   changeRule
	// changeLine is the line of change, 1 where there is none.
	changeLine int
	// reveal is after how many days without use a right to reveal lapses; nil where the
	// document does not say.
	reveal *int
}

// approvalCase is a case in which others must agree.
type approvalCase struct {
	operation string
	records   int
}

type enforcementRow struct {
	class, route, role, action string
	undo                       time.Duration
}

// Grants are the grants of the document by actor ID, for ResolverConfig.
func (o *Overlay) Grants() map[string][]string { return maps.Clone(o.grants) }

// Rollouts are the rollouts of the document, as it has them.
func (o *Overlay) Rollouts() []Rollout { return slices.Clone(o.rollouts) }

// ParseOverlay reads a YAML (or JSON) document. All mistakes are reported, each
// as "file:line: what, and the allowed values".
func ParseOverlay(file string, src []byte) (*Overlay, error) {
	if len(src) > maxOverlay {
		return nil, fmt.Errorf("%s: larger than %d bytes, the limit of a policy document", file, maxOverlay)
	}
	t, err := builtinTables()
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(src, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	p := overlayParser{file: file, tables: t, out: &Overlay{name: file, source: src, changeLine: 1, grants: make(map[string][]string), approvals: make(map[approvalCase]int), logins: make(map[string]int)}}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("%s:1: the document is empty; it wants version, and rows under %s", file, strings.Join(documentMembers[1:], ", "))
	}
	p.document(root.Content[0])
	p.checkNamed()
	return p.out, errors.Join(p.errs...)
}

// overlayParser collects mistakes while it walks the document.
type overlayParser struct {
	file   string
	tables *tables
	out    *Overlay
	// named are the names that have to be defined somewhere in the document.
	named []reference
	errs  []error
}

func (p *overlayParser) fail(n *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s:%d: %s", p.file, n.Line, fmt.Sprintf(format, args...)))
}

// members calls f for each member of a mapping.
func (p *overlayParser) members(n *yaml.Node, what string, f func(key string, value *yaml.Node) bool, allowed ...string) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, "%s wants members: %s", what, strings.Join(allowed, ", "))
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if seen[key.Value] {
			p.fail(key, "%s has %q twice", what, key.Value)
			continue
		}
		seen[key.Value] = true
		if !f(key.Value, n.Content[i+1]) {
			p.fail(key, "%s has no member %q; it has %s", what, key.Value, strings.Join(allowed, ", "))
		}
	}
}

// documentMembers are the members of a document.
var documentMembers = [...]string{"version", "enforcement", "grants", "approvals", "logins", "networks", "hours", "conditions", "limits", "flags", "views", "reveal", "rollout", "change", "changes"}

func (p *overlayParser) document(n *yaml.Node) {
	version := false
	p.members(n, "the document", func(key string, v *yaml.Node) bool {
		switch key {
		case "version":
			version = true
			if v.Value != fmt.Sprint(OverlayVersion) {
				p.fail(v, "version %q is not known; this one is %d", v.Value, OverlayVersion)
			}
		case "enforcement":
			p.rows(v, "enforcement", p.enforcement)
		case "change":
			p.change(v)
		case "changes":
			p.changes(v)
		case "reveal":
			p.reveal(v)
		case "grants":
			p.rows(v, "grants", p.grant)
		case "approvals":
			p.rows(v, "approvals", p.approval)
		case "logins":
			p.rows(v, "logins", p.login)
		case "networks":
			p.rows(v, key, p.network)
		case "hours":
			p.rows(v, key, p.hour)
		case "conditions":
			p.rows(v, key, p.condition)
		case "rollout":
			p.rows(v, key, p.rollout)
		case "limits":
			p.rows(v, key, p.limit)
		case "flags":
			p.rows(v, key, p.flag)
		case "views":
			p.rows(v, key, p.view)
		default:
			return false
		}
		return true
	}, documentMembers[:]...)
	if !version {
		p.fail(n, "version is missing; write version: %d", OverlayVersion)
	}
}

func (p *overlayParser) rows(n *yaml.Node, what string, row func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		p.fail(n, "%s wants a list", what)
		return
	}
	for _, item := range n.Content {
		row(item)
	}
}

func (p *overlayParser) enforcement(n *yaml.Node) {
	r := enforcementRow{route: "*", role: "*"}
	p.members(n, "an enforcement row", func(key string, v *yaml.Node) bool {
		switch key {
		case "class":
			if _, ok := p.tables.Classes[v.Value]; !ok && v.Value != "*" {
				p.fail(v, "class %q is not known; the classes are %s, and * for all", v.Value, names(p.tables.Classes))
			}
			r.class = v.Value
		case "route":
			if v.Value == "" || len(v.Value) > maxName {
				p.fail(v, "route wants the name of a route, at most %d bytes", maxName)
			}
			p.name(Named{Route: v.Value}, v)
			r.route = v.Value
		case "role":
			if _, ok := p.tables.Roles[v.Value]; !ok {
				p.fail(v, "role %q is not known; the roles are %s", v.Value, names(p.tables.Roles))
			}
			r.role = v.Value
		case "action":
			if _, ok := p.tables.Rank[v.Value]; !ok {
				p.fail(v, "action %q is not known; the actions are %s", v.Value, names(p.tables.Rank))
			}
			r.action = v.Value
		case "undo":
			var err error
			if r.undo, err = time.ParseDuration(v.Value); err != nil || r.undo < ShortestUndo || r.undo > LongestUndo || r.undo%time.Second != 0 {
				p.fail(v, "undo wants whole seconds from %v to %v, as 90m or 24h", ShortestUndo, LongestUndo)
			}
		default:
			return false
		}
		return true
	}, "class", "route", "role", "action", "undo")
	if r.class == "" || r.action == "" {
		p.fail(n, "an enforcement row wants class and action")
		return
	}
	if r.action == "tokenize" && slices.Contains(p.tables.NeverKept, r.class) {
		p.fail(n, "%s may not be kept in any form after authorisation, so it cannot be tokenized; use drop or block", r.class)
	}
	if r.undo > 0 && r.action != "mask" {
		p.fail(n, "undo goes with action mask: nothing else leaves a mask")
	}
	if r.undo > 0 && slices.Contains(p.tables.NeverKept, r.class) {
		p.fail(n, "%s may not be kept in any form after authorisation, so its mask cannot be undone", r.class)
	}
	p.out.rows = append(p.out.rows, r)
}

func (p *overlayParser) grant(n *yaml.Node) {
	var actor string
	var grants []string
	p.members(n, "a grants row", func(key string, v *yaml.Node) bool {
		switch key {
		case "actor":
			if kind, id, ok := strings.Cut(v.Value, ":"); !ok || id == "" || !slices.Contains(actorKinds[:], kind) {
				p.fail(v, "actor wants an id as the log prints it: %s, a colon and the rest", strings.Join(actorKinds[:], ", "))
			}
			actor = v.Value
		case "grants":
			p.rows(v, "grants", func(item *yaml.Node) {
				if err := ParseGrant(item.Value); err != nil {
					p.fail(item, "%v", err)
				}
				p.name(Named{Operation: item.Value}, item)
				grants = append(grants, item.Value)
			})
		default:
			return false
		}
		return true
	}, "actor", "grants")
	if actor == "" || len(grants) == 0 {
		p.fail(n, "a grants row wants actor and grants")
		return
	}
	all := append(p.out.grants[actor], grants...)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > maxGrants {
		p.fail(n, "more than %d grants for one actor", maxGrants)
	}
	p.out.grants[actor] = all
}

func (p *overlayParser) approval(n *yaml.Node) {
	var c approvalCase
	approvers := 1
	p.members(n, "an approvals row", func(key string, v *yaml.Node) bool {
		switch key {
		case "operation":
			own, ofOurs := strings.CutPrefix(v.Value, OwnChannel+":")
			switch err := ParseGrant(v.Value); {
			case ofOurs && !p.tables.OwnAgreed[own]:
				p.fail(v, "operation wants the form of a grant, for a channel that is governed; of the gateway's own API others can be made to agree to %s", names(p.tables.OwnAgreed))
			case err != nil:
				p.fail(v, "operation wants the form of a grant, for a channel that is governed: %v", errGrant)
			}
			p.name(Named{Operation: v.Value}, v)
			c.operation = v.Value
		case "records":
			var err error
			if c.records, err = strconv.Atoi(v.Value); err != nil || c.records < 1 || Round(c.records) != c.records {
				p.fail(v, "records wants a number that rules can tell apart: 1, 2, 5, 10, 20, 50, 100 and so on")
			}
		case "approvers":
			var err error
			if approvers, err = strconv.Atoi(v.Value); err != nil || approvers < 1 || approvers > MostApprovers {
				p.fail(v, "approvers wants a number from 1 to %d", MostApprovers)
			}
		default:
			return false
		}
		return true
	}, "operation", "approvers", "records")
	if c.operation == "" {
		p.fail(n, "an approvals row wants operation")
		return
	}
	if c.records > 0 && strings.HasPrefix(c.operation, OwnChannel+":") {
		p.fail(n, "records goes with calls of a channel that is governed")
	}
	p.out.approvals[c] = approvers
}

func (p *overlayParser) login(n *yaml.Node) {
	var role string
	var age int
	p.members(n, "a logins row", func(key string, v *yaml.Node) bool {
		switch key {
		case "role":
			if _, ok := p.tables.Roles[v.Value]; !ok {
				p.fail(v, "role %q is not known; the roles are %s", v.Value, names(p.tables.Roles))
			}
			role = v.Value
		case "max_age":
			d, err := time.ParseDuration(v.Value)
			age = int(d / time.Minute)
			if err != nil || d < time.Minute || d%time.Minute != 0 || age >= oldestLogin || RoundAge(age) != age {
				p.fail(v, "max_age wants 1m to 15m, steps of 5m to 2h, half hours to 24h, or whole days to 696h: what is older than that all counts as 720h")
			}
		default:
			return false
		}
		return true
	}, "role", "max_age")
	if role == "" || age == 0 {
		p.fail(n, "a logins row wants role and max_age")
		return
	}
	p.out.logins[role] = age
}

// loginIndex is how old a login may be in minutes, by role, later documents winning.
func loginIndex(overlays []*Overlay) map[string]any {
	index := make(map[string]any)
	for _, o := range overlays {
		for role, age := range o.logins {
			index[role] = age
		}
	}
	return index
}

// approvalIndex is the rows by operation, and then by the number of records from which on
// they count. Later documents win.
func approvalIndex(overlays []*Overlay) map[string]any {
	index := make(map[string]any)
	for _, o := range overlays {
		for c, n := range o.approvals {
			if index[c.operation] == nil {
				index[c.operation] = make(map[string]any)
			}
			index[c.operation].(map[string]any)[strconv.Itoa(c.records)] = map[string]any{"records": c.records, "approvers": n}
		}
	}
	return index
}

// actorKinds start the IDs that can be granted something.
var actorKinds = [...]string{"key", "user", "cert", "vendor", "oauth"}

func names[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// enforcementIndex is the rows by class, route and role: the form in which rules
// find the fitting one without looking at the others, so that a thousand rows
// cost no more than one.
func enforcementIndex(overlays []*Overlay) map[string]any {
	return rowIndex(overlays, func(r enforcementRow) any { return r.action })
}

// undoIndex says in the same form for how many seconds masks can be undone, 0 for not at
// all. It is empty where no row says a word of it, which the rules look at first.
func undoIndex(overlays []*Overlay) map[string]any {
	said := func(r enforcementRow) bool { return r.undo > 0 }
	if !slices.ContainsFunc(overlays, func(o *Overlay) bool { return slices.ContainsFunc(o.rows, said) }) {
		return map[string]any{}
	}
	return rowIndex(overlays, func(r enforcementRow) any { return int(r.undo / time.Second) })
}

func rowIndex(overlays []*Overlay, says func(enforcementRow) any) map[string]any {
	index := make(map[string]any)
	at := func(m map[string]any, key string) map[string]any {
		if m[key] == nil {
			m[key] = make(map[string]any)
		}
		return m[key].(map[string]any)
	}
	for _, o := range overlays {
		for _, r := range o.rows {
			at(at(index, r.class), r.route)[r.role] = says(r)
		}
	}
	return index
}
