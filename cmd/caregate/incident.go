package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

func newIncident() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "incident",
		Short: "Suspicions of breaches, and the clocks of the notices that they owe",
		Long: `An incident begins with a suspicion. From then on the gateway counts: the time to
escalate inside and to report outside, and, once it is decided that it is a breach and
since when that was known, each period of law for the places and sectors concerned. If
nobody decides within 24 hours, it counts as known since the suspicion. What is due soon or
overdue is raised in the gateway's log, in a metric and in the audit log until somebody
acknowledges it. See docs/incidents.md. No legal advice.

The gateway must be running. Whoever may open the socket in its data directory is one
person to it, called local; people act with a token of theirs (--credential). What is a
breach and what is none only people decide who have proven a second factor.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newIncidentOpen(), newIncidentList(), newIncidentShow(), newIncidentAware(), newIncidentScope(), newIncidentNotice(), newIncidentAck(), newIncidentClose(), newIncidentAffected(), newIncidentClock())
	return cmd
}

// incidentID checks an id before it becomes part of a path.
func incidentID(s string) (string, error) {
	if id, err := keyID(s); err == nil {
		return id, nil
	}
	return "", wrongUsage("want the id of an incident (see `caregate incident list`)")
}

const incidentArg = "incident (see `caregate incident list`)"

// scopeFlags are the facts that notices follow from.
type scopeFlags struct {
	places, sectors *[]string
	words           map[string]*string // by the API's member
	times           map[string]*string
}

func addScopeFlags(cmd *cobra.Command) *scopeFlags {
	f := cmd.Flags()
	s := &scopeFlags{words: map[string]*string{}, times: map[string]*string{}}
	s.places = f.StringSlice("place", nil, "Where authorities or persons are concerned (repeatable): a country of the EEA as de or fr, gb, us, us-ca, us-tx, br")
	s.sectors = f.StringSlice("sector", nil, "Law of a sector that counts (repeatable): nis2, dora, cra, hipaa, sec")
	s.words["role"] = f.String("role", "", "Role towards the data: controller, processor or both (default: controller)")
	s.words["class"] = f.String("class", "", "Data class that it is about, for the affected list")
	s.words["route"] = f.String("route", "", "Route that it is about, for the affected list")
	s.words["receipt"] = f.String("receipt", "", "Receipt of a call of the caller that it is about, for the affected list")
	s.addMoments(cmd)
	s.times["from"] = f.String("from", "", "Beginning of the time in which it happened, for the affected list")
	s.times["to"] = f.String("to", "", "End of that time (default: it goes on)")
	return s
}

// addMoments adds the flags of moments that clocks count from.
func (s *scopeFlags) addMoments(cmd *cobra.Command) {
	f := cmd.Flags()
	s.times["high_risk_at"] = f.String("high-risk", "", "When a high risk for persons was found: 2026-11-22T08:00:00Z, or 2h for a time ago")
	s.times["material_at"] = f.String("material", "", "When materiality was decided (sector sec)")
	s.times["classified_at"] = f.String("classified", "", "When it was classified as major (sector dora)")
	s.times["fix_at"] = f.String("fix", "", "When a fix was available (sector cra)")
}

// read gives the members of the API.
func (s *scopeFlags) read() (map[string]any, error) {
	wish := map[string]any{}
	if s.places != nil && len(*s.places) > 0 {
		wish["places"] = *s.places
	}
	if s.sectors != nil && len(*s.sectors) > 0 {
		wish["sectors"] = *s.sectors
	}
	for name, v := range s.words {
		if *v != "" {
			wish[name] = *v
		}
	}
	flags := map[string]string{"high_risk_at": "--high-risk", "material_at": "--material", "classified_at": "--classified", "fix_at": "--fix", "from": "--from", "to": "--to"}
	for name, v := range s.times {
		at, err := readInstant(flags[name], *v, time.Now())
		if err != nil {
			return nil, err
		}
		if !at.IsZero() {
			wish[name] = at
		}
	}
	return wish, nil
}

// changingIncident completes a command that changes one: path is below the incident, wish what
// is sent, nil for nothing.
func changingIncident(cmd *cobra.Command, method string, path func(id string) string, wish func() (map[string]any, error)) {
	asJSON := cmd.Flags().Bool("json", false, "Print the incident as JSON")
	ticket := cmd.Flags().String("ticket", "", "Number of the change ticket, kept in the audit log")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id := ""
		if len(args) > 0 && path != nil {
			var err error
			if id, err = incidentID(args[0]); err != nil {
				return err
			}
		}
		var body any
		if wish != nil {
			members, err := wish()
			if err != nil {
				return err
			}
			if members != nil {
				body = members
			}
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		g.ticket = *ticket
		var i console.Incident
		receipt, err := g.call(cmd.Context(), method, "/incidents"+path(id), body, &i)
		if err != nil {
			return err
		}
		return printChanged(cmd, i, receipt, *asJSON)
	}
}

// printChanged prints an incident after a change.
func printChanged(cmd *cobra.Command, i console.Incident, receipt string, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), i)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Incident %s is %s (receipt %s).\n", i.ID, i.Phase, receipt)
	printIdle(cmd.ErrOrStderr(), i)
	return printDuties(cmd.OutOrStdout(), i.Duties)
}

// printIdle says from which facts no notice follows.
func printIdle(w io.Writer, i console.Incident) {
	if len(i.WithoutNotice) > 0 {
		fmt.Fprintf(w, "NO NOTICE follows from %s as things are known: is a place, a sector or the role missing?\n", strings.Join(i.WithoutNotice, ", "))
	}
}

func newIncidentOpen() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "open --title TEXT [--suspected TIME] [--place CODE] [--sector NAME] [--role ROLE] [--drill] ...",
		Short: "Open an incident: something may be a breach",
		Long: `Opens an incident. The clocks of the escalation and of the report outside begin at the
