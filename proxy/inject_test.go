package proxy_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// vendorSecret is what the routes of these tests add. It has what is written otherwise in
// JSON, in addresses and in HTML.
const vendorSecret = "s3cr/t+of&the=vendor"

// agentKey makes a key of an agent, with grants.
func agentKey(g *proxytest.Gateway, grants ...string) string {
	var made struct{ Secret string }
	wish, _ := json.Marshal(map[string]any{"name": "desk", "roles": []string{"agent"}, "grants": append([]string{}, grants...)})
	g.API("POST", "/api/v1/apikeys", string(wish), http.StatusCreated, &made)
	return made.Secret
}

func basicOf(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Callers prove themselves to the gateway, with the header of its own or at the place where
// their client has the vendor's credential, and the vendor sees the route's credential and
// nothing of theirs.
func TestAddedCredential(t *testing.T) {
	t.Setenv("VENDOR_SECRET", vendorSecret)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(vendorSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	sign, jwks := newIssuer(t)
	block := "identity jwt {\n issuer https://id.example\n audience caregate\n jwks " + jwks + "\n role support agent\n }"
	for name, route := range map[string]struct{ channel, path, govern, header, want string }{
		"bearer": {"zendesk", "/api/v2/tickets/1", "credential bearer {env.VENDOR_SECRET}", "Authorization", "Bearer " + vendorSecret},
		"basic":  {"zendesk", "/api/v2/tickets/1", "credential basic gate@acme.example/token {file." + file + "}", "Authorization", basicOf("gate@acme.example/token", vendorSecret)},
		"header": {"adyen", "/v71/payments/ABCDEFGHIJKLMNOP/refunds", "credential header X-API-Key {env.VENDOR_SECRET}", "X-Api-Key", vendorSecret},
	} {
		t.Run(name, func(t *testing.T) {
			u := proxytest.NewUpstream(t, nil)
			g := proxytest.Start(t, proxytest.Options{Channel: route.channel, Upstream: u.URL, Govern: route.govern, Block: block})
			key := agentKey(g)
			other := agentKey(g)
			theirs := http.Header{"Authorization": {basicAuth}, "X-Api-Key": {"their-own-api-key"}, "Cookie": {"_zendesk_session=theirs"}}
			with := func(change http.Header) http.Header {
				h := theirs.Clone()
				for k, v := range change {
					h[k] = v
				}
				return h
			}
			for name, test := range map[string]struct {
				header http.Header
				query  string
				status int
				reason string
			}{
				"a key":                                 {with(http.Header{"Caregate-Key": {key}}), "", 200, ""},
				"a token":                               {http.Header{"Caregate-Token": {sign(nil)}, "Authorization": {"Bearer theirs"}}, "", 200, ""},
				"a key as bearer":                       {with(http.Header{"Authorization": {"Bearer " + key}}), "", 200, ""},
				"a key as password":                     {with(http.Header{"Authorization": {basicOf("ana@acme.example/token", key)}}), "", 200, ""},
				"a key as user":                         {with(http.Header{"Authorization": {basicOf(key, "")}}), "", 200, ""},
				"a key at both places":                  {with(http.Header{"Caregate-Key": {key}, "Authorization": {"Bearer " + key}}), "", 200, ""},
				"the vendor's credential":               {theirs, "", 401, "gateway_credential_required"},
				"a token of somebody at its place":      {http.Header{"Authorization": {"Bearer " + sign(nil)}}, "", 401, "gateway_credential_required"},
				"nothing":                               {http.Header{"Authorization": nil}, "", 401, "gateway_credential_required"},
				"a wrong key":                           {with(http.Header{"Authorization": {"Bearer cgk1" + strings.Repeat("0", 30)}}), "", 401, "invalid_credential"},
				"two keys":                              {with(http.Header{"Caregate-Key": {other}, "Authorization": {"Bearer " + key}}), "", 400, "header_ambiguous"},
				"a key and a token":                     {http.Header{"Caregate-Token": {sign(nil)}, "Authorization": {"Bearer " + key}}, "", 401, "invalid_credential"},
				"two of Authorization":                  {with(http.Header{"Authorization": {"Bearer " + key, "Bearer x"}}), "", 400, "header_ambiguous"},
				"the vendor's token in the address":     {with(http.Header{"Caregate-Key": {key}}), "?access_token=theirs", 400, "credential_in_query"},
				"the vendor's token, spelled otherwise": {with(http.Header{"Caregate-Key": {key}}), "?x=1&Access%5FToken=theirs", 400, "credential_in_query"},
				"the vendor's token in a broken query":  {with(http.Header{"Caregate-Key": {key}}), "?access_token=theirs&x=%zz", 400, "credential_in_query"},
				"a broken query":                        {with(http.Header{"Caregate-Key": {key}}), "?x=%zz", 400, "query_unparsable"},
			} {
				t.Run(name, func(t *testing.T) {
					before := len(u.Requests())
					c := call{method: "GET", path: route.path + test.query, header: test.header}
					if route.channel == "adyen" {
						c.method, c.body = "POST", `{}`
						c.path = strings.Replace(c.path, "/v71/payments/ABCDEFGHIJKLMNOP/refunds", "/v71/sessions", 1)
					}
					a := do(t, g, c)
					if a.problem.Reason != test.reason || test.reason != "" && a.status != test.status || test.reason == "" && a.status >= 400 {
						t.Fatalf("got %d %s, want %d %s", a.status, a.body, test.status, test.reason)
					}
					if test.reason != "" {
						if n := len(u.Requests()); n != before {
							t.Error("a refused call went to the vendor")
						}
						return
					}
					got := u.Last(t)
					if v := got.Header.Values(route.header); len(v) != 1 || v[0] != route.want {
						t.Errorf("%s is not the route's credential: %d values", route.header, len(v))
					}
					for name, values := range got.Header {
						for _, v := range values {
							plain, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(v, "Basic "))
							if strings.Contains(v+string(plain), key) || strings.Contains(v+string(plain), "theirs") || route.channel == "adyen" && strings.Contains(v, "their-own") || v == basicAuth {
								t.Errorf("%s of the caller went to the vendor", name)
							}
						}
					}
				})
			}
		})
	}
}

// What a call needs beside a proof where it is made in the gateway's name.
func TestAddedCredentialForWhom(t *testing.T) {
	t.Setenv("VENDOR_SECRET", vendorSecret)
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Set-Cookie", "_zendesk_session=the-gateways")
		_, _ = io.WriteString(w, "{}")
	})
	observed := proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "credential bearer {env.VENDOR_SECRET}", Sites: "http://" + observed +
		" {\n\tbind 127.0.0.1\n\tgovern zendesk " + u.URL + " {\n\t\troute watched\n\t\tobserve\n\t\tcredential bearer {env.VENDOR_SECRET}\n\t}\n}\n"})
	key, granted := agentKey(g), agentKey(g, "zendesk:user.me", "zendesk:unmapped.post")
	var made struct{ Secret string }
	g.API("POST", "/api/v1/apikeys", `{"name":"reader","roles":["dpo"]}`, http.StatusCreated, &made)
	powerless := made.Secret
	for name, test := range map[string]struct {
		call    call
		observe bool
		status  int
		reason  string
		grant   string
		added   bool
	}{
		"anonymous operation, nobody":       {call: call{method: "POST", path: "/api/v2/requests", body: "{}", header: http.Header{"Authorization": nil}}, status: 401, reason: "gateway_credential_required"},
		"anonymous operation, a key":        {call: call{method: "POST", path: "/api/v2/requests", body: "{}", header: http.Header{"Caregate-Key": {key}}}, status: 200, added: true},
		"auth operation, nobody":            {call: call{method: "POST", path: "/oauth/tokens", body: "{}", header: http.Header{"Authorization": nil}}, status: 401, reason: "gateway_credential_required"},
		"auth operation, a key":             {call: call{method: "GET", path: "/api/v2/users/me", header: http.Header{"Caregate-Key": {key}}}, status: 403, reason: "auth_needs_grant", grant: "zendesk:user.me"},
		"auth operation, granted":           {call: call{method: "GET", path: "/api/v2/users/me", header: http.Header{"Caregate-Key": {granted}}}, status: 200, added: true},
		"auth operation, otherwise spelled": {call: call{method: "GET", path: "/api/v2/users/me.foo", header: http.Header{"Caregate-Key": {key}}}, status: 403, reason: "auth_needs_grant", grant: "zendesk:user.me"},
		"a form with a token": {call: call{method: "POST", path: "/api/v2/tickets", body: "x=1&ACCESS_token=theirs", header: http.Header{"Caregate-Key": {key}, "Content-Type": {"application/x-www-form-urlencoded"}}},
			status: 400, reason: "credential_in_query"},
		"observed, a form with a token": {call: call{method: "PUT", path: "/api/v2/tickets/1", body: "access_token=theirs", header: http.Header{"Caregate-Key": {key}, "Content-Type": {"application/x-www-form-urlencoded"}}},
			observe: true, status: 400, reason: "credential_in_query"},
		"observed, a broken query":            {call: call{method: "GET", path: "/api/v2/tickets/1?access_token=theirs&x=%zz", header: http.Header{"Caregate-Key": {key}}}, observe: true, status: 401, reason: "gateway_credential_required"},
		"observed, auth operation, a key":     {call: call{method: "GET", path: "/api/v2/users/me", header: http.Header{"Caregate-Key": {key}}}, observe: true, status: 403, reason: "auth_needs_grant", grant: "zendesk:user.me"},
		"observed, auth operation, granted":   {call: call{method: "GET", path: "/api/v2/users/me", header: http.Header{"Caregate-Key": {granted}}}, observe: true, status: 200, added: true},
		"observed, unmapped, a key":           {call: call{method: "POST", path: "/api/v2/api_tokens", body: "{}", header: http.Header{"Caregate-Key": {key}}}, observe: true, status: 403, reason: "unmapped_needs_grant", grant: "zendesk:unmapped.post"},
		"observed, unmapped, not even a role": {call: call{method: "POST", path: "/api/v2/api_tokens", body: "{}", header: http.Header{"Caregate-Key": {powerless}}}, observe: true, status: 403, reason: "role_not_allowed", grant: "zendesk:unmapped.post"},
		"observed, unmapped, granted":         {call: call{method: "POST", path: "/api/v2/api_tokens", body: "{}", header: http.Header{"Caregate-Key": {granted}}}, observe: true, status: 200, added: true},
		"observed, what a role may not":       {call: call{method: "DELETE", path: "/api/v2/users/1", header: http.Header{"Caregate-Key": {powerless}}}, observe: true, status: 200, added: true},
		"unmapped, a key":                     {call: call{method: "POST", path: "/api/v2/api_tokens", body: "{}", header: http.Header{"Caregate-Key": {key}}}, status: 403, reason: "unmapped_needs_grant", grant: "zendesk:unmapped.post"},
		"unmapped, granted":                   {call: call{method: "POST", path: "/api/v2/api_tokens", body: "{}", header: http.Header{"Caregate-Key": {granted}}}, status: 200, added: true},
		"a preflight": {call: call{method: "OPTIONS", path: "/api/v2/tickets", header: http.Header{"Authorization": nil, "Origin": {"https://desk.example"},
			"Access-Control-Request-Method": {"GET"}}}, status: 200},
		"observed, nobody":            {call: call{method: "GET", path: "/api/v2/tickets/1"}, observe: true, status: 401, reason: "gateway_credential_required"},
		"observed, a wrong key":       {call: call{method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Caregate-Key": {"cgk1"}}}, observe: true, status: 401, reason: "gateway_credential_required"},
		"observed, a key":             {call: call{method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Caregate-Key": {key}}}, observe: true, status: 200, added: true},
		"observed, a key's preflight": {call: call{method: "OPTIONS", path: "/api/v2/tickets", header: http.Header{"Origin": {"https://desk.example"}, "Access-Control-Request-Method": {"GET"}}}, observe: true, status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(u.Requests())
			req := request(t, g, test.call)
			if test.observe {
				req.URL.Host, req.Host = observed, observed
			}
			a := send(t, req)
			if a.status != test.status || a.problem.Reason != test.reason {
				t.Fatalf("got %d %s, want %d %s", a.status, a.body, test.status, test.reason)
			}
			var refused struct{ Grant string }
			if test.grant != "" && (json.Unmarshal([]byte(a.body), &refused) != nil || refused.Grant != test.grant) {
				t.Errorf("the refusal names the grant %q, want %q", refused.Grant, test.grant)
			}
			if a.header.Get("Set-Cookie") != "" {
				t.Error("the caller got a session of the gateway's")
			}
			if test.reason != "" {
				if len(u.Requests()) != before {
					t.Error("a refused call went to the vendor")
				}
				return
			}
			if v := u.Last(t).Header.Get("Authorization"); (v == "Bearer "+vendorSecret) != test.added || !test.added && v != "" {
				t.Errorf("the credential was added: %t, want %t", !test.added, test.added)
			}
		})
	}
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Authorization": {basicOf("ana@acme.example/token", key)}}})
	if e := g.Event(a.header.Get("Caregate-Receipt")); e.Attrs["credential"] != "added" || e.Identity != "asserted" {
		t.Errorf("the event says credential %q, identity %s; want added, and the user of HTTP Basic asserted", e.Attrs["credential"], e.Identity)
	}
}

// An upstream that says its request again does not tell its caller the credential: not in
// a body, whatever its coding, not in a stream, a header, a redirect to another host.
func TestAddedCredentialEchoed(t *testing.T) {
	t.Setenv("VENDOR_SECRET", vendorSecret)
	quoted, _ := json.Marshal(vendorSecret)
	said := strings.Join([]string{vendorSecret, strings.Trim(string(quoted), `"`), strings.ReplaceAll(vendorSecret, "/", `\/`), url.QueryEscape(vendorSecret), basicOf("gate", vendorSecret)}, " ")
	lines := noise(2000) + `{"body":"` + said + `"}` + "\n" + noise(2000)
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Echo", r.Header.Get("Authorization"))
		h.Set("X-Echo-Password", vendorSecret)
		h.Set("Location", "https://elsewhere.example/?to="+url.QueryEscape(vendorSecret))
		body, status := `{"headers":"`+said+`"}`, http.StatusOK
		h.Set("Content-Type", "application/json")
		switch kind := r.URL.Query().Get("kind"); kind {
		case "redirect":
			status = http.StatusFound
		case "identity":
			h.Set("Content-Encoding", "identity")
		case "badly named":
			h.Set("Content-Encoding", "utf-8")
		case "binary":
			h.Set("Content-Type", "image/png")
		case "lines", "coded lines":
			body = lines
			h.Set("Content-Type", "application/x-ndjson")
			fallthrough
		case "coded", "coded against our will":
			if strings.Contains(kind, "coded") && (kind != "coded" && kind != "coded lines" || strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")) {
				h.Set("Content-Encoding", "gzip")
				body = zip(t, body)
			}
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	observed := proxytest.FreeAddr(t)
	const credential = "\n\t\tuninspected pass\n\t\tcredential basic gate {env.VENDOR_SECRET}"
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: credential, Sites: "http://" + observed +
		" {\n\tbind 127.0.0.1\n\tgovern zendesk " + u.URL + " {\n\t\troute watched\n\t\tobserve" + credential + "\n\t}\n}\n"})
	key := agentKey(g)
	for _, kind := range []string{"plain", "identity", "badly named", "redirect", "binary", "lines", "coded", "coded lines", "coded against our will"} {
		for name, host := range map[string]string{"": g.Addr, ", observed": observed} {
			t.Run(kind+name, func(t *testing.T) {
				req := request(t, g, call{method: "GET", path: "/api/v2/tickets/1?kind=" + url.QueryEscape(kind), header: http.Header{"Caregate-Key": {key}, "Accept-Encoding": {"gzip"}}})
				req.URL.Host, req.Host = host, host
				a := send(t, req)
				body := a.body
				if a.header.Get("Content-Encoding") == "gzip" {
					body = unzip(t, body)
				}
				want := 200
				switch {
				case kind == "redirect":
					want = 302
				case kind == "badly named" && name == "":
					want = 502
				}
				if a.status != want || len(body) < len(said) {
					t.Fatalf("got %d with %d bytes, want %d", a.status, len(body), want)
				}
				for _, values := range a.header {
					body += " " + strings.Join(values, " ")
				}
				body, _ = url.PathUnescape(body)
				for _, form := range strings.Fields(said) {
					if form, _ = url.PathUnescape(form); form != "Basic" && strings.Contains(body, form) {
						t.Errorf("a form of the credential with %d bytes went to the caller", len(form))
					}
				}
			})
		}
	}
}

// A browser shows a client certificate by itself, whoever wrote the page that has it call.
func TestAddedCredentialForeignPage(t *testing.T) {
	t.Setenv("VENDOR_SECRET", vendorSecret)
	ours := newAuthority(t, "ours")
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
	enforced, observed := proxytest.FreeAddr(t), proxytest.FreeAddr(t)
	at := func(addr, name string) string {
		return "https://localhost:" + portOf(addr) + " {\n bind 127.0.0.1\n tls " + cert + " " + key + " {\n client_auth {\n mode verify_if_given\n trust_pool file " + ours.file +
			"\n }\n }\n govern zendesk " + u.URL + " {\n route " + name + "\n credential bearer {env.VENDOR_SECRET}\n }\n}\n"
	}
	g := proxytest.Start(t, proxytest.Options{
		Upstream: u.URL,
		Block:    "identity certificate " + ours.file + " {\n name uri\n role spiffe://acme/desk/* agent\n }",
		Sites:    at(enforced, "enforced") + strings.Replace(at(observed, "observed"), "route observed", "route observed\n observe", 1),
	})
	apikey := agentKey(g)
	ada := ours.sign(t, uris(t, "spiffe://acme/desk/ada"))
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	const change, read = "PUT /api/v2/tickets/1", "GET /api/v2/tickets/1"
	for name, test := range map[string]struct {
		call    string
		header  http.Header
		refused bool
	}{
		"a program":                        {change, nil, false},
		"a page of this site":              {change, http.Header{"Origin": {"self"}, "Sec-Fetch-Site": {"same-origin"}}, false},
		"a page of another site":           {change, http.Header{"Origin": {"https://attacker.example"}, "Sec-Fetch-Site": {"cross-site"}}, true},
		"a page of nobody":                 {change, http.Header{"Origin": {"null"}}, true},
		"two pages":                        {change, http.Header{"Origin": {"self", "https://attacker.example"}}, true},
		"a neighbouring site":              {change, http.Header{"Sec-Fetch-Site": {"same-site"}}, true},
		"a neighbour that says it is ours": {change, http.Header{"Origin": {"self"}, "Sec-Fetch-Site": {"same-site"}}, true},
		"an image of another page":         {read, http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}, true},
		"a frame in another page":          {read, http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}, true},
		"a link on another page":           {read, http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, false},
		"a form on another page":           {change, http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, true},
		"typed by a person":                {read, http.Header{"Sec-Fetch-Site": {"none"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, false},
		"another page with a key":          {change, http.Header{"Origin": {"https://desk.example"}, "Sec-Fetch-Site": {"cross-site"}, "Caregate-Key": {apikey}}, false},
	} {
		for _, addr := range []string{enforced, observed} {
			method, path, _ := strings.Cut(test.call, " ")
			base := "https://localhost:" + portOf(addr)
			var body io.Reader
			if method != http.MethodGet {
				body = strings.NewReader("{}")
			}
			req, err := http.NewRequestWithContext(t.Context(), method, base+path, body)
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range test.header {
				for _, v := range values {
					req.Header.Add(name, strings.Replace(v, "self", base, 1))
				}
			}
			if body != nil {
				req.Header.Set("Content-Type", "application/json")
			}
			before := len(u.Requests())
			config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{ada}}
			a, err := trySendOver(t, &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr) // whatever localhost is
			}}, req)
			if err != nil {
				t.Fatal(err)
			}
			status, reason, calls := 200, "", 1
			if test.refused {
				status, reason, calls = 403, "origin_refused", 0
			}
			if got := a.header.Get("Caregate-Error"); a.status != status || got != reason || len(u.Requests())-before != calls {
				t.Errorf("%s, observed %t: got %d %s and %d calls, want %d %s", name, addr == observed, a.status, got, len(u.Requests())-before, status, reason)
			}
		}
	}
}

func unzip(t *testing.T, s string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// On a route that passes credentials on, a key of the gateway at their place goes nowhere.
func TestKeyMisplaced(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	key := agentKey(g)
	for _, v := range []string{"Bearer " + key, basicOf("ana@acme.example/token", key), basicOf(key, "X"), key} {
		if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Authorization": {v}}}); a.status != 401 || a.problem.Reason != "key_misplaced" {
			t.Errorf("got %d %s, want 401 key_misplaced", a.status, a.problem.Reason)
		}
	}
	if n := len(u.Requests()); n != 0 {
		t.Errorf("%d calls went to the vendor, want none", n)
	}
}
