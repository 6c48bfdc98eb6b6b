package audit

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caregate/caregate/internal/callwatch"
	"github.com/caregate/caregate/internal/rights"
)

// everyCall is for a long search, see `make torture`: every call of a run, and not some
// of each kind.
var everyCall = flag.Bool("every", false, "inject a fault at every system call, and not at some of each kind")

// Exit codes of a child whose calls are watched.
const (
	childFailed   = 10 // the log failed, and refused everything afterwards
	childAccepted = 11 // the log failed, and took an event afterwards
	childNoFilter = 12
)

// watchedEnv makes the test binary live a life of a log, with its calls in the hands of
// who started it: the name of the life and the directory, with a bar between.
const watchedEnv = "CAREGATE_AUDIT_WATCHED"

// phaseMark begins the names of files that are not there, by which a child tells what
// it is about to do.
const phaseMark = "phase-"

// life is what a child does with a log between opening and closing it. It tells which
// phase begins and which events were acknowledged, and ends with the log's first error.
type life struct {
	config Config
	live   func(ctx context.Context, l *Log, phase func(string), acked func(ID)) error
	// survived checks what a child left behind.
	survived func(t testing.TB, dir string, acked []ID)
	phases   []string // those in which calls fail
}

// lifeCalled returns one of the two lives.
func lifeCalled(name string) life {
	if name == "rollover" {
		k := lateIn(2026, time.July)
		return life{config: k.config(), live: k.liveOverRollover, survived: mustRollOver, phases: []string{"rollover"}}
	}
	return life{config: Config{Checkpoint: 3 * time.Millisecond, SealIndex: 20 * time.Millisecond, walTidy: 64 << 10},
		live: liveOrdinarily, survived: mustRecover, phases: []string{"open", "run", "close"}}
}

