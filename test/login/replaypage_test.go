package login_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/chromiumtest"
	"github.com/caregate/caregate/proxy/proxytest"
)

// The page on which a draft is tried, in a real browser: nobody without a login gets an
// answer, an administrator gets what the API says, and a draft that is none is told with its
// line.
func TestReplayPage(t *testing.T) {
	d := &desk{upstream: proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><title>desk</title><p>a page of the desk</p>`)
	})}
	d.stage = newSite(t, "", d.upstream.URL, "handle /agent/* {\n govern ./testdata/desk.yaml "+d.upstream.URL+" {\n route own\n identity session\n }\n }\n handle {\n caregate_api\n }")
	agent := d.browser()
	if p := agent.logIn("/agent/1", "ada", "1"); p.status != http.StatusOK {
		t.Fatalf("the agent: got %d %s", p.status, p.body)
	}
	for range 2 {
		agent.once("GET", "/agent/1", "", opens)
	}
	folder := filepath.Join(t.TempDir(), "draft")
	if err := os.MkdirAll(filepath.Join(folder, "own"), 0o700); err != nil {
		t.Fatal(err)
	}
	const rule = "package caregate.operator\n\ndeny contains \"no_pages\" if {\n\tinput.operation == \"page.show\"\n\tinput.direction == \"request\"\n}\n"
	write(t, filepath.Join(folder, "own", "deny.rego"), []byte(rule))
	write(t, filepath.Join(folder, "README.md"), []byte("no part of a bundle"))

	// What the API says, as soon as the log is that far.
	wish, err := json.Marshal(map[string]any{"files": map[string]string{"own/deny.rego": rule}})
	if err != nil {
		t.Fatal(err)
	}
	var want console.Replayed
	for tick := time.NewTicker(20 * time.Millisecond); want.Lost != 3; <-tick.C {
		if t.Context().Err() != nil {
			t.Fatal("the log never tells of the calls")
		}
		d.gateway.API("POST", "/api/v1/policy/replay", string(wish), http.StatusOK, &want)
	}

	b := chromiumtest.Start(t, "--ignore-certificate-errors")
	// replay chooses files and waits for the end.
	replay := func(input, path string) string {
		t.Helper()
		doc := b.Must("DOM.getDocument", nil)
		root, _ := doc["root"].(map[string]any)
		at := b.Must("DOM.querySelector", map[string]any{"nodeId": root["nodeId"], "selector": input})
		b.Must("DOM.setFileInputFiles", map[string]any{"files": []string{path}, "nodeId": at["nodeId"]})
		b.Until(fmt.Sprintf(`document.querySelector(%q).files.length > 0`, input)) // a folder is read before its files are there
		b.Eval(`document.body.dataset.state = ""; document.getElementById("ask").requestSubmit()`)
		b.Until(`document.body.dataset.state === "done"`)
		said, _ := b.Eval(`document.getElementById("said").innerText`).(string)
		return said
	}
	page := d.site + "/console/policy/replay"
	b.Open(page)
	if said := replay("#folder", folder); !strings.Contains(said, "Log in") || b.Eval(`document.getElementById("changes").hidden`) != true {
		t.Errorf("nobody: the page says %q", said)
	}
	b.Eval(`document.querySelector("#said a").click()`)
	b.Until(`document.querySelector("input[name=code]") !== null && document.readyState === "complete"`)
	b.Eval(`document.querySelector("input[name=login]").value = "root"; document.querySelector("input[name=code]").value = "1"; document.forms[0].submit()`)
	b.Until(fmt.Sprintf(`location.href === %q && document.readyState === "complete"`, page))

	said := replay("#folder", folder)
	if !strings.Contains(said, ": 3 lost, 0 gained, 0 treated otherwise, ") || !strings.Contains(said, "compared: policy "+want.Now[:12]) || !strings.Contains(said, "and draft "+want.Draft[:12]) {
		t.Errorf("the page says %q, the API %+v", said, want)
	}
	cells, _ := b.Eval(`[...document.querySelectorAll("#changes tbody tr")].map((tr) => [...tr.cells].map((td) => td.innerText.trim()).join("|")).join("\n")`).(string)
	var rows []string
	for _, c := range want.Changes {
		rows = append(rows, fmt.Sprintf("%d|%s %s|%s %s:%s|%s|%s|%s|%s", c.Decisions, c.Kind, strings.Join(c.Roles, ","), c.Route, c.Channel, c.Operation, c.Direction, c.Before, c.After, strings.Join(c.Receipts, "\n")))
	}
	if cells != strings.Join(rows, "\n") || len(rows) == 0 {
		t.Errorf("the table has\n%s\nwant\n%s", cells, strings.Join(rows, "\n"))
	}

	broken := filepath.Join(t.TempDir(), "deny.rego")
	write(t, broken, []byte(rule+"\ndeny contains"))
	b.Open(page)
	if said := replay("#files", broken); !strings.Contains(said, "deny.rego:8") || b.Eval(`document.getElementById("changes").hidden`) != true {
		t.Errorf("a draft that is none: the page says %q", said)
	}
	b.Open(page)
	if said := replay("#files", filepath.Join(folder, "README.md")); !strings.Contains(said, "There is no data.yaml") {
		t.Errorf("no draft: the page says %q", said)
	}
	// The page runs what it came with, and nothing that is put into it.
	if got := b.Eval(`(() => { const s = document.createElement("script"); s.textContent = "document.body.dataset.planted = 1"; document.body.append(s); return document.body.dataset.planted === undefined; })()`); got != true {
		t.Error("a script that was put into the page ran")
	}
	if n := len(d.sessions()); n != 2 {
		t.Errorf("%d sessions, want two", n)
	}
}
