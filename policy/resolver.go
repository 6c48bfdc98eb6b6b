package policy

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// Presented is what a call brought along to say who it is. It prints nothing of
// it: Key, Token, Voucher, Session and VendorSecret are Secrets, and Asserted is left out.
type Presented struct {
	// Key is the Caregate-Key header; Token the Caregate-Token header.
	Key, Token Secret
	// Voucher is the Caregate-Actor header, in which a signer says who calls; Method and
	// Address (scheme, host and path, as they were called) are what it has to be for.
	Voucher         Secret
	Method, Address string
	// Session is the cookie of somebody who logged in with a browser.
	Session Secret
	// Chains are those of the caller's certificate that the listener verified, and never
	// anything that a header says.
	Chains [][]*x509.Certificate
	// Channel is the channel's name; VendorKind and VendorSecret are what
	// channel.Credential found. A kind that ends in "bearer" is resolved through
	// Whoami.
	Channel, VendorKind string
	VendorSecret        Secret
	// Asserted is the user the call claims, as channel.AssertedUser found it.
	Asserted string
	// Signed tells that the webhook signature over the raw bytes was verified.
	Signed bool
	// Local tells that the call came through the gateway's own unix socket.
	Local bool
	// Whoami asks the vendor whose bearer this is; nil when the channel cannot.
	Whoami Whoami
}

// LogValue shows which kinds of proof there are.
func (p Presented) LogValue() slog.Value {
	return slog.GroupValue(slog.Bool("key", p.Key != ""), slog.Bool("token", p.Token != ""), slog.Bool("voucher", p.Voucher != ""), slog.Bool("session", p.Session != ""), slog.Bool("certificate", len(p.Chains) > 0),
		slog.String("vendor", p.VendorKind), slog.Bool("asserted", p.Asserted != ""), slog.Bool("signed", p.Signed))
}

// ErrRefused is wrapped by every error that means: what was presented does not
// count. It does not say why, so that the answer is the same for a key that never
// existed and one of somebody else. Other errors mean that nobody could look.
var ErrRefused = errors.New("the credential is refused")

// Codes that RefusalReason gives.
const (
	reasonRefused   = "invalid_credential"
	reasonNotLooked = "policy_error"
)

// RefusalReason is the reason code of an error of Resolve: invalid_credential, or
// policy_error when nobody could look. Both deny.
func RefusalReason(err error) string {
	if errors.Is(err, ErrRefused) {
		return reasonRefused
	}
	return reasonNotLooked
}

// ResolverConfig builds a Resolver.
type ResolverConfig struct {
	// Digest is a keyed digest of 32 bytes, as vault.(*Vault).Digest. It is needed.
	Digest func(purpose string, b []byte) []byte
	// Keys are the API keys; nil: every key is refused.
	Keys *Keys
	// Issuers are the providers whose tokens count; none: every token is refused.
	Issuers []Issuer
	// Signer is who may say for others who calls; nil: every voucher is refused.
	Signer *Signer
	// Login knows those who logged in; nil: every session is refused.
	Login *Login
	// Certificates are an authority's whose client certificates count; nil: none count.
	Certificates *CertificateIssuer
	// Grants are what was granted to actors by ID, beyond what keys carry; see
	// Overlay.Grants.
	Grants map[string][]string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger gets vendors that could not be asked; nil discards.
	Logger *slog.Logger
}

// Resolver turns what was presented into an Actor. It is safe for concurrent use.
type Resolver struct {
	digest   digestFunc
	keys     *Keys
	issuers  []*issuer
	signer   *signer
	login    *Login
	now      func() time.Time
	certs    *certificates
	grants   map[string][]string
	accounts *accounts
}

