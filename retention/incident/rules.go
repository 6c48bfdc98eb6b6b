package incident

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/retention/clock"
)

// Roles that the deployment has towards the data.
const (
	Controller = "controller"
	Processor  = "processor"
	// Both: for some of the data the one, for some the other.
	Both = "both"
)

// Rules of Caregate's own policy, which count for every incident.
const (
	ruleEscalate = "int.escalate"
	ruleExternal = "int.external"
)

// ruleInitial counts from awareness, and from the classification once there is one.
const ruleInitial = "dora.initial"

// nowhere is the place of duties that do not depend on one.
const nowhere = "all"

// where is the zone in which days are counted at a place, and its holidays.
type where struct{ zone, calendar string }

// europe are the states whose authorities hear of breaches by Regulation (EU) 2016/679: those
// of the European Economic Area. Each place is one authority: who has an establishment that
// leads names its place, who has none names all that are concerned.
var europe = map[string]where{
	"at": {"Europe/Vienna", "AT"}, "be": {"Europe/Brussels", "NONE"}, "bg": {"Europe/Sofia", "NONE"}, "hr": {"Europe/Zagreb", "NONE"},
	"cy": {"Asia/Nicosia", "NONE"}, "cz": {"Europe/Prague", "NONE"}, "dk": {"Europe/Copenhagen", "NONE"}, "ee": {"Europe/Tallinn", "NONE"},
	"fi": {"Europe/Helsinki", "NONE"}, "fr": {"Europe/Paris", "FR"}, "de": {"Europe/Berlin", "DE"}, "gr": {"Europe/Athens", "NONE"},
	"hu": {"Europe/Budapest", "NONE"}, "ie": {"Europe/Dublin", "IE"}, "it": {"Europe/Rome", "NONE"}, "lv": {"Europe/Riga", "NONE"},
	"lt": {"Europe/Vilnius", "NONE"}, "lu": {"Europe/Luxembourg", "NONE"}, "mt": {"Europe/Malta", "NONE"}, "nl": {"Europe/Amsterdam", "NONE"},
	"pl": {"Europe/Warsaw", "NONE"}, "pt": {"Europe/Lisbon", "NONE"}, "ro": {"Europe/Bucharest", "NONE"}, "sk": {"Europe/Bratislava", "NONE"},
	"si": {"Europe/Ljubljana", "NONE"}, "es": {"Europe/Madrid", "NONE"}, "se": {"Europe/Stockholm", "NONE"},
	"is": {"Atlantic/Reykjavik", "NONE"}, "li": {"Europe/Vaduz", "NONE"}, "no": {"Europe/Oslo", "NONE"},
}

// elsewhere are the other places whose breach clocks the register has. us is federal law
// (sectors hipaa and sec).
var elsewhere = map[string]where{
	"gb":    {"Europe/London", "NONE"},
	"us":    {"America/New_York", "US"},
	"us-ca": {"America/Los_Angeles", "US-CA"},
	"us-tx": {"America/Chicago", "US"},
	"br":    {"America/Sao_Paulo", "BR"},
}

// Places lists the places that an incident may have, sorted.
func Places() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for _, m := range []map[string]where{europe, elsewhere} {
			for p := range maps.Keys(m) {
				if !yield(p) {
					return
				}
			}
		}
	})
}

// Sectors whose law has breach clocks of its own.
const (
	NIS2  = "nis2"
	DORA  = "dora"
	CRA   = "cra"
	HIPAA = "hipaa"
	SEC   = "sec"
)

// Sectors lists them.
func Sectors() []string { return []string{CRA, DORA, HIPAA, NIS2, SEC} }

// moment says when the clock of a rule begins.
type moment int

const (
	atSuspicion moment = iota
	// atAwareness: since when it was known, once that is decided.
	atAwareness
	// atDiscovery: rules that count from when it was or could have been known. The suspicion is
	// the earliest such moment that is known; they begin with awareness and count from it.
	atDiscovery
	atHighRisk
	atMaterial
	atFix
	// atClassification is no beginning, but where ruleInitial then counts from.
	atClassification
	// afterNotice: when the notice of rule follow was sent.
	afterNotice
)

