# How a caller sees the fields of answers, as rows of the operator's documents say: full,
# masked or hidden. Which rows are about a call is decided here; the gateway finds the fields.
package caregate.view

import data.caregate.access
import data.caregate.condition

# For each field the rows of the caller's roles count, and where none is about it, those for
# everybody.
rows := named | {row | some row in common; not row.field in fields}

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
	data.views != {}
	input.channel != "caregate"
	some channel in [input.channel, "*"]
	some operation in [input.operation, concat("", [access.family, ".*"]), "*"]
	some ending in ["", input.effect, input.scope]
	found := data.views[channel][operation][ending]
}

# Fields that this caller is not shown somewhere on this channel. What stands in for one of
# them in a write must not replace what it stands for, whatever operation showed it.
guarded contains field if {
	data.guards != {}
	input.direction == "request"
	input.effect in {"write", "admin"}
	some channel in [input.channel, "*"]
	some role in condition.who
	some field in data.guards[channel][role]
}
