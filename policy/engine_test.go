package policy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/policy"
)

func overlay(t testing.TB, src string) *policy.Overlay {
	t.Helper()
	o, err := policy.ParseOverlay("overlay.yaml", []byte(src))
	must(t, err)
	return o
}

func rules(t testing.TB, src string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "own.rego"), []byte(src), 0o600))
	return dir
}

func TestDecide(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{})
	for _, tc := range []struct {
		name    string
		change  func(*policy.Input)
		allow   bool
		reason  string
		needs   string
		actions map[[2]string]string
	}{
		{"an agent writes a card", nil, true, "", "", map[[2]string]string{
			{"credit_card", policy.PlaceText}: "mask", {"credit_card", policy.PlaceQuery}: "mask", {"email", policy.PlaceText}: "allow",
			{"us_ssn", policy.PlaceText}: "block", // was not in the input: nobody decided
		}},
		{"a card in the path", func(in *policy.Input) { in.Findings[0].Place = policy.PlacePath }, false, "finding_blocked", "",
			map[[2]string]string{{"credit_card", policy.PlacePath}: "block"}},
		{"a card as number", func(in *policy.Input) { in.Findings[0].Place = policy.PlaceNumber }, false, "finding_blocked", "", nil},
		{"a card as number in the answer", func(in *policy.Input) {
			in.Findings[0].Place, in.Direction = policy.PlaceNumber, policy.Response
		}, true, "", "", map[[2]string]string{{"credit_card", policy.PlaceNumber}: "mask"}},
		{"an export", func(in *policy.Input) { in.Scope, in.Effect, in.Operation = "export", "read", "ticket.export" }, false, "export_needs_grant", "zendesk:ticket.export", nil},
		{"an export with its grant", func(in *policy.Input) {
			in.Scope, in.Effect, in.Operation, in.Actor.Grants = "export", "read", "ticket.export", []string{"zendesk:ticket.export"}
		}, true, "", "", nil},
		{"nobody", func(in *policy.Input) {
			in.Actor = policy.InputActor{Kind: policy.KindAnonymous, Strength: policy.StrengthNone, Roles: []string{"public"}}
		}, false, "no_credential", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := ticket()
			in.Findings = slices.Clone(in.Findings)
			if tc.change != nil {
				tc.change(&in)
			}
			for range 2 { // the second answer comes from the cache
				d, err := e.Decide(t.Context(), in)
				must(t, err)
				if d.Allow != tc.allow || d.Reason != tc.reason || d.Needs != tc.needs || d.V != policy.DecisionVersion || d.Would != nil {
					t.Errorf("got %+v, want allow %v, reason %q, needs %q", d, tc.allow, tc.reason, tc.needs)
				}
				for at, want := range tc.actions {
					if got := d.Action(at[0], at[1]); got != want {
						t.Errorf("%s in %s: got %s, want %s", at[0], at[1], got, want)
					}
				}
			}
		})
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{})
	in := ticket()
	in.Observe, in.Scope = true, "bulk"
	d, err := e.Decide(t.Context(), in)
	must(t, err)
	if !d.Allow || d.Reason != "" || d.Action("credit_card", policy.PlaceText) != "report" || d.Action("email", policy.PlaceText) != "allow" {
		t.Errorf("observing: got %+v, want everything to pass", d)
	}
	if d.Would == nil || d.Would.Allow || d.Would.Reason != "bulk_needs_grant" || d.Would.Actions["credit_card"] != "mask" {
		t.Errorf("what would have been: got %+v", d.Would)
	}
}

func TestOverlayChangesTreatment(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{Overlays: []*policy.Overlay{overlay(t, `
version: 1
enforcement:
  - {class: email, action: mask}
  - {class: email, route: desk, action: drop}
  - {class: credit_card, role: agent, action: report}
`), overlay(t, "version: 1\nenforcement:\n  - {class: email, route: desk, action: block}\n")}})
	for _, tc := range []struct{ route, role, class, want string }{
		{"desk", "agent", "email", "block"}, // the later document wins
		{"shop", "agent", "email", "mask"},
		{"shop", "agent", "credit_card", "report"},
		{"shop", "lead", "credit_card", "mask"},
	} {
		in := ticket()
		in.Route, in.Actor.Kind, in.Actor.Roles = tc.route, policy.KindKey, []string{tc.role}
		d, err := e.Decide(t.Context(), in)
		must(t, err)
		if got := d.Action(tc.class, policy.PlaceText); got != tc.want {
			t.Errorf("%s for %s on %s: got %s, want %s", tc.class, tc.role, tc.route, got, tc.want)
		}
	}
}

