package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/retention/ropa"
)

func newRopa() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ropa",
		Short: "Keep the record of processing activities (GDPR Art. 30)",
		Long: `Makes the record of processing activities from a register that you write, the routes of
the configuration and what the audit log has seen, and says where they differ. A gateway may
run; nothing of it changes. docs/ropa.md has an example of a register.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRopaCheck(), newRopaWrite(), newRopaDiff(), newRopaVerify())
	return cmd
}

// recordQuestion are the flags that say what a record is made of.
type recordQuestion struct{ register, since, until string }

// recordWindow is how far back a record looks where nobody says: a quarter.
const recordWindow = "92d"

func recordFlags(cmd *cobra.Command) *recordQuestion {
	q := new(recordQuestion)
	cmd.Flags().StringVar(&q.register, "register", "", "Register that you wrote (required)")
	cmd.Flags().StringVar(&q.since, "since", recordWindow, "Traffic at or after this time: 30d, 2026-11-01 or 2026-11-01T08:00:00Z")
	cmd.Flags().StringVar(&q.until, "until", "", "Traffic before this time (default: now)")
	placeFlags(cmd)
	return q
}

// record makes one of what is there now.
func (q *recordQuestion) record(cmd *cobra.Command) (*ropa.Record, *place, error) {
	if q.register == "" {
		return nil, nil, wrongUsage("want --register: docs/ropa.md has an example")
	}
	now := time.Now()
	window, err := readWindow(q.since, q.until, now)
	if err != nil {
		return nil, nil, err
	}
	if window[1].IsZero() {
		window[1] = now
	}
	if !window[0].Before(window[1]) {
		return nil, nil, wrongUsage("the window ends before it begins: --since and --until")
	}
	reg, err := readRegister(q.register)
	if err != nil {
		return nil, nil, err
	}
	p, err := findPlace(cmd)
	if err != nil {
		return nil, nil, err
	}
	governed := p.routes
	if cmd.Flags().Changed("data") && !cmd.Flags().Changed("config") {
		governed = nil // ./Caddyfile may be that of another directory
	}
	var routes []ropa.Route
	for _, h := range governed {
		rt, err := h.RecordRoute()
		if err != nil {
			return nil, nil, err
		}
		routes = append(routes, rt)
	}
	stop := progress(cmd, "reading "+p.Dir)
	r, err := makeRecord(cmd.Context(), p.Dir, reg, routes, window, now)
	stop()
	if err != nil {
		return nil, nil, missingLog(err)
	}
	sayOneLog(cmd, p)
	return r, p, nil
}

func makeRecord(ctx context.Context, dir string, reg *ropa.Register, routes []ropa.Route, window [2]time.Time, now time.Time) (*ropa.Record, error) {
	extent, err := audit.ExtentOf(dir)
	if err != nil {
		return nil, err
	}
	seen, changed, err := proxy.Traffic(ctx, dir, window[0], window[1])
	if err != nil {
		return nil, err
	}
	return ropa.Make(reg, routes, seen, ropa.Log{Origin: extent.Last, Size: extent.Size, Changed: changed}, ropa.Window{From: window[0], To: window[1]}, now), nil
}

func readRegister(name string) (*ropa.Register, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, &failure{code: exitUsage, err: fmt.Errorf("reading the register: %w", err)}
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, ropa.MaxRegister+1))
	if err != nil {
		return nil, fmt.Errorf("reading the register: %w", err)
	}
	return ropa.ParseRegister(name, src)
}

// failOn ends a command that was asked to fail with findings.
func failOn(r *ropa.Record, asked bool) error {
	if asked && len(r.Findings) > 0 {
		return errSilent
	}
	return nil
}

func newRopaCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check --register FILE [--since TIME] [--until TIME] [--fail] [--config FILE] [--data DIR] [--json]",
		Short: "Compare the register with the configuration and the traffic",
		Long: `Joins the register with the routes of the configuration and the calls in the log, and
