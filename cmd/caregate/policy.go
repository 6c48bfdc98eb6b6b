package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy"
)

func newPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Test rules of your own, see what enforcing would do, try a draft on recorded traffic, sign and verify bundles",
		Long: `Rules of your own, in Rego, can only deny what the built-in policy allows: docs/policy.md
says what they see and where they stand in the Caddyfile.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyObserved(), newPolicyReplay(), newPolicySign(), newPolicyTest(), newPolicyVerify())
	return cmd
}

func newPolicyTest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test [--config FILE] [--rules DIR] [--json]",
		Short: "Run the tests of your rules",
		Long: `Runs the tests beside your rules (*_test.rego, rules whose name begins with test_), with
the built-in policy and the documents of the configuration, and says which lines of your
rules no test reached. No gateway need run, and none is changed.

It exits with 1 when a test fails.`,
		Example: `  caregate policy test
  caregate policy test --rules ./rules --json`,
		Args: noArgs,
	}
	config := cmd.Flags().StringP("config", "c", "", "Configuration that names rules and documents (default: ./Caddyfile, if there is one)")
	rules := cmd.Flags().String("rules", "", "Directory of the rules (default: the one that the configuration names)")
	asJSON := cmd.Flags().Bool("json", false, "Print the results as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var p place
		if err := p.read(*config); err != nil {
			return err
		}
		if p.app == nil {
			p.app = new(proxy.App)
		}
		c, err := p.app.PolicyConfig()
		if err != nil {
			return err
		}
		if *rules != "" {
			c.Dir = *rules
		}
		if c.Dir == "" {
			return fail("`policy builtin ./rules` in the Caddyfile names a directory, or --rules does", "there are no rules of your own to test")
		}
		r, err := policy.RunTests(cmd.Context(), c)
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), r)
		} else {
			err = printTests(cmd, r)
		}
		if err == nil && !r.Passed() {
			err = errSilent
		}
		return err
	}
	return cmd
}

func printTests(cmd *cobra.Command, r *policy.TestReport) error {
	out := cmd.OutOrStdout()
	t := newTable(out, "TEST", "RESULT", "AT")
	failed := 0
	for _, test := range r.Tests {
		t.row(test.Name, test.Outcome, test.File+":"+strconv.Itoa(test.Line))
		if test.Outcome == policy.TestFailed || test.Outcome == policy.TestErrored {
			failed++
		}
	}
	if err := t.print(); err != nil {
		return err
	}
	for _, test := range r.Tests {
		if test.Error != "" {
			fmt.Fprintf(out, "\n%s: %s\n", test.Name, plain(test.Error))
		}
		for line := range strings.Lines(test.Output) {
			fmt.Fprintf(out, "\n%s printed: %s\n", test.Name, plain(strings.TrimRight(line, "\n")))
		}
	}
	fmt.Fprintln(out)
	t = newTable(out, "RULES", "REACHED", "NOT REACHED")
	for _, f := range r.Files {
		var missed []string
		for _, m := range f.Missed {
			lines := strconv.Itoa(m[0])
			if m[1] > m[0] {
				lines += "-" + strconv.Itoa(m[1])
			}
			missed = append(missed, lines)
		}
		t.row(f.File, fmt.Sprintf("%.0f %%", f.Coverage), dash(strings.Join(missed, " ")))
	}
	if err := t.print(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d tests, %d failed, %.0f %% of the rules' lines reached\n", len(r.Tests), failed, r.Coverage)
	return err
}
