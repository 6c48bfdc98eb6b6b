// Command torture kills the gateway and looks whether anybody noticed. It runs the
// real binary with callers and a helpdesk around it, kills the process with SIGKILL
// at a random moment, again and again over the same data directory, and holds what
// the callers and the helpdesk saw against what the log says afterwards.
//
// After each kill the log, as it was left, must not be invalid. After the next start
// every receipt that a caller ever held must lead to an event, exactly one, and every
// call that reached the helpdesk must have the event that permitted it (audit
// invariants A1, A2, A4, A7 to A9). One round in ten ends by SIGTERM under load (A22).
// A log lives for some rounds; then the gateway is stopped, the log must be valid, and
// one thing after the other is changed in its files and tables: each change must be
// found (A14, A21).
//
// It ends with 0 when nothing was lost and every change was found.
package main
