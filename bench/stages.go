package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

// durable measures how long an event waits until it is on the disk, at a steady
// 1,000 events per second and at saturation, beside a bare insert of the same
// size with the same synchronisation.
func (b bench) durable(ctx context.Context, out *tabwriter.Writer) error {
	dir, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		return err
	}
	config := audit.Config{Deployment: "bench"}
	if err := audit.Create(ctx, dir, config); err != nil {
		return err
	}
	log, err := audit.Open(ctx, dir, config)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	fmt.Fprintln(out, "durable wait\tevents/s\tp50\tp99")
	for _, load := range []struct {
		name  string
		every time.Duration // zero: as fast as it goes
	}{{"audit, 1,000 events/s offered", time.Millisecond}, {"audit, saturated", 0}} {
		s, err := events(ctx, log, b.slice, load.every)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\t%.0f\t%s\t%s\n", load.name, s.rate(), s.percentile(.5).Round(time.Microsecond), s.percentile(.99).Round(time.Microsecond))
	}
	s, err := inserts(ctx, filepath.Join(dir, "bare.db"), b.slice)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "bare SQLite insert, one by one\t%.0f\t%s\t%s\n", s.rate(), s.percentile(.5).Round(time.Microsecond), s.percentile(.99).Round(time.Microsecond))
	return nil
}

// anEvent has the fields of an ordinary exchange.
func anEvent() audit.Event {
	return audit.Event{
		Exchange: audit.NewID(), Class: 6003, Type: "request.decided", Tenant: "default", Route: "zendesk", Decision: audit.DecisionAllow,
		Policy: "7491577a9ffdfb361c30f71027603bf030e0b721fc7cc1b8b6c4700330787e5a", Identity: "asserted", Roles: []string{"agent"},
		Channel: "zendesk", Operation: "ticket.create", Effect: "write", Scope: "one", Network: "loopback", Forwarded: true,
		Released: []audit.Count{{Class: "credit_card", Masked: 1}}, Subjects: []audit.Ref{{ID: audit.Pseudonym(audit.NewID())}},
		Details: []audit.Sealed{{Part: "actor", Key: "k", Ciphertext: make([]byte, 300), Commitment: make([]byte, 32)}}, Retention: "exchange",
	}
}

func events(ctx context.Context, log *audit.Log, slice, every time.Duration) (sample, error) {
	var mu sync.Mutex
	var s sample
	var failed error
	one := func() {
		slot, err := log.Reserve(ctx, audit.LaneNormal)
		if err == nil {
			began := time.Now()
			_, err = slot.Append(anEvent()).Wait(ctx)
			took := time.Since(began)
			slot.Release()
			mu.Lock()
			s.latency = append(s.latency, took)
			mu.Unlock()
		}
		if err != nil && !errors.Is(err, audit.ErrOverloaded) {
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
		}
	}
	var wg sync.WaitGroup
	began := time.Now()
	if every > 0 {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for time.Since(began) < slice {
			<-tick.C
			wg.Go(one)
		}
	} else {
		for range 512 {
			wg.Go(func() {
				for time.Since(began) < slice {
					one()
				}
			})
		}
	}
	wg.Wait()
	s.elapsed, s.requests = time.Since(began), len(s.latency)
	return s, failed
}

func inserts(ctx context.Context, path string, slice time.Duration) (s sample, err error) {
	db, err := store.Open(ctx, path, store.Options{Create: true, MaxConns: 1})
	if err != nil {
		return s, err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)"); err != nil {
		return s, err
	}
	stmt, err := db.PrepareContext(ctx, "INSERT INTO t (b) VALUES ($1)")
	if err != nil {
		return s, err
	}
	defer stmt.Close()
	row := make([]byte, 900)
	began := time.Now()
	for time.Since(began) < slice {
		start := time.Now()
		if err := insert(ctx, stmt, row); err != nil {
			return s, err
		}
		s.latency = append(s.latency, time.Since(start))
	}
	s.elapsed, s.requests = time.Since(began), len(s.latency)
	return s, nil
}

