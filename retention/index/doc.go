// Package index knows which records stand in which system, and of whom.
//
// A record is an object of a vendor: a ticket, a comment, an attachment, a user. Whenever
// one passes the gateway, its sighting is noted: when it was created and closed, as far as
// the vendor said so, which classes of data were found in it, on which record it hangs, and
// which persons it names. That is how a request of a person can be answered for all systems
// at once, and how a schedule knows what is due, without asking each vendor for everything.
//
// # What is stored
//
// Of a record its place: channel, host of the account, type and the vendor's own id. Of a
// person a pseudonym under a key of that person, for this purpose alone: whoever has this
// database and not the vault learns from it which records have somebody in common, and not
// whom. With the person's key the link to the records ends in every copy; Forget takes the
// rows away besides.
//
// # Age
//
// The first time of creation that was seen stays: neither an edit nor a vendor's mistake
// makes a record older or younger later. A closing can be undone, so the latest one counts, and
// none while the record is open again; how often it was opened again is counted. When a
// vendor's time cannot be (before 1990, or after tomorrow) it is unknown.
//
// # What was there before
//
// An import asks the vendor for the records that it has already, and notes them as
// Backfilled. They come together with what passed in any order, by the same rules; only a page
// that was asked for before the record was last seen neither opens nor closes it, and does
// not bring back what a call has deleted since.
//
// # Durability
//
// Note returns when the sightings are committed, many callers' in one transaction, so that
// they outlive the end of the process, however it ends. On SQLite a commit does not wait for
// the disk where the caller opened the database so: a machine that loses its power then
// loses the last ones, and whoever opens the index has to see to it.
//
// # One person, many names
//
// An e-mail address and a vendor's user id are two persons until an object of a vendor, a
// profile, names both as its own: then they are linked, with the time of the sighting.
// Merge links what no profile does, Split ends a link for good: no later sighting brings it
// back.
package index
