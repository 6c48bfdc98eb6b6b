package console

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)
	reason := func(code string) (Reason, bool) {
		if code == "unmapped" {
			return Reason{}, false
		}
		r := Reason{Code: code, What: "The body is not JSON.", Fix: "Send well-formed JSON.", Who: "caller"}
		if code == "upstream" {
			r.Who = code
		}
		return r, true
	}
	tests := []struct {
		name string
		e    Event
		want string
	}{
		{"a refused request", Event{Time: at, Type: "request.decided", Channel: "zendesk", Operation: "ticket.create", Decision: "deny", Reason: "json_syntax", Status: 400},
			"On 1 March 2026 at 12:00:05 UTC ticket.create of zendesk was refused with status 400 (json_syntax): the body is not JSON; the upstream never saw the call; whoever wrote the calling program can change that: send well-formed JSON."},
		{"denied by rules of the deployment", Event{Time: at, Type: "exchange.refused", Channel: "zendesk", Operation: "ticket.delete", Decision: "deny", Reason: "unmapped", Status: 403, Attrs: map[string]string{"rules": "no_deletes weekend"}},
			"On 1 March 2026 at 12:00:05 UTC ticket.delete of zendesk was refused with status 403 (unmapped); rules of this deployment that deny it: no_deletes, weekend; the upstream never saw the call."},
		{"a withheld answer", Event{Time: at, Type: "exchange.refused", Channel: "zendesk", Operation: "ticket.create", Decision: "deny", Reason: "unmapped", Status: 502, Forwarded: true},
			"On 1 March 2026 at 12:00:05 UTC the answer to ticket.create of zendesk was withheld with status 502 (unmapped); the upstream did see the call."},
		{"a masked answer", Event{Time: at, Type: "response.decided", Channel: "zendesk", Operation: "ticket.show", Decision: "allow", Status: 200, Forwarded: true, Findings: []Findings{{Class: "credit_card", Masked: 2}, {Class: "us_ssn", Masked: 1, Clear: 1}}},
			"On 1 March 2026 at 12:00:05 UTC the answer to ticket.show of zendesk was given with status 200, with 2 credit_card masked, 1 us_ssn masked, 1 us_ssn unchanged."},
		{"the upstream cannot be reached", Event{Time: at, Type: "exchange.refused", Operation: "ticket.show", Decision: "deny", Reason: "upstream", Status: 502},
			"On 1 March 2026 at 12:00:05 UTC ticket.show failed with status 502 (upstream): the body is not JSON; the upstream never saw the call; the vendor, or whoever runs the network towards it, can change that: send well-formed JSON."},
		{"a call that would have been refused", Event{Time: at, Type: "response.decided", Operation: "ticket.show", Decision: "allow", Attrs: map[string]string{"observe": "1", "would": "type_not_inspected", "unread": "observe"}},
			"On 1 March 2026 at 12:00:05 UTC the answer to ticket.show was given; its body passed unread (observe); the route only observes: enforcing would have refused it (type_not_inspected): the body is not JSON."},
		{"a masked write", Event{Time: at, Type: "request.decided", Operation: "ticket.update", Decision: "allow", Attrs: map[string]string{"masked_writes_removed": "2"}},
			"On 1 March 2026 at 12:00:05 UTC ticket.update was allowed; 2 masked values were taken out of the write, so that they replace no original."},
		{"a webhook that came again", Event{Time: at, Type: "exchange.refused", Channel: "zendesk", Operation: "webhook.delivery", Decision: "deny", Reason: "webhook_duplicate", Status: 200},
			"On 1 March 2026 at 12:00:05 UTC webhook.delivery of zendesk was answered without being forwarded with status 200 (webhook_duplicate): the body is not JSON."},
		{"a masked webhook", Event{Time: at, Type: "request.decided", Operation: "webhook.delivery", Decision: "allow", Attrs: map[string]string{"resigned": "1"}},
			"On 1 March 2026 at 12:00:05 UTC webhook.delivery was allowed; the changed delivery was signed anew."},
		{"with a cause", Event{Time: at, Type: "exchange.refused", Operation: "ticket.update", Decision: "deny", Reason: "unmapped", Attrs: map[string]string{"cause": "gzip"}},
			"On 1 March 2026 at 12:00:05 UTC ticket.update was refused (unmapped) (gzip); the upstream never saw the call."},
		{"an administrator's change", Event{Time: at, Type: "api.done", Channel: "caregate", Operation: "apikey.create", Decision: "allow", Status: 201},
			"On 1 March 2026 at 12:00:05 UTC apikey.create of caregate was carried out with status 201."},
		{"a request on its way", Event{Time: at, Type: "request.decided", Operation: "ticket.show", Decision: "allow"},
			"On 1 March 2026 at 12:00:05 UTC ticket.show was allowed."},
		{"an unread body", Event{Time: at, Type: "request.decided", Decision: "allow", Findings: []Findings{{Class: "*", NotInspected: 1}}},
			"On 1 March 2026 at 12:00:05 UTC a call was allowed, with a body that nobody inspected."},
		{"an export on the vendor's screen", Event{Time: at, Type: "vendor.event", Channel: "zendesk", Operation: "data.exported", Attrs: map[string]string{"trail": "audit", "vendor_time": "2026-11-22T08:00:00Z"}},
			"On 1 March 2026 at 12:00:05 UTC the gateway read in zendesk's own log that data.exported happened on 2026-11-22T08:00:00Z (the vendor's word; the gateway saw no such call)."},
		{"a right that a review took away", Event{Time: at, Type: "access.revoked", Channel: "caregate", Operation: "apikey.narrow", Attrs: map[string]string{"review": "r1", "item": "7"}},
			"On 1 March 2026 at 12:00:05 UTC item 7 of the access review r1 was revoked (apikey.narrow)."},
		{"a right to reveal that lapsed", Event{Time: at, Type: "access.lapsed", Channel: "caregate", Operation: "access.lapse", Attrs: map[string]string{"holder": "user:0a", "unused_days": "90"}},
			"On 1 March 2026 at 12:00:05 UTC the right of user:0a to see what stands behind tokens lapsed, after 90 days without use."},
		{"a call of a run", Event{Time: at, Type: "retention.call", Channel: "zendesk", Operation: "ticket.delete", Attrs: map[string]string{"run": "r1", "record": "0a", "type": "ticket", "status": "204", "seen": "done"}},
			"On 1 March 2026 at 12:00:05 UTC the gateway made the call ticket.delete of zendesk for the run of retention r1, about the record 0a of type ticket: the vendor answered 204, which says done."},
		{"the end of a run", Event{Time: at, Type: "retention.ended", Attrs: map[string]string{"run": "r1", "certificate": "0b"}},
			"On 1 March 2026 at 12:00:05 UTC the run of retention r1 ended; its certificate has the SHA-256 0b."},
		{"a review", Event{Time: at, Type: "access.reviewed", Channel: "caregate", Operation: "access.close", Attrs: map[string]string{"review": "r1", "kept": "5", "revoked": "2", "by_hand": "1", "report": "0a0b"}},
			"On 1 March 2026 at 12:00:05 UTC the access review r1 was closed: 5 rights kept, 2 revoked, 1 for people to revoke; its report has the SHA-256 0a0b."},
		{"a vendor's log with a hole", Event{Time: at, Type: "vendor.gap", Channel: "zendesk", Attrs: map[string]string{"trail": "audit", "gap": "retention", "from": "A", "to": "B"}},
			"On 1 March 2026 at 12:00:05 UTC the gateway could not rely on the log audit of zendesk from A to B: the vendor no longer kept it when it was asked for."},
		{"masks that can be undone", Event{Receipt: "0a", Time: at, Type: "request.decided", Operation: "ticket.create", Decision: "allow", Findings: []Findings{{Class: "us_ssn", Masked: 3}}, Attrs: map[string]string{"undo": "2", "undo_until": "2026-03-02T12:00:05Z", "no_undo": "1"}},
			"On 1 March 2026 at 12:00:05 UTC ticket.create was allowed, with 3 us_ssn masked; what its masks stand for can be asked for until 2 March 2026 at 12:00:05 UTC: 0a/1 to 0a/2; masks for good, although policy wants them undone: 1."},
		{"a mask that can be undone", Event{Receipt: "0a", Time: at, Type: "request.decided", Operation: "ticket.create", Decision: "allow", Attrs: map[string]string{"undo": "1", "undo_until": "2026-03-02T12:00:05Z"}},
			"On 1 March 2026 at 12:00:05 UTC ticket.create was allowed; what its masks stand for can be asked for until 2 March 2026 at 12:00:05 UTC: 0a/1."},
		{"an answer to such a call", Event{Receipt: "0b", Time: at, Type: "response.decided", Operation: "ticket.create", Decision: "allow", Attrs: map[string]string{"request_undo": "0a"}},
			"On 1 March 2026 at 12:00:05 UTC the answer to ticket.create was given; masks of its request can be undone, as event 0a says."},
		{"a stream that opens", Event{Time: at, Type: "response.decided", Operation: "ticket.export", Decision: "allow", Status: 200, Attrs: map[string]string{"stream": "open"}},
			"On 1 March 2026 at 12:00:05 UTC the answer to ticket.export was given with status 200; its body streamed from here on, and its closing event has the totals."},
		{"a part of a stream", Event{Time: at, Type: "response.window", Operation: "ticket.export", Decision: "allow", Findings: []Findings{{Class: "us_ssn", Masked: 1}}},
			"On 1 March 2026 at 12:00:05 UTC a part of the answer to ticket.export was given, with 1 us_ssn masked."},
		{"a stream that ends", Event{Time: at, Type: "request.closed", Operation: "ticket.import", Decision: "allow", Attrs: map[string]string{"end": "complete", "bytes": "70000", "findings": "2 us_ssn masked"}},
			"On 1 March 2026 at 12:00:05 UTC what was sent to ticket.import ended: complete; 70000 bytes of it were inspected, with 2 us_ssn masked in all."},
		{"a stream that is cut", Event{Time: at, Type: "request.closed", Operation: "ticket.import", Decision: "deny", Outcome: "cut", Reason: "unmapped", Forwarded: true, Attrs: map[string]string{"end": "refused"}},
			"On 1 March 2026 at 12:00:05 UTC a stream of ticket.import was cut off in the middle (unmapped); the upstream did see the call."},
		{"a gap", Event{Time: at, Type: "log.gap", Attrs: map[string]string{"cause": "disk_low", "from": "1772366400000", "to": "1772366405000"}},
			"On 1 March 2026 at 12:00:05 UTC the gateway recorded a gap: the log does not know all that went on from 1 March 2026 at 12:00:00 UTC to 1 March 2026 at 12:00:05 UTC (disk_low)."},
		{"an event of the gateway itself", Event{Time: at, Type: "config.loaded"},
			"On 1 March 2026 at 12:00:05 UTC the gateway recorded config.loaded."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Explain(tt.e, reason).Sentence; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"%v", "%s", "%+v", "%#v", "%q"} {
		if got := fmt.Sprintf(verb, struct{ S Secret }{testSecret}); strings.Contains(got, testSecret) {
			t.Errorf("%s prints the secret", verb)
		}
	}
	if b, err := Secret(testSecret).MarshalJSON(); err != nil || strings.Contains(string(b), testSecret) {
		t.Errorf("JSON prints the secret (%v)", err)
	}
}

func FuzzDecodeObject(f *testing.F) {
	f.Add([]byte(`{"name":"x","roles":["a"]}`))
	f.Add([]byte(`{"name":"x","name":"y"}`))
	f.Add([]byte(`{"NAME":"x"} {}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, ref := decodeNewKey(body)
		if (v == nil) == (ref == nil) {
			t.Fatal("neither a value nor a refusal, or both")
		}
		if ref != nil {
			return
		}
		n := v.(NewKey)
		if !isText(n.Name, maxKeyName) || len(n.Roles) == 0 || len(n.Roles) > maxRoles {
			t.Error("a wish outside its limits was taken")
		}
	})
}
