package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/redact/lists"
)

// learnTerm is how long a proposed row counts: long enough to be worth accepting,
// short enough that somebody looks again.
const learnTerm = 180 * 24 * time.Hour

func newLearn() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "learn [file... | --observed]",
		Short: "Propose allow rows for numbers that are found and are none",
		Long: `Reads exports or recorded messages as scan does, counts the forms of what is found, and
prints rows for the allow-list of detect (docs/detection.md): order numbers, gift cards,
loyalty accounts, device numbers that pass for a card. Only forms of which no finding stands
beside a word that names it are proposed.

With --observed the running gateway is asked instead: it counts, on routes that observe, the
findings that are all of a field, by field, class and form, in memory and without one digit of
a value. The rows are for fields.

It keeps and prints no value: a form is the number of digits in their groups, the name of the
field, and of card numbers the first four digits. The rows have no author; a person who accepts
one writes their name, and the gateway takes no row without.`,
		Example: `  caregate learn --observed > proposed.yaml
  caregate learn tickets.json chat.txt
  caregate learn --least 50 --json < export.ndjson`,
	}
	kind, own := typeFlag(cmd), detectFlag(cmd)
	least := cmd.Flags().Int("least", 20, "How many findings a form must have to be proposed")
	watched := cmd.Flags().Bool("observed", false, "Ask the running gateway what its observing routes have found")
	placeFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "Print the proposals as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind, err := kind()
		if err != nil {
			return err
		}
		if *least < 1 {
			return wrongUsage("--least wants a number from 1 on")
		}
		if *watched {
			if len(args) > 0 {
				return wrongUsage("want files or --observed, not both")
			}
			return learnObserved(cmd, *least, *asJSON)
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
					shapes.Add(f, lists.FieldOf(f.Path), text[f.Start:f.End])
				}
			}
		}
		return printProposals(cmd.OutOrStdout(), shapes.Proposals(*least), *least, time.Now(), *asJSON)
	}
	return cmd
}

// learnObserved prints what the running gateway proposes.
func learnObserved(cmd *cobra.Command, least int, asJSON bool) error {
	p, err := findPlace(cmd)
	if err != nil {
		return err
	}
	var o console.Observed
	if _, err := newGateway(p.Dir).call(cmd.Context(), "GET", "/observed", nil, &o); err != nil {
		if errors.Is(err, errNotRunning) {
			return fail("the counts are in the gateway's memory only; without it, give files that hold what it saw", "%w", err)
		}
		return err
	}
	var all []lists.Proposal
	for _, p := range o.Proposals {
		if p.Findings >= least {
			all = append(all, lists.Proposal(p))
		}
	}
	return printProposals(cmd.OutOrStdout(), all, least, time.Now(), asJSON)
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
