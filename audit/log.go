package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/caregate/caregate/internal/store"
)

// Config says how a log is created and opened. The zero value of every field but
// Deployment has a meaning.
type Config struct {
	// Deployment is the name in the log's origin, `<deployment>/audit/<year>h<1|2>`.
	// Required: letters, digits, dot, dash and underscore.
	Deployment string
	// Node names this writer in every leaf. Default "node-1".
	Node string
	// Database is the URL of a PostgreSQL database (postgres://...) that holds the log's
	// tables in place of four SQLite files; "" for files. One database holds one log.
	// The tree stays in the data directory.
	Database string
	// KeyDir is the folder of the signing key. Default: "keys" in the data
	// directory.
	KeyDir string
	// Logger takes the log's own messages. Default: discard.
	Logger *slog.Logger
	// Now gives wall time. Default time.Now.
	Now func() time.Time
	// Mono gives the time since boot. Default: the system's monotonic clock.
	Mono func() time.Duration
	// QueueEvents bounds the events reserved and queued. Default 65,536.
	QueueEvents int
	// QueueBytes bounds the bytes reserved and queued. Default 128 MiB.
	QueueBytes int64
	// Checkpoint is the least time between two signed checkpoints. Default 1 s.
	Checkpoint time.Duration
	// SealIndex is the time between two index.sealed leaves. Default 1 h.
	SealIndex time.Duration
	// DenyRate is how many denials of one caller are recorded one by one in a
	// second; further ones are counted together. Default 10.
	DenyRate int

	hooks hooks // tests only
	// walTidy is from which size on the WAL is used again from its start; tests make it
	// small.
	walTidy int64
	// free tells the room on the disk; tests replace it.
	free func(dir string) int64
}

