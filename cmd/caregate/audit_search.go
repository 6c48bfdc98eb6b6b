package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy"
)

// question is what the flags of search and exposures ask, in the members of the API.
type question struct {
	search  console.Search
	from    string
	to      string
	members map[string]any
}

// questionFlags adds what both commands may be asked by.
func questionFlags(cmd *cobra.Command) *question {
	q := &question{}
	f := cmd.Flags()
	f.StringVar(&q.from, "from", "", "From this time on: 2026-11-22, 2026-11-22T08:00:00Z, or 24h or 30d for a time ago")
	f.StringVar(&q.to, "to", "", "Before this time, written like --from")
	f.StringVar(&q.search.Actor, "actor", "", "The caller: key:ID, local, or the e-mail address it named or a token vouched for")
	f.StringVar(&q.search.Same, "same", "", "The caller of the call with this receipt")
	f.StringVar(&q.search.Subject, "subject", "", "The person: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID; - reads it from standard input")
	f.StringVar(&q.search.Record, "record", "", "The vendor's object: CHANNEL:OBJECT:ID, as zendesk:ticket:35")
	f.StringVar(&q.search.Class, "class", "", "The data class that was released in the clear")
	f.StringVar(&q.search.Route, "route", "", "The route")
	f.StringVar(&q.search.Channel, "channel", "", "The channel")
	f.StringVar(&q.search.Operation, "operation", "", "The operation: ticket.list")
	f.IntVar(&q.search.Limit, "limit", 100, "The most rows to print, up to 10000")
	return q
}

// read completes the question.
func (q *question) read(cmd *cobra.Command) (err error) {
	s := &q.search
	now := time.Now()
	if s.From, err = readInstant("--from", q.from, now); err != nil {
		return err
	}
	if s.To, err = readInstant("--to", q.to, now); err != nil {
		return err
	}
	if s.Subject == "-" {
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		s.Subject = strings.TrimSpace(line)
	}
	if s.Same != "" && s.Actor != "" {
		return wrongUsage("want --same or --actor, not both")
	}
	if s.Limit < 1 || s.Limit > console.MaxFound {
		return wrongUsage("--limit lies between 1 and %d", console.MaxFound)
	}
	q.members = map[string]any{"limit": s.Limit}
	for name, v := range map[string]string{
		"same": s.Same, "actor": s.Actor, "subject": s.Subject, "record": s.Record, "class": s.Class, "type": s.Type,
		"route": s.Route, "channel": s.Channel, "operation": s.Operation, "decision": s.Decision, "reason": s.Reason,
	} {
		if v != "" {
			q.members[name] = v
		}
	}
	for name, v := range map[string]time.Time{"from": s.From, "to": s.To} {
		if !v.IsZero() {
			q.members[name] = v
		}
	}
	return nil
}

// readInstant reads a time, a day (its beginning, UTC), or how long ago, in days too.
func readInstant(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if ago, err := time.ParseDuration(s); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, wrongUsage("%s: want 2026-11-22, 2026-11-22T08:00:00Z, or 24h or 30d for a time ago", flag)
}

// searched puts the question to the running gateway, so that it is on record, or to the
// files when none runs.
func searched[T any](cmd *cobra.Command, q *question, path string, offline func(context.Context, proxy.DataConfig, console.Search) (T, error)) (list T, err error) {
	if err := q.read(cmd); err != nil {
		return list, err
	}
	p, err := findPlace(cmd)
	if err != nil {
		return list, err
	}
	_, err = newGateway(p.Dir).call(cmd.Context(), "POST", path, q.members, &list)
	if !errors.Is(err, errNotRunning) {
		return list, err
	}
	list, err = offline(cmd.Context(), p.DataConfig, q.search)
	switch {
	case errors.Is(err, console.ErrInvalid):
		return list, wrongUsage("a subject is email:ADDRESS, phone:NUMBER or CHANNEL:OBJECT:ID, a record CHANNEL:OBJECT:ID, --same a receipt")
	case errors.Is(err, console.ErrNotFound):
		return list, fail("a receipt belongs to one deployment: --data names the directory of another", "the log in %s holds no event of this receipt", p.Dir)
	}
	return list, err
}

