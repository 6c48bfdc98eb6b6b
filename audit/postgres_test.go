package audit

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
)

// onPostgres ends the names of what runs other tests and benchmarks on PostgreSQL.
const onPostgres = "OnPostgres/"

// TestOnPostgres runs the tests of the log again, with its databases in PostgreSQL:
// both must keep the same promises with the same code. What it leaves out is about
// files, or about nothing that is stored.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"RecordAndFind":    TestRecordAndFind,    // A2, A14
		"Reload":           TestReload,           // A10, A22
		"OpenLocked":       TestOpenLocked,       // A10
		"DenialsCounted":   TestDenialsCounted,   // A17
		"IndexRebuilt":     TestIndexRebuilt,     // A14
		"Rollover":         TestRollover,         // A4, A22
		"RolloverFaults":   TestRolloverFaults,   // A2 to A9
		"Faults":           TestFaults,           // A1 to A9
		"VerifyCrashImage": TestVerifyCrashImage, // A6
		"Kill":             TestKill,             // A2
		"GapAfterFailure":  TestGapAfterFailure,  // A18
		"GapWhileClosed":   TestGapWhileClosed,   // A18
		"GapKilled":        TestGapKilled,        // A18
		"Repair":           TestRepair,           // A18
		"Expire":           TestExpire,           // A13
		"ExpireKilled":     TestExpireKilled,     // A13
		"ClockSuspect":     TestClockSuspect,     // W3
		"RepairKilled":     TestRepairKilled,     // A18
		"RepairKept":       TestRepairKeepsWhatIsWhole,
		"Queries":          TestQueries,
		"TamperedRows":     TestTamperedRows,   // A11, A14, A21
		"TamperedIntake":   TestTamperedIntake, // A2
		"VerifyLive":       TestVerifyLive,     // A8, A9
	} {
		t.Run(name, test)
	}
}

// BenchmarkOnPostgres runs the benchmarks of what is stored again.
func BenchmarkOnPostgres(b *testing.B) {
	b.Run("DurableWait", BenchmarkDurableWait)
	b.Run("Capacity", BenchmarkCapacity)
}

// create makes a log in dir. Its database is the one that the test is about.
func create(t testing.TB, dir string, c *Config) {
	t.Helper()
	if c.Deployment == "" {
		c.Deployment = "acme"
	}
	if c.Database == "" && strings.Contains(t.Name(), onPostgres) {
		c.Database = pgtest.Database(t)
	}
	if err := Create(t.Context(), dir, *c); err != nil {
		t.Fatal(err)
	}
}

// stored completes a configuration for the log in dir.
func stored(t testing.TB, dir string, c Config) Config {
	t.Helper()
	database, err := store.Place(filepath.Join(dir, auditDir))
	if err != nil {
		t.Fatal(err)
	}
	c.Database = database
	if c.Deployment == "" {
		c.Deployment = "acme"
	}
	return c
}

// copyDatabase gives a copied directory a database of its own. Whoever is connected
// to the old one loses his connection, as in a crash.
func copyDatabase(t testing.TB, dir string) {
	t.Helper()
	database := stored(t, dir, Config{}).Database
	if database == "" {
		return
	}
	pgtest.Disconnect(t, database)
	if err := store.WritePlace(filepath.Join(dir, auditDir), pgtest.Copy(t, database)); err != nil {
		t.Fatal(err)
	}
}

// openForgery opens a database of the log in dir for somebody who has no business
// there.
func openForgery(t testing.TB, dir, file string) *store.DB {
	t.Helper()
	where := whereIs(filepath.Join(dir, auditDir), stored(t, dir, Config{}).Database, file)
	db, err := store.Open(t.Context(), where, store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var (
	bytesLiteral = regexp.MustCompile(`x'([0-9a-f]*)'`)
	zeroBytes    = regexp.MustCompile(`zeroblob\(([0-9]+)\)`)
)

// forgery writes what a test says in SQLite's words in those of db.
func forgery(db *store.DB, sql string) string {
	if db.Dialect == store.SQLite {
		return sql
	}
	sql = bytesLiteral.ReplaceAllString(sql, `'\x$1'::bytea`)
	sql = zeroBytes.ReplaceAllString(sql, `decode(repeat('00', $1), 'hex')`)
	for _, r := range [...][2]string{
		{`CAST(replace(CAST(events AS TEXT), '"allow"', '"aLlow"') AS BLOB)`, `decode(replace(encode(events, 'hex'), encode('"allow"', 'hex'), encode('"aLlow"', 'hex')), 'hex')`},
		{"|| 'x' AS BLOB", `|| 'x'::bytea AS BLOB`},
		{"AS BLOB", "AS BYTEA"},
	} {
		sql = strings.ReplaceAll(sql, r[0], r[1])
	}
	return sql
}

// dropIndex takes the view away.
func dropIndex(t testing.TB, dir string) {
	t.Helper()
	if database := stored(t, dir, Config{}).Database; database != "" {
		pgtest.Exec(t, database, "DROP VIEW audit_index", "DROP TABLE audit_entry, audit_kind, audit_exposure, audit_block, audit_cover, schema_audit_index")
		return
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		removeIfThere(t, filepath.Join(dir, auditDir, indexFile+suffix))
	}
}
