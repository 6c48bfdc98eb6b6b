package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/walk"
)

func newScan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scan [--type TYPE] [--json] [FILE] | --jsonl [FILE]",
		Short: "Find protected data in a file",
		Long: `Prints what the gateway would find in a file or on standard input: line and column,
data class and confidence, the byte offsets in the file as it is, the place in the
document, the rule and what spoke for it, and the line around it. The data itself is
never printed: in that line everything that was found is masked.

With --jsonl each line of the input is an object

  {"id": ..., "text": "..."}   or   {"id": ..., "messages": ["...", "..."]}

optionally with "type" (as --type) and "channel", and each line of the output is

  {"id": ..., "findings": [{"class", "start", "end", "confidence", "message"?, "group"?}]}

with byte offsets into the decoded string in UTF-8. "messages" are one conversation
in its order: a value typed in pieces over several of them, or over several turns of
a text like "Customer: ...", is one finding for each piece with a common group. Lines are read one by one, so
the input may be of any length.

It exits with 0 whether or not something was found.`,
		Example: `  caregate scan export.json
  caregate scan --type text chat.txt
  caregate scan --json < ticket.json
  caregate scan --jsonl < messages.jsonl > findings.jsonl`,
		Args: atMostOneArg("file"),
	}
	kind, own := typeFlag(cmd), detectFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "Print the findings as JSON")
	asLines := cmd.Flags().Bool("jsonl", false, "Read one object a line, print one a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *asLines && *asJSON {
			return wrongUsage("--json describes one file, --jsonl many lines: use one of them")
		}
		return withText(cmd, args, kind, *own, func(r *reader, in io.Reader, name string, kind walk.Kind) error {
			if *asLines {
				return eachLine(in, cmd.OutOrStdout(), name, func(dst []byte, l *line) ([]byte, error) { return r.scanLine(dst, l, kind) })
			}
			return r.scanFile(in, cmd.OutOrStdout(), name, kind, *asJSON)
		})
	}
	return cmd
}

// found is one finding as it is printed.
type found struct {
	Class      redact.Class `json:"class"`
	Start      int          `json:"start"`
	End        int          `json:"end"`
	Confidence float64      `json:"confidence"`
	// Message is the index of the message it stands in.
	Message *int `json:"message,omitempty"`
	// Group is the same number, from 1, for all pieces of a value that is spread over
	// messages or turns.
	Group int `json:"group,omitempty"`
	// The rest is where it stands and what spoke for it, of a whole file: line and
	// column in characters, from 1, and the JSON Pointer or what is like one.
	Line     int      `json:"line,omitempty"`
	Column   int      `json:"column,omitempty"`
	Place    string   `json:"place,omitempty"`
	Path     string   `json:"path,omitempty"`
	Rule     string   `json:"rule,omitempty"`
	Evidence []string `json:"evidence,omitempty"`
}

// scanFile prints the findings of one document.
func (r *reader) scanFile(in io.Reader, out io.Writer, name string, kind walk.Kind, asJSON bool) error {
	text, err := readAll(in, name)
	if err != nil {
		return err
	}
	doc, err := r.read(kind, text)
	if err != nil {
		return unreadable(name, err)
	}
	parts, err := r.turns(doc, text)
	if err != nil {
		return err
	}
	hidden := slices.Clone(doc.Findings)
	findings := []found{}
	left := 0
	for _, f := range doc.Findings {
		switch {
		case !listed(f):
			left++
		case !covered(parts, 0, f):
			findings = append(findings, r.found(f, 0))
		}
	}
	for _, p := range parts {
		if p.group > 0 {
			p.Evidence |= redact.EvidenceSplit
		}
		hidden = append(hidden, p.Finding)
		findings = append(findings, r.found(p.Finding, p.group))
	}
	slices.SortStableFunc(findings, func(a, b found) int { return a.Start - b.Start })
	lines := newLineCounter(text)
	for i := range findings {
		findings[i].Line, findings[i].Column = lines.at(findings[i].Start)
	}
	if asJSON {
		return printJSON(out, struct {
			Type     string  `json:"type"`
			Bytes    int     `json:"bytes"`
			Findings []found `json:"findings"`
			IDs      int     `json:"ids_left_alone"`
			Unread   int     `json:"parts_not_inspected"`
		}{kindName(doc.Kind), len(text), findings, left, len(doc.Unread)})
	}
	if err := printFindings(out, name, findings, newExcerpts(text, hidden)); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d found in %s (%d bytes, read as %s)\n", len(findings), plain(name), len(text), kindName(doc.Kind))
	if left > 0 {
		fmt.Fprintf(out, "%d more at places that hold ids were left alone\n", left)
	}
	if n := len(doc.Unread); n > 0 {
		fmt.Fprintf(out, "not inspected: %d parts of types that cannot be read\n", n)
	}
	return nil
}

// found is a finding of a whole file as it is printed.
func (r *reader) found(f redact.Finding, group int) found {
	return found{
		Class: f.Class, Start: f.Start, End: f.End, Confidence: f.Confidence, Group: group,
		Place: f.Place.String(), Path: r.pointer(f), Rule: f.Rule, Evidence: f.Evidence.Names(),
	}
}

// kindName is the word of --type for a kind.
func kindName(k walk.Kind) string {
	for _, name := range sortedKeys(kinds) {
		if kinds[name] == k {
			return name
		}
	}
	return "text"
}
