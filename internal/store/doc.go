// Package store opens Caregate's databases and writes its small files durably.
//
// It is the only package that imports a database driver. Everything above it
// speaks database/sql and one dialect rule: statements are written once, with
// $1, $2 ... parameters, which SQLite and PostgreSQL both accept; where the two
// differ (row locks, for instance) the caller asks DB.Dialect and says so in a
// comment.
//
// # Life of a database file
//
//  1. `caregate init` calls Open with Create; nothing else ever does, so that a
//     missing file is an error and not a silently empty log or vault.
//  2. Open sets WAL mode, the requested durability, a busy time-out and foreign
//     keys on every connection, and refuses SQLite libraries older than 3.51.3,
//     whose WAL reset could lose committed pages.
//  3. Migrate applies the caller's numbered, embedded SQL files, each in one
//     transaction. A file is never edited after a release.
//  4. Close checkpoints the WAL, so that a copied data directory is whole.
//
// A writer that must be alone takes LockDir on its directory first.
package store
