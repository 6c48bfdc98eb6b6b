package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/lists"
	"github.com/caregate/caregate/redact/walk"
)

// kinds are the shapes that --type knows.
var kinds = map[string]walk.Kind{
	"auto": walk.Auto, "text": walk.Text, "json": walk.JSON, "ndjson": walk.NDJSON, "form": walk.Form, "multipart": walk.Multipart,
	"html": walk.HTML, "xml": walk.XML, "csv": walk.CSV, "mime": walk.MIME, "sse": walk.SSE,
	"transcript": walk.Transcript, // of one that is no JSON, turns are found out from the text
}

// kindNames lists them for messages.
func kindNames() string { return strings.Join(sortedKeys(kinds), ", ") }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// offline are the limits of files that somebody chose to read: an export has
// more values than any call, and no stranger wrote it to harm a gateway.
var offline = walk.Limits{Depth: 10_000, Values: math.MaxInt32, Line: maxFile}

// maxFile bounds a file that is read whole. Longer texts are cut up as --jsonl.
const maxFile = 1 << 30

// reader reads texts the way the gateway reads bodies.
type reader struct {
	detector *detect.Detector
}

// newReader builds a reader. file holds lists of the operator (redact/lists), none
// when it is empty; rows that have ended are named on warn.
func newReader(file string, warn io.Writer) (*reader, error) {
	var config detect.Config
	if file != "" {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, fail("", "reading the lists: %w", err)
		}
		l, err := lists.Parse(file, src)
		if err != nil {
			return nil, fail("the package documentation of redact/lists and docs/detection.md describe the file", "%w", err)
		}
		now := time.Now()
		config = l.Config(now)
		for _, row := range l.Expired(now) {
			fmt.Fprintln(warn, l.Warn(row))
		}
	}
	d, err := detect.New(config)
	if err != nil {
		return nil, fmt.Errorf("building the detector: %w", err)
	}
	return &reader{d}, nil
}

// read reads text as kind. Auto is what the text looks like, when it is a
// well-formed one of it, and text otherwise.
func (r *reader) read(kind walk.Kind, text []byte) (*walk.Doc, error) {
	if kind != walk.Auto {
		return walk.Parse(kind, text, r.detector, nil, offline)
	}
	if kind = walk.Guess(text); kind != walk.Text {
		doc, err := walk.Parse(kind, text, r.detector, nil, offline)
		var refusal *walk.Refusal
		if !errors.As(err, &refusal) {
			return doc, err
		}
	}
	return walk.Parse(walk.Text, text, r.detector, nil, offline)
}

// listed tells whether a finding is shown. A number that merely could be one, at
// a place that is known to hold ids, is counted by the gateway and left alone.
func listed(f redact.Finding) bool { return !f.Never || f.Strong }

// offlineAction is what `redact` does with a finding: the default of its class,
// with a mask in place of what needs the vault or a refusal.
func offlineAction(f redact.Finding) redact.Action {
	if f.Never && !f.Strong || f.Class == redact.PaymentReference && !f.Strong {
		return redact.Report // a reference that a text speaks of stays readable
	}
	info, ok := redact.Lookup(string(f.Class))
	if !ok {
		return redact.Mask
	}
	switch info.Default {
	case redact.Tokenize, redact.Block:
		return redact.Mask
	}
	return info.Default
}

// detectFlag adds --detect and returns what it was set to.
func detectFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("detect", "", "Lists of your own: what to find and what to allow (docs/detection.md)")
}

// typeFlag adds --type and returns what reads it.
func typeFlag(cmd *cobra.Command) func() (walk.Kind, error) {
	name := cmd.Flags().String("type", "auto", "What the text is: "+kindNames())
	return func() (walk.Kind, error) {
		kind, ok := kinds[*name]
		if !ok {
			return 0, wrongUsage("unknown --type %q: there are %s", *name, kindNames())
		}
		return kind, nil
	}
}

// withText opens what a command was asked to read, as what, and hands it to do.
func withText(cmd *cobra.Command, args []string, kind func() (walk.Kind, error), lists string, do func(r *reader, in io.Reader, name string, kind walk.Kind) error) error {
	k, err := kind()
	if err != nil {
		return err
	}
	r, err := newReader(lists, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	in, name, err := input(cmd, args)
	if err != nil {
		return err
	}
	defer in.Close()
	if !isTerminal(cmd.OutOrStdout()) {
		defer progress(cmd, "reading "+name)()
	}
	return do(r, in, name, k)
}

// input opens the file that was named, or standard input, with its name for
// messages.
func input(cmd *cobra.Command, args []string) (io.ReadCloser, string, error) {
	if len(args) == 0 || args[0] == "-" {
		return io.NopCloser(cmd.InOrStdin()), "standard input", nil
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, "", fail("", "%w", err)
	}
	return f, args[0], nil
}

// readAll reads an input whole, within maxFile.
func readAll(in io.Reader, name string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", name, err)
	case len(text) > maxFile:
		return nil, fail("cut it up, one text a line, and use --jsonl, which reads without end", "%s is longer than %d MiB", name, maxFile>>20)
	}
	return text, nil
}

// unreadable turns a refusal of the strict reader into words for a person.
func unreadable(name string, err error) error {
	var refusal *walk.Refusal
	if errors.As(err, &refusal) {
		return fail("the gateway would refuse it too; --type text reads anything", "%s cannot be read: %s at byte %d", name, refusal.Reason, refusal.Offset)
	}
	return fmt.Errorf("reading %s: %w", name, err)
}
