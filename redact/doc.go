// Package redact holds the words of Caregate's redaction engine: the closed
// table of data classes, what may happen to a finding, where a finding may
// stand, and the finding itself.
//
// The work is done by the packages below it, which do no I/O and keep no
// state between calls:
//
//   - detect: text in, findings out, one pass, no regular expressions;
//   - spoken: numbers in words, by language;
//   - view: text as it is meant to be read, with other scripts, hidden characters
//     and encodings undone, and a map back to the raw bytes;
//   - transform: the one mask format of the product;
//   - walk: knows where text stands in a body (JSON, form, plain text, streams),
//     reads it strictly and edits it in place.
//
// A finding never carries the value it found, only where it stands. Nothing in
// these packages formats a value into an error, a log line or a test name.
//
// # Which classes are detected today
//
// The table names every class the product will ever report, so that policies,
// audit leaves and dashboards can be written against one closed list. Found
// today: cards with their codes, PINs, tracks and expiry dates, us_ssn and us_itin,
// identifiers of persons and companies of many countries, bank accounts, telephone
// numbers, dates of birth, secrets and passwords, e-mail and IP addresses,
// crypto-currency addresses, and payment references, in any text and in fields that a
// channel file marks as such. [ClassInfo.Detected] says so for each class.
package redact
