package sample

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testToken  = "t0ken"
	testBearer = "b3arer"
)

// desk is one helpdesk with a client of its own.
type desk struct {
	*Helpdesk
	t   *testing.T
	url string
}

func newDesk(t *testing.T, seed bool) *desk {
	t.Helper()
	h := NewHelpdesk(Options{
		APITokens: []string{testToken},
		Bearers:   []Bearer{{Token: testBearer, Email: "bot@helpdesk.example", Client: 77}},
		Seed:      seed,
		Clock:     func() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) },
	})
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &desk{h, t, server.URL}
}

// reply is a decoded answer.
type reply struct {
	status int
	header http.Header
	raw    []byte
	json   object
}

// do sends a request as an agent with an API token; headers come in pairs.
func (d *desk) do(method, path, body string, headers ...string) reply {
	d.t.Helper()
	target := path
	if strings.HasPrefix(path, "/") {
		target = d.url + path
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.SetBasicAuth("agent@helpdesk.example/token", testToken)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	out := reply{status: res.StatusCode, header: res.Header, raw: raw, json: object{}}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if strings.Contains(res.Header.Get("Content-Type"), "json") && res.Header.Get("Content-Encoding") == "" {
		if err := decoder.Decode(&out.json); err != nil {
			d.t.Fatalf("%s %s: the answer is no JSON: %v", method, path, err)
		}
	}
	return out
}

// want fails unless the status is right.
func (d *desk) want(r reply, status int) reply {
	d.t.Helper()
	if r.status != status {
		d.t.Fatalf("got status %d with %s, want %d", r.status, r.raw, status)
	}
	return r
}

// ticket creates one and returns its id.
func (d *desk) ticket(subject string) string {
	d.t.Helper()
	r := d.want(d.do("POST", "/api/v2/tickets.json", fmt.Sprintf(`{"ticket":{"subject":%q,"comment":{"body":"text of %s"}}}`, subject, subject)), 201)
	return text(r.json["ticket"].(object)["id"])
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	cases := []struct {
		name, authorization string
		status              int
		email               string
	}{
		{"API token", basicAuth("ana@helpdesk.example/token", testToken), 200, "ana@helpdesk.example"},
		{"API token, another e-mail", basicAuth("boss@helpdesk.example/token", testToken), 200, "boss@helpdesk.example"},
		{"bearer", "Bearer " + testBearer, 200, "bot@helpdesk.example"},
		{"wrong token", basicAuth("ana@helpdesk.example/token", "other"), 401, ""},
		{"password", basicAuth("ana@helpdesk.example", testToken), 401, ""},
		{"wrong bearer", "Bearer other", 401, ""},
		{"empty bearer", "Bearer ", 401, ""},
		{"nothing", "", 401, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := d.do("GET", "/api/v2/users/me.json", "", "Authorization", tc.authorization)
			if r.status != tc.status {
				t.Fatalf("got %d, want %d", r.status, tc.status)
			}
			if tc.email != "" && text(r.json["user"].(object)["email"]) != tc.email {
				t.Errorf("got user %v, want %s", r.json["user"], tc.email)
			}
		})
	}
}

func basicAuth(user, password string) string {
	req := &http.Request{Header: http.Header{}}
	req.SetBasicAuth(user, password)
	return req.Header.Get("Authorization")
}

func TestOnBehalfOfAndCurrentToken(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	me := d.want(d.do("GET", "/api/v2/users/me", "", "X-On-Behalf-Of", "other@helpdesk.example"), 200)
	if got := text(me.json["user"].(object)["email"]); got != "other@helpdesk.example" {
		t.Errorf("got %s", got)
	}
	token := d.want(d.do("GET", "/api/v2/oauth/tokens/current.json", "", "Authorization", "Bearer "+testBearer), 200)
	if got := text(token.json["token"].(object)["client_id"]); got != "77" {
		t.Errorf("got client %s, want 77", got)
	}
	d.want(d.do("GET", "/api/v2/oauth/tokens/current.json", ""), 404)
}

