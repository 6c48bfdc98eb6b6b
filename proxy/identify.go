package proxy

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
)

// Headers with which a caller speaks to the gateway. None of them, nor any other
// that begins with Caregate-, is forwarded.
const (
	headerKey     = "Caregate-Key"
	headerToken   = "Caregate-Token"
	headerActor   = "Caregate-Actor"
	headerPurpose = "Caregate-Purpose"
	headerReason  = "Caregate-Reason"
)

// forged finds a header that speaks in the gateway's name and that no caller has to
// send: a receipt, a verdict, a person where nobody may vouch for one. It would be removed,
// and whoever sent it believe that it counted; or somebody tries what does.
func (h *Handler) forged(header http.Header) *refusal {
	for name := range header {
		if !strings.HasPrefix(name, headerPrefix) || name == headerActor && h.app.ActorSigner != nil && !h.Webhooks {
			continue
		}
		switch name {
		case headerKey, headerToken, headerPurpose, headerReason, headerApproval:
		default:
			return refuse(reasonForged)
		}
	}
	return nil
}

// identify finds out what the call is and who makes it, from the request line
// and the headers only, and reserves room in the audit queue before any byte of
// the body is read (invariant A17).
func (x *exchange) identify(r *http.Request, next caddyhttp.Handler) *refusal {
	x.client, x.network = callerAddress(r)
	x.situation = situationOf(x.det.policy.engine, x.client, x.start)
	slot, err := x.gen.data.Log.ReserveFor(r.Context(), clientShare(x.client))
	if ref := x.takesNoEvents(err); ref != nil {
		return ref
	}
	x.slot = slot
	x.public = publicBase(r)
	x.origin = r.Header.Get("Origin")
	x.accepts = acceptsGzip(r.Header)
	x.match = x.operation(r)
	x.noteCaller(r.Header)

	if ref := checkFraming(r, x.h.Limits); ref != nil {
		if ref = x.stop(&x.request, ref); ref != nil {
			return ref
		}
	}
	presented, ref := x.presented(r, next)
	claims := x.h.forged(r.Header)
	// Whatever the caller said to us ends here.
	dropCookies(r.Header)
	for name := range r.Header {
		if strings.HasPrefix(name, headerPrefix) {
			delete(r.Header, name)
		}
	}
	x.h.strip(r.Header)
	if ref == nil {
		x.actor, err = x.det.policy.resolver.Resolve(r.Context(), presented)
		if err != nil {
			ref = refuseErr(policy.RefusalReason(err), err)
		}
	}
	x.session = ref == nil && presented.Session != ""
	if ref != nil {
		x.actor = policy.Actor{ID: policy.KindAnonymous, Kind: policy.KindAnonymous, Strength: policy.StrengthNone}
	}
	x.rollouts = x.h.app.rollouts(x.det.policy, &x.actor)
	x.h.app.noteRevealer(r.Context(), x.det.policy, &x.actor)
	if ref := x.nameActor(r.Context()); ref != nil {
		return ref
	}
	if ref := x.stop(&x.request, cmp.Or(ref, claims)); ref != nil {
		return ref
	}
	return cmp.Or(x.unproven(), x.foreignPage(r, &presented))
}

// operation finds the channel's operation. A browser's preflight is one by its
// headers (Fetch standard, section 3.2.2), whatever the path says.
func (x *exchange) operation(r *http.Request) channel.Match {
	if x.h.Webhooks {
		return x.delivery(r)
	}
	if r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != "" {
		return channel.Match{Op: preflight, Mapped: true}
	}
	m := x.h.ch.Match(r.Method, r.URL.EscapedPath())
	if m.Op.Mark == channel.MarkPreflight {
		// The path alone makes no preflight: without the headers it is a call like
		// any other and needs a credential.
		m = channel.Match{Op: options, Mapped: true}
	}
	if x.h.Credential != nil && m.Op.Mark != markAuth {
		// The vendor may read a spelling more freely than the channel file.
		if plain := x.h.ch.MatchPlainest(r.Method, r.URL.EscapedPath()); plain.Op.Mark == markAuth {
			m = plain
		}
	}
	if !m.Mapped {
		x.h.app.metrics.unmapped(x.h.Route)
		// Names of unmapped operations are a closed list of methods.
		if _, seen := x.h.unmapped.LoadOrStore(m.Op.Name, true); !seen {
			x.h.logger.Warn("a call is not in the channel file; it is inspected whole", zap.String("operation", m.Op.Name), zap.String("channel", x.h.ch.Name))
		}
	}
	return m
}

