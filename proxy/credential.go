package proxy

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/net/http/httpguts"

	"github.com/caregate/caregate/policy"
)

// Credential is what a governed route adds to its calls towards the vendor. Callers of
// such a route prove themselves to the gateway and hold nothing of the vendor's.
type Credential struct {
	// Scheme is how the vendor is shown the secret: "bearer" and "basic" in Authorization,
	// "header" in a header of its own; "oauth" as bearer.
	Scheme string `json:"scheme"`
	// User is the user half of scheme basic, or a reference to it.
	User string `json:"user,omitempty"`
	// Header is the header of scheme header.
	Header string `json:"header,omitempty"`
	// Secret is a reference to the secret ({env.NAME} or {file./path}), resolved when the
	// route is provisioned. The secret itself is refused here, because the configuration
	// can be read back.
	Secret string `json:"secret,omitempty"`
	// OAuth is where the access tokens of scheme oauth come from, which are shown as those of
	// scheme bearer.
	OAuth *OAuth `json:"oauth,omitempty"`
}

// credentialExample is for errors.
const credentialExample = "credential bearer {env.NAME}, credential basic USER {env.NAME}, credential header NAME {env.NAME}, or credential oauth { token_url ... }"

// minCredential is how many bytes a vendor's secret has at least. Shorter ones could not
// be told from other text in an answer.
const minCredential = 8

// parseCredential reads one of
//
//	credential bearer <reference>
//	credential basic  <user> <reference>
//	credential header <name> <reference>
//	credential oauth  [<name>] { ... }
//
// A relative file is meant from the Caddyfile's folder. Nothing here repeats an argument:
// it may be a secret that does not belong there.
func parseCredential(g *caddyfile.Dispenser, h *Handler) error {
	switch {
	case h.Webhooks:
		return g.Err("credential belongs to a route towards the vendor: the receiver of webhooks needs none of the gateway")
	case h.Credential != nil:
		return g.Err("credential stands once: a call is made with one")
	}
	c := new(Credential)
	args := g.RemainingArgs()
	want := map[string]int{"bearer": 2, "basic": 3, "header": 3}
	if len(args) > 0 && args[0] == "oauth" {
		o, err := parseOAuth(g, args[1:])
		if err != nil {
			return err
		}
		h.Credential = &Credential{Scheme: "oauth", OAuth: o}
		if err := h.Credential.check(h.Upstream); err != nil {
			return g.WrapErr(err)
		}
		return nil
	}
	if len(args) == 0 || want[args[0]] != len(args) {
		return g.Err("credential wants one of: " + credentialExample)
	}
	switch c.Scheme = args[0]; c.Scheme {
	case "basic":
		c.User = absoluteReference(args[1], g.File())
	case "header":
		c.Header = args[1]
	}
	c.Secret = absoluteReference(args[len(args)-1], g.File())
	h.Credential = c
	if err := c.check(h.Upstream); err != nil {
		return g.WrapErr(err)
	}
	return nil
}

// absoluteReference is a reference of the Caddyfile with its path made absolute; anything else is
// given back as it is.
func absoluteReference(s, caddyfile string) string {
	if path, is := strings.CutPrefix(strings.TrimSuffix(s, "}"), "{file."); is && isReference(s) && !filepath.IsAbs(path) {
		return "{file." + absolute(filepath.Dir(caddyfile), path) + "}"
	}
	return s
}

// check refuses what can be refused without the secret.
func (c *Credential) check(upstream string) error {
	if c == nil {
		return nil
	}
	u, err := url.Parse(upstream)
	if err != nil || u.Scheme != "https" && !loopbackHost(u.Hostname()) {
		return errors.New("credential: a secret is not sent in the clear: want an upstream with https://")
	}
	if (c.OAuth != nil) != (c.Scheme == "oauth") || c.OAuth != nil && c.Secret != "" {
		return errors.New("credential: want " + credentialExample)
	}
	if c.OAuth != nil {
		return c.OAuth.check()
	}
	if !isReference(c.Secret) {
		return fmt.Errorf("credential: %w", errNotReference)
	}
	switch c.Scheme {
	case "bearer":
	case "basic":
		if c.User == "" || !isReference(c.User) && strings.ContainsAny(c.User, "{}:") {
			return errors.New("credential basic: the user is text without a colon, or one reference, {env.NAME} or {file./path}")
		}
	case "header":
		if name := http.CanonicalHeaderKey(c.Header); !httpguts.ValidHeaderFieldName(c.Header) || strings.HasPrefix(name, headerPrefix) || unfit(name) {
			return errors.New("credential header: want the name of the header that the vendor documents, for example X-API-Key")
		}
	default:
		return errors.New("credential: want " + credentialExample)
	}
	if (c.User != "") != (c.Scheme == "basic") || (c.Header != "") != (c.Scheme == "header") {
		return errors.New("credential: user belongs to basic, header to header: " + credentialExample)
	}
	return nil
}