prints each system with its state (declared, observed, both; configured where a route is
there that nobody declared and nothing passed) and what is wrong: recipients and data classes
that nobody declared, what was declared and not seen, contracts and certificates that ended
or end within 60 days, transfers without a ground, missing periods. No data is shown.

It exits with 0 whatever it finds; with --fail, with 1 where there are findings.`,
		Example: `  caregate ropa check --register ropa.yaml
  caregate ropa check --register ropa.yaml --since 30d --fail --json`,
		Args: noArgs,
	}
	q := recordFlags(cmd)
	failing := cmd.Flags().Bool("fail", false, "Exit with 1 when there are findings")
	asJSON := cmd.Flags().Bool("json", false, "Print the record as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r, _, err := q.record(cmd)
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), r)
		} else {
			err = printRecord(cmd.OutOrStdout(), r)
		}
		if err != nil {
			return err
		}
		return failOn(r, *failing)
	}
	return cmd
}

func printRecord(w io.Writer, r *ropa.Record) error {
	t := newTable(w, "ROW", "STATE", "ACTIVITIES", "DATA", "CALLS", "UNREAD", "LAST", "OUTSIDE")
	for i := range r.Rows {
		row := &r.Rows[i]
		var data []string
		for _, d := range row.Data {
			data = append(data, d.Class+" ("+d.State+")")
		}
		t.row(row.ID, row.State, dash(strings.Join(row.Activities, ",")), dash(strings.Join(data, ", ")), row.Calls, row.Unread, day(row.Last), dash(strings.Join(row.Outside, ",")))
	}
	if err := t.print(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%s %s: %s\n", f.Code, plain(f.Subject), plain(f.Text))
	}
	if len(r.Findings) > 0 {
		fmt.Fprintln(w)
	}
	if !r.Log.Changed.IsZero() {
		fmt.Fprintf(w, "Another configuration was loaded at %s: what passed before may have gone to other hosts (host_unsure in --json).\n", instant(r.Log.Changed))
	}
	_, err := fmt.Fprintf(w, "%d systems and activities, %d findings\n", len(r.Rows), len(r.Findings))
	return err
}

// Names of a record's files in its directory.
const (
	recordFileJSON = "ropa.json"
	recordFileHTML = "ropa.html"
	recordFileCSV  = "ropa.csv"
	recordFileNote = "ropa.note"
)

func newRopaWrite() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "write --register FILE --out DIR [--since TIME] [--until TIME] [--fail] [--config FILE] [--data DIR]",
		Short: "Write the signed record",
		Long: `Writes the record into a directory that is made: ropa.json, ropa.html and ropa.csv with
the same, and ropa.note, which is signed with the log's key and has the digests of the three.
It needs to read the log's key, as whoever runs the gateway may. Keep the directory: the next
record is compared with it. With --fail it is written as well, and the exit code is 1 where
there are findings.`,
		Example: `  caregate ropa write --register ropa.yaml --out ./ropa-2026q4`,
		Args:    noArgs,
	}
	q := recordFlags(cmd)
	out := cmd.Flags().String("out", "", "Directory to make (required)")
	failing := cmd.Flags().Bool("fail", false, "Exit with 1 when there are findings")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *out == "" {
			return wrongUsage("want --out")
		}
		r, p, err := q.record(cmd)
		if err != nil {
			return err
		}
		f, note, err := proxy.SignRecord(p.DataConfig, r)
		if err != nil {
			return fmt.Errorf("writing the record: %w", err)
		}
		if err := os.Mkdir(*out, 0o700); err != nil {
			return fmt.Errorf("writing the record: %w", err)
		}
		// The note is last: a directory without it was interrupted and does not verify.
		for _, file := range []struct {
			name string
			text []byte
		}{{recordFileJSON, f.JSON}, {recordFileHTML, f.HTML}, {recordFileCSV, f.CSV}, {recordFileNote, []byte(note)}} {
			if err := store.WriteFile(filepath.Join(*out, file.name), file.text, 0o600); err != nil {
				return fmt.Errorf("writing the record: %w", err)
			}
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Written to %s: %d systems and activities, %d findings.\n", plain(*out), len(r.Rows), len(r.Findings))
		return failOn(r, *failing)
	}
	return cmd
}

// readRecord reads and verifies the record in a directory.
func readRecord(dir string, trust []string) (*ropa.Record, error) {
	files, keys, err := readSigned(dir, trust, recordFileJSON, recordFileHTML, recordFileCSV, recordFileNote)
	if err != nil {
		return nil, err
	}
	return proxy.VerifyRecord(ropa.Files{JSON: files[0], HTML: files[1], CSV: files[2]}, files[3], keys)
}

func newRopaDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff EARLIER --trust FILE --register FILE [--since TIME] [--until TIME] [--fail] [--config FILE] [--data DIR] [--json]",
		Short: "Say what differs from an earlier signed record",
		Long: `Compares the directory of an earlier record, whose signature is checked, with the record
