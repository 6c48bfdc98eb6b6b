package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newRequest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "request",
		Short: "Keep the register of what persons ask for by law",
		Long: `A person asks for access, portability, deletion, correction, restriction, objects, opts out of
sale and sharing, or limits the use of sensitive data. The register keeps what was asked
when, by when the law of the place wants an answer, who found out that the person is who
they say, and what became of each thing. A deadline that comes is raised in the gateway's
log, in a metric and in the audit log.

It sends nothing, makes no package and erases nothing at vendors: people do that, and
note it here. Nothing about a person is shown or noted before somebody noted how they
proved who they are (` + "`caregate request verify`" + `).

The gateway must be running. Whoever may open the socket in its data directory takes
requests in and lists them; the rest is for the role dpo (--credential). Every step is in
the audit log. See docs/requests.md. No legal advice.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRequestOpen(), newRequestList(), newRequestShow(), newRequestAcknowledge(), newRequestVerify(), newRequestReauthenticate(), newRequestPause(), newRequestResume(),
		newRequestRestart(), newRequestExtend(), newRequestNote(), newRequestRefuse(), newRequestClose())
	return cmd
}

const requestArg = "request (see `caregate request list`)"

// requestID checks an id before it becomes part of a path.
func requestID(s string) (string, error) {
	if id, err := keyID(s); err == nil {
		return id, nil
	}
	return "", wrongUsage("want the id of a request (see `caregate request list`)")
}

func newRequestOpen() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "open KIND [SUBJECT...] [--from FILE] --place CODE --manner HOW [--received TIME] [--requester FILE] [--agent] [--json]",
		Short: "Open a request: its clocks run from when it was received",
		Long: `Opens a request. KIND is access, portability, deletion, correction, restriction, objection,
opt-out or limit-sensitive. SUBJECT is a name by which the person asks (email:ADDRESS,
phone:NUMBER, CHANNEL:OBJECT:ID); several of them are proven one by one. --from reads them from a
file, one a line, - from standard input, so that they do not stay in the shell's history.

--place chooses the law: a country of the European Economic Area as de or fr, gb (gb-eaw,
gb-sct, gb-nir for the holidays there), us-ca, us-co, us-ct, us-tx, us-va, br.

--requester is a file, or - for standard input, with who asks and how to reach them as JSON:
{"name": "", "address": "", "agent": "", "note": ""}. It is sealed, and shown by
` + "`caregate request show --requester`" + ` only.

An opt-out and a limit set the flag of the person at once: nobody proves who they are for it.`,
		Example: `  caregate request open deletion email:jane@example.com --place de --manner email --requester who.json
  caregate request open opt-out email:jane@example.com --place us-ca --manner signal --json`,
		Args: cobra.ArbitraryArgs,
	}
	flags := cmd.Flags()
	place := flags.String("place", "", "Where the person is: de, fr, gb, us-ca ...")
	from := flags.String("from", "", "File with subjects, one a line; - is standard input")
	manner := flags.String("manner", "", "How it came: form, email, phone, post, in_person, signal, other")
	received := flags.String("received", "", "When it was received: 2026-11-22T08:00:00Z, or 2h for a time ago (default: now)")
	requester := flags.String("requester", "", "File with who asks, as JSON; - is standard input")
	agent := flags.Bool("agent", false, "Somebody else asks for the person")
	flags.Bool("json", false, "Print the request as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *from != "" {
			more, err := readSubjects(cmd, *from)
			if err != nil {
				return err
			}
			args = append(args, more...)
		}
		if len(args) < 2 || *place == "" || *manner == "" {
			return wrongUsage("want a kind, subjects, --place and --manner")
		}
		kind := args[0]
		if long, ok := map[string]string{"opt-out": "opt_out_sale_sharing", "limit-sensitive": "limit_sensitive"}[kind]; ok {
			kind = long
		}
		if *from == "-" && *requester == "-" {
			return wrongUsage("--from and --requester cannot both read standard input")
		}
		wish := map[string]any{"kind": kind, "place": *place, "manner": *manner, "subjects": args[1:], "agent": *agent}
		at, err := readInstant("--received", *received, time.Now())
		if err != nil {
			return err
		}
		if !at.IsZero() {
			wish["received"] = at
		}
		if *requester != "" {
			who, err := readRequester(cmd, *requester)
			if err != nil {
				return err
			}
			wish["requester"] = who
		}
		return ask(cmd, "POST", "/requests", wish, func(r console.PrivacyRequest, receipt string) error {
			fmt.Fprintf(cmd.ErrOrStderr(), "Request %s is open (receipt %s).\n", r.ID, receipt)
			return printRequest(cmd.OutOrStdout(), r)
		})
	}
	return cmd
}

// maxRequester bounds the file about who asks, in bytes.
const maxRequester = 16 << 10

func readRequester(cmd *cobra.Command, file string) (who console.RequestRequester, err error) {
	in := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return who, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxRequester+1))
	if err != nil {
		return who, err
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if len(text) > maxRequester || d.Decode(&who) != nil {
		return who, wrongUsage(`--requester wants JSON: {"name": "", "address": "", "agent": "", "note": ""}`)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return who, wrongUsage("--requester: something follows the object")
	}
	return who, nil
}

func newRequestList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--overdue] [--json]",
		Short: "List requests, what is due first",
		Long: `Lists the requests: those that are open first, and of those what is due first. It names nobody.
