package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy"
)

// mostChanges is how many rows the table of a replay has; JSON has all.
const mostChanges = 50

func newPolicyReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay (DRAFT... | --bundle DIR) [--since TIME] [--until TIME] [--config FILE] [--data DIR] [--json]",
		Short: "Try a draft of the policy on recorded traffic",
		Long: `Asks a draft for every decision of the audit log again, and prints who would lose or
gain what: by role, route, operation and data class, with receipts of examples for
` + "`caregate explain`" + `. DRAFT are documents and a directory of rules, as they would stand
behind ` + "`policy builtin`" + ` in the Caddyfile; --bundle is a directory that ` + "`caregate policy sign`" + `
would make a bundle of. The draft is compared with the policy that the configuration names,
or the bundle that was taken last. No gateway need run, and none is changed.

What is recorded of a decision is all that rules see, so the answers are those that the
draft would have given. Two things are not replayed: grants count as the caller had them,
those in the draft's documents do not; and what was refused for no reason of the policy's
(a body that is too large, a broken signature) is counted and left out.`,
		Example: `  caregate policy replay ./policy.draft.yaml ./rules --since 30d
  caregate policy replay ./rules --since 2026-11-01 --until 2026-11-08 --json
  caregate policy replay --bundle ./policy --since 30d`,
		Args: cobra.ArbitraryArgs,
	}
	flags := cmd.Flags()
	since := flags.String("since", "", "Only decisions at or after this time: 30d, 2026-11-01 or 2026-11-01T08:00:00Z")
	until := flags.String("until", "", "Only decisions before this time")
	bundle := flags.String("bundle", "", "Draft of a bundle: a directory with its document and rules")
	asJSON := flags.Bool("json", false, "Print the report as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (len(args) == 0) == (*bundle == "") {
			return wrongUsage("want the draft: documents, a directory of rules or both, or --bundle")
		}
		window, err := readWindow(*since, *until, time.Now())
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		p, now, err := policyOfPlace(cmd)
		if err != nil {
			return err
		}
		draft, err := readDraft(ctx, args, *bundle)
		if err != nil {
			return fmt.Errorf("the draft: %w", err)
		}
		stop := progress(cmd, "replaying "+p.Dir)
		r, err := policy.Replay(ctx, now, draft, proxy.Decisions(ctx, p.Dir, window[0], window[1]), runtime.GOMAXPROCS(0))
		stop()
		if err != nil {
			return missingLog(err)
		}
		sayOneLog(cmd, p)
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), r)
		}
		return printReplay(cmd.OutOrStdout(), r)
	}
	return cmd
}

// policyOfPlace finds the data directory, and compiles the policy that its configuration
// names. One that follows a bundle has the one that was taken last there.
func policyOfPlace(cmd *cobra.Command) (*place, *policy.Engine, error) {
	p, err := findPlace(cmd)
	if err != nil {
		return nil, nil, err
	}
	if p.app == nil {
		p.app = new(proxy.App)
	}
	c, err := p.app.PolicyConfig()
	if err == nil {
		c.Bundle, err = p.app.KeptBundle(cmd.Context(), p.Dir)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the policy in force: %w", err)
	}
	e, err := policy.NewEngine(cmd.Context(), c)
	if err != nil {
		return nil, nil, fmt.Errorf("the policy in force: %w", err)
	}
	return p, e, nil
}

// readDraft compiles a draft.
func readDraft(ctx context.Context, places []string, bundle string) (*policy.Engine, error) {
	if bundle == "" {
		c, err := (&proxy.App{PolicyDocuments: places}).PolicyConfig()
		if err != nil {
			return nil, err
		}
		return policy.NewEngine(ctx, c)
	}
	return policy.DraftDirectory(ctx, bundle)
}

func printReplay(out io.Writer, r *policy.ReplayReport) error {
	if len(r.Changes) > 0 {
		t := newTable(out, "DECISIONS", "WHO", "CALL", "WHAT", "NOW", "DRAFT", "FOR EXAMPLE")
		for _, c := range r.Changes[:min(len(r.Changes), mostChanges)] {
			who := c.Kind
			if len(c.Roles) > 0 {
				who += " " + strings.Join(c.Roles, ",")
			}
			what := c.Direction
			if c.Class != "" {
				what += " " + c.Class + " " + c.Place
			}
			if c.Observed {
				what += " (observed)"
			}
			t.row(c.Decisions, who, c.Route+" "+c.Channel+":"+c.Operation, what, c.Before, c.After, c.Receipts[0])
		}
		if err := t.print(); err != nil {
			return err
		}
		if more := len(r.Changes) - mostChanges; more > 0 {
			fmt.Fprintf(out, "and %d rows more, see --json\n", more)
		}
		fmt.Fprintln(out)
	}
	_, err := fmt.Fprintf(out, "%d decisions in %d situations: %d lost, %d gained, %d treated otherwise, %d the same\n",
		r.Decisions, r.Situations, r.Lost, r.Gained, r.Treated, r.Decisions-r.Lost-r.Gained-r.Treated)
	fmt.Fprintf(out, "compared: policy %.12s, which decided %d of them, and draft %.12s\n", r.Now, r.Decisions-r.Before, r.Draft)
	if r.Otherwise > 0 {
		fmt.Fprintf(out, "%d refusals were none of the policy's and were left out\n", r.Otherwise)
	}
	if r.Without > 0 {
		fmt.Fprintf(out, "%d decisions were recorded without what the rules saw, or by a newer version, and were left out\n", r.Without)
	}
	return err
}