as it would be now: parties, vendors, activities, systems and findings that came, went or
changed. Counts and times are left out. With --fail it exits with 1 where anything differs.`,
		Example: `  caregate ropa diff ./ropa-2026q3 --trust trust.json --register ropa.yaml`,
		Args:    oneArg("directory of a record"),
	}
	q := recordFlags(cmd)
	trust := cmd.Flags().StringSlice("trust", nil, "Trust file or public key of the log (required; repeatable)")
	failing := cmd.Flags().Bool("fail", false, "Exit with 1 when anything differs")
	asJSON := cmd.Flags().Bool("json", false, "Print the differences as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		earlier, err := readRecord(args[0], *trust)
		if err != nil {
			return err
		}
		now, _, err := q.record(cmd)
		if err != nil {
			return err
		}
		if !earlier.Log.Same(now.Log) {
			fmt.Fprintf(cmd.ErrOrStderr(), "The earlier record is of another log: %s, and this one is %s.\n", plain(earlier.Log.Origin), plain(now.Log.Origin))
		}
		changes, err := ropa.Diff(earlier, now)
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		if *asJSON {
			err = printJSON(w, map[string]any{"earlier": earlier.Made, "changes": changes})
		} else {
			err = printChanges(w, earlier, changes)
		}
		if err != nil {
			return err
		}
		if *failing && len(changes) > 0 {
			return errSilent
		}
		return nil
	}
	return cmd
}

func printChanges(w io.Writer, earlier *ropa.Record, changes []ropa.Change) error {
	if len(changes) > 0 {
		t := newTable(w, "WHAT", "WHICH", "CHANGE", "FIELD", "BEFORE", "AFTER")
		for _, c := range changes {
			t.row(c.What, dash(c.ID), c.Kind, dash(c.Field), dash(cut(c.Before)), dash(cut(c.After)))
		}
		if err := t.print(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintf(w, "%d differences since %s\n", len(changes), instant(earlier.Made))
	return err
}

// cut shortens a value for a table; --json has all of it.
func cut(raw json.RawMessage) string {
	const most = 60
	if r := []rune(string(raw)); len(r) > most {
		return string(r[:most]) + "..."
	}
	return string(raw)
}

func newRopaVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify DIR --trust FILE [--json]",
		Short: "Check the signature of a record",
		Long: `Checks a record that ` + "`caregate ropa write`" + ` wrote, with a trust file of the log
(` + "`caregate audit trust`" + `) or its public key. It needs no gateway and no data directory.`,
		Example: `  caregate ropa verify ./ropa-2026q4 --trust trust.json`,
		Args:    oneArg("directory of a record"),
	}
	trust := cmd.Flags().StringSlice("trust", nil, "Trust file or public key of the log (required; repeatable)")
	asJSON := cmd.Flags().Bool("json", false, "Print what the signature proves as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := readRecord(args[0], *trust)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]any{"origin": r.Log.Origin, "size": r.Log.Size, "made": r.Made, "rows": len(r.Rows), "findings": len(r.Findings)})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "valid: record of %s, signed by %s at %d entries; %d findings\n", instant(r.Made), plain(r.Log.Origin), r.Log.Size, len(r.Findings))
		return err
	}
	return cmd
}
