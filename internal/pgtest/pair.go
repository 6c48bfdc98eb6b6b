package pgtest

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Pair is a server of a test's own with a standby that follows it by streaming.
type Pair struct {
	// Primary and Standby are the URLs of one empty database as it is on either server,
	// Either finds it on the one that takes writes, as clients of a pair do.
	Primary, Standby, Either string

	primary *server
}

// StartPair starts a server and its standby, which nobody waits for yet, and returns when
// the standby follows. Both end with the test.
func StartPair(t testing.TB) *Pair {
	t.Helper()
	// No folder of archived WAL: what the standby may still have to ask for is kept.
	primary := own(t, nil, "wal_keep_size=1GB")
	standby := own(t, primary)
	p := &Pair{Primary: primary.url("postgres"), Standby: standby.url("postgres"), primary: primary}
	u, err := url.Parse(p.Primary)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = url.Values{"host": {primary.dir + "," + standby.dir}, "target_session_attrs": {"primary"}}.Encode()
	p.Either = u.String()
	Await(t, p.Primary, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "1")
	return p
}

// Synchronous makes every commit of the primary wait until the standby has synced it.
func (p *Pair) Synchronous(t testing.TB) {
	t.Helper()
	Set(t, p.Primary, "synchronous_standby_names", "*")
	Await(t, p.Primary, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1")
}

// Sever keeps from the standby what the primary commits from now on.
func (p *Pair) Sever(t testing.TB) {
	t.Helper()
	alter(t, p.Standby, "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
	Await(t, p.Standby, "SELECT count(*) FROM pg_stat_wal_receiver", "0")
	Await(t, p.Primary, "SELECT count(*) FROM pg_stat_replication", "0")
}

// Crash ends the primary in the middle of whatever it does, and returns when it has
// ended. It does not come back.
func (p *Pair) Crash(t testing.TB) {
	t.Helper()
	if _, err := p.primary.life.WriteString("crash\n"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(filepath.Join(p.primary.dir, "crashed")); err == nil {
			return
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the primary does not end; it says: %s", p.primary.log())
		}
	}
}

// Promote makes the standby a primary of its own with what it has, and returns when it
// takes writes.
func (p *Pair) Promote(t testing.TB) {
	t.Helper()
	alter(t, p.Standby, "SELECT pg_promote(true, 120)")
	Await(t, p.Standby, "SELECT pg_is_in_recovery()::text", "false")
}

// alter is Exec for a server that may be a standby.
func alter(t testing.TB, database string, statements ...string) {
	t.Helper()
	db, err := store.Open(t.Context(), database, store.Options{ReadOnly: true, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}
