package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/vault"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Look at the vault's keys, rotate and seal them",
		Long: `The vault has a master key in the key files, a keyset that it wraps, and under that
the keys of people and days. These commands say what there is and what is under it,
give keysets new keys, and seal the files. See docs/keys.md.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeysStatus(), newKeysRotate(), newKeysExportPublic())
	return cmd
}

func newKeysStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--json] [--data DIR]",
		Short: "Show key files, keys, and what is under them",
		Long: `Shows the key files with their seal, the keys in use and older ones, and how many
keys of people and days are wrapped under each. It opens no seal, shows nothing
secret, and needs no gateway.

It exits with 1 when a key file cannot be used.`,
		Example: `  caregate keys status
  caregate keys status --json`,
		Args: noArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "Print the status as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := findPlace(cmd)
		if err != nil {
			return err
		}
		s, err := proxy.KeyStatus(cmd.Context(), p.DataConfig)
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), s)
		} else {
			err = printKeys(cmd.OutOrStdout(), s)
		}
		for _, f := range s.Files {
			if err == nil && f.Problem != "" {
				err = errSilent
			}
		}
		return err
	}
	return cmd
}

func printKeys(w io.Writer, s vault.KeyStatus) error {
	files := newTable(w, "KEY FILE", "SEAL", "KEYS", "WRITTEN", "PROBLEM")
	for _, f := range s.Files {
		written := ""
		if !f.Changed.IsZero() {
			written = f.Changed.Format(time.RFC3339)
		}
		files.row(filepath.Join(s.Dir, f.Name), dash(f.Seal), len(f.Keys), dash(written), dash(f.Problem))
	}
	if err := files.print(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	keys := newTable(w, "DATA KEY", "USE", "PEOPLE", "DAYS")
	for _, k := range s.Keys {
		use := "older"
		if k.Primary {
			use = "primary"
		}
		keys.row(k.ID, use, k.People, k.Days)
	}
	if err := keys.print(); err != nil {
		return err
	}
	if s.Rotating() {
		_, err := fmt.Fprintln(w, "\nA rotation has not ended: what is under older keys is wrapped again by the running gateway, and they are destroyed then.")
		return err
	}
	return nil
}

// rotated is what the gateway answers to a rotation.
type rotated struct {
	Rotated []string `json:"rotated"`
}

func newKeysRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate [--master] | --seal [--old-passphrase-file FILE | --old-key-file FILE]",
		Short: "Give the vault new keys, or its key files another seal",
		Long: `Gives the keyset under which the keys of people and days are wrapped a new key. It is
in use at once, in every gateway on the same database. What is under older keys is
wrapped again when it is used and in the background; older keys are destroyed when
nothing is under them. With --master the key in master.json is rotated too. An
interruption anywhere loses nothing and is ended by the next start.

The gateway must be running, and the rotation is in the audit log. No reload is
needed. After --master, back up the key files again, and copy master.json at once to
every other gateway on the same database.

With --seal nothing is rotated: the key files are sealed as ` + "`keys`" + ` in the Caddyfile says
now. Name the seal they have with --old-passphrase-file or --old-key-file; without
either they are in clear. This needs no gateway. A running one goes on, and takes the
new seal over with ` + "`caregate reload --force`" + `. Backups of the key files have their old seal.`,
		Example: `  caregate keys rotate
  caregate keys rotate --master --json
  caregate keys rotate --seal                                  # from files in clear
  caregate keys rotate --seal --old-passphrase-file ./old.txt  # from another passphrase`,
		Args: noArgs,
	}
	flags := cmd.Flags()
	master := flags.Bool("master", false, "Rotate the master key too")
	seal := flags.Bool("seal", false, "Seal the key files as the configuration says, and rotate nothing")
	oldPassphrase := flags.String("old-passphrase-file", "", "With --seal: file with the passphrase that the key files have now")
	oldKeyFile := flags.String("old-key-file", "", "With --seal: key file that they are sealed with now")
	asJSON := flags.Bool("json", false, "Print what was done as JSON")
	placeFlags(cmd)
	changeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !*seal && (*oldPassphrase != "" || *oldKeyFile != "") {
			return wrongUsage("--old-passphrase-file and --old-key-file belong to --seal")
		}
		if *seal && *master {
			return wrongUsage("want --master or --seal, not both")
		}
		p, err := findPlace(cmd)
		if err != nil {
			return err
		}
		if *seal {
			return sealKeys(cmd, p, *oldPassphrase, *oldKeyFile, *asJSON)
		}
		g, err := changingGateway(cmd)
		if err != nil {
			return err
		}
		var r rotated
		receipt, err := g.call(cmd.Context(), "POST", "/keys/rotate", map[string]any{"master": *master}, &r)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]any{"rotated": r.Rotated, "receipt": receipt})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "New keys are in use (%s); receipt %s.\n", plain(strings.Join(r.Rotated, ", ")), receipt)
		if *master {
			fmt.Fprintln(cmd.OutOrStdout(), "Back up the key files again; other gateways on the same database need the new master.json at once, and refuse what needs a new key until then.")
		}
		return nil
	}
	return cmd
}

// sealKeys is `keys rotate --seal`.
func sealKeys(cmd *cobra.Command, p *place, oldPassphrase, oldKeyFile string, asJSON bool) error {
	var from vault.KeySeal
	var err error
	switch {
	case oldPassphrase != "" && oldKeyFile != "":
		return wrongUsage("want --old-passphrase-file or --old-key-file, not both")
	case oldPassphrase != "":
		var words []byte
		if words, err = os.ReadFile(oldPassphrase); err == nil {
			from, err = vault.NewPassphrase(string(words))
		}
	case oldKeyFile != "":
		from, err = vault.NewKeyFileSeal(oldKeyFile)
	}
	if err != nil {
		return err
	}
	written, err := proxy.SealKeys(cmd.Context(), p.DataConfig, from)
	if err != nil {
		return err
	}
	kind := p.Seal.Kind()
	if asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{"seal": kind, "written": written})
	}
	if written == 0 {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "The key files have the seal %s already.\n", kind)
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d key files have the seal %s now. A gateway that runs takes it over with: caregate reload --force\n", written, kind)
	return err
}

func newKeysExportPublic() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export-public [--json] [--data DIR]",
		Short: "Print the public keys of the audit log",
		Long: `Prints the keys under which the audit log's checkpoints verify, one line for each half
year, newest last, as verifier keys (golang.org/x/mod/sumdb/note). They are all that is
public; the vault's keys are secret throughout. ` + "`caregate audit trust`" + ` writes them into a
file for a verifier, together with the newest checkpoint.`,
		Example: `  caregate keys export-public > log.pub
  caregate keys export-public --json`,
		Args: noArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "Print the keys as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := findPlace(cmd)
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(p.Dir, "audit", "log.pub"))
		if err != nil {
			return fmt.Errorf("reading the log's public keys: %w", err)
		}
		keys := strings.Fields(string(raw))
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string][]string{"log": keys})
		}
		for _, k := range keys {
			fmt.Fprintln(cmd.OutOrStdout(), plain(k))
		}
		return nil
	}
	return cmd
}
