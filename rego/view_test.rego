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

guards := {
	"*": {"named": {}, "common": [{"row": {"field": "/**/notes", "view": "hidden"}, "except": {"dpo": true}}]},
	"zendesk": {
		"named": {
			"agent": [{"field": "/user/phone", "view": "masked"}, {"field": "/user/phone", "view": "hidden"}],
			"lead": [{"field": "/ticket/via", "view": "hidden"}],
		},
		"common": [{"row": {"field": "/**/notes", "view": "hidden"}, "except": {"dpo": true}}],
	},
}

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
}

# Who has several roles is shown what the strictest of their rows shows: the rows of all of
# them are in the decision.
test_of_several_roles_all_rows_count if {
	seen({"actor": {"roles": ["agent", "dpo"]}}) == {
		["/**/notes", "masked"], ["/user/phone", "masked"],
		["/user/phone", "hidden"], ["/user/email", "masked"],
	}
}

test_nobody_else_is_concerned if {
	seen({"channel": "caregate"}) == set()
	seen({"actor": {"kind": "webhook", "roles": []}}) == set()
	view.rows == set() with input as base with data.views as {}
}

guarded(changes) := {[row.field, row.view] | some row in rows} if {
	rows := view.guarded with input as object.union(object.union(base, {"direction": "request", "effect": "write"}), changes) with data.guards as guards
}

test_writes_are_guarded if {
	guarded({"operation": "ticket.update"}) == {["/**/notes", "hidden"], ["/user/phone", "masked"], ["/user/phone", "hidden"]}
	guarded({"effect": "admin"}) == guarded({})
	guarded({"actor": {"roles": ["lead", "agent"]}}) == {["/**/notes", "hidden"], ["/user/phone", "masked"], ["/user/phone", "hidden"], ["/ticket/via", "hidden"]}
	guarded({"channel": "intercom"}) == {["/**/notes", "hidden"]}
}

test_a_role_with_a_row_of_its_own_is_not_guarded_for_everybodys if {
	guarded({"actor": {"roles": ["dpo"]}}) == set()
	guarded({"channel": "intercom", "actor": {"roles": ["agent", "dpo"]}}) == set()
}

test_nothing_else_is_guarded if {
	guarded({"direction": "response"}) == set()
	guarded({"effect": "read"}) == set()
	guarded({"effect": "delete"}) == set()
	guarded({"channel": "caregate"}) == set()
	guarded({"actor": {"kind": "webhook", "roles": []}}) == set()
	view.guarded == set() with input as object.union(base, {"direction": "request", "effect": "write"}) with data.guards as {}
}

test_the_decision_has_them if {
	d := caregate.decision with input as base with data.views as views
	row("/user/email", "masked") in d.views
	written := caregate.decision with input as object.union(base, {"direction": "request", "effect": "write", "operation": "user.update"}) with data.guards as guards
	{"field": "/user/phone", "view": "hidden"} in written.guarded
	watched := caregate.decision with input as object.union(base, {"observe": true}) with data.views as views
	watched.views == set()
	row("/user/email", "masked") in watched.would.views
}