suspicion, and so does the time in which somebody has to decide. Places, sectors and the
rest can be added later (` + "`caregate incident scope`" + `). The title is for people and has no personal
data in it.

A drill owes nothing and leaves no duties; its steps are in the audit log, marked as a
drill's.`,
		Example: `  caregate incident open --title "Export nobody asked for" --suspected 2h --place de --from 24h
  caregate incident open --title "Exercise of the quarter" --drill`,
		Args: noArgs,
	}
	title := cmd.Flags().String("title", "", "What people call it (required)")
	suspected := cmd.Flags().String("suspected", "", "Since when it is suspected: 2026-11-22T08:00:00Z, or 2h for a time ago (default: now)")
	drill := cmd.Flags().Bool("drill", false, "An exercise, which owes nothing")
	scope := addScopeFlags(cmd)
	changingIncident(cmd, "POST", func(string) string { return "" }, func() (map[string]any, error) {
		wish, err := scope.read()
		if err != nil {
			return nil, err
		}
		if *title == "" {
			return nil, wrongUsage("want --title")
		}
		wish["title"] = *title
		if *drill {
			wish["drill"] = true
		}
		at, err := readInstant("--suspected", *suspected, time.Now())
		if !at.IsZero() {
			wish["suspected_at"] = at
		}
		return wish, err
	})
	return cmd
}

func newIncidentList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--overdue] [--json]",
		Short: "List incidents with what is due next",
		Long: `Lists incidents, those that are open first. With --overdue it lists those of which a notice
is overdue, and ends with 1 when there is one: for a job that watches.`,
		Example: `  caregate incident list
  caregate incident list --overdue || page-somebody`,
		Args: noArgs,
	}
	overdue := cmd.Flags().Bool("overdue", false, "Only those with an overdue notice; exit code 1 when there is one")
	asJSON := cmd.Flags().Bool("json", false, "Print the list as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		var list console.IncidentList
		if _, err := g.call(cmd.Context(), "GET", "/incidents", nil, &list); err != nil {
			return err
		}
		if *overdue {
			list.Incidents = slices.DeleteFunc(list.Incidents, func(i console.Incident) bool {
				return !slices.ContainsFunc(i.Duties, func(d console.IncidentDuty) bool { return d.Urgency == "overdue" })
			})
		}
		if err := printIncidents(cmd.OutOrStdout(), list, *asJSON); err != nil {
			return err
		}
		if *overdue && len(list.Incidents) > 0 {
			return errSilent
		}
		return nil
	}
	return cmd
}

