//go:build !purego

package spoken

import "golang.org/x/sys/cpu"

// hasPieces says that the processor can look eight pieces up at once.
var hasPieces = cpu.X86.HasAVX2

// pieces looks at the samples of 1 to maxBlocks blocks of 64 bytes, which it reads
// and no more, and returns a bit for each of which both pieces are in the set.
//
//go:noescape
func pieces(text *byte, blocks int, grams *uint64) uint64
