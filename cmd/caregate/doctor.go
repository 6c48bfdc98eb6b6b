package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [--json] [--sbom] [--data DIR]",
		Short: "Look at everything the gateway needs",
		Long: `Looks at the configuration, the data directory, keys, log, disk and the running
gateway, says what is wrong and what to do about it, repeats what each configured
channel governs and what not, and says what the audit log can prove as it is
configured, and what it cannot.

It exits with 1 when something would keep the gateway from working.`,
		Example: `  caregate doctor
  caregate doctor --json
  caregate doctor --sbom > sbom.json`,
		Args: noArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "Print the findings as JSON")
	sbom := cmd.Flags().Bool("sbom", false, "Print the software bill of materials of this binary (CycloneDX JSON) and nothing else")
	placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *sbom {
			b, err := newBOM()
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), b)
		}
		e := examine(cmd)
		var err error
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), e)
		} else {
			err = e.print(cmd.OutOrStdout())
		}
		if err == nil && slices.ContainsFunc(e.Checks, func(c check) bool { return c.State == stateFail }) {
			err = errSilent
		}
		return err
	}
	return cmd
}

// States of a check.
const (
	stateOK   = "ok"
	stateWarn = "warn" // works, and somebody should know
	stateFail = "fail" // the gateway would not work
)

// check is one line of the examination.
type check struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Text  string `json:"text"`
	// Fix says what to do; empty for what is well.
	Fix string `json:"fix,omitempty"`
}

// examination is everything that doctor says.
type examination struct {
	Versions map[string]string `json:"versions"`
	Data     string            `json:"data"`
	Checks   []check           `json:"checks"`
	Routes   []routeReach      `json:"routes"`
	Proves   []string          `json:"log_proves"`
	Cannot   []string          `json:"log_cannot_prove"`
}

// routeReach is what one governed route reaches.
type routeReach struct {
	Route       string   `json:"route"`
	Channel     string   `json:"channel"`
	Upstream    string   `json:"upstream"`
	Webhooks    bool     `json:"webhooks"`
	Exceptions  []string `json:"exceptions"`
	Governed    []string `json:"governed"`
	NotGoverned []string `json:"not_governed"`
}

// examine looks at everything. What cannot be looked at is a check that fails.
func examine(cmd *cobra.Command) *examination {
	e := &examination{Versions: versions(), Checks: []check{}, Routes: []routeReach{}}
	e.Proves = []string{
		"which entries were written, in which order, and that none of them was changed or removed since a checkpoint that somebody else holds",
		"that a receipt belongs to an entry: every answer was recorded before it left",
		"who signed: the checkpoints verify under the log's public key",
	}
	e.Cannot = []string{
		"that the newest part is whole, against an administrator of this machine: there is no anchor outside it, so log, lock store and key could be set back or rewritten together",
		"the time of an event beyond this machine's clock: no outside time stamp is configured",
		"anything about calls that never went through this gateway",
	}
	p, err := findPlace(cmd)
	if err != nil {
		e.add("configuration", stateFail, err.Error(), "correct it; docs/caddyfile.md has every option")
		return e
	}
	e.Data = p.Dir
	e.lookAtConfig(p)
	e.lookAtData(cmd.Context(), p)
	e.lookAtGateway(cmd.Context(), p)
	return e
}

func (e *examination) add(name, state, text, fix string) {
	e.Checks = append(e.Checks, check{name, state, text, fix})
}

// versions of what is in this binary.
func versions() map[string]string {
	return map[string]string{
		"caregate": caddy.CustomVersion,
		"caddy":    moduleVersion("github.com/caddyserver/caddy/v2"),
		"opa":      moduleVersion("github.com/open-policy-agent/opa"),
		"tink":     moduleVersion("github.com/tink-crypto/tink-go/v2"),
		"go":       strings.TrimPrefix(runtime.Version(), "go"),
		"platform": runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// print writes the examination for people.
func (e *examination) print(w io.Writer) error {
	t := newTable(w, "STATE", "WHAT", "FOUND")
	for _, c := range e.Checks {
		t.row(c.State, c.Name, c.Text)
	}
	if err := t.print(); err != nil {
		return err
	}
	for _, c := range e.Checks {
		if c.Fix != "" {
			fmt.Fprintf(w, "\n%s: %s\n", c.Name, plain(c.Fix))
		}
	}
	for _, r := range e.Routes {
		what := plain(r.Channel)
		if r.Webhooks {
			what = "webhooks of " + what
		}
		fmt.Fprintf(w, "\nRoute %s (%s towards %s)%s governs:\n%sIt does not govern:\n%s", plain(r.Route), what, plain(r.Upstream),
			exceptionsText(r.Exceptions), bullets(r.Governed), bullets(r.NotGoverned))
	}
	fmt.Fprintf(w, "\nAs configured, the audit log proves:\n%sIt cannot prove:\n%s", bullets(e.Proves), bullets(e.Cannot))
	names := sortedKeys(e.Versions)
	for i, n := range names {
		names[i] = n + " " + dash(e.Versions[n])
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(names, ", "))
	return nil
}

func exceptionsText(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return ", with the exceptions " + strings.Join(list, ", ") + ","
}
