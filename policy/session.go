package policy

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/caregate/caregate/internal/store"
)

const (
	// maxSessions is how many one person has; the oldest end first. Each browser is one.
	maxSessions = 20
	// usedStep is how exact Session.Used is; a write per call would be a write lock per
	// call.
	usedStep = time.Minute
)

// Bounds of how long a session lasts.
const (
	ShortestSession = 5 * time.Minute
	LongestSession  = 7 * 24 * time.Hour
)

// ErrNoSession is returned by Revoke for an ID that does not exist.
var ErrNoSession = errors.New("there is no such session")

// Session is somebody who logged in, as it is listed.
type Session struct {
	// ID names the session in lists and logs; it is not secret.
	ID string
	// Actor is the ID of the actor that it makes; not personal.
	Actor string
	// Created, Used (exact to a minute) and Expires, when it ends in any case.
	Created, Used, Expires time.Time
}

// Sessions are the people who are logged in, in state.db. What stands there names nobody:
// a keyed digest of the cookie, and the provider's claims under a key that only the cookie
// gives. Nothing is kept in memory, so a session that ends has ended in all gateways on
// one database. Safe for concurrent use.
type Sessions struct {
	db     *store.DB
	digest digestFunc
	now    func() time.Time
	log    *slog.Logger

	mu     sync.Mutex
	closed bool
	used   map[string]time.Time // by ID, when Used was written last
	writes sync.WaitGroup
}

// OpenSessions prepares the table in state.db. The database stays the caller's, who closes
// it after Close.
func OpenSessions(ctx context.Context, db *store.DB, c KeysConfig) (*Sessions, error) {
	if c.Digest == nil {
		return nil, errors.New("opening the sessions: no keyed digest was given")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	return &Sessions{db: db, digest: c.Digest, now: c.Now, log: c.Logger, used: make(map[string]time.Time)}, nil
}

// The form of the secret of a session: like an API key's, with 256 random bits.
const (
	sessionPrefix = "cgs1"
	sessionBody   = 52 // characters for 256 bits
	sessionSize   = len(sessionPrefix) + sessionBody + keyCheckSize
)

// Purposes of the keyed digests of a session, and of the key of its claims.
const (
	purposeSession      = "session"
	purposeSessionCheck = "session check"
	purposeClaims       = "caregate session claims v1"
)

func sessionCheck(digest digestFunc, body string) string {
	return crockford.EncodeToString(digest(purposeSessionCheck, []byte(body))[:5])[:keyCheckSize]
}

// parseSession gives the digest of a well-formed secret whose check is right, and the
// cipher of its claims.
func parseSession(digest digestFunc, s Secret) (sum []byte, claims cipher.AEAD, ok bool) {
	body, ok := strings.CutPrefix(string(s), sessionPrefix)
	if !ok || len(s) != sessionSize {
		return nil, nil, false
	}
	body, check := body[:sessionBody], body[sessionBody:]
	if subtle.ConstantTimeCompare([]byte(check), []byte(sessionCheck(digest, body))) != 1 {
		return nil, nil, false
	}
	key, err := hkdf.Key(sha256.New, []byte(body), nil, purposeClaims, 32)
	if err != nil {
		return nil, nil, false
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, false
	}
	claims, err = cipher.NewGCMWithRandomNonce(block)
	return digest(purposeSession, []byte(body)), claims, err == nil
}

// open makes a session for whom the claims are about. It has a new secret, whatever the
// browser had before.
func (s *Sessions) open(ctx context.Context, actor string, claims []byte, lasts time.Duration) (Session, Secret, error) {
	var raw [32]byte
	rand.Read(raw[:]) // never fails: the runtime ends the process first
	body := crockford.EncodeToString(raw[:])
	secret := Secret(sessionPrefix + body + sessionCheck(s.digest, body))
	sum, seal, ok := parseSession(s.digest, secret)
	if !ok {
		return Session{}, "", errors.New("making a session: it does not parse")
	}
	now := s.now()
	made := Session{ID: newKeyID(), Actor: actor, Created: now, Used: now, Expires: now.Add(lasts)}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return Session{}, "", fmt.Errorf("making a session: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	for _, q := range []struct {
		text string
		args []any
	}{
		{`DELETE FROM session WHERE expires <= $1`, []any{store.Millis(now)}},
		{`DELETE FROM session WHERE actor = $1 AND id NOT IN (SELECT id FROM session WHERE actor = $1 ORDER BY created DESC, id LIMIT $2)`, []any{actor, maxSessions - 1}},
		{`INSERT INTO session (id, digest, actor, claims, created, used, expires) VALUES ($1, $2, $3, $4, $5, $5, $6)`,
			[]any{made.ID, sum, actor, seal.Seal(nil, nil, claims, []byte(made.ID)), store.Millis(now), store.Millis(made.Expires)}},
	} {
		if _, err := tx.ExecContext(ctx, q.text, q.args...); err != nil {
			return Session{}, "", fmt.Errorf("making a session: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return Session{}, "", fmt.Errorf("making a session: %w", err)
	}
	return made, secret, nil
}

// find gives the session that was presented and its claims, and notes its use. A secret
// that is malformed or unknown, and a session that ended, has not been used for idle or is
// older than lasts, is ErrRefused, one error for all; other errors mean that the database
// could not be asked.
func (s *Sessions) find(ctx context.Context, presented Secret, idle, lasts time.Duration) (Session, []byte, error) {
	sum, seal, ok := parseSession(s.digest, presented)
	if !ok {
		return Session{}, nil, ErrRefused
	}
	var sealed []byte
	found, err := scanSession(s.db.QueryRowContext(ctx, `SELECT id, actor, created, used, expires, claims FROM session WHERE digest = $1`, sum), &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, nil, ErrRefused
	}
	if err != nil {
		return Session{}, nil, fmt.Errorf("looking for a session: %w", err)
	}
	now := s.now()
	if end := found.Created.Add(lasts); end.Before(found.Expires) {
		found.Expires = end
	}
	// What a wrong clock made in the future does not count: it would last longer than told.
	if !now.Before(found.Expires) || !now.Before(found.Used.Add(idle)) || found.Created.After(now.Add(skew)) {
		return Session{}, nil, ErrRefused
	}
	claims, err := seal.Open(nil, nil, sealed, []byte(found.ID))
	if err != nil {
		return Session{}, nil, ErrRefused // somebody changed the row
	}
	s.touch(found.ID, now)
	return found, claims, nil
}

func scanSession(row store.Row, more ...any) (Session, error) {
	var s Session
	var created, used, expires int64
	if err := row.Scan(append([]any{&s.ID, &s.Actor, &created, &used, &expires}, more...)...); err != nil {
		return Session{}, err
	}
	s.Created, s.Used, s.Expires = store.Moment(created), store.Moment(used), store.Moment(expires)
	return s, nil
}

// touch writes Used, at most once a minute for each session, beside the call. A write that
// fails ends the session early.
func (s *Sessions) touch(id string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.used[id]; s.closed || ok && now.Sub(last) < usedStep {
		return
	}
	if len(s.used) > maxKeys { // of sessions that ended long ago
		clear(s.used)
	}
	s.used[id] = now
	s.writes.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), lastUsedTimeout)
		defer cancel()
		if _, err := s.db.ExecContext(ctx, `UPDATE session SET used = $1 WHERE id = $2 AND used < $1`, store.Millis(now), id); err != nil {
			s.log.Warn("a session's last use was not written", slog.String("session", id), slog.Any("error", err))
		}
	})
}

