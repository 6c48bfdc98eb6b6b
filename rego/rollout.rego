# What is being rolled out: rows and rules that count for some callers first. Which of
# them a call is in, the gateway says in input.rollouts: rules have no clock and do not
# know who calls.
package caregate.rollout

import data.caregate.access

# Calls that a row is about.
meets(row) if {
	row.route in {"*", input.route}
	concerns(row.role)
}

concerns("*")

concerns(role) if role in access.roles

# Inputs that were recorded before there were rollouts lack them.
among(row) := row.name in object.get(input, "rollouts", [])

# The row of a class that counts for this call: the strictest, and of equal ones the first
# by name.
row_for(class) := rows[0][2] if {
	rows := sort([[0 - data.treatment.rank[row.action], row.name, row] |
		some row in data.rollout.classes[class]
		among(row)
		meets(row)
	])
}

# Rows of a class that are about this call and do not count for it yet, or no longer.
held_for(class) := {row.name |
	some row in data.rollout.classes[class]
	meets(row)
	not among(row)
}

# A rule whose rollout is about this call counts for those who are in it. Elsewhere it
# counts for everybody.
held_back(code) if {
	some row in data.rollout.rules[code]
	meets(row)
	not in_force(code)
}

in_force(code) if {
	some row in data.rollout.rules[code]
	meets(row)
	among(row)
}
