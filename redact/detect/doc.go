// Package detect finds payment cards, card verification codes, PINs, track data
// and US social security and taxpayer numbers in text.
package detect