func printIncidents(w io.Writer, list console.IncidentList, asJSON bool) error {
	if asJSON {
		return printJSON(w, list)
	}
	t := newTable(w, "INCIDENT", "PHASE", "DRILL", "SUSPECTED", "KNOWN SINCE", "OPEN NOTICES", "NEXT", "DUE", "URGENCY", "TITLE")
	for _, i := range list.Incidents {
		drill, known, open := "-", "-", 0
		var next *console.IncidentDuty
		for n := range i.Duties {
			d := &i.Duties[n]
			if d.State != "open" {
				continue
			}
			if open++; next == nil || d.PlanBy.Before(next.PlanBy) {
				next = d
			}
		}
		if i.Drill {
			drill = "yes"
		}
		if !i.AwareAt.IsZero() {
			known = instant(i.AwareAt) + " (" + i.AwareBy + ")"
		}
		name, due, urgency := "-", "-", "-"
		if next != nil {
			name, due, urgency = next.Rule+"/"+next.Place, instant(next.PlanBy), dash(next.Urgency)
		}
		t.row(i.ID, i.Phase, drill, instant(i.SuspectedAt), known, open, name, due, urgency, i.Title)
	}
	return t.print()
}

func printDuties(w io.Writer, duties []console.IncidentDuty) error {
	t := newTable(w, "NOTICE", "STATE", "COUNTS FROM", "PLAN BY", "TOO LATE FROM", "URGENCY", "RAISED", "SENT", "REASON", "PROOF")
	for _, d := range duties {
		due, sent := "-", "-"
		if !d.LegalDue.IsZero() {
			due = instant(d.LegalDue)
		}
		if !d.SentAt.IsZero() {
			sent = instant(d.SentAt)
		}
		raised := dash(d.Raised)
		if d.Raised != "" && d.Acknowledged == d.Raised {
			raised += " (acknowledged)"
		}
		t.row(d.Rule+"/"+d.Place, d.State, instant(d.CountsFrom), instant(d.PlanBy), due, dash(d.Urgency), raised, sent, dash(d.Reason), dash(d.Proof))
	}
	return t.print()
}

func newIncidentShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show INCIDENT [--json]",
		Short:   "Show an incident: what it owes, and what happened",
		Long:    `Shows what an incident owes, what is due first on top, and its history with the receipts of the audit log.`,
		Example: `  caregate incident show 7p3m...`,
		Args:    oneArg(incidentArg),
	}
	cmd.Flags().Bool("json", false, "Print the incident as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := incidentID(args[0])
		if err != nil {
			return err
		}
		return ask(cmd, "GET", "/incidents/"+id, nil, func(i console.Incident, _ string) error {
			w := cmd.OutOrStdout()
			if err := printIncidents(w, console.IncidentList{Incidents: []console.Incident{i}}, false); err != nil {
				return err
			}
			printIdle(cmd.ErrOrStderr(), i)
			fmt.Fprintln(w)
			if err := printDuties(w, i.Duties); err != nil {
				return err
			}
			fmt.Fprintln(w)
			t := newTable(w, "AT", "WHAT", "BY", "FACTS", "RECEIPT")
			for _, e := range i.History {
				var facts []string
				for name, v := range e.Facts {
					facts = append(facts, name+"="+v)
				}
				slices.Sort(facts)
				t.row(instant(e.At), strings.TrimPrefix(e.Kind, "incident."), e.Actor, dash(strings.Join(facts, " ")), dash(e.Receipt))
			}
			return t.print()
		})
	}
	return cmd
}

func newIncidentAware() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "aware INCIDENT --at TIME --reason CODE [--classified TIME] ... [--credential FILE] [--json]",
		Short: "Decide that it is a breach, and since when that was known",
		Long: `Decides that an incident is a breach, and since when it was known with reasonable certainty.
The periods of law count from that moment. A later decision takes the place of an earlier
one and of the fail-safe; notices that were sent stay sent. Moments that were entered too early
(--high-risk, --material, --classified, --fix) are corrected here: elsewhere they only become
earlier.

Only people decide who have proven a second factor, with a token of theirs.`,
		Example: `  caregate incident aware 7p3m... --at 2026-11-23T09:30:00Z --reason export_confirmed --credential token.txt`,
		Args:    oneArg(incidentArg),
	}
	at := cmd.Flags().String("at", "", "Since when it was known: 2026-11-22T08:00:00Z, or 2h for a time ago (required)")
	reason := cmd.Flags().String("reason", "", "Why, as a code: letters, digits and underscores (required)")
	moments := &scopeFlags{times: map[string]*string{}}
	moments.addMoments(cmd)
	changingIncident(cmd, "POST", func(id string) string { return "/" + id + "/aware" }, func() (map[string]any, error) {
		known, err := readInstant("--at", *at, time.Now())
		if err != nil {
			return nil, err
		}
		if known.IsZero() || *reason == "" {
			return nil, wrongUsage("want --at and --reason")
		}
		wish, err := moments.read()
		if err != nil {
			return nil, err
		}
		wish["aware_at"], wish["reason"] = known, *reason
		return wish, nil
	})
	return cmd
}