// liveOrdinarily waits for checkpoints, a used-up WAL and a seal of the index.
func liveOrdinarily(ctx context.Context, l *Log, phase func(string), acked func(ID)) error {
	phase("run")
	var wg sync.WaitGroup
	for caller := range 4 {
		wg.Go(func() {
			for i := range 25 {
				r, err := tryRecord(ctx, l, sample(caller*100+i))
				if err != nil {
					return
				}
				acked(r.ID)
				if i%8 == 7 {
					_ = l.Settle(ctx) // a checkpoint in between; the log may have failed
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// liveOverRollover goes over the end of a half year into the next.
func (k *calendar) liveOverRollover(ctx context.Context, l *Log, phase func(string), acked func(ID)) error {
	some := func(n int) error {
		for i := range n {
			r, err := tryRecord(ctx, l, sample(i))
			if err != nil {
				return err
			}
			acked(r.ID)
		}
		return l.Settle(ctx)
	}
	old := l.Origin()
	if err := some(10); err != nil {
		return err
	}
	k.forward(7 * time.Minute)
	if err := some(3); err != nil {
		return err
	}
	phase("rollover")
	abreast(l)
	k.forward(9 * time.Minute)
	for l.Origin() == old {
		if err := some(1); err != nil {
			return err
		}
	}
	return some(3)
}

func watchedChild(where string) (code int) {
	if err := callwatch.HandOver(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return childNoFilter
	}
	name, dir, _ := strings.Cut(where, "|")
	life := lifeCalled(name)
	c := life.config
	c.Deployment = "acme"
	// A call that the test sees in its turn, unlike what is printed.
	phase := func(name string) { _ = unix.Unlink(filepath.Join(dir, phaseMark+name)) }
	ctx, cancel := context.WithTimeout(context.Background(), childTimeout)
	defer cancel()
	phase("open")
	l, err := Open(ctx, dir, c)
	if err != nil {
		fmt.Println("failed", err)
		return childFailed
	}
	var mu sync.Mutex
	if err := life.live(ctx, l, phase, func(id ID) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(id)
	}); err != nil && l.Ready() == nil {
		fmt.Println("failed", err)
		return childAccepted // an error after which the log goes on
	}
	phase("close")
	if l.Ready() == nil {
		_ = l.Close()
	}
	failure := l.core.refused.Load()
	if failure == nil {
		return 0
	}
	fmt.Println("failed", *failure)
	if _, err := tryRecord(ctx, l, sample(1)); err == nil {
		return childAccepted
	}
	if _, err := Open(ctx, dir, Config{Deployment: "acme"}); !errors.Is(err, ErrPoisoned) {
		return childAccepted
	}
	return childFailed
}

// lived is the life of one child.
type lived struct {
	code  int
	acked []ID
	said  string
}

// live runs a child that lives the named life over the log in dir; decide is told in
// which phase it is and which events it had acknowledged at least.
func live(t testing.TB, name, dir string, decide func(c callwatch.Call, phase string, acked []ID) callwatch.Verdict) (out lived) {
	t.Helper()
	if rights.Without(rights.Seccomp) {
		t.Skip("told to go without " + rights.Seccomp)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), watchedEnv+"="+name+"|"+dir)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = w, &stderr
	var mu sync.Mutex
	phase, said := "", ""
	var acked []ID
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			mu.Lock()
			if text, failed := strings.CutPrefix(lines.Text(), "failed "); failed {
				said = text
			} else if id, err := ParseID(lines.Text()); err == nil {
				acked = append(acked, id)
			}
			mu.Unlock()
		}
	}()
	ended := callwatch.Supervise(t, cmd, dir, func(c callwatch.Call) callwatch.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if name, ok := strings.CutPrefix(c.Path, phaseMark); ok {
			phase = name
			return callwatch.Verdict{}
		}
		return decide(c, phase, acked)
	})
	_ = w.Close()
	<-read
	out = lived{code: endedWith(t, ended), acked: acked, said: said}
	if out.code == childNoFilter {
		rights.Lacks(t, rights.Seccomp, strings.TrimSpace(stderr.String()))
	}
	if out.code != 0 && out.code != childFailed && out.code != -1 {
		t.Errorf("the child ended with %d: %s %s", out.code, said, stderr.String())
	}
	return out
}

// site is the place of a call in the life of a log: the call, the kind of file.
func site(c callwatch.Call) string { return c.Name + " " + fileKind(c.Path) }

// fileKind names the kind of a path: what differs from run to run is left out.
func fileKind(path string) string {
	parts := strings.Split(filepath.ToSlash(path), "/")
	for i, p := range parts {
		switch {
		case strings.HasPrefix(p, ".tmp-"):
			parts[i] = "TEMP"
		case strings.Trim(p, "0123456789x") == "" || strings.HasSuffix(p, ".p"):
			parts[i] = "N"
		case i > 0 && parts[i-1] == treeDir:
			parts[i] = "SHARD"
		}
	}
	return strings.Join(parts, "/")
}

// fault is a way to fail a call.
type fault struct {
	name string
	// at is asked for the call that was chosen, after for all later ones.
	at    callwatch.Verdict
	after func(c callwatch.Call) callwatch.Verdict
	// rare is tried at one kind of call in three, unless all are.
	rare bool
}

// full is a disk without room from then on.
func full(c callwatch.Call) callwatch.Verdict {
	switch c.Name {
	case "write", "pwrite64", "mkdir", "mkdirat", "open", "openat", "fallocate":
		return callwatch.Verdict{Errno: unix.ENOSPC}
	}
	return callwatch.Verdict{}
}

func never(callwatch.Call) callwatch.Verdict { return callwatch.Verdict{} }

// readOnly is a file system that was mounted anew without the right to write.
func readOnly(c callwatch.Call) callwatch.Verdict {
	if c.Writes() {
		return callwatch.Verdict{Errno: unix.EROFS}
	}
	return callwatch.Verdict{}
}

// deaf is a folder whose entries cannot be made durable.
func deaf(c callwatch.Call) callwatch.Verdict {
	if site(c) == syncOfFolder {
		return callwatch.Verdict{Errno: unix.EIO}
	}
	return callwatch.Verdict{}
}

// syncOfFolder is how the names of the databases and their WALs become durable. SQLite
// does it once for each WAL and does not look at the answer, so Open does it again.
const syncOfFolder = "fsync " + auditDir

// faults are those that a call may have: F1's kill, F3's short writes and full disk,
// F4's error that comes once and never again, and F7's disk that becomes read-only.
func faults(site string) []fault {
	list := []fault{
		{name: "kill", at: callwatch.Verdict{Kill: true}, after: never},
		{name: "EIO once", at: callwatch.Verdict{Errno: unix.EIO}, after: never},
	}
	switch name, _, _ := strings.Cut(site, " "); {
	case site == syncOfFolder:
		list[1] = fault{name: "EIO always", at: callwatch.Verdict{Errno: unix.EIO}, after: deaf}
	case name == "pwrite64":
		list = append(list, fault{name: "short, then full", at: callwatch.Verdict{Short: true}, after: full, rare: true},
			fault{name: "read-only", at: callwatch.Verdict{Errno: unix.EROFS}, after: readOnly, rare: true})
	case name == "write", strings.HasPrefix(name, "open"), strings.HasPrefix(name, "mkdir"):
		list = append(list, fault{name: "full", at: callwatch.Verdict{Errno: unix.ENOSPC}, after: full, rare: true})
	}
	return list
}

// F1, F3, F4, F7, A1-A9: in the life of a log, each kind of system call on each kind of
// file fails once, or the process is killed at it. The log fails with it and takes no
// event any more, the next process goes on, and no acknowledged event is missing.
func TestFaultAtEveryCall(t *testing.T) {
	t.Parallel()
	counts := undisturbed(t, "ordinary", 100)
	for _, want := range []string{"pwrite64 audit/audit.db", "pwrite64 audit/audit.db-wal", "fdatasync audit/audit.db-wal", "fdatasync audit/audit.db", "fdatasync audit/lock.db-wal",
		"fdatasync audit/detail.db-wal", "pwrite64 audit/index.db-wal", "write audit/tree/SHARD/TEMP", "fsync audit/tree/SHARD/TEMP", "renameat audit/tree/SHARD/checkpoint",
		"fsync audit/tree/SHARD", "fsync audit/tree/SHARD/tile/N/N/TEMP", "renameat audit/tree/SHARD/tile/entries/N/N"} {
		if counts["run"][want] == 0 {
			t.Errorf("no %s was seen: %v", want, slices.Sorted(maps.Keys(counts["run"])))
		}
	}
	list := accidents(counts)
	if !*everyCall {
		list = slices.DeleteFunc(list, func(a accident) bool {
			return testing.Short() && rand.IntN(6) > 0 || a.rare && rand.IntN(3) > 0
		})
	}
	failAt(t, "ordinary", list)
}

// F1, F3, F4, A2-A9: the same while a half year ends: its last checkpoint, the next key,
// the first leaf and the first checkpoint of the next shard.
func TestFaultAtEveryCallOfRollover(t *testing.T) {
	t.Parallel()
	counts := undisturbed(t, "rollover", 10)
	for _, want := range []string{"fdatasync audit/audit.db-wal", "fdatasync audit/lock.db-wal", "mkdirat audit/tree/SHARD", "fsync audit/tree", "renameat audit/tree/SHARD/checkpoint",
		"fsync keys/TEMP", "renameat keys/audit-2026h2.key.next", "renameat keys/audit-2026h2.key", "renameat audit/log.pub", "fsync keys"} {
		if counts["rollover"][want] == 0 {
			t.Errorf("no %s was seen: %v", want, slices.Sorted(maps.Keys(counts["rollover"])))
		}
	}
	list := accidents(counts)
	if !*everyCall {
		some := 25
		if testing.Short() {
			some = 3
		}
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:some]
	}
	failAt(t, "rollover", list)
}

