package proxy

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
)

// ownExchange is a call that the gateway makes for itself over a route. Its answer is read
// strictly, whatever the route lets pass.
func (a *App) ownExchange(h *Handler, op *channel.Operation) *exchange {
	route := *h
	route.Observe, route.Uninspected, route.AuditDown, route.VaultDown = false, "", "", ""
	route.Limits.Body = max(route.Limits.Body, importBody)
	route.Limits.Values = max(route.Limits.Values, importValues)
	return &exchange{
		h: &route, gen: a.gen, det: a.detection.Load(), id: audit.NewID(), start: a.now(), whole: true, accepts: true,
		match: channel.Match{Op: op, Mapped: true}, actor: policy.Actor{ID: policy.KindLocal, Kind: policy.KindLocal},
	}
}

// ownCall makes a call the way that calls of the route go, with the route's credential. body is
// JSON, or nil.
func (a *App) ownCall(ctx context.Context, x *exchange, method, path string, body []byte) (*http.Response, *importTrouble) {
	if ref := x.fetchCredential(ctx); ref != nil {
		return nil, &importTrouble{text: "there is no credential to ask with (" + ref.code + ")", err: ref, again: ref.code == reasonTokenUnavailable}
	}
	// Caddy's transport looks for a replacer.
	ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(x.h.Upstream, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, &importTrouble{text: "the address of the call is none", err: err}
	}
	req.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "Caregate")
	x.prepareUpstream(req)
	t := a.transports[x.h.Route]
	if ref := x.add(t, req); ref != nil {
		return nil, &importTrouble{own: true, err: ref}
	}
	res, err := t.HTTPTransport.RoundTrip(req)
	if err == nil {
		res, err = x.again(t, req, res)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, &importTrouble{own: true, err: ctx.Err()}
		}
		return nil, &importTrouble{text: "the vendor does not answer", err: err, again: true}
	}
	res.Request = req
	x.veilAnswer(res)
	return res, nil
}
