package audit

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// indexedEvents is how many events BenchmarkExposures asks about. Five million, half a
// year of a busy desk, take some minutes to write and a gigabyte and a half.
var indexedEvents = flag.Int("events", 200_000, "events that BenchmarkExposures asks about")

// The desk of BenchmarkExposures.
const (
	deskActors   = 300
	deskSubjects = 200_000
	deskRecords  = 1_000_000
)

// pseudonymOf makes the pseudonym of a number, as scattered as a real one.
func pseudonymOf(kind, n int) (p Pseudonym) {
	h := tlog.RecordHash(binary.BigEndian.AppendUint64([]byte{byte(kind)}, uint64(n)))
	copy(p[:], h[:])
	return p
}

// writeDesk fills an index through its own insertion, with events of half a year: each
// is about a subject and a record, and one in eight shows a card, one in fifty a social
// security number in the clear.
func writeDesk(b *testing.B, x *index, n int, first time.Time, every time.Duration) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	routes := [...]string{"desk", "chat", "mail"}
	rows := make([]*indexRow, 0, maxRunRows)
	for i := range n {
		var classes []string
		if r.IntN(8) == 0 {
			classes = append(classes, "credit_card")
		}
		if r.IntN(50) == 0 {
			classes = append(classes, "us_ssn")
		}
		var l Leaf
		at := first.Add(time.Duration(i) * every)
		l.Event = Event{
			ID: idAt(at), Exchange: idAt(at), Type: "response.decided", Tenant: "default", Route: routes[i%len(routes)], Decision: DecisionAllow,
			Actor: pseudonymOf(0, r.IntN(deskActors)), Identity: "credential", Channel: "zendesk", Operation: "ticket.read", Effect: "read", Scope: "one", Outcome: OutcomeReleased, Status: 200,
			Subjects: []Ref{{ID: pseudonymOf(1, r.IntN(deskSubjects)), Classes: classes}}, Records: []Ref{{ID: pseudonymOf(2, r.IntN(deskRecords)), Classes: classes}},
		}
		l.Wall = at.UnixMilli()
		rows = append(rows, project(&l).place(int64(i), tlog.RecordHash(l.ID[:])))
		if len(rows) == maxRunRows || i == n-1 {
			if err := x.add(b.Context(), rows); err != nil {
				b.Fatal(err)
			}
			rows = rows[:0]
		}
	}
}

// idAt is an id as of that time.
func idAt(at time.Time) (id ID) {
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

// BenchmarkExposures is the question "whose clear card or social security number could
// this agent have seen", over everything and over one day. Budget: 3 s over five million
// events (-events 5000000).
func BenchmarkExposures(b *testing.B) {
	const shard = "2026h2"
	x, err := openIndex(b.Context(), filepath.Join(b.TempDir(), indexFile), shard)
	if err != nil {
		b.Fatal(err)
	}
	defer x.db.Close()
	first := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	every := 180 * 24 * time.Hour / time.Duration(*indexedEvents)
	began := time.Now()
	writeDesk(b, x, *indexedEvents, first, every)
	b.Logf("%d events written in %s", *indexedEvents, time.Since(began).Round(time.Second))
	asked := &Index{db: x.db, deployment: "acme"}
	actor := func(string) Pseudonym { return pseudonymOf(0, 7) }
	day := first.Add(90 * 24 * time.Hour)
	for name, q := range map[string]Query{
		"HalfYear":      {Actor: actor},
		"Day":           {Actor: actor, From: day, To: day.Add(24 * time.Hour)},
		"HalfYearCards": {Actor: actor, Class: "credit_card"},
		"DayCards":      {Actor: actor, Class: "credit_card", From: day, To: day.Add(24 * time.Hour)},
		"Subject":       {Subject: func(string) Pseudonym { return pseudonymOf(1, 3) }},
	} {
		b.Run(name, func(b *testing.B) {
			found := 0
			for b.Loop() {
				out, _, err := asked.Exposures(b.Context(), q, everyRow)
				if err != nil {
					b.Fatal(err)
				}
				found = len(out)
			}
			if found == 0 && *indexedEvents >= 100_000 && (name == "HalfYear" || name == "HalfYearCards") {
				b.Error("nothing was found")
			}
			b.ReportMetric(float64(found), "rows")
		})
	}
}

// everyRow is more rows than an answer has.
const everyRow = 1 << 30
