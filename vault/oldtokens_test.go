package vault_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/vault"
)

const (
	tokensInOne = "00007_tokens_in_one.sql"
	newestFile  = "00010_newest_tokens.sql"
)

// setBack gives a vault the tables that tokens stood in before version 7 of them, three
// in place of one, and returns its database.
func setBack(t *testing.T, dir string) *store.DB {
	t.Helper()
	db := openDB(t, dir)
	if db.Dialect == store.SQLite {
		_, err := db.ExecContext(t.Context(), "PRAGMA secure_delete = ON")
		must(t, err)
	}
	for _, version := range []string{"00011_erasure_logs.sql", newestFile, "00008_pending_events.sql", tokensInOne} {
		if version == newestFile && db.Dialect == store.Postgres {
			continue // it changes nothing there
		}
		text, err := os.ReadFile("migrations/" + version)
		must(t, err)
		_, down, _ := strings.Cut(string(text), "-- +goose Down")
		if db.Dialect == store.Postgres {
			down = strings.NewReplacer("BLOB", "BYTEA", "TEXT", `TEXT COLLATE "C"`, " WITHOUT ROWID", "").Replace(down)
		}
		_, err = db.ExecContext(t.Context(), down)
		must(t, err)
	}
	_, err := db.ExecContext(t.Context(), "DELETE FROM schema_vault WHERE version_id >= 7")
	must(t, err)
	return db
}

// Many old tokens, some of them pending, are converted in one walk through them: how long
// it takes is not how many there are times how many are pending. V12: what stands in the
// way in the middle of it leaves them as they were.
func TestManyOldTokens(t *testing.T) {
	t.Parallel()
	const tokens, pending = 5_000, 500
	dir := t.TempDir()
	v := open(t, dir)
	known := tokenOf(t, v, "", val("iban", "KNOWN"))
	must(t, v.Close())
	db := setBack(t, dir)
	ctx := t.Context()
	exec := func(query string, args ...any) {
		t.Helper()
		_, err := db.ExecContext(ctx, forgery(db, query), args...)
		must(t, err)
	}
	var person []byte
	must(t, db.QueryRowContext(ctx, "SELECT person FROM token").Scan(&person))
	tx, err := db.BeginTx(ctx, nil)
	must(t, err)
	for n := range tokens {
		id := binary.BigEndian.AppendUint64(bytes.Repeat([]byte{1}, 8), uint64(n))
		_, err := tx.ExecContext(ctx, `INSERT INTO token (id, tenant, scope, kind, person, sealed, created, expires) VALUES ($1, 'default', '', 'iban', $2, $1, $3, 0)`, id, person, n)
		must(t, err)
		_, err = tx.ExecContext(ctx, `INSERT INTO token_blind (mac, tenant, scope, kind, version, token, tag) VALUES ($1, 'default', '', 'iban', 1, $1, $1)`, id)
		must(t, err)
		if n%(tokens/pending) == 0 {
			_, err = tx.ExecContext(ctx, `INSERT INTO token_pending (token, created) VALUES ($1, 1)`, id)
			must(t, err)
		}
	}
	must(t, tx.Commit())
	if db.Dialect == store.SQLite {
		noScanOfPending(t, db)
	}

	exec(`CREATE TABLE payment_token_was (a BIGINT)`) // which the migration wants to make
	if w, err := vault.Open(ctx, dir, vault.Config{}); err == nil {
		must(t, w.Close())
		t.Fatal("the migration was not held up, so the test sees nothing")
	}
	var n int
	if must(t, db.QueryRowContext(ctx, "SELECT count(*) FROM token_pending p JOIN token_blind b ON b.token = p.token JOIN token t ON t.id = b.token").Scan(&n)); n != pending {
		t.Errorf("after half a migration %d tokens are pending, want %d", n, pending)
	}
	exec(`DROP TABLE payment_token_was`)

	w := opened(t, dir, vault.Config{})
	if revealed(t, w, known) != "KNOWN" {
		t.Error("a token leads to another value")
	}
	var all, marks int
	must(t, db.QueryRowContext(ctx, "SELECT count(*), count(DISTINCT CASE WHEN mark > 0 THEN mark END) FROM token").Scan(&all, &marks))
	must(t, db.QueryRowContext(ctx, "SELECT count(*) FROM token t JOIN token_pending p ON p.mark = t.mark AND p.tokens = t.id").Scan(&n))
	if all != tokens+1 || marks != pending || n != pending {
		t.Errorf("%d tokens, %d marks, %d of them their tokens': want %d, %d and as many", all, marks, n, tokens+1, pending)
	}
}

