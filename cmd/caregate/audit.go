package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/audit/objectlock"
)

func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Verify, prove, question and export the audit log",
		Long: `The audit log holds one event for everything that the gateway let pass, refused or
changed. These commands only read it, and work beside a running gateway, all but repair.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAuditVerify(), newAuditTrust(), newAuditProve(), newAuditTail(), newAuditExport(), newAuditSearch(), newAuditExposures(), newAuditRepair())
	return cmd
}

func newAuditVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [--data DIR | --export DIR | --bucket URL | --proof FILE] [--trust FILE] [--deadline DURATION] [--json]",
		Short: "Check the whole log, an export of it, or one proof",
		Long: `Reads every entry, tile, checkpoint and sealed detail of the log and checks that
they belong together and are signed. It changes nothing and may run beside the
gateway; a log in use is checked up to its newest signed checkpoint.

--export checks a folder that ` + "`caregate audit export --evidence`" + ` wrote, and needs no
gateway and no data directory. --bucket checks an archive (` + "`archive`" + ` in the Caddyfile)
from its bucket alone: of what is locked the oldest version counts, whatever was
laid over it. Credentials come from the environment or where AWS's own tools take
them, and only need to list and read. --proof checks one file that ` + "`caregate audit prove`" + `
wrote.

With --trust it believes only the named files: trust files that
` + "`caregate audit trust`" + ` wrote, or public keys, one a line, as ` + "`caregate init`" + ` printed
them. A trust file also holds a checkpoint, so that a log that was set back to an
older state is found. Without --trust, it believes the key that lies beside the
log: that finds damage, but not somebody who replaced log and key together, and an
export is then never better than incomplete.

