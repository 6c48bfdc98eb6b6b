package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy"
)

func newExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [--json] [--data DIR] RECEIPT",
		Short: "Say why a call was answered as it was",
		Long: `Says in one sentence what happened to a call, why, and who can change it. The
receipt is the value of the Caregate-Receipt header, or stands in the answer of a
refusal. It asks the running gateway, and reads the log itself when none runs.

It exits with 1 when the log holds no such event.`,
		Example: `  caregate explain 3f0c9a7be21d4a58b6c1d2e3f4a5b6c7
  caregate explain --json 3f0c9a7be21d4a58b6c1d2e3f4a5b6c7`,
		Args: oneArg("receipt"),
	}
	asJSON := cmd.Flags().Bool("json", false, "Print the whole event as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, p, err := receiptHere(cmd, args[0])
		if err != nil {
			return err
		}
		e, err := findEvent(cmd, p, id)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), e)
		}
		fmt.Fprintln(cmd.OutOrStdout(), plain(e.Sentence))
		return nil
	}
	return cmd
}

// receiptHere reads a receipt, and finds the data directory whose log it is looked for
// in.
func receiptHere(cmd *cobra.Command, receipt string) (audit.ID, *place, error) {
	id, err := audit.ParseID(receipt)
	if err != nil {
		return id, nil, wrongUsage("%w", err)
	}
	p, err := findPlace(cmd)
	return id, p, err
}

// noEvent says that the log of p does not have the event.
func noEvent(p *place, id audit.ID) error {
	hint := "a receipt belongs to one deployment: --data names the directory of another"
	if p.Gateway != "" {
		hint = "of several gateways the one that gave a receipt has its event"
	}
	return fail(hint, "the log in %s holds no event %s", p.Dir, id)
}

// findEvent asks the running gateway, so that the question too goes through
// policy, or reads the files when none runs.
func findEvent(cmd *cobra.Command, p *place, id audit.ID) (console.Event, error) {
	var e console.Event
	_, err := newGateway(p.Dir).call(cmd.Context(), "GET", "/events/"+id.String(), nil, &e)
	var r *refusal
	if errors.As(err, &r) && r.Reason == "not_found" {
		return e, noEvent(p, id)
	}
	if !errors.Is(err, errNotRunning) {
		return e, err
	}
	leaf, err := audit.Lookup(cmd.Context(), p.Dir, id)
	if errors.Is(err, audit.ErrNotFound) {
		return e, noEvent(p, id)
	}
	if err != nil {
		return e, err
	}
	return proxy.EventView(leaf), nil
}
