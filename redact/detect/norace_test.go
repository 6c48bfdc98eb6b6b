//go:build !race

package detect

// raced says that the race detector is on.
const raced = false
