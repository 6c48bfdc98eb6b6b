package syslog

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
)

// Config says what to send where.
type Config struct {
	// Data is the data directory of the log.
	Data string
	// Address is the collector's host and port.
	Address string
	// TLS is the client's side of the connection; its ServerName is set from Address
	// when it has none. Required: nothing is sent in the clear.
	TLS *tls.Config
	// State is the folder of the cursor, which is made. One Shipper at a time uses it;
	// another waits for its end.
	State string
	// Host is the host name in messages.
	Host string
	// Logger takes a line when the collector is lost and when it is back.
	Logger *slog.Logger
	// Sent is told how many entries a round had; Behind how many are not sent yet;
	// Failed that a connection failed. All may be nil.
	Sent, Behind func(entries int64)
	Failed       func()

	// Tests only; ackTime and firstPause when zero.
	ack, pause time.Duration
}

// Times and sizes of the protocol.
const (
	roundEntries = 1000
	roundBytes   = 1 << 20
	heldBytes    = 8 << 20                // more than a system keeps for a collector that does not read
	pollTime     = time.Second            // between looks at the log when all was sent
	ackTime      = 30 * time.Second       // for a round to be acknowledged
	ackPoll      = 2 * time.Millisecond   // between looks at what is acknowledged
	dialTime     = 10 * time.Second       // for connection and handshake
	firstPause   = 500 * time.Millisecond // after a failure, doubled up to lastPause
	lastPause    = time.Minute
	cursorFile   = "cursor.json"
)

// errRound ends a round.
var errRound = errors.New("the round is full")

// cursor is where to go on: what lies before Next is acknowledged by the collector's
// system. What lies before Again the collector itself has read: so much was sent after
// it that its system cannot hold it any more. Both count over all shards of the log, so
// that a new shard is nothing special; Origin is that of the first, which names the log.
type cursor struct {
	Origin string `json:"origin"`
	Next   int64  `json:"next"`
	Again  int64  `json:"again"`
}

// Run sends entries until ctx ends. It connects again after each failure, for ever, and
// only returns an error when the cursor cannot be read or written: then somebody has to
// look, because sending from a wrong place would lose entries.
func Run(ctx context.Context, c Config) error {
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return fmt.Errorf("syslog: %w", err)
	}
	release, err := lock(ctx, c.State)
	if ctx.Err() != nil {
		return nil // the other one is still at work
	}
	if err != nil {
		return fmt.Errorf("syslog: %w", err)
	}
	defer func() { _ = release() }()
	if c.ack == 0 {
		c.ack = ackTime
	}
	if c.pause == 0 {
		c.pause = firstPause
	}
	s := shipper{c: c}
	if err := s.load(); err != nil {
		return fmt.Errorf("syslog: reading the cursor: %w", err)
	}
	pause, lost := c.pause, false
	for ctx.Err() == nil {
		err := s.session(ctx, func() {
			if lost {
				c.Logger.Info("syslog: the collector is back", "address", c.Address)
			}
			lost = false
		})
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, errCursor) {
			return fmt.Errorf("syslog: %w", err)
		}
		if c.Failed != nil {
			c.Failed()
		}
		if !lost {
			lost = true
			c.Logger.Warn("syslog: the collector does not take the log; trying again", "address", c.Address, "error", err)
		}
		if s.moved {
			pause = c.pause
		}
		wait(ctx, pause)
		pause = min(2*pause, lastPause)
	}
	return nil
}

