package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
)

func newAuditExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [--data DIR] (--format jsonl|csv [--since TIME] [--until TIME] [--out FILE] | --evidence DIR [--receipts FILE] | --controls LIST --out DIR) [--json]",
		Short: "Export events, a folder that an auditor can verify, or populations of controls",
		Long: `--format jsonl writes one event a line in its class of the Open Cybersecurity
Schema Framework (OCSF 1.9); --format csv a table. --since and --until choose by
the event's time, which is the gateway's clock: a date, or a time as in RFC 3339.

--evidence makes a folder that stands for itself: checkpoint, entries and tiles
(c2sp.org/tlog-tiles), public keys, the events as JSON lines and as a table, the
proof of each receipt in --receipts (one a line), and verify.html, which checks all
this in a browser without a network. It always holds the whole log, because only
then can its completeness be checked.

--controls makes a folder with one table for each control of the named frameworks
(pci, soc2, iso): all events that are evidence for it, counted, the full population
that a sample is drawn from. controls.csv lists them; a population of none is listed
too.

None of them holds sealed details or secret keys. They cover what is under a signed
checkpoint.`,
		Example: `  caregate audit export --format jsonl --since 2026-11-01 > events.jsonl
  caregate audit export --format csv --out events.csv
  caregate audit export --evidence ./evidence --receipts receipts.txt
  caregate audit export --controls pci,soc2,iso --out ./controls`,
		Args: noArgs,
	}
	flags := cmd.Flags()
	format := flags.String("format", "", "jsonl or csv")
	since := flags.String("since", "", "Only events at or after this time")
	until := flags.String("until", "", "Only events before this time")
	out := flags.String("out", "", "File to write (default: standard output), or with --controls the folder to make")
	controls := flags.StringSlice("controls", nil, "Frameworks: "+strings.Join(audit.Frameworks(), ", "))
	evidence := flags.String("evidence", "", "Folder to make")
	receipts := flags.String("receipts", "", "File with receipts to prove, one a line")
	asJSON := flags.Bool("json", false, "Print what was written as JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ways := 0
		for _, name := range [...]string{"format", "evidence", "controls"} {
			if cmd.Flags().Changed(name) {
				ways++
			}
		}
		switch {
		case ways != 1:
			return wrongUsage("want one of --format, --evidence and --controls")
		case *controls != nil && (*since != "" || *until != "" || *receipts != "" || *out == ""):
			return wrongUsage("--controls wants --out DIR and nothing more: a population is always that of the whole log")
		case *controls == nil && *evidence == "" && *format != "jsonl" && *format != "csv":
			return wrongUsage("--format is jsonl or csv, not %q", *format)
		case *evidence != "" && (*since != "" || *until != "" || *out != ""):
			return wrongUsage("--evidence always holds the whole log: --since, --until and --out do not go with it")
		case *evidence == "" && *receipts != "":
			return wrongUsage("--receipts goes with --evidence")
		case *asJSON && *evidence == "" && *out == "":
			return wrongUsage("--json tells what was written, so it wants --out or --evidence")
		}
		p, err := findPlace(cmd)
		if err != nil {
			return err
		}
		if *controls != nil {
			return exportControls(cmd, p.Dir, *out, *controls, *asJSON)
		}
		if *evidence != "" {
			return exportEvidence(cmd, p.Dir, *evidence, *receipts, *asJSON)
		}
		var window [2]time.Time
		for i, text := range [...]string{*since, *until} {
			if window[i], err = parseTime(text); err != nil {
				return err
			}
		}
		n, err := exportEvents(cmd, p.Dir, *format, window, *out)
		if err != nil || *out == "" {
			return missingLog(err)
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				File   string `json:"file"`
				Events int64  `json:"events"`
			}{*out, n})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %d events to %s\n", n, plain(*out))
		return err
	}
	return cmd
}

