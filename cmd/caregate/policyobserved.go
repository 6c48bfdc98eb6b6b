package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy"
)

func newPolicyObserved() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "observed [--since TIME] [--until TIME] [--config FILE] [--data DIR] [--json | --html]",
		Short: "Say what enforcing would have done to what observing routes saw",
		Long: `Asks the policy that the configuration names about everything that routes saw while they
observed, and prints by route, role and integration: what would have become of findings, how
many of them may be false alarms, and which calls would not have gone on as they did, and why.
An integration is told by the kind of its credential, its roles, and the kind of program that
its User-Agent names; ` + "`caregate explain`" + ` tells what an example was. No data is shown.

A finding may be a false alarm when no word beside it names what it is; the report says what
spoke for it (checksum, issuer, shape ...), and "low" where the detector itself is in doubt.
If the gateway runs, it adds how many rows ` + "`caregate learn --observed`" + ` proposes.`,
		Example: `  caregate policy observed --since 30d
  caregate policy observed --since 2026-11-01 --until 2026-11-08 --json
  caregate policy observed --since 7d --html > observed.html`,
		Args: noArgs,
	}
	flags := cmd.Flags()
	since := flags.String("since", "", "Only what was seen at or after this time: 30d, 2026-11-01 or 2026-11-01T08:00:00Z")
	until := flags.String("until", "", "Only what was seen before this time")
	asJSON := flags.Bool("json", false, "Print the report as JSON")
	asHTML := flags.Bool("html", false, "Print the report as a page")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asJSON && *asHTML {
			return wrongUsage("want --json or --html, not both")
		}
		window, err := readWindow(*since, *until, time.Now())
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		p, e, err := policyOfPlace(cmd)
		if err != nil {
			return err
		}
		stop := progress(cmd, "reading "+p.Dir)
		r, err := policy.WouldHave(ctx, e, proxy.Observations(ctx, p.Dir, window[0], window[1]))
		stop()
		if err != nil {
			return missingLog(err)
		}
		report, err := newObservedReport(ctx, p.Dir, r, window)
		if err != nil {
			return err
		}
		sayOneLog(cmd, p)
		switch out := cmd.OutOrStdout(); {
		case *asJSON:
			return printJSON(out, report)
		case *asHTML:
			return observedPage.Execute(out, report)
		default:
			return report.print(out)
		}
	}
	return cmd
}

// readWindow reads --since and --until.
func readWindow(since, until string, now time.Time) (window [2]time.Time, err error) {
	for i, flag := range [...]struct{ name, text string }{{"--since", since}, {"--until", until}} {
		if window[i], err = readInstant(flag.name, flag.text, now); err != nil {
			return window, err
		}
	}
	return window, nil
}

