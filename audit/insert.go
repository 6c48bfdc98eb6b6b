package audit

import (
	"context"
	"database/sql"
	"strings"
)

// inserterRows is how many rows one statement takes: a statement per row costs
// several times as much.
const inserterRows = 64

// insertInto opens our inserts of many rows. With SQLite's default, a failing row
// undoes its statement, so that each statement first copies every page it touches;
// ours end the transaction anyway. PostgreSQL's INSERT INTO is the same to us.
const insertInto = "INSERT OR ROLLBACK INTO "

// inserter collects rows into multi-row inserts inside one transaction.
type inserter struct {
	tx         *sql.Tx
	head, tail string // of the statement, around the VALUES list
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

func (n *inserter) statement(rows int) string {
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", n.cols), ", ") + "), "
	return n.head + strings.TrimSuffix(strings.Repeat(one, rows), ", ") + n.tail
}
