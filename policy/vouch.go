package policy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/caregate/caregate/internal/store"
)

// VoucherType is the typ of a voucher's header (RFC 8725, section 3.11): no token that was
// made for anything else is one, and a voucher is no token.
const VoucherType = "caregate-actor+jwt"

// Bounds of a voucher.
const (
	// voucherLife is how long it may count, from iat to exp.
	voucherLife = 5 * time.Minute
	// voucherSkew is how far the signer's clock may be ahead.
	voucherSkew = time.Minute
	// voucherKept is for how long it is remembered after its end, should our own clock be
	// set back.
	voucherKept = 10 * time.Minute
	// The length of jti in bytes. Shorter ones are numbers that come again.
	shortestVoucher, longestVoucher = 8, 128
)

// Signer is a program in front of the gateway that knows the people who call, and says with
// each call who it is: a JWT of VoucherType, signed with ES256 or EdDSA, for this call, once.
type Signer struct {
	// Issuer has the signer's keys and the meaning of its claims. Algorithms is not looked at.
	Issuer
	// Unbound takes vouchers that do not name method and address of their call. Those that
	// do have to name the right ones.
	Unbound bool
	// Vouchers remembers which were used; it is needed.
	Vouchers *Vouchers
}

// signer is a Signer made ready.
type signer struct {
	*issuer
	unbound  bool
	vouchers *Vouchers
}

func (s *Signer) prepare(t *tables, now func() time.Time) (*signer, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	if s.Vouchers == nil {
		return nil, errors.New("nothing remembers which vouchers were used")
	}
	of := s.Issuer
	of.Algorithms = []string{oidc.ES256, oidc.EdDSA}
	ready, err := of.prepare(t, now)
	if err != nil {
		return nil, err
	}
	return &signer{issuer: ready, unbound: s.Unbound, vouchers: s.Vouchers}, nil
}

// voucher is what a verified one says.
type voucher struct {
	who *person
	id  string
	end time.Time
}

// byVoucher is the person whom a signer vouches for. Every way in which a voucher does not
// count has one answer.
func (r *Resolver) byVoucher(ctx context.Context, p *Presented) (Actor, error) {
	if r.signer == nil {
		return Actor{}, ErrRefused
	}
	v, ok := r.signer.read(ctx, p, r.now())
	if !ok {
		return Actor{}, ErrRefused
	}
	first, err := r.signer.vouchers.use(ctx, r.digest("voucher", joined(r.signer.URL, v.id)), v.end)
	if err != nil {
		return Actor{}, err
	}
	if !first {
		return Actor{}, ErrRefused
	}
	return r.provenBy(v.who, p), nil
}

// read verifies all of a voucher but that it is used for the first time.
func (s *signer) read(ctx context.Context, p *Presented, now time.Time) (v voucher, ok bool) {
	if typeOf(p.Voucher) != VoucherType {
		return v, false
	}
	t, claims, err := s.claims(ctx, p.Voucher)
	if err != nil || len(t.Audience) != 1 { // for two it would be another's to use here
		return v, false
	}
	issued, begin := claimTime(claims["iat"]), claimTime(claims["nbf"])
	if issued.IsZero() || issued.After(now.Add(voucherSkew)) || begin.After(now.Add(voucherSkew)) || !t.Expiry.After(now) || !t.Expiry.After(issued) || t.Expiry.Sub(issued) > voucherLife {
		return v, false
	}
	id, _ := claims["jti"].(string)
	if len(id) < shortestVoucher || len(id) > longestVoucher {
		return v, false
	}
	method, hasMethod := claims["htm"]
	address, hasAddress := claims["htu"]
	if (!s.unbound || hasMethod) && method != p.Method || (!s.unbound || hasAddress) && !sameAddress(address, p.Address) {
		return v, false
	}
	return voucher{who: s.person(claims), id: id, end: t.Expiry}, true
}

// sameAddress compares an htu claim (RFC 9449, section 4.2: no query, no fragment) with the
// address that was called.
func sameAddress(claim any, called string) bool {
	s, _ := claim.(string)
	a, okA := plainAddress(s)
	b, okB := plainAddress(called)
	return okA && okB && a == b
}

// plainAddress writes the scheme and host of an address in one way. The path stays as it is
// written.
func plainAddress(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || strings.ContainsAny(s, "?#") {
		return "", false
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", false
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + path, true
}

// typeOf is the typ of a compact JWS, not verified; empty for what has none.
func typeOf(token Secret) string {
	head, _, _ := strings.Cut(string(token), ".")
	if len(head) > maxToken {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return ""
	}
	var h map[string]any // by its exact name
	if json.Unmarshal(raw, &h) != nil {
		return ""
	}
	typ, _ := h["typ"].(string)
	return typ
}

// isVoucher tells whether a token says that it is a voucher, however it spells that.
func isVoucher(token Secret) bool {
	return strings.TrimPrefix(strings.ToLower(typeOf(token)), "application/") == VoucherType
}

// Vouchers remember which vouchers were used, in state.db: across restarts and across
// gateways on one database. Safe for concurrent use.
type Vouchers struct {
	db  *store.DB
	now instants
}

// OpenVouchers prepares the table. The database stays the caller's. now is the clock by which
// vouchers are forgotten; nil means the database's.
func OpenVouchers(ctx context.Context, db *store.DB, now func() time.Time) (*Vouchers, error) {
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	return &Vouchers{db: db, now: instantsOf(db, now)}, nil
}

// use notes that the voucher of a digest is used, which counts until end, and tells whether
// it is for the first time. It is durable when use returns: a crash behind it loses the call
// and not the note. An error means that nobody knows, and the caller denies.
func (v *Vouchers) use(ctx context.Context, digest []byte, end time.Time) (first bool, err error) {
	res, err := v.db.ExecContext(ctx, `INSERT INTO voucher (digest, expires) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`, digest, end.Add(voucherKept).UnixMilli())
	if err != nil {
		return false, fmt.Errorf("noting a voucher: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("noting a voucher: %w", err)
	}
	return n == 1, nil
}

// Sweep forgets vouchers that count no more, a piece at a time.
func (v *Vouchers) Sweep(ctx context.Context) error {
	now, err := v.now(ctx)
	if err != nil {
		return fmt.Errorf("forgetting vouchers: %w", err)
	}
	for {
		res, err := v.db.ExecContext(ctx, `DELETE FROM voucher WHERE digest IN (SELECT digest FROM voucher WHERE expires <= $1 ORDER BY expires LIMIT $2)`, now.UnixMilli(), sweepPiece)
		if err != nil {
			return fmt.Errorf("forgetting vouchers: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n < sweepPiece {
			return err
		}
	}
}
