package main

import (
	"encoding/hex"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
)

func newAuditTrust() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust [--data DIR] [--out FILE]",
		Short: "Write what a verifier should believe",
		Long: `Writes a trust file: the log's public keys and its newest signed checkpoint. Give
it to whoever verifies, and keep a copy where the gateway's administrator cannot
change it. Take a new one from time to time: a log that was set back behind the
newest checkpoint that somebody else holds is found.

It holds nothing secret.`,
		Example: `  caregate audit trust --out trust.json
  caregate audit trust --data ./data > trust.json`,
		Args: noArgs,
	}
	out := cmd.Flags().String("out", "", "File to write (default: standard output)")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := findPlace(cmd)
		if err != nil {
			return err
		}
		t, err := audit.TrustOf(cmd.Context(), p.Dir)
		if err != nil {
			return missingLog(err)
		}
		text, err := t.MarshalText()
		if err != nil {
			return err
		}
		if *out == "" {
			_, err = cmd.OutOrStdout().Write(text)
			return err
		}
		return os.WriteFile(*out, text, 0o644) //nolint:gosec // made to be given away
	}
	return cmd
}

// verifyProof is `audit verify --proof`.
func verifyProof(cmd *cobra.Command, file string, believed audit.Trust, asJSON bool) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return &failure{code: exitUsage, err: fmt.Errorf("reading proof: %w", err)}
	}
	if len(believed.Keys) == 0 {
		return &failure{
			code: exitUsage, err: fmt.Errorf("a proof is worth nothing without a key from outside"),
			hint: "name one with --trust: a file of `caregate audit trust`, or the public key that `caregate init` printed",
		}
	}
	var proven audit.Proven
	p, err := audit.ParseProof(raw)
	if err == nil {
		proven, err = p.Verify(believed.Keys)
	}
	w := cmd.OutOrStdout()
	if asJSON {
		v := proofVerification{Verified: err == nil}
		if err != nil {
			v.Problem = err.Error()
		} else {
			v.Event, v.Type, v.Time = proven.Leaf.ID.String(), proven.Leaf.Type, wallTime(proven.Leaf.Wall)
			v.Origin, v.Index, v.Size, v.Root = proven.Origin, p.Index, proven.Size, hex.EncodeToString(proven.Root[:])
		}
		if printed := printJSON(w, v); printed != nil {
			return printed
		}
	} else if err != nil {
		fmt.Fprintf(w, "INVALID: %s\n", plain(err.Error()))
	} else {
		fmt.Fprintf(w, "valid: event %s (%s, %s) is entry %d of the %d entries of %s\n", proven.Leaf.ID, plain(proven.Leaf.Type),
			wallTime(proven.Leaf.Wall), p.Index, proven.Size, plain(proven.Origin))
	}
	if err != nil {
		return errSilent
	}
	return nil
}

// proofVerification is the result of `audit verify --proof` as JSON.
type proofVerification struct {
	Verified bool   `json:"verified"`
	Problem  string `json:"problem,omitempty"`
	Event    string `json:"event,omitempty"`
	Type     string `json:"type,omitempty"`
	Time     string `json:"time,omitempty"`
	Origin   string `json:"origin,omitempty"`
	Index    int64  `json:"index"`
	Size     int64  `json:"size"`
	Root     string `json:"root,omitempty"`
}