Exit codes: 0 the log is valid, 1 it is not, 2 something could not be checked or
the deadline passed, 3 wrong usage.`,
		Example: `  caregate audit verify
  caregate audit verify --data ./data --trust trust.json
  caregate audit verify --export ./evidence --trust trust.json --deadline 30m
  caregate audit verify --bucket s3://acme-audit --trust trust.json
  caregate audit verify --proof 3f0c9a7be21d4a58b6c1d2e3f4a5b6c7.tlog-proof --trust log.pub
  caregate audit verify --deadline 10m --json`,
		Args: noArgs,
	}
	var trust []string
	flags := cmd.Flags()
	flags.StringArrayVar(&trust, "trust", nil, "File of \"audit trust\", or with public keys, one a line, kept outside the machine (repeatable)")
	export := flags.String("export", "", "Check this evidence folder instead of the data directory")
	bucket := flags.String("bucket", "", "Check the archive in this bucket (s3://BUCKET/PREFIX) instead of the data directory")
	endpoint := flags.String("endpoint", "", "Address of an S3 server that is not AWS, with --bucket")
	region := flags.String("region", "", "Region of the bucket, with --bucket")
	proof := flags.String("proof", "", "Check this proof of one event instead of the data directory")
	deadline := flags.Duration("deadline", 0, "Stop after this time; what was not checked by then makes the check incomplete")
	asJSON := flags.Bool("json", false, "Print the report as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var o audit.VerifyOptions
		if *deadline < 0 {
			return wrongUsage("--deadline lies in the past")
		}
		if *deadline > 0 {
			o.Deadline = time.Now().Add(*deadline)
		}
		believed, err := readTrust(trust)
		if err != nil {
			return err
		}
		o.Trust, o.Anchors = believed.Keys, believed.Checkpoints
		places := 0
		for _, name := range [...]string{"data", "export", "bucket", "proof"} {
			if cmd.Flags().Changed(name) {
				places++
			}
		}
		if places > 1 {
			return wrongUsage("--data, --export, --bucket and --proof exclude each other")
		}
		if *bucket == "" && (*endpoint != "" || *region != "") {
			return wrongUsage("--endpoint and --region go with --bucket")
		}
		if *proof != "" {
			return verifyProof(cmd, *proof, believed, *asJSON)
		}
		verify, hint := audit.Verify, "name the data directory with --data"
		switch {
		case *bucket != "":
			b, prefix, err := objectlock.Open(cmd.Context(), objectlock.Config{URL: *bucket, Endpoint: *endpoint, Region: *region})
			if err != nil {
				return &failure{code: exitUsage, err: err}
			}
			o.Dir, hint = *bucket, "name the bucket and prefix that `archive` in the Caddyfile has"
			verify = func(ctx context.Context, o audit.VerifyOptions) (audit.Report, error) {
				return audit.VerifyArchive(ctx, b, prefix, o)
			}
		case *export != "":
			o.Dir, verify, hint = *export, audit.VerifyExport, "name a folder that `caregate audit export --evidence` wrote"
		default:
			p, err := findPlace(cmd)
			if err != nil {
				return err
			}
			o.Dir = p.Dir
		}
		stop := progress(cmd, "checking "+o.Dir)
		r, err := verify(cmd.Context(), o)
		stop()
		if errors.Is(err, audit.ErrMissing) {
			return &failure{code: exitUsage, err: err, hint: hint}
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

// readTrust reads what to believe out of files.
func readTrust(files []string) (audit.Trust, error) {
	var all audit.Trust
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return audit.Trust{}, &failure{code: exitUsage, err: fmt.Errorf("reading trusted keys: %w", err)}
		}
		t, err := audit.ParseTrust(raw)
		if err != nil {
			return audit.Trust{}, &failure{
				code: exitUsage, err: fmt.Errorf("%s: %w", file, err),
				hint: "it wants a file of `caregate audit trust`, or the public key that `caregate init` printed",
			}
		}
		all.Keys = append(all.Keys, t.Keys...)
		all.Checkpoints = append(all.Checkpoints, t.Checkpoints...)
	}
	return all, nil
}

// verification is a report as JSON.
type verification struct {
	Outcome         string    `json:"outcome"`
	Verified        bool      `json:"verified"`
	Origin          string    `json:"origin"`
	Size            int64     `json:"size"`
	Root            string    `json:"root"`
	Shards          []shard   `json:"shards"`
	Entries         int64     `json:"entries"`
	SelfConsistency bool      `json:"self_consistency_only"`
	Problems        []problem `json:"problems"`
	More            int       `json:"more_problems"`
	Unchecked       []string  `json:"unchecked"`
	Notes           []string  `json:"notes"`
	// Anchors are checkpoints from outside that the log holds; Receipts are proofs.
	Anchors  int              `json:"checkpoints_from_outside"`
	Receipts int              `json:"receipts"`
	First    string           `json:"first,omitempty"`
	Last     string           `json:"last,omitempty"`
	Types    map[string]int64 `json:"types"`
	Policies map[string]int64 `json:"policies"`
	// Gaps are what the log says of itself that it does not know.
	Gaps     []verifiedGap `json:"gaps"`
	MoreGaps int           `json:"more_gaps"`
}

// verifiedGap is one gap as JSON.
type verifiedGap struct {
	ID string `json:"id"`
	// Entry is its place in the log, -1 while the log does not have it yet.
	Entry    int64             `json:"entry"`
	Cause    string            `json:"cause"`
	From     string            `json:"from,omitempty"`
	Last     string            `json:"last,omitempty"`
	To       string            `json:"to,omitempty"`
	Routes   []audit.GapRoute  `json:"routes"`
	Released []releasedInGap   `json:"released"`
	Lost     map[string]string `json:"lost,omitempty"`
	// Details are the ranges of sealed details that a repair could not read any more.
	Details []audit.LostDetails `json:"details,omitempty"`
}

type releasedInGap struct {
	Class        string `json:"class"`
	Clear        int    `json:"clear"`
	Masked       int    `json:"masked"`
	Tokenized    int    `json:"tokenized"`
	Dropped      int    `json:"dropped"`
	NotInspected int    `json:"not_inspected"`
}

func gapJSON(g audit.Gap) verifiedGap {
	out := verifiedGap{
		ID: g.ID.String(), Entry: g.Index, Cause: g.Cause, From: gapTime(g.From), Last: gapTime(g.Last), To: gapTime(g.To),
		Routes: append([]audit.GapRoute{}, g.Routes...), Released: []releasedInGap{}, Lost: g.Lost, Details: g.Details,
	}
	for _, n := range g.Released {
		out.Released = append(out.Released, releasedInGap(n))
	}
	return out
}

// gapTime prints a time of a gap, "" when there is none.
func gapTime(ms int64) string {
	if ms == 0 {
		return ""
	}
	return wallTime(ms)
}

// shard is the checkpoint of one half year, the oldest first.
type shard struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"`
}

