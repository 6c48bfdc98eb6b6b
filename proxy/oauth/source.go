package oauth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
)

// Errors of Token and Renew.
var (
	// ErrLost: the vendor gives no token any more until somebody authorises the gateway
	// again, and configures the refresh token that comes of it.
	ErrLost = errors.New("the vendor takes the refresh token no more: authorise the gateway again and give it the new one")
	// ErrUnavailable: there is no token for now.
	ErrUnavailable = errors.New("there is no token for the vendor for now")
	// errYoung: the vendor refuses a token that it has only just given.
	errYoung = errors.New("the vendor refuses a token that is new")
)

// Why a token was lost, as stored.
const (
	lostRevoked    = "revoked"    // the vendor refused it, and no question before was left open
	lostUnanswered = "unanswered" // so did it, after a question whose answer was never kept
	lostNoSeed     = "no_seed"    // there is none to begin with, or it was used before
)

// Token is an access token.
type Token struct {
	Access policy.Secret
	// Version counts the tokens of a name; Renew wants to know which one was refused.
	Version int64
	expires time.Time // zero when the vendor did not say
	got     time.Time
}

// Status says how the token of a name stands.
type Status struct {
	Name string
	// Version counts the tokens there were; zero before the first.
	Version int64
	// Expires is when the one in use ends; zero when unknown.
	Expires time.Time
	// Lost is why the vendor gives no more: revoked, unanswered or no_seed; empty while it
	// does. Trouble is what was in the way of the last question, empty when nothing was.
	Lost, Trouble string
}

// Source gives the tokens of a client. It is safe for concurrent use.
type Source struct {
	keeper *Keeper
	client Client

	mu      sync.Mutex
	current *Token
	flight  *flight
	fails   int
	resume  time.Time // no question before
	last    error     // of the last question
	mark    int64     // of the last question, as the row shows it
	lost    string
}

// flight is a question under way.
type flight struct {
	done  chan struct{}
	token *Token
	err   error
}

// margin is how long before its end a token is renewed.
func (t *Token) margin() time.Duration {
	return min(2*time.Minute, t.expires.Sub(t.got)/5)
}

// good tells whether the token can be used, and whether it should.
func (t *Token) good(now time.Time) (can, should bool) {
	if t == nil {
		return false, false
	}
	if t.expires.IsZero() {
		return true, true
	}
	return now.Before(t.expires), now.Before(t.expires.Add(-t.margin()))
}

// Token gives a token that is durable, and asks for one where there is none that lasts. It
// waits for the answer until ctx is done; the question itself goes on. Its errors are
// ErrLost, ErrUnavailable with a reason, and those of ctx.
func (s *Source) Token(ctx context.Context) (*Token, error) {
	s.mu.Lock()
	now := s.keeper.Now()
	can, should := s.current.good(now)
	if should {
		defer s.mu.Unlock()
		return s.current, nil
	}
	f, err := s.ask(now, 0)
	held := s.current
	s.mu.Unlock()
	if err == nil {
		var t *Token
		if t, err = f.wait(ctx); err == nil {
			return t, nil
		}
	}
	if can && ctx.Err() == nil {
		return held, nil // it lasts a little longer
	}
	return nil, err
}

// Renew gives a token that is newer than the one of a version, which the vendor refused. An
// error says that there is none, or that the refusal cannot be the token's fault.
func (s *Source) Renew(ctx context.Context, version int64) (*Token, error) {
	s.mu.Lock()
	now := s.keeper.Now()
	if t := s.current; t != nil && t.Version > version {
		s.mu.Unlock()
		return t, nil
	} else if t != nil && t.Version == version && now.Sub(t.got) < s.keeper.Youngest {
		s.mu.Unlock()
		return nil, errYoung
	}
	f, err := s.ask(now, version)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	t, err := f.wait(ctx)
	if err == nil && t.Version <= version {
		err = errYoung // the question was not about this one
	}
	return t, err
}

func (f *flight) wait(ctx context.Context) (*Token, error) {
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask begins a question, or joins the one that is under way. Its caller holds mu.
func (s *Source) ask(now time.Time, refused int64) (*flight, error) {
	if s.flight != nil {
		return s.flight, nil
	}
	if now.Before(s.resume) {
		return nil, s.last
	}
	k := s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, fmt.Errorf("%w: the gateway ends", ErrUnavailable)
	}
	f := &flight{done: make(chan struct{})}
	s.flight = f
	k.flights.Go(func() {
		t, err := s.renew(k.ctx, refused)
		s.land(f, t, err)
	})
	return f, nil
}

