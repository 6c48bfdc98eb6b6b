package proxy_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy/proxytest"
)

const (
	hookSecret    = "secret-of-the-webhook-under-test"
	hookSignature = "X-Zendesk-Webhook-Signature"
	hookTimestamp = "X-Zendesk-Webhook-Signature-Timestamp"
)

// sign is what Zendesk writes into the signature header.
func sign(secret, stamp, body string) string {
	m := hmac.New(sha256.New, []byte(secret))
	fmt.Fprint(m, stamp+body)
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// hook is a delivery that Zendesk signed at the given time.
func hook(body string, at time.Time) call {
	s := stamp(at)
	return call{method: "POST", path: "/hooks/zendesk", body: body, header: http.Header{
		"Authorization": nil, "User-Agent": {"Zendesk Webhook"}, hookSignature: {sign(hookSecret, s, body)}, hookTimestamp: {s},
	}}
}

// startHooks starts a gateway whose one route takes Zendesk's webhooks.
func startHooks(t *testing.T, o proxytest.Options) *proxytest.Gateway {
	t.Helper()
	t.Setenv("HOOK_SECRET", hookSecret)
	o.Channel = "zendesk/webhooks"
	if !strings.Contains(o.Govern, "webhook_secret") {
		o.Govern += "\nwebhook_secret {env.HOOK_SECRET}"
	}
	return proxytest.Start(t, o)
}

// event is Zendesk's envelope of an event with a comment.
func event(id, comment string) string {
	return `{"type":"zen:event-type:ticket.comment_added","zendesk_event_version":"2022-11-06", "id":"` + id + `","account_id":22129848,"detail":{"id":"5158","requester_id":"8447388090494"},` +
		`"event":{"comment":{"body":"` + comment + `"}}}`
}

// verified tells whether the upstream's own check of a request would pass.
func verified(r proxytest.Request) bool {
	return r.Header.Get(hookSignature) == sign(hookSecret, r.Header.Get(hookTimestamp), string(r.Body))
}

// A delivery with a card arrives masked, and its receiver verifies it as always.
func TestWebhookIsMaskedAndSignedAnew(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	c := hook(event("01", "card 4111 1111 1111 1111 please"), time.Now())
	a := do(t, g, c)
	if a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	got := u.Last(t)
	if want := event("01", "card XXXX XXXX XXXX 1111 please"); string(got.Body) != want {
		t.Errorf("the upstream got %s, want %s", got.Body, want)
	}
	if !verified(got) || got.Header.Get(hookTimestamp) != c.header.Get(hookTimestamp) {
		t.Error("the signature does not verify, or has another time")
	}
	events := g.Exchange(a.header.Get("Caregate-Receipt"))
	for _, e := range events {
		if e.Identity != "credential" || fmt.Sprint(e.Roles) != "[vendor]" || e.Operation != "webhook.delivery" || e.Route != "zendesk/webhooks" || e.Decision != "allow" {
			t.Errorf("event: got %+v", e)
		}
	}
	if len(events) != 2 || events[0].Attrs["resigned"] != "1" {
		t.Errorf("the log does not say that the delivery was signed anew: %+v", events)
	}
}

// A clean delivery arrives as it came: bytes, signature, coding, own credential.
func TestCleanWebhookArrivesAsItCame(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	text := event("02", "thank you")
	for name, c := range map[string]call{
		"json":          hook(text+" \n", time.Now()),
		"gzip":          hook(zip(t, event("02-zipped", "thank you")), time.Now()),
		"form":          hook("ticket=12&status=open", time.Now()),
		"text":          hook("ticket 12 is open", time.Now()),
		"a get":         hook("", time.Now()),
		"another place": hook(`{"a":1}`, time.Now()),
	} {
		t.Run(name, func(t *testing.T) {
			switch name {
			case "gzip":
				c.header.Set("Content-Encoding", "gzip")
			case "form":
				c.header.Set("Content-Type", formType.Get("Content-Type"))
			case "text":
				c.header.Set("Content-Type", "text/plain")
			case "a get":
				c.method = "GET"
			case "another place":
				c.path = "/elsewhere?x=1"
			}
			c.header.Set("Authorization", "Bearer of-the-receiver")
			if a := do(t, g, c); a.status != 200 {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			got := u.Last(t)
			if string(got.Body) != c.body || got.Target != c.path || got.Method != c.method || !verified(got) {
				t.Errorf("the upstream got %s %s %q", got.Method, got.Target, got.Body)
			}
			for _, h := range []string{hookSignature, hookTimestamp, "Authorization", "User-Agent", "Content-Encoding"} {
				if got.Header.Get(h) != c.header.Get(h) {
					t.Errorf("%s: got %q, want %q", h, got.Header.Get(h), c.header.Get(h))
				}
			}
		})
	}
}

// Triggers send what their author wrote, in any form; each is masked in place and
// signed as it leaves.
func TestWebhooksOfTriggers(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	for media, body := range map[string]string{
		"application/x-www-form-urlencoded": "ticket=12&note=card+%s+please",
		"text/plain; charset=utf-8":         "ticket 12: card %s please",
		"application/xml":                   "<ticket><note>card %s please</note></ticket>",
	} {
		card, masked := "4111 1111 1111 1111", "XXXX XXXX XXXX 1111"
		if strings.Contains(media, "form") {
			card, masked = strings.ReplaceAll(card, " ", "+"), strings.ReplaceAll(masked, " ", "+")
		}
		c := hook(fmt.Sprintf(body, card), time.Now())
		c.header.Set("Content-Type", media)
		if a := do(t, g, c); a.status != 200 {
			t.Errorf("%s: got %d %s", media, a.status, a.body)
			continue
		}
		if got := u.Last(t); string(got.Body) != fmt.Sprintf(body, masked) || !verified(got) || got.Header.Get("Content-Type") != media {
			t.Errorf("%s: the upstream got %s", media, got.Body)
		}
	}
}

// A masked delivery that came compressed leaves uncompressed, signed as it leaves.
func TestWebhookSignatureIsOverTheBytesOnTheWire(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	c := hook(zip(t, event("03", "card 4111 1111 1111 1111")), time.Now())
	c.header.Set("Content-Encoding", "gzip")
	if a := do(t, g, c); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if got := u.Last(t); !verified(got) || got.Header.Get("Content-Encoding") != "" || string(got.Body) != event("03", "card XXXX XXXX XXXX 1111") {
		t.Errorf("the upstream got %q", got.Body)
	}
}

// What nobody signed, or somebody else, is refused, recorded, and forwarded to
// nobody.
func TestWebhookRefusals(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL, Govern: "limits {\n body 64KiB\n }"})
	now := time.Now()
	n := 0
	body := func() string { n++; return event(fmt.Sprint("refused-", n), "hello") }
	for name, test := range map[string]struct {
		change func(*call)
		status int
		reason string
	}{
		"no signature":        {func(c *call) { c.header[hookSignature] = nil }, 403, "signature_missing"},
		"no time":             {func(c *call) { c.header[hookTimestamp] = nil }, 403, "signature_missing"},
		"nothing at all":      {func(c *call) { c.header = http.Header{} }, 403, "signature_missing"},
		"a vendor credential": {func(c *call) { c.header = http.Header{"Authorization": {basicAuth}} }, 403, "signature_missing"},
		"a get without":       {func(c *call) { *c = call{method: "GET", path: "/hooks/zendesk"} }, 403, "signature_missing"},
		"a preflight":         {func(c *call) { *c = preflightCall() }, 403, "signature_missing"},
		"a handshake":         {func(c *call) { *c = call{method: "GET", path: "/hooks?hub.challenge=1"} }, 403, "signature_missing"},
		"two signatures":      {func(c *call) { c.header[hookSignature] = append(c.header[hookSignature], c.header[hookSignature][0]) }, 400, "signature_malformed"},
		"two times":           {func(c *call) { c.header[hookTimestamp] = append(c.header[hookTimestamp], c.header[hookTimestamp][0]) }, 400, "signature_malformed"},
		"malformed":           {func(c *call) { c.header.Set(hookSignature, "sha256=00") }, 400, "signature_malformed"},
		"malformed time":      {func(c *call) { c.header.Set(hookTimestamp, "now") }, 400, "signature_malformed"},
		"wrong":               {func(c *call) { c.header.Set(hookSignature, sign("guess", c.header.Get(hookTimestamp), c.body)) }, 403, "signature_invalid"},
		"another body":        {func(c *call) { c.body += " " }, 403, "signature_invalid"},
		"no body":             {func(c *call) { c.body = "" }, 403, "signature_invalid"},
		"another time":        {func(c *call) { c.header.Set(hookTimestamp, stamp(now.Add(-time.Second))) }, 403, "signature_invalid"},
		"stale":               {func(c *call) { *c = hook(c.body, now.Add(-6*time.Minute)) }, 403, "signature_stale"},
		"future":              {func(c *call) { *c = hook(c.body, now.Add(7*time.Minute)) }, 403, "signature_future"},
		"removed on the way":  {func(c *call) { c.header.Set("Connection", "close, "+strings.ToLower(hookSignature)) }, 400, "header_ambiguous"},
		"incremental":         {func(c *call) { c.header.Set("Incremental", "?1") }, 501, "incremental_refused"},
		"too large":           {func(c *call) { *c = hook(strings.Repeat("x", 65<<10), now) }, 413, "body_too_large"},
		"unread type":         {func(c *call) { c.header.Set("Content-Type", "application/zip") }, 415, "type_not_inspected"},
		"not json":            {func(c *call) { *c = hook(`{"a":`, now) }, 400, "json_syntax"},
		"two ids":             {func(c *call) { *c = hook(`{"id":"1","id":"2"}`, now) }, 400, "json_duplicate_key"},
		"a card as a number":  {func(c *call) { *c = hook(`{"n":4111111111111111}`, now) }, 422, "finding_blocked"},
		"signed for a decoded": {func(c *call) {
			*c = coded(zip(t, c.body), "gzip")
			c.header = signedFor(c.header, event("x", "y"), now)
		}, 403, "signature_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			c := hook(body(), now)
			test.change(&c)
			if c.method == "" {
				c.method = "POST"
			}
			before := len(u.Requests())
			a := do(t, g, c)
			if a.status != test.status || a.problem.Reason != test.reason || a.problem.Forwarded {
				t.Errorf("got %d %s (forwarded %v), want %d %s: %.300s", a.status, a.problem.Reason, a.problem.Forwarded, test.status, test.reason, a.body)
			}
			if len(u.Requests()) != before {
				t.Error("something was forwarded")
			}
			if strings.Contains(a.body, hookSecret) {
				t.Error("the answer has the secret")
			}
			if e := g.Event(a.problem.Receipt); e.Decision != "deny" || e.Reason != test.reason {
				t.Errorf("event: got %s %s", e.Decision, e.Reason)
			}
		})
	}
	if a := do(t, g, hook(body(), now)); a.status != 200 {
		t.Errorf("afterwards: got %d %s", a.status, a.body)
	}
}

