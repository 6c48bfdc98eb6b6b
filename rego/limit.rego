# How much a caller may have within some time, as rows of the operator's documents say. Which
# of them are about a call is decided here; the gateway counts and denies what is over.
package caregate.limit

import data.caregate.access
import data.caregate.condition

rows contains row if {
	data.limits
	input.actor.kind != "local"
	some channel in [input.channel, "*"]
	operations := data.limits[channel]
	some operation in access.names
	endings := operations[operation]
	some ending in ["", input.effect, input.scope]
	roles := endings[ending]
	some role in condition.who
	some row in roles[role]
}