// NewResolver checks the issuers and grants. It fetches nothing.
func NewResolver(c ResolverConfig) (*Resolver, error) {
	if c.Digest == nil {
		return nil, errors.New("preparing identities: no keyed digest was given")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	t, err := builtinTables()
	if err != nil {
		return nil, err
	}
	r := &Resolver{digest: c.Digest, keys: c.Keys, login: c.Login, now: c.Now, grants: maps.Clone(c.Grants)}
	if r.certs, err = c.Certificates.prepare(t); err != nil {
		return nil, fmt.Errorf("preparing client certificates: %w", err)
	}
	for _, i := range c.Issuers {
		ready, err := i.prepare(t, c.Now)
		if err != nil {
			return nil, fmt.Errorf("preparing identities: %w", err)
		}
		r.issuers = append(r.issuers, ready)
	}
	if r.signer, err = c.Signer.prepare(t, c.Now); err != nil {
		return nil, fmt.Errorf("preparing the signer of actors: %w", err)
	}
	if err := checkGrants(r.grants); err != nil {
		return nil, err
	}
	r.accounts, err = newAccounts(c.Digest, c.Now, c.Logger)
	return r, err
}

func checkGrants(grants map[string][]string) error {
	for _, list := range grants {
		for _, g := range list {
			if err := ParseGrant(g); err != nil {
				return fmt.Errorf("preparing identities: %w", err)
			}
		}
	}
	return nil
}

// WithGrants is the resolver with other grants: what was fetched and remembered of
// issuers and vendors is shared with r, which goes on giving its own.
func (r *Resolver) WithGrants(grants map[string][]string) (*Resolver, error) {
	if err := checkGrants(grants); err != nil {
		return nil, err
	}
	other := *r
	other.grants = maps.Clone(grants)
	return &other, nil
}

// Resolve finds the actor. The strongest proof wins: an API key, a token, a voucher or a session, then
// a client certificate, then a verified webhook signature, then the vendor's own credential. A call that
// presents nothing is an anonymous actor and no error; the rules decide whether
// its operation is open. A call that presents something invalid is an error,
// whatever else it presents, and so is one with two of key, token, voucher and session: it
// would be two actors.
func (r *Resolver) Resolve(ctx context.Context, p Presented) (Actor, error) {
	a, err := r.identify(ctx, &p)
	if err != nil {
		return Actor{}, err
	}
	a.Asserted = p.Asserted
	if more := r.grants[a.ID]; len(more) > 0 {
		a.Grants = sorted(slices.Concat(a.Grants, more))
	}
	if a.Strength == StrengthCredential && a.Asserted != "" {
		a.Strength = StrengthAsserted
	}
	return a, nil
}

func (r *Resolver) identify(ctx context.Context, p *Presented) (Actor, error) {
	shown := 0
	for _, proof := range [...]Secret{p.Key, p.Token, p.Voucher, p.Session} {
		if proof != "" {
			shown++
		}
	}
	switch {
	case shown > 1:
		return Actor{}, fmt.Errorf("%w: two of key, token, voucher and session together", ErrRefused)
	case p.Key != "":
		return r.byKey(ctx, p.Key)
	case p.Token != "":
		return r.byToken(ctx, p)
	case p.Voucher != "":
		return r.byVoucher(ctx, p)
	case p.Session != "":
		return r.bySession(ctx, p)
	case r.certs.of(p.Chains) != nil:
		a, err := r.certs.actor(r.certs.of(p.Chains), r.digest, r.now())
		a.Mismatch = err == nil && p.Asserted != "" && !isMachine(a.Roles) && canonicalName(p.Asserted) != canonicalName(a.Proven)
		return a, err
	case p.Local:
		return Actor{ID: KindLocal, Kind: KindLocal, Strength: StrengthCredential, Roles: []string{"admin", "security"}}, nil
	case p.Signed:
		return Actor{ID: "webhook:" + p.Channel, Kind: KindWebhook, Strength: StrengthCredential, Roles: []string{"vendor"}}, nil
	case p.VendorSecret != "":
		return r.byVendor(ctx, p), nil
	}
	return Actor{ID: KindAnonymous, Kind: KindAnonymous, Strength: StrengthNone, Roles: []string{"public"}}, nil
}

func (r *Resolver) byKey(ctx context.Context, presented Secret) (Actor, error) {
	if r.keys == nil {
		return Actor{}, ErrRefused
	}
	k, err := r.keys.Verify(ctx, presented)
	if err != nil {
		return Actor{}, err
	}
	return Actor{ID: "key:" + k.ID, Kind: KindKey, Strength: StrengthCredential, Roles: k.Roles, Grants: k.Grants}, nil
}

// byToken asks each issuer in turn; a token can satisfy one only, because each
// compares iss.
func (r *Resolver) byToken(ctx context.Context, p *Presented) (Actor, error) {
	if isVoucher(p.Token) { // which is for one call, and would be used here without being noted
		return Actor{}, ErrRefused
	}
	for _, i := range r.issuers {
		who, err := i.verify(ctx, p.Token)
		if err != nil {
			continue
		}
		return r.provenBy(who, p), nil
	}
	return Actor{}, ErrRefused
}

// bySession is who logged in with the browser that calls.
func (r *Resolver) bySession(ctx context.Context, p *Presented) (Actor, error) {
	if r.login == nil {
		return Actor{}, ErrRefused
	}
	who, err := r.login.resolve(ctx, p.Session)
	if err != nil {
		return Actor{}, err
	}
	return r.provenBy(who, p), nil
}

// provenBy is a person whom a provider vouches for. A machine acts for whomever its grants
// let it; a person only as oneself.
func (r *Resolver) provenBy(who *person, p *Presented) Actor {
	a := who.actor(r.digest, r.now())
	a.Mismatch = p.Asserted != "" && !isMachine(who.roles) && !slices.Contains(who.names, canonicalName(p.Asserted))
	return a
}

// isMachine tells roles that a machine has, which acts for whomever its grants let it.
func isMachine(roles []string) bool { return len(roles) == 1 && roles[0] == "service" }

// byVendor names the vendor's credential: an agent, and never more. A bearer is
// named by the account behind it, so that grants survive its rotation; while the
// vendor cannot tell, it is a credential that nobody granted anything.
func (r *Resolver) byVendor(ctx context.Context, p *Presented) Actor {
	sum := r.digest("vendor credential", joined(p.Channel, p.VendorKind, string(p.VendorSecret)))
	a := Actor{ID: "vendor:" + hex.EncodeToString(sum[:16]), Kind: KindVendor, Strength: StrengthCredential, Roles: []string{"agent"}}
	if p.Whoami != nil && strings.HasSuffix(p.VendorKind, "bearer") {
		if id := r.accounts.id(ctx, p.Channel, [32]byte(sum), p.VendorSecret, p.Whoami); id != "" {
			a.ID = id
		}
	}
	return a
}
