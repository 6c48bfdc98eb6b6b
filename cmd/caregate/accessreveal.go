package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newAccessReveals() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reveals [--credential FILE] [--json]",
		Short: "List who may see what stands behind tokens, and when that lapses unused",
		Long: `Lists the people whom the gateway has seen with a right to see what stands behind tokens:
when it saw them first, when they last used the right, and when it lapses unless they use
it before. A right that has lapsed counts again when another person renews it.`,
		Example: `  caregate access reveals --json`,
		Args:    noArgs,
	}
	cmd.Flags().Bool("json", false, "Print the list as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return ask(cmd, "GET", "/access/reveals", nil, func(list console.RevealRightList, _ string) error {
			w := cmd.OutOrStdout()
			t := newTable(w, "ACTOR", "STATE", "FIRST SEEN", "LAST USE", "RENEWED", "BY", "LAPSES")
			for _, r := range list.Rights {
				state := "counts"
				if r.Lapsed {
					state = "lapsed"
				}
				t.row(r.Actor, state, day(r.FirstSeen), day(r.LastUsed), day(r.Renewed), dash(r.RenewedBy), day(r.Lapses))
			}
			if err := t.print(); err != nil {
				return err
			}
			says := "The policy lets no right lapse."
			if list.UnusedAfterDays > 0 {
				says = fmt.Sprintf("A right that is not used for %d days lapses.", list.UnusedAfterDays)
			}
			_, err := fmt.Fprintf(w, "\n%s\n", says)
			return err
		})
	}
	return cmd
}

func newAccessRenew() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "renew ACTOR [--ticket ID] [--approval ID] [--credential FILE] [--json]",
		Short: "Renew somebody's right to see what stands behind tokens",
		Long: `Lets a right count again that lapsed because nobody used it, or for longer. ACTOR is as
` + "`caregate access reveals`" + ` lists it. Nobody renews a right of one's own. Who did, with
which ticket and with whose agreement, is in the audit log.`,
		Example: `  caregate access renew user:0f3a... --ticket CHG-4711 --credential me.key`,
		Args:    oneArg("actor (see `caregate access reveals`)"),
	}
	cmd.Flags().Bool("json", false, "Print the right as JSON")
	placeFlags(cmd)
	changeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return change(cmd, "POST", "/access/reveals/renew", map[string]any{"actor": args[0]}, func(r console.RevealRight, receipt string) error {
			until := ""
			if !r.Lapses.IsZero() {
				until = ", until " + day(r.Lapses) + " if it is not used"
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "The right of %s counts%s (receipt %s).\n", plain(r.Actor), until, receipt)
			return nil
		})
	}
	return cmd
}