With --overdue it lists those of which something is behind the plan or the law, and ends with 1
when there is one: for a job that watches.`,
		Example: `  caregate request list
  caregate request list --overdue || page-somebody`,
		Args: noArgs,
	}
	overdue := cmd.Flags().Bool("overdue", false, "Only those with something overdue; exit code 1 when there is one")
	asJSON := cmd.Flags().Bool("json", false, "Print the list as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		var list struct {
			Requests []console.PrivacyRequest `json:"requests"`
		}
		if _, err := g.call(cmd.Context(), "GET", "/requests", nil, &list); err != nil {
			return err
		}
		if *overdue {
			list.Requests = slices.DeleteFunc(list.Requests, func(r console.PrivacyRequest) bool {
				return !slices.ContainsFunc(r.Duties, func(d console.RequestDuty) bool { return d.Urgency == "overdue" || d.Urgency == "late" })
			})
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), list)
		} else {
			err = printRequests(cmd.OutOrStdout(), list.Requests)
		}
		if err == nil && *overdue && len(list.Requests) > 0 {
			return errSilent
		}
		return err
	}
	return cmd
}

func printRequests(w io.Writer, list []console.PrivacyRequest) error {
	t := newTable(w, "REQUEST", "KIND", "PLACE", "STATE", "RECEIVED", "NEXT", "PLAN BY", "LEGAL DUE", "URGENCY")
	for _, r := range list {
		next := console.RequestDuty{What: "-"}
		for _, d := range r.Duties {
			if d.Done.IsZero() && (next.Rule == "" || d.PlanBy.Before(next.PlanBy)) {
				next = d
			}
		}
		plan, legal := "-", "-"
		if next.Rule != "" {
			plan, legal = instant(next.PlanBy), instant(next.LegalDue)
		}
		t.row(r.ID, r.Kind, r.Place, r.State, instant(r.Received), next.What, plan, legal, dash(next.Urgency))
	}
	return t.print()
}

func newRequestShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show REQUEST [--requester | --records [--linked] | --items] [--after PLACE] [--limit N] [--json]",
		Short: "Show a request, who asks, what is known of the person or what became of it",
		Long: `Shows a request: its clocks with why they end when they do, checks, what was noted, and its
history. It names nobody.

