package proxy_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/caregate/caregate/proxy/proxytest"
)

// Every hostile request must be refused with a reason, leave a durable event,
// reach no upstream and harm nobody: the last call of the test is an ordinary
// one.
func TestHostileRequests(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "limits {\n body 1MiB\n headers 8KiB\n }"})
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	for name, test := range map[string]struct {
		call   call
		status int
		reason string
	}{
		// C 39 to 50: what two parsers would read differently.
		"malformed":               {call{body: `{"a":`}, 400, "json_syntax"},
		"duplicate key":           {call{body: `{"a":1,"b":{"x":1,"x":2}}`}, 400, "json_duplicate_key"},
		"duplicate after escapes": {call{body: `{"a":1,"\u0061":2}`}, 400, "json_duplicate_key"},
		"invalid UTF-8":           {call{body: "{\"a\":\"\xff\xfe\"}"}, 400, "invalid_utf8"},
		"overlong UTF-8":          {call{body: "{\"a\":\"\xc0\xb4\"}"}, 400, "invalid_utf8"},
		"lone surrogate":          {call{body: `{"a":"\ud800"}`}, 400, "json_lone_surrogate"},
		"two documents":           {call{body: `{"a":1}{"b":2}`}, 400, "json_trailing_data"},
		"byte order mark":         {call{body: "\ufeff{}"}, 400, "json_bom"},
		"not a number":            {call{body: `{"a":NaN}`}, 400, "json_syntax"},
		"plus sign":               {call{body: `{"a":+1}`}, 400, "json_syntax"},
		"comment":                 {call{body: `{"a":1/*x*/}`}, 400, "json_syntax"},
		"trailing comma":          {call{body: `{"a":1,}`}, 400, "json_syntax"},
		"single quotes":           {call{body: `{'a':1}`}, 400, "json_syntax"},
		"depth":                   {call{body: deep}, 413, "too_deep"},
		"over the limit":          {call{body: `{"a":"` + strings.Repeat("x", 2<<20) + `"}`}, 413, "body_too_large"},
		"card as a number":        {call{body: `{"n":4111111111111111}`}, 422, "finding_blocked"},
		"card as a float":         {call{body: `{"n":4.111111111111111e15}`}, 422, "finding_blocked"},
		"card as a key":           {call{body: `{"4111 1111 1111 1111":true}`}, 422, "finding_blocked"},
		"no type":                 {call{body: `{}`, header: http.Header{"Content-Type": nil}}, 415, "type_not_inspected"},
		"type of a list":          {call{body: `{}`, header: http.Header{"Content-Type": {"application/json, text/html"}}}, 415, "type_not_inspected"},
		"two types":               {call{body: `{}`, header: http.Header{"Content-Type": {"application/json", "text/html"}}}, 400, "header_ambiguous"},
		"jsonx":                   {call{body: `{}`, header: http.Header{"Content-Type": {"application/jsonx"}}}, 415, "type_not_inspected"},
		"type in a parameter":     {call{body: `{}`, header: http.Header{"Content-Type": {`image/png; x="application/json"`}}}, 415, "type_not_inspected"},
		"utf-16":                  {call{body: `{}`, header: http.Header{"Content-Type": {"application/json; charset=utf-16"}}}, 415, "charset_unsupported"},
		"utf-7":                   {call{body: `{}`, header: http.Header{"Content-Type": {"application/json; charset=UTF-7"}}}, 415, "charset_unsupported"},
		"two charsets":            {call{body: `{}`, header: http.Header{"Content-Type": {"application/json; charset=utf-8; charset=utf-16"}}}, 415, "charset_unsupported"},
		"one charset twice":       {call{body: `{}`, header: http.Header{"Content-Type": {"application/json; charset=utf-8; CHARSET=utf-8"}}}, 415, "charset_unsupported"},
		"a charset in a value":    {call{body: `{}`, header: http.Header{"Content-Type": {`application/json; x="; charset=a"; charset=utf-8`}}}, 415, "charset_unsupported"},
		"form with semicolon":     {call{body: `a=1;b=2`, header: formType}, 400, "form_semicolon"},
		"form with bad escape":    {call{body: `a=%zz`, header: formType}, 400, "form_syntax"},
		"form with %u":            {call{body: `a=%u0034111`, header: formType}, 400, "form_syntax"},
		// B 29 to 33: codings.
		"gzip bomb":          {coded(zip(t, `{"a":"`+strings.Repeat("0", 64<<20)+`"}`), "gzip"), 413, "body_too_large"},
		"gzip ratio":         {coded(zip(t, `{"a":"`+strings.Repeat("0", 900<<10)+`"}`), "gzip"), 413, "expansion_limit"},
		"nested codings":     {coded("{}", "gzip, gzip"), 415, "coding_unsupported"},
		"two coding headers": {call{body: "{}", header: http.Header{"Content-Encoding": {"gzip", "br"}}}, 400, "header_ambiguous"},
		"unknown coding":     {coded("{}", "compress"), 415, "coding_unsupported"},
		"x-gzip":             {coded("{}", "x-gzip"), 415, "coding_unsupported"},
		"not gzip":           {coded("{}", "gzip"), 400, "coding_broken"},
		"gzip unannounced":   {call{body: zip(t, "{}")}, 400, "coding_broken"},
		"damaged gzip":       {coded(damage(zip(t, `{"a":"some text"}`)), "gzip"), 400, "coding_broken"},
		"bytes after gzip":   {coded(zip(t, `{}`)+"{}", "gzip"), 400, "coding_broken"},
		"cut gzip":           {coded(zip(t, `{"a":"some text"}`)[:20], "gzip"), 400, "coding_broken"},
		"zstd window":        {coded("\x28\xb5\x2f\xfd\x00\x98\x01\x00\x00", "zstd"), 413, "expansion_limit"},
		// A: framing and routing.
		"method override": {call{body: "{}", header: http.Header{"X-Http-Method-Override": {"DELETE"}}}, 400, "method_override"},
		"incremental":     {call{body: "{}", header: http.Header{"Incremental": {"?1"}}}, 501, "incremental_refused"},
		"upgrade":         {call{method: "GET", header: http.Header{"Upgrade": {"h2c"}, "Connection": {"Upgrade"}}}, 501, "upgrade_unsupported"},
		"trace":           {call{method: "TRACE"}, 405, "method_refused"},
		"own method":      {call{method: "FROB"}, 405, "method_refused"},
		"large headers":   {call{method: "GET", header: http.Header{"X-Big": {strings.Repeat("a", 9<<10)}}}, 431, "headers_too_large"},
		"dot segments":    {call{method: "GET", path: "/api/v2/a/%2e%2e/tickets"}, 400, "path_ambiguous"},
		"path parameter":  {call{method: "GET", path: "/api/v2/search;x/export"}, 400, "path_ambiguous"},
		"encoded slash":   {call{method: "GET", path: "/api/v2/a%2ftickets"}, 400, "path_ambiguous"},
		"encoded twice":   {call{method: "GET", path: "/api/v2/a%252ftickets"}, 400, "path_ambiguous"},
		"NUL":             {call{method: "GET", path: "/api/v2/tickets%00"}, 400, "path_ambiguous"},
		"bad query":       {call{method: "GET", path: "/api/v2/search?query=%zz"}, 400, "query_unparsable"},
		"query semicolon": {call{method: "GET", path: "/api/v2/search?a=1;query=2"}, 400, "query_unparsable"},
		"many parameters": {call{method: "GET", path: "/api/v2/search?" + strings.Repeat("a=1&", 5000) + "query=x"}, 400, "query_unparsable"},
		"bad purpose":     {call{method: "GET", header: http.Header{"Caregate-Purpose": {"Give me\teverything"}}}, 400, "purpose_invalid"},
		"no credential":   {call{method: "GET", header: http.Header{"Authorization": nil}}, 401, "no_credential"},
	} {
		t.Run(name, func(t *testing.T) {
			c := test.call
			if c.method == "" {
				c.method = "POST"
			}
			if c.path == "" {
				c.path = "/api/v2/tickets"
			}
			before := len(u.Requests())
			a := do(t, g, c)
			if a.status != test.status || a.problem.Reason != test.reason || a.problem.Forwarded {
				t.Errorf("got %d %s (forwarded %v), want %d %s: %.300s", a.status, a.problem.Reason, a.problem.Forwarded, test.status, test.reason, a.body)
			}
			if len(u.Requests()) != before {
				t.Error("something was forwarded")
			}
			if a.problem.Receipt == "" {
				t.Fatal("no receipt")
			}
			if e := g.Event(a.problem.Receipt); e.Decision != "deny" || e.Reason != test.reason {
				t.Errorf("event: got %s %s", e.Decision, e.Reason)
			}
		})
	}
	if a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{"ticket":{}}`}); a.status != 200 {
		t.Errorf("afterwards: got %d %s", a.status, a.body)
	}
	g.Verify()
}

var formType = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}

func coded(body, coding string) call {
	return call{body: body, header: http.Header{"Content-Encoding": {coding}}}
}

func damage(s string) string { return s[:len(s)-6] + "x" + s[len(s)-5:] }

// Bodies that no client library would send: written to the wire by hand.
func TestHostileFraming(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "limits {\n body 256KiB\n }"})
	head := "POST /api/v2/tickets HTTP/1.1\r\nHost: " + g.Addr + "\r\nAuthorization: " + basicAuth + "\r\nContent-Type: application/json\r\n"
	for name, test := range map[string]struct {
		raw    string
		stream string // repeated until the gateway answers
		want   string // in the answer; "" when the connection may just close
	}{
		"shorter than announced": {raw: head + "Content-Length: 100\r\nConnection: close\r\n\r\n{}", want: "body_incomplete"},
		"slow":                   {raw: head + "Content-Length: 100\r\n\r\n{", want: "read_timeout"},
		"endless chunks":         {raw: head + "Transfer-Encoding: chunked\r\n\r\n", stream: "400\r\n" + strings.Repeat("1", 1024) + "\r\n", want: "body_too_large"},
		"bad chunk size":         {raw: head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", want: "body_incomplete"},
		"two lengths":            {raw: head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", want: "400"},
		"length with a plus":     {raw: head + "Content-Length: +2\r\n\r\n{}", want: "400"},
		"unknown transfer":       {raw: head + "Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n", want: "501"},
		"folded header":          {raw: head + "X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}", want: ""},
		"two hosts":              {raw: "GET /api/v2/tickets HTTP/1.1\r\nHost: " + g.Addr + "\r\nHost: other\r\n\r\n", want: "400"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "slow" { // the others must not be, however busy the machine is
				if err := g.Load(proxytest.Options{Upstream: u.URL, Govern: "limits {\n read_timeout 1s\n }"}); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := g.Load(proxytest.Options{Upstream: u.URL, Govern: "limits {\n body 256KiB\n }"}); err != nil {
						t.Fatal(err)
					}
				}()
			}
			before := len(u.Requests())
			conn, err := net.Dial("tcp", g.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
			if _, err := io.WriteString(conn, test.raw); err != nil {
				t.Fatal(err)
			}
			if name == "shorter than announced" {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			if test.stream != "" {
				go func() {
					for range 4096 { // 4 MiB at most; the gateway stops listening long before
						if _, err := io.WriteString(conn, test.stream); err != nil {
							return
						}
					}
				}()
			}
			answer := make([]byte, 64<<10)
			n, _ := io.ReadAtLeast(bufio.NewReader(conn), answer, 12)
			if test.want != "" && !strings.Contains(string(answer[:n]), test.want) {
				t.Errorf("got %q, want %s", answer[:n], test.want)
			}
			for _, r := range u.Requests()[before:] {
				if name != "folded header" || strings.Contains(r.Header.Get("X-A"), "\n") {
					t.Errorf("forwarded: %s %q", r.Method, r.Body)
				}
			}
		})
	}
}

// However a body is cut on its way, the upstream receives the same bytes.
func TestChunkingDoesNotMatter(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	const body = `{"ticket":{"comment":{"body":"it is \u0034111-1111-1111-1111 ok"},"tags":["a"]}}`
	const want = `{"ticket":{"comment":{"body":"it is XXXX-XXXX-XXXX-1111 ok"},"tags":["a"]}}`
	for cut := 1; cut < len(body); cut += 3 {
		var wire bytes.Buffer
		fmt.Fprintf(&wire, "POST /api/v2/tickets HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n", g.Addr, basicAuth)
		for rest := body; rest != ""; {
			n := min(cut, len(rest))
			fmt.Fprintf(&wire, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		wire.WriteString("0\r\nX-T: 4111 1111 1111 1111\r\n\r\n")
		conn, err := net.Dial("tcp", g.Addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(wire.Bytes())
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if !bytes.Contains(answer, []byte("200 OK")) {
			t.Fatalf("cut every %d bytes: %s", cut, answer)
		}
		got := u.Last(t)
		if string(got.Body) != want || len(got.Trailer) > 0 {
			t.Errorf("cut every %d bytes: got %s, trailers %v", cut, got.Body, got.Trailer)
		}
	}
}

// Each coding, both directions, with and without a finding.
func TestCodings(t *testing.T) {
	const clean, dirty, masked = `{"a":"nothing to see"}`, `{"a":"card 4111111111111111"}`, `{"a":"card XXXXXXXXXXXX1111"}`
	var respond string
	var coding string
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", coding)
		_, _ = io.WriteString(w, respond)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	for name, encode := range map[string]func(string) string{
		"gzip": func(s string) string { return zip(t, s) },
		"br": func(s string) string {
			return through(t, s, func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })
		},
		"zstd": func(s string) string {
			return through(t, s, func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z })
		},
		"deflate": func(s string) string {
			return through(t, s, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
		},
		"raw deflate": func(s string) string {
			return through(t, s, func(w io.Writer) io.WriteCloser { z, _ := flate.NewWriter(w, 9); return z })
		},
	} {
		coding = strings.TrimPrefix(name, "raw ")
		for _, body := range []string{clean, dirty} {
			respond = encode(body)
			a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: encode(body), header: http.Header{"Content-Encoding": {coding}}})
			want, wantCoding := encode(body), coding
			if body == dirty {
				want, wantCoding = masked, ""
			}
			got := u.Last(t)
			if string(got.Body) != want || got.Header.Get("Content-Encoding") != wantCoding {
				t.Errorf("%s: forwarded %q in %q", name, got.Body, got.Header.Get("Content-Encoding"))
			}
			if a.body != want || a.header.Get("Content-Encoding") != wantCoding {
				t.Errorf("%s: answered %d %q in %q", name, a.status, a.body, a.header.Get("Content-Encoding"))
			}
		}
	}
}

func through(t *testing.T, s string, with func(io.Writer) io.WriteCloser) string {
	t.Helper()
	var b bytes.Buffer
	w := with(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
