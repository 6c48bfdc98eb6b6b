package oauth

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caregate/caregate/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Sealer seals what is stored under the name it is stored for.
type Sealer interface {
	Seal(ctx context.Context, name string, plain []byte) ([]byte, error)
	Open(ctx context.Context, name string, sealed []byte) ([]byte, error)
}

// KeeperConfig are the arguments of Open.
type KeeperConfig struct {
	// Sealer and Digest, a keyed digest of 32 bytes, are needed.
	Sealer Sealer
	Digest func(purpose string, b []byte) []byte
	// Logger gets what operators should know; nil discards.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Asked, when set, is told how each question to a vendor ended: new, refused, failed.
	Asked func(name, outcome string)
	// Attempt bounds a question to a vendor. Default 20 seconds.
	Attempt time.Duration
	// Youngest is how long a token that a vendor refuses is taken for good all the same: a
	// call that is answered with 401 for another reason must not use tokens up. Default 30
	// seconds.
	Youngest time.Duration
}

// Keeper keeps the tokens of a data directory. It is safe for concurrent use.
type Keeper struct {
	db *store.DB
	KeeperConfig

	ctx  context.Context
	stop context.CancelFunc
	// holding bounds the sessions that hold a lock of the database.
	holding chan struct{}

	mu      sync.Mutex
	closed  bool
	sources map[string]*Source
	locks   map[string]chan struct{}
	flights sync.WaitGroup
}

// Times and bounds that are nobody's setting.
const (
	defaultAttempt  = 20 * time.Second
	defaultYoungest = 30 * time.Second
	// mostHolding leaves connections for everything else.
	mostHolding = 2
	// mostResting connections of a pool can have ended with the server.
	mostResting = 8
	firstRetry  = time.Second
	lastRetry   = time.Minute
	// lookEvery is how often the mark of another holder is looked at.
	lookEvery = 250 * time.Millisecond
)

