package caregate.access_test

import data.caregate.access

# An agent with the vendor's own credential, reading one ticket.
base := {
	"v": 1, "tenant": "default", "route": "desk", "direction": "request",
	"channel": "zendesk", "operation": "ticket.show", "mapped": true,
	"effect": "read", "scope": "one", "mark": "", "method": "safe",
	"actor": {"kind": "vendor", "strength": "credential", "roles": ["agent"], "grants": [], "asserts": false, "mismatch": false, "mfa": false},
	"purpose": "", "network": "loopback", "findings": [], "records": 1, "observe": false,
}

call(changes) := object.union(base, changes)

key(roles, grants) := {"actor": {"kind": "key", "roles": roles, "grants": grants}}

person(roles, mfa) := {"actor": {"kind": "token", "strength": "proven", "roles": roles, "mfa": mfa}}

granted(roles, grants) := {"actor": {"kind": "token", "strength": "proven", "roles": roles, "grants": grants, "mfa": true}}

lapsed(roles, grants) := {"actor": object.union(granted(roles, grants).actor, {"reveal_lapsed": true})}

reveal := {"channel": "caregate", "operation": "token.reveal", "effect": "admin"}

# Each row: what is changed in the base, and the reasons that must follow.
table := {
	"an agent reads": [{}, set()],
	"an agent writes": [{"effect": "write"}, set()],
	"an agent deletes": [{"effect": "delete"}, set()],
	"an agent on an operation the file does not know": [{"mapped": false, "operation": "unmapped.post", "effect": "write"}, set()],
	"an agent administers": [{"effect": "admin"}, {"admin_needs_role"}],
	"an agent in bulk": [{"scope": "bulk", "effect": "write"}, {"bulk_needs_grant"}],
	"an agent exports": [{"scope": "export"}, {"export_needs_grant"}],
	"an agent administers in bulk": [{"scope": "bulk", "effect": "admin"}, {"bulk_needs_grant"}],
	"a vendor credential that says it is more": [{"scope": "export", "actor": {"roles": ["dpo"]}}, {"export_needs_grant"}],
	"a vendor credential with a grant": [{"scope": "export", "operation": "ticket.export", "actor": {"grants": ["zendesk:ticket.export"]}}, set()],
	"nobody": [{"actor": {"kind": "anonymous", "roles": []}}, {"no_credential"}],
	"a kind nobody knows": [{"actor": {"kind": "friend"}}, {"no_credential"}],
	"a person without a role": [{"actor": {"kind": "token", "strength": "proven", "roles": []}}, {"role_not_allowed"}],
	"nobody on an anonymous operation": [{"mark": "anonymous", "effect": "write", "actor": {"kind": "anonymous", "roles": []}}, set()],
	"nobody on a handshake": [{"mark": "handshake", "actor": {"kind": "anonymous", "roles": []}}, set()],
	"nobody signs in": [{"mark": "auth", "effect": "write", "actor": {"kind": "anonymous", "roles": []}}, set()],
	"nobody signs in where the gateway adds the credential": [{"mark": "auth", "credential": "added", "actor": {"kind": "anonymous", "roles": []}}, {"no_credential", "auth_needs_grant"}],
	"nobody on an anonymous operation in the gateway's name": [{"mark": "anonymous", "credential": "added", "actor": {"kind": "anonymous", "roles": []}}, {"no_credential"}],
	"a key asks for a session in the gateway's name": [object.union(key(["agent"], ["zendesk:*"]), {"mark": "auth", "credential": "added"}), {"auth_needs_grant"}],
	"what a call on many records does to each": [object.union(key(["service"], ["zendesk:ticket.destroy_many"]), {"many": "ticket.destroy_many", "operation": "ticket.delete", "effect": "delete"}), set()],
	"what a call of nobody does to each": [{"many": "ticket.destroy_many", "actor": {"asserts": true, "mismatch": true}}, {"identity_mismatch"}],
	"what a call that ends sessions does to each": [object.union(key(["agent"], ["zendesk:session.delete_all"]), {"mark": "auth", "credential": "added", "many": "session.delete_all", "operation": "session.delete", "effect": "delete"}), set()],
	"a key with the grant asks for a session in the gateway's name": [object.union(key(["agent"], ["zendesk:ticket.show"]), {"mark": "auth", "credential": "added"}), set()],
	"a key reads in the gateway's name": [object.union(key(["agent"], []), {"credential": "added"}), set()],
	"a key changes what the file does not know, in the gateway's name": [object.union(key(["agent"], []), {"credential": "added", "mapped": false, "operation": "unmapped.post", "effect": "write", "method": "unsafe"}), {"unmapped_needs_grant"}],
	"a key with a grant changes what the file does not know": [object.union(key(["agent"], ["zendesk:unmapped.*"]), {"credential": "added", "mapped": false, "operation": "unmapped.post", "effect": "write", "method": "unsafe"}), set()],
	"a key reads what the file does not know": [object.union(key(["agent"], []), {"credential": "added", "mapped": false, "operation": "unmapped.get"}), set()],
	"a preflight": [{"mark": "preflight", "method": "options", "actor": {"kind": "anonymous", "roles": []}}, set()],
	"a preflight by another method": [{"mark": "preflight", "method": "unsafe", "actor": {"kind": "anonymous", "roles": []}}, {"no_credential"}],
	"a webhook with a verified signature": [{"mark": "signed", "effect": "write", "actor": {"kind": "webhook", "roles": ["vendor"]}}, set()],
	"a webhook somewhere else": [{"effect": "write", "actor": {"kind": "webhook", "roles": []}}, {"role_not_allowed"}],
	"a webhook without signature": [{"mark": "signed", "effect": "write", "actor": {"kind": "anonymous", "roles": []}}, {"no_credential"}],
	"an agent posts to a webhook": [{"mark": "signed", "effect": "write"}, {"no_credential"}],
	"a mismatch": [{"actor": {"asserts": true, "mismatch": true}}, {"identity_mismatch"}],
	"a mismatch on an open operation": [{"mark": "anonymous", "actor": {"asserts": true, "mismatch": true}}, {"identity_mismatch"}],
	"a lead in bulk": [object.union(key(["lead"], []), {"scope": "bulk", "effect": "write"}), {"approval_required"}],
	"a lead in bulk, approved": [object.union(key(["lead"], []), {"scope": "bulk", "effect": "write", "approvals": 1}), set()],
	"a lead administers, approved": [object.union(key(["lead"], []), {"effect": "admin", "approvals": 2}), {"admin_needs_role"}],
	"an agent in bulk, approved": [{"scope": "bulk", "effect": "write", "approvals": 2}, {"bulk_needs_grant"}],
	"a lead in bulk with a grant": [object.union(key(["lead"], ["zendesk:ticket.*/bulk"]), {"scope": "bulk", "effect": "write"}), set()],
	"a service without grants": [key(["service"], []), {"role_not_allowed"}],
	"a service with another channel's grant": [key(["service"], ["intercom:*"]), {"role_not_allowed"}],
	"a service with the exact grant": [key(["service"], ["zendesk:ticket.show"]), set()],
	"a service with the family": [key(["service"], ["zendesk:ticket.*"]), set()],
	"a service with the channel": [key(["service"], ["zendesk:*"]), set()],
	"a service with every channel's operation": [key(["service"], ["*:ticket.show"]), set()],
	"a service with everything": [key(["service"], ["*:*"]), set()],
	"a service that may read": [key(["service"], ["zendesk:*/read"]), set()],
	"a service that may read writes": [object.union(key(["service"], ["zendesk:*/read"]), {"effect": "write"}), {"role_not_allowed"}],
	"a pattern does not export": [object.union(key(["service"], ["zendesk:*"]), {"scope": "export"}), {"export_needs_grant"}],
	"a pattern does not administer": [object.union(key(["service"], ["zendesk:*"]), {"effect": "admin"}), {"admin_needs_role"}],
	"a pattern for exports": [object.union(key(["service"], ["zendesk:*/export"]), {"scope": "export"}), set()],
	"a pattern for administration": [object.union(key(["service"], ["zendesk:*/admin"]), {"effect": "admin"}), set()],
	"no pattern administers in bulk": [object.union(key(["service"], ["zendesk:*/admin", "zendesk:*/bulk"]), {"effect": "admin", "scope": "bulk"}), {"bulk_needs_grant"}],
	"the exact name administers in bulk": [object.union(key(["service"], ["zendesk:ticket.show"]), {"effect": "admin", "scope": "bulk"}), set()],
	"security sees no tickets": [key(["security"], []), {"role_not_allowed"}],
	"an admin sees no tickets": [key(["admin"], []), {"role_not_allowed"}],
	"a dpo reads": [key(["dpo"], []), set()],
	"a dpo exports": [object.union(key(["dpo"], []), {"scope": "export"}), set()],
	"a dpo writes": [object.union(key(["dpo"], []), {"effect": "write"}), {"role_not_allowed"}],
	"one role of two is enough": [key(["security", "agent"], []), set()],
	"an unknown role": [key(["agent", "emperor"], []), {"unknown_role"}],
	"a role that cannot be given": [key(["agent", "public"], []), {"unknown_role"}],
	"a person without second factor": [person(["agent"], false), {"mfa_required"}],
	"a person with second factor": [person(["agent"], true), set()],
	"an admin without second factor": [object.union(person(["admin"], false), {"channel": "caregate", "operation": "apikey.create", "effect": "admin"}), {"mfa_required"}],
	"a machine with a token": [object.union(person(["service"], false), {"actor": {"grants": ["zendesk:*"]}}), set()],
	"a person without second factor on an open operation": [object.union(person(["agent"], false), {"mark": "anonymous"}), set()],
	"an admin's key": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "apikey.create", "effect": "admin"}), set()],
	"the socket": [{"channel": "caregate", "operation": "apikey.create", "effect": "admin", "actor": {"kind": "local", "roles": []}}, set()],
	"the socket sees no tickets": [{"actor": {"kind": "local", "roles": []}}, {"role_not_allowed"}],
	"security reads the log": [object.union(key(["security"], []), {"channel": "caregate", "operation": "audit.find"}), set()],
	"the socket reads what was observed": [{"channel": "caregate", "operation": "observed.read", "actor": {"kind": "local", "roles": []}}, set()],
	"an agent reads what was observed": [{"channel": "caregate", "operation": "observed.read"}, {"role_not_allowed"}],
	"the socket erases": [{"channel": "caregate", "operation": "subject.erase", "effect": "admin", "actor": {"kind": "local", "roles": []}}, set()],
	"the socket asks for records of a person": [{"channel": "caregate", "operation": "subject.records", "effect": "read", "actor": {"kind": "local", "roles": []}}, set()],
	"a dpo asks for records of a person": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "subject.records", "effect": "read"}), set()],
	"an admin asks for records of a person": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "subject.records", "effect": "read"}), {"role_not_allowed"}],
	"an agent asks for records of a person": [object.union(key(["agent"], []), {"channel": "caregate", "operation": "subject.records", "effect": "read"}), {"role_not_allowed"}],
	"a dpo imports what a system has": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "channel.import", "effect": "admin"}), set()],
	"an agent imports what a system has": [{"channel": "caregate", "operation": "channel.import", "effect": "admin"}, {"admin_needs_role"}],
	"an agent erases": [{"channel": "caregate", "operation": "subject.erase", "effect": "admin"}, {"admin_needs_role"}],
	"the socket rotates the vault's keys": [{"channel": "caregate", "operation": "keys.rotate", "effect": "admin", "actor": {"kind": "local", "roles": []}}, set()],
	"security rotates the vault's keys": [object.union(key(["security"], []), {"channel": "caregate", "operation": "keys.rotate", "effect": "admin"}), {"admin_needs_role"}],
	"security makes keys": [object.union(key(["security"], []), {"channel": "caregate", "operation": "apikey.create", "effect": "admin"}), {"admin_needs_role"}],
	"an agent reads the log": [{"channel": "caregate", "operation": "audit.find"}, {"role_not_allowed"}],
	"no grant opens the gateway's own API": [object.union(key(["service"], ["*:*", "caregate:audit.find"]), {"channel": "caregate", "operation": "audit.find"}), {"role_not_allowed"}],
	"a dpo reveals": [object.union(person(["dpo"], true), reveal), set()],
	"a dpo reveals without second factor": [object.union(person(["dpo"], false), reveal), {"mfa_required"}],
	"a dpo's key reveals": [object.union(key(["dpo"], []), reveal), {"mfa_required"}],
	"an agent reveals": [object.union(person(["agent"], true), reveal), {"admin_needs_role"}],
	"the socket reveals": [object.union(reveal, {"actor": {"kind": "local", "roles": []}}), {"admin_needs_role"}],
	"a dpo reveals many": [object.union(person(["dpo"], true), object.union(reveal, {"scope": "bulk"})), {"approval_required"}],
	"a dpo reveals many, one agreed": [object.union(person(["dpo"], true), object.union(reveal, {"scope": "bulk", "approvals": 1})), {"approval_required"}],
	"a dpo reveals many, two agreed": [object.union(person(["dpo"], true), object.union(reveal, {"scope": "bulk", "approvals": 2})), set()],
	"a dpo reveals whole values": [object.union(person(["dpo"], true), object.union(reveal, {"operation": "token.reveal_full"})), {"full_needs_grant"}],
	"a dpo with the grant reveals whole values": [object.union(granted(["dpo"], ["caregate:token.reveal_full"]), object.union(reveal, {"operation": "token.reveal_full"})), set()],
	"a dpo reveals after long": [object.union(lapsed(["dpo"], []), reveal), {"reveal_lapsed"}],
	"a dpo reveals many after long": [object.union(lapsed(["dpo"], []), object.union(reveal, {"scope": "bulk", "approvals": 2})), {"reveal_lapsed"}],
	"a dpo with the grant reveals whole values after long": [object.union(lapsed(["dpo"], ["caregate:token.reveal_full"]), object.union(reveal, {"operation": "token.reveal_full"})), {"reveal_lapsed"}],
	"a dpo verifies after long": [object.union(lapsed(["dpo"], []), {"channel": "caregate", "operation": "token.verify", "effect": "read"}), set()],
	"a dpo reads after long": [lapsed(["dpo"], []), set()],
	"an agent reveals after long": [object.union(lapsed(["agent"], []), reveal), {"admin_needs_role"}],
	"a dpo whose right counts reveals": [object.union(reveal, {"actor": object.union(lapsed(["dpo"], []).actor, {"reveal_lapsed": false})}), set()],
	"an agent with the grant reveals whole values": [object.union(granted(["agent"], ["caregate:token.reveal_full"]), object.union(reveal, {"operation": "token.reveal_full"})), {"admin_needs_role"}],
	"an agent verifies": [object.union(key(["agent"], []), {"channel": "caregate", "operation": "token.verify"}), set()],
	"security verifies": [object.union(key(["security"], []), {"channel": "caregate", "operation": "token.verify"}), {"role_not_allowed"}],
	"security gives approvals": [object.union(key(["security"], []), {"channel": "caregate", "operation": "approval.give", "effect": "admin"}), set()],
	"an admin gives approvals": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "approval.give", "effect": "admin"}), {"admin_needs_role"}],
	"security reviews access": [object.union(key(["security"], []), {"channel": "caregate", "operation": "access.decide", "effect": "admin"}), set()],
	"an admin closes a review": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "access.close", "effect": "admin"}), set()],
	"a dpo reads a review": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "access.read", "effect": "read"}), set()],
	"a dpo decides in a review": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "access.decide", "effect": "admin"}), {"admin_needs_role"}],
	"an agent reads a review": [object.union(person(["agent"], true), {"channel": "caregate", "operation": "access.read", "effect": "read"}), {"role_not_allowed"}],
	"an auditor without second factor": [object.union(person(["security"], false), {"channel": "caregate", "operation": "access.list", "effect": "read"}), {"mfa_required"}],
	"a dpo plans a purge": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "retention.plan", "effect": "read"}), set()],
	"a dpo plans a purge without second factor": [object.union(person(["dpo"], false), {"channel": "caregate", "operation": "retention.plan", "effect": "read"}), {"mfa_required"}],
	"security plans a purge": [object.union(key(["security"], []), {"channel": "caregate", "operation": "retention.plan", "effect": "read"}), set()],
	"an admin plans a purge": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "retention.plan", "effect": "read"}), {"role_not_allowed"}],
	"an agent plans a purge": [object.union(person(["agent"], true), {"channel": "caregate", "operation": "retention.plan", "effect": "read"}), {"role_not_allowed"}],
	"no grant plans a purge": [object.union(key(["service"], ["caregate:retention.plan", "*:*"]), {"channel": "caregate", "operation": "retention.plan", "effect": "read"}), {"role_not_allowed"}],
	"the socket plans a purge": [{"channel": "caregate", "operation": "retention.plan", "effect": "read", "actor": {"kind": "local", "roles": []}}, set()],
	"a dpo begins a purge": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "retention.start", "effect": "admin"}), {"approval_required"}],
	"a dpo begins a purge to which another has agreed": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "retention.start", "effect": "admin", "approvals": 1}), set()],
	"the socket begins a purge": [{"channel": "caregate", "operation": "retention.start", "effect": "admin", "actor": {"kind": "local", "roles": []}}, {"admin_needs_role"}],
	"security begins a purge": [object.union(key(["security"], []), {"channel": "caregate", "operation": "retention.start", "effect": "admin", "approvals": 1}), {"admin_needs_role"}],
	"no grant begins a purge": [object.union(key(["service"], ["caregate:retention.start", "*:*/admin"]), {"channel": "caregate", "operation": "retention.start", "effect": "admin", "approvals": 1}), {"admin_needs_role"}],
	"a dpo goes on with a purge": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "retention.next", "effect": "admin"}), set()],
	"a dpo places a hold": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "hold.place", "effect": "write"}), set()],
	"a dpo places a hold without second factor": [object.union(person(["dpo"], false), {"channel": "caregate", "operation": "hold.place", "effect": "write"}), {"mfa_required"}],
	"an admin places a hold": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "hold.place", "effect": "write"}), set()],
	"the socket places a hold": [{"channel": "caregate", "operation": "hold.place", "effect": "write", "actor": {"kind": "local", "roles": []}}, set()],
	"security places a hold": [object.union(key(["security"], []), {"channel": "caregate", "operation": "hold.place", "effect": "write"}), {"role_not_allowed"}],
	"an agent places a hold": [object.union(person(["agent"], true), {"channel": "caregate", "operation": "hold.place", "effect": "write"}), {"role_not_allowed"}],
	"no grant places a hold": [object.union(key(["service"], ["caregate:hold.place", "*:*"]), {"channel": "caregate", "operation": "hold.place", "effect": "write"}), {"role_not_allowed"}],
	"a dpo asks for a hold to be lifted": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "hold.lift", "effect": "admin"}), set()],
	"security agrees to lift a hold": [object.union(key(["security"], []), {"channel": "caregate", "operation": "hold.approve_lift", "effect": "admin"}), set()],
	"an admin asks for a hold to be lifted": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "hold.lift", "effect": "admin"}), {"admin_needs_role"}],
	"an admin agrees to lift a hold": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "hold.approve_lift", "effect": "admin"}), {"admin_needs_role"}],
	"an agent agrees to lift a hold": [object.union(person(["lead"], true), {"channel": "caregate", "operation": "hold.approve_lift", "effect": "admin"}), {"admin_needs_role"}],
	"an admin reads a hold": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "hold.read", "effect": "read"}), set()],
	"an agent reads a hold": [object.union(key(["agent"], []), {"channel": "caregate", "operation": "hold.read", "effect": "read"}), {"role_not_allowed"}],
	"a dpo opens an incident": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "incident.open", "effect": "admin"}), set()],
	"security opens an incident": [object.union(key(["security"], []), {"channel": "caregate", "operation": "incident.open", "effect": "admin"}), set()],
	"the socket lists incidents": [{"channel": "caregate", "operation": "incident.list", "effect": "read", "actor": {"kind": "local", "roles": []}}, set()],
	"an admin lists incidents": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "incident.list", "effect": "read"}), {"role_not_allowed"}],
	"an agent opens an incident": [object.union(person(["agent"], true), {"channel": "caregate", "operation": "incident.open", "effect": "admin"}), {"admin_needs_role"}],
	"a dpo decides about an incident": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "incident.aware", "effect": "admin"}), set()],
	"a dpo dismisses an incident": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "incident.dismiss", "effect": "admin"}), set()],
	"a dpo's key says with a proof that a notice was sent": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "incident.notice", "effect": "admin"}), set()],
	"a dpo says without a proof that a notice was sent": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "incident.notice_unproven", "effect": "admin"}), set()],
	"a dpo's key says without a proof that a notice was sent": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "incident.notice_unproven", "effect": "admin"}), {"mfa_required"}],
	"security trusts the clock": [object.union(person(["security"], true), {"channel": "caregate", "operation": "duty.trust_clock", "effect": "admin"}), set()],
	"security's key trusts the clock": [object.union(key(["security"], []), {"channel": "caregate", "operation": "duty.trust_clock", "effect": "admin"}), {"mfa_required"}],
	"a dpo's key gives a duty back": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "duty.retry", "effect": "admin"}), set()],
	"a dpo's key decides about an incident": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "incident.aware", "effect": "admin"}), {"mfa_required"}],
	"the socket dismisses an incident": [{"channel": "caregate", "operation": "incident.dismiss", "effect": "admin", "actor": {"kind": "local", "roles": [], "mfa": false}}, {"mfa_required"}],
	"a dpo waives a notice": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "incident.waive", "effect": "admin"}), set()],
	"a dpo without a second factor waives a notice": [object.union(person(["dpo"], false), {"channel": "caregate", "operation": "incident.waive", "effect": "admin"}), {"mfa_required"}],
	"a dpo's key waives a notice": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "incident.waive", "effect": "admin"}), {"mfa_required"}],
	"the socket waives a notice": [{"channel": "caregate", "operation": "incident.waive", "effect": "admin", "actor": {"kind": "local", "roles": [], "mfa": false}}, {"mfa_required"}],
	"an agent waives a notice": [object.union(person(["agent"], true), {"channel": "caregate", "operation": "incident.waive", "effect": "admin"}), {"admin_needs_role"}],
	"a dpo's key restores a notice": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "incident.restore", "effect": "admin"}), set()],
	"security has a duty tried again": [object.union(key(["security"], []), {"channel": "caregate", "operation": "duty.retry", "effect": "admin"}), set()],
	"an admin has a duty tried again": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "duty.retry", "effect": "admin"}), {"admin_needs_role"}],
	"an agent lists duties": [object.union(key(["agent"], []), {"channel": "caregate", "operation": "duty.list", "effect": "read"}), {"role_not_allowed"}],
	"a dpo opens a request": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "request.open", "effect": "write"}), set()],
	"an admin opens a request": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "request.open", "effect": "write"}), set()],
	"the socket opens a request": [{"channel": "caregate", "operation": "request.open", "effect": "write", "actor": {"kind": "local", "roles": []}}, set()],
	"security opens a request": [object.union(key(["security"], []), {"channel": "caregate", "operation": "request.open", "effect": "write"}), {"role_not_allowed"}],
	"an agent opens a request": [object.union(person(["agent"], true), {"channel": "caregate", "operation": "request.open", "effect": "write"}), {"role_not_allowed"}],
	"security reads a request": [object.union(key(["security"], []), {"channel": "caregate", "operation": "request.read", "effect": "read"}), set()],
	"an agent reads a request": [object.union(key(["agent"], []), {"channel": "caregate", "operation": "request.read", "effect": "read"}), {"role_not_allowed"}],
	"a dpo notes a check": [object.union(person(["dpo"], true), {"channel": "caregate", "operation": "request.verify", "effect": "admin"}), set()],
	"a dpo notes a check without second factor": [object.union(person(["dpo"], false), {"channel": "caregate", "operation": "request.verify", "effect": "admin"}), {"mfa_required"}],
	"an admin notes a check": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "request.verify", "effect": "admin"}), {"admin_needs_role"}],
	"an admin sees who asks": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "request.requester", "effect": "admin"}), {"admin_needs_role"}],
	"an admin sees the records of a request": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "request.records", "effect": "admin"}), {"admin_needs_role"}],
	"the socket sees the records of a request": [{"channel": "caregate", "operation": "request.records", "effect": "admin", "actor": {"kind": "local", "roles": []}}, {"admin_needs_role"}],
	"no grant notes a check": [object.union(key(["service"], ["caregate:request.verify", "*:*"]), {"channel": "caregate", "operation": "request.verify", "effect": "admin"}), {"admin_needs_role"}],
	"a dpo closes a request": [object.union(key(["dpo"], []), {"channel": "caregate", "operation": "request.answer", "effect": "admin"}), set()],
	"a family nobody knows": [object.union(key(["admin"], []), {"channel": "caregate", "operation": "universe.end", "effect": "admin"}), {"admin_needs_role"}],
}

