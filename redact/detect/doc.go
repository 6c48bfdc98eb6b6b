// Package detect finds the data classes of package redact in text: payment cards and
// what belongs to them, US social security and taxpayer numbers, identifiers of
// persons, bank accounts, telephone numbers, dates of birth, addresses, secrets.
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
//   - a number in words is read by package spoken, written as digits in its place,
//     and judged by the same rules (spoken.go);
//   - a card whose groups stand farther apart, with fillers that people say or with other
//     separators between, needs the groups of a printed card, the check digit, and no
//     word that names another number (pieces.go);
//   - verification codes and PINs need a word that names them, or stand behind a
//     card and its expiry date (code.go).
//
// # Families
//
// Every other class is found by a family (family.go): a find function that is
// asked about stretches of text around its triggers, which one pass over the text
// looks for. lastfour.go is a family of one rule and the pattern for others:
//
//   - the row in families names the triggers (a chain of so many digits, a digit
//     glued to a letter, an @, an underscore, a word), the vocabulary, and find;
//   - find appends what begins in text[from:to) and reads the rest as context. It
//     keeps no state, so that a stream that goes on anywhere finds the same;
//   - check digits come first, because they are cheap and most numbers fail; then the
//     words and the key beside a value (idScan.named in ids.go is the example);
//   - a finding sets Class, Start, End, Confidence, Strong, Rule and Evidence, and
//     Never where the hint says ID.
//
// National identifiers, banking, telephone numbers and dates of birth are one
// family. It reads groups of digits and tokens of letters and digits at the places
// where people begin a value (ids.go), judges shape and check digits (ids_digits.go,
// ids_letters.go, checksum.go), and then asks whether something names the number
// (idnames.go). Only what is printed like nothing else stands without a name.
//
// Keys and tokens are known by prefix, alphabet and length, and by a check of their own
// where the issuer built one in (token.go, secret.go, longsecret.go, base58.go,
// bech32.go, ethereum.go, seedphrase.go); nothing is a secret because it looks
// random. A password is known by the word that names it and by how it stands behind
// that word (passwordname.go, password.go, passwordvalue.go). E-mail and IP addresses
// are read by their grammar, and by what stands around them (mail.go, ip.go). The
// operator's terms, patterns and allow rows come from package lists (listed.go,
// terms.go, pattern.go).
//
// Findings that overlap are put in order by rank (family.go): what is enforced by
// default before check digits, check digits before words, words before shape, then
// the longer one.
//
// # Views
//
// Digits of other scripts, hidden characters, entities, tags, percent, JSON and
// quoted-printable escapes, encoded words and base64 are marks (mark.go): what
// touches a run of digits, or a character outside ASCII, says that the text around
// it has to be read in another way. Marks that are near each other share a region
// (reading.go), package view reads it, and the card scan and the families run on
// what it says as on any text; findings are mapped back to the raw bytes. Base64 is
// recognised without decoding everything: capital letters and a begin that decodes
// to text, and where it holds no digit, the letters with which digits begin.
// Nothing is read in another way on text without marks.
//
// # Speed
//
// The one pass makes a bit for each byte at which something may begin: digits, @,
// underscore, characters outside ASCII, base64 of digits, and the words that families
// wait for. It looks at 32 bytes at a time where the processor can (probe_amd64.s) and
// at eight elsewhere (signs.go), without asking what they are, and the scan goes from
// bit to bit. Prices, times and counts, which most numbers are, are left at once by
// their shape (quiet.go).
//
// Short strings of records are known at a glance (quick.go): what most of them are,
// identifiers, times, addresses of records, tags, e-mail addresses, sentences with a
// price, is told by a few rules that keep to what no family can make anything of. A key
// is read once for all values beside it (traits.go), and a walker that looks at a whole
// document takes the signs of each string from there (glance.go).
//
// Text made to be slow is read a bounded number of times. A chain of groups is one row,
// looked at from each of its groups (chain.go). Where words stand that name numbers is
// read once, from left to right, and what needs a name is not tried where none is near
// (near.go). Tokens of short words are passed over at once where no word has what any
// family needs at least (dull.go), and so are numbers between letters of other scripts, or
// at the end of a word of those (dullwide.go). The check digits of a printed IBAN are read before each of
// its groups is tried as something else (printediban.go). A stretch of a token is asked about once (spot.go), a row of
// marks that ask for the same is read from its end, and a view is searched no further
// than its region reaches (reading.go). The inputs are in
// redact/testdata/hostile.json, and make bench prints the slowest of them.
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
// It never returns or formats a value, and never changes the text.
package detect
