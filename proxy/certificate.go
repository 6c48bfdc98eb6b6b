package proxy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caregate/caregate/policy"
)

// Certificates is an authority whose client certificates prove who calls. Listeners verify
// them where a site says so (`tls { client_auth { ... } }`).
type Certificates struct {
	// Authority is the file with the authority's certificates.
	Authority string `json:"authority"`
	// Name is which name of a certificate counts: uri, email, dns or subject.
	Name string `json:"name"`
	// Roles says which of our roles a name gives. One star in a pattern stands for one or
	// more characters.
	Roles map[string][]string `json:"roles"`
}

// read is the configuration as policy knows it; nil without one.
func (c *Certificates) read() (*policy.CertificateIssuer, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	authorities, err := os.ReadFile(c.Authority)
	if err != nil {
		return nil, fmt.Errorf("identity certificate: reading the authority: %w", err)
	}
	return &policy.CertificateIssuer{Authorities: authorities, Name: c.Name, Roles: c.Roles}, nil
}

// verifiedChains are what the listener verified of the caller's certificate. What it only
// asked for is not among them, and no header is: who ends TLS in front of the gateway ends
// this proof too.
func verifiedChains(r *http.Request) [][]*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return r.TLS.VerifiedChains
}

// parseCertificates reads
//
//	identity certificate <file of the authority> {
//		name uri|email|dns|subject
//		role <pattern> <role> ...
//	}
func parseCertificates(d *caddyfile.Dispenser, folder string) (*Certificates, error) {
	c := new(Certificates)
	if !d.Args(&c.Authority) || d.NextArg() {
		return nil, d.Err("identity certificate wants the file of the authority whose certificates count, for example: identity certificate ./clients-ca.pem { ... }")
	}
	c.Authority = absolute(folder, c.Authority)
	for d.NextBlock(1) {
		option, args := d.Val(), d.RemainingArgs()
		switch {
		case option == "name" && len(args) == 1:
			c.Name = args[0]
		case option == "role" && len(args) > 1:
			if c.Roles == nil {
				c.Roles = make(map[string][]string)
			}
			c.Roles[args[0]] = append(c.Roles[args[0]], args[1:]...)
		case option == "name", option == "role":
			return nil, d.ArgErr()
		default:
			return nil, d.Errf("unknown option %s of identity certificate; it has name, role", option)
		}
	}
	if err := c.validate(); err != nil {
		return nil, d.Err(err.Error())
	}
	return c, nil
}

func (c *Certificates) validate() error {
	switch {
	case c == nil:
		return nil
	case c.Name == "":
		return errors.New("identity certificate needs name: uri, email, dns or subject")
	case len(c.Roles) == 0:
		return errors.New("identity certificate needs a role line, for example: role spiffe://acme/desk/* service")
	}
	return nil
}
