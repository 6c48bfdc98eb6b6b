package proxy

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caregate/caregate/redact"
)

// metrics are the counters of the process. They are made once and registered
// again with the registry of every configuration, because Caddy gives each a new
// one. Labels come from closed lists or from the configuration, never from a
// caller.
type metrics struct {
	exchanges    *prometheus.CounterVec
	duration     *prometheus.HistogramVec
	findings     *prometheus.CounterVec
	notInspected *prometheus.CounterVec
	streams      *prometheus.CounterVec
	inspected    *prometheus.CounterVec
	unmappedOps  *prometheus.CounterVec
	wait         prometheus.Histogram
}

// processMetrics is shared by all configurations of the process: a counter must
// not fall back to zero on reload.
var processMetrics = newMetrics()

func newMetrics() *metrics {
	return &metrics{
		exchanges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "exchanges_total", Help: "Exchanges by what became of them.",
		}, []string{"route", "channel", "decision", "reason", "observe"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "caregate", Name: "exchange_duration_seconds", Help: "Time from the request's headers to the end of the answer, the upstream's time included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"route"}),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "findings_total", Help: "Findings by data class and what happened to them.",
		}, []string{"route", "class", "action"}),
		notInspected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "not_inspected_total", Help: "Bodies that passed unread, by reason (the coverage ledger).",
		}, []string{"route", "why"}),
		streams: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "streams_total", Help: "Bodies that were judged as they passed, by how they ended.",
		}, []string{"route", "direction", "end"}),
		inspected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "inspected_bytes_total", Help: "Decoded bytes of bodies that were read (the coverage ledger).",
		}, []string{"route", "direction"}),
		unmappedOps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "unmapped_total", Help: "Calls that the channel file does not know.",
		}, []string{"route"}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "caregate", Name: "audit_durable_wait_seconds", Help: "Time until an event was durable.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 14),
		}),
	}
}

// register adds the collectors to a configuration's registry.
func (m *metrics) register(r *prometheus.Registry) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.exchanges, m.duration, m.findings, m.notInspected, m.streams, m.inspected, m.unmappedOps, m.wait} {
		var already prometheus.AlreadyRegisteredError
		if err := r.Register(c); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
}

func (m *metrics) exchange(x *exchange, decision, reason string, took time.Duration) {
	m.exchanges.WithLabelValues(x.h.Route, x.h.ch.Name, decision, reason, strconv.FormatBool(x.observe())).Inc()
	m.duration.WithLabelValues(x.h.Route).Observe(took.Seconds())
}

func (m *metrics) finding(route string, class redact.Class, action redact.Action) {
	m.findings.WithLabelValues(route, string(class), action.String()).Inc()
}

func (m *metrics) uninspected(route, why string) { m.notInspected.WithLabelValues(route, why).Inc() }

// read counts the bytes of a body that was read.
func (m *metrics) read(route, direction string, bytes int64) {
	m.inspected.WithLabelValues(route, direction).Add(float64(bytes))
}

// streamed counts a stream that has ended.
func (m *metrics) streamed(route, direction, end string, bytes int64) {
	m.streams.WithLabelValues(route, direction, end).Inc()
	m.read(route, direction, bytes)
}

func (m *metrics) unmapped(route string) { m.unmappedOps.WithLabelValues(route).Inc() }

func (m *metrics) durable(took time.Duration) { m.wait.Observe(took.Seconds()) }
