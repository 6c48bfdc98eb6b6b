package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// trailMetrics tell of the vendors' logs. Labels come from the configuration and from
// closed lists.
type trailMetrics struct {
	entries, gaps, failures *prometheus.CounterVec
	failing, until          *prometheus.GaugeVec
}

func newTrailMetrics() trailMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "caregate", Name: name, Help: help}, append([]string{"trail"}, labels...))
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "caregate", Name: name, Help: help}, []string{"trail"})
	}
	return trailMetrics{
		entries:  counter("trail_entries_total", "Entries of a vendor's own log that were recorded."),
		gaps:     counter("trail_gaps_total", "Stretches of a vendor's log that are missing or not to be relied on, each with a leaf.", "gap"),
		failures: counter("trail_failures_total", "Readings of a vendor's log that failed.", "trouble"),
		failing:  gauge("trail_failing", "1 while a vendor's log cannot be read."),
		until:    gauge("trail_read_until_seconds", "Up to when a vendor's log has been read, in seconds since 1970."),
	}
}

// following are the metrics of one trail.
type following struct {
	of    *trailMetrics
	trail string
}

func (m *metrics) following(trail string) following { return following{&m.trails, trail} }

func (f following) recorded(n int)     { f.of.entries.WithLabelValues(f.trail).Add(float64(n)) }
func (f following) gap(why string)     { f.of.gaps.WithLabelValues(f.trail, why).Inc() }
func (f following) failed(code string) { f.of.failures.WithLabelValues(f.trail, code).Inc() }
func (f following) until(at time.Time) {
	f.of.until.WithLabelValues(f.trail).Set(float64(at.Unix()))
}

func (f following) failing(yes bool) {
	v := 0.0
	if yes {
		v = 1
	}
	f.of.failing.WithLabelValues(f.trail).Set(v)
}
