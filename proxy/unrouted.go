package proxy

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
)

func init() { caddy.RegisterModule(Unrouted{}) }

// unroutedName is the module's name among handlers.
const unroutedName = "caregate_unrouted"

// Unrouted is the HTTP handler for requests that no route answers: a host or a path
// that nobody configured. Caddy answers these with 200 and nothing, which a desk's tool
// takes for success. Here they get 421 (RFC 9110 15.5.20) as a problem document, with a
// receipt of the durable denial.
//
// The adapter puts it behind the routes of every server with a governed one. Two kinds
// of requests do not come to it: one in a site without a governed route, whose answers
// are Caddy's, and OPTIONS for all paths ("*"), which Go's server answers with 200 by
// itself. Neither is forwarded anywhere.
type Unrouted struct {
	app    *App
	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Unrouted) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers." + unroutedName, New: func() caddy.Module { return new(Unrouted) }}
}

// Provision joins the app.
func (u *Unrouted) Provision(ctx caddy.Context) (err error) {
	u.logger = ctx.Logger()
	u.app, err = joinApp(ctx, "recording calls that no route answers")
	return err
}

// ServeHTTP refuses. What follows it is never asked.
func (u *Unrouted) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	x := u.app.unrouted(u.logger, r.RemoteAddr, w.Header())
	x.whole, x.http1 = !r.ProtoAtLeast(1, 1), r.ProtoMajor == 1
	x.serve(w, r, func() *refusal { return x.refuseUnrouted(r, reasonUnrouted) })
	return nil
}

// unrouted is an exchange that belongs to no route, of a caller who is not asked who it
// is: nobody says what proves it here.
func (a *App) unrouted(logger *zap.Logger, from string, out http.Header) *exchange {
	h := &Handler{app: a, ch: new(channel.Channel), logger: logger, cors: new(corsMemory)}
	x := &exchange{h: h, id: audit.NewID(), start: a.now(), match: channel.Match{Op: unidentified}, out: out}
	x.actor = policy.Actor{ID: policy.KindAnonymous, Kind: policy.KindAnonymous, Strength: policy.StrengthNone}
	x.client, x.network = classifyAddress(from)
	return x
}

// refuseUnrouted makes room in the log for the refusal of such an exchange, and returns
// it, or why there is none.
func (x *exchange) refuseUnrouted(r *http.Request, code string) *refusal {
	slot, err := x.gen.data.Log.ReserveFor(r.Context(), clientShare(x.client))
	if ref := x.takesNoEvents(err); ref != nil {
		return ref
	}
	x.slot = slot
	if ref := x.nameActor(r.Context()); ref != nil {
		return ref
	}
	return refuse(code)
}

var (
	_ caddy.Provisioner           = (*Unrouted)(nil)
	_ caddyhttp.MiddlewareHandler = (*Unrouted)(nil)
)
