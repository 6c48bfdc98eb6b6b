package caregate.subject_test

import data.caregate
import data.caregate.subject

base := {
	"v": 1, "tenant": "default", "route": "desk", "direction": "request",
	"channel": "zendesk", "operation": "ticket.show", "mapped": true,
	"effect": "read", "scope": "one", "mark": "", "method": "safe",
	"actor": {"kind": "key", "strength": "credential", "roles": ["agent"], "grants": [], "asserts": false, "mismatch": false, "mfa": false},
	"purpose": "", "network": "private", "findings": [], "records": 1, "observe": false,
}

dpo := {"actor": {"roles": ["dpo"]}}

of_gateway(operation, effect) := {"channel": "caregate", "operation": operation, "effect": effect}

flagged(flags, changes) := object.union_n([base, {"subject": {"flags": flags}}, changes])

# Each row: flags, what is changed in the base, and the reasons that must follow.
table := {
	"an agent reads a restricted person": [["restriction"], {}, {"subject_restricted"}],
	"an agent writes": [["restriction"], {"effect": "write"}, {"subject_restricted"}],
	"the dpo reads": [["restriction"], dpo, set()],
	"the dpo exports": [["restriction"], object.union(dpo, {"scope": "export"}), {"subject_restricted"}],
	"the dpo exports for a claim": [["restriction"], object.union(dpo, {"scope": "export", "purpose": "legal_claims"}), set()],
	"the dpo writes": [["restriction"], object.union(dpo, {"effect": "write"}), {"subject_restricted"}],
	"the dpo opens a token": [["restriction"], object.union(dpo, of_gateway("token.reveal", "admin")), set()],
	"the dpo opens a token in full": [["restriction"], object.union(dpo, of_gateway("token.reveal_full", "admin")), set()],
	"an agent compares with a token": [["restriction"], of_gateway("token.verify", "read"), {"subject_restricted"}],
	"the dpo does something else": [["restriction"], object.union(dpo, of_gateway("apikey.create", "admin")), {"subject_restricted"}],
	"the dpo opens many records": [["restriction"], object.union(dpo, object.union(of_gateway("token.reveal", "admin"), {"scope": "bulk"})), {"subject_restricted"}],
	"an agent deletes": [["restriction"], {"effect": "delete"}, {"subject_restricted"}],
	"with consent": [["restriction"], {"effect": "write", "purpose": "consent"}, set()],
	"for the rights of others": [["restriction"], {"purpose": "rights_of_others"}, set()],
	"for a public interest": [["restriction"], {"purpose": "public_interest"}, set()],
	"for something else": [["restriction"], {"purpose": "support"}, {"subject_restricted"}],
	"a vendor's credential is an agent": [["restriction"], {"actor": {"kind": "vendor", "roles": ["dpo"]}}, {"subject_restricted"}],
	"a webhook stores": [["restriction"], {"mark": "signed", "effect": "write", "actor": {"kind": "webhook"}}, set()],
	"the person writes": [["restriction"], {"mark": "anonymous", "effect": "write", "actor": {"kind": "anonymous", "roles": []}}, set()],
	"a handshake": [["restriction"], {"mark": "handshake"}, set()],
	"a preflight": [["restriction"], {"mark": "preflight"}, set()],
	"somebody logged in writes": [["restriction"], {"mark": "auth", "effect": "write"}, set()],
	"somebody logged in reads": [["restriction"], {"mark": "auth"}, {"subject_restricted"}],
	"somebody logged in reads for a claim": [["restriction"], {"mark": "auth", "purpose": "legal_claims"}, set()],
	"a mark that nobody knows": [["restriction"], {"mark": "other", "effect": "write"}, {"subject_restricted"}],
	"support after an opt-out": [["opt_out_sale_sharing"], {"effect": "write", "purpose": "support"}, set()],
	"marketing after an opt-out": [["opt_out_sale_sharing"], {"purpose": "marketing"}, {"subject_opted_out"}],
	"a sale after an opt-out": [["opt_out_sale_sharing"], {"purpose": "sale", "mark": "signed"}, {"subject_opted_out"}],
	"profiling of the sensitive": [["limit_sensitive"], {"purpose": "profiling"}, {"subject_opted_out"}],
	"marketing after an objection": [["objection"], {"purpose": "marketing"}, {"subject_opted_out"}],
	"a sale after an objection": [["objection"], {"purpose": "sale"}, set()],
	"two flags": [["objection", "restriction"], {"purpose": "marketing"}, {"subject_opted_out", "subject_restricted"}],
	"a flag that means nothing here": [["other"], {"purpose": "marketing", "effect": "delete"}, set()],
	"a deletion of what is held": [["legal_hold"], {"effect": "delete"}, {"legal_hold"}],
	"a deletion of many": [["legal_hold"], {"effect": "delete", "scope": "bulk"}, {"legal_hold"}],
	"a deletion by the dpo": [["legal_hold"], object.union(dpo, {"effect": "delete"}), {"legal_hold"}],
	"a deletion with a grant": [["legal_hold"], {"effect": "delete", "actor": {"grants": ["zendesk:*"]}}, {"legal_hold"}],
	"a deletion for a claim": [["legal_hold"], {"effect": "delete", "purpose": "legal_claims"}, {"legal_hold"}],
	"a deletion on the vendor's word": [["legal_hold"], {"effect": "delete", "mark": "auth"}, {"legal_hold"}],
	"a deletion of a held and restricted person's data": [["legal_hold", "restriction"], {"effect": "delete"}, {"legal_hold", "subject_restricted"}],
	"a held person is read": [["legal_hold"], {}, set()],
	"a held person is written to": [["legal_hold"], {"effect": "write", "purpose": "marketing"}, set()],
	"no flags": [[], {"purpose": "marketing"}, set()],
}

