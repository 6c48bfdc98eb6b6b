package proxy

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact/walk"
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
	if namesToken(r.URL.RawQuery) {
		return refuse(reasonCredentialQuery)
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return refuse(reasonQuery) // nobody knows what the vendor finds in it
	}
	return nil
}

// namesToken tells whether a query or a form has a parameter that the vendor might take for
// the call's credential (RFC 6750 sections 2.2 and 2.3), however it is spelled. What can be
// read of a broken one counts.
func namesToken(form string) bool {
	values, _ := url.ParseQuery(form)
	for name := range values {
		if strings.EqualFold(strings.TrimSpace(name), "access_token") {
			return true
		}
	}
	return false
}

// tokenInForm refuses a form with such a parameter, also on a route that observes.
func (x *exchange) tokenInForm() *refusal {
	b := &x.request.body
	if x.h.Credential == nil || b.doc == nil || b.doc.Kind != walk.Form || !namesToken(string(b.plain)) {
		return nil
	}
	return refuse(reasonCredentialQuery)
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

// foreignPage refuses what a page of another site has a browser do: it shows a certificate
// or a session by itself, whoever wrote the page, and the call would be made with our
// credential, or as the person.
// Links may lead here where they read, because the page that has one sees nothing of the
// answer. What programs send names no site; but a session is a browser's, and what changes
// something by it has to name this one.
func (x *exchange) foreignPage(r *http.Request, p *policy.Presented) *refusal {
	if x.h.Credential == nil && p.Session == "" || p.Key != "" || p.Token != "" || p.Voucher != "" || x.actor.Kind == policy.KindAnonymous || x.match.Op == preflight {
		return nil
	}
	foreign := len(r.Header.Values("Origin")) > 0 && !sameOrigin(r)
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		foreign = foreign || site != "same-origin" && site != "none"
	}
	link := r.Method == http.MethodGet && !x.changes(r) && len(r.Header.Values("Origin")) == 0 &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	foreign = foreign || p.Session != "" && x.changes(r) && !sameOrigin(r)
	switch {
	case !foreign || link:
		return nil
	case x.h.Credential == nil:
		return x.stop(&x.request, refuse(reasonOrigin)) // what is forwarded has nothing of ours
	}
	return refuse(reasonOrigin)
}

// ungranted refuses, on a route that observes, what could hand out credentials of the
// account that the gateway calls with, where access would have been refused. Elsewhere
// the decision itself does.
func (x *exchange) ungranted(d *policy.Decision, err error, method string) *refusal {
	guarded := x.match.Op.Mark == markAuth || !x.match.Mapped && policy.MethodClass(method) == "unsafe"
	switch {
	case x.h.Credential == nil || !x.observe() || !guarded:
		return nil
	case err != nil:
		return refuseErr(reasonPolicyError, err)
	case d.Would == nil || d.Would.Allow || d.Would.Needs == "":
		return nil
	}
	ref := refuse(d.Would.Reason)
	for _, code := range [...]string{"auth_needs_grant", "unmapped_needs_grant"} {
		if slices.Contains(d.Would.Reasons, code) {
			ref.code = code
		}
	}
	ref.needs = d.Would.Needs
	return ref
}

// errElsewhere is about a configuration in JSON whose two halves do not fit: the Caddyfile
// cannot say it.
var errElsewhere = errors.New("the reverse_proxy behind the route calls another host than its upstream, or without TLS: the credential is not sent there")

// add puts the route's credential into the request on its way to the transport. req has a
// header of its own afterwards: what reverse_proxy writes into its log shows none of it.
func (x *exchange) add(t *Transport, req *http.Request) *refusal {
	if x.adds == nil {
		return nil
	}
	t.SetScheme(req)
	u, err := url.Parse(x.h.Upstream)
	if err != nil || !strings.EqualFold(u.Hostname(), req.URL.Hostname()) || req.URL.Scheme != "https" && !loopbackHost(u.Hostname()) {
		return refuseErr(reasonInternal, errElsewhere)
	}
	x.added = x.adds
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
	// Whatever coding the answer names: what is coded has none of it, and what is not is not
	// read further where the name is wrong. What is decoded is veiled once more.
	res.Body = x.added.veil.body(res.Body)
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