// ruleOf is one rule of the register and when an incident owes it. The register says how it is
// counted.
type ruleOf struct {
	rule string
	// in are the places it is owed at, once for each; nil for once.
	in map[string]where
	// sector and role are needed for it; "" for any.
	sector, role string
	begins       moment
	follow       string
}

func only(places ...string) map[string]where {
	m := map[string]where{}
	for _, p := range places {
		m[p] = elsewhere[p]
	}
	return m
}

// breachRules are all breach clocks of the register. Where the law asks for a number of
// persons, or whether a risk is likely, the notice is owed until a person says that it is not
// and why: numbers are known late.
var breachRules = []ruleOf{
	{rule: ruleEscalate, begins: atSuspicion},
	{rule: ruleExternal, begins: atSuspicion},
	{rule: "eu.breach.authority", in: europe, role: Controller, begins: atAwareness},
	{rule: "eu.breach.subjects", in: europe, role: Controller, begins: atHighRisk},
	{rule: "eu.processor.notify", in: europe, role: Processor, begins: atAwareness},
	{rule: "uk.breach.authority", in: only("gb"), role: Controller, begins: atAwareness},
	{rule: "nis2.warning", in: europe, sector: NIS2, begins: atAwareness},
	{rule: "nis2.notify", in: europe, sector: NIS2, begins: atAwareness},
	{rule: "nis2.final", in: europe, sector: NIS2, begins: afterNotice, follow: "nis2.notify"},
	{rule: ruleInitial, in: europe, sector: DORA, begins: atAwareness},
	{rule: "dora.intermediate", in: europe, sector: DORA, begins: afterNotice, follow: "dora.initial"},
	{rule: "dora.final", in: europe, sector: DORA, begins: afterNotice, follow: "dora.intermediate"},
	{rule: "cra.warning", in: europe, sector: CRA, begins: atAwareness},
	{rule: "cra.notify", in: europe, sector: CRA, begins: atAwareness},
	{rule: "cra.final.fix", in: europe, sector: CRA, begins: atFix},
	{rule: "cra.final.incident", in: europe, sector: CRA, begins: afterNotice, follow: "cra.notify"},
	{rule: "ca.breach.residents", in: only("us-ca"), role: Controller, begins: atDiscovery},
	{rule: "ca.breach.ag", in: only("us-ca"), role: Controller, begins: afterNotice, follow: "ca.breach.residents"},
	{rule: "us.tx.breach.residents", in: only("us-tx"), role: Controller, begins: atAwareness},
	{rule: "us.tx.breach.ag", in: only("us-tx"), role: Controller, begins: atAwareness},
	{rule: "hipaa.breach.individual", in: only("us"), sector: HIPAA, role: Controller, begins: atDiscovery},
	{rule: "hipaa.breach.hhs500", in: only("us"), sector: HIPAA, role: Controller, begins: atDiscovery},
	{rule: "hipaa.breach.small", in: only("us"), sector: HIPAA, role: Controller, begins: atDiscovery},
	{rule: "sec.8k105", in: only("us"), sector: SEC, begins: atMaterial},
	{rule: "br.breach", in: only("br"), role: Controller, begins: atAwareness},
	{rule: "br.breach.supplement", in: only("br"), role: Controller, begins: atAwareness},
}

// counts says that a rule is one for the sectors and the role that are known.
func (r *ruleOf) counts(f Facts) bool {
	return (r.sector == "" || slices.Contains(f.Sectors, r.sector)) && (r.role == "" || f.Role == r.role || f.Role == Both)
}