func preflightCall() call {
	return call{method: "OPTIONS", path: "/hooks", header: http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"POST"}}}
}

// signedFor adds the signature of another body.
func signedFor(h http.Header, body string, at time.Time) http.Header {
	h = h.Clone()
	h.Set(hookTimestamp, stamp(at))
	h.Set(hookSignature, sign(hookSecret, stamp(at), body))
	return h
}

// However a delivery is framed, the signature is over its content; and a caller
// who cannot have signed is not asked for the body.
func TestWebhookFraming(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	body, s := event("framed", "card 4111 1111 1111 1111"), stamp(time.Now())
	head := "POST /hooks HTTP/1.1\r\nHost: " + g.Addr + "\r\nContent-Type: application/json\r\nConnection: close\r\n"
	signed := head + hookTimestamp + ": " + s + "\r\n" + strings.ToLower(hookSignature) + ": " + sign(hookSecret, s, body) + "\r\n"
	half := len(body) / 2
	for name, test := range map[string]struct {
		send      []string // each after the answer to the one before has begun
		want      string
		unwanted  string
		forwarded bool
	}{
		"in chunks, with a trailer": {[]string{signed + "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n" +
			fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\nX-T: 4111 1111 1111 1111\r\n\r\n", half, body[:half], len(body)-half, body[half:])}, " 200 OK", "", true},
		"expecting, unsigned": {[]string{head + "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n"}, " 403 Forbidden", "100 Continue", false},
		"expecting, signed": {[]string{strings.Replace(signed, sign(hookSecret, s, body), sign(hookSecret, s, "{}"), 1) + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n", "{}"},
			" 200 OK", "", true},
		"shorter than announced": {[]string{signed + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body)+10, body)}, " 400 Bad Request", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(u.Requests())
			conn, err := net.Dial("tcp", g.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
			answers := bufio.NewReader(conn)
			for i, part := range test.send {
				if i > 0 {
					if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
						t.Fatalf("got %q (%v), want to be asked for the body", line, err)
					}
				}
				if _, err := io.WriteString(conn, part); err != nil {
					t.Fatal(err)
				}
			}
			if name == "shorter than announced" {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			rest, err := io.ReadAll(answers)
			if err != nil || !strings.Contains(string(rest), test.want) || test.unwanted != "" && strings.Contains(string(rest), test.unwanted) {
				t.Errorf("got %q (%v), want %s", rest, err, test.want)
			}
			if got := len(u.Requests()) > before; got != test.forwarded {
				t.Fatalf("forwarded: got %v", got)
			}
			if !test.forwarded {
				return
			}
			if got := u.Last(t); !verified(got) || len(got.Trailer) > 0 || got.Header.Get("Expect") != "" || got.Length != int64(len(got.Body)) || showsCard(string(got.Body)) {
				t.Errorf("the upstream got %s, trailers %v", got.Body, got.Trailer)
			}
		})
	}
}

// While a secret is rotated both count; the receiver sees the one that the
// delivery was signed with. Either may come from a file.
func TestWebhookSecretsAreRotated(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("the next secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := startHooks(t, proxytest.Options{Upstream: u.URL, Govern: "webhook_secret {file." + file + "} {env.HOOK_SECRET}"})
	for i, secret := range []string{"the next secret", hookSecret} {
		body, s := event(fmt.Sprint("rotated", i), "4111 1111 1111 1111"), stamp(time.Now())
		c := hook(body, time.Now())
		c.header.Set(hookTimestamp, s)
		c.header.Set(hookSignature, sign(secret, s, body))
		if a := do(t, g, c); a.status != 200 {
			t.Fatalf("secret %d: got %d %s", i, a.status, a.body)
		}
		if got := u.Last(t); got.Header.Get(hookSignature) != sign(secret, s, string(got.Body)) || showsCard(string(got.Body)) {
			t.Errorf("secret %d: the upstream's check fails on %s", i, got.Body)
		}
	}
}

// A route that observes lets pass what it would refuse, as it came, and records
// what would have happened.
func TestWebhooksObserved(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL, Govern: "observe"})
	now := time.Now()
	wrong := hook(event("o1", "card 4111 1111 1111 1111"), now)
	wrong.header.Set(hookSignature, sign("guess", stamp(now), wrong.body))
	unsigned := hook(event("o2", "card 4111 1111 1111 1111"), now)
	delete(unsigned.header, hookSignature)
	good := hook(event("o3", "card 4111 1111 1111 1111"), now)
	incremental := hook(event("o5", "card 4111 1111 1111 1111"), now)
	incremental.header.Set("Incremental", "?1")
	tests := []struct {
		name  string
		call  call
		would string
	}{
		{"incremental", incremental, "incremental_refused"},
		{"wrong", wrong, "signature_invalid"},
		{"unsigned", unsigned, "signature_missing"},
		{"stale", hook(event("o4", "hi"), now.Add(-time.Hour)), "signature_stale"},
		{"good", good, ""},
		{"replayed", good, "webhook_duplicate"},
	}
	receipts := make([]string, len(tests))
	for i, test := range tests {
		a := do(t, g, test.call)
		if a.status != 200 || a.problem.Reason != "" {
			t.Fatalf("%s: got %d %s", test.name, a.status, a.body)
		}
		got := u.Last(t)
		if string(got.Body) != test.call.body || got.Header.Get(hookSignature) != test.call.header.Get(hookSignature) {
			t.Errorf("%s: something was changed: %s", test.name, got.Body)
		}
		receipts[i] = a.header.Get("Caregate-Receipt")
	}
	for i, test := range tests { // after all, because the index lags by a second
		if e := g.Exchange(receipts[i]); e[0].Attrs["would"] != test.would || e[0].Attrs["observe"] != "1" {
			t.Errorf("%s: got event %v, want %q", test.name, e[0].Attrs, test.would)
		}
	}
}

