package proxy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// TestOnPostgres runs tests of whole gateways again, with all tables in PostgreSQL.
func TestOnPostgres(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"GrantedKey":            TestGrantedKey,
		"OAuthCredential":       TestOAuthCredential,
		"Approval":              TestApproval,
		"Holds":                 TestHolds, // W11
		"HoldsStopDeletions":    TestHoldsStopDeletions,
		"HoldsStopInside":       TestHoldsStopDeletionsInside,
		"StandingApproval":      TestStandingApproval,
		"RevealOfMany":          TestRevealOfMany, // V11
		"RevealLimits":          TestRevealLimits, // V10
		"Incident":              TestIncident,
		"LimitIncidents":        TestLimitIncidents,
		"LimitIncidentsReveals": TestLimitIncidentsOfReveals,
		"Verify":                TestVerify,
		"VerifyLimits":          TestVerifyLimits, // V10
		"WebhookReplays":        TestWebhookReplays,
		"WebhookRepeatedAtOnce": TestWebhookRepeatedAtOnce,
		"WebhooksWithoutWindow": TestWebhooksWithoutTheWindow,
		"WhoSawWhat":            TestWhoSawWhat,
		"Trails":                TestTrailsOfARunningGateway,
		"LogFailsBeforeRelease": TestLogFailsBeforeTheRelease, // F9, A1, A3
		"StoreMoves":            testStoreMoves,
		"TokensWrittenBack":     TestTokensWrittenBack,
		"TokenOfAnAnswer":       TestTokenOfAnAnswer,
		"LogFailsBeforeTheCall": TestLogFailsBeforeTheCall, // F9, A1, A6
		"AuditDownPass":         TestAuditDownPass,         // A18, F22
		"NothingPlanted":        TestNothingPlantedRemains, // F19, A12
	} {
		t.Run(name, test)
	}
}

// A directory whose databases are elsewhere is not opened with files, nor the other
// way round, and nothing is made in either case.
func TestStoreOfTheOtherKind(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	elsewhere, files := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	made, err := proxy.CreateData(t.Context(), proxy.DataConfig{Dir: elsewhere, Database: database, Name: "acme"})
	if err != nil || made.Origin == "" || made.PublicKey == "" {
		t.Fatalf("got %+v, %v", made, err)
	}
	if _, err := proxy.CreateData(t.Context(), proxy.DataConfig{Dir: files, Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		c    proxy.DataConfig
		want string
	}{
		"files for a database": {proxy.DataConfig{Dir: elsewhere, Name: "acme"}, "store postgres"},
		"a database for files": {proxy.DataConfig{Dir: files, Database: database, Name: "acme"}, "does not move by itself"},
	} {
		if _, err := proxy.OpenData(t.Context(), tt.c); err == nil || errors.Is(err, proxy.ErrNoData) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tt.want)
		}
		if _, err := proxy.CreateData(t.Context(), tt.c); err == nil {
			t.Errorf("%s: created", name)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(elsewhere, "*.db")); len(left) != 0 {
		t.Errorf("files beside a database: %v", left)
	}
	if _, err := proxy.CreateData(t.Context(), proxy.DataConfig{Dir: filepath.Join(t.TempDir(), "c"), Database: database, Name: "acme"}); err == nil {
		t.Error("a second gateway's data in one database: created")
	}
	d, err := proxy.OpenData(t.Context(), proxy.DataConfig{Dir: elsewhere, Database: database, Name: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// A reload cannot put another database under a running gateway.
func testStoreMoves(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	o := proxytest.Options{Upstream: u.URL}
	g := proxytest.Start(t, o)
	if err := os.WriteFile(g.DatabaseFile, []byte(pgtest.Database(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Load(o); err == nil || !strings.Contains(err.Error(), "another database") {
		t.Errorf("another database: got %v", err)
	}
	if err := os.WriteFile(g.DatabaseFile, []byte("mysql://me:hush@db/care"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Load(o); err == nil || !strings.Contains(err.Error(), "postgres://") || strings.Contains(err.Error(), "hush") {
		t.Errorf("no URL: got %v", err)
	}
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"}); a.status != 200 {
		t.Errorf("afterwards: got %d %s", a.status, a.body)
	}
}
