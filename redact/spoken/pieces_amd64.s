//go:build !purego

#include "textflag.h"

// What foldPiece and gramHash do, for eight pieces at once.
DATA fold<>+0(SB)/4, $0x50505050 // the bits that tell digits
DATA fold<>+4(SB)/4, $0x10101010 // as digits have them
DATA fold<>+8(SB)/4, $0x0F0F0F0F // what is cleared in digits
DATA fold<>+12(SB)/4, $0x20202020 // lower case
DATA fold<>+16(SB)/4, $0x9E3779B1 // gramPrime
DATA fold<>+20(SB)/4, $31
GLOBL fold<>(SB), RODATA|NOPTR, $24

// func pieces(text *byte, blocks int, grams *uint64) uint64
//
// The two pieces of a sample are neighbours in a vector of eight. One gather fetches
// the words of the set in which their bits stand, and the bits are shifted to the top,
// where the two of a sample meet. Blocks push their four bits in from above.
TEXT ·pieces(SB), NOSPLIT, $0-32
	MOVQ text+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ grams+16(FP), BX
	VPBROADCASTD fold<>+0(SB), Y8
	VPBROADCASTD fold<>+4(SB), Y9
	VPBROADCASTD fold<>+8(SB), Y10
	VPBROADCASTD fold<>+12(SB), Y11
	VPBROADCASTD fold<>+16(SB), Y12
	VPBROADCASTD fold<>+20(SB), Y13
	XORQ AX, AX

block:
	// The first eight of every sixteen bytes.
	VMOVDQU     0(SI), X0
	VINSERTI128 $1, 32(SI), Y0, Y0
	VMOVDQU     16(SI), X1
	VINSERTI128 $1, 48(SI), Y1, Y1
	VPUNPCKLQDQ Y1, Y0, Y0

	VPAND    Y8, Y0, Y1
	VPCMPEQB Y9, Y1, Y1
	VPAND    Y10, Y1, Y1
	VPOR     Y11, Y0, Y0
	VPANDN   Y0, Y1, Y0
	VPMULLD  Y12, Y0, Y0

	// The hash is the top sixteen bits: eleven name a word, five a bit in it.
	VPSRLD     $21, Y0, Y1
	VPSRLD     $16, Y0, Y0
	VPANDN     Y13, Y0, Y0
	VPCMPEQD   Y2, Y2, Y2
	VPXOR      Y3, Y3, Y3
	VPGATHERDD Y2, (BX)(Y1*4), Y3
	VPSLLVD    Y0, Y3, Y3
	VPSLLQ     $32, Y3, Y0
	VPAND      Y0, Y3, Y3
	VMOVMSKPD  Y3, R8

	SHRQ $4, AX
	SHLQ $60, R8
	ORQ  R8, AX
	ADDQ $64, SI
	DECQ CX
	JNZ  block

	// The first sample goes to the lowest bit.
	MOVQ blocks+8(FP), CX
	SHLQ $2, CX
	NEGQ CX
	SHRQ CX, AX // by 64 less four bits for each block
	VZEROUPPER
	MOVQ AX, ret+24(FP)
	RET
