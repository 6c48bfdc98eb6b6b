package channel

import (
	"net/http"
	"strings"
)

// RewriteURL turns an address on the upstream into the same address on the
// gateway, so that a client which follows it stays inside. s is the address
// that the vendor sent, upstream the route's upstream ("https://acme.example"),
// public the gateway's address as the client sees it
// ("http://desk.localhost:8080").
//
// Only scheme and authority change; path, query and fragment stay byte for
// byte. Nothing happens (and the answer is false) when s is relative, when its
// host or port is not the upstream's, when it holds a user name, or when its
// authority is written in a way that two parsers could read differently. The
// default ports of http and https are equal to no port, and to each other: a
// vendor that answers http:// on its own host is still the upstream.
func (c *Channel) RewriteURL(s, upstream, public string) (string, bool) {
	a, ok := splitAddress(s)
	if !ok {
		return s, false
	}
	up, ok := splitAddress(upstream)
	if !ok || !a.sameHost(up) {
		return s, false
	}
	base := strings.TrimSuffix(public, "/")
	if base == "" {
		return s, false
	}
	if a.rest != "" && a.rest[0] != '/' {
		base += "/" // "https://host?page=2": the query needs a path before it
	}
	return base + a.rest, true
}

// RewriteHeaders applies RewriteURL to the headers that the channel file names
// (Location, Link ...), in place, and returns how many values it changed. A
// value is one address, or a list of addresses in angle brackets as in Link.
func (c *Channel) RewriteHeaders(h http.Header, upstream, public string) int {
	changed := 0
	for _, name := range c.URLHeaders {
		values := h[http.CanonicalHeaderKey(name)]
		for i, v := range values {
			if out, ok := c.rewriteHeader(v, upstream, public); ok {
				values[i] = out
				changed++
			}
		}
	}
	return changed
}

// rewriteHeader rewrites one header value.
func (c *Channel) rewriteHeader(v, upstream, public string) (string, bool) {
	if !strings.Contains(v, "<") {
		return c.RewriteURL(v, upstream, public)
	}
	var out strings.Builder
	changed := false
	for rest := v; ; {
		before, inner, ok := strings.Cut(rest, "<")
		out.WriteString(before)
		if !ok {
			break
		}
		out.WriteByte('<')
		address, after, closed := strings.Cut(inner, ">")
		if !closed {
			out.WriteString(inner)
			break
		}
		if moved, ok := c.RewriteURL(address, upstream, public); ok {
			address, changed = moved, true
		}
		out.WriteString(address)
		out.WriteByte('>')
		rest = after
	}
	return out.String(), changed
}

// address is an absolute URL cut before and after its authority.
type address struct {
	scheme, host, port string // scheme and host as written; port "" for the default
	rest               string // from the path on, as it came
}

// sameHost compares host and port, default ports being equal.
func (a address) sameHost(b address) bool {
	return strings.EqualFold(strings.TrimSuffix(a.host, "."), strings.TrimSuffix(b.host, ".")) && a.port == b.port
}

// splitAddress cuts an absolute http or https URL, or one without a scheme
// ("//host/path"). It is stricter than net/url: an authority with a user name,
// an escape, a backslash or anything else than a host name, an IP literal and a
// decimal port is refused.
func splitAddress(s string) (address, bool) {
	var a address
	rest := s
	if i := strings.Index(s, "://"); i >= 0 && i <= len("https") {
		a.scheme, rest = s[:i], s[i+len("://"):]
		if !strings.EqualFold(a.scheme, "http") && !strings.EqualFold(a.scheme, "https") {
			return a, false
		}
	} else if strings.HasPrefix(s, "//") {
		rest = s[2:]
	} else {
		return a, false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority := rest[:end]
	a.rest = rest[end:]
	a.host = authority
	if colon := strings.LastIndexByte(authority, ':'); colon >= 0 && !strings.HasSuffix(authority, "]") {
		a.host, a.port = authority[:colon], authority[colon+1:]
		for _, b := range []byte(a.port) {
			if b < '0' || b > '9' {
				return a, false
			}
		}
	}
	if !plainHost(a.host) {
		return a, false
	}
	if a.port == "80" && !strings.EqualFold(a.scheme, "https") || a.port == "443" && !strings.EqualFold(a.scheme, "http") {
		a.port = ""
	}
	for _, b := range []byte(a.rest) {
		if b <= ' ' || b == 0x7f {
			return a, false
		}
	}
	return a, true
}

// plainHost accepts a host name, an IPv4 address and a bracketed IPv6 address.
func plainHost(h string) bool {
	if h == "" {
		return false
	}
	if h[0] == '[' {
		if len(h) < 4 || h[len(h)-1] != ']' {
			return false
		}
		for _, b := range []byte(h[1 : len(h)-1]) {
			if b != ':' && b != '.' && unhex(b) < 0 {
				return false
			}
		}
		return true
	}
	for _, b := range []byte(h) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '.', b == '_':
		default:
			return false
		}
	}
	return true
}
