package audit

import (
	"context"
	"database/sql"
	"strconv"

	"github.com/caregate/caregate/internal/store"
)

// inserterRows is how many rows one statement takes: a statement per row costs
// several times as much.
const inserterRows = 64

// insertInto opens our inserts. With SQLite's default, a failing row undoes its
// statement, so that each statement first copies every page it touches; ours end the
// transaction anyway, as any error does on PostgreSQL.
func insertInto(d store.Dialect) string {
	if d == store.Postgres {
		return "INSERT INTO "
	}
	return "INSERT OR ROLLBACK INTO "
}

// inserter collects rows into multi-row inserts inside one transaction.
type inserter struct {
	tx         *sql.Tx
	dialect    store.Dialect
	into, tail string // of the statement: table and columns, and what follows the VALUES list
	cols       int
	args       []any
	full       *sql.Stmt
	inserted   int64 // rows that were really inserted
}

// add takes one row and writes when there are inserterRows.
func (n *inserter) add(ctx context.Context, values ...any) error {
	n.args = append(n.args, values...)
	if len(n.args) < inserterRows*n.cols {
		return nil
	}
	if n.full == nil {
		var err error
		if n.full, err = n.tx.PrepareContext(ctx, n.statement(inserterRows)); err != nil {
			return err
		}
	}
	return n.done(n.full.ExecContext(ctx, n.args...))
}

// flush writes what is left.
func (n *inserter) flush(ctx context.Context) error {
	if len(n.args) == 0 {
		return nil
	}
	return n.done(n.tx.ExecContext(ctx, n.statement(len(n.args)/n.cols), n.args...))
}

func (n *inserter) done(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	rows, err := res.RowsAffected()
	n.inserted += rows
	n.args = n.args[:0]
	return err
}

// statement has SQLite's nameless parameters for SQLite, which looks each name up in
// a list of all.
func (n *inserter) statement(rows int) string {
	b := make([]byte, 0, len(n.into)+len(n.tail)+32+rows*n.cols*6)
	b = append(append(append(b, insertInto(n.dialect)...), n.into...), " VALUES "...)
	for i := range rows * n.cols {
		switch {
		case i > 0 && i%n.cols == 0:
			b = append(b, "), ("...)
		case i > 0:
			b = append(b, ", "...)
		default:
			b = append(b, '(')
		}
		if n.dialect == store.Postgres {
			b = strconv.AppendInt(append(b, '$'), int64(i)+1, 10)
		} else {
			b = append(b, '?')
		}
	}
	return string(append(append(b, ')'), n.tail...))
}
