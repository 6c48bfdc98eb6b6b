package zendesk_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

var tokenForm = regexp.MustCompile(`ptk1[0-9a-hjkmnp-tv-z]{30}`)

// A job that synchronises, with tokens in the place of values: what the helpdesk has in
// clear stays so, what it has as a token stays the same token, and comments may carry
// tokens.
func TestSyncJobWithTokens(t *testing.T) {
	const iban = "DE89 3704 0044 0532 0130 00"
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	rows := "version: 1\nenforcement:\n  - {class: iban, action: tokenize}\n  - {class: credit_card, action: tokenize}\n"
	if err := os.WriteFile(policy, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	d, c := setupWith(t, basic, proxytest.Options{Block: "policy builtin " + policy + "\n\t\tvault cards"})
	var old struct{ Ticket stored }
	d.behind(http.MethodPost, "/api/v2/tickets.json", fmt.Sprintf(`{"ticket":{"subject":"Refund to IBAN %s","comment":{"body":"see subject"},
		"custom_fields":[{"id":%d,"value":"%s"},{"id":%d,"value":"gold"}],"tags":["vip"],"status":"new"}}`, iban, field, card, field+1), http.StatusCreated, &old)
	var made stored
	c.must(&made, "tickets.create", map[string]any{"ticket": map[string]any{
		"subject": "Refund to IBAN " + iban, "comment": map[string]any{"body": "the card was " + card},
		"custom_fields": []map[string]any{{"id": field, "value": card}},
	}})
	stored := d.ticket(made.ID)
	account, number := tokenForm.FindString(stored.Subject), tokenForm.FindString(stored.CustomFields[0].Value)
	if stored.Subject != "Refund to IBAN "+account || account == "" || stored.CustomFields[0].Value != number || !strings.Contains(stored.Comments[0].Body, "the card was "+number) {
		t.Fatalf("stored: %+v", stored)
	}

	for name, id := range map[string]int64{"in clear": old.Ticket.ID, "as a token": made.ID} {
		before := d.ticket(id)
		var read map[string]any
		c.must(&read, "tickets.show", id)
		if read["subject"] != "Refund to IBAN "+account || read["custom_fields"].([]any)[0].(map[string]any)["value"] != number {
			t.Errorf("%s: read %v, %v", name, read["subject"], read["custom_fields"])
		}
		read["status"], read["priority"] = "solved", "high"
		delete(read, "fields") // the old name of the same list
		a := c.must(nil, "tickets.update", id, map[string]any{"ticket": read, "comment": map[string]any{"body": "paid out to " + account}})
		if e := d.gateway.Exchange(a.Receipt)[0]; e.Attrs["masked_writes_removed"] == "" {
			t.Errorf("%s: event %+v", name, e)
		}
		after := d.ticket(id)
		if after.Subject != before.Subject || after.CustomFields[0] != before.CustomFields[0] {
			t.Errorf("%s: the write changed %q to %q, %v to %v", name, before.Subject, after.Subject, before.CustomFields, after.CustomFields)
		}
		if after.Status != "solved" || after.Priority != "high" {
			t.Errorf("%s: what the job changed was not stored", name)
		}
		clean(t, "the write at the helpdesk", d.arrived()[len(d.arrived())-1].Body)
	}
	// A comment adds: its token arrives.
	c.must(nil, "tickets.update", made.ID, map[string]any{"ticket": map[string]any{"comment": map[string]any{"body": "paid out to " + account}}})
	if comments := d.ticket(made.ID).Comments; !strings.Contains(comments[len(comments)-1].Body, "paid out to "+account) {
		t.Errorf("comments: %+v", comments)
	}
}
