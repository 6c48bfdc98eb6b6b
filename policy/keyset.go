package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
)

const (
	maxJWKS = 1 << 20 // bytes
	// jwksPause keeps tokens with invented key ids from making us call the provider
	// over and over.
	jwksPause   = 5 * time.Second
	jwksTimeout = 10 * time.Second
	// How long fetched keys count: what Cache-Control says, within these bounds, and
	// keysHold where it says nothing. A provider that withdraws a key is heard within
	// half of that; one that is gone denies when it is over.
	keysLeast = 15 * time.Minute
	keysHold  = time.Hour
	keysMost  = 24 * time.Hour
)

// providerClient calls a provider: within a time, and without following it elsewhere.
func providerClient() *http.Client {
	return &http.Client{Timeout: jwksTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// checkProviderURL refuses addresses on the way to which somebody could answer in the
// provider's place.
func checkProviderURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return errors.New("it is no URL")
	}
	if host := u.Hostname(); u.Scheme != "https" && (u.Scheme != "http" || host != "127.0.0.1" && host != "::1" && host != "localhost") {
		return errors.New("it must be HTTPS, or HTTP on this machine")
	}
	return nil
}

// fetch reads one answer of a provider, at most maxJWKS long.
func fetch(client *http.Client, req *http.Request) (body []byte, h http.Header, status int, err error) {
	res, err := client.Do(req)
	if err != nil {
		return nil, nil, 0, withoutURL(err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxJWKS+1))
	switch {
	case err != nil:
		return nil, nil, 0, withoutURL(err)
	case len(body) > maxJWKS:
		return nil, nil, 0, fmt.Errorf("the answer is larger than %d bytes", maxJWKS)
	}
	return body, res.Header, res.StatusCode, nil
}

// withoutURL is what went wrong, without the address, whose query may hold a secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// publicKeys reads a JSON Web Key Set; only public keys for signatures are taken. Strict
// refuses a set with others, which in a file is a mistake.
func publicKeys(src []byte, strict bool) (*fixedKeySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(src, &set); err != nil {
		return nil, errors.New("the key set is not a JSON Web Key Set")
	}
	var out fixedKeySet
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		switch err := json.Unmarshal(raw, &k); {
		case err == nil && k.Valid() && k.IsPublic():
			if k.Use == "" || k.Use == "sig" {
				out.keys = append(out.keys, k)
			}
		case strict:
			return nil, errors.New("the key set holds a key that is invalid, secret or private")
		}
	}
	if len(out.keys) == 0 {
		return nil, errors.New("the key set holds no key for signatures")
	}
	return &out, nil
}

// fixedKeySet verifies with keys that do not change. A token names its key; one
// that names none is tried with all.
type fixedKeySet struct{ keys []jose.JSONWebKey }

// VerifySignature implements oidc.KeySet.
func (s *fixedKeySet) VerifySignature(_ context.Context, token string) ([]byte, error) {
	var algs []jose.SignatureAlgorithm
	for _, a := range signingAlgorithms {
		algs = append(algs, jose.SignatureAlgorithm(a))
	}
	jws, err := jose.ParseSigned(token, algs) // the verifier has narrowed them already
	if err != nil || len(jws.Signatures) != 1 {
		return nil, errors.New("the token is malformed")
	}
	h := jws.Signatures[0].Header
	for i := range s.keys {
		k := &s.keys[i]
		if h.KeyID != "" && k.KeyID != "" && h.KeyID != k.KeyID || k.Algorithm != "" && k.Algorithm != h.Algorithm {
			continue
		}
		if payload, err := jws.Verify(k.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no key verifies the token")
}

// remoteKeySet is the key set of a provider. It is fetched when it is needed: at first,
// for a token that no key verifies, and beside the calls when half of its time is over.
// While the provider is away its keys count until their time, and nothing after it.
type remoteKeySet struct {
	client *http.Client
	now    func() time.Time
	// address says where the set is; a provider may have to be asked for it.
	address func(ctx context.Context) (string, error)

	mu           sync.Mutex
	keys         *fixedKeySet
	fresh, until time.Time     // fetched again from fresh on; counts before until
	tried        time.Time     // when the last fetch began
	running      chan struct{} // closed when the fetch that is under way has ended
}

var errPaced = errors.New("the key set was fetched a moment ago")

// VerifySignature implements oidc.KeySet.
func (s *remoteKeySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	keys := s.held()
	if keys != nil {
		if payload, err := keys.VerifySignature(ctx, token); err == nil {
			return payload, nil
		}
	}
	running := s.fetch()
	if running == nil {
		return nil, errPaced
	}
	select {
	case <-running:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if keys = s.held(); keys == nil {
		return nil, errors.New("the provider's keys cannot be had")
	}
	return keys.VerifySignature(ctx, token)
}

// held gives the keys that count now, and has them fetched again when it is time.
func (s *remoteKeySet) held() *fixedKeySet {
	s.mu.Lock()
	keys, now := s.keys, s.now()
	old := keys != nil && !now.Before(s.fresh)
	if keys != nil && !now.Before(s.until) {
		keys, old = nil, false
	}
	s.mu.Unlock()
	if old {
		s.fetch()
	}
	return keys
}

// fetch begins to fetch the set, or joins whoever does. It returns nil when somebody did
// a moment ago.
func (s *remoteKeySet) fetch() (running <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return s.running
	}
	now := s.now()
	if since := now.Sub(s.tried); !s.tried.IsZero() && since >= 0 && since < jwksPause {
		return nil
	}
	done := make(chan struct{})
	s.tried, s.running = now, done
	// Beside the call: others wait for it too, and its caller may hang up.
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), jwksTimeout)
		defer cancel()
		keys, hold, err := s.read(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running = nil
		if err == nil {
			s.keys, s.fresh, s.until = keys, now.Add(hold/2), now.Add(hold)
		}
	}()
	return done
}

func (s *remoteKeySet) read(ctx context.Context) (*fixedKeySet, time.Duration, error) {
	where, err := s.address(ctx)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, 0, err
	}
	body, h, status, err := fetch(s.client, req)
	if err != nil {
		return nil, 0, err
	}
	if status != http.StatusOK {
		return nil, 0, fmt.Errorf("the provider answered %d", status)
	}
	keys, err := publicKeys(body, false)
	return keys, holdTime(h), err
}

// holdTime is how long an answer may be kept (RFC 9111 section 5.2.2.1), within our
// bounds.
func holdTime(h http.Header) time.Duration {
	for _, v := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(v, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
			if !strings.EqualFold(name, "max-age") {
				continue
			}
			if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				return min(max(time.Duration(n)*time.Second, keysLeast), keysMost)
			}
		}
	}
	return keysHold
}

var (
	_ oidc.KeySet = (*fixedKeySet)(nil)
	_ oidc.KeySet = (*remoteKeySet)(nil)
)
