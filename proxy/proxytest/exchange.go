package proxytest

import (
	"encoding/hex"
	"path/filepath"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
)

// Exchange reads all events of the exchange that a receipt belongs to, in their
// order: what was decided about the request, then about the answer. It waits
// until the index has the event of the receipt, which takes about a second.
func (g *Gateway) Exchange(receipt string) []console.Event {
	g.tb.Helper()
	eid, err := hex.DecodeString(receipt)
	if err != nil {
		g.tb.Fatalf("a receipt of %d characters: %v", len(receipt), err)
	}
	deadline := time.Now().Add(patience)
	for {
		if ids := g.indexed(eid); len(ids) > 0 {
			var out []console.Event
			for _, id := range ids {
				out = append(out, g.Event(hex.EncodeToString(id)))
			}
			return out
		}
		if time.Now().After(deadline) {
			g.tb.Fatalf("the index has no event %s", receipt)
		}
		g.Verify() // takes its time
	}
}

// indexed lists the events of the exchange that has event eid, as far as the
// index has come.
func (g *Gateway) indexed(eid []byte) (ids [][]byte) {
	g.tb.Helper()
	db, err := g.OpenDB(filepath.Join("audit", "index.db"), store.Options{ReadOnly: true})
	if err != nil {
		g.tb.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(g.tb.Context(), `SELECT other.eid FROM audit_index AS one, audit_index AS other
		WHERE one.eid = $1 AND other.xid = one.xid ORDER BY other.shard, other.idx`, eid)
	if err != nil {
		g.tb.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			g.tb.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		g.tb.Fatal(err)
	}
	return ids
}
