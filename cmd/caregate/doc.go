// Command caregate is the compliance gateway for customer care: the gateway
// itself and everything to look after it, in one program.
//
// It is a Caddy server with a chosen list of modules (modules.go) and the
// modules of package proxy. Of Caddy's own commands it offers run, reload,
// validate, adapt, fmt and version (root.go); the others are one file each.
// Commands that change something, and explain while a gateway runs, talk to the
// running gateway over the socket in its data directory (socket.go). Commands
// that only read files need no gateway.
//
// # Exit codes
//
//	0  done; for `audit verify`: the log is valid
//	1  it failed, or what was checked is not right; for `audit verify`: the log is invalid
//	2  `audit verify`: the check is incomplete
//	3  wrong usage: an unknown command, flag or argument
//	74 `run`: the audit log has failed; start it again, which checks the log first
//
// Results go to standard output, everything else to standard error. Where a
// table is printed, --json prints the same for programs. An error says what
// happened and where, and what to do next (failure.go).
//
// docs/cli.md describes every command for its users.
package main
