# When the token of a payment is turned back on its way to the processor. A call has
# input.payment only if a token stands where that would happen; each question must be
# answered well, and what has no answer speaks against the call.
package caregate.payment

import data.caregate.access

asked if input.payment.tokens

# Somebody whom the gateway knows, with a role for it or a grant of exactly this call.
# The processor's own credential belongs to a program and names nobody.
permitted if {
	data.access.given[input.actor.kind]
	some role in access.roles
	data.access.roles[role].payments[input.effect]
}

permitted if {
	data.access.given[input.actor.kind]
	access.needs in input.actor.grants
}

reasons contains "token_needs_role" if {
	asked
	not permitted
}

reasons contains "purpose_needed" if {
	asked
	not data.payments.purposes[input.purpose][input.effect]
}

# One answer for everything that would tell tokens apart.
reasons contains "token_refused" if {
	asked
	not bound
}

bound if {
	known
	input.payment.place == "same"
	input.payment.account == "same"
	input.payment.order in {"same", "unstated"}
}

bound if {
	single
	input.payment.payment == "unknown"
}

single if {
	input.payment.tokens == 1
	input.payment.token == "known"
}

known if {
	single
	input.payment.payment == "known"
}

# Money moves only where the processor has told how much there is.
reasons contains "payment_unknown" if {
	single
	not known
	input.effect != "read"
}

reasons contains "refund_currency" if {
	known
	not input.payment.currency in {"same", "unstated"}
}

reasons contains "refund_over_balance" if {
	moves
	input.payment.balance != "within"
}

reasons contains "idempotency_missing" if {
	moves
	input.payment.key == "missing"
}

reasons contains "idempotency_used" if {
	moves
	not input.payment.key in {"new", "again", "missing"}
}

moves if {
	known
	input.effect != "read"
}
