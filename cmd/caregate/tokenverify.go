package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// longestTyped is longer than any e-mail address.
const longestTyped = 1 << 10

func newTokenVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify TOKEN|RECEIPT/NUMBER --credential FILE [--json]",
		Short: "Check what a customer says by a token",
		Long: `Reads one line from standard input, and answers yes or no: is it what the value
behind the token ends with? The line is the last four digits of a card, of a social
security, taxpayer, account or telephone number, or a whole e-mail address. It is no
argument, because arguments stand in lists of processes and histories of shells.

For agents, leads and data protection officers. Three tries an hour and twelve a day
count for a token, sixty an hour for a person; each is in the audit log, without what
was typed. A token that is unknown, expired, forged, not for you, or of another kind of
value is a no. After a no the command ends with status 1.`,
		Example: `  caregate token verify ptk1... --credential ~/.caregate-key
  printf 1120 | caregate token verify ptk1... --credential ~/.caregate-key --json`,
		Args: oneArg("token"),
	}
	asJSON := cmd.Flags().Bool("json", false, "Print the answer as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file, err := cmd.Flags().GetString("credential"); err != nil || file == "-" {
			return wrongUsage("want the credential from a file: standard input is what the customer says")
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), longestTyped)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading what the customer says: %w", err)
		}
		typed := strings.TrimSpace(line)
		if typed == "" {
			return wrongUsage("want four digits or an e-mail address on standard input")
		}
		var answer struct {
			Matches bool `json:"matches"`
		}
		receipt, err := g.call(cmd.Context(), "POST", "/tokens/verify", map[string]any{"token": args[0], "typed": typed}, &answer)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Receipt %s.\n", receipt)
		switch {
		case *asJSON:
			err = printJSON(cmd.OutOrStdout(), answer)
		case answer.Matches:
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "yes")
		default:
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "no")
		}
		if err == nil && !answer.Matches {
			err = errSilent
		}
		return err
	}
	return cmd
}
