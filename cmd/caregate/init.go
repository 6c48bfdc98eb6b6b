package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/vault"
)

func newInit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [--name NAME] [--data DIR] [--json]",
		Short: "Create keys, vault and audit log",
		Long: `Creates a data directory: keys, the vault, the audit log with its first shard, and
the database of API keys. Name and directories are those of ./Caddyfile unless
flags say otherwise. Nothing that exists is touched.

Where the configuration names one of several gateways on a database (store postgres
with gateway), it makes this one's log. Vault and tables are made by the first; the
others must have its master.json, index.json and check.json in their key directory.

It prints the public key of the log. Keep that outside this machine: a copy of it
is what an auditor checks the log against.`,
		Example: `  caregate init
  caregate init --name acme-care --data ./data`,
		Args: noArgs,
	}
	name := cmd.Flags().String("name", "", "Name of the deployment, part of the log's origin for good (default: the configuration's, else "+proxy.DefaultName+")")
	asJSON := cmd.Flags().Bool("json", false, "Print what was made as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := findPlace(cmd)
		if err != nil {
			return err
		}
		if *name != "" {
			if p.Name != "" && p.Name != *name {
				return fail("use that name, or change it in the configuration", "--name %s, but %s names the deployment %s", *name, p.config, p.Name)
			}
			p.Name = *name
		}
		made, err := proxy.CreateData(cmd.Context(), p.DataConfig)
		if errors.Is(err, fs.ErrExist) {
			return fail("nothing was changed; `caregate doctor` looks at it, `caregate run` starts on it", "%w", err)
		}
		if p.Gateway != "" && (errors.Is(err, vault.ErrKeyFile) || errors.Is(err, vault.ErrKeyMismatch)) {
			return fail("a gateway that joins others has to bring the key files of one that is there: copy its master.json, index.json and check.json, mode 0600, and no other file", "%w", err)
		}
		if err != nil {
			return err
		}
		keys := p.Keys
		if keys == "" {
			keys = filepath.Join(p.Dir, "keys")
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]string{"data": p.Dir, "keys": keys, "origin": made.Origin, "public_key": made.PublicKey})
		}
		fmt.Fprintf(cmd.OutOrStdout(), `Created %s

  log         %s
  public key  %s
  keys        %s

Keep the public key outside this machine; an auditor checks the log against it:
  caregate audit verify --data %s --trust FILE
Back the keys up apart from the data: without them nothing that is sealed opens.
`, p.Dir, made.Origin, made.PublicKey, keys, p.Dir)
		switch p.config {
		case "":
			fmt.Fprintf(cmd.OutOrStdout(), "\nNext: write a Caddyfile with `name %s` and `store sqlite %s`, then: caregate run\n", nameOf(p.Name), p.Dir)
		case defaultCaddyfile:
			fmt.Fprint(cmd.OutOrStdout(), "\nNext: caregate run\n")
		default:
			fmt.Fprintf(cmd.OutOrStdout(), "\nNext: caregate run --config %s\n", p.config)
		}
		return nil
	}
	return cmd
}

// nameOf is the deployment's name with its default.
func nameOf(name string) string {
	if name == "" {
		return proxy.DefaultName
	}
	return name
}
