package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "rewrite testdata/modules.golden and docs/cli.md")

// tree lists all commands with their paths.
func tree(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		list = append(list, tree(c)...)
	}
	return list
}

// TestCommandList pins what is offered. Caddy's commands that replace the
// binary, serve without our modules or write to the system's trust store are
// not, and a new version of Caddy adds none.
func TestCommandList(t *testing.T) {
	t.Parallel()
	root := newRoot()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("x")
	want := []string{
		"caregate",
		"caregate access", "caregate access renew", "caregate access reveals", "caregate access review", "caregate access review close", "caregate access review decide", "caregate access review import", "caregate access review list",
		"caregate access review open", "caregate access review report", "caregate access review show", "caregate access review verify",
		"caregate adapt",
		"caregate apikey", "caregate apikey create", "caregate apikey list", "caregate apikey revoke", "caregate apikey rotate",
		"caregate approval", "caregate approval give", "caregate approval list", "caregate approval refuse",
		"caregate audit", "caregate audit export", "caregate audit exposures", "caregate audit prove", "caregate audit repair", "caregate audit search", "caregate audit tail", "caregate audit trust", "caregate audit verify",
		"caregate channel", "caregate channel check", "caregate channel import", "caregate channel list",
		"caregate completion", "caregate completion bash", "caregate completion fish", "caregate completion powershell", "caregate completion zsh",
		"caregate demo", "caregate doctor", "caregate duty", "caregate duty list", "caregate duty retry", "caregate explain", "caregate fmt", "caregate help", "caregate hold", "caregate hold approve-lift", "caregate hold lift", "caregate hold list", "caregate hold place", "caregate hold show",
		"caregate incident", "caregate incident ack", "caregate incident affected", "caregate incident aware", "caregate incident close", "caregate incident list", "caregate incident notice", "caregate incident open", "caregate incident scope", "caregate incident show", "caregate incident trust-clock",
		"caregate init",
		"caregate keys", "caregate keys export-public", "caregate keys rotate", "caregate keys status", "caregate learn",
		"caregate policy", "caregate policy observed", "caregate policy replay", "caregate policy sign", "caregate policy test", "caregate policy verify", "caregate redact", "caregate reload", "caregate request", "caregate request acknowledge", "caregate request close", "caregate request extend", "caregate request list", "caregate request note", "caregate request open", "caregate request pause", "caregate request reauthenticate", "caregate request refuse", "caregate request restart", "caregate request resume", "caregate request show", "caregate request verify", "caregate retention", "caregate retention certificate", "caregate retention check", "caregate retention list", "caregate retention plan", "caregate retention run", "caregate retention verify", "caregate ropa", "caregate ropa check", "caregate ropa diff", "caregate ropa verify", "caregate ropa write", "caregate run", "caregate scan", "caregate subject", "caregate subject erase", "caregate subject flag", "caregate subject flag end", "caregate subject flag list", "caregate subject flag set", "caregate subject records", "caregate token", "caregate token reveal", "caregate token verify", "caregate validate", "caregate version",
	}
	var got []string
	for _, c := range tree(root) {
		got = append(got, c.CommandPath())
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestHelp: every command explains itself, with an example that calls it.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, c := range tree(newRoot()) {
		if c.Short == "" || c.Long == "" {
			t.Errorf("%s does not explain itself", c.CommandPath())
		}
		if !c.HasSubCommands() && !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if c.HasSubCommands() && c.HasParent() && c.Args == nil {
			t.Errorf("%s takes any word for a subcommand", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s is not explained", c.CommandPath(), f.Name)
			}
		})
	}
}

// TestModules pins the modules in the binary: a module is code that an operator
// trusts, and none comes in by accident.
func TestModules(t *testing.T) {
	t.Parallel()
	file := filepath.Join("testdata", "modules.golden")
	got := []byte(strings.Join(caddy.Modules(), "\n") + "\n")
	golden(t, file, got)
}

// golden compares with a file, or rewrites it under -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not current; look at the change, then: go test ./cmd/caregate -run %s -update\n%s", file, t.Name(), difference(string(want), string(got)))
	}
}

// difference lists lines that only one side has.
func difference(want, got string) string {
	var b strings.Builder
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, line := range w {
		if !slices.Contains(g, line) {
			b.WriteString("- " + line + "\n")
		}
	}
	for _, line := range g {
		if !slices.Contains(w, line) {
			b.WriteString("+ " + line + "\n")
		}
	}
	return b.String()
}

// TestDocs holds docs/cli.md against the commands: it is their help, in one page.
func TestDocs(t *testing.T) {
	t.Parallel()
	golden(t, filepath.Join("..", "..", "docs", "cli.md"), []byte(cliPage(newRoot())))
}

// cliPage writes docs/cli.md.
func cliPage(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`# The command line

<!-- Written by: go test ./cmd/caregate -run TestDocs -update. Change the commands, not this page. -->

One program, ` + "`caregate`" + `, is the gateway and everything to look after it. Each command explains itself with ` + "`--help`" + `; this page is the same in one piece.

- Results go to standard output, everything else to standard error. Where a table is printed, ` + "`--json`" + ` prints the same for programs.
- Exit codes: 0 done, 1 failed or something is not right, 2 incomplete (` + "`audit verify`" + ` only), 3 wrong usage, 74 the audit log has failed (` + "`run`" + ` only: start it again, which checks the log).
- ` + "`--data DIR`" + ` names the data directory. Without it, commands take the one that ` + "`./Caddyfile`" + ` (or ` + "`--config FILE`" + `) names, and else ` + "`./data`" + `.
- Commands that change something talk to the running gateway over the socket ` + "`caregate.sock`" + ` in its data directory, and say so when none runs. Who may open the socket is its administrator.
`)
	for _, group := range root.Groups() {
		b.WriteString("\n## " + strings.TrimSuffix(group.Title, ":") + "\n")
		for _, c := range root.Commands() {
			if c.GroupID == group.ID {
				cliSection(&b, c)
			}
		}
	}
	return b.String()
}

func cliSection(b *strings.Builder, c *cobra.Command) {
	b.WriteString("\n### " + c.CommandPath() + "\n\n" + c.Long + "\n")
	if !c.HasSubCommands() {
		b.WriteString("\n```sh\n" + c.UseLine() + "\n\n" + strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n") + "\n```\n")
	}
	first := true
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if first {
			b.WriteString("\n| flag | |\n| --- | --- |\n")
			first = false
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		b.WriteString("| " + name + " | " + f.Usage + " |\n")
	})
	for _, sub := range c.Commands() {
		if sub.Name() != "help" {
			cliSection(b, sub)
		}
	}
}
