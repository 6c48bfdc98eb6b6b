# Who may make which call. Nothing is allowed unless a rule here permits it, and
# whatever speaks against a call is in reasons.
package caregate.access

# The roles that count. A vendor credential makes an agent whatever else is said
# about it.
roles := data.access.kinds[input.actor.kind]

roles := input.actor.roles if data.access.given[input.actor.kind]

# The gateway adds the vendor's credential. Inputs from before lack it.
added if object.get(input, "credential", "") == "added"

# Operations that everybody may call, as their mark says, unless they would be made in the
# gateway's name. A preflight is one only
# with its method.
open if {
	data.access.open_marks[input.mark]
	not added
}

open if {
	input.mark == "preflight"
	input.method == "options"
}

permitted if covered

permitted if by_role

# What needs nobody else.
covered if {
	input.channel != "caregate"
	some role in roles
	data.access.roles[role].channel[input.scope][input.effect]
}

covered if {
	input.channel == "caregate"
	some role in roles
	data.access.own[family][role][input.effect]
}

covered if {
	input.channel != "caregate"
	some grant in input.actor.grants
	grant in wanted
}

# A webhook whose signature was verified, on an operation that takes them.
covered if {
	input.mark == "signed"
	input.actor.kind == "webhook"
}

covered if open

# What a call does to each of many records: whether the caller may make calls on many was asked
# before.
covered if each

each if object.get(input, "many", "") != ""

# How many others must agree to what a role may do only so.
by_role := min({n |
	some role in roles
	n := data.access.roles[role].approval[input.scope][input.effect]
	input.channel != "caregate"
})

# How many others must agree: what the role, the deployment's rows and the gateway's
# own API demand; the most counts.
default approvers := 0

approvers := max(demands)

demands contains by_role if not covered

demands contains n if {
	input.channel != "caregate"
	data.approvals
	some pattern in wanted
	some row in data.approvals[pattern]
	many(row)
	n := row.approvers
}

demands contains data.access.own_approval[input.operation][input.scope] if input.channel == "caregate"

demands contains row.approvers if {
	input.channel == "caregate"
	data.access.own_agreed[input.operation]
	some pattern in wanted
	some row in data.approvals[pattern]
	many(row)
}

# What changes who may do what, where the deployment wants others to agree to every change.
demands contains data.changes.approvers if {
	input.channel == "caregate"
	data.access.own_agreed[input.operation]
}

# Whether a call has as many records as a row is about. How many an answer has is known when
# the call was made, which is too late for others to agree.
many(row) if row.records == 0

many(row) if {
	input.direction == "request"
	input.records >= row.records
}

# How many have agreed. Inputs that were recorded before there were approvals lack it.
default approvals := 0

approvals := input.approvals

# The part of an operation's name before the first dot.
family := split(input.operation, ".")[0]

# What a row may call this operation.
names := [input.operation, concat("", [family, ".*"]), "*"]

# The grant that names exactly this operation.
needs := concat(":", [input.channel, input.operation])

# Every grant that covers this call. An exact name covers the operation whatever
# it is; a pattern covers single reads, writes and deletes, and bulk, export and
# administrative calls only with the word behind it.
wanted contains needs

wanted contains concat(":", ["*", input.operation])

wanted contains concat("", [channel, ":", pattern, ending]) if {
	some channel in [input.channel, "*"]
	some pattern in [concat("", [family, ".*"]), "*"]
	some ending in endings
}

endings := ["/admin"] if {
	input.effect == "admin"
	input.scope == "one"
} else := ["", concat("", ["/", input.effect])] if {
	input.scope == "one"
} else := [concat("", ["/", input.scope])] if {
	input.effect != "admin"
} else := []

# Claims and proofs that contradict each other are a denial on every operation.
reasons contains "identity_mismatch" if input.actor.mismatch == true

reasons contains "approval_required" if {
	approvers > 0
	permitted
	approvals < approvers
}

# Why nothing permits the call.
reasons contains refusal if not permitted

reasons contains "no_credential" if {
	input.mark == "signed"
	input.actor.kind != "webhook"
}

reasons contains "unknown_role" if {
	data.access.given[input.actor.kind]
	some role in input.actor.roles
	not data.access.roles[role].assignable
}

# People whom an identity provider vouches for; machines have roles without it.
reasons contains "mfa_required" if {
	input.actor.kind == "token"
	input.actor.mfa == false
	not open
	some role in roles
	data.access.roles[role].mfa
}

# People who logged in longer ago than the deployment wants of one of their roles, or
# nobody knows when.
reasons contains "login_too_old" if {
	data.logins
	input.actor.kind == "token"
	not open
	some role in roles
	most := data.logins[role]
	not younger(most)
}

younger(most) if {
	age := object.get(input.actor, "age", 0)
	age > 0
	age <= most
}

reasons contains "mfa_required" if {
	input.channel == "caregate"
	permitted
	data.access.own_proven[input.operation]
	input.actor.mfa == false
}

# Sessions and tokens of the vendor that such an answer holds would be the gateway's own.
reasons contains "auth_needs_grant" if {
	added
	not each
	input.mark == "auth"
	not needs in input.actor.grants
}

# Nor is known what a call changes that the channel file does not have: it may make a token.
reasons contains "unmapped_needs_grant" if {
	added
	permitted
	input.mapped == false
	input.method == "unsafe"
	count(wanted & {grant | some grant in input.actor.grants}) == 0
}

reasons contains "full_needs_grant" if {
	input.channel == "caregate"
	permitted
	data.access.own_granted[input.operation]
	not needs in input.actor.grants
}

# Whoever has not used a right to reveal for as long as the deployment says has lost it, until
# somebody else renews it.
reasons contains "reveal_lapsed" if {
	input.channel == "caregate"
	permitted
	data.access.own_lapsing[input.operation]
	input.actor.reveal_lapsed == true
}

refusal := "no_credential" if {
	not known
} else := "export_needs_grant" if {
	input.scope == "export"
} else := "bulk_needs_grant" if {
	input.scope == "bulk"
} else := "admin_needs_role" if {
	input.effect == "admin"
} else := "role_not_allowed"

known if {
	some _ in roles
	input.actor.kind != "anonymous"
}

# A key, a token or a certificate is known even if it has no role that counts here.
known if input.actor.kind in {"key", "token", "certificate"}
