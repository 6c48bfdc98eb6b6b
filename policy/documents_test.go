package policy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Documents without rows are left out for the built-in rules, which must not change what
// they say, and are there for rules of the operator that read documents, in whatever way.
func TestDocumentsWithoutRows(t *testing.T) {
	t.Parallel()
	without, err := NewEngine(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, deny := range map[string]string{
		"a count":   `deny contains "read" if { count(data.limits) == 0; input.purpose == "ask" }`,
		"an import": "import data.limits as rows\n\n" + `deny contains "read" if { rows == {}; input.purpose == "ask" }`,
		"by a name": `deny contains "read" if { some name in ["limits"]; data[name] == {}; input.purpose == "ask" }`,
		"a helper": `deny contains "read" if { none(data.rollout.rules); input.purpose == "ask" }

none(rows) if rows == {}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "own.rego"), []byte("package caregate.operator\n\n"+deny+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			with, err := NewEngine(t.Context(), Config{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range decisionTable(t) {
				raw, err := json.Marshal(row.(map[string]any)["input"])
				if err != nil {
					t.Fatal(err)
				}
				in, err := ReadInput(string(raw))
				if err != nil {
					t.Fatal(err)
				}
				want, err := without.Decide(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				got, err := with.Decide(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				a, _ := json.Marshal(got)
				b, _ := json.Marshal(want)
				if string(a) != string(b) {
					t.Errorf("row %d: got %s, want %s", i, a, b)
				}
				in.Purpose = "ask"
				if got, err = with.Decide(t.Context(), in); err != nil || len(got.OwnRules()) != 1 {
					t.Errorf("row %d: the rule about documents does not count: %v", i, err)
				}
			}
		})
	}
}