// For how long a mask can be undone is said by the row that masks, and by a later document
// for the same row again.
func TestOverlayUndo(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{Overlays: []*policy.Overlay{overlay(t, `
version: 1
enforcement:
  - {class: email, action: mask, undo: 24h}
  - {class: credit_card, route: desk, action: mask, undo: 90m}
  - {class: credit_card, route: desk, role: lead, action: drop}
`), overlay(t, "version: 1\nenforcement:\n  - {class: email, route: shop, action: mask, undo: 2m}\n  - {class: email, action: mask}\n")}})
	for _, tc := range []struct {
		route, role, class string
		want               time.Duration
	}{
		{"desk", "agent", "credit_card", 90 * time.Minute},
		{"desk", "lead", "credit_card", 0},  // dropped
		{"shop", "agent", "credit_card", 0}, // masked out of the box
		{"shop", "agent", "email", 2 * time.Minute},
		{"desk", "agent", "email", 0}, // the later document does not say it
	} {
		in := ticket()
		in.Route, in.Actor.Kind, in.Actor.Roles = tc.route, policy.KindKey, []string{tc.role}
		d, err := e.Decide(t.Context(), in)
		must(t, err)
		if got := d.UndoFor(tc.class); got != tc.want {
			t.Errorf("%s for %s on %s: got %v, want %v", tc.class, tc.role, tc.route, got, tc.want)
		}
		in.Observe = true
		d, err = e.Decide(t.Context(), in)
		must(t, err)
		if len(d.Undo) != 0 || time.Duration(d.Would.Undo[tc.class])*time.Second != tc.want {
			t.Errorf("%s for %s on %s, observing: got %v, would %v", tc.class, tc.role, tc.route, d.Undo, d.Would.Undo)
		}
	}
}

func TestOverlaysThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, src, says string }{
		{"empty", "", "o.yaml:1:"},
		{"not YAML", "version: [", "o.yaml"},
		{"no version", "enforcement: []", "o.yaml:1: version is missing"},
		{"another version", "version: 2", `o.yaml:1: version "2" is not known; this one is 1`},
		{"unknown member", "version: 1\nrules: []", `o.yaml:2: the document has no member "rules"; it has version, enforcement, grants, approvals, logins, networks, hours, conditions, limits, flags, views, reveal, rollout, change`},
		{"a view of nothing", "version: 1\nviews:\n  - {view: hidden}", "o.yaml:3: a views row wants field and view"},
		{"a view that is none", "version: 1\nviews:\n  - {field: /a, view: blurred}", "o.yaml:3: view wants one of full, masked, hidden"},
		{"a view of a name", "version: 1\nviews:\n  - {field: email, view: hidden}", "o.yaml:3: field wants a JSON Pointer, as /user/email or /**/phone: it does not begin with /"},
		{"a view of a bad pointer", "version: 1\nviews:\n  - {field: /a~2, view: hidden}", "o.yaml:3: field wants a JSON Pointer, as /user/email or /**/phone: ~ is written ~0"},
		{"a view of a class that is hidden", "version: 1\nviews:\n  - {field: /a, view: hidden, class: iban}", "o.yaml:3: class goes with view full"},
		{"a full view of half a social security number", "version: 1\nviews:\n  - {field: /a, view: full, class: us_ssn_last4}", "o.yaml:3: us_ssn_last4 is never shown"},
		{"a full view of payment references", "version: 1\nviews:\n  - {field: /a, view: full, class: payment_reference}", "o.yaml:3: payment_reference is never shown"},
		{"a view of a long pointer", "version: 1\nviews:\n  - {view: hidden, field: /" + strings.Repeat("a", 256) + "}", "o.yaml:3: field wants a JSON Pointer, as /user/email or /**/phone: it has more than 256 bytes or 32 names"},
		{"a view of a deep pointer", "version: 1\nviews:\n  - view: hidden\n    field: " + strings.Repeat("/a", 33), "o.yaml:4: field wants a JSON Pointer, as /user/email or /**/phone: it has more than 256 bytes or 32 names"},
		{"a full view of cards", "version: 1\nviews:\n  - {field: /a, view: full, class: credit_card}", "o.yaml:3: credit_card is never shown"},
		{"a full view of social security numbers", "version: 1\nviews:\n  - {field: /a, view: full, class: us_ssn}", "o.yaml:3: us_ssn is never shown"},
		{"a view of our own API", "version: 1\nviews:\n  - {operation: \"caregate:*\", field: /a, view: hidden}", "o.yaml:3: operation is one of a channel that is governed"},
		{"a change without a ticket", "version: 1\nchange: {author: jane@example.com}", "o.yaml:2: change wants a ticket"},
		{"a change by a name", "version: 1\nchange: {ticket: CHG-1, author: Jane}", "o.yaml:2: author and approver want an e-mail address"},
		{"a change by two at once", "version: 1\nchange: {ticket: CHG-1, author: 'a@example.com,b@example.com'}", "o.yaml:2: author and approver want an e-mail address"},
		{"a change that its author approves", "version: 1\nchange: {ticket: CHG-1, author: jane@example.com, approver: Jane@Example.com}", "o.yaml:2: the approver is somebody else than the author"},
		{"a change under a text", "version: 1\nchange: {ticket: 'two words'}", "o.yaml:2: ticket wants 1 to 64 letters"},
		{"a change of nothing known", "version: 1\nchange: {ticket: CHG-1, by: x}", "change has no member \"by\"; it has ticket, author, approver"},
		{"a limit of nothing", "version: 1\nlimits:\n  - {most: 3, window: 1h}", "o.yaml:3: a limits row wants of, most and window"},
		{"a limit of what nobody counts", "version: 1\nlimits:\n  - {of: tickets, most: 3, window: 1h}", "o.yaml:3: of wants what is counted: calls, reveals, subjects"},
		{"a limit of none", "version: 1\nlimits:\n  - {of: calls, most: 0, window: 1h}", "o.yaml:3: most wants a number from 1 to 1000000000"},
		{"a limit within no time", "version: 1\nlimits:\n  - {of: calls, most: 1, window: 1s}", "o.yaml:3: window wants whole seconds from 1m0s to 168h0m0s"},
		{"a limit with a norm of hours", "version: 1\nlimits:\n  - {of: calls, most: 1, window: 1h, norm: 3}", "o.yaml:3: norm goes with calls or reveals and a window of 24h"},
		{"a limit of millions of persons", "version: 1\nlimits:\n  - {of: subjects, most: 1000000, window: 1h}", "o.yaml:3: most wants a number from 1 to 100000 for subjects"},
		{"a limit with half an incident", "version: 1\nlimits:\n  - {of: calls, most: 1, window: 1h, incident: perhaps}", "o.yaml:3: incident wants true or false"},
		{"a limit of calls to the gateway", "version: 1\nlimits:\n  - {of: calls, operation: \"caregate:*\", most: 1, window: 1h}", "o.yaml:3: operation is one of a channel that is governed"},
		{"a limit of some reveals", "version: 1\nlimits:\n  - {of: reveals, operation: \"*:*\", most: 1, window: 1h}", "o.yaml:3: operation is one of a channel that is governed; reveals"},
		{"an approval from a number that rules do not see", "version: 1\napprovals:\n  - {operation: \"zendesk:*\", records: 15}", "o.yaml:3: records wants a number that rules can tell apart"},
		{"a network without addresses", "version: 1\nnetworks:\n  - {name: office, addresses: []}", "o.yaml:3: addresses wants a list with something in it"},
		{"a network of names", "version: 1\nnetworks:\n  - {name: office, addresses: [office.example]}", `o.yaml:3: "office.example" is no address and no network`},
		{"a network with bits behind", "version: 1\nnetworks:\n  - {name: office, addresses: [10.1.2.3/8]}", `o.yaml:3: "10.1.2.3/8" has bits behind its length; the network is 10.0.0.0/8`},
		{"a network twice", "version: 1\nnetworks:\n  - {name: a, addresses: [::1]}\n  - {name: a, addresses: [::2]}", `o.yaml:4: network "a" is there twice`},
		{"a network whose name is none", "version: 1\nnetworks:\n  - {name: The Office, addresses: [::1]}", "o.yaml:3: name wants 1 to 64 lower-case letters"},
		{"hours of the machine", "version: 1\nhours:\n  - {name: desk, zone: Local}", "o.yaml:3: zone wants a name of the IANA time zone database"},
		{"hours of nowhere", "version: 1\nhours:\n  - {name: desk, zone: Europe/Atlantis}", "o.yaml:3: zone wants"},
		{"hours without a zone", "version: 1\nhours:\n  - {name: desk}", "o.yaml:3: an hours row wants name and zone"},
		{"hours on no day", "version: 1\nhours:\n  - {name: desk, zone: UTC, days: [monday]}", `o.yaml:3: day "monday" is not known; the days are sun, mon,`},
		{"hours of no length", "version: 1\nhours:\n  - {name: desk, zone: UTC, from: \"08:00\", to: \"08:00\"}", "o.yaml:3: from and to are the same minute"},
		{"hours that are none", "version: 1\nhours:\n  - {name: desk, zone: UTC, from: \"8:00\"}", "o.yaml:3: from wants a time of the day in quotes"},
		{"a condition of nothing", "version: 1\nconditions:\n  - {roles: [agent]}", "o.yaml:3: a conditions row wants networks, regions, actor_regions, hours or purposes"},
		{"a condition with a name of nothing", "version: 1\nconditions:\n  - {hours: [desk]}", `o.yaml:3: no row of this document defines the hours "desk"`},
		{"a condition with a network of nothing", "version: 1\nconditions:\n  - {networks: [office]}", `o.yaml:3: no row of this document defines the network "office"`},
		{"a condition with a region of nothing", "version: 1\nnetworks:\n  - {name: a, addresses: [::1]}\nconditions:\n  - {regions: [eu]}", `o.yaml:5: no row of this document defines the region "eu"`},
		{"a condition for a role that nobody has", "version: 1\nconditions:\n  - {roles: [king], purposes: [support]}", `o.yaml:3: role "king" is not known`},
		{"a condition for a class that nobody finds", "version: 1\nconditions:\n  - {class: cards, purposes: [support]}", `o.yaml:3: class "cards" is not known`},
		{"a condition with a purpose in words", "version: 1\nconditions:\n  - {purposes: [\"to help\"]}", `o.yaml:3: purpose "to help" cannot be sent`},
		{"a condition for calls without a form", "version: 1\nconditions:\n  - {operation: delete, purposes: [support]}", "o.yaml:3: operation wants the form of a grant"},
		{"a flag that nobody has", "version: 1\nflags:\n  - {flag: legal_hold, purposes: [sale]}", `o.yaml:3: flag "legal_hold" is not known; the flags are limit_sensitive,`},
		{"a row without its flag", "version: 1\nflags:\n  - {purposes: [sale]}", "o.yaml:3: a flags row wants flag"},
		{"a flag twice", "version: 1\nflags:\n  - {flag: objection}\n  - {flag: objection}", `o.yaml:4: flag "objection" is there twice`},
		{"operations that are left of a restriction", "version: 1\nflags:\n  - {flag: restriction, operations: [\"zendesk:*\"]}", "o.yaml:3: operations goes with flags that refuse"},
		{"roles that may sell", "version: 1\nflags:\n  - {flag: opt_out_sale_sharing, roles: [lead]}", "o.yaml:3: roles goes with flag restriction"},
		{"a flag with a purpose in words", "version: 1\nflags:\n  - {flag: objection, purposes: [\"to sell\"]}", `o.yaml:3: purpose "to sell" cannot be sent`},
		{"a flag with a member of another row", "version: 1\nflags:\n  - {flag: objection, hours: [desk]}", `o.yaml:3: a flags row has no member "hours"`},
		{"a login without role", "version: 1\nlogins:\n  - {max_age: 1h}", "o.yaml:3: a logins row wants role and max_age"},
		{"a login of nobody", "version: 1\nlogins:\n  - {role: king, max_age: 1h}", `o.yaml:3: role "king" is not known`},
		{"a login for ever", "version: 1\nlogins:\n  - {role: admin, max_age: 9000h}", "o.yaml:3: max_age wants 1m to 15m"},
		{"a login that all are younger than", "version: 1\nlogins:\n  - {role: admin, max_age: 720h}", "o.yaml:3: max_age wants 1m to 15m"},
		{"a login between steps", "version: 1\nlogins:\n  - {role: admin, max_age: 125m}", "o.yaml:3: max_age wants 1m to 15m"},
		{"a login of seconds", "version: 1\nlogins:\n  - {role: admin, max_age: 90s}", "o.yaml:3: max_age wants 1m to 15m"},
		{"an approval without operation", "version: 1\napprovals:\n  - {approvers: 1}", "o.yaml:3: an approvals row wants operation"},
		{"an approval of what has no form", "version: 1\napprovals:\n  - {operation: delete}", "o.yaml:3: operation wants the form of a grant"},
		{"an approval of our own API", "version: 1\napprovals:\n  - {operation: \"caregate:*\"}", "o.yaml:3: operation wants the form of a grant, for a channel"},
		{"an approval of a call of ours that needs none", "version: 1\napprovals:\n  - {operation: \"caregate:apikey.list\"}", "agree to access.close, access.import, access.renew, apikey.create, apikey.revoke, apikey.rotate, approval.give_standing, keys.rotate, session.revoke"},
		{"an approval of a change from some records on", "version: 1\napprovals:\n  - {operation: \"caregate:apikey.create\", records: 2}", "o.yaml:3: records goes with calls of a channel"},
		{"an approval by nobody", "version: 1\napprovals:\n  - {operation: \"zendesk:*\", approvers: 0}", "o.yaml:3: approvers wants a number from 1 to 5"},
		{"a list for a document", "- 1", "o.yaml:1: the document wants members"},
		{"a word for rows", "version: 1\nenforcement: all", "o.yaml:2: enforcement wants a list"},
		{"unknown class", "version: 1\nenforcement:\n  - {class: cards, action: mask}", `o.yaml:3: class "cards" is not known; the classes are au_tfn,`},
		{"unknown action", "version: 1\nenforcement:\n  - {class: iban, action: hide}", `o.yaml:3: action "hide" is not known; the actions are allow, block,`},
		{"unknown role", "version: 1\nenforcement:\n  - {class: iban, role: king, action: mask}", `o.yaml:3: role "king" is not known; the roles are admin,`},
		{"unknown key in a row", "version: 1\nenforcement:\n  - class: iban\n    rout: desk\n    action: mask", `o.yaml:4: an enforcement row has no member "rout"`},
		{"row without action", "version: 1\nenforcement:\n  - {class: iban}", "o.yaml:3: an enforcement row wants class and action"},
		{"undo of what leaves no mask", "version: 1\nenforcement:\n  - {class: iban, action: tokenize, undo: 24h}", "o.yaml:3: undo goes with action mask"},
		{"undo of codes", "version: 1\nenforcement:\n  - {class: card_pin, action: mask, undo: 24h}", "o.yaml:3: card_pin may not be kept in any form after authorisation, so its mask"},
		{"undo for too long", "version: 1\nenforcement:\n  - {class: iban, action: mask, undo: 169h}", "o.yaml:3: undo wants whole seconds from 1m0s to 168h0m0s"},
		{"undo for no time", "version: 1\nenforcement:\n  - {class: iban, action: mask, undo: 59s}", "o.yaml:3: undo wants"},
		{"undo without a unit", "version: 1\nenforcement:\n  - {class: iban, action: mask, undo: 90}", "o.yaml:3: undo wants"},
		{"codes cannot be kept", "version: 1\nenforcement:\n  - {class: card_verification_code, action: tokenize}", "o.yaml:3: card_verification_code may not be kept"},
		{"malformed grant", "version: 1\ngrants:\n  - actor: key:abc\n    grants: [\"zendesk:ticket.export\", \"exports\"]", "o.yaml:4: a grant is CHANNEL:OPERATION"},
		{"malformed actor", "version: 1\ngrants:\n  - {actor: ann@example.com, grants: [\"zendesk:*\"]}", "o.yaml:3: actor wants an id as the log prints it"},
		{"grants to nobody", "version: 1\ngrants:\n  - {grants: [\"zendesk:*\"]}", "o.yaml:3: a grants row wants actor and grants"},
		{"duplicate member", "version: 1\nversion: 1", `o.yaml:2: the document has "version" twice`},
		{"5 MB", "version: 1\n#" + strings.Repeat("x", 5<<20), "limit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := policy.ParseOverlay("o.yaml", []byte(tc.src)); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
	_, err := policy.ParseOverlay("o.yaml", []byte("version: 3\nenforcement:\n  - {class: x, action: y}\n"))
	if n := strings.Count(fmt.Sprint(err), "o.yaml:"); n != 3 {
		t.Errorf("mistakes reported at once: got %d, want 3:\n%v", n, err)
	}
	o := overlay(t, "version: 1\ngrants:\n  - {actor: 'key:a', grants: ['zendesk:*/bulk']}\n  - {actor: 'key:a', grants: ['zendesk:*', 'zendesk:*/bulk']}\n")
	if got := fmt.Sprint(o.Grants()); got != "map[key:a:[zendesk:* zendesk:*/bulk]]" {
		t.Errorf("grants: got %s", got)
	}
}

func TestGrantForms(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"zendesk:ticket.create", "zendesk:ticket.*", "zendesk:*", "*:*", "*:ticket.show", "zendesk:*/bulk", "zendesk:ticket.*/read", "a-b_c:x", "zendesk:unmapped.post"} {
		if err := policy.ParseGrant(good); err != nil {
			t.Errorf("%q: got %v, want nil", good, err)
		}
	}
	for _, bad := range []string{"", "zendesk", ":x", "zendesk:", "Zendesk:x", "zendesk:x/bulk", "zendesk:*/all", "zendesk:*/", "zendesk:.*", "zendesk:a*", "zendesk:*.a", "z*:a", "zendesk:a b", "zendesk:" + strings.Repeat("x", 200)} {
		if err := policy.ParseGrant(bad); err == nil {
			t.Errorf("%q: got nil, want an error", bad)
		}
	}
}

