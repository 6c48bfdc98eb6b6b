package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// placeFile lies in a folder whose databases are in PostgreSQL, and names theirs.
const placeFile = "postgres"

// Where tells where a database is that would otherwise be the file called name in the
// folder dir: in database, if that is not empty; else where WritePlace said for the
// folder; else in the file. Databases of one folder share one of PostgreSQL's.
func Where(dir, database, name string) (string, error) {
	if database != "" {
		return database, nil
	}
	database, err := Place(dir)
	if err != nil || database != "" {
		return database, err
	}
	return filepath.Join(dir, name), nil
}

// Place returns the PostgreSQL database that WritePlace noted for the folder, "" for a
// folder of files.
func Place(dir string) (string, error) {
	path := filepath.Join(dir, placeFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading where the databases are: %w", err)
	}
	database := strings.TrimSpace(string(data))
	if !IsURL(database) {
		return "", fmt.Errorf("%s does not name a PostgreSQL database", path)
	}
	return database, nil
}

// WritePlace notes for readers of the folder dir that its databases are in PostgreSQL.
// The note has no password: readers take theirs from PGPASSWORD or a password file,
// like every PostgreSQL client.
func WritePlace(dir, database string) error {
	u, err := url.Parse(database)
	if err != nil {
		return errors.New("the URL of the PostgreSQL database cannot be used") // what url says repeats it
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	q.Del("password")
	q.Del("sslpassword")
	u.RawQuery = q.Encode()
	return WriteFile(filepath.Join(dir, placeFile), []byte(u.String()+"\n"), 0o600)
}

// ForUpdate ends a SELECT in a transaction whose row is going to be changed by what
// was read: PostgreSQL then locks the row. A SQLite transaction has the whole file.
func (db *DB) ForUpdate() string {
	if db.Dialect == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// ForNoKeyUpdate is ForUpdate for a row that stays, with its key: PostgreSQL then lets
// others insert rows that refer to it meanwhile.
func (db *DB) ForNoKeyUpdate() string {
	if db.Dialect == Postgres {
		return " FOR NO KEY UPDATE"
	}
	return ""
}