// exportEvents writes the events of a window and counts them.
func exportEvents(cmd *cobra.Command, dir, format string, window [2]time.Time, file string) (n int64, err error) {
	w := cmd.OutOrStdout()
	if file != "" {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		w = f
	}
	buffered := bufio.NewWriterSize(w, 1<<16)
	table := audit.NewCSV(buffered)
	stop := progress(cmd, "exporting "+dir)
	_, err = audit.Entries(cmd.Context(), dir, 0, func(e audit.Entry) error {
		at := time.UnixMilli(e.Leaf.Wall)
		if !window[0].IsZero() && at.Before(window[0]) || !window[1].IsZero() && !at.Before(window[1]) {
			return nil
		}
		n++
		if format == "csv" {
			return table.Add(&e)
		}
		return printOCSF(buffered, e)
	})
	stop()
	if format == "csv" {
		err = errors.Join(err, table.Flush())
	}
	return n, errors.Join(err, buffered.Flush())
}

// parseTime reads a date or an RFC 3339 time; "" is the zero time.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range [...]string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, wrongUsage("%q is no time; want 2026-11-22 or 2026-11-22T10:00:00Z", text)
}

// exportEvidence is `audit export --evidence`.
func exportEvidence(cmd *cobra.Command, dir, out, receipts string, asJSON bool) error {
	o := audit.EvidenceOptions{Dir: dir, Out: out}
	if receipts != "" {
		raw, err := os.ReadFile(receipts)
		if err != nil {
			return &failure{code: exitUsage, err: fmt.Errorf("reading receipts: %w", err)}
		}
		for line := range strings.SplitSeq(string(raw), "\n") {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			id, err := audit.ParseID(line)
			if err != nil {
				return wrongUsage("%s: %w", receipts, err)
			}
			o.Receipts = append(o.Receipts, id)
		}
	}
	stop := progress(cmd, "exporting "+dir)
	r, err := audit.ExportEvidence(cmd.Context(), o)
	stop()
	if errors.Is(err, audit.ErrNotFound) {
		return fail("a receipt belongs to one deployment: --data names the directory of another", "%w", err)
	}
	if err != nil {
		return missingLog(err)
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), struct {
			Folder   string `json:"folder"`
			Origin   string `json:"origin"`
			Size     int64  `json:"size"`
			Receipts int    `json:"receipts"`
		}{out, r.Origin, r.Size, r.Receipts})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), `wrote %d entries of %s%s and the proofs of %d receipts to %s
Check it: open verify.html there in a browser, or
  caregate audit verify --export %s --trust FILE
with a file of `+"`caregate audit trust`"+` that did not come with the folder.
`, r.Size, plain(r.Origin), earlier(r.Shards), r.Receipts, plain(out), plain(out))
	return err
}

// earlier says how many half years there are before the newest.
func earlier(shards int) string {
	if shards < 2 {
		return ""
	}
	return fmt.Sprintf(" and %d half years before it", shards-1)
}

// controlView is one population as JSON.
type controlView struct {
	Framework string `json:"framework"`
	Control   string `json:"control"`
	Asks      string `json:"asks"`
	Shows     string `json:"population"`
	Count     int64  `json:"count"`
	File      string `json:"file"`
}

// exportControls is `audit export --controls`.
func exportControls(cmd *cobra.Command, dir, out string, frameworks []string, asJSON bool) error {
	for _, f := range frameworks {
		if audit.Controls(f) == nil {
			return wrongUsage("no controls of %q are known; there are %s", f, strings.Join(audit.Frameworks(), ", "))
		}
	}
	stop := progress(cmd, "exporting "+dir)
	r, err := audit.ExportControls(cmd.Context(), audit.ControlsOptions{Dir: dir, Out: out, Frameworks: frameworks})
	stop()
	if err != nil {
		return missingLog(err)
	}
	w := cmd.OutOrStdout()
	if asJSON {
		v := struct {
			Folder   string        `json:"folder"`
			Origin   string        `json:"origin"`
			Size     int64         `json:"size"`
			Controls []controlView `json:"controls"`
		}{out, r.Origin, r.Size, []controlView{}}
		for _, p := range r.Populations {
			v.Controls = append(v.Controls, controlView{p.Framework, p.ID, p.Asks, p.Shows, p.Count, p.File})
		}
		return printJSON(w, v)
	}
	fmt.Fprintf(w, "looked at all %d entries of %s%s; wrote to %s\n", r.Size, plain(r.Origin), earlier(len(r.Shards)), plain(out))
	t := newTable(w, "FRAMEWORK", "CONTROL", "COUNT", "POPULATION")
	for _, p := range r.Populations {
		t.row(p.Framework, p.ID, p.Count, p.Shows)
	}
	return t.print()
}
