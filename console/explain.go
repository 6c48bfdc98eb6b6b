package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"
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
	case e.Type == "vendor.event":
		fmt.Fprintf(&b, "the gateway read in %s's own log that %s happened on %s (the vendor's word; the gateway saw no such call)", e.Channel, e.Operation, e.Attrs["vendor_time"])
	case e.Type == "vendor.covered":
		fmt.Fprintf(&b, "the gateway had read the log %s of %s from %s to %s", e.Attrs["trail"], e.Channel, e.Attrs["from"], e.Attrs["to"])
	case e.Type == "vendor.gap":
		fmt.Fprintf(&b, "the gateway could not rely on the log %s of %s from %s to %s: %s", e.Attrs["trail"], e.Channel, e.Attrs["from"], e.Attrs["to"], vendorGap(e.Attrs["gap"]))
	case e.Type == "approval.expired":
		fmt.Fprintf(&b, "the time for an approval of %s was over", what)
	case e.Type == "access.revoked":
		fmt.Fprintf(&b, "item %s of the access review %s was revoked (%s)", e.Attrs["item"], e.Attrs["review"], e.Operation)
	case e.Type == "access.lapsed":
		fmt.Fprintf(&b, "the right of %s to see what stands behind tokens lapsed, after %s days without use", e.Attrs["holder"], e.Attrs["unused_days"])
	case e.Type == "access.reviewed":
		fmt.Fprintf(&b, "the access review %s was closed: %s rights kept, %s revoked, %s for people to revoke; its report has the SHA-256 %s",
			e.Attrs["review"], e.Attrs["kept"], e.Attrs["revoked"], e.Attrs["by_hand"], e.Attrs["report"])
	case e.Type == "hold.placed":
		fmt.Fprintf(&b, "the legal hold %s of matter %s was placed", e.Attrs["hold"], e.Attrs["matter"])
		if n := e.Attrs["too_late"]; n != "" {
			fmt.Fprintf(&b, ", too late for %s erasures", n)
		}
	case e.Type == "hold.lift_requested":
		fmt.Fprintf(&b, "somebody asked for the legal hold %s of matter %s to be lifted", e.Attrs["hold"], e.Attrs["matter"])
	case e.Type == "hold.lifted":
		fmt.Fprintf(&b, "the legal hold %s of matter %s was lifted: %s asked, %s agreed", e.Attrs["hold"], e.Attrs["matter"], e.Attrs["asked_by"], e.Attrs["approved_by"])
	case e.Type == "incident.notice_raised":
		fmt.Fprintf(&b, "the gateway raised the notice %s (%s) of the incident %s, which is %s", e.Attrs["rule"], e.Attrs["place"], e.Attrs["incident"], urgency(e.Attrs["stage"]))
	case strings.HasPrefix(e.Type, "incident."):
		fmt.Fprintf(&b, "entry %s of the incident %s was made: %s", e.Attrs["entry"], e.Attrs["incident"], strings.ReplaceAll(strings.TrimPrefix(e.Type, "incident."), "_", " "))
	case e.Type == "request.deadline_raised":
		fmt.Fprintf(&b, "the gateway raised that the request %s is to be %s: %s", e.Attrs["request"], deadline(e.Attrs["duty"]), e.Attrs["stage"])
	case strings.HasPrefix(e.Type, "request.") && e.Attrs["entry"] != "":
		fmt.Fprintf(&b, "entry %s of the privacy request %s was made: %s", e.Attrs["entry"], e.Attrs["request"], strings.ReplaceAll(strings.TrimPrefix(e.Type, "request."), "_", " "))
	case strings.HasPrefix(e.Type, "duty."):
		fmt.Fprintf(&b, "entry %s of the duty %s was made: %s", e.Attrs["entry"], e.Attrs["duty"], strings.TrimPrefix(e.Type, "duty."))
	case e.Type == "retention.call":
		fmt.Fprintf(&b, "the gateway made the call %s for the run of retention %s, about the record %s of type %s: the vendor answered %s, which says %s", what, e.Attrs["run"], e.Attrs["record"], e.Attrs["type"], e.Attrs["status"], e.Attrs["seen"])
	case e.Type == "retention.ended":
		fmt.Fprintf(&b, "the run of retention %s ended; its certificate has the SHA-256 %s", e.Attrs["run"], e.Attrs["certificate"])
	case e.Type == "log.gap":
		fmt.Fprintf(&b, "the gateway recorded a gap: the log does not know %s", gap(e.Attrs))
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
	if rules := e.Attrs["rules"]; rules != "" {
		b.WriteString("; rules of this deployment that deny it: " + strings.ReplaceAll(rules, " ", ", "))
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
	explainUndo(&b, e)
	explainPass(&b, e.Attrs, reason)
	b.WriteByte('.')
	e.Sentence = b.String()
	return e
}

