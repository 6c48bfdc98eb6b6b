//go:build race

package detect

// raced says that the race detector is on: it makes pools forget things, so
// allocations cannot be counted.
const raced = true
