package caregate.rollout_test

import data.caregate
import data.caregate.treatment

base := {
	"v": 1, "tenant": "default", "route": "desk", "direction": "request",
	"channel": "zendesk", "operation": "ticket.create", "mapped": true,
	"effect": "write", "scope": "one", "mark": "", "method": "unsafe",
	"actor": {"kind": "key", "strength": "credential", "roles": ["agent"], "grants": [], "asserts": false, "mismatch": false, "mfa": false},
	"purpose": "", "network": "private", "findings": [{"class": "iban", "place": "text", "count": 1}], "records": 1, "observe": false,
}

rows := {
	"classes": {"iban": [
		{"name": "a", "route": "desk", "role": "*", "action": "mask", "undo": 3600},
		{"name": "b", "route": "*", "role": "agent", "action": "drop", "undo": 0},
		{"name": "c", "route": "*", "role": "*", "action": "drop", "undo": 0},
		{"name": "elsewhere", "route": "shop", "role": "*", "action": "block", "undo": 0},
		{"name": "others", "route": "*", "role": "dpo", "action": "block", "undo": 0},
	]},
	"rules": {"no_writes": [{"name": "r", "route": "desk", "role": "agent"}]},
}

decide(changes) := d if {
	d := caregate.decision with input as object.union(base, changes)
		with data.rollout as rows
		with data.caregate.operator.deny as set()
}

test_outside_everything_is_as_before if {
	d := decide({})
	d.actions == {"iban": "report"}
	d.rollouts == {"a": false, "b": false, "c": false}
}

test_inside_the_row_counts if {
	d := decide({"rollouts": ["a"]})
	d.actions == {"iban": "mask"}
	d.undo == {"iban": 3600}
	d.rollouts == {"a": true, "b": false, "c": false}
}

test_the_strictest_counts_and_of_equals_the_first if {
	d := decide({"rollouts": ["a", "b", "c"]})
	d.actions == {"iban": "drop"}
	d.undo == {}
	d.rollouts == {"b": true}
}

test_a_row_is_about_its_route_and_role if {
	d := decide({"rollouts": ["elsewhere", "others"]})
	d.actions == {"iban": "report"}
	decide({"route": "shop", "rollouts": ["elsewhere"]}).reason == "finding_blocked"
}

test_an_answer_keeps_no_original if decide({"direction": "response", "rollouts": ["a"]}).undo == {}

# What is enforced anyway stays, whoever is in and whoever is not.
test_nothing_enforced_is_touched if {
	every among in [[], ["a"], ["a", "b"]] {
		d := caregate.decision with input as object.union(base, {"rollouts": among})
			with data.rollout as rows
			with data.enforcement as {"iban": {"*": {"*": "tokenize"}}}
			with data.caregate.operator.deny as set()
		d.actions == {"iban": "tokenize"}
		d.rollouts == {}
	}
}

test_credentials_pass_where_they_are_meant_to if {
	found := object.union(base, {"mark": "auth", "findings": [{"class": "password", "place": "text", "count": 1}], "rollouts": ["p"]})
	treatment.actions == {"password": "allow"} with input as found
		with data.rollout as {"rules": {}, "classes": {"password": [{"name": "p", "route": "*", "role": "*", "action": "drop", "undo": 0}]}}
}

ruled(changes) := d if {
	d := caregate.decision with input as object.union(base, object.union({"findings": []}, changes))
		with data.rollout as rows
		with data.caregate.operator.deny as {"no_writes"}
}

test_a_rule_denies_those_who_are_in_it if {
	d := ruled({"rollouts": ["r"]})
	d.reason == "policy_denied"
	d.reasons == {"policy_denied", "operator.no_writes"}
	d.rollouts == {"r": true}
}

test_a_rule_is_held_back_for_the_others if {
	d := ruled({})
	d.allow
	d.rollouts == {"r": false}
}

test_elsewhere_the_rule_counts_for_everybody if {
	d := ruled({"route": "shop"})
	d.reason == "policy_denied"
	d.rollouts == {}
	ruled({"actor": {"roles": ["lead"]}}).reason == "policy_denied"
}

# Observing, the names are told under what would have been.
test_observed if {
	d := decide({"observe": true, "rollouts": ["a"]})
	d.actions == {"iban": "report"}
	d.rollouts == {}
	d.would.rollouts == {"a": true, "b": false, "c": false}
}