func (c *Config) setDefaults(dir string) error {
	if err := validDeployment(c.Deployment); err != nil {
		return err
	}
	if c.Node == "" {
		c.Node = "node-1"
	}
	if err := checkText("node", c.Node, maxIdent); err != nil {
		return err
	}
	if _, _, err := splitOrigin(c.Node); err == nil {
		return errors.New("a node cannot have the name of a shard") // see shard.go
	}
	if c.Database != "" && !store.IsURL(c.Database) {
		return errors.New("the database is not a postgres:// URL")
	}
	if c.KeyDir == "" {
		c.KeyDir = filepath.Join(dir, "keys")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.QueueEvents <= 0 {
		c.QueueEvents = defaultQueueEvents
	}
	if c.QueueBytes <= 0 {
		c.QueueBytes = defaultQueueBytes
	}
	if c.Checkpoint <= 0 {
		c.Checkpoint = time.Second
	}
	if c.SealIndex <= 0 {
		c.SealIndex = time.Hour
	}
	if c.DenyRate <= 0 {
		c.DenyRate = defaultDenyRate
	}
	if c.walTidy <= 0 {
		c.walTidy = walTidyBytes
	}
	if c.free == nil {
		c.free = store.FreeDisk
	}
	return nil
}

// Errors a caller branches on.
var (
	// ErrMissing is returned by Open when the directory holds no log.
	ErrMissing = errors.New("no audit log here")
	// ErrExists is returned by Create when the directory already holds one.
	ErrExists = errors.New("an audit log exists here")
	// ErrInUse is returned by Open when another process has the log open.
	ErrInUse = store.ErrLocked
	// ErrOverloaded is returned by Reserve when the queue is full: answer 503.
	ErrOverloaded = errors.New("audit queue is full")
	// ErrGated is wrapped by Reserve when the log takes no ordinary events: the disk is
	// nearly full, or checkpoints hang. It opens again by itself.
	ErrGated = errors.New("audit log is closed to ordinary events")
	// ErrUnknown is wrapped by every failed Wait whose event may or may not have
	// been stored (invariant A3): deny, and do not assume either.
	ErrUnknown = errors.New("audit outcome unknown")
	// ErrPoisoned is wrapped after a failed commit, write or sync. The process must
	// be restarted (invariant A6).
	ErrPoisoned = errors.New("audit log has failed and takes no further events")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("audit log is closed")
	// ErrNotFound is returned by Find for an event the log does not hold.
	ErrNotFound = errors.New("no such event in the audit log")
	// ErrCorrupt is wrapped when stored state contradicts itself: the log refuses to
	// serve until an operator has looked at it.
	ErrCorrupt = errors.New("audit log is damaged")
)

// Lane is the share of the queue a reservation draws on.
type Lane uint8

const (
	// LaneNormal takes ordinary exchanges, up to 90 % of the queue.
	LaneNormal Lane = iota
	// LaneReserved takes denials, administration, erasure and breach events, which
	// must get through when ordinary traffic fills the queue (invariant A17).
	LaneReserved
)

// Receipt is the proof of a durable event for its caller.
type Receipt struct {
	// ID is the event to name in the answer. It differs from the appended event's
	// when denials were counted together.
	ID ID
	// LeafHash is the RFC 6962 leaf hash of the entry.
	LeafHash [32]byte
}

// Log is a handle on the log of one directory. Handles of one directory in one
// process share a single writer. A Log is safe for concurrent use.
type Log struct {
	core   *core
	shared *shared
	closed atomic.Bool
}

// core is the one log behind all handles of a directory. Its parts belong to: the
// queue, pacer and gaps their mutexes; w the writer goroutine; integrator and watch the
// integrator goroutine; the rest does not change after Open or is atomic.
type core struct {
	cfg    Config
	data   string // data directory
	dir    string // its audit folder
	node   string
	epoch  int64
	clock  *clock
	hooks  hooks
	logger atomic.Pointer[slog.Logger]

	// The newest shard in the lock store belongs to the integrator: its name, its
	// folder of tiles, its key.
	origin string
	tree   string
	public string
	signer note.Signer
	// current is the shard of the events that are appended now. It is the next one
	// already when the integrator has not come so far.
	current atomic.Pointer[identity]

	q    queue
	pace pacer

	intake  *intake
	lock    *lockStore
	details *store.DB
	unlock  func() error

	w          writer
	hand       hand
	integrator integrator
	watch      *watch

	health health
	gaps   gaps
	// size is the size of the locked checkpoint.
	size atomic.Int64
	// prunable is up to where the integrator lets the writer delete rows.
	prunable atomic.Pointer[position]
	// tidy asks the writer to finish a WAL checkpoint.
	tidy atomic.Bool
	// refused holds the first failure; failed is closed with it.
	refused atomic.Pointer[error]
	failed  chan struct{}

	stopWriter     chan struct{}
	stopIntegrator context.CancelFunc
	writerDone     chan struct{}
	integratorDone chan struct{}
}

func (c *core) log() *slog.Logger { return c.logger.Load() }

// Reserve takes room for the two events of an exchange, before its body is read.
// It never waits: ErrOverloaded and ErrGated mean to answer 503 with Retry-After. The
// slot must be released.
func (l *Log) Reserve(ctx context.Context, lane Lane) (*Slot, error) {
	return l.reserve(ctx, lane, "")
}

// ReserveFor is Reserve in the normal lane for a client, by whatever name it is known
// before anything about it is proven. A client whose slots wait for something, such as
// a body that comes slowly, gets ErrOverloaded as soon as it holds as much as is free,
// so that it cannot take the room of others. An empty name is nobody in particular.
func (l *Log) ReserveFor(ctx context.Context, client string) (*Slot, error) {
	return l.reserve(ctx, LaneNormal, client)
}

func (l *Log) reserve(ctx context.Context, lane Lane, client string) (*Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.closed.Load() {
		return nil, ErrClosed
	}
	if gate := l.core.health.gate.Load(); gate != nil && lane == LaneNormal {
		return nil, *gate
	}
	n, err := l.core.q.reserve(lane, client)
	if err != nil {
		return nil, err
	}
	return &Slot{log: l.core, left: n, client: client}, nil
}

// Ready is nil while the log takes ordinary events. Its error is the first failure, or
// what keeps it closed for a while (ErrGated), for operators; nothing in it comes from
// an event.
func (l *Log) Ready() error {
	if err := l.core.refused.Load(); err != nil {
		return *err
	}
	if l.closed.Load() {
		return ErrClosed
	}
	if gate := l.core.health.gate.Load(); gate != nil {
		return *gate
	}
	return nil
}

// Refuse ends the log for this process, as a failed write does: what it holds is not what
// something outside of this machine says that it must (invariant A19).
func (l *Log) Refuse(reason error) { l.core.fail(fmt.Errorf("%w: %w", ErrPoisoned, reason)) }

// Failed is closed when the log has failed for good. The process should then
// drain and exit: only a new process may read the disk again.
func (l *Log) Failed() <-chan struct{} { return l.core.failed }

// Origin is the name of the log's newest shard, `<deployment>/audit/<year>h<1|2>`;
// pseudonyms are made for it. It changes while the log runs: an event that was made for
// the shard before and is appended a moment later stands in the next one, and is found
// there, see Query.
func (l *Log) Origin() string { return l.core.current.Load().origin }

// Size is how many entries the newest signed checkpoint covers: those of the newest
// shard.
func (l *Log) Size() int64 { return l.core.size.Load() }

// PublicKey is the verifier key (c2sp.org/signed-note) that checkpoints of the newest
// shard are signed under, for whoever wants to verify without trusting the data
// directory. Each shard vouches for the key of the next.
func (l *Log) PublicKey() string { return l.core.current.Load().public }

// Close gives up this handle. The last one of a directory commits what is queued,
// puts it under a checkpoint and releases the directory (invariant A22). It may be
// called more than once. Waits taken before resolve.
func (l *Log) Close() error {
	if !l.closed.CompareAndSwap(false, true) {
		return nil
	}
	return writers.release(l.shared)
}
