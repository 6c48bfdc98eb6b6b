package proxy

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"golang.org/x/sys/unix"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/callwatch"
	"github.com/caregate/caregate/internal/rights"
)

// bundleChildEnv makes the test binary run a gateway in place of the tests, with its system
// calls in the hands of who started it: the Caddyfile, the data directory, and the revision
// that it waits for, 0 for none, with bars between. It prints the revision in force.
const bundleChildEnv = "CAREGATE_PROXY_BUNDLE"

func bundleChild(what string) error {
	parts := strings.Split(what, "|")
	want, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return err
	}
	file, err := os.ReadFile(parts[0])
	if err != nil {
		return err
	}
	config, _, err := caddyconfig.GetAdapter(AdapterName).Adapt(file, map[string]any{"filename": parts[0]})
	if err != nil {
		return err
	}
	if err := callwatch.HandOver(); err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return err
	}
	_ = unix.Unlink(filepath.Join(parts[1], markReading))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for want != 0 && v.(*App).rules().bundle.Revision != want {
		select {
		case <-ctx.Done():
			return errors.New("the revision is not in force")
		case <-tick.C:
		}
	}
	fmt.Println(v.(*App).rules().bundle.Revision)
	_ = unix.Unlink(filepath.Join(parts[1], markFinished))
	return nil
}

// bundleBench is a data directory and the bundle that its gateways follow.
type bundleBench struct {
	t                    *testing.T
	dir, source, options string
	bundles              map[int64][]byte
}

// offers puts a bundle where gateways look for it.
func (b *bundleBench) offers(revision int64) {
	b.t.Helper()
	if err := os.WriteFile(b.source+".new", b.bundles[revision], 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(b.source+".new", b.source); err != nil {
		b.t.Fatal(err)
	}
}

var bundleTemp = regexp.MustCompile(`\.tmp-[0-9]+`)

// run runs a gateway until it has a revision in force, 0 for the one that it starts with,
// and asks kill about its calls on files after it has started. It returns what is in
// force, 0 when it was killed.
func (b *bundleBench) run(want int64, started func(), kill func(moment) bool) int64 {
	b.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), bundleChildEnv+"="+b.options+"|"+b.dir+"|"+strconv.FormatInt(want, 10))
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	turns := map[string]int{}
	phase, killed := "", false
	err := callwatch.Supervise(b.t, cmd, b.dir, func(c callwatch.Call) callwatch.Verdict {
		switch c.Path {
		case markReading:
			started()
			fallthrough
		case markFinished:
			phase = c.Path
			return callwatch.Verdict{}
		}
		site := c.Name + " " + bundleTemp.ReplaceAllString(c.Path, ".tmp")
		if phase != markReading || killed {
			return callwatch.Verdict{}
		}
		turns[site]++
		killed = kill(moment{site, turns[site]})
		return callwatch.Verdict{Kill: killed}
	})
	var exit *exec.ExitError
	switch {
	case strings.Contains(stderr.String(), callwatch.ErrNotPermitted.Error()):
		rights.Lacks(b.t, rights.Seccomp, strings.TrimSpace(stderr.String()))
	case killed && errors.As(err, &exit) && exit.ExitCode() == -1:
		return 0
	case killed || err != nil:
		b.t.Fatalf("the gateway ended with %v: %s", err, stderr.String())
	}
	revision, err := strconv.ParseInt(strings.TrimSpace(stdout.String()), 10, 64)
	if err != nil {
		b.t.Fatalf("the gateway said %q: %s", stdout.String(), stderr.String())
	}
	return revision
}

