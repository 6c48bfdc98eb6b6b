package proxy

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/lists"
	"github.com/caregate/caregate/redact/walk"
)

// observed counts the forms of what routes found while they observed, so that
// `caregate learn --observed` can propose allow rows. It keeps field names and counts,
// and of a value how many digits it has in which groups: no digit, nothing on disk,
// and nothing of text in which more than the number stands. It is gone when the
// process ends. It is safe for concurrent use.
type observed struct {
	mu     sync.Mutex // owns shapes
	shapes lists.Shapes
	since  time.Time
}

func newObserved() *observed {
	return &observed{shapes: lists.Shapes{Blind: true}, since: time.Now().UTC()}
}

// leastObserved is how many findings a form must have to be told to anybody: what
// stands in one record only may be the name of a person.
const leastObserved = 5

// add counts the findings of a body that an event has made durable.
func (o *observed) add(doc *walk.Doc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range doc.Findings {
		if f.Never && !f.Strong {
			continue
		}
		if field := lists.FieldOf(f.Path); fieldName(field) {
			if value, ok := doc.Alone(f); ok {
				o.shapes.Add(f, field, value)
			}
		}
	}
}

// fieldName reports whether a name is one that programmers give, and not a person's
// number or address that some programs file records under.
func fieldName(s string) bool {
	const longest, digits = 64, 4
	numbers := 0
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			numbers++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.ContainsRune("_-.[] ", c):
		default:
			return false
		}
	}
	return s != "" && len(s) <= longest && numbers <= digits
}

// proposals answers GET /api/v1/observed.
func (o *observed) proposals(context.Context) (console.Observed, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := console.Observed{Since: o.since}
	for _, p := range o.shapes.Proposals(leastObserved) {
		out.Proposals = append(out.Proposals, console.Proposal(p))
	}
	return out, nil
}

// Attributes of an event on a route that observes, beside observe and would. All are
// words of closed lists, and counts.
const (
	attrProgram = "program" // what kind of program called, see programOf
	attrSigned  = "signed"  // the call vouches for its own bytes, so that an edit breaks it
	attrDoubts  = "doubts"  // findings that may be none: "class evidence count", with commas between
)

// mostDoubts bounds the rows of attrDoubts.
const mostDoubts = 32

// noteCaller keeps of the headers of a call what tells integrations apart, and whether one
// of them would not survive a mask.
func (x *exchange) noteCaller(h http.Header) {
	if !x.observe() {
		return
	}
	x.program = programOf(h.Get("User-Agent"))
	for name := range h {
		switch name {
		case "Signature", "Signature-Input":
			x.signed = true
		default:
			x.signed = x.signed || strings.HasPrefix(name, "X-") && (strings.Contains(name, "-Signature") || strings.HasSuffix(name, "-Hmac-Sha256"))
		}
	}
	x.signed = x.signed || strings.HasPrefix(h.Get("Authorization"), "AWS4-HMAC-SHA256 ")
}

// noteObserved says in an event of a route that observes what the report of it needs.
func (x *exchange) noteObserved(attrs map[string]string, side *half) {
	if x.program != "" {
		attrs[attrProgram] = x.program
	}
	if x.signed && side == &x.request {
		attrs[attrSigned] = "1"
	}
	counts := make(map[string]int)
	add := func(f *redact.Finding) {
		const named = redact.EvidenceWord | redact.EvidenceKey | redact.EvidenceBeside | redact.EvidenceListed
		if f.Strong || f.Never || f.Evidence&named != 0 || side.decision == nil || side.decision.Action(string(f.Class), placeOf(f)) == "allow" {
			return
		}
		why := strings.ReplaceAll(f.Evidence.String(), ",", "+")
		if f.Confidence < doubtful {
			why += "+low"
		}
		counts[string(f.Class)+" "+strings.TrimPrefix(why, "+")]++
	}
	for i := range side.found {
		add(&side.found[i].finding)
	}
	if doc := side.body.doc; doc != nil {
		for i := range doc.Findings {
			add(&doc.Findings[i])
		}
	}
	rows := slices.Sorted(maps.Keys(counts))
	for i, row := range rows {
		rows[i] = fmt.Sprintf("%s %d", row, counts[row])
	}
	if len(rows) > 0 {
		attrs[attrDoubts] = strings.Join(rows[:min(len(rows), mostDoubts)], ",")
	}
}

// doubtful is the confidence below which the detector itself says that a finding may be
// none.
const doubtful = 0.9

// programs are marks by which programs name themselves, in the order in which they are
// looked for: what many pretend to be comes last.
var programs = [...]struct{ mark, kind string }{
	{"zapier", "zapier"}, {"integromat", "make"}, {"n8n", "n8n"}, {"workato", "workato"}, {"postman", "postman"}, {"insomnia", "insomnia"},
	{"curl/", "curl"}, {"wget", "wget"}, {"powershell", "powershell"},
	{"python", "python"}, {"aiohttp", "python"}, {"httpx", "python"}, {"zenpy", "python"},
	{"node", "node"}, {"axios", "node"}, {"undici", "node"}, {"got (", "node"},
	{"go-http-client", "go"}, {"ruby", "ruby"}, {"faraday", "ruby"}, {"guzzle", "php"}, {"php", "php"}, {"restsharp", "dotnet"}, {".net", "dotnet"},
	{"cfnetwork", "mobile"}, {"dalvik", "mobile"}, {"okhttp", "java"}, {"java", "java"}, {"apache-httpclient", "java"}, {"reqwest", "rust"}, {"perl", "perl"},
	{"mozilla/", "browser"},
}

// programOf names the kind of a program by its User-Agent, with a word of a closed list:
// what stands in the header is the caller's choice, and may name a person.
func programOf(agent string) string {
	if agent == "" {
		return "unnamed"
	}
	agent = strings.ToLower(agent[:min(len(agent), maxUserAgent)])
	for _, p := range programs {
		if strings.Contains(agent, p.mark) {
			return p.kind
		}
	}
	return "other"
}