func insert(ctx context.Context, stmt *sql.Stmt, row []byte) error {
	_, err := stmt.ExecContext(ctx, row)
	return err
}

// naive is the pattern that a team writes on its first day.
var naive = regexp.MustCompile(`\b(?:\d[ -]?){13,16}\b`)

// scans measures detection on one core, with the naive pattern on the same bytes
// beside it.
func (b bench) scans(_ context.Context, out *tabwriter.Writer) error {
	d, err := detect.New(detect.Config{})
	if err != nil {
		return err
	}
	chat, err := os.ReadFile("bench/clean-chat.txt")
	if err != nil {
		return err
	}
	var buf []redact.Finding
	scan := rate(b.slice, len(chat), func() { buf = d.Text(buf[:0], chat, detect.Hint{}) })
	pattern := rate(b.slice, len(chat), func() { naive.FindAllIndex(chat, -1) })
	fmt.Fprintln(out, "one core\tMB/s\tx regexp")
	fmt.Fprintf(out, "scan clean chat\t%.0f\t%.0f\n", scan, scan/pattern)
	fmt.Fprintf(out, "Go regexp, naive card pattern, same bytes\t%.0f\t1\n", pattern)

	for _, h := range hostile {
		text := bytes.Repeat([]byte(h.piece), (1<<18)/len(h.piece))
		fmt.Fprintf(out, "scan hostile input: %s\t%.0f\t\n", h.name, rate(b.slice/4, len(text), func() { buf = d.Text(buf[:0], text, detect.Hint{}) }))
	}

	page := pageWithFindings()
	var failed error
	rewrite := rate(b.slice, len(page), func() {
		doc, err := walk.Parse(walk.JSON, page, d, nil, walk.Limits{})
		if err != nil {
			failed = err
			return
		}
		doc.Rewrite(func(redact.Finding) redact.Action { return redact.Mask })
	})
	pattern = rate(b.slice, len(page), func() { naive.ReplaceAll(page, []byte("X")) })
	fmt.Fprintf(out, "read, scan and rewrite ticket JSON, findings in 1 %% of the strings\t%.0f\t%.0f\n", rewrite, rewrite/pattern)
	fmt.Fprintf(out, "Go regexp replacing, same bytes\t%.0f\t1\n", pattern)
	return failed
}

// hostile are texts made to be slow, by the piece they repeat. The floor is 50 MB/s.
var hostile = [...]struct{ name, piece string }{
	{"digits only", "0123456789"}, {"0 1 0 1", "0 1 "}, {"entities", "&#52;"}, {"nested escapes", `\\\\u0034`}, {"base64", "NDExMTExMTExMTExMTEx"}, {"base64 of nothing", "q83vEjRWeJCr"},
	{"full width", "４"}, {"cards", "4111 1111 1111 1111, "},
}

// pageWithFindings is a page of tickets with a card in one of a hundred strings.
func pageWithFindings() []byte {
	page := ticket(1 << 20)
	const from, to = "and only one has arrived so far", "my card 4111 1111 1111 1111 now"
	var out []byte
	for i, part := range bytes.Split(page, []byte(from)) {
		switch {
		case i == 0:
		case i%16 == 0: // a ticket has about six strings
			out = append(out, to...)
		default:
			out = append(out, from...)
		}
		out = append(out, part...)
	}
	return out
}

// rate runs f for about a slice and returns the best of its rounds in MB/s: the
// one that was disturbed least.
func rate(slice time.Duration, bytes int, f func()) float64 {
	var rates []float64
	for began := time.Now(); time.Since(began) < slice || len(rates) < 3; {
		start := time.Now()
		f()
		rates = append(rates, float64(bytes)/1e6/time.Since(start).Seconds())
	}
	return slices.Max(rates)
}
