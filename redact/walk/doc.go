// Package walk knows where text stands in a body: it reads JSON, form and plain
// text strictly, hands every string, number and name to the detector, and edits
// findings in place.
//
// # One reading
//
// [Parse] refuses whatever two parsers could read differently: duplicate names
// (also when they are equal only after unescaping), lone surrogates, invalid
// UTF-8, a byte order mark, a NUL, a second document, comments, NaN, broken
// percent escapes, a bare semicolon. What it accepts is forwarded as it came:
// [Doc.Rewrite] returns the same bytes when nothing is found, and otherwise
// changes only the bytes of findings. What parsed before parses after.
//
// A [Refusal] carries a reason code and an offset, never content.
//
// # Places
//
// [Fields] are rules by JSON Pointer, compiled into one automaton that is
// stepped while walking: which values are never rewritten, which are payment
// references, URLs, record units, or wanted by the caller. A form is walked as
// an object of strings.
//
// # Kinds
//
// JSON, Form and Text are read whole. Text and NDJSON also stream ([Stream]): the
// output equals that of the whole body however it is cut, and only the bytes an
// open candidate can still reach are held back. A new kind is a file.
package walk