func TestOwnRules(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{Dir: rules(t, `package caregate.operator

deny contains "no_deletes_from_outside" if {
	input.effect == "delete"
	input.network == "public"
}
`)})
	in := ticket()
	in.Effect, in.Network = "delete", "public"
	d, err := e.Decide(t.Context(), in)
	must(t, err)
	if d.Allow || d.Reason != "policy_denied" || !slices.Contains(d.Reasons, "operator.no_deletes_from_outside") || !slices.Equal(d.OwnRules(), []string{"no_deletes_from_outside"}) {
		t.Errorf("own rule: got %+v", d)
	}
	in.Network = "private"
	if d, err = e.Decide(t.Context(), in); err != nil || !d.Allow {
		t.Errorf("own rule that does not apply: got %+v, %v", d, err)
	}
}

// Rules may ask for every rule and document that there is, also for rows that there are not
// yet and for names that a call has.
func TestReferencesOfOwnRules(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{Dir: rules(t, `package caregate.operator

import data.caregate.condition
import data.caregate.access

deny contains "x" if {
	input.effect == "delete"
	"agent" in access.roles
	not condition.reasons[input.channel]
	not data.enforcement.nothing.yet
	not data.flags.objection
	not data.caregate.access.roles.nobody
	count(data.treatment.classes) > 0
	data.treatment.classes[lower("IBAN")]
	not data.treatment.classes[input.channel]
}
`)})
	in := ticket()
	in.Effect = "delete"
	d, err := e.Decide(t.Context(), in)
	must(t, err)
	if d.Allow || !slices.Contains(d.Reasons, "operator.x") {
		t.Errorf("got %+v", d)
	}
}

