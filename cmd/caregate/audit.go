package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
)

func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Verify the audit log",
		Long:  `The audit log holds one event for everything that the gateway let pass, refused or changed.`,
		Args:  needsSubcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAuditVerify())
	return cmd
}

func newAuditVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [--data DIR] [--trust FILE] [--deadline DURATION] [--json]",
		Short: "Check the whole log",
		Long: `Reads every entry, tile, checkpoint and sealed detail of the log and checks that
they belong together and are signed. It changes nothing and may run beside the
gateway; a log in use is checked up to its newest signed checkpoint.

With --trust it believes only the public keys in the named files, as
` + "`caregate init`" + ` printed them. Without, it believes the key that lies beside the
log: that finds damage, but not somebody who replaced log and key together.

Exit codes: 0 the log is valid, 1 it is not, 2 something could not be checked or
the deadline passed, 3 wrong usage.`,
		Example: `  caregate audit verify
  caregate audit verify --data ./data --trust log.pub
  caregate audit verify --deadline 10m --json`,
		Args: noArgs,
	}
	var trust []string
	flags := cmd.Flags()
	flags.StringArrayVar(&trust, "trust", nil, "File with the log's public keys, one a line, kept outside the machine (repeatable)")
	deadline := flags.Duration("deadline", 0, "Stop after this time; what was not checked by then makes the check incomplete")
	asJSON := flags.Bool("json", false, "Print the report as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := findPlace(cmd)
		if err != nil {
			return err
		}
		o := audit.VerifyOptions{Dir: p.Dir}
		if *deadline < 0 {
			return wrongUsage("--deadline lies in the past")
		}
		if *deadline > 0 {
			o.Deadline = time.Now().Add(*deadline)
		}
		if o.Trust, err = trustedKeys(trust); err != nil {
			return err
		}
		stop := progress(cmd, "checking "+p.Dir)
		r, err := audit.Verify(cmd.Context(), o)
		stop()
		if errors.Is(err, audit.ErrMissing) {
			return &failure{code: exitUsage, err: err, hint: "name the data directory with --data"}
		}
		if err != nil {
			return &failure{code: exitUsage, err: err}
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), reportJSON(r))
		} else {
			printReport(cmd.OutOrStdout(), r)
		}
		if err != nil {
			return err
		}
		return outcomeError(r.Outcome)
	}
	return cmd
}

// outcomeError gives an outcome its exit code; what is wrong was printed.
func outcomeError(o audit.Outcome) error {
	switch o {
	case audit.Valid:
		return nil
	case audit.Invalid:
		return silent(exitFailed)
	}
	return silent(exitIncomplete)
}

// trustedKeys reads verifier keys out of files, one a line.
func trustedKeys(files []string) ([]string, error) {
	var keys []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, &failure{code: exitUsage, err: fmt.Errorf("reading trusted keys: %w", err)}
		}
		n := len(keys)
		for line := range strings.SplitSeq(string(raw), "\n") {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				keys = append(keys, line)
			}
		}
		if len(keys) == n {
			return nil, &failure{code: exitUsage, err: fmt.Errorf("%s holds no key", file), hint: "it wants the public key that `caregate init` printed, one a line"}
		}
	}
	return keys, nil
}

// verification is a report as JSON.
type verification struct {
	Outcome         string    `json:"outcome"`
	Verified        bool      `json:"verified"`
	Origin          string    `json:"origin"`
	Size            int64     `json:"size"`
	Root            string    `json:"root"`
	Entries         int64     `json:"entries"`
	SelfConsistency bool      `json:"self_consistency_only"`
	Problems        []problem `json:"problems"`
	More            int       `json:"more_problems"`
	Unchecked       []string  `json:"unchecked"`
}

type problem struct {
	Kind  string `json:"kind"`
	Place string `json:"place"`
	Text  string `json:"text"`
}

func reportJSON(r audit.Report) verification {
	v := verification{
		Outcome: r.Outcome.String(), Verified: r.Outcome == audit.Valid, Origin: r.Origin, Size: r.Size, Root: hex.EncodeToString(r.Root[:]),
		Entries: r.Entries, SelfConsistency: r.SelfConsistency, Problems: []problem{}, More: r.More, Unchecked: []string{},
	}
	for _, p := range r.Problems {
		v.Problems = append(v.Problems, problem(p))
	}
	v.Unchecked = append(v.Unchecked, r.Unchecked...)
	return v
}

func printReport(w io.Writer, r audit.Report) {
	switch r.Outcome {
	case audit.Valid:
		fmt.Fprintf(w, "valid: %d entries of %s\n", r.Entries, plain(r.Origin))
	case audit.Invalid:
		fmt.Fprintf(w, "INVALID: %d problems in %s\n", len(r.Problems)+r.More, plain(dash(r.Origin)))
	default:
		fmt.Fprintf(w, "incomplete: %d entries of %s were checked and are right, but not everything was\n", r.Entries, plain(dash(r.Origin)))
	}
	if r.Outcome != audit.Invalid {
		fmt.Fprintf(w, "root %s at size %d\n", hex.EncodeToString(r.Root[:]), r.Size)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "  %s at %s: %s\n", plain(p.Kind), plain(p.Place), plain(p.Text))
	}
	if r.More > 0 {
		fmt.Fprintf(w, "  and %d more\n", r.More)
	}
	for _, u := range r.Unchecked {
		fmt.Fprintf(w, "  not checked: %s\n", plain(u))
	}
	if r.SelfConsistency {
		fmt.Fprintln(w, "The key beside the log was believed: this finds damage, not a log that was replaced with its key. --trust FILE names a key from outside.")
	}
}
