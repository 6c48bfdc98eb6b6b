package ropa

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/retention/clock"
)

// Register is what the operator declares. It does not change and may be used concurrently.
type Register struct {
	// Organisation keeps the record; Joint are controllers that decide with it.
	Organisation Party   `json:"organisation"`
	Joint        []Party `json:"joint,omitempty"`
	// Home are the places that data may go to without more: country codes, or EEA.
	Home []string `json:"home"`
	// Measures hold for all activities (Art. 32(1), in general terms).
	Measures   []string   `json:"measures,omitempty"`
	Vendors    []Vendor   `json:"vendors,omitempty"`
	Activities []Activity `json:"activities"`
}

// Party is somebody whom the record names: Name and Contact always, a representative and a
// data protection officer where there is one, in a line each.
type Party struct {
	Name           string `json:"name"`
	Contact        string `json:"contact"`
	Representative string `json:"representative,omitempty"`
	DPO            string `json:"dpo,omitempty"`
}

// Roles of a vendor, and of the organisation in an activity.
const (
	Controller = "controller"
	Processor  = "processor"
)

// Vendor is a recipient with a name.
type Vendor struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Role is Processor or Controller.
	Role string `json:"role"`
	// Channels are the channels of its systems that the gateway governs; none for a vendor
	// that no call passes the gateway to. Hosts are the accounts there, as acme.zendesk.com
	// or *.zendesk.com, at most 50; none for any host.
	Channels []string `json:"channels,omitempty"`
	Hosts    []string `json:"hosts,omitempty"`
	// Places are the countries that data goes to, or EEA.
	Places []string `json:"places"`
	// DPA is the contract with a processor, nil where there is none.
	DPA           *DPA           `json:"dpa,omitempty"`
	Transfer      *Transfer      `json:"transfer,omitempty"`
	Certificates  []Certificate  `json:"certificates,omitempty"`
	Subprocessors []Subprocessor `json:"subprocessors,omitempty"`
}

// DPA is a contract under Art. 28(3). Expires is zero where it has no end.
type DPA struct {
	Signed  clock.Date `json:"signed"`
	Expires clock.Date `json:"expires,omitzero"`
}

// Transfer is the ground on which data goes to other countries.
type Transfer struct {
	// Basis is adequacy, scc, bcr or derogation (Art. 45, 46(2)(c) and (d), 47, 49).
	Basis string `json:"basis"`
	// Document says where the safeguards are written down; empty only for adequacy.
	Document string `json:"document,omitempty"`
	// Expires is zero where it has no end.
	Expires clock.Date `json:"expires,omitzero"`
}

// Certificate is one that a vendor shows.
type Certificate struct {
	Name    string     `json:"name"`
	Expires clock.Date `json:"expires"`
}

// Subprocessor is whom a vendor passes data on to.
type Subprocessor struct {
	Name   string   `json:"name"`
	Places []string `json:"places"`
}

// Activity is one processing activity, or one category of processing on behalf of others.
type Activity struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// As is Controller or Processor; For are the controllers that it is done for, of which a
	// processor has one at least.
	As  string  `json:"as"`
	For []Party `json:"for,omitempty"`
	// Basis is the ground of Art. 6, in the operator's words.
	Basis    string   `json:"basis,omitempty"`
	Purposes []string `json:"purposes"`
	// People are categories of persons. Data are data classes of docs/data-classes.md, Other
	// what no detector knows, in words.
	People []string `json:"people"`
	Data   []string `json:"data,omitempty"`
	Other  []string `json:"other_data,omitempty"`
	// Vendors are ids of Register.Vendors, Recipients others, in words.
	Vendors    []string `json:"vendors,omitempty"`
	Recipients []string `json:"recipients,omitempty"`
	Retention  []Keep   `json:"retention,omitempty"`
	Measures   []string `json:"measures,omitempty"`
}

// Keep says for how long something is kept.
type Keep struct {
	What string `json:"what"`
	// Rule is one of package clock that says how long something is kept, or empty. Period is
	// its, or the operator's own.
	Rule   string `json:"rule,omitempty"`
	Period string `json:"period"`
}

