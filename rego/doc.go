// Package rego holds the built-in policy: rules in Rego, what they need to know
// as data, and the tests of both. There is no logic in Go here; package policy
// compiles and evaluates the files.
//
// # Reading order
//
//   - decision.rego has the one rule that the gateway asks, data.caregate.decision.
//   - access.rego says who may make which call; it denies by default.
//   - condition.rego says where, when and what for a call may be made, as the operator's
//     documents have it.
//   - limit.rego says which limits are about a call; the gateway counts.
//   - view.rego says how a caller sees the fields of an answer.
//   - treatment.rego says what happens to a finding of a class at a kind of place.
//   - payment.rego says when the token of a payment is turned back.
//   - data/access.yaml, data/treatment.yaml, data/payments.yaml and data/reasons.yaml are the tables they
//     read. Changing what a role may do or what is masked is a change there.
//
// The input document is described by policy.Input and the answer by
// policy.Decision. Rules see nothing else: the built-in functions that reach the
// network, the clock, the environment or randomness do not exist for them.
//
// # Stable
//
// Reason codes and class names never change their meaning. An operator's own
// rules live in package caregate.operator and add to deny; the packages here are
// closed to them.
package rego
