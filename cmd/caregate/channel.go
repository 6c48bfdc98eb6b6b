package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/channel"
)

func newChannel() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "channel",
		Short: "List and check channel files, import what a system has",
		Long: `A channel file describes one system that can be governed: its operations, where
texts, persons and records stand in its bodies, and what of it passes a gateway.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newChannelList(), newChannelCheck(), newChannelImport())
	return cmd
}

// channelRow is a channel as it is listed.
type channelRow struct {
	Name        string         `json:"name"`
	Title       string         `json:"title"`
	Version     int            `json:"version"`
	Operations  int            `json:"operations"`
	Effects     map[string]int `json:"effects"`
	Webhooks    bool           `json:"webhooks"` // govern NAME/webhooks verifies what the vendor sends
	Trails      []string       `json:"trails"`   // trail NAME/LOG reads what the vendor itself writes down
	Governed    []string       `json:"governed"`
	NotGoverned []string       `json:"not_governed"`
}

func rowOf(c *channel.Channel) channelRow {
	row := channelRow{Name: c.Name, Title: c.Title, Version: c.Version, Operations: len(c.Operations),
		Effects: make(map[string]int), Trails: []string{}, Webhooks: c.Webhooks != nil, Governed: c.Reach.Governed, NotGoverned: c.Reach.NotGoverned}
	for _, op := range c.Operations {
		row.Effects[string(op.Effect)]++
	}
	for _, t := range c.Trails {
		row.Trails = append(row.Trails, t.Name)
	}
	return row
}

func newChannelList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [--json]",
		Short:   "List the built-in channels with their reach",
		Long:    `Lists the channels in this binary, and for each what passes a gateway and what does not.`,
		Example: `  caregate channel list --json`,
		Args:    noArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "Print the list as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		rows := []channelRow{}
		for _, name := range channel.Names() {
			c, err := channel.Load(name)
			if err != nil {
				return fmt.Errorf("loading the built-in channel %s: %w", name, err)
			}
			rows = append(rows, rowOf(c))
		}
		out := cmd.OutOrStdout()
		if *asJSON {
			return printJSON(out, map[string]any{"channels": rows})
		}
		t := newTable(out, "CHANNEL", "TITLE", "OPERATIONS", "READ", "WRITE", "DELETE", "ADMIN", "WEBHOOKS", "TRAILS")
		for _, r := range rows {
			t.row(r.Name, r.Title, r.Operations, r.Effects["read"], r.Effects["write"], r.Effects["delete"], r.Effects["admin"], yesNo(r.Webhooks), dash(strings.Join(r.Trails, " ")))
		}
		if err := t.print(); err != nil {
			return err
		}
		for _, r := range rows {
			fmt.Fprintf(out, "\n%s governs:\n%s%s does not govern:\n%s", r.Name, bullets(r.Governed), r.Name, bullets(r.NotGoverned))
		}
		return nil
	}
	return cmd
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func bullets(list []string) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "  - %s\n", plain(s))
	}
	return b.String()
}

func newChannelCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--json] [FILE ...]",
		Short: "Check channel files",
		Long: `Checks channel files of your own, or the built-in ones when none is named. All
mistakes are listed, with file, line and the allowed values.`,
		Example: `  caregate channel check ./desk.yaml
  caregate channel check`,
	}
	asJSON := cmd.Flags().Bool("json", false, "Print the outcome as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		type outcome struct {
			File     string      `json:"file"`
			OK       bool        `json:"ok"`
			Mistakes []string    `json:"mistakes"`
			Channel  *channelRow `json:"channel,omitempty"`
		}
		names := args
		if len(names) == 0 {
			names = channel.Names()
		}
		results := []outcome{}
		for _, name := range names {
			r := outcome{File: name, Mistakes: []string{}}
			c, err := openChannel(name, len(args) == 0)
			if err != nil {
				r.Mistakes = slices.DeleteFunc(strings.Split(err.Error(), "\n"), func(s string) bool { return s == "" })
			} else {
				row := rowOf(c)
				r.OK, r.Channel = true, &row
			}
			results = append(results, r)
		}
		bad := slices.ContainsFunc(results, func(r outcome) bool { return !r.OK })
		out := cmd.OutOrStdout()
		if *asJSON {
			if err := printJSON(out, map[string]any{"files": results}); err != nil {
				return err
			}
		} else {
			for _, r := range results {
				if r.OK {
					fmt.Fprintf(out, "%s: good, %d operations of %s\n", plain(r.File), r.Channel.Operations, plain(r.Channel.Title))
				}
				for _, m := range r.Mistakes {
					fmt.Fprintln(out, plain(m))
				}
			}
		}
		if bad {
			return errSilent
		}
		return nil
	}
	return cmd
}

// openChannel reads a file, or a built-in channel.
func openChannel(name string, builtin bool) (*channel.Channel, error) {
	if builtin {
		return channel.Load(name)
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return channel.Parse(name, src)
}
