package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caregate/caregate/proxy"
)

const binaryName = "caregate"

const longDescription = `Caregate is a compliance gateway for customer care. It stands between your tools
and the helpdesk's API, masks card numbers and social security numbers on their
way in and out, asks policy who may do what, and writes every call into an audit
log that an outsider can verify.

It governs the calls that are sent through it. A vendor's own screens, apps and
connectors do not pass through it.`

// Groups of commands in the help.
const (
	groupGateway = "gateway"
	groupLook    = "look"
	groupText    = "text"
)

// newRoot builds the command tree.
//
// Caddy's own root command cannot be used: it brings commands that replace the
// binary or serve without our modules, and offers no way to take one out. Its
// commands are all in caddycmd.Commands, so the tree is built here from those
// that are chosen, and a test pins the list.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   binaryName,
		Short: "The compliance gateway for customer care",
		Long:  longDescription,
		Example: `  caregate demo                    # see it work, nothing needed
  caregate init --name acme-care   # create keys and audit log in ./data
  caregate run                     # start the gateway of ./Caddyfile
  caregate explain RECEIPT         # why a call was answered as it was`,
		Version:       versionLine(),
		SilenceErrors: true, // report prints them, with a hint
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return wrongUsage("unknown command %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongUsage("%w", err) })
	root.AddGroup(
		&cobra.Group{ID: groupGateway, Title: "The gateway:"},
		&cobra.Group{ID: groupLook, Title: "Looking into it:"},
		&cobra.Group{ID: groupText, Title: "Texts and files:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupGateway, newDemo(), newInit(), caddyRun(), caddyReload(), caddyValidate(), caddyAdapt(), caddyFmt(), newAPIKey(), newKeys(), newSubject(), newHold(), newApproval(), newAccess(), newIncident(), newRequest(), newDuty(), newRopa(), newRetention(), newToken())
	add(groupLook, newExplain(), newAudit(), newChannel(), newPolicy(), newDoctor(), newVersion())
	add(groupText, newScan(), newRedact(), newLearn())
	plainUsage(root)
	return root
}

// plainUsage keeps cobra from adding "[flags]" to usage lines that name the flags.
func plainUsage(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	for _, c := range cmd.Commands() {
		plainUsage(c)
	}
}

// caddyCommand takes one of Caddy's commands, with our words about it.
func caddyCommand(name, usage, short, long, example string) *cobra.Command {
	theirs, ok := caddycmd.Commands()[name]
	if !ok {
		panic("this Caddy has no command " + name)
	}
	cmd := &cobra.Command{Use: name + usage, Short: short, Long: long, Example: example}
	theirs.CobraFunc(cmd)
	if f := cmd.Flags().Lookup("config"); f != nil {
		f.Usage = "Configuration file (default: ./" + defaultCaddyfile + ")"
	}
	return cmd
}

// wrap runs before ahead of a command's own work.
func wrap(cmd *cobra.Command, before func(cmd *cobra.Command, args []string) error) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := before(cmd, args); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}

func caddyReload() *cobra.Command {
	cmd := caddyCommand("reload", " [--config FILE]", "Give the running gateway a changed Caddyfile",
		`Reads the Caddyfile and puts it into the running gateway, over the socket in its
data directory. Calls that run end under the configuration they began with; when
the new one is refused, the old one goes on.`,
		`  caregate reload
  caregate reload --config /etc/caregate/Caddyfile`)
	cmd.Args = noArgs
	return wrap(cmd, func(cmd *cobra.Command, _ []string) error {
		_, err := checkConfig(cmd)
		return err
	})
}

func caddyValidate() *cobra.Command {
	cmd := caddyCommand("validate", " [--config FILE]", "Check a Caddyfile without starting it",
		`Reads the Caddyfile and prepares what it asks for, short of opening the data
directory and listening. It may run beside a gateway and where there is none.`,
		`  caregate validate
  caregate validate --config ./Caddyfile`)
	cmd.Args = noArgs
	return wrap(cmd, func(cmd *cobra.Command, _ []string) error {
		_, err := checkConfig(cmd)
		return err
	})
}

func caddyAdapt() *cobra.Command {
	cmd := caddyCommand("adapt", " [--config FILE] [--pretty]", "Print the JSON that a Caddyfile becomes",
		`Prints the configuration in Caddy's JSON form, which is what the gateway runs.`,
		`  caregate adapt --pretty`)
	cmd.Args = noArgs
	return wrap(cmd, func(cmd *cobra.Command, _ []string) error {
		_, err := checkConfig(cmd)
		return err
	})
}

func caddyFmt() *cobra.Command {
	cmd := caddyCommand("fmt", " [--overwrite] [FILE]", "Format a Caddyfile",
		`Prints the Caddyfile formatted, or with --overwrite formats the file itself.
It exits with 1 when the file was not formatted.`,
		`  caregate fmt --overwrite
  caregate fmt --diff ./Caddyfile`)
	cmd.Args = atMostOneArg("file")
	return cmd
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Prints the version of this program, and what it was built with.",
		Example: "  caregate version",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
}

// versionLine begins with our version, so that scripts can take the first word.
func versionLine() string {
	v := versions()
	return fmt.Sprintf("%s (Caddy %s, OPA %s, Go %s, %s)", v["caregate"], v["caddy"], v["opa"], v["go"], v["platform"])
}

// hideFlags takes flags out of the help that only Caddy's own tools use, or that
// print what does not belong on a terminal.
func hideFlags(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.Flags().MarkHidden(name); err != nil {
			panic(err)
		}
	}
}

