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
//     vendor records).
//   - vault.db: the wrapped tenant keyset, the blind index, wrapped keys of subjects
//     and actors. No value of any person, in no form that can be undone without the
//     files above.
//
// The files are made by Create, mode 0600 in a directory of mode 0700; Open
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
// # What it does not do
//
// It never returns or prints a value that it was given to look up, and no error
// of this package contains one (V1). It does not decide who may open a sealed
// detail: callers ask policy first and log first (V8).
package vault
