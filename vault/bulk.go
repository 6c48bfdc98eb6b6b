package vault

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/store"
)

// bulkSizes are for how many rows at once statements are prepared: few, so that each is
// parsed once and not at every call, which costs more than what it does.
var bulkSizes = [...]int{64, 32, 16, 4, 1}

// bulk is one statement about several rows.
type bulk [len(bulkSizes)]*sql.Stmt

// prepareBulk prepares head, a list of rows with as many parameters as columns, and tail.
func prepareBulk(ctx context.Context, db *store.DB, head string, columns int, tail string) (b bulk, err error) {
	for i, rows := range bulkSizes {
		list := places(rows, columns)
		if columns == 0 { // a list of single values
			list = places(1, rows)
		}
		if db.Dialect == store.SQLite {
			list = plain(list)
		}
		if b[i], err = db.PrepareContext(ctx, head+list+tail); err != nil { //nolint:sqlclosecheck // whoever gets them closes them, with all others
			return b, fmt.Errorf("opening the vault: %w", err)
		}
	}
	return b, nil
}

// of is the statement for a number of rows, which is one of bulkSizes.
func (b *bulk) of(rows int) *sql.Stmt {
	for i, n := range bulkSizes {
		if n == rows {
			return b[i]
		}
	}
	panic("vault: no statement for " + strconv.Itoa(rows) + " rows")
}

// inBulk cuts a list into pieces of bulkSizes.
func inBulk[T any](all []T) iter.Seq[[]T] {
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

// places is the list of parameters for rows of some columns: ($1, $2), ($3, $4).
func places(rows, columns int) string {
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
