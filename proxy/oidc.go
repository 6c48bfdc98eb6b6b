package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caregate/caregate/policy"
)

// OIDC is the provider at which people log in with a browser (OpenID Connect Core 1.0,
// authorization code flow). The pages for it are where a site says `caregate_api`.
type OIDC struct {
	// Issuer is the provider's URL, below which it describes itself.
	Issuer string `json:"issuer"`
	// ClientID is what the provider calls the gateway. ClientSecret is a reference to the
	// secret ("{env.NAME}", "{file./path}"), resolved when the app is provisioned; empty
	// for a client without one.
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	// Scopes are asked for beside openid. Default: email.
	Scopes []string `json:"scopes,omitempty"`
	// RolesClaim and Roles are as for Identity.
	RolesClaim string              `json:"roles_claim,omitempty"`
	Roles      map[string][]string `json:"roles"`
	// RegionsClaim and Regions are as for Identity.
	RegionsClaim string              `json:"regions_claim,omitempty"`
	Regions      map[string][]string `json:"regions,omitempty"`
	// ACR are values of acr that mean a second factor; they are asked for. Apart from them
	// amr decides.
	ACR []string `json:"acr,omitempty"`
	// MaxAge is how long ago the provider may have asked for password and second factor.
	// Default 12 hours.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
	// Idle is how long a session lasts that nobody uses, Lasts how long every session
	// does. Default 30 minutes and 12 hours.
	Idle  caddy.Duration `json:"idle,omitempty"`
	Lasts caddy.Duration `json:"lasts,omitempty"`

	secret policy.Secret
}

// Defaults of OIDC: a working day, and a lunch break.
const (
	defaultMaxAge = 12 * time.Hour
	defaultIdle   = 30 * time.Minute
	defaultLasts  = 12 * time.Hour
)

// provision resolves the secret. The configuration of a login that cannot work is refused
// here, before it takes the place of one that does.
func (o *OIDC) provision() error {
	if o == nil {
		return nil
	}
	if o.Issuer == "" || o.ClientID == "" || len(o.Roles) == 0 {
		return errors.New("identity oidc needs an issuer, a client_id and a role line")
	}
	if o.ClientSecret != "" {
		var err error
		if o.secret, err = ResolveSecret(o.ClientSecret); err != nil {
			return fmt.Errorf("identity oidc: client_secret: %w", err)
		}
	}
	// Everything but the store is known here.
	_, err := policy.NewLogin(o.config(func(string, []byte) []byte { return nil }, new(policy.Sessions)))
	return wrapIdentity(err)
}

func wrapIdentity(err error) error {
	if err != nil {
		return fmt.Errorf("identity oidc: %w", err)
	}
	return nil
}

func (o *OIDC) config(digest func(string, []byte) []byte, sessions *policy.Sessions) policy.LoginConfig {
	scopes := o.Scopes
	if len(scopes) == 0 {
		scopes = []string{"email"}
	}
	return policy.LoginConfig{
		Issuer: policy.Issuer{URL: o.Issuer, Audience: o.ClientID, RolesClaim: o.RolesClaim, Roles: o.Roles, RegionsClaim: o.RegionsClaim, Regions: o.Regions, ACR: o.ACR},
		Secret: o.secret, Scopes: scopes, Digest: digest, Sessions: sessions,
		MaxAge: time.Duration(cmp.Or(o.MaxAge, caddy.Duration(defaultMaxAge))),
		Idle:   time.Duration(cmp.Or(o.Idle, caddy.Duration(defaultIdle))),
		Lasts:  time.Duration(cmp.Or(o.Lasts, caddy.Duration(defaultLasts))),
	}
}

