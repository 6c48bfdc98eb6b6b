// Package syslog sends the entries of the audit log to a collector, for example a
// SIEM, as syslog messages (RFC 5424) over TLS with octet counting (RFC 5425). It
// reads the published log from its files and nothing else: a collector that is slow,
// silent or gone costs the gateway nothing but the entries it has not seen yet.
//
// # At least once
//
// Entries go in their order, in rounds. A round is over when the collector's system
// has acknowledged all its bytes; then the cursor moves. Syslog has no answer
// by which a collector says that it kept a message, and a system acknowledges what its
// program has not read. So on each new connection what went over the last one is sent
// again, at most its last 8 MiB, which is more than systems hold for a program that
// does not read. Each message has the event's id (metadata.uid)
// and its place in the log (metadata.sequence), by which copies are known.
// Where the system does not tell what was acknowledged (all but Linux), a round is
// over when it was handed to the system.
//
// # What a message is
//
// Facility 13 (log audit); severity 4 for denials, 6 for everything else; the time of
// the event; the deployment as host name; the event's type as message id; and as text
// the event in OCSF JSON, as `caregate audit export` writes it. It holds what the leaf
// holds: pseudonyms, classes and counts, no personal data. A message has one to a
// few KiB; RFC 5425 asks collectors to take 8 KiB.
package syslog