// observedReport is the report with what a person needs to act on it.
type observedReport struct {
	Since *time.Time `json:"since,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	*policy.ObservedReport
	// Remedies say for each reason of a break what it means, and what to do.
	Remedies map[string]remedy `json:"remedies"`
	// Proposals is how many rows `caregate learn --observed` proposes; absent while no
	// gateway runs.
	Proposals *int `json:"proposals,omitempty"`
}

type remedy struct {
	Means string `json:"means"`
	Fix   string `json:"fix"`
}

func newObservedReport(ctx context.Context, dir string, r *policy.ObservedReport, window [2]time.Time) (*observedReport, error) {
	out := &observedReport{ObservedReport: r, Remedies: make(map[string]remedy)}
	for i, at := range []**time.Time{&out.Since, &out.Until} {
		if !window[i].IsZero() {
			utc := window[i].UTC()
			*at = &utc
		}
	}
	for _, b := range r.Breaks {
		out.Remedies[b.Why] = remedyFor(b.Why)
	}
	var o console.Observed
	_, err := newGateway(dir).call(ctx, http.MethodGet, "/observed", nil, &o)
	if errors.Is(err, errNotRunning) {
		return out, nil
	}
	n := len(o.Proposals)
	out.Proposals = &n
	return out, err
}

// remedyFor explains why calls would not have gone on as they did.
func remedyFor(why string) remedy {
	switch why {
	case policy.BreakSigned:
		return remedy{"The call vouches for its own bytes with a signature, and something in them would be masked: the system behind would refuse it.", "Take the value out before it is signed, or leave the class as it is for this route or role."}
	case policy.BreakNumber:
		return remedy{"A number in the answer would become null.", "Mark the field in a channel file as one that is never rewritten, if it is no such number; else see that the program bears null."}
	}
	if reason, ok := proxy.LookupReason(why); ok {
		return remedy{reason.What, reason.Fix}
	}
	return remedy{"A rule of this deployment refuses the call.", "Look at the rule, and at an example with `caregate explain`."}
}

func (r *observedReport) print(out io.Writer) error {
	if len(r.Treated) > 0 {
		t := newTable(out, "FINDINGS", "MAY BE NONE", "CLASS", "WOULD", "IN", "ROUTE", "WHO", "FOR EXAMPLE")
		for i := range r.Treated[:min(len(r.Treated), mostChanges)] {
			c := &r.Treated[i]
			t.row(c.Findings, dash(doubtWords(c)), c.Class, c.Action, c.Direction, c.Route, whoWords(&c.Integration), c.Receipts[0])
		}
		if err := t.print(); err != nil {
			return err
		}
		printMore(out, len(r.Treated))
		fmt.Fprintln(out)
	}
	if len(r.Breaks) > 0 {
		t := newTable(out, "CALLS", "CALLERS", "WOULD BREAK", "IN", "CALL", "WHO", "FOR EXAMPLE")
		for i := range r.Breaks[:min(len(r.Breaks), mostChanges)] {
			b := &r.Breaks[i]
			t.row(b.Calls, b.Callers, strings.TrimSpace(b.Why+" "+b.Needs), b.Direction, b.Route+" "+b.Channel+":"+b.Operation, whoWords(&b.Integration), b.Receipts[0])
		}
		if err := t.print(); err != nil {
			return err
		}
		printMore(out, len(r.Breaks))
		fmt.Fprintln(out)
		for _, why := range slices.Sorted(maps.Keys(r.Remedies)) {
			fmt.Fprintf(out, "%s: %s %s\n", why, r.Remedies[why].Means, r.Remedies[why].Fix)
		}
		fmt.Fprintln(out)
	}
	_, err := fmt.Fprintf(out, "%d requests and answers in %d situations, under policy %.12s\n", r.Halves, r.Situations, r.Policy)
	if r.Without > 0 {
		fmt.Fprintf(out, "%d were recorded without what the rules saw, or by a newer version, and were left out\n", r.Without)
	}
	if r.Proposals != nil && *r.Proposals > 0 {
		fmt.Fprintf(out, "rows of the allow-list that caregate learn --observed proposes: %d\n", *r.Proposals)
	}
	return err
}

func printMore(out io.Writer, rows int) {
	if more := rows - mostChanges; more > 0 {
		fmt.Fprintf(out, "and %d rows more, see --json\n", more)
	}
}

// doubtWords says how many findings may be none, and what spoke for most of them.
func doubtWords(t *policy.Treated) string {
	if len(t.Doubts) == 0 {
		return ""
	}
	most := slices.MaxFunc(slices.Sorted(maps.Keys(t.Doubts)), func(a, b string) int { return t.Doubts[a] - t.Doubts[b] })
	return fmt.Sprintf("%d (%s)", t.Doubtful(), most)
}

func whoWords(i *policy.Integration) string {
	return strings.Join(slices.DeleteFunc([]string{i.Kind, strings.Join(i.Roles, ","), i.Program}, func(s string) bool { return s == "" }), " ")
}

//go:embed observed.html
var observedSource string

// observedPage is the report for a browser. It loads nothing.
var observedPage = template.Must(template.New("observed").Parse(observedSource))
