package proxy

import (
	"net/http"

	"github.com/caregate/caregate/policy"
)

// Fixer says who can make a refused call succeed.
type Fixer string

// The people and systems that can act on a refusal.
const (
	FixCaller   Fixer = "caller"   // whoever wrote the calling program
	FixSecurity Fixer = "security" // whoever owns policy and grants
	FixOperator Fixer = "operator" // whoever runs this gateway
	FixUpstream Fixer = "upstream" // the vendor, or the network towards it
)

// Reason is one entry of the catalogue of answers that the gateway gives by
// itself. Codes are part of the interface: they appear in the Caregate-Error
// header, in the problem document's type, in metrics and in the audit log, and
// are never renamed.
type Reason struct {
	// Code is the stable name, in lower case with underscores.
	Code string
	// Status is the HTTP status of the answer.
	Status int
	// What says in one sentence what happened.
	What string
	// Fix says what to do, and Who should do it.
	Fix string
	// Who can act.
	Who Fixer
}

// Codes that the pipeline itself branches on. The others come from the walker
// and from policy, under the same names.
const (
	reasonOverloaded       = "overloaded"
	reasonAuditUnavailable = "audit_unavailable"
	reasonVaultUnavailable = "vault_unavailable"
	reasonPolicyError      = "policy_error"
	reasonPolicyDenied     = "policy_denied"
	reasonInternal         = "internal_error"
	reasonNoCredential     = "no_credential"
	reasonBadCredential    = "invalid_credential"
	reasonKeyMisplaced     = "key_misplaced"
	reasonCredentialQuery  = "credential_in_query"
	reasonMethod           = "method_refused"
	reasonOverride         = "method_override"
	reasonUpgrade          = "upgrade_unsupported"
	reasonIncremental      = "incremental_refused"
	reasonPath             = "path_ambiguous"
	reasonQuery            = "query_unparsable"
	reasonHeader           = "header_ambiguous"
	reasonForged           = "header_forged"
	reasonPurpose          = "purpose_invalid"
	reasonHeadersTooLarge  = "headers_too_large"
	reasonMalformed        = "request_malformed"
	reasonTransferCoding   = "transfer_coding_unsupported"
	reasonVersion          = "version_unsupported"
	reasonExpectation      = "expectation_unsupported"
	reasonType             = "type_not_inspected"
	reasonCharset          = "charset_unsupported"
	reasonCoding           = "coding_unsupported"
	reasonCodingBroken     = "coding_broken"
	reasonTooLarge         = "body_too_large"
	reasonExpansion        = "expansion_limit"
	reasonIncomplete       = "body_incomplete"
	reasonReadTimeout      = "read_timeout"
	reasonBlocked          = "finding_blocked"
	reasonMaskedWrite      = "masked_write"
	reasonWithheld         = "response_withheld"
	reasonApprovalInvalid  = "approval_invalid"
	reasonTicketRequired   = "ticket_required"
	reasonApprovalsFull    = "approvals_full"
	reasonApprovalRows     = "approval_rows"
	reasonApprovalsDown    = "approvals_unavailable"
	reasonRevealLimit      = "reveal_limit"
	reasonRevealsStopped   = "reveals_stopped"
	reasonVerifyLimit      = "verify_limit"
	reasonLimit            = "limit_reached"
	reasonLimitsDown       = "limits_unavailable"
	reasonLegalHold        = "legal_hold"
	reasonComposite        = "composite_unreadable"
	reasonIndexDown        = "index_unavailable"
	reasonViewUnreadable   = "view_unreadable"
	reasonUnreachable      = "upstream_unreachable"
	reasonUpstreamTimeout  = "upstream_timeout"
	reasonUpstreamAborted  = "upstream_aborted"
	reasonUpstreamProtocol = "upstream_protocol"
	reasonUnrouted         = "misdirected"
	reasonChallenge        = "upstream_challenge"
	reasonClientGone       = "client_gone"
	reasonPartialUnasked   = "partial_unasked"

	reasonCompositeLimit     = "composite_limit"
	reasonCompositeOperation = "composite_operation"
	reasonCompositeReference = "composite_reference"

	reasonGatewayCredential = "gateway_credential_required"
	reasonOrigin            = "origin_refused"
	reasonLoginAge          = "login_too_old"
	reasonTokenUnavailable  = "vendor_token_unavailable"
	reasonTokenLost         = "vendor_token_lost"

	reasonTokenRefused      = "token_refused"
	reasonTokenMisplaced    = "token_misplaced"
	reasonPaymentUnreadable = "payment_unreadable"

	reasonSignatureMissing   = "signature_missing"
	reasonSignatureMalformed = "signature_malformed"
	reasonSignatureInvalid   = "signature_invalid"
	reasonSignatureStale     = "signature_stale"
	reasonSignatureFuture    = "signature_future"
	reasonWebhookDuplicate   = "webhook_duplicate"
	reasonWebhookConflict    = "webhook_conflict"
	reasonWebhookUnderWay    = "webhook_under_way"
	reasonWebhookWindow      = "webhook_window_unavailable"
)

