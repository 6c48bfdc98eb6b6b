package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/loopback"
)

// helpdesk answers everything and counts the calls that reach it.
type helpdesk struct {
	addr   string
	server *http.Server
	calls  atomic.Int64
}

func startHelpdesk() (*helpdesk, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &helpdesk{addr: l.Addr().String()}
	h.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.calls.Add(1)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return // the gateway was killed
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ticket":{"id":1,"description":"my card is 4111 1111 1111 1111"}}`)
	})}
	go func() { _ = h.server.Serve(l) }()
	return h, nil
}

func (h *helpdesk) stop() { _ = h.server.Close() }

// gateway is the binary with its data directory, running or not.
type gateway struct {
	binary, dir, addr string

	cmd   *exec.Cmd
	ended chan error
	said  bytes.Buffer // on standard error; to be read when the process has ended
}

func (g *gateway) data() string { return filepath.Join(g.dir, "data") }

func (g *gateway) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.binary, args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "HOME="+g.dir, "XDG_CONFIG_HOME="+g.dir, "XDG_DATA_HOME="+g.dir)
	return cmd
}

// initialise makes the data directory and the configuration.
func (g *gateway) initialise(ctx context.Context, upstream string) error {
	var err error
	if g.addr, err = loopback.FreeAddr(); err != nil {
		return err
	}
	config := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tlog {\n\t\tlevel ERROR\n\t}\n\tcaregate {\n\t\tstore sqlite ./data\n\t}\n}\nhttp://%s {\n\tbind 127.0.0.1\n\tgovern zendesk http://%s\n}\n", g.addr, upstream)
	if err := os.WriteFile(filepath.Join(g.dir, "Caddyfile"), []byte(config), 0o600); err != nil {
		return err
	}
	if msg, err := g.command(ctx, "init", "--data", "data").CombinedOutput(); err != nil {
		return fmt.Errorf("init: %w: %s", err, msg)
	}
	return nil
}

// startTries is how often a start may fail before that is a failure of the round: on a
// machine that is far too busy the gateway gives up rather than wait.
const startTries = 5

// start runs the gateway until it answers a call. Caddy may listen before the log is
// open; a call waits until it is.
func (g *gateway) start(ctx context.Context) error {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Minute)
	for try := 1; ; try++ {
		g.cmd = g.command(ctx, "run", "--config", "Caddyfile")
		g.cmd.Stderr = &g.said
		g.said.Reset()
		if err := g.cmd.Start(); err != nil {
			return err
		}
		ended, cmd := make(chan error, 1), g.cmd
		g.ended = ended
		go func() { ended <- cmd.Wait() }()
		for running := true; running; {
			if _, err := g.call(ctx, client); err == nil {
				return nil
			}
			select {
			case err := <-ended:
				if running = false; try == startTries {
					return fmt.Errorf("the gateway does not start: %w: %s", err, g.said.String())
				}
			case <-deadline:
				return errors.Join(errors.New("the gateway does not answer"), cmd.Process.Kill())
			case <-tick.C:
			}
		}
	}
}

// stop ends the gateway as a supervisor does.
func (g *gateway) stop() error {
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := <-g.ended; err != nil {
		return fmt.Errorf("the gateway ended with %w", err)
	}
	return nil
}

// verify asks the binary itself.
func (g *gateway) verify(ctx context.Context) error {
	if msg, err := g.command(ctx, "audit", "verify", "--data", "data").CombinedOutput(); err != nil {
		return fmt.Errorf("the log of a gateway that was stopped: %w: %s", err, msg)
	}
	return nil
}

// loaded is what the callers saw of one round.
type loaded struct {
	receipts            []string
	unanswered, refused int
	err                 error
}

