package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/retention/purge"
)

// patience is how long `retention run` waits for the next thing to do: longer than a vendor's
// limit needs, and shorter than any trash.
const patience = 30 * time.Minute

func newRetentionRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [RUN] [--schedule FILE] --credential FILE [--approval ID] [--json]",
		Short: "Delete what is due by a schedule, after somebody else has agreed",
		Long: `Without RUN it lists what is due now by a schedule (the built-in one, or --schedule), prints
the plan and the number of the run, and asks for somebody else's agreement. Nothing is deleted.

With RUN it carries the run out, record by record, by the actions of the channel files: over
the routes' own credentials, within a fifth of the vendor's limit. The first time it wants
--approval, the agreement that somebody of the role security has given with ` + "`caregate approval\ngive ID`" + `. Before each record it is looked again whether a legal hold covers it and whether it is
still due. Each is read back, and looked at again when nobody can bring it back any more:
with Zendesk after 30 days, by the gateway itself. It can be interrupted at any time, and goes
on when it is called again.

The gateway must be running, and the credential must be one of the role dpo.

Exit code 0: the run has ended; ` + "`caregate retention certificate`" + ` has what it came to. Exit code
2: it was interrupted: call it again; or it waits for a trash until the time that it prints.`,
		Example: `  caregate retention run --schedule retention.yaml --credential dpo.key
  caregate retention run 7p3mq0c2kx9r4mzt5hjw8vb3yd --approval 2v8n... --credential dpo.key
  caregate retention run 7p3mq0c2kx9r4mzt5hjw8vb3yd --credential dpo.key`,
		Args: cobra.MaximumNArgs(1),
	}
	file := cmd.Flags().String("schedule", "", "Schedule that you wrote (default: the built-in one)")
	approval := cmd.Flags().String("approval", "", "Approval that another has given for this run (see caregate approval list)")
	asJSON := cmd.Flags().Bool("json", false, "Print what was listed, or how far the run is, as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		if g.client.Timeout = planTime; len(args) == 0 {
			if *approval != "" {
				return wrongUsage("--approval is for a run that was listed: name it")
			}
			return listPurge(cmd, g, *file)
		}
		id, err := purgeID(args[0])
		if err != nil {
			return err
		}
		if *file != "" {
			return wrongUsage("a run has its schedule already: leave --schedule out")
		}
		ctx, stop := interruptible(cmd)
		defer stop()
		g.approval = *approval
		p, until, err := carryOut(ctx, g, id, cmd.ErrOrStderr())
		switch {
		case ctx.Err() != nil:
			fmt.Fprintln(cmd.ErrOrStderr(), "Interrupted; the same command goes on from here.")
			return silent(exitIncomplete)
		case err != nil:
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), p)
		} else {
			err = printPurge(cmd.OutOrStdout(), p)
		}
		if err != nil || until.IsZero() {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Nothing to do until %s; what lies in a trash the gateway looks at again by itself.\n", instant(until))
		return silent(exitIncomplete)
	}
	return cmd
}

var purgeForm = regexp.MustCompile(`^[0-9a-z]{26}$`)

// purgeID refuses what is no number of a run.
func purgeID(arg string) (string, error) {
	if !purgeForm.MatchString(arg) {
		return "", wrongUsage("want the number of a run: 26 letters and digits, as `caregate retention run` prints it")
	}
	return arg, nil
}

// listPurge lists what is due, and asks for the agreement of others.
func listPurge(cmd *cobra.Command, g *gateway, file string) error {
	wish := make(map[string]any)
	src, err := readSchedule(file)
	if err != nil {
		return err
	}
	if src != "" {
		wish["schedule"] = src
	}
	return askOf(cmd, g, "POST", "/retention/runs", wish, func(p console.PreparedPurge, _ string) error {
		w := cmd.OutOrStdout()
		if err := printPlan(w, p.Plan); err != nil {
			return err
		}
		fmt.Fprintln(w)
		if err := printPurge(w, p.Run); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Nothing was deleted. `caregate retention run %s` asks for another's agreement.\n", p.Run.ID)
		return nil
	})
}

// carryOut begins a run where it did not begin yet, and goes on with it until it has ended, or has
// nothing to do for long: until is when it has again.
func carryOut(ctx context.Context, g *gateway, id string, progress io.Writer) (p console.Purge, until time.Time, err error) {
	path := "/retention/runs/" + id
	read := func() error {
		p = console.Purge{}
		_, err := g.call(ctx, "GET", path, nil, &p)
		return err
	}
	if err := read(); err != nil {
		return p, until, err
	}
	if p.State == purge.Planned {
		if _, err := g.call(ctx, "POST", path+"/start", nil, &p); err != nil {
			return p, until, err
		}
	}
	g.approval = "" // it was used
	for calls := 0; ; {
		var s console.PurgeStep
		if _, err := g.call(ctx, "POST", path+"/next", nil, &s); err != nil {
			return p, until, err
		}
		if s.Operation != "" {
			if calls++; calls%100 == 0 {
				fmt.Fprintf(progress, "%d calls\n", calls)
			}
		}
		wait := time.Duration(s.Wait) * time.Millisecond
		switch {
		case s.Done:
			return p, until, read()
		case wait > patience:
			return p, time.Now().Add(wait), read()
		case wait > 0:
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return p, until, ctx.Err()
			}
		}
	}
}