// preflight and options are the same in every channel.
var (
	preflight = &channel.Operation{Name: "preflight", Methods: []string{http.MethodOptions}, Effect: channel.EffectRead, Scope: channel.ScopeOne, Mark: channel.MarkPreflight}
	// unidentified is what a call is until the channel file has been asked.
	unidentified = &channel.Operation{Name: "unidentified", Effect: channel.EffectWrite, Scope: channel.ScopeOne}
	options      = &channel.Operation{Name: "options", Methods: []string{http.MethodOptions}, Effect: channel.EffectRead, Scope: channel.ScopeOne}
)

// presented collects what the caller shows of itself.
func (x *exchange) presented(r *http.Request, next caddyhttp.Handler) (policy.Presented, *refusal) {
	if x.h.Webhooks {
		// What vendors put into Authorization is for the system that receives the
		// delivery; only the signature counts here, see verify.go.
		return policy.Presented{Channel: x.h.ch.Name}, nil
	}
	p := policy.Presented{Channel: x.h.ch.Name, Whoami: x.h.who.ask(r, next), Chains: verifiedChains(r),
		Method: r.Method, Address: x.public + calledURL(r).EscapedPath()}
	for name, to := range map[string]*policy.Secret{headerKey: &p.Key, headerToken: &p.Token, headerActor: &p.Voucher} {
		switch v := r.Header.Values(name); len(v) {
		case 0:
		case 1:
			*to = policy.Secret(v[0])
		default:
			return p, refuse(reasonHeader)
		}
	}
	if x.h.app.ActorSigner == nil {
		p.Voucher = "" // forged says so
	}
	if v := r.Header.Values(headerPurpose); len(v) > 0 {
		purpose, ok := policy.ParsePurpose(v[0])
		if !ok || len(v) > 1 {
			return p, refuse(reasonPurpose)
		}
		x.purpose = purpose
	}
	if v := r.Header.Values(headerApproval); len(v) > 1 || len(v) == 1 && (v[0] == "" || len(v[0]) > maxApprovalID) {
		return p, refuse(reasonApprovalInvalid)
	} else if len(v) == 1 {
		x.agreeing.presented = v[0]
	}
	if len(r.Header.Values("Authorization")) > 1 {
		return p, refuse(reasonHeader)
	}
	p.Asserted, _ = x.h.ch.AssertedUser(r.Header)
	if ref := x.showSession(r, &p); ref != nil {
		return p, ref
	}
	if x.h.Credential != nil {
		return p, x.showKey(r, &p)
	}
	return p, x.showVendor(r.Header, &p)
}

// checkFraming refuses what two HTTP readers could understand differently, or
// what changes the meaning of a call behind our back.
func checkFraming(r *http.Request, l Limits) *refusal {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return refuse(reasonMethod)
	}
	var size int64
	for name, values := range r.Header {
		for _, v := range values {
			size += int64(len(name) + len(v) + 4)
		}
	}
	if size > l.Headers {
		return refuse(reasonHeadersTooLarge)
	}
	for _, name := range [...]string{"Content-Type", "Content-Encoding", "Idempotency-Key"} {
		if len(r.Header.Values(name)) > 1 {
			return refuse(reasonHeader)
		}
	}
	// A server that honours one of these carries out another call than the one
	// that policy decided about.
	for _, name := range [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url"} {
		if r.Header.Get(name) != "" {
			return refuse(reasonOverride)
		}
	}
	// reverse_proxy removes every header that Connection names, and the upstream
	// would read another message than we did.
	for _, list := range r.Header.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); decisive(name) && r.Header.Get(name) != "" {
				return refuse(reasonHeader)
			}
		}
	}
	if r.Header.Get("Upgrade") != "" {
		return refuse(reasonUpgrade)
	}
	if hasBody(r) && !unlikelyBody(r) && caddyhttp.IsIncremental(r.Header) && !streamed(r.Header) {
		return refuse(reasonIncremental)
	}
	return checkPath(r.URL.EscapedPath())
}

