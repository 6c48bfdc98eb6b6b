package console

import (
	"fmt"
	"strings"
)

// Explain returns e with its Sentence, Fix and FixedBy: what happened, why, and
// who can change it. reason is the gateway's catalogue.
func Explain(e Event, reason func(code string) (Reason, bool)) Event {
	if e.Roles == nil {
		e.Roles = []string{}
	}
	if e.Findings == nil {
		e.Findings = []Findings{}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "On %s ", e.Time.UTC().Format("2 January 2006 at 15:04:05 MST"))
	what := called(e)
	var why Reason
	known := false
	if e.Reason != "" && reason != nil {
		why, known = reason(e.Reason)
	}
	if grant := e.Attrs["grant"]; grant != "" {
		why.Fix = strings.ReplaceAll(why.Fix, "GRANT", grant)
	}
	repeated := e.Decision == "deny" && e.Status >= 200 && e.Status < 300 // what the caller wanted has happened
	switch {
	case repeated:
		fmt.Fprintf(&b, "%s was answered without being forwarded", what)
	case e.Decision == "deny" && e.Outcome == "cut":
		fmt.Fprintf(&b, "a stream of %s was cut off in the middle", what)
	case e.Decision == "deny" && e.Forwarded:
		fmt.Fprintf(&b, "the answer to %s was withheld", what)
	case e.Decision == "deny" && why.Who == "upstream":
		fmt.Fprintf(&b, "%s failed", what)
	case e.Decision == "deny":
		fmt.Fprintf(&b, "%s was refused", what)
	case e.Type == "request.decided", e.Type == "api.decided":
		fmt.Fprintf(&b, "%s was allowed", what)
	case e.Type == "response.decided":
		fmt.Fprintf(&b, "the answer to %s was given", what)
	case e.Type == "request.window":
		fmt.Fprintf(&b, "a part of what was sent to %s passed", what)
	case e.Type == "response.window":
		fmt.Fprintf(&b, "a part of the answer to %s was given", what)
	case e.Type == "request.closed":
		fmt.Fprintf(&b, "what was sent to %s ended: %s", what, e.Attrs["end"])
	case e.Type == "response.closed":
		fmt.Fprintf(&b, "the answer to %s ended: %s", what, e.Attrs["end"])
	case e.Type == "api.done":
		fmt.Fprintf(&b, "%s was carried out", what)
	default:
		fmt.Fprintf(&b, "the gateway recorded %s", e.Type)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, " with status %d", e.Status)
	}
	if f := findings(e.Findings); f != "" {
		fmt.Fprintf(&b, ", with %s", f)
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, " (%s)", e.Reason)
	}
	if known {
		b.WriteString(": " + clause(why.What))
	}
	if cause := e.Attrs["cause"]; cause != "" {
		fmt.Fprintf(&b, " (%s)", cause)
	}
	if e.Decision == "deny" && !repeated {
		if e.Forwarded {
			b.WriteString("; the upstream did see the call")
		} else {
			b.WriteString("; the upstream never saw the call")
		}
	}
	if known {
		e.Fix, e.FixedBy = why.Fix, why.Who
		if e.Decision == "deny" && !repeated {
			fmt.Fprintf(&b, "; %s can change that: %s", fixers(why.Who), clause(why.Fix))
		}
	}
	explainPass(&b, e.Attrs, reason)
	b.WriteByte('.')
	e.Sentence = b.String()
	return e
}

// explainPass says what passed that would not pass on every route.
func explainPass(b *strings.Builder, attrs map[string]string, reason func(code string) (Reason, bool)) {
	if attrs["stream"] == "open" {
		b.WriteString("; its body streamed from here on, and its closing event has the totals")
	}
	if bytes := attrs["bytes"]; bytes != "" {
		fmt.Fprintf(b, "; %s bytes of it were inspected", bytes)
		if all := attrs["findings"]; all != "" {
			fmt.Fprintf(b, ", with %s in all", all)
		}
	}
	if did := attrs["request"]; did != "" {
		fmt.Fprintf(b, "; in the request: %s", did)
	}
	if n := attrs["masked_writes_removed"]; n != "" {
		fmt.Fprintf(b, "; %s masked values were taken out of the write, so that they replace no original", n)
	}
	if attrs["resigned"] != "" {
		b.WriteString("; the changed delivery was signed anew")
	}
	if unread := attrs["unread"]; unread != "" {
		fmt.Fprintf(b, "; its body passed unread (%s)", unread)
	}
	if attrs["observe"] == "" {
		return
	}
	b.WriteString("; the route only observes")
	would := attrs["would"]
	if would == "" {
		return
	}
	fmt.Fprintf(b, ": enforcing would have refused it (%s)", would)
	if reason != nil {
		if r, ok := reason(would); ok {
			b.WriteString(": " + clause(r.What))
		}
	}
}

// clause makes a sentence of the catalogue part of ours.
func clause(s string) string { return lowerFirst(strings.TrimSuffix(s, ".")) }

// called names the call: "ticket.create of zendesk".
func called(e Event) string {
	switch {
	case e.Operation == "":
		return "a call"
	case e.Channel == "":
		return e.Operation
	}
	return e.Operation + " of " + e.Channel
}

// findings lists what was done to which data: "2 credit_card masked".
func findings(list []Findings) string {
	var parts []string
	for _, f := range list {
		for _, n := range []struct {
			count int
			done  string
		}{{f.Masked, "masked"}, {f.Tokenized, "tokenized"}, {f.Dropped, "dropped"}, {f.Clear, "unchanged"}} {
			if n.count > 0 {
				parts = append(parts, fmt.Sprintf("%d %s %s", n.count, f.Class, n.done))
			}
		}
		if f.NotInspected > 0 {
			parts = append(parts, "a body that nobody inspected")
		}
	}
	return strings.Join(parts, ", ")
}

// fixers names who the catalogue's word stands for.
func fixers(who string) string {
	switch who {
	case "caller":
		return "whoever wrote the calling program"
	case "security":
		return "whoever owns the policy"
	case "operator":
		return "whoever runs the gateway"
	case "upstream":
		return "the vendor, or whoever runs the network towards it,"
	}
	return who
}

func lowerFirst(s string) string {
	// An acronym or a name stays as it is: only a capital before a small letter, or
	// the article A, begins a sentence.
	if len(s) > 1 && s[0] >= 'A' && s[0] <= 'Z' && (s[1] == ' ' || (s[1] >= 'a' && s[1] <= 'z')) {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
