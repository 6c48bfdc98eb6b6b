package syslog

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
)

// collector takes messages and fails on demand.
type collector struct {
	t        *testing.T
	listener net.Listener
	roots    *x509.CertPool

	mu     sync.Mutex
	first  []place // entries in the order of their first arrival, guarded by mu like all below
	seen   map[place]bool
	copies int
	cuts   []int // after how many messages each of the next connections is cut
	conns  int
	mute   bool // accepts and never reads
	open   map[net.Conn]bool
}

// place is where an entry stands: in which half year, and where there.
type place struct {
	log   string
	index int64
}

// form is that of RFC 5424.
var form = regexp.MustCompile(`^<(10[89]|110)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z acme caregate - ([!-~]{1,32}) - (\{.*\})$`)

func newCollector(t *testing.T) *collector {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{t: t, roots: x509.NewCertPool(), open: map[net.Conn]bool{}, seen: map[place]bool{}}
	c.roots.AddCert(leaf)
	c.listener, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.listener.Close()
		c.hangUp()
	})
	go func() {
		for {
			conn, err := c.listener.Accept()
			if err != nil {
				return
			}
			go c.take(conn)
		}
	}()
	return c
}

// change sets what the next connections find.
func (c *collector) change(set func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	set()
}

// hangUp cuts all connections.
func (c *collector) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		conn.Close()
	}
}

func (c *collector) take(conn net.Conn) {
	defer conn.Close()
	c.mu.Lock()
	c.conns++
	c.open[conn] = true
	mute, cut := c.mute, -1
	if len(c.cuts) > 0 {
		cut, c.cuts = c.cuts[0], c.cuts[1:]
	}
	c.mu.Unlock()
	if mute {
		if err := conn.(*tls.Conn).Handshake(); err == nil {
			select {} // until the test ends
		}
		return
	}
	r := bufio.NewReader(conn)
	for n := 0; n != cut; n++ {
		length, err := r.ReadString(' ')
		if err != nil {
			return
		}
		size, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		if err != nil || size <= 0 || size > 1<<16 {
			c.t.Errorf("a frame of length %q", length)
			return
		}
		msg := make([]byte, size)
		if _, err := io.ReadFull(r, msg); err != nil {
			return
		}
		m := form.FindSubmatch(msg)
		var event struct {
			Metadata struct {
				Log      string `json:"log_name"`
				Sequence *int64
			}
		}
		if m == nil || json.Unmarshal(m[3], &event) != nil || event.Metadata.Sequence == nil {
			c.t.Errorf("not a message with an event: %.120s", msg)
			return
		}
		c.mu.Lock()
		if at := (place{event.Metadata.Log, *event.Metadata.Sequence}); c.seen[at] {
			c.copies++
		} else {
			c.seen[at], c.first = true, append(c.first, at)
		}
		c.mu.Unlock()
	}
}

// arrived are the entries in the order of their first arrival, and how many came again.
func (c *collector) arrived() (first []place, copies int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.first), c.copies
}

func newLog(t *testing.T) (*audit.Log, string) {
	t.Helper()
	dir := t.TempDir()
	c := audit.Config{Deployment: "acme", Checkpoint: 20 * time.Millisecond}
	if err := audit.Create(t.Context(), dir, c); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), dir, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, dir
}

