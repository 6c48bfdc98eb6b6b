package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// SocketName is the unix socket in the data directory over which the command
// line reaches the running gateway. Who may open it (mode 0600) is the
// administrator.
const SocketName = "caregate.sock"

// socket serves the API to the command line. It belongs to the data directory,
// because two configurations that overlap cannot both listen. Each configuration
// puts its own handler in; the newest that is still alive answers, so that one
// that failed to start leaves the word to the one that goes on running.
type socket struct {
	mu       sync.Mutex // owns server and handlers
	server   *http.Server
	handlers []socketHandler // oldest first
	done     chan struct{}

	handler atomic.Pointer[http.Handler]
}

type socketHandler struct {
	owner *App
	h     http.Handler
}

// withdraw takes the handler of a configuration out. The last one stays until
// the socket closes.
func (s *socket) withdraw(owner *App) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers = slices.DeleteFunc(s.handlers, func(h socketHandler) bool { return h.owner == owner })
	if n := len(s.handlers); n > 0 {
		h := s.handlers[n-1].h
		s.handler.Store(&h)
	}
}

// followed tells whether a newer configuration than the owner's answers.
func (s *socket) followed(owner *App) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.handlers)
	return n > 0 && s.handlers[n-1].owner != owner
}

// serve makes h answer on path, listening first if nobody does yet.
func (s *socket) serve(path string, owner *App, h http.Handler, logger *zap.Logger) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers = append(s.handlers, socketHandler{owner, h})
	s.handler.Store(&h)
	if s.server != nil {
		return nil
	}
	// The log's lock is held, so a socket that is there was left by a process that
	// ended without removing it.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listening for the command line: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
	s.done = make(chan struct{})
	s.server = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) }),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		ErrorLog:          zap.NewStdLog(logger),
	}
	go func() {
		defer close(s.done)
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the command line socket failed", zap.Error(err))
		}
	}()
	return nil
}

// close stops listening and waits for calls that are under way, for a while.
func (s *socket) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	err := s.server.Shutdown(ctx)
	<-s.done
	s.server = nil
	return err
}
