// Package console is the gateway's own HTTP interface: health checks and the
// JSON API under /api/v1 that the command line and other programs administer a
// gateway with.
//
// It knows none of the other rooms. What it needs, it declares as small
// interfaces and functions in Config; package proxy fills them in and mounts two
// handlers made by New: one on the unix socket in the data directory
// (Config.Local) and one wherever a site says `caregate_api`.
//
// # One call
//
// call.go has it in one function, top to bottom: the name under which the
// server was called (origin.go), who calls, what policy says, the body
// (decode.go), the event that says it will be done, the deed, the event that
// says what was done, the answer. Each deed is one file, named noun_verb.
//
// # What it promises
//
//   - Every call but the health checks is authorised by policy, on the socket too.
//     An error on the way to the decision is a denial.
//   - Every change and every denial is in the audit log before it is answered. A
//     change that was made and could not be recorded is undone where that is
//     possible, and its answer is withheld.
//   - An answer of refusal is problem+json (RFC 9457) in the shape that the proxy
//     uses, with forwarded always false.
//   - No answer carries personal data but that of a reveal, whose event is durable before
//     anything is opened, and those of reviews of access, which name the people who work
//     here. The one secret, a new key, is in the answer
//     that made it and nowhere else; nothing here logs a body or a header.
//   - The one page here, on which a draft of the policy is tried in a browser, is the same for
//     everybody and holds nothing: it asks the API as any program does.
//   - There is no CORS: no page of another origin can read an answer.
//
// The description in openapi.json is part of the interface; a test holds every
// route and every answer against it.
package console
