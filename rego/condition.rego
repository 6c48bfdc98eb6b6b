# Where, when and what for calls may be made, as rows of the operator's documents say. A row
# that fits a call has to be met; of several, each.
package caregate.condition

import data.caregate.access

# The rows that are about this call. Whoever opens the socket in the data directory comes
# over no network and runs the gateway: no row is about them.
rows contains row if {
	data.conditions
	input.actor.kind != "local"
	some channel in [input.channel, "*"]
	operations := data.conditions[channel]
	some operation in access.names
	endings := operations[operation]
	some ending in ["", input.effect, input.scope]
	roles := endings[ending]
	some role in who
	some row in roles[role]
	concerns(row)
}

# The roles that a row may name for this caller.
who := {"*"} | {role | some role in access.roles}

concerns(row) if row.class == "*"

concerns(row) if {
	some finding in input.findings
	finding.class == row.class
}

reasons contains "outside_network" if unmet("networks")

reasons contains "outside_region" if unmet("regions")

reasons contains "actor_outside_region" if {
	some row in rows
	wanted := {name | some name in row.actor_regions}
	count(wanted) > 0
	count(wanted & {name | some name in object.get(input.actor, "regions", [])}) == 0
}

reasons contains "outside_hours" if unmet("hours")

reasons contains "purpose_not_covered" if {
	some row in rows
	row.purposes
	not input.purpose in row.purposes
}

# A row wants one of several, and the call has none of them.
unmet(member) if {
	some row in rows
	wanted := {name | some name in row[member]}
	count(wanted) > 0
	count(wanted & {name | some name in object.get(input, member, [])}) == 0
}
