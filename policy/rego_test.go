package policy

import (
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/caregate/caregate/rego"
)

var rewrite = flag.Bool("rewrite", false, "write the Rego files in OPA's format and the golden files as they are")

// regoDir is the folder of package rego, for -rewrite.
const regoDir = "../rego"

// regoFiles are the built-in rules and their tests.
func regoFiles(t testing.TB) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	names, err := fs.Glob(rego.Files, "*.rego")
	if err != nil || len(names) < 4 {
		t.Fatalf("embedded rules: got %d files, %v", len(names), err)
	}
	for _, name := range names {
		if files[name], err = fs.ReadFile(rego.Files, name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestRegoIsFormatted(t *testing.T) {
	t.Parallel()
	for name, src := range regoFiles(t) {
		want, err := format.Source(name, src)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) == string(src) {
			continue
		}
		if *rewrite {
			if err := os.WriteFile(filepath.Join(regoDir, name), want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("rego/%s is not in OPA's format; run: go test ./policy -run TestRegoIsFormatted -rewrite", name)
	}
}

// regoBundle compiles the rules with their tests, strictly and with the same
// capabilities as the engine.
func regoBundle(t testing.TB) (map[string]*ast.Module, storage.Store) {
	t.Helper()
	modules := make(map[string]*ast.Module)
	for name, src := range regoFiles(t) {
		m, err := ast.ParseModule(name, string(src))
		if err != nil {
			t.Fatal(err)
		}
		modules[name] = m
	}
	b, err := readBundle(Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := newCompiler()
	if c.Compile(modules); c.Failed() {
		t.Fatal(c.Errors)
	}
	data := b.documents(c)
	data["decisions"] = decisionTable(t)
	return modules, inmem.NewFromObject(data)
}

// TestRego runs the tests beside the rules and demands that they cover every
// line of them.
func TestRego(t *testing.T) {
	t.Parallel()
	modules, data := regoBundle(t)
	txn, err := data.NewTransaction(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer data.Abort(t.Context(), txn)
	coverage := cover.New()
	// OPA's own limit of 5 s is too short for tables on a busy machine.
	results, err := tester.NewRunner().SetTimeout(10*time.Minute).
		SetCompiler(newCompiler()).
		SetStore(data).SetModules(modules).SetCoverageQueryTracer(coverage).
		RaiseBuiltinErrors(true).RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for r := range results {
		n++
		if r.Fail || r.Error != nil {
			t.Errorf("%s: %v %s", r.Location, r.Error, r.String())
		}
		for _, line := range strings.Split(string(r.Output), "\n") {
			if line != "" {
				t.Log(line)
			}
		}
	}
	if n < 16 { // of which three are tables of some 90 to 260 rows
		t.Errorf("Rego tests: got %d, want at least 16", n)
	}
	report := coverage.Report(modules)
	for _, name := range slices.Sorted(maps.Keys(report.Files)) {
		if strings.HasSuffix(name, "_test.rego") {
			continue
		}
		for _, r := range report.Files[name].NotCovered {
			t.Errorf("rego/%s:%d: no test reaches lines %d to %d", name, r.Start.Row, r.Start.Row, r.End.Row)
		}
	}
}
