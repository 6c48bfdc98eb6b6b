// Package walk knows where text stands in a body: it reads JSON, forms, HTML, XML,
// CSV, mail, event streams and plain text strictly, hands every string, number and
// name to the detector, and edits findings in place.
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
// [KindOf] maps media types to kinds, [Guess] looks at a text without one. JSON and
// forms have readers of their own. All other kinds are made of pieces and parts:
// a joined text is what a reader sees, with the markup between its pieces left
// out, so that a number is found through tags, entities, quotation marks and line
// ends, and each byte of its mask goes to where the original stood. A part is a
// document inside the body, read by the walker of its kind, in the layers
// (transfer encoding, charset) around it. What no walker reads is listed in
// [Doc.Unread], for the caller to refuse or to record.
//
// JSON is most of what passes, and most of it is said again and again. One look at the
// document shows where strings end and which of them hold anything (outlook.go); a
// record's names are expected in the order of the one before (foresee.go); what a name
// says is read once (names.go), and so is a text that comes again (texts.go), or again
// but for the digits of an identifier or a time (shapes.go). None of it changes what is
// found or refused, and nothing of it outlives the document.
//
// Text, NDJSON and SSE also stream ([Stream]): the output equals that of the whole
// body however it is cut, and only the bytes an open candidate can still reach,
// or one line or event, are held back. A new kind is a file.
//
// Fields apply to JSON, NDJSON, forms and the texts of multipart forms.
package walk
