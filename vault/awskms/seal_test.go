package awskms_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/vault"
	"github.com/caregate/caregate/vault/awskms"
	"github.com/caregate/caregate/vault/awskms/kmstest"
)

// short is the time-out of tests that make one expire.
const short = 300 * time.Millisecond

func seal(t *testing.T, s *kmstest.Server, change func(*awskms.Config)) *awskms.Seal {
	t.Helper()
	c := awskms.Config{Key: kmstest.ARN("one"), Endpoint: s.URL, Deployment: "acme", Timeout: time.Minute, Credentials: kmstest.Credentials()}
	if change != nil {
		change(&c)
	}
	k, err := awskms.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// clock can be set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func open(t *testing.T, dir string, c vault.Config) (*vault.Vault, error) {
	t.Helper()
	v, err := vault.Open(t.Context(), dir, c)
	if err == nil {
		t.Cleanup(func() {
			if err := v.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return v, err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What KMS sealed opens again with the same key, for the same file and deployment, and
// with nothing else.
func TestSeal(t *testing.T) {
	t.Parallel()
	s := kmstest.Start(t)
	k := seal(t, s, nil)
	key := []byte(strings.Repeat("k", 32))
	wrapped, err := k.Wrap(t.Context(), "master.json", key)
	must(t, err)
	if strings.Contains(string(wrapped), "kkkk") || !strings.Contains(string(wrapped), kmstest.ARN("one")) {
		t.Errorf("wrapped: %s", wrapped)
	}
	for _, tc := range []struct {
		name, file string
		change     func(*awskms.Config)
		ok         bool
	}{
		{"the same", "master.json", nil, true},
		{"by the key's id", "master.json", func(c *awskms.Config) { c.Key, c.Region = "one", kmstest.Region }, true},
		{"another file", "index.json", nil, false},
		{"another deployment", "master.json", func(c *awskms.Config) { c.Deployment = "other" }, false},
		{"another key", "master.json", func(c *awskms.Config) { c.Key = kmstest.ARN("two") }, false},
		{"no such key", "master.json", func(c *awskms.Config) { c.Key = kmstest.ARN("three") }, false},
	} {
		got, err := seal(t, s, tc.change).Unwrap(t.Context(), tc.file, wrapped)
		if tc.ok && (err != nil || string(got) != string(key)) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if !tc.ok && !errors.Is(err, vault.ErrKeySeal) {
			t.Errorf("%s: got %v, want ErrKeySeal", tc.name, err)
		}
	}
	if _, err := k.Unwrap(t.Context(), "master.json", []byte(`{}`)); !errors.Is(err, vault.ErrKeyFile) {
		t.Errorf("nothing wrapped: %v", err)
	}
	for name, c := range map[string]awskms.Config{
		"no key":             {Region: kmstest.Region},
		"kept too shortly":   {Key: kmstest.ARN("one"), Renew: time.Hour, Hold: time.Minute},
		"nowhere in between": {Key: kmstest.ARN("one"), Renew: time.Hour, Hold: time.Minute, Region: "x"},
	} {
		if _, err := awskms.Open(t.Context(), c); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}

// faults are the ways in which KMS fails, with what that means.
var faults = []struct {
	name, fault string
	want        error
}{
	{"denied", "AccessDeniedException", vault.ErrKeySeal},
	{"disabled", "DisabledException", vault.ErrKeySeal},
	{"about to be deleted", "KMSInvalidStateException", vault.ErrKeySeal},
	{"gone", "NotFoundException", vault.ErrKeySeal},
	{"throttled", "ThrottlingException", vault.ErrSealDown},
	{"broken", "KMSInternalException", vault.ErrSealDown},
	{"slow", kmstest.Slow, vault.ErrSealDown},
	{"garbage", kmstest.Garbage, vault.ErrSealDown},
	{"too short", kmstest.Short, vault.ErrSealDown},
	{"cut off", kmstest.Cut, vault.ErrSealDown},
}

// VT10: with KMS slow, denied, disabled or answering garbage nothing starts, the message
// says what it is and nothing secret, and afterwards everything is as it was.
func TestNoStartWithoutKMS(t *testing.T) {
	t.Parallel()
	s := kmstest.Start(t)
	dir := t.TempDir()
	good := seal(t, s, nil)
	must(t, vault.Create(t.Context(), dir, vault.Config{Seal: good}))
	for _, f := range faults {
		s.Fail(f.fault)
		k := seal(t, s, func(c *awskms.Config) {
			if f.fault == kmstest.Slow {
				c.Timeout = short
			}
		})
		_, err := open(t, dir, vault.Config{Seal: k})
		if !errors.Is(err, f.want) || !strings.Contains(fmt.Sprint(err), "master.json") {
			t.Errorf("%s: got %v, want %v about master.json", f.name, err, f.want)
		}
		if strings.Contains(fmt.Sprint(err), "secret-name") || strings.Contains(fmt.Sprint(err), "portal") {
			t.Errorf("%s: the error repeats what KMS said", f.name)
		}
		if err := vault.Create(t.Context(), t.TempDir(), vault.Config{Seal: k}); err == nil {
			t.Errorf("%s: a vault was made whose files nobody could open", f.name)
		}
	}
	s.Fail("")
	_, err := open(t, dir, vault.Config{Seal: good})
	must(t, err)
}

// VT10, V16: a running vault goes on through an outage for as long as it may, asks nobody
// while it serves, lapses when KMS refuses or the time is over, gives nothing out then,
// and serves again when KMS answers.
func TestLease(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := kmstest.Start(t)
			dir := t.TempDir()
			k := seal(t, s, func(c *awskms.Config) { c.Renew, c.Hold = time.Minute, time.Hour })
			must(t, vault.Create(t.Context(), dir, vault.Config{Seal: k}))
			at := &clock{at: time.Unix(1_800_000_000, 0)}
			// The clock's time-out is the vault's; that of one question is real.
			v, err := open(t, dir, vault.Config{Seal: seal(t, s, func(c *awskms.Config) {
				c.Renew, c.Hold, c.Timeout = time.Minute, time.Hour, 20*time.Second
			}), Now: at.now, CacheTime: 100 * time.Hour})
			must(t, err)
			if v.RenewEvery() != time.Minute {
				t.Errorf("renew every %v", v.RenewEvery())
			}
			use := func() error {
				who, err := v.Subjects(t.Context(), []vault.Ident{{Kind: "email", Value: "ann@example.com"}})
				if err != nil {
					return err
				}
				is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{{Kind: "iban", Text: []byte("LEASED"), Subject: who[0]}})
				if err != nil {
					return err
				}
				if err := is.Keep(t.Context()); err != nil {
					return err
				}
				_, err = v.Reveal(t.Context(), is.Tokens[0].Text)
				return err
			}
			must(t, use())
			who, err := v.Actor(t.Context(), "key:1")
			must(t, err)
			asked := s.Asked("Decrypt")
			must(t, use())
			if s.Asked("Decrypt") != asked {
				t.Error("KMS was asked while the vault served")
			}
			renew := func() error {
				ctx, cancel := contextFor(t, f.fault)
				defer cancel()
				return v.Renew(ctx)
			}

			s.Fail(f.fault)
			if err := renew(); !errors.Is(err, f.want) {
				t.Fatalf("renewing: got %v, want %v", err, f.want)
			}
			if errors.Is(f.want, vault.ErrSealDown) {
				must(t, use())
				at.add(time.Hour)
				must(t, use())
				at.add(time.Second)
			}
			for name, do := range map[string]func() error{
				"names": use,
				"actor": func() error { _, err := v.Actor(t.Context(), "key:1"); return err },
				"known": func() error {
					_, err := v.Known(t.Context(), vault.Ident{Kind: "email", Value: "ann@example.com"})
					return err
				},
				"seal":   func() error { _, err := v.Seal(who, nil, []byte("x")); return err },
				"open":   func() error { _, err := v.Open(t.Context(), vault.Sealed{}, nil); return err },
				"day":    func() error { _, err := v.Period(t.Context(), "p", at.now()); return err },
				"rotate": func() error { return v.Rotate(t.Context()) },
				"rewrap": func() error { _, err := v.Rewrap(t.Context()); return err },
				"reveal": func() error { _, err := v.Reveal(t.Context(), "x"); return err },
				"master": func() error { return v.RotateMaster(t.Context()) },
				"ready":  func() error { return v.Ready(t.Context()) },
			} {
				if err := do(); !errors.Is(err, vault.ErrLapsed) {
					t.Errorf("%s after the lapse: got %v, want ErrLapsed", name, err)
				}
			}
			if err := renew(); err == nil {
				t.Error("renewed although KMS fails")
			}
			s.Fail("")
			must(t, v.Renew(t.Context()))
			must(t, use())
			must(t, v.Rotate(t.Context()))
			must(t, v.RotateMaster(t.Context()))
			_, err = v.Rewrap(t.Context())
			must(t, err)
			must(t, use())
		})
	}
}

// contextFor has a caller give up early where KMS never answers.
func contextFor(t *testing.T, fault string) (context.Context, context.CancelFunc) {
	if fault == kmstest.Slow {
		return context.WithTimeout(t.Context(), short)
	}
	return context.WithCancel(t.Context())
}
