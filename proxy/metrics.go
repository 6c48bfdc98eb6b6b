package proxy

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caregate/caregate/audit"
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
	earlier      *prometheus.CounterVec
	notInspected *prometheus.CounterVec
	approvals    *prometheus.CounterVec
	reveals      *prometheus.CounterVec
	verified     *prometheus.CounterVec
	limited      *prometheus.CounterVec
	withoutVault *prometheus.CounterVec
	streams      *prometheus.CounterVec
	inspected    *prometheus.CounterVec
	unmappedOps  *prometheus.CounterVec
	addedRefused *prometheus.CounterVec
	tokensAsked  *prometheus.CounterVec
	spends       *prometheus.CounterVec
	wait         prometheus.Histogram
	unrecorded   *prometheus.CounterVec
	paused       prometheus.Gauge
	reverted     *prometheus.CounterVec
	shipped      *prometheus.CounterVec
	shipBehind   *prometheus.GaugeVec
	shipFailed   *prometheus.CounterVec
	trails       trailMetrics
	log          *logCollector
	// archiveSize and archiveFailing tell of the last run of the archive.
	archiveSize, archiveFailing prometheus.Gauge

	policyBehind, bundleRevision prometheus.Gauge

	notices       *prometheus.GaugeVec
	noticesRaised *prometheus.CounterVec

	deadlines       *prometheus.GaugeVec
	deadlinesRaised *prometheus.CounterVec
	dutiesWaiting   prometheus.Gauge
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
		earlier: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "earlier_pieces_total", Help: "Messages in which the upstream holds a piece of a number in clear, because its last piece came in a later call.",
		}, []string{"route", "class"}),
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
		addedRefused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "added_credential_refused_total", Help: "Answers 401 of the upstream to a call with the credential that the gateway adds.",
		}, []string{"route"}),
		tokensAsked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "vendor_tokens_total", Help: "Questions to vendors for an access token, by how they ended.",
		}, []string{"credential", "outcome"}),
		spends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "token_spends_total", Help: "Calls to payment processors with a token in them, by what became of it.",
		}, []string{"route", "channel", "operation", "outcome"}),
		unrecorded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "unrecorded_total", Help: "Requests, answers and refusals that went on without an event, on routes with audit_down pass.",
		}, []string{"route"}),
		paused: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "caregate", Name: "details_expiry_paused", Help: "1 while no details are deleted because the clock is in doubt.",
		}),
		reverted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "rollouts_reverted_total", Help: "Rollouts of the policy that went back by themselves.",
		}, []string{"rollout"}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "caregate", Name: "audit_durable_wait_seconds", Help: "Time until an event was durable.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 14),
		}),
		approvals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "approvals_total", Help: "Approvals by what was done with them: asked, given, refused, used, standing (a call under a standing one), expired.",
		}, []string{"step"}),
		reveals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "token_reveals_total", Help: "Tokens that somebody asked to see, by what came of it: revealed, not_found, limited.",
		}, []string{"outcome"}),
		verified: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "token_verifications_total", Help: "Tries to verify what a customer says by a token, by the answer: yes, no, limited.",
		}, []string{"answer"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "limits_reached_total", Help: "Calls that went over a limit of the policy, by what it counts: calls, reveals, subjects.",
		}, []string{"route", "of"}),
		withoutVault: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "without_vault_total", Help: "Calls that went on with masks in place of tokens while the vault did not answer, on routes with vault_down mask.",
		}, []string{"route"}),
		shipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "syslog_sent_total", Help: "Entries of the audit log that a collector's system has acknowledged, repeated ones included.",
		}, []string{"collector"}),
		shipBehind: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "caregate", Name: "syslog_behind", Help: "Entries of the audit log that a collector has not got yet.",
		}, []string{"collector"}),
		shipFailed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "syslog_failures_total", Help: "Connections to a collector that failed.",
		}, []string{"collector"}),
		trails: newTrailMetrics(),
		log:    newLogCollector(),
		archiveSize: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "caregate", Name: "archive_entries", Help: "Entries of the audit log that the archive holds under a locked checkpoint.",
		}),
		archiveFailing: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "caregate", Name: "archive_failing", Help: "1 while the last run of the archive failed.",
		}),
		notices: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "caregate", Name: "incident_notices", Help: "Notices that incidents owe and nobody has sent, by urgency: later, soon, overdue.",
		}, []string{"urgency"}),
		noticesRaised: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "incident_notices_raised_total", Help: "Times that this gateway raised a notice that is due soon or overdue.",
		}, []string{"rule", "urgency"}),
		dutiesWaiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "caregate", Name: "duties_waiting", Help: "Duties with which the gateway does not go on until a person says so.",
		}),
		deadlines: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "caregate", Name: "request_deadlines", Help: "What is owed to persons who asked for something by law, by what (acknowledge, respond) and urgency: later, soon, overdue (behind the plan), late (behind the law).",
		}, []string{"what", "urgency"}),
		deadlinesRaised: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caregate", Name: "request_deadlines_raised_total", Help: "Times that this gateway raised a deadline of a person's request.",
		}, []string{"what", "urgency"}),
		policyBehind: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "caregate", Name: "policy_behind", Help: "1 while what the files or the bundle source have of the policy is not in force.",
		}),
		bundleRevision: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "caregate", Name: "policy_bundle_revision", Help: "Revision of the policy bundle in force; 0 without one.",
		}),
	}
}

