package caregate.view_test

import data.caregate
import data.caregate.view

base := {
	"v": 1, "tenant": "default", "route": "desk", "direction": "response",
	"channel": "zendesk", "operation": "user.show", "mapped": true,
	"effect": "read", "scope": "one", "mark": "", "method": "safe",
	"actor": {"kind": "key", "strength": "credential", "roles": ["agent"], "grants": [], "asserts": false, "mismatch": false, "mfa": false},
	"purpose": "", "network": "public", "findings": [], "records": 1, "observe": false,
}

row(field, view) := {"field": field, "view": view, "class": ""}

views := {
	"*": {"*": {"": {"*": [row("/**/notes", "hidden")], "dpo": [row("/**/notes", "masked")]}}},
	"zendesk": {
		"user.*": {"": {"agent": [row("/user/phone", "masked"), row("/user/phone", "hidden")]}},
		"user.show": {"": {"*": [row("/user/phone", "masked"), row("/user/email", "masked")]}},
		"ticket.*": {"read": {"agent": [row("/ticket/via", "hidden")]}},
	},
	"caregate": {"*": {"": {"*": [row("/x", "hidden")]}}},
}

guards := {"*": {"*": ["/**/notes"]}, "zendesk": {"agent": ["/user/phone"], "lead": ["/ticket/via"]}}

seen(changes) := {[row.field, row.view] | some row in rows} if {
	rows := view.rows with input as object.union(base, changes) with data.views as views
}

test_rows_of_the_roles_go_before_those_for_everybody if {
	seen({}) == {["/**/notes", "hidden"], ["/user/phone", "masked"], ["/user/phone", "hidden"], ["/user/email", "masked"]}
	seen({"actor": {"roles": ["dpo"]}}) == {["/**/notes", "masked"], ["/user/phone", "masked"], ["/user/email", "masked"]}
	seen({"actor": {"kind": "vendor", "roles": ["dpo"]}}) == seen({})
	seen({"operation": "ticket.show"}) == {["/**/notes", "hidden"], ["/ticket/via", "hidden"]}
	seen({"operation": "ticket.update", "effect": "write"}) == {["/**/notes", "hidden"]}
	seen({"channel": "intercom", "operation": "user.show"}) == {["/**/notes", "hidden"]}
	seen({"channel": "caregate"}) == set()
	view.rows == set() with input as base with data.views as {}
}

guarded(changes) := fields if {
	fields := view.guarded with input as object.union(base, changes) with data.guards as guards
}

test_writes_are_guarded if {
	guarded({}) == set()
	guarded({"direction": "request", "effect": "write", "operation": "ticket.update"}) == {"/**/notes", "/user/phone"}
	guarded({"direction": "request", "effect": "write", "actor": {"roles": ["lead", "agent"]}}) == {"/**/notes", "/user/phone", "/ticket/via"}
	guarded({"direction": "request", "effect": "read"}) == set()
	view.guarded == set() with input as object.union(base, {"direction": "request", "effect": "write"}) with data.guards as {}
}

test_the_decision_has_them if {
	d := caregate.decision with input as base with data.views as views
	row("/user/email", "masked") in d.views
	watched := caregate.decision with input as object.union(base, {"observe": true}) with data.views as views
	watched.views == set()
	row("/user/email", "masked") in watched.would.views
}
