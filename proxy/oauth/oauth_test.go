package oauth_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy/oauth"
)

// sealer seals under one key, and fails as it is told.
type sealer struct {
	mu   sync.Mutex
	fail func(plain []byte) error
}

func (s *sealer) aead() cipher.AEAD {
	block, _ := aes.NewCipher(bytes.Repeat([]byte{7}, 32))
	a, _ := cipher.NewGCM(block)
	return a
}

func (s *sealer) failWith(f func(plain []byte) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

func (s *sealer) Seal(_ context.Context, name string, plain []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(plain); err != nil {
			return nil, err
		}
	}
	a := s.aead()
	nonce := make([]byte, a.NonceSize())
	rand.Read(nonce)
	return a.Seal(nonce, nonce, plain, []byte(name)), nil
}

func (s *sealer) Open(_ context.Context, name string, sealed []byte) ([]byte, error) {
	a := s.aead()
	return a.Open(nil, sealed[:a.NonceSize()], sealed[a.NonceSize():], []byte(name))
}

func digest(purpose string, b []byte) []byte {
	sum := sha256.Sum256(append([]byte(purpose+"\x00"), b...))
	return sum[:]
}

// vendor is a token endpoint that rotates: a refresh token counts once.
type vendor struct {
	*httptest.Server
	mu sync.Mutex
	// refresh is the one that counts.
	refresh    string
	asked      int // questions that got so far
	now, most  int // questions at once
	before     func(n int)
	after      func(n int, w http.ResponseWriter) (answered bool)
	expires    int
	lastForm   string
	authorized string
}

func newVendor(t testing.TB) *vendor {
	t.Helper()
	v := &vendor{refresh: "seed-token-0", expires: 1800}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	v.mu.Lock()
	v.asked++
	n := v.asked
	v.now++
	v.most = max(v.most, v.now)
	v.lastForm, v.authorized = r.PostForm.Encode(), r.Header.Get("Authorization")
	before, after := v.before, v.after
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		v.now--
		v.mu.Unlock()
	}()
	if before != nil {
		before(n)
	}
	v.mu.Lock()
	answer := map[string]any{"access_token": fmt.Sprintf("access-token-%d", n), "token_type": "Bearer", "expires_in": v.expires}
	if r.PostForm.Get("grant_type") == "refresh_token" {
		if r.PostForm.Get("refresh_token") != v.refresh {
			v.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_grant","error_description":"`+r.PostForm.Get("refresh_token")+`"}`)
			return
		}
		v.refresh = fmt.Sprintf("refresh-token-%d", n)
		answer["refresh_token"] = v.refresh
	}
	v.mu.Unlock()
	if after != nil && after(n, w) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (v *vendor) questions() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked
}

func (v *vendor) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

// clock is set by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// bench is a database with a keeper on it.
type bench struct {
	t      *testing.T
	where  string
	db     *store.DB
	keeper *oauth.Keeper
	sealer *sealer
	clock  *clock
	log    *lines
}

// lines keeps what is logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func openBench(t *testing.T, where string, c *clock) *bench {
	t.Helper()
	b := &bench{t: t, where: where, sealer: new(sealer), clock: c, log: new(lines)}
	var err error
	if b.db, err = store.Open(t.Context(), where, store.Options{Create: true}); err != nil {
		t.Fatal(err)
	}
	b.keeper, err = oauth.Open(t.Context(), b.db, oauth.KeeperConfig{Sealer: b.sealer, Digest: digest, Now: c.Now, Attempt: 2 * time.Second, Logger: slog.New(slog.NewTextHandler(b.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

func (b *bench) close() {
	if err := errors.Join(b.keeper.Close(), b.db.Close()); err != nil {
		b.t.Error(err)
	}
}

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(t *testing.T, where string)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, filepath.Join(t.TempDir(), "state.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, pgtest.Database(t))
	})
}

func client(v *vendor, seed string) oauth.Client {
	return oauth.Client{Name: "desk", TokenURL: v.URL, ID: "gateway", Secret: "client-secret", Refresh: seed != "", Seed: policy.Secret(seed), HTTP: &http.Client{}}
}

func token(t *testing.T, s *oauth.Source) *oauth.Token {
	t.Helper()
	tok, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// One question for all that call, a new one when the end comes near, and the stored pair
// after a restart.
func TestRotation(t *testing.T) {
	onBoth(t, func(t *testing.T, where string) {
		v, c := newVendor(t), newClock()
		b := openBench(t, where, c)
		s := b.keeper.Source(client(v, "seed-token-0"))
		for round := 1; round <= 3; round++ {
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if tok, err := s.Token(t.Context()); err != nil || string(tok.Access) != fmt.Sprintf("access-token-%d", round) {
						t.Errorf("round %d: %v, %v", round, tok, err)
					}
				})
			}
			all.Wait()
			if n := v.questions(); n != round {
				t.Fatalf("round %d: %d questions", round, n)
			}
			c.Move(29 * time.Minute)
		}
		c.Move(-29 * time.Minute)
		old := token(t, s)
		var sealed []byte
		if err := b.db.QueryRow(`SELECT sealed FROM upstream_token`).Scan(&sealed); err != nil || bytes.Contains(sealed, []byte("token")) {
			t.Errorf("the row: %v, %d bytes, want them sealed", err, len(sealed))
		}
		b.close()
		again := openBench(t, where, c)
		b.keeper, b.db = again.keeper, again.db
		if got := token(t, again.keeper.Source(client(v, "seed-token-0"))); got.Version != old.Version || got.Access != old.Access || v.questions() != 3 {
			t.Errorf("after a restart: version %d, %d questions, want %d and 3", got.Version, v.questions(), old.Version)
		}
		if v.authorized == "" || strings.Contains(v.lastForm, "client-secret") {
			t.Error("the client did not use HTTP Basic")
		}
	})
}

