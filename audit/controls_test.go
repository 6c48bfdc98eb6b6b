package audit

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// controlSamples are events with the controls that they are evidence for, beside
// those that every event or every decided call is.
var controlSamples = []struct {
	name  string
	event Event
	want  []string
}{
	{
		"a card masked", Event{Class: 6003, Type: "request.decided", Decision: DecisionAllow, Effect: "write", Released: []Count{{Class: "credit_card", Masked: 1}}},
		[]string{"pci 3.4.1", "pci 10.2.1.1", "soc2 CC6.7", "iso A.8.11", "iso A.8.12"},
	},
	{
		"a card in the clear", Event{Class: 6003, Type: "request.decided", Decision: DecisionAllow, Released: []Count{{Class: "credit_card", Clear: 1}}},
		[]string{"pci 3.4.1", "pci 10.2.1.1", "pci 12.10.7", "iso A.8.12"},
	},
	{
		"a verification code dropped", Event{Class: 6003, Type: "request.decided", Decision: DecisionAllow, Released: []Count{{Class: "card_verification_code", Dropped: 1}}},
		[]string{"pci 3.3.1", "pci 3.4.1", "pci 10.2.1.1", "soc2 CC6.7", "iso A.8.11", "iso A.8.12"},
	},
	{
		"a body that nobody read", Event{Class: 6003, Type: "request.decided", Decision: DecisionAllow, Released: []Count{{Class: "*", NotInspected: 1}}},
		[]string{"pci 12.10.7", "soc2 CC7.2", "iso A.8.12", "iso A.8.16"},
	},
	{
		"data of a person given", Event{Class: 6003, Type: "response.decided", Decision: DecisionAllow, Effect: "read", Subjects: []Ref{{ID: Pseudonym{1}, Classes: []string{"email"}}}},
		[]string{"soc2 P6.1", "iso A.5.34"},
	},
	{"a person named, nothing given", Event{Class: 6003, Type: "response.decided", Decision: DecisionAllow, Subjects: []Ref{{ID: Pseudonym{1}}}}, nil},
	{
		"refused", Event{Class: 4002, Type: "exchange.refused", Decision: DecisionDeny},
		[]string{"pci 10.2.1.4", "soc2 CC6.3", "soc2 CC7.2", "iso A.8.16"},
	},
	{"with a second factor", Event{Class: 6003, Type: "request.decided", Decision: DecisionAllow, MFA: true}, []string{"pci 8.4"}},
	{
		"a key revoked", Event{Class: 6003, Type: "api.done", Decision: DecisionAllow, Operation: "apikey.revoke", Effect: "admin"},
		[]string{"pci 10.2.1.2", "pci 10.2.1.5", "soc2 CC6.2", "iso A.5.16", "iso A.8.2"},
	},
	{"keys listed", Event{Class: 6003, Type: "api.decided", Decision: DecisionAllow, Operation: "apikey.list", Effect: "admin"}, []string{"pci 10.2.1.2", "iso A.8.2"}},
	{"a question to the log", Event{Class: 6003, Type: "api.done", Decision: DecisionAllow, Operation: "audit.search", Effect: "read"}, []string{"pci 10.2.1.3"}},
	{"a ticket deleted", Event{Class: 6003, Type: "request.decided", Decision: DecisionAllow, Effect: "delete"}, []string{"soc2 CC6.5", "iso A.8.10"}},
	{"a configuration", Event{Type: "config.loaded"}, []string{"pci 10.2.1.6", "pci 10.2.1.7", "soc2 CC8.1", "iso A.8.9"}},
	{"the clock", Event{Type: TypeClockStepped}, []string{"pci 10.2.1.6", "pci 10.6", "soc2 CC7.2", "iso A.8.17"}},
}

// Each event is in the population of the controls that it is evidence for, and in
// no other; the tables together hold the full populations.
func TestControls(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: time.Hour, SealIndex: time.Hour})
	record(t, l, Event{Type: "test.first"}) // the first of this start is evidence by itself
	ids := map[string]string{}
	for _, s := range controlSamples {
		ids[s.name] = record(t, l, s.event).ID.String()
	}
	mustClose(t, l)
	out := filepath.Join(t.TempDir(), "controls")
	r, err := ExportControls(t.Context(), ControlsOptions{Dir: dir, Out: out, Frameworks: []string{FrameworkISO, FrameworkPCI, FrameworkSOC2, FrameworkPCI}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Size != int64(2+len(controlSamples)) || r.Origin != l.Origin() {
		t.Errorf("got %+v", r)
	}
	got := map[string][]string{} // event to controls
	for _, p := range r.Populations {
		f, err := os.Open(filepath.Join(out, filepath.FromSlash(p.File)))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if int64(len(rows)) != p.Count+1 {
			t.Errorf("%s %s: %d rows, want %d", p.Framework, p.ID, len(rows)-1, p.Count)
		}
		if p.Count > 0 && (rows[1][1] != strconv.FormatInt(p.First, 10) || rows[len(rows)-1][1] != strconv.FormatInt(p.Last, 10)) {
			t.Errorf("%s %s: from %s to %s, want %d to %d", p.Framework, p.ID, rows[1][1], rows[len(rows)-1][1], p.First, p.Last)
		}
		for _, row := range rows[1:] {
			got[row[2]] = append(got[row[2]], p.Framework+" "+p.ID)
		}
	}
	for _, s := range controlSamples {
		want := append([]string{"iso A.8.15"}, s.want...)
		if s.event.Decision != "" {
			want = append(want, "soc2 CC6.1", "iso A.5.15")
		}
		slices.Sort(want)
		have := got[ids[s.name]]
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("%s: got %v, want %v", s.name, have, want)
		}
	}
	if r.Populations[0].Framework != FrameworkPCI || len(r.Populations) != len(Controls(FrameworkPCI))+len(Controls(FrameworkSOC2))+len(Controls(FrameworkISO)) {
		t.Errorf("got %d populations, first of %s", len(r.Populations), r.Populations[0].Framework)
	}
	list, err := os.ReadFile(filepath.Join(out, "controls.csv"))
	if err != nil || len(list) == 0 {
		t.Errorf("the list: %v", err)
	}
	if _, err := ExportControls(t.Context(), ControlsOptions{Dir: dir, Out: out, Frameworks: Frameworks()}); err == nil {
		t.Error("into a folder that holds one: got nil")
	}
	if _, err := ExportControls(t.Context(), ControlsOptions{Dir: dir, Out: t.TempDir(), Frameworks: []string{"hipaa"}}); err == nil {
		t.Error("an unknown framework: got nil")
	}
}

// A21: populations of a log whose entries are not those that were signed are not
// told to be complete.
func TestControlsOfDamagedLog(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: time.Hour})
	record(t, l, Event{Type: "test.event", Reason: "aaaa"})
	mustClose(t, l)
	path := filepath.Join(dir, auditDir, treeDir, shardName(time.Now()), "tile/entries/000.p/2")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, bytes.Replace(data, []byte("aaaa"), []byte("aaab"), 1))
	if _, err := ExportControls(t.Context(), ControlsOptions{Dir: dir, Out: t.TempDir(), Frameworks: Frameworks()}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	if _, err := ExportEvidence(t.Context(), EvidenceOptions{Dir: dir, Out: filepath.Join(t.TempDir(), "e")}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("evidence: got %v, want ErrCorrupt", err)
	}
}
