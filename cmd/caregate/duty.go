package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newDuty() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "duty",
		Short: "Duties that the gateway does not go on with by itself",
		Long: `What is owed by law, as the notices of incidents, is a duty that the gateway carries out when it
is due. When it cannot go on (a date came out differently with a new version, an erasure failed ten
times), the duty waits for a person; its clock runs on. caregate_duties_waiting counts those, and
the gateway's log says so every half hour.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDutyList(), newDutyRetry())
	return cmd
}

func newDutyList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [--json]",
		Short:   "List the duties that wait for a person",
		Long:    `Lists the duties that wait for a person, those that are due first, up to 1000. Why one waits is in the audit log, as the event duty.needs_human.`,
		Example: `  caregate duty list`,
		Args:    noArgs,
	}
	cmd.Flags().Bool("json", false, "Print the list as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return ask(cmd, "GET", "/duties", nil, func(list console.DutyList, _ string) error {
			t := newTable(cmd.OutOrStdout(), "DUTY", "KIND", "DUE")
			for _, d := range list.Duties {
				t.row(d.ID, d.Kind, instant(d.Due))
			}
			if list.Waiting > len(list.Duties) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d more wait.\n", list.Waiting-len(list.Duties))
			}
			return t.print()
		})
	}
	return cmd
}

func newDutyRetry() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "retry DUTY --reason CODE",
		Short:   "Have the gateway go on with a duty that waits",
		Long:    `Gives a duty that waits for a person back to the gateway, which tries it again. A date that came out differently counts as seen and taken.`,
		Example: `  caregate duty retry incident/7p3m.../eu.breach.authority/de/1 --reason looked`,
		Args:    oneArg("duty (see `caregate duty list`)"),
	}
	reason := cmd.Flags().String("reason", "", "Why, as a code: letters, digits and underscores (required)")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *reason == "" {
			return wrongUsage("want --reason")
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		receipt, err := g.call(cmd.Context(), "POST", "/duties/retry", map[string]any{"duty": args[0], "reason": *reason}, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "It is tried again (receipt %s).\n", receipt)
		return nil
	}
	return cmd
}
