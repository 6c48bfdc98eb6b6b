// Command bench prints one table of ratios: what a governed exchange costs beside
// the same binary's bare reverse proxy, what a durable event costs beside a bare
// database insert, what keeping a value costs beside its bare encryption, what a
// decision of policy and the replay of recorded ones cost, and what a scan costs beside a plain regular expression.
// All rows come from one run; see README.md for how to read them.
//
// The gateway runs as a process of its own, so that its processor time can be
// told from the load's. Everything talks to loopback, and the run ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"text/tabwriter"
	"time"
)

func main() {
	binary := flag.String("caregate", "./caregate", "the binary to measure")
	seconds := flag.Float64("seconds", 2, "how long each measurement lasts")
	rounds := flag.Int("rounds", 3, "how often bare and governed take turns")
	clients := flag.Int("clients", 64, "connections of the closed loop")
	only := flag.String("only", "", "proxy, stream, audit, vault, policy, replay or scan; empty for all, with a short stream")
	flag.Parse()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // as in the gateway's process: what is measured here is a part of it
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := bench{binary: *binary, slice: time.Duration(*seconds * float64(time.Second)), rounds: *rounds, clients: *clients, streamed: 128 << 20}
	if *only == "stream" {
		b.streamed = 1 << 30
	}
	parts := []struct {
		name string
		run  func(context.Context, *tabwriter.Writer) error
	}{{"proxy", b.exchanges}, {"stream", b.streams}, {"audit", b.durable}, {"vault", b.vaulted}, {"policy", b.decisions}, {"replay", b.replays}, {"scan", b.scans}}
	known := *only == ""
	for _, part := range parts {
		known = known || part.name == *only
	}
	if !known {
		fmt.Fprintf(os.Stderr, "bench: nothing is called %q; -only takes %s\n", *only, flag.Lookup("only").Usage)
		stop()
		os.Exit(2)
	}
	for _, part := range parts {
		if *only != "" && *only != part.name {
			continue
		}
		w := tabwriter.NewWriter(os.Stdout, 2, 8, 2, ' ', 0)
		err := part.run(ctx, w)
		_ = w.Flush()
		fmt.Println()
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", part.name, err)
			stop()
			os.Exit(1)
		}
	}
}

// bench is one run.
type bench struct {
	binary  string
	slice   time.Duration
	rounds  int
	clients int
	// streamed is how many bytes each stream has.
	streamed int64
}