type problem struct {
	Kind  string `json:"kind"`
	Place string `json:"place"`
	Text  string `json:"text"`
}

func reportJSON(r audit.Report) verification {
	v := verification{
		Outcome: r.Outcome.String(), Verified: r.Outcome == audit.Valid, Origin: r.Origin, Size: r.Size, Root: hex.EncodeToString(r.Root[:]),
		Shards: []shard{}, Entries: r.Entries, SelfConsistency: r.SelfConsistency, Problems: []problem{}, More: r.More, Unchecked: []string{},
		Anchors: r.Anchors, Receipts: r.Receipts, Types: r.Types, Policies: r.Policies,
	}
	if r.Entries > 0 {
		v.First, v.Last = wallTime(r.First), wallTime(r.Last)
	}
	for _, s := range r.Shards {
		v.Shards = append(v.Shards, shard{Origin: s.Origin, Size: s.Size, Root: hex.EncodeToString(s.Root[:])})
	}
	for _, p := range r.Problems {
		v.Problems = append(v.Problems, problem(p))
	}
	v.Gaps, v.MoreGaps = []verifiedGap{}, r.MoreGaps
	for _, g := range r.Gaps {
		v.Gaps = append(v.Gaps, gapJSON(g))
	}
	v.Unchecked, v.Notes = append(v.Unchecked, r.Unchecked...), append([]string{}, r.Notes...)
	return v
}

// counted is a number with its noun, which takes an s.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// wallTime prints the time of a leaf.
func wallTime(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

func printReport(w io.Writer, r audit.Report) {
	switch r.Outcome {
	case audit.Valid:
		with := ""
		if n := len(r.Gaps) + r.MoreGaps; n > 0 {
			with = ", with " + counted(n, "gap")
		}
		fmt.Fprintf(w, "valid%s: %d entries of %s\n", with, r.Entries, plain(r.Origin))
	case audit.Invalid:
		fmt.Fprintf(w, "INVALID: %d problems in %s\n", len(r.Problems)+r.More, plain(dash(r.Origin)))
	default:
		fmt.Fprintf(w, "incomplete: %d entries of %s were checked and are right, but not everything was\n", r.Entries, plain(dash(r.Origin)))
	}
	if r.Outcome != audit.Invalid {
		fmt.Fprintf(w, "root %s at size %d\n", hex.EncodeToString(r.Root[:]), r.Size)
		for i := len(r.Shards) - 2; i >= 0; i-- {
			s := r.Shards[i]
			fmt.Fprintf(w, "  after %s, root %s at size %d\n", plain(s.Origin), hex.EncodeToString(s.Root[:]), s.Size)
		}
	}
	if r.Outcome != audit.Invalid && r.Entries > 0 {
		fmt.Fprintf(w, "from %s to %s by the clock of the gateway, which is a claim; their order is not\n", wallTime(r.First), wallTime(r.Last))
		for _, kind := range sortedKeys(r.Types) {
			fmt.Fprintf(w, "%8d %s\n", r.Types[kind], plain(kind))
		}
		if r.Receipts > 0 {
			fmt.Fprintf(w, "%d receipts have their proof\n", r.Receipts)
		}
		if r.Anchors > 0 {
			fmt.Fprintf(w, "it goes on from %d checkpoints that were kept outside\n", r.Anchors)
		}
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "  %s at %s: %s\n", plain(p.Kind), plain(p.Place), plain(p.Text))
	}
	if r.More > 0 {
		fmt.Fprintf(w, "  and %d more\n", r.More)
	}
	for _, g := range r.Gaps {
		printGap(w, g)
	}
	if r.MoreGaps > 0 {
		fmt.Fprintf(w, "  and %d more gaps\n", r.MoreGaps)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", plain(n))
	}
	for _, u := range r.Unchecked {
		fmt.Fprintf(w, "  not checked: %s\n", plain(u))
	}
	if r.SelfConsistency {
		fmt.Fprintln(w, "The key beside the log was believed: this finds damage, not a log that was replaced with its key. --trust FILE names a key from outside.")
	} else if r.Outcome == audit.Valid && r.Anchors == 0 {
		fmt.Fprintln(w, "No checkpoint from outside was given: an older state of the same log would pass. `caregate audit trust` writes a file that has one.")
	}
}
