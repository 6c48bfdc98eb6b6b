// Package review keeps reviews of who has access: what somebody may do, when it was last
// used and how much, what a reviewer decided about it, and how far that was carried out.
//
// It decides nothing about calls, reads no log and revokes nothing. Package proxy collects
// the rights of a review, carries out what was decided and writes the events; the clock of
// the quarters comes from package retention/clock, through proxy as well.
//
// # Life of a review
//
//  1. Open freezes the rights and what the log knows of their use as items. One review is
//     open at a time.
//  2. Decide notes keep or revoke for items, until the review closes. Nobody decides about
//     a right of one's own.
//  3. Close wants a decision about every item. From then on the review is closing, and
//     nothing of it changes but how far it is carried out.
//  4. What the gateway can revoke is pending. Whoever carries it out does the deed, writes
//     the event that was drawn for it and calls Done. A crash at any line repeats the deed,
//     which does no harm, and finds the event if it was written.
//  5. SetReport keeps the report before the event with its digest is written; Closed ends
//     the review.
//
// What lies elsewhere, in a policy document, at an identity provider or a vendor, is
// by_hand: a task for people, which nothing here ever calls done.
//
// Names, reasons and accounts are personal. They are sealed by the Sealer that Open gets,
// under the name of the review or of the source.
package review
