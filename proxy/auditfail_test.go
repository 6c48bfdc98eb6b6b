package proxy_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/rights"
	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy/proxytest"
)

// failing is a helpdesk during whose first answer the audit log is made to fail:
// the ticket is stored, and the event that would release the answer cannot be.
type failing struct {
	*sample.Helpdesk
	once sync.Once
	fail func()
}

func (f *failing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kept := httptest.NewRecorder()
	f.Helpdesk.ServeHTTP(kept, r)
	if r.Method == http.MethodPost {
		f.once.Do(f.fail)
	}
	for name, values := range kept.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(kept.Code)
	_, _ = w.Write(kept.Body.Bytes())
}

// holdIntake takes the log's database as another program would that writes to it
// and does not end: commits fail once SQLite has waited for it in vain. The
// returned function lets go.
func holdIntake(t *testing.T, dir string) (letGo func()) {
	t.Helper()
	// Not the test's context: what it begins is ended by the returned function.
	ctx := context.WithoutCancel(t.Context())
	db, err := store.Open(ctx, filepath.Join(dir, "audit", "audit.db"), store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(ctx, nil) // IMMEDIATE, as everything that store opens
	if err != nil {
		t.Fatal(errors.Join(err, db.Close()))
	}
	return sync.OnceFunc(func() {
		if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
			t.Errorf("letting the log's database go: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("letting the log's database go: %v", err)
		}
	})
}

// disk is a small file system, as real as any: it can be filled up and become
// read-only. Before, it has more room than the log wants to be left (diskClose), so
// that nothing is refused for that on a busy machine.
type disk struct{ dir string }

// newDisk mounts a disk, or reports false where the tests were told to go without.
func newDisk(t *testing.T) (disk, bool) {
	t.Helper()
	if rights.Without(rights.Mount) {
		return disk{}, false
	}
	d := disk{dir: t.TempDir()}
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=192m,mode=0700", "caregate-test", d.dir).CombinedOutput(); err != nil {
		rights.Lacks(t, rights.Mount, fmt.Sprintf("%v: %s", err, strings.TrimSpace(string(out))))
	}
	t.Cleanup(func() {
		// The test's context has ended.
		if out, err := mounting(context.WithoutCancel(t.Context()), "umount", d.dir); err != nil {
			t.Errorf("unmounting: %v: %s", err, out)
		}
	})
	return d, true
}

// mounting runs a command until nobody is busy any more with the disk that it is about.
func mounting(ctx context.Context, command string, args ...string) (out []byte, err error) {
	for deadline := time.Now().Add(5 * time.Minute); ; {
		out, err = exec.CommandContext(ctx, command, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "busy") || time.Now().After(deadline) {
			return out, err
		}
	}
}

// fill leaves no byte free.
func (d disk) fill(t *testing.T) {
	t.Helper()
	f, err := os.Create(filepath.Join(d.dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, block := range [][]byte{make([]byte, 1<<20), make([]byte, 4<<10), make([]byte, 1)} {
		for err = nil; err == nil; {
			_, err = f.Write(block)
		}
	}
}

// free removes what fill wrote.
func (d disk) free(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "filler")); err != nil {
		t.Fatal(err)
	}
}

// wayToFail fails the log of a running gateway and returns what repairs it.
type wayToFail struct {
	name string
	data string // where the gateway's data must be, empty for anywhere
	// cause is what withholds the answer: with the disk full, the vault cannot name
	// the ticket's people either, and is asked first.
	cause string
	fail  func(t *testing.T, g *proxytest.Gateway) (repair func())
}

// waysToFail lists those that this machine permits; the first works everywhere.
func waysToFail(t *testing.T) []wayToFail {
	t.Helper()
	if strings.HasPrefix(t.Name(), proxytest.OnPostgres+"/") {
		return []wayToFail{{
			name: "the server ends the writer's connection", cause: "audit_unavailable",
			fail: func(t *testing.T, g *proxytest.Gateway) func() {
				db, err := g.OpenDB("state.db", store.Options{MaxConns: 1})
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				// The writer holds the one advisory lock.
				if _, err := db.Exec("SELECT pg_terminate_backend(pid, 120000) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"); err != nil {
					t.Fatal(err)
				}
				return func() {}
			},
		}}
	}
	ways := []wayToFail{{
		name: "another program holds the database", cause: "audit_unavailable",
		fail: func(t *testing.T, g *proxytest.Gateway) func() { return holdIntake(t, g.Data) },
	}}
	if d, ok := newDisk(t); ok {
		ways = append(ways, wayToFail{
			name: "the disk is full", cause: "vault_unavailable", data: filepath.Join(d.dir, "data"),
			fail: func(t *testing.T, _ *proxytest.Gateway) func() {
				d.fill(t)
				return func() { d.free(t) }
			},
		})
	}
	return ways
}

