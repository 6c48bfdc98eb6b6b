// Package proxytest runs a real gateway in the test process: real Caddy, real
// audit log, vault and policy in a temporary directory, on loopback ports, in
// front of an upstream that records what it was sent.
//
// Caddy's state is global, so one Gateway runs at a time; Start waits for its
// turn and gives it back when the test ends. Tests that use it are therefore not
// parallel with each other.
package proxytest