// One ticket from creation to purge, everything stored as it came.
func TestLifeOfATicket(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	const body = `{"ticket":{"subject":"Caf\u00e9 <b>","comment":{"body":"card XXXX XXXX XXXX 1111\nsecond & line"},"custom_fields":[{"id":360001234567,"value":"XXX-XX-XXXX"}],"requester":{"name":"Maria","email":"maria@customer.example"},"tags":["a"]}}`
	created := d.want(d.do("POST", "/api/v2/tickets.json", body), 201)
	ticket := created.json["ticket"].(object)
	id := text(ticket["id"])
	if len(id) != 13 {
		t.Errorf("the id %s has %d digits, want 13", id, len(id))
	}
	if got, want := created.header.Get("Location"), d.url+"/api/v2/tickets/"+id+".json"; got != want {
		t.Errorf("Location is %s, want %s", got, want)
	}
	if ticket["subject"] != "Café <b>" || ticket["description"] != "card XXXX XXXX XXXX 1111\nsecond & line" {
		t.Errorf("stored %v", ticket)
	}
	last := d.Received()[len(d.Received())-1]
	if string(last.Body) != body || last.Method != "POST" || last.Path != "/api/v2/tickets.json" || last.Status != 201 {
		t.Errorf("received %+v", last)
	}

	updated := d.want(d.do("PUT", "/api/v2/tickets/"+id, `{"ticket":{"status":"open","comment":{"html_body":"<p>an <i>answer</i></p>","public":false},"custom_fields":[{"id":1,"value":"x"},{"id":360001234567,"value":"new"}]}}`), 200)
	if fields := list(updated.json["ticket"].(object)["custom_fields"]); len(fields) != 2 || text(fields[0].(object)["value"]) != "new" {
		t.Errorf("custom fields are %v", fields)
	}
	comments := d.want(d.do("GET", "/api/v2/tickets/"+id+"/comments.json", ""), 200)
	if all := list(comments.json["comments"]); len(all) != 2 || all[1].(object)["body"] != "an answer" || all[1].(object)["public"] != false {
		t.Errorf("comments are %v", all)
	}
	if cid := text(list(comments.json["comments"])[0].(object)["id"]); len(cid) != 14 {
		t.Errorf("the comment id %s has %d digits, want 14", cid, len(cid))
	}
	d.want(d.do("PUT", "/api/v2/tickets/"+id, `{"ticket":{"safe_update":true,"updated_stamp":"2001-01-01T00:00:00Z","subject":"x"}}`), 409)
	if audits := list(d.want(d.do("GET", "/api/v2/tickets/"+id+"/audits", ""), 200).json["audits"]); len(audits) != 2 {
		t.Errorf("got %d audits, want 2", len(audits))
	}
	d.want(d.do("PUT", "/api/v2/tickets/"+id+"/tags", `{"tags":["b"]}`), 200)
	if got := d.want(d.do("DELETE", "/api/v2/tickets/"+id+"/tags", `{"tags":["a"]}`), 200); text(got.json["tags"]) != `["b"]` {
		t.Errorf("tags are %v", got.json["tags"])
	}
	d.want(d.do("DELETE", "/api/v2/tickets/"+id, ""), 204)
	d.want(d.do("GET", "/api/v2/tickets/"+id, ""), 404)
	d.want(d.do("PUT", "/api/v2/deleted_tickets/"+id+"/restore", ""), 200)
	d.want(d.do("GET", "/api/v2/tickets/"+id, ""), 200)
	d.want(d.do("DELETE", "/api/v2/tickets/"+id, ""), 204)
	job := d.want(d.do("DELETE", "/api/v2/deleted_tickets/"+id, ""), 200).json["job_status"].(object)
	if done := d.want(d.do("GET", text(job["url"]), ""), 200); done.json["job_status"].(object)["status"] != "completed" {
		t.Errorf("the job is %v", done.json)
	}
	d.want(d.do("DELETE", "/api/v2/deleted_tickets/"+id, ""), 404)
}

