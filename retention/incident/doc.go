// Package incident keeps suspicions of breaches of personal data, and the clocks of the
// notices that they owe.
//
// # The life of an incident
//
//  1. Open: somebody suspects one. The two clocks of Caregate's own policy (int.escalate,
//     int.external) begin at the suspicion.
//  2. Aware: a person decides that it is one, and since when it was known. That begins the
//     clocks of law for the places, sectors and role that are known, and has the two count
//     from the same moment. If nobody has decided when int.escalate is over, it counts as known
//     from the suspicion on (the fail-safe). A later decision replaces either.
//  3. Scope: places, sectors and further facts are added, and the notices that follow from
//     them. Nothing is taken away, and moments become earlier; Aware corrects them.
//  4. Notice: one was sent, with a reason when it is late. What follows a notice (a final
//     report) begins then. Waive: it is not owed, with the reason; Restore takes that back.
//  5. Close, when nothing is owed any more; or Dismiss: a person decides that it was no breach.
//
// Each of these commits in one transaction with the duties that it makes, moves and ends (W1),
// and with an entry for the audit log that is put there afterwards, again and again until the
// log has it. Each entry has an id of its own, so a log has it once.
//
// A drill owes nothing: it makes no duties, and nobody becomes aware by one.
//
// # What is raised
//
// A Runner with Store.Kinds raises each open notice some time before its plan_by, again when
// that is over, and repeats it until somebody acknowledges it for that stage.
// By a clock in doubt all are raised, those that are not due by it as Doubt, and what somebody
// acknowledges then counts for this doubt alone.
package incident
