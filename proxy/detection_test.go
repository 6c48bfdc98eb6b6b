package proxy_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// The operator's lists take effect without a reload of Caddy, a broken file
// changes nothing, and every change is in the log.
func TestDetectionListsAreReadAgain(t *testing.T) {
	proxy.Within(t, proxy.RefreshEvery, 24*time.Hour) // this test looks by itself
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusCreated, `{"ticket":{"id":1}}`))
	file := filepath.Join(t.TempDir(), "detect.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const allow = "version: 1\nallow:\n  - pattern: \"40128888########\"\n    author: dana\n    until: 2999-12-31\n"
	write("version: 1\n")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "detect " + file})
	sends := func(want string) {
		t.Helper()
		a := do(t, g, call{method: "POST", path: "/api/v2/tickets.json", body: `{"ticket":{"comment":{"body":"my card 4012888888881881"}}}`})
		if a.status != http.StatusCreated || !strings.Contains(string(u.Last(t).Body), want) {
			t.Errorf("status %d, the upstream got %s, want %s in it", a.status, u.Last(t).Body, want)
		}
	}
	sends("XXXXXXXXXXXX1881")

	entries := g.WaitForEntries(1)
	// Not before the log has it.
	free, err := proxy.LeaveRoom(t.Context(), audit.LaneReserved, 0)
	if err != nil {
		t.Fatal(err)
	}
	write("version: 1\nallow:\n  - pattern: \"401288888888####\"\n    author: dana\n    until: 2999-12-31\n")
	if taken, err := proxy.RefreshDetection(time.Now()); err == nil || taken {
		t.Errorf("without room in the log: taken %v, %v", taken, err)
	}
	write("version: 1\n")
	free()
	sends("XXXXXXXXXXXX1881")
	write(allow)
	if taken, err := proxy.RefreshDetection(time.Now()); err != nil || !taken {
		t.Fatalf("taken %v, %v", taken, err)
	}
	g.WaitForEntries(entries + 1)
	sends("4012888888881881")

	write("version: 1\nallows: []\n")
	if taken, err := proxy.RefreshDetection(time.Now()); err == nil || taken || !strings.Contains(err.Error(), "detect.yaml:2: ") {
		t.Errorf("a broken file: taken %v, %v", taken, err)
	}
	sends("4012888888881881")

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if taken, err := proxy.RefreshDetection(time.Now()); err != nil || taken {
		t.Errorf("no file: taken %v, %v", taken, err)
	}
	sends("4012888888881881")

	// The row ends with its last day, without anybody touching the file.
	write(strings.ReplaceAll(allow, "2999-12-31", "2030-01-31"))
	if _, err := proxy.RefreshDetection(time.Date(2030, 1, 31, 23, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	sends("4012888888881881")
	if taken, err := proxy.RefreshDetection(time.Date(2030, 2, 1, 0, 0, 0, 0, time.UTC)); err != nil || !taken {
		t.Fatalf("taken %v, %v", taken, err)
	}
	sends("XXXXXXXXXXXX1881")
}

// Nobody has to say that the lists have changed.
func TestDetectionListsAreWatched(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	file := filepath.Join(t.TempDir(), "detect.yaml")
	write(t, file, "version: 1\n")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "detect " + file})
	const body = `{"ticket":{"comment":{"body":"my card 4012888888881881"}}}`
	passes := func() bool {
		a := do(t, g, call{method: "POST", path: "/api/v2/tickets.json", body: body})
		return a.status == http.StatusOK && string(u.Last(t).Body) == body
	}
	if passes() {
		t.Fatal("a card passes")
	}
	write(t, file, "version: 1\nallow:\n  - pattern: \"40128888########\"\n    author: dana\n    until: 2999-12-31\n")
	eventually(t, "the lists changed", passes)
}

func TestDetectionListsAreChecked(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	file := filepath.Join(t.TempDir(), "detect.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nallow:\n  - term: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, block := range map[string]string{"detect.yaml:3: ": "detect " + file, "no such file": "detect " + file + "x", "detect wants the file": "detect"} {
		if err := g.Load(proxytest.Options{Upstream: u.URL, Block: block}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", block, err, want)
		}
	}
}
