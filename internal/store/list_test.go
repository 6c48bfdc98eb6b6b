package store_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/store"
)

// A list has every row in its order; no rows are no error; and what cannot be read is no
// shorter list.
func TestList(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), store.Options{Create: true, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const three = `SELECT column1 FROM (VALUES (3), (1), (2)) ORDER BY column1`
	if got, err := store.List(t.Context(), db, store.Scanned[int], three); err != nil || !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := store.List(t.Context(), db, store.Scanned[int], `SELECT 1 WHERE 1 = 0`); err != nil || got == nil || len(got) > 0 {
		t.Errorf("without rows: got %v, %v", got, err)
	}
	broken := errors.New("broken")
	scan := func(row store.Row) (int, error) {
		n, err := store.Scanned[int](row)
		if n == 2 {
			return 0, broken
		}
		return n, err
	}
	// With one connection the second would wait for ever when the first did not give it back.
	for range 2 {
		if got, err := store.List(t.Context(), db, scan, three); !errors.Is(err, broken) || got != nil {
			t.Errorf("a row that cannot be read: got %v, %v", got, err)
		}
	}
	if _, err := store.List(t.Context(), db, store.Scanned[int], `SELECT nothing`); err == nil {
		t.Error("a query that cannot be asked: no error")
	}
}
