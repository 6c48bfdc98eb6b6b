package policy_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/policy"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	c := newClock()
	k := openKeys(t, filepath.Join(t.TempDir(), "state.db"), c)
	key, secret, err := k.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"service"}, Grants: []string{"zendesk:ticket.show"}})
	must(t, err)
	plain, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Keys: k, Now: c.Now})
	must(t, err)
	vendor, err := plain.Resolve(t.Context(), policy.Presented{Channel: "zendesk", VendorKind: "api_token", VendorSecret: "vendor-secret"})
	must(t, err)
	r, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Keys: k, Now: c.Now, Grants: map[string][]string{
		vendor.ID:       {"zendesk:ticket.export"},
		"key:" + key.ID: {"zendesk:ticket.update", "zendesk:ticket.show"},
	}})
	must(t, err)

	for _, tc := range []struct {
		name                 string
		p                    policy.Presented
		id, kind, strength   string
		roles, grants        []string
		refused, wantAsserts bool
	}{
		{name: "nothing", id: "anonymous", kind: policy.KindAnonymous, strength: policy.StrengthNone, roles: []string{"public"}},
		{name: "a claim only", p: policy.Presented{Asserted: "ann@example.com"}, id: "anonymous", kind: policy.KindAnonymous, strength: policy.StrengthNone, roles: []string{"public"}, wantAsserts: true},
		{name: "a key", p: policy.Presented{Key: secret}, id: "key:" + key.ID, kind: policy.KindKey, strength: policy.StrengthCredential, roles: []string{"service"}, grants: []string{"zendesk:ticket.show", "zendesk:ticket.update"}},
		{name: "a key that claims a user", p: policy.Presented{Key: secret, Asserted: "ann@example.com"}, id: "key:" + key.ID, kind: policy.KindKey, strength: policy.StrengthAsserted, roles: []string{"service"}, grants: []string{"zendesk:ticket.show", "zendesk:ticket.update"}, wantAsserts: true},
		{name: "a key beside the vendor's credential", p: policy.Presented{Key: secret, VendorKind: "api_token", VendorSecret: "vendor-secret"}, id: "key:" + key.ID, kind: policy.KindKey, strength: policy.StrengthCredential, roles: []string{"service"}, grants: []string{"zendesk:ticket.show", "zendesk:ticket.update"}},
		{name: "the vendor's credential", p: policy.Presented{Channel: "zendesk", VendorKind: "api_token", VendorSecret: "vendor-secret"}, id: vendor.ID, kind: policy.KindVendor, strength: policy.StrengthCredential, roles: []string{"agent"}, grants: []string{"zendesk:ticket.export"}},
		{name: "a webhook", p: policy.Presented{Channel: "twilio", Signed: true}, id: "webhook:twilio", kind: policy.KindWebhook, strength: policy.StrengthCredential, roles: []string{"vendor"}},
		{name: "the socket", p: policy.Presented{Local: true}, id: "local", kind: policy.KindLocal, strength: policy.StrengthCredential, roles: []string{"admin", "security"}},
		{name: "a bad key beside a good credential", p: policy.Presented{Key: "cgk1nonsense", VendorKind: "api_token", VendorSecret: "vendor-secret"}, refused: true},
		{name: "a bad key on the socket", p: policy.Presented{Key: "cgk1nonsense", Local: true}, refused: true},
		{name: "a key and a token", p: policy.Presented{Key: secret, Token: "x"}, refused: true},
		{name: "a token without issuers", p: policy.Presented{Token: "a.b.c"}, refused: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := r.Resolve(t.Context(), tc.p)
			if tc.refused {
				if !errors.Is(err, policy.ErrRefused) {
					t.Fatalf("got %v, %v, want ErrRefused", a, err)
				}
				return
			}
			must(t, err)
			if a.ID != tc.id || a.Kind != tc.kind || a.Strength != tc.strength || !slices.Equal(a.Roles, tc.roles) || !slices.Equal(a.Grants, tc.grants) {
				t.Errorf("got %s %s %s %v %v", a.ID, a.Kind, a.Strength, a.Roles, a.Grants)
			}
			if in := a.Input(); in.Asserts != tc.wantAsserts || in.Mismatch || in.MFA {
				t.Errorf("input: got %+v", in)
			}
		})
	}

	// The same secret on another channel, or as another kind, is another actor.
	for _, p := range []policy.Presented{
		{Channel: "intercom", VendorKind: "api_token", VendorSecret: "vendor-secret"},
		{Channel: "zendesk", VendorKind: "password", VendorSecret: "vendor-secret"},
		{Channel: "zendesk", VendorKind: "api_token", VendorSecret: "vendor-secret2"},
	} {
		if a, err := r.Resolve(t.Context(), p); err != nil || a.ID == vendor.ID {
			t.Errorf("got %v, %v, want another actor", a, err)
		}
	}
	if strings.Contains(vendor.ID, "secret") {
		t.Error("an actor's ID holds the credential")
	}
	if _, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Grants: map[string][]string{"key:x": {"all"}}}); err == nil {
		t.Error("a malformed grant: got nil, want an error")
	}
	if _, err := policy.NewResolver(policy.ResolverConfig{}); err == nil {
		t.Error("no digest: got nil, want an error")
	}
}

// vendor is a vendor that can be asked, and fails when it is told to.
type vendor struct {
	asked  atomic.Int32
	fail   atomic.Bool
	answer policy.Account
}

