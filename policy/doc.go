// Package policy decides who may do what, and what happens to what was found.
//
// It has two halves that meet in Input. The Resolver turns what a call presents
// (an API key, a signed token, the vendor's own credential) into an Actor, and
// the Engine evaluates the Rego rules of package rego on an Input that holds no
// personal data at all: an actor appears there by kind, strength, roles and
// grants, a finding by its class, its kind of place and how many there are. An
// Input can therefore be stored beside the decision in the audit log and be
// evaluated again against a draft policy.
//
// # What the rest of the gateway relies on
//
//   - Decide fails closed. An undefined result, an error of a built-in function, a
//     time-out, a panic and an input outside its bounds are errors, and the caller
//     denies. There is no default decision that allows.
//   - A decision sees nothing but its Input and the loaded documents. The rules have
//     no network, no clock, no randomness and no environment: built-in functions
//     that read them do not exist for them. This is what makes caching and replay
//     right.
//   - Operators' documents and rules may tighten everything and loosen treatment.
//     They cannot turn a denial of the built-in rules into a permission except by a
//     grant that names it.
//
// # Growing it
//
// Input and Decision are versioned JSON. A field may be added; a field's meaning
// never changes under the same version.
package policy
