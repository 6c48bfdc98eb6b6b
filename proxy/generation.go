package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// dataPool holds the data directories that this process has open, by path. It is
// process-wide because Caddy keeps two configurations alive during a reload and
// a log has one writer.
var dataPool = caddy.NewUsagePool()

// held counts them.
var held counter

// counter can be waited for to become zero.
type counter struct {
	mu   sync.Mutex // owns the others
	n    int
	zero chan struct{} // closed when n is zero; made when somebody waits
}

func (c *counter) add(delta int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += delta
	if c.n == 0 && c.zero != nil {
		close(c.zero)
		c.zero = nil
	}
}

func (c *counter) wait(ctx context.Context) error {
	c.mu.Lock()
	if c.n == 0 {
		c.mu.Unlock()
		return nil
	}
	if c.zero == nil {
		c.zero = make(chan struct{})
	}
	zero := c.zero
	c.mu.Unlock()
	select {
	case <-zero:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Drained waits until no data directory is open in this process any more, that
// is, until the last exchange of a stopped gateway has ended. caddy.Stop returns
// before that.
func Drained(ctx context.Context) error { return held.wait(ctx) }

// exitTime is how long the end of the process waits for exchanges that are still
// being answered. The log survives a harder end; it then checks itself at the
// next start.
const exitTime = 5 * time.Second

func init() {
	caddy.OnExit(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, exitTime)
		defer cancel()
		_ = Drained(ctx) // the process ends either way
	})
}

// generation is what one configuration lends to its exchanges. Caddy calls the
// module's Cleanup while requests of the old configuration are still running, so
// Cleanup only gives up the configuration's own reference; the last exchange
// closes the door behind it.
type generation struct {
	data *Data
	key  string
	refs atomic.Int64 // one for the configuration, one for each running exchange
}

// openGeneration opens the data directory, or shares it with the configuration
// that has it open, and holds one reference for the caller.
func openGeneration(key string, open func() (*Data, error)) (*generation, error) {
	v, _, err := dataPool.LoadOrNew(key, func() (caddy.Destructor, error) {
		d, err := open()
		if err == nil {
			held.add(1)
		}
		return d, err
	})
	if err != nil {
		return nil, err
	}
	g := &generation{data: v.(*Data), key: key}
	g.refs.Store(1)
	return g, nil
}

// join takes a reference for an exchange, to be given back with release, or nil
// when nobody holds the data any more. Caddy does not wait for its old servers
// when it replaces a configuration: a connection that they had accepted can send
// its first request after the generation has been given up and its other
// exchanges have ended. The directory is open all the same, because the successor
// holds it, and such a request shares it with the successor.
func (g *generation) join() *generation {
	if g.acquire() {
		return g
	}
	if _, held := dataPool.References(g.key); !held {
		return nil
	}
	v, _, err := dataPool.LoadOrNew(g.key, func() (caddy.Destructor, error) { return nil, errEnded })
	if err != nil {
		return nil
	}
	late := &generation{data: g.data, key: g.key}
	late.refs.Store(1)
	if v.(*Data) != g.data {
		// Closed and opened anew: what this configuration knows belongs to the former.
		_ = late.release() // the holder of the other reports what closing it says
		return nil
	}
	return late
}

// errEnded says that nobody holds the data directory.
var errEnded = errors.New("the data directory has been closed")

// acquire takes a reference while there is one. It fails when the generation has
// been given up and its last exchange ended.
func (g *generation) acquire() bool {
	for {
		n := g.refs.Load()
		if n == 0 {
			return false
		}
		if g.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives a reference back. The last one lets the directory go, which
// closes it when no other configuration holds it.
func (g *generation) release() error {
	if g.refs.Add(-1) > 0 {
		return nil
	}
	_, err := dataPool.Delete(g.key)
	return err
}
