package channel

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestRewriteURL(t *testing.T) {
	t.Parallel()
	c := zendesk(t)
	const upstream, public = "https://acme.zendesk.com", "http://desk.localhost:8080"
	cases := []struct{ name, in, upstream, want string }{
		{"next page", "https://acme.zendesk.com/api/v2/tickets.json?page=2&per_page=1", upstream, public + "/api/v2/tickets.json?page=2&per_page=1"},
		{"nothing is decoded or ordered", "https://acme.zendesk.com/a%2Fb/?b=%5B&a=%20#x", upstream, public + "/a%2Fb/?b=%5B&a=%20#x"},
		{"host in capitals", "HTTPS://ACME.Zendesk.com/x", upstream, public + "/x"},
		{"default port written", "https://acme.zendesk.com:443/x", upstream, public + "/x"},
		{"default port of the upstream written", "https://acme.zendesk.com/x", "https://acme.zendesk.com:443", public + "/x"},
		{"plain http on the same host", "http://acme.zendesk.com/x", upstream, public + "/x"},
		{"http with its port", "http://acme.zendesk.com:80/x", upstream, public + "/x"},
		{"no scheme", "//acme.zendesk.com/x", upstream, public + "/x"},
		{"dot at the end", "https://acme.zendesk.com./x", upstream, public + "/x"},
		{"no path", "https://acme.zendesk.com", upstream, public},
		{"query without a path", "https://acme.zendesk.com?page=2", upstream, public + "/?page=2"},
		{"loopback with a port", "http://127.0.0.1:9000/x", "http://127.0.0.1:9000", public + "/x"},
		{"IPv6", "http://[::1]:9000/x", "http://[::1]:9000", public + "/x"},
		{"other port", "http://127.0.0.1:9001/x", "http://127.0.0.1:9000", ""},
		{"port 443 over http", "http://acme.zendesk.com:443/x", upstream, ""},
		{"another host", "https://files.zdusercontent.com/x", upstream, ""},
		{"a host that starts alike", "https://acme.zendesk.com.evil.example/x", upstream, ""},
		{"a host that ends alike", "https://evilacme.zendesk.com/x", upstream, ""},
		{"user name", "https://acme.zendesk.com@evil.example/x", upstream, ""},
		{"user name before the host", "https://u:p@acme.zendesk.com/x", upstream, ""},
		{"backslash", `https://acme.zendesk.com\@evil.example/x`, upstream, ""},
		{"escape in the host", "https://acme%2ezendesk.com/x", upstream, ""},
		{"relative", "/api/v2/tickets", upstream, ""},
		{"other scheme", "ftp://acme.zendesk.com/x", upstream, ""},
		{"text before", "see https://acme.zendesk.com/x", upstream, ""},
		{"text after", "https://acme.zendesk.com/x and more", upstream, ""},
		{"empty", "", upstream, ""},
		{"port that is no number", "https://acme.zendesk.com:x/", upstream, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, ok := c.RewriteURL(tc.in, tc.upstream, public)
			want := tc.want
			if want == "" {
				want = tc.in
			}
			if got != want || ok != (tc.want != "") {
				t.Errorf("got %q %t, want %q", got, ok, want)
			}
		})
	}
	if got, _ := c.RewriteURL("https://acme.zendesk.com/x", upstream, public+"/"); got != public+"/x" {
		t.Errorf("a slash at the end of the public address gives %q", got)
	}
}

func TestRewriteHeaders(t *testing.T) {
	t.Parallel()
	c := zendesk(t)
	h := http.Header{
		"Location": {"https://acme.zendesk.com/api/v2/tickets/1.json"},
		"Link":     {`<https://acme.zendesk.com/a?x=1>; rel="next", <https://other.example/b>; rel="last"`, "<broken"},
		"X-Other":  {"https://acme.zendesk.com/stays"},
	}
	if n := c.RewriteHeaders(h, "https://acme.zendesk.com", "http://gw:1"); n != 2 {
		t.Errorf("%d values changed, want 2", n)
	}
	if got := h.Get("Location"); got != "http://gw:1/api/v2/tickets/1.json" {
		t.Errorf("Location is %s", got)
	}
	if want := []string{`<http://gw:1/a?x=1>; rel="next", <https://other.example/b>; rel="last"`, "<broken"}; !slices.Equal(h["Link"], want) {
		t.Errorf("Link is %q, want %q", h["Link"], want)
	}
	if h.Get("X-Other") != "https://acme.zendesk.com/stays" {
		t.Error("a header that the file does not name was changed")
	}
}

// Whatever is rewritten pointed to the upstream by the standard library's
// reading too, and points to the gateway afterwards, with path and query kept.
func FuzzRewriteURL(f *testing.F) {
	c := zendesk(f)
	for _, s := range []string{"https://acme.zendesk.com/a?b#c", "//acme.zendesk.com", "https://acme.zendesk.com:443", "https://acme.zendesk.com@x/", "HTTP://acme.zendesk.com.:80?x", "https:/acme.zendesk.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := c.RewriteURL(s, "https://acme.zendesk.com", "http://gw.example:8080")
		if !ok {
			if got != s {
				t.Fatalf("%q was changed to %q without saying so", s, got)
			}
			return
		}
		before, err := url.Parse(s)
		if err != nil {
			if strings.Contains(s, "%") {
				return // a bad escape in the path: the vendor's own, kept as it is
			}
			t.Fatalf("%q was rewritten and is no address: %v", s, err)
		}
		if name := strings.TrimSuffix(strings.ToLower(before.Hostname()), "."); name != "acme.zendesk.com" || before.User != nil {
			t.Fatalf("%q on host %q was rewritten", s, before.Host)
		}
		after, err := url.Parse(got)
		if err != nil || after.Host != "gw.example:8080" || strings.TrimPrefix(after.EscapedPath(), "/") != strings.TrimPrefix(before.EscapedPath(), "/") || after.RawQuery != before.RawQuery {
			t.Fatalf("%q became %q (%v)", s, got, err)
		}
	})
}
