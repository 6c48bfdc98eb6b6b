package index_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/index"
)

var benchRecords = flag.Int("records", 100_000, "how many records the index of the benchmark has")

// BenchmarkFind asks for all records of one person, in an index of -records: tickets of two
// persons each, of whom one has a hundred and the others ten on average, and a comment on each
// ticket. Beside it stands counting the person's rows and nothing more.
func BenchmarkFind(b *testing.B) {
	db, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "state.db"), store.Options{Create: true, Sync: store.SyncNormal, Cache: 200_000})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	x, err := index.Open(b.Context(), db)
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	random := rand.New(rand.NewPCG(1, 2))
	persons := *benchRecords / 10
	pick := func(n int) (p index.Person) {
		binary.BigEndian.PutUint64(p[:], uint64(n)*0x9e3779b97f4a7c15)
		return p
	}
	const searched = 100
	began := time.Now()
	var all []index.Sighting
	for i := 0; i < *benchRecords; i += 2 {
		who := []index.Person{pick(random.IntN(persons))}
		if i%(*benchRecords/searched) < 2 {
			who = append(who, pick(-1-i/(*benchRecords/searched)%10)) // ten persons with ten each, who are one
		}
		t := ticket(strconv.Itoa(100_000_000 + i))
		comment := index.Record{Channel: t.Channel, Host: t.Host, Type: "comment", ID: strconv.Itoa(9_000_000_000 + i)}
		at := noon.Add(-time.Duration(random.IntN(1e6)) * time.Minute)
		all = append(all, index.Sighting{Record: t, Persons: who, Classes: []string{"email"}, Created: at, Closed: index.Closing{Known: true, At: at}, At: noon},
			index.Sighting{Record: comment, Parent: t, Persons: who[:1], Created: at, At: noon})
		if len(all) >= 2000 || i+2 >= *benchRecords {
			if err := x.Note(b.Context(), all); err != nil {
				b.Fatal(err)
			}
			all = all[:0]
		}
	}
	noted := time.Since(began)
	var who []index.Person
	for i := range 10 {
		who = append(who, pick(-1-i))
	}
	b.Run(fmt.Sprintf("records=%d", *benchRecords), func(b *testing.B) {
		var times []time.Duration
		for b.Loop() {
			began := time.Now()
			found, err := x.Of(b.Context(), who, index.Record{}, 1000)
			times = append(times, time.Since(began))
			if err != nil || len(found) != searched {
				b.Fatalf("found %d records, %v, want %d", len(found), err, searched)
			}
		}
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2])/1e6, "p50-ms")
		b.ReportMetric(float64(times[len(times)-1])/1e6, "most-ms")
		b.ReportMetric(float64(*benchRecords)/noted.Seconds(), "noted/s")
	})
	b.Run("rows alone", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, p := range who {
				var rows int
				if err := db.QueryRowContext(b.Context(), `SELECT count(*) FROM record_person WHERE person = $1`, p[:]).Scan(&rows); err != nil {
					b.Fatal(err)
				}
				n += rows
			}
			if n != searched {
				b.Fatalf("%d rows, want %d", n, searched)
			}
		}
	})
}
