package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
)

// provisionSession refuses a route that takes sessions where there can be none.
func (h *Handler) provisionSession() error {
	switch {
	case !h.Session:
		return nil
	case h.Webhooks:
		return fmt.Errorf("route %s: a webhook counts by its signature only, so identity session does not belong there", h.Route)
	case h.app.OIDC == nil:
		return fmt.Errorf("route %s: identity session needs identity oidc in the caregate block: nobody could log in", h.Route)
	}
	return nil
}

// login is how somebody in front of a browser could make a refused call succeed.
type login struct {
	// to is the address of the login, with the way back to the page that is open; again
	// the same for a login of now. Empty where the call was not a browser's alone.
	to, again string
	// page says that the browser goes where an answer sends it: it opens a page.
	page bool
}

// showSession takes the session of the person whose browser calls, on a route with
// identity session. A cookie over a connection that others can read is nobody's.
func (x *exchange) showSession(r *http.Request, p *policy.Presented) *refusal {
	if !x.h.Session {
		return nil
	}
	if mayLogIn(r) {
		var ok bool
		if p.Session, ok = presentedSession(r); !ok {
			return refuse(reasonHeader)
		}
	}
	// A session decides before the desk's own credential, so a login mends it beside one.
	shown := func(name string) bool { return name != "Cookie" && r.Header.Get(name) != "" }
	if p.Key == "" && p.Token == "" && p.Voucher == "" && (p.Session != "" || !slices.ContainsFunc(x.h.vendors, shown)) {
		x.login = loginFor(r)
	}
	return nil
}

// person is whose session the call counts by, empty without one.
func (x *exchange) person() string {
	if !x.session {
		return ""
	}
	return x.actor.ID
}

// keepPrivate says of an answer to somebody's session that no other may get a copy, and the
// same browser none without asking: the next call may be that of another person, and what
// one sees ends with the session.
func keepPrivate(h http.Header) {
	for name := range h {
		// Targeted fields (RFC 9213) and those of single caches count before Cache-Control.
		if name == "Expires" || name == "Surrogate-Control" || name == "X-Accel-Expires" || strings.HasSuffix(strings.ToLower(name), "cdn-cache-control") {
			delete(h, name)
		}
	}
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		if strings.EqualFold(strings.TrimSpace(directive), "no-store") {
			return
		}
	}
	h.Set("Cache-Control", "private, no-cache")
}

// loginFor says where the browser of a call logs in. The login's own pages lead to none: a
// route that gets them stands where they belong.
func loginFor(r *http.Request) login {
	called := calledURL(r)
	if strings.HasPrefix(called.Path, pagesPrefix) {
		return login{}
	}
	l := login{page: opensPage(r)}
	query := ""
	if l.page { // a script knows itself on which page it is
		query = "return=" + url.QueryEscape(called.EscapedPath()+queryOf(called))
	}
	l.to, l.again = strings.TrimSuffix(pageLogin+"?"+query, "?"), strings.TrimSuffix(pageLogin+"?again&"+query, "&")
	return l
}

// calledURL is the address that the caller wrote: Caddy may have taken a prefix away since.
func calledURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL
	}
	return r.URL
}

// opensPage tells a browser that opens a page in a window of its own from scripts, frames
// and programs. Browsers say so (Fetch Metadata); of those that do not, Accept tells.
func opensPage(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	mode, dest := r.Header.Values("Sec-Fetch-Mode"), r.Header.Values("Sec-Fetch-Dest")
	if len(mode)+len(dest) > 0 {
		return slices.Equal(mode, []string{"navigate"}) && slices.Equal(dest, []string{"document"})
	}
	return strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html") && r.Header.Get("X-Requested-With") == ""
}

// loginAfter is where a refused caller can log in, empty where that would change nothing.
func (x *exchange) loginAfter(ref *refusal) string {
	switch {
	case ref.code == reasonLoginAge:
		return x.login.again
	case x.actor.Kind != policy.KindAnonymous:
		return ""
	}
	switch ref.code {
	case reasonNoCredential, reasonBadCredential, reasonGatewayCredential:
		return x.login.to
	}
	return ""
}

// statusOf is the status of the answer to a refused call.
func (x *exchange) statusOf(ref *refusal) int {
	if x.login.page && x.loginAfter(ref) != "" {
		return http.StatusSeeOther
	}
	return reasonFor(ref.code).Status
}

// sendToLogin answers a browser that opens a page with the way to the login, and reports
// whether it did.
func (x *exchange) sendToLogin(w http.ResponseWriter, ref *refusal) bool {
	if x.statusOf(ref) != http.StatusSeeOther {
		return false
	}
	h := w.Header()
	x.mark(h)
	h.Set(headerError, ref.code)
	h.Set("Location", x.loginAfter(ref))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(0))
	x.answered = true
	w.WriteHeader(http.StatusSeeOther)
	return true
}

// changes tells calls that change something, as their method or the channel file says.
func (x *exchange) changes(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		// The desk may read a spelling more freely than the channel file.
		return x.match.Op.Effect != channel.EffectRead || x.h.ch.MatchPlainest(r.Method, r.URL.EscapedPath()).Op.Effect != channel.EffectRead
	}
	return true
}
