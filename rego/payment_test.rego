package caregate.payment_test

import data.caregate
import data.caregate.payment

# An agent with a key refunds part of a payment that the processor has told of.
base := {
	"v": 1, "tenant": "default", "route": "pay", "direction": "request",
	"channel": "stripe", "operation": "refund.create", "mapped": true,
	"effect": "write", "scope": "one", "mark": "", "method": "unsafe",
	"actor": {"kind": "key", "strength": "credential", "roles": ["agent"], "grants": [], "asserts": false, "mismatch": false, "mfa": false},
	"purpose": "refund", "network": "private", "findings": [], "records": 1, "observe": false,
	"payment": {
		"tokens": 1, "token": "known", "payment": "known", "place": "same", "account": "same", "order": "same",
		"currency": "same", "balance": "within", "key": "new", "amount": 2000, "unit": "EUR",
	},
}

pay(changes) := {"payment": changes}

read := {"effect": "read", "operation": "charge.show", "method": "safe"}

unknown := {
	"payment": "unknown", "place": "unknown", "account": "unknown", "order": "unknown",
	"currency": "unknown", "balance": "unknown", "key": "unknown",
}

# Each row: what is changed in the base, and the reasons that must follow.
table := {
	"an agent refunds": [{}, set()],
	"a lead refunds": [{"actor": {"roles": ["lead"]}}, set()],
	"a person refunds": [{"actor": {"kind": "token", "strength": "proven", "mfa": true}}, set()],
	"the same call again": [pay({"key": "again"}), set()],
	"no order is named": [pay({"order": "unstated"}), set()],
	"no currency is named": [pay({"currency": "unstated"}), set()],
	"an agent reads": [object.union(read, pay({"balance": "", "key": ""})), set()],
	"an agent reads what is not known": [object.union(read, pay(unknown)), set()],
	"to look it up": [object.union(read, {"purpose": "payment_lookup"}), set()],
	"a service with a grant of exactly this": [{"actor": {"roles": ["service"], "grants": ["stripe:refund.create"]}}, set()],
	"a service with a pattern": [{"actor": {"roles": ["service"], "grants": ["stripe:*"]}}, {"token_needs_role"}],
	"a dpo reads": [object.union(read, {"actor": {"roles": ["dpo"]}}), {"token_needs_role"}],
	"the processor's credential": [{"actor": {"kind": "vendor"}}, {"token_needs_role"}],
	"the processor's credential with a grant": [{"actor": {"kind": "vendor", "grants": ["stripe:refund.create"]}}, {"token_needs_role"}],
	"no purpose": [{"purpose": ""}, {"purpose_needed"}],
	"another purpose": [{"purpose": "curiosity"}, {"purpose_needed"}],
	"a purpose for reading only": [{"purpose": "payment_lookup"}, {"purpose_needed"}],
	"neither role nor purpose": [{"purpose": "", "actor": {"roles": ["security"]}}, {"purpose_needed", "token_needs_role"}],
	"two tokens": [pay({"tokens": 2}), {"token_refused"}],
	"a token that is none": [pay(object.union(unknown, {"token": "unknown"})), {"token_refused"}],
	"another route": [pay({"place": "other"}), {"token_refused"}],
	"another account": [pay({"account": "other"}), {"token_refused"}],
	"another order": [pay({"order": "other"}), {"token_refused"}],
	"another route, to read": [object.union(read, pay({"place": "other"})), {"token_refused"}],
	"a payment that nobody told of": [pay(unknown), {"payment_unknown"}],
	"another currency": [pay({"currency": "other"}), {"refund_currency"}],
	"more than is left": [pay({"balance": "over"}), {"refund_over_balance"}],
	"a balance without an answer": [pay({"balance": ""}), {"refund_over_balance"}],
	"no key": [pay({"key": "missing"}), {"idempotency_missing"}],
	"a used key": [pay({"key": "used"}), {"idempotency_used"}],
	"a key without an answer": [pay({"key": ""}), {"idempotency_used"}],
	"everything at once": [
		object.union({"purpose": "", "actor": {"roles": []}}, pay({"place": "other", "currency": "other", "balance": "over", "key": "used"})),
		{"token_needs_role", "purpose_needed", "token_refused", "refund_currency", "refund_over_balance", "idempotency_used"},
	],
}

test_table if {
	failing := {name | some name, row in table; not passes(object.union(base, row[0]), row[1])}
	failing == set()
}

passes(changed, want) if {
	payment.reasons == want with input as changed
	d := caregate.decision with input as changed
	every code in want { code in d.reasons }
}

test_no_token_no_question if {
	payment.reasons == set() with input as object.remove(base, ["payment"])
}

test_allowed if {
	d := caregate.decision with input as base
	d.allow
}

test_the_role_is_the_weightiest if {
	d := caregate.decision with input as object.union(base, {"purpose": "", "actor": {"roles": ["agent"], "kind": "vendor"}, "payment": {"place": "other"}})
	d.reason == "token_needs_role"
	d.needs == "stripe:refund.create"
}
