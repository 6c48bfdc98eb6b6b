package proxy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy/oauth"
	"github.com/caregate/caregate/vault"
)

// OAuth says how the gateway gets the vendor's access tokens: by client credentials, or by
// a refresh token where there is one (RFC 6749 sections 4.4 and 6).
type OAuth struct {
	// Name is what the tokens are kept under. Routes with the same name share them, and
	// must say the same. Default: the route's name.
	Name string `json:"name,omitempty"`
	// TokenURL is the vendor's token endpoint.
	TokenURL string `json:"token_url"`
	// ClientID is the client's id, or a reference to it; ClientSecret a reference.
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	// ClientAuth is how the endpoint is shown the two: "basic" (default) or "post".
	ClientAuth string `json:"client_auth,omitempty"`
	// RefreshToken is a reference to the first refresh token, which is used once.
	RefreshToken string `json:"refresh_token,omitempty"`
	// Scopes are asked for, by client credentials.
	Scopes []string `json:"scopes,omitempty"`
	// CA is a file of the certificates that vouch for the endpoint. Default: the system's.
	CA string `json:"ca,omitempty"`
}

const oauthOptions = "token_url, client_id, client_secret, client_auth, refresh_token, scope, ca"

// parseOAuth reads
//
//	credential oauth [<name>] {
//		token_url     <url>
//		client_id     <id>
//		client_secret <reference>
//		client_auth   basic|post
//		refresh_token <reference>
//		scope         <name> ...
//		ca            <file>
//	}
//
// Nothing here repeats an argument: it may be a secret that does not belong there.
func parseOAuth(g *caddyfile.Dispenser, args []string) (*OAuth, error) {
	o := new(OAuth)
	if len(args) > 1 {
		return nil, g.Err("credential oauth takes a name at most, and a block")
	}
	if len(args) == 1 {
		o.Name = args[0]
	}
	for nesting := g.Nesting(); g.NextBlock(nesting); {
		option := g.Val()
		values := g.RemainingArgs()
		if len(values) == 0 || len(values) > 1 && option != "scope" {
			return nil, g.Errf("credential oauth %s wants one value", option)
		}
		switch option {
		case "token_url":
			o.TokenURL = values[0]
		case "client_id":
			o.ClientID = absoluteReference(values[0], g.File())
		case "client_secret":
			o.ClientSecret = absoluteReference(values[0], g.File())
		case "client_auth":
			o.ClientAuth = values[0]
		case "refresh_token":
			o.RefreshToken = absoluteReference(values[0], g.File())
		case "scope":
			o.Scopes = append(o.Scopes, values...)
		case "ca":
			o.CA = absolute(filepath.Dir(g.File()), values[0])
		default:
			return nil, g.Errf("unknown option %s of credential oauth; it has %s", option, oauthOptions)
		}
	}
	return o, nil
}

// check refuses what can be refused without the secrets.
func (o *OAuth) check() error {
	u, err := url.Parse(o.TokenURL)
	switch {
	case err != nil, o.TokenURL == "", u.Host == "", u.User != nil, u.Fragment != "", u.Scheme != "https" && u.Scheme != "http":
		return errors.New("credential oauth token_url: want the address of the vendor's token endpoint, such as https://acme.zendesk.com/oauth/tokens")
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		return errors.New("credential oauth token_url: secrets are not sent in the clear: want https://")
	case o.ClientID == "" || !isReference(o.ClientID) && strings.ContainsAny(o.ClientID, "{}"):
		return errors.New("credential oauth wants a client_id")
	case o.ClientSecret == "" && o.RefreshToken == "":
		return errors.New("credential oauth wants client_secret {env.NAME}, refresh_token {file./path}, or both")
	case o.ClientSecret != "" && !isReference(o.ClientSecret):
		return fmt.Errorf("credential oauth client_secret: %w", errNotReference)
	case o.RefreshToken != "" && !isReference(o.RefreshToken):
		return fmt.Errorf("credential oauth refresh_token: %w", errNotReference)
	case o.ClientAuth != "" && o.ClientAuth != "basic" && o.ClientAuth != "post":
		return errors.New("credential oauth client_auth wants basic or post")
	case len(o.Scopes) > 0 && o.RefreshToken != "":
		return errors.New("credential oauth scope belongs to client credentials: a refresh keeps the scope of its token")
	}
	return nil
}

// oauthTimeout bounds one connection to the endpoint; the keeper bounds the question.
const oauthTimeout = 30 * time.Second

// client reads the secrets. Errors name references and never what was found.
func (o *OAuth) client() (oauth.Client, error) {
	c := oauth.Client{Name: o.Name, TokenURL: o.TokenURL, ID: o.ClientID, Post: o.ClientAuth == "post", Scopes: o.Scopes, Refresh: o.RefreshToken != ""}
	id := policy.Secret(o.ClientID)
	for _, s := range []struct {
		ref string
		to  *policy.Secret
	}{{o.ClientID, &id}, {o.ClientSecret, &c.Secret}, {o.RefreshToken, &c.Seed}} {
		if !isReference(s.ref) {
			continue // the id, or none
		}
		secret, err := ResolveSecret(s.ref)
		if err != nil {
			return c, err
		}
		*s.to = secret
	}
	c.ID = string(id)
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		var err error
		if config.RootCAs, err = certificates(o.CA); err != nil {
			return c, err
		}
	}
	c.HTTP = &http.Client{
		Timeout:       oauthTimeout,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the secrets are for one address
	}
	return c, nil
}

