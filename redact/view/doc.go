// Package view reads text as a person or a program behind us would: digits of
// other scripts become ASCII digits, invisible characters vanish, entities,
// percent escapes, JSON escapes, quoted-printable and base64 are undone, number
// words become digits. The result is a [View]: normalised text with a map back to
// the raw bytes, so that a detector can search it like any text and a mask still
// hits what was written.
//
// A [Producer] writes a view of a stretch of text. What it writes for a raw byte
// depends on the bytes near it and not on where the stretch begins, or it says
// where the stretch has to begin: a stream that is cut anywhere must read the
// same.
//
// The package keeps no state and does no I/O. It never decides whether something
// is a finding.
package view
