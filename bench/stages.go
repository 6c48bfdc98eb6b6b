package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
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
	// The log commits together what waits together; a bare insert of as many rows in one
	// transaction is the measure of its capacity, one by one that of its wait.
	for _, bare := range []struct {
		name string
		rows int
	}{{"bare SQLite insert, one by one", 1}, {"bare SQLite insert, 256 in a transaction", 256}} {
		s, err := inserts(ctx, filepath.Join(dir, fmt.Sprintf("bare%d.db", bare.rows)), b.slice, bare.rows)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\t%.0f\t%s\t%s\n", bare.name, s.rate(), s.percentile(.5).Round(time.Microsecond), s.percentile(.99).Round(time.Microsecond))
	}
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

func inserts(ctx context.Context, path string, slice time.Duration, rows int) (s sample, err error) {
	db, err := store.Open(ctx, path, store.Options{Create: true, Sync: store.SyncFull, MaxConns: 1})
	if err != nil {
		return s, err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)"); err != nil {
		return s, err
	}
	row := make([]byte, 900)
	began := time.Now()
	for time.Since(began) < slice {
		start := time.Now()
		if err := insert(ctx, db, row, rows); err != nil {
			return s, err
		}
		s.latency = append(s.latency, time.Since(start))
	}
	s.elapsed, s.requests = time.Since(began), len(s.latency)*rows
	return s, nil
}

// insert commits that many rows.
func insert(ctx context.Context, db *store.DB, row []byte, rows int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of one that failed
	stmt, err := tx.PrepareContext(ctx, "INSERT INTO t (b) VALUES ($1)")
	if err != nil {
		return err
	}
	defer stmt.Close()
	for range rows {
		if _, err := stmt.ExecContext(ctx, row); err != nil {
			return err
		}
	}
	return tx.Commit()
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
	fmt.Fprintln(out, "one core\tMB per second of processor time\tx regexp")
	fmt.Fprintf(out, "scan clean chat\t%.0f\t%.0f\n", scan, scan/pattern)
	fmt.Fprintf(out, "Go regexp, naive card pattern, same bytes\t%.0f\t1\n", pattern)

	page := pageWithFindings()
	var failed error
	var doc walk.Doc
	rewrite := rate(b.slice, len(page), func() {
		if failed = doc.Read(walk.JSON, page, d, nil, walk.Limits{}); failed != nil {
			return
		}
		doc.Rewrite(func(redact.Finding) redact.Action { return redact.Mask })
	})
	pattern = rate(b.slice, len(page), func() { naive.ReplaceAll(page, []byte("X")) })
	fmt.Fprintf(out, "read, scan and rewrite ticket JSON, findings in 1 %% of the strings\t%.0f\t%.0f\n", rewrite, rewrite/pattern)
	fmt.Fprintf(out, "Go regexp replacing, same bytes\t%.0f\t1\n", pattern)
	if err := errors.Join(failed, b.exports(d, out), b.hostile(d, out)); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return b.rivals(out, d, chat, page)
}

// exports measures bodies of nothing but findings, hardly one twice, as an export of a shop's
// customers would be.
func (b bench) exports(d *detect.Detector, out *tabwriter.Writer) error {
	for _, e := range []struct{ name, row string }{
		{"card numbers", `"CARD"`},
		{"cards named in text", `{"text":"my card is GROUPS exp 12/27 cvv 123"}`},
		{"customers", `{"name":"Jo Doe","email":"jo.NNNN@example.com","card":"CARD","exp":"12/27","cvv":"123","ssn":"536-22-NNNN"}`},
	} {
		body := export(e.row, 1<<18)
		var doc walk.Doc
		var failed error
		rewrite := rate(b.slice/4, len(body), func() {
			if failed = doc.Read(walk.JSON, body, d, nil, walk.Limits{}); failed != nil {
				return
			}
			doc.Rewrite(func(redact.Finding) redact.Action { return redact.Mask })
		})
		if failed != nil {
			return failed
		}
		pattern := rate(b.slice/4, len(body), func() { naive.ReplaceAll(body, []byte("X")) })
		fmt.Fprintf(out, "read, scan and rewrite JSON of nothing but findings, %s\t%.0f\t%.1f\n", e.name, rewrite, rewrite/pattern)
	}
	return nil
}

