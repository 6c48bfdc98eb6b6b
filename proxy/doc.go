// Package proxy puts Caregate in front of a helpdesk: the Caddy modules through
// which every exchange passes.
//
// # One exchange
//
// The request side is a middleware handler (handler.go), the response side a
// transport of Caddy's reverse_proxy (transport.go). Between them stands
// reverse_proxy itself, which keeps its own business: connections, retries,
// hop-by-hop headers, flushing. An exchange (exchange.go) travels in the request
// context and ties the halves together. Its stages, in this order, each in a
// file of its own:
//
//	identify.go    channel, operation and actor; a slot in the audit queue
//	verify.go      webhooks: the vendor's signature over the raw bytes, replays
//	read.go        limits, content-coding, charset; the bytes
//	detect.go      one strict reading: findings and captures
//	decide.go      policy's answer, and what it means for every finding
//	transform.go   edits in place: masks, vendor URLs, masked write-backs
//	record.go      the event is durable before a byte leaves
//
// Long text and NDJSON take the stages window by window, as they pass: feed.go
// brings the bytes, streamfirst.go judges the first window, stream.go the further
// ones, streamrecord.go writes their events, streamexchange.go ties a stream to its
// request or answer.
//
// The response takes the same stages from read on, with the roles of client and
// upstream exchanged.
//
// # What it refuses to do
//
// It never forwards what it could not read, decide and record: every failure is
// an answer of ours (reason.go lists them all, problem.go writes them) and one
// durable event. The exceptions, observe and uninspected pass, are settings of
// one route and are recorded with every exchange that used them.
//
// It never logs a body, a header value, a finding's text or a path of a client.
//
// # Lifetimes
//
// Two configurations are alive at once while Caddy reloads. What must exist once
// (log, vault, state) belongs to a data directory opened by the process
// (data.go); each configuration holds a reference, each running exchange holds
// another, and the last one closes (generation.go).
package proxy