// clashesGrant tells whether another route keeps its tokens under the same name and says
// something else.
func (h *Handler) clashesGrant(other *Handler) error {
	if h.Credential == nil || other.Credential == nil || h.Credential.OAuth == nil || other.Credential.OAuth == nil {
		return nil
	}
	if a, b := h.Credential.OAuth, other.Credential.OAuth; a.Name == b.Name && !reflect.DeepEqual(a, b) {
		return fmt.Errorf("two routes keep tokens as %s and say different things: give `credential oauth` of one of them a name of its own", a.Name)
	}
	return nil
}

// rowSealer seals what stands in state.db under the vault's key of what it belongs to: of
// owner and the name. label tells one use from another.
type rowSealer struct {
	vault        *vault.Vault
	owner, label string
}

// tokenSealer seals tokens for vendors.
func tokenSealer(v *vault.Vault) rowSealer { return rowSealer{v, "upstream:", "upstream token"} }

// reviewSealer seals what names people in reviews of access.
func reviewSealer(v *vault.Vault) rowSealer { return rowSealer{v, "review:", "access review"} }

// holdSealer seals what people wrote about legal holds.
func holdSealer(v *vault.Vault) rowSealer { return rowSealer{v, "hold:", "legal hold"} }

// requestSealer seals who makes requests of persons.
func requestSealer(v *vault.Vault) rowSealer { return rowSealer{v, "request:", "privacy request"} }

// sealedToken is what is stored. V is 1.
type sealedToken struct {
	V          int    `json:"v"`
	Key        string `json:"key"`
	Ciphertext []byte `json:"ciphertext"`
	Commitment []byte `json:"commitment"`
}

const sealedTokenVersion = 1

func (s rowSealer) Seal(ctx context.Context, name string, plain []byte) ([]byte, error) {
	owner, err := s.vault.Actor(ctx, s.owner+name)
	if err != nil {
		return nil, err
	}
	sealed, err := s.vault.Seal(owner, vault.AD(s.label, [16]byte{}, name), plain)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealedToken{V: sealedTokenVersion, Key: sealed.Key, Ciphertext: sealed.Ciphertext, Commitment: sealed.Commitment})
}

func (s rowSealer) Open(ctx context.Context, name string, stored []byte) ([]byte, error) {
	var t sealedToken
	if err := json.Unmarshal(stored, &t); err != nil || t.V != sealedTokenVersion {
		return nil, errors.New("what is sealed is nothing that this version wrote")
	}
	return s.vault.Open(ctx, vault.Sealed{Key: t.Key, Ciphertext: t.Ciphertext, Commitment: t.Commitment}, vault.AD(s.label, [16]byte{}, name))
}

// source gives the tokens of the route.
func (x *exchange) source() *oauth.Source { return x.gen.data.upstream.Source(*x.h.grant) }

// youngestToken is oauth.KeeperConfig's Youngest; 0 for its default.
var youngestToken time.Duration

// tokenWait is how long a call waits for a question to the vendor.
const tokenWait = 25 * time.Second

// askForTokens asks for what the routes will need, so that `doctor` and the log say of a
// refresh token that does not count before the first call does.
func (a *App) askForTokens() {
	for _, h := range a.routes {
		if h.grant != nil {
			ctx, cancel := context.WithTimeout(context.Background(), tokenWait)
			_, _ = a.gen.data.upstream.Source(*h.grant).Token(ctx) // the log says what was in the way
			cancel()
		}
	}
}

// fetchCredential sees to it that there is a credential to add, before anything says that
// the call is forwarded.
func (x *exchange) fetchCredential(ctx context.Context) *refusal {
	switch {
	case x.h.Credential == nil || x.actor.Kind == policy.KindAnonymous:
		return nil
	case x.h.grant == nil:
		x.adds = x.h.adds
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, tokenWait)
	defer cancel()
	t, err := x.source().Token(limit)
	switch {
	case errors.Is(err, oauth.ErrLost):
		return refuseErr(reasonTokenLost, err)
	case ctx.Err() != nil:
		return refuse(reasonClientGone)
	case err != nil:
		return refuseErr(reasonTokenUnavailable, err)
	}
	return x.take(t)
}

// take makes a token the one that is added.
func (x *exchange) take(t *oauth.Token) *refusal {
	a, err := newAdded("Authorization", "Bearer ", string(t.Access))
	if err != nil {
		return refuseErr(reasonTokenUnavailable, err)
	}
	x.adds, x.version = a, t.Version
	return nil
}

// again makes the call once more after the vendor refused its token, with a newer one. It
// gives the first answer back where it does not: the body cannot be sent again, the call
// moves money, or there is no newer token. A call that was refused for its token was not
// carried out.
func (x *exchange) again(t *Transport, out *http.Request, res *http.Response) (*http.Response, error) {
	if res.StatusCode != http.StatusUnauthorized || x.h.grant == nil || x.added == nil || x.spend != nil || x.request.body.stream != nil {
		return res, nil
	}
	if out.Body != nil && out.Body != http.NoBody && out.GetBody == nil {
		return res, nil
	}
	limit, cancel := context.WithTimeout(out.Context(), tokenWait)
	defer cancel()
	token, err := x.source().Renew(limit, x.version)
	if err != nil || x.take(token) != nil {
		return res, nil
	}
	next := out.Clone(out.Context())
	if out.GetBody != nil {
		if next.Body, err = out.GetBody(); err != nil {
			return res, nil
		}
	}
	_, _ = io.CopyN(io.Discard, res.Body, maxWhoami) // so that the connection can be used again
	_ = res.Body.Close()
	x.added = x.adds
	next.Header[x.added.name] = []string{string(x.added.value)}
	return t.HTTPTransport.RoundTrip(next)
}
