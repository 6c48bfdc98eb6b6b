package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// bulkSizes are for how many rows at once statements are prepared: few, so that each is
// parsed once and not at every call, which costs more than what it does.
var bulkSizes = [...]int{64, 32, 16, 4, 1}

// Bulk is one statement about several rows, prepared for some numbers of them. InBulk cuts
// a list into pieces of these numbers.
type Bulk [len(bulkSizes)]*sql.Stmt

// PrepareBulk prepares head, a list of rows with as many parameters as columns, and tail.
// With no columns the list is one of single values, in brackets. The statements end with
// the database.
func PrepareBulk(ctx context.Context, db *DB, head string, columns int, tail string) (b Bulk, err error) {
	return PrepareBulkOf(ctx, db, func(rows int) string {
		list := Places(rows, columns)
		if columns == 0 { // a list of single values
			list = Places(1, rows)
		}
		if db.Dialect == SQLite {
			list = plain(list)
		}
		return head + list + tail
	})
}

// PrepareBulkOf is PrepareBulk for a statement that is no head, list and tail: text is the whole
// of it for a number of rows.
func PrepareBulkOf(ctx context.Context, db *DB, text func(rows int) string) (b Bulk, err error) {
	for i, rows := range bulkSizes {
		if b[i], err = db.PrepareContext(ctx, text(rows)); err != nil { //nolint:sqlclosecheck // whoever gets them closes them, with all others
			return b, fmt.Errorf("preparing a statement about several rows: %w", err)
		}
	}
	return b, nil
}

// Of is the statement for the rows of a piece that InBulk cut.
func (b *Bulk) Of(rows int) *sql.Stmt {
	for i, n := range bulkSizes {
		if n == rows {
			return b[i]
		}
	}
	panic("store: no statement for " + strconv.Itoa(rows) + " rows")
}

// InBulk cuts a list into pieces that a Bulk has statements for.
func InBulk[T any](all []T) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for _, n := range bulkSizes {
			for len(all) >= n {
				if !yield(all[:n]) {
					return
				}
				all = all[n:]
			}
		}
	}
}

// Places is the list of parameters for rows of some columns: ($1, $2), ($3, $4).
func Places(rows, columns int) string {
	var b strings.Builder
	b.Grow(rows * columns * 6)
	for r := range rows {
		if r > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		for c := range columns {
			if c > 0 {
				b.WriteString(", ")
			}
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(r*columns + c + 1))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// plain takes the numbers out of a list of parameters. To SQLite they are names, which it
// compares with all that came before.
func plain(list string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '$':
			return '?'
		case r >= '0' && r <= '9':
			return -1
		}
		return r
	}, list)
}
