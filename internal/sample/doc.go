// Package sample holds the systems that the demo and the tests put behind the
// gateway. They play the vendor: they share no code with what is tested against
// them, keep everything in memory, and show what they were given.
//
// # Helpdesk
//
// NewHelpdesk returns an http.Handler that speaks enough of Zendesk's REST API
// (under /api/v2, with and without ".json") for real clients: tickets, comments,
// requests, users, identities, organizations, search and its export, incremental
// exports, uploads and attachments, tags, jobs, deleted tickets and their trash, audit and access log. It checks
// credentials, pages by offset and by cursor with absolute addresses on its own
// host, answers gzip and 304 when asked, and honours Idempotency-Key.
//
// It stores exactly what it received. A person reads it at "/", a plain page
// without scripts; a test reads it through Received, Ticket and Tickets.
//
// NewIntercom returns an http.Handler with the activity log of Intercom.
//
// NewProcessor returns an http.Handler with the charges and refunds of Stripe, and the
// ledger of what it did.
//
// # What it refuses to be
//
// It is no helpdesk. It checks little, forgets the oldest when it is full, and
// answers loopback connections only: whatever a demo is given stays on the
// machine. Identifiers have 13 and 14 digits like the vendor's own, and some of
// them pass a card number's checksum; that is on purpose.
package sample
