package audit

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// evidenceTools is the module of tools that tests of evidence need.
const evidenceTools = "../tools/evidence"

// buildTool builds a command of the tools module and returns its path.
func buildTool(t *testing.T, pkg string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("compiling other people's programs takes minutes on a new machine")
	}
	out := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", out, pkg)
	cmd.Dir = evidenceTools
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, msg)
	}
	return out
}

// D2, F18: Tessera's client and fsck accept our tree, its checkpoints and proofs,
// at sizes on both sides of full tiles, and refuse it when it was changed.
func TestTesseraAccepts(t *testing.T) {
	t.Parallel()
	opinion := buildTool(t, "./secondopinion")
	for _, n := range []int{1, 255, 700} {
		l, data := newLog(t, Config{Checkpoint: time.Hour})
		ids := recordMany(t, l, n)
		mustClose(t, l)
		trees, err := openTrees(data)
		if err != nil {
			t.Fatal(err)
		}
		older := trees[0]
		l = reopen(t, data, Config{Checkpoint: time.Hour})
		ids = append(ids, recordMany(t, l, n/2)...)
		mustClose(t, l)
		dir := t.TempDir()
		tree, key := filepath.Join(data, auditDir, treeDir, older.shard), filepath.Join(data, auditDir, publicFile)
		args := []string{"-older", filepath.Join(dir, "older"), tree, key}
		write(t, filepath.Join(dir, "older"), older.signed)
		for _, id := range append(ids[:min(len(ids), 20)], ids[len(ids)-1]) {
			p, err := Prove(t.Context(), data, id)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, id.String()+proofSuffix)
			write(t, name, []byte(p.String()))
			args = append(args, name)
		}
		ask := func() (string, error) {
			out, err := exec.CommandContext(t.Context(), opinion, args...).CombinedOutput()
			return string(out), err
		}
		if out, err := ask(); err != nil {
			t.Errorf("%d events: %v\n%s", n, err, out)
		}
		if n < 700 {
			continue
		}
		// The second opinion can see: one bit of an entry.
		bundle := filepath.Join(tree, filepath.FromSlash(tileName(levelEntries, 0, int(min(tileWidth, mustSize(t, data))))))
		good, err := os.ReadFile(bundle)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(good)
		bad[len(bad)/2] ^= 1
		write(t, bundle, bad)
		args = append([]string{"-deadline", "5s"}, args...)
		if out, err := ask(); err == nil {
			t.Errorf("%d events, one bit changed: got\n%s", n, out)
		}
	}
}

func mustSize(t *testing.T, dir string) int64 {
	t.Helper()
	n, err := Size(dir)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
