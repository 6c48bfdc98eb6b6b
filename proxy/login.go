package proxy

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
)

// Where people log in. The provider has to know pageCallback.
const (
	pagesPrefix  = "/caregate/"
	pageLogin    = pagesPrefix + "login"
	pageCallback = pagesPrefix + "callback"
	pageLogout   = pagesPrefix + "logout"
	pageSession  = pagesPrefix + "session"
)

// Codes that only the pages answer with.
const reasonLoginPlain = "login_insecure"

// quietLogin keeps a login out of the access log: the query of the provider's answer holds
// the code, and the address that the browser is sent to holds the state. The event in the
// audit log stands for both. It is called before anything else is done with a call.
func quietLogin(r *http.Request) {
	if r.URL.Path == pageCallback || r.URL.Path == pageLogin {
		caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	}
}

// loginPages serves the pages; see docs/design/0020.
type loginPages struct{ a *App }

// ServeHTTP implements http.Handler. It never returns an error to Caddy, whose error log
// prints the whole request.
func (p loginPages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// The address of the answer holds the code. A form on a page without a referrer is sent
	// with Origin: null, so the page with the button tells where it is, and no more.
	h.Set("Referrer-Policy", "no-referrer")
	if r.URL.Path == pageSession {
		h.Set("Referrer-Policy", "strict-origin")
	}
	h.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	method := map[string]string{pageLogin: http.MethodGet, pageCallback: http.MethodGet, pageSession: http.MethodGet, pageLogout: http.MethodPost}[r.URL.Path]
	switch {
	case method == "":
		p.refuse(w, r, "not_found", "", "")
	case r.Method != method:
		h.Set("Allow", method)
		p.refuse(w, r, reasonMethod, "", "")
	case !mayLogIn(r):
		p.refuse(w, r, reasonLoginPlain, "", "")
	case r.URL.Path == pageLogin:
		p.login(w, r)
	case r.URL.Path == pageCallback:
		p.callback(w, r)
	case r.URL.Path == pageLogout:
		p.logout(w, r)
	default:
		p.session(w, r)
	}
}

// login sends the browser to the provider.
func (p loginPages) login(w http.ResponseWriter, r *http.Request) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > maxLoginQuery {
		p.refuse(w, r, reasonQuery, "", "")
		return
	}
	a, err := p.a.login.Begin(r.Context(), publicBase(r)+pageCallback, backTo(q.Get("return")), q.Has("again"))
	if err != nil {
		p.failed(w, r, err)
		return
	}
	http.SetCookie(w, newCookie(r, cookieAttempt+a.Name, string(a.Kept), int(a.Lasts/time.Second)))
	w.Header().Set("Location", a.To)
	w.WriteHeader(http.StatusSeeOther)
}

// maxLoginQuery bounds what is read of a query; providers' codes have a few hundred bytes.
const maxLoginQuery = 8 << 10

// callback takes the provider's answer.
func (p loginPages) callback(w http.ResponseWriter, r *http.Request) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > maxLoginQuery {
		p.refuse(w, r, reasonQuery, "", "")
		return
	}
	var kept policy.Secret
	name := cookieAttempt + policy.AttemptOf(q)
	if found := r.CookiesNamed(cookieName(r, name)); len(found) == 1 {
		kept = policy.Secret(found[0].Value)
		http.SetCookie(w, newCookie(r, name, "", -1)) // once
	}
	in, err := p.a.login.Finish(r.Context(), kept, q)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	receipt, err := p.record(ctx, console.Record{
		Actor: p.who(r, in.Actor), Operation: pageOperation("session.create", r), Decision: console.Decision{Allow: true}, Done: true,
		Status: http.StatusSeeOther, Attrs: map[string]string{"session": in.Session.ID}, Detail: map[string]string{"proven": in.Actor.Proven}, Fresh: true,
	})
	if err != nil {
		if _, _, err := p.a.gen.data.Sessions.End(ctx, in.Secret); err != nil {
			p.a.logger.Error("a session that could not be recorded could not be ended either", zap.String("session", in.Session.ID), errField(err))
		}
		p.a.logger.Error("recording a login", errField(err))
		p.refuse(w, r, reasonAuditUnavailable, "", "")
		return
	}
	// What the browser had before ends: it may have been planted, or be somebody else's.
	if old, ok := presentedSession(r); ok && old != "" {
		if _, _, err := p.a.gen.data.Sessions.End(ctx, old); err != nil {
			p.a.logger.Error("ending the session before a login", errField(err))
		}
	}
	http.SetCookie(w, newCookie(r, cookieSession, string(in.Secret), int(time.Until(in.Session.Expires)/time.Second)))
	w.Header().Set(headerReceipt, receipt)
	w.Header().Set("Location", in.Back)
	w.WriteHeader(http.StatusSeeOther)
}

