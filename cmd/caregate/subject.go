package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newSubject() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subject",
		Short: "Find the records of persons, set their flags, and erase persons from the vault",
		Long: `A person about whom calls were made has a key in the vault. Under it stands which
records of which systems name the person. Destroying it makes the person's tokens,
sealed details and pseudonyms unreadable, here and in every copy of the audit log.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSubjectErase(), newSubjectFlag(), newSubjectRecords())
	return cmd
}

// mostSubjects is how many names one erasure takes.
const mostSubjects = 32

func newSubjectErase() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "erase SUBJECT... [--from FILE] [--ticket ID] [--plan PLAN]",
		Short: "Destroy a person's key, for good",
		Long: `Destroys the keys of a person: tokens lead to nothing, sealed details do not open, and
pseudonyms in the log cannot be computed any more. The log keeps that it happened
(subject.erased), and a backup of the vault that is restored later is erased again
at the start. There is no way back.

It takes two steps. Without --plan it says what would be destroyed, and prints the
plan; with it, within 15 minutes, it is carried out.

Name the person in every way there is: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID,
each is a person of its own to the vault. --from reads them from a file, one a line, -
from standard input, so that they do not stay in the shell's history.

Nobody whom a legal hold covers is erased, nor anybody beside in the same call
(legal_hold, see docs/legal-holds.md).

It erases what this gateway holds. What systems behind it hold is theirs, and so are
values whose owner no record named. The gateway must be running.`,
		Example: `  caregate subject erase email:jane@example.com zendesk:user:4711 --ticket DSR-7
  caregate subject erase --from jane.txt --plan t3x0-5f2c...`,
	}
	cmd.Args = cobra.ArbitraryArgs
	flags := cmd.Flags()
	from := flags.String("from", "", "File with subjects, one a line; - is standard input")
	ticket := flags.String("ticket", "", "Number under which it was asked for, for the log (letters, digits, dashes)")
	plan := flags.String("plan", "", "The plan to carry out")
	flags.Bool("json", false, "Print the plan, or what was done, as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		subjects, err := namedSubjects(cmd, args, *from)
		if err != nil {
			return err
		}
		wish := map[string]any{"subjects": subjects}
		if *ticket != "" {
			wish["ticket"] = *ticket
		}
		if *plan != "" {
			wish["plan"] = *plan
		}
		return ask(cmd, "POST", "/subjects/erase", wish, func(done console.ErasureAnswer, _ string) error {
			return printErasure(cmd.OutOrStdout(), done)
		})
	}
	return cmd
}

// namedSubjects are those of the arguments and of the file, if there is one.
func namedSubjects(cmd *cobra.Command, args []string, from string) ([]string, error) {
	if from != "" {
		more, err := readSubjects(cmd, from)
		if err != nil {
			return nil, err
		}
		args = append(args, more...)
	}
	if len(args) == 0 || len(args) > mostSubjects {
		return nil, wrongUsage("want 1 to %d subjects: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID", mostSubjects)
	}
	return args, nil
}

// maxSubjects bounds a file of subjects, in bytes.
const maxSubjects = 512 << 10

// readSubjects reads one subject a line.
func readSubjects(cmd *cobra.Command, file string) (list []string, err error) {
	in := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSubjects+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSubjects { // and not what fits of it
		return nil, wrongUsage("more than %d bytes of subjects", maxSubjects)
	}
	for line := range strings.Lines(string(text)) {
		if s := strings.TrimSpace(line); s != "" {
			list = append(list, s)
		}
	}
	return list, nil
}

// printErasure shows a plan, or what became of it. Names are counted by their place, not
// repeated: a terminal is kept too.
func printErasure(w io.Writer, e console.ErasureAnswer) error {
	t := newTable(w, "SUBJECT", "KIND", "KNOWN", "TOKENS")
	for i, p := range e.People {
		known := "no"
		if p.Known {
			known = "yes"
		}
		t.row(i+1, p.Kind, known, p.Tokens)
	}
	if err := t.print(); err != nil {
		return err
	}
	var err error
	switch {
	case e.Erased:
		_, err = fmt.Fprintf(w, "\nErased. The log proves it with event %s; restored backups are erased again.\n", e.Event)
	case e.Plan == "":
		_, err = fmt.Fprintln(w, "\nNobody is known by these names: there is nothing to erase.")
	default:
		_, err = fmt.Fprintf(w, "\nNothing was erased. To destroy these keys for good, within 15 minutes, repeat it with: --plan %s\n", e.Plan)
	}
	return err
}
