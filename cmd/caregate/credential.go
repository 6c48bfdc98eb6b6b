package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/policy"
)

// maxCredential is longer than any key or token.
const maxCredential = 64 << 10

// credentialFlag adds the flag for commands that a person makes, and not whoever may
// open the socket.
func credentialFlag(cmd *cobra.Command) {
	cmd.Flags().String("credential", "", "File with a gateway key or an issuer's token to act with (- for standard input; default: as whoever may open the socket)")
}

// changeFlags adds to a command that changes keys or rights who makes the change, its
// ticket, and the approval of others.
func changeFlags(cmd *cobra.Command) {
	credentialFlag(cmd)
	cmd.Flags().String("ticket", "", "Number of the change ticket, kept in the audit log: letters, digits, dashes and underscores")
	cmd.Flags().String("approval", "", "Approval that others have given for this change (see caregate approval list)")
}

// changingGateway is gatewayOf for a command with changeFlags.
func changingGateway(cmd *cobra.Command) (*gateway, error) {
	g, err := gatewayOf(cmd)
	if err != nil {
		return nil, err
	}
	if g.ticket, err = cmd.Flags().GetString("ticket"); err != nil {
		return nil, err
	}
	g.approval, err = cmd.Flags().GetString("approval")
	return g, err
}

// gatewayOf is the running gateway that a command names, called with the credential that
// it names, if it has the flag.
func gatewayOf(cmd *cobra.Command) (*gateway, error) {
	p, err := findPlace(cmd)
	if err != nil {
		return nil, err
	}
	g := newGateway(p.Dir)
	flag := cmd.Flags().Lookup("credential")
	if flag == nil || flag.Value.String() == "" {
		return g, nil
	}
	file := flag.Value.String()
	in := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading the credential: %w", err)
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxCredential))
	if err != nil {
		return nil, fmt.Errorf("reading the credential: %w", err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" || strings.ContainsAny(text, " \r\n\t") {
		return nil, wrongUsage("%s holds no key and no token: it wants one, on one line", file)
	}
	// An issuer's token has dots (RFC 7515, section 7.1), a key has none.
	if strings.Contains(text, ".") {
		g.token = policy.Secret(text)
	} else {
		g.key = policy.Secret(text)
	}
	return g, nil
}

// ask calls the gateway that a command names and prints the answer: as it is with --json,
// else by says. Method, path and body are those of gateway.call.
func ask[T any](cmd *cobra.Command, method, path string, in any, says func(answer T, receipt string) error) error {
	g, err := gatewayOf(cmd)
	if err != nil {
		return err
	}
	return askOf(cmd, g, method, path, in, says)
}

// change is ask for a command with changeFlags.
func change[T any](cmd *cobra.Command, method, path string, in any, says func(answer T, receipt string) error) error {
	g, err := changingGateway(cmd)
	if err != nil {
		return err
	}
	return askOf(cmd, g, method, path, in, says)
}

// askOf is ask for a gateway that was prepared otherwise.
func askOf[T any](cmd *cobra.Command, g *gateway, method, path string, in any, says func(answer T, receipt string) error) error {
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	var answer T
	receipt, err := g.call(cmd.Context(), method, path, in, &answer)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), answer)
	}
	return says(answer, receipt)
}
