package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newHold() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Place and lift legal holds",
		Long: `A legal hold keeps what a matter needs from being destroyed: nobody whom it covers is
erased while it is in force. One person places it, and it is in force at once; two lift
it: one asks, another one agrees. It stops nothing but destruction, and the time for
answering a request runs on.

The gateway must be running. Whoever may open the socket in its data directory is one
person to it, called local; people act with a key or token of theirs (--credential).
Every step is in the audit log. See docs/legal-holds.md.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newHoldPlace(), newHoldList(), newHoldShow(), newHoldLift(), newHoldApproveLift())
	return cmd
}

// holdID checks an id before it becomes part of a path.
func holdID(s string) (string, error) {
	if id, err := keyID(s); err == nil {
		return id, nil
	}
	return "", wrongUsage("want the id of a hold (see `caregate hold list`)")
}

func newHoldPlace() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "place [SUBJECT...] --matter ID --custodian ID --reason TEXT [--from FILE] [--record PLACE] [--query WORDS]",
		Short: "Place a hold, which is in force at once",
		Long: `Places a hold on persons (SUBJECT: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID, in
every way they are named), on records (--record CHANNEL/HOST/TYPE/ID), on records by
where they stand and when (--query), or on several of these: it covers all of them.
Somebody whom no call ever named can be held as well.

A query is channel=NAME with host=NAME, type=NAME, since=DAY and until=DAY as you need
them, separated by commas: records that were created before until, and seen at or after
since. Whoever is named by a record that is covered, or by one that hangs on it, is
not erased.

--matter and --custodian are numbers or roles of letters, digits, dashes and
underscores; they stand in the log and in refusals. The reason does not.

An erasure that had begun cannot be stopped. The hold says for which it came too late;
place it again when they are done, for what is written about these persons later.`,
		Example: `  caregate hold place email:jane@example.com --matter CASE-7 --custodian legal --reason 'claim of 12 May'
  caregate hold place --query channel=zendesk,type=ticket,since=2026-01-01,until=2026-07-01 \
    --matter CASE-8 --custodian legal --reason 'inquiry' --json`,
		Args: cobra.ArbitraryArgs,
	}
	flags := cmd.Flags()
	matter := flags.String("matter", "", "Number of the case")
	custodian := flags.String("custodian", "", "Who keeps the evidence: a role or a number")
	reason := flags.String("reason", "", "Why; it is sealed")
	from := flags.String("from", "", "File with subjects, one a line; - is standard input")
	records := flags.StringArray("record", nil, "Place of a record, CHANNEL/HOST/TYPE/ID; can be repeated")
	queries := flags.StringArray("query", nil, "Records by channel, host, type, since and until; can be repeated")
	flags.Bool("json", false, "Print the hold as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, subjects []string) error {
		if *matter == "" || *custodian == "" || *reason == "" {
			return wrongUsage("want --matter, --custodian and --reason")
		}
		if *from != "" {
			more, err := readSubjects(cmd, *from)
			if err != nil {
				return err
			}
			subjects = append(subjects, more...)
		}
		wish := map[string]any{"matter": *matter, "custodian": *custodian, "reason": *reason, "subjects": append([]string{}, subjects...), "records": append([]string{}, *records...)}
		covered := []map[string]any{}
		for _, text := range *queries {
			q, err := holdQuery(text)
			if err != nil {
				return err
			}
			covered = append(covered, q)
		}
		wish["queries"] = covered
		if len(subjects)+len(*records)+len(covered) == 0 {
			return wrongUsage("want subjects, --record or --query: a hold of everything is none")
		}
		return ask(cmd, "POST", "/holds", wish, func(h console.Hold, receipt string) error {
			fmt.Fprintf(cmd.ErrOrStderr(), "Hold %s is in force (receipt %s).\n", h.ID, receipt)
			return printHold(cmd.OutOrStdout(), h)
		})
	}
	return cmd
}

// holdQuery reads channel=NAME,type=NAME,since=DAY.
func holdQuery(text string) (map[string]any, error) {
	q := make(map[string]any)
	for _, part := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		if _, twice := q[name]; !ok || value == "" || twice {
			return nil, wrongUsage("--query wants channel=NAME,host=NAME,type=NAME,since=DAY,until=DAY, each at most once")
		}
		switch name {
		case "channel", "host", "type":
			q[name] = value
		case "since", "until":
			day, err := time.Parse(time.DateOnly, value)
			if err != nil {
				return nil, wrongUsage("--query: %s wants a day, as 2026-08-01", name)
			}
			q[name] = day
		default:
			return nil, wrongUsage("--query knows channel, host, type, since and until")
		}
	}
	if q["channel"] == nil {
		return nil, wrongUsage("--query wants a channel")
	}
	return q, nil
}

func newHoldList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [--json]",
		Short:   "List holds, those in force first",
		Long:    `Lists the holds, those in force first and then the newest first, without reasons and scopes.`,
		Example: `  caregate hold list --json`,
		Args:    noArgs,
	}
	cmd.Flags().Bool("json", false, "Print the list as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		type answer struct {
			Holds []console.Hold `json:"holds"`
		}
		return ask(cmd, "GET", "/holds", nil, func(list answer, _ string) error {
			t := newTable(cmd.OutOrStdout(), "HOLD", "MATTER", "CUSTODIAN", "STATE", "PLACED", "BY", "LIFTING ASKED BY", "AGREED BY")
			for _, h := range list.Holds {
				t.row(h.ID, h.Matter, h.Custodian, h.State, day(h.Placed), h.PlacedBy, dash(h.LiftAskedBy), dash(h.LiftApprovedBy))
			}
			return t.print()
		})
	}
	return cmd
}

func newHoldShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show HOLD [--json]",
		Short: "Show a hold with its reason and what it covers",
		Long: `Shows a hold: matter, custodian, reason, what it covers, who placed it and who lifted it,
