package audit

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Frameworks whose controls ExportControls knows.
const (
	FrameworkPCI  = "pci"  // PCI DSS 4.0.1
	FrameworkSOC2 = "soc2" // SOC 2, trust services criteria
	FrameworkISO  = "iso"  // ISO/IEC 27001:2022, Annex A
)

// Frameworks lists them.
func Frameworks() []string { return []string{FrameworkPCI, FrameworkSOC2, FrameworkISO} }

// Control is one requirement that leaves of the log are evidence for.
type Control struct {
	Framework string
	// ID is the requirement's number in its framework, Asks what an auditor wants to
	// see, Shows which leaves are the population.
	ID, Asks, Shows string

	pick func(*Leaf) bool
}

// Populations of leaves. Each is a closed question to a single leaf, so that a
// population can be drawn again from the entries by anybody.
func isCall(l *Leaf) bool { return l.Class == ocsfAPIActivity || l.Class == ocsfHTTPActivity }

func isDenied(l *Leaf) bool { return l.Decision == DecisionDeny || l.Type == TypeDenialsCounted }

func isAdministration(l *Leaf) bool {
	return (isCall(l) || l.Type == TypeVendorEvent) && l.Effect == "admin"
}

// readsLog is a look at the log itself or at one of its events.
func readsLog(l *Leaf) bool {
	return strings.HasPrefix(l.Operation, "audit.") || l.Operation == "event.read"
}

func changesCredential(l *Leaf) bool {
	return strings.HasPrefix(l.Operation, "apikey.") && l.Operation != "apikey.list"
}

// isReview is a step in a review of who has access.
func isReview(l *Leaf) bool {
	return l.Channel == "caregate" && (strings.HasPrefix(l.Operation, "access.") || l.Type == "access.revoked")
}

func ofLogItself(l *Leaf) bool {
	return strings.HasPrefix(l.Type, "log.") || strings.HasPrefix(l.Type, "shard.") || l.Type == TypeIndexSealed || l.Type == TypeClockStepped || l.Type == "config.loaded"
}

func isConfig(l *Leaf) bool { return l.Type == "config.loaded" }

// changesPolicy is a configuration that came into force, or a rollout that went back.
func changesPolicy(l *Leaf) bool { return isConfig(l) || l.Type == "rollout.reverted" }

func isClock(l *Leaf) bool { return l.Type == TypeClockStepped }

func isDestruction(l *Leaf) bool {
	return l.Effect == "delete" || strings.HasPrefix(l.Type, "subject.erased") || strings.HasPrefix(l.Type, "detail.expired") || strings.HasPrefix(l.Type, "shard.expired")
}

// touchesCards is a call in which account data was found, whatever became of it.
func touchesCards(l *Leaf) bool {
	return slices.ContainsFunc(l.Released, func(c Count) bool {
		return strings.HasPrefix(c.Class, "credit_card") || strings.HasPrefix(c.Class, "card_")
	})
}

// touchesSecrets is a call in which sensitive authentication data was found.
func touchesSecrets(l *Leaf) bool {
	return slices.ContainsFunc(l.Released, func(c Count) bool {
		return c.Class == "card_verification_code" || c.Class == "card_track_data" || c.Class == "card_pin"
	})
}

// maskedSomething is a call in which a finding was masked, replaced or taken out.
func maskedSomething(l *Leaf) bool {
	return slices.ContainsFunc(l.Released, func(c Count) bool { return c.Masked+c.Tokenized+c.Dropped > 0 })
}

// leftClear is a call in which something that was found passed as it was.
func leftClear(l *Leaf) bool {
	return slices.ContainsFunc(l.Released, func(c Count) bool { return c.Clear > 0 })
}

func notInspected(l *Leaf) bool {
	return slices.ContainsFunc(l.Released, func(c Count) bool { return c.NotInspected > 0 })
}

// disclosed is a call that gave somebody data of a person in the clear.
func disclosed(l *Leaf) bool {
	return slices.ContainsFunc(l.Subjects, func(r Ref) bool { return len(r.Classes) > 0 })
}