// register adds the collectors to a configuration's registry.
func (m *metrics) register(r *prometheus.Registry) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.trails.entries, m.trails.gaps, m.trails.failures, m.trails.failing, m.trails.until, m.exchanges, m.duration, m.findings, m.earlier, m.notInspected, m.approvals, m.reveals, m.verified, m.limited, m.withoutVault, m.streams, m.inspected, m.unmappedOps, m.addedRefused, m.tokensAsked, m.spends, m.wait, m.unrecorded, m.paused, m.reverted, m.shipped, m.shipBehind, m.shipFailed, m.log, m.archiveSize, m.archiveFailing, m.policyBehind, m.bundleRevision, m.notices, m.noticesRaised, m.deadlines, m.deadlinesRaised, m.dutiesWaiting} {
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

func (m *metrics) earlierPiece(route string, class redact.Class) {
	m.earlier.WithLabelValues(route, string(class)).Inc()
}

func (m *metrics) approval(step string) { m.approvals.WithLabelValues(step).Inc() }

func (m *metrics) reveal(outcome string, tokens int) {
	m.reveals.WithLabelValues(outcome).Add(float64(tokens))
}

func (m *metrics) limitReached(route, of string) { m.limited.WithLabelValues(route, of).Inc() }

func (m *metrics) verification(answer string) { m.verified.WithLabelValues(answer).Inc() }

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

// tokenAsked counts a question to a vendor for a token.
func (m *metrics) tokenAsked(credential, outcome string) {
	m.tokensAsked.WithLabelValues(credential, outcome).Inc()
}

func (m *metrics) unmapped(route string) { m.unmappedOps.WithLabelValues(route).Inc() }

// spent counts a call with a token.
func (m *metrics) spent(x *exchange, outcome string) {
	m.spends.WithLabelValues(x.h.Route, x.h.ch.Name, x.match.Op.Name, outcome).Inc()
}

// shipment are the counters of one collector.
type shipment struct {
	of *metrics
	to string
}

func (m *metrics) shipping(to string) shipment { return shipment{m, to} }

func (s shipment) sent(entries int64)   { s.of.shipped.WithLabelValues(s.to).Add(float64(entries)) }
func (s shipment) behind(entries int64) { s.of.shipBehind.WithLabelValues(s.to).Set(float64(entries)) }
func (s shipment) failed()              { s.of.shipFailed.WithLabelValues(s.to).Inc() }

func (m *metrics) durable(took time.Duration) { m.wait.Observe(took.Seconds()) }

// logCollector reads the state of the log when somebody asks for it. The log is that of
// the newest configuration; before the first there is nothing to tell.
type logCollector struct {
	of                                                            atomic.Pointer[audit.Log]
	entries, events, bytes, unsigned, lag, freeDisk, gap, overdue *prometheus.Desc
}

func newLogCollector() *logCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName("caregate", "audit", name), help, nil, nil)
	}
	return &logCollector{
		entries:  desc("entries", "Entries of the log's newest shard under a signed checkpoint."),
		events:   desc("queue_events", "Events reserved or waiting for the next commit."),
		bytes:    desc("queue_bytes", "Bytes reserved or waiting for the next commit."),
		unsigned: desc("unsigned_events", "Durable events that no checkpoint covers yet."),
		lag:      desc("lag_seconds", "How long the oldest of them may have waited for a checkpoint."),
		freeDisk: desc("free_disk_bytes", "Room on the file system of the log; -1 where it is not known."),
		overdue:  desc("shard_overdue", "1 while the half year of the newest shard is over and the next has not begun; for minutes that is normal."),
		gap:      desc("gap", "1 while something went on that the log does not know, until the log says so itself."),
	}
}

// Describe implements prometheus.Collector.
func (c *logCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{c.entries, c.events, c.bytes, c.unsigned, c.lag, c.freeDisk, c.gap, c.overdue} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *logCollector) Collect(to chan<- prometheus.Metric) {
	l := c.of.Load()
	if l == nil {
		return
	}
	h, gap, overdue := l.Health(), 0.0, 0.0
	if h.Overdue {
		overdue = 1
	}
	if _, open := l.Gap(); open {
		gap = 1
	}
	for d, v := range map[*prometheus.Desc]float64{
		c.entries: float64(l.Size()), c.events: float64(h.QueuedEvents), c.bytes: float64(h.QueuedBytes),
		c.unsigned: float64(h.Unsigned), c.lag: h.Lag.Seconds(), c.freeDisk: float64(h.FreeDisk), c.gap: gap, c.overdue: overdue,
	} {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
}

// expiryPaused tells whether deletion waits.
func (m *metrics) expiryPaused(paused bool) {
	value := 0.0
	if paused {
		value = 1
	}
	m.paused.Set(value)
}

// archived tells how a run of the archive ended.
func (m *metrics) archived(size int64, err error) {
	m.archiveSize.Set(float64(size))
	failing := 0.0
	if err != nil {
		failing = 1
	}
	m.archiveFailing.Set(failing)
}
