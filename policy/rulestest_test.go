package policy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caregate/caregate/policy"
)

const ownRules = `package caregate.operator

deny contains "large_refund" if {
	input.payment.amount > 50000
	not "lead" in input.actor.roles
}

deny contains "weekend" if input.purpose == "weekend"
`

// withTests puts tests beside ownRules.
func withTests(t *testing.T, src string) string {
	t.Helper()
	dir := rules(t, ownRules)
	if err := os.WriteFile(filepath.Join(dir, "own_test.rego"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The tests of a deployment see its rules, its documents and the built-in policy.
func TestRunTests(t *testing.T) {
	t.Parallel()
	o, err := policy.ParseOverlay("own.yaml", []byte("version: 1\nenforcement:\n  - {class: iban, action: mask}\n"))
	must(t, err)
	dir := withTests(t, `package caregate.operator_test

import data.caregate.operator

test_large if "large_refund" in operator.deny with input as {"payment": {"amount": 50001}, "actor": {"roles": ["agent"]}}

test_lead if not "large_refund" in operator.deny with input as {"payment": {"amount": 50001}, "actor": {"roles": ["lead"]}}

test_small if operator.deny == {"something"} with input as {"payment": {"amount": 1}, "actor": {"roles": []}}

test_documents if count(data.enforcement) > 0

test_broken if to_number("x") == 1

todo_test_later if false

test_decision if {
	d := data.caregate.decision with input as {"channel": "zendesk", "operation": "ticket.show", "effect": "read", "scope": "one", "mark": "", "observe": false, "actor": {"kind": "anonymous", "roles": [], "grants": []}}
	print(d.allow)
	d.allow == false
}
`)
	r, err := policy.RunTests(t.Context(), policy.Config{Dir: dir, Overlays: []*policy.Overlay{o}})
	must(t, err)
	want := []string{"test_large pass 5", "test_lead pass 7", "test_small fail 9", "test_documents pass 11", "test_broken error 13", "todo_test_later skip 15", "test_decision pass 17"}
	var got []string
	for _, test := range r.Tests {
		if filepath.Base(test.File) != "own_test.rego" {
			t.Errorf("%s is in %s", test.Name, test.File)
		}
		got = append(got, strings.Join([]string{test.Name, test.Outcome, strconv.Itoa(test.Line)}, " "))
		if (test.Error != "") != (test.Outcome == policy.TestErrored) {
			t.Errorf("%s: %s with the error %q", test.Name, test.Outcome, test.Error)
		}
		if test.Name == "test_decision" && strings.TrimSpace(test.Output) != "false" {
			t.Errorf("printed: %q", test.Output)
		}
	}
	if !slices.Equal(got, want) || r.Passed() {
		t.Errorf("got %q, passed %t, want %q", got, r.Passed(), want)
	}
	if len(r.Files) != 1 || len(r.Files[0].Missed) != 1 || r.Files[0].Missed[0] != [2]int{8, 8} || r.Coverage >= 100 || r.Coverage < 50 || r.Files[0].Coverage != r.Coverage {
		t.Errorf("coverage: got %+v, %v, want line 8 missed", r.Files, r.Coverage)
	}

	r, err = policy.RunTests(t.Context(), policy.Config{Dir: withTests(t, "package caregate.operator\n\ntest_weekend if \"weekend\" in deny with input.purpose as \"weekend\"\n")})
	if err != nil || len(r.Tests) != 1 || !r.Passed() {
		t.Errorf("tests in the rules' own package: got %+v, %v", r, err)
	}
}

func TestRunTestsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ src, says string }{
		"syntax":       {"package caregate.operator_test\n\ntest_x if {\n", "own_test.rego:4"},
		"empty":        {"", "own_test.rego"},
		"elsewhere":    {"package caregate.access\n\ntest_x if true\n", "own_test.rego:1: caregate.access is closed to rules of a deployment; use package caregate.operator_test"},
		"the network":  {"package caregate.operator_test\n\ntest_x if http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"}).status_code == 200\n", "undefined function http.send"},
		"no test":      {"package caregate.operator_test\n\nchecks_x if true\n", "own_test.rego:1: no test in it"},
		"below ours":   {"package caregate.operator_test.desk\n\ntest_x if true\n", "own_test.rego:1: caregate.operator_test.desk is closed"},
		"asks nobody":  {"package caregate.operator_test\n\ntest_x if {\n\tnot data.caregate.operator.denied\n}\n", "own_test.rego:4: there is no data.caregate.operator.denied"},
		"not compiled": {"package caregate.operator_test\n\ntest_x if nonsense(1)\n", "own_test.rego:3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := policy.RunTests(t.Context(), policy.Config{Dir: withTests(t, test.src)}); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
	dir := withTests(t, "package caregate.operator\n\nlimit := 50000\n\ntest_x if limit > 0\n")
	if err := os.WriteFile(filepath.Join(dir, "more.rego"), []byte("package caregate.operator\n\ndeny contains \"large\" if input.payment.amount > limit\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := policy.RunTests(t.Context(), policy.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "more.rego:3") || !strings.Contains(err.Error(), "limit") {
		t.Errorf("a rule with a helper among the tests, which no gateway loads: got %v", err)
	}
	if _, err := policy.RunTests(t.Context(), policy.Config{Dir: rules(t, ownRules)}); err == nil || !strings.Contains(err.Error(), "no *_test.rego") {
		t.Errorf("no tests: got %v", err)
	}
}