// A deleted ticket is in the trash until a job has taken it out of there, and no longer than 30
// days.
func TestTrash(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	d := newDesk(t, false)
	d.options.Working, d.options.Clock = 1, func() time.Time { return now }
	first, second := d.ticket("first"), d.ticket("second")
	for _, id := range []string{first, second} {
		d.want(d.do("DELETE", "/api/v2/tickets/"+id, ""), 204)
	}
	job := "/api/v2/job_statuses/" + text(d.want(d.do("DELETE", "/api/v2/deleted_tickets/"+first, ""), 200).json["job_status"].(object)["id"])
	for i, want := range []string{"working", "completed", "completed"} {
		got := d.want(d.do("GET", job, ""), 200).json["job_status"].(object)["status"]
		if trash := len(list(d.want(d.do("GET", "/api/v2/deleted_tickets", ""), 200).json["deleted_tickets"])); got != want || trash != []int{2, 1, 1}[i] {
			t.Errorf("the job is %v with %d in the trash, want %s", got, trash, want)
		}
	}
	d.want(d.do("PUT", "/api/v2/deleted_tickets/"+first+"/restore", ""), 404)
	now = now.Add(30*24*time.Hour + time.Second)
	d.want(d.do("PUT", "/api/v2/deleted_tickets/"+second+"/restore", ""), 404)
}

func TestManyTickets(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	job := d.want(d.do("POST", "/api/v2/tickets/create_many.json", `{"tickets":[{"subject":"a","comment":{"body":"a"}},{"subject":"none"},{"subject":"b","description":"b"}]}`), 200)
	done := d.want(d.do("GET", text(job.json["job_status"].(object)["url"]), ""), 200)
	results := list(done.json["job_status"].(object)["results"])
	if len(results) != 3 || results[1].(object)["error"] == nil {
		t.Fatalf("results are %v", results)
	}
	ids := text(results[0].(object)["id"]) + "," + text(results[2].(object)["id"])
	d.want(d.do("PUT", "/api/v2/tickets/update_many.json?ids="+ids, `{"ticket":{"status":"solved"}}`), 200)
	shown := list(d.want(d.do("GET", "/api/v2/tickets/show_many.json?ids="+ids, ""), 200).json["tickets"])
	if len(shown) != 2 || shown[1].(object)["status"] != "solved" {
		t.Errorf("tickets are %v", shown)
	}
	d.want(d.do("DELETE", "/api/v2/tickets/destroy_many.json?ids="+ids, ""), 200)
	if n := len(d.Tickets()); n != 0 {
		t.Errorf("%d tickets are left", n)
	}
}

// Both ways of paging visit everything once, by addresses on the same host.
func TestPaging(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	for i := range 7 {
		d.ticket(fmt.Sprintf("ticket %d", i))
	}
	next := map[string]func(object) string{
		"offset":      func(o object) string { return text(o["next_page"]) },
		"cursor":      func(o object) string { return text(o["links"].(object)["next"]) },
		"incremental": func(o object) string { return map[bool]string{false: text(o["after_url"])}[o["end_of_stream"] == true] },
	}
	cases := []struct{ name, path, key, how string }{
		{"offset", "/api/v2/tickets.json?per_page=3", "tickets", "offset"},
		{"cursor", "/api/v2/tickets.json?page[size]=3", "tickets", "cursor"},
		{"search", "/api/v2/search.json?query=type:ticket&per_page=2", "results", "offset"},
		{"search export", "/api/v2/search/export?query=ticket&filter[type]=ticket&page[size]=2", "results", "cursor"},
		{"incremental", "/api/v2/incremental/tickets/cursor.json?start_time=1&per_page=3", "tickets", "incremental"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			pages := 0
			for at := d.url + tc.path; at != ""; pages++ {
				if !strings.HasPrefix(at, d.url) {
					t.Fatalf("the next page is at %s, want it on %s", at, d.url)
				}
				r := d.want(d.do("GET", at, ""), 200)
				for _, v := range list(r.json[tc.key]) {
					seen[text(v.(object)["id"])] = true
				}
				at = next[tc.how](r.json)
			}
			if len(seen) != 7 || pages < 3 {
				t.Errorf("saw %d tickets on %d pages, want 7 on at least 3", len(seen), pages)
			}
		})
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	created := d.want(d.do("POST", "/api/v2/users", `{"user":{"name":"Maria","email":"maria@customer.example","phone":"+4915112345678","notes":"n","external_id":"e1","user_fields":{"a":"1"}}}`), 201)
	id := text(created.json["user"].(object)["id"])
	d.want(d.do("POST", "/api/v2/users", `{"user":{"name":"Maria","email":"MARIA@customer.example"}}`), 422)
	d.want(d.do("POST", "/api/v2/users/create_or_update", `{"user":{"name":"Maria K","external_id":"e1","user_fields":{"b":"2"}}}`), 200)
	shown := d.want(d.do("GET", "/api/v2/users/"+id+".json", ""), 200).json["user"].(object)
	if shown["name"] != "Maria K" || len(shown["user_fields"].(object)) != 2 {
		t.Errorf("the user is %v", shown)
	}
	for name, query := range map[string]string{"email": "query=email:maria@customer.example", "name": "query=maria", "external id": "external_id=e1"} {
		if found := list(d.want(d.do("GET", "/api/v2/users/search.json?"+query, ""), 200).json["users"]); len(found) != 1 {
			t.Errorf("search by %s found %d users, want 1", name, len(found))
		}
	}
	if found := list(d.want(d.do("GET", "/api/v2/users/"+id+"/identities", ""), 200).json["identities"]); len(found) != 2 {
		t.Errorf("got %d identities, want 2", len(found))
	}
	d.want(d.do("PUT", "/api/v2/users/"+id, `{"user":{"notes":"other"}}`), 200)
	d.want(d.do("DELETE", "/api/v2/users/"+id, ""), 200)
	d.want(d.do("GET", "/api/v2/users/"+id, ""), 404)
}

