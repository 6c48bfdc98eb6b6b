package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/redact/lists"
)

// learnTerm is how long a proposed row counts: long enough to be worth accepting,
// short enough that somebody looks again.
const learnTerm = 180 * 24 * time.Hour

func newLearn() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "learn [file...]",
		Short: "Propose allow rows for numbers that are found and are none",
		Long: `Reads exports or recorded messages as scan does, counts the forms of what is found, and
prints rows for the allow-list of detect (docs/detection.md): order numbers, gift cards,
loyalty accounts, device numbers that pass for a card. Only forms of which no finding stands
beside a word that names it are proposed.

It keeps and prints no value: a form is the number of digits in their groups, the name of the
field, and of card numbers the first four digits. The rows have no author; a person who accepts
one writes their name, and the gateway takes no row without.`,
		Example: `  caregate learn tickets.json chat.txt
  caregate learn --least 50 --json < export.ndjson`,
	}
	kind, own := typeFlag(cmd), detectFlag(cmd)
	least := cmd.Flags().Int("least", 20, "How many findings a form must have to be proposed")
	asJSON := cmd.Flags().Bool("json", false, "Print the proposals as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind, err := kind()
		if err != nil {
			return err
		}
		if *least < 1 {
			return wrongUsage("--least wants a number from 1 on")
		}
		r, err := newReader(*own, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if len(args) == 0 {
			args = []string{"-"}
		}
		var shapes lists.Shapes
		for _, arg := range args {
			in, name, err := input(cmd, []string{arg})
			if err != nil {
				return err
			}
			text, err := readAll(in, name)
			in.Close()
			if err != nil {
				return err
			}
			doc, err := r.read(kind, text)
			if err != nil {
				return unreadable(name, err)
			}
			for _, f := range doc.Findings {
				if listed(f) {
					shapes.Add(f, fieldOf(f.Path), text[f.Start:f.End])
				}
			}
		}
		return printProposals(cmd.OutOrStdout(), shapes.Proposals(*least), *least, time.Now(), *asJSON)
	}
	return cmd
}

// fieldOf is the last name of a JSON Pointer that is no index.
func fieldOf(path string) string {
	for path != "" {
		i := strings.LastIndexByte(path, '/')
		name := path[i+1:]
		if strings.Trim(name, "0123456789") != "" {
			return strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
		}
		path = path[:max(i, 0)]
	}
	return ""
}

func printProposals(w io.Writer, all []lists.Proposal, least int, now time.Time, asJSON bool) error {
	if asJSON {
		if all == nil {
			all = []lists.Proposal{}
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintf(w, "# no form that %d findings have, and that no word names\n", least)
		return err
	}
	fmt.Fprintf(w, "version: 1\nallow:\n")
	for _, p := range all {
		fmt.Fprintf(w, "  - pattern: %q\n", p.Pattern)
		if p.Field != "" {
			fmt.Fprintf(w, "    field: %q\n", p.Field)
		}
		fmt.Fprintf(w, "    classes: [%s]\n    reason: %q\n    author: # your name, when you have looked at some of them\n    until: %s\n",
			strings.Join(p.Classes, ", "), p.Reason, now.Add(learnTerm).Format(time.DateOnly))
	}
	return nil
}
