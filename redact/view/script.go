package view

import (
	"slices"
	"unicode"
)

// Sign is what a character outside ASCII reads as in a number.
type Sign int8

// Signs beside the digits, which are 0 to 9.
const (
	None   Sign = -1 - iota
	Hidden      // nobody sees it: zero width, direction marks, variation selectors
	Space       // a blank of some width
	Dash        // a hyphen, a dash or a dot in the middle of the line
	Line        // a line or paragraph separator
)

// signRange gives signs to the characters lo to hi: step is 1 when they count up
// from sign, and 0 when all are alike.
type signRange struct {
	lo, hi rune
	sign   Sign
	step   int8
}

// signTable is sorted. The digits of all scripts come from Unicode's category Nd,
// in which every script has ten in a row, the rest is written down here.
var signTable = func() []signRange {
	table := []signRange{
		{0x00B2, 0x00B3, 2, 1}, {0x00B9, 0x00B9, 1, 0}, {0x2070, 0x2070, 0, 0}, {0x2074, 0x2079, 4, 1}, {0x2080, 0x2089, 0, 1}, // super- and subscript
		{0x2460, 0x2468, 1, 1}, {0x2474, 0x247C, 1, 1}, {0x2488, 0x2490, 1, 1}, {0x24EA, 0x24EA, 0, 0}, {0x24F5, 0x24FD, 1, 1}, {0x24FF, 0x24FF, 0, 0}, // circled, in brackets, with a stop
		{0x2776, 0x277E, 1, 1}, {0x2780, 0x2788, 1, 1}, {0x278A, 0x2792, 1, 1}, {0x3007, 0x3007, 0, 0}, {0x1F100, 0x1F100, 0, 0}, {0x1F101, 0x1F10A, 0, 1}, // dingbats
		{0x1369, 0x1371, 1, 1}, {0x10A40, 0x10A43, 1, 1}, {0x10E60, 0x10E68, 1, 1}, {0x11052, 0x1105A, 1, 1}, // scripts without a zero
		{0x00AD, 0x00AD, Hidden, 0}, {0x034F, 0x034F, Hidden, 0}, {0x061C, 0x061C, Hidden, 0}, {0x115F, 0x1160, Hidden, 0}, {0x17B4, 0x17B5, Hidden, 0},
		{0x180B, 0x180F, Hidden, 0}, {0x200B, 0x200F, Hidden, 0}, {0x202A, 0x202E, Hidden, 0}, {0x2060, 0x206F, Hidden, 0}, {0x20E3, 0x20E3, Hidden, 0}, // 20E3: the frame of a keycap
		{0x3164, 0x3164, Hidden, 0}, {0xFE00, 0xFE0F, Hidden, 0}, {0xFEFF, 0xFEFF, Hidden, 0}, {0xFFA0, 0xFFA0, Hidden, 0}, {0xFFF9, 0xFFFB, Hidden, 0},
		{0x1D173, 0x1D17A, Hidden, 0}, {0xE0000, 0xE0FFF, Hidden, 0},
		{0x0300, 0x034E, Hidden, 0}, {0x0350, 0x036F, Hidden, 0}, {0x20D0, 0x20E2, Hidden, 0}, // marks drawn over the character before
		{0x00A0, 0x00A0, Space, 0}, {0x1680, 0x1680, Space, 0}, {0x2000, 0x200A, Space, 0}, {0x202F, 0x202F, Space, 0}, {0x205F, 0x205F, Space, 0}, {0x3000, 0x3000, Space, 0}, {0x2800, 0x2800, Space, 0},
		{0x00B7, 0x00B7, Dash, 0}, {0x2010, 0x2015, Dash, 0}, {0x2022, 0x2022, Dash, 0}, {0x2043, 0x2043, Dash, 0}, {0x2212, 0x2212, Dash, 0}, {0x2219, 0x2219, Dash, 0}, {0x22C5, 0x22C5, Dash, 0},
		{0x30FB, 0x30FB, Dash, 0}, {0xFE58, 0xFE58, Dash, 0}, {0xFE63, 0xFE63, Dash, 0}, {0xFF0D, 0xFF0D, Dash, 0}, {0xFF65, 0xFF65, Dash, 0},
		{0x2028, 0x2029, Line, 0}, {0x0085, 0x0085, Line, 0},
	}
	blocks := func(lo, hi rune) {
		for ; lo+9 <= hi; lo += 10 {
			if lo > unicode.MaxASCII {
				table = append(table, signRange{lo, lo + 9, 0, 1})
			}
		}
	}
	for _, r := range unicode.Nd.R16 {
		blocks(rune(r.Lo), rune(r.Hi))
	}
	for _, r := range unicode.Nd.R32 {
		blocks(rune(r.Lo), rune(r.Hi))
	}
	slices.SortFunc(table, func(a, b signRange) int { return int(a.lo - b.lo) })
	return table
}()

// signPages has a true for each 256 characters among which one has a sign, so that
// most scripts are passed over quickly.
var signPages = func() (pages [0x110000 >> 8]bool) {
	for _, r := range signTable {
		for p := r.lo >> 8; p <= r.hi>>8; p++ {
			pages[p] = true
		}
	}
	return pages
}()

// signPlane is signTable for the basic plane, by character.
var signPlane = func() *[1 << 16]Sign {
	plane := new([1 << 16]Sign)
	for r := range plane {
		plane[r] = search(rune(r))
	}
	return plane
}()

// SignOf returns what r reads as in a number. It knows characters outside ASCII
// only.
func SignOf(r rune) Sign {
	if uint32(r) < 1<<16 {
		return signPlane[r]
	}
	return search(r)
}

// search looks r up in signTable.
func search(r rune) Sign {
	if r < 0x80 || r >= 0x110000 || !signPages[r>>8] || r > 0xB9 && r < 0x300 {
		return None
	}
	i, found := slices.BinarySearchFunc(signTable, r, func(s signRange, r rune) int { return int(s.lo - r) })
	if !found {
		i--
	}
	if i < 0 || r > signTable[i].hi {
		return None
	}
	return signTable[i].sign + Sign(signTable[i].step)*Sign(r-signTable[i].lo)
}
