package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/loopback"
)

const killedSecret = "secret-of-deliveries-under-kill"

// killed is a gateway as a process of its own, and the receiver behind it.
type killed struct {
	t         *testing.T
	dir, addr string
	client    *http.Client

	mu       sync.Mutex
	received map[string]int // by the delivery's id
}

// deliver sends a delivery, signed at this moment, and returns the status and the
// reason of the answer, or an error when there was none.
func (k *killed) deliver(id string) (int, string, error) {
	body := `{"zendesk_event_version":"2022-11-06","account_id":1,"id":"` + id + `","detail":{"id":"7"},"event":{"comment":{"body":"hello"}}}`
	stamp := time.Now().UTC().Format(time.RFC3339)
	m := hmac.New(sha256.New, []byte(killedSecret))
	fmt.Fprint(m, stamp+body)
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodPost, "http://"+k.addr+"/", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Zendesk-Webhook-Signature", base64.StdEncoding.EncodeToString(m.Sum(nil)))
	req.Header.Set("X-Zendesk-Webhook-Signature-Timestamp", stamp)
	res, err := k.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, "", err
	}
	return res.StatusCode, res.Header.Get("Caregate-Error"), nil
}

// count is how often the receiver got a delivery.
func (k *killed) count(id string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.received[id]
}

// start runs the gateway until it answers. ended is closed when the process has
// ended.
func (k *killed) start() (process *os.Process, ended <-chan struct{}) {
	k.t.Helper()
	cmd := exec.CommandContext(k.t.Context(), binaryName, "run", "--config", filepath.Join(k.dir, "Caddyfile"))
	cmd.Dir, cmd.Env = k.dir, k.environ()
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = cmd.Wait() // killed, mostly
	}()
	for deadline := time.After(5 * time.Minute); ; {
		conn, err := net.DialTimeout("tcp", k.addr, time.Second)
		if err == nil {
			_ = conn.Close()
			return cmd.Process, over
		}
		select {
		case <-over:
			k.t.Fatal("the gateway ended")
		case <-deadline:
			k.t.Fatal("the gateway does not answer")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (k *killed) environ() []string {
	return append(os.Environ(), "HOME="+k.dir, "XDG_CONFIG_HOME="+k.dir, "XDG_DATA_HOME="+k.dir, "KILLED_SECRET="+killedSecret)
}

// A gateway that is killed in the middle of deliveries forwards none a second time
// that it had acknowledged, and takes again what nobody knows about: the vendor
// repeats both.
func TestDeliveriesOverKills(t *testing.T) {
	t.Parallel()
	rounds, senders := 3, 8
	if testing.Short() {
		rounds = 1
	}
	k := &killed{t: t, dir: t.TempDir(), client: &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}, received: map[string]int{}}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event struct{ ID string }
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		k.mu.Lock()
		k.received[event.ID]++
		k.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(receiver.Close)
	var err error
	if k.addr, err = loopback.FreeAddr(); err != nil {
		t.Fatal(err)
	}
	file := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tcaregate {\n\t\tstore sqlite ./data\n\t}\n}\nhttp://%s {\n\tbind 127.0.0.1\n\tgovern zendesk/webhooks %s {\n\t\twebhook_secret {env.KILLED_SECRET}\n\t}\n}\n", k.addr, receiver.URL)
	if err := os.WriteFile(filepath.Join(k.dir, "Caddyfile"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	initialise := exec.CommandContext(t.Context(), binaryName, "init", "--data", "data")
	initialise.Dir, initialise.Env = k.dir, k.environ()
	if out, err := initialise.CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}

	var acknowledged, open []string
	for round := range rounds {
		process, ended := k.start()
		var mu sync.Mutex
		enough := make(chan struct{})
		stop := 20 + rand.IntN(60)
		var wg sync.WaitGroup
		for sender := range senders {
			wg.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("r%d-s%d-%d", round, sender, i)
					status, _, err := k.deliver(id)
					mu.Lock()
					if err != nil {
						open = append(open, id)
						mu.Unlock()
						return
					}
					if status != http.StatusOK {
						t.Errorf("%s: status %d", id, status)
					}
					acknowledged = append(acknowledged, id)
					if stop--; stop == 0 {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
		wg.Wait()
	}
	if len(open) == 0 {
		t.Error("no delivery was under way when the gateway was killed")
	}

	process, ended := k.start()
	for _, id := range acknowledged {
		status, reason, err := k.deliver(id)
		if err != nil || status != http.StatusOK || reason != "webhook_duplicate" || k.count(id) != 1 {
			t.Errorf("%s, acknowledged before: got %d %s, %v, received %d times", id, status, reason, err, k.count(id))
		}
	}
	for _, id := range open {
		status, _, err := k.deliver(id)
		if n := k.count(id); err != nil || status != http.StatusOK || n < 1 || n > 2 {
			t.Errorf("%s, never answered: got %d, %v, received %d times", id, status, err, n)
		}
	}
	if err := process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	if report, err := audit.Verify(t.Context(), audit.VerifyOptions{Dir: filepath.Join(k.dir, "data")}); err != nil || report.Outcome != audit.Valid {
		t.Errorf("the log: %v, %+v", err, report)
	}
	t.Logf("%d acknowledged deliveries, %d without an answer, %d kills", len(acknowledged), len(open), rounds)
}
