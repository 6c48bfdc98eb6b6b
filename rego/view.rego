# How a caller sees the fields of answers, as rows of the operator's documents say: full,
# masked or hidden. Which rows are about a call is decided here; the gateway finds the fields.
package caregate.view

import data.caregate.access

# For each field the rows of the caller's roles count, and where none is about it, those for
# everybody.
rows contains row if {
	data.views
	some row in named
}

rows contains row if {
	data.views
	some row in common
	not row.field in fields
}

fields := {row.field | some row in named}

named contains row if {
	some found in about
	some role in access.roles
	some row in found[role]
}

common contains row if {
	some found in about
	some row in found["*"]
}

# The rows about this call, by role.
about contains found if {
	concerned
	some channel in [input.channel, "*"]
	some operation in [input.operation, concat("", [access.family, ".*"]), "*"]
	some ending in ["", input.effect, input.scope]
	found := data.views[channel][operation][ending]
}

# Our own API has no fields of persons to see, and a verified webhook is a vendor's own
# delivery: it is not changed, and what answers it is for the vendor.
concerned if {
	input.channel != "caregate"
	input.actor.kind != "webhook"
}

# Fields that this caller is not shown whole somewhere on this channel. What stands in for
# one of them in a write must not replace what it stands for, whatever operation showed it.
guarded contains row if {
	data.guards
	some role in access.roles
	some row in guards.named[role]
}

guarded contains guard.row if {
	data.guards
	some guard in guards.common
	not excepted(guard)
}

# A role has a row of its own about the field.
excepted(guard) if {
	some role in access.roles
	guard.except[role]
}

guards := object.get(data.guards, input.channel, data.guards["*"]) if {
	concerned
	input.direction == "request"
	input.effect in {"write", "admin"}
}
