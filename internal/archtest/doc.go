// Package archtest holds the tests that keep the tree's shape: who may import
// whom, which rooms may touch which outside libraries, that each package says
// what it is for, that names carry a meaning, and that no file mentions the
// machine it was written on. It has no code of its own and nothing imports it.
package archtest
