package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// D2, F17: the page works in a browser, from a file and without a network: it
// proves the receipts when it opens, and reads the folder that it is given.
func TestPageInBrowser(t *testing.T) {
	t.Parallel()
	path := browser(t)
	x := exportLog(t, 300)
	b := startBrowser(t, path)
	trust, err := x.trust.MarshalText()
	if err != nil {
		t.Fatal(err)
	}

	b.open(t, filepath.Join(x.dir, pageFile))
	if got := b.eval(t, `document.body.dataset.first`); got != "right" {
		t.Errorf("at first: got %v, %v", got, b.eval(t, `document.getElementById("first").textContent`))
	}
	if got := b.eval(t, `document.querySelectorAll("#receipts tr").length + " " + document.getElementById("receipts").textContent.split("proven").length`); got != "3 4" {
		t.Errorf("receipts: got %v, want 3 rows, each proven", got)
	}
	if got := b.eval(t, b.folder(t, x.dir)); got != "incomplete" {
		t.Errorf("without a key: got %v", got)
	}
	b.eval(t, fmt.Sprintf(`document.getElementById("trust").value = %q; document.getElementById("trust").dispatchEvent(new Event("input"))`, trust))
	if got := b.eval(t, pageOutcome); got != "valid" {
		t.Errorf("with the trust file: got %v, %v", got, b.eval(t, `document.getElementById("result").textContent`))
	}
	if got := b.eval(t, `document.getElementById("gaps")`); got != nil {
		t.Errorf("a log without gaps: got %v", got)
	}
	bad := copyFolder(t, x.dir)
	path = filepath.Join(bad, "tree", shardName(time.Now()), "tile/entries/000")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	write(t, path, data)
	if got := b.eval(t, b.folder(t, bad)); got != "invalid" {
		t.Errorf("one bit: got %v", got)
	}
	b.eval(t, `document.getElementById("trust").value = "acme/audit/x+00000000+AQ=="; document.getElementById("trust").dispatchEvent(new Event("input"))`)
	if got := b.eval(t, `document.body.dataset.first`); got != "wrong" {
		t.Errorf("a key that is none: got %v", got)
	}
	if n := b.eval(t, `performance.getEntriesByType("resource").length`); n != 0.0 {
		t.Errorf("the page fetched %v things, want none", n)
	}
}

// A18: whoever checks the folder in a browser reads of the same gaps as whoever checks
// it with the program: from when to when, why, and what passed.
func TestPageGaps(t *testing.T) {
	t.Parallel()
	path := browser(t)
	x := gappy(t)
	r := x.verify(t, x.dir)
	if r.Outcome != Valid || len(r.Gaps) != 2 {
		t.Fatalf("got %s, %v, %+v", r.Outcome, r.Problems, r.Gaps)
	}
	var want []string
	for _, g := range r.Gaps {
		want = append(want, g.ID.String(), fmt.Sprintf("(entry %d), %s: from %s to %s", g.Index, g.Cause, pageTime(g.From), pageTime(g.To)))
	}
	want = append(want, "route <b>desk</b>: 2 requests forwarded, 1 answers released, 0 calls refused", "credit_card: 3 masked, 1 not inspected", "lost.index: nothing")
	b := startBrowser(t, path)
	b.open(t, filepath.Join(x.dir, pageFile))
	b.eval(t, b.folder(t, x.dir))
	got, _ := b.eval(t, `document.getElementById("gaps").textContent`).(string)
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("the page does not say %q: %s", w, got)
		}
	}
	if n := b.eval(t, `document.querySelectorAll("#gaps > li").length`); n != 2.0 {
		t.Errorf("got %v gaps", n)
	}
	if said, _ := b.eval(t, `document.getElementById("result").textContent`).(string); !strings.Contains(said, ", with 2 gaps: ") {
		t.Errorf("the outcome does not say so: %s", said)
	}
}