// noScanOfPending checks that the migration looks for what is pending by the token.
func noScanOfPending(t *testing.T, db *store.DB) {
	t.Helper()
	text, err := os.ReadFile("migrations/" + tokensInOne)
	must(t, err)
	tx, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	defer tx.Rollback()
	for statement := range strings.SplitSeq(string(text), ";\n") {
		if !strings.Contains(statement, "INSERT INTO token_next") {
			_, err := tx.ExecContext(t.Context(), statement)
			must(t, err)
			continue
		}
		rows, err := tx.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement)
		must(t, err)
		defer rows.Close()
		steps := 0
		for rows.Next() {
			var id, parent, unused int
			var detail string
			must(t, rows.Scan(&id, &parent, &unused, &detail))
			if steps++; detail == "SCAN p" || strings.HasPrefix(detail, "SCAN p ") {
				t.Errorf("all that is pending is looked through for each token: %s", detail)
			}
		}
		must(t, rows.Err())
		if steps < 3 {
			t.Errorf("a plan of %d steps", steps)
		}
		return
	}
	t.Error("the migration makes no token_next")
}

// V12: a vault whose tokens stand in three tables, as they did before version 7 of them,
// is opened: what was kept leads to its value and is found for it, what was pending is
// swept, and payments go on leading to theirs.
func TestOldTokensStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	ann := subject(t, v, "email", "ann@example.com")
	hers, anybodys := vault.Value{Kind: "iban", Text: []byte("HERS"), Subject: ann}, val(vault.KindPayment, "ch_1aQx")
	wasHers, wasAnybodys := tokenOf(t, v, "", hers), tokenOf(t, v, "talk 7", anybodys)
	must(t, v.Learn(t.Context(), []vault.Learned{{Tokens: []string{wasAnybodys}, Payment: vault.Payment{Place: "stripe", Currency: "EUR", Amount: 100}}}))
	var orphans []*vault.Issue
	for _, text := range []string{"ORPHAN", "LATE"} {
		is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", text)})
		must(t, err)
		orphans = append(orphans, is)
	}
	must(t, v.Close())
	db := setBack(t, dir)
	var n int
	if must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM token_blind b JOIN token t ON t.id = b.token").Scan(&n)); n != 4 {
		t.Fatalf("%d tokens in the old tables, want 4", n)
	}
	if must(t, db.QueryRowContext(t.Context(), "SELECT count(token) FROM token_pending").Scan(&n)); n != 2 {
		t.Fatalf("%d of them pending, want 2", n)
	}
	var sealed []byte
	must(t, db.QueryRowContext(t.Context(), "SELECT sealed FROM token LIMIT 1").Scan(&sealed))
	must(t, db.Close())

	if db.Dialect == store.SQLite { // what was dropped is nowhere
		must(t, opened(t, dir, vault.Config{}).Close())
		raw, err := os.ReadFile(filepath.Join(dir, "vault.db"))
		must(t, err)
		if n := bytes.Count(raw, sealed); n != 1 {
			t.Errorf("a sealed value stands in %d places of the file, want 1", n)
		}
	}
	w := openAt(t, dir, &clock{at: time.Now().Add(2 * vault.OrphanTime)})
	if revealed(t, w, wasHers) != "HERS" || revealed(t, w, wasAnybodys) != "ch_1aQx" {
		t.Error("a token leads to another value")
	}
	late, err := w.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "LATE")})
	must(t, err)
	if late.Tokens[0] != orphans[1].Tokens[0] {
		t.Error("what was pending is not found")
	}
	must(t, late.Keep(t.Context()))
	swept, err := w.Sweep(t.Context())
	if want := (vault.Swept{Orphans: 1}); err != nil || swept != want {
		t.Errorf("swept: got %+v, %v, want %+v", swept, err, want)
	}
	if _, err := w.Reveal(t.Context(), orphans[0].Tokens[0].Text); !errors.Is(err, vault.ErrToken) {
		t.Errorf("what was swept: got %v, want ErrToken", err)
	}
	if revealed(t, w, late.Tokens[0].Text) != "LATE" || tokenOf(t, w, "talk 7", anybodys) != wasAnybodys {
		t.Error("a value has another token")
	}
	hers.Subject = subject(t, w, "email", "ann@example.com")
	if tokenOf(t, w, "", hers) != wasHers {
		t.Error("a value of a person has another token")
	}
	if must(t, openDB(t, dir).QueryRowContext(t.Context(), "SELECT count(*) FROM payment_token l JOIN token t ON t.id = l.token").Scan(&n)); n != 1 {
		t.Errorf("%d payments lead to tokens, want 1", n)
	}
}