// Hostile inputs 91: what is broken, or could reach out, is not loaded.
func TestPoliciesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, src, says string }{
		{"syntax", "package caregate.operator\n\ndeny contains \"x\" if {\n", "own.rego:4"},
		{"empty", "", "own.rego"},
		{"unknown function", "package caregate.operator\n\ndeny contains \"x\" if nonsense(input)\n", "own.rego:3: rego_type_error"},
		{"network", "package caregate.operator\n\ndeny contains \"x\" if http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"}).status_code == 200\n", "own.rego:3: rego_type_error: undefined function http.send"},
		{"name look-up", "package caregate.operator\n\ndeny contains \"x\" if net.lookup_ip_addr(\"example.com\")\n", "undefined function net.lookup_ip_addr"},
		{"environment", "package caregate.operator\n\ndeny contains \"x\" if opa.runtime().env.HOME\n", "undefined function opa.runtime"},
		{"clock", "package caregate.operator\n\ndeny contains \"x\" if time.now_ns() > 0\n", "undefined function time.now_ns"},
		{"randomness", "package caregate.operator\n\ndeny contains \"x\" if rand.intn(\"x\", 2) == 0\n", "undefined function rand.intn"},
		{"another package", "package caregate.access\n\npermitted := true\n", "own.rego:1: caregate.access is closed"},
		{"the decision itself", "package caregate\n\nallow := true\n", "own.rego:1: caregate is closed"},
		{"somewhere else", "package main\n\nx := 1\n", "own.rego:1: main is closed"},
		{"a package below ours", "package caregate.operator.desk\n\ndeny contains \"x\" if input.effect == \"delete\"\n", "own.rego:1: caregate.operator.desk is closed to rules of a deployment; use package caregate.operator"},
		{"no rule", "package caregate.operator\n", "no rule named deny in it"},
		{"a misspelled rule", "package caregate.operator\n\ndenied contains \"x\" if input.effect == \"delete\"\n", "no rule named deny in it"},
		{"a misspelled rule beside a right one", "package caregate.operator\n\ndeny contains \"y\" if input.purpose == \"y\"\n\ndenied contains \"x\" if input.effect == \"delete\"\n", "own.rego:5: denied is never asked"},
		{"a misspelled rule that uses a right one", "package caregate.operator\n\ndeny contains \"y\" if input.purpose == \"y\"\n\nreport := true if count(deny) > 0\n", "own.rego:5: report is never asked"},
		{"a test among rules", "package caregate.operator\n\ndeny contains \"x\" if input.purpose == \"x\"\n\ntest_x if true\n", "own.rego:5: test_x is a test; tests stand in files whose name ends with _test.rego"},
		{"deny as an object", "package caregate.operator\n\ndeny[\"x\"] := true if input.effect == \"delete\"\n", "own.rego:3: deny is a set of codes"},
		{"deny as a list", "package caregate.operator\n\ndeny := [\"x\"] if input.effect == \"delete\"\n", "own.rego:3: deny is a set of codes"},
		{"deny with parts", "package caregate.operator\n\ndeny.desk contains \"x\" if input.effect == \"delete\"\n", "own.rego:3: deny is a set of codes"},
		{"a code in capitals", "package caregate.operator\n\ndeny contains \"No_Deletes\" if input.effect == \"delete\"\n", "own.rego:3: the code of a reason is 1 to 55 lower-case letters"},
		{"an empty code", "package caregate.operator\n\ndeny contains \"\" if input.effect == \"delete\"\n", "own.rego:3: the code of a reason"},
		{"a code of 56 bytes", "package caregate.operator\n\ndeny contains \"" + strings.Repeat("x", 56) + "\" if input.effect == \"delete\"\n", "own.rego:3: the code of a reason"},
		{"a number for a code", "package caregate.operator\n\ndeny contains 7 if input.effect == \"delete\"\n", "own.rego:3: the code of a reason"},
		{"more codes than fit", "package caregate.operator\n\ndeny contains sprintf(\"rule_%d\", [i]) if some i in numbers.range(1, 70)\n", "more than 64 reasons"},
		{"unused variable", "package caregate.operator\n\ndeny contains \"x\" if {\n\ty := input.effect\n}\n", "own.rego:4: rego_compile_error: assigned var y unused"},
		{"a package that is not there", "package caregate.operator\n\ndeny contains \"x\" if {\n\tinput.effect == \"delete\"\n\tnot \"lead\" in data.caregate.acess.roles\n}\n", "own.rego:5: there is no data.caregate.acess;"},
		{"a rule that is not there", "package caregate.operator\n\ndeny contains \"x\" if not \"lead\" in data.caregate.access.rolls\n", "own.rego:3: there is no data.caregate.access.rolls;"},
		{"an import of what is not there", "package caregate.operator\n\nimport data.caregate.acess\n\ndeny contains \"x\" if \"lead\" in acess.roles\n", "own.rego:5: there is no data.caregate.acess;"},
		{"a rule that is not there, behind an import", "package caregate.operator\n\nimport data.caregate.access\n\ndeny contains \"x\" if {\n\tsome role in access.rolls\n\trole == \"lead\"\n}\n", "own.rego:6: there is no data.caregate.access.rolls;"},
		{"a rule of its own that is not there", "package caregate.operator\n\nlead if \"lead\" in input.actor.roles\n\ndeny contains \"x\" if {\n\tlead\n\tdata.caregate.operator.leed\n}\n", "own.rego:7: there is no data.caregate.operator.leed;"},
		{"a document that is not there", "package caregate.operator\n\ndeny contains \"x\" if not data.enforcment[input.channel]\n", "own.rego:3: there is no data.enforcment;"},
		{"a member that is not there", "package caregate.operator\n\ndeny contains \"x\" if data.treatment.clases.iban == \"mask\"\n", "own.rego:3: there is no data.treatment.clases;"},
		{"a reference that stands in a reference", "package caregate.operator\n\ndeny contains \"x\" if input.actor.roles[data.caregate.accesss.n] == \"lead\"\n", "own.rego:3: there is no data.caregate.accesss;"},
		{"a rule that is not there, in a function", "package caregate.operator\n\ndeny contains \"x\" if lead(input.actor)\n\nlead(a) if \"lead\" in a.roles\n\nelse if data.caregate.access.lead\n", "own.rego:7: there is no data.caregate.access.lead;"},
		{"a code that is made and is none", "package caregate.operator\n\ndeny contains concat(\" \", [\"not\", \"a\", \"code\"])\n", "no decision"},
		{"a code of another type", "package caregate.operator\n\ndeny contains {\"a\": input.v}\n", "no decision"},
		{"a built-in error", "package caregate.operator\n\ndeny contains \"x\" if to_number(input.channel) == 1\n", "no decision"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := policy.NewEngine(t.Context(), policy.Config{Dir: rules(t, tc.src)}); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
	if _, err := policy.NewEngine(t.Context(), policy.Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no *.rego") {
		t.Errorf("empty directory: got %v", err)
	}
	if _, err := policy.NewEngine(t.Context(), policy.Config{Dir: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("missing directory: got nil, want an error")
	}
	if _, err := policy.NewEngine(t.Context(), policy.Config{Dir: rules(t, "#"+strings.Repeat("x", 2<<20))}); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("2 MB of rules: got %v, want the limit", err)
	}
}

