// Package vault keeps the keys of people and gives them names that say nothing.
//
// A person who appears in a call (a subject, found by an e-mail address, a phone
// number or a vendor's id) or who makes one (an actor) is a random row in
// vault.db with a key of its own. From that key come the pseudonym that stands
// in the audit log and the encryption of the details that belong to that person.
// Destroying the key therefore ends both at once, in every copy of the log.
//
// # Where things are (invariant V7)
//
//   - keys/master.json: the Tink AEAD keyset that wraps the tenant's keyset.
//   - keys/index.json: the Tink PRF keyset of the blind index, the only way from an
//     address to a subject. With the index table it is enough to try all phone
//     numbers: guard it like the master keyset.
//   - keys/check.json: the Tink PRF keyset of keyed digests (credentials, API keys,
//     vendor records) and of the checks of tokens.
//   - vault.db: the wrapped tenant keyset, the blind index, wrapped keys of subjects
//     and actors, tokens with their sealed values. No value of any person, in no form that can be undone without the
//     files above.
//
// The files can be sealed (KeySeal): by a passphrase, a key file that is elsewhere, or a
// KMS (package awskms), which is asked again from time to time (lease.go).
// They are made by Create, mode 0600 in a directory of mode 0700; Open
// refuses looser ones and files that do not belong together. On one disk they
// share a fate: keep keys/ on another volume, and back it up apart from vault.db.
//
// # Sealing
//
// Seal derives a key for each message from the person's key by HKDF-SHA-256 with a
// random salt and the associated data as context, encrypts with AES-256-GCM and
// puts out a commitment from the same derivation. A ciphertext opens under one
// key and one associated data only, and the commitment, which the audit leaf
// hashes, proves which.
//
// SealIn needs a second key, of one day and purpose (Period): the detail ends with the
// person's key or with the day's, whichever is destroyed first.
//
// # Rotation
//
// Rotate gives the tenant's keyset a new key; Rewrap wraps the keys of people and days
// again that are under older ones, and destroys those when nothing is under them any
// more (rotate.go). RotateMaster does the same one layer above, in a file (master.go).
// Index and check keys do not rotate.
//
// # Erasing
//
// Erase destroys a person's row, and with it everything that hangs on its key (V13). The
// caller writes first, where it lasts longer than this database, whom it erases, and
// repeats at every start what ErasedUpTo does not cover: so a crash and a restored backup
// end the same way (erase.go).
//
// # Tokens
//
// A token stands for a value that is sealed under the key of the person it belongs to.
// It is drawn at random (V2) and leads to its row under the check key (tokenorder.go); the blind index finds it again for an equal value of the
// same tenant, scope and kind (V3), on SQLite by way of what is in memory (newest.go). Its form and its keyed check are in tokenform.go. The
// life of one:
//
//  1. Tokenize looks for the value's blind index. For a new value it inserts the row of
//     the index, the sealed value and a mark that the token is pending, in one
//     transaction with those of concurrent calls.
//  2. The caller makes the event that names the token durable.
//  3. Keep takes the mark away. Only now the token may leave. A crash before leaves a
//     token that nobody has seen, and Sweep takes it away after OrphanTime. On SQLite
//     the mark says which event names the token. KeepRecorded trusts in that: the token
//     leaves when the event is durable, the mark goes with the next transaction, and should
//     a crash come first, Sweep asks the log.
//  4. Reveal reads the row, authenticates every column of it (V15) and opens the value.
//  5. When its life is over it is like one that never was (V9), and Sweep takes the row
//     away. With its person's row it goes at once.
//
// # Undo
//
// Shelve keeps what a mask stands for in the same tables, for a short life: a row like
// that of a token, which nobody is given. It is found by where the mask stands (Place), and
// Keep, Reveal, Sweep and Erase treat it like every other.
//
// # Payments
//
// A token of a payment's reference is turned back by the calls that move its money
// (Spend), and what they may take is counted here. Learn notes what a processor says of
// the payment: how much was paid, in which currency, for which order, on which account and
// route. Stand compares a call with that, for policy to decide about; Reserve makes the
// call count if it still stands so, one after the other on all gateways; Settle, Release or
// Unknown end it. What nobody knows stays taken, and the same call may be made again under
// its idempotency key for a while. The rows hold keyed digests and amounts, and each is
// authenticated.
//
// # What it does not do
//
// It never returns or prints a value that it was given to look up, and no error
// of this package contains one (V1). It does not decide who may open a sealed
// detail: callers ask policy first and log first (V8).
package vault
