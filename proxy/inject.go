package proxy

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caregate/caregate/policy"
)

// gatewayKeys are the keys of the gateway that stand where a vendor's credential does, in
// the shapes of the usual clients: alone, behind the word of a scheme, or as a half of HTTP
// Basic.
func gatewayKeys(h http.Header, names []string) []string {
	var found []string
	for _, name := range names {
		for _, v := range h.Values(name) {
			_, rest, _ := strings.Cut(strings.TrimSpace(v), " ")
			candidates := []string{v, rest}
			if raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(rest), "=")); err == nil {
				user, password, _ := strings.Cut(string(raw), ":")
				candidates = append(candidates, user, password)
			}
			for _, c := range candidates {
				if c = strings.TrimSpace(c); policy.IsKey(c) {
					found = append(found, c)
				}
			}
		}
	}
	return found
}

// showVendor notes the vendor's credential that the caller brought along, on a route that
// forwards it. A key of the gateway at its place would go to the vendor.
func (x *exchange) showVendor(h http.Header, p *policy.Presented) *refusal {
	if len(gatewayKeys(h, x.h.vendors)) > 0 {
		return refuse(reasonKeyMisplaced)
	}
	if kind, secret, ok := x.h.ch.Credential(h); ok {
		p.VendorKind, p.VendorSecret = kind, policy.Secret(secret)
	}
	return nil
}

// showKey takes a key of the gateway from the place of the vendor's credential, on a route
// that adds its own: clients that know the vendor have no other place for it. The caller's
// own credential of the vendor shows nothing there.
func (x *exchange) showKey(r *http.Request, p *policy.Presented) *refusal {
	p.Whoami = nil
	for _, key := range gatewayKeys(r.Header, x.h.vendors) {
		switch p.Key {
		case "":
			p.Key = policy.Secret(key)
		case policy.Secret(key):
		default:
			return refuse(reasonHeader)
		}
	}
	// RFC 6750 section 2.3: the vendor might take it for the call's credential.
	if q, err := url.ParseQuery(r.URL.RawQuery); err == nil && q.Has("access_token") {
		return refuse(reasonCredentialQuery)
	}
	return nil
}

// strip takes off what could be a credential of the vendor's.
func (h *Handler) strip(header http.Header) {
	if h.Credential == nil {
		return
	}
	for _, name := range h.vendors {
		header.Del(name)
	}
}

// unproven refuses a call that would be made in the gateway's name for nobody in
// particular. A browser's preflight has nothing to show, and gets nothing added.
func (x *exchange) unproven() *refusal {
	if x.h.Credential == nil || x.actor.Kind != policy.KindAnonymous || x.match.Op == preflight {
		return nil
	}
	return refuse(reasonGatewayCredential)
}

// errElsewhere is about a configuration in JSON whose two halves do not fit: the Caddyfile
// cannot say it.
var errElsewhere = errors.New("the reverse_proxy behind the route calls another host than its upstream, or without TLS: the credential is not sent there")

// add puts the route's credential into the request on its way to the transport. req has a
// header of its own afterwards: what reverse_proxy writes into its log shows none of it.
func (x *exchange) add(t *Transport, req *http.Request) *refusal {
	if x.h.adds == nil || x.actor.Kind == policy.KindAnonymous {
		return nil
	}
	t.SetScheme(req)
	u, err := url.Parse(x.h.Upstream)
	if err != nil || !strings.EqualFold(u.Hostname(), req.URL.Hostname()) || req.URL.Scheme != "https" && !loopbackHost(u.Hostname()) {
		return refuseErr(reasonInternal, errElsewhere)
	}
	x.added = x.h.adds
	req.Header = req.Header.Clone()
	req.Header[x.added.name] = []string{string(x.added.value)}
	return nil
}

// refusedSaidEvery is how often the log says so again.
const refusedSaidEvery = time.Minute

// veilAnswer hides the credential that the gateway added, should the upstream say it
// again, before anybody reads the answer; and keeps the vendor's sessions from the caller,
// who could go on with them without the gateway.
func (x *exchange) veilAnswer(res *http.Response) {
	if x.h.Credential == nil {
		return
	}
	res.Header.Del("Set-Cookie")
	if x.added == nil {
		return
	}
	if res.StatusCode == http.StatusUnauthorized {
		x.h.app.metrics.addedRefused.WithLabelValues(x.h.Route).Inc()
		if last, now := x.h.refused.Load(), x.h.app.now().UnixMilli(); now-last >= refusedSaidEvery.Milliseconds() && x.h.refused.CompareAndSwap(last, now) {
			x.h.logger.Warn("the vendor refuses the credential that the gateway adds", zap.String("route", x.h.Route))
		}
	}
	for _, values := range res.Header {
		for i, v := range values {
			if b := []byte(v); x.added.veil.cover(b) {
				values[i] = string(b)
			}
		}
	}
	if res.Header.Get("Content-Encoding") == "" {
		res.Body = x.added.veil.body(res.Body)
	}
}

// veilDecoded hides it in a body that came coded.
func (x *exchange) veilDecoded(b *reading) {
	if x.added != nil && b.coding != "" && x.added.veil.cover(b.plain) {
		b.veiled = true
	}
}

// veilOf is what a stream of coded bytes is veiled with when it is decoded, nil for one
// that needs none.
func (x *exchange) veilOf(side *half) *veil {
	if x.added == nil || side != &x.response || side.body.coding == "" {
		return nil
	}
	return x.added.veil
}
