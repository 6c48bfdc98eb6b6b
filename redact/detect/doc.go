// Package detect finds payment cards, card verification codes, PINs, track data
// and US social security and taxpayer numbers in text.
//
// # How
//
// A word-at-a-time kernel looks for the first ASCII digit and does nothing else
// on text without digits (kernel.go). From a digit on, a chain of digit groups
// is read: runs of digits with one to three separator characters between them.
// Short chains are left at once. In longer ones every group is tried as the
// beginning of a value, never a place inside a run of digits:
//
//   - a card needs an issuer prefix at a length that issuer uses and, with few
//     exceptions, the Luhn check digit; how the digits are grouped and what the
//     words and the key beside them say decides the rest (card.go);
//   - a social security or taxpayer number needs the same separator twice, or
//     nine digits and a word or key that names it (ssn.go);
//   - verification codes and PINs need a word that names them, or stand behind a
//     card and its expiry date (code.go).
//
// # What it promises
//
// Whether a digit group begins a finding depends only on the [LookBehind]
// bytes before it and the [LookAhead] bytes after it. [Detector.Window] makes
// use of that: a stream gives the same findings as the whole text. The same
// bound keeps the time linear in the text on any input.
//
// Masks of package transform are not found again.
//
// # What it refuses to do
//
// It does not decode: callers hand over decoded text and map offsets back
// (package walk does). Digits of other scripts, spoken digits and encodings
// inside text are not read yet. It never returns or formats a value.
package detect