func TestClientCredentials(t *testing.T) {
	onBoth(t, func(t *testing.T, where string) {
		v, c := newVendor(t), newClock()
		b := openBench(t, where, c)
		cl := client(v, "")
		cl.Post, cl.Scopes = true, []string{"read", "write"}
		s := b.keeper.Source(cl)
		if got := token(t, s); string(got.Access) != "access-token-1" || got.Version != 1 {
			t.Errorf("got version %d", got.Version)
		}
		if !strings.Contains(v.lastForm, "client_secret=client-secret") || !strings.Contains(v.lastForm, "scope=read+write") || v.authorized != "" {
			t.Error("the question is not what was configured")
		}
		c.Move(29 * time.Minute)
		if got := token(t, s); got.Version != 2 {
			t.Errorf("near its end: version %d, want 2", got.Version)
		}
		// Another scope is another token, under the same name.
		cl.Scopes = []string{"read"}
		if got := token(t, b.keeper.Source(cl)); got.Version != 3 {
			t.Errorf("another scope: version %d, want 3", got.Version)
		}
	})
}

// A refresh token that the vendor takes no more is asked with once; a new one begins anew,
// and the one that was used never again.
func TestLost(t *testing.T) {
	onBoth(t, func(t *testing.T, where string) {
		v, c := newVendor(t), newClock()
		b := openBench(t, where, c)
		s := b.keeper.Source(client(v, "seed-token-0"))
		token(t, s)
		v.set(func() { v.refresh = "revoked-by-an-administrator" })
		c.Move(time.Hour)
		for range 3 {
			if _, err := s.Token(t.Context()); !errors.Is(err, oauth.ErrLost) {
				t.Fatalf("got %v, want ErrLost", err)
			}
			c.Move(time.Hour)
		}
		if n := v.questions(); n != 2 {
			t.Errorf("%d questions, want 2: one that was refused", n)
		}
		if st := b.keeper.Status(); len(st) != 1 || st[0].Lost != "revoked" || st[0].Trouble == "" {
			t.Errorf("status: %+v", st)
		}
		v.set(func() { v.refresh = "seed-token-1" })
		if got := token(t, b.keeper.Source(client(v, "seed-token-1"))); string(got.Access) != "access-token-3" {
			t.Error("the new token did not begin")
		}
		// A process with the old configuration goes on with what there is.
		if got, err := b.keeper.Source(client(v, "seed-token-0")).Token(t.Context()); err != nil || string(got.Access) != "access-token-3" || v.questions() != 3 {
			t.Errorf("the old configuration: %v, %d questions", err, v.questions())
		}
		if st := b.keeper.Status(); st[0].Lost != "" {
			t.Errorf("status: %+v", st)
		}
	})
}

// Without a token to begin with there is none.
func TestNoSeed(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	b := openBench(t, filepath.Join(t.TempDir(), "state.db"), newClock())
	cl := client(v, "x")
	cl.Seed = ""
	if _, err := b.keeper.Source(cl).Token(t.Context()); !errors.Is(err, oauth.ErrLost) || v.questions() != 0 {
		t.Errorf("got %v with %d questions", err, v.questions())
	}
}