// A directory of rules is read with what stands beside them.
func TestDirectories(t *testing.T) {
	t.Parallel()
	const denial = "package caregate.operator\n\ndeny contains \"x\" if helping(input.effect)\n"
	for _, tc := range []struct {
		name  string
		files map[string]string
		says  string // empty: taken
	}{
		{"helpers in a file of their own", map[string]string{"helper.rego": "package caregate.operator\n\nhelping(e) if e == words[_]\n\nwords := [\"delete\"]\n"}, ""},
		{"a sub-directory without rules", map[string]string{"helper.rego": "package caregate.operator\n\nhelping(_) := false\n", "docs/read.md": "x"}, ""},
		{"what editors and clusters keep", map[string]string{"helper.rego": "package caregate.operator\n\nhelping(_) := false\n", ".helper.rego": "{", "..2026_11/own.rego": "{"}, ""},
		{"rules in a sub-directory", map[string]string{"desk/night.rego": denial}, "night.rego: rules in a sub-directory are not read"},
		{"rules deep in a sub-directory", map[string]string{"a/b/c/night.rego": denial}, "night.rego: rules in a sub-directory are not read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := rules(t, denial)
			for name, src := range tc.files {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(src), 0o600))
			}
			_, err := policy.NewEngine(t.Context(), policy.Config{Dir: dir})
			if (tc.says == "" && err != nil) || (tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says))) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

