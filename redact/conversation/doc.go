// Package conversation finds what stands in no message by itself: a card number
// or a social security number that is typed, or said, in pieces over several
// messages, and digits that only the question before them explains.
//
// # What is remembered
//
// For each conversation a [Tracker] keeps a tail: at most eighteen digits of the
// last messages, where in which message they stood, and what the last messages
// spoke of (a card, a tax number, a code), and for a few messages that a card was given:
// "05/28 123" behind it is its date and code. It keeps no text. A tail ends when the
// number is found, when somebody says something else, after some messages
// without digits, after some time, and when too many other conversations are newer;
// then its digits are overwritten.
//
// # What counts as a piece
//
// A message of digits and fillers, or one with a few other words where the
// conversation speaks of a card or tax number. Digits that words name otherwise (an
// order, a telephone) are never a piece, nor are times, prices and dates. Pieces of
// one tail come from one speaker, where speakers are known. The pieces are judged
// together by the rules for one text: issuer, check digit, grouping, context.
//
// # What the caller does with it
//
// The piece in the message at hand is masked by the caller; earlier pieces have been
// delivered, so they are named, for redaction where they are stored.
package conversation
