// Package transform writes the masks of Caregate. There is one format per class
// and no option, because two different truncations of one card number, seen
// side by side, give the number back (PCI SSC FAQ 1091).
//
//   - credit_card: every digit becomes X except the last four, separators stay;
//     length-preserving. Nineteen digits that may as well be sixteen and a
//     verification code keep none;
//   - us_ssn, us_itin: XXX-XX-XXXX;
//   - verification codes, PINs, track data: every digit becomes X;
//   - any of these written in words: the mask of its digits, a card grouped as
//     printed;
//   - a dropped secret: [removed];
//   - any other class that policy masks: every letter and digit becomes X.
//
// The output is inert in Markdown, HTML, CSV and templates, and the detector
// never finds it again.
package transform
