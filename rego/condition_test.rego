package caregate.condition_test

import data.caregate
import data.caregate.condition

# An agent writes to a ticket from the office, in its hours.
base := {
	"v": 1, "tenant": "default", "route": "desk", "direction": "request",
	"channel": "zendesk", "operation": "ticket.update", "mapped": true,
	"effect": "write", "scope": "one", "mark": "", "method": "unsafe",
	"actor": {"kind": "key", "strength": "credential", "roles": ["agent"], "grants": [], "asserts": false, "mismatch": false, "mfa": false},
	"purpose": "support", "network": "public", "networks": ["office"], "regions": ["eu"], "hours": ["desk"],
	"findings": [{"class": "iban", "place": "text", "count": 1}], "records": 1, "observe": false,
}

call(changes) := object.union(base, changes)

elsewhere := {"networks": [], "regions": [], "hours": [], "purpose": ""}

# One row about calls of a channel, an operation and an ending, by a role.
only(channel, operation, ending, role, row) := {channel: {operation: {ending: {role: [object.union({"class": "*"}, row)]}}}}

everywhere(row) := only("*", "*", "", "*", row)

rows := {
	"networks": ["office", "vpn"],
	"regions": ["eu", "ch"],
	"hours": ["desk", "nights"],
	"purposes": ["support", "refund"],
}

# Each row: conditions, what is changed in the base, and the reasons that must follow.
table := {
	"no conditions": [{}, elsewhere, set()],
	"everything is met": [everywhere(rows), {}, set()],
	"one of several is enough": [everywhere(rows), {"networks": ["home", "vpn"], "regions": ["ch", "us"], "hours": ["nights"], "purpose": "refund"}, set()],
	"nothing is met": [everywhere(rows), elsewhere, {"outside_network", "outside_region", "outside_hours", "purpose_not_covered"}],
	"another network": [everywhere(rows), {"networks": ["home"]}, {"outside_network"}],
	"another region": [everywhere(rows), {"regions": ["us"]}, {"outside_region"}],
	"a person of the region": [everywhere({"actor_regions": ["eu", "ch"]}), {"actor": {"kind": "token", "regions": ["ch"]}}, set()],
	"a person of another region": [everywhere({"actor_regions": ["eu"]}), {"actor": {"kind": "token", "regions": ["us"]}}, {"actor_outside_region"}],
	"a person of no region": [everywhere({"actor_regions": ["eu"]}), {}, {"actor_outside_region"}],
	"a region of the place is none of the person": [everywhere({"actor_regions": ["eu"]}), {"regions": ["eu"]}, {"actor_outside_region"}],
	"a region of the person is none of the place": [everywhere({"regions": ["eu"]}), {"regions": [], "actor": {"kind": "token", "regions": ["eu"]}}, {"outside_region"}],
	"other hours": [everywhere(rows), {"hours": ["days"]}, {"outside_hours"}],
	"another purpose": [everywhere(rows), {"purpose": "marketing"}, {"purpose_not_covered"}],
	"an answer": [everywhere(rows), {"direction": "response", "hours": []}, {"outside_hours"}],
	"nobody": [everywhere(rows), object.union(elsewhere, {"actor": {"kind": "anonymous", "roles": []}}), {"outside_network", "outside_region", "outside_hours", "purpose_not_covered"}],
	"the socket": [everywhere(rows), object.union(elsewhere, {"actor": {"kind": "local", "roles": []}}), set()],
	"the gateway's own API": [everywhere({"networks": ["vpn"]}), {"channel": "caregate", "operation": "token.reveal", "effect": "admin"}, {"outside_network"}],
	"an operation by name": [only("zendesk", "ticket.update", "", "*", rows), elsewhere, {"outside_network", "outside_region", "outside_hours", "purpose_not_covered"}],
	"another operation": [only("zendesk", "ticket.delete", "", "*", rows), elsewhere, set()],
	"another channel": [only("intercom", "*", "", "*", rows), elsewhere, set()],
	"a family": [only("zendesk", "ticket.*", "", "*", {"hours": ["nights"]}), {}, {"outside_hours"}],
	"another family": [only("zendesk", "user.*", "", "*", {"hours": ["nights"]}), {}, set()],
	"writes": [only("zendesk", "*", "write", "*", {"hours": ["nights"]}), {}, {"outside_hours"}],
	"deletes only": [only("zendesk", "*", "delete", "*", {"hours": ["nights"]}), {}, set()],
	"a plain pattern covers bulk": [only("*", "*", "", "*", {"hours": ["nights"]}), {"scope": "bulk"}, {"outside_hours"}],
	"bulk": [only("*", "*", "bulk", "*", {"hours": ["nights"]}), {"scope": "bulk"}, {"outside_hours"}],
	"writes cover bulk writes": [only("*", "*", "write", "*", {"hours": ["nights"]}), {"scope": "bulk"}, {"outside_hours"}],
	"exports": [only("*", "*", "export", "*", {"hours": ["nights"]}), {"scope": "export", "effect": "read"}, {"outside_hours"}],
	"a role": [only("*", "*", "", "agent", {"hours": ["nights"]}), {}, {"outside_hours"}],
	"another role": [only("*", "*", "", "lead", {"hours": ["nights"]}), {}, set()],
	"a second role is no way out": [only("*", "*", "", "agent", {"hours": ["nights"]}), {"actor": {"roles": ["agent", "lead"]}}, {"outside_hours"}],
	"a vendor credential is an agent": [only("*", "*", "", "agent", {"hours": ["nights"]}), {"actor": {"kind": "vendor", "roles": ["lead"]}}, {"outside_hours"}],
	"a class that is found": [everywhere({"class": "iban", "hours": ["nights"]}), {}, {"outside_hours"}],
	"a class that is not": [everywhere({"class": "us_ssn", "hours": ["nights"]}), {}, set()],
}

test_table if {
	failing := {name | some name, row in table; not passes(row)}
	failing == set()
}

passes(row) if {
	condition.reasons == row[2] with input as call(row[1]) with data.conditions as row[0]
}

# Several rows that fit have to be met, each.
test_each_row_counts if {
	two := {"*": {"*": {"": {"*": [{"class": "*", "networks": ["office"]}], "agent": [{"class": "*", "networks": ["vpn"]}]}}}}
	condition.reasons == {"outside_network"} with input as base with data.conditions as two
	condition.reasons == set() with input as call({"networks": ["office", "vpn"]}) with data.conditions as two
}

# What was recorded before there were networks and hours has none.
test_earlier_inputs if {
	old := object.remove(base, ["networks", "regions", "hours"])
	condition.reasons == {"outside_hours"} with input as old with data.conditions as everywhere({"hours": ["desk"]})
	condition.reasons == set() with input as old with data.conditions as {}
}

test_a_condition_denies if {
	d := caregate.decision with input as base with data.conditions as everywhere({"hours": ["nights"]})
	not d.allow
	d.reason == "outside_hours"
	d.needs == ""
}
