package audit

import (
	"context"
	"errors"
	"log/slog"
	"time"
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
}

// Errors a caller branches on.
var (
	// ErrMissing is returned by Open when the directory holds no log.
	ErrMissing = errors.New("no audit log here")
	// ErrExists is returned by Create when the directory already holds one.
	ErrExists = errors.New("an audit log exists here")
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
	// serve until an operator looked at it.
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
type Log struct{}

// Slot is room in the queue for the two events of one exchange.
type Slot struct{}

// Wait is the future of one appended event.
type Wait struct{}

var errNotBuilt = errors.New("not built")

func Create(ctx context.Context, dir string, c Config) error       { return errNotBuilt }
func Open(ctx context.Context, dir string, c Config) (*Log, error) { return nil, errNotBuilt }
func (l *Log) Close() error                                        { return errNotBuilt }
func (l *Log) Reserve(ctx context.Context, lane Lane) (*Slot, error) {
	return nil, errNotBuilt
}
func (s *Slot) Append(e Event) Wait                           { return Wait{} }
func (s *Slot) Release()                                      {}
func (w Wait) Wait(ctx context.Context) (Receipt, error)      { return Receipt{}, errNotBuilt }
func (l *Log) Ready() error                                   { return errNotBuilt }
func (l *Log) Failed() <-chan struct{}                        { return nil }
func (l *Log) Origin() string                                 { return "" }
func (l *Log) PublicKey() string                              { return "" }
func (l *Log) Find(ctx context.Context, eid ID) (Leaf, error) { return Leaf{}, errNotBuilt }

// Leaf is a decoded leaf of version 1.
type Leaf struct {
	Event
}
type VerifyOptions struct {
	// Dir is the data directory.
	Dir string
	// Trust are the log's verifier keys (note format) from outside; empty means
	// the key beside the log, and the report says "self-consistency only".
	Trust []string
	// Deadline ends the check; zero means none.
	Deadline time.Time
}
type Outcome uint8

const (
	Valid Outcome = iota
	Invalid
	Incomplete
)

type Problem struct{ Kind, Place, Text string }
type Report struct {
	Outcome         Outcome
	Origin          string
	Size            int64
	Root            [32]byte
	Entries         int64
	SelfConsistency bool
	Problems        []Problem
	Unchecked       []string
}

func Verify(ctx context.Context, o VerifyOptions) (Report, error) { return Report{}, errNotBuilt }
