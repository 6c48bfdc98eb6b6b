package proxy

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
	"github.com/caregate/caregate/retention/incident"
)

// What is overdue is an error in the gateway's log, with ids and codes.
func TestRaiseNotice(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	raise := raiseNotice(slog.New(slog.NewTextHandler(&out, nil)))
	raise(incident.Duty{Incident: "i1", Rule: "eu.breach.authority", Place: "de", PlanBy: at, LegalDue: at}, incident.Overdue)
	raise(incident.Duty{Incident: "i1", Rule: "eu.breach.subjects", Place: "de", PlanBy: at}, incident.Soon)
	raise(incident.Duty{Incident: "i1", Rule: "eu.breach.subjects", Place: "de", PlanBy: at}, incident.Doubt)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[2], "the clock jumped") || !strings.Contains(lines[0], "level=ERROR") || !strings.Contains(lines[0], "OVERDUE") || !strings.Contains(lines[0], "incident=i1 rule=eu.breach.authority place=de plan_by=2026-11-23T09:00:00Z legal_due=2026-11-23T09:00:00Z") {
		t.Errorf("got %q", lines)
	}
	if len(lines) == 3 && (!strings.Contains(lines[1], "level=ERROR") || !strings.Contains(lines[1], "legal_due=none")) {
		t.Errorf("got %q", lines[1])
	}
}

// Duties that wait for a person are told of when there are more of them, and every half hour.
func TestWaitingDuties(t *testing.T) {
	var out bytes.Buffer
	w := waitingDuties{logger: slog.New(slog.NewTextHandler(&out, nil))}
	at := time.Unix(1, 0)
	for i, v := range []struct {
		n, after int // seconds
		told     bool
	}{{0, 0, false}, {2, 30, true}, {2, 60, false}, {1, 90, false}, {2, 120, true}, {2, 1919, false}, {2, 1920, true}, {0, 9999, false}} {
		out.Reset()
		w.are(v.n, at.Add(time.Duration(v.after)*time.Second))
		if got := out.String(); strings.Contains(got, "level=ERROR") != v.told || v.told && !strings.Contains(got, "waiting="+strconv.Itoa(v.n)) {
			t.Errorf("look %d: %d wait: %q", i, v.n, got)
		}
	}
}

// While the log is away, what is due is done all the same, and the metric of notices says how
// urgent they are.
func TestDutiesWithoutLog(t *testing.T) {
	c := DataConfig{Dir: filepath.Join(t.TempDir(), "data"), Name: "test"}
	if _, err := CreateData(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	d, err := OpenData(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	register, err := clock.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		start, err := register.Start("int.escalate", time.Now().Add(-48*time.Hour), clock.Place{Zone: "UTC"})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := d.state.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Duties.Add(t.Context(), tx, retention.Obligation{ID: "test/" + strconv.Itoa(i), Kind: "test", Subject: "test", Clock: []clock.Event{start}}); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	done := 0
	// The gateway's own runner knows no duties of this kind.
	runner, err := retention.NewRunner(retention.Config{Store: d.Duties, Log: slog.New(slog.DiscardHandler),
		Kinds: []retention.Kind{{Name: "test", Steps: []retention.Step{{Name: "tell", Do: func(context.Context, retention.Work) (string, error) {
			done++
			return "told", nil
		}}}}},
		Record: func(context.Context, retention.Entry) (string, error) { return "", errors.New("the log is away") }})
	if err != nil {
		t.Fatal(err)
	}
	_ = d.doDuties(t.Context(), runner)
	if done != 3 {
		t.Errorf("%d of 3 duties were done while the log was away", done)
	}

	for range 5 {
		if _, err := d.Incidents.Open(t.Context(), incident.NewIncident{Title: "x", By: "user:1"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.state.ExecContext(t.Context(), `UPDATE incident_event SET body = $1, leaf = ''`, []byte("x")); err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	if err := metrics.Register(processMetrics.notices); err != nil {
		t.Fatal(err)
	}
	// Other gateways of this process set the metric, too.
	for range 1000 {
		if err := d.doDuties(t.Context(), runner); err == nil {
			t.Fatal("an entry that cannot be read was recorded")
		}
		found, err := metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			for _, m := range f.GetMetric() {
				if m.GetLabel()[0].GetValue() == "later" && m.GetGauge().GetValue() == 10 {
					return
				}
			}
		}
	}
	t.Error("the metric of notices was not set")
}

// A log that hangs keeps no duty waiting.
func TestDutiesWhileLogHangs(t *testing.T) {
	Within(t, &recordTimeout, time.Second)
	c := DataConfig{Dir: filepath.Join(t.TempDir(), "data"), Database: pgtest.Database(t), Name: "test"}
	if _, err := CreateData(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	d, err := OpenData(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	register, err := clock.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	// Its kind is unknown to the gateway's own runner, which goes on beside.
	for i := range 3 {
		start, err := register.Start("int.escalate", time.Now().Add(-48*time.Hour), clock.Place{Zone: "UTC"})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := d.state.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Duties.Add(t.Context(), tx, retention.Obligation{ID: "test/" + strconv.Itoa(i), Kind: "test", Subject: "test", Clock: []clock.Event{start}}); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	done := 0
	runner, err := retention.NewRunner(retention.Config{Store: d.Duties, Log: slog.New(slog.DiscardHandler), Record: d.recordDuty,
		Kinds: []retention.Kind{{Name: "test", Steps: []retention.Step{{Name: "tell", Do: func(context.Context, retention.Work) (string, error) {
			done++
			return "told", nil
		}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := d.state.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // before the log is closed
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE audit_intake IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Incidents.Open(t.Context(), incident.NewIncident{Title: "x", By: "user:1"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := d.doDuties(ctx, runner); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("got %v (%v), want it given up", err, ctx.Err())
	}
	if done != 3 {
		t.Errorf("%d of 3 duties were done while the log hung", done)
	}
}

// An entry of a duty whose body is longer than an attribute is in the log whole, and one that
// no event can hold by its digest: the entries behind it wait for neither.
func TestLongDutyEntry(t *testing.T) {
	c := DataConfig{Dir: filepath.Join(t.TempDir(), "data"), Name: "test"}
	if _, err := CreateData(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	d, err := OpenData(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	for size, want := range map[int]string{10: "body0", 2*bodyPart + 1: "body2", bodyPart*bodyParts + 1: "body_sha256"} {
		body := []byte(strings.Repeat("x", size))
		e := retention.Entry{ID: "d" + want + "#7", Obligation: "d" + want, Kind: "obligation.added", At: time.Unix(1, 0), Body: body}
		var leaf string
		for range 2 { // the second time it is there
			if leaf, err = d.recordDuty(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		id, err := audit.ParseID(leaf)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Log.Find(t.Context(), id)
		if err != nil || got.Type != "duty.added" || got.Attrs[want] == "" || got.Attrs["entry"] != "7" {
			t.Errorf("%d bytes: got %s with %d attributes (%v)", size, got.Type, len(got.Attrs), err)
		}
	}
}