aged(role, age) := object.union(person([role], true), {"actor": {"age": age}})

# A login that is older than a role of the person may have, or nobody knows how old.
test_logins_age if {
	hour := {"admin": 60, "agent": 480}
	access.reasons == set() with input as call(aged("agent", 480)) with data.logins as hour
	access.reasons == {"login_too_old"} with input as call(aged("agent", 510)) with data.logins as hour
	access.reasons == {"login_too_old"} with input as call(person(["agent"], true)) with data.logins as hour
	access.reasons == {"login_too_old"} with input as call(aged("agent", 0)) with data.logins as hour
	access.reasons == set() with input as call(object.union(aged("agent", 510), {"mark": "anonymous"})) with data.logins as hour
	access.reasons == set() with input as call(aged("lead", 9999)) with data.logins as hour
	access.reasons == set() with input as call(aged("agent", 9999)) with data.logins as {}
	access.reasons == set() with input as call(key(["agent"], [])) with data.logins as hour
	access.reasons == set() with input as call({}) with data.logins as hour
}

# A row of the deployment.
demanding(operation, records, approvers) := {operation: {sprintf("%d", [records]): {"records": records, "approvers": approvers}}}

# A row about every channel is about the gateway's own API as well, where others can be made to
# agree.
test_rows_about_every_channel if {
	create := {"channel": "caregate", "operation": "apikey.create", "effect": "admin"}
	every row in ["*:apikey.create", "*:*/admin", "*:apikey.*/admin", "caregate:apikey.create"] {
		access.approvers == 2 with input as call(create) with data.approvals as demanding(row, 0, 2)
	}
	every row in ["*:apikey.list", "zendesk:*/admin", "*:*"] {
		access.approvers == 0 with input as call(create) with data.approvals as demanding(row, 0, 2)
	}
	access.approvers == 0 with input as call(object.union(create, {"operation": "approval.give"})) with data.approvals as demanding("*:*/admin", 0, 2)
}

