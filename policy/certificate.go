package policy

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Names that a certificate can call somebody by: the one of its kind among its subject
// alternative names, or the common name of its subject.
const (
	NameURI     = "uri"
	NameEmail   = "email"
	NameDNS     = "dns"
	NameSubject = "subject"
)

// CertificateIssuer is an authority whose client certificates prove who calls.
type CertificateIssuer struct {
	// Authorities are its certificates in PEM. A chain that was verified and does not lead
	// through one of them says nothing, whoever else a listener trusts.
	Authorities []byte
	// Name is which name of a certificate counts, a constant of this package. A certificate
	// that has none or several of this kind is refused.
	Name string
	// Roles says which of our roles a name gives. One star in a pattern stands for one or
	// more characters. Every pattern that fits gives its roles.
	Roles map[string][]string
}

// certificates is a CertificateIssuer made ready.
type certificates struct {
	CertificateIssuer
	authorities [][]byte // their DER
}

func (c *CertificateIssuer) prepare(t *tables) (*certificates, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	out := &certificates{CertificateIssuer: *c}
	for rest := c.Authorities; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil || !ca.IsCA {
			return nil, errors.New("the authorities hold what is no certificate of an authority")
		}
		out.authorities = append(out.authorities, ca.Raw)
	}
	if len(out.authorities) == 0 {
		return nil, errors.New("there is no certificate of an authority")
	}
	if !slices.Contains([]string{NameURI, NameEmail, NameDNS, NameSubject}, c.Name) {
		return nil, fmt.Errorf("the name of a certificate is one of %s, %s, %s, %s", NameURI, NameEmail, NameDNS, NameSubject)
	}
	for pattern, roles := range c.Roles {
		if strings.Count(pattern, "*") > 1 || pattern == "" {
			return nil, fmt.Errorf("pattern %q: want a name with one star at most", pattern)
		}
		for _, role := range roles {
			if !t.Roles[role].Assignable {
				return nil, fmt.Errorf("pattern %q gives role %q, which cannot be given; the roles are %s", pattern, role, strings.Join(t.assignable(), ", "))
			}
		}
	}
	return out, nil
}

// of finds the certificate that counts among chains that were verified; nil when none
// leads to the authority.
func (c *certificates) of(chains [][]*x509.Certificate) *x509.Certificate {
	if c == nil {
		return nil
	}
	for _, chain := range chains {
		// The leaf is not its own authority, even where a listener trusts it as one.
		if len(chain) < 2 {
			continue
		}
		for _, up := range chain[1:] {
			if slices.ContainsFunc(c.authorities, func(ca []byte) bool { return bytes.Equal(ca, up.Raw) }) {
				return chain[0]
			}
		}
	}
	return nil
}

// actor is whom a certificate names. A connection can outlive the certificate that began
// it, so its time is looked at for each call.
func (c *certificates) actor(leaf *x509.Certificate, digest digestFunc, now time.Time) (Actor, error) {
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return Actor{}, fmt.Errorf("%w: a certificate out of its time", ErrRefused)
	}
	names := map[string][]string{NameEmail: leaf.EmailAddresses, NameDNS: leaf.DNSNames}[c.Name]
	switch c.Name {
	case NameURI:
		for _, u := range leaf.URIs {
			names = append(names, u.String())
		}
	case NameSubject:
		for _, attribute := range leaf.Subject.Names {
			if attribute.Type.Equal([]int{2, 5, 4, 3}) { // common name
				s, _ := attribute.Value.(string)
				names = append(names, s)
			}
		}
	}
	if len(names) != 1 || names[0] == "" {
		return Actor{}, fmt.Errorf("%w: a certificate with %d names", ErrRefused, len(names))
	}
	name := names[0]
	if c.Name == NameEmail || c.Name == NameDNS {
		name = canonicalName(name)
	}
	a := Actor{
		ID:   "cert:" + hex.EncodeToString(digest("certificate name", joined(c.Name, name))[:16]),
		Kind: KindCertificate, Strength: StrengthProven, Proven: name,
	}
	for pattern, roles := range c.Roles {
		if fits(pattern, name) {
			a.Roles = append(a.Roles, roles...)
		}
	}
	a.Roles = sorted(a.Roles)
	return a, nil
}

// fits tells whether a name is what a pattern says; a star is one or more characters.
func fits(pattern, name string) bool {
	before, behind, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	return len(name) > len(before)+len(behind) && strings.HasPrefix(name, before) && strings.HasSuffix(name, behind)
}
