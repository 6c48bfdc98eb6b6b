package policy_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/policy"
)

// newCertificate makes one that parent signs, or an authority that signs itself.
func newCertificate(t *testing.T, c *clock, parent *x509.Certificate, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "somebody"}, NotBefore: c.Now().Add(-time.Hour), NotAfter: c.Now().Add(time.Hour), BasicConstraintsValid: true}
	change(template)
	if parent == nil {
		parent = template
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, rsaKey().key.Public(), rsaKey().key)
	must(t, err)
	cert, err := x509.ParseCertificate(raw)
	must(t, err)
	return cert
}

func inPEM(certs ...*x509.Certificate) (out []byte) {
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func isAuthority(c *x509.Certificate) { c.IsCA = true }

func TestCertificates(t *testing.T) {
	t.Parallel()
	c := newClock()
	ca := newCertificate(t, c, nil, isAuthority)
	other := newCertificate(t, c, nil, func(c *x509.Certificate) { c.IsCA, c.Subject.CommonName = true, "other" })
	resolver := func(name string) *policy.Resolver {
		t.Helper()
		r, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Now: c.Now, Certificates: &policy.CertificateIssuer{
			Authorities: inPEM(ca), Name: name,
			Roles: map[string][]string{"*@example.com": {"agent"}, "ann@example.com": {"lead"}, "job-*": {"service"}, "*.jobs.example.com": {"service"}, "somebody": {"dpo"}},
		}})
		must(t, err)
		return r
	}
	mail := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = names }
	}
	leaf := newCertificate(t, c, ca, mail("Ann@Example.com"))
	for name, tc := range map[string]struct {
		kind   string
		chains [][]*x509.Certificate
		roles  string // "" for who is anonymous, "refused" for a refusal
	}{
		"mail":              {policy.NameEmail, [][]*x509.Certificate{{leaf, ca}}, "agent lead"},
		"the second chain":  {policy.NameEmail, [][]*x509.Certificate{{leaf, other}, {leaf, ca}}, "agent lead"},
		"another authority": {policy.NameEmail, [][]*x509.Certificate{{leaf, other}}, ""},
		"nothing verified":  {policy.NameEmail, nil, ""},
		"the authority":     {policy.NameSubject, [][]*x509.Certificate{{ca}}, ""},
		"two names":         {policy.NameEmail, [][]*x509.Certificate{{newCertificate(t, c, ca, mail("ann@example.com", "bob@example.com")), ca}}, "refused"},
		"no name":           {policy.NameDNS, [][]*x509.Certificate{{leaf, ca}}, "refused"},
		"subject":           {policy.NameSubject, [][]*x509.Certificate{{leaf, ca}}, "dpo"},
		"two common names": {policy.NameSubject, [][]*x509.Certificate{{newCertificate(t, c, ca, func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: "somebody"}, {Type: []int{2, 5, 4, 3}, Value: "root"}}
		}), ca}}, "refused"},
		"host":              {policy.NameDNS, [][]*x509.Certificate{{newCertificate(t, c, ca, func(c *x509.Certificate) { c.DNSNames = []string{"sync.jobs.example.com"} }), ca}}, "service"},
		"a star is no host": {policy.NameDNS, [][]*x509.Certificate{{newCertificate(t, c, ca, func(c *x509.Certificate) { c.DNSNames = []string{"jobs.example.com"} }), ca}}, "none"},
		"over": {policy.NameEmail, [][]*x509.Certificate{{newCertificate(t, c, ca, func(x *x509.Certificate) {
			x.EmailAddresses, x.NotAfter = []string{"ann@example.com"}, c.Now().Add(-time.Second)
		}), ca}}, "refused"},
		"to come": {policy.NameEmail, [][]*x509.Certificate{{newCertificate(t, c, ca, func(x *x509.Certificate) {
			x.EmailAddresses, x.NotBefore = []string{"ann@example.com"}, c.Now().Add(time.Minute)
		}), ca}}, "refused"},
	} {
		a, err := resolver(tc.kind).Resolve(t.Context(), policy.Presented{Chains: tc.chains})
		got := strings.Join(a.Roles, " ")
		switch {
		case errors.Is(err, policy.ErrRefused):
			got = "refused"
		case err != nil:
			t.Fatal(err)
		case a.Kind == policy.KindAnonymous:
			got = ""
		case got == "":
			got = "none"
		}
		if got != tc.roles {
			t.Errorf("%s: got %q, want %q", name, got, tc.roles)
		}
		if a.Kind == policy.KindCertificate && (a.Strength != policy.StrengthProven || a.MFA || !strings.HasPrefix(a.ID, "cert:") || strings.Contains(a.String(), "example")) {
			t.Errorf("%s: got %+v", name, a)
		}
	}
	r := resolver(policy.NameEmail)
	for name, tc := range map[string]struct {
		asserted string
		mismatch bool
	}{"nobody": {"", false}, "oneself": {"ANN@example.com", false}, "another": {"bob@example.com", true}} {
		if a, err := r.Resolve(t.Context(), policy.Presented{Chains: [][]*x509.Certificate{{leaf, ca}}, Asserted: tc.asserted}); err != nil || a.Mismatch != tc.mismatch {
			t.Errorf("asserted to be %s: got %+v, %v", name, a, err)
		}
	}
	if _, err := r.Resolve(t.Context(), policy.Presented{Chains: [][]*x509.Certificate{{leaf, ca}}, Key: "cgk1nothing"}); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("with a key that is none: got %v", err)
	}
	c.Move(2 * time.Hour) // the connection is as it was
	if _, err := r.Resolve(t.Context(), policy.Presented{Chains: [][]*x509.Certificate{{leaf, ca}}}); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("later: got %v", err)
	}
}

func TestCertificateIssuersThatAreRefused(t *testing.T) {
	t.Parallel()
	c := newClock()
	ca := newCertificate(t, c, nil, isAuthority)
	leaf := newCertificate(t, c, ca, func(*x509.Certificate) {})
	for name, tc := range map[string]struct {
		issuer policy.CertificateIssuer
		says   string
	}{
		"no authority":   {policy.CertificateIssuer{Name: "uri"}, "no certificate of an authority"},
		"no certificate": {policy.CertificateIssuer{Authorities: []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), Name: "uri"}, "no certificate"},
		"a leaf":         {policy.CertificateIssuer{Authorities: inPEM(ca, leaf), Name: "uri"}, "no certificate of an authority"},
		"no such name":   {policy.CertificateIssuer{Authorities: inPEM(ca), Name: "serial"}, "uri, email, dns, subject"},
		"two stars":      {policy.CertificateIssuer{Authorities: inPEM(ca), Name: "uri", Roles: map[string][]string{"*a*": {"agent"}}}, "one star"},
		"no such role":   {policy.CertificateIssuer{Authorities: inPEM(ca), Name: "uri", Roles: map[string][]string{"a": {"vendor"}}}, "cannot be given"},
	} {
		_, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Certificates: &tc.issuer})
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want a refusal saying %q", name, err, tc.says)
		}
	}
}