--requester shows who asks instead, --records the records that the gateway knows of the person,
each with its place, and --items what became of each. They are for the role dpo and in the audit
log. Records and items are shown only after somebody noted how the person proved who they are, and
only of the names that were proven; with --linked also of names that a vendor's profile, or
somebody here, says are the same person's.`,
		Example: `  caregate request show 3k9f...
  caregate request show 3k9f... --records --linked --credential dpo.key --json`,
		Args: oneArg(requestArg),
	}
	flags := cmd.Flags()
	requester := flags.Bool("requester", false, "Who asks")
	records := flags.Bool("records", false, "Which records the gateway knows of the person")
	linked := flags.Bool("linked", false, "With --records: also of names that are the same person's")
	items := flags.Bool("items", false, "What became of each thing")
	after := flags.String("after", "", "With --records and --items: the last place of the page before")
	limit := flags.Int("limit", 100, "With --records and --items: the most to print, up to 10000")
	flags.Bool("json", false, "Print JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.MarkFlagsMutuallyExclusive("requester", "records", "items")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := requestID(args[0])
		if err != nil {
			return err
		}
		if *limit < 1 || *limit > console.MaxFound {
			return wrongUsage("--limit lies between 1 and %d", console.MaxFound)
		}
		if *linked && !*records || *after != "" && !*records && !*items {
			return wrongUsage("--linked belongs to --records, --after to --records and --items")
		}
		wish := map[string]any{"limit": *limit}
		if *after != "" {
			wish["after"] = *after
		}
		switch {
		case *requester:
			return ask(cmd, "POST", "/requests/"+id+"/requester", nil, func(who console.RequestRequester, _ string) error {
				t := newTable(cmd.OutOrStdout(), "REQUEST", id)
				for _, p := range [][2]string{{"name", who.Name}, {"address", who.Address}, {"agent", who.Agent}, {"note", who.Note}} {
					t.row(p[0], dash(p[1]))
				}
				return t.print()
			})
		case *records:
			wish["linked"] = *linked
			return ask(cmd, "POST", "/requests/"+id+"/records", wish, func(list console.RecordList, _ string) error { return printRecords(cmd, list) })
		case *items:
			return ask(cmd, "POST", "/requests/"+id+"/items", wish, func(list console.RequestItems, _ string) error { return printItems(cmd, list) })
		}
		return ask(cmd, "GET", "/requests/"+id, nil, func(r console.PrivacyRequest, _ string) error { return printRequest(cmd.OutOrStdout(), r) })
	}
	return cmd
}

func printItems(cmd *cobra.Command, list console.RequestItems) error {
	t := newTable(cmd.OutOrStdout(), "PLACE", "RESULT", "HOLD", "STATUTE", "UNTIL", "NOTED", "BY")
	for _, it := range list.Items {
		t.row(it.Place, it.Result, dash(it.Hold), dash(it.Statute), dash(it.Until), instant(it.At), it.By)
	}
	if err := t.print(); err != nil {
		return err
	}
	sayMore(cmd, list.More)
	return nil
}

func printRequest(w io.Writer, r console.PrivacyRequest) error {
	t := newTable(w, "REQUEST", r.ID)
	t.row("kind", r.Kind)
	t.row("place", r.Place)
	t.row("received", instant(r.Received)+" by "+r.Manner)
	t.row("opened", instant(r.Opened)+" by "+r.OpenedBy)
	t.row("state", r.State)
	if r.Agent {
		t.row("agent", "asks with "+dash(r.Authority))
	}
	for i, n := range r.Names {
		says := "nobody has found out whose it is"
		if !n.Verified.IsZero() {
			says = "proven " + instant(n.Verified) + " by " + n.Method
		}
		t.row("name "+strconv.Itoa(i+1), says)
	}
	if r.FailedChecks > 0 {
		t.row("failed checks", r.FailedChecks)
	}
	if !r.Authenticated.IsZero() {
		t.row("proven again", instant(r.Authenticated))
	}
	for _, d := range r.Duties {
		says := "plan by " + instant(d.PlanBy) + ", due before " + instant(d.LegalDue)
		switch {
		case !d.Done.IsZero():
			says = "done " + instant(d.Done)
		case d.NeedsHuman:
			says += ": NOBODY WATCHES IT"
		case d.Urgency != "":
			says += ": " + d.Urgency
		}
		if d.PauseCause != "" {
			says += " (stands still for " + d.PauseCause + " since " + instant(d.PausedSince) + ")"
		}
		t.row(d.What, says)
		for _, s := range d.Steps {
			t.row("", s)
		}
	}
	if !r.RefuseBy.IsZero() {
		t.row("refuse", "before "+instant(r.RefuseBy))
	}
	for _, result := range slices.Sorted(maps.Keys(r.Items)) {
		t.row(result, r.Items[result])
	}
	for _, d := range r.Duplicates {
		t.row("same person, same kind", d)
	}
	if !r.Closed.IsZero() {
		says := instant(r.Closed) + " by " + r.ClosedBy + ", told by " + r.Notice
		if r.Reason != "" {
			says += ", reason " + r.Reason
		}
		if r.Other != "" {
			says += ", answered by " + r.Other
		}
		t.row("closed", says)
	}
	for _, e := range r.History {
		t.row("", instant(e.At)+" "+strings.TrimPrefix(e.Kind, "request.")+" by "+e.Actor)
	}
	return t.print()
}

