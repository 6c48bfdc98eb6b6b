package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/vault"
)

// trailBench is a data directory, a vendor and a poller between them, with a clock
// that stands still.
type trailBench struct {
	t        *testing.T
	dir      string
	data     *Data
	desk     *sample.Helpdesk
	intercom *sample.Intercom
	server   *httptest.Server
	messages *strings.Builder
	now      time.Time
	// wrong, when set, answers in place of the vendor and reports that it did.
	wrong func(w http.ResponseWriter, r *http.Request) bool
	p     *poller
}

const trailToken = "token-of-an-administrator"

// newTrailVendor is a bench without data.
func newTrailVendor(t *testing.T) *trailBench {
	t.Helper()
	b := &trailBench{
		t: t, desk: sample.NewHelpdesk(sample.Options{Bearers: []sample.Bearer{{Token: trailToken, Email: "admin@example.com"}}}),
		intercom: sample.NewIntercom(trailToken), messages: new(strings.Builder), now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC),
	}
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case b.wrong != nil && b.wrong(w, r):
		case strings.HasPrefix(r.URL.Path, "/admins/"):
			b.intercom.ServeHTTP(w, r)
		default:
			b.desk.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(b.server.Close)
	return b
}

func newTrailBench(t *testing.T, channel, log string) *trailBench {
	t.Helper()
	b := newTrailVendor(t)
	b.dir = filepath.Join(t.TempDir(), "data")
	if _, err := CreateData(t.Context(), DataConfig{Dir: b.dir, Name: "test"}); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(b.close)
	b.restart(channel, log)
	return b
}

// open opens the data directory, which nobody has open.
func (b *trailBench) open() {
	b.t.Helper()
	var err error
	if b.data, err = OpenData(b.t.Context(), DataConfig{Dir: b.dir, Name: "test"}); err != nil {
		b.t.Fatal(err)
	}
}

// close closes the data directory, if it is open.
func (b *trailBench) close() {
	if b.data == nil {
		return
	}
	if err := b.data.Close(); err != nil {
		b.t.Error(err)
	}
	b.data = nil
}

// restart is a new poller on the same data, as a new process has one.
func (b *trailBench) restart(channel, log string) {
	b.t.Helper()
	p, err := newTestPoller(b.data, channel, log, b.server.URL, func() time.Time { return b.now }, b.messages)
	if err != nil {
		b.t.Fatal(err)
	}
	b.p = p
}

func newTestPoller(data *Data, channel, log, upstream string, now func() time.Time, messages io.Writer) (*poller, error) {
	conf := Trail{Channel: channel, Log: log, Upstream: upstream, Bearer: "{env.UNUSED}"}
	c, err := conf.resolve()
	if err != nil {
		return nil, err
	}
	client, err := conf.client()
	if err != nil {
		return nil, err
	}
	detector, err := detect.New(detect.Config{})
	if err != nil {
		return nil, err
	}
	return &poller{
		name: conf.name(c), key: conf.name(c) + " vendor", upstream: upstream, ch: c, trail: c.Trail(log), client: client,
		authorize: func() (string, error) { return "Bearer " + trailToken, nil },
		every:     defaultTrailEvery, history: defaultTrailHistory, detector: func() *detect.Detector { return detector },
		metrics: newMetrics().following(conf.name(c)), logger: slog.New(slog.NewTextHandler(messages, nil)),
		now: now, data: data,
	}, nil
}

