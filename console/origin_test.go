package console

import (
	"crypto/tls"
	"net/http/httptest"
	"testing"
)

func TestOrigin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, host string
		headers    map[string]string
		tls, local bool
		want       string // the code of the refusal
	}{
		{name: "an address", host: "127.0.0.1:8080"},
		{name: "an address of version 6", host: "[::1]:8080"},
		{name: "localhost", host: "LOCALHOST:8080"},
		{name: "a name below localhost", host: "desk.localhost:8080"},
		{name: "a configured name", host: "gateway.internal:8080"},
		{name: "a final dot", host: "gateway.internal.:8080"},
		{name: "a name that was made to point here", host: "attacker.example:8080", want: "host_refused"},
		{name: "a name that only ends alike", host: "notlocalhost", want: "host_refused"},
		{name: "no name", host: "", want: "host_refused"},
		{name: "any name over TLS", host: "gateway.example.com", tls: true},
		{name: "any name on the socket", host: "caregate", local: true},
		{name: "the page itself", host: "127.0.0.1:8080", headers: map[string]string{"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}},
		{name: "another page", host: "127.0.0.1:8080", headers: map[string]string{"Origin": "https://attacker.example"}, want: "origin_refused"},
		{name: "another port of this machine", host: "127.0.0.1:8080", headers: map[string]string{"Origin": "http://127.0.0.1:3000"}, want: "origin_refused"},
		{name: "a sandboxed page", host: "127.0.0.1:8080", headers: map[string]string{"Origin": "null"}, want: "origin_refused"},
		{name: "cleartext page of a TLS site", host: "gateway.example.com", tls: true, headers: map[string]string{"Origin": "http://gateway.example.com"}, want: "origin_refused"},
		{name: "an image on another page", host: "127.0.0.1:8080", headers: map[string]string{"Sec-Fetch-Site": "cross-site"}, want: "origin_refused"},
		{name: "a page of a sister site", host: "127.0.0.1:8080", headers: map[string]string{"Sec-Fetch-Site": "same-site"}, want: "origin_refused"},
		{name: "typed into the address bar", host: "127.0.0.1:8080", headers: map[string]string{"Sec-Fetch-Site": "none"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, func(c *Config) { c.Local, c.Hosts = tt.local, []string{"gateway.internal"} })
			r := httptest.NewRequest("GET", "/api/v1/status", nil)
			r.Host = tt.host
			if tt.tls {
				r.TLS = new(tls.ConnectionState)
			}
			for name, value := range tt.headers {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			g.handler.ServeHTTP(w, r)
			if got := w.Header().Get(headerError); got != tt.want {
				t.Errorf("got %q (%d), want %q", got, w.Code, tt.want)
			}
		})
	}
}

// What a cookie alone vouches for changes nothing unless the browser says that a page of
// ours asked for it: a browser sends cookies by itself.
func TestCookieNeedsOwnPage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, target, header string
		status                       int
	}{
		{"reading", "GET", "/api/v1/apikeys", "", 200},
		{"a change from nobody knows where", "POST", "/api/v1/apikeys", "", 403},
		{"a change from a page of ours", "POST", "/api/v1/apikeys", "Origin: http://example.com", 201},
		{"a change from a page of ours, fetched", "POST", "/api/v1/apikeys", "Sec-Fetch-Site: same-origin", 201},
		{"a change typed into the address", "POST", "/api/v1/apikeys", "Sec-Fetch-Site: none", 403},
		{"a change from another site", "POST", "/api/v1/apikeys", "Origin: https://attacker.example", 403},
		{"ending from nobody knows where", "DELETE", "/api/v1/sessions/s1", "", 403},
	} {
		g := newGateway(t)
		g.cookie = true
		body := ""
		if tt.method == "POST" {
			body = `{"name":"job","roles":["service"]}`
		}
		var headers []string
		if tt.header != "" {
			headers = append(headers, tt.header)
		}
		w := g.do(tt.method, tt.target, body, headers...)
		if w.Code != tt.status || tt.status == 403 && w.Header().Get(headerError) != reasonOrigin {
			t.Errorf("%s: got %d %s, want %d", tt.name, w.Code, w.Header().Get(headerError), tt.status)
		}
	}
}
