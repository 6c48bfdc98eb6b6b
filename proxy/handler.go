package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy/oauth"
)

func init() { caddy.RegisterModule(Handler{}) }

// Handler is the request side of a governed route. It stands directly in front
// of a reverse_proxy whose transport is the response side (module
// http.reverse_proxy.transport.caregate); the Caddyfile directive `govern` puts
// both in place.
//
// It sets these placeholders, none of which holds data of a person:
// {caregate.channel}, {caregate.operation}, {caregate.decision},
// {caregate.reason}, {caregate.receipt}.
type Handler struct {
	// Channel is the name of a built-in channel, or the path of a channel file.
	Channel string `json:"channel"`
	// Upstream is the URL of the governed system, scheme and host only. It must be
	// what the following reverse_proxy dials: addresses of this host in answers are
	// rewritten to the gateway's.
	Upstream string `json:"upstream"`
	// Route names the route in policy, metrics and log. Default: the channel's name.
	Route string `json:"route,omitempty"`
	// Observe records what would have happened and changes nothing. Everything
	// passes, also what could not be read. Default: off.
	Observe bool `json:"observe,omitempty"`
	// Uninspected says what happens to bodies of types that the gateway cannot
	// read: "refuse" (default) or "pass". What passes unread is recorded as not
	// inspected.
	Uninspected string `json:"uninspected,omitempty"`
	// AuditDown says what happens while the audit log takes no events: "refuse"
	// (default) or "pass". With pass, calls go on without an event, after a durable
	// marker outside of the log says that there is a gap; policy and redaction apply as
	// always. A queue that is only full is refused in both.
	AuditDown string `json:"audit_down,omitempty"`
	// VaultDown says what happens to calls that need the vault while it does not answer
	// (its database, or the KMS that its keys are under): "deny" (default), or "mask".
	// With mask, what policy tokenizes is masked instead, which cannot be undone, and the
	// events name nobody. Values never pass in either. Calls that turn a token back are
	// refused in both, and so are all calls of a route that observes.
	VaultDown string `json:"vault_down,omitempty"`
	// Webhooks makes this a route for what the vendor sends: Upstream is the system
	// that receives it, and a call counts by its signature only. Default: off.
	Webhooks bool `json:"webhooks,omitempty"`
	// WebhookSecrets are references to the secrets that deliveries are signed with,
	// one ("{env.NAME}", "{file./path}"), or two while it is rotated. They are
	// resolved when the route is provisioned; a secret itself is refused here,
	// because the configuration can be read back. Needed with Webhooks.
	WebhookSecrets []string `json:"webhook_secrets,omitempty"`
	// WebhookTolerance is how far the time of signing may be from now, at most 24
	// hours. Default: what the channel file says, 5 minutes where it says nothing.
	WebhookTolerance caddy.Duration `json:"webhook_tolerance,omitempty"`
	// Credential is what the route adds to calls towards the vendor, whose callers prove
	// themselves to the gateway. Default: callers bring the vendor's credential along.
	Credential *Credential `json:"credential,omitempty"`
	// Session lets people count by the cookie of their login (OIDC of the app, which has to
	// be there), beside the other proofs: for a system whose pages and API are one site.
	// Calls that change something then need a page of this very site. Default: off, the
	// cookie proves nothing here.
	Session bool `json:"session,omitempty"`
	// Limits bound what is read of one message.
	Limits Limits `json:"limits,omitzero"`

	app    *App
	ch     *channel.Channel
	logger *zap.Logger
	cors   *corsMemory
	who    *whoami

	unmapped *sync.Map // operation names already warned about

	secrets   []policy.Secret // of webhooks, resolved
	tolerance time.Duration

	grant   *oauth.Client // where the credential comes from, nil where it is adds
	adds    *added        // the credential, resolved
	vendors []string      // headers of callers in which a vendor's credential may stand
	refused *atomic.Int64 // when the log said last that the vendor refuses the credential
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.caregate", New: func() caddy.Module { return new(Handler) }}
}

// Provision loads the channel and joins the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	if h.app, err = joinApp(ctx, "a governed route"); err != nil {
		return err
	}
	if h.ch, err = loadChannel(h.Channel); err != nil {
		return err
	}
	if h.Route == "" {
		h.Route = h.defaultRoute()
	}
	if err := h.provisionWebhooks(); err != nil {
		return err
	}
	if err := h.provisionSession(); err != nil {
		return err
	}
	h.vendors = vendorHeaders(h)
	if err := h.provisionCredential(); err != nil {
		return err
	}
	h.cors, h.unmapped = new(corsMemory), new(sync.Map)
	h.Limits.setDefaults()
	h.who = newWhoami(h.ch.Whoami)
	h.app.farewell.watch(ctx)
	return h.app.addRoute(h)
}

