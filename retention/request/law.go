package request

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/retention/index"
)

// Kinds of requests.
const (
	Access      = "access"
	Portability = "portability"
	Deletion    = "deletion"
	Correction  = "correction"
	Restriction = "restriction"
	Objection   = "objection"
	OptOut      = "opt_out_sale_sharing"
	Limit       = "limit_sensitive"
)

// Kinds lists the kinds of requests.
func Kinds() []string {
	return []string{Access, Portability, Deletion, Correction, Restriction, Objection, OptOut, Limit}
}

// flags are the kinds that set a flag of the person.
var flags = map[string]string{Restriction: index.FlagRestriction, Objection: index.FlagObjection, OptOut: index.FlagOptOut, Limit: index.FlagLimitSensitive}

// unproven are the kinds for which nobody proves who they are (11 CCR 7060(b)).
func unproven(kind string) bool { return kind == OptOut || kind == Limit }

// law is the law of a place.
type law struct {
	zone, calendar string
	// respond is the rule of each kind that the law knows, acknowledge that of the kinds in
	// acks.
	respond     map[string]string
	acknowledge string
	acks        []string
	// refuse is the rule by which a refusal is told, where that is another.
	refuse string
	// extend are the reasons for an extension.
	extend []string
	// refusals are the reasons for a refusal, with the kinds that each is for; none for all.
	refusals map[string][]string
}

// all gives kinds one rule.
func all(rule string, kinds ...string) map[string]string {
	m := make(map[string]string, len(kinds))
	for _, k := range kinds {
		m[k] = rule
	}
	return m
}

// Reasons for refusals that say nothing about the person: who asks is not known, has no right
// to ask for another, wants to deceive, or asks the wrong one.
const (
	ReasonIdentity  = "identity"
	ReasonAgent     = "agent_authority"
	ReasonFraud     = "fraudulent"
	ReasonElsewhere = "not_controller"
)

var blind = []string{ReasonIdentity, ReasonAgent, ReasonFraud, ReasonElsewhere}

// Regulation (EU) 2016/679 Art. 11(2), 12(2), 15(4), 16, 17(3), 18(1), 20(1) and (4), 21; the
// UK's is the same here. That a request is unfounded or excessive (Art. 12(5)) needs evidence and a second
// person, and is not there yet.
var gdprRefusals = map[string][]string{
	ReasonIdentity: nil, ReasonAgent: nil, ReasonElsewhere: nil,
	"rights_of_others":  {Access, Portability},
	"no_ground":         {Deletion, Restriction},
	"expression":        {Deletion},
	"legal_obligation":  {Deletion},
	"public_interest":   {Deletion, Portability},
	"public_health":     {Deletion},
	"archiving":         {Deletion, Objection},
	"legal_claims":      {Deletion, Objection},
	"compelling_ground": {Objection},
	"accurate":          {Correction},
	"other_basis":       {Portability}, // neither consent nor contract, or not automated
}

// Civil Code 1798.105(d), 11 CCR 7021, 7023, 7026, 7063.
var ccpaRefusals = map[string][]string{
	ReasonIdentity:  {Access, Portability, Deletion, Correction},
	ReasonAgent:     nil,
	ReasonFraud:     {Correction, OptOut},
	ReasonElsewhere: nil,
	"transaction":   {Deletion}, "security": {Deletion}, "debugging": {Deletion}, "free_speech": {Deletion}, "calecpa": {Deletion},
	"research": {Deletion}, "internal_use": {Deletion}, "legal_obligation": {Deletion},
	"accurate": {Correction},
}

var otherRefusals = map[string][]string{
	ReasonIdentity: {Access, Portability, Deletion, Correction}, ReasonAgent: nil, ReasonElsewhere: nil,
	"legal_obligation": {Deletion}, "accurate": {Correction},
}

// europe are the states of the European Economic Area, with their zones, and their holidays
// where the register has them.
var europe = map[string][2]string{
	"at": {"Europe/Vienna", "AT"}, "be": {"Europe/Brussels", ""}, "bg": {"Europe/Sofia", ""}, "hr": {"Europe/Zagreb", ""},
	"cy": {"Asia/Nicosia", ""}, "cz": {"Europe/Prague", ""}, "dk": {"Europe/Copenhagen", ""}, "ee": {"Europe/Tallinn", ""},
	"fi": {"Europe/Helsinki", ""}, "fr": {"Europe/Paris", "FR"}, "de": {"Europe/Berlin", "DE"}, "gr": {"Europe/Athens", ""},
	"hu": {"Europe/Budapest", ""}, "ie": {"Europe/Dublin", "IE"}, "it": {"Europe/Rome", ""}, "lv": {"Europe/Riga", ""},
	"lt": {"Europe/Vilnius", ""}, "lu": {"Europe/Luxembourg", ""}, "mt": {"Europe/Malta", ""}, "nl": {"Europe/Amsterdam", ""},
	"pl": {"Europe/Warsaw", ""}, "pt": {"Europe/Lisbon", ""}, "ro": {"Europe/Bucharest", ""}, "sk": {"Europe/Bratislava", ""},
	"si": {"Europe/Ljubljana", ""}, "es": {"Europe/Madrid", ""}, "se": {"Europe/Stockholm", ""},
	"is": {"Atlantic/Reykjavik", ""}, "li": {"Europe/Vaduz", ""}, "no": {"Europe/Oslo", ""},
}