// Functions one call of which could outlast the time of a decision are not there: OPA
// does not look at the time inside a call.
func TestFunctionsWithoutBound(t *testing.T) {
	t.Parallel()
	for _, call := range []string{
		"bits.lsh(1, 4000000000) > 1", "product(numbers.range(1, 1000000)) > 1", `glob.match("{*a*a,b}", [], input.channel)`,
		`regex.globs_match("a*", "b*")`, `count(graph.reachable_paths({}, [])) > 0`, `strings.render_template("", {}) == ""`,
		`count(net.cidr_expand("::/0")) > 1`, `yaml.is_valid("")`, `io.jwt.verify_hs256("", "")`, `time.weekday([0, "Local"]) == "Monday"`,
	} {
		name, _, _ := strings.Cut(call[max(0, strings.LastIndex(call[:strings.IndexByte(call, '.')], "(")+1):], "(")
		if strings.HasPrefix(call, "product") {
			name = "product"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := "package caregate.operator\n\ndeny contains \"x\" if " + call + "\n"
			if _, err := policy.NewEngine(t.Context(), policy.Config{Dir: rules(t, src)}); err == nil || !strings.Contains(err.Error(), "own.rego:3: rego_type_error: undefined function "+name) {
				t.Errorf("got %v, want that %s is undefined", err, name)
			}
		})
	}
}

