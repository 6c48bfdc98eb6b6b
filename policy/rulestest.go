package policy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

// testTime bounds one test of an operator's rules. A decision takes a tenth of a
// millisecond; a test may make hundreds.
const testTime = 10 * time.Second

// Outcomes of a test.
const (
	TestPassed  = "pass"
	TestFailed  = "fail"
	TestErrored = "error"
	TestSkipped = "skip"
)

// TestReport is what the tests of a deployment's rules said.
type TestReport struct {
	// Tests are in the order of their files and lines.
	Tests []TestResult `json:"tests"`
	// Files are the deployment's rules, in order of name; built-in rules are not among
	// them, they have tests of their own.
	Files []Covered `json:"files"`
	// Coverage is how much of the lines of all Files the tests reached, in percent.
	Coverage float64 `json:"coverage"`
}

// TestResult is one test.
type TestResult struct {
	// Name is the test's rule, File and Line where it is.
	Name string `json:"name"`
	File string `json:"file"`
	Line int    `json:"line"`
	// Outcome is TestPassed, TestFailed, TestErrored or TestSkipped.
	Outcome string `json:"outcome"`
	// Error says what went wrong where the outcome is TestErrored.
	Error string `json:"error,omitempty"`
	// Output is what the test printed.
	Output string `json:"output,omitempty"`
}

// Covered is one file of rules and what no test reached of it.
type Covered struct {
	File     string  `json:"file"`
	Coverage float64 `json:"coverage"` // in percent
	// Missed are the first and last lines of what was not reached.
	Missed [][2]int `json:"missed"`
}

// Passed tells whether no test failed.
func (r *TestReport) Passed() bool {
	return !slices.ContainsFunc(r.Tests, func(t TestResult) bool { return t.Outcome == TestFailed || t.Outcome == TestErrored })
}

// RunTests runs the tests of the rules in c.Dir: its *_test.rego files, in package
// caregate.operator_test or caregate.operator, as Open Policy Agent runs tests
// (rules whose name begins with test_). They see the whole policy, the built-in rules and
// c.Overlays too, with the limits of an Engine: no network, no clock. A directory without
// tests is an error, and so are a file without and rules that an Engine would refuse.
func RunTests(ctx context.Context, c Config) (*TestReport, error) {
	b, err := readBundle(c)
	if err != nil {
		return nil, err
	}
	if _, err := b.compile(); err != nil {
		return nil, err // without the tests, as a gateway that starts sees the rules
	}
	tests, err := operatorFiles(c.Dir, true)
	if err != nil {
		return nil, err
	}
	for _, f := range tests {
		m, err := f.parse(operatorPackage, testPackage)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(m.Rules, isTest) {
			return nil, fmt.Errorf("%s:%d: no test in it: the name of a test begins with test_", f.name, m.Package.Loc().Row)
		}
		b.modules[f.name] = m
	}
	compiled, err := b.compile()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(tests))
	for i, f := range tests {
		names[i] = f.name
	}
	if err := b.checkReferences(compiled, names); err != nil {
		return nil, err
	}
	data := inmem.NewFromObject(b.data)
	txn, err := data.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("testing the policy: %w", err)
	}
	defer data.Abort(ctx, txn)
	reached := cover.New()
	results, err := tester.NewRunner().SetCompiler(newCompiler().WithEnablePrintStatements(true)).SetStore(data).SetModules(b.modules).
		SetCoverageQueryTracer(reached).SetTimeout(testTime).RaiseBuiltinErrors(true).CapturePrintOutput(true).RunTests(ctx, txn)
	if err != nil {
		return nil, fmt.Errorf("testing the policy: %w", err)
	}
	r := &TestReport{Tests: []TestResult{}, Files: []Covered{}}
	for t := range results {
		if !slices.ContainsFunc(tests, func(f source) bool { return f.name == t.Location.File }) {
			continue
		}
		r.Tests = append(r.Tests, resultOf(t))
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("testing the policy: %w", err)
	}
	slices.SortFunc(r.Tests, func(x, y TestResult) int { return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line)) })
	r.cover(reached.Report(b.modules), b.own)
	return r, nil
}

func resultOf(t *tester.Result) TestResult {
	out := TestResult{Name: t.Name, File: t.Location.File, Line: t.Location.Row, Output: string(t.Output), Outcome: TestPassed}
	switch {
	case t.Error != nil:
		out.Outcome, out.Error = TestErrored, t.Error.Error()
	case t.Fail:
		out.Outcome = TestFailed
	case t.Skip:
		out.Outcome = TestSkipped
	}
	return out
}

// cover notes what was reached of the operator's files.
func (r *TestReport) cover(all cover.Report, own []string) {
	var reached, lines int
	for _, name := range own {
		c := Covered{File: name, Coverage: 100, Missed: [][2]int{}}
		if f := all.Files[name]; f != nil {
			c.Coverage = f.Coverage
			for _, m := range f.NotCovered {
				c.Missed = append(c.Missed, [2]int{m.Start.Row, m.End.Row})
			}
			c.Missed = slices.Compact(c.Missed) // head and body of a rule may share a line
			reached += f.CoveredLines
			lines += f.CoveredLines + f.NotCoveredLines
		}
		r.Files = append(r.Files, c)
	}
	r.Coverage = 100
	if lines > 0 {
		r.Coverage = 100 * float64(reached) / float64(lines)
	}
}
