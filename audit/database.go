package audit

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/caregate/caregate/internal/store"
)

// whereIs tells where one of the log's databases is: the file called name in the
// audit folder dir, or the one PostgreSQL database that has the tables of all.
func whereIs(dir, database, name string) string {
	if database != "" {
		return database
	}
	return filepath.Join(dir, name)
}

// sameKind refuses a log in files that is opened with a PostgreSQL database, and the
// other way round; both would look empty.
func sameKind(dir, database string) error {
	known, err := store.Place(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	switch {
	case known == "" && database != "":
		return fmt.Errorf("%w: the log in %s is kept in files, not in PostgreSQL", ErrMissing, dir)
	case known != "" && database == "":
		return fmt.Errorf("%w: the databases of the log in %s are in PostgreSQL", ErrMissing, dir)
	}
	return nil
}

// openReader opens one of the databases of the log in the audit folder dir, which a
// gateway may have open.
func openReader(ctx context.Context, dir, name string) (*store.DB, error) {
	where, err := store.Where(dir, "", name)
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, where, store.Options{ReadOnly: true})
}