func newRetentionList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--credential FILE] [--json]",
		Short: "List runs, and how far they are",
		Long: `Lists the latest 100 runs with what became of their records, the latest first. A run that waits
for another's agreement is planned; lists to which nobody agrees are forgotten after 30 days.`,
		Example: `  caregate retention list`,
		Args:    noArgs,
	}
	cmd.Flags().Bool("json", false, "Print the runs as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return ask(cmd, "GET", "/retention/runs", nil, func(list console.PurgeList, _ string) error {
			t := newTable(cmd.OutOrStdout(), "RUN", "STATE", "SCHEDULE", "LISTED", "RECORDS", "OF THEM")
			for _, p := range list.Runs {
				all, states := int64(0), make(map[string]int64)
				for _, o := range p.Outcomes {
					all += o.Records
					states[o.State] += o.Records
				}
				var of []string
				for _, state := range slices.Sorted(maps.Keys(states)) {
					of = append(of, fmt.Sprintf("%s %d", words(state), states[state]))
				}
				t.row(p.ID, p.State, p.Revision, instant(p.Prepared), all, dash(strings.Join(of, ", ")))
			}
			return t.print()
		})
	}
	return cmd
}

func printPurge(w io.Writer, p console.Purge) error {
	fmt.Fprintf(w, "Run %s of schedule %s (%.12s): %s\n", p.ID, plain(p.Revision), p.Schedule, plain(p.State))
	if p.More {
		fmt.Fprintf(w, "More is due than a run has: %d records. The rest is for the next run.\n", purge.MaxRecords)
	}
	if len(p.Outcomes) == 0 {
		_, err := fmt.Fprintln(w, "Nothing is due.")
		return err
	}
	t := newTable(w, "RULE", "ACTION", "CHANNEL", "TYPE", "STATE", "WHY", "RECORDS")
	for _, o := range p.Outcomes {
		t.row(o.Rule, o.Action, o.Channel, o.Type, words(o.State), dash(words(o.Reason)), o.Records)
	}
	return t.print()
}

// words is a code as people read it.
func words(code string) string { return strings.ReplaceAll(plain(code), "_", " ") }

// Files of a certificate.
const (
	certificateJSON = "certificate.json"
	certificateNote = "certificate.note"
)

func newRetentionCertificate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certificate RUN --out DIR --credential FILE",
		Short: "Write the signed certificate of a run that has ended",
		Long: `Writes what a run came to into a directory that is made: certificate.json, with each record
under a keyed name, the calls that were made about it, what the vendor answered and the
events of the log, and certificate.note, which is signed with the log's key. Check it
anywhere with ` + "`caregate retention verify DIR`" + `.`,
		Example: `  caregate retention certificate 7p3mq0c2kx9r4mzt5hjw8vb3yd --out ./deleted-2026q4 --credential dpo.key`,
		Args:    oneArg("number of a run"),
	}
	return writesSigned(cmd, purgeID, "/retention/runs/%s/certificate", "It names no person and no id of the vendor.", func(c console.PurgeCertificate) map[string]string {
		return map[string]string{certificateJSON: c.Certificate, certificateNote: c.Statement}
	})
}

func newRetentionVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify DIR --trust FILE [--json]",
		Short: "Check the signature of a certificate",
		Long: `Checks a certificate that ` + "`caregate retention certificate`" + ` wrote, with a trust file of the log
(` + "`caregate audit trust`" + `) or its public key. It needs no gateway and no data directory. That the
log has an event that the certificate names is shown by ` + "`caregate audit prove`" + `.`,
		Example: `  caregate retention verify ./deleted-2026q4 --trust trust.json`,
		Args:    oneArg("directory of a certificate"),
	}
	trust := cmd.Flags().StringSlice("trust", nil, "Trust file or public key of the log (required; repeatable)")
	asJSON := cmd.Flags().Bool("json", false, "Print what the signature proves as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		files, keys, err := readSigned(args[0], *trust, certificateNote, certificateJSON)
		if err != nil {
			return err
		}
		signed, origin, err := audit.OpenStatement(files[0], purge.CertificateKind, keys)
		if err != nil {
			return err
		}
		c, text, err := purge.Statement(files[1])
		if err != nil {
			return err
		}
		if signed != text {
			return fmt.Errorf("%w: it was changed after it was signed", purge.ErrCertificate)
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]any{"origin": origin, "run": c.Run, "schedule": c.Schedule, "ended": c.Ended, "outcomes": c.Outcomes})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "valid: run %s, ended %s, signed by %s; %d of %d records erased\n", plain(c.Run), instant(c.Ended), plain(origin), c.Outcomes[purge.Erased], len(c.Records))
		return err
	}
	return cmd
}
