//go:build !purego

package detect

import "golang.org/x/sys/cpu"

// hasProbe says that the processor can look at 32 bytes at once.
var hasProbe = cpu.X86.HasAVX2

// probe looks at so many blocks of text, 1 to 64, and at the two bytes behind them,
// writes their bits, and returns a bit for each block that has some. before is what
// lettersBefore says.
//
//go:noescape
func probe(text *byte, blocks int, p *probes, bits *block, before uint64) (some uint64)