func TestAnonymousRequest(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	r := d.want(d.do("POST", "/api/v2/requests.json", `{"request":{"subject":"s","comment":{"body":"b"},"requester":{"name":"Zoe","email":"zoe@customer.example"}}}`, "Authorization", ""), 201)
	id := text(r.json["request"].(object)["id"])
	d.want(d.do("GET", "/api/v2/requests/"+id, "", "Authorization", ""), 401)
	d.want(d.do("GET", "/api/v2/requests/"+id+"/comments", ""), 200)
	d.want(d.do("POST", "/api/v2/requests.json", `{}`, "Authorization", "Bearer wrong"), 401)
}

// The same key makes one ticket, also when both calls come at once.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	const body = `{"ticket":{"subject":"once","comment":{"body":"once"}}}`
	replies := make([]reply, 4)
	var group sync.WaitGroup
	for i := range replies {
		group.Go(func() { replies[i] = d.do("POST", "/api/v2/tickets", body, "Idempotency-Key", "k1") })
	}
	group.Wait()
	misses := 0
	for _, r := range replies {
		d.want(r, 201)
		if !bytes.Equal(r.raw, replies[0].raw) {
			t.Errorf("answers differ: %s and %s", r.raw, replies[0].raw)
		}
		if r.header.Get("X-Idempotency-Lookup") == "miss" {
			misses++
		}
	}
	if misses != 1 || len(d.Tickets()) != 1 {
		t.Errorf("%d calls were carried out and %d tickets stored, want one each", misses, len(d.Tickets()))
	}
	d.want(d.do("POST", "/api/v2/tickets", `{"ticket":{"comment":{"body":"other"}}}`, "Idempotency-Key", "k1"), 400)
	d.want(d.do("POST", "/api/v2/tickets", body, "Idempotency-Key", "k2"), 201)
}

func TestUploadAndAttachment(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	up := d.want(d.do("POST", "/api/v2/uploads.json?filename=r%C3%A9sum%C3%A9.txt", "file bytes", "Content-Type", "text/plain"), 201).json["upload"].(object)
	token := text(up["token"])
	second := d.want(d.do("POST", "/api/v2/uploads.json?filename=two.bin&token="+token, "\x00\x01", "Content-Type", "application/binary"), 201).json["upload"].(object)
	if len(list(second["attachments"])) != 2 {
		t.Errorf("one token holds %d files, want 2", len(list(second["attachments"])))
	}
	made := d.want(d.do("POST", "/api/v2/tickets", `{"ticket":{"comment":{"body":"see file","uploads":["`+token+`"]}}}`), 201)
	id := text(made.json["ticket"].(object)["id"])
	files := list(list(d.want(d.do("GET", "/api/v2/tickets/"+id+"/comments", ""), 200).json["comments"])[0].(object)["attachments"])
	if len(files) != 2 {
		t.Fatalf("the comment has %d files, want 2", len(files))
	}
	content := d.want(d.do("GET", text(files[0].(object)["content_url"]), "", "Authorization", ""), 200)
	if string(content.raw) != "file bytes" || content.header.Get("Content-Type") != "text/plain" {
		t.Errorf("got %q as %s", content.raw, content.header.Get("Content-Type"))
	}
	d.want(d.do("GET", "/api/v2/attachments/"+text(files[0].(object)["id"]), ""), 200)
	d.want(d.do("POST", "/api/v2/uploads", "x"), 422)
	d.want(d.do("DELETE", "/api/v2/uploads/"+token, ""), 204)
	d.want(d.do("DELETE", "/api/v2/uploads/"+token, ""), 404)
}