test_table if {
	every name, row in table {
		got := subject.reasons with input as flagged(row[0], row[1])
		same(name, got, row[2])
	}
}

same(_, got, want) if got == want

same(name, got, want) if {
	got != want
	print(name, "got", got, "want", want)
	false
}

rows := {
	"restriction": {"roles": {"lead": true}, "purposes": {"court": true}},
	"objection": {"purposes": {"newsletter": true}, "operations": {"zendesk:campaign.*": true, "*:ticket.export/read": true, "zendesk:*/bulk": true}},
}

own(flags, changes) := r if {
	r := subject.reasons with input as flagged(flags, changes) with data.flags as rows
}

test_rows_of_the_operator if {
	own(["restriction"], {"purpose": "court"}) == set()
	own(["restriction"], {"purpose": "consent"}) == {"subject_restricted"}
	own(["restriction"], {"actor": {"roles": ["lead"]}}) == set()
	own(["restriction"], dpo) == {"subject_restricted"}
	own(["objection"], {"purpose": "newsletter"}) == {"subject_opted_out"}
	own(["objection"], {"purpose": "marketing"}) == set()
	own(["objection"], {"operation": "campaign.send", "effect": "write"}) == {"subject_opted_out"}
	own(["objection"], {"channel": "intercom", "operation": "ticket.export"}) == {"subject_opted_out"}
	own(["objection"], {"channel": "intercom", "operation": "ticket.export", "effect": "write"}) == set()
	own(["objection"], {"scope": "bulk"}) == {"subject_opted_out"}
	own(["opt_out_sale_sharing"], {"purpose": "marketing"}) == {"subject_opted_out"}
	own(["legal_hold"], {"effect": "delete"}) == {"legal_hold"}
}

test_decided if {
	d := caregate.decision with input as flagged(["restriction"], {})
	d.reason == "subject_restricted"
	d.reasons == {"subject_restricted"}
	d.needs == ""
	held := caregate.decision with input as flagged(["legal_hold", "restriction"], {"effect": "delete"})
	held.reason == "legal_hold"
	held.needs == ""
	e := caregate.decision with input as flagged(["objection"], {"purpose": "marketing"})
	e.reason == "subject_opted_out"
	caregate.decision.allow with input as flagged(["objection"], {})
}