// record appends n events and waits until they are under a checkpoint.
func record(t *testing.T, l *audit.Log, n int) {
	t.Helper()
	var last audit.Wait
	for i := range n {
		s, err := l.Reserve(t.Context(), audit.LaneNormal)
		if err != nil {
			t.Fatal(err)
		}
		e := audit.Event{Type: "response.decided", Class: 6003, Decision: audit.DecisionAllow, Channel: "zendesk", Operation: "ticket.read", Status: 200}
		if i%7 == 0 {
			e.Decision, e.Reason, e.Flood = audit.DecisionDeny, "json_syntax", fmt.Sprint(i)
		}
		last = s.Append(e)
		s.Release()
	}
	if _, err := last.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// start runs a shipper until the returned function is called.
func start(t *testing.T, c Config) (stop func()) {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Host = "acme"
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, c) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// arrive waits until the collector has the first n entries, each after those before; a
// half year begins with its entry 0.
func (c *collector) arrive(n int64) (copies int) {
	c.t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for tick := time.Tick(10 * time.Millisecond); ; <-tick {
		first, copies := c.arrived()
		if int64(len(first)) >= n {
			var want place
			for i, at := range first {
				if at.log != want.log {
					want.index = 0
				}
				if at.index != want.index || at.log < want.log {
					c.t.Fatalf("entry %d of %s came as number %d", at.index, at.log, i)
				}
				want = place{at.log, at.index + 1}
			}
			return copies
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%d entries arrived, want %d", len(first), n)
		}
	}
}

func config(t *testing.T, dir string, c *collector) Config {
	return Config{pause: 20 * time.Millisecond, Data: dir, Address: c.listener.Addr().String(), TLS: &tls.Config{RootCAs: c.roots}, State: filepath.Join(t.TempDir(), "siem")}
}

// sizeOf is how many entries the log has.
func sizeOf(t *testing.T, dir string) int64 {
	t.Helper()
	size, err := audit.Size(dir)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// failures tells of each connection that fails.
func failures(c *Config) <-chan struct{} {
	failed := make(chan struct{}, 1000)
	c.Failed = func() { failed <- struct{}{} }
	return failed
}

// Everything arrives once over a good connection, also what is written later; another
// run sends again what the collector may not have read.
func TestShips(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	record(t, l, 2500)
	c := newCollector(t)
	conf := config(t, dir, c)
	var sent, behind atomic.Int64
	conf.Sent, conf.Behind = func(n int64) { sent.Add(n) }, behind.Store
	stop := start(t, conf)
	size := sizeOf(t, dir)
	if copies := c.arrive(size); copies != 0 {
		t.Errorf("%d entries came again", copies)
	}
	record(t, l, 10)
	if copies := c.arrive(size + 10); copies != 0 {
		t.Errorf("%d entries came again", copies)
	}
	for tick := time.Tick(time.Millisecond); behind.Load() != 0; <-tick { // the collector has them before the shipper knows
	}
	stop()
	if sent.Load() != size+10 {
		t.Errorf("%d entries are counted as sent, want %d", sent.Load(), size+10)
	}
	record(t, l, 10)
	start(t, conf)
	if copies := c.arrive(size + 20); copies == 0 {
		t.Error("nothing came again: what the collector's system had, and not the collector, would be lost")
	}
}

// A collector that ends connections in the middle of anything loses nothing.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	record(t, l, 3000)
	c := newCollector(t)
	r := mrand.New(mrand.NewPCG(1, 2))
	c.change(func() {
		for range 6 {
			c.cuts = append(c.cuts, r.IntN(1500))
		}
	})
	start(t, config(t, dir, c))
	size := sizeOf(t, dir)
	c.arrive(size)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns < 3 {
		t.Errorf("%d connections: nothing was cut", c.conns)
	}
}

// A collector that accepts and never reads, while its system acknowledges what comes,
// misses nothing when it is started again.
func TestMuteCollector(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	c := newCollector(t)
	c.change(func() { c.mute = true })
	conf := config(t, dir, c)
	sent := make(chan int64, 1000)
	conf.Sent = func(n int64) { sent <- n }
	start(t, conf)
	for range 5 {
		record(t, l, 10)
		<-sent
	}
	size := sizeOf(t, dir)
	if first, _ := c.arrived(); len(first) > 0 {
		t.Fatalf("%d entries were read", len(first))
	}
	c.change(func() { c.mute = false })
	c.hangUp()
	c.arrive(size)
}

// A collector whose system takes nothing more is left after a while, and costs the log
// nothing.
func TestStuckCollector(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	c := newCollector(t)
	c.change(func() { c.mute = true })
	conf := config(t, dir, c)
	conf.ack = 100 * time.Millisecond
	failed := failures(&conf)
	start(t, conf)
	record(t, l, 9000) // more than the buffers of a connection take
	<-failed
	record(t, l, 10)
}

// Nothing is sent to somebody who is not the collector.
func TestUnknownCollector(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	record(t, l, 1)
	c := newCollector(t)
	conf := config(t, dir, c)
	conf.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	failed := failures(&conf)
	start(t, conf)
	<-failed
	<-failed
	if first, _ := c.arrived(); len(first) > 0 {
		t.Errorf("%d entries were sent", len(first))
	}
}

// Two shippers with one cursor: the second waits for the first, so that a reload sends
// nothing twice at a time.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	record(t, l, 20)
	c := newCollector(t)
	conf := config(t, dir, c)
	first := start(t, conf)
	size := sizeOf(t, dir)
	c.arrive(size)
	start(t, conf)
	record(t, l, 20)
	if copies := c.arrive(size + 20); copies > 0 {
		t.Errorf("%d entries came again while the first was at work", copies)
	}
	first()
	record(t, l, 20)
	c.arrive(size + 40)
}

// A cursor that makes no sense is not guessed around.
func TestDamagedCursor(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"no JSON": "12", "backwards": `{"origin":"x","next":1,"again":2}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shipper{c: Config{State: t.TempDir()}}
			if err := os.WriteFile(filepath.Join(s.c.State, cursorFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := s.load(); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("got %v, want an error", err)
			}
		})
	}
}

// A collector gets the end of one half year and then the next from its beginning, also
// when the shipper was away while the log went over.
func TestShipOverHalfYears(t *testing.T) {
	t.Parallel()
	began, ahead := time.Now(), atomic.Int64{}
	mono := func() time.Duration { return time.Since(began) + time.Duration(ahead.Load()) }
	dir := t.TempDir()
	conf := audit.Config{
		Deployment: "acme", Checkpoint: 5 * time.Millisecond, Mono: mono,
		Now: func() time.Time { return time.Date(2026, 6, 30, 23, 45, 0, 0, time.UTC).Add(mono()) },
	}
	if err := audit.Create(t.Context(), dir, conf); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), dir, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := newCollector(t)
	ship := config(t, dir, c)
	size := func() int64 {
		n, err := audit.Size(dir)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	record(t, l, 1500)
	stop := start(t, ship)
	c.arrive(size())
	stop()
	record(t, l, 700)
	ahead.Store(int64(8 * time.Minute))
	record(t, l, 10)
	ahead.Store(int64(16 * time.Minute))
	for tick := time.Tick(time.Millisecond); l.Origin() != "acme/audit/2026h2"; <-tick { // the test's deadline ends it
	}
	record(t, l, 300)
	stop = start(t, ship)
	c.arrive(size())
	record(t, l, 20)
	c.arrive(size())
	stop()
	first, _ := c.arrived()
	if last := first[len(first)-1]; first[0].log != "acme/audit/2026h1" || last.log != "acme/audit/2026h2" {
		t.Errorf("from %v to %v", first[0], last)
	}
}
