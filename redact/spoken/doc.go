// Package spoken reads numbers that people say: "four one one one", "forty-one
// eleven", "double five oh triple two", "quatre-vingt-dix-sept", in transcripts
// and in chat, mixed with numerals, fillers, punctuation of speech recognisers
// and the turns of a conversation. It turns them into digits and says for each
// digit which bytes it came from, so that a mask hits the words.
//
// A language is one table ([Language]); adding one is a file with data.
//
// # How
//
// [Reader.Next] is the trigger. It looks at eight bytes out of every sixteen, four
// such samples at a time where the processor can (pieces_amd64.s), so clean prose
// costs next to nothing, and stops where a number of some length is spoken. [Reader.Scan] reads from there: words become tokens, tokens become
// phrases ("forty-one"), phrases with nothing but fillers between them become
// candidates. "Forty two" may be 42 or 40 2, "to" may be a two, what the other
// side says in between may be part of the number or not: the likely reading is
// tried first, and the others only when it is not what the caller looks for.
//
// # What it refuses to do
//
// It knows no issuer and no data class: the caller says which digits it wants
// and judges the context. It does not mix languages within one number, reads no
// spelled letters, and no words glued together beyond the hundred in German.
package spoken
