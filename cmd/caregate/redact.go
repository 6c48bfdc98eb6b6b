package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/redact/walk"
)

func newRedact() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redact [--type TYPE] [FILE] | --jsonl [FILE]",
		Short: "Mask protected data in a file",
		Long: `Prints the file, or standard input, with the data masked that the gateway masks
without being told more: card numbers keep their last four digits, social
security numbers and verification codes keep none. Everything else leaves byte
for byte as it came. Works without a gateway; where the gateway would make a
token, the value is masked.

With --jsonl each line of the input is an object with "text" or "messages", as
for ` + "`caregate scan --jsonl`" + `, and is printed with these texts masked.`,
		Example: `  caregate redact --type text < chat.txt > masked.txt
  caregate redact export.json > masked.json
  caregate redact --jsonl < messages.jsonl > masked.jsonl`,
		Args: atMostOneArg("file"),
	}
	kind, own := typeFlag(cmd), detectFlag(cmd)
	asLines := cmd.Flags().Bool("jsonl", false, "Read one object a line, print it with its texts masked")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withText(cmd, args, kind, *own, func(r *reader, in io.Reader, name string, kind walk.Kind) error {
			if *asLines {
				return eachLine(in, cmd.OutOrStdout(), name, func(dst []byte, l *line) ([]byte, error) { return r.redactLine(dst, l, kind) })
			}
			return r.redactFile(in, cmd.OutOrStdout(), name, kind)
		})
	}
	return cmd
}

// redactFile prints one document with its findings masked.
func (r *reader) redactFile(in io.Reader, out io.Writer, name string, kind walk.Kind) error {
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
	if _, err := out.Write(doc.Rewrite(offlineAction, edits(parts, 0, text)...)); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}