// newLogin prepares the login of this configuration; nil without one.
func (a *App) newLogin() (*policy.Login, error) {
	if a.OIDC == nil {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	c := a.OIDC.config(a.gen.data.Vault.Digest, a.gen.data.Sessions)
	c.Now = a.now
	l, err := policy.NewLogin(c)
	return l, wrapIdentity(err)
}

// oidcOptions are the words of an identity oidc block, for the error that lists them.
const oidcOptions = "client_id, client_secret, scopes, roles, role, regions, region, acr, max_age, session"

// regionHint explains the two lines about regions.
const regionHint = "regions names the claim with a person's regions, and each region line says what a value of it means, for example: regions office, and region berlin eu"

// parseOIDC reads
//
//	identity oidc <issuer> {
//		client_id     <id>
//		client_secret <reference>
//		scopes        <scope> ...
//		roles         <claim>
//		role          <value of the claim> <role> ...
//		regions       <claim>
//		region        <value of the claim> <region> ...
//		acr           <value> ...
//		max_age       <duration>
//		session       <idle> <lasts>
//	}
func parseOIDC(d *caddyfile.Dispenser) (*OIDC, error) {
	o := new(OIDC)
	if !d.Args(&o.Issuer) || d.NextArg() {
		return nil, d.Err("identity oidc wants the URL of the issuer, for example: identity oidc https://login.example.com { ... }")
	}
	for d.NextBlock(1) {
		option, args := d.Val(), d.RemainingArgs()
		if len(args) == 0 {
			return nil, d.ArgErr()
		}
		single := map[string]*string{"client_id": &o.ClientID, "client_secret": &o.ClientSecret, "roles": &o.RolesClaim, "regions": &o.RegionsClaim}[option]
		switch {
		case single != nil:
			if len(args) != 1 {
				return nil, d.ArgErr()
			}
			*single = args[0]
		case option == "scopes":
			o.Scopes = args
		case option == "acr":
			o.ACR = args
		case option == "role":
			if len(args) < 2 {
				return nil, d.Err("role wants a value of the claim and the roles it gives, for example: role support-team agent")
			}
			if o.Roles == nil {
				o.Roles = make(map[string][]string)
			}
			o.Roles[args[0]] = append(o.Roles[args[0]], args[1:]...)
		case option == "region":
			if len(args) < 2 {
				return nil, d.Err(regionHint)
			}
			if o.Regions == nil {
				o.Regions = make(map[string][]string)
			}
			o.Regions[args[0]] = append(o.Regions[args[0]], args[1:]...)
		case option == "max_age":
			if len(args) != 1 {
				return nil, d.ArgErr()
			}
			if err := parseDuration(args[0], &o.MaxAge); err != nil {
				return nil, d.Errf("max_age: %v", err)
			}
		case option == "session":
			if len(args) != 2 {
				return nil, d.Err("session wants how long one lasts that nobody uses, and how long every one does, for example: session 30m 12h")
			}
			if err := errors.Join(parseDuration(args[0], &o.Idle), parseDuration(args[1], &o.Lasts)); err != nil {
				return nil, d.Errf("session: %v", err)
			}
		default:
			return nil, d.Errf("unknown option %s of identity oidc; it has %s", option, oidcOptions)
		}
	}
	switch {
	case o.ClientID == "":
		return nil, d.Err("identity oidc needs client_id, the name under which the provider knows the gateway")
	case o.ClientSecret != "" && !isReference(o.ClientSecret):
		return nil, d.Errf("client_secret: %v", errNotReference)
	case (o.RegionsClaim == "") != (len(o.Regions) == 0):
		return nil, d.Err(regionHint)
	case len(o.Roles) == 0:
		return nil, d.Err("identity oidc needs a role line for each value of the roles claim that counts, for example: role support-team agent; without one nobody can log in")
	}
	return o, nil
}

func parseDuration(s string, to *caddy.Duration) error {
	t, err := caddy.ParseDuration(s)
	if err != nil || t <= 0 {
		return fmt.Errorf("%s is no duration: write it as 30m or 12h", strings.TrimSpace(s))
	}
	*to = caddy.Duration(t)
	return nil
}
