package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/caregate/caregate/vault"
)

const (
	// pageOfValues is how many values one call keeps, as a page of records has them.
	pageOfValues = 32
	// offeredValues is the load at which the wait counts, in values a second.
	offeredValues = 20_000
	valueCallers  = 32
	// syncTurns is how often tokenizing, on a disk and without one, and bare syncs take turns.
	syncTurns = 5
)

// valueLoad keeps values in a vault of its own and brings them back.
type valueLoad struct {
	v    *vault.Vault
	made atomic.Int64
	next atomic.Int64

	mu     sync.Mutex // owns tokens while values are kept
	tokens []string
}

// newValueLoad makes a vault on a SQLite file in a directory.
func newValueLoad(ctx context.Context, dir string) (*valueLoad, error) {
	if err := vault.Create(ctx, dir, vault.Config{}); err != nil {
		return nil, err
	}
	// As in the gateway, whose log has the event before Keep is called; the wait for that
	// is measured with the log.
	recorded := func(context.Context, [16]byte) (bool, error) { return true, nil }
	v, err := vault.Open(ctx, dir, vault.Config{Recorded: recorded})
	return &valueLoad{v: v}, err
}

// keep is one call that keeps new values.
func (l *valueLoad) keep(ctx context.Context) error {
	values := make([]vault.Value, pageOfValues)
	for i := range values {
		values[i] = vault.Value{Kind: vault.KindPayment, Text: fmt.Appendf(nil, "ch_bench%016d", l.made.Add(1))}
	}
	is, err := l.v.Tokenize(ctx, "", 0, values)
	if err == nil {
		err = is.KeepRecorded(ctx)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range is.Tokens {
		l.tokens = append(l.tokens, t.Text)
	}
	return nil
}

// reveal brings one of them back.
func (l *valueLoad) reveal(ctx context.Context) error {
	_, err := l.v.Reveal(ctx, l.tokens[int(l.next.Add(1))%len(l.tokens)])
	return err
}

// offered is the load at which the wait counts.
func (l *valueLoad) offered(ctx context.Context, slice time.Duration) (sample, error) {
	s, err := together(slice, time.Second*pageOfValues/offeredValues, func() error { return l.keep(ctx) })
	s.requests *= pageOfValues
	return s, err
}

// vaulted measures how many values the vault keeps and brings back on one SQLite file, and
// how long a call waits, beside the bare encryption of the same bytes and a bare insert, and
// beside the same without a disk.
func (b bench) vaulted(ctx context.Context, out *tabwriter.Writer) (err error) {
	dir, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	load, err := newValueLoad(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, load.v.Close()) }()
	// In turns, so that all meet the same of what else machine and disk have to do.
	bare, err := newBareSyncs(dir + "/bare")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.file.Close()) }()
	type turn struct {
		name string
		do   func(slice time.Duration) (sample, error)
		sum  sample
	}
	turns := []*turn{
		{name: "tokenize, 32 in a call, 20,000/s offered", do: func(slice time.Duration) (sample, error) { return load.offered(ctx, slice) }},
		{name: "bare sync of 4 KiB, in turns with these calls and as often", do: func(slice time.Duration) (sample, error) {
			return together(slice, time.Second*pageOfValues/offeredValues, bare.sync)
		}},
	}
	loads := []*valueLoad{load}
	if memory := memoryDir(); memory != "" {
		dir, err := os.MkdirTemp(memory, "caregate-bench-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		inMemory, err := newValueLoad(ctx, dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, inMemory.v.Close()) }()
		loads = append(loads, inMemory)
		turns = append(turns, &turn{name: "the same calls in turns on a memory file system: without the disk", do: func(slice time.Duration) (sample, error) { return inMemory.offered(ctx, slice) }})
	}
	// Not counted: a vault that was just opened empties its write-ahead log once, and the log
	// has to grow to its length, which costs the file system more than writing over it.
	for _, l := range loads {
		if _, err := l.offered(ctx, b.slice); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "values kept on one SQLite file, and brought back\tvalues/s\tp50 of a call\tp99")
	row := func(name string, s sample) {
		fmt.Fprintf(out, "%s\t%.0f\t%s\t%s\n", name, s.rate(), s.percentile(.5).Round(time.Microsecond), s.percentile(.99).Round(time.Microsecond))
	}
	for range syncTurns {
		for _, t := range turns {
			some, err := t.do(b.slice / syncTurns)
			if err != nil {
				return err
			}
			t.sum.add(some)
		}
	}
	for _, t := range turns {
		row(t.name, t.sum)
	}
	for _, m := range []struct {
		name   string
		values int
		every  time.Duration
		do     func(ctx context.Context) error
	}{
		{"tokenize, 32 in a call, saturated", pageOfValues, 0, load.keep},
		{"detokenize, 20,000/s offered", 1, time.Second / offeredValues, load.reveal},
		{"detokenize, saturated", 1, 0, load.reveal},
	} {
		s, err := together(b.slice, m.every, func() error { return m.do(ctx) })
		if err != nil {
			return err
		}
		s.requests *= m.values
		row(m.name, s)
	}
	aeads, err := bareAEAD(b.slice)
	if err != nil {
		return err
	}
	row("bare Tink AEAD, encrypt and decrypt, one core", aeads)
	inserted, err := inserts(ctx, dir+"/bare.db", b.slice, 256)
	if err != nil {
		return err
	}
	row("bare SQLite insert, 256 in a transaction", inserted)
	return nil
}

