package ropa_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/retention/ropa"
)

const small = `version: 1
organisation: {name: Acme, contact: here}
home: [DE]
vendors:
  - {id: desk, name: Desk, role: controller, channels: [zendesk], hosts: ["*.zendesk.com"], places: [DE]}
activities:
  - {id: support, name: Support, as: controller, purposes: [help], people: [customers], data: [email], vendors: [desk]}
`

func TestRegisterMistakes(t *testing.T) {
	t.Parallel()
	if _, err := ropa.ParseRegister("r.yaml", []byte(small)); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ old, new, want string }{
		"another version":        {"version: 1", "version: 2", "r.yaml:1:10: `version` is one of: 1"},
		"no home":                {"home: [DE]\n", "", "r.yaml:1:1: the register has no `home`"},
		"a region nobody knows":  {"home: [DE]", "home: [Europe]", "r.yaml:3:7: an entry of `home` is none: want a country as DE, or EEA"},
		"an unknown key":         {"home: [DE]", "home: [DE]\nhouse: 1", `r.yaml:4:1: unknown key "house" in the register`},
		"a key twice":            {"home: [DE]", "home: [DE]\nhome: [FR]", "r.yaml:4:1:"},
		"a class nobody knows":   {"data: [email]", "data: [emails]", `r.yaml:7:95: "emails" is no data class`},
		"no such vendor":         {"vendors: [desk]}", "vendors: [task]}", `no vendor has the id "task"`},
		"a URL as host":          {`"*.zendesk.com"`, `"https://acme.zendesk.com/"`, "want a host as acme.zendesk.com"},
		"hosts without channels": {"channels: [zendesk], ", "", "`hosts` without `channels`"},
		"a role nobody has":      {"role: controller", "role: friend", "`role` is one of: controller, processor"},
		"a processor for nobody": {"as: controller", "as: processor", "`for` names the controllers"},
		"a rule with no period":  {"vendors: [desk]}", "vendors: [desk], retention: [{what: tickets, rule: eu.dsar.respond}]}", `no rule "eu.dsar.respond" says how long`},
		"a rule and a period":    {"vendors: [desk]}", "vendors: [desk], retention: [{what: tickets, rule: int.chat, period: P1M}]}", "has a `rule` or a `period`"},
		"a period in years":      {"vendors: [desk]}", "vendors: [desk], retention: [{what: tickets, period: P3Y}]}", `"P3Y" is not a period`},
		"a day that is none":     {"places: [DE]}", "places: [DE], dpa: {signed: 2026-02-30}}", "`signed` wants a day"},
		"safeguards nowhere":     {"places: [DE]}", "places: [DE], transfer: {basis: scc}}", "`transfer` has no `document`"},
		"an anchor":              {"home: [DE]", "home: &a [DE]", "anchors, aliases and tags"},
		"a tag":                  {"home: [DE]", "home: !x [DE]", "anchors, aliases and tags"},
		"a control character":    {"name: Support", `name: "a\u202eb"`, "control character"},
		"two documents":          {"version: 1", "--- {}\n---\nversion: 1", "a second YAML document"},
		"no YAML":                {"version: 1", "version: [1", "not YAML"},
		"one channel, twice":     {"activities:", "  - {id: two, name: Two, role: controller, channels: [zendesk], hosts: [acme.zendesk.com], places: [DE]}\nactivities:", "r.yaml:6:5: vendors desk and two declare one channel"},
		"too many hosts":         {`["*.zendesk.com"]`, "[" + manyHosts(51) + "]", "r.yaml:5:74: `hosts` has more than 50 entries"},
		"one host below another": {"activities:", "  - {id: two, name: Two, role: controller, channels: [zendesk], hosts: [\"*.eu.zendesk.com\"], places: [DE]}\nactivities:", "vendors desk and two declare one channel"},
		"one id, twice":          {"activities:", "  - {id: desk, name: Two, role: controller, places: [DE]}\nactivities:", "a vendor has the id of another one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := strings.Replace(small, tt.old, tt.new, 1)
			_, err := ropa.ParseRegister("r.yaml", []byte(src))
			if !errors.Is(err, ropa.ErrRegister) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	for name, src := range map[string]string{"nothing": "", "a list": "[]", "null": "null", "too much": strings.Repeat("#", ropa.MaxRegister+1), "deep": strings.Repeat("[", 100_000)} {
		if _, err := ropa.ParseRegister("r.yaml", []byte(src)); !errors.Is(err, ropa.ErrRegister) {
			t.Errorf("%s: got %v, want ErrRegister", name, err)
		}
	}
}

// manyHosts are n hosts.
func manyHosts(n int) string {
	hosts := make([]string, n)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("a%d.zendesk.com", i)
	}
	return strings.Join(hosts, ", ")
}

// Vendors with one channel and other hosts are told apart, also with as many as may be.
func TestRegisterHosts(t *testing.T) {
	t.Parallel()
	src := strings.Replace(small, `"*.zendesk.com"`, manyHosts(50), 1)
	src = strings.Replace(src, "activities:", "  - {id: two, name: Two, role: controller, channels: [zendesk], hosts: [\"*.eu.zendesk.com\"], places: [DE]}\nactivities:", 1)
	if _, err := ropa.ParseRegister("r.yaml", []byte(src)); err != nil {
		t.Error(err)
	}
}

// The register in docs/ropa.md is one.
func TestDocumentedRegister(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/ropa.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/ropa.md has no example")
	}
	if _, err := ropa.ParseRegister("docs/ropa.md", []byte(example)); err != nil {
		t.Error(err)
	}
}

// Whatever is accepted can be joined, printed, read back and compared, and is the same then.
func FuzzParseRegister(f *testing.F) {
	full, err := os.ReadFile("testdata/register.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(full), small, "", "version: 1\n---\n", "a: &a [*a]", strings.Replace(small, "Desk", `"=cmd|' /C'!A0"`, 1)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		reg, err := ropa.ParseRegister("r.yaml", src)
		if err != nil {
			if !errors.Is(err, ropa.ErrRegister) {
				t.Fatalf("got %v, want ErrRegister", err)
			}
			return
		}
		r := ropa.Make(reg, routes, seen(), ropa.Log{Origin: "acme/audit/2026h2"}, ropa.Window{}, day("2026-11-23"))
		files, err := ropa.Print(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ropa.Read(files, ropa.Statement(r, files), r.Log.Origin)
		if err != nil {
			t.Fatal(err)
		}
		if changes, err := ropa.Diff(r, back); err != nil || len(changes) > 0 {
			t.Fatalf("what was read differs: %v (%v)", changes, err)
		}
		ids := map[string]bool{}
		for _, row := range r.Rows {
			if ids[row.ID] {
				t.Fatalf("two rows have the id %s", row.ID)
			}
			ids[row.ID] = true
		}
		for _, finding := range r.Findings {
			if ids[finding.ID] {
				t.Fatalf("two findings have the id %s", finding.ID)
			}
			ids[finding.ID] = true
		}
	})
}