// changingRequest completes a command that changes one: deed is the last part of the path, wish
// the body.
func changingRequest(cmd *cobra.Command, deed func() string, wish func() (map[string]any, error)) *cobra.Command {
	cmd.Flags().Bool("json", false, "Print the request as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := requestID(args[0])
		if err != nil {
			return err
		}
		body, err := wish()
		if err != nil {
			return err
		}
		return ask(cmd, "POST", "/requests/"+id+"/"+deed(), body, func(r console.PrivacyRequest, receipt string) error {
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Noted; request %s is %s (receipt %s).\n", r.ID, r.State, receipt)
			return err
		})
	}
	return cmd
}

// is is a deed that does not depend on flags.
func is(deed string) func() string { return func() string { return deed } }

// requestTime adds a flag for a time and reads it into the body.
func requestTime(cmd *cobra.Command, flag, member, usage string) func(map[string]any) error {
	text := cmd.Flags().String(flag, "", usage+": 2026-11-22T08:00:00Z, or 2h for a time ago (default: now)")
	return func(body map[string]any) error {
		at, err := readInstant("--"+flag, *text, time.Now())
		if !at.IsZero() {
			body[member] = at
		}
		return err
	}
}

// requestWords adds flags that are required, and reads them into the body under their names.
func requestWords(cmd *cobra.Command, usages map[string]string) func(map[string]any) error {
	words := map[string]*string{}
	for name, usage := range usages {
		words[name] = cmd.Flags().String(name, "", usage)
	}
	return func(body map[string]any) error {
		for name, v := range words {
			if *v == "" {
				all := []string{}
				for name := range words {
					all = append(all, "--"+name)
				}
				slices.Sort(all)
				return wrongUsage("want %s", strings.Join(all, ", "))
			}
			body[name] = *v
		}
		return nil
	}
}

// filled makes a body of its parts.
func filled(parts ...func(map[string]any) error) func() (map[string]any, error) {
	return func() (map[string]any, error) {
		body := map[string]any{}
		for _, p := range parts {
			if err := p(body); err != nil {
				return nil, err
			}
		}
		return body, nil
	}
}

const noticeUsage = "Number of what the person was told: letters, digits and ._:/-"

func newRequestAcknowledge() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "acknowledge REQUEST --notice NUMBER [--at TIME] [--json]",
		Short:   "Note that the person was told that the request came in",
		Long:    `Notes that receipt was confirmed, where the law wants that (in California within 10 business days). The gateway sends nothing: send it, and note it here.`,
		Example: `  caregate request acknowledge 3k9f... --notice MAIL-17 --credential dpo.key`,
		Args:    oneArg(requestArg),
	}
	return changingRequest(cmd, is("acknowledge"), filled(requestWords(cmd, map[string]string{"notice": noticeUsage}), requestTime(cmd, "at", "at", "When it was sent")))
}

const (
	methodUsage = "How: account, callback, data_points, data_points_signed, document, email_code, in_person, phone_code, power_of_attorney"
	proofUsage  = "Number of the record of the check: letters, digits, dashes and underscores; it counts once"
)

func newRequestVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify REQUEST --method HOW --proof NUMBER [--name N]... [--authority RIGHT] [--at TIME] [--failed] [--json]",
		Short: "Note how the person proved who they are, or that they did not",
		Long: `Notes a check of who the person is: how it was made, and under which number its record is kept.
Keep no copy of a document. From then on the records of the name are shown, and what becomes
of them can be noted; a restriction and an objection set the person's flag. A request with
several names says which ones were proven (--name, from 1). The record of a check counts once,
in all requests, and none that is older than the request counts. An agent's request says with what
right the agent asks (--authority signed_permission, confirmed_by_person, power_of_attorney).

With data_points (two things that both know) a request for access in California opens no
records: answer it with categories.

--failed notes that the check did not find the person to be who they say. After five of them the
request can only be refused.`,
		Example: `  caregate request verify 3k9f... --method email_code --proof CHECK-12 --credential dpo.key`,
		Args:    oneArg(requestArg),
	}
	names := cmd.Flags().IntSlice("name", nil, "Number of a name that was proven, from 1; can be repeated")
	authority := cmd.Flags().String("authority", "", "With what right an agent asks")
	failed := cmd.Flags().Bool("failed", false, "The check did not find the person to be who they say")
	return changingRequest(cmd, is("verify"), filled(requestWords(cmd, map[string]string{"method": methodUsage, "proof": proofUsage}), requestTime(cmd, "at", "at", "When it was made"), func(body map[string]any) error {
		if len(*names) > 0 {
			body["names"] = *names
		}
		if *authority != "" {
			body["authority"] = *authority
		}
		body["failed"] = *failed
		return nil
	}))
}

