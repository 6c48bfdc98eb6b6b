# What flags of the persons whom a call is about speak against. What each flag means is data:
# data.subjects, or the operator's row in data.flags in its place. A call about persons without
# flags has no input.subject, and nothing here is evaluated. A legal hold is in the same list and
# has no row.
package caregate.subject

import data.caregate.access

row(flag) := data.flags[flag]

row(flag) := data.subjects[flag] if not data.flags[flag]

reasons contains "subject_restricted" if {
	"restriction" in input.subject.flags
	not stored
	not row("restriction").purposes[input.purpose]
	not readable
}

# A verified webhook, and what everybody may call, bring what the person or the vendor says; so
# does whoever is logged in and writes. What such a session reads is a use like any other.
stored if input.mark in {"signed", "anonymous", "handshake", "preflight"}

stored if {
	input.mark == "auth"
	input.effect != "read"
}

# Roles that read single records, and what stands behind up to 20 tokens in a call (the scope of
# those is one), to answer the person.
readable if {
	reading
	input.scope == "one"
	some role in access.roles
	row("restriction").roles[role]
}

reading if input.effect == "read"

reading if {
	input.channel == "caregate"
	input.operation in {"token.reveal", "token.reveal_full"}
}

# The gateway says it of calls that delete. Nothing lifts it but the end of the hold.
reasons contains "legal_hold" if {
	"legal_hold" in input.subject.flags
	input.effect == "delete"
}

reasons contains "subject_opted_out" if {
	some flag in input.subject.flags
	flag != "restriction"
	row(flag).purposes[input.purpose]
}

reasons contains "subject_opted_out" if {
	some flag in input.subject.flags
	some channel in [input.channel, "*"]
	some name in access.names
	some ending in ["", concat("", ["/", input.effect]), concat("", ["/", input.scope])]
	row(flag).operations[concat("", [channel, ":", name, ending])]
}
