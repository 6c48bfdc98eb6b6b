package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newSubjectRecords() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "records SUBJECT... [--from FILE] [--linked]",
		Short: "Say which records of which systems name a person",
		Long: `Lists the tickets, comments, users and other records that name a person and have passed
the gateway: where each stands, when the vendor says that it was created and closed,
which classes of data were found in it, and whether a call deleted it.

What never passed the gateway is not in the list: records from before it was there, and
what people do on the vendor's own screens.

Name the person in every way there is: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID.
--linked adds the names that a vendor's profile, or somebody here, says are the same
person's. --from reads names from a file, one a line, - from standard input, so that they
do not stay in the shell's history. The gateway must be running, and that the question was
asked is in its log.`,
		Example: `  caregate subject records email:jane@example.com --linked
  echo phone:+15555550100 | caregate subject records --from - --json`,
	}
	cmd.Args = cobra.ArbitraryArgs
	flags := cmd.Flags()
	from := flags.String("from", "", "File with subjects, one a line; - is standard input")
	linked := flags.Bool("linked", false, "Add the linked names")
	after := flags.String("after", "", "The record that ended the page before: CHANNEL/HOST/TYPE/ID")
	limit := flags.Int("limit", 100, "The most records to print, up to 10000")
	flags.Bool("json", false, "Print JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		subjects, err := namedSubjects(cmd, args, *from)
		if err != nil {
			return err
		}
		if *limit < 1 || *limit > console.MaxFound {
			return wrongUsage("--limit lies between 1 and %d", console.MaxFound)
		}
		question := map[string]any{"subjects": subjects, "linked": *linked, "limit": *limit}
		if *after != "" {
			question["after"] = *after
		}
		return ask(cmd, "POST", "/subjects/records", question, func(list console.RecordList, _ string) error {
			if err := printRecords(cmd, list); err != nil {
				return err
			}
			if list.Known == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "No call ever named a person by these names.")
			}
			if list.Linked > 0 && !*linked {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d more names are linked to these; --linked lists their records too.\n", list.Linked)
			}
			return nil
		})
	}
	return cmd
}

// printRecords shows a page of records.
func printRecords(cmd *cobra.Command, list console.RecordList) error {
	t := newTable(cmd.OutOrStdout(), "RECORD", "CREATED", "CLOSED", "LAST SEEN", "FOUND", "ON")
	for _, r := range list.Records {
		closed := day(r.Closed)
		switch {
		case !r.Gone.IsZero():
			closed = "deleted " + day(r.Gone)
		case r.Open:
			closed = "open"
		}
		t.row(r.Record, day(r.Created), closed, day(r.LastSeen), dash(strings.Join(r.Classes, " ")), dash(r.Parent))
	}
	if err := t.print(); err != nil {
		return err
	}
	sayMore(cmd, list.More)
	return nil
}
