package proxy

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caregate/caregate/redact/walk"
)

// Limits bound what is read of one request or response. Whatever hits a limit
// is refused, never cut and never passed. Zero values mean the defaults.
type Limits struct {
	// Body is the largest body in bytes, as sent and decoded. Default 10 MiB.
	Body int64 `json:"body,omitempty"`
	// Headers is the largest sum of header names and values in bytes. Default 64
	// KiB. The adapter for Caddyfiles makes Caddy's own limit larger than that.
	Headers int64 `json:"headers,omitempty"`
	// Depth is how deeply a document may be nested. Default 128.
	Depth int `json:"depth,omitempty"`
	// Values is how many values a document may have. Default 100,000.
	Values int `json:"values,omitempty"`
	// Ratio is how many bytes one compressed byte may become. Default 100.
	Ratio int `json:"ratio,omitempty"`
	// ReadTimeout is how long a body that is read whole may take to arrive. Default
	// 60 s.
	ReadTimeout caddy.Duration `json:"read_timeout,omitempty"`
	// IdleTimeout is how long a body that streams may pause. Default 60 s.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`
}

func (l *Limits) setDefaults() {
	if l.Body == 0 {
		l.Body = 10 << 20 // a page of 1,000 tickets has 2 to 5 MB
	}
	if l.Headers == 0 {
		l.Headers = 64 << 10 // four times what Apache and nginx accept by default
	}
	if l.Depth == 0 {
		l.Depth = 128
	}
	if l.Values == 0 {
		l.Values = 100_000
	}
	if l.Ratio == 0 {
		l.Ratio = 100
	}
	if l.ReadTimeout == 0 {
		l.ReadTimeout = caddy.Duration(60 * time.Second)
	}
	if l.IdleTimeout == 0 {
		l.IdleTimeout = caddy.Duration(60 * time.Second) // what proxies on the way allow between two reads
	}
}

// maxBody bounds the setting itself: bodies are held in memory while they are
// judged, a few at a time on each core.
const maxBody = 1 << 30

func (l *Limits) validate() error {
	if l.Body < 0 || l.Body > maxBody || l.Headers < 0 || l.Depth < 0 || l.Values < 0 || l.Ratio < 0 || l.ReadTimeout < 0 || l.IdleTimeout < 0 {
		return errors.New("limits: a value is negative, or body is over 1GiB")
	}
	return nil
}

func (l *Limits) walk() walk.Limits { return walk.Limits{Depth: l.Depth, Values: l.Values} }
