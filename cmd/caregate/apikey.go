package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newAPIKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apikey",
		Short: "Make, list, rotate and revoke API keys",
		Long: `API keys tell programs apart: what a key may do stands on the key, as roles and
grants of the policy. A program sends its key in the header Caregate-Key, beside
the vendor's own credential.

The gateway must be running: keys are changed through the socket in its data
directory, and every change is in the audit log.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAPIKeyCreate(), newAPIKeyList(), newAPIKeyRotate(), newAPIKeyRevoke())
	return cmd
}

// needsSubcommand refuses words that are no subcommand.
func needsSubcommand(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return wrongUsage("unknown command %q", args[0])
	}
	return nil
}

// made is the answer that shows a key, once.
type made struct {
	Key    console.Key `json:"key"`
	Secret string      `json:"secret"`
}

func newAPIKeyCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --role ROLE [--grant GRANT] [--name NAME] [--expires DURATION]",
		Short: "Make an API key and print it, once",
		Long: `Makes an API key and prints it. It is printed this one time and stored nowhere;
what is kept is a keyed digest. The key alone goes to standard output, everything
else to standard error, so that it can be piped into a secret store.

A grant that covers no operation of a channel here is refused, and so is a name
that holds a card or social security number.`,
		Example: `  caregate apikey create --name "nightly sync" --role service --grant zendesk:ticket.incremental
  caregate apikey create --role agent --expires 720h --json`,
		Args: noArgs,
	}
	var roles, grants []string
	flags := cmd.Flags()
	name := flags.String("name", "", "What the key is for, shown in lists (no personal data)")
	flags.StringSliceVar(&roles, "role", nil, "Role of the policy: agent, lead, service ... (repeatable, at least one)")
	flags.StringSliceVar(&grants, "grant", nil, "What the key may do beyond its roles: CHANNEL:OPERATION, as zendesk:ticket.create or zendesk:ticket.* (repeatable)")
	expires := flags.Duration("expires", 0, "How long the key counts, for example 720h (default: until it is revoked)")
	flags.Bool("json", false, "Print the key and its description as JSON")
	placeFlags(cmd)
	changeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(roles) == 0 {
			return wrongUsage("want at least one --role")
		}
		if *expires < 0 {
			return wrongUsage("--expires lies in the past")
		}
		wish := map[string]any{"name": *name, "roles": roles}
		if *name == "" {
			wish["name"] = strings.Join(roles, ", ") + ", made " + time.Now().UTC().Format(time.DateOnly)
		}
		if len(grants) > 0 {
			wish["grants"] = grants
		}
		if *expires > 0 {
			wish["expires"] = time.Now().Add(*expires).UTC().Truncate(time.Second)
		}
		return makeKey(cmd, "/apikeys", wish)
	}
	return cmd
}

func newAPIKeyRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate ID [--overlap DURATION]",
		Short: "Make a successor of an API key",
		Long: `Makes a new key with the name, roles, grants and expiry of the old one and prints
it, once. The old key stays valid for the overlap, so that the program can be
given the new one in peace.`,
		Example: `  caregate apikey rotate 7f3a... --overlap 1h`,
		Args:    oneArg("key id (see `caregate apikey list`)"),
	}
	overlap := cmd.Flags().Duration("overlap", 24*time.Hour, "How long the old key stays valid")
	cmd.Flags().Bool("json", false, "Print the key and its description as JSON")
	placeFlags(cmd)
	changeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *overlap < 0 {
			return wrongUsage("--overlap lies in the past")
		}
		id, err := keyID(args[0])
		if err != nil {
			return err
		}
		return makeKey(cmd, "/apikeys/"+id+"/rotate", map[string]any{"overlap_seconds": int(overlap.Seconds())})
	}
	return cmd
}

// makeKey makes the call that shows a key, and shows it.
func makeKey(cmd *cobra.Command, path string, wish any) error {
	return change(cmd, "POST", path, wish, func(m made, receipt string) error {
		fmt.Fprintf(cmd.ErrOrStderr(), "Key %s (%s), roles %s, made with receipt %s.\nThis is the key. It is not shown again; send it in the header Caregate-Key:\n",
			plain(m.Key.ID), plain(m.Key.Name), plain(strings.Join(m.Key.Roles, ", ")), receipt)
		_, err := fmt.Fprintln(cmd.OutOrStdout(), m.Secret)
		return err
	})
}

func newAPIKeyList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [--json]",
		Short:   "List the API keys",
		Long:    `Lists all keys, revoked ones too, oldest first. Keys themselves are not shown: the gateway does not have them.`,
		Example: `  caregate apikey list --json`,
		Args:    noArgs,
	}
	cmd.Flags().Bool("json", false, "Print the list as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		type answer struct {
			Keys []console.Key `json:"keys"`
		}
		return ask(cmd, "GET", "/apikeys", nil, func(list answer, _ string) error {
			t := newTable(cmd.OutOrStdout(), "ID", "NAME", "ROLES", "GRANTS", "CREATED", "LAST USED", "STATE")
			now := time.Now()
			for _, k := range list.Keys {
				t.row(k.ID, k.Name, dash(strings.Join(k.Roles, ",")), dash(strings.Join(k.Grants, ",")), day(k.Created), day(k.LastUsed), keyState(k, now))
			}
			return t.print()
		})
	}
	return cmd
}

func newAPIKeyRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke ID [--data DIR]",
		Short:   "End an API key at once",
		Long:    `Ends a key at once. Calls that present it from now on are refused. It stays in the list.`,
		Example: `  caregate apikey revoke 7f3a...`,
		Args:    oneArg("key id (see `caregate apikey list`)"),
	}
	placeFlags(cmd)
	changeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := keyID(args[0])
		if err != nil {
			return err
		}
		g, err := changingGateway(cmd)
		if err != nil {
			return err
		}
		receipt, err := g.call(cmd.Context(), "DELETE", "/apikeys/"+id, nil, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Key %s counts no longer (receipt %s).\n", id, receipt)
		return nil
	}
	return cmd
}

// keyID checks an id before it becomes part of a path, and catches the mistake
// of naming the key itself.
func keyID(s string) (string, error) {
	if strings.HasPrefix(s, "cgk1") {
		return "", wrongUsage("that is a key, not its id: whoever can read this terminal's history can use it now; rotate it (`caregate apikey list` shows ids)")
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return "", wrongUsage("an id has letters, digits, dash and underscore only")
		}
	}
	if s == "" || len(s) > 64 {
		return "", wrongUsage("want the id of a key")
	}
	return s, nil
}

func keyState(k console.Key, now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked " + day(k.Revoked)
	case k.Expires.IsZero():
		return "valid"
	case k.Expires.Before(now):
		return "expired " + day(k.Expires)
	}
	return "valid until " + k.Expires.UTC().Format("2006-01-02 15:04Z")
}

// day prints a date, or a dash for none.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}