// together does something for a while, from several callers at once. With every set, each
// does it at its times and what is late is not made up for; the wait counts from the time
// at which it was due.
func together(slice, every time.Duration, do func() error) (s sample, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for c := range valueCallers {
		wg.Go(func() {
			var took []time.Duration
			wake, failed := newAlarm()
			if failed == nil {
				defer func() { _ = wake.close() }()
			}
			due := began.Add(time.Duration(c) * every)
			for failed == nil && time.Since(began) < slice {
				start := time.Now()
				if every > 0 {
					if failed = wake.until(due); failed != nil {
						break
					}
					if start = due; time.Since(due) > valueCallers*every {
						due = time.Now() // nobody offers what could not be taken
					}
					due = due.Add(valueCallers * every)
				}
				failed = do()
				took = append(took, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			s.latency, err = append(s.latency, took...), errors.Join(err, failed)
		})
	}
	wg.Wait()
	s.elapsed, s.requests = time.Since(began), len(s.latency)
	return s, err
}

// bareSyncs overwrites and syncs 4 KiB of a file, one after the other: less no commit can do.
type bareSyncs struct {
	mu   sync.Mutex // owns n
	file *os.File
	n    int64
}

const bareSize, bareSlots = 4 << 10, 1 << 10

// newBareSyncs makes the file, so that syncs change nothing of its length.
func newBareSyncs(path string) (*bareSyncs, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(make([]byte, bareSize*bareSlots))
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &bareSyncs{file: f}, nil
}

func (s *bareSyncs) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if _, err := s.file.WriteAt(make([]byte, bareSize), s.n%bareSlots*bareSize); err != nil {
		return err
	}
	return syncData(s.file)
}

// bareAEAD encrypts and decrypts a value of the same length with Tink alone.
func bareAEAD(slice time.Duration) (s sample, err error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return s, err
	}
	c, err := aead.New(h)
	if err != nil {
		return s, err
	}
	value, ad := []byte("ch_bench0000000000000001"), make([]byte, 96)
	began := time.Now()
	for time.Since(began) < slice {
		start := time.Now()
		sealed, err := c.Encrypt(value, ad)
		if err == nil {
			_, err = c.Decrypt(sealed, ad)
		}
		if err != nil {
			return s, err
		}
		s.latency = append(s.latency, time.Since(start))
	}
	s.elapsed, s.requests = time.Since(began), len(s.latency)
	return s, nil
}