var laws = func() map[string]law {
	six := []string{Access, Portability, Deletion, Correction, Restriction, Objection}
	five := []string{Access, Portability, Deletion, Correction, OptOut}
	m := make(map[string]law)
	for place, w := range europe {
		calendar := w[1]
		if calendar == "" {
			calendar = "NONE"
		}
		m[place] = law{zone: w[0], calendar: calendar, respond: all("eu.dsar.respond", six...), refuse: "eu.dsar.refuse", extend: []string{"complexity", "number"}, refusals: gdprRefusals}
	}
	for place, calendar := range map[string]string{"gb": "NONE", "gb-eaw": "GB-EAW", "gb-sct": "GB-SCT", "gb-nir": "GB-NIR"} {
		m[place] = law{zone: "Europe/London", calendar: calendar, respond: all("uk.dsar.respond", six...), extend: []string{"complexity", "number"}, refusals: gdprRefusals}
	}
	ca := all("ca.dsar.respond", Access, Portability, Deletion, Correction)
	ca[OptOut], ca[Limit] = "ca.optout", "ca.limit"
	m["us-ca"] = law{zone: "America/Los_Angeles", calendar: "US-CA", respond: ca, acknowledge: "ca.dsar.ack", acks: []string{Access, Portability, Deletion, Correction}, extend: []string{"complexity", "number"}, refusals: ccpaRefusals}
	for place, zone := range map[string]string{"us-va": "America/New_York", "us-co": "America/Denver", "us-ct": "America/New_York", "us-tx": "America/Chicago"} {
		m[place] = law{zone: zone, respond: all("us."+strings.TrimPrefix(place, "us-")+".dsar", five...), extend: []string{"complexity", "number"}, refusals: otherRefusals}
	}
	m["br"] = law{zone: "America/Sao_Paulo", calendar: "BR", respond: all("br.access", Access), refusals: otherRefusals}
	return m
}()

// Places lists the places whose law is known, sorted: of the European Economic Area and
// Brazil as de, of the United Kingdom gb, gb-eaw (England and Wales), gb-sct and gb-nir for
// their holidays, of the United States us-ca, us-co, us-ct, us-tx and us-va.
func Places() []string { return slices.Sorted(maps.Keys(laws)) }

// refusable tells whether a request of this kind may be refused for this reason.
func (l *law) refusable(reason, kind string) bool {
	kinds, ok := l.refusals[reason]
	return ok && (len(kinds) == 0 || slices.Contains(kinds, kind))
}

// reasons lists the reasons for which a request of this kind may be refused.
func (l *law) reasons(kind string) string {
	var list []string
	for r := range l.refusals {
		if l.refusable(r, kind) {
			list = append(list, r)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// Methods by which somebody found out that a name is the person's.
const (
	// ByDataPoints compared two things that both know. In California it opens no records
	// (11 CCR 7062, 7024(a)).
	ByDataPoints = "data_points"
	// ByAttorney is for agents with a power of attorney (11 CCR 7063).
	ByAttorney = "power_of_attorney"
)

// Methods lists the methods. None of them keeps a document.
func Methods() []string {
	return []string{"account", "callback", ByDataPoints, "data_points_signed", "document", "email_code", "in_person", "phone_code", ByAttorney}
}

// Authorities say with what right an agent asks.
func Authorities() []string { return []string{"signed_permission", "confirmed_by_person", ByAttorney} }

// Manners in which a request came (11 CCR 7101).
func Manners() []string {
	return []string{"form", "email", "phone", "post", "in_person", "signal", "other"}
}

// Results of an item.
const (
	Provided    = "provided"
	Withheld    = "withheld" // others have rights in it
	Erased      = "erased"
	Redacted    = "redacted"
	KeptHold    = "kept_hold"
	KeptStatute = "kept_statute"
	Corrected   = "corrected"
	Unchanged   = "unchanged" // it was right
	NotFound    = "not_found"
	ByHand      = "by_hand" // somebody still has to do it
)

// results of each kind.
var results = map[string][]string{
	Access:      {Provided, Withheld, NotFound, ByHand},
	Portability: {Provided, Withheld, NotFound, ByHand},
	Deletion:    {Erased, Redacted, KeptHold, KeptStatute, NotFound, ByHand},
	Correction:  {Corrected, Unchanged, NotFound, ByHand},
}

// whole are the kinds of which every known record has a result before they are answered.
func whole(kind string) bool { return kind == Access || kind == Portability || kind == Deletion }

func destroys(result string) bool { return result == Erased || result == Redacted }

const (
	// Everything is the place of the one item of a person without records.
	Everything = "*"
	// againFor is how long it counts that a person proved again who they are.
	againFor = 24 * time.Hour
	// maxFailed is how many checks may fail before the request can only be refused.
	maxFailed = 5
)
