// Package audit is the append-only log of everything that passes the gateway. No
// byte of an exchange is released before the event that permits it is durable
// here, and an outsider can check that nothing was changed, dropped, reordered or
// forged afterwards.
//
// It holds no personal data: a leaf has ids, codes, counts and keyed pseudonyms;
// what may identify someone arrives sealed by the vault and is stored outside the
// tree, where it can be erased by destroying its key. It decides nothing and knows
// no HTTP.
//
// # Life of one event
//
//  1. The gateway calls [Log.Reserve] before it reads a body. The queue is bounded
//     in events and bytes; a full one is ErrOverloaded at once. A tenth of it is
//     kept for denials and administration.
//  2. The gateway calls [Slot.Append] with an [Event]. The leaf is encoded in the
//     caller's goroutine, but for its sequence number and the hash of the leaf
//     before. Nothing here touches the disk. More than Config.DenyRate denials of
//     one caller in a second are counted together in one leaf.
//  3. One writer goroutine takes all that is queued, at most 1,024 rows or 1 MiB,
//     completes the leaves and inserts them into audit.db in one transaction. While
//     one commit syncs, the next batch collects; only a crowded log waits for more,
//     a millisecond or two.
//  4. [Wait.Wait] returns the receipt. Only now may the bytes go on. Any error
//     means that they may not.
//  5. Once a second the integrator derives, from the committed rows only, entry
//     bundles and tiles (c2sp.org/tlog-tiles), and stores the sealed details in
//     detail.db. It signs a checkpoint (c2sp.org/tlog-checkpoint), swaps it into
//     lock.db by compare and swap, and only then renames it into place. Then the
//     index, index.db, gets its rows.
//  6. The writer deletes the rows that are under a locked checkpoint. The event now
//     lives in the tree; [Log.Find] finds it at any time from step 4 on.
//
// # After a failure
//
// A failed commit, write, rename or sync ends the log for this process: every wait
// and every later call fails, [Log.Ready] says why, and nothing is tried again,
// because after a failed sync the page cache may show bytes that never reached the
// disk. The next process starts from lock.db, proves that tree and intake belong
// to it, writes the unfinished tiles again and goes on. Files that contradict each
// other are refused, not repaired.
//
// # Files
//
// Everything lies in the audit folder of the data directory, the signing key in
// its keys folder:
//
//	audit.db     the intake: committed events that no checkpoint covers yet
//	lock.db      the last signed checkpoint of each shard; decides which history is ours
//	detail.db    sealed details, by the place of their leaf
//	index.db     a view for queries; may be deleted, is then derived again
//	log.pub      the verifier keys, one a shard
//	tree/SHARD/  checkpoint and tile/..., readable by any tlog-tiles client
//
// With Config.Database the four databases are tables in PostgreSQL, and a note called
// postgres says which. The same code reads and writes them; what differs is how a
// commit becomes durable and who may make one, see commits.
//
// A shard is half a year; its origin is <deployment>/audit/<year>h<1|2>. A log that
// runs when it is over goes on with the next: shard.closed, the last leaf of one, names
// origin and key of the next, and shard.opened, the first leaf of that, holds the last
// checkpoint of the one before. Readers go through all shards, the oldest first.
//
// # What it proves, and what not
//
// [Verify] reads everything and trusts only the keys it is given. The numbers A1 to
// A22 in comments and tests are the log's invariants, listed in docs/design. With
// no witness or anchor outside this machine its administrator can set the whole
// directory back to an older state, and no check of the directory can tell.
//
// # Compatibility
//
// The leaf has a version, and the decoder refuses every byte it would not have
// written. Migrations are never edited after a release.
package audit