// F1: a process that is killed while it writes tiles leaves their temporary files behind,
// and the next one removes them.
func TestLeftoversOfKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	this := lifeCalled("ordinary")
	create(t, dir, &this.config)
	l := live(t, "ordinary", dir, func(c callwatch.Call, phase string, _ []ID) callwatch.Verdict {
		return callwatch.Verdict{Kill: phase == "run" && site(c) == "renameat audit/tree/SHARD/tile/entries/N/N"}
	})
	if l.code != -1 || len(leftovers(t, dir)) == 0 {
		t.Fatalf("ended with %d and left %v", l.code, leftovers(t, dir))
	}
	mustRecover(t, dir, l.acked)
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// undisturbed lives a life to see which calls it has, by phase and site.
func undisturbed(t *testing.T, name string, events int) map[string]map[string]int {
	t.Helper()
	dir := t.TempDir()
	this := lifeCalled(name)
	create(t, dir, &this.config)
	counts := map[string]map[string]int{}
	for _, phase := range this.phases {
		counts[phase] = map[string]int{}
	}
	l := live(t, name, dir, func(c callwatch.Call, phase string, _ []ID) callwatch.Verdict {
		if sites := counts[phase]; sites != nil {
			sites[site(c)]++
		}
		return callwatch.Verdict{}
	})
	if l.code != 0 || len(l.acked) < events {
		t.Fatalf("undisturbed: ended with %d after %d events", l.code, len(l.acked))
	}
	this.survived(t, dir, l.acked)
	return counts
}

