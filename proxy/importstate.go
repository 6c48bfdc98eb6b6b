package proxy

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// importState is how far an import of what a vendor has already came. It is written in the
// transaction of the sightings of each page: what a crash takes with it is asked for again,
// and nothing is counted twice.
type importState struct {
	V int `json:"v"`
	// Run is the id of the import and that of the event which tells that it ended.
	Run   string       `json:"run"`
	Begun time.Time    `json:"begun"`
	Ended time.Time    `json:"ended,omitzero"`
	Lists []importList `json:"lists"`
	// Told says that the log has the event about the end.
	Told bool `json:"told,omitempty"`
}

// importList is how far one list of the channel file was read.
type importList struct {
	Name string `json:"name"`
	// Cursor is where the next page is, empty for the first.
	Cursor string `json:"cursor,omitempty"`
	Pages  int    `json:"pages"`
	// Records counts elements of the list, as often as the vendor listed them.
	Records int  `json:"records"`
	Done    bool `json:"done,omitempty"`
	// Mark is the digest of an earlier cursor, from the page MarkAt. It is moved on at pages 1,
	// 2, 4, 8 ..., so that a circle of any length is met.
	Mark   string `json:"mark,omitempty"`
	MarkAt int    `json:"mark_at,omitempty"`
}

const importStateVersion = 1

// turned notes a page behind which the list goes on at next, and tells whether the vendor
// goes in a circle.
func (l *importList) turned(next string) (circle bool) {
	l.Pages++
	sum := sha256.Sum256([]byte(next))
	digest := hex.EncodeToString(sum[:16])
	if l.Mark == digest {
		return true
	}
	if l.MarkAt == 0 || l.Pages >= 2*l.MarkAt {
		l.Mark, l.MarkAt = digest, l.Pages
	}
	l.Cursor = next
	return false
}

// list is the first one that is not done, nil when all are.
func (s *importState) list() *importList {
	for i := range s.Lists {
		if !s.Lists[i].Done {
			return &s.Lists[i]
		}
	}
	return nil
}

// imports keeps the states in state.db. It is safe for concurrent use, also by several
// processes.
type imports struct{ db *store.DB }

// errImportMoved: somebody else has read on meanwhile.
var errImportMoved = errors.New("the import was continued by somebody else meanwhile")

// load returns the import of an account with its version; nil and 0 for none.
func (i *imports) load(ctx context.Context, account string) (*importState, int64, error) {
	_, s, version, err := i.read(ctx, `account = $1`, account)
	return s, version, err
}

// find returns the import with an id and its account, nil for none.
func (i *imports) find(ctx context.Context, run string) (account string, s *importState, version int64, err error) {
	return i.read(ctx, `run = $1`, run)
}

func (i *imports) read(ctx context.Context, where, arg string) (account string, s *importState, version int64, err error) {
	var text string
	err = i.db.QueryRowContext(ctx, `SELECT account, version, state FROM channel_import WHERE `+where, arg).Scan(&account, &version, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil, 0, nil
	}
	if err != nil {
		return "", nil, 0, fmt.Errorf("reading how far an import came: %w", err)
	}
	s = new(importState)
	if err := json.Unmarshal([]byte(text), s); err != nil || s.V != importStateVersion {
		return "", nil, 0, errors.New("reading how far an import came: it is not what this version writes")
	}
	return account, s, version, nil
}

// save writes a state within tx over the one with a version, 0 for none.
func (i *imports) save(ctx context.Context, tx *sql.Tx, account string, s *importState, over int64) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing how far an import came: %w", err)
	}
	var done sql.Result
	if over == 0 {
		done, err = tx.ExecContext(ctx, `INSERT INTO channel_import (account, run, version, state) VALUES ($1, $2, 1, $3) ON CONFLICT (account) DO NOTHING`, account, s.Run, string(text))
	} else {
		done, err = tx.ExecContext(ctx, `UPDATE channel_import SET run = $2, version = version + 1, state = $3 WHERE account = $1 AND version = $4`, account, s.Run, string(text), over)
	}
	if err != nil {
		return fmt.Errorf("writing how far an import came: %w", err)
	}
	n, err := done.RowsAffected()
	switch {
	case err != nil:
		return fmt.Errorf("writing how far an import came: %w", err)
	case n != 1:
		return errImportMoved
	}
	return nil
}

// put is save in a transaction of its own.
func (i *imports) put(ctx context.Context, account string, s *importState, over int64) error {
	tx, err := i.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing how far an import came: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := i.save(ctx, tx, account, s, over); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("writing how far an import came: %w", err)
	}
	return nil
}
