// Package audit is the append-only, verifiable log of every exchange.
package audit