// accident is a fault at one call of a life.
type accident struct {
	phase, site string
	turn        int // of the calls at this site
	fault
}

// accidents are all faults at all kinds of calls, each at one of them by chance or at
// every one.
func accidents(counts map[string]map[string]int) (list []accident) {
	for _, phase := range slices.Sorted(maps.Keys(counts)) {
		for _, site := range slices.Sorted(maps.Keys(counts[phase])) {
			for _, f := range faults(site) {
				if n := counts[phase][site]; !*everyCall {
					list = append(list, accident{phase, site, 1 + rand.IntN(n), f})
				} else {
					for turn := range n {
						list = append(list, accident{phase, site, turn + 1, f})
					}
				}
			}
		}
	}
	return list
}

// failAt lives one life for each accident.
func failAt(t *testing.T, name string, list []accident) {
	t.Helper()
	for _, a := range list {
		t.Run(fmt.Sprintf("%s: %s %d: %s", a.phase, strings.ReplaceAll(a.site, "/", "|"), a.turn, a.name), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			this := lifeCalled(name)
			create(t, dir, &this.config)
			n, failed, must := 0, false, false
			l := live(t, name, dir, func(c callwatch.Call, now string, _ []ID) callwatch.Verdict {
				if failed {
					return a.after(c)
				}
				if now != a.phase || site(c) != a.site {
					return callwatch.Verdict{}
				}
				if n++; n < a.turn {
					return callwatch.Verdict{}
				}
				failed = true
				// What fails after the last event is SQLite's tidying while it closes: it leaves
				// the WAL behind for the next start.
				must = c.Writes() && !a.at.Kill && (a.phase == "open" || a.phase != "close" && a.site != syncOfFolder)
				return a.at
			})
			// A busy machine may need fewer calls than the first life did.
			if a.at.Kill && failed && l.code != -1 {
				t.Errorf("killed, and ended with %d", l.code)
			}
			if must && l.code != childFailed {
				t.Errorf("the log went on after the fault, and ended with %d", l.code)
			}
			this.survived(t, dir, l.acked)
			if left := leftovers(t, dir); len(left) > 0 {
				t.Errorf("the next process left temporary files: %v", left)
			}
			if err := os.RemoveAll(filepath.Join(dir, auditDir)); err != nil { // hundreds of these run
				t.Fatal(err)
			}
		})
	}
	t.Logf("%d faults", len(list))
}

// childTimeout ends a child that hangs.
const childTimeout = 5 * time.Minute

// endedWith is the exit code of a child, -1 when a signal ended it.
func endedWith(t testing.TB, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		t.Fatal(err)
	}
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return -1
	}
	return exit.ExitCode()
}