// A rule that loops is stopped, the call is denied by its caller, and the engine
// goes on serving.
func TestTimeout(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	e := engine(t, policy.Config{Timeout: 20 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil)), Dir: rules(t, `package caregate.operator

deny contains "x" if {
	input.purpose == "slow"
	some a in numbers.range(1, 4000)
	some b in numbers.range(1, 4000)
	a * b == -1
}
`)})
	in := ticket()
	in.Purpose = "slow"
	began := time.Now()
	if d, err := e.Decide(t.Context(), in); !errors.Is(err, policy.ErrUndecided) || d != nil {
		t.Errorf("a loop: got %+v, %v, want ErrUndecided", d, err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("a loop was stopped after %v", took)
	}
	if !strings.Contains(log.String(), "policy evaluation failed") {
		t.Error("nothing was logged")
	}
	// On a busy machine even a quick one may be stopped.
	in.Purpose = "quick"
	d, err := e.Decide(t.Context(), in)
	for until := began.Add(time.Minute); errors.Is(err, policy.ErrUndecided) && time.Now().Before(until); {
		d, err = e.Decide(t.Context(), in)
	}
	if err != nil || !d.Allow {
		t.Errorf("the next call: got %+v, %v", d, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in.Purpose = "gone"
	if d, err := e.Decide(ctx, in); err == nil {
		t.Errorf("a cancelled call: got %+v, want an error", d)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, c := range map[string]policy.Config{
		"built in":     {},
		"an overlay":   {Overlays: []*policy.Overlay{overlay(t, "version: 1\n")}},
		"another":      {Overlays: []*policy.Overlay{overlay(t, "version: 1\n\n")}},
		"both":         {Overlays: []*policy.Overlay{overlay(t, "version: 1\n"), overlay(t, "version: 1\n\n")}},
		"turned round": {Overlays: []*policy.Overlay{overlay(t, "version: 1\n\n"), overlay(t, "version: 1\n")}},
		"own rules":    {Dir: rules(t, "package caregate.operator\n\ndeny contains \"x\" if input.purpose == \"x\"\n")},
	} {
		d := engine(t, c).Digest()
		if again := engine(t, c).Digest(); d != again || len(d) != 64 {
			t.Errorf("%s: digests %s and %s of one policy", name, d, again)
		}
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[d] = name
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	var codes []string
	for _, r := range engine(t, policy.Config{}).Reasons() {
		codes = append(codes, r.Code)
		if r.Status < 400 || r.Text == "" || r.Who == "" {
			t.Errorf("%s: incomplete: %+v", r.Code, r)
		}
	}
	want := []string{"identity_mismatch", "no_credential", "unknown_role", "mfa_required", "login_too_old", "export_needs_grant", "bulk_needs_grant",
		"admin_needs_role", "auth_needs_grant", "unmapped_needs_grant", "full_needs_grant", "role_not_allowed", "reveal_lapsed", "outside_network", "actor_outside_region", "outside_region", "outside_hours", "purpose_not_covered", "legal_hold", "subject_restricted", "subject_opted_out", "token_needs_role", "purpose_needed", "token_refused", "payment_unknown",
		"idempotency_missing", "idempotency_used", "refund_currency", "refund_over_balance", "policy_denied", "finding_blocked", "approval_required"}
	if !slices.Equal(codes, want) {
		t.Errorf("codes: got %v, want %v; codes are never renamed", codes, want)
	}
}

func TestConcurrentDecisions(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{Cache: 4})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				in := ticket()
				in.Findings = slices.Clone(in.Findings)
				in.Scope = []string{"one", "bulk", "export"}[(i+j)%3]
				in.Records = j
				d, err := e.Decide(context.Background(), in)
				if err != nil || d.Allow != (in.Scope == "one") {
					t.Errorf("%s: got %+v, %v", in.Scope, d, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