// A body that nobody can read passes where the route says so, if it is signed.
func TestUnreadWebhooks(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL, Govern: "uninspected pass"})
	c := hook("\x89PNG", time.Now())
	c.header.Set("Content-Type", "image/png")
	if a := do(t, g, c); a.status != 200 || a.problem.Reason != "" {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if got := u.Last(t); string(got.Body) != c.body || !verified(got) {
		t.Errorf("the upstream got %q", got.Body)
	}
	if a := do(t, g, c); a.problem.Reason != "webhook_duplicate" {
		t.Errorf("the same again: got %d %s", a.status, a.body)
	}
	c.body += " "
	if a := do(t, g, c); a.status != 403 || a.problem.Reason != "signature_invalid" {
		t.Errorf("changed: got %d %s", a.status, a.body)
	}
}

// The vendor's question whether the endpoint exists passes unsigned where the
// channel file knows one, and nothing else does.
func TestWebhookHandshake(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, r.URL.Query().Get("hub.challenge"))
	})
	t.Setenv("HOOK_SECRET", hookSecret)
	g := proxytest.Start(t, proxytest.Options{Channel: "./testdata/hub.yaml/webhooks", Upstream: u.URL, Govern: "webhook_secret {env.HOOK_SECRET}"})
	a := do(t, g, call{method: "GET", path: "/hooks?hub.mode=subscribe&hub.challenge=1158201444", header: http.Header{"Authorization": nil}})
	if a.status != 200 || a.body != "1158201444" {
		t.Errorf("the handshake: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.header.Get("Caregate-Receipt")); e.Operation != "webhook.handshake" || e.Identity != "none" {
		t.Errorf("event: got %s by %s", e.Operation, e.Identity)
	}
	for name, c := range map[string]call{
		"posted":      {method: "POST", path: "/hooks?hub.challenge=1", body: `{"object":"page"}`},
		"with a body": {method: "GET", path: "/hooks?hub.challenge=1", body: `{"object":"page"}`},
		"without it":  {method: "GET", path: "/hooks?hub.mode=subscribe"},
	} {
		if a := do(t, g, c); a.status != 403 || a.problem.Reason != "signature_missing" {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
	m := hmac.New(sha256.New, []byte(hookSecret))
	fmt.Fprint(m, `{"object":"page"}`)
	signed := call{method: "POST", path: "/hooks", body: `{"object":"page"}`, header: http.Header{"X-Hub-Signature-256": {fmt.Sprintf("sha256=%x", m.Sum(nil))}}}
	if a := do(t, g, signed); a.status != 200 || a.problem.Reason != "" {
		t.Errorf("signed: got %d %s", a.status, a.body)
	}
}

// Of the secret nothing stands in the data directory, of a delivery no id.
func TestWebhooksLeaveNoSecret(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	c := hook(event("id-of-a-delivery", "card 4111 1111 1111 1111"), time.Now())
	if a := do(t, g, c); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	g.Stop()
	files := 0
	err := filepath.WalkDir(g.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		for _, secret := range []string{hookSecret, "id-of-a-delivery", "4111 1111", c.header.Get(hookSignature), u.Last(t).Header.Get(hookSignature)} {
			if strings.Contains(string(content), secret) {
				t.Errorf("%s holds %.8s...", d.Name(), secret)
			}
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%d files: %v", files, err)
	}
}

// A route whose secret is not there does not start, and says which, not what.
func TestWebhookSecretIsMissing(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	o := proxytest.Options{Upstream: u.URL}
	g := startHooks(t, o)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOOK_PADDED", " "+hookSecret)
	o.Channel = "zendesk/webhooks"
	for _, ref := range []string{"{env.HOOK_NOT_SET}", "{file." + empty + "}", "{file." + empty + "-missing}", "{env.HOOK_PADDED}"} {
		o.Govern = "webhook_secret " + ref
		err := g.Load(o)
		if err == nil || !strings.Contains(err.Error(), ref) || !strings.Contains(err.Error(), "zendesk/webhooks") || strings.Contains(err.Error(), hookSecret) {
			t.Errorf("%s: got %v", ref, err)
		}
	}
	if a := do(t, g, hook(event("m1", "hello"), time.Now())); a.status != 200 {
		t.Errorf("the configuration before: got %d %s", a.status, a.body)
	}
}
