package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/proxy"
)

// Names of the demo's deployment and of its defaults.
const (
	demoName = "demo"
	demoDir  = "data"
	demoPort = 8080
)

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo [--once] [--json] [--data DIR] [--port PORT]",
		Short: "See it work: a sample helpdesk, governed",
		Long: `Starts a sample helpdesk and a gateway in front of it, both on this machine only,
plays a short conversation with card numbers and social security numbers through
them, and shows for each call what was sent, what the helpdesk stored, what came
back, and the receipt. Then it checks the outcome, verifies the audit log, and
stays up until Ctrl-C, so that you can try calls of your own.

The card numbers are the card schemes' own examples, the social security number is
made up. Keys and log are made in ./data when they
are not there; with --once in a temporary directory, which is removed.

With --once it exits after the story: 0 when everything was as it should be, 1
when not.`,
		Example: `  caregate demo
  caregate demo --port 9000
  caregate demo --once --json`,
		Args: noArgs,
	}
	flags := cmd.Flags()
	once := flags.Bool("once", false, "Exit after the story instead of staying up")
	asJSON := flags.Bool("json", false, "Print the story as JSON")
	data := flags.String("data", "", "Data directory (default ./"+demoDir+"; with --once a temporary one)")
	port := flags.Int("port", -1, fmt.Sprintf("Port of the gateway on 127.0.0.1, 0 for any free one (default %d; with --once any free one)", demoPort))
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		// A second Ctrl-C ends at once what the first one began to end in order.
		context.AfterFunc(ctx, stop)
		d := demo{cmd: cmd, once: *once, asJSON: *asJSON, data: *data, port: *port}
		return d.run(ctx)
	}
	return cmd
}

// demo is one run of the demo.
type demo struct {
	cmd          *cobra.Command
	once, asJSON bool
	data         string
	port         int

	start time.Time
	stage *stage
}

// run plays the story, checks it, shows it, and stays if it should.
func (d *demo) run(ctx context.Context) (err error) {
	d.start = time.Now()
	remove, err := d.prepareData(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if d.stage, err = openStage(ctx, d.data, d.port); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stage.close()) }()

	s := newStory(d.stage)
	if err := s.play(ctx); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted in mid-story")
		}
		return err
	}
	if d.once {
		// Closing the log brings all of it under a checkpoint.
		if err := d.stage.stopGateway(); err != nil {
			return err
		}
	}
	r, err := verifyAll(ctx, d.data, s.events())
	if err != nil {
		return err
	}
	result := s.result(r)
	if d.asJSON {
		if err := printJSON(d.cmd.OutOrStdout(), result); err != nil {
			return err
		}
	} else {
		s.print(d.cmd.OutOrStdout(), r, time.Since(d.start))
	}
	for _, wrong := range s.wrong {
		fmt.Fprintf(d.cmd.ErrOrStderr(), "WRONG: %s\n", wrong)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(d.cmd.ErrOrStderr(), "WRONG: the log: %s at %s: %s\n", p.Kind, p.Place, p.Text)
	}
	for _, u := range r.Unchecked {
		fmt.Fprintf(d.cmd.ErrOrStderr(), "WRONG: the log: not checked: %s\n", u)
	}
	if r.Entries < s.events() {
		fmt.Fprintf(d.cmd.ErrOrStderr(), "WRONG: the log has %d entries, want at least %d\n", r.Entries, s.events())
	}
	good := len(s.wrong) == 0 && r.Outcome == audit.Valid && r.Entries >= s.events()
	if !d.once {
		d.stay(ctx)
	}
	if !good {
		return fail("please report it with the output above", "the story did not go as it should")
	}
	return nil
}

// checkpointTime is how long a running gateway may take to bring an event under a
// signed checkpoint: it makes one a second.
const checkpointTime = 5 * time.Second

// verifyAll verifies the log, again and again while fewer than want entries are
// under a checkpoint yet.
func verifyAll(ctx context.Context, dir string, want int64) (audit.Report, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(checkpointTime)
	defer late.Stop()
	for {
		r, err := audit.Verify(ctx, audit.VerifyOptions{Dir: dir})
		if err != nil || r.Outcome == audit.Invalid || r.Entries >= want {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, errors.New("interrupted while the log was verified")
		case <-late.C:
			return r, nil // what is missing is told by who compares the counts
		case <-tick.C:
		}
	}
}

// prepareData makes or checks the data directory and returns what removes it.
func (d *demo) prepareData(ctx context.Context) (remove func() error, err error) {
	remove = func() error { return nil }
	if d.port < 0 {
		d.port = demoPort
		if d.once {
			d.port = 0
		}
	}
	if d.port > 65535 {
		return nil, wrongUsage("--port %d: there are 65535", d.port)
	}
	switch {
	case d.data == "" && d.once:
		temp, err := os.MkdirTemp("", "caregate-demo-")
		if err != nil {
			return nil, fmt.Errorf("making a temporary directory: %w", err)
		}
		remove = func() error { return os.RemoveAll(temp) }
		d.data = filepath.Join(temp, "data")
	case d.data == "":
		d.data = demoDir
	}
	if d.data, err = filepath.Abs(d.data); err != nil {
		return nil, err
	}
	name, err := logName(d.data)
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	switch name {
	case "":
		if _, err := proxy.CreateData(ctx, proxy.DataConfig{Dir: d.data, Name: demoName}); err != nil {
			return nil, errors.Join(err, remove())
		}
	case demoName:
	default:
		return nil, fail("play the demo on another directory: caregate demo --data ./demo-data", "%s holds the audit log of %s, and the demo would write into it", d.data, name)
	}
	return remove, nil
}

// stay says what can be tried and waits for Ctrl-C.
func (d *demo) stay(ctx context.Context) {
	out := d.cmd.ErrOrStderr()
	fmt.Fprintf(out, `
It stays up until Ctrl-C:
  gateway              %s   or http://127.0.0.1:%d
                       (give this to a tool in place of the helpdesk's address)
  what the helpdesk
  stored, as a page    %s/
  health               %s/readyz
Try a call of your own:
  curl -su %s:%s %s/api/v2/tickets.json \
    -H 'Content-Type: application/json' \
    -d '{"ticket":{"subject":"Hello","comment":{"body":"my card is 4012 8888 8888 1881"}}}' -i
and then, with the receipt from its answer:
  caregate explain --data %s RECEIPT
`, d.stage.gatewayURL, d.stage.port, d.stage.helpdeskURL, d.stage.apiURL, demoUser, demoToken, d.stage.gatewayURL, d.data)
	<-ctx.Done()
	fmt.Fprintln(out, "\nstopping")
}
