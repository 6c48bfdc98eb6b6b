package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
)

// tailInterval is how often `audit tail --follow` looks for more. A running gateway
// signs a checkpoint once a second.
const tailInterval = time.Second

func newAuditTail() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tail [--data DIR] [-n NUMBER] [--follow] [--json]",
		Short: "Print the newest events",
		Long: `Prints the newest events of the log, the oldest of them first. It shows what is
under a signed checkpoint; a running gateway signs one a second. With --follow it
goes on until it is stopped. It only reads, and shows pseudonyms, never data.

With --json each event is one line in its class of the Open Cybersecurity Schema
Framework (OCSF), as ` + "`caregate audit export --format jsonl`" + ` writes it.`,
		Example: `  caregate audit tail
  caregate audit tail -n 100 --json
  caregate audit tail --follow`,
		Args: noArgs,
	}
	number := cmd.Flags().Int64P("number", "n", 10, "How many events")
	follow := cmd.Flags().BoolP("follow", "f", false, "Go on with what is recorded later")
	asJSON := cmd.Flags().Bool("json", false, "Print events as JSON, one a line")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *number < 0 {
			return wrongUsage("--number is below zero")
		}
		p, err := findPlace(cmd)
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		show := func(e audit.Entry) error {
			if *asJSON {
				return printOCSF(w, e)
			}
			_, err := fmt.Fprintln(w, plain(tailLine(e)))
			return err
		}
		from := -*number
		if *number == 0 {
			from = 1 << 62 // beyond the end: nothing but what follows
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		from, err = tail(ctx, p.Dir, from, show)
		tick := time.NewTicker(tailInterval)
		defer tick.Stop()
		for *follow && err == nil {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				from, err = tail(ctx, p.Dir, from, show)
			}
		}
		if ctx.Err() != nil && cmd.Context().Err() == nil {
			return nil // stopped by whoever looks
		}
		return missingLog(err)
	}
	return cmd
}

// tail shows what follows from; from beyond the end is set to the end.
func tail(ctx context.Context, dir string, from int64, show func(audit.Entry) error) (int64, error) {
	next, err := audit.Entries(ctx, dir, from, show)
	if err == nil && next == 1<<62 {
		return audit.Size(dir)
	}
	return next, err
}

// printOCSF prints one event as a line.
func printOCSF(w io.Writer, e audit.Entry) error {
	line, err := e.OCSF()
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// tailLine is an event for people.
func tailLine(e audit.Entry) string {
	l := &e.Leaf
	parts := []string{fmt.Sprintf("%6d", e.Index), wallTime(l.Wall), l.ID.String(), l.Type}
	for _, s := range [...]string{l.Channel, l.Operation, l.Decision, l.Reason} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if l.Status != 0 {
		parts = append(parts, fmt.Sprint(l.Status))
	}
	for _, c := range l.Released {
		for _, n := range [...]struct {
			count int
			done  string
		}{{c.Masked, "masked"}, {c.Tokenized, "tokenized"}, {c.Dropped, "dropped"}, {c.Clear, "unchanged"}, {c.NotInspected, "not inspected"}} {
			if n.count > 0 {
				parts = append(parts, fmt.Sprintf("[%d %s %s]", n.count, c.Class, n.done))
			}
		}
	}
	return strings.Join(parts, " ")
}
