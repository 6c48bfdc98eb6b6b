package audit

import (
	"context"
	"errors"
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
// queue and pacer their mutexes; w the writer goroutine; integrator and watch the
// integrator goroutine; the rest does not change after Open or is atomic.
type core struct {
	cfg    Config
	data   string // data directory
	dir    string // its audit folder
	tree   string // the shard's folder of tiles
	origin string
	public string
	node   string
	epoch  int64
	signer note.Signer
	clock  *clock
	hooks  hooks
	logger atomic.Pointer[slog.Logger]

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
// It never waits: ErrOverloaded means to answer 503 with Retry-After. The slot
// must be released.
func (l *Log) Reserve(ctx context.Context, lane Lane) (*Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.closed.Load() {
		return nil, ErrClosed
	}
	n, err := l.core.q.reserve(lane)
	if err != nil {
		return nil, err
	}
	return &Slot{log: l.core, left: n}, nil
}

// Ready is nil while the log takes events. Its error is the first failure, for
// operators; nothing in it comes from an event.
func (l *Log) Ready() error {
	if err := l.core.refused.Load(); err != nil {
		return *err
	}
	if l.closed.Load() {
		return ErrClosed
	}
	return nil
}

// Failed is closed when the log has failed for good. The process should then
// drain and exit: only a new process may read the disk again.
func (l *Log) Failed() <-chan struct{} { return l.core.failed }

// Origin is the log's name, `<deployment>/audit/<year>h<1|2>`; pseudonyms are
// made for it.
func (l *Log) Origin() string { return l.core.origin }

// Size is how many entries the newest signed checkpoint covers.
func (l *Log) Size() int64 { return l.core.size.Load() }

// PublicKey is the verifier key (c2sp.org/signed-note) that checkpoints are signed
// under, for whoever wants to verify without trusting the data directory.
func (l *Log) PublicKey() string { return l.core.public }

// Close gives up this handle. The last one of a directory commits what is queued,
// puts it under a checkpoint and releases the directory (invariant A22). It may be
// called more than once. Waits taken before resolve.
func (l *Log) Close() error {
	if !l.closed.CompareAndSwap(false, true) {
		return nil
	}
	return writers.release(l.shared)
}
