// Package oauth keeps the tokens with which the gateway calls vendors: it asks for them by
// OAuth's client credentials or refresh token grant (RFC 6749 sections 4.4 and 6), and has
// one answer for all that call.
//
// Vendors rotate: a refresh takes both the access token and the refresh token away and gives
// new ones, in an answer that comes once. So
//
//   - one holder at a time asks for a name. Within a process that is a lock in memory; among
//     processes on PostgreSQL the lock of a database session, which falls when the process
//     ends, however it ends. SQLite's files belong to one process already.
//   - before it asks it is certain that an answer can be sealed, and a durable mark says that
//     it asks.
//   - a new pair is sealed and durable before anybody uses it.
//   - whoever finds the mark of a holder that is gone waits until its question cannot be
//     under way any more, and asks with the token from before. Where the vendor had rotated,
//     that one is refused, and the row says that the pair was lost: nobody but a person who
//     authorises the gateway again can help, with a new first token.
//
// No token, secret or answer of a vendor is in an error or a log line.
package oauth