// decisive tells the headers that policy, reading or the upstream's own checks
// depend on from those that a caller may declare hop-by-hop.
func decisive(name string) bool {
	switch name {
	case "Authorization", "Cookie", "Origin", "Idempotency-Key", "If-Match", "If-None-Match", "If-Unmodified-Since", "Accept-Encoding":
		return true
	}
	return strings.HasPrefix(name, "Content-") || strings.HasPrefix(name, "X-Forwarded-")
}

// checkPath refuses paths that servers decode differently: what we judge must be
// what the upstream serves.
func checkPath(escaped string) *refusal {
	if !strings.ContainsAny(escaped, "%\\;") && !strings.Contains(escaped, "/.") {
		return nil
	}
	if strings.Contains(escaped, ";") {
		return refuse(reasonPath) // parameters of a segment (RFC 3986 section 3.3): some servers take them off
	}
	path, err := decodeOnce(escaped)
	if err != nil || !utf8.ValidString(path) || strings.ContainsAny(path, "\x00\\") {
		return refuse(reasonPath)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return refuse(reasonPath)
		}
	}
	lower := strings.ToLower(path)
	for _, twice := range [...]string{"%2f", "%5c", "%2e", "%00", "%25"} {
		if strings.Contains(lower, twice) {
			return refuse(reasonPath)
		}
	}
	if strings.Contains(strings.ToLower(escaped), "%2f") {
		return refuse(reasonPath) // a separator to some, a character to others
	}
	return nil
}

// hasBody tells whether a request may carry content, as far as its headers show.
func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// unlikelyBody tells the requests of which hasBody knows nothing: HTTP/3 does not
// say of a GET that it has no content, as long as the stream is open. Only reading
// shows it, see peek.
func unlikelyBody(r *http.Request) bool {
	if r.ContentLength >= 0 {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions:
		return true
	}
	return false
}

// callerAddress gives the caller's address, as Caddy trusts it, and its class.
func callerAddress(r *http.Request) (addr, class string) {
	s, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return classifyAddress(s)
}

// classifyAddress gives an address, with or without a port, in one form and its class.
func classifyAddress(s string) (addr, class string) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		s = ap.Addr().String()
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return s, "unknown"
	}
	switch ip = ip.Unmap(); {
	case ip.IsLoopback():
		class = "loopback"
	case ip.IsPrivate(), ip.IsLinkLocalUnicast():
		class = "private"
	default:
		class = "public"
	}
	return ip.String(), class
}

// situationOf names where an address is and what time it is, as the policy calls it.
func situationOf(e *policy.Engine, address string, at time.Time) policy.Situation {
	ip, _ := netip.ParseAddr(address) // what is no address is in no network
	return e.Situation(ip, at)
}

// clientShare names whose share of the audit queue a call takes: the caller's address,
// because a credential is not proven yet and anybody can make up many. Who has one
// address of IPv6 has its network of 64 bits.
func clientShare(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Is4() {
		return "address " + address
	}
	network, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return "address " + address
	}
	return network.String()
}

// acceptsGzip reads Accept-Encoding for the one coding we ask upstreams for.
func acceptsGzip(h http.Header) bool {
	for _, v := range h.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(v, ",") {
			coding, params, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				q := strings.ReplaceAll(params, " ", "")
				return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
			}
		}
	}
	return false
}

// detached is the context of what must be finished although the caller hung up:
// a record of what happened does not depend on its subject's patience.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
}
