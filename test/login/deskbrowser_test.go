package login_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/chromiumtest"
)

// The round with a real browser, which says by itself where its calls come from: a page, the
// login, the page, calls of its scripts and forms, an attack from next door, the log-out.
func TestDeskInBrowser(t *testing.T) {
	d := newDesk(t, "", "")
	b := chromiumtest.Start(t, "--ignore-certificate-errors") // the site's is the test's own
	// here waits until the page at a path of the desk is there.
	here := func(path string) {
		t.Helper()
		b.Until(fmt.Sprintf(`location.href === %q && document.readyState === "complete"`, d.site+path))
	}
	// fetched is what a call of a script gets.
	fetched := func(site, path, options string) string {
		t.Helper()
		got, _ := b.Eval(fmt.Sprintf(`fetch(%q, %s).then(async (r) => r.status + " " + r.headers.get("Caregate-Error") + " " + await r.text(), (e) => "no answer")`, site+path, options)).(string)
		return got
	}
	logIn := func() {
		t.Helper()
		b.Until(`document.querySelector("input[name=code]") !== null && document.readyState === "complete"`)
		b.Eval(`document.querySelector("input[name=login]").value = "ada"; document.querySelector("input[name=code]").value = "1"; document.forms[0].submit()`)
	}

	b.Open(d.site + "/agent/1?tab=a")
	logIn()
	here("/agent/1?tab=a")
	if got := b.Eval(`document.getElementById("here").textContent`); got != "a page of the desk" {
		t.Fatalf("the page: got %v", got)
	}
	if got, _ := b.Eval(`document.cookie`).(string); strings.Contains(got, "caregate") {
		t.Error("a script sees the session")
	}
	change := `{method: "POST", headers: {"Content-Type": "application/json"}, body: "{\"state\":\"open\"}"}`
	if got := fetched("", "/api/tickets/1", change); !strings.HasPrefix(got, "200 null") {
		t.Errorf("a change by a script: got %s", got)
	}
	if got := fetched("", "/api/tickets/1", `{}`); !strings.HasPrefix(got, "200 null") {
		t.Errorf("a read by a script: got %s", got)
	}
	b.Eval(`const form = document.createElement("form"); form.method = "post"; form.action = "/api/tickets/2"; document.body.append(form); form.submit()`)
	here("/api/tickets/2")
	if got := b.Eval(`document.body.textContent`); got != `{"ok":true}` {
		t.Errorf("a form of the desk: got %v", got)
	}

	// A page next door: another origin of the same site, to which the browser shows cookies.
	next := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>next door</title>`)
	}))
	t.Cleanup(next.Close)
	b.Open(next.URL)
	b.Until(`document.title === "next door" && document.readyState === "complete"`)
	before := len(d.upstream.Requests())
	fetched(d.site, "/api/tickets/1", `{mode: "no-cors", credentials: "include"}`)
	fetched(d.site, "/api/tickets/1", `{method: "POST", mode: "no-cors", credentials: "include", body: "state=closed"}`)
	b.Eval(fmt.Sprintf(`const form = document.createElement("form"); form.method = "post"; form.action = %q; document.body.append(form); form.submit()`, d.site+"/api/tickets/1"))
	here("/api/tickets/1")
	if got, _ := b.Eval(`document.body.textContent`).(string); !strings.Contains(got, `"reason":"origin_refused"`) {
		t.Errorf("a form next door: got %s", got)
	}
	for _, r := range d.upstream.Requests()[before:] {
		if r.Target != "/favicon.ico" { // which the browser asks for of each site, when it likes
			t.Errorf("an attack reached the desk: %s %s", r.Method, r.Target)
		}
	}
	// A link from there leads to the desk.
	b.Open(next.URL)
	b.Until(`document.title === "next door" && document.readyState === "complete"`)
	b.Eval(fmt.Sprintf(`location.href = %q`, d.site+"/agent/2"))
	here("/agent/2")
	if got := b.Eval(`document.getElementById("here") !== null`); got != true {
		t.Error("a link from next door leads nowhere")
	}

	b.Eval(`const form = document.createElement("form"); form.method = "post"; form.action = "/caregate/logout"; document.body.append(form); form.submit()`)
	here("/caregate/session")
	if n := len(d.sessions()); n != 0 {
		t.Errorf("after the log-out: %d sessions", n)
	}
	if got := fetched("", "/api/tickets/1", `{}`); got != "no answer" { // the page of the gateway lets no script call
		t.Errorf("a script on the gateway's page: got %s", got)
	}
	b.Open(d.site + "/help/1")
	here("/help/1")
	if got := fetched("", "/api/tickets/1", `{}`); !strings.HasPrefix(got, "401 no_credential") || !strings.Contains(got, `"login":"/caregate/login"`) {
		t.Errorf("a script after the log-out: got %s", got)
	}
}
