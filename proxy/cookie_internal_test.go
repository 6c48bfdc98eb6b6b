package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestDropCookies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want []string }{
		"none":                {nil, nil},
		"others as they came": {[]string{"a=1;b=2 ; c"}, []string{"a=1;b=2 ; c"}},
		"only ours":           {[]string{"__Host-caregate=x"}, nil},
		"among others":        {[]string{"a=1; __Host-caregate=x; b=2"}, []string{"a=1; b=2"}},
		"in two lines":        {[]string{"a=1", "caregate=x", "b=2"}, []string{"a=1", "b=2"}},
		"an attempt":          {[]string{"__Host-caregate-login-AAAA=x;a=1"}, []string{"a=1"}},
		"in capitals":         {[]string{"__HOST-Caregate=x; __secure-caregate=y; CAREGATE-login-1=z"}, nil},
		"without a value":     {[]string{"caregate; a=1"}, []string{"a=1"}},
		"a name like ours":    {[]string{"caregated=1; mycaregate=2"}, []string{"caregated=1; mycaregate=2"}},
	} {
		h := http.Header{}
		if tc.in != nil {
			h["Cookie"] = slices.Clone(tc.in)
		}
		dropCookies(h)
		if !slices.Equal(h["Cookie"], tc.want) {
			t.Errorf("%s: got %q, want %q", name, h["Cookie"], tc.want)
		}
		if _, there := h["Cookie"]; there != (tc.want != nil) {
			t.Errorf("%s: the header is there: %v", name, there)
		}
	}
}

func TestDropSetCookies(t *testing.T) {
	t.Parallel()
	h := http.Header{"Set-Cookie": {
		"desk=1; Path=/", "__Host-caregate=planted; Secure; Path=/", "caregate=planted", " caregate = planted", "=__Host-caregate=planted", "__hOST-cAREGATE=planted",
		"caregate-login-AA=planted; Domain=example.com", "caregate", "other",
	}}
	dropSetCookies(h)
	if want := []string{"desk=1; Path=/", "other"}; !slices.Equal(h["Set-Cookie"], want) {
		t.Errorf("got %q, want %q", h["Set-Cookie"], want)
	}
}

// After a login a browser goes to a page of this site, whatever somebody wrote into a link.
func TestBackTo(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/agent/tickets/1?tab=a&b=%2F": "/agent/tickets/1?tab=a&b=%2F", "/": "/", "/a#b": "/a",
		"": pageSession, "agent": pageSession, "https://attacker.example/": pageSession, "//attacker.example": pageSession, `/\attacker.example`: pageSession, `\/attacker.example`: pageSession,
		"/\tattacker.example": pageSession, "/a\r\nSet-Cookie: caregate=1": pageSession, "javascript:alert(1)": pageSession, "/../..//attacker.example": pageSession, "/a//attacker.example": pageSession,
		"/caregate/callback?code=1": pageSession, "/caregate/logout": pageSession, "/%": pageSession, "/%63aregate/login": pageSession, "/" + strings.Repeat("a", 2000): pageSession, "/ä": pageSession,
	} {
		if got := backTo(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzBackTo(f *testing.F) {
	for _, s := range []string{"/", "//a", "/a?b#c", `/\a`, "/%2f/a", "/.//a", "https://a"} {
		f.Add(s)
	}
	site, err := url.Parse("https://desk.example.com/caregate/callback")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		back := backTo(s)
		to, err := site.Parse(back)
		if err != nil || to.Scheme != "https" || to.Host != site.Host || to.User != nil || strings.ContainsAny(back, "\\\r\n\t") || strings.HasPrefix(back, "//") {
			t.Errorf("leads to %q", back)
		}
	})
}

func FuzzCookies(f *testing.F) {
	f.Add("a=1; __Host-caregate=x; b=2")
	f.Add("caregate")
	f.Add(";;=caregate= ;")
	f.Fuzz(func(t *testing.T, s string) {
		h := http.Header{"Cookie": {s}, "Set-Cookie": {s}}
		dropCookies(h)
		dropSetCookies(h)
		for _, c := range (&http.Request{Header: h}).Cookies() {
			if ourCookie(c.Name) {
				t.Errorf("a call keeps the cookie %q", c.Name)
			}
		}
		for _, c := range (&http.Response{Header: h}).Cookies() {
			if ourCookie(c.Name) {
				t.Errorf("an answer keeps the cookie %q", c.Name)
			}
		}
	})
}