// End ends the session that was presented, and says which it was. One that is not there
// has ended.
func (s *Sessions) End(ctx context.Context, presented Secret) (Session, bool, error) {
	sum, _, ok := parseSession(s.digest, presented)
	if !ok {
		return Session{}, false, nil
	}
	ended, err := scanSession(s.db.QueryRowContext(ctx, `DELETE FROM session WHERE digest = $1 RETURNING id, actor, created, used, expires`, sum))
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, false, nil
	}
	if err != nil {
		return Session{}, false, fmt.Errorf("ending a session: %w", err)
	}
	return ended, true, nil
}

// Revoke ends a session by its ID, at once and in all gateways. ErrNoSession when there is
// none.
func (s *Sessions) Revoke(ctx context.Context, id string) error {
	res, err := s.db.ExecContext(ctx, `DELETE FROM session WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	if n == 0 {
		return ErrNoSession
	}
	return nil
}

// mostListed bounds a list that is read whole.
const mostListed = 10_000

// List returns the newest 10,000 sessions that have not expired, oldest first. Some may
// have ended because nobody used them.
func (s *Sessions) List(ctx context.Context) ([]Session, error) {
	list, err := store.List(ctx, s.db, func(row store.Row) (Session, error) { return scanSession(row) }, `SELECT id, actor, created, used, expires FROM (SELECT * FROM session WHERE expires > $1 ORDER BY created DESC, id LIMIT $2) AS newest ORDER BY created, id`,
		store.Millis(s.now()), mostListed)
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	return list, nil
}

// Close waits for writes that are under way. It may be called twice.
func (s *Sessions) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.writes.Wait()
	return nil
}