// catalogue lists every answer of ours. docs/reasons.md is generated from it,
// and a test fails when a code of the walker or of the rules is missing here.
var catalogue = []Reason{
	{reasonNoCredential, http.StatusUnauthorized, "The call carried no credential that the gateway knows how to read, and this operation is not open to everybody.",
		"Send the vendor's own credential, or a gateway key in Caregate-Key.", FixCaller},
	{reasonBadCredential, http.StatusUnauthorized, "A gateway key, a token or a session was presented and is unknown, expired, revoked or forged, or two of them were presented together.",
		"Create or rotate the key with `caregate apikey`, obtain a fresh token, or log in again.", FixCaller},
	{reasonGatewayCredential, http.StatusUnauthorized, "The gateway adds the vendor's credential on this route, and the call shows nothing of the gateway's own: a credential of the vendor's does not count here.",
		"Send a gateway key in Caregate-Key, or where your client has the vendor's token or password, or an issuer's token in Caregate-Token.", FixCaller},
	{reasonTokenUnavailable, http.StatusServiceUnavailable, "The gateway has no access token for the vendor for now: its token endpoint does not answer or refuses, or what it answers cannot be kept.",
		"Try again; if it stays, look at the gateway's log and `caregate doctor`.", FixOperator},
	{reasonTokenLost, http.StatusServiceUnavailable, "The vendor takes the gateway's refresh token no more, so there is no access token for the call.",
		"Authorise the gateway at the vendor again, put the new refresh token where the configuration points, and reload (docs/credentials.md).", FixOperator},
	{reasonKeyMisplaced, http.StatusUnauthorized, "A gateway key stands where the vendor's credential belongs, on a route that passes it on. Nothing was forwarded.",
		"Send the key in Caregate-Key, and the vendor's own credential beside it if it needs one; rotate the key if it went there before.", FixCaller},
	{reasonCredentialQuery, http.StatusBadRequest, "The address or the form has an access_token, on a route where the gateway adds the vendor's credential.",
		"Take it out; send a gateway key in Caregate-Key.", FixCaller},
	{reasonOrigin, http.StatusForbidden, "A page of another site made this call with what a browser shows by itself, or nothing says that a page of this site did.",
		"Call from a program, or from a page of this very site; a page of another one needs a gateway key in Caregate-Key.", FixCaller},
	{reasonUnrouted, http.StatusMisdirectedRequest, "No route of the gateway answers this host and path. Nothing was forwarded.",
		"Call the address that the configuration names for the channel; its host and path count.", FixCaller},
	{"identity_mismatch", http.StatusForbidden, "The call claims to act for one user while its proof names another.",
		"Send the claim of the same person that the token or certificate proves.", FixCaller},
	{reasonPolicyDenied, http.StatusForbidden, "No rule of the policy allows this operation to this caller.",
		"Ask for a role or grant that covers the operation.", FixSecurity},
	{"unknown_role", http.StatusForbidden, "The caller has a role that the policy does not know.",
		"Map the role in the policy's data, or give the key one of the roles that exist.", FixSecurity},
	{"role_not_allowed", http.StatusForbidden, "None of the caller's roles covers this effect.",
		"Use a key with a role that covers it, or grant the operation to a key: `caregate apikey create --name NAME --role service --grant GRANT`.", FixSecurity},
	{"bulk_needs_grant", http.StatusForbidden, "The call changes many records at once, and the caller has no grant for it.",
		"Grant the operation to a key of its own: `caregate apikey create --name NAME --role service --grant GRANT`.", FixSecurity},
	{"export_needs_grant", http.StatusForbidden, "The call exports records in volume, and the caller has no grant for it.",
		"Grant the operation to a key of its own: `caregate apikey create --name NAME --role service --grant GRANT`.", FixSecurity},
	{"admin_needs_role", http.StatusForbidden, "The call changes the vendor's configuration, and the caller has no grant for it.",
		"Grant the operation to the key that administers the helpdesk: `caregate apikey create --name NAME --role service --grant GRANT`.", FixSecurity},
	{"auth_needs_grant", http.StatusForbidden, "The call shows or changes sessions, tokens or passwords of the account whose credential the gateway adds on this route; with them it could be called without the gateway.",
		"Call without it, or grant exactly this operation to a key of its own: `caregate apikey create --name NAME --role service --grant GRANT`.", FixSecurity},
	{"unmapped_needs_grant", http.StatusForbidden, "The channel file does not know the call, and it would change something with the credential that the gateway adds on this route.",
		"Add the operation to a channel file of your own, or grant it: `caregate apikey create --name NAME --role service --grant GRANT`.", FixSecurity},
	{"full_needs_grant", http.StatusForbidden, "Whole values are shown to those to whom it was granted, beside their role.",
		"Ask for the masked value, or give the person the grant caregate:token.reveal_full in the policy's document.", FixSecurity},
	{"reveal_lapsed", http.StatusForbidden, "The caller's right to see what stands behind tokens has lapsed: it was not used for as long as the policy says.",
		"Have somebody else who may review access renew it: `caregate access renew ACTOR --ticket ID`, with the actor as `caregate access reveals` lists it.", FixSecurity},
	{reasonViewUnreadable, http.StatusForbidden, "The policy hides or masks fields of this answer for the caller, and the answer has a form in which nobody can tell where they are.",
		"Ask for the answer in JSON, or have the policy's view of these fields narrowed to the operations that answer in it.", FixSecurity},
	{reasonLimit, http.StatusTooManyRequests, "The caller has had as much as a limit of the policy permits within its time: calls, tokens revealed, or different persons.",
		"Wait until less was taken within that time; others are not concerned by it. If the work needs more, have the limit in the policy raised.", FixSecurity},
	{reasonIndexDown, http.StatusServiceUnavailable, "The gateway cannot note in its index which records the answer shows, and of whom, or cannot look up whether a person has a flag or, of what a call deletes, whether a legal hold covers it.", "Look at the gateway's log and disk; `caregate doctor` says what is wrong.", FixOperator},
	{reasonLegalHold, http.StatusConflict, "A legal hold is in force for what was to be destroyed, so nothing of it was.",
		"Ask whoever answers for the matter, which the refusal of an erasure names and that of a call to a vendor does not; two persons can lift the hold (`caregate hold show`). What is to be answered to whoever asked, and until when, stays as it is.", FixSecurity},
	{reasonLimitsDown, http.StatusServiceUnavailable, "The gateway cannot count against the limits of the policy.", "Look at the gateway's log; `caregate doctor` says what is wrong.", FixOperator},
	{reasonRevealLimit, http.StatusTooManyRequests, "So many tokens are not turned back in so short a time: for one person, of one token, or in all.",
		"Wait; for more than 20 at once, have two others agree.", FixCaller},
	{reasonRevealsStopped, http.StatusTooManyRequests, "All reveals are stopped: there were five times as many within a day as in an ordinary week.",
		"Find out in the log who reveals (`caregate audit search --operation token.reveal`); it goes on when the last 24 hours are below the norm again.", FixSecurity},
	{reasonVerifyLimit, http.StatusTooManyRequests, "So many tries to verify are not made in so short a time: of one token, or by one person.",
		"Wait; until then check the customer otherwise.", FixCaller},
	{"mfa_required", http.StatusForbidden, "The caller signed in without a second factor.",
		"Sign in again with the second factor that the identity provider offers.", FixCaller},
	{reasonLoginPlain, http.StatusForbidden, "Nobody logs in over a connection without TLS: whoever can read it would have the session.",
		"Call the gateway by https://; plain HTTP does on the machine itself only.", FixOperator},
	{policy.LoginState, http.StatusBadRequest, "The identity provider's answer belongs to no login that this browser began, or the login took longer than ten minutes, or was finished before.",
		"Log in again, from the gateway's own page, with cookies allowed.", FixCaller},
	{policy.LoginRefused, http.StatusForbidden, "The identity provider did not let the person in.", "Log in again; the cause beside it is the provider's, as RFC 6749 names it.", FixCaller},
	{policy.LoginToken, http.StatusForbidden, "What the identity provider vouches for does not count: its token is expired, forged, for somebody else, or not of this login.",
		"Log in again; if that does not help, look at the cause beside it, at the provider's clock and at `identity oidc`.", FixOperator},
	{policy.LoginUnavailable, http.StatusServiceUnavailable, "The identity provider could not be asked, so nobody can log in. Sessions that there are go on.",
		"Look at the gateway's log: it says whether the provider is away or refuses the client.", FixOperator},
	{policy.LoginRole, http.StatusForbidden, "The identity provider knows the person, and nothing that it says of them gives a role.",
		"Put the person into a group that has a `role` line, or check that the provider puts the roles claim into its ID token.", FixSecurity},
	{reasonLoginAge, http.StatusForbidden, "The caller logged in longer ago than policy wants for one of its roles, or the issuer does not tell when.",
		"Log in again, at /caregate/login?again with a browser; an issuer of tokens has to send auth_time.", FixCaller},
	{reasonPolicyError, http.StatusForbidden, "The policy gave no answer: it failed, took too long, or left the decision undefined.",
		"Test the policy on this operation, then load the corrected one.", FixSecurity},
	{reasonBlocked, http.StatusUnprocessableEntity, "The call holds protected data at a place where it can neither stay nor be masked, such as an id, a number or a path.",
		"Take the value out of that place; free text is masked by itself.", FixCaller},
	{policy.NeedsApproval, http.StatusForbidden, "The call is made when others have agreed to it; nothing of its body is kept.",
		"Have it approved (`caregate approval give APPROVAL`, by others than the caller), then repeat the call with the header Caregate-Approval: APPROVAL.", FixSecurity},
	{reasonApprovalInvalid, http.StatusForbidden, "The approval in Caregate-Approval does not count for this call: it is unknown, not given yet, used, refused or expired, or was given for another caller or call.",
		"Repeat the call as it was when the approval was asked for; without the header, it asks for a new one.", FixCaller},
	{reasonTicketRequired, http.StatusForbidden, "The policy wants a change ticket for every change of keys and of who may do what, and the call names none. Nothing was changed.",
		"Repeat the call with the number of the ticket in Caregate-Ticket (`--ticket` on the command line).", FixCaller},
	{reasonApprovalsFull, http.StatusTooManyRequests, "Too many calls of this caller wait for approval.", "Have those that wait given or refused (`caregate approval list`), or let them expire.", FixCaller},
	{reasonApprovalRows, http.StatusForbidden, "The standing approval lets no more rows through in this window, or the rows of the answer cannot be counted.",
		"Wait for the next window, or have a standing approval with more rows given.", FixSecurity},
	{reasonApprovalsDown, http.StatusServiceUnavailable, "The gateway cannot look up or note approvals.", "Look at the gateway's log and disk; `caregate doctor` says what is wrong.", FixOperator},
	{reasonComposite, http.StatusUnprocessableEntity, "The calls inside a composite call are not written as the channel file says: the list is missing or empty, one has no method or address, or a member that the file does not name.",
		"Send them as the file of the channel has them, in JSON, each with its method in capitals, and without headers of its own; or send them one by one.", FixCaller},
	{reasonCompositeLimit, http.StatusUnprocessableEntity, "A composite call holds more than 100 calls.", "Send it in parts.", FixCaller},
	{reasonCompositeOperation, http.StatusForbidden, "A composite call holds a call that may not stand in one: the channel file does not know it, it is a composite call itself, or it is about logins.",
		"Send it alone; if it is missing in the channel file, add it there.", FixCaller},
	{reasonCompositeReference, http.StatusForbidden, "A call inside a composite call refers to the answer of another, so nobody can say what it will be about.",
		"Send it in a call of its own when the answer is there. In bodies, not in addresses, references pass on routes with `uninspected pass`.", FixCaller},
	{reasonMaskedWrite, http.StatusConflict, "The call would write a mask or a token over the value it was made from.",
		"Leave the field out of the write.", FixCaller},
	{"outside_network", http.StatusForbidden, "The policy allows this call from certain networks only, and the caller's address is in none of them.",
		"Call from one of them; if the address is right, have it added to the policy's networks.", FixCaller},
	{"actor_outside_region", http.StatusForbidden, "The policy allows this call to people of certain regions only, and nobody says that the caller is of one of them.",
		"Have somebody of the region make it; if the region is right, have the identity provider and the `region` lines of the configuration say so.", FixSecurity},
	{"outside_region", http.StatusForbidden, "The policy allows this call from certain regions only, and the caller's address is in none of them.",
		"Call from one of them; if the address is right, have its network added to the policy's networks.", FixCaller},
	{"outside_hours", http.StatusForbidden, "The policy allows this call at certain hours only, and it is none of them.",
		"Call again when they have come.", FixCaller},
	{"purpose_not_covered", http.StatusForbidden, "The policy allows this call for certain purposes only, and the call names none of them.",
		"Send the purpose in Caregate-Purpose.", FixCaller},
	{"subject_restricted", http.StatusForbidden, "The call, or its answer, is about a person whose data are restricted (GDPR Art. 18): they are stored, and used for certain purposes only.",
		"Name the purpose that the call is made for in Caregate-Purpose, or leave it to whoever answers the person; `caregate subject flag list` shows the restriction, `flag end` lifts it.", FixCaller},
	{"subject_opted_out", http.StatusForbidden, "The call is made for something that a person whom it is about has said no to: sale, sharing, marketing.",
		"Leave the person out.", FixCaller},
	{"token_needs_role", http.StatusForbidden, "The token of a payment is turned back only for callers with a key or token of the gateway, a role for it or a grant of exactly this operation.",
		"Use a key of an agent or lead, or grant the operation: `caregate apikey create --name NAME --role service --grant GRANT`.", FixSecurity},
	{"purpose_needed", http.StatusForbidden, "The token of a payment is turned back only for a purpose that covers this operation.",
		"Send Caregate-Purpose, for instance `refund`.", FixCaller},
	{reasonTokenRefused, http.StatusForbidden, "The token cannot be used in this call. Which of the possible reasons it is, is not told.",
		"Use the token as it was issued, alone, on the route of its payment, for its order and its account.", FixCaller},
	{reasonTokenMisplaced, http.StatusUnprocessableEntity, "The call to a payment processor has a token where tokens are not turned back.",
		"Put the token where the channel file names a reference, and nowhere else.", FixCaller},
	{reasonPaymentUnreadable, http.StatusUnprocessableEntity, "What the call wants of the payment can be read in more than one way, or not at all.",
		"Name amount, currency, order, account and idempotency key once each, in a body of JSON or a form, without a query.", FixCaller},
	{"payment_unknown", http.StatusForbidden, "No processor has told the gateway of this payment, so nothing is known of what is left of it.",
		"Read the payment through the gateway first.", FixCaller},
	{"refund_currency", http.StatusUnprocessableEntity, "The call names another currency than that of the payment.",
		"Name the currency of the payment, or none.", FixCaller},
	{"refund_over_balance", http.StatusForbidden, "The call asks for more than is left of the payment, counting what is under way and what nobody knows.",
		"Ask for less, or look at the payment at the processor.", FixCaller},
	{"idempotency_missing", http.StatusUnprocessableEntity, "A call that moves money by a token must have an idempotency key.",
		"Send one, a new one for each refund.", FixCaller},
	{"idempotency_used", http.StatusForbidden, "The idempotency key belongs to a call that was made already, or to another one.",
		"Use a new key for a new refund; the answer of the earlier call stands.", FixCaller},

	{"json_syntax", http.StatusBadRequest, "The body is not JSON as RFC 8259 defines it.", "Send well-formed JSON.", FixCaller},
	{"json_duplicate_key", http.StatusBadRequest, "An object has the same key twice, which two readers would understand differently.", "Send each key once.", FixCaller},
	{"json_ambiguous_key", http.StatusBadRequest, "An object has two keys that differ in case only, one of which means something here.", "Send each key once, in the spelling that the vendor documents.", FixCaller},
	{"json_trailing_data", http.StatusBadRequest, "Something follows the JSON document.", "Send one document in one body.", FixCaller},
	{"json_bom", http.StatusBadRequest, "The JSON document begins with a byte order mark.", "Send UTF-8 without the mark.", FixCaller},
	{"json_lone_surrogate", http.StatusBadRequest, "A string holds half of a surrogate pair.", "Escape characters outside the basic plane as pairs, or send them as UTF-8.", FixCaller},
	{"json_nul", http.StatusBadRequest, "A string holds the NUL character.", "Remove it.", FixCaller},
	{"invalid_utf8", http.StatusBadRequest, "The body is not valid UTF-8.", "Encode text as UTF-8.", FixCaller},
	{"form_syntax", http.StatusBadRequest, "The form has an escape or a separator that readers understand differently.", "Encode the form as application/x-www-form-urlencoded.", FixCaller},
	{"form_semicolon", http.StatusBadRequest, "The form has a semicolon, which some readers take for a separator.", "Encode it as %3B.", FixCaller},
	{"form_charset", http.StatusBadRequest, "The form names a charset other than UTF-8.", "Send UTF-8.", FixCaller},
	{"html_syntax", http.StatusBadRequest, "The HTML holds a character that some readers leave out: NUL or ESC.", "Remove it.", FixCaller},
	{"csv_syntax", http.StatusBadRequest, "The CSV has a quotation mark or a line end that readers understand differently.", "Quote cells as RFC 4180 does, and end lines with CRLF or LF.", FixCaller},
	{"xml_syntax", http.StatusBadRequest, "The body is not one well-formed XML document.", "Send well-formed XML.", FixCaller},
	{"xml_declaration", http.StatusBadRequest, "The XML declaration names another version than 1.0 or another encoding than UTF-8, or is not at the begin.", "Send XML 1.0 in UTF-8.", FixCaller},
	{"xml_external", http.StatusBadRequest, "The XML refers to what is not in it: a document type, an entity, an inclusion.", "Send the document without a DOCTYPE, with its entities resolved.", FixCaller},
	{"multipart_syntax", http.StatusBadRequest, "The multipart body can be taken apart in more than one way.",
		"Send CRLF, the boundary that Content-Type names, one Content-Disposition with one name in each part, no transfer encoding, and nothing before the first boundary or behind the last.", FixCaller},
	{"mime_syntax", http.StatusBadRequest, "The mail can be taken apart in more than one way.",
		"Send each header of the structure once, and every boundary that Content-Type names, on lines of their own, to the last.", FixCaller},
	{"mime_encoding", http.StatusBadRequest, "A part or a header of the mail is broken base64 or quoted-printable.", "Encode it again.", FixCaller},
	{"sse_syntax", http.StatusBadRequest, "The event stream holds NUL, which some readers leave out.", "Remove it.", FixCaller},
	{"line_too_long", http.StatusRequestEntityTooLarge, "A line, or an event of a stream, is longer than the limit.", "Send shorter lines or events.", FixCaller},
	{"too_deep", http.StatusRequestEntityTooLarge, "The body is nested more deeply than the limit.", "Flatten the document, or raise `limits depth` of the route.", FixCaller},
	{"too_many_values", http.StatusRequestEntityTooLarge, "The body holds more values than the limit.", "Split the call, or raise `limits values` of the route.", FixCaller},
	{reasonTooLarge, http.StatusRequestEntityTooLarge, "The body is larger than the limit.", "Split the call, or raise `limits body` of the route.", FixCaller},
	{reasonExpansion, http.StatusRequestEntityTooLarge, "The compressed body expands beyond the limit.", "Send the body with less compression or in smaller pieces.", FixCaller},
	{reasonHeadersTooLarge, http.StatusRequestHeaderFieldsTooLarge, "The headers together are larger than the limit.", "Send fewer or shorter headers.", FixCaller},
	{reasonMalformed, http.StatusBadRequest, "The request is not well-formed HTTP/1.1, or two readers could take it apart differently: its request line, its lengths, a header's name or value, or its Host.",
		"Send one Content-Length or chunks, one Host, and headers of one line each.", FixCaller},
	{reasonTransferCoding, http.StatusNotImplemented, "The transfer coding is not `chunked`, or there are several.", "Send the body in chunks, or with its length.", FixCaller},
	{reasonVersion, http.StatusHTTPVersionNotSupported, "The request line names a version of HTTP that is not served.", "Use HTTP/1.1, HTTP/2 or HTTP/3.", FixCaller},
	{reasonExpectation, http.StatusExpectationFailed, "The request expects something other than 100-continue.", "Leave the Expect header out.", FixCaller},
	{reasonIncomplete, http.StatusBadRequest, "The body ended before its announced length, or its framing broke.", "Send as many bytes as Content-Length says.", FixCaller},
	{reasonReadTimeout, http.StatusRequestTimeout, "The body did not arrive in time.", "Send it faster, or raise `limits read_timeout` of the route.", FixCaller},
	{reasonType, http.StatusUnsupportedMediaType, "The media type of the body, or of a part of it, cannot be inspected on this route.",
		"Send JSON, a form, XML, HTML, CSV, a mail, an event stream or plain text; for uploads and other files, govern that path with `uninspected pass`.", FixOperator},
	{reasonCharset, http.StatusUnsupportedMediaType, "The charset of the body, or of a part of it, is not UTF-8, is given twice, or, in a mail, is none that can be read.", "Send UTF-8.", FixCaller},
	{reasonCoding, http.StatusUnsupportedMediaType, "The body's content-coding is unknown, or there are several.", "Use one of gzip, br, zstd, deflate, or none.", FixCaller},
	{reasonCodingBroken, http.StatusBadRequest, "The compressed body is damaged, or is not in the coding that its header names.", "Compress the body again, or drop Content-Encoding.", FixCaller},
	{reasonHeader, http.StatusBadRequest, "A header that decides how the call is read is there twice, or is named in Connection and would be lost on the way.", "Send it once, and not in Connection.", FixCaller},
	{reasonForged, http.StatusBadRequest, "A header claims to come from the gateway: its name begins with Caregate-, and it is none that a caller sends.",
		"Leave it out; callers send Caregate-Key, Caregate-Token, Caregate-Purpose, Caregate-Reason and Caregate-Approval.", FixCaller},
	{reasonPurpose, http.StatusBadRequest, "The declared purpose is not one word.", "Send a name such as refund in Caregate-Purpose: lower-case letters, digits, dot, hyphen, underscore.", FixCaller},
	{reasonPath, http.StatusBadRequest, "The path has an escape that servers decode differently.", "Send the path decoded once, without NUL, backslash or encoded separators.", FixCaller},
	{reasonQuery, http.StatusBadRequest, "The query string cannot be read in one way.", "Encode names and values; separate pairs with &.", FixCaller},
	{reasonMethod, http.StatusMethodNotAllowed, "The gateway does not forward this method.", "Use the method that the vendor documents.", FixCaller},
	{reasonOverride, http.StatusBadRequest, "The call asks the upstream to carry out another method or path than its own, which is not what was decided about.",
		"Send the method and the path that are meant, without an override header or a `_method` field.", FixCaller},
	{reasonUpgrade, http.StatusNotImplemented, "The call asks to change the protocol, and this route inspects HTTP only.", "Call without Upgrade.", FixCaller},
	{reasonIncremental, http.StatusNotImplemented, "The call asks for incremental forwarding, and a body is read whole before it is forwarded.", "Call without the Incremental header.", FixCaller},

	{reasonSignatureMissing, http.StatusForbidden, "The call came to a route for webhooks without the vendor's signature, or without the time that it covers.",
		"Have the vendor send it: a webhook is signed by the system that sends it, not by whoever passes it on.", FixCaller},
	{reasonSignatureMalformed, http.StatusBadRequest, "The webhook's signature or its time is there twice, or is not in the vendor's form.", "Send each header once, as the vendor made it.", FixCaller},
	{reasonSignatureInvalid, http.StatusForbidden, "The webhook's signature is not the one of these bytes under the configured secret.",
		"Check that `webhook_secret` is the secret of this webhook, and that nothing on the way changes the body; while the secret is rotated, name both.", FixOperator},
	{reasonSignatureStale, http.StatusForbidden, "The webhook was signed longer ago than the tolerance.", "Check the gateway's clock, or raise `webhook_tolerance` of the route.", FixOperator},
	{reasonSignatureFuture, http.StatusForbidden, "The webhook's time of signing is further in the future than the tolerance.", "Check the gateway's clock.", FixOperator},
	{reasonWebhookDuplicate, http.StatusOK, "This delivery was forwarded and taken before; it is not forwarded again.", "Nothing: the vendor need not repeat it.", FixCaller},
	{reasonWebhookConflict, http.StatusUnprocessableEntity, "A delivery with this id was taken before, with another body.", "Find out why the vendor's system uses an id twice; what came first stands.", FixCaller},
	{reasonWebhookUnderWay, http.StatusServiceUnavailable, "The same delivery is being forwarded, and its outcome is not known yet.", "Repeat it after the time in Retry-After.", FixCaller},
	{reasonWebhookWindow, http.StatusServiceUnavailable, "The gateway cannot look up whether this delivery was taken before.", "Look at the gateway's log and disk; `caregate doctor` says what is wrong.", FixOperator},

	{reasonOverloaded, http.StatusServiceUnavailable, "The audit queue is full, or this address has as many calls waiting as there is room for all others; the call was turned away before its body was read.", "Repeat the call after the time in Retry-After.", FixOperator},
	{reasonAuditUnavailable, http.StatusServiceUnavailable, "The audit log cannot take events, so nothing may pass.", "Look at the gateway's log and disk; `caregate doctor` says what is wrong.", FixOperator},
	{reasonVaultUnavailable, http.StatusServiceUnavailable, "The vault cannot name the people in this call, or not keep a value that policy tokenizes.", "Look at the gateway's log; `caregate doctor` says what is wrong. Where a mask would do, `vault_down mask` on the route.", FixOperator},
	{reasonInternal, http.StatusInternalServerError, "A stage of the gateway failed; nothing was released.", "Report the receipt to whoever runs the gateway.", FixOperator},

	{reasonWithheld, http.StatusBadGateway, "The upstream acted and answered, but its answer may not be released. The call was carried out.",
		"Do not repeat a write without its idempotency key; `caregate explain` says why the answer was withheld.", FixOperator},
	{reasonUnreachable, http.StatusBadGateway, "No connection to the upstream could be made.", "Check the upstream's address, DNS and certificate.", FixUpstream},
	{reasonUpstreamTimeout, http.StatusGatewayTimeout, "The upstream did not answer in time; whether it acted is unknown.", "Ask the upstream for the record before repeating a write.", FixUpstream},
	{reasonUpstreamAborted, http.StatusBadGateway, "The upstream closed the connection before its answer was complete; whether it acted is unknown.", "Ask the upstream for the record before repeating a write.", FixUpstream},
	{reasonChallenge, http.StatusBadGateway, "What stands before the upstream answered with a challenge for people, such as a CAPTCHA, in place of the upstream.",
		"Have the vendor let the gateway's address through, or call more slowly.", FixUpstream},
	{reasonPartialUnasked, http.StatusBadGateway, "The upstream answered with a part of a document that was asked for whole.", "Ask the vendor why it ignores that Range was not sent.", FixUpstream},
	{reasonClientGone, statusClientGone, "The caller hung up before the answer was released.", "Nothing, or raise the caller's time-out.", FixCaller},
	{reasonUpstreamProtocol, http.StatusBadGateway, "The upstream's answer is not well-formed HTTP; if it saw the call, whether it acted is unknown.",
		"Ask the upstream for the record before repeating a write; check that the upstream's address and scheme are right.", FixUpstream},
}

// Reasons returns the catalogue in the order of the documentation.
func Reasons() []Reason { return append([]Reason(nil), catalogue...) }

// LookupReason finds an entry of the catalogue by its code.
func LookupReason(code string) (Reason, bool) {
	for _, r := range catalogue {
		if r.Code == code {
			return r, true
		}
	}
	return Reason{}, false
}

// reasonFor is LookupReason for codes that come from elsewhere. An unknown code
// keeps its name and is a plain refusal by policy, so that a new rule never
// turns into a pass.
func reasonFor(code string) Reason {
	if r, ok := LookupReason(code); ok {
		return r
	}
	r, _ := LookupReason(reasonPolicyDenied)
	r.Code = code
	return r
}