# Rows count from a number of records on, and in requests: an answer comes too late.
test_rows_count_from_a_number_of_records_on if {
	many := demanding("zendesk:ticket.*/delete", 20, 2)
	access.approvers == 0 with input as call({"effect": "delete", "records": 10}) with data.approvals as many
	access.approvers == 2 with input as call({"effect": "delete", "records": 20}) with data.approvals as many
	access.approvers == 2 with input as call({"effect": "delete", "records": 1000}) with data.approvals as many
	access.approvers == 0 with input as call({"effect": "delete", "records": 1000, "direction": "response"}) with data.approvals as many
	access.approvers == 1 with input as call({"effect": "delete", "records": 10})
		with data.approvals as object.union(many, demanding("zendesk:ticket.*/delete", 0, 1))
}

# Rows of the deployment demand approvals of calls that are permitted otherwise.
test_rows_demand_approvals if {
	access.reasons == {"approval_required"} with input as call({"effect": "delete"})
		with data.approvals as demanding("zendesk:ticket.*/delete", 0, 2)
	access.approvers == 2 with input as call({"effect": "delete"})
		with data.approvals as object.union(demanding("zendesk:ticket.*/delete", 0, 2), demanding("zendesk:*", 0, 1))
	access.reasons == {"approval_required"} with input as call({"effect": "delete", "approvals": 1})
		with data.approvals as demanding("zendesk:ticket.*/delete", 0, 2)
	access.reasons == set() with input as call({"effect": "delete", "approvals": 2})
		with data.approvals as demanding("zendesk:ticket.*/delete", 0, 2)
	access.reasons == set() with input as call({}) with data.approvals as demanding("zendesk:ticket.*/delete", 0, 2)
}