// logout ends the session of the browser.
func (p loginPages) logout(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(r) {
		p.refuse(w, r, "origin_refused", "", "")
		return
	}
	presented, _ := presentedSession(r)
	if presented != "" {
		ctx, cancel := detached(r.Context())
		defer cancel()
		ended, found, err := p.a.gen.data.Sessions.End(ctx, presented)
		if err != nil {
			p.a.logger.Error("ending a session", errField(err))
			p.refuse(w, r, reasonInternal, "", "")
			return
		}
		if found {
			// It has ended, whether it can be recorded or not: that is the safe side.
			receipt, err := p.record(ctx, console.Record{
				Actor: p.who(r, policy.Actor{ID: ended.Actor, Kind: policy.KindToken, Strength: policy.StrengthProven}), Operation: pageOperation("session.end", r),
				Decision: console.Decision{Allow: true}, Done: true, Status: http.StatusSeeOther, Attrs: map[string]string{"session": ended.ID}, Fresh: true,
			})
			if err != nil {
				p.a.logger.Error("recording the end of a session", errField(err))
			} else {
				w.Header().Set(headerReceipt, receipt)
			}
		}
	}
	http.SetCookie(w, newCookie(r, cookieSession, "", -1))
	w.Header().Set("Location", pageSession)
	w.WriteHeader(http.StatusSeeOther)
}

// session says who is logged in.
func (p loginPages) session(w http.ResponseWriter, r *http.Request) {
	page := pageData{Title: "Not logged in", Login: true}
	if presented, ok := presentedSession(r); ok && presented != "" {
		actor, err := p.a.rules().resolver.Resolve(r.Context(), policy.Presented{Channel: policy.OwnChannel, Session: presented})
		switch {
		case err == nil:
			page = pageData{Title: "Logged in", Text: "As " + actor.Proven + ", with the roles " + strings.Join(actor.Roles, ", ") + ".", Logout: true}
			if !actor.MFA {
				page.Fix = "The provider told of no second factor; most roles may do nothing without."
			}
		case !errors.Is(err, policy.ErrRefused):
			p.a.logger.Error("looking for a session", errField(err))
			p.refuse(w, r, reasonInternal, "", "")
			return
		}
	}
	p.write(w, http.StatusOK, page)
}

// failed answers a login that failed, after it is on record.
func (p loginPages) failed(w http.ResponseWriter, r *http.Request, err error) {
	code, cause := reasonInternal, ""
	if e := (*policy.LoginError)(nil); errors.As(err, &e) {
		code, cause = e.Code, e.Cause
	}
	// These errors name addresses and kinds, and nothing of what a provider or a browser
	// sent.
	p.a.logger.Warn("a login failed", zap.String("reason", code), errField(err))
	if code == policy.LoginUnavailable || code == reasonInternal {
		p.refuse(w, r, code, cause, "")
		return
	}
	rec := console.Record{Operation: pageOperation("session.create", r), Decision: console.Decision{Reason: code}, Done: true, Reason: code, Status: reasonFor(code).Status}
	if cause != "" {
		rec.Attrs = map[string]string{"cause": cause}
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	receipt, err := p.record(ctx, rec)
	if err != nil {
		p.a.logger.Error("recording a login", errField(err))
		code, cause = reasonAuditUnavailable, ""
	}
	p.refuse(w, r, code, cause, receipt)
}

func pageOperation(name string, r *http.Request) console.Operation {
	return console.Operation{Name: name, Effect: "write", Method: r.Method}
}

// who is an actor with where the call comes from.
func (p loginPages) who(r *http.Request, actor policy.Actor) console.Actor {
	rules := p.a.rules()
	address, _ := callerAddress(r)
	return p.a.consoleActor(r.Context(), actor, rules, situationOf(rules.engine, address, p.a.now()))
}

func (p loginPages) record(ctx context.Context, rec console.Record) (receipt string, err error) {
	entry, err := consoleMount(p).Begin(ctx)
	if err != nil {
		return "", err
	}
	defer entry.End()
	return entry.Record(ctx, rec)
}

// pageData is one page.
type pageData struct {
	Title, Text, Fix, Code, Receipt string
	Login, Logout                   bool
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Caregate: {{.Title}}</title></head><body>
<h1>{{.Title}}</h1>
{{with .Text}}<p>{{.}}</p>
{{end}}{{with .Fix}}<p>{{.}}</p>
{{end}}{{if .Code}}<p><small>{{.Code}}{{with .Receipt}}, receipt {{.}}{{end}}</small></p>
{{end}}{{if .Login}}<p><a href="` + pageLogin + `">Log in</a></p>
{{end}}{{if .Logout}}<form method="post" action="` + pageLogout + `"><button>Log out</button></form>
{{end}}</body></html>
`))

// refuse answers with a page that says why.
func (p loginPages) refuse(w http.ResponseWriter, r *http.Request, code, cause, receipt string) {
	reason, ok := LookupReason(code)
	if !ok {
		for _, c := range console.Reasons() {
			if c.Code == code {
				reason = Reason{Code: c.Code, Status: c.Status, What: c.What, Fix: c.Fix}
			}
		}
	}
	w.Header().Set(headerError, reason.Code)
	if receipt != "" {
		w.Header().Set(headerReceipt, receipt)
	}
	if cause != "" {
		code += " (" + cause + ")"
	}
	p.write(w, reason.Status, pageData{Title: "This did not work", Text: reason.What, Fix: reason.Fix, Code: code, Receipt: receipt, Login: r.URL.Path != pageLogout && code != reasonLoginPlain})
}

func (p loginPages) write(w http.ResponseWriter, status int, data pageData) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := page.Execute(w, data); err != nil {
		p.a.logger.Debug("writing a page", errField(err)) // the browser is gone
	}
}