func (v *vendor) whoami(context.Context, policy.Secret) (policy.Account, error) {
	v.asked.Add(1)
	if v.fail.Load() {
		return policy.Account{}, errors.New("503")
	}
	return v.answer, nil
}

func TestBearersResolveToAccounts(t *testing.T) {
	t.Parallel()
	c := newClock()
	v := &vendor{answer: policy.Account{User: "42", Client: "7"}}
	bearer := func(s string) policy.Presented {
		return policy.Presented{Channel: "zendesk", VendorKind: "oauth_bearer", VendorSecret: policy.Secret(s), Whoami: v.whoami}
	}
	plain, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Now: c.Now})
	must(t, err)
	first, err := plain.Resolve(t.Context(), bearer("one"))
	must(t, err)
	if !strings.HasPrefix(first.ID, "oauth:") {
		t.Fatalf("ID: got %s, want an account's", first.ID)
	}
	r, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Now: c.Now, Grants: map[string][]string{first.ID: {"zendesk:ticket.export"}}})
	must(t, err)
	v.asked.Store(0)

	// A rotated token is the same actor with the same grants, and is asked about once.
	for _, s := range []string{"one", "two", "one", "two"} {
		a, err := r.Resolve(t.Context(), bearer(s))
		if err != nil || a.ID != first.ID || len(a.Grants) != 1 || !slices.Equal(a.Roles, []string{"agent"}) {
			t.Fatalf("token %s: got %v %v, %v", s, a, a.Grants, err)
		}
	}
	if n := v.asked.Load(); n != 2 {
		t.Errorf("the vendor was asked %d times, want 2", n)
	}

	// The vendor fails: known tokens keep their grants for their time, new ones are
	// plain agents, and after its time a known one is too.
	v.fail.Store(true)
	if a, _ := r.Resolve(t.Context(), bearer("one")); a.ID != first.ID {
		t.Errorf("known token while the vendor is down: got %v", a)
	}
	a, err := r.Resolve(t.Context(), bearer("three"))
	if err != nil || !strings.HasPrefix(a.ID, "vendor:") || len(a.Grants) != 0 || !slices.Equal(a.Roles, []string{"agent"}) {
		t.Errorf("new token while the vendor is down: got %v %v, %v, want a plain agent", a, a.Grants, err)
	}
	asked := v.asked.Load()
	if _, err := r.Resolve(t.Context(), bearer("three")); err != nil || v.asked.Load() != asked {
		t.Errorf("the vendor was asked again at once, %v", err)
	}
	c.Move(5 * time.Minute)
	if a, _ := r.Resolve(t.Context(), bearer("one")); len(a.Grants) != 0 {
		t.Errorf("known token after its time: got %v, want a plain agent", a)
	}
	v.fail.Store(false)
	c.Move(30 * time.Second)
	if a, _ := r.Resolve(t.Context(), bearer("three")); a.ID != first.ID {
		t.Errorf("after the vendor came back: got %v, want the account", a)
	}

	// Another user of the same client is another actor.
	v.answer.User = "43"
	if a, _ := r.Resolve(t.Context(), bearer("four")); a.ID == first.ID {
		t.Error("two users are one actor")
	}
	v.answer = policy.Account{}
	if a, _ := r.Resolve(t.Context(), bearer("five")); !strings.HasPrefix(a.ID, "vendor:") {
		t.Errorf("a vendor that names nobody: got %v, want the credential", a)
	}
	asked = v.asked.Load()
	if _, err := r.Resolve(t.Context(), policy.Presented{Channel: "zendesk", VendorKind: "api_token", VendorSecret: "x", Whoami: v.whoami}); err != nil || v.asked.Load() != asked {
		t.Error("the vendor was asked about an API token")
	}
}

// However many bearers are invented, few questions are open at once, and one
// bearer is one question.
func TestWhoamiIsBounded(t *testing.T) {
	t.Parallel()
	r, err := policy.NewResolver(policy.ResolverConfig{Digest: digest})
	must(t, err)
	var open, most atomic.Int32
	asked, release := make(chan struct{}, 400), make(chan struct{})
	ask := func(ctx context.Context, _ policy.Secret) (policy.Account, error) {
		asked <- struct{}{}
		n := open.Add(1)
		defer open.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if _, ok := ctx.Deadline(); !ok {
			return policy.Account{}, errors.New("no deadline")
		}
		<-release
		return policy.Account{User: "42"}, nil
	}
	var wg sync.WaitGroup
	for i := range 400 {
		wg.Go(func() {
			if _, err := r.Resolve(context.Background(), policy.Presented{Channel: "zendesk", VendorKind: "bearer", VendorSecret: policy.Secret(fmt.Sprint(i % 100)), Whoami: ask}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 16 { // as many as may be open; the others are turned away
		<-asked
	}
	close(release)
	wg.Wait()
	if most.Load() > 16 {
		t.Errorf("questions open at once: got %d, want at most 16", most.Load())
	}

	// A caller that hangs up does not wait for the vendor.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	block := make(chan struct{})
	defer close(block)
	a, err := r.Resolve(ctx, policy.Presented{Channel: "zendesk", VendorKind: "bearer", VendorSecret: "slow", Whoami: func(context.Context, policy.Secret) (policy.Account, error) {
		<-block
		return policy.Account{User: "42"}, nil
	}})
	if err != nil || !strings.HasPrefix(a.ID, "vendor:") {
		t.Errorf("hung up: got %v, %v, want a plain agent", a, err)
	}
}
