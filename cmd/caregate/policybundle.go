package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
)

// bundleFacts is what is said of a bundle.
type bundleFacts struct {
	Bundle   string   `json:"bundle"`
	Revision int64    `json:"revision"`
	Key      string   `json:"key"`
	Scope    string   `json:"scope,omitempty"`
	Digest   string   `json:"digest"` // of the content
	Policy   string   `json:"policy"` // as events name it
	Files    []string `json:"files"`
}

// factsOf compiles a bundle with the built-in policy.
func factsOf(ctx context.Context, name, scope string, b *policy.SignedBundle) (*bundleFacts, error) {
	e, err := policy.NewEngine(ctx, policy.Config{Bundle: b})
	if err != nil {
		return nil, err
	}
	return &bundleFacts{Bundle: name, Revision: b.Revision, Key: b.Key, Scope: scope, Digest: b.Digest, Policy: e.Digest(), Files: b.Files}, nil
}

func (f *bundleFacts) print(cmd *cobra.Command, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), f)
	}
	t := newTable(cmd.OutOrStdout(), "BUNDLE", "REVISION", "KEY", "SCOPE", "CONTENT", "POLICY")
	t.row(f.Bundle, f.Revision, f.Key, dash(f.Scope), f.Digest[:16], f.Policy[:16])
	if err := t.print(); err != nil {
		return err
	}
	for _, name := range f.Files {
		fmt.Fprintln(cmd.OutOrStdout(), "  "+plain(name))
	}
	return nil
}

func newPolicySign() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sign DIR --key FILE [--revision N] [--key-id NAME] [--scope NAME] [-o FILE] [--json]",
		Short: "Make a signed bundle of your rules and document",
		Long: `Packs the rules (*.rego) and the document (data.yaml or data.json) of a directory into a
bundle of Open Policy Agent and signs it, for gateways that take their policy from
` + "`policy bundle`" + ` in the Caddyfile. Tests (*_test.rego) and everything else stay out. What a
gateway would not take is refused here, with file and line.

Each bundle of a deployment needs a higher revision than the one before, a whole number
from 1: --revision, or "revision" in .manifest of the directory. A gateway never goes
back to a lower one.

The key is a private key in PEM: Ed25519, ECDSA (P-256, P-384, P-521) or RSA from 2048
bits. It belongs where bundles are made, not on a gateway.`,
		Example: `  openssl genpkey -algorithm ed25519 -out policy.key
  openssl pkey -in policy.key -pubout -out policy.pub
  caregate policy sign ./policy --key policy.key --revision 42 -o bundle.tar.gz`,
		Args: oneArg("directory with rules and document"),
	}
	flags := cmd.Flags()
	key := flags.String("key", "", "File of the private key that signs (required)")
	keyID := flags.String("key-id", "", "Name of the key in the signature (default: a fingerprint of it)")
	scope := flags.String("scope", "", "Deployments that the bundle is for, as `scope` in their Caddyfiles (default: none)")
	revision := flags.Int64("revision", 0, "Revision of the bundle, above the last (default: the one in DIR/.manifest)")
	out := flags.StringP("output", "o", "bundle.tar.gz", "File to write")
	asJSON := flags.Bool("json", false, "Print what was signed as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *key == "" {
			return wrongUsage("want --key, the file of the private key")
		}
		if *revision < 0 {
			return wrongUsage("a revision is a whole number from 1")
		}
		pem, err := os.ReadFile(*key)
		if err != nil {
			return fmt.Errorf("reading the key: %w", err)
		}
		archive, b, err := policy.SignBundle(cmd.Context(), args[0], policy.BundleSigning{Key: pem, KeyID: *keyID, Scope: *scope, Revision: *revision})
		if err != nil {
			return err
		}
		f, err := factsOf(cmd.Context(), *out, *scope, b)
		if err != nil {
			return err
		}
		if err := store.WriteFile(*out, archive, 0o644); err != nil {
			return err
		}
		return f.print(cmd, *asJSON)
	}
	return cmd
}

func newPolicyVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify BUNDLE --key FILE [--key-id NAME] [--scope NAME] [--json]",
		Short: "Check a signed bundle as a gateway would",
		Long: `Verifies the signature of a bundle and every file in it, compiles it with the built-in
policy, and says which revision it is and under which digest events would name it. BUNDLE
is a file, or a directory with an unpacked bundle. No gateway need run.

It exits with 1 for a bundle that a gateway with this key and scope would not take. Only
the gateway knows the highest revision that it has taken.`,
		Example: `  caregate policy verify bundle.tar.gz --key policy.pub
  caregate policy verify bundle.tar.gz --key policy.pub --scope production --json`,
		Args: oneArg("bundle"),
	}
	flags := cmd.Flags()
	key := flags.String("key", "", "File of the public key (required)")
	keyID := flags.String("key-id", "", "Name of the key in the signature (default: a fingerprint of it)")
	scope := flags.String("scope", "", "Scope that the bundle must be for (default: none)")
	asJSON := flags.Bool("json", false, "Print what was found as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *key == "" {
			return wrongUsage("want --key, the file of the public key")
		}
		pem, err := os.ReadFile(*key)
		if err != nil {
			return fmt.Errorf("reading the key: %w", err)
		}
		trusted, err := policy.ParseBundleKey(*keyID, pem)
		if err != nil {
			return fmt.Errorf("reading the key: %w", err)
		}
		archive, err := policy.ReadBundle(args[0])
		if err != nil {
			return err
		}
		b, err := policy.OpenBundle(archive, policy.BundleTrust{Keys: []*policy.BundleKey{trusted}, Scope: *scope})
		if err != nil {
			if errors.Is(err, policy.ErrUntrusted) {
				return fail("nothing of it counts; ask who signs for a new one", "%s: %w", args[0], err)
			}
			return fmt.Errorf("%s: %w", args[0], err)
		}
		f, err := factsOf(cmd.Context(), args[0], *scope, b)
		if err != nil {
			return err
		}
		return f.print(cmd, *asJSON)
	}
	return cmd
}
