// Package chromiumtest drives a real browser in tests. Nothing outside of tests imports it.
package chromiumtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// find looks for a Chromium.
func find(tb testing.TB) string {
	tb.Helper()
	if path := os.Getenv("CAREGATE_TEST_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	tb.Fatal("no Chromium here: apt-get install --no-install-recommends chromium, or set CAREGATE_TEST_CHROMIUM to the path of one")
	return ""
}

// Browser is one page of a headless Chromium, driven by the DevTools protocol. It is for one
// goroutine at a time.
type Browser struct {
	tb      testing.TB
	conn    *websocket.Conn
	session string
	id      int
}

// Start starts a browser with a profile of its own, which ends with the test. It finds it by
// CAREGATE_TEST_CHROMIUM or by its usual names, and fails the test where there is none; more
// are further switches of the command line.
func Start(tb testing.TB, more ...string) *Browser {
	tb.Helper()
	path := find(tb)
	// No folder of the test's: processes that Chromium leaves behind for a moment write
	// into it while it is removed, which would fail the test.
	home, err := os.MkdirTemp("", "caregate-chromium-") //nolint:usetesting // see above
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(home) })
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Minute)
	cmd := exec.CommandContext(ctx, path, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "--remote-allow-origins=http://127.0.0.1", "--user-data-dir=" + filepath.Join(home, "profile")}, append(more, "about:blank")...)...)
	cmd.Env = append(os.Environ(), "HOME="+home)
	out, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	found := make(chan string, 1)
	go func() {
		defer close(found)
		address := regexp.MustCompile(`ws://\S+`)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if a := address.FindString(lines.Text()); a != "" {
				found <- a
			}
		}
	}()
	url, ok := <-found
	if !ok {
		cancel()
		tb.Fatalf("%s did not start: %v", path, cmd.Wait())
	}
	conn, err := websocket.Dial(url, "", "http://127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	b := &Browser{tb: tb, conn: conn}
	tb.Cleanup(func() {
		_, _ = b.Call("Browser.close", nil)
		_ = conn.Close()
		for range found { // to the end, so that Wait may close the pipe
		}
		_ = cmd.Wait()
		cancel()
	})
	target := b.Must("Target.createTarget", map[string]any{"url": "about:blank"})
	b.session, _ = b.Must("Target.attachToTarget", map[string]any{"targetId": target["targetId"], "flatten": true})["sessionId"].(string)
	b.Must("Page.enable", nil)
	return b
}

// Call sends one command and waits for its answer; events are passed over.
func (b *Browser) Call(method string, params map[string]any) (map[string]any, error) {
	b.id++
	msg := map[string]any{"id": b.id, "method": method, "params": params}
	if b.session != "" && !strings.HasPrefix(method, "Browser.") {
		msg["sessionId"] = b.session
	}
	if err := websocket.JSON.Send(b.conn, msg); err != nil {
		return nil, err
	}
	for {
		var raw string
		if err := websocket.Message.Receive(b.conn, &raw); err != nil {
			return nil, err
		}
		var answer struct {
			ID     int            `json:"id"`
			Result map[string]any `json:"result"`
			Error  *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(raw), &answer); err != nil {
			return nil, err
		}
		if answer.ID != b.id {
			continue
		}
		if answer.Error != nil {
			return nil, errors.New(answer.Error.Message)
		}
		return answer.Result, nil
	}
}

// Must is Call that fails the test on an error.
func (b *Browser) Must(method string, params map[string]any) map[string]any {
	b.tb.Helper()
	r, err := b.Call(method, params)
	if err != nil {
		b.tb.Fatalf("%s: %v", method, err)
	}
	return r
}

// Open opens an address and waits until the page that it leads to, after redirects, is
// whole.
func (b *Browser) Open(address string) {
	b.tb.Helper()
	b.Must("Page.navigate", map[string]any{"url": address})
	b.Until(`location.href !== "about:blank" && document.readyState === "complete"`)
}

// Until waits until an expression is true. Until then the page may be one that goes away
// while it is asked.
func (b *Browser) Until(expression string) {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(b.tb.Context(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := b.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true})
		if result, _ := r["result"].(map[string]any); err == nil && result["value"] == true {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.tb.Fatalf("waited in vain for %s", expression)
		}
	}
}

// Eval runs an expression in the page and returns its value, awaited.
func (b *Browser) Eval(expression string) any {
	b.tb.Helper()
	r := b.Must("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true})
	if failed, ok := r["exceptionDetails"]; ok {
		b.tb.Fatalf("in the page: %v", failed)
	}
	result, _ := r["result"].(map[string]any)
	return result["value"]
}
