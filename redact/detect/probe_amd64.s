//go:build !purego

#include "textflag.h"

// SIGNS looks at the 32 bytes at off(SI), and at the two behind them. The bits of
// digits go to d, those of L to O to l, those of bytes that are no sign and begin no
// word to o.
//
// Y0 to Y3 are the tables of halves for words, Y6 and Y7 those for signs, Y8 is the
// mask of a half byte, Y9 zero. A byte with its high bit set gives zero in VPSHUFB, so
// words and signs are ASCII only.
#define SIGNS(off, d, l, o) \
	VMOVDQU   off(SI), Y10; \
	VPSRLW    $4, Y10, Y11; \
	VPAND     Y8, Y11, Y11; \
	VPSHUFB   Y10, Y6, Y12; \
	VPSHUFB   Y11, Y7, Y13; \
	VPAND     Y12, Y13, Y12; \
	VPMOVMSKB Y12, d; \
	VPSLLW    $1, Y12, Y13; \
	VPMOVMSKB Y13, l; \
	VPAND     224(DX), Y12, Y12; \
	VPSHUFB   Y10, Y0, Y13; \
	VPSHUFB   Y11, Y1, Y14; \
	VPAND     Y13, Y14, Y13; \
	VPSHUFB   off+1(SI), Y2, Y14; \
	VPSHUFB   off+2(SI), Y3, Y15; \
	VPAND     Y14, Y13, Y13; \
	VPAND     Y15, Y13, Y13; \
	VPOR      Y12, Y13, Y13; \
	VPCMPEQB  Y9, Y13, Y13; \
	VPANDN    Y13, Y10, Y13; \
	VPMOVMSKB Y13, o

// func probe(text *byte, blocks int, p *probes, bits *block, before uint64) (some uint64)
TEXT ·probe(SB), NOSPLIT, $0-48
	MOVQ text+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ p+16(FP), DX
	MOVQ bits+24(FP), DI
	MOVQ before+32(FP), BX

	VMOVDQU 0(DX), Y0
	VMOVDQU 32(DX), Y1
	VMOVDQU 64(DX), Y2
	VMOVDQU 96(DX), Y3
	VMOVDQU 128(DX), Y6
	VMOVDQU 160(DX), Y7
	VMOVDQU 192(DX), Y8
	VPXOR   Y9, Y9, Y9
	XORQ    AX, AX

block:
	SIGNS(0, R8, R12, R9)
	SIGNS(32, R10, R13, R11)
	SHLQ $32, R10
	ORQ  R10, R8
	SHLQ $32, R11
	ORQ  R11, R9
	NOTQ R9

	// A letter of base64 counts when another stands four in front of it.
	SHLQ $32, R13
	ORQ  R13, R12
	MOVQ R12, R13
	SHLQ $4, R13
	ORQ  BX, R13
	MOVQ R12, BX
	SHRQ $60, BX
	ANDQ R13, R12
	ORQ  R12, R9
	MOVQ R8, 0(DI)
	MOVQ R9, 8(DI)

	// One more bit from above: whether there are any.
	ORQ  R8, R9
	NEGQ R9
	RCRQ $1, AX

	ADDQ $64, SI
	ADDQ $16, DI
	DECQ CX
	JNZ  block

	// The first block goes to the lowest bit.
	MOVQ blocks+8(FP), CX
	NEGQ CX
	SHRQ CX, AX // by 64 less the blocks
	VZEROUPPER
	MOVQ AX, some+40(FP)
	RET
