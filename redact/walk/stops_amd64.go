package walk

import "golang.org/x/sys/cpu"

// hasStops says that the processor can look at 32 bytes at once.
var hasStops = cpu.X86.HasAVX2

// findStops looks at so many blocks of 64 bytes, one at least, and writes a bit for each
// byte of them that is a quote, a backslash or a control character.
//
//go:noescape
func findStops(text *byte, blocks int, bits *uint64)