var (
	idForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	hostForm  = regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[1-9][0-9]{0,4})?$`)
	placeForm = regexp.MustCompile(`^([A-Z]{2}|EEA)$`)
)

// maxHosts bounds the hosts of a vendor: those of vendors with one channel are compared.
const maxHosts = 50

// eea are the countries of the European Economic Area.
var eea = []string{"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK"}

// ErrRegister is wrapped when a register has mistakes.
var ErrRegister = errors.New("the register has mistakes")

// ParseRegister reads a register. file stands in messages only. The error wraps ErrRegister
// and has a line "file:line:column: what" for each mistake, none of which quotes more than
// names and ids.
func ParseRegister(file string, src []byte) (*Register, error) {
	r := &reader{file: file}
	reg := new(Register)
	if top := r.document(src); top != nil {
		r.register(top, reg)
	}
	if r.failed != nil {
		return nil, r.failed
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return reg, nil
}

// period is that of a rule which says how long something is kept, empty where none does. The
// rules are read when the first of them is named.
func (r *reader) period(rule string) string {
	if r.periods == nil {
		r.periods = make(map[string]string)
		rules, err := clock.Builtin()
		if err != nil {
			r.failed = err
			return ""
		}
		for _, rule := range rules.Rules() {
			if v := rule.Versions[len(rule.Versions)-1]; v.Kind != clock.Deadline {
				r.periods[rule.ID] = v.Period.String()
			}
		}
	}
	return r.periods[rule]
}

func (r *reader) register(top *yaml.Node, reg *Register) {
	m := r.object(top, "the register", []string{"version", "organisation", "home", "activities"}, []string{"joint", "measures", "vendors"})
	r.oneOf(m["version"], "`version`", "1")
	if n := m["organisation"]; n != nil {
		reg.Organisation = r.party(n, "`organisation`")
	}
	for _, n := range r.list(m["joint"], "`joint`") {
		reg.Joint = append(reg.Joint, r.party(n, "an entry of `joint`"))
	}
	reg.Home = r.matching(m["home"], "`home`", placeForm, "a country as DE, or EEA")
	reg.Measures = r.texts(m["measures"], "`measures`")
	vendors := make(map[string]bool)
	for _, n := range r.list(m["vendors"], "`vendors`") {
		v := r.vendor(n)
		if v.ID != "" && vendors[v.ID] {
			r.fail(n, "a vendor has the id of another one")
		}
		for i := range reg.Vendors {
			if clash(&reg.Vendors[i], &v) {
				r.fail(n, "vendors %s and %s declare one channel: each needs hosts, and none may be the other's", reg.Vendors[i].ID, v.ID)
			}
		}
		vendors[v.ID] = true
		reg.Vendors = append(reg.Vendors, v)
	}
	activities := make(map[string]bool)
	for _, n := range r.list(m["activities"], "`activities`") {
		a := r.activity(n, vendors)
		if a.ID != "" && activities[a.ID] {
			r.fail(n, "an activity has the id of another one")
		}
		activities[a.ID] = true
		reg.Activities = append(reg.Activities, a)
	}
}

// clash tells whether nobody could say which of two vendors a system is of.
func clash(a, b *Vendor) bool {
	if !slices.ContainsFunc(a.Channels, func(c string) bool { return slices.Contains(b.Channels, c) }) {
		return false
	}
	if len(a.Hosts) == 0 || len(b.Hosts) == 0 {
		return true
	}
	return a.covers(b) || b.covers(a)
}

// covers tells whether a host of another vendor, or one below its wildcard, is the vendor's.
func (v *Vendor) covers(other *Vendor) bool {
	return slices.ContainsFunc(other.Hosts, func(h string) bool { return v.is(strings.Replace(h, "*.", "x.", 1)) })
}

// is tells whether a host is one of the vendor's.
func (v *Vendor) is(host string) bool {
	return len(v.Hosts) == 0 || slices.ContainsFunc(v.Hosts, func(h string) bool {
		suffix, wild := strings.CutPrefix(h, "*")
		return h == host || wild && len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	})
}

func (r *reader) party(n *yaml.Node, what string) Party {
	m := r.object(n, what, []string{"name", "contact"}, []string{"representative", "dpo"})
	return Party{
		Name: r.text(m["name"], "`name`"), Contact: r.text(m["contact"], "`contact`"),
		Representative: r.text(m["representative"], "`representative`"), DPO: r.text(m["dpo"], "`dpo`"),
	}
}

func (r *reader) vendor(n *yaml.Node) (v Vendor) {
	m := r.object(n, "a vendor", []string{"id", "name", "role", "places"}, []string{"channels", "hosts", "dpa", "transfer", "certificates", "subprocessors"})
	v.ID, v.Name, v.Role = r.id(m["id"]), r.text(m["name"], "`name`"), r.oneOf(m["role"], "`role`", Controller, Processor)
	v.Channels = r.matching(m["channels"], "`channels`", idForm, "the name of a channel")
	v.Hosts = r.matching(m["hosts"], "`hosts`", hostForm, "a host as acme.zendesk.com or *.zendesk.com, without scheme and path")
	if len(v.Hosts) > maxHosts {
		r.fail(m["hosts"], "`hosts` has more than %d entries: write *.zendesk.com for all below a name", maxHosts)
		v.Hosts = v.Hosts[:maxHosts]
	}
	if len(v.Hosts) > 0 && len(v.Channels) == 0 && m["channels"] == nil {
		r.fail(m["hosts"], "`hosts` without `channels`: say which channel is spoken there")
	}
	v.Places = r.places(m["places"])
	if n := m["dpa"]; n != nil {
		d := r.object(n, "`dpa`", []string{"signed"}, []string{"expires"})
		v.DPA = &DPA{Signed: r.date(d["signed"], "`signed`"), Expires: r.date(d["expires"], "`expires`")}
	}
	if n := m["transfer"]; n != nil {
		t := r.object(n, "`transfer`", []string{"basis"}, []string{"document", "expires"})
		v.Transfer = &Transfer{Basis: r.oneOf(t["basis"], "`basis`", "adequacy", "scc", "bcr", "derogation"), Document: r.text(t["document"], "`document`"), Expires: r.date(t["expires"], "`expires`")}
		if v.Transfer.Basis != "adequacy" && t["document"] == nil {
			r.fail(n, "`transfer` has no `document`: say where the safeguards are written down")
		}
	}
	for _, n := range r.list(m["certificates"], "`certificates`") {
		c := r.object(n, "a certificate", []string{"name", "expires"}, nil)
		v.Certificates = append(v.Certificates, Certificate{r.text(c["name"], "`name`"), r.date(c["expires"], "`expires`")})
	}
	if twice(v.Certificates, func(c Certificate) string { return c.Name }) {
		r.fail(n, "two certificates have one name")
	}
	for _, n := range r.list(m["subprocessors"], "`subprocessors`") {
		s := r.object(n, "a sub-processor", []string{"name", "places"}, nil)
		v.Subprocessors = append(v.Subprocessors, Subprocessor{r.text(s["name"], "`name`"), r.places(s["places"])})
	}
	if twice(v.Subprocessors, func(s Subprocessor) string { return s.Name }) {
		r.fail(n, "two sub-processors have one name")
	}
	return v
}

// twice tells whether two of a list have one name.
func twice[T any](list []T, name func(T) string) bool {
	seen := make(map[string]bool)
	for _, v := range list {
		if seen[name(v)] {
			return true
		}
		seen[name(v)] = name(v) != ""
	}
	return false
}

func (r *reader) activity(n *yaml.Node, vendors map[string]bool) (a Activity) {
	m := r.object(n, "an activity", []string{"id", "name", "as", "purposes", "people"}, []string{"for", "basis", "data", "other_data", "vendors", "recipients", "retention", "measures"})
	a.ID, a.Name, a.As = r.id(m["id"]), r.text(m["name"], "`name`"), r.oneOf(m["as"], "`as`", Controller, Processor)
	for _, n := range r.list(m["for"], "`for`") {
		a.For = append(a.For, r.party(n, "an entry of `for`"))
	}
	if a.As == Processor && m["for"] == nil || a.As == Controller && m["for"] != nil {
		r.fail(n, "`for` names the controllers that a processor acts for, and only these")
	}
	a.Basis = r.text(m["basis"], "`basis`")
	a.Purposes, a.People = r.texts(m["purposes"], "`purposes`"), r.texts(m["people"], "`people`")
	a.Data = r.texts(m["data"], "`data`")
	for _, class := range a.Data {
		if _, ok := redact.Lookup(class); !ok {
			r.fail(m["data"], "%.40q is no data class (docs/data-classes.md); words belong to `other_data`", class)
		}
	}
	a.Other, a.Recipients, a.Measures = r.texts(m["other_data"], "`other_data`"), r.texts(m["recipients"], "`recipients`"), r.texts(m["measures"], "`measures`")
	if m["data"] == nil && m["other_data"] == nil {
		r.fail(n, "an activity has `data`, `other_data` or both")
	}
	a.Vendors = r.texts(m["vendors"], "`vendors`")
	for _, id := range a.Vendors {
		if !vendors[id] {
			r.fail(m["vendors"], "no vendor has the id %.40q", id)
		}
	}
	for _, n := range r.list(m["retention"], "`retention`") {
		a.Retention = append(a.Retention, r.keep(n))
	}
	return a
}

func (r *reader) keep(n *yaml.Node) Keep {
	m := r.object(n, "an entry of `retention`", []string{"what"}, []string{"rule", "period"})
	k := Keep{What: r.text(m["what"], "`what`")}
	if (m["rule"] == nil) == (m["period"] == nil) {
		r.fail(n, "an entry of `retention` has a `rule` or a `period`")
		return k
	}
	if m["rule"] != nil {
		k.Rule = r.text(m["rule"], "`rule`")
		if k.Period = r.period(k.Rule); k.Period == "" && k.Rule != "" {
			r.fail(m["rule"], "no rule %.60q says how long something is kept (docs/legal-clocks.md)", k.Rule)
		}
		return k
	}
	k.Period = r.text(m["period"], "`period`")
	if _, err := clock.ParsePeriod(k.Period); k.Period != "" && err != nil {
		r.fail(m["period"], "%v", err)
	}
	return k
}

// places reads countries.
func (r *reader) places(n *yaml.Node) []string {
	return r.matching(n, "`places`", placeForm, "a country as US, or EEA")
}

func (r *reader) id(n *yaml.Node) string {
	v := r.text(n, "`id`")
	if v != "" && !idForm.MatchString(v) {
		r.fail(n, "`id` has other characters than a-z, 0-9, `.`, `-`, `_`, or more than 64")
		return ""
	}
	return v
}

func (r *reader) date(n *yaml.Node, what string) (d clock.Date) {
	v := r.text(n, what)
	if v == "" {
		return d
	}
	d, err := clock.ParseDate(v)
	if err != nil || d.Year < 1990 {
		r.fail(n, "%s wants a day as 2027-03-31", what)
	}
	return d
}
