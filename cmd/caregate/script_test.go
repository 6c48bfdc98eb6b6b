package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/caregate/caregate/internal/loopback"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/vault/awskms/kmstest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){binaryName: main})
}

// TestScripts plays testdata/*.txtar with the command itself, as its own
// process.
func TestScripts(t *testing.T) {
	t.Parallel()
	p := scripts("testdata")
	p.Cmds["postgres"] = func(ts *testscript.TestScript, _ bool, args []string) { scriptPostgres(t, ts, args) }
	testscript.Run(t, p)
}

// scripts are the parameters of the scripts in a folder.
func scripts(dir string) testscript.Params {
	return testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR"} {
				dir := filepath.Join(env.WorkDir, "."+strings.ToLower(name))
				if err := os.Mkdir(dir, 0o700); err != nil {
					return err
				}
				env.Setenv(name, dir)
			}
			env.Values[kmsValue{}] = new(kmsValue)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     scriptExits,
			"settled":   scriptSettled,
			"freeport":  scriptFreePort,
			"loopback":  scriptLoopback,
			"waitfor":   scriptWaitFor,
			"occupy":    scriptOccupy,
			"helpdesk":  scriptHelpdesk,
			"ready":     scriptReady,
			"call":      scriptCall,
			"jsonfield": scriptJSONField,
			"flip":      scriptFlip,
			"repeat":    scriptRepeat,
			"kms":       scriptKMS,
		},
	}
}

// exits CODE COMMAND [ARG ...] runs a command that ends with this code.
func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("running %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("%s exits with %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// settled COMMAND [ARG ...] runs a command until it succeeds: a check of the log while a
// gateway writes it, which on a busy machine may not have come to the end of its index.
func scriptSettled(ts *testscript.TestScript, _ bool, args []string) {
	for limit := time.Now().Add(startTime); ; {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			ts.Fatalf("%s: %v", strings.Join(args, " "), err)
		}
	}
}

// loopback PORT checks that a port is listened on at 127.0.0.1 and nowhere else.
func scriptLoopback(ts *testscript.TestScript, _ bool, args []string) {
	var port int
	_, err := fmt.Sscan(args[0], &port)
	ts.Check(err)
	// Columns of /proc/net/tcp: slot, local address and port in hexadecimal, remote
	// address, state; state 0A is LISTEN.
	found := 0
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.ReadFile(file)
		if err != nil {
			continue // not Linux, or no IPv6
		}
		for line := range strings.SplitSeq(string(table), "\n") {
			f := strings.Fields(line)
			if len(f) < 4 || f[3] != "0A" || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				continue
			}
			found++
			if f[1] != fmt.Sprintf("0100007F:%04X", port) {
				ts.Fatalf("port %d is listened on at %s, want 127.0.0.1 only", port, f[1])
			}
		}
	}
	if found == 0 && runtime.GOOS == "linux" {
		ts.Fatalf("nobody listens on port %d", port)
	}
}

// freeport NAME sets $NAME to a port on 127.0.0.1 that nobody uses.
func scriptFreePort(ts *testscript.TestScript, _ bool, args []string) {
	port, err := loopback.FreePort()
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(port))
}

// postgres NAME PASSWORD makes a database in PostgreSQL and sets $NAME to its URL, with
// a password that the server does not ask for.
func scriptPostgres(t *testing.T, ts *testscript.TestScript, args []string) {
	ts.Setenv(args[0], strings.Replace(pgtest.Database(t), "postgres@", "postgres:"+args[1]+"@", 1))
}