func newRequestReauthenticate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reauthenticate REQUEST --method HOW --proof NUMBER [--at TIME] [--json]",
		Short: "Note that a person who asks for deletion proved again who they are",
		Long: `Notes a second check, of its own, of a person who asks for deletion. It is made a day at most before
the first thing is noted as erased or redacted: that is refused otherwise.`,
		Example: `  caregate request reauthenticate 3k9f... --method account --proof CHECK-13 --credential dpo.key`,
		Args:    oneArg(requestArg),
	}
	return changingRequest(cmd, is("reauthenticate"), filled(requestWords(cmd, map[string]string{"method": methodUsage, "proof": proofUsage}), requestTime(cmd, "at", "at", "When it was made")))
}

func newRequestPause() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause REQUEST --cause CAUSE --notice NUMBER [--at TIME] [--json]",
		Short: "Have the clock stand still while the person is asked for something",
		Long: `Notes that the person was asked for something, so that the clock to answer stands still, where the
law knows that: for identity in the European Economic Area, for clarification in the United
Kingdom. In the United States nothing pauses. A check that proves who the person is ends a pause
for identity.`,
		Example: `  caregate request pause 3k9f... --cause identity --notice LETTER-12 --credential dpo.key`,
		Args:    oneArg(requestArg),
	}
	return changingRequest(cmd, is("pause"), filled(requestWords(cmd, map[string]string{"cause": "For what: identity, clarification, as the rule has it", "notice": noticeUsage}), requestTime(cmd, "at", "at", "When the person was asked")))
}

func newRequestResume() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "resume REQUEST [--at TIME] [--json]",
		Short:   "Have the clock go on: the answer is there",
		Long:    `Notes that the person has answered, so that the clock goes on.`,
		Example: `  caregate request resume 3k9f... --credential dpo.key`,
		Args:    oneArg(requestArg),
	}
	return changingRequest(cmd, is("resume"), filled(requestTime(cmd, "at", "at", "When the answer came")))
}

func newRequestRestart() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restart REQUEST --cause CAUSE [--from TIME] [--json]",
		Short: "Have the clock count from another moment",
		Long: `Has the clock to answer count from another moment, where the law knows that: in the United Kingdom
from when the information about the identity that was asked for came (identity). That has to be
before the time to answer is over, and before it is known who the person is.`,
		Example: `  caregate request restart 3k9f... --cause identity --credential dpo.key`,
		Args:    oneArg(requestArg),
	}
	return changingRequest(cmd, is("restart"), filled(requestWords(cmd, map[string]string{"cause": "For what: identity"}), requestTime(cmd, "from", "from", "What it counts from")))
}

func newRequestExtend() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "extend REQUEST --reason WHY --notice NUMBER [--at TIME] [--json]",
		Short: "Note that the person was told in time that it takes longer",
		Long: `Notes that the person was told, within the period and with reasons, that the answer takes longer. The
law extends once. It does not move the moment until when a refusal is told in the European Economic
Area. The gateway sends nothing: send it, and note it here.`,
		Example: `  caregate request extend 3k9f... --reason complexity --notice MAIL-18 --credential dpo.key`,
		Args:    oneArg(requestArg),
	}
	return changingRequest(cmd, is("extend"), filled(requestWords(cmd, map[string]string{"reason": "complexity, or number (of requests)", "notice": noticeUsage}), requestTime(cmd, "at", "at", "When the person was told")))
}