// recorded tells whether the log has an event of a revision.
func (b *bundleBench) recorded(revision int64) (found bool) {
	b.t.Helper()
	// Who opens the log after a kill brings everything that is durable into its tree.
	data, err := OpenData(b.t.Context(), DataConfig{Dir: b.dir, Name: "test"})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := data.Close(); err != nil {
		b.t.Fatal(err)
	}
	_, err = audit.Entries(b.t.Context(), b.dir, 0, func(e audit.Entry) error {
		found = found || e.Leaf.Attrs["bundle_revision"] == strconv.FormatInt(revision, 10)
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

// newBundleBench is a bench on a copy of a data directory.
func newBundleBench(t *testing.T, fresh string, key string, bundles map[int64][]byte) *bundleBench {
	t.Helper()
	b := &bundleBench{t: t, dir: copyData(t, fresh), bundles: bundles}
	folder := t.TempDir()
	b.source, b.options = filepath.Join(folder, "bundle.tar.gz"), filepath.Join(folder, "Caddyfile")
	text := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tcaregate {\n\t\tname test\n\t\tstore sqlite %s\n\t\tpolicy bundle %s {\n\t\t\tkey %s\n\t\t}\n\t}\n}\n", b.dir, b.source, key)
	if err := os.WriteFile(b.options, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func never(moment) bool { return false }

// A gateway is killed at system calls on files while it takes a bundle. The next one starts
// with the old bundle or with the new one, never with less than the log tells, and does not
// go back; then it takes the new one.
func TestBundleKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	if rights.Without(rights.Seccomp) {
		t.Skip("told to go without " + rights.Seccomp)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "policy.pub")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	bundles := make(map[int64][]byte)
	for _, revision := range []int64{1, 2} {
		rule := fmt.Sprintf("package caregate.operator\n\ndeny contains \"revision_%d\" if input.purpose == \"x\"\n", revision)
		if bundles[revision], err = SignBundle(private, revision, map[string]string{"own.rego": rule}); err != nil {
			t.Fatal(err)
		}
	}
	fresh := filepath.Join(t.TempDir(), "data")
	if _, err := CreateData(t.Context(), DataConfig{Dir: fresh, Name: "test"}); err != nil {
		t.Fatal(err)
	}
	first := newBundleBench(t, fresh, key, bundles)
	first.offers(1)
	first.run(1, func() {}, never)
	fresh = first.dir
	if err := os.Remove(filepath.Join(fresh, SocketName)); err != nil { // it cannot be copied
		t.Fatal(err)
	}

	var all []moment
	b := newBundleBench(t, fresh, key, bundles)
	b.offers(1)
	kept := 0
	b.run(2, func() { b.offers(2) }, func(m moment) bool {
		// What the log does all the time is of interest where the bundle's event is written.
		ours := strings.Contains(m.site, " policy/") || strings.HasSuffix(m.site, " policy")
		if strings.HasPrefix(m.site, "rename") && ours {
			kept++
		}
		if ours || kept == 2 && strings.HasSuffix(m.site, "audit/audit.db-wal") {
			all = append(all, m)
		}
		return false
	})
	renames := slices.DeleteFunc(slices.Clone(all), func(m moment) bool { return !strings.HasPrefix(m.site, "rename") })
	if len(renames) != 2 || len(all) < 8 {
		t.Fatalf("a bundle is kept by other calls than thought: %v", all)
	}
	for _, m := range all {
		t.Run(fmt.Sprintf("%s %d", strings.ReplaceAll(m.site, "/", "|"), m.turn), func(t *testing.T) {
			t.Parallel()
			b := newBundleBench(t, fresh, key, bundles)
			b.offers(1)
			b.run(2, func() { b.offers(2) }, func(now moment) bool { return now == m }) // a busy machine may not come to it
			was := b.recorded(2)
			b.offers(1) // the source is set back
			got := b.run(0, func() {}, never)
			if has := b.recorded(2); got != 1 && got != 2 || was && got != 2 || has != (got == 2) {
				t.Errorf("revision %d is in force; the log had revision 2: %v, and has it: %v", got, was, has)
			}
			if again := b.run(0, func() {}, never); again != got {
				t.Errorf("started with revision %d, and then with %d", got, again)
			}
			b.offers(2)
			if got := b.run(2, func() {}, never); got != 2 {
				t.Errorf("got revision %d, want 2", got)
			}
		})
	}
}
