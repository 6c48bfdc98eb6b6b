package proxy_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy/proxytest"
)

// The ways in which bytes travel, times what stands around govern: each must give
// the upstream and the caller the same bytes.
func TestTransportMatrix(t *testing.T) {
	const sent, stored = `{"ticket":{"subject":"card 4111 1111 1111 1111"}}`, `{"ticket":{"subject":"card XXXX XXXX XXXX 1111"}}`
	filler := strings.Repeat("where is my parcel ", 100) // encode leaves short answers alone
	long := `{"d":"card 4242 4242 4242 4242 ` + filler + `"}`
	masked := `{"d":"card XXXX XXXX XXXX 4242 ` + filler + `"}`
	manyLines, manyMasked := lines(5000, 70)
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"v1"`)
		switch {
		case r.URL.Path == "/api/v2/tickets/204":
			w.WriteHeader(http.StatusNoContent)
		case strings.Contains(r.Header.Get("If-None-Match"), `"v1"`):
			w.WriteHeader(http.StatusNotModified)
		case r.URL.Path == "/api/v2/tickets/3":
			w.Header().Set("Content-Type", "application/x-ndjson")
			_, _ = io.WriteString(w, manyLines)
		case r.URL.Path == "/api/v2/tickets/2": // in pieces, without a length
			for _, part := range []string{long[:13], long[13:]} {
				_, _ = io.WriteString(w, part)
				_ = http.NewResponseController(w).Flush()
			}
		default:
			_, _ = io.WriteString(w, long)
		}
	})
	cert, key, roots := selfSigned(t)
	plain, secure, logged := proxytest.FreeAddr(t), proxytest.FreeAddr(t), filepath.Join(t.TempDir(), "access.log")
	site := func(scheme, addr, around, route string) string {
		return fmt.Sprintf("%s://%s {\n bind 127.0.0.1\n %s\n govern zendesk %s {\n route %s\n }\n}\n", scheme, addr, around, u.URL, route)
	}
	// Three sites share one app: bare; compressed with an access log; both over TLS.
	accessLog := "log {\n output file " + logged + "\n }\n"
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Sites: site("http", plain, "encode gzip\n"+accessLog, "plain") +
		site("https", secure, "tls "+cert+" "+key+"\n encode gzip\n"+accessLog, "secure")})

	for name, way := range map[string]struct {
		base    string
		major   int // version of HTTP
		encodes bool
	}{
		"HTTP/1.1":              {base: g.URL, major: 1},
		"HTTP/1.1, encode":      {base: "http://" + plain, major: 1, encodes: true},
		"HTTP/1.1, TLS, encode": {base: "https://" + secure, major: 1, encodes: true},
		"HTTP/2, TLS, encode":   {base: "https://" + secure, major: 2, encodes: true},
		"HTTP/3, encode":        {base: "https://" + secure, major: 3, encodes: true},
	} {
		trust := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		transport := &http.Transport{DisableCompression: true, ForceAttemptHTTP2: way.major == 2, TLSClientConfig: trust}
		client := &http.Client{Transport: transport}
		switch way.major {
		case 1:
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		case 3:
			client.Transport = overQUIC(t, trust)
		}
		ask := func(method, path string, body io.Reader, header http.Header) (*http.Response, string) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), method, way.base+path, body)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range header {
				req.Header[k] = v
			}
			req.Header.Set("Authorization", basicAuth)
			if body != nil && req.Header.Get("Content-Type") == "" {
				req.Header.Set("Content-Type", "application/json")
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatalf("%s: %s %s: %v", name, method, path, err)
			}
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatalf("%s: %s %s: %v", name, method, path, err)
			}
			if res.ProtoMajor != way.major {
				t.Errorf("%s: got HTTP/%d", name, res.ProtoMajor)
			}
			if res.Header.Get("Caregate-Receipt") == "" {
				t.Errorf("%s: %s %s: no receipt", name, method, path)
			}
			if res.Header.Get("Content-Encoding") == "gzip" {
				z, err := gzip.NewReader(bytes.NewReader(got))
				if err == nil {
					got, err = io.ReadAll(z)
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			return res, string(got)
		}

		for kind, body := range map[string]io.Reader{
			"sized":   strings.NewReader(sent),
			"chunked": struct{ io.Reader }{strings.NewReader(sent)},
		} {
			res, got := ask("PUT", "/api/v2/tickets/1", body, nil)
			if res.StatusCode != 200 || got != masked || string(u.Last(t).Body) != stored {
				t.Errorf("%s, %s: got %d %.60s, stored %s", name, kind, res.StatusCode, got, u.Last(t).Body)
			}
		}
		if res, _ := ask("POST", "/api/v2/tickets/1/tags", struct{ io.Reader }{strings.NewReader("")}, nil); res.StatusCode != 200 || len(u.Last(t).Body) != 0 {
			t.Errorf("%s, empty: got %d", name, res.StatusCode)
		}
		if res, got := ask("GET", "/api/v2/tickets/2", nil, nil); res.StatusCode != 200 || got != masked {
			t.Errorf("%s, in pieces: got %d %.60s", name, res.StatusCode, got)
		}
		if res, got := ask("DELETE", "/api/v2/tickets/204", nil, nil); res.StatusCode != 204 || got != "" {
			t.Errorf("%s, 204: got %d %s", name, res.StatusCode, got)
		}
		if res, got := ask("HEAD", "/api/v2/tickets/1", nil, nil); res.StatusCode != 200 || got != "" || res.Header.Get("Content-Length") != map[bool]string{true: "0"}[way.major == 3] {
			// The HTTP/3 server announces what the handler wrote, which is nothing.
			t.Errorf("%s, HEAD: got %d %v", name, res.StatusCode, res.Header)
		}

		// What a browser does: it accepts gzip, keeps the tag, and asks again with it.
		accepts := http.Header{"Accept-Encoding": {"gzip"}}
		res, got := ask("GET", "/api/v2/tickets/1", nil, accepts)
		if got != masked || (res.Header.Get("Content-Encoding") == "gzip") != way.encodes {
			t.Errorf("%s, gzip: got %q %.60s", name, res.Header.Get("Content-Encoding"), got)
		}
		if vary := strings.Join(res.Header.Values("Vary"), ", "); strings.Count(vary, "Accept-Encoding") != 1 {
			t.Errorf("%s: Vary: got %q", name, vary)
		}
		tag := res.Header.Get("ETag")
		if !strings.HasPrefix(tag, `W/"v1-cg`) { // encode marks strong tags only, and leaves ours alone
			t.Errorf("%s: ETag: got %s", name, tag)
		}
		res, _ = ask("GET", "/api/v2/tickets/1", nil, http.Header{"Accept-Encoding": {"gzip"}, "If-None-Match": {tag}})
		if res.StatusCode != 304 {
			t.Errorf("%s: asked again with %s: got %d %v", name, tag, res.StatusCode, res.Header)
		}
		ask("PUT", "/api/v2/tickets/1", strings.NewReader("{}"), http.Header{"If-Match": {tag}})
		if match := u.Last(t).Header.Get("If-Match"); match != `"v1"` {
			t.Errorf("%s: If-Match: got %s", name, match)
		}
		// Long lines in both directions, in windows.
		res, got = ask("POST", "/api/v2/tickets/3", struct{ io.Reader }{strings.NewReader(manyLines)}, http.Header{"Content-Type": {"application/x-ndjson"}})
		if res.StatusCode != 200 || got != manyMasked || string(u.Last(t).Body) != manyMasked {
			t.Errorf("%s, streams: got %d, %d bytes, stored %d; want %d", name, res.StatusCode, len(got), len(u.Last(t).Body), len(manyMasked))
		}
		client.CloseIdleConnections()
	}
	if lines, err := os.ReadFile(logged); err != nil || !bytes.Contains(lines, []byte("/api/v2/tickets/204")) {
		t.Errorf("access log: %v", err)
	}
	g.Verify()
}

// selfSigned writes a certificate for the loopback address.
func selfSigned(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: rawKey}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return cert, key, roots
}
