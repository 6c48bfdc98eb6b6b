// Package store opens Caregate's databases and writes its small files durably.
//
// It is the only package that imports a database driver. Everything above it
// speaks database/sql, and the same code runs on SQLite files and on PostgreSQL.
//
// # One SQL for both
//
// Statements are written once, from what both databases take:
//
//   - Parameters are $1, $2 ..., in the order of their first use.
//   - Columns are BIGINT, TEXT and BLOB, NOT NULL where they can be. Times are
//     milliseconds since 1970 in a BIGINT, truth is 0 or 1. No column type that
//     converts what it is given.
//   - INSERT ... ON CONFLICT (...) DO UPDATE SET c = excluded.c, or DO NOTHING; row
//     values like (a, b) > ($1, $2); LIMIT and OFFSET; WITH; views; foreign keys,
//     DEFERRABLE INITIALLY DEFERRED; CHECK.
//   - No functions but count, min, max, sum, coalesce and length; nothing of the
//     catalogue.
//   - Text sorts and compares byte by byte, empty strings are not NULL, and no
//     statement depends on the order of rows without ORDER BY.
//   - Statements that read one another's results run in [DB.Snapshot] when they must
//     see one instant: on PostgreSQL each statement of an ordinary transaction sees
//     what was committed before it began.
//   - After an error a transaction is over.
//
// Migrations are written for SQLite. On PostgreSQL, [DB.Migrate] replaces three words
// in them, and nothing else: BLOB becomes BYTEA, TEXT becomes TEXT COLLATE "C" (byte
// order, whatever the server's language), WITHOUT ROWID goes away. So these words
// stand in migrations in this meaning only; TEXT is no target of a CAST. A migration
// that needs more, to convert rows with functions for instance, has its PostgreSQL
// form under the same name in the folder postgres beside it. A test makes both and
// compares the columns.
//
// Where one SQL cannot say it (row locks, whole-database checks), the caller asks
// DB.Dialect and says so in a comment.
//
// # Life of a database
//
//  1. `caregate init` calls Open with Create; nothing else ever does, so that a
//     missing file or a database without our tables is an error and not a silently
//     empty log or vault.
//  2. On SQLite, Open sets WAL mode, the requested durability and foreign keys on every
//     connection. Who finds another writer waits for it until the call's context
//     ends, a minute at most. So a text given to Exec outside of a transaction is one
//     statement: it may be run again. Open refuses libraries older than 3.51.3,
//     whose WAL reset could lose committed pages. On Linux a commit waits for fdatasync
//     (datasync_linux.go). On PostgreSQL it refuses servers
//     older than 14, standbys, and those that acknowledge what they may lose
//     (fsync, full_page_writes, synchronous_commit).
//  3. Migrate applies the caller's numbered, embedded SQL files, each in one
//     transaction. A file is never edited after a release.
//  4. Close checkpoints SQLite's WAL, so that a copied data directory is whole.
//
// A writer that must be alone takes LockDir on its directory first, and on PostgreSQL
// LockSession on its connection.
package store
