// Package hold keeps legal holds: what must not be destroyed, for which matter, and who said
// so.
//
// A hold covers persons, single records, and records by where they stand and when. It
// is placed by one person and in force with the commit; it ends when somebody asks for it,
// somebody else agrees, and the log has it. It stops destruction and nothing else: no duty's
// clock, no answer to a request and no notice waits for it.
//
// # Whom a hold protects
//
// A person is held when one of the pseudonyms linked to theirs is named by a hold, or when
// a record that names one of these is covered, or hangs on one that is. Where a record stands
// and whom it names is told by package index, whose tables are in the same database; what
// passes later is covered as it passes, because holds are compared when something is to be
// destroyed and not when they are placed.
//
// # The gate
//
// Holds are in one database and a person's key may be in another, so one row orders them:
// whoever places a hold locks it, and so does whoever is about to destroy. A destruction
// passes the gate in one transaction that finds no hold, and leaves its mark there. A hold
// that was committed before is found; one that comes after finds the mark, and is told that
// for this destruction it came too late.
//
// # Calls that delete
//
// What a call to a vendor deletes is compared with holds before it is made (Covers), and passes
// no gate: a hold that is placed while such a call is under way stops the next one.
//
// # Crashes
//
// Each change is one transaction, with what is to be put on record beside it. Tell puts it on
// record again and again until the log has it. A hold whose lifting is not on record yet is
// in force. A mark whose destruction never began is taken away when the gateway that left it
// starts again and its log does not have the event.
package hold