func withMFA(l *Leaf) bool { return l.MFA }

func isProtection(l *Leaf) bool {
	return l.Type == TypeIndexSealed || l.Type == TypeGenesis || l.Type == TypeShardOpened || l.Type == TypeShardClosed
}

// Controls returns the controls of a framework, in the order of their numbers; nil
// for a name that it does not know. Requirements that no leaf can be evidence for
// are not among them.
func Controls(framework string) []Control {
	var out []Control
	add := func(id, asks, shows string, pick func(*Leaf) bool) {
		out = append(out, Control{Framework: framework, ID: id, Asks: asks, Shows: shows, pick: pick})
	}
	switch framework {
	case FrameworkPCI:
		add("3.3.1", "sensitive authentication data is not kept after authorisation", "calls in which verification codes, track data or PINs were found, with what became of them",
			touchesSecrets)
		add("3.4.1", "account numbers are masked when displayed", "calls in which account data was found, with what became of it", touchesCards)
		add("7.2.4", "access is reviewed at least every six months", "reviews of who has access, with what they revoked", isReview)
		add("8.4", "multi-factor authentication", "calls of actors who had proven a second factor", withMFA)
		add("10.2.1.1", "individual access to cardholder data is logged", "calls in which account data was found", touchesCards)
		add("10.2.1.2", "actions by individuals with administrative access are logged", "administrative calls, and those that a vendor's own log tells of (vendor.event: the vendor's word)", isAdministration)
		add("10.2.1.3", "access to audit logs is logged", "questions to the log", readsLog)
		add("10.2.1.4", "invalid access attempts are logged", "refused calls, and refusals that were counted together", isDenied)
		add("10.2.1.5", "changes to identification and authentication credentials are logged", "API keys made, rotated and revoked", changesCredential)
		add("10.2.1.6", "starting and stopping of audit logs is logged", "the log's own leaves, the first of each start, and loaded configurations", func(l *Leaf) bool { return ofLogItself(l) || l.Seq == 1 })
		add("10.2.1.7", "creation and deletion of system-level objects is logged", "loaded configurations", isConfig)
		add("10.3", "audit logs are protected from modification", "seals of the index, beginnings and ends of shards; the signed checkpoint covers every leaf", isProtection)
		add("10.6", "time is synchronised", "jumps of the clock", isClock)
		add("12.10.7", "account data is found where it is not expected", "calls in which account data passed in the clear or was not inspected",
			func(l *Leaf) bool { return touchesCards(l) && leftClear(l) || notInspected(l) })
	case FrameworkSOC2:
		add("CC6.1", "access is restricted by logical controls", "decided calls", func(l *Leaf) bool { return l.Decision != "" })
		add("CC6.2", "credentials are issued and removed", "API keys made, rotated and revoked", changesCredential)
		add("CC6.3", "access follows roles and least privilege", "refused calls, and reviews of who has access", func(l *Leaf) bool { return isDenied(l) || isReview(l) })
		add("CC6.5", "data is disposed of", "deletions at vendors, erasures and expiries; vendor.event is the vendor's word", isDestruction)
		add("CC6.7", "transmission of data is restricted", "calls in which findings were masked, replaced or taken out", maskedSomething)
		add("CC7.2", "the system is monitored for anomalies", "refused calls, uninspected bodies, jumps of the clock and gaps in vendors' logs", func(l *Leaf) bool { return isDenied(l) || notInspected(l) || isClock(l) || l.Type == TypeVendorGap })
		add("CC8.1", "changes are authorised and recorded", "loaded configurations, and rollouts of the policy that went back", changesPolicy)
		add("P6.1", "disclosures of personal data are accounted for", "calls that gave data of a person in the clear", disclosed)
	case FrameworkISO:
		add("A.5.15", "access control", "decided calls", func(l *Leaf) bool { return l.Decision != "" })
		add("A.5.16", "identity management", "API keys made, rotated and revoked", changesCredential)
		add("A.5.18", "access rights are reviewed and removed", "reviews of who has access, with what they revoked", isReview)
		add("A.5.33", "records are protected", "seals of the index, beginnings and ends of shards; the signed checkpoint covers every leaf", isProtection)
		add("A.5.34", "privacy and protection of personal data", "calls that gave data of a person in the clear", disclosed)
		add("A.8.2", "privileged access rights", "administrative calls, and those that a vendor's own log tells of (vendor.event: the vendor's word)", isAdministration)
		add("A.8.9", "configuration management", "loaded configurations, and rollouts of the policy that went back", changesPolicy)
		add("A.8.10", "information is deleted", "deletions at vendors, erasures and expiries; vendor.event is the vendor's word", isDestruction)
		add("A.8.11", "data is masked", "calls in which findings were masked, replaced or taken out", maskedSomething)
		add("A.8.12", "data leakage is prevented", "calls in which something was found, with what became of it", func(l *Leaf) bool { return len(l.Released) > 0 })
		add("A.8.15", "activities are logged", "all leaves", func(*Leaf) bool { return true })
		add("A.8.16", "activities are monitored", "refused calls, uninspected bodies", func(l *Leaf) bool { return isDenied(l) || notInspected(l) })
		add("A.8.17", "clocks are synchronised", "jumps of the clock", isClock)
	default:
		return nil
	}
	return out
}

