package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/retention/schedule"
)

func newRetention() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Check schedules of retention, see what is due by them, and delete it",
		Long: `A schedule says for how long records are kept: by channel, type of record, data class,
region and purpose. Without one of yours the built-in one counts. Nothing is deleted but by
a run that somebody else has agreed to. See docs/retention.md.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRetentionCheck(), newRetentionPlan(), newRetentionRun(), newRetentionList(), newRetentionCertificate(), newRetentionVerify())
	return cmd
}

// readSchedule reads a file, "" for none.
func readSchedule(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", &failure{code: exitUsage, err: fmt.Errorf("reading the schedule: %w", err)}
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, schedule.MaxFile+1))
	if err != nil {
		return "", fmt.Errorf("reading the schedule: %w", err)
	}
	if len(src) == 0 {
		return "", wrongUsage("%s is empty: docs/retention.md has an example", name)
	}
	return string(src), nil
}

func newRetentionCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--schedule FILE] [--channel FILE...] [--json]",
		Short: "Check a schedule, and say which rules meet",
		Long: `Checks a schedule: mistakes with line and column and what to do, channels, types of records
and data classes that do not exist. Where two rules are about the same records it says which
one counts, and why. It needs no gateway.`,
		Example: `  caregate retention check --schedule retention.yaml`,
		Args:    noArgs,
	}
	file := cmd.Flags().String("schedule", "", "Schedule that you wrote (default: the built-in one)")
	channels := cmd.Flags().StringSlice("channel", nil, "Channel file of yours that rules may name (repeatable)")
	asJSON := cmd.Flags().Bool("json", false, "Print rules and clashes as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		src, err := readSchedule(*file)
		if err != nil {
			return err
		}
		s, err := schedule.Builtin()
		if src != "" {
			own := make([]*channel.Channel, len(*channels))
			for i, name := range *channels {
				text, err := os.ReadFile(name)
				if err != nil {
					return &failure{code: exitUsage, err: fmt.Errorf("reading the channel file: %w", err)}
				}
				if own[i], err = channel.Parse(name, text); err != nil {
					return err
				}
			}
			s, err = schedule.Parse(*file, []byte(src), own)
		}
		if err != nil {
			return err
		}
		clashes := s.Check()
		w := cmd.OutOrStdout()
		if *asJSON {
			return printJSON(w, map[string]any{"schedule": s, "clashes": clashes})
		}
		t := newTable(w, "RULE", "PURPOSE", "ABOUT", "KEPT", "THEN")
		for i := range s.Rules {
			r := &s.Rules[i]
			t.row(r.ID, r.Purpose, aboutRule(r), r.Period.String()+" from "+r.From, r.Action)
		}
		if err := t.print(); err != nil {
			return err
		}
		for _, c := range clashes {
			fmt.Fprintf(w, "line %d and line %d, %s and %s: %s\n", c.Line, c.OtherLine, c.Rule, c.Other, c.Why)
		}
		_, err = fmt.Fprintf(w, "revision %s, %d rules, %d clashes, digest %s\n", s.Revision, len(s.Rules), len(clashes), s.Digest)
		return err
	}
	return cmd
}

// aboutRule says in a line which records a rule is about.
func aboutRule(r *schedule.Rule) string {
	parts := []string{r.Channel}
	if r.Channel == "" {
		parts[0] = "any channel"
	}
	if len(r.Types) > 0 {
		parts = append(parts, strings.Join(r.Types, ","))
	}
	if r.Region != "" {
		parts = append(parts, "in "+r.Region)
	}
	if len(r.Classes) > 0 {
		parts = append(parts, "with "+strings.Join(r.Classes, ","))
	}
	return strings.Join(parts, " ")
}

// planTime bounds the making of a plan: it reads the whole index.
const planTime = 30 * time.Minute

func newRetentionPlan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [--schedule FILE] [--at DAY] [--credential FILE] [--json]",
		Short: "Say what is due by a schedule, without doing anything",
		Long: `Goes through the index of records and says what is due by a schedule: how many records by