func newAuditSearch() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "search [--from TIME] [--to TIME] [--actor ID] [--subject PERSON] ...",
		Short: "Find events by person, record, class, place and time",
		Long: `Finds events of the log, the newest first. What is given must hold together.

Callers, persons and records stand in the log as pseudonyms; those you name are
looked up with the keys of this deployment, and nobody is named in the answer. A
caller given by e-mail address is who named it in the call or proved it with a token,
whatever the credential; --same finds the caller of a receipt in all half years.
` + "`caregate explain RECEIPT`" + ` tells the story of one event.

The running gateway answers, and that the question was asked is itself in the log.
When none runs, the files are read. The answer comes from an index, which is no
evidence: ` + "`caregate audit verify`" + ` holds it against the log.`,
		Example: `  caregate audit search --from 24h --decision deny
  caregate audit search --subject email:jane@example.com --from 2026-11-01 --json
  caregate audit search --record zendesk:ticket:35`,
		Args: noArgs,
	}
	q := questionFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&q.search.Type, "type", "", "The event's type: request.decided, response.decided, exchange.refused ...")
	flags.StringVar(&q.search.Decision, "decision", "", "allow or deny")
	flags.StringVar(&q.search.Reason, "reason", "", "The reason's code (see docs/reasons.md)")
	asJSON := flags.Bool("json", false, "Print JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := searched(cmd, q, "/events/search", proxy.SearchEvents)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		t := newTable(cmd.OutOrStdout(), "TIME", "TYPE", "ROUTE", "OPERATION", "DECISION", "STATUS", "ACTOR", "IDENTITY", "RECEIPT")
		for _, e := range list.Events {
			decision := e.Decision
			if e.Reason != "" {
				decision += " " + e.Reason
			}
			status := "-"
			if e.Status != 0 {
				status = fmt.Sprint(e.Status)
			}
			t.row(instant(e.Time), e.Type, dash(e.Route), dash(e.Operation), dash(decision), status, dash(shortName(e.Actor)), dash(e.Identity), e.Receipt)
		}
		if err := t.print(); err != nil {
			return err
		}
		sayMore(cmd, list.More)
		sayNotAsked(cmd, list.NotAsked)
		return nil
	}
	return cmd
}

func newAuditExposures() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exposures [--class CLASS] [--actor ID | --same RECEIPT] [--from TIME] [--to TIME] ...",
		Short: "Say whose data was released in the clear, and to whom",
		Long: `Says whose data of which class was released in the clear, to whom, over which route:
a row for each person or record, class, caller, identity and route. A page of 1,000
tickets with a card number each is 1,000 rows. Masked values are no release.

The answer is as good as two things that stand beside it. IDENTITY is how well the
caller was known: a credential may be shared, an asserted user is what the call
claimed, a proven one is vouched for. COVERAGE counts the answers of the same caller
and time that held bytes which nobody inspected: what those showed, nobody knows.

Without --class it is about all classes. Persons, records and callers are pseudonyms,
as in ` + "`caregate audit search`" + `, which also says where the answer comes from.`,
		Example: `  caregate audit exposures --class credit_card --from 2026-11-01 --to 2026-11-08
  caregate audit exposures --class us_ssn --same 3f0c9a7be21d4a58b6c1d2e3f4a5b6c7 --from 72h
  caregate audit exposures --subject email:jane@example.com --json`,
		Args: noArgs,
	}
	q := questionFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := searched(cmd, q, "/exposures/search", proxy.SearchExposures)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		return printExposures(cmd, list)
	}
	return cmd
}

func printExposures(cmd *cobra.Command, list console.ExposureList) error {
	out := cmd.OutOrStdout()
	t := newTable(out, "WHO", "CLASS", "ACTOR", "IDENTITY", "ROUTE", "TIMES", "FIRST", "LAST", "RECEIPT")
	for _, e := range list.Exposures {
		t.row(e.Kind+" "+shortName(e.Who), e.Class, dash(shortName(e.Actor)), dash(e.Identity), e.Route, e.Times, instant(e.First), instant(e.Last), e.Receipt)
	}
	if err := t.print(); err != nil {
		return err
	}
	sayMore(cmd, list.More)
	sayNotAsked(cmd, list.NotAsked)
	if len(list.Coverage) == 0 {
		fmt.Fprintln(out, "\nCoverage: no answer went out.")
		return nil
	}
	fmt.Fprintln(out)
	t = newTable(out, "COVERAGE", "ANSWERS", "WITH BYTES NOBODY INSPECTED")
	for _, c := range list.Coverage {
		t.row(c.Route, c.Answers, c.Unread)
	}
	return t.print()
}

// sayNotAsked tells whose logs the answer is not about.
func sayNotAsked(cmd *cobra.Command, not console.NotAsked) {
	if len(not.Gateways) > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "This is the log of one gateway; others on the database have their own, and were not asked: "+plain(strings.Join(not.Gateways, ", ")))
	}
}

// sayOneLog is sayNotAsked for what is read from files, without a question to the database.
func sayOneLog(cmd *cobra.Command, p *place) {
	if p.Gateway != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "This is the log of the gateway %s; others on the database have their own.\n", p.Gateway)
	}
}

// sayMore tells that the answer was cut.
func sayMore(cmd *cobra.Command, more bool) {
	if more {
		fmt.Fprintln(cmd.ErrOrStderr(), "There are more: narrow the question, or raise --limit.")
	}
}

// shortName is the beginning of a pseudonym, enough to tell people apart in a table.
func shortName(s string) string {
	if _, err := hex.DecodeString(s); err != nil || len(s) < 12 {
		return s
	}
	return s[:12]
}

// instant prints a time to the second.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }
