package proxy_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/audit/objectlock/objectlocktest"
	"github.com/caregate/caregate/proxy/proxytest"
)

// F14, A19: a data directory that was set back as a whole fits together and opens, but
// not where its archive knows of a later state. Without the bucket calls go on.
func TestSetBackBehindTheArchive(t *testing.T) {
	endpoint := objectlocktest.Start(t)
	objectlocktest.CreateBucket(t, endpoint, "acme-audit", true)
	for k, v := range objectlocktest.Environment() {
		t.Setenv(k, v)
	}
	u := proxytest.NewUpstream(t, nil)
	archived := proxytest.Options{Upstream: u.URL, Block: "archive s3://acme-audit {\n endpoint " + endpoint + "\n every 200ms\n}"}
	g := proxytest.Start(t, archived)
	read := call{method: "GET", path: "/api/v2/tickets/1"}
	do(t, g, read)
	waitArchived(t, g)
	g.Stop()
	older := t.TempDir()
	if err := os.CopyFS(older, os.DirFS(g.Data)); err != nil {
		t.Fatal(err)
	}
	g.Restart()
	before := g.WaitForEntries(1)
	do(t, g, read)
	g.WaitForEntries(before + 2)
	waitArchived(t, g)
	g.Stop()

	if err := os.RemoveAll(g.Data); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(g.Data, os.DirFS(older)); err != nil {
		t.Fatal(err)
	}
	protectKeys(t, g.Data)
	if err := g.Load(archived); err == nil || !strings.Contains(err.Error(), audit.ErrArchiveDiffers.Error()) || !strings.Contains(err.Error(), "set back") {
		t.Errorf("a log older than its archive: got %v, want ErrArchiveDiffers", err)
	}
	// Nobody to ask: the gateway starts, and says so in its messages.
	away := archived
	away.Block = strings.Replace(archived.Block, endpoint, "http://"+proxytest.FreeAddr(t), 1)
	if err := g.Load(away); err != nil {
		t.Errorf("the bucket is out of reach: %v", err)
	}
	if a := do(t, g, read); a.status != 200 {
		t.Errorf("the bucket is out of reach: got %d %s", a.status, a.body)
	}
}

// protectKeys gives key files back the mode that copying took.
func protectKeys(t *testing.T, dir string) {
	t.Helper()
	keys, err := os.ReadDir(dir + "/keys")
	if err := errors.Join(err, os.Chmod(dir+"/keys", 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if err := os.Chmod(dir+"/keys/"+k.Name(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
