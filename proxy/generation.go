package proxy

import (
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
)

// dataPool holds the data directories that this process has open, by path. It is
// process-wide because Caddy keeps two configurations alive during a reload and
// a log has one writer.
var dataPool = caddy.NewUsagePool()

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
	v, _, err := dataPool.LoadOrNew(key, func() (caddy.Destructor, error) { return open() })
	if err != nil {
		return nil, err
	}
	g := &generation{data: v.(*Data), key: key}
	g.refs.Store(1)
	return g, nil
}

// acquire takes a reference for an exchange. It fails when the generation has
// been given up and its last exchange ended; a request can only meet that if it
// was routed to a configuration that is gone.
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
