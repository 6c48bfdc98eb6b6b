# What happens to what was found: an action per class for text, and the actions
# that differ at other places.
package caregate.treatment

classes contains finding.class if some finding in input.findings

actions[class] := action if {
	some class in classes
	action := action_of(class)
}

# Where several say something: the mark of the operation, the operator's rows, the
# table. A class that no table knows is a defect of ours: nothing with it passes.
action_of(class) := "allow" if untouched(class)

action_of(class) := action if {
	not untouched(class)
	action := array.concat(overrides(class), [object.get(data.treatment.classes, class, "block")])[0]
}

untouched(class) if {
	input.mark == "auth"
	class in data.treatment.auth_untouched
}

# The operator's rows that fit, the best first: the class by name before all
# classes, the route by name before all routes, the caller's roles before all
# roles, and of several roles the strictest.
overrides(class) := [action |
	some name in [class, "*"]
	some route in [input.route, "*"]
	action := for_roles(data.enforcement[name][route])
]

for_roles(row) := strictest if {
	found := {action | some role in data.caregate.access.roles; action := row[role]}
	top := max({data.treatment.rank[action] | some action in found})
	some strictest in found
	data.treatment.rank[strictest] == top
} else := row["*"]

enforced(action) if data.treatment.rank[action] >= data.treatment.enforced_from

# The action of a class at a place that is no text, for classes that are enforced.
at(place, action) := "block" if {
	action == "block"
	place != "never"
} else := data.treatment.places[input.direction][place]

places[finding.place][finding.class] := action if {
	some finding in input.findings
	finding.place != "text"
	enforced(actions[finding.class])
	action := at(finding.place, actions[finding.class])
	action != actions[finding.class]
}

# Something stands where it may not be and cannot be masked.
blocked if {
	some finding in input.findings
	finding.place == "text"
	actions[finding.class] == "block"
}

blocked if {
	some finding in input.findings
	finding.place != "text"
	enforced(actions[finding.class])
	at(finding.place, actions[finding.class]) == "block"
}
