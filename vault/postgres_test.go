package vault_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
)

// onPostgres is the name of the test that runs others on PostgreSQL.
const onPostgres = "TestOnPostgres"

// TestOnPostgres runs the tests of what is stored again, in PostgreSQL.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"CreateRace":             TestCreateRace,
		"RacingWriters":          TestRacingWriters,
		"ManyAtOnce":             TestManyAtOnce,
		"SwappedRows":            TestSwappedRows,
		"NamesAreSeparate":       TestNamesAreSeparate,
		"SealOpen":               TestSealOpen,
		"Periods":                TestPeriods,
		"PeriodRace":             TestPeriodRace,
		"TenantsDoNotMeet":       TestTenantsDoNotMeet,
		"ExpiredCacheReadsAgain": TestExpiredCacheReadsAgain,
		"SmallCache":             TestSmallCache,
		"TokenForm":              TestTokenForm,
		"OneTokenForOneValue":    TestOneTokenForOneValue,
		"TokensRace":             TestTokensRace,
		"ValuesComeBack":         TestValuesComeBack,
		"TokensExpire":           TestTokensExpire,
		"OrphansAreSwept":        TestOrphansAreSwept,
		"KeepRecorded":           TestKeepRecorded,
		"Shelve":                 TestShelve,
		"OriginalsEnd":           TestOriginalsEnd,
		"PlacesAreTakenOnce":     TestPlacesAreTakenOnce,
		"SwappedOriginals":       TestSwappedOriginals,
		"SweepAndKeepRace":       TestSweepAndKeepRace,
		"SwappedTokenRows":       TestSwappedTokenRows,
		"TokenGoesWithItsPerson": TestTokenGoesWithItsPerson,
		"KilledWhileIssuing":     TestKilledWhileIssuing,
		"SpendStands":            TestSpendStands,
		"TokensThatAreNotSpent":  TestTokensThatAreNotSpent,
		"Balance":                TestBalance,
		"IdempotencyKeys":        TestIdempotencyKeys,
		"PaymentIsLearned":       TestPaymentIsLearned,
		"SpendersRace":           TestSpendersRace,
		"ChangedPaymentRows":     TestChangedPaymentRows,
		"PaymentsAreSwept":       TestPaymentsAreSwept,
		"KilledWhileSpending":    TestKilledWhileSpending,
		"Rotate":                 TestRotate,
		"RewrapWhenUsed":         TestRewrapWhenUsed,
		"RotatedByAnother":       TestRotatedByAnother,
		"RotateUnderLoad":        TestRotateUnderLoad,
		"RewrapMeetsAChangedRow": TestRewrapMeetsAChangedRow,
		"KilledWhileRotating":    TestKilledWhileRotating,
		"RewrapBesideTokens":     rewrapBesideTokens,
		"Erase":                  TestErase,
		"EraseWhileRead":         TestEraseWhileRead,
		"EraseWhoCameBack":       TestEraseWhoCameBack,
		"ManyValues":             TestManyValues,
		"OldTokensStay":          TestOldTokensStay,
		"ManyOldTokens":          TestManyOldTokens,
		"EraseBeforeRelease":     TestEraseBeforeRelease,
		"RowsInOrder":            TestRowsInOrder,
		"TokensThatSayTheirRow":  TestTokensThatSayTheirRow,
		"TokenizeForErased":      TestTokenizeForErased,
		"KilledWhileErasing":     TestKilledWhileErasing,
	} {
		t.Run(name, test)
	}
}

// V12: keys of people are wrapped again while another process keeps values for them. With
// both in each other's way, PostgreSQL would end one of them.
func rewrapBesideTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	was := fill(t, v, 3)
	tx, err := openDB(t, dir).BeginTx(t.Context(), nil)
	must(t, err)
	defer tx.Rollback()
	// What inserting a token does to the row of its person until it commits.
	if _, err := tx.Exec(`SELECT id FROM person FOR KEY SHARE`); err != nil {
		t.Fatal(err)
	}
	must(t, v.Rotate(t.Context()))
	if r, err := v.Rewrap(t.Context()); err != nil || r.People == 0 || r.Retired != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
	was.there(t, v)
}

// place gives a data directory the database that the test is about.
func place(t testing.TB, dir string) {
	t.Helper()
	if !strings.HasPrefix(t.Name(), onPostgres+"/") {
		return
	}
	must(t, os.MkdirAll(dir, 0o700))
	known, err := store.Place(dir)
	must(t, err)
	if known == "" {
		must(t, store.WritePlace(dir, pgtest.Database(t)))
	}
}

// openDB opens the vault's database through one connection, for somebody who has no
// business there.
func openDB(t testing.TB, dir string) *store.DB {
	t.Helper()
	where, err := store.Where(dir, "", "vault.db")
	must(t, err)
	db, err := store.Open(t.Context(), where, store.Options{MaxConns: 1})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

var bytesLiteral = regexp.MustCompile(`x'([0-9a-f]*)'`)

// forgery writes what a test says in SQLite's words in those of db.
func forgery(db *store.DB, sql string) string {
	if db.Dialect == store.SQLite {
		return sql
	}
	return strings.ReplaceAll(bytesLiteral.ReplaceAllString(sql, `'\x$1'::bytea`), "AS BLOB", "AS BYTEA")
}