// unfit tells the headers with a meaning of their own, which hold no credential.
func unfit(name string) bool {
	return knownHeader(name) && name != "Authorization" && name != "Cookie" || hopByHop(name) ||
		strings.HasPrefix(name, "Content-") || strings.HasPrefix(name, "X-Forwarded-")
}

// hopByHop tells the headers that are about one connection (RFC 9110 section 7.6.1).
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// provisionCredential resolves what the route adds.
func (h *Handler) provisionCredential() error {
	c := h.Credential
	if c == nil {
		return nil
	}
	if h.Webhooks {
		return fmt.Errorf("route %s: credential belongs to a route towards the vendor", h.Route)
	}
	if err := c.check(h.Upstream); err != nil {
		return fmt.Errorf("route %s: %w", h.Route, err)
	}
	h.refused = new(atomic.Int64)
	if c.OAuth != nil {
		if c.OAuth.Name == "" {
			c.OAuth.Name = h.Route
		}
		client, err := c.OAuth.client()
		if err != nil {
			return fmt.Errorf("route %s: credential oauth: %w", h.Route, err)
		}
		h.grant = &client
		return nil
	}
	a, err := c.resolve()
	if err != nil {
		return fmt.Errorf("route %s: credential: %w", h.Route, err)
	}
	h.adds = a
	return nil
}

// resolve reads the secret. Errors name the reference and never what was found.
func (c *Credential) resolve() (*added, error) {
	secret, err := ResolveSecret(c.Secret)
	if err != nil {
		return nil, err
	}
	if len(secret) < minCredential {
		return nil, fmt.Errorf("%s holds fewer than %d bytes, which is no vendor's credential", c.Secret, minCredential)
	}
	switch c.Scheme {
	case "basic":
		user := c.User
		if isReference(user) {
			resolved, err := ResolveSecret(user)
			if err != nil {
				return nil, err
			}
			if user = string(resolved); strings.Contains(user, ":") {
				return nil, fmt.Errorf("%s holds a colon, which no user of HTTP Basic has (RFC 7617)", c.User)
			}
		}
		both := base64.StdEncoding.EncodeToString([]byte(user + ":" + string(secret)))
		return newAdded("Authorization", "Basic ", both, string(secret))
	case "header":
		return newAdded(http.CanonicalHeaderKey(c.Header), "", string(secret))
	}
	return newAdded("Authorization", "Bearer ", string(secret))
}

// Try looks for the secrets that the credential names. Its errors name references and
// nothing of what was found.
func (c *Credential) Try() error {
	if c.OAuth != nil {
		_, err := c.OAuth.client()
		return err
	}
	_, err := c.resolve()
	return err
}

// added is a credential as it is put into a call. It is not changed once it is made.
type added struct {
	name  string        // of the header
	value policy.Secret // of the header
	veil  *veil         // what of it an answer must not show
}

// newAdded makes the header from a word of the scheme and the secret; further forms are
// what else the answer must not show.
func newAdded(name, word, secret string, further ...string) (*added, error) {
	value := word + secret
	if !httpguts.ValidHeaderFieldValue(value) {
		return nil, errors.New("the secret holds what cannot stand in a header")
	}
	return &added{name: name, value: policy.Secret(value), veil: newVeil(append(further, secret)...)}, nil
}

// vendorHeaders are the headers of a caller that can hold a credential of the vendor's, and
// that a route which adds its own does not forward. A session's cookie is one.
func vendorHeaders(h *Handler) []string {
	names := []string{"Authorization", "Proxy-Authorization", "Cookie"}
	if h.Credential != nil && h.Credential.Header != "" {
		names = append(names, http.CanonicalHeaderKey(h.Credential.Header))
	}
	for _, s := range h.ch.Credentials {
		if s.Header != "" {
			names = append(names, http.CanonicalHeaderKey(s.Header))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
