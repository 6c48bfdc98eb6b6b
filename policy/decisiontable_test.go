package policy

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// decisionTable reads rego/testdata/decisions.csv, as the document that the Rego test
// decides row by row. Package proxy sends a part of the same rows through a gateway.
func decisionTable(t testing.TB) []any {
	t.Helper()
	f, err := os.Open("../rego/testdata/decisions.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var table []any
	for i, line := range lines[1:] {
		cell := make(map[string]string, len(line))
		for j, name := range lines[0] {
			cell[name] = line[j]
		}
		verdict, rest, _ := strings.Cut(cell["decision"], " ")
		row := map[string]any{"line": i + 2, "allow": verdict == "allow", "reason": "", "action": "", "input": cellsInput(t, cell)}
		if verdict == "allow" {
			row["action"] = rest
		} else {
			row["reason"] = rest
		}
		table = append(table, row)
	}
	return table
}

// cellsInput is the input of a row: what it does not say is as in most calls.
func cellsInput(t testing.TB, cell map[string]string) any {
	t.Helper()
	in := Input{
		V: InputVersion, Tenant: "default", Route: cell["channel"], Direction: Request,
		Channel: cell["channel"], Operation: cell["operation"], Mapped: true, Effect: cell["effect"], Scope: cell["scope"],
		Method: "unsafe", Purpose: cell["purpose"], Network: "private", Records: 1, Findings: []Finding{},
		Actor: InputActor{Kind: cell["actor"], Strength: StrengthCredential, Roles: strings.Fields(cell["roles"]), Grants: strings.Fields(cell["grants"]), MFA: cell["mfa"] == "yes"},
	}
	switch in.Actor.Kind {
	case KindToken:
		in.Actor.Strength = StrengthProven
	case KindAnonymous:
		in.Actor.Strength = StrengthNone
	}
	if in.Effect == "read" {
		in.Method = "safe"
	}
	if class, place, ok := strings.Cut(cell["finding"], " "); ok {
		in.Findings = append(in.Findings, Finding{Class: class, Place: place, Count: 1})
	}
	if in.Channel == "stripe" { // a token in the call whose payment is known and has enough left
		in.Payment = InputPayment{Tokens: 1, Token: "known", Payment: "known", Place: "same", Account: "same", Order: "same", Currency: "same", Balance: "within", Key: "new", Amount: 2000, Unit: "EUR"}
	}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}