func newRequestNote() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "note REQUEST [PLACE=RESULT...] [--rest RESULT] [--from FILE] [--json]",
		Short: "Note what became of each thing",
		Long: `Notes what became of things, in place of what was noted of them before. It changes nothing but the
register: erase, redact, send and correct first, and note it then.

PLACE is a record as ` + "`caregate request show --records`" + ` prints it, the code of another system, or * with
not_found for a person of whom nothing is known. RESULT is, for access and portability, provided,
withheld (others have rights in it), not_found, by_hand; for deletion erased, redacted,
kept_hold:HOLD, kept_statute:STATUTE:DAY, not_found, by_hand; for correction corrected,
unchanged, not_found, by_hand. What is by_hand is still to be done, and keeps the request open.

--rest gives every record a result that the gateway knows of the person and of which nothing is
noted. --from reads PLACE=RESULT from a file, one a line; - is standard input.`,
		Example: `  caregate request note 3k9f... zendesk/acme.zendesk.com/ticket/35=kept_hold:7p3m... billing=kept_statute:AO-147:2030-12-31 --credential dpo.key
  caregate request note 3k9f... --rest erased --credential dpo.key`,
		Args: cobra.MinimumNArgs(1),
	}
	rest := cmd.Flags().String("rest", "", "Result of every known record of which nothing is noted")
	from := cmd.Flags().String("from", "", "File with PLACE=RESULT, one a line; - is standard input")
	var lines []string
	changingRequest(cmd, is("note"), func() (map[string]any, error) {
		body := map[string]any{}
		if *from != "" {
			more, err := readSubjects(cmd, *from)
			if err != nil {
				return nil, err
			}
			lines = append(lines, more...)
		}
		items := []console.RequestItem{}
		for _, line := range lines {
			it, err := requestItem(line)
			if err != nil {
				return nil, err
			}
			items = append(items, it)
		}
		if len(items) == 0 && *rest == "" {
			return nil, wrongUsage("want PLACE=RESULT, --from or --rest")
		}
		if len(items) > 0 {
			body["items"] = items
		}
		if *rest != "" {
			body["rest"] = *rest
		}
		return body, nil
	})
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		lines = args[1:]
		return run(cmd, args)
	}
	return cmd
}

// requestItem reads PLACE=RESULT, with what a result names behind colons. A place may have an equals
// sign, a result none.
func requestItem(line string) (it console.RequestItem, err error) {
	i := strings.LastIndex(line, "=")
	if i <= 0 {
		return it, wrongUsage("want PLACE=RESULT")
	}
	it.Place = line[:i]
	parts := strings.Split(line[i+1:], ":")
	it.Result = parts[0]
	switch {
	case it.Result == "kept_hold" && len(parts) == 2:
		it.Hold = parts[1]
	case it.Result == "kept_statute" && len(parts) == 3:
		it.Statute, it.Until = parts[1], parts[2]
	case len(parts) != 1 || it.Result == "" || it.Result == "kept_hold" || it.Result == "kept_statute":
		return it, wrongUsage("want kept_hold:HOLD, kept_statute:STATUTE:DAY, or a result by itself")
	}
	return it, nil
}

func newRequestRefuse() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "refuse REQUEST --reason CODE --notice NUMBER [--json]",
		Short: "Close a request that was refused",
		Long: `Closes a request that was refused, for a reason that the law of the place knows for this kind: a wrong
one is answered with those that there are. Before it is known who the person is, only identity,
agent_authority, fraudulent and not_controller refuse it: they say nothing about the person. The
gateway sends nothing: tell the person, with where to complain, and note it here.`,
		Example: `  caregate request refuse 3k9f... --reason identity --notice MAIL-19 --credential dpo.key`,
		Args:    oneArg(requestArg),
	}
	return changingRequest(cmd, is("refuse"), filled(requestWords(cmd, map[string]string{"reason": "Why, a code that the law knows", "notice": noticeUsage})))
}

func newRequestClose() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "close REQUEST --notice NUMBER [--withdrawn | --duplicate-of REQUEST] [--json]",
		Short: "Close a request that was answered, taken back, or asked twice",
		Long: `Closes a request that was answered: the person is known, what became of each thing is noted, nothing is
left to be done by hand, and of access, portability and deletion every record that the gateway
knows of the person has a result. --notice is the number of what the person was told.

--withdrawn closes one that the person takes back, --duplicate-of one that an earlier request of
the same kind answers, whose person is known by the same names. The gateway sends nothing.`,
		Example: `  caregate request close 3k9f... --notice MAIL-20 --credential dpo.key`,
		Args:    oneArg(requestArg),
	}
	withdrawn := cmd.Flags().Bool("withdrawn", false, "The person takes it back")
	other := cmd.Flags().String("duplicate-of", "", "The request that answers this one")
	cmd.MarkFlagsMutuallyExclusive("withdrawn", "duplicate-of")
	return changingRequest(cmd, func() string {
		switch {
		case *withdrawn:
			return "withdraw"
		case *other != "":
			return "duplicate"
		}
		return "answer"
	}, filled(requestWords(cmd, map[string]string{"notice": noticeUsage}), func(body map[string]any) error {
		if *other == "" {
			return nil
		}
		id, err := requestID(*other)
		body["other"] = id
		return err
	}))
}