func TestEntityTagAndGzip(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	plain := d.want(d.do("GET", "/api/v2/tickets.json", "", "Accept-Encoding", "identity"), 200)
	packed := d.want(d.do("GET", "/api/v2/tickets.json", "", "Accept-Encoding", "gzip, deflate"), 200)
	if packed.header.Get("Content-Encoding") != "gzip" || len(packed.raw) >= len(plain.raw) {
		t.Errorf("got coding %q with %d of %d bytes", packed.header.Get("Content-Encoding"), len(packed.raw), len(plain.raw))
	}
	tag := plain.header.Get("ETag")
	if tag == "" || tag != packed.header.Get("ETag") {
		t.Fatalf("entity tags are %q and %q", tag, packed.header.Get("ETag"))
	}
	same := d.want(d.do("GET", "/api/v2/tickets.json", "", "If-None-Match", tag), 304)
	if len(same.raw) != 0 || same.header.Get("X-Rate-Limit") == "" {
		t.Errorf("304 with %d bytes and headers %v", len(same.raw), same.header)
	}
}

func TestUnknownCalls(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	for _, call := range []string{"GET /api/v2/nothing.json", "PATCH /api/v2/tickets", "GET /api/v2/tickets/1", "GET /api/v2/tickets/x.json", "GET /api/", "GET /attachments/token/none"} {
		method, path, _ := strings.Cut(call, " ")
		d.want(d.do(method, path, ""), 404)
	}
	for _, body := range []string{"", "{", "[]", `{"ticket":[]}`, `{"ticket":{}}`, "null"} {
		d.want(d.do("POST", "/api/v2/tickets", body), 422)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	d.want(d.do("POST", "/api/v2/tickets", `{"ticket":{"subject":"<script>alert(1)</script>","comment":{"body":"card XXXX XXXX XXXX 1111"},"custom_fields":[{"id":5,"value":"XXX-XX-XXXX"}]}}`), 201)
	page := d.want(d.do("GET", "/", "", "Authorization", ""), 200)
	for _, want := range []string{"card XXXX XXXX XXXX 1111", "XXX-XX-XXXX", "Charged twice", "&lt;script&gt;"} {
		if !bytes.Contains(page.raw, []byte(want)) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if bytes.Contains(page.raw, []byte("<script")) || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("the page holds a script or no policy against one")
	}
	if n := len(d.Received()); n != 1 {
		t.Errorf("%d requests are recorded, want 1: the page is not counted", n)
	}
}

// addr stands for the local address of a connection.
type addr string

func (a addr) Network() string { return "tcp" }
func (a addr) String() string  { return string(a) }

func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	for at, want := range map[addr]bool{"127.0.0.1:80": true, "[::1]:80": true, "127.9.9.9:1": true, "10.0.0.5:80": false, "[2001:db8::1]:80": false, "0.0.0.0:80": false} {
		if got := loopback(at); got != want {
			t.Errorf("%s: got %t, want %t", at, got, want)
		}
	}
}

func TestReceivedIsBounded(t *testing.T) {
	t.Parallel()
	h := NewHelpdesk(Options{})
	for range maxReceived + 50 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/api/v2/tickets", nil))
	}
	if n := len(h.Received()); n != maxReceived {
		t.Errorf("%d requests are kept, want %d", n, maxReceived)
	}
}

func TestOptionsHideSecrets(t *testing.T) {
	t.Parallel()
	o := Options{APITokens: []string{testToken}, Bearers: []Bearer{{Token: testBearer}}}
	if s := fmt.Sprintf("%v %+v", o, o); strings.Contains(s, testToken) || strings.Contains(s, testBearer) {
		t.Error("formatted options hold a credential")
	}
}