// ControlsOptions says what to export.
type ControlsOptions struct {
	// Dir is the data directory; a gateway may have the log open.
	Dir string
	// Out is the folder to make. It must not exist, or be empty.
	Out string
	// Frameworks are names of Frameworks.
	Frameworks []string
}

// Population is what the log holds for one control.
type Population struct {
	Control
	// Count is how many leaves; First and Last are the places of the first and last
	// of them in their shards, -1 when there is none. File is the table of them, below
	// Out.
	Count, First, Last int64
	File               string
}

// ControlsReport says what was exported.
type ControlsReport struct {
	// Origin and Root are those of the newest shard, Size is over all.
	Origin      string
	Size        int64
	Root        [32]byte
	Shards      []ShardReport
	Populations []Population
}

// ExportControls writes, for each control, the table of all leaves that are
// evidence for it: the full population, from the first entry to the signed
// checkpoint, from which an auditor draws a sample. Each row has the entry's place
// and leaf hash, so that `audit prove` or an evidence folder ties it to the
// checkpoint. controls.csv lists the controls with the size of their population; a
// population of none is a statement too.
//
// The entries must have the signed root, or nothing is told to be complete.
func ExportControls(ctx context.Context, o ControlsOptions) (ControlsReport, error) {
	r, err := exportControls(ctx, o)
	if err != nil {
		return ControlsReport{}, fmt.Errorf("exporting controls: %w", err)
	}
	return r, nil
}

func exportControls(ctx context.Context, o ControlsOptions) (r ControlsReport, err error) {
	if list, err := os.ReadDir(o.Out); err == nil && len(list) > 0 {
		return r, fmt.Errorf("%s is not empty", o.Out)
	}
	tables, err := openControls(o)
	defer func() {
		for _, t := range tables {
			err = errors.Join(err, t.close())
		}
	}()
	if err != nil {
		return r, err
	}
	trees, err := openTrees(o.Dir)
	if err != nil {
		return r, err
	}
	var signed []byte
	for _, t := range trees {
		if err := t.draw(ctx, tables); err != nil {
			return r, err
		}
		r.Origin, r.Root = t.origin, t.root
		r.Size += t.size
		r.Shards = append(r.Shards, ShardReport{Origin: t.origin, Size: t.size, Root: t.root})
		signed = append(signed, t.signed...)
	}
	for _, table := range tables {
		r.Populations = append(r.Populations, table.Population)
	}
	return r, r.write(o.Out, signed)
}

