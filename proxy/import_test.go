package proxy_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/proxy/proxytest"
)

// quickDesk is the file of Zendesk for an account whose limits are high, with small pages.
// It returns the first words of govern.
func quickDesk(tb testing.TB, page int) string {
	tb.Helper()
	src, err := os.ReadFile("../channel/zendesk.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	text := string(src)
	for _, r := range [][2]string{{"limit: {calls: 10, per: 1m}", "limit: {calls: 1000000, per: 1m}"}, {"rate: {calls: 200,", "rate: {calls: 1000000,"}, {`per_page: "1000"`, fmt.Sprintf(`per_page: "%d"`, page)}} {
		if !strings.Contains(text, r[0]) {
			tb.Fatalf("the file of Zendesk has no %q", r[0])
		}
		text = strings.ReplaceAll(text, r[0], r[1])
	}
	path := filepath.Join(tb.TempDir(), "desk.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return "* " + path
}

// importing starts a gateway in front of u that has a credential.
func importing(t *testing.T, upstream string, page int) *proxytest.Gateway {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("desk-token-of-the-gateway"), 0o600); err != nil {
		t.Fatal(err)
	}
	return proxytest.Start(t, proxytest.Options{Channel: quickDesk(t, page), Upstream: upstream, Govern: "credential basic ana@helpdesk.example/token {file." + secret + "}"})
}

// next asks for a page until one was read, or could not be.
func next(g *proxytest.Gateway, t *testing.T, id string) (i console.Import) {
	t.Helper()
	for {
		g.API("POST", "/api/v1/imports/"+id+"/next", "", http.StatusOK, &i)
		if i.Trouble != "" || i.Wait == 0 {
			return i
		}
		select { // as the gateway says
		case <-time.After(time.Duration(i.Wait) * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
		i = console.Import{}
	}
}

func beginImport(g *proxytest.Gateway) (i console.Import) {
	g.API("POST", "/api/v1/imports", `{"route":"zendesk"}`, http.StatusOK, &i)
	return i
}

// What the vendor has already is in the index with the vendor's times, marked, and comes
// together with what passes.
func TestImport(t *testing.T) {
	helpdesk := sample.NewHelpdesk(sample.Options{APITokens: []string{"desk-token-of-the-gateway"}, History: 230, Rate: 1_000_000})
	u := proxytest.NewUpstream(t, helpdesk.ServeHTTP)
	g := importing(t, u.URL, 50)
	key := agentKey(g, "zendesk:ticket.delete")
	get := func(method, path string, want int) {
		t.Helper()
		if a := do(t, g, call{method: method, path: path, header: http.Header{"Caregate-Key": {key}}}); a.status != want {
			t.Fatalf("%s %s: got %d, want %d", method, path, a.status, want)
		}
	}
	first := 4_025_900_000_011 // the first ticket, of customer 0
	get("GET", fmt.Sprintf("/api/v2/tickets/%d.json", first), 200)
	get("DELETE", fmt.Sprintf("/api/v2/tickets/%d.json", first+37), 204)

	i := beginImport(g)
	if len(i.Lists) != 2 || i.Done {
		t.Fatalf("begun: %+v", i)
	}
	again := beginImport(g)
	if again.ID != i.ID {
		t.Errorf("an import that is under way was begun once more")
	}
	for n := 0; !i.Done; n++ {
		if i = next(g, t, i.ID); i.Trouble != "" || n > 20 {
			t.Fatalf("got %+v", i)
		}
	}
	if l := i.Lists; l[0].Records != 229 || l[0].Pages != 5 || l[1].Records < 23 || !l[0].Done || !l[1].Done {
		t.Errorf("got %+v", l)
	}
	e := g.Event(i.ID)
	if e.Type != "channel.imported" || e.Attrs["records_tickets"] != "229" || e.Attrs["pages_tickets"] != "5" {
		t.Errorf("the end is on record as %+v", e)
	}
	if done := next(g, t, i.ID); !done.Done || done.ID != i.ID {
		t.Errorf("asked once more: %+v", done)
	}

	_, by := recordsOf(g, `,"linked":true`, "email:customer3@history.example")
	if len(by) != 11 {
		t.Fatalf("customer 3 has %q", names(by))
	}
	begins := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := 30; n < 40; n++ {
		r := by[fmt.Sprintf("ticket/%d", first+37*n)]
		created := begins.Add(time.Duration(n) * time.Hour)
		if !r.Created.Equal(created) || r.Backfilled.IsZero() || r.Open != (n%3 == 0) || n%3 != 0 && !r.Closed.Equal(created.Add(24*time.Hour)) {
			t.Errorf("ticket %d: %+v", n, r)
		}
	}
	// What passed before the import is known by it as well, and what was deleted stays so.
	_, by = recordsOf(g, `,"linked":true`, "email:customer0@history.example")
	if r := by[fmt.Sprintf("ticket/%d", first)]; r.Backfilled.IsZero() || r.FirstSeen.After(r.LastSeen) || !r.Created.Equal(begins) {
		t.Errorf("seen before the import: %+v", r)
	}
	for name, r := range by {
		if name == fmt.Sprintf("ticket/%d", first+37) && r.Gone.IsZero() {
			t.Errorf("deleted before the import: %+v", r)
		}
	}
	// One that is deleted later is gone, and still marked.
	get("DELETE", fmt.Sprintf("/api/v2/tickets/%d.json", first+37*30), 204)
	_, by = recordsOf(g, `,"linked":true`, "email:customer3@history.example")
	if r := by[fmt.Sprintf("ticket/%d", first+37*30)]; r.Gone.IsZero() || r.Backfilled.IsZero() || !r.Created.Equal(begins.Add(30*time.Hour)) {
		t.Errorf("deleted after the import: %+v", r)
	}
	// An import that came to its end begins anew.
	if anew := beginImport(g); anew.ID == i.ID || anew.Lists[0].Records != 0 {
		t.Errorf("begun anew: %+v", anew)
	}
}

// Whatever a vendor answers that is no page ends in words that say where, and nothing of it
// is noted.
func TestImportOfWhatIsNoPage(t *testing.T) {
	const ticket = `{"id":35,"requester_id":41,"created_at":"2026-01-05T10:00:00Z"}`
	answer := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, body)
		}
	}
	status := func(code int, h ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for i := 0; i < len(h); i += 2 {
				w.Header().Set(h[i], h[i+1])
			}
			w.WriteHeader(code)
			fmt.Fprint(w, `{"tickets":[`+ticket+`],"end_of_stream":true}`)
		}
	}
	var now atomic.Pointer[http.HandlerFunc]
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) { (*now.Load())(w, r) })
	g := importing(t, u.URL, 50)
	for _, test := range []struct {
		name, want string
		again      bool
		handle     http.HandlerFunc
	}{
		{name: "a page for people", want: "no JSON", handle: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html><body>Down for maintenance</body></html>")
		}},
		{name: "half a document", want: "could not be read", handle: answer(`{"tickets":[` + ticket + `,{"id":36`)},
		{name: "another document", want: "no list at /tickets", handle: answer(`{"cases":[` + ticket + `],"end_of_stream":true}`)},
		{name: "another kind of list", want: "no list at /tickets", handle: answer(`{"tickets":{"35":` + ticket + `},"end_of_stream":true}`)},
		{name: "no id", want: "no id at /id, element 2", handle: answer(`{"tickets":[` + ticket + `,{"created_at":"2026-01-05T10:00:00Z"}],"end_of_stream":true}`)},
		{name: "no time", want: "no time at /created_at, element 2", handle: answer(`{"tickets":[` + ticket + `,{"id":36,"created_at":"yesterday"}],"end_of_stream":true}`)},
		{name: "a name twice", want: "could not be read", handle: answer(`{"tickets":[` + ticket + `],"tickets":[],"end_of_stream":true}`)},
		{name: "no end", want: "/end_of_stream", handle: answer(`{"tickets":[` + ticket + `],"after_cursor":"a"}`)},
		{name: "no cursor", want: "no cursor stands at /after_cursor", handle: answer(`{"tickets":[` + ticket + `],"end_of_stream":false}`)},
		{name: "a giant", want: "longer than 32 MiB", handle: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"tickets":[`+ticket+`],"end_of_stream":true`)
			for blanks := strings.Repeat(" ", 1<<20); ; {
				if _, err := fmt.Fprint(w, blanks); err != nil {
					return
				}
			}
		}},
		{name: "a redirect", want: "answered 302", handle: status(302, "Location", "https://elsewhere.example/")},
		{name: "forbidden", want: "may not read this list", handle: status(403)},
		{name: "broken", want: "answered 500", again: true, handle: status(500)},
	} {
		t.Run(test.name, func(t *testing.T) {
			now.Store(&test.handle)
			id := beginImport(g).ID
			i := next(g, t, id)
			if !strings.Contains(i.Trouble, "list tickets, page 1") || !strings.Contains(i.Trouble, test.want) || i.Again != test.again {
				t.Errorf("got %q, again %t, want %q", i.Trouble, i.Again, test.want)
			}
			if l := i.Lists[0]; l.Pages != 0 || l.Records != 0 || i.Done {
				t.Errorf("it went on: %+v", i)
			}
			if list, _ := recordsOf(g, "", "zendesk:user:41"); len(list.Records) != 0 {
				t.Errorf("noted: %+v", list.Records)
			}
		})
	}

	// Cursors that go in a circle.
	var asked atomic.Int64
	circle := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"tickets":[],"end_of_stream":false,"after_cursor":"c%d"}`, asked.Add(1)%3)
	})
	now.Store(&circle)
	id := beginImport(g).ID
	var i console.Import
	for i.Trouble == "" {
		if i = next(g, t, id); asked.Load() > 20 {
			t.Fatal("it goes in the circle for ever")
		}
	}
	if !strings.Contains(i.Trouble, "in a circle") || i.Again {
		t.Errorf("got %q", i.Trouble)
	}

	// A vendor that wants to be left alone is, by everybody who asks.
	limited := status(429, "Retry-After", "3000")
	now.Store(&limited)
	if i = next(g, t, id); !i.Again || i.Wait < 2_990_000 {
		t.Errorf("got %+v", i)
	}
	before := len(u.Requests())
	var waits console.Import
	g.API("POST", "/api/v1/imports/"+id+"/next", "", http.StatusOK, &waits)
	if waits.Wait < 2_900_000 || waits.Trouble != "" || len(u.Requests()) != before {
		t.Errorf("asked in spite of it: %+v", waits)
	}
}

// An import needs a route that there is, lists, and a credential that the gateway has.
func TestImportNeeds(t *testing.T) {
	u := proxytest.NewUpstream(t, desk)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	g.API("POST", "/api/v1/imports", `{"route":"elsewhere"}`, http.StatusNotFound, nil)
	g.API("POST", "/api/v1/imports", `{"route":"zendesk"}`, http.StatusBadRequest, nil)
	g.API("POST", "/api/v1/imports/nobody/next", "", http.StatusNotFound, nil)
	if n := len(u.Requests()); n != 0 {
		t.Errorf("%d calls", n)
	}
}