// pageTime is how the page writes a time.
func pageTime(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// gappy is the export of a log with two gaps: one of a route, one of a repair.
func gappy(t *testing.T) exported {
	t.Helper()
	l, data := newLog(t, Config{Checkpoint: 2 * time.Millisecond})
	recordMany(t, l, 10)
	mustClose(t, l)
	now := time.Now().UnixMilli()
	path := filepath.Join(data, gapFileName)
	if err := errors.Join(makeGapFile(path), writeGapFile(path, 1, &gapState{Gaps: []*gapRecord{
		{
			ID: NewID().String(), Cause: GapDisk, From: now - 60_000, Last: now - 50_000, To: now - 40_000,
			Routes: []*GapRoute{{Route: "<b>desk</b>", Requests: 2, Responses: 1}}, Released: map[string]Count{"credit_card": {Masked: 3, NotInspected: 1}},
		},
		{ID: NewID().String(), Cause: GapRepair, From: now - 30_000, Last: now, To: now, Attrs: map[string]string{"lost.index": "nothing"}},
	}})); err != nil {
		t.Fatal(err)
	}
	mustClose(t, reopen(t, data, Config{Checkpoint: 2 * time.Millisecond}))
	x := exported{data: data, dir: filepath.Join(t.TempDir(), "evidence")}
	if _, err := ExportEvidence(t.Context(), EvidenceOptions{Dir: data, Out: x.dir}); err != nil {
		t.Fatal(err)
	}
	var err error
	if x.trust, err = TrustOf(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	return x
}

// browser finds a Chromium.
func browser(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CAREGATE_TEST_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium here: apt-get install --no-install-recommends chromium, or set CAREGATE_TEST_CHROMIUM to the path of one")
	return ""
}

// chromium is one page of a headless Chromium, driven by the DevTools protocol.
type chromium struct {
	conn    *websocket.Conn
	session string
	id      int
}

func startBrowser(t *testing.T, path string) *chromium {
	t.Helper()
	// No folder of the test's: processes that Chromium leaves behind for a moment write
	// into it while it is removed, which would fail the test.
	home, err := os.MkdirTemp("", "caregate-chromium-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	cmd := exec.CommandContext(ctx, path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "--remote-allow-origins=http://127.0.0.1", "--user-data-dir="+filepath.Join(home, "profile"), "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
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
		t.Fatalf("%s did not start: %v", path, cmd.Wait())
	}
	conn, err := websocket.Dial(url, "", "http://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	b := &chromium{conn: conn}
	t.Cleanup(func() {
		_, _ = b.call("Browser.close", nil)
		_ = conn.Close()
		for range found { // to the end, so that Wait may close the pipe
		}
		_ = cmd.Wait()
		cancel()
	})
	target := b.must(t, "Target.createTarget", map[string]any{"url": "about:blank"})
	b.session, _ = b.must(t, "Target.attachToTarget", map[string]any{"targetId": target["targetId"], "flatten": true})["sessionId"].(string)
	b.must(t, "Page.enable", nil)
	return b
}

// call sends one command and waits for its answer; events are passed over.
func (b *chromium) call(method string, params map[string]any) (map[string]any, error) {
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

func (b *chromium) must(t *testing.T, method string, params map[string]any) map[string]any {
	t.Helper()
	r, err := b.call(method, params)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return r
}

// open loads a file and waits until its scripts have run. Until then the page may be the
// one before, which goes away while it is asked.
func (b *chromium) open(t *testing.T, file string) {
	t.Helper()
	b.must(t, "Page.navigate", map[string]any{"url": "file://" + file})
	until(t, func() bool {
		r, err := b.call("Runtime.evaluate", map[string]any{"expression": `location.protocol === "file:" && document.readyState === "complete"`, "returnByValue": true})
		result, _ := r["result"].(map[string]any)
		return err == nil && result["value"] == true
	})
}

// eval runs an expression in the page and returns its value, awaited.
func (b *chromium) eval(t *testing.T, expression string) any {
	t.Helper()
	r := b.must(t, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true})
	if failed, ok := r["exceptionDetails"]; ok {
		t.Fatalf("in the page: %v", failed)
	}
	result, _ := r["result"].(map[string]any)
	return result["value"]
}

// folder chooses a folder in the page, and returns the expression that waits for
// the outcome.
func (b *chromium) folder(t *testing.T, dir string) string {
	t.Helper()
	// The outcome of the folder before must not be taken for this one's.
	b.eval(t, `document.body.dataset.outcome = ""`)
	doc := b.must(t, "DOM.getDocument", nil)
	root, _ := doc["root"].(map[string]any)
	input := b.must(t, "DOM.querySelector", map[string]any{"nodeId": root["nodeId"], "selector": "#folder"})
	b.must(t, "DOM.setFileInputFiles", map[string]any{"files": []string{dir}, "nodeId": input["nodeId"]})
	return pageOutcome
}

// pageOutcome waits for the outcome of the folder.
const pageOutcome = `new Promise((done) => {
	const look = () => { const o = document.body.dataset.outcome; if (o) done(o); return Boolean(o); };
	if (!look()) new MutationObserver(look).observe(document.body, { attributes: true });
})`

// The page may not load anything: its policy says so, and names no address.
func TestPagePolicy(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"http://", "https://", "fetch(", "XMLHttpRequest", "import(", "WebSocket", "<link", "<img", "src="} {
		if strings.Contains(pageHTML+pageScript(), s) {
			t.Errorf("the page holds %q", s)
		}
	}
	if !strings.Contains(pageHTML, "default-src 'none'") {
		t.Error("the page has no content security policy")
	}
	if got := http.DetectContentType([]byte(pageHTML)); !strings.HasPrefix(got, "text/html") {
		t.Errorf("the page is %s", got)
	}
}
