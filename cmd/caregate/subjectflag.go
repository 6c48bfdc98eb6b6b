package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newSubjectFlag() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flag",
		Short: "Say what persons want of whoever holds their data",
		Long: `A flag of a person is seen by the policy in every call that is about the person:

  restriction           data are stored and little else (GDPR Art. 18)
  opt_out_sale_sharing  data are neither sold nor shared (CCPA)
  limit_sensitive       sensitive data are used for what was asked for (CCPA)
  objection             to processing, such as for direct marketing (GDPR Art. 21)

Name the person in every way there is: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID. Names
that a vendor's profile says are the same person's have the flag too. The gateway must be
running, and every change is in its log.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSubjectFlagSet(), newSubjectFlagEnd(), newSubjectFlagList())
	return cmd
}

func newSubjectFlagSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set FLAG SUBJECT... [--from FILE] [--until TIME] [--reason WORD] [--ticket ID]",
		Short: "Set a flag of a person",
		Long: `Sets a flag, from now on or from --since on. A name that has it keeps the one that it has,
with its times; end that one first to change them.

It counts for calls that begin from then on, with other gateways on the same database within
a second. A name that no call ever mentioned can have one too.`,
		Example: `  caregate subject flag set restriction email:jane@example.com zendesk:user:4711 --reason accuracy --ticket DSR-7
  caregate subject flag set opt_out_sale_sharing --from opted-out.txt`,
	}
	flags := cmd.Flags()
	since := flags.String("since", "", "When it begins to count, in RFC 3339 (default now)")
	until := flags.String("until", "", "When it ends by itself, in RFC 3339")
	changesFlag(cmd, "/subjects/flags", func(wish map[string]any) error {
		for name, text := range map[string]string{"since": *since, "until": *until} {
			if text == "" {
				continue
			}
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return wrongUsage("--%s wants a time as 2026-11-23T08:00:00Z", name)
			}
			wish[name] = at
		}
		return nil
	}, func(cmd *cobra.Command, done console.FlagAnswer) error {
		return printFlags(cmd, done.Flags)
	})
	return cmd
}

func newSubjectFlagEnd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "end FLAG SUBJECT... [--from FILE] [--reason WORD] [--ticket ID]",
		Short: "End a flag of a person",
		Long: `Ends a flag, also what is left of one when the person was erased. A person is told before a
restriction is lifted (GDPR Art. 18(3)).`,
		Example: `  caregate subject flag end restriction email:jane@example.com --reason corrected --ticket DSR-7`,
	}
	changesFlag(cmd, "/subjects/flags/end", nil, func(cmd *cobra.Command, done console.FlagAnswer) error {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d ended.\n", done.Changed)
		return err
	})
	return cmd
}

// changesFlag is what set and end have in common: what is asked of the gateway, and how what
// was done is shown to people.
func changesFlag(cmd *cobra.Command, path string, more func(map[string]any) error, show func(*cobra.Command, console.FlagAnswer) error) {
	cmd.Args = cobra.MinimumNArgs(1)
	flags := cmd.Flags()
	from := flags.String("from", "", "File with subjects, one a line; - is standard input")
	reason := flags.String("reason", "", "Why, in a word, for the log (letters, digits, dashes)")
	ticket := flags.String("ticket", "", "Number under which it was asked for, for the log (letters, digits, dashes)")
	flags.Bool("json", false, "Print JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		subjects, err := namedSubjects(cmd, args[1:], *from)
		if err != nil {
			return err
		}
		wish := map[string]any{"subjects": subjects, "flag": args[0]}
		for name, word := range map[string]string{"reason": *reason, "ticket": *ticket} {
			if word != "" {
				wish[name] = word
			}
		}
		if more != nil {
			if err := more(wish); err != nil {
				return err
			}
		}
		return ask(cmd, "POST", path, wish, func(done console.FlagAnswer, _ string) error { return show(cmd, done) })
	}
}

func newSubjectFlagList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list SUBJECT... [--from FILE] [--linked]",
		Short: "Say which flags a person has and had",
		Long: `Say which flags a person has and had: since when, until when, why and by whom. Those
that count stand first. With --linked the flags of names count that are known to be the same
person's. Nothing is changed; that somebody asked is in the audit log.`,
		Example: `  caregate subject flag list email:jane@example.com --linked
  echo phone:+15555550100 | caregate subject flag list --from - --json`,
	}
	cmd.Args = cobra.ArbitraryArgs
	flags := cmd.Flags()
	from := flags.String("from", "", "File with subjects, one a line; - is standard input")
	linked := flags.Bool("linked", false, "Add the flags of linked names, which count as well")
	flags.Bool("json", false, "Print JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		subjects, err := namedSubjects(cmd, args, *from)
		if err != nil {
			return err
		}
		return ask(cmd, "POST", "/subjects/flags/list", map[string]any{"subjects": subjects, "linked": *linked}, func(list console.FlagList, _ string) error {
			return printFlags(cmd, list.Flags)
		})
	}
	return cmd
}

// printFlags shows flags. Names are counted by their place, not repeated: a terminal is kept
// too.
func printFlags(cmd *cobra.Command, all []console.SubjectFlag) error {
	t := newTable(cmd.OutOrStdout(), "SUBJECT", "FLAG", "COUNTS", "SINCE", "UNTIL", "REASON", "TICKET", "SET BY")
	for _, f := range all {
		subject, counts := "linked", "no"
		if f.Subject > 0 {
			subject = fmt.Sprint(f.Subject)
		}
		if f.Counts {
			counts = "yes"
		}
		until := day(f.Until)
		if !f.Ended.IsZero() {
			until = "ended " + day(f.Ended)
		}
		by := dash(f.SetBy)
		if !f.Erased.IsZero() {
			by = "erased " + day(f.Erased)
		}
		t.row(subject, f.Flag, counts, day(f.Since), until, dash(f.Reason), dash(f.Ticket), by)
	}
	return t.print()
}
