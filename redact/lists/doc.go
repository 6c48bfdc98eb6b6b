// Package lists reads the file in which an operator says what the detector shall
// find beside its own classes, and which of its findings are false alarms:
//
//	version: 1
//	allow:                                  # no finding
//	  - pattern: "6006############"         # a token of this shape
//	    classes: [credit_card]              # optional: every class
//	    reason: our gift cards
//	    author: dana@example.com
//	    until: 2027-06-30                   # the last day it counts
//	  - field: "loyalty_*"                  # a member, form field or column
//	    pattern: "################"
//	    author: dana@example.com
//	    until: 2027-06-30
//	  - term: support@example.com           # the value itself
//	    author: dana@example.com
//	    until: 2027-06-30
//	blocklist:                              # class blocklist
//	  - terms: [project falcon, "jo doe"]   # whole words, any case
//	    author: sam@example.com
//	    until: 2027-01-31                   # optional
//	find:                                   # identifiers of your own
//	  - pattern: "PAY-########"
//	    class: payment_reference            # or blocklist
//	    author: sam@example.com
//
// # Patterns
//
// A character stands for itself, # for a digit, ? for a letter or a digit, [A-Z]
// or [ABC] for one character of a set; {4} or {4,8} behind one of them repeats it,
// and a backslash takes the next character as it is. A pattern fits a whole token:
// no letter, digit or underscore stands before or behind it.
//
// # Rows
//
// Every row has an author. A row of allow, which opens a hole, also has a last day.
// A row whose day is over no longer counts: [File.Config] leaves it out and
// [File.Expired] names it. Days end in UTC.
//
// The reader is strict: a member it does not know, a class that is none, a shape
// that would allow or find nearly everything is a mistake with its line. It does
// no input or output; the caller reads the file.
package lists
