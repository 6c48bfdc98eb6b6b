package detect

import "golang.org/x/sys/cpu"

// hasProbe says that the processor can look at 32 bytes at once.
var hasProbe = cpu.X86.HasAVX2

// probe returns the offset of the first byte of text[:n] at which something of p
// begins. Without one it returns ^(n-2): the last two bytes may still be signs. It
// needs 34 bytes and otherwise returns ^0, and it never reads beyond n bytes.
//
//go:noescape
func probe(text *byte, n int, p *probes) int