// What cannot be sealed is not asked for, and what was not sealed is not used.
func TestSealedBeforeUse(t *testing.T) {
	onBoth(t, func(t *testing.T, where string) {
		v, c := newVendor(t), newClock()
		b := openBench(t, where, c)
		s := b.keeper.Source(client(v, "seed-token-0"))
		b.sealer.failWith(func([]byte) error { return errors.New("the keys are away") })
		if _, err := s.Token(t.Context()); !errors.Is(err, oauth.ErrUnavailable) || v.questions() != 0 {
			t.Fatalf("got %v with %d questions, want none", err, v.questions())
		}
		b.sealer.failWith(func(plain []byte) error {
			if bytes.Contains(plain, []byte("access-token")) {
				return errors.New("the keys went away")
			}
			return nil
		})
		c.Move(time.Hour)
		if tok, err := s.Token(t.Context()); tok != nil || !errors.Is(err, oauth.ErrUnavailable) || v.questions() != 1 {
			t.Fatalf("got %v, %v with %d questions", tok, err, v.questions())
		}
		b.sealer.failWith(nil)
		c.Move(time.Hour)
		if _, err := s.Token(t.Context()); !errors.Is(err, oauth.ErrLost) || b.keeper.Status()[0].Lost != "unanswered" {
			t.Errorf("got %v, %+v, want it lost as unanswered", err, b.keeper.Status())
		}
		if !strings.Contains(b.log.String(), "could not be kept") {
			t.Error("the log does not say that a pair was lost")
		}
	})
}

