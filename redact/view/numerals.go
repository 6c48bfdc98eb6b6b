package view

import (
	"bytes"
	"unicode/utf8"
)

// Chinese and Japanese write digits as words of one character, too, and say a number so,
// digit by digit: 四九六二. Single ones are words like others, so only rows count,
// and of those no years: 二〇二八年.
const (
	zeroNumeral  = '〇' // which is a digit alone, too
	firstNumeral = '一'
	lastNumeral  = '零'
	numeralSize  = len("一")
	leastRow     = 4 // in a row, as in a group of a card
)

// Numerals returns how many bytes the row of numerals takes with which text begins, 0 when
// there are fewer than four or they say a year.
func Numerals(text []byte) int {
	n := 0
	for numeral(text[n:]) >= 0 {
		n += numeralSize
	}
	if n < leastRow*numeralSize || n == leastRow*numeralSize && bytes.HasPrefix(text[n:], []byte("年")) {
		return 0
	}
	return n
}

// numeral is the value of the numeral with which text begins, or -1.
func numeral(text []byte) int {
	if len(text) < numeralSize || text[0] < 0xE3 || text[0] > 0xE9 {
		return -1
	}
	switch string(text[:numeralSize]) {
	case "零", "〇":
		return 0
	case "一":
		return 1
	case "二":
		return 2
	case "三":
		return 3
	case "四":
		return 4
	case "五":
		return 5
	case "六":
		return 6
	case "七":
		return 7
	case "八":
		return 8
	case "九":
		return 9
	}
	return -1
}

// maxBeside is how many signs may stand between digits that stand side by side.
const maxBeside = 2

// digitBefore reports whether text ends in a digit of ASCII, perhaps with signs behind it.
func digitBefore(text []byte) bool {
	n := len(text)
	for end := n; n > 0 && end-n < maxBeside && between(text[n-1]); {
		n--
	}
	return n > 0 && isDigit(text[n-1])
}

// digitBehind reports whether text begins with a digit of any script, perhaps with signs in
// front of it.
func digitBehind(text []byte) bool {
	for n := 0; n < maxBeside && len(text) > 0 && between(text[0]); n++ {
		text = text[1:]
	}
	if len(text) == 0 || text[0] < utf8.RuneSelf {
		return len(text) > 0 && isDigit(text[0])
	}
	r, _ := utf8.DecodeRune(text)
	return SignOf(r) >= 0 && Numerals(text) == 0
}

// between reports whether b is a sign of ASCII that is neither a letter nor a digit.
func between(b byte) bool {
	return b < utf8.RuneSelf && !isDigit(b) && (b|0x20 < 'a' || b|0x20 > 'z')
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