# No number of approvals permits what nothing else does.
test_approvals_permit_nothing if {
	access.reasons == {"role_not_allowed"} with input as object.union(call(key(["service"], [])), {"approvals": 2})
		with data.approvals as demanding("zendesk:*", 0, 1)
}

# Calls of the gateway's own API.
test_own_calls_demand_approvals if {
	own := call(object.union(key(["security"], []), {"channel": "caregate", "operation": "approval.list"}))
	access.approvers == 2 with input as own with data.access.own_approval as {"approval.list": {"one": 2}}
	access.reasons == {"approval_required"} with input as own with data.access.own_approval as {"approval.list": {"one": 2}}
}

# Changes of keys need others where the deployment says so, by their own names.
test_rows_demand_approvals_of_changes if {
	own := object.union(call(key(["admin"], [])), {"channel": "caregate", "operation": "apikey.create", "effect": "admin"})
	access.reasons == set() with input as own
	access.reasons == {"approval_required"} with input as own with data.approvals as demanding("caregate:apikey.create", 0, 1)
	access.approvers == 2 with input as own with data.approvals as demanding("caregate:apikey.create", 0, 2)
	access.reasons == set() with input as object.union(own, {"approvals": 1}) with data.approvals as demanding("caregate:apikey.create", 0, 1)
	access.approvers == 0 with input as own with data.approvals as demanding("caregate:apikey.revoke", 0, 1)
	access.approvers == 0 with input as object.union(own, {"operation": "apikey.list"}) with data.approvals as demanding("caregate:apikey.list", 0, 1)
}

# So do all changes of who may do what where it says so of changes.
test_changes_demand_approvals if {
	own := object.union(call(key(["admin"], [])), {"channel": "caregate", "operation": "session.revoke", "effect": "admin"})
	access.reasons == set() with input as own
	access.reasons == {"approval_required"} with input as own with data.changes as {"approvers": 1}
	access.reasons == set() with input as object.union(own, {"approvals": 1}) with data.changes as {"approvers": 1}
	access.approvers == 0 with input as object.union(own, {"operation": "session.list"}) with data.changes as {"approvers": 1}
	access.approvers == 0 with input as call({"operation": "session.revoke"}) with data.changes as {"approvers": 1}
}

# One test for the whole table: it names the rows that fail.
test_table if {
	failing := {name | some name, row in table; not passes(call(row[0]), row[1])}
	failing == set()
}

# A call is allowed exactly when nothing speaks against it.
passes(changed, want) if {
	access.reasons == want with input as changed
	unopposed := count(want) == 0
	allowed(changed) == unopposed
}

allowed(changed) if {
	access.permitted with input as changed
	count(access.reasons) == 0 with input as changed
} else := false

test_needs_names_the_operation if {
	access.needs == "zendesk:ticket.show" with input as base
}
