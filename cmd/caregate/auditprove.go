package main

import (
	_ "embed" // the page that explains a proof
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
)

//go:embed proof.txt
var proofPage string

func newAuditProve() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prove [--data DIR] [--out DIR] [--json] RECEIPT",
		Short: "Write the proof of one event",
		Long: `Writes three files that prove one event to somebody who has the log's public key
and nothing else:

  RECEIPT.tlog-proof   the proof (c2sp.org/tlog-proof), with the event inside
  RECEIPT.leaf         the event, byte by byte as it stands in the log
  RECEIPT.txt          one page: what this proves, what it does not, and how to
                       check it with this program or with foreign tools

The event must be under a signed checkpoint; a running gateway signs one a second.
It exits with 1 when the log holds no such event.`,
		Example: `  caregate audit prove 3f0c9a7be21d4a58b6c1d2e3f4a5b6c7
  caregate audit prove --out ./for-the-auditor 3f0c9a7be21d4a58b6c1d2e3f4a5b6c7`,
		Args: oneArg("receipt"),
	}
	out := cmd.Flags().String("out", ".", "Folder to write into")
	asJSON := cmd.Flags().Bool("json", false, "Print what was written as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, p, err := receiptHere(cmd, args[0])
		if err != nil {
			return err
		}
		trust, err := audit.TrustOf(cmd.Context(), p.Dir)
		if err != nil {
			return missingLog(err)
		}
		proof, err := audit.Prove(cmd.Context(), p.Dir, id)
		switch {
		case errors.Is(err, audit.ErrNotFound):
			return noEvent(p, id)
		case errors.Is(err, audit.ErrNotCovered):
			return fail("a running gateway signs a checkpoint every second: try again, or start it", "%w", err)
		case err != nil:
			return missingLog(err)
		}
		proven, err := proof.Verify(trust.Keys)
		if err != nil {
			return err
		}
		// The others are of other half years.
		keys := slices.DeleteFunc(trust.Keys, func(k string) bool { return !strings.HasPrefix(k, proven.Origin+"+") })
		files, err := writeProof(*out, id.String(), proof, proven, keys)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				Event  string   `json:"event"`
				Origin string   `json:"origin"`
				Index  int64    `json:"index"`
				Size   int64    `json:"size"`
				Files  []string `json:"files"`
			}{id.String(), proven.Origin, proof.Index, proven.Size, files})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "event %s is entry %d of the %d entries of %s; wrote\n", id, proof.Index, proven.Size, plain(proven.Origin))
		for _, f := range files {
			fmt.Fprintf(cmd.OutOrStdout(), "  %s\n", plain(f))
		}
		return nil
	}
	return cmd
}

// writeProof writes the three files and returns their names.
func writeProof(dir, id string, p audit.Proof, proven audit.Proven, keys []string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // made to be given away
		return nil, err
	}
	l := proven.Leaf
	page := strings.NewReplacer(
		"{{receipt}}", id, "{{origin}}", proven.Origin, "{{index}}", fmt.Sprint(p.Index), "{{size}}", fmt.Sprint(proven.Size),
		"{{root}}", hex.EncodeToString(proven.Root[:]), "{{keys}}", strings.Join(keys, "\n    "),
		"{{type}}", plain(l.Type), "{{time}}", wallTime(l.Wall), "{{call}}", plain(dash(strings.TrimSpace(l.Channel+" "+l.Operation))),
		"{{decision}}", plain(dash(strings.TrimSpace(l.Decision+" "+l.Reason))), "{{outcome}}", plain(dash(l.Outcome)),
	).Replace(proofPage)
	var names []string
	for _, f := range [...]struct {
		suffix string
		data   []byte
	}{{".tlog-proof", []byte(p.String())}, {".leaf", p.Entry}, {".txt", []byte(page)}} {
		name := filepath.Join(dir, id+f.suffix)
		if err := os.WriteFile(name, f.data, 0o644); err != nil { //nolint:gosec // made to be given away
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// missingLog makes "there is no log" wrong usage.
func missingLog(err error) error {
	if errors.Is(err, audit.ErrMissing) || errors.Is(err, fs.ErrNotExist) {
		return &failure{code: exitUsage, err: err, hint: "name the data directory with --data"}
	}
	return err
}
