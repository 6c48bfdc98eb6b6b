package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newApproval() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approval",
		Short: "List, give and refuse approvals of calls",
		Long: `Some calls are made when others have agreed to them. Such a call is refused with
approval_required and an id; whoever may agrees with ` + "`caregate approval give ID`" + `, and
the caller repeats the call with the header Caregate-Approval: ID, within 15
minutes and once.

The gateway must be running. Whoever may open the socket in its data directory is
one person to it, called local; further ones show a key or a token of theirs with
--credential. Every step is in the audit log.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newApprovalList(), newApprovalGive(), newApprovalRefuse())
	return cmd
}

func newApprovalList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [--all] [--json]",
		Short:   "List what waits for approval, and what was approved",
		Long:    `Lists the approvals that are open: asked for, given and not used yet, and standing ones. With --all also those that have ended, for 30 days.`,
		Example: `  caregate approval list --json`,
		Args:    noArgs,
	}
	all := cmd.Flags().Bool("all", false, "List those that have ended, too")
	asJSON := cmd.Flags().Bool("json", false, "Print the list as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		var list struct {
			Approvals []console.Approval `json:"approvals"`
		}
		if _, err := g.call(cmd.Context(), "GET", "/approvals", nil, &list); err != nil {
			return err
		}
		if !*all {
			list.Approvals = slices.DeleteFunc(list.Approvals, func(a console.Approval) bool { return !a.Settled.IsZero() })
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		t := newTable(cmd.OutOrStdout(), "ID", "STATE", "CALL", "ROUTE", "RECORDS", "FINDINGS", "REQUESTER", "AGREED", "UNTIL")
		for _, a := range list.Approvals {
			t.row(a.ID, a.State, callOf(a), a.Route, strconv.Itoa(a.Records), dash(countsOf(a.Findings)), a.Requester,
				fmt.Sprintf("%d of %d", len(a.Agreed), a.Needed), a.Expires.UTC().Format("2006-01-02 15:04Z"))
		}
		return t.print()
	}
	return cmd
}

// callOf prints what is to be called, with the calls inside it.
func callOf(a console.Approval) string {
	call := a.Operation + " of " + a.Channel
	if len(a.Inner) > 0 {
		call += " (" + a.Effect + ": " + countsOf(a.Inner) + ")"
	}
	return call
}

// countsOf prints findings: 2 credit_card, 1 us_ssn.
func countsOf(findings map[string]int) string {
	var parts []string
	for class, n := range findings {
		parts = append(parts, fmt.Sprintf("%d %s", n, class))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func newApprovalGive() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "give ID [--standing --rows N --for DURATION [--filter QUERY] [--window FROM-TO]] [--credential FILE]",
		Short: "Agree to a call that somebody else asked for",
		Long: `Agrees to a call. When as many as are needed have, the caller can repeat it within
15 minutes, once. Whoever asked cannot agree, and nobody counts twice.

With --standing you agree to all such calls of the same credential, on the same
route, from now on: for nightly jobs. They need no header. --filter is what their
query must be, each parameter with its value or with * for any; a parameter that it
does not name may not be in the call. --rows is how many rows may pass in one window.`,
		Example: `  caregate approval give 7p3m...
  caregate approval give 7p3m... --standing --rows 20000 --window 01:00-04:00 --for 2160h --filter 'start_time=*&cursor=*'
  caregate approval give 7p3m... --credential ~/.caregate-key --json`,
		Args: oneArg("approval id (see `caregate approval list`)"),
	}
	flags := cmd.Flags()
	standing := flags.Bool("standing", false, "Agree to all such calls, within the terms")
	filter := flags.String("filter", "", "What their query must be, as 'status=closed&cursor=*' (with --standing)")
	rows := flags.Int("rows", 0, "How many rows may pass in one window (with --standing)")
	window := flags.String("window", "", "When they may be made each day in UTC, as 01:00-04:00; default: always (with --standing)")
	lasts := flags.Duration("for", 0, "How long the standing approval lasts, for example 2160h (with --standing)")
	flags.Bool("json", false, "Print the approval as JSON")
	placeFlags(cmd)
	changeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var wish any
		if *standing {
			terms := map[string]any{"standing": true, "filter": *filter, "rows": *rows, "until": time.Now().Add(*lasts).UTC().Truncate(time.Second)}
			if *rows < 1 || *lasts <= 0 {
				return wrongUsage("--standing wants --rows and --for")
			}
			if *window != "" {
				from, to, ok := strings.Cut(*window, "-")
				if !ok {
					return wrongUsage("--window wants FROM-TO, as 01:00-04:00")
				}
				terms["from"], terms["to"] = from, to
			}
			wish = terms
		} else if *filter != "" || *rows != 0 || *window != "" || *lasts != 0 {
			return wrongUsage("--filter, --rows, --window and --for belong to --standing")
		}
		return decideApproval(cmd, change[console.Approval], args[0], "give", wish)
	}
	return cmd
}

func newApprovalRefuse() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "refuse ID [--credential FILE]",
		Short:   "Refuse an approval, or end one that was given",
		Long:    `Ends an approval that is open: one that was asked for, one that was given and not used, a standing one. It counts at once.`,
		Example: `  caregate approval refuse 7p3m...`,
		Args:    oneArg("approval id (see `caregate approval list`)"),
	}
	cmd.Flags().Bool("json", false, "Print the approval as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return decideApproval(cmd, ask[console.Approval], args[0], "refuse", nil)
	}
	return cmd
}

// decideApproval makes the call that gives or refuses one, by ask or change, and says what
// came of it.
func decideApproval(cmd *cobra.Command, call func(*cobra.Command, string, string, any, func(console.Approval, string) error) error, arg, verb string, wish any) error {
	id, err := keyID(arg)
	if err != nil {
		return err
	}
	return call(cmd, "POST", "/approvals/"+id+"/"+verb, wish, func(a console.Approval, receipt string) error {
		what := "counts no longer"
		switch a.State {
		case "asked":
			what = fmt.Sprintf("waits for %d more", a.Needed-len(a.Agreed))
		case "given":
			what = "counts once, until " + a.Expires.UTC().Format("15:04:05 MST")
		case "standing":
			what = "stands until " + a.Expires.UTC().Format("2006-01-02 15:04 MST")
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Approval %s of %s of %s %s (receipt %s).\n", a.ID, plain(a.Operation), plain(a.Channel), what, receipt)
		return err
	})
}