func newIncidentScope() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "scope INCIDENT [--place CODE] [--sector NAME] [--role ROLE] [--high-risk TIME] [--from TIME] ...",
		Short:   "Add what is known of an incident: places, sectors, moments",
		Long:    `Adds places, sectors and moments. Notices that follow from them are owed from the same beginning as the others, also when a place is found late. Nothing is taken away, and moments only become earlier: a notice that is not owed is ended with ` + "`caregate incident notice --not-owed`" + `, a moment is corrected with a decision. It says so when no notice follows from something.`,
		Example: `  caregate incident scope 7p3m... --place fr --place us-ca --high-risk 1h`,
		Args:    oneArg(incidentArg),
	}
	scope := addScopeFlags(cmd)
	changingIncident(cmd, "POST", func(id string) string { return "/" + id + "/scope" }, scope.read)
	return cmd
}

func newIncidentNotice() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notice INCIDENT NOTICE... {--sent TIME | --not-owed | --owed} [--reason CODE] [--proof REF] [--json]",
		Short: "Say that notices were sent, are not owed, or are owed after all",
		Long: `Says of notices, named as eu.breach.authority/de, that they were sent, or are not owed. A
place may be left out where one place alone has a notice by the rule. What was sent too late
needs a reason. --sent for one that was sent already notes a further phase. What follows a
notice (a final report) is counted from when it was sent.

That a notice is not owed only people say who have proven a second factor, with a token of
theirs and a reason. --owed takes it back: its clock runs from where it began. One that was sent
all the same is noted with --sent. --owed takes back what was noted as sent by mistake, too.
Without --proof only a person with a second factor can say that a notice was sent.

The gateway sends nothing itself.`,
		Example: `  caregate incident notice 7p3m... eu.breach.authority/de int.external --sent 10m --proof LDA-4711
  caregate incident notice 7p3m... us.tx.breach.ag --not-owed --reason fewer_than_250 --credential token.txt
  caregate incident notice 7p3m... us.tx.breach.ag --owed --reason more_were_found`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return wrongUsage("want an incident and one or more notices (see `caregate incident show`)")
			}
			return nil
		},
	}
	sent := cmd.Flags().String("sent", "", "When: 2026-11-22T08:00:00Z, or 10m for a time ago")
	not := cmd.Flags().Bool("not-owed", false, "They are not owed")
	owed := cmd.Flags().Bool("owed", false, "They were said not to be owed, or to be sent, and are owed")
	reason := cmd.Flags().String("reason", "", "Why it was late, is not owed, or is after all, as a code")
	proof := cmd.Flags().String("proof", "", "What refers to the notice: the number of a file")
	var notices []string
	changingIncident(cmd, "POST", func(id string) string {
		switch {
		case *not:
			return "/" + id + "/waive"
		case *owed:
			return "/" + id + "/restore"
		}
		return "/" + id + "/notices"
	}, func() (map[string]any, error) {
		at, err := readInstant("--sent", *sent, time.Now())
		if err != nil {
			return nil, err
		}
		said := 0
		for _, is := range []bool{!at.IsZero(), *not, *owed} {
			if is {
				said++
			}
		}
		switch {
		case said != 1:
			return nil, wrongUsage("want --sent, --not-owed or --owed")
		case at.IsZero() && *reason == "":
			return nil, wrongUsage("want --reason")
		case at.IsZero() && *proof != "":
			return nil, wrongUsage("--proof belongs to --sent")
		}
		wish := map[string]any{"notices": notices}
		if !at.IsZero() {
			wish["sent_at"] = at
		}
		for name, v := range map[string]string{"reason": *reason, "proof": *proof} {
			if v != "" {
				wish[name] = v
			}
		}
		return wish, nil
	})
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		notices = args[1:]
		return run(cmd, args)
	}
	return cmd
}

