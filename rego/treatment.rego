# What happens to what was found: an action per class for text, and the actions
# that differ at other places.
package caregate.treatment

import data.caregate.access
import data.caregate.rollout

actions[finding.class] := action_of(finding.class) if some finding in input.findings

# Where several say something: the mark of the operation, the row that is being rolled out,
# the operator's row for the class, the one for all classes, the table. A class that no
# table knows is a defect of ours: nothing with it passes.
action_of(class) := "allow" if {
	input.mark == "auth"
	untouched(class)
} else := action if {
	data.rollout
	action := rolled_out[class].action
} else := usual(class)

untouched(class) if {
	input.mark == "auth"
	data.treatment.auth_untouched[class]
}

# What is done with a class for those who are in no rollout.
usual(class) := action if {
	data.enforcement
	action := for_route(data.enforcement[class])
} else := action if {
	data.enforcement
	action := for_route(data.enforcement["*"])
} else := object.get(data.treatment.classes, class, "block")

# The row of a class that is being rolled out. Where the class is enforced anyway it says
# nothing, so that neither its share nor its end takes anything back.
rolled_out[class] := row if {
	data.rollout
	some class in being_rolled_out
	row := rollout.row_for(class)
}

being_rolled_out contains finding.class if {
	data.rollout
	some finding in input.findings
	data.rollout.classes[finding.class]
	not untouched(finding.class)
	not enforced(usual(finding.class))
}

# Rows that decided something about this call, and those that would have.
rollouts[row.name] := true if some row in rolled_out

rollouts[name] := false if {
	some class in being_rolled_out
	some name in rollout.held_for(class)
}

# The route by name goes before all routes, the caller's roles before all roles,
# and of several roles the strictest counts.
for_route(rows) := action if {
	action := for_roles(rows[input.route])
} else := for_roles(rows["*"])

for_roles(row) := by_rank[max(object.keys(by_rank))] if {
	by_rank := {data.treatment.rank[row[role]]: row[role] | some role in access.roles}
} else := row["*"]

# For how many seconds what a mask stands for can be asked for: what the rows say that
# decided to mask the class, and of several roles the shortest. Without a word, not at all,
# and not in an answer: what is masked there stays where it came from.
undo[class] := seconds if {
	data.undo
	input.direction == "request"
	some class, action in actions
	action == "mask"
	not rolled_out[class]
	[about, route] := deciding(class)
	seconds := min({data.undo[about][route][role] | some role in masking(data.enforcement[about][route])})
	seconds > 0
}

undo[class] := row.undo if {
	data.rollout
	input.direction == "request"
	some class, row in rolled_out
	row.action == "mask"
	row.undo > 0
}

# The rows that usual took.
deciding(class) := [class, input.route] if {
	for_roles(data.enforcement[class][input.route])
} else := [class, "*"] if {
	for_roles(data.enforcement[class]["*"])
} else := ["*", input.route] if {
	for_roles(data.enforcement["*"][input.route])
} else := ["*", "*"] if {
	for_roles(data.enforcement["*"]["*"])
}

# The roles of the caller that a row masks for, or everybody.
masking(row) := roles if {
	roles := {role | some role in access.roles; row[role] == "mask"}
	roles != set()
} else := {"*"}

enforced(action) if data.treatment.rank[action] >= data.treatment.enforced_from

# The action of a class at a place that is no text, for classes that are enforced.
at(place, action) := "block" if {
	action == "block"
	place != "never"
} else := mentioned(action) if {
	place == "mention"
} else := data.treatment.places[input.direction][place]

# A payment reference that somebody writes about stays readable for the desk; it is
# replaced only where an operator wants it masked or dropped.
mentioned("tokenize") := "report"

mentioned(action) := action if action != "tokenize"

places[finding.place][finding.class] := action if {
	some finding in input.findings
	finding.place != "text"
	enforced(actions[finding.class])
	action := at(finding.place, actions[finding.class])
	action != actions[finding.class]
}

# Something stands where it may not be and cannot be masked.
blocked if {
	some class
	actions[class] == "block"
	some finding in input.findings
	finding.class == class
	finding.place != "never"
}

blocked if {
	some by_class in places
	"block" in by_class
}
