package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
)

// tables are columns of the log's databases that a checkpoint covers. A change to a
// page of a database may touch bytes that say nothing; a change to one of these says
// something else.
var tables = []struct{ file, table, column string }{
	{"lock.db", "audit_lock", "body"},
	{"detail.db", "audit_detail", "ciphertext"}, {"detail.db", "audit_detail", "commitment"}, {"detail.db", "audit_detail", "key"},
	{"index.db", "audit_entry", "leaf_hash"}, {"index.db", "audit_entry", "eid"}, {"index.db", "audit_entry", "wall"}, {"index.db", "audit_entry", "act"},
	{"index.db", "audit_exposure", "pseudonym"}, {"index.db", "audit_exposure", "class"}, {"index.db", "audit_block", "digest"}, {"index.db", "audit_kind", "route"},
}

// tamper makes n changes to the log of a stopped gateway, one at a time, and counts
// those that a verification does not call invalid.
func (t *torture) tamper(ctx context.Context, g *gateway, n int) error {
	root := filepath.Join(g.data(), "audit")
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		// LOCK is empty, and a temporary file that a kill left behind is nobody's.
		if err == nil && !d.IsDir() && !strings.Contains(d.Name(), ".db") && d.Name() != "LOCK" && !strings.HasPrefix(d.Name(), ".tmp-") {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for range n {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if t.random.IntN(2) == 0 {
			err = t.changeFile(ctx, g, names[t.random.IntN(len(names))])
		} else {
			err = t.changeRow(ctx, g, root)
		}
		if err != nil {
			return fmt.Errorf("changing the log: %w", err)
		}
	}
	return g.verify(ctx) // everything was put back
}

// changeFile changes one file of the tree, or the key beside it.
func (t *torture) changeFile(ctx context.Context, g *gateway, path string) (err error) {
	good, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	bad, how := bytes.Clone(good), "one bit"
	switch at := t.random.IntN(len(good)); t.random.IntN(5) {
	case 0:
		bad, how = good[:at], "cut"
	case 1:
		bad, how = append(bad, byte(t.random.IntN(256))), "extended"
	default:
		bad[at] ^= 1 << t.random.IntN(8)
	}
	defer func() { err = errors.Join(err, os.WriteFile(path, good, 0o600)) }()
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		return err
	}
	return t.noticed(ctx, g, fmt.Sprintf("%s, %s", path, how))
}

// changeRow changes one value of a table, or takes its row away.
func (t *torture) changeRow(ctx context.Context, g *gateway, root string) (err error) {
	c := tables[t.random.IntN(len(tables))]
	path := filepath.Join(root, c.file)
	good, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.WriteFile(path, good, 0o600)) }()
	how := "changed"
	change := "UPDATE " + c.table + " SET " + c.column + " = CASE typeof(" + c.column + ") WHEN 'integer' THEN " + c.column + " + 1 ELSE CAST(" + c.column + " || 'x' AS BLOB) END"
	if t.random.IntN(4) == 0 {
		how, change = "removed", "DELETE FROM "+c.table
	}
	db, err := store.Open(ctx, path, store.Options{MaxConns: 1})
	if err != nil {
		return err
	}
	// Tables without rowid have none to choose by: some column tells rows apart.
	res, err := db.ExecContext(ctx, change+" WHERE "+c.column+" IN (SELECT "+c.column+" FROM "+c.table+" ORDER BY random() LIMIT 1)")
	var rows int64
	if err == nil {
		rows, err = res.RowsAffected()
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if rows == 0 {
		return nil // no such rows in this log: nothing was changed
	}
	return t.noticed(ctx, g, fmt.Sprintf("%s.%s, %s", c.table, c.column, how))
}

// noticed counts a change that was made, and whether anybody notices.
func (t *torture) noticed(ctx context.Context, g *gateway, what string) error {
	t.changes++
	r, err := audit.Verify(ctx, audit.VerifyOptions{Dir: g.data()})
	if err == nil && r.Outcome != audit.Invalid {
		t.unseen++
		fmt.Printf("not found: %s: %s\n", what, r.Outcome)
	}
	return context.Cause(ctx) // a log that cannot be read any more was noticed, too
}
