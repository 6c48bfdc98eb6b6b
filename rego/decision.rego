# The one question that the gateway asks: data.caregate.decision.
package caregate

import data.caregate.access
import data.caregate.condition
import data.caregate.limit
import data.caregate.payment
import data.caregate.rollout
import data.caregate.treatment

reasons := (((access.reasons | condition.reasons) | payment.reasons) | found) | own

found contains "finding_blocked" if treatment.blocked

# A deployment's own rules can only add denials. One that is being rolled out denies for
# those who are in it.
own contains "policy_denied" if some _ in counted

own contains sprintf("operator.%v", [code]) if some code in counted

counted contains code if {
	some code in data.caregate.operator.deny
	not rollout.held_back(code)
}

# What of a rollout decided something: true, and false for what would have.
rollouts := object.union(treatment.rollouts, {row.name: in_force |
	some code in data.caregate.operator.deny
	some row in data.rollout.rules[code]
	rollout.meets(row)
	in_force := rollout.among(row)
})

default allow := false

allow if {
	access.permitted
	count(reasons) == 0
}

# The weightiest code. A denial without one would be a defect of these rules: the
# reason is then undefined, so is the decision, and the gateway denies.
reason := "" if allow

reason := [entry.code | some entry in data.reasons.list; entry.code in reasons][0] if not allow

# What would have to be granted, for denials that a grant can lift.
default needs := ""

needs := access.needs if {
	some code in reasons
	code in {"token_needs_role", "auth_needs_grant", "unmapped_needs_grant", "bulk_needs_grant", "export_needs_grant", "admin_needs_role", "role_not_allowed"}
	input.channel != "caregate"
}

outcome := {
	"v": 1,
	"allow": allow,
	"reason": reason,
	"reasons": reasons,
	"needs": needs,
	"approvers": access.approvers,
	"actions": treatment.actions,
	"places": treatment.places,
	"undo": treatment.undo,
	"rollouts": rollouts,
	"limits": limit.rows,
}

decision := outcome if input.observe == false

# Observing is total: nothing is denied and nothing changed.
decision := {
	"v": 1,
	"allow": true,
	"reason": "",
	"reasons": set(),
	"needs": "",
	"approvers": 0,
	"actions": {class: watched(action) | some class, action in treatment.actions},
	"places": {},
	"undo": {},
	"rollouts": {},
	"limits": set(),
	"would": outcome,
} if {
	input.observe == true
}

watched(action) := "allow" if action == "allow"

watched(action) := "report" if action != "allow"