// load calls the gateway from all callers at once until it was killed, or stopped by
// SIGTERM, a moment after that many answers.
func (g *gateway) load(ctx context.Context, callers, answers int, moment time.Duration, term bool) (out loaded) {
	transport := &http.Transport{MaxIdleConnsPerHost: callers}
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: time.Minute, Transport: transport}
	var mu sync.Mutex
	var over atomic.Bool
	var wg sync.WaitGroup
	enough := make(chan struct{})
	for range callers {
		wg.Go(func() {
			for {
				receipt, err := g.call(ctx, client)
				mu.Lock()
				switch {
				case errors.Is(err, errRefused):
					out.refused++
					err = nil
				case err != nil && over.Load():
					out.unanswered++
				case err != nil:
					out.err = errors.Join(out.err, err)
				default:
					out.receipts = append(out.receipts, receipt)
				}
				if answers--; answers == 0 || err != nil && answers > 0 && !over.Load() {
					answers = 0
					close(enough)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	<-enough
	pause := time.NewTimer(moment)
	defer pause.Stop()
	<-pause.C
	over.Store(true)
	how := syscall.SIGKILL
	if term {
		how = syscall.SIGTERM
	}
	err := g.cmd.Process.Signal(how)
	ended := <-g.ended
	wg.Wait()
	if term && ended != nil {
		err = errors.Join(err, fmt.Errorf("stopped under load, the gateway ended with %w", ended))
	}
	out.err = errors.Join(out.err, err)
	return out
}

// errRefused is a call that the gateway turned away: it was not forwarded.
var errRefused = errors.New("refused with 503")

// call makes one call and returns its receipt.
func (g *gateway) call(ctx context.Context, client *http.Client) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+g.addr+"/api/v2/tickets/1", strings.NewReader(`{"ticket":{"subject":"card 4111 1111 1111 1111","comment":{"body":"hello"}}}`))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Basic YWdlbnRAZXhhbXBsZS5jb20vdG9rZW46c2VjcmV0LXRva2Vu")
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	receipt := res.Header.Get("Caregate-Receipt")
	if res.StatusCode == http.StatusServiceUnavailable {
		return "", errRefused
	}
	if res.StatusCode != http.StatusOK || receipt == "" || strings.Contains(string(body), "4111 1111") {
		return "", fmt.Errorf("status %d with receipt %q", res.StatusCode, receipt)
	}
	return receipt, nil
}

// everything is more entries than any round makes.
const everything = 1 << 30

// entries returns all events that the index has.
func (g *gateway) entries(ctx context.Context) (found []audit.Found, err error) {
	x, err := audit.OpenIndex(ctx, g.data())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	found, _, err = x.Entries(ctx, audit.Query{}, everything)
	return found, err
}

// compare holds the receipts and the helpdesk's count against the log.
func (t *torture) compare(ctx context.Context, g *gateway, receipts []string, reached int64) error {
	found, err := g.entries(ctx)
	if err != nil {
		return err
	}
	events, permitted := map[string]int{}, int64(0)
	for _, e := range found {
		events[hex.EncodeToString(e.ID[:])]++
		if e.Type == "request.decided" && e.Decision == audit.DecisionAllow {
			permitted++
		}
	}
	for _, r := range receipts {
		if n := events[r]; n != 1 {
			t.lost++
			fmt.Printf("receipt %s has %d events\n", r, n)
		}
	}
	if permitted < reached {
		t.lost += int(reached - permitted)
		fmt.Printf("%d calls reached the helpdesk, %d were recorded before\n", reached, permitted)
	}
	if t.lost > 0 {
		return fmt.Errorf("%d acknowledged events lost", t.lost)
	}
	return nil
}

// asLeft verifies what the process left: an index that is behind is no harm, anything
// else is.
func (t *torture) asLeft(ctx context.Context, g *gateway) error {
	r, err := audit.Verify(ctx, audit.VerifyOptions{Dir: g.data()})
	if err == nil && r.Outcome == audit.Invalid {
		err = fmt.Errorf("the log as it was left is %s: %v", r.Outcome, r.Problems)
	}
	return err
}
