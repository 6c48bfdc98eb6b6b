package proxy

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
)

var update = flag.Bool("update", false, "write docs/reasons.md anew")

// docs/reasons.md is the catalogue for people. It is generated, so that it says
// what the binary does: go test ./proxy -run TestReasonsPage -update
func TestReasonsPage(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# Answers of the gateway\n\n" +
		"<!-- Generated from proxy/reason.go by `go test ./proxy -run TestReasonsPage -update`. -->\n\n" +
		"Every answer that comes from the gateway and not from the vendor is a problem document (RFC 9457) with one of these reasons, in its\n" +
		"`reason` member and in the header `Caregate-Error`. `forwarded` says whether the vendor saw the call: if it is false, repeating the call is safe.\n" +
		"`caregate explain RECEIPT` says the same about one answer, from the log.\n\n" +
		"Not every client library treats each of these as an error: node-zendesk 6, for one, takes 413, 415 and 502 for an empty success. Look at\n" +
		"`Caregate-Error` when an integration seems to succeed with nothing.\n\n" +
		"| reason | status | what happened | what to do | who can |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range Reasons() {
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s | %s |\n", r.Code, r.Status, r.What, r.Fix, r.Who)
	}
	b.WriteString("\nThe gateway's own API (`/api/v1`) answers with these as well:\n\n| reason | status | what happened | what to do | who can |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range console.Reasons() {
		if _, known := LookupReason(r.Code); !known {
			fmt.Fprintf(&b, "| `%s` | %d | %s | %s | %s |\n", r.Code, r.Status, r.What, r.Fix, r.Who)
		}
	}
	const page = "../docs/reasons.md"
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != b.String() {
		t.Errorf("%s is not current (%v): write it with -update", page, err)
	}
}
