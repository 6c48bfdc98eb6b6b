package proxy

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/callwatch"
	"github.com/caregate/caregate/internal/rights"
)

// everyCall is for a long search, see `make torture`.
var everyCall = flag.Bool("every", false, "kill at every system call of a reading, and not at some")

// trailChildEnv makes the test binary read a trail in place of the tests, with its system
// calls in the hands of who started it: the data directory, the vendor's address and the
// time, with bars between.
const trailChildEnv = "CAREGATE_PROXY_TRAIL"

// markReading and markFinished name files that are not there, by which the child tells where it is.
const (
	markReading  = "phase-reading"
	markFinished = "phase-finished"
)

func TestMain(m *testing.M) {
	child, what := trailChild, os.Getenv(trailChildEnv)
	if what == "" {
		child, what = bundleChild, os.Getenv(bundleChildEnv)
	}
	if what == "" {
		os.Exit(m.Run())
	}
	if err := child(what); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func trailChild(what string) (err error) {
	parts := strings.Split(what, "|")
	at, err := time.Parse(time.RFC3339, parts[2])
	if err != nil {
		return err
	}
	if err := callwatch.HandOver(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	data, err := OpenData(ctx, DataConfig{Dir: parts[0], Name: "test"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	p, err := newTestPoller(data, "zendesk", "audit", parts[1], func() time.Time { return at }, io.Discard)
	if err != nil {
		return err
	}
	_ = unix.Unlink(filepath.Join(parts[0], markReading))
	if err := readTrail(ctx, p); err != nil {
		return err
	}
	_ = unix.Unlink(filepath.Join(parts[0], markFinished))
	return nil
}

// moment is one at which a reading may be killed: a system call on a file, or a call to
// the vendor.
type moment struct {
	site string
	turn int
}

// toVendor is the site of the calls to the vendor.
const toVendor = "GET"

// watch lets a child read the bench's trail and asks kill about each moment of it. It says
// whether the child was killed.
func (b *trailBench) watch(kill func(moment) bool) (killed bool) {
	b.t.Helper()
	var mu sync.Mutex // guards what follows
	turns := map[string]int{}
	var process *os.Process
	at := func(site string) bool {
		if turns[site]++; !killed {
			killed = kill(moment{site, turns[site]})
			return killed
		}
		return false
	}
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if at(toVendor) {
			_ = process.Kill() // its end is seen below
			return
		}
		b.desk.ServeHTTP(w, r)
	}))
	defer vendor.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), trailChildEnv+"="+strings.Join([]string{b.dir, vendor.URL, b.now.Format(time.RFC3339)}, "|"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	phase := ""
	err := callwatch.Supervise(b.t, cmd, b.dir, func(c callwatch.Call) callwatch.Verdict {
		mu.Lock()
		defer mu.Unlock()
		switch c.Path {
		case markReading, markFinished:
			process, phase = cmd.Process, c.Path
			return callwatch.Verdict{}
		}
		return callwatch.Verdict{Kill: phase == markReading && at(c.Name+" "+c.Path)}
	})
	mu.Lock()
	defer mu.Unlock()
	var exit *exec.ExitError
	switch {
	case strings.Contains(stderr.String(), callwatch.ErrNotPermitted.Error()):
		rights.Lacks(b.t, rights.Seccomp, strings.TrimSpace(stderr.String()))
	case killed && errors.As(err, &exit) && exit.ExitCode() == -1:
	case killed || err != nil:
		b.t.Fatalf("the reading ended with %v: %s", err, stderr.String())
	}
	return killed
}

// newKilledBench is a bench with a log of the vendor's and a copy of a data directory.
// Nobody had it open: another test's child, between its fork and its exec, would have the
// lock too, and keep this test's child out.
func newKilledBench(t *testing.T, fresh string) *trailBench {
	t.Helper()
	b := newTrailVendor(t)
	b.exports(trailEntries, b.now.Add(-10*time.Minute))
	b.dir = copyData(t, fresh)
	t.Cleanup(b.close)
	return b
}

// copyData copies a data directory that nobody has open.
func copyData(t *testing.T, fresh string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(fresh)); err != nil {
		t.Fatal(err)
	}
	// CopyFS does not keep the modes, which keys need.
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// trailEntries fill more than one page, and more than one commit of the log.
const trailEntries = 150

// mustHaveAll lets a new process read on, and checks that the log has each entry of the
// vendor's once and says so, without a gap.
func (b *trailBench) mustHaveAll() {
	b.t.Helper()
	b.open()
	defer b.close()
	b.restart("zendesk", "audit")
	b.read()
	b.now = b.now.Add(31 * time.Minute)
	b.exports(5, b.now.Add(-time.Minute))
	b.read()
	seen := map[string]int{}
	for _, l := range b.leaves(audit.TypeVendorEvent) {
		seen[l.Attrs["vendor_time"]]++
	}
	for at, n := range seen {
		if n != 1 {
			b.t.Errorf("the entry of %s has %d events", at, n)
		}
	}
	if len(seen) != trailEntries+5 {
		b.t.Errorf("got %d entries, want %d", len(seen), trailEntries+5)
	}
	if g := b.gaps(); g != "" {
		b.t.Errorf("gaps without a reason:\n%s", g)
	}
	// What the log says to be covered has no hole, and ends where reading did.
	until := b.now.Add(-31 * time.Minute).Add(-defaultTrailHistory).Format(time.RFC3339)
	for _, l := range b.leaves(audit.TypeVendorCovered) {
		if l.Attrs["from"] > until {
			b.t.Errorf("nothing covers %s to %s", until, l.Attrs["from"])
		}
		until = max(until, l.Attrs["to"])
	}
	if want := b.p.end().Format(time.RFC3339); until != want {
		b.t.Errorf("covered up to %s, want %s", until, want)
	}
}

// F1, A2, A11: a process is killed at any call to the vendor, and at any system call on
// any file, while it reads a vendor's log. The next one records what is missing, and
// nothing a second time.
func TestTrailKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	if rights.Without(rights.Seccomp) {
		t.Skip("told to go without " + rights.Seccomp)
	}
	var all []moment
	sites := map[string]bool{}
	fresh := filepath.Join(t.TempDir(), "data")
	if _, err := CreateData(t.Context(), DataConfig{Dir: fresh, Name: "test"}); err != nil {
		t.Fatal(err)
	}
	b := newKilledBench(t, fresh)
	b.watch(func(m moment) bool {
		all = append(all, m)
		sites[m.site] = true
		return false
	})
	b.mustHaveAll()
	for _, want := range []string{toVendor, "pwrite64 audit/audit.db-wal", "fdatasync audit/audit.db-wal", "pwrite64 state.db-wal", "fdatasync state.db-wal", "pwrite64 vault.db-wal", "fdatasync vault.db-wal"} {
		if !sites[want] {
			t.Errorf("no %s was seen: %v", want, slices.Sorted(maps.Keys(sites)))
		}
	}
	list := all
	if !*everyCall {
		some := 8
		if testing.Short() {
			some = 1
		}
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		list = append(slices.Clone(all[:some]), moment{toVendor, 2}, moment{"fdatasync state.db-wal", 1})
	}
	for _, m := range list {
		t.Run(fmt.Sprintf("%s %d", strings.ReplaceAll(m.site, "/", "|"), m.turn), func(t *testing.T) {
			t.Parallel()
			b := newKilledBench(t, fresh)
			b.watch(func(now moment) bool { return now == m }) // a busy machine may not come to it
			b.mustHaveAll()
			if err := os.RemoveAll(b.dir); err != nil { // hundreds of these may run
				t.Fatal(err)
			}
		})
	}
	t.Logf("%d of %d moments", len(list), len(all))
}