// Validate refuses words that would silently mean something else.
func (h *Handler) Validate() error {
	switch h.Uninspected {
	case "", "refuse", "pass":
	default:
		return fmt.Errorf("uninspected: want refuse or pass")
	}
	switch h.AuditDown {
	case "", "refuse", auditPass:
	default:
		return fmt.Errorf("audit_down: want refuse or pass")
	}
	switch h.VaultDown {
	case "", vaultDeny, vaultMask:
	default:
		return fmt.Errorf("vault_down: want deny or mask")
	}
	return h.Limits.validate()
}

// ServeHTTP takes one request through its stages and hands it to reverse_proxy.
// Whatever ends the exchange early is answered here, in one place.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := &exchange{h: h, id: audit.NewID(), start: h.app.now(), match: channel.Match{Op: unidentified}, whole: !r.ProtoAtLeast(1, 1), out: w.Header(), http1: r.ProtoMajor == 1}
	x.serve(w, r, func() *refusal {
		ref := x.admit(w, r, next)
		if ref == nil {
			ref = x.forward(w, r, next)
			x.letGo(w)
		}
		return ref
	})
	return nil
}

// serve runs the stages of an exchange, gives the caller the refusal that they end with, if
// any, and ends the exchange. The generation is there while stages runs.
func (x *exchange) serve(w http.ResponseWriter, r *http.Request, stages func() *refusal) {
	x.h.app.farewell.say(x)
	if !x.enter(r.Context()) {
		// Not an error for Caddy, whose error log prints the whole request.
		x.writeProblem(w, r, refuse(reasonAuditUnavailable))
		return
	}
	defer x.close()
	defer x.recoverPanic(w, r)

	sent := incoming{body: r.Body, announced: r.ContentLength, unasked: r.Header.Get("Expect") != ""}
	ref := stages()
	more := x.http1 && x.unfinished(w, sent, ref != nil)
	if more {
		w.Header().Set("Connection", "close")
	}
	// The upstream's answer may be complete already. Without a length it ends when
	// this returns, and its caller waits for that.
	more = more && (ref != nil || w.Header().Get("Content-Length") != "")
	x.endStreams(more)
	if ref != nil {
		x.answer(w, r, ref)
	}
	x.report(r)
	if more {
		if x.slot != nil {
			x.slot.Release() // all is recorded, and the caller may take its time
		}
		x.linger(w, sent)
	}
}

// enter waits until the app has started, and takes the generation and the detection that
// the exchange has to its end. It reports false when there are none.
func (x *exchange) enter(ctx context.Context) bool {
	if a := x.h.app; a.started(ctx) {
		x.gen, x.det = a.gen.join(), a.detection.Load()
	}
	return x.gen != nil
}

// admit runs the stages of the request. When it returns nil, the event that
// permits forwarding is durable and r is what the upstream may see.
func (x *exchange) admit(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) *refusal {
	if ref := x.identify(r, next); ref != nil {
		return ref
	}
	if ref := x.verify(w, r); ref != nil {
		return ref
	}
	if ref := x.decideUnread(r); ref != nil {
		return ref
	}
	if ref := x.readRequest(w, r); ref != nil {
		return ref
	}
	if ref := x.detectRequest(r); ref != nil {
		return ref
	}
	if ref := x.findToken(r); ref != nil {
		return ref
	}
	if ref := x.decideRequest(r); ref != nil {
		return ref
	}
	if ref := x.reserve(r); ref != nil {
		return ref
	}
	if ref := x.tokenize(r.Context(), &x.request); ref != nil {
		return ref
	}
	if ref := x.transformRequest(r); ref != nil {
		return ref
	}
	if ref := x.fetchCredential(r.Context()); ref != nil {
		return ref
	}
	x.resign(r)
	if ref := x.claimDelivery(r); ref != nil {
		return ref
	}
	return x.recordRequest(r)
}

// forward lets reverse_proxy call the upstream through our transport and turns
// what comes of it into a refusal, if it is none of the upstream's answers.
func (x *exchange) forward(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) *refusal {
	err := next.ServeHTTP(w, r.WithContext(x.within(r.Context())))
	switch {
	case x.released:
		// The permitted answer went out; an error now means that its recipient or
		// Caddy's own writing failed.
		return nil
	case x.final != nil:
		return x.final
	case err == nil || errors.Is(err, context.Canceled):
		return refuse(reasonClientGone) // reverse_proxy saw the caller hang up
	default:
		return upstreamRefusal(err, x.forwarded, x.upstreamEnded)
	}
}

