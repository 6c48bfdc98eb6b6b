// Package retention keeps legal duties and carries them out.
//
// A duty (obligation) has a kind, a subject and a clock (package clock). Its row is the
// truth: no queue, no timer and no memory of a process holds anything that the row does
// not. Whoever creates a duty does it in the transaction of the fact that it follows
// from (W1). A Runner claims what is due, does one step, stores the outcome together with
// what is to be recorded, and goes on; a lost claim is found again when its lease is
// over, and the result of a worker that lost its claim is refused by its fence.
//
// # The life of a duty
//
//  1. Store.Add inserts the row, with the clock's events and the moment they come to, in
//     the caller's transaction. The same id with the same contents changes nothing.
//  2. Store.Happened adds an event to the clock: a pause, an extension.
//  3. Runner.Once finds one that is due, of a kind it knows. In one transaction it looks
//     at the time and at holds, takes the claim (fence + 1, a lease), and notes the
//     try of the next step.
//  4. It does the step, outside of any transaction. A crash here leaves a try without an
//     outcome: the step runs again when the lease is over, with the same key and a
//     higher number of the try, and must first look whether it has happened already.
//  5. In one transaction, by its fence, it stores the outcome. The last step ends the duty.
//     A step that waits for a person (Later) is done again; the person's deed ends the duty
//     (Store.End).
//  6. What happened is put on record from the same database, again and again until the
//     log has it; each entry has an id, so the log keeps it once.
//
// After maxFailures failures in a row of a kind that destroys, or when a step says so, the
// duty waits for a person (needs_human) and its clock runs on, until Store.Retry. Other kinds
// are tried again and again, with pauses that grow to half an hour. Nothing is ever discarded.
// Kinds and rules that this program does not know are left alone: another version of it may.
//
// # Time
//
// Destructive work is never early, notices are never late. Time is the database's, with
// the latest one ever seen beside it. When the clock jumps by more than five minutes,
// back or against the monotonic clock of the process, it is suspect: duties that destroy
// then wait until a person says that it is right (Store.TrustClock), and all others are
// done at once. A machine that slept looks like a jump, and is one. A jump while no runner
// runs is seen only when it goes back.
//
// # What is not here
//
// Holds are in package hold, schedules and what is due by them in package schedule, and what
// carries that out in package purge. Breaches
// and requests of persons are kept by packages incident and request; those of breaches add
// duties, and each gateway runs a Runner for them. Vendors' limits (W8) belong to connectors.
// Store.Replay brings duties back that a database lost which was restored from an older copy,
// from the log's entries; nothing reads the log for it yet.
//
// # Names
//
// What is noted of a duty goes into the log as it is: an actor is a pseudonym, or refers to
// the entry that has one.
package retention