// land ends a question.
func (s *Source) land(f *flight, t *Token, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight, s.last = nil, nil
	if err == nil {
		s.current, s.fails, s.lost = t, 0, ""
	} else {
		if !errors.Is(err, ErrLost) {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		wait := min(firstRetry<<min(s.fails, 10), lastRetry)
		wait += time.Duration(rand.Int64N(int64(wait / 4)))
		s.fails++
		s.last, s.resume = err, s.keeper.Now().Add(wait)
		s.keeper.Logger.Warn("no new token for a vendor", slog.String("credential", s.client.Name), slog.Any("error", err), slog.Duration("again_in", wait))
	}
	f.token, f.err = t, err
	close(f.done)
}

func (s *Source) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Name: s.client.Name, Lost: s.lost}
	if s.current != nil {
		st.Version, st.Expires = s.current.Version, s.current.expires
	}
	if s.last != nil {
		st.Trouble = s.last.Error()
	}
	return st
}

func (p *pair) token(version int64) *Token {
	t := &Token{Access: policy.Secret(p.Access), Version: version, got: time.UnixMilli(p.Got)}
	if p.Expires != 0 {
		t.expires = time.UnixMilli(p.Expires)
	}
	return t
}

// renew holds the lock of the name while it asks. Only the end of the keeper ends it early,
// and not between a question and the durable answer.
func (s *Source) renew(ctx context.Context, refused int64) (*Token, error) {
	k, c := s.keeper, &s.client
	session, unlock, err := k.lock(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, err := s.settled(ctx, session)
	if err != nil {
		return nil, err
	}
	p, unread := k.open(ctx, c, r)
	// Somebody else may have asked meanwhile, in this process or another.
	if p != nil && p.Access != "" && r.version > refused && r.asked == 0 && r.lost == "" {
		t := p.token(r.version)
		if _, should := t.good(k.Now()); should {
			return t, nil
		}
	}
	if c.Refresh {
		if r, p, err = s.begin(ctx, session, r, p, unread); err != nil {
			return nil, err
		}
	}
	return s.question(ctx, session, r, p)
}

// settled is the row when no other holder can have a question under way. One that shows in
// the row belongs to a process that ended, or lost its session: then the vendor may still
// have it. Clocks of others say nothing, so the wait is by our own.
func (s *Source) settled(ctx context.Context, session db) (row, error) {
	k, name := s.keeper, s.client.Name
	r, err := load(ctx, session, name)
	if err != nil || r.asked == 0 || s.mine(r) {
		return r, err
	}
	k.Logger.Warn("the answer to the last question for a vendor's token was never kept: the gateway ended, or the answer did not come; it is asked again with the token from before",
		slog.String("credential", name))
	if k.db.Dialect != store.Postgres {
		return r, nil // nobody else can be asking
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	over := time.NewTimer(k.Attempt + k.Attempt/4)
	defer over.Stop()
	for {
		select {
		case <-ctx.Done():
			return row{}, context.Cause(ctx)
		case <-over.C:
			return r, nil
		case <-tick.C:
			now, err := load(ctx, session, name)
			if err != nil || now.asked != r.asked {
				return now, err
			}
		}
	}
}

// mine tells whether the question that a row shows is this source's own, which is over.
func (s *Source) mine(r row) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark == r.asked
}

// begin sees to it that there is a refresh token to ask with: the stored one, or the
// configured one where that was never used. p is nil without a stored one, and unread says
// why one could not be read.
func (s *Source) begin(ctx context.Context, session db, r row, p *pair, unread error) (row, *pair, error) {
	k, c := s.keeper, &s.client
	digest := k.Digest("upstream seed", []byte(c.Seed))
	known := true
	if c.Seed != "" {
		var n int
		if err := session.QueryRowContext(ctx, `SELECT count(*) FROM upstream_seed WHERE name = $1 AND digest = $2`, c.Name, digest).Scan(&n); err != nil {
			return r, nil, fmt.Errorf("looking for the first token of %s: %w", c.Name, err)
		}
		known = n > 0
	}
	if known {
		switch {
		case unread != nil:
			return r, nil, unread
		case r.lost != "":
			return r, nil, s.loses(r.lost)
		case p == nil || p.Refresh == "":
			return r, nil, s.loses(lostNoSeed)
		}
		return r, p, nil
	}
	// A crash before the commit leaves all as it was; after it, the token is the stored one.
	p = &pair{Refresh: string(c.Seed)}
	sealed, err := k.seal(ctx, c, p)
	if err != nil {
		return r, nil, err
	}
	tx, err := session.BeginTx(ctx, nil)
	if err != nil {
		return r, nil, fmt.Errorf("beginning with the first token of %s: %w", c.Name, err)
	}
	defer func() { _ = tx.Rollback() }() // after the commit there is nothing to do
	next := row{version: r.version + 1, sealed: sealed}
	if _, err := tx.ExecContext(ctx, `INSERT INTO upstream_seed (name, digest) VALUES ($1, $2)`, c.Name, digest); err != nil {
		return r, nil, fmt.Errorf("beginning with the first token of %s: %w", c.Name, err)
	}
	if ok, err := put(ctx, tx, c.Name, r.version, next); err != nil || !ok {
		return r, nil, cmp.Or(err, errMoved)
	}
	if err := tx.Commit(); err != nil {
		return r, nil, fmt.Errorf("beginning with the first token of %s: %w", c.Name, err)
	}
	return next, p, nil
}

// loses notes why there are no more tokens.
func (s *Source) loses(why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = why
	return fmt.Errorf("%w (%s)", ErrLost, why)
}

// errMoved: somebody else wrote the row although this source has the lock.
var errMoved = errors.New("another process has asked for a token meanwhile")

// question asks the vendor and keeps what it answers. p is what to refresh with.
func (s *Source) question(ctx context.Context, session db, r row, p *pair) (*Token, error) {
	k, c := s.keeper, &s.client
	// Without a place for the answer the question would lose what there is.
	if _, err := k.seal(ctx, c, new(pair)); err != nil {
		return nil, err
	}
	// The mark goes through the session that has the lock: whoever lost it asks nothing. A
	// crash from here on leaves it, and settled finds it.
	asking := r
	asking.asked = rand.Int64N(math.MaxInt64-1) + 1
	s.mu.Lock()
	s.mark = asking.asked
	s.mu.Unlock()
	if ok, err := put(ctx, session, c.Name, r.version, asking); err != nil || !ok {
		return nil, cmp.Or(err, errMoved)
	}
	refresh := ""
	if c.Refresh {
		refresh = p.Refresh
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.Attempt)
	defer cancel()
	answer, sure, err := c.ask(limit, refresh, k.Now())
	if err != nil {
		k.asked(c.Name, err)
		known := r // as it was before the question
		if lost := errors.Is(err, errRefused) && c.Refresh; lost {
			known.asked, known.lost = 0, lostRevoked
			if r.asked != 0 {
				known.lost = lostUnanswered
			}
			err = s.loses(known.lost)
			k.Logger.Error("the vendor takes the refresh token no more: authorise the gateway again, and configure the new refresh token", slog.String("credential", c.Name), slog.String("why", known.lost))
		}
		if sure {
			if kept := s.keep(ctx, r.version, known); kept != nil {
				k.Logger.Warn("what a vendor answered to the question for a token was not kept", slog.String("credential", c.Name), slog.Any("error", kept))
			}
		}
		return nil, err
	}
	next := row{version: r.version + 1}
	if next.sealed, err = k.seal(context.WithoutCancel(ctx), c, answer); err == nil {
		err = s.keep(ctx, r.version, next)
	}
	k.asked(c.Name, err)
	if err != nil {
		k.Logger.Error("a new pair of tokens could not be kept: the vendor has taken the old one back, and will want the gateway authorised again", slog.String("credential", c.Name), slog.Any("error", err))
		return nil, err
	}
	return answer.token(next.version), nil
}

// keep makes a row durable. The answer in it comes once, so it goes on trying until the
// keeper ends.
func (s *Source) keep(ctx context.Context, before int64, next row) error {
	k, name := s.keeper, s.client.Name
	for wait := firstRetry / 8; ; wait = min(2*wait, lastRetry/4) {
		err := func() error {
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
			defer cancel()
			ok, err := put(limit, k.db, name, before, next)
			if err != nil || ok {
				return err
			}
			// A commit whose outcome was unknown may have been one.
			r, err := load(limit, k.db, name)
			if err == nil && (r.version != next.version || !bytes.Equal(r.sealed, next.sealed)) {
				err = errMoved
			}
			return err
		}()
		if err == nil || errors.Is(err, errMoved) || ctx.Err() != nil {
			return err
		}
		k.Logger.Error("a new pair of tokens is not kept yet, and not used before it is", slog.String("credential", name), slog.Any("error", err))
		select {
		case <-ctx.Done(): // once more
		case <-time.After(wait):
		}
	}
}

// keepTime bounds one try to make an answer durable.
const keepTime = 10 * time.Second

// asked tells whoever counts how a question ended.
func (k *Keeper) asked(name string, err error) {
	switch {
	case k.Asked == nil:
	case err == nil:
		k.Asked(name, "new")
	case errors.Is(err, errRefused):
		k.Asked(name, "refused")
	default:
		k.Asked(name, "failed")
	}
}
