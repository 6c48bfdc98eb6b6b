package proxy

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caregate/caregate/policy"
)

// Names of our cookies. Over TLS they have hostPrefix in front, which a browser takes
// only from this very host, over TLS, for all paths (RFC 6265bis section 4.1.3.2): nobody
// at a neighbouring name can plant one.
const (
	cookieSession = "caregate"
	cookieAttempt = "caregate-login-"
	hostPrefix    = "__Host-"
)

// cookieName is the name under which a cookie counts for this call.
func cookieName(r *http.Request, name string) string {
	if strings.HasPrefix(publicBase(r), "https:") {
		return hostPrefix + name
	}
	return name
}

// presentedSession is the session that a browser shows, empty when there is none. Two are
// ambiguous.
func presentedSession(r *http.Request) (s policy.Secret, ok bool) {
	switch found := r.CookiesNamed(cookieName(r, cookieSession)); len(found) {
	case 0:
		return "", true
	case 1:
		return policy.Secret(found[0].Value), true
	}
	return "", false
}

// newCookie is one of ours: no script reads it, and no page of another site makes the
// browser send it with a call that changes something.
func newCookie(r *http.Request, name, value string, seconds int) *http.Cookie {
	full := cookieName(r, name)
	return &http.Cookie{
		Name: full, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(full, hostPrefix),
	}
}

// ourCookie tells whether a cookie could be taken for one of ours, however a browser
// writes its prefix.
func ourCookie(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	name = strings.TrimPrefix(strings.TrimPrefix(name, "__host-"), "__secure-")
	return name == cookieSession || strings.HasPrefix(name, cookieSession+"-")
}

// dropCookies takes our cookies out of a call before it is forwarded: an upstream that saw
// one could act as the person at the gateway.
func dropCookies(h http.Header) {
	values := h["Cookie"]
	if len(values) == 0 {
		return
	}
	var left []string
	for _, v := range values {
		var keep []string
		parts := strings.Split(v, ";")
		for _, p := range parts {
			name, _, _ := strings.Cut(p, "=")
			if !ourCookie(name) {
				keep = append(keep, p)
			}
		}
		if len(keep) == len(parts) {
			left = append(left, v)
		} else if v = strings.TrimSpace(strings.Join(keep, ";")); v != "" {
			left = append(left, v)
		}
	}
	if len(left) == 0 {
		h.Del("Cookie")
		return
	}
	h["Cookie"] = left
}

// dropSetCookies takes cookies of our names out of an answer: an upstream must not log
// anybody in or out at the gateway. A cookie without a name is shown by browsers as its
// value alone.
func dropSetCookies(h http.Header) {
	values := h["Set-Cookie"]
	if len(values) == 0 {
		return
	}
	var left []string
	for _, v := range values {
		name, _, _ := strings.Cut(strings.TrimLeft(v, "= \t"), ";")
		if name, _, _ = strings.Cut(name, "="); !ourCookie(name) {
			left = append(left, v)
		}
	}
	if len(left) == 0 {
		h.Del("Set-Cookie")
		return
	}
	h["Set-Cookie"] = left
}

// mayLogIn tells whether a cookie can be given out on this call: over TLS, or where the
// browser is on this machine.
func mayLogIn(r *http.Request) bool {
	u, err := url.Parse(publicBase(r))
	if err != nil || u.Host == "" {
		return false
	}
	host := strings.ToLower(u.Hostname())
	ip, err := netip.ParseAddr(host)
	return u.Scheme == "https" || host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// sameOrigin tells whether the browser says that a page of this very site made the call.
// An Origin of "null" says nothing: a page without a referrer sends it too.
func sameOrigin(r *http.Request) bool {
	if origins := r.Header.Values("Origin"); len(origins) > 0 && !(len(origins) == 1 && origins[0] == "null") {
		return len(origins) == 1 && strings.EqualFold(origins[0], publicBase(r))
	}
	return r.Header.Get("Sec-Fetch-Site") == "same-origin"
}

// backTo is where a browser goes after a login: a path of this site, or the page that says
// who is logged in.
func backTo(s string) string {
	const longest = 1 << 10
	u, err := url.Parse(s)
	if err != nil || len(s) > longest || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || u.Host != "" || u.Scheme != "" ||
		strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }) || strings.HasPrefix(u.Path, pagesPrefix) ||
		strings.Contains(u.EscapedPath(), "/.") || strings.Contains(u.EscapedPath(), "//") {
		return pageSession
	}
	return u.EscapedPath() + queryOf(u)
}

func queryOf(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	return "?" + u.RawQuery
}
