package ropa_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/retention/ropa"
)

var update = flag.Bool("update", false, "write the golden files")

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func register(t *testing.T) *ropa.Register {
	t.Helper()
	src, err := os.ReadFile("testdata/register.yaml")
	if err != nil {
		t.Fatal(err)
	}
	reg, err := ropa.ParseRegister("register.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

var routes = []ropa.Route{
	{Name: "desk", Channel: "zendesk", Host: "acme.zendesk.com"},
	{Name: "zendesk/webhooks", Channel: "zendesk", Host: "desk.acme.example", Webhooks: true},
	{Name: "other", Channel: "zendesk", Host: "rival.zendesk.com"},
	{Name: "spare", Channel: "gorgias", Host: "acme.gorgias.com"},
	{Name: "pay", Channel: "stripe", Host: "api.stripe.com"},
}

func seen() []ropa.Seen {
	return []ropa.Seen{
		{Route: "desk", Channel: "zendesk", Calls: 40, Effects: map[string]bool{"write": true, "read": true}, First: day("2026-10-02"), Last: day("2026-11-20"),
			Request:  map[string]ropa.Amount{"email": {Clear: 3}, "credit_card": {Withheld: 7}, "*": {Unread: 2}},
			Response: map[string]ropa.Amount{"email": {Clear: 9}, "iban": {Clear: 1}}},
		{Route: "desk", Channel: "zendesk", Calls: 2, Effects: map[string]bool{"read": true}, First: day("2026-10-01"), Last: day("2026-10-01")},
		{Route: "zendesk/webhooks", Channel: "zendesk", Calls: 5, First: day("2026-11-01"), Last: day("2026-11-02"), Request: map[string]ropa.Amount{"phone": {Clear: 4}}},
		{Route: "other", Channel: "zendesk", Calls: 1, First: day("2026-11-03"), Last: day("2026-11-03"), Request: map[string]ropa.Amount{"us_ssn": {Withheld: 1}}},
		{Route: "gone", Channel: "intercom", Calls: 6, First: day("2026-09-30"), Last: day("2026-09-30")},
	}
}

func record(t *testing.T) *ropa.Record {
	t.Helper()
	return ropa.Make(register(t), routes, seen(), ropa.Log{Origin: "acme/audit/2026h2", Size: 321}, ropa.Window{From: day("2026-09-01"), To: day("2026-11-23")}, day("2026-11-23"))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what was printed:\n%s", file, got)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	f, err := ropa.Print(record(t))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "record.json", f.JSON)
	golden(t, "record.html", f.HTML)
	golden(t, "record.csv", f.CSV)
	again, err := ropa.Print(record(t))
	if err != nil || !bytes.Equal(again.JSON, f.JSON) || !bytes.Equal(again.HTML, f.HTML) || !bytes.Equal(again.CSV, f.CSV) {
		t.Errorf("the same record prints otherwise (%v)", err)
	}
	rows, err := csv.NewReader(bytes.NewReader(f.CSV)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("a spreadsheet takes %q for a formula", cell)
			}
		}
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	r := record(t)
	var got []string
	for _, f := range r.Findings {
		got = append(got, f.ID)
	}
	want := []string{
		"certificate_expired/vendor:zendesk/ISO/IEC 27001",
		"dpa_expires_soon/vendor:zendesk",
		"dpa_missing/vendor:printer",
		"no_activity/vendor:unused",
		"not_seen/stripe/stripe@api.stripe.com",
		"retention_missing/activity:refunds",
		"transfer_without_ground/vendor:printer",
		"undeclared_class/zendesk/zendesk@acme.zendesk.com/iban",
		"undeclared_recipient/?/gorgias@acme.gorgias.com",
		"undeclared_recipient/?/intercom@?",
		"undeclared_recipient/?/zendesk@rival.zendesk.com",
	}
	if !slices.Equal(got, want) {
		t.Errorf("findings\n got %q\nwant %q", got, want)
	}
	states := map[string]string{}
	for _, row := range r.Rows {
		states[row.ID] = row.State
	}
	for id, want := range map[string]string{
		"zendesk/zendesk@acme.zendesk.com": ropa.Both, "zendesk/zendesk@?": ropa.Both, "stripe/stripe@api.stripe.com": ropa.Declared, "printer/?@?": ropa.Declared,
		"unused/?@?": ropa.Declared, "activity:hosted": ropa.Declared, "?/zendesk@rival.zendesk.com": ropa.Observed, "?/gorgias@acme.gorgias.com": ropa.Configured, "?/intercom@?": ropa.Observed,
	} {
		if states[id] != want {
			t.Errorf("row %s is %q, want %q", id, states[id], want)
		}
	}
	if len(states) != 9 || len(r.Rows) != 9 {
		t.Errorf("got %d rows with %d ids, want 9", len(r.Rows), len(states))
	}
	// What a vendor sends to a webhook comes from the vendor.
	i := slices.IndexFunc(r.Rows, func(row ropa.Row) bool { return row.ID == "zendesk/zendesk@?" })
	if d := r.Rows[i].Data; !slices.Contains(d, ropa.Datum{Class: "phone", State: ropa.Both, From: 4}) {
		t.Errorf("webhooks: got %+v", d)
	}
}

// Dates around the ends of papers: the day itself still counts.
func TestEnds(t *testing.T) {
	t.Parallel()
	for now, want := range map[string]string{"2026-10-31": "", "2026-11-01": ropa.DPAEnds, "2026-11-02": ropa.DPAEnds, "2026-12-31": ropa.DPAEnds, "2027-01-01": ropa.DPAExpired} {
		r := ropa.Make(register(t), routes, seen(), ropa.Log{}, ropa.Window{}, day(now))
		got := ""
		for _, f := range r.Findings {
			if f.Subject == "vendor:zendesk" && strings.HasPrefix(f.Code, "dpa") {
				got = f.Code
			}
		}
		if now == "2026-11-01" {
			want = "" // 60 days before
		}
		if got != want {
			t.Errorf("on %s the contract is %q, want %q", now, got, want)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	earlier := record(t)
	if got, err := ropa.Diff(earlier, earlier); err != nil || len(got) != 0 {
		t.Errorf("a record differs from itself: %v (%v)", got, err)
	}
	// More of the same traffic is no difference.
	more := seen()
	more[0].Calls, more[0].Last = 99, day("2026-11-22")
	more[0].Response["email"] = ropa.Amount{Clear: 100, Withheld: 3}
	later := ropa.Make(register(t), routes, more, ropa.Log{Origin: "acme/audit/2026h2", Size: 999}, ropa.Window{From: day("2026-09-02"), To: day("2026-11-24")}, day("2026-11-24"))
	if got, err := ropa.Diff(earlier, later); err != nil || len(got) != 0 {
		t.Errorf("counts are a difference: %v (%v)", got, err)
	}
	// A vendor, a class and a system that are new, and one that is gone.
	src, err := os.ReadFile("testdata/register.yaml")
	if err != nil {
		t.Fatal(err)
	}
	src = bytes.Replace(src, []byte("data: [email, phone, credit_card]"), []byte("data: [email, phone, credit_card, iban]"), 1)
	src = bytes.Replace(src, []byte("  - id: unused\n    name: Unused KG\n    role: controller\n    places: [AT]\n"), nil, 1)
	src = bytes.Replace(src, []byte("contact: privacy@acme.example"), []byte("contact: dataprotection@acme.example"), 1)
	reg, err := ropa.ParseRegister("register.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	later = ropa.Make(reg, routes[:4], append(more, ropa.Seen{Route: "spare", Channel: "gorgias", Calls: 1, First: day("2026-11-23"), Last: day("2026-11-23")}), ropa.Log{}, ropa.Window{}, day("2026-11-24"))
	got, err := ropa.Diff(earlier, later)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "diff.json", append(text, '\n'))
}

func TestRead(t *testing.T) {
	t.Parallel()
	r := record(t)
	f, err := ropa.Print(r)
	if err != nil {
		t.Fatal(err)
	}
	signed := ropa.Statement(r, f)
	back, err := ropa.Read(f, signed, r.Log.Origin)
	if err != nil {
		t.Fatal(err)
	}
	if changes, err := ropa.Diff(r, back); err != nil || len(changes) > 0 {
		t.Errorf("what was read differs from what was written: %v (%v)", changes, err)
	}
	change := func(b []byte) []byte { return append(slices.Clone(b), ' ') }
	for name, try := range map[string]func() error{
		"another page": func() error {
			_, err := ropa.Read(ropa.Files{JSON: f.JSON, HTML: change(f.HTML), CSV: f.CSV}, signed, r.Log.Origin)
			return err
		},
		"another table": func() error {
			_, err := ropa.Read(ropa.Files{JSON: f.JSON, HTML: f.HTML, CSV: change(f.CSV)}, signed, r.Log.Origin)
			return err
		},
		"another JSON": func() error {
			_, err := ropa.Read(ropa.Files{JSON: change(f.JSON), HTML: f.HTML, CSV: f.CSV}, signed, r.Log.Origin)
			return err
		},
		"another log":    func() error { _, err := ropa.Read(f, signed, "other/audit/2026h2"); return err },
		"no JSON at all": func() error { _, err := ropa.Read(ropa.Files{JSON: []byte("null")}, signed, r.Log.Origin); return err },
		"a newer version": func() error {
			_, err := ropa.Read(ropa.Files{JSON: bytes.Replace(f.JSON, []byte(`"version": 1`), []byte(`"version": 2`), 1), HTML: f.HTML, CSV: f.CSV}, signed, r.Log.Origin)
			return err
		},
	} {
		if err := try(); !errors.Is(err, ropa.ErrRecord) {
			t.Errorf("%s: got %v, want ErrRecord", name, err)
		}
	}
}

// What passed before another configuration was loaded may have gone elsewhere: the record
// says so in all files, of the systems whose host it names. It is no difference.
func TestConfigChanged(t *testing.T) {
	t.Parallel()
	r := ropa.Make(register(t), routes, seen(), ropa.Log{Origin: "acme/audit/2026h2", Size: 321, Changed: day("2026-11-01")}, ropa.Window{From: day("2026-09-01"), To: day("2026-11-23")}, day("2026-11-23"))
	var unsure []string
	for _, row := range r.Rows {
		if row.HostUnsure {
			unsure = append(unsure, row.ID)
		}
	}
	if want := []string{"zendesk/zendesk@acme.zendesk.com"}; !slices.Equal(unsure, want) {
		t.Errorf("unsure are %q, want %q", unsure, want)
	}
	f, err := ropa.Print(r)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{string(f.JSON): `"config_changed": "2026-11-01T00:00:00Z"`, string(f.HTML): "last at 2026-11-01 00:00 UTC", string(f.CSV): ",yes\n"} {
		if strings.Count(file, want) != 1 {
			t.Errorf("no %q, or several, in\n%s", want, file)
		}
	}
	if !bytes.Contains(f.JSON, []byte(`"host_unsure": true`)) || !bytes.Contains(f.HTML, []byte("<br>host not sure")) {
		t.Error("the row does not say so")
	}
	if changes, err := ropa.Diff(record(t), r); err != nil || len(changes) > 0 {
		t.Errorf("got differences: %v (%v)", changes, err)
	}
}

func TestSameLog(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]bool{"acme/audit/2026h2": true, "acme/audit/2027h1": true, "other/audit/2026h2": false, "": false} {
		if got := (ropa.Log{Origin: "acme/audit/2026h2"}).Same(ropa.Log{Origin: origin}); got != want {
			t.Errorf("%q: got %v, want %v", origin, got, want)
		}
	}
}

// Each part of a cell is no formula, also with full-width signs.
func TestTableIsInert(t *testing.T) {
	t.Parallel()
	reg := register(t)
	reg.Activities[0].Purposes = []string{"answering", "=1+1", "＝1", " ＋1", "－1", "＠x", "a=b"}
	reg.Activities[0].Retention = []ropa.Keep{{What: "tickets", Period: "P1M"}, {What: "@logs", Period: "P2M"}}
	f, err := ropa.Print(ropa.Make(reg, routes, seen(), ropa.Log{}, ropa.Window{}, day("2026-11-23")))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"answering; '=1+1; '＝1; ' ＋1; '－1; '＠x; a=b", "tickets P1M; '@logs P2M"} {
		if !bytes.Contains(f.CSV, []byte(want)) {
			t.Errorf("no %q in\n%s", want, f.CSV)
		}
	}
}

// A page shows what the operator wrote as text, whatever it looks like.
func TestPageIsInert(t *testing.T) {
	t.Parallel()
	reg := register(t)
	reg.Vendors[0].Name, reg.Activities[0].Name = `<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`
	f, err := ropa.Print(ropa.Make(reg, routes, seen(), ropa.Log{}, ropa.Window{}, day("2026-11-23")))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(f.HTML, []byte("<script")) || bytes.Contains(f.HTML, []byte("<img")) {
		t.Error("the page has an element of the register")
	}
}