// checkConfig reads the configuration that a command of Caddy's is about to
// read, so that a mistake is told in one line on the terminal instead of in a
// log record, and so that a missing file is not an empty configuration. A
// Caddyfile of any name is recognised and passed on as one. It returns the
// configuration as JSON, nil for standard input.
func checkConfig(cmd *cobra.Command) ([]byte, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	if file == "-" {
		return nil, nil // standard input can be read once
	}
	if file == "" {
		file = defaultCaddyfile
	}
	adapter, err := cmd.Flags().GetString("adapter")
	if err != nil {
		return nil, err
	}
	config, adapter, err := loadConfig(file, adapter)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fail("write one (docs/caddyfile.md begins with one to copy), or name another with --config", "there is no configuration: %s does not exist", file)
	}
	if err != nil {
		return nil, err
	}
	return config, errors.Join(cmd.Flags().Set("config", file), cmd.Flags().Set("adapter", adapter))
}

// defaultCaddyfile is the file that is read when none is named.
const defaultCaddyfile = "Caddyfile"

// loadConfig reads a configuration file and returns its JSON with the name of
// the adapter that it needs, "" for what is JSON already.
func loadConfig(file, adapter string) ([]byte, string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, "", fmt.Errorf("reading the configuration: %w", err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, "", fail("docs/caddyfile.md begins with one to copy", "the configuration %s is empty", file)
	}
	if adapter == "" {
		if json.Valid(raw) {
			return raw, "", nil
		}
		adapter = "caddyfile"
	}
	if adapter == "caddyfile" {
		adapter = proxy.AdapterName
	}
	config, err := adapt(raw, file, adapter)
	if err != nil {
		hint := "docs/caddyfile.md has every option; nothing was started or changed"
		if strings.Contains(err.Error(), "unexpected EOF") {
			hint = "a block is not closed: look for a missing } above that line"
		}
		return nil, "", fail(hint, "%w", err)
	}
	return config, adapter, nil
}

// adapt turns a configuration into JSON.
func adapt(raw []byte, name, adapter string) ([]byte, error) {
	a := caddyconfig.GetAdapter(adapter)
	if a == nil {
		return nil, fmt.Errorf("this binary has no configuration adapter %q", adapter)
	}
	config, _, err := a.Adapt(raw, map[string]any{"filename": name})
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return config, nil
}