// read runs the poller until it has nothing more to do.
func (b *trailBench) read() {
	b.t.Helper()
	if err := b.try(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *trailBench) try() error { return readTrail(b.t.Context(), b.p) }

// readTrail lets a poller read until there is nothing more.
func readTrail(ctx context.Context, p *poller) error {
	for range 200 {
		more, err := p.runOnce(ctx)
		if err != nil || !more {
			return err
		}
	}
	return errors.New("the poller does not come to an end")
}

// found returns what the index has of the events of a type, the newest first.
func (b *trailBench) found(kind string) []audit.Found {
	b.t.Helper()
	if err := b.data.Log.Settle(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	found, _, err := b.data.Log.Index().Entries(b.t.Context(), audit.Query{Type: kind}, 10_000)
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

// leaves returns the events of a type, the oldest first.
func (b *trailBench) leaves(kind string) []audit.Leaf {
	b.t.Helper()
	var out []audit.Leaf
	for _, f := range b.found(kind) {
		l, err := b.data.Log.Find(b.t.Context(), f.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, l)
	}
	slices.Reverse(out)
	return out
}

// gaps tells the gaps shortly.
func (b *trailBench) gaps() string {
	var out []string
	for _, l := range b.leaves(audit.TypeVendorGap) {
		out = append(out, l.Attrs["gap"]+" "+l.Attrs["from"]+" "+l.Attrs["to"])
	}
	return strings.Join(out, "\n")
}

// exports writes n exports into the audit log, a minute apart, the last at the time.
func (b *trailBench) exports(n int, last time.Time) {
	for i := range n {
		b.desk.NoteAudit(last.Add(-time.Duration(n-1-i)*time.Minute), map[string]any{
			"action": "exported", "actor_id": 1234, "actor_name": "Sam Field", "change_description": "Tickets of Jo Doe, card 4111 1111 1111 1111",
			"ip_address": "192.0.2.7", "source_type": "account", "source_label": "Jo Doe",
		})
	}
}

// An export on the vendor's own screen is in our log once, as the vendor's word, with
// nothing personal in the leaf and nothing in the sealed part that must not be kept.
func TestTrailRecordsTheVendorsWord(t *testing.T) {
	t.Parallel()
	b := newTrailBench(t, "zendesk", "audit")
	at := b.now.Add(-time.Hour)
	b.exports(1, at)
	b.desk.NoteAudit(at.Add(time.Minute), map[string]any{"action": "destroy", "source_type": "user", "source_id": 3456, "source_label": "Jo Doe", "actor_id": 1234})
	b.read()
	b.now = b.now.Add(5 * time.Minute)
	b.read()
	events := b.leaves(audit.TypeVendorEvent)
	if len(events) != 2 {
		t.Fatalf("got %d events, want 2", len(events))
	}
	l := events[0]
	if l.Identity != audit.IdentityVendor || l.Channel != "zendesk" || l.Route != "zendesk/audit" || l.Operation != "data.exported" || l.Effect != "read" || l.Scope != "export" ||
		l.Decision != "" || l.Outcome != "" || l.Class != ocsfEntityManagement || l.Attrs["vendor_time"] != "2026-06-01T11:00:00Z" || l.Attrs["trail"] != "audit" {
		t.Errorf("the leaf is %+v", l)
	}
	if events[1].Operation != "user.deleted" || len(events[1].Subjects) != 1 || events[1].Actor != l.Actor {
		t.Errorf("the deletion is %+v", events[1])
	}
	who, err := b.data.Vault.KnownActor(t.Context(), "zendesk:user:1234")
	if err != nil || l.Actor != who.Pseudonym(b.data.Log.Origin()) {
		t.Errorf("the actor is not the vendor's user: %v", err)
	}
	subject, err := b.data.Vault.Known(t.Context(), vault.Ident{Kind: "zendesk:user", Value: "3456"})
	if err != nil || events[1].Subjects[0].ID != subject.Pseudonym(b.data.Log.Origin()) {
		t.Errorf("the subject is not the deleted user: %v", err)
	}
	raw, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	for _, personal := range []string{"Sam", "Doe", "192.0.2", "4111", "1234", "3456"} {
		if strings.Contains(string(raw), `"`+personal) || strings.Contains(string(raw), personal+" ") || strings.Contains(b.messages.String(), personal) {
			t.Errorf("a leaf or a message holds %q", personal)
		}
	}
	if n := len(l.Digests); n != 2 {
		t.Fatalf("the event has %d sealed parts, want the actor's and the rest", n)
	}
	if got := b.leaves(audit.TypeVendorCovered); len(got) != 1 || got[0].Attrs["from"] != "2026-05-31T12:00:00Z" || got[0].Attrs["to"] != "2026-06-01T11:59:50Z" || got[0].Attrs["entries"] != "2" {
		t.Errorf("what was read is told as %+v", got)
	}
	if g := b.gaps(); g != "" {
		t.Errorf("gaps without a reason:\n%s", g)
	}
}

// The sealed parts open with the vault, hold what the vendor said, and no card.
func TestTrailDetailsAreSealed(t *testing.T) {
	t.Parallel()
	b := newTrailBench(t, "zendesk", "audit")
	b.exports(1, b.now.Add(-time.Hour))
	if err := b.p.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.p.open()
	page, _, err := b.p.fetch(t.Context(), b.p.trail.Query(b.p.cur.Window.From, b.p.cur.Window.To))
	if err != nil || len(page.Entries) != 1 {
		t.Fatalf("got %d entries, %v", len(page.Entries), err)
	}
	e := page.Entries[0]
	if s := string(e.ActorDetail); !strings.Contains(s, "Sam Field") || !strings.Contains(s, "192.0.2.7") {
		t.Errorf("the actor's part is %s", s)
	}
	if s := string(e.Detail); strings.Contains(s, "4111 1111 1111") || !strings.Contains(s, "XXXX XXXX XXXX 1111") || strings.Contains(s, "Sam") {
		t.Errorf("the other part is %s", s)
	}
	ev := audit.Event{ID: audit.NewID()}
	who, err := b.data.Vault.Actor(t.Context(), "zendesk:user:1234")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.p.seal(t.Context(), &ev, who, "actor", vendorDetail{Actor: "zendesk:user:1234", Vendor: e.ActorDetail}); err != nil {
		t.Fatal(err)
	}
	s := ev.Details[0]
	plain, err := b.data.Vault.Open(t.Context(), vault.Sealed{Key: s.Key, Ciphertext: s.Ciphertext, Commitment: s.Commitment}, vault.AD(b.data.Log.Origin(), ev.ID, "actor"))
	if err != nil || !strings.Contains(string(plain), `"vendor":{"actor_id":1234`) {
		t.Errorf("the sealed part opens as %s, %v", plain, err)
	}
}

// A process that dies after entries are durable and before the cursor is, reads them
// again and records none twice; those that it had not reached it records.
func TestTrailSurvivesDeathInMidPage(t *testing.T) {
	t.Parallel()
	b := newTrailBench(t, "zendesk", "audit")
	b.exports(40, b.now.Add(-time.Hour))
	b.read()
	before, err := b.data.trails.load(t.Context(), b.p.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, died := range []struct {
		name string
		at   int // entries that were durable
	}{{"at the first entry", 1}, {"in the middle", 17}, {"at the end of the page", 30}} {
		base := len(b.found(audit.TypeVendorEvent))
		b.now = b.now.Add(31 * time.Minute)
		b.exports(30, b.now.Add(-time.Minute))
		// The page as far as the process came, then the cursor of before.
		b.p.cur = nil
		if err := b.p.begin(t.Context()); err != nil || !b.p.open() {
			t.Fatalf("%s: no window, %v", died.name, err)
		}
		page, _, err := b.p.fetch(t.Context(), b.p.trail.Query(b.p.cur.Window.From, b.p.cur.Window.To))
		if err != nil {
			t.Fatal(err)
		}
		known := len(page.Entries) - 30
		if err := b.p.record(t.Context(), page.Entries[:known+died.at]); err != nil {
			t.Fatal(err)
		}
		b.restart("zendesk", "audit")
		if got := len(b.found(audit.TypeVendorEvent)); got != base+died.at {
			t.Fatalf("%s: %d events before the restart, want %d", died.name, got, base+died.at)
		}
		b.read()
		if got := len(b.found(audit.TypeVendorEvent)); got != base+30 {
			t.Errorf("%s: %d events, want %d", died.name, got, base+30)
		}
	}
	// And with the cursor of long ago, as from a backup.
	if err := b.data.trails.save(t.Context(), b.p.key, before); err != nil {
		t.Fatal(err)
	}
	b.restart("zendesk", "audit")
	b.read()
	if got := len(b.found(audit.TypeVendorEvent)); got != 130 {
		t.Errorf("%d events after an old cursor, want 130", got)
	}
	if g := b.gaps(); g != "" {
		t.Errorf("gaps without a reason:\n%s", g)
	}
}

// Pages follow one another, over a restart too, and the credential stays with the
// host that the operator named whatever address the vendor gives.
func TestTrailPagesFollow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ channel, log string }{{"zendesk", "audit"}, {"zendesk", "access"}, {"intercom", "activity"}} {
		t.Run(tt.channel+" "+tt.log, func(t *testing.T) {
			t.Parallel()
			b := newTrailBench(t, tt.channel, tt.log)
			asked := 0
			b.wrong = func(_ http.ResponseWriter, r *http.Request) bool {
				asked++
				return false
			}
			const n = 1100
			for i := range n {
				at := b.now.Add(-time.Duration(n-i) * time.Second).Add(-time.Minute)
				switch tt.log {
				case "audit":
					b.desk.NoteAudit(at, map[string]any{"action": "update", "source_type": "rule", "actor_id": 7})
				case "access":
					b.desk.NoteAccess(at, map[string]any{"method": "GET", "url": "/api/v2/tickets/35.json?x=1", "user_id": 7, "status": 200})
				default:
					b.intercom.Note(at, map[string]any{"activity_type": "bulk_export", "performed_by": map[string]any{"type": "admin", "id": "7", "email": "sam@example.com"}})
				}
			}
			if _, err := b.p.runOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.restart(tt.channel, tt.log)
			b.read()
			events := b.found(audit.TypeVendorEvent)
			if len(events) != n || asked < 2 {
				t.Errorf("got %d events in %d calls, want %d", len(events), asked, n)
			}
			if tt.log == "access" {
				l, err := b.data.Log.Find(t.Context(), events[0].ID)
				if err != nil {
					t.Fatal(err)
				}
				if l.Operation != "ticket.show" || l.Effect != "read" || len(l.Records) != 1 || l.Records[0].ID != b.data.Vault.Record("zendesk:ticket", "35") || l.Attrs["vendor_status"] != "200" {
					t.Errorf("a look at a ticket is %+v", l)
				}
			}
			if g := b.gaps(); g != "" {
				t.Errorf("gaps without a reason:\n%s", g)
			}
		})
	}
}

func TestTrailConfig(t *testing.T) {
	t.Parallel()
	good := Trail{Channel: "zendesk", Log: "audit", Upstream: "https://acme.zendesk.com", Bearer: "{env.TOKEN}"}
	if _, err := good.resolve(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Trail){
		"no built-in channel":               func(c *Trail) { c.Channel = "nobody" },
		"no such trail; it has audit":       func(c *Trail) { c.Log = "sign-ins" },
		"scheme and host only":              func(c *Trail) { c.Upstream += "/api" },
		"not sent in the clear":             func(c *Trail) { c.Upstream = "http://acme.zendesk.com" },
		"want one credential":               func(c *Trail) { c.Bearer = "" },
		"and not the secret":                func(c *Trail) { c.Bearer = "0123456789abcdef" },
		"every is at least 30s":             func(c *Trail) { c.Every = caddy.Duration(time.Second) },
		"and not in the future":             func(c *Trail) { c.History = -1 },
		"only: unknown word exports; there": func(c *Trail) { c.Only = []string{"exports"} },
	} {
		c := good
		change(&c)
		if _, err := c.resolve(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		} else if strings.Contains(err.Error(), "0123456789") {
			t.Error("an error repeats a secret")
		}
	}
}
