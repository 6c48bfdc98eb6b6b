// Package ropa makes the record of processing activities: GDPR Art. 30(1) for what is done
// as a controller, Art. 30(2) for what is done for one.
//
// It is pure. [ParseRegister] reads what the operator declares, the caller brings what the
// configuration names ([Route]) and what the log has of a window ([Seen]), and [Make] joins
// them: each [Row] is declared, observed or both, and where the two differ there is a
// [Finding]. [Print] turns a [Record] into files, [Statement] is what is signed of these, and
// [Diff] compares two records.
//
// A record has counts, names of classes and what the operator wrote. The log gives it nothing
// of any person.
//
// # What it cannot know
//
// What does not pass the gateway, what no detector looks for, and what nobody could read
// ([Row].Unread). For which activity a call was made the log does not say either: a row is of
// a vendor's system, with the activities that name the vendor.
//
// # Where the rules come from
//
// Regulation (EU) 2016/679 Art. 30 lists what a record contains; Art. 28(3) wants a contract
// with processors (the DPA), Art. 44 to 49 a ground for transfers to other countries. This is
// engineering, not legal advice.
package ropa
