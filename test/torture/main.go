package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	binary := flag.String("caregate", "./caregate", "the binary to torture")
	rounds := flag.Int("rounds", 1000, "how often it is killed")
	life := flag.Int("life", 25, "rounds over one data directory")
	callers := flag.Int("callers", 8, "callers at once")
	limit := flag.Duration("limit", 3*time.Hour, "give up after this time")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "where the random moments and changes begin")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	path, err := filepath.Abs(*binary)
	if err == nil {
		t := torture{binary: path, callers: *callers, random: rand.New(rand.NewPCG(*seed, 1)), began: time.Now(), rounds: *rounds}
		fmt.Printf("torture: %d rounds, seed %d\n", *rounds, *seed)
		err = t.run(ctx, *life)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		stop()
		cancel()
		os.Exit(1)
	}
}

// torture is one run. Its counts are of all rounds so far.
type torture struct {
	binary  string
	callers int
	rounds  int
	random  *rand.Rand
	began   time.Time

	kills, terms, answers, refused, unanswered, reached, events, lost, changes, unseen int
}

// run plays all rounds, life by life, and prints a line for each.
func (t *torture) run(ctx context.Context, life int) error {
	helpdesk, err := startHelpdesk()
	if err != nil {
		return err
	}
	defer helpdesk.stop()
	for t.kills+t.terms < t.rounds {
		n := min(life, t.rounds-t.kills-t.terms)
		if err := t.live(ctx, helpdesk, n); err != nil {
			return fmt.Errorf("after %d rounds: %w", t.kills+t.terms, err)
		}
		fmt.Printf("%5d of %d rounds: %d kills and %d stops under load; %d answers, %d calls refused, %d cut off, %d calls that reached the helpdesk, %d events; %d acknowledged events lost; %d changes to the log, %d of them not found; %s\n",
			t.kills+t.terms, t.rounds, t.kills, t.terms, t.answers, t.refused, t.unanswered, t.reached, t.events, t.lost, t.changes, t.unseen, time.Since(t.began).Round(time.Second))
	}
	if t.lost > 0 || t.unseen > 0 {
		return fmt.Errorf("%d acknowledged events lost, %d changes not found", t.lost, t.unseen)
	}
	if t.unanswered == 0 {
		return errors.New("no call was under way at any kill: the rounds prove nothing")
	}
	return nil
}

// live plays the life of one data directory.
func (t *torture) live(ctx context.Context, helpdesk *helpdesk, rounds int) error {
	dir, err := os.MkdirTemp("", "caregate-torture-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	g := &gateway{binary: t.binary, dir: dir}
	if err := g.initialise(ctx, helpdesk.addr); err != nil {
		return err
	}
	reached := helpdesk.calls.Load()
	var receipts []string
	for range rounds {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := t.startAgain(ctx, g, helpdesk, receipts, reached); err != nil {
			return err
		}
		term := t.random.IntN(10) == 0
		l := g.load(ctx, t.callers, 1+t.random.IntN(200), time.Duration(t.random.IntN(3000))*time.Microsecond, term)
		if l.err != nil {
			return l.err
		}
		receipts = append(receipts, l.receipts...)
		t.answers += len(l.receipts)
		t.unanswered += l.unanswered
		t.refused += l.refused
		if term {
			t.terms++
		} else {
			t.kills++
		}
		if err := t.asLeft(ctx, g); err != nil {
			return err
		}
	}
	if err := t.startAgain(ctx, g, helpdesk, receipts, reached); err != nil {
		return err
	}
	if err := g.stop(); err != nil {
		return err
	}
	if err := g.verify(ctx); err != nil {
		return err
	}
	t.reached += int(helpdesk.calls.Load() - reached)
	n, err := g.entries(ctx)
	if err != nil {
		return err
	}
	t.events += len(n)
	return t.tamper(ctx, g, rounds)
}

// startAgain starts the gateway and compares: what the process before left is under a
// checkpoint before this one answers.
func (t *torture) startAgain(ctx context.Context, g *gateway, helpdesk *helpdesk, receipts []string, before int64) error {
	reached := helpdesk.calls.Load() - before
	if err := g.start(ctx); err != nil {
		return err
	}
	return t.compare(ctx, g, receipts, reached)
}