// Open prepares the tables. The database stays the caller's, who closes it after Close.
func Open(ctx context.Context, db *store.DB, c KeeperConfig) (*Keeper, error) {
	if c.Sealer == nil || c.Digest == nil {
		return nil, errors.New("opening the tokens for vendors: no sealer or digest was given")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Attempt == 0 {
		c.Attempt = defaultAttempt
	}
	if c.Youngest == 0 {
		c.Youngest = defaultYoungest
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err == nil {
		err = db.Migrate(ctx, "oauth", sub)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the tokens for vendors: %w", err)
	}
	k := &Keeper{db: db, KeeperConfig: c, holding: make(chan struct{}, mostHolding), sources: make(map[string]*Source), locks: make(map[string]chan struct{})}
	k.ctx, k.stop = context.WithCancel(context.Background())
	return k, nil
}

// Close waits for questions that are under way: their answers come once. It may be called
// twice.
func (k *Keeper) Close() error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.stop()
	k.flights.Wait()
	return nil
}

// Source gives the source of a client. All that ask for the same client share one; another
// client under the same name takes its place.
func (k *Keeper) Source(c Client) *Source {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.sources[c.Name]; s != nil && s.client.same(&c) {
		return s
	}
	s := &Source{keeper: k, client: c}
	k.sources[c.Name] = s
	return s
}

// Status says how the tokens stand that were asked for since the keeper was opened, by name.
func (k *Keeper) Status() []Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := []Status{}
	for _, s := range k.sources {
		list = append(list, s.status())
	}
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// row is what is stored of a name.
type row struct {
	version int64
	sealed  []byte
	asked   int64
	lost    string
}

// pair is what row.sealed holds.
type pair struct {
	V       int    `json:"v"`
	Of      []byte `json:"of"` // whose, see Client.of
	Access  string `json:"access"`
	Refresh string `json:"refresh,omitempty"`
	// Expires and Got are milliseconds; Expires is 0 where the vendor does not say.
	Expires int64 `json:"expires"`
	Got     int64 `json:"got"`
}

const pairVersion = 1

// db is a database or a session.
type db interface {
	statements
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// statements are what a transaction has as well.
type statements interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// load reads a row; without one it is all zero.
func load(ctx context.Context, from statements, name string) (row, error) {
	var r row
	err := from.QueryRowContext(ctx, `SELECT version, sealed, asked, lost FROM upstream_token WHERE name = $1`, name).Scan(&r.version, &r.sealed, &r.asked, &r.lost)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, nil
	}
	if err != nil {
		return row{}, fmt.Errorf("reading the token of %s: %w", name, err)
	}
	return r, nil
}

// open reads the pair of a row; nil when there is none of this client.
func (k *Keeper) open(ctx context.Context, c *Client, r row) (*pair, error) {
	if len(r.sealed) == 0 {
		return nil, nil
	}
	plain, err := k.Sealer.Open(ctx, c.Name, r.sealed)
	if err != nil {
		return nil, fmt.Errorf("opening the token of %s: %w", c.Name, err)
	}
	p := new(pair)
	if err := json.Unmarshal(plain, p); err != nil || p.V != pairVersion {
		return nil, fmt.Errorf("the token of %s is none that this version wrote", c.Name)
	}
	if string(p.Of) != string(c.of(k.Digest)) {
		return nil, nil
	}
	return p, nil
}

func (k *Keeper) seal(ctx context.Context, c *Client, p *pair) ([]byte, error) {
	p.V, p.Of = pairVersion, c.of(k.Digest)
	plain, err := json.Marshal(p)
	if err == nil {
		plain, err = k.Sealer.Seal(ctx, c.Name, plain)
	}
	if err != nil {
		return nil, fmt.Errorf("sealing the token of %s: %w", c.Name, err)
	}
	return plain, nil
}

// put writes a row of a version in place of the one before. It reports false when somebody
// else was there.
func put(ctx context.Context, to statements, name string, before int64, r row) (bool, error) {
	res, err := to.ExecContext(ctx, `INSERT INTO upstream_token (name, version, sealed, asked, lost) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET version = excluded.version, sealed = excluded.sealed, asked = excluded.asked, lost = excluded.lost
WHERE upstream_token.version = $6`, name, r.version, append([]byte{}, r.sealed...), r.asked, r.lost, before)
	if err != nil {
		return false, fmt.Errorf("writing the token of %s: %w", name, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("writing the token of %s: %w", name, err)
	}
	return n == 1, nil
}

// lock waits until nobody else asks for the name. What is written under the lock goes through
// the session that it gives: one that was lost can write no more.
func (k *Keeper) lock(ctx context.Context, name string) (session db, unlock func(), err error) {
	k.mu.Lock()
	l := k.locks[name]
	if l == nil {
		l = make(chan struct{}, 1)
		k.locks[name] = l
	}
	k.mu.Unlock()
	select {
	case l <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	if k.db.Dialect != store.Postgres {
		return k.db, func() { <-l }, nil
	}
	select {
	case k.holding <- struct{}{}:
	case <-ctx.Done():
		<-l
		return nil, nil, context.Cause(ctx)
	}
	conn, err := k.lockSession(ctx, name)
	if err != nil {
		<-k.holding
		<-l
		return nil, nil, err
	}
	return conn, func() {
		drop(conn)
		<-k.holding
		<-l
	}, nil
}

// lockSession takes the lock of the database.
func (k *Keeper) lockSession(ctx context.Context, name string) (*sql.Conn, error) {
	var conn *sql.Conn
	for tries := 0; ; tries++ {
		var err error
		if conn, err = k.db.Conn(ctx); err != nil {
			return nil, fmt.Errorf("asking for the lock of %s: %w", name, err)
		}
		if err = conn.PingContext(ctx); err == nil {
			break
		}
		drop(conn) // the server ended it while it rested
		if tries == mostResting {
			return nil, fmt.Errorf("asking for the lock of %s: %w", name, err)
		}
	}
	for {
		var err error
		switch err = k.db.LockSession(ctx, conn, "caregate oauth "+name); {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil, !errors.Is(err, store.ErrLocked):
			drop(conn)
			return nil, err
		}
	}
}

// drop ends a session with its locks, in place of giving it back to the pool.
func drop(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}
