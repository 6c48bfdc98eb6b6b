package store

import (
	"context"
	"database/sql"
	"errors"
)

// Queryer is what a query can be asked of: a database, or a transaction of it.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Row is one row of an answer.
type Row interface {
	Scan(dest ...any) error
}

// Scanned reads a row of one column that has a type of database/sql.
func Scanned[T any](row Row) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}

// List returns what scan makes of each row of a query's answer, in their order. Without rows
// the list is empty and not nil. All rows are read, and the connection is free, when it
// returns; an answer that ends early is an error and no shorter list.
func List[T any](ctx context.Context, q Queryer, scan func(Row) (T, error), query string, args ...any) (list []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	list = []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, rows.Err()
}
