// Package schedule says for how long records are kept, and what is due.
//
// A schedule is a file of rules (Parse): by channel, type of record, data class, region and
// purpose, each with a period from the creation or the closing of the record, and what is to
// be done then. Check shows where rules meet and which one counts. NewPlan goes through the
// index of records and says what is due, what holds spare, what is kept and why, and what no
// rule covers. It changes nothing; package purge carries out what is due.
//
// # Which rule counts
//
// Rules of one purpose are alternatives: the one that says more about the record counts. That
// it names a type says more than that it names a channel, which says more than a region, which
// says more than a class; a rule says more than another by the first of these that it alone
// names. Rules of different purposes, and those of one purpose that say as much, count together: a record
// is kept until the last of them lets go of it. That holds within what an action is done to:
// the record at the source (delete, and redact as a whole), each class in it (redact of
// classes), and its row in our index (forget).
//
// # Age
//
// The first time of creation that a vendor said, and the latest closing: an edit makes nothing
// younger, and what was opened again is not closed. Whoever says nothing of its own closing is
// closed with what it hangs on, up to two records above. What has no known age is kept, and
// the plan says so.
//
// # Where the rules come from
//
// GDPR Art. 5(1)(e): no longer than the purposes need. Arithmetic is that of package clock for
// what is kept at most: it rounds down, in UTC. This is engineering, not legal advice.
package schedule