rule, channel, type and data class, the places of some of them, what legal holds spare, what is
kept and why, and what no rule covers. All of it is of one moment. Nothing is done: what
` + "`caregate retention run`" + ` could do is marked "connector", what people have to do "by hand".

--at asks for another day, at its end (UTC): what will be due then, as far as is known today.

The gateway must be running. Roles dpo and security may; that the question was asked is in the
audit log.`,
		Example: `  caregate retention plan
  caregate retention plan --schedule retention.yaml --at 2027-03-31 --json`,
		Args: noArgs,
	}
	file := cmd.Flags().String("schedule", "", "Schedule that you wrote (default: the built-in one)")
	at := cmd.Flags().String("at", "", "Day for which it is asked, as 2027-03-31 (default: now)")
	cmd.Flags().Bool("json", false, "Print the plan as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wish := make(map[string]any)
		src, err := readSchedule(*file)
		if err != nil {
			return err
		}
		if src != "" {
			wish["schedule"] = src
		}
		if *at != "" {
			day, err := time.Parse(time.DateOnly, *at)
			if err != nil {
				return wrongUsage("--at wants a day, as 2027-03-31")
			}
			wish["at"] = day.AddDate(0, 0, 1)
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		g.client.Timeout = planTime
		return askOf(cmd, g, "POST", "/retention/plan", wish, func(p console.RetentionPlan, receipt string) error {
			if err := printPlan(cmd.OutOrStdout(), p); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Nothing was done (receipt %s).\n", receipt)
			return err
		})
	}
	return cmd
}

// carriedOut says how an action is carried out.
var carriedOut = map[string]string{schedule.Connector: "connector", schedule.ByHand: "by hand", schedule.NotYet: "not yet"}

func printPlan(w io.Writer, p console.RetentionPlan) error {
	fmt.Fprintf(w, "Schedule %s (%.12s), due at %s: %d records, %d due, %d of them held, %d gone at their source\n", plain(p.Revision), p.Schedule, instant(p.At), p.Records, p.Matched, p.Held, p.Gone)
	if p.Doubt != "" {
		fmt.Fprintf(w, "The clock is in doubt, so nothing here may be acted on: %s\n", plain(p.Doubt))
	}
	tables := []struct {
		headings []string
		rows     [][]any
	}{
		{headings: []string{"DUE BY RULE", "ACTION", "CARRIED OUT", "CHANNEL", "TYPE", "RECORDS", "OF THEM REOPENED", "CLASSES"}},
		{headings: []string{"SOME OF RULE", "RECORD"}},
		{headings: []string{"SPARED BY HOLD", "MATTER", "RECORDS"}},
		{headings: []string{"KEPT BY RULE", "WHY", "RECORDS"}},
		{headings: []string{"NO RULE FOR", "TYPE", "RECORDS"}},
	}
	add := func(table int, cells ...any) { tables[table].rows = append(tables[table].rows, cells) }
	for _, d := range p.Due {
		var classes []string
		for _, c := range slices.Sorted(maps.Keys(d.Classes)) {
			classes = append(classes, fmt.Sprintf("%s %d", c, d.Classes[c]))
		}
		add(0, d.Rule, d.Action, carriedOut[d.Carried], d.Channel, d.Type, d.Records, d.Reopened, dash(strings.Join(classes, ", ")))
	}
	for _, s := range p.Samples {
		for _, r := range s.Records {
			add(1, s.Rule, r)
		}
	}
	for _, s := range p.Spared {
		add(2, s.Hold, s.Matter, s.Records)
	}
	for _, k := range p.Kept {
		add(3, k.Rule, strings.ReplaceAll(k.Why, "_", " "), k.Records)
	}
	for _, u := range p.Uncovered {
		add(4, u.Channel, u.Type, u.Records)
	}
	for _, table := range tables {
		if len(table.rows) == 0 {
			continue
		}
		fmt.Fprintln(w)
		t := newTable(w, table.headings...)
		for _, row := range table.rows {
			t.row(row...)
		}
		if err := t.print(); err != nil {
			return err
		}
	}
	return nil
}