// explainUndo says what masks stand for that is kept for a while, and where it is asked for.
func explainUndo(b *strings.Builder, e Event) {
	if n := e.Attrs["undo"]; n != "" {
		until := e.Attrs["undo_until"]
		if at, err := time.Parse(time.RFC3339, until); err == nil {
			until = at.UTC().Format("2 January 2006 at 15:04:05 MST")
		}
		last := ""
		if n != "1" {
			last = " to " + e.Receipt + "/" + n
		}
		fmt.Fprintf(b, "; what its masks stand for can be asked for until %s: %s/1%s", until, e.Receipt, last)
	}
	if n := e.Attrs["no_undo"]; n != "" {
		fmt.Fprintf(b, "; masks for good, although policy wants them undone: %s", n)
	}
	if id := e.Attrs["request_undo"]; id != "" {
		fmt.Fprintf(b, "; masks of its request can be undone, as event %s says", id)
	}
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
	if n := attrs["earlier_pieces"]; n != "" {
		fmt.Fprintf(b, "; it completes a number of which the system holds %s earlier pieces in clear", n)
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
	if parts := attrs["unread_parts"]; parts != "" {
		fmt.Fprintf(b, "; parts of its body passed unread (%s)", parts)
	}
	if unread := attrs["request_unread"]; unread != "" {
		fmt.Fprintf(b, "; the request's body passed unread (%s): nobody looked for anything in it", unread)
	}
	if parts := attrs["request_unread_parts"]; parts != "" {
		fmt.Fprintf(b, "; parts of the request's body passed unread (%s): nobody looked for anything in them", parts)
	}
	if id := attrs["approval"]; id != "" {
		fmt.Fprintf(b, "; approval %s (%s)", id, attrs["approval_step"])
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

// vendorGap says why a vendor's log is missing for a time, or not to be relied on.
func vendorGap(why string) string {
	switch why {
	case "retention":
		return "the vendor no longer kept it when it was asked for"
	case "cursor_refused":
		return "the vendor refused to go on from where reading stood; it was read again from the beginning"
	case "paging":
		return "its pages did not end, or did not lead on"
	case "order":
		return "times jumped back, so entries may have been passed over"
	case "vanished":
		return "an entry that was there before was gone"
	case "unreadable":
		return "entries, or whole answers, could not be read"
	case "clock":
		return "the vendor's clock lay behind what was read before"
	}
	return why
}

// urgency says how much time a notice has.
func urgency(stage string) string {
	switch stage {
	case "overdue":
		return stage
	case "doubt":
		return "due at a moment that nobody knows, because the clock jumped"
	}
	return "due soon"
}

// deadline says what is due of a privacy request.
func deadline(duty string) string {
	if duty == "acknowledge" {
		return "acknowledged"
	}
	return "answered"
}

// gap says what a gap in the log lacks, as far as its event knows.
func gap(attrs map[string]string) string {
	at := func(name string) string {
		ms, err := strconv.ParseInt(attrs[name], 10, 64)
		if err != nil {
			return "a time that is not known"
		}
		return time.UnixMilli(ms).UTC().Format("2 January 2006 at 15:04:05 MST")
	}
	return fmt.Sprintf("all that went on from %s to %s", at("from"), at("to"))
}
