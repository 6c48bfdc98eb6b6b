package policy

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

// Bounds of asking a vendor who holds a bearer.
const (
	// An account that lost its rights at the vendor loses its grants here within
	// this time.
	accountTime = 5 * time.Minute
	// A vendor that could not be asked is asked again after this time.
	accountRetry   = 30 * time.Second
	accountTimeout = 5 * time.Second
	accountCache   = 8192
	// Anybody can invent bearers; this many questions are open at once, and bearers
	// beyond them are plain agents for the moment.
	accountsAtOnce = 16
)

// Whoami asks the vendor who holds a bearer. The context has a deadline.
type Whoami func(ctx context.Context, bearer Secret) (Account, error)

// Account is the vendor's answer.
type Account struct {
	// User and Client are the vendor's ids of the user and the OAuth client. An
	// account with neither is none.
	User, Client string
}

// accounts resolves bearers to stable IDs. Safe for concurrent use.
type accounts struct {
	digest digestFunc
	now    func() time.Time
	log    *slog.Logger
	cache  *lru.Cache[[32]byte, cachedAccount]
	flight singleflight.Group
	open   chan struct{}
}

// cachedAccount has an empty id when the vendor could not tell.
type cachedAccount struct {
	id   string
	read time.Time
}

func newAccounts(digest digestFunc, now func() time.Time, log *slog.Logger) (*accounts, error) {
	cache, err := lru.New[[32]byte, cachedAccount](accountCache)
	if err != nil {
		return nil, fmt.Errorf("preparing the accounts: %w", err)
	}
	return &accounts{digest: digest, now: now, log: log, cache: cache, open: make(chan struct{}, accountsAtOnce)}, nil
}

// id is the stable ID behind a bearer, empty when the vendor cannot tell now. sum
// is the keyed digest of the bearer; the bearer itself is not kept.
func (a *accounts) id(ctx context.Context, channel string, sum [32]byte, bearer Secret, ask Whoami) string {
	if c, ok := a.cache.Get(sum); ok {
		limit := accountTime
		if c.id == "" {
			limit = accountRetry
		}
		if a.now().Sub(c.read) < limit {
			return c.id
		}
	}
	// One question per bearer, whoever waits for it. It outlives a caller that hangs
	// up, because others may wait too.
	ch := a.flight.DoChan(string(sum[:]), func() (any, error) {
		select {
		case a.open <- struct{}{}:
			defer func() { <-a.open }()
		default:
			return "", nil // not remembered: the next call may ask
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), accountTimeout)
		defer cancel()
		account, err := ask(ctx, bearer)
		id := ""
		switch {
		case err != nil:
			a.log.Warn("the vendor could not be asked whose credential this is; the caller is an agent without grants", slog.String("channel", channel), slog.Any("error", err))
		case account.User != "" || account.Client != "":
			id = "oauth:" + hex.EncodeToString(a.digest("oauth account", joined(channel, account.Client, account.User))[:16])
		}
		a.cache.Add(sum, cachedAccount{id, a.now()})
		return id, nil
	})
	select {
	case r := <-ch:
		id, _ := r.Val.(string)
		return id
	case <-ctx.Done():
		return ""
	}
}

// joined is a list of strings as bytes, each with its length.
func joined(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = appendString(b, p)
	}
	return b
}
