package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/vault"
)

// The ids of rows follow one another as their tokens were drawn, and tokens show nothing of
// that (V2): neither what is said of one moment nor the id of the row.
func TestRowsInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	v := openAt(t, dir, c)
	var tokens []string
	for i := range 40 {
		if i%4 == 0 {
			c.pass(time.Millisecond)
		}
		tokens = append(tokens, tokenOf(t, v, "", val("iban", fmt.Sprint("N", i))))
	}
	ids := idsOfTokens(t, openDB(t, dir))
	if len(ids) != len(tokens) {
		t.Fatalf("%d rows, want %d", len(ids), len(tokens))
	}
	times, begins := make(map[string]int), make(map[string]bool)
	for i, token := range tokens {
		row := vault.RowsOf(v, token)[0]
		if !ids[string(row[:])] {
			t.Errorf("token %d leads to no row", i)
		}
		for id := range ids {
			if token == vault.WriteToken(v, [16]byte([]byte(id))) {
				t.Errorf("token %d shows the id of a row", i)
			}
		}
		if i > 0 {
			before := vault.RowsOf(v, tokens[i-1])[0]
			if bytes.Compare(before[:6], row[:6]) > 0 {
				t.Errorf("row %d is sorted before the one drawn before it", i)
			}
		}
		times[string(row[:6])]++
		begins[token[4:9]] = true
	}
	if len(times) != 10 {
		t.Errorf("ids of %d times, want 10", len(times))
	}
	if len(begins) < len(tokens)-1 {
		t.Errorf("%d tokens have %d beginnings", len(tokens), len(begins))
	}
}

// idsOfTokens are the ids of all rows.
func idsOfTokens(t *testing.T, db *store.DB) map[string]bool {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT id FROM token")
	must(t, err)
	defer rows.Close()
	ids := make(map[string]bool)
	for rows.Next() {
		var id []byte
		must(t, rows.Scan(&id))
		ids[string(id)] = true
	}
	must(t, rows.Err())
	return ids
}

// Tokens from before, which say the ids of their rows, lead to their values and payments
// as they did; and the id of a row drawn since is nobody's token (V9).
func TestTokensThatSayTheirRow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	old, err := vault.OldToken(t.Context(), v, "", val(vault.KindPayment, "ch_1aQx"))
	must(t, err)
	if row := vault.RowsOf(v, old)[1]; !idsOfTokens(t, openDB(t, dir))[string(row[:])] {
		t.Fatal("the token does not say the id of its row, so the test sees nothing")
	}
	must(t, v.Learn(t.Context(), []vault.Learned{{Tokens: []string{old}, Payment: vault.Payment{Place: "stripe", Currency: "EUR", Amount: 100}}}))
	var linked int
	must(t, openDB(t, dir).QueryRowContext(t.Context(), "SELECT count(*) FROM payment_token l JOIN token t ON t.id = l.token").Scan(&linked))
	if linked != 1 {
		t.Errorf("%d payments lead to the token, want 1", linked)
	}
	w := open(t, dir) // which remembers nothing
	if got := tokenOf(t, w, "", val(vault.KindPayment, "ch_1aQx")); got != old {
		t.Error("a value from before has another token")
	}
	if got := revealed(t, w, old); got != "ch_1aQx" {
		t.Error("a token from before leads to another value")
	}
	drawn := tokenOf(t, w, "", val("iban", "SINCE"))
	if _, err := w.Reveal(t.Context(), vault.WriteToken(w, vault.RowsOf(w, drawn)[0])); !errors.Is(err, vault.ErrToken) {
		t.Errorf("the id of a row taken for a token: got %v, want ErrToken", err)
	}
}

// Files have pages of 2 KiB from their first, and a write-ahead log.
func TestPagesOfANewFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	var page int
	var journal string
	db := openDB(t, dir)
	must(t, db.QueryRowContext(t.Context(), "PRAGMA page_size").Scan(&page))
	must(t, db.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&journal))
	if page != 2048 || journal != "wal" {
		t.Errorf("got pages of %d bytes and journal %q", page, journal)
	}
}
