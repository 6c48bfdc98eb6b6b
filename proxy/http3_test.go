package proxy_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/caregate/caregate/proxy/proxytest"
)

// overQUIC speaks HTTP/3, with a server that may have other work.
func overQUIC(t *testing.T, trust *tls.Config) http.RoundTripper {
	t.Helper()
	transport := &http3.Transport{DisableCompression: true, TLSClientConfig: trust.Clone(),
		QUICConfig: &quic.Config{HandshakeIdleTimeout: 5 * time.Minute, MaxIdleTimeout: 5 * time.Minute}}
	t.Cleanup(func() { _ = transport.Close() })
	return transport
}

// Over HTTP/3 nobody says of a GET that it has no content, and over HTTP/1.1 a
// caller may send none in chunks: what has no content is treated as such by every
// stage, and what has is read.
func TestBodiesOfUnknownLength(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, "challenge "+r.URL.Query().Get("hub.challenge"))
	})
	t.Setenv("HOOK_SECRET", hookSecret)
	cert, key, roots := selfSigned(t)
	hub, zendesk, api := proxytest.FreeAddr(t), proxytest.FreeAddr(t), proxytest.FreeAddr(t)
	site := func(addr, channel, inside string) string {
		return fmt.Sprintf("https://%s {\n bind 127.0.0.1\n tls %s %s\n govern %s %s {\n route %s\n %s\n }\n}\n", addr, cert, key, channel, u.URL, strings.ReplaceAll(addr, ":", "-"), inside)
	}
	const secret = "webhook_secret {env.HOOK_SECRET}"
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Sites: site(hub, "./testdata/hub.yaml/webhooks", secret) + site(zendesk, "zendesk/webhooks", secret) + site(api, "zendesk", "")})

	trust := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	three := overQUIC(t, trust)
	one := &http.Transport{DisableCompression: true, TLSClientConfig: trust.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	t.Cleanup(one.CloseIdleConnections)
	two := &http.Transport{DisableCompression: true, TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}
	t.Cleanup(two.CloseIdleConnections)
	signed := hook("", time.Now()).header
	authorized := func(more http.Header) http.Header {
		h := http.Header{"Authorization": {basicAuth}}
		for k, v := range more {
			h[k] = v
		}
		return h
	}
	for way, transport := range map[string]http.RoundTripper{"HTTP/1.1": one, "HTTP/2": two, "HTTP/3": three} {
		for name, test := range map[string]struct {
			addr, method, path, body string
			header                   http.Header
			status                   int
			reason                   string
		}{
			"handshake":                     {addr: hub, method: "GET", path: "/hooks?hub.mode=subscribe&hub.challenge=1158201444", status: 200},
			"handshake that says more":      {addr: hub, method: "GET", path: "/hooks?hub.challenge=1", body: `{"object":"page"}`, status: 403, reason: "signature_missing"},
			"signed, nothing in it":         {addr: zendesk, method: "GET", path: "/hooks/" + way + "?ticket=12", header: signed, status: 200},
			"signed, more than was signed":  {addr: zendesk, method: "GET", path: "/hooks?ticket=13", body: "{}", header: signed, status: 403, reason: "signature_invalid"},
			"read":                          {addr: api, method: "GET", path: "/api/v2/tickets/1", header: authorized(nil), status: 200},
			"read, typed":                   {addr: api, method: "GET", path: "/api/v2/tickets/1", header: authorized(http.Header{"Content-Type": {"application/json"}}), status: 200},
			"read, incremental":             {addr: api, method: "GET", path: "/api/v2/tickets/1", header: authorized(http.Header{"Incremental": {"?1"}}), status: 200},
			"delete":                        {addr: api, method: "DELETE", path: "/api/v2/tickets/1", header: authorized(nil), status: 200},
			"read with content":             {addr: api, method: "GET", path: "/api/v2/tickets/1", body: `{"a":4111111111111111}`, header: authorized(http.Header{"Content-Type": {"application/json"}}), status: 422, reason: "finding_blocked"},
			"content, incremental":          {addr: api, method: "GET", path: "/api/v2/tickets/1", body: `{"a":1}`, header: authorized(http.Header{"Content-Type": {"application/json"}, "Incremental": {"?1"}}), status: 501, reason: "incremental_refused"},
			"content without type":          {addr: api, method: "DELETE", path: "/api/v2/tickets/1", body: `{"a":1}`, header: authorized(nil), status: 415, reason: "type_not_inspected"},
			"lines with content, streaming": {addr: api, method: "DELETE", path: "/api/v2/tickets/1", body: fill, header: authorized(ndjsonType), status: 200},
		} {
			var body io.Reader // of unknown length
			switch {
			case test.body != "":
				body = struct{ io.Reader }{strings.NewReader(test.body)}
			case way != "HTTP/3":
				body = struct{ io.Reader }{strings.NewReader("")}
			}
			before := len(u.Requests())
			req, err := http.NewRequestWithContext(t.Context(), test.method, "https://"+test.addr+test.path, body)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range test.header {
				req.Header[k] = v
			}
			res, err := (&http.Client{Transport: transport}).Do(req)
			if err != nil {
				t.Errorf("%s, %s: %v", way, name, err)
				continue
			}
			_, err = io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode != test.status || res.Header.Get("Caregate-Error") != test.reason || err != nil {
				t.Errorf("%s, %s: got %d %s, %v", way, name, res.StatusCode, res.Header.Get("Caregate-Error"), err)
			}
			if forwarded := len(u.Requests()) > before; forwarded != (test.reason == "") || forwarded && string(u.Last(t).Body) != test.body {
				t.Errorf("%s, %s: forwarded %v", way, name, forwarded)
			}
		}
	}
	g.Verify()
}