// export is a JSON array of about size bytes of rows, each with values of its own: CARD and
// GROUPS stand for a card, NNNN for four digits, which come again after 9,998 rows.
func export(row string, size int) []byte {
	raw := []byte{'['}
	for n := 1; len(raw) < size; n++ {
		card := fmt.Sprintf("4%014d", n*69_061_001%100_000_000_000_000)
		sum := 0
		for i, c := range card {
			v := int(c - '0')
			if i%2 == 0 {
				v = 2*v%10 + 2*v/10
			}
			sum += v
		}
		card += strconv.Itoa((10 - sum%10) % 10)
		groups := card[:4] + "-" + card[4:8] + "-" + card[8:12] + "-" + card[12:]
		raw = append(raw, strings.NewReplacer("CARD", card, "GROUPS", groups, "NNNN", fmt.Sprintf("%04d", 1+n%9998)).Replace(row)...)
		raw = append(raw, ',')
	}
	return append(raw, "null]"...)
}

// slowest is how many of the hostile inputs are printed.
const slowest = 8

// floor is what no input may be slower than, in MB per second of processor time.
const floor = 50

// hostile measures the texts made to be slow, prints the slowest of them with the naive
// pattern on the same bytes beside it, and says how many are below the floor.
func (b bench) hostile(d *detect.Detector, out *tabwriter.Writer) error {
	src, err := os.ReadFile("redact/testdata/hostile.json")
	if err != nil {
		return err
	}
	var groups map[string]map[string]string
	if err := json.Unmarshal(src, &groups); err != nil {
		return fmt.Errorf("reading the hostile inputs: %w", err)
	}
	type input struct {
		name string
		text []byte
		rate float64
	}
	var inputs []input
	var buf []redact.Finding
	for group, pieces := range groups {
		for name, piece := range pieces {
			text := bytes.Repeat([]byte(piece), (1<<18)/len(piece))
			inputs = append(inputs, input{group + ": " + name, text, rate(b.slice/32, len(text), func() { buf = d.Text(buf[:0], text, detect.Hint{}) })})
		}
	}
	slices.SortFunc(inputs, func(x, y input) int { return cmp.Compare(x.rate, y.rate) })
	for _, in := range inputs[:min(slowest, len(inputs))] {
		pattern := rate(b.slice/32, len(in.text), func() { naive.FindAllIndex(in.text, -1) })
		fmt.Fprintf(out, "scan hostile input, %s\t%.0f\t%.1f\n", in.name, in.rate, in.rate/pattern)
	}
	if n := len(inputs); n > slowest {
		fmt.Fprintf(out, "scan hostile input, median of all %d\t%.0f\t\n", n, inputs[n/2].rate)
	}
	slow := 0
	for _, in := range inputs {
		if in.rate < floor {
			slow++
		}
	}
	fmt.Fprintf(out, "hostile inputs below %d MB/s, of %d\t%d\t\n", floor, len(inputs), slow)
	return nil
}

// pageWithFindings is a page of tickets with a card in one of a hundred strings.
func pageWithFindings() []byte {
	const behind = `","requester_id":`
	var out []byte
	for i, part := range bytes.Split(ticket(1<<20), []byte(behind)) {
		if i > 0 {
			if i%16 == 0 { // a ticket has about six strings
				out = append(out, " My card is 4111 1111 1111 1111"...)
			}
			out = append(out, behind...)
		}
		out = append(out, part...)
	}
	return out
}

// rate runs f for about a slice and returns MB for each second of processor time, over
// all rounds: one round is shorter than what the system counts exactly.
func rate(slice time.Duration, bytes int, f func()) float64 {
	var rounds int
	start := processorTime()
	for began := time.Now(); time.Since(began) < slice || rounds < 3; rounds++ {
		f()
	}
	took := max(processorTime()-start, time.Microsecond)
	return float64(rounds) * float64(bytes) / 1e6 / took.Seconds()
}

// processorTime is what this process has used so far. It stays true on a machine that
// others use, too.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
