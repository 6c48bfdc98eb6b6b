#include "textflag.h"

DATA quote<>+0(SB)/8, $0x2222222222222222
GLOBL quote<>(SB), RODATA|NOPTR, $8
DATA backslash<>+0(SB)/8, $0x5C5C5C5C5C5C5C5C
GLOBL backslash<>(SB), RODATA|NOPTR, $8
DATA control<>+0(SB)/8, $0x1F1F1F1F1F1F1F1F
GLOBL control<>(SB), RODATA|NOPTR, $8

// STOPS leaves in r the bits of the bytes at off(SI) that are a quote, a backslash or
// not above the last control character.
#define STOPS(off, r) \
	VMOVDQU   off(SI), Y3; \
	VPCMPEQB  Y3, Y0, Y4; \
	VPCMPEQB  Y3, Y1, Y5; \
	VPMINUB   Y3, Y2, Y6; \
	VPCMPEQB  Y3, Y6, Y6; \
	VPOR      Y4, Y5, Y4; \
	VPOR      Y4, Y6, Y4; \
	VPMOVMSKB Y4, r

// func findStops(text *byte, blocks int, bits *uint64)
TEXT ·findStops(SB), NOSPLIT, $0-24
	MOVQ text+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ bits+16(FP), DI
	VPBROADCASTQ quote<>(SB), Y0
	VPBROADCASTQ backslash<>(SB), Y1
	VPBROADCASTQ control<>(SB), Y2

block:
	STOPS(0, R8)
	STOPS(32, R9)
	SHLQ $32, R9
	ORQ  R9, R8
	MOVQ R8, (DI)
	ADDQ $64, SI
	ADDQ $8, DI
	DECQ CX
	JNZ  block
	VZEROUPPER
	RET