// answer records a refusal and gives it to the caller. The exchange's own slot
// covers the event; when the log itself failed, the answer goes out without a
// receipt.
func (x *exchange) answer(w http.ResponseWriter, r *http.Request, ref *refusal) {
	x.final = ref
	x.settle()
	if ref.code != reasonOverloaded && ref.code != reasonAuditUnavailable {
		if err := x.recordRefusal(r, ref); err != nil {
			x.h.logger.Error("recording a refusal", errField(err))
			if !x.forwarded {
				ref = refuseErr(reasonAuditUnavailable, err)
			}
		}
	}
	switch ref.code {
	case reasonUnreachable, reasonUpstreamTimeout, reasonAuditUnavailable, reasonVaultUnavailable, reasonLimitsDown, reasonPolicyError, reasonInternal:
		// What an operator must look into. These errors name addresses, files and
		// rules; those of an upstream's malformed answer would quote it.
		x.h.logger.Warn("a call could not be served", zap.String("reason", ref.code), zap.String("receipt", x.last.String()), errField(ref.err))
	}
	if ref.code == reasonClientGone {
		w.WriteHeader(statusClientGone)
		return
	}
	x.h.cors.apply(x.origin, w.Header())
	if !x.sendToLogin(w, ref) {
		x.writeProblem(w, r, ref)
	}
}

// statusClientGone is what Caddy reports when the caller hung up; it reaches
// nobody but the access log.
const statusClientGone = 499

// recoverPanic turns a defect of a stage into a recorded refusal. An abort that
// reverse_proxy asks for is passed on.
func (x *exchange) recoverPanic(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // a sentinel that is panicked with, never wrapped
		x.report(r)
		panic(p)
	}
	x.logPanic(p)
	if x.released || x.answered {
		x.report(r)
		panic(http.ErrAbortHandler) // bytes are out: all that is left is to cut them off
	}
	if r.ProtoMajor == 1 {
		// How much of the body has been read is not known.
		w.Header().Set("Connection", "close")
	}
	defer func() {
		if again := recover(); again != nil {
			x.logPanic(again)
			panic(http.ErrAbortHandler)
		}
	}()
	ref := refuse(reasonInternal)
	if x.forwarded {
		ref = &refusal{code: reasonWithheld, cause: reasonInternal, offset: -1}
	}
	x.answer(w, r, ref)
	x.report(r)
}

// logPanic names the type and the place of a defect. The value of a panic may
// hold data, which is also why it never reaches net/http, which prints it.
func (x *exchange) logPanic(p any) {
	x.h.logger.Error("a stage failed", zap.String("panic", fmt.Sprintf("%T", p)), zap.StackSkip("stack", 2))
}

// report sets placeholders and metrics when the exchange has ended.
func (x *exchange) report(r *http.Request) {
	x.endStreams(false)
	decision, reason := "allow", ""
	switch ref := cmp.Or(x.final, x.request.body.stream.wasCut(), x.response.body.stream.wasCut()); {
	case ref != nil:
		decision, reason = "deny", ref.code
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(placeholders(x.h.ch.Name, x.match.Op.Name, decision, reason, x.last))
	}
	for _, half := range [...]struct {
		direction string
		body      *reading
	}{{policy.Request, &x.request.body}, {policy.Response, &x.response.body}} {
		if b := half.body; b.stream == nil && b.unread == "" {
			x.h.app.metrics.read(x.h.Route, half.direction, int64(len(b.plain)))
		}
	}
	x.h.app.metrics.exchange(x, decision, reason, time.Since(x.start))
}

// placeholders answers Caddy when a log or a header asks for one of ours. Most
// exchanges end without anybody asking.
func placeholders(channel, operation, decision, reason string, receipt audit.ID) caddy.ReplacerFunc {
	return func(key string) (any, bool) {
		name, ours := strings.CutPrefix(key, "caregate.")
		if !ours {
			return nil, false
		}
		switch name {
		case "channel":
			return channel, true
		case "operation":
			return operation, true
		case "decision":
			return decision, true
		case "reason":
			return reason, true
		case "receipt":
			return receipt.String(), true
		}
		return nil, false
	}
}

// errField logs an error of ours. Errors in this package hold kinds and offsets,
// never data.
func errField(err error) zap.Field { return zap.Error(err) }

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
