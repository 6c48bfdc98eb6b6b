package vault

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// What a transaction asks beside itself ends when the transaction has to: nobody keeps the
// one writer for ever.
func TestExtendWaitsNotForEver(t *testing.T) { //nolint:paralleltest // changes commitTimeout
	dir := t.TempDir()
	if err := Create(t.Context(), dir, Config{}); err != nil {
		t.Fatal(err)
	}
	var passed atomic.Int64
	begin := time.Unix(1_800_000_000, 0)
	v, err := Open(t.Context(), dir, Config{Now: func() time.Time { return begin.Add(time.Duration(passed.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}()
	const life = 80 * time.Hour
	value := Value{Kind: "iban", Text: []byte("GB82 WEST 1234 5698 7654 32")}
	issued, err := v.Tokenize(t.Context(), "", life, []Value{value})
	if err != nil {
		t.Fatal(err)
	}
	if err := issued.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	passed.Store(int64(life / 4)) // so that the token gets more time
	var nobody Subject
	wanted, err := v.wishFor(t.Context(), "", life, &value, &nobody)
	if err != nil {
		t.Fatal(err)
	}
	d, err := v.drafted(wanted, drawMark(), [idSize]byte{}, v.now())
	if err != nil {
		t.Fatal(err)
	}
	v.byRow.Purge() // so that the key is read
	var held []*sql.Conn
	for range v.db.Stats().MaxOpenConnections {
		c, err := v.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	defer func(was time.Duration) { commitTimeout = was }(commitTimeout)
	commitTimeout = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := v.changes.do(ctx, []change{{draft: d}}); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("got %v, and the caller's time is over: %v; want that the transaction's is", err, ctx.Err() != nil)
	}
	for _, c := range held {
		_ = c.Close()
	}
}
