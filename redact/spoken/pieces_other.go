//go:build !amd64 || purego

package spoken

// hasPieces says that the processor can look eight pieces up at once.
const hasPieces = false

func pieces(*byte, int, *uint64) uint64 { return 0 }
