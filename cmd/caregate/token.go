package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Turn tokens back, for a reason, or check a customer by one",
		Long: `A token stands for a value that the vault keeps. It is turned back for people whose
role is dpo, who have signed in with a second factor, and who say why; agents hear
whether what a customer says is what it ends with. Whoever may open the gateway's
socket may do neither: show a key, or the token of your identity provider, with
--credential.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenReveal(), newTokenVerify())
	return cmd
}

func newTokenReveal() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reveal TOKEN|RECEIPT/NUMBER... --reason TEXT --ticket ID --credential FILE [--full] [--approval ID] [--json]",
		Short: "Show what stands behind tokens",
		Long: `Shows the last four characters of what stands behind each token, with --full all of
it, for those with the grant caregate:token.reveal_full. Reason and ticket are sealed
in the audit log before anything is opened.

In place of a token, RECEIPT/NUMBER asks for what a mask stands for, where policy lets
it be undone: caregate explain RECEIPT says which there are, and until when.

A person may make five such calls a minute and see 50 values a day. More than 20 at
once are shown when two others have agreed: the refusal names the approval, and
--approval repeats the call with it. A token that is unknown, expired, forged or not
for you is not found.`,
		Example: `  caregate token reveal ptk1... --reason "refund by bank transfer" --ticket T-4711 --credential ~/.caregate-token
  caregate token reveal 01a205b1d710e1376cc691199a3dbeca/1 --reason "order number, no SSN" --ticket T-4711 --credential ~/.caregate-token
  caregate token reveal ptk1... --full --reason "chargeback 88, bank asks" --ticket T-4711 --credential - --json < token.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return wrongUsage("want one token, or receipt and number of a mask, at least")
			}
			return nil
		},
	}
	flags := cmd.Flags()
	reason := flags.String("reason", "", "Why, in a few words")
	ticket := flags.String("ticket", "", "The ticket it is for")
	full := flags.Bool("full", false, "Show whole values")
	approval := flags.String("approval", "", "Approval that others have given for this call")
	asJSON := flags.Bool("json", false, "Print the answer as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *reason == "" || *ticket == "" {
			return wrongUsage("want --reason and --ticket: they stand in the audit log")
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		g.approval = *approval
		var list struct {
			Tokens []console.Revealed `json:"tokens"`
		}
		wish := map[string]any{"tokens": args, "reason": *reason, "ticket": *ticket, "full": *full}
		receipt, err := g.call(cmd.Context(), "POST", "/tokens/reveal", wish, &list)
		if err != nil {
			return err
		}
		if len(list.Tokens) != len(args) {
			return fmt.Errorf("the gateway answered about %d tokens, not %d", len(list.Tokens), len(args))
		}
		missing := 0
		for _, r := range list.Tokens {
			if !r.Found {
				missing++
			}
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Receipt %s.\n", receipt)
		if *asJSON {
			if err := printJSON(cmd.OutOrStdout(), list); err != nil {
				return err
			}
		} else {
			t := newTable(cmd.OutOrStdout(), "TOKEN", "CLASS", "VALUE")
			for i, r := range list.Tokens {
				value := r.Value
				if !r.Found {
					value = "not found"
				}
				t.row(strings.TrimSpace(args[i]), dash(r.Class), value)
			}
			if err := t.print(); err != nil {
				return err
			}
		}
		if missing > 0 {
			return errSilent
		}
		return nil
	}
	return cmd
}
