package ropa

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/retention/clock"
)

// Version is that of a Record's JSON.
const Version = 1

// Route is what the configuration names: a governed route, its channel and the host it
// leads to. On a route with Webhooks the vendor calls, and Host is the operator's own.
type Route struct {
	Name, Channel, Host string
	Webhooks            bool
}

// Seen is what the log has of one route and channel in a window: calls that were let
// through, and never what was refused.
type Seen struct {
	Route, Channel string
	// Calls counts calls; Effects are the words of the channel files that they had.
	Calls   int64
	Effects map[string]bool
	// Request and Response count findings by class, what nobody read as class "*".
	Request, Response map[string]Amount
	First, Last       time.Time
}

// Amount counts findings of one class: Clear passed as they were, Withheld were masked,
// tokenized or dropped. Of class "*" Unread counts bodies, or parts of them.
type Amount struct{ Clear, Withheld, Unread int64 }

// Log says which log a record was made from, and how many entries it had.
type Log struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	// Changed is when the log has, last and not before the window, that the gateway loaded
	// another configuration than before; zero where it did not. The log does not name hosts.
	Changed time.Time `json:"config_changed,omitzero"`
}

// Same tells whether two are of one log, whatever its half year.
func (l Log) Same(other Log) bool { return path.Dir(l.Origin) == path.Dir(other.Origin) }

// Window is the time that was looked at; To is excluded.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Record is a record of processing activities at one moment.
type Record struct {
	Version int       `json:"version"`
	Made    time.Time `json:"made"`
	Log     Log       `json:"log"`
	Window  Window    `json:"window"`
	// Register is what was declared, Rows what became of it with what was observed.
	Register *Register `json:"register"`
	Rows     []Row     `json:"rows"`
	Findings []Finding `json:"findings"`
}

// States of a Row and of a Datum.
const (
	Declared = "declared"
	Observed = "observed"
	Both     = "both"
	// Configured: a route of the configuration that nobody declared, and nothing passed.
	Configured = "configured"
)

// Row is one system of a vendor, an activity that has no vendor, or a system that nobody
// declared.
type Row struct {
	// ID is the same in every record: vendor/channel@host, "?" standing for what is not
	// known or does not matter.
	ID    string `json:"id"`
	State string `json:"state"`
	// Vendor is the id of the vendor, empty where nobody declared one.
	Vendor  string `json:"vendor,omitempty"`
	Channel string `json:"channel,omitempty"`
	// Host is that of the configuration's route; empty when it has no such route (any more),
	// or the vendor has not been configured.
	Host string `json:"host,omitempty"`
	// HostUnsure: calls of the row passed before Log.Changed, when its routes may have led to
	// another host, which the record does not have then.
	HostUnsure bool     `json:"host_unsure,omitempty"`
	Routes     []string `json:"routes,omitempty"`
	// Configured tells that a route of the configuration leads there.
	Configured bool `json:"configured"`
	// Activities are the ids of those that name the vendor.
	Activities []string `json:"activities,omitempty"`
	Data       []Datum  `json:"data,omitempty"`
	// Calls were let through, from First to Last, with Effects. Unread bodies, or parts of
	// them, passed that nobody had read: what is in them is not known.
	Calls   int64     `json:"calls,omitempty"`
	Effects []string  `json:"effects,omitempty"`
	Unread  int64     `json:"unread,omitempty"`
	First   time.Time `json:"first,omitzero"`
	Last    time.Time `json:"last,omitzero"`
	// Outside are places of the vendor and its sub-processors that are not home.
	Outside []string `json:"outside,omitempty"`
}

// Datum is one data class of a row, declared, observed or both. To and From count findings
// that passed in the clear to the vendor and from it; Withheld those that did not.
type Datum struct {
	Class    string `json:"class"`
	State    string `json:"state"`
	To       int64  `json:"to,omitempty"`
	From     int64  `json:"from,omitempty"`
	Withheld int64  `json:"withheld,omitempty"`
}

