# The table in testdata/decisions.csv, a row for each decision; TestRego loads it as
# data.decisions, with the line it stands on.
package caregate.decisions_test

import data.caregate

test_table if {
	count(data.decisions) >= 150
	failing := {row.line | some row in data.decisions; not as_written(row)}
	failing == set()
}

as_written(row) if {
	decision := caregate.decision with input as row.input
	decision.allow == row.allow
	decision.reason == row.reason
	every finding in row.input.findings {
		row.action in {"", action(decision, finding)}
	}
}

action(decision, finding) := object.get(decision.places, [finding.place, finding.class], decision.actions[finding.class])