// Idle names the facts from which no notice follows as things are known, because it takes another
// place, sector or role beside them: place:us, sector:nis2, classified_at. Of a drill nothing
// follows, and it has none.
func (i *Incident) Idle() (list []string) {
	if i.Drill {
		return nil
	}
	f := i.Facts
	places, sectors, moments := map[string]bool{}, map[string]bool{}, map[moment]bool{}
	for _, r := range breachRules {
		if !r.counts(f) {
			continue
		}
		for _, p := range f.Places {
			if _, ok := r.in[p]; ok {
				places[p], sectors[r.sector], moments[r.begins] = true, true, true
				if r.rule == ruleInitial {
					moments[atClassification] = true
				}
			}
		}
	}
	for _, p := range f.Places {
		if !places[p] {
			list = append(list, "place:"+p)
		}
	}
	for _, s := range f.Sectors {
		if !sectors[s] {
			list = append(list, "sector:"+s)
		}
	}
	for _, m := range []struct {
		name string
		at   time.Time
		is   moment
	}{{"high_risk_at", f.HighRisk, atHighRisk}, {"material_at", f.Material, atMaterial}, {"classified_at", f.Classified, atClassification}, {"fix_at", f.Fix, atFix}} {
		if !m.at.IsZero() && !moments[m.is] {
			list = append(list, m.name)
		}
	}
	return list
}

// owed is a notice that an incident owes, by its facts.
type owed struct {
	rule, place string
	trigger     time.Time
	// classified is when ruleInitial counts from a classification, zero otherwise.
	classified time.Time
	at         clock.Place
}

// owes lists what an incident owes; sent finds when the notice of a rule was sent at a place.
func (i *Incident) owes(sent func(rule, place string) time.Time) (list []owed) {
	if i.Drill {
		return nil
	}
	f := i.Facts
	for _, r := range breachRules {
		if !r.counts(f) {
			continue
		}
		places := map[string]where{nowhere: {zone: "UTC"}}
		if r.in != nil {
			places = map[string]where{}
			for _, p := range f.Places {
				if w, ok := r.in[p]; ok {
					places[p] = w
				}
			}
		}
		for _, p := range slices.Sorted(maps.Keys(places)) {
			var begins time.Time
			switch r.begins {
			case atSuspicion:
				if begins = i.Suspected; !i.Aware.IsZero() {
					begins = i.Aware
				}
			case atAwareness:
				begins = i.Aware
			case atDiscovery:
				if !i.Aware.IsZero() {
					begins = i.discovered()
				}
			case atHighRisk:
				begins = f.HighRisk
			case atMaterial:
				begins = f.Material
			case atFix:
				begins = f.Fix
			case afterNotice:
				begins = sent(r.follow, p)
			}
			if begins.IsZero() {
				continue
			}
			o := owed{rule: r.rule, place: p, trigger: begins, at: clock.Place{Zone: places[p].zone, Calendar: places[p].calendar}}
			if r.rule == ruleInitial {
				o.classified = f.Classified
			}
			list = append(list, o)
		}
	}
	return list
}

// Kinds of duties. How long before its plan_by a notice is raised first depends on how long
// its period is. A released name is not changed.
const (
	kindHours = "incident.notice.hours" // up to a day
	kindDays  = "incident.notice.days"  // up to a week
	kindLong  = "incident.notice.long"
	// kindFailsafe is the wait for a decision.
	kindFailsafe = "incident.failsafe"
)

// margins are how long before plan_by notices of a kind are raised.
var margins = map[string]time.Duration{kindHours: 8 * time.Hour, kindDays: 24 * time.Hour, kindLong: 5 * 24 * time.Hour}

// kindOf says when to raise a notice that counts from anchor.
func kindOf(anchor, planBy time.Time) string {
	switch period := planBy.Sub(anchor); {
	case period <= 24*time.Hour:
		return kindHours
	case period <= 7*24*time.Hour:
		return kindDays
	}
	return kindLong
}

// subject is the subject of the duties of an incident, and the beginning of their ids.
func subject(incident string) string { return "incident/" + incident }

func failsafeID(incident string) string { return subject(incident) + "/failsafe" }

func incidentOf(subject string) string { return strings.TrimPrefix(subject, "incident/") }
