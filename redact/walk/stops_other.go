//go:build !amd64

package walk

// hasStops says that the processor can look at 32 bytes at once.
const hasStops = false

func findStops(*byte, int, *uint64) {}