// Codes of findings.
const (
	UndeclaredRecipient = "undeclared_recipient"
	UndeclaredClass     = "undeclared_class"
	NotSeen             = "not_seen"
	NoActivity          = "no_activity"
	NoDPA               = "dpa_missing"
	DPAExpired          = "dpa_expired"
	DPAEnds             = "dpa_expires_soon"
	CertificateExpired  = "certificate_expired"
	CertificateEnds     = "certificate_expires_soon"
	NoTransfer          = "transfer_without_ground"
	TransferExpired     = "transfer_expired"
	TransferEnds        = "transfer_expires_soon"
	NoRetention         = "retention_missing"
	NoMeasures          = "measures_missing"
)

// Finding is where the register and what is differ, or where something is missing or ends.
type Finding struct {
	// ID is the same in every record, as long as the finding stands: code/subject.
	ID   string `json:"id"`
	Code string `json:"code"`
	// Subject is the id of a row, "vendor:" or "activity:" with an id, or one of these and
	// what of it, behind a slash.
	Subject string `json:"subject"`
	// Text says what it is, and what to do.
	Text string `json:"text"`
}

// soon is how many days before its end something is a finding.
const soon = 60

// Make joins a register with what the configuration names and the log has seen. It changes
// none of its arguments. The order of rows and findings follows from their contents alone.
func Make(reg *Register, routes []Route, seen []Seen, log Log, w Window, now time.Time) *Record {
	j := &joint{
		Record: &Record{Version: Version, Made: now.UTC().Truncate(time.Second), Log: log, Register: reg, Rows: []Row{}, Findings: []Finding{},
			Window: Window{w.From.UTC().Truncate(time.Second), w.To.UTC().Truncate(time.Second)}},
		systems: make(map[string]*system),
	}
	j.Log.Changed = log.Changed.UTC()
	year, month, day := now.UTC().Date()
	j.today = clock.Date{Year: year, Month: month, Day: day}
	byName := make(map[string]Route)
	for _, rt := range routes {
		byName[rt.Name] = rt
		j.system(rt).Configured = true
	}
	for i := range seen {
		s := &seen[i]
		rt, known := byName[s.Route]
		if !known || rt.Channel != s.Channel {
			// The route led there before the configuration was changed.
			rt = Route{Name: s.Route, Channel: s.Channel, Webhooks: strings.HasSuffix(s.Route, "/webhooks")}
		}
		j.system(rt).take(s, rt.Webhooks)
	}
	for _, key := range slices.Sorted(maps.Keys(j.systems)) {
		j.observed(j.systems[key])
	}
	j.declared()
	j.vendors()
	j.activities()
	slices.SortFunc(j.Rows, func(a, b Row) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(j.Findings, func(a, b Finding) int { return strings.Compare(a.ID, b.ID) })
	return j.Record
}

// joint is a record in the making.
type joint struct {
	*Record
	today   clock.Date
	systems map[string]*system
}

// system is a channel with a host, as routes and the log know it.
type system struct {
	Row
	data    map[string]*Datum
	effects map[string]bool
}

// system finds or adds that of a route.
func (j *joint) system(rt Route) *system {
	host := rt.Host
	if rt.Webhooks {
		host = "" // the operator's own system
	}
	key := rt.Channel + "@" + host
	s := j.systems[key]
	if s == nil {
		s = &system{Row: Row{Channel: rt.Channel, Host: host}, data: make(map[string]*Datum), effects: make(map[string]bool)}
		j.systems[key] = s
	}
	if !slices.Contains(s.Routes, rt.Name) {
		s.Routes = append(s.Routes, rt.Name)
		slices.Sort(s.Routes)
	}
	return s
}

// take adds what the log has seen.
func (s *system) take(seen *Seen, webhooks bool) {
	s.Calls += seen.Calls
	if s.First.IsZero() || !seen.First.IsZero() && seen.First.Before(s.First) {
		s.First = seen.First.UTC()
	}
	if seen.Last.After(s.Last) {
		s.Last = seen.Last.UTC()
	}
	maps.Copy(s.effects, seen.Effects)
	to, from := seen.Request, seen.Response
	if webhooks {
		to, from = from, to // the vendor calls
	}
	for i, half := range []map[string]Amount{to, from} {
		for class, n := range half {
			s.Unread += n.Unread
			if n.Clear+n.Withheld == 0 {
				continue
			}
			d := s.data[class]
			if d == nil {
				d = &Datum{Class: class, State: Observed}
				s.data[class] = d
			}
			d.Withheld += n.Withheld
			if i == 0 {
				d.To += n.Clear
			} else {
				d.From += n.Clear
			}
		}
	}
}

// find says what a subject of a finding is.
func (j *joint) find(code, subject, format string, args ...any) {
	j.Findings = append(j.Findings, Finding{ID: code + "/" + subject, Code: code, Subject: subject, Text: fmt.Sprintf(format, args...)})
}

// owner is the vendor that a system is of, nil when none is. several: without a host nobody
// can say which.
func (j *joint) owner(s *system) (owner *Vendor, several bool) {
	for i := range j.Register.Vendors {
		v := &j.Register.Vendors[i]
		if !slices.Contains(v.Channels, s.Channel) || s.Host != "" && !v.is(s.Host) {
			continue
		}
		if owner != nil {
			return nil, true
		}
		owner = v
	}
	return owner, false
}

func rowID(vendor, channel, host string) string {
	or := func(s string) string {
		if s == "" {
			return "?"
		}
		return s
	}
	return or(vendor) + "/" + or(channel) + "@" + or(host)
}

// observed makes the row of a system.
func (j *joint) observed(s *system) {
	r := s.Row
	r.HostUnsure = r.Host != "" && r.Calls > 0 && r.First.Before(j.Log.Changed)
	r.Effects = slices.Sorted(maps.Keys(s.effects))
	for _, class := range slices.Sorted(maps.Keys(s.data)) {
		r.Data = append(r.Data, *s.data[class])
	}
	v, several := j.owner(s)
	if v == nil {
		r.ID, r.State = rowID("", r.Channel, r.Host), Observed
		if r.Calls == 0 {
			r.State = Configured
		}
		text := "No vendor of the register has this system: declare its channel and host, or take the route away."
		if several {
			text = "Several vendors of the register have this channel, and the route's host is not known: nobody can say which of them it was."
		}
		j.find(UndeclaredRecipient, r.ID, "%s", text)
		j.Rows = append(j.Rows, r)
		return
	}
	r.ID, r.State = rowID(v.ID, r.Channel, r.Host), Both
	if r.Calls == 0 {
		r.State = Declared
	}
	j.declare(&r, v)
	for _, d := range r.Data {
		if d.State == Observed {
			j.find(UndeclaredClass, r.ID+"/"+d.Class, "This class was found in what went to the vendor or came from it, and no activity that names the vendor has it: add it to `data`, or see that it is not sent.")
		}
	}
	j.notSeen(&r)
	j.Rows = append(j.Rows, r)
}

func (j *joint) notSeen(r *Row) {
	if r.State != Declared {
		return
	}
	if r.Configured {
		j.find(NotSeen, r.ID, "Declared, and in the window nothing passed there: look at a longer window, or take it out of the register.")
		return
	}
	j.find(NotSeen, r.ID, "Declared with a channel, and no route of the configuration leads there: what goes there does not pass the gateway.")
}

// declare adds to a row what the register has of its vendor.
func (j *joint) declare(r *Row, v *Vendor) {
	r.Vendor = v.ID
	places := slices.Clone(v.Places)
	for _, s := range v.Subprocessors {
		places = append(places, s.Places...)
	}
	slices.Sort(places)
	for _, p := range slices.Compact(places) {
		if j.outside(p) {
			r.Outside = append(r.Outside, p)
		}
	}
	for i := range j.Register.Activities {
		if a := &j.Register.Activities[i]; slices.Contains(a.Vendors, v.ID) {
			r.have(a)
		}
	}
}

// have adds an activity to a row.
func (r *Row) have(a *Activity) {
	r.Activities = append(r.Activities, a.ID)
	for _, class := range a.Data {
		i := slices.IndexFunc(r.Data, func(d Datum) bool { return d.Class == class })
		switch {
		case i < 0:
			r.Data = append(r.Data, Datum{Class: class, State: Declared})
		case r.Data[i].State == Observed:
			r.Data[i].State = Both
		}
	}
	slices.SortFunc(r.Data, func(x, y Datum) int { return strings.Compare(x.Class, y.Class) })
}

// outside tells whether a place is not home.
func (j *joint) outside(place string) bool {
	return slices.ContainsFunc(countries(place), func(c string) bool {
		return !slices.ContainsFunc(j.Register.Home, func(h string) bool { return slices.Contains(countries(h), c) })
	})
}

func countries(place string) []string {
	if place == "EEA" {
		return eea
	}
	return []string{place}
}

// declared makes the rows of what the register has and no system is of.
func (j *joint) declared() {
	for i := range j.Register.Vendors {
		v := &j.Register.Vendors[i]
		for _, channel := range v.Channels {
			if slices.ContainsFunc(j.Rows, func(r Row) bool { return r.Vendor == v.ID && r.Channel == channel }) {
				continue
			}
			r := Row{ID: rowID(v.ID, channel, ""), State: Declared, Channel: channel}
			j.declare(&r, v)
			j.notSeen(&r)
			j.Rows = append(j.Rows, r)
		}
		if len(v.Channels) == 0 {
			r := Row{ID: rowID(v.ID, "", ""), State: Declared}
			j.declare(&r, v)
			j.Rows = append(j.Rows, r)
		}
	}
	for i := range j.Register.Activities {
		if a := &j.Register.Activities[i]; len(a.Vendors) == 0 {
			r := Row{ID: "activity:" + a.ID, State: Declared}
			r.have(a)
			j.Rows = append(j.Rows, r)
		}
	}
}

// ends makes a finding of something that is over or soon will be.
func (j *joint) ends(expires clock.Date, over, near, subject, what string) {
	switch {
	case expires == clock.Date{}:
	case expires.Before(j.today):
		j.find(over, subject, "%s ended on %s.", what, expires)
	case expires.Before(j.today.AddDays(soon)):
		j.find(near, subject, "%s ends on %s.", what, expires)
	}
}

// vendors looks at the papers of each vendor.
func (j *joint) vendors() {
	for i := range j.Register.Vendors {
		v := &j.Register.Vendors[i]
		subject := "vendor:" + v.ID
		if !slices.ContainsFunc(j.Register.Activities, func(a Activity) bool { return slices.Contains(a.Vendors, v.ID) }) {
			j.find(NoActivity, subject, "No activity names this vendor: what it is for, and what it gets, is not declared.")
		}
		switch {
		case v.DPA != nil:
			j.ends(v.DPA.Expires, DPAExpired, DPAEnds, subject, "The contract with the processor")
			if j.today.Before(v.DPA.Signed) {
				j.find(NoDPA, subject, "The contract with the processor is signed on %s only.", v.DPA.Signed)
			}
		case v.Role == Processor:
			j.find(NoDPA, subject, "A processor needs a contract (Art. 28(3)), and none is declared.")
		}
		for _, c := range v.Certificates {
			j.ends(c.Expires, CertificateExpired, CertificateEnds, subject+"/"+c.Name, "The certificate")
		}
		outside := slices.ContainsFunc(v.Places, j.outside) || slices.ContainsFunc(v.Subprocessors, func(s Subprocessor) bool { return slices.ContainsFunc(s.Places, j.outside) })
		switch {
		case v.Transfer != nil:
			j.ends(v.Transfer.Expires, TransferExpired, TransferEnds, subject, "The ground of the transfer ("+v.Transfer.Basis+")")
		case outside:
			j.find(NoTransfer, subject, "Data goes to a place that is not home, to the vendor or a sub-processor, and no ground for it is declared (`transfer`).")
		}
	}
}

// activities looks at what Art. 30 wants of each.
func (j *joint) activities() {
	for i := range j.Register.Activities {
		a := &j.Register.Activities[i]
		if a.As == Controller && len(a.Retention) == 0 {
			j.find(NoRetention, "activity:"+a.ID, "Until when data is erased is not declared (Art. 30(1)(f)).")
		}
		if len(a.Measures) == 0 && len(j.Register.Measures) == 0 {
			j.find(NoMeasures, "activity:"+a.ID, "Neither the activity nor the register describes measures (Art. 30(1)(g) and (2)(d)).")
		}
	}
}