// draw adds the leaves of a tree to the populations.
func (t *signedTree) draw(ctx context.Context, tables []*controlTable) error {
	var e edge
	err := t.each(ctx, 0, t.size, func(entry Entry) error {
		e.add(entry.Data, entry.Hash, func(string, []byte) {})
		for _, table := range tables {
			if err := table.add(&entry); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && e.root() != t.root {
		err = fmt.Errorf("%w: the entries do not have the root that was signed; run caregate audit verify", ErrCorrupt)
	}
	return err
}

// controlTable is the table of one control under way.
type controlTable struct {
	Population
	file     *os.File
	buffered *bufio.Writer
	csv      *CSV
}

func openControls(o ControlsOptions) (tables []*controlTable, err error) {
	names := slices.Clone(o.Frameworks)
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Compare(slices.Index(Frameworks(), a), slices.Index(Frameworks(), b))
	})
	for _, framework := range slices.Compact(names) {
		controls := Controls(framework)
		if controls == nil {
			return tables, fmt.Errorf("no controls of %q are known; there are %s", framework, strings.Join(Frameworks(), ", "))
		}
		if err := os.MkdirAll(filepath.Join(o.Out, framework), 0o700); err != nil {
			return tables, err
		}
		for _, c := range controls {
			t := &controlTable{Population: Population{Control: c, First: -1, Last: -1, File: framework + "/" + c.ID + ".csv"}}
			if t.file, err = os.OpenFile(filepath.Join(o.Out, filepath.FromSlash(t.File)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
				return tables, err
			}
			t.buffered = bufio.NewWriter(t.file)
			t.csv = NewCSV(t.buffered)
			tables = append(tables, t)
			if err := t.csv.Header(); err != nil {
				return tables, err
			}
		}
	}
	return tables, nil
}

func (t *controlTable) add(e *Entry) error {
	if !t.pick(&e.Leaf) {
		return nil
	}
	if t.Count++; t.First < 0 {
		t.First = e.Index
	}
	t.Last = e.Index
	return t.csv.Add(e)
}

func (t *controlTable) close() error {
	return errors.Join(t.csv.Flush(), t.buffered.Flush(), t.file.Close())
}

// write adds the list of controls, what it rests on, and the checkpoint.
func (r *ControlsReport) write(out string, signed []byte) (err error) {
	f, err := os.OpenFile(filepath.Join(out, "controls.csv"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := csv.NewWriter(f)
	rows := [][]string{{"framework", "control", "asks", "population", "count", "first_entry", "last_entry", "file"}}
	for _, p := range r.Populations {
		row := []string{p.Framework, p.ID, p.Asks, p.Shows, strconv.FormatInt(p.Count, 10), "", "", p.File}
		if p.Count > 0 {
			row[5], row[6] = strconv.FormatInt(p.First, 10), strconv.FormatInt(p.Last, 10)
		}
		rows = append(rows, row)
	}
	var logs strings.Builder
	for _, t := range r.Shards {
		fmt.Fprintf(&logs, "\n  log         %s\n  entries     %d, all of them looked at\n  root        %x\n", t.Origin, t.Size, t.Root)
	}
	about := fmt.Sprintf(controlsText, logs.String())
	return errors.Join(
		w.WriteAll(rows),
		os.WriteFile(filepath.Join(out, "README.txt"), []byte(about), 0o600),
		os.WriteFile(filepath.Join(out, "checkpoint"), signed, 0o600),
	)
}

// controlsText is the README of an export, with origin, size and root of each shard.
const controlsText = `Controls and their evidence in a Caregate audit log
===================================================
%s
controls.csv lists the controls: what is asked, which entries answer it, how many
there are, and the file with all of them. A population of none is a statement too:
the log holds no such entry. The file checkpoint has the signatures that these
entries are under, one for each half year.

Each row has the entry's log, its number there, and its leaf hash. Numbers of the whole log have no gap,
and each node's entries are chained, so a population can be drawn again by anybody
who holds the log. To tie a row of a sample to the signature:

  caregate audit prove EVENT                         one proof
  caregate audit export --evidence DIR               the whole log, to be verified
  caregate audit verify --export DIR --trust FILE    by the auditor

An entry shows what the gateway decided and did. Whether a control is met is for the
auditor to judge; what did not pass the gateway is not here. Numbers and titles of
controls follow PCI DSS 4.0.1, the trust services criteria for SOC 2 and ISO/IEC
27001:2022 and should be compared with the edition that the audit uses.
`
