#include "textflag.h"

// func probe(text *byte, n int, p *probes) int
//
// Y0 to Y5 hold the tables of halves, Y6 the mask of a half byte, Y7 zero. Each
// round looks at the 32 bytes at SI+AX, and at the two behind them. A byte with its
// high bit set gives zero in VPSHUFB, so words are ASCII only.
TEXT ·probe(SB), NOSPLIT, $0-32
	MOVQ text+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ p+16(FP), DX
	XORQ AX, AX
	SUBQ $34, CX
	JLT  none

	VMOVDQU 0(DX), Y0
	VMOVDQU 32(DX), Y1
	VMOVDQU 64(DX), Y2
	VMOVDQU 96(DX), Y3
	VMOVDQU 128(DX), Y4
	VMOVDQU 160(DX), Y5
	VMOVDQU 192(DX), Y6
	VPXOR   Y7, Y7, Y7

round:
	CMPQ AX, CX
	JLE  look

	// The last 34 bytes, once.
	LEAQ 32(CX), R11
	CMPQ AX, R11
	JGE  none
	MOVQ CX, AX

look:
	VMOVDQU (SI)(AX*1), Y12
	VMOVDQU 1(SI)(AX*1), Y13
	VMOVDQU 2(SI)(AX*1), Y14

	// Words: the buckets that fit all six halves.
	VPSHUFB   Y12, Y0, Y8
	VPSRLW    $4, Y12, Y9
	VPAND     Y6, Y9, Y9
	VPSHUFB   Y9, Y1, Y9
	VPAND     Y8, Y9, Y15
	VPSHUFB   Y13, Y2, Y8
	VPSRLW    $4, Y13, Y9
	VPAND     Y6, Y9, Y9
	VPSHUFB   Y9, Y3, Y9
	VPAND     Y8, Y9, Y8
	VPAND     Y8, Y15, Y15
	VPSHUFB   Y14, Y4, Y8
	VPSRLW    $4, Y14, Y9
	VPAND     Y6, Y9, Y9
	VPSHUFB   Y9, Y5, Y9
	VPAND     Y8, Y9, Y8
	VPAND     Y8, Y15, Y15
	VPCMPEQB  Y7, Y15, Y15
	VPMOVMSKB Y15, R8
	NOTL      R8

	// Digits, @, underscore; the high bit of a byte stays in the mask.
	VPSUBB    224(DX), Y12, Y8
	VPMINUB   256(DX), Y8, Y9
	VPCMPEQB  Y8, Y9, Y8
	VPCMPEQB  288(DX), Y12, Y9
	VPOR      Y9, Y8, Y8
	VPCMPEQB  320(DX), Y12, Y9
	VPOR      Y9, Y8, Y8
	VPOR      Y12, Y8, Y8
	VPMOVMSKB Y8, R9
	ORL       R9, R8

	// Base64 of digits: L to O twice at a distance of four.
	VPXOR     352(DX), Y12, Y8
	VPAND     384(DX), Y8, Y8
	VPCMPEQB  Y7, Y8, Y8
	VPMOVMSKB Y8, R9
	MOVL      R9, R10
	SHRL      $4, R10
	ANDL      R10, R9
	ORL       R9, R8

	JNZ  hit
	ADDQ $32, AX
	JMP  round

hit:
	BSFL R8, R8
	ADDQ R8, AX
	VZEROUPPER
	MOVQ AX, ret+24(FP)
	RET

none:
	NOTQ AX
	VZEROUPPER
	MOVQ AX, ret+24(FP)
	RET
