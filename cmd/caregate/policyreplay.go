package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
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
		var window [2]time.Time
		for i, flag := range [...]struct{ name, text string }{{"--since", *since}, {"--until", *until}} {
			var err error
			if window[i], err = readInstant(flag.name, flag.text, time.Now()); err != nil {
				return err
			}
		}
		p, err := findPlace(cmd)
		if err != nil {
			return err
		}
		if p.app == nil {
			p.app = new(proxy.App)
		}
		ctx := cmd.Context()
		now, err := readPolicy(ctx, p.app, p.Dir)
		if err != nil {
			return fmt.Errorf("the policy in force: %w", err)
		}
		draft, err := readDraft(ctx, args, *bundle)
		if err != nil {
			return fmt.Errorf("the draft: %w", err)
		}
		stop := progress(cmd, "replaying "+p.Dir)
		r, err := policy.Replay(ctx, now, draft, decisions(ctx, p.Dir, window))
		stop()
		if err != nil {
			return missingLog(err)
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), r)
		}
		return printReplay(cmd.OutOrStdout(), r)
	}
	return cmd
}

// readPolicy compiles the policy of a configuration. One that follows a bundle has the one
// that was taken last on the data directory.
func readPolicy(ctx context.Context, app *proxy.App, dir string) (*policy.Engine, error) {
	c, err := app.PolicyConfig()
	if err == nil {
		c.Bundle, err = app.KeptBundle(ctx, dir)
	}
	if err != nil {
		return nil, err
	}
	c.Logger = nil // a policy that gives no decision shows in the report, not once for each
	return policy.NewEngine(ctx, c)
}

// readDraft compiles a draft. That of a bundle is signed, by a key for this once, because
// only what has passed as a bundle is what a gateway would take.
func readDraft(ctx context.Context, places []string, bundle string) (*policy.Engine, error) {
	if bundle == "" {
		c, err := (&proxy.App{PolicyDocuments: places}).PolicyConfig()
		if err != nil {
			return nil, err
		}
		c.Logger = nil
		return policy.NewEngine(ctx, c)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	_, b, err := policy.SignBundle(ctx, bundle, policy.BundleSigning{Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), Revision: 1})
	if err != nil {
		return nil, err
	}
	return policy.NewEngine(ctx, policy.Config{Bundle: b})
}

// decisions are the entries of the log that tell of a decision, within a window of the
// gateway's clock.
func decisions(ctx context.Context, dir string, window [2]time.Time) iter.Seq2[policy.Recorded, error] {
	enough := errors.New("enough")
	return func(yield func(policy.Recorded, error) bool) {
		_, err := audit.Entries(ctx, dir, 0, func(e audit.Entry) error {
			at := time.UnixMilli(e.Leaf.Wall)
			if at.Before(window[0]) || !window[1].IsZero() && !at.Before(window[1]) {
				return nil
			}
			rec, times := recorded(&e.Leaf)
			for range times {
				if !yield(rec, nil) {
					return enough
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(policy.Recorded{}, err)
		}
	}
}

// recorded is what an entry of the log tells of decisions, and of how many.
func recorded(l *audit.Leaf) (rec policy.Recorded, times int) {
	if l.Decision == "" || l.Cont > 0 {
		return rec, 0
	}
	rec, times = policy.Recorded{Receipt: l.ID.String(), Input: l.Input, Policy: l.Policy}, 1
	switch l.Type {
	case "api.done":
		if l.Decision != audit.DecisionDeny {
			return rec, 0 // what stands behind a deed decides nothing
		}
	case "request.closed", "response.closed":
		if l.Decision != audit.DecisionDeny {
			return rec, 0 // nor does the end of a stream
		}
		rec.Input = "" // that of the window which was refused is not in the log
	case audit.TypeDenialsCounted:
		if n, err := strconv.Atoi(l.Attrs["count"]); err == nil && n > 1 {
			times = n
		}
		return rec, times // of several inputs, and for the reason of the first
	}
	if l.Decision == audit.DecisionDeny {
		rec.Reason = l.Reason
	}
	return rec, times
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