// The log fails between the helpdesk's answer and its release: the caller learns
// that the call was carried out, and repeating it with the same key makes no
// second ticket.
func TestLogFailsBeforeTheRelease(t *testing.T) {
	for _, way := range waysToFail(t) {
		t.Run(way.name, func(t *testing.T) {
			var g *proxytest.Gateway
			var repair func()
			desk := &failing{Helpdesk: sample.NewHelpdesk(sample.Options{APITokens: []string{"secret-token"}})}
			desk.fail = func() { repair = way.fail(t, g) }
			u := httptest.NewServer(desk)
			defer u.Close()
			g = proxytest.Start(t, proxytest.Options{Upstream: u.URL, Data: way.data})
			create := call{method: "POST", path: "/api/v2/tickets.json", body: `{"ticket":{"subject":"Refund","comment":{"body":"card 4111 1111 1111 1111"}}}`,
				header: http.Header{"Idempotency-Key": {"order-17"}}}

			a := do(t, g, create)
			if a.status != 502 || a.problem.Reason != "response_withheld" || a.problem.Cause != way.cause || !a.problem.Forwarded || a.problem.UpstreamStatus != 201 ||
				!strings.HasPrefix(a.problem.Record, "ticket/") {
				t.Errorf("withheld: got %d %+v", a.status, a.problem)
			}
			if strings.Contains(a.body, "Refund") || a.header.Get("Location") != "" || a.header.Get("X-Idempotency-Lookup") != "" {
				t.Errorf("withheld: something of the answer was released: %v %s", a.header, a.body)
			}
			// The receipt is that of the decision to forward, which is durable.
			receipt := a.problem.Receipt
			if again := do(t, g, create); again.status != 503 || again.problem.Reason != "audit_unavailable" || again.problem.Forwarded {
				t.Errorf("while the log is down: got %d %+v", again.status, again.problem)
			}
			if n := len(desk.Received()); n != 1 {
				t.Errorf("the helpdesk got %d calls, want the first alone", n)
			}

			if repair == nil {
				t.Fatal("the log was not made to fail")
			}
			repair()
			g.Restart()
			if e := g.Event(receipt); e.Type != "request.decided" || !e.Forwarded {
				t.Errorf("event of the withheld call: %+v", e)
			}
			a = do(t, g, create)
			if a.status != 201 || a.header.Get("X-Idempotency-Lookup") != "hit" || !strings.Contains(a.body, "card XXXX XXXX XXXX 1111") {
				t.Errorf("repeated: got %d %v %s", a.status, a.header, a.body)
			}
			if n := len(desk.Tickets()); n != 1 {
				t.Errorf("the helpdesk has %d tickets, want 1", n)
			}
			g.WaitForEntries(5)
		})
	}
}

// The log fails before the call: nothing is forwarded, and the gateway says of
// itself that it is not ready.
func TestLogFailsBeforeTheCall(t *testing.T) {
	for _, way := range waysToFail(t) {
		t.Run(way.name, func(t *testing.T) {
			var calls atomic.Int64
			u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{}`))
			})
			api := proxytest.FreeAddr(t)
			g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Data: way.data, Sites: "http://" + api + " {\n bind 127.0.0.1\n caregate_api\n}\n"})
			if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"}); a.status != 200 {
				t.Fatalf("before: got %d %s", a.status, a.body)
			}
			repair := way.fail(t, g)
			for range 3 {
				a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{"ticket":{}}`})
				if a.status != 503 || a.problem.Reason != "audit_unavailable" || a.problem.Forwarded || a.problem.Receipt != "" || a.header.Get("Retry-After") == "" {
					t.Errorf("got %d %+v", a.status, a.problem)
				}
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d calls reached the upstream, want the one before", n)
			}
			if status := get(t, "http://"+api+"/readyz"); status != 503 {
				t.Errorf("/readyz: got %d, want 503", status)
			}
			if status := get(t, "http://"+api+"/livez"); status != 200 {
				t.Errorf("/livez: got %d, want 200", status)
			}
			repair()
			g.Restart()
			if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"}); a.status != 200 {
				t.Errorf("after the repair: got %d %s", a.status, a.body)
			}
			g.Verify()
		})
	}
}

// A disk that is read-only when the gateway starts: it does not start, and it
// says what it could not open.
func TestReadOnlyDisk(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	o := proxytest.Options{Upstream: u.URL}
	d, mounted := newDisk(t)
	if mounted {
		o.Data = filepath.Join(d.dir, "data")
	}
	g := proxytest.Start(t, o)
	g.Stop()
	repair := makeReadOnly(t, d, mounted, g.Data)
	err := g.Load(o)
	if err == nil {
		t.Error("the gateway started on a log that it cannot write")
	} else if !strings.Contains(err.Error(), "audit") {
		t.Errorf("the error does not name the log: %v", err)
	}
	repair()
	if err := g.Load(o); err != nil {
		t.Errorf("after the repair: %v", err)
	}
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"}); a.status != 200 {
		t.Errorf("after the repair: got %d %s", a.status, a.body)
	}
}

// makeReadOnly takes the right to write away from whoever opens dir next: by the
// file system, by permissions, or, where root may not mount and permissions stop
// nobody, by holding the database.
func makeReadOnly(t *testing.T, d disk, mounted bool, dir string) (repair func()) {
	t.Helper()
	switch {
	case mounted:
		remount := func(how string) {
			if out, err := mounting(t.Context(), "mount", "-o", "remount,"+how, d.dir); err != nil {
				t.Fatalf("remounting %s: %v: %s", how, err, out)
			}
		}
		remount("ro")
		return func() { remount("rw") }
	case os.Geteuid() == 0:
		return holdIntake(t, dir)
	}
	modes := map[string]os.FileMode{}
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		modes[name] = info.Mode().Perm()
		return nil
	})
	for name, mode := range modes {
		err = errors.Join(err, os.Chmod(name, mode&^0o222))
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		for name, mode := range modes {
			if err := os.Chmod(name, mode); err != nil {
				t.Error(err)
			}
		}
	}
}

// get is the status of a plain GET.
func get(t *testing.T, url string) int {
	t.Helper()
	status, _ := fetched(t, url)
	return status
}

// fetched is the answer to a plain GET.
func fetched(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 5 * time.Minute}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}
