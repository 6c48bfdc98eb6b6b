package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/loopback"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
)

// importRun is a gateway in front of a desk, in a directory of its own.
type importRun struct {
	*testing.T
	dir, addr string
}

func (r *importRun) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.Context(), binaryName, args...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), "HOME="+r.dir, "XDG_CONFIG_HOME="+r.dir, "XDG_DATA_HOME="+r.dir)
	return cmd
}

// start runs the gateway until it answers the command line.
func (r *importRun) start() (process *os.Process, ended <-chan struct{}) {
	r.Helper()
	cmd := r.command("run", "--config", "Caddyfile")
	if err := cmd.Start(); err != nil {
		r.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = cmd.Wait() // killed, mostly
	}()
	for deadline := time.After(5 * time.Minute); ; {
		conn, err := net.DialTimeout("unix", filepath.Join(r.dir, "data", proxy.SocketName), time.Second)
		if err == nil {
			_ = conn.Close()
			return cmd.Process, over
		}
		select {
		case <-over:
			r.Fatal("the gateway ended")
		case <-deadline:
			r.Fatal("the gateway does not answer")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// An import of 10,000 records, killed with its gateway again and again, comes to the same
// end as one that nobody touched: each record noted once, each element counted once.
func TestImportOverKills(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			testImportOverKills(t, database)
		})
	}
}

func testImportOverKills(t *testing.T, database string) {
	const tickets, page, kills = 10_000, 500, 4
	r := &importRun{T: t, dir: t.TempDir()}
	helpdesk := sample.NewHelpdesk(sample.Options{APITokens: []string{"desk-token-of-the-gateway"}, History: tickets, Rate: 1_000_000})
	// The gateway is killed when the desk has been asked for a page, and when it has
	// answered: armed has the process that is to go.
	var asked atomic.Int64
	var armed atomic.Pointer[os.Process]
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		n := asked.Add(1)
		if n%2 == 0 {
			kill(&armed)
		}
		helpdesk.ServeHTTP(w, q)
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		if n%2 == 1 && n%5 == 0 {
			kill(&armed)
		}
	}))
	t.Cleanup(desk.Close)

	src, err := os.ReadFile("../../channel/zendesk.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := string(src)
	for _, x := range [][2]string{{"limit: {calls: 10, per: 1m}", "limit: {calls: 1000000, per: 1m}"}, {"rate: {calls: 200,", "rate: {calls: 1000000,"}, {`per_page: "1000"`, fmt.Sprintf(`per_page: "%d"`, page)}} {
		if !strings.Contains(file, x[0]) {
			t.Fatalf("the file of Zendesk has no %q", x[0])
		}
		file = strings.ReplaceAll(file, x[0], x[1])
	}
	if r.addr, err = loopback.FreeAddr(); err != nil {
		t.Fatal(err)
	}
	place, where := "sqlite ./data", filepath.Join(r.dir, "data", "state.db")
	if database == "postgres" {
		where = pgtest.Database(t)
		if err := os.WriteFile(filepath.Join(r.dir, "database"), []byte(where+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		place = "postgres {file." + filepath.Join(r.dir, "database") + "} ./data"
	}
	caddyfile := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tcaregate {\n\t\tstore %s\n\t}\n}\nhttp://%s {\n\tbind 127.0.0.1\n\tgovern ./desk.yaml %s {\n\t\tcredential basic ana@helpdesk.example/token {file./%s}\n\t}\n}\n", place, r.addr, desk.URL, strings.TrimPrefix(filepath.Join(r.dir, "secret"), "/"))
	for name, content := range map[string]string{"desk.yaml": file, "secret": "desk-token-of-the-gateway", "Caddyfile": caddyfile} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := r.command("init").CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}

	var id string
	for round := range kills {
		process, ended := r.start()
		before := asked.Load()
		armed.Store(process)
		cmd := r.command("channel", "import", "zendesk", "--json", "--config", "Caddyfile")
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err == nil || armed.Load() != nil {
			t.Fatalf("round %d: the import ended, and nobody had killed the gateway: %v\n%s\n%s", round, err, out, &said)
		}
		select {
		case <-ended:
		case <-time.After(5 * time.Minute):
			t.Fatalf("round %d: the gateway was not killed after %d calls", round, asked.Load()-before)
		}
		for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
			var i console.Import
			if line != "" && json.Unmarshal([]byte(line), &i) == nil {
				if id != "" && i.ID != id {
					t.Fatalf("round %d: another import was begun", round)
				}
				id = i.ID
			}
		}
	}
	armed.Store(nil)
	process, ended := r.start()
	raw, err := r.command("channel", "import", "zendesk", "--json", "--config", "Caddyfile").Output()
	if err != nil {
		t.Fatalf("the last round: %v\n%s", err, raw)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	var last console.Import
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	users := tickets/10 + 1 // and the agent who reads
	if l := last.Lists; !last.Done || last.ID != id || l[0].Records != tickets || l[0].Pages != tickets/page || l[1].Records != users {
		t.Errorf("the import %s came to %+v", id, last)
	}
	out, err := r.command("audit", "search", "--type", "channel.imported", "--json", "--config", "Caddyfile").Output()
	if n := strings.Count(string(out), `"channel.imported"`); err != nil || n != 1 {
		t.Errorf("the end of the import is %d times in the log: %v\n%s", n, err, out)
	}
	_ = process.Kill()
	<-ended

	db, err := store.Open(t.Context(), where, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for query, want := range map[string]int{
		`SELECT count(*) FROM record r JOIN record_kind k ON k.id = r.kind WHERE k.type = 'ticket' AND r.backfilled > 0 AND r.created > 0`: tickets,
		`SELECT count(*) FROM record r JOIN record_kind k ON k.id = r.kind WHERE k.type = 'ticket' AND r.closed > 0`:                       tickets - (tickets+2)/3,
		`SELECT count(*) FROM record r JOIN record_kind k ON k.id = r.kind WHERE k.type = 'user' AND r.backfilled > 0`:                     users,
		`SELECT count(*) FROM record_person p JOIN record_kind k ON k.id = p.kind WHERE k.type = 'ticket'`:                                 tickets,
		`SELECT count(*) FROM person_link`:                  users,
		`SELECT coalesce(sum(r.reopened), 0) FROM record r`: 0,
	} {
		var got int
		if err := db.QueryRowContext(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", query, got, err, want)
		}
	}
}

// kill kills the process that is armed, once.
func kill(armed *atomic.Pointer[os.Process]) {
	if p := armed.Swap(nil); p != nil {
		_ = p.Kill()
	}
}