and the erasures for which it came too late. Persons are counted; by which names they
were named is not kept.`,
		Example: `  caregate hold show 3k9f...`,
		Args:    oneArg("hold (see `caregate hold list`)"),
	}
	return holdCommand(cmd, "GET", "", nil, func(cmd *cobra.Command, h console.Hold, _ string) error {
		return printHold(cmd.OutOrStdout(), h)
	})
}

func newHoldLift() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lift HOLD --reason TEXT [--credential FILE] [--json]",
		Short: "Ask for a hold to be lifted",
		Long: `Asks for a hold to be lifted. It stays in force until another person agrees
(` + "`caregate hold approve-lift`" + `). The reason is sealed and not in the audit log.`,
		Example: `  caregate hold lift 3k9f... --reason 'settled on 3 March' --credential me.key`,
		Args:    oneArg("hold (see `caregate hold list`)"),
	}
	reason := cmd.Flags().String("reason", "", "Why it is not needed any more")
	return holdCommand(cmd, "POST", "/lift", func() (any, error) {
		if *reason == "" {
			return nil, wrongUsage("want --reason")
		}
		return map[string]any{"reason": *reason}, nil
	}, func(cmd *cobra.Command, h console.Hold, receipt string) error {
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Hold %s is in force until somebody else agrees: caregate hold approve-lift %s (receipt %s).\n", h.ID, h.ID, receipt)
		return err
	})
}

func newHoldApproveLift() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approve-lift HOLD [--credential FILE] [--json]",
		Short: "Agree to the lifting that somebody else asked for",
		Long: `Agrees to the lifting of a hold. Whoever asked for it cannot, with a rotated key neither.
The hold ends when the audit log has it, which is at once as a rule. What was refused
meanwhile is not done by itself: whoever asked for an erasure asks again.`,
		Example: `  caregate hold approve-lift 3k9f... --credential me.key`,
		Args:    oneArg("hold (see `caregate hold list`)"),
	}
	return holdCommand(cmd, "POST", "/approve-lift", nil, func(cmd *cobra.Command, h console.Hold, receipt string) error {
		says := "is lifted"
		if h.State != "lifted" {
			says = "is in force until the audit log has that it is lifted"
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Hold %s %s (receipt %s).\n", h.ID, says, receipt)
		return err
	})
}

// holdCommand makes cmd call the gateway about one hold. wish, where there is one, is the body.
func holdCommand(cmd *cobra.Command, method, deed string, wish func() (any, error), says func(*cobra.Command, console.Hold, string) error) *cobra.Command {
	cmd.Flags().Bool("json", false, "Print the hold as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := holdID(args[0])
		if err != nil {
			return err
		}
		var body any
		if wish != nil {
			if body, err = wish(); err != nil {
				return err
			}
		}
		return ask(cmd, method, "/holds/"+id+deed, body, func(h console.Hold, receipt string) error {
			return says(cmd, h, receipt)
		})
	}
	return cmd
}

func printHold(w io.Writer, h console.Hold) error {
	t := newTable(w, "HOLD", h.ID)
	t.row("matter", h.Matter)
	t.row("custodian", h.Custodian)
	t.row("reason", h.Reason)
	t.row("state", h.State)
	t.row("placed", instant(h.Placed)+" by "+h.PlacedBy)
	if h.LiftAskedBy != "" {
		t.row("lifting asked", instant(h.LiftAsked)+" by "+h.LiftAskedBy+": "+h.LiftReason)
	}
	if h.LiftApprovedBy != "" {
		t.row("lifting agreed", instant(h.LiftApproved)+" by "+h.LiftApprovedBy)
	}
	if s := h.Scope; s != nil {
		t.row("subjects", s.Subjects)
		for _, r := range s.Records {
			t.row("record", r)
		}
		for _, q := range s.Queries {
			text := "channel=" + q.Channel
			for _, p := range [][2]string{{"host", q.Host}, {"type", q.Type}, {"since", day(q.Since)}, {"until", day(q.Until)}} {
				if p[1] != "" && p[1] != "-" {
					text += "," + p[0] + "=" + p[1]
				}
			}
			t.row("query", text)
		}
	}
	for _, l := range h.TooLate {
		t.row("too late", "for the erasure "+l.Event+", begun "+instant(l.Begun))
	}
	return t.print()
}
