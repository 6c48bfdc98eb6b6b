package console

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// checkOrigin refuses calls that a web page made a browser send.
//
// A page can make its own name resolve to 127.0.0.1 and then call what listens
// there as "same origin" (DNS rebinding). It cannot make the browser send
// another Host header than its own name, and it cannot show a certificate for
// another name. So over plain HTTP the API answers only to addresses, localhost
// names and the names of Config.Hosts; over TLS the certificate was the check.
// And whatever the name, a browser says with Origin or Sec-Fetch-Site when
// another site is behind a call.
func (a *api) checkOrigin(r *http.Request) *Refusal {
	if ref := a.checkHost(r); ref != nil {
		return ref
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return refuse(reasonOrigin, "", nil)
	}
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		u, err := url.Parse(origins[0])
		if err != nil || len(origins) > 1 || u.Scheme != scheme || !strings.EqualFold(u.Host, r.Host) {
			return refuse(reasonOrigin, "", nil)
		}
	}
	return nil
}

// checkHost refuses what came over plain HTTP under a name that may be another site's.
func (a *api) checkHost(r *http.Request) *Refusal {
	if !a.Local && r.TLS == nil && !a.ownName(hostname(r.Host)) {
		return refuse(reasonHost, "", nil)
	}
	return nil
}

// ownPage tells whether the browser says that a page of our own made a call that
// checkOrigin let through. Without a word of it nobody knows which page did.
func ownPage(r *http.Request) bool {
	return len(r.Header.Values("Origin")) == 1 || r.Header.Get("Sec-Fetch-Site") == "same-origin"
}

// ownName tells whether host cannot be a name that somebody else's DNS answers for.
func (a *api) ownName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	// RFC 6761 section 6.3: localhost names never leave the machine.
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || a.hosts[host]
}

// hostname is the lower-case name in a Host header, without port, brackets and
// final dot.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
