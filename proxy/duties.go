package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
	"github.com/caregate/caregate/retention/incident"
)

// dutiesEvery is how often duties are looked at, besides after each change of one.
const dutiesEvery = 30 * time.Second

// openDuties opens the duties of law and what adds them.
func (d *Data) openDuties(ctx context.Context) error {
	register, err := clock.Builtin()
	if err != nil {
		return fmt.Errorf("reading the legal clocks: %w", err)
	}
	if d.Duties, err = retention.Open(ctx, d.state, register); err != nil {
		return fmt.Errorf("opening the duties: %w", err)
	}
	if d.Incidents, err = incident.New(ctx, d.state, d.Duties, register); err != nil {
		return fmt.Errorf("opening the incidents: %w", err)
	}
	return nil
}

// startDuties has duties carried out until the data directory is closed. Each of several
// gateways does so, and one of them claims a duty.
func (d *Data) startDuties(logger *slog.Logger) error {
	runner, err := retention.NewRunner(retention.Config{Store: d.Duties, Kinds: append(d.Incidents.Kinds(raiseNotice(logger)), d.Requests.Kinds(raiseDeadline(logger))...), Record: d.recordDuty, Log: logger})
	if err != nil {
		return fmt.Errorf("starting to carry out duties: %w", err)
	}
	d.keep(func(ctx context.Context) { d.runDuties(ctx, runner, logger) })
	return nil
}

func (d *Data) runDuties(ctx context.Context, runner *retention.Runner, logger *slog.Logger) {
	tick := time.NewTicker(dutiesEvery)
	defer tick.Stop()
	waiting := waitingDuties{logger: logger}
	for {
		if err := d.doDuties(ctx, runner); err != nil && ctx.Err() == nil {
			logger.Error("carrying out duties; it is tried again", slog.Any("error", err))
		}
		if n, err := d.Duties.CountWaiting(ctx); err == nil {
			waiting.are(n, time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-d.dutiful:
		}
	}
}

// waitingAgain is how often the gateway's log says that duties wait for a person.
const waitingAgain = 30 * time.Minute

// waitingDuties tells the gateway's log and a metric of duties that wait for a person.
type waitingDuties struct {
	logger *slog.Logger
	n      int
	told   time.Time
}

// are notes how many wait. It is told again when there are more, and every waitingAgain.
func (w *waitingDuties) are(n int, now time.Time) {
	processMetrics.dutiesWaiting.Set(float64(n))
	if n > 0 && (n > w.n || now.Sub(w.told) >= waitingAgain) {
		w.logger.Error("duties wait for a person, and nothing goes on with them: caregate duty list", slog.Int("waiting", n))
		w.told = now
	}
	w.n = n
}

// doDuties does what is due now, and puts in the log what is not yet there. What one part
// fails at keeps no other waiting: while the log is away, what is due is done all the same.
func (d *Data) doDuties(ctx context.Context, runner *retention.Runner) error {
	var failed error
	for worked := true; worked && ctx.Err() == nil; {
		var err error
		if worked, err = runner.Once(ctx); failed == nil {
			failed = err // of many alike
		}
	}
	for n := 1; n > 0 && ctx.Err() == nil; {
		var err error
		if n, err = d.Incidents.Record(ctx, d.recordIncident); err != nil {
			failed = errors.Join(failed, err)
			break
		}
	}
	failed = errors.Join(failed, d.tellRequests(ctx), d.countDeadlines(ctx))
	stages, err := d.Incidents.Stages(ctx)
	if err != nil {
		return errors.Join(failed, err)
	}
	for stage, n := range stages {
		if stage == "" {
			stage = "later"
		}
		processMetrics.notices.WithLabelValues(stage).Set(float64(n))
	}
	return failed
}

// dutiesSoon has duties looked at without waiting for the next time.
func (d *Data) dutiesSoon() {
	select {
	case d.dutiful <- struct{}{}:
	default: // somebody has asked
	}
}

// raiseNotice tells whoever reads the gateway's log, and metrics, of a notice that is due soon
// or overdue. The entry in the audit log is made with the duty.
func raiseNotice(logger *slog.Logger) incident.Raised {
	return func(n incident.Duty, stage string) {
		processMetrics.noticesRaised.WithLabelValues(n.Rule, stage).Inc()
		what := "a notice of an incident is due soon"
		switch stage {
		case incident.Overdue:
			what = "a notice of an incident is OVERDUE"
		case incident.Doubt:
			what = "nobody knows how soon a notice of an incident is due, because the clock jumped (caregate incident trust-clock)"
		}
		legal := "none"
		if !n.LegalDue.IsZero() {
			legal = n.LegalDue.Format(time.RFC3339)
		}
		logger.Error(what+"; it is repeated until somebody acknowledges it: caregate incident show", slog.String("incident", n.Incident), slog.String("rule", n.Rule),
			slog.String("place", n.Place), slog.String("plan_by", n.PlanBy.Format(time.RFC3339)), slog.String("legal_due", legal))
	}
}

const (
	// bodyPart is how much of an entry's body one attribute of an event takes, bodyParts how
	// many there are; of a longer one the event has the digest alone.
	bodyPart  = 3500
	bodyParts = 20
)

// recordDuty puts in the log what happened to a duty.
func (d *Data) recordDuty(ctx context.Context, e retention.Entry) (string, error) {
	sum := sha256.Sum256([]byte("duty event\n" + e.ID))
	id := audit.ID(sum[:16])
	_, number, _ := strings.Cut(e.ID, "#")
	attrs := map[string]string{"entry": number, "at": strconv.FormatInt(e.At.UnixMilli(), 10)}
	for name, v := range map[string]string{"duty": e.Obligation, "step": e.Step} {
		if v != "" {
			attrs[name] = v
		}
	}
	if body := string(e.Body); len(body) <= bodyPart*bodyParts {
		for n := 0; len(body) > 0; n++ {
			part := body[:min(len(body), bodyPart)] // codes: no rune is cut
			attrs["body"+strconv.Itoa(n)], body = part, body[len(part):]
		}
	} else {
		whole := sha256.Sum256(e.Body)
		attrs["body_sha256"] = hex.EncodeToString(whole[:])
	}
	err := d.recordOnce(ctx, audit.Event{ID: id, Type: "duty." + strings.TrimPrefix(e.Kind, "obligation."), Attrs: attrs}, "")
	return id.String(), err
}

// recordIncident puts in the log what happened to an incident.
func (d *Data) recordIncident(ctx context.Context, e incident.Entry) (string, error) {
	attrs := map[string]string{"incident": e.Incident, "entry": strconv.FormatInt(e.Seq, 10), "at": strconv.FormatInt(e.At.UnixMilli(), 10)}
	for name, v := range e.Body {
		attrs[name] = v
	}
	by := e.Actor
	if by == incident.Machine {
		by = ""
	}
	err := d.recordOnce(ctx, audit.Event{ID: audit.ID(e.ID), Type: e.Kind, Attrs: attrs}, by)
	return audit.ID(e.ID).String(), err
}