// occupy NAME listens on a port until the script ends and sets $NAME to it.
func scriptOccupy(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// helpdesk NAME [N] starts a sample helpdesk, with N tickets of old, and sets $NAME to its URL.
func scriptHelpdesk(ts *testscript.TestScript, _ bool, args []string) {
	history := 0
	if len(args) > 1 {
		var err error
		history, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := &http.Server{Handler: sample.NewHelpdesk(sample.Options{APITokens: []string{demoToken}, Seed: true, History: history}), ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	ts.Defer(func() {
		server.Close()
		<-done
	})
	ts.Setenv(args[0], "http://"+l.Addr().String())
}

// kmsValue is a script's KMS.
type kmsValue struct{ server *kmstest.Server }

// kms NAME starts a KMS, sets $NAME to its address, and the environment to be its caller.
// kms fail FAULT has it fail from then on; without a fault it works again.
func scriptKMS(ts *testscript.TestScript, _ bool, args []string) {
	k := ts.Value(kmsValue{}).(*kmsValue)
	if args[0] == "fail" {
		k.server.Fail(args[1])
		return
	}
	k.server = kmstest.New(func(what string) { ts.Logf("%s", what) })
	ts.Defer(k.server.Close)
	ts.Setenv(args[0], k.server.URL)
	for _, pair := range kmstest.Environment() {
		name, value, _ := strings.Cut(pair, "=")
		ts.Setenv(name, value)
	}
}

// startTime is how long a gateway may take to start: a second, and more on a
// machine that builds something else meanwhile.
const startTime = 5 * time.Minute

// ready DATA waits until the gateway on a data directory says it is ready.
func scriptReady(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	g := newGateway(ts.MkAbs(args[0]))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		checks, err := g.ready(ctx)
		if err == nil && len(checks) > 0 {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("the gateway on %s did not start: %v", filepath.Join(args[0], proxy.SocketName), err)
		case <-tick.C:
		}
	}
}

// waitfor FILE TEXT waits until a file that another process writes holds a text.
func scriptWaitFor(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.NewTimer(startTime)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(b), args[1]) {
			return
		}
		select {
		case <-deadline.C:
			ts.Fatalf("%s never held %q", args[0], args[1])
		case <-tick.C:
		}
	}
}

// call METHOD URL [-h HOST] [-k KEY] [FILE] makes a call with the helpdesk's
// credential and prints status, headers of ours and body.
func scriptCall(ts *testscript.TestScript, _ bool, args []string) {
	method, url := args[0], args[1]
	args = args[2:]
	var body io.Reader
	host := ""
	if len(args) > 1 && args[0] == "-h" {
		host, args = args[1], args[2:]
	}
	header := http.Header{}
	if len(args) > 1 && args[0] == "-k" {
		header.Set("Caregate-Key", strings.TrimSpace(ts.ReadFile(args[1])))
		args = args[2:]
	}
	if len(args) == 1 {
		body = strings.NewReader(ts.ReadFile(args[0]))
		header.Set("Content-Type", "application/json")
	}
	req, err := http.NewRequest(method, url, body)
	ts.Check(err)
	req.Header, req.Host = header, host
	req.SetBasicAuth(demoUser, demoToken)
	client := &http.Client{Timeout: startTime, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	// A gateway is ready a moment before Caddy opens its port.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(startTime); errors.Is(err, syscall.ECONNREFUSED) && time.Now().Before(limit); {
		<-tick.C
		if req.GetBody != nil {
			req.Body, err = req.GetBody()
			ts.Check(err)
		}
		resp, err = client.Do(req)
	}
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "status %d\n", resp.StatusCode)
	for _, name := range []string{"Caregate-Error", "Caregate-Receipt"} {
		fmt.Fprintf(ts.Stdout(), "%s: %s\n", name, resp.Header.Get(name))
	}
	fmt.Fprintf(ts.Stdout(), "%s\n", text)
	ts.Setenv("RECEIPT", resp.Header.Get("Caregate-Receipt"))
}

// jsonfield FILE PATH NAME sets $NAME to a value of a JSON file; PATH has dots.
func scriptJSONField(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	for part := range strings.SplitSeq(args[1], ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[part]
		case []any:
			var i int
			_, err := fmt.Sscan(part, &i)
			ts.Check(err)
			v = node[i]
		}
	}
	ts.Setenv(args[2], fmt.Sprint(v))
}

// flip PATTERN changes one byte in the middle of the last file that matches.
func scriptFlip(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file matches %s", args[0])
	}
	sort.Strings(files)
	file := files[len(files)-1]
	b, err := os.ReadFile(file)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(file, b, 0o600))
}

// repeat N FILE prints a file N times.
func scriptRepeat(ts *testscript.TestScript, _ bool, args []string) {
	var n int
	_, err := fmt.Sscan(args[0], &n)
	ts.Check(err)
	_, err = io.WriteString(ts.Stdout(), strings.Repeat(ts.ReadFile(args[1]), n))
	ts.Check(err)
}
