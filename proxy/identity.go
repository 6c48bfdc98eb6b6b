package proxy

import (
	"fmt"
	"os"
	"strings"

	"github.com/caregate/caregate/policy"
)

// Identity is an issuer of signed tokens (JWT, RFC 7519) that callers present in
// Caregate-Token.
type Identity struct {
	// Issuer must equal the token's iss, Audience must be in its aud.
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
	// JWKS is the URL or the file of the issuer's keys (RFC 7517).
	JWKS string `json:"jwks"`
	// RolesClaim is the claim with the caller's roles, members joined by dots.
	// Default "roles".
	RolesClaim string `json:"roles_claim,omitempty"`
	// Roles says which of our roles a value of that claim gives. A value that is
	// not here gives none.
	Roles map[string][]string `json:"roles"`
	// RegionsClaim is the claim with the caller's regions, Regions says which of the
	// policy's names a value of it gives. Default none.
	RegionsClaim string              `json:"regions_claim,omitempty"`
	Regions      map[string][]string `json:"regions,omitempty"`
}

// ActorSigner is a trusted program in front of the gateway that says with each call, in
// Caregate-Actor, who calls.
type ActorSigner struct {
	// Identity has its issuer, keys and roles. Audience is the deployment's name by default.
	Identity
	// Unbound takes headers that do not say for which method and address they were made.
	// Default: they are refused.
	Unbound bool `json:"unbound,omitempty"`
}

// issuer reads the keys of an issuer that are in a file.
func (id *Identity) issuer() (policy.Issuer, error) {
	issuer := policy.Issuer{URL: id.Issuer, Audience: id.Audience, RolesClaim: id.RolesClaim, Roles: id.Roles, RegionsClaim: id.RegionsClaim, Regions: id.Regions}
	if strings.Contains(id.JWKS, "://") {
		issuer.JWKS = id.JWKS
		return issuer, nil
	}
	keys, err := os.ReadFile(id.JWKS)
	if err != nil {
		return issuer, fmt.Errorf("reading the keys of an issuer: %w", err)
	}
	issuer.Keys = keys
	return issuer, nil
}

// newResolver prepares who may call: API keys of the data directory, tokens of
// the configured issuers, people who logged in, and the vendors' own credentials.
func (a *App) newResolver(grants map[string][]string) (*policy.Resolver, error) {
	c := policy.ResolverConfig{Digest: a.gen.data.Vault.Digest, Keys: a.gen.data.Keys, Grants: grants, Login: a.login, Logger: processLogger()}
	certificates, err := a.Certificates.read()
	if err != nil {
		return nil, err
	}
	c.Certificates = certificates
	for _, id := range a.Identities {
		issuer, err := id.issuer()
		if err != nil {
			return nil, err
		}
		c.Issuers = append(c.Issuers, issuer)
	}
	if s := a.ActorSigner; s != nil {
		issuer, err := s.issuer()
		if err != nil {
			return nil, err
		}
		if issuer.Audience == "" {
			issuer.Audience = a.config.withDefaults().Name
		}
		c.Signer = &policy.Signer{Issuer: issuer, Unbound: s.Unbound, Vouchers: a.gen.data.Vouchers}
	}
	r, err := policy.NewResolver(c)
	if err != nil {
		return nil, fmt.Errorf("preparing identities: %w", err)
	}
	return r, nil
}
