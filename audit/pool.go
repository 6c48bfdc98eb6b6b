package audit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
)

// writers is the one piece of mutable state of this package. Two generations of a
// configuration live at once during a reload, and both write to one directory:
// the writer must belong to the process, not to a generation (invariants A10,
// A22).
var writers = pool{open: map[string]*shared{}}

// pool shares one core per directory by reference count.
type pool struct {
	mu   sync.Mutex
	open map[string]*shared // guarded by mu
}

// shared is the entry of one directory. mu is held while its core opens and
// closes, so that the next Open waits for a Close under way; it is never taken by
// requests.
type shared struct {
	key   string
	users int // holders and those about to be, guarded by the pool's mu

	mu   sync.Mutex
	refs int
	core *core
	// dead is why a core of this directory failed. This process may not serve it
	// again (invariant A6).
	dead error
}

// acquire opens the directory's core or shares the open one.
func (p *pool) acquire(ctx context.Context, dir string, open func(context.Context) (*core, error)) (*shared, error) {
	key, err := filepath.Abs(dir)
	if err == nil {
		key, err = filepath.EvalSymlinks(key)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	p.mu.Lock()
	s := p.open[key]
	if s == nil {
		s = &shared{key: key}
		p.open[key] = s
	}
	s.users++
	p.mu.Unlock()

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.core != nil {
		if failure := s.core.refused.Load(); failure != nil {
			s.dead = *failure
		}
	}
	if err := s.dead; err != nil {
		p.leave(s)
		return nil, err
	}
	if s.core == nil {
		if s.core, err = open(ctx); err != nil {
			s.core = nil
			if errors.Is(err, ErrPoisoned) {
				s.dead = err
			}
			p.leave(s)
			return nil, err
		}
	}
	s.refs++
	return s, nil
}

// release drops one reference; the last closes the core.
func (p *pool) release(s *shared) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer p.leave(s)
	if s.refs--; s.refs > 0 {
		return nil
	}
	err := s.core.close()
	if failure := s.core.refused.Load(); failure != nil {
		s.dead = *failure
	}
	s.core = nil
	return err
}

// leave forgets an entry that nobody holds, unless it remembers a failure.
func (p *pool) leave(s *shared) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.users--; s.users == 0 && s.dead == nil {
		delete(p.open, s.key)
	}
}
