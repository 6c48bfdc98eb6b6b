package proxy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy/proxytest"
)

// authority signs certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert, key, filepath.Join(t.TempDir(), "ca.pem")}
	writePEM(t, a.file, "CERTIFICATE", raw)
	return a
}

func writePEM(t *testing.T, file, kind string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sign makes a certificate with its key.
func (a *authority) sign(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "somebody"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(47 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func uris(t *testing.T, names ...string) func(*x509.Certificate) {
	t.Helper()
	return func(c *x509.Certificate) {
		for _, n := range names {
			u, err := url.Parse(n)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		}
	}
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// A client certificate counts when the listener has verified it, up to the authority that
// the configuration names, and in no other way.
func TestClientCertificates(t *testing.T) {
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	dir := t.TempDir()
	site := ours.sign(t, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	cert, key := filepath.Join(dir, "site.pem"), filepath.Join(dir, "site.key")
	writePEM(t, cert, "CERTIFICATE", site.Certificate[0])
	der, err := x509.MarshalPKCS8PrivateKey(site.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, key, "PRIVATE KEY", der)

	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"ticket":{}}`))
	verified, asked, plain := proxytest.FreeAddr(t), proxytest.FreeAddr(t), proxytest.FreeAddr(t)
	at := func(addr, mode, inside string) string {
		return "https://localhost:" + portOf(addr) + " {\n bind 127.0.0.1\n tls " + cert + " " + key + " {\n client_auth {\n mode " + mode + "\n }\n }\n" + inside + "\n}\n"
	}
	pool := "verify_if_given\n trust_pool file " + ours.file + " " + others.file
	route := func(name string) string {
		return "handle /api/v1/* {\n caregate_api\n }\n govern zendesk " + u.URL + " {\n route " + name + "\n }"
	}
	g := proxytest.Start(t, proxytest.Options{
		Upstream: u.URL,
		Block:    "identity certificate " + ours.file + " {\n name uri\n role spiffe://acme/desk/* agent\n role spiffe://acme/ops/root admin security\n }",
		Sites:    at(verified, pool, route("verified")) + at(asked, "request", route("asked")) + "http://" + plain + " {\n bind 127.0.0.1\n caregate_api\n}\n",
	})
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	get := func(addr, path string, shown *tls.Certificate, header http.Header) answer {
		t.Helper()
		config := &tls.Config{RootCAs: roots}
		if shown != nil {
			// Shown whatever authorities the listener names.
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil }
		}
		to := "https://localhost:" + portOf(addr)
		if addr == plain {
			to = "http://" + addr
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if header != nil {
			req.Header = header
		}
		a, err := trySendOver(t, &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr) // whatever localhost is
		}}, req)
		if err != nil {
			t.Fatalf("calling the gateway: %v", err)
		}
		return a
	}
	root, ada := ours.sign(t, uris(t, "spiffe://acme/ops/root")), ours.sign(t, uris(t, "spiffe://acme/desk/ada"))
	twice, nobody := ours.sign(t, uris(t, "spiffe://acme/ops/root", "spiffe://acme/desk/ada")), ours.sign(t, uris(t))
	visitor, stranger := ours.sign(t, uris(t, "spiffe://acme/guest/eve")), others.sign(t, uris(t, "spiffe://acme/ops/root"))
	forged := http.Header{"X-Client-Cert": {base64.StdEncoding.EncodeToString(root.Certificate[0])}, "X-Ssl-Client-Verify": {"SUCCESS"}}

	const status, tickets = "/api/v1/status", "/api/v2/tickets/1"
	for name, test := range map[string]struct {
		addr, path string
		shown      *tls.Certificate
		header     http.Header
		status     int
		reason     string
	}{
		"an administrator":                 {verified, status, &root, nil, 200, ""},
		"an agent":                         {verified, tickets, &ada, nil, 200, ""},
		"an agent administers":             {verified, status, &ada, nil, 403, "role_not_allowed"},
		"an administrator sees no tickets": {verified, tickets, &root, nil, 403, "role_not_allowed"},
		"nobody shown":                     {verified, status, nil, nil, 401, "no_credential"},
		"two names":                        {verified, status, &twice, nil, 401, "invalid_credential"},
		"no name":                          {verified, status, &nobody, nil, 401, "invalid_credential"},
		"no role":                          {verified, tickets, &visitor, nil, 403, "role_not_allowed"},
		"another authority":                {verified, status, &stranger, nil, 401, "no_credential"},
		"asked for and not verified":       {asked, status, &root, nil, 401, "no_credential"},
		"asked for, another authority":     {asked, tickets, &stranger, nil, 401, "no_credential"},
		"in a header":                      {verified, status, nil, forged, 401, "no_credential"},
		"in a header, without TLS":         {plain, status, nil, forged, 401, "no_credential"},
		"with a key, the key counts":       {verified, status, &root, http.Header{"Caregate-Key": {"cgk1nothing"}}, 401, "invalid_credential"},
		"asserted to be another":           {verified, tickets, &ada, http.Header{"X-On-Behalf-Of": {"bob@example.com"}}, 403, "identity_mismatch"},
	} {
		a := get(test.addr, test.path, test.shown, test.header)
		reason := a.header.Get("Caregate-Error")
		if a.status != test.status || reason != test.reason {
			t.Errorf("%s: got %d %s, want %d %s", name, a.status, reason, test.status, test.reason)
		}
	}
	e := g.Event(get(verified, tickets, &ada, nil).header.Get("Caregate-Receipt"))
	if e.Identity != "proven" || len(e.Roles) != 1 || e.Roles[0] != "agent" {
		t.Errorf("the event: got %+v", e)
	}
	var refused struct{ Reason, Actor string }
	a := get(verified, "/api/v2/incremental/tickets/cursor.json?start_time=1", &ada, nil)
	if err := json.Unmarshal([]byte(a.body), &refused); err != nil || refused.Reason != "export_needs_grant" || len(refused.Actor) != len("cert:")+32 {
		t.Errorf("a refusal that names the actor: got %d %s", a.status, a.body)
	}
}