func newIncidentAck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ack INCIDENT [NOTICE/STAGE]... [--json]",
		Short: "Acknowledge what was raised of an incident",
		Long: `Acknowledges notices that were raised (RAISED in ` + "`caregate incident show`" + `): they are raised no more
until they come to the next stage. They stay owed. Without notices it acknowledges what is raised now
and prints that; what comes to a further stage meanwhile is raised on.`,
		Example: `  caregate incident ack 7p3m... --credential token.txt
  caregate incident ack 7p3m... int.escalate/all/soon`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return wrongUsage("want an %s", incidentArg)
			}
			return nil
		},
	}
	asJSON := cmd.Flags().Bool("json", false, "Print the incident as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := incidentID(args[0])
		if err != nil {
			return err
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		var i console.Incident
		seen := args[1:]
		if len(seen) == 0 {
			if _, err := g.call(cmd.Context(), "GET", "/incidents/"+id, nil, &i); err != nil {
				return err
			}
			for _, d := range i.Duties {
				if d.State == "open" && d.Raised != "" && d.Raised != d.Acknowledged {
					seen = append(seen, d.Rule+"/"+d.Place+"/"+d.Raised)
				}
			}
			if len(seen) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "Nothing was raised that is not acknowledged.")
				return nil
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Acknowledging %s.\n", strings.Join(seen, ", "))
		}
		i = console.Incident{}
		receipt, err := g.call(cmd.Context(), "POST", "/incidents/"+id+"/ack", map[string]any{"seen": seen}, &i)
		if err != nil {
			return err
		}
		return printChanged(cmd, i, receipt, *asJSON)
	}
	return cmd
}

func newIncidentClose() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "close INCIDENT [--no-breach --reason CODE] [--credential FILE] [--json]",
		Short: "Close an incident that owes nothing any more, or was no breach",
		Long: `Closes an incident when each of its notices was sent or is not owed, or a drill.

With --no-breach it is decided that it was none: what was owed is owed no more. Only people
decide so who have proven a second factor, with a token of theirs.`,
		Example: `  caregate incident close 7p3m...
  caregate incident close 7p3m... --no-breach --reason test_data_only --credential token.txt`,
		Args: oneArg(incidentArg),
	}
	none := cmd.Flags().Bool("no-breach", false, "Decide that it was no breach")
	reason := cmd.Flags().String("reason", "", "Why it was none, as a code: letters, digits and underscores")
	changingIncident(cmd, "POST", func(id string) string {
		if *none {
			return "/" + id + "/dismiss"
		}
		return "/" + id + "/close"
	}, func() (map[string]any, error) {
		switch {
		case *none && *reason == "":
			return nil, wrongUsage("want --reason")
		case !*none && *reason != "":
			return nil, wrongUsage("--reason belongs to --no-breach")
		case *none:
			return map[string]any{"reason": *reason}, nil
		}
		return nil, nil
	})
	return cmd
}

func newIncidentAffected() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "affected INCIDENT [--limit N] [--json]",
		Short: "Say whose data was released in the clear in the incident's window",
		Long: `Says whose data was released in the clear, to whom, over which route, in the time, class, route
and to the caller that the incident's scope names. Persons, records and callers are
pseudonyms. What the answer is worth, and what it does not know, is as in
` + "`caregate audit exposures`" + ` and docs/who-saw-what.md. That it was asked is in the audit log.`,
		Example: `  caregate incident affected 7p3m... --json`,
		Args:    oneArg(incidentArg),
	}
	limit := cmd.Flags().Int("limit", 100, "The most rows to print, up to 10000")
	cmd.Flags().Bool("json", false, "Print JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := incidentID(args[0])
		if err != nil {
			return err
		}
		if *limit < 1 || *limit > console.MaxFound {
			return wrongUsage("--limit lies between 1 and %d", console.MaxFound)
		}
		return ask(cmd, "POST", "/incidents/"+id+"/affected", map[string]any{"limit": *limit}, func(list console.ExposureList, _ string) error {
			return printExposures(cmd, list)
		})
	}
	return cmd
}

func newIncidentClock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust-clock --reason CODE",
		Short: "Say that the clock is right after it jumped",
		Long: `When the clock by which duties are due jumps by more than five minutes (a machine slept, or was
set), the gateway raises every notice at once, and lets every suspicion count as known,
because nobody knows how late it is. This says that somebody has looked, and the clock is
right. Only people say so who have proven a second factor, with a token of theirs.`,
		Example: `  caregate incident trust-clock --reason vm_was_paused --credential token.txt`,
		Args:    noArgs,
	}
	reason := cmd.Flags().String("reason", "", "Why it jumped, as a code (required)")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *reason == "" {
			return wrongUsage("want --reason")
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		receipt, err := g.call(cmd.Context(), "POST", "/duties/clock", map[string]any{"reason": *reason}, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "The clock is trusted (receipt %s).\n", receipt)
		return nil
	}
	return cmd
}