// lock waits until no other shipper uses the folder, or ctx ends.
func lock(ctx context.Context, dir string) (release func() error, err error) {
	for {
		release, err = store.LockDir(dir)
		if !errors.Is(err, store.ErrLocked) {
			return release, err
		}
		if wait(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// shipper is the state of one Run.
type shipper struct {
	c   Config
	at  cursor
	buf []byte
	// moved says that the last session got something through.
	moved bool
	// rounds are those of this connection that the collector may not have read, total
	// all bytes sent over it.
	rounds []mark
	total  int64
}

// mark is where a round begins, in entries and in bytes of the connection.
type mark struct{ entry, bytes int64 }

// errCursor is wrapped when the cursor could not be stored.
var errCursor = errors.New("storing the cursor")

func (s *shipper) load() error {
	raw, err := os.ReadFile(filepath.Join(s.c.State, cursorFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // from the first entry on
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &s.at); err != nil {
		return err
	}
	if s.at.Next < 0 || s.at.Again < 0 || s.at.Again > s.at.Next {
		return errors.New("the cursor makes no sense; delete " + filepath.Join(s.c.State, cursorFile) + " to send the log from its beginning")
	}
	return nil
}

// save moves the cursor over a round.
func (s *shipper) save(next, bytes int64) error {
	s.rounds = append(s.rounds, mark{s.at.Next, s.total})
	s.total += bytes
	for len(s.rounds) > 1 && s.total-s.rounds[1].bytes >= heldBytes {
		s.rounds = s.rounds[1:]
	}
	s.at.Again, s.at.Next = s.rounds[0].entry, next
	raw, err := json.Marshal(s.at)
	if err == nil {
		err = store.WriteFile(filepath.Join(s.c.State, cursorFile), raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errCursor, err)
	}
	return nil
}

// session sends rounds over one connection until it fails or ctx ends.
func (s *shipper) session(ctx context.Context, connected func()) error {
	s.moved = false
	dialing, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	host, _, err := net.SplitHostPort(s.c.Address)
	if err != nil {
		return err
	}
	config := s.c.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	var d net.Dialer
	raw, err := d.DialContext(dialing, "tcp", s.c.Address)
	if err != nil {
		return err
	}
	conn := tls.Client(raw, config)
	defer func() { _ = conn.Close() }()
	if err := conn.HandshakeContext(dialing); err != nil {
		return err
	}
	connected()
	// A collector sends nothing: what a read returns is the end of the connection, also
	// while there is nothing to send.
	alive, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	go func() {
		var b [64]byte
		for {
			if _, err := conn.Read(b[:]); err != nil {
				ended(fmt.Errorf("the collector closed the connection: %w", err))
				return
			}
		}
	}()
	s.at.Next, s.rounds, s.total = s.at.Again, nil, 0
	for {
		sent, err := s.round(alive, conn, raw)
		if err != nil {
			return err
		}
		if sent == 0 {
			wait(alive, pollTime)
		}
		if alive.Err() != nil {
			return context.Cause(alive)
		}
	}
}

// round sends what there is, at most a round of it, waits until it is acknowledged and
// moves the cursor. It returns how many entries that were.
func (s *shipper) round(ctx context.Context, conn net.Conn, raw net.Conn) (sent int64, err error) {
	log, err := audit.ExtentOf(s.c.Data)
	if err != nil {
		return 0, err
	}
	size := log.Size
	if s.at.Origin != log.First {
		if s.at.Origin != "" { // of another deployment: from its beginning
			s.at, s.rounds = cursor{}, nil
		}
		s.at.Origin = log.First
	}
	if s.c.Behind != nil {
		s.c.Behind(max(0, size-s.at.Next))
	}
	if size <= s.at.Next {
		return 0, nil
	}
	if err := conn.SetWriteDeadline(time.Now().Add(s.c.ack)); err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(conn, 16<<10)
	var bytes int64
	_, err = audit.Entries(ctx, s.c.Data, s.at.Next, func(e audit.Entry) error {
		if sent == roundEntries || bytes > roundBytes {
			return errRound
		}
		buf, err := frame(s.buf[:0], s.c.Host, e)
		if err != nil {
			return err
		}
		s.buf = buf
		sent, bytes = sent+1, bytes+int64(len(buf))
		_, err = w.Write(buf)
		return err
	})
	if err != nil && !errors.Is(err, errRound) {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	if err := acknowledged(ctx, raw, s.c.ack); err != nil {
		return 0, err
	}
	if err := s.save(s.at.Next+sent, bytes); err != nil {
		return 0, err
	}
	s.moved = true
	if s.c.Sent != nil {
		s.c.Sent(sent)
	}
	if s.c.Behind != nil {
		s.c.Behind(max(0, size-s.at.Next))
	}
	return sent, nil
}

// acknowledged waits until the other system has all bytes.
func acknowledged(ctx context.Context, conn net.Conn, most time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, errors.New("the collector's system acknowledges nothing"))
	defer cancel()
	for {
		n, err := unacknowledged(conn)
		if err != nil || n == 0 {
			return err
		}
		if wait(ctx, ackPoll); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}
