# The one question that the gateway asks: data.caregate.decision.
#
# Rules that begin with a document alone, as data.conditions, are about rows of it. Where a
# policy has no such rows it has no such document, and OPA's index leaves the rule out without
# evaluating it. It does the same where a call lacks a part or has another word there.
package caregate

import data.caregate.access
import data.caregate.condition
import data.caregate.limit
import data.caregate.payment
import data.caregate.rollout
import data.caregate.subject
import data.caregate.treatment
import data.caregate.view

# Whatever speaks against the call.
reasons contains code if some code in access.reasons

reasons contains code if {
	data.conditions
	some code in condition.reasons
}

reasons contains code if {
	input.payment
	some code in payment.reasons
}

reasons contains code if {
	input.subject
	some code in subject.reasons
}

reasons contains "finding_blocked" if treatment.blocked

# A deployment's own rules can only add denials. One that is being rolled out denies for
# those who are in it.
reasons contains code if {
	some own in data.caregate.operator.deny
	not rollout.held_back(own)
	some code in ["policy_denied", sprintf("operator.%v", [own])]
}

# What of a rollout decided something: true, and false for what would have.
default rollouts := {}

rollouts := object.union(treatment.rollouts, {row.name: in_force |
	some code in data.caregate.operator.deny
	some row in data.rollout.rules[code]
	rollout.meets(row)
	in_force := rollout.among(row)
}) if {
	data.rollout
}

default allow := false

allow if {
	access.permitted
	reasons == set()
}

# The weightiest code. A denial without one would be a defect of these rules: the
# reason is then undefined, so is the decision, and the gateway denies.
reason := "" if {
	allow
} else := [entry.code | some entry in data.reasons.list; entry.code in reasons][0]

# What would have to be granted, for denials that a grant can lift.
default needs := ""

needs := access.needs if {
	some code in reasons
	code in {"token_needs_role", "auth_needs_grant", "unmapped_needs_grant", "bulk_needs_grant", "export_needs_grant", "admin_needs_role", "role_not_allowed"}
	input.channel != "caregate"
}

# What object.union answers is a value. OPA would make an object that is only written out
# anew each time it is looked at.
outcome := object.union({}, {
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
	"views": view.rows,
	"guarded": view.guarded,
})

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
	"views": set(),
	"guarded": set(),
	"would": outcome,
} if {
	input.observe == true
}

watched(action) := "allow" if action == "allow"

watched(action) := "report" if action != "allow"
