package caregate_test

import data.caregate

base := {
	"v": 1, "tenant": "default", "route": "desk", "direction": "request",
	"channel": "zendesk", "operation": "ticket.create", "mapped": true,
	"effect": "write", "scope": "one", "mark": "", "method": "unsafe",
	"actor": {"kind": "vendor", "strength": "credential", "roles": ["agent"], "grants": [], "asserts": false, "mismatch": false, "mfa": false},
	"purpose": "", "network": "private", "findings": [{"class": "credit_card", "place": "text", "count": 1}], "records": 1, "observe": false,
}

decide(changes) := d if d := caregate.decision with input as object.union(base, changes)

test_allowed if {
	decide({}) == {
		"v": 1, "allow": true, "reason": "", "reasons": set(), "needs": "", "approvers": 0,
		"actions": {"credit_card": "mask"}, "places": {}, "undo": {}, "rollouts": {}, "limits": set(), "views": set(), "guarded": set(),
	}
}

test_denied_names_the_grant if {
	decide({"scope": "export", "effect": "read", "operation": "ticket.export"}) == {
		"v": 1, "allow": false, "reason": "export_needs_grant", "reasons": {"export_needs_grant"},
		"needs": "zendesk:ticket.export", "approvers": 0, "actions": {"credit_card": "mask"}, "places": {}, "undo": {}, "rollouts": {}, "limits": set(), "views": set(), "guarded": set(),
	}
}

test_no_grant_helps_against_a_mismatch if {
	d := decide({"actor": {"asserts": true, "mismatch": true}})
	d.reason == "identity_mismatch"
	d.needs == ""
}

test_own_api_has_no_grants if {
	d := decide({"channel": "caregate", "operation": "apikey.create", "effect": "admin"})
	d.reason == "admin_needs_role"
	d.needs == ""
}

test_finding_blocked if {
	d := decide({"findings": [{"class": "credit_card", "place": "path", "count": 1}]})
	not d.allow
	d.reason == "finding_blocked"
	d.places == {"path": {"credit_card": "block"}}
}

test_the_weightiest_reason_comes_first if {
	d := decide({
		"scope": "bulk", "findings": [{"class": "credit_card", "place": "path", "count": 1}],
		"actor": {"kind": "key", "asserts": true, "mismatch": true, "roles": ["service"]},
	})
	d.reason == "identity_mismatch"
	d.reasons == {"identity_mismatch", "bulk_needs_grant", "finding_blocked"}
}

test_operator_denies if {
	d := caregate.decision with input as base
		with data.caregate.operator.deny as {"no_writes_at_night"}
	not d.allow
	d.reason == "policy_denied"
	d.reasons == {"policy_denied", "operator.no_writes_at_night"}
}

test_observing_is_total if {
	d := decide({"observe": true, "actor": {"kind": "anonymous", "roles": []}, "findings": [
		{"class": "credit_card", "place": "path", "count": 1},
		{"class": "email", "place": "text", "count": 1},
	]})
	d.allow
	d.reason == ""
	d.reasons == set()
	d.actions == {"credit_card": "report", "email": "allow"}
	d.places == {}
	d.would.allow == false
	d.would.reason == "no_credential"
	d.would.reasons == {"no_credential", "finding_blocked"}
	d.would.actions == {"credit_card": "mask", "email": "allow"}
	d.would.places == {"path": {"credit_card": "block"}}
}

# Every code that the rules can give is in the catalogue, with a sentence.
test_catalogue if {
	every entry in data.reasons.list {
		entry.status in [401, 403, 409, 422]
		entry.who in ["caller", "security"]
		endswith(entry.text, ".")
	}
	count({entry.code | some entry in data.reasons.list}) == count(data.reasons.list)
}

test_a_mask_that_can_be_undone if {
	card := {"credit_card": {"*": {"*": "mask"}}}
	d := caregate.decision with input as base
		with data.enforcement as card
		with data.undo as {"credit_card": {"*": {"*": 3600}}}
	d.undo == {"credit_card": 3600}

	# Observing keeps nothing.
	watching := caregate.decision with input as object.union(base, {"observe": true})
		with data.enforcement as card
		with data.undo as {"credit_card": {"*": {"*": 3600}}}
	watching.undo == {}
	watching.would.undo == {"credit_card": 3600}
}