// A pair that the database does not take at once is kept when it does, and nobody has it
// before.
func TestKeptLater(t *testing.T) {
	t.Parallel()
	v, c := newVendor(t), newClock()
	b := openBench(t, filepath.Join(t.TempDir(), "state.db"), c)
	full := make(chan struct{})
	v.set(func() {
		v.after = func(int, http.ResponseWriter) bool {
			if _, err := b.db.Exec(`ALTER TABLE upstream_token RENAME TO away`); err != nil {
				t.Error(err)
			}
			close(full)
			return false
		}
	})
	s := b.keeper.Source(client(v, "seed-token-0"))
	got := make(chan *oauth.Token, 1)
	go func() {
		tok, err := s.Token(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- tok
	}()
	<-full
	for !strings.Contains(b.log.String(), "is not kept yet") {
		select {
		case <-got:
			t.Fatal("a pair that is not durable was given out")
		case <-time.After(5 * time.Millisecond):
		}
	}
	if _, err := b.db.Exec(`ALTER TABLE away RENAME TO upstream_token`); err != nil {
		t.Fatal(err)
	}
	if tok := <-got; tok == nil || string(tok.Access) != "access-token-1" {
		t.Error("no token")
	}
}

// Gateways on one database ask one after the other, and only one of them asks.
func TestOneHolder(t *testing.T) {
	t.Parallel()
	v, c := newVendor(t), newClock()
	where := pgtest.Database(t)
	var sources []*oauth.Source
	for range 4 {
		sources = append(sources, openBench(t, where, c).keeper.Source(client(v, "seed-token-0")))
	}
	for round := int64(1); round <= 4; round++ {
		var all sync.WaitGroup
		var mu sync.Mutex
		var versions []int64
		for _, s := range sources {
			all.Go(func() {
				tok, err := s.Token(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				versions = append(versions, tok.Version)
			})
		}
		all.Wait()
		if slices.Sort(versions); len(versions) != 4 || versions[0] != versions[3] || v.questions() != int(round) {
			t.Fatalf("round %d: versions %v, %d questions", round, versions, v.questions())
		}
		c.Move(29 * time.Minute)
	}
	if v.most != 1 {
		t.Errorf("%d questions at once, want 1", v.most)
	}
}

// A session that was lost in mid-question lets nobody in before the question is over.
func TestSessionLost(t *testing.T) {
	t.Parallel()
	v, c := newVendor(t), newClock()
	where := pgtest.Server(t)
	one, two := openBench(t, where, c), openBench(t, where, c)
	there, on := make(chan struct{}), make(chan struct{})
	v.set(func() {
		v.before = func(n int) {
			if n == 1 {
				close(there)
				<-on
			}
		}
	})
	first := make(chan error, 1)
	go func() {
		_, err := one.keeper.Source(client(v, "seed-token-0")).Token(t.Context())
		first <- err
	}()
	<-there
	pgtest.Disconnect(t, where)
	second := make(chan error, 1)
	go func() {
		_, err := two.keeper.Source(client(v, "seed-token-0")).Token(t.Context())
		second <- err
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(two.log.String(), "was never kept") {
		select {
		case <-tick.C:
		case err := <-second:
			t.Fatalf("the second did not wait: %v", err)
		}
	}
	close(on)
	if err := errors.Join(<-first, <-second); err != nil || v.questions() != 1 || v.most != 1 {
		t.Errorf("got %v with %d questions, want the second to use the first one's", err, v.questions())
	}
}

// A token that the vendor refuses is renewed once it is old enough to have been revoked, and
// by nobody twice.
func TestRenew(t *testing.T) {
	t.Parallel()
	v, c := newVendor(t), newClock()
	b := openBench(t, filepath.Join(t.TempDir(), "state.db"), c)
	s := b.keeper.Source(client(v, "seed-token-0"))
	old := token(t, s)
	if _, err := s.Renew(t.Context(), old.Version); err == nil || v.questions() != 1 {
		t.Errorf("a token of this instant was renewed: %d questions", v.questions())
	}
	c.Move(time.Minute)
	next, err := s.Renew(t.Context(), old.Version)
	if err != nil || next.Version <= old.Version || v.questions() != 2 {
		t.Fatalf("got %v, %d questions", err, v.questions())
	}
	c.Move(time.Minute)
	if again, err := s.Renew(t.Context(), old.Version); err != nil || again.Version != next.Version || v.questions() != 2 {
		t.Errorf("a version from before: %v, %d questions", err, v.questions())
	}
}

// A vendor that is away is asked less and less; what is still good is used.
func TestAway(t *testing.T) {
	t.Parallel()
	v, c := newVendor(t), newClock()
	b := openBench(t, filepath.Join(t.TempDir(), "state.db"), c)
	s := b.keeper.Source(client(v, "seed-token-0"))
	first := token(t, s)
	v.set(func() {
		v.before = func(int) { panic(http.ErrAbortHandler) }
	})
	c.Move(29 * time.Minute)
	if got := token(t, s); got.Version != first.Version {
		t.Error("a token that lasts another minute was not used")
	}
	c.Move(time.Hour)
	asked := v.questions()
	for range 50 {
		if _, err := s.Token(t.Context()); !errors.Is(err, oauth.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
	}
	if n := v.questions() - asked; n != 1 {
		t.Errorf("%d questions within an instant, want 1", n)
	}
	v.set(func() { v.before = nil })
	c.Move(time.Hour)
	if got := token(t, s); got.Version <= first.Version {
		t.Error("no new token when the vendor was back")
	}
}

// Neither log nor error repeats a token, the secret, or what a vendor says.
func TestSaysNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"refused": func(w http.ResponseWriter, r *http.Request) {
			echo(w, r, 400, `{"error":"invalid_grant","error_description":"%s"}`)
		},
		"unknown": func(w http.ResponseWriter, r *http.Request) {
			echo(w, r, 401, `{"error":"geheim","error_description":"%s"}`)
		},
		"page":     func(w http.ResponseWriter, r *http.Request) { echo(w, r, 500, `%s`) },
		"no token": func(w http.ResponseWriter, r *http.Request) { echo(w, r, 200, `{"said":"%s"}`) },
		"no JSON":  func(w http.ResponseWriter, r *http.Request) { echo(w, r, 200, `%s`) },
		"mac token": func(w http.ResponseWriter, r *http.Request) {
			echo(w, r, 200, `{"access_token":"%s","token_type":"mac"}`)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere?client-secret")
			echo(w, r, 307, `%s`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t)
			v.Config.Handler = answer
			b := openBench(t, filepath.Join(t.TempDir(), "state.db"), newClock())
			cl := client(v, "seed-token-0")
			cl.Post = true
			cl.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			_, err := b.keeper.Source(cl).Token(t.Context())
			if err == nil {
				t.Fatal("a token came of it")
			}
			said := err.Error() + b.log.String() + fmt.Sprint(b.keeper.Status())
			for _, secret := range []string{"seed-token", "client-secret", "geheim"} {
				if strings.Contains(said, secret) {
					t.Errorf("%s is in: %s", secret, said)
				}
			}
		})
	}
}

func echo(w http.ResponseWriter, r *http.Request, status int, format string) {
	_ = r.ParseForm()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, format, r.PostForm.Encode())
}
