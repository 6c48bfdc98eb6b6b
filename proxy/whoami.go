package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
)

// whoami says how a channel is asked whom a bearer belongs to.
type whoami struct {
	method, path string
	user         channel.Place // of the user's id in the answer
	app          channel.Place // of the OAuth client's id
}

// maxWhoami bounds the answer; a profile has a few KiB.
const maxWhoami = 256 << 10

func newWhoami(w *channel.Whoami) *whoami {
	if w == nil {
		return nil
	}
	return &whoami{method: w.Method, path: w.Path, user: channel.PlaceOf(w.User), app: channel.PlaceOf(w.Client)}
}

// whoamiKey marks the context of our own question, for the transport.
type whoamiKey struct{}

func isWhoami(ctx context.Context) bool { return ctx.Value(whoamiKey{}) != nil }

// ask returns the question for the calls that r is one of. It goes the way of a
// call, through next and the transport, so that it trusts the same authorities
// and reaches the same host. It carries the caller's own credential and nothing
// else of the call, follows no redirect, and keeps two ids of the answer. It may
// outlive r's exchange, and shares nothing with it that changes.
func (w *whoami) ask(r *http.Request, next caddyhttp.Handler) policy.Whoami {
	if w == nil {
		return nil
	}
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	host, remote := r.Host, r.RemoteAddr
	return func(ctx context.Context, bearer policy.Secret) (policy.Account, error) {
		req, err := http.NewRequestWithContext(context.WithValue(ctx, whoamiKey{}, true), w.method, w.path, nil)
		if err != nil {
			return policy.Account{}, err
		}
		req.Host, req.RemoteAddr, req.RequestURI = host, remote, w.path
		req.Header = http.Header{"Authorization": {"Bearer " + string(bearer)}, "Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "User-Agent": {"Caregate"}}
		answer := &whoamiAnswer{header: make(http.Header), status: http.StatusOK}
		req = caddyhttp.PrepareRequest(req, caddy.NewReplacer(), answer, server)
		if err := next.ServeHTTP(answer, req); err != nil {
			return policy.Account{}, fmt.Errorf("asking who a bearer is: %w", upstreamRefusal(err, true, false))
		}
		return w.account(answer)
	}
}

// account reads the answer.
func (w *whoami) account(answer *whoamiAnswer) (policy.Account, error) {
	if answer.status != http.StatusOK {
		return policy.Account{}, fmt.Errorf("asking who a bearer is: the upstream answered %d", answer.status)
	}
	var v any
	d := json.NewDecoder(&answer.body)
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return policy.Account{}, errors.New("asking who a bearer is: the answer is not JSON")
	}
	return policy.Account{User: w.user.Text(v), Client: w.app.Text(v)}, nil
}

// whoamiAnswer takes the answer to our question, which nobody else sees.
type whoamiAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *whoamiAnswer) Header() http.Header { return a.header }

func (a *whoamiAnswer) WriteHeader(status int) {
	if status >= http.StatusOK {
		a.status = status
	}
}

func (a *whoamiAnswer) Write(p []byte) (int, error) {
	if a.body.Len()+len(p) > maxWhoami {
		return 0, errors.New("the answer is longer than any profile")
	}
	return a.body.Write(p)
}
