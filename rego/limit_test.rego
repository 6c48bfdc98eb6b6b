package caregate.limit_test

import data.caregate
import data.caregate.limit

base := {
	"v": 1, "tenant": "default", "route": "desk", "direction": "request",
	"channel": "zendesk", "operation": "ticket.update", "mapped": true,
	"effect": "write", "scope": "one", "mark": "", "method": "unsafe",
	"actor": {"kind": "key", "strength": "credential", "roles": ["agent"], "grants": [], "asserts": false, "mismatch": false, "mfa": false},
	"purpose": "", "network": "public", "findings": [], "records": 1, "observe": false,
}

row(name) := {"of": "calls", "name": name, "most": 3, "window": 3600, "norm": 0}

limits := {
	"*": {"*": {"": {"*": [row("everybody")], "lead": [row("leads")]}, "export": {"*": [row("exports")]}}},
	"zendesk": {
		"ticket.*": {"write": {"agent": [row("agents write")]}},
		"ticket.update": {"": {"agent": [row("agents update"), row("again")]}},
		"user.*": {"": {"agent": [row("users")]}},
	},
	"intercom": {"*": {"": {"*": [row("elsewhere")]}}},
}

about(changes) := {row.name | some row in rows} if {
	rows := limit.rows with input as object.union(base, changes) with data.limits as limits
}

test_rows_about_a_call if {
	about({}) == {"everybody", "agents write", "agents update", "again"}
	about({"operation": "ticket.show", "effect": "read"}) == {"everybody"}
	about({"operation": "ticket.show", "effect": "read", "actor": {"roles": ["lead"]}}) == {"everybody", "leads"}
	about({"operation": "ticket.export", "effect": "read", "scope": "export"}) == {"everybody", "exports"}
	about({"operation": "user.show", "effect": "read"}) == {"everybody", "users"}
	about({"direction": "response"}) == {"everybody", "agents write", "agents update", "again"}
	about({"actor": {"kind": "anonymous", "roles": []}}) == {"everybody"}
	about({"actor": {"kind": "local", "roles": []}}) == set()
}

test_no_rows if {
	limit.rows == set() with input as base with data.limits as {}
}

# A limit alone denies nothing: the gateway counts. An observing route has none.
test_the_decision_has_them if {
	d := caregate.decision with input as base with data.limits as limits
	d.allow
	row("everybody") in d.limits
	watched := caregate.decision with input as object.union(base, {"observe": true}) with data.limits as limits
	watched.limits == set()
	row("everybody") in watched.would.limits
}
