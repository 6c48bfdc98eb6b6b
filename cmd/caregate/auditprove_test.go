package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/audit"
)

// TestProofPage runs the check that the page of a proof describes for people
// without this program: with Python and OpenSSL, on the files as they are written.
func TestProofPage(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"python3", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not installed, so the script in proof.txt cannot be tried: apt-get install %s", tool, tool)
		}
	}
	data := t.TempDir()
	if err := audit.Create(t.Context(), data, audit.Config{Deployment: "acme"}); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), data, audit.Config{Deployment: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	var last audit.Receipt
	for range 300 { // more than one tile
		slot, err := l.Reserve(t.Context(), audit.LaneNormal)
		if err != nil {
			t.Fatal(err)
		}
		last, err = slot.Append(audit.Event{Type: "test.event"}).Wait(t.Context())
		slot.Release()
		if err != nil {
			t.Fatal(err)
		}
	}
	key := l.PublicKey()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	proof, err := audit.Prove(t.Context(), data, last.ID)
	if err != nil {
		t.Fatal(err)
	}
	proven, err := proof.Verify([]string{key})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := last.ID.String()
	if _, err := writeProof(dir, id, proof, proven, []string{key}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, id+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "{{") {
		t.Error("the page has a place that was not filled in")
	}
	_, script, _ := strings.Cut(string(page), "---- check.py ----\n")
	script, _, ok := strings.Cut(script, "---- end ----")
	if !ok {
		t.Fatal("the page has no script")
	}
	if err := os.WriteFile(filepath.Join(dir, "check.py"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(key string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "python3", "check.py", id, key)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check(key); err != nil || !strings.Contains(out, "right: entry ") {
		t.Errorf("a right proof: %v\n%s", err, out)
	}
	other := t.TempDir()
	if err := audit.Create(t.Context(), other, audit.Config{Deployment: "acme"}); err != nil {
		t.Fatal(err)
	}
	trust, err := audit.TrustOf(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := check(trust.Keys[0]); err == nil {
		t.Errorf("another key: got\n%s", out)
	}
	if err := os.WriteFile(filepath.Join(dir, id+".leaf"), bytes.Replace(proof.Entry, []byte("test.event"), []byte("test.Event"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := check(key); err == nil {
		t.Errorf("another event: got\n%s", out)
	}
}
