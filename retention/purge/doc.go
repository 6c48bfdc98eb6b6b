// Package purge carries a schedule of retention out at vendors: what is due is listed (Prepare),
// others agree to the list (Start), and the records are deleted or redacted one call at a time
// (Next), by the actions of the channel files. It ends in a certificate.
//
// # A record's way
//
//	open -> [job] -> ... -> read_back -> [trash] -> erased
//
// The calls of the action are made in their order, and where the vendor answers with a job the
// job is waited for. Then the record is read back, and where the vendor has a trash, read back
// again when nobody can bring it back any more. Before each call that changes something, in one
// transaction behind the gate of holds: no hold covers the record, it is still due, and so is all
// that hangs on it. That transaction notes the call.
//
// What ends otherwise says so: held, kept (not due any more, or something below is not), absent
// (the vendor knew no such record from the beginning, or does not show it to the gateway),
// by_hand (the channel file knows no way), needs_human with a reason. Nothing but a read-back behind
// a call makes a record erased.
//
// # Crashes
//
// The note of a call is durable before the call, its answer afterwards. A process that dies
// between the two leaves a call in doubt: the record is read back before the call is made again,
// where that tells, and otherwise the call is repeated. A record that is gone then is erased with
// the reason answer_lost, where no other call was answered with done. Two processes may carry one
// run on: a second answer finds another number of tries and is dropped. What is to be put on
// record is stored with the answer and told again until the log has it, under one id.
package purge
