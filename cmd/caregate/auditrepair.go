package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/proxy"
)

func newAuditRepair() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repair [--yes --operator NAME --reason TEXT] [--data DIR] [--json]",
		Short: "Bring back a log that does not open",
		Long: `Looks for what keeps the log from being opened or from verifying, and says what
would be done about it and what would be lost. Nothing is changed without --yes.

Tiles, the index and the published checkpoint are derived again. Of events that no
checkpoint covers yet, those are kept that follow on the tree without a break; what
is behind the first damaged one is given up. An entry under a signed checkpoint is
never given up: when one is damaged, the command names the files to restore from the
archive or a backup.

Of the sealed details those are kept that have the digests in their entries. What
else is missing without having expired is lost: by count and range in the log for
good, and verification takes it for lost from then on. When a backup of detail.db is
at hand, put that in place first: what it has is not lost.

With --yes the damaged files are kept in the data directory (audit-damaged-TIME), and
the log gets a log.gap event for good, with what was lost, the hashes of those files
and a pseudonym of the operator. Name and reason are sealed, and stand in README.txt
beside the files. The log verifies again, with that gap.

The gateway must be stopped. A repair that was interrupted is finished by the next.

Exit codes: 0 nothing to repair, or repaired; 1 it cannot be repaired from what is
here; 2 there is something to repair; 3 wrong usage.`,
		Example: `  caregate audit repair
  caregate audit repair --yes --operator jo --reason "power cut, ticket 4711"`,
		Args: noArgs,
	}
	var by proxy.LogRepair
	cmd.Flags().BoolVar(&by.Apply, "yes", false, "Do it")
	cmd.Flags().StringVar(&by.Operator, "operator", "", "Who decides this")
	cmd.Flags().StringVar(&by.Reason, "reason", "", "Why")
	asJSON := cmd.Flags().Bool("json", false, "Print plan or result as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if by.Apply && (by.Operator == "" || by.Reason == "") {
			return wrongUsage("--yes needs --operator and --reason: somebody answers for what is given up")
		}
		p, err := findPlace(cmd)
		if err != nil {
			return err
		}
		stop := progress(cmd, "looking at "+p.Dir)
		r, err := proxy.RepairLog(cmd.Context(), p.DataConfig, by)
		stop()
		switch {
		case errors.Is(err, audit.ErrMissing):
			return &failure{code: exitUsage, err: err, hint: "name the data directory with --data"}
		case errors.Is(err, audit.ErrInUse):
			return fail("stop the gateway first", "%w", err)
		case errors.Is(err, audit.ErrUnrepairable):
			return fail("nothing was changed; the archive of `archive` in the Caddyfile has every full bundle", "%w", err)
		case err != nil:
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), repairJSON(r))
		} else {
			printRepair(cmd.OutOrStdout(), r)
		}
		if err == nil && !r.Applied && (len(r.Findings) > 0 || r.Unfinished) {
			err = silent(exitIncomplete)
		}
		return err
	}
	return cmd
}

// repairResult is a plan or what came of it as JSON.
type repairResult struct {
	Origin     string          `json:"origin"`
	Size       int64           `json:"size"`
	Unfinished bool            `json:"unfinished"`
	Findings   []repairFinding `json:"findings"`
	Applied    bool            `json:"applied"`
	Aside      string          `json:"aside,omitempty"`
	Gap        string          `json:"gap,omitempty"`
}

type repairFinding struct {
	Part string `json:"part"`
	What string `json:"what"`
	Do   string `json:"do"`
	Lost string `json:"lost"`
}

func repairJSON(r audit.RepairReport) repairResult {
	out := repairResult{Origin: r.Origin, Size: r.Size, Unfinished: r.Unfinished, Findings: []repairFinding{}, Applied: r.Applied, Aside: r.Aside}
	if !r.Gap.IsZero() {
		out.Gap = r.Gap.String()
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, repairFinding(f))
	}
	return out
}

func printRepair(w io.Writer, r audit.RepairReport) {
	if r.Unfinished {
		fmt.Fprintln(w, "A repair was interrupted; it is finished before anything else.")
	}
	if len(r.Findings) == 0 && !r.Unfinished {
		fmt.Fprintf(w, "%s: nothing to repair at size %d\n", plain(r.Origin), r.Size)
		return
	}
	for _, f := range r.Findings {
		lost := f.Lost
		if lost == "" {
			lost = "nothing"
		}
		fmt.Fprintf(w, "%s %s\n  do:   %s\n  lost: %s\n", plain(f.Part), plain(f.What), plain(f.Do), plain(lost))
	}
	switch {
	case !r.Applied:
		fmt.Fprintln(w, "Nothing was changed. To do it: caregate audit repair --yes --operator NAME --reason TEXT")
	case r.Aside != "":
		fmt.Fprintf(w, "Repaired. The damaged files are in %s; the log says so in event %s.\n", r.Aside, r.Gap)
	default:
		fmt.Fprintln(w, "Repaired.")
	}
}
