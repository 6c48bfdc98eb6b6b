package zendesk_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A job that reads a ticket and writes it back whole, as jobs do that keep two
// systems alike: what it read is masked, and must not replace the original.
func TestSyncJob(t *testing.T) {
	d, c := setup(t, basic, "")
	var made struct{ Ticket stored }
	d.behind(http.MethodPost, "/api/v2/tickets.json", fmt.Sprintf(`{"ticket":{"subject":"Charged twice on %s","comment":{"body":"see subject"},
		"custom_fields":[{"id":%d,"value":"%s"},{"id":%d,"value":"gold"}],"tags":["vip","card_%s"],"status":"new"}}`,
		card, field, ssn, field+1, strings.ReplaceAll(card, " ", "")), http.StatusCreated, &made)
	id := made.Ticket.ID

	var read map[string]any
	a := c.must(&read, "tickets.show", id)
	if e := d.event(a, "ticket.show", "released"); masked(e, "credit_card") < 2 || masked(e, "us_ssn") < 1 {
		t.Errorf("read: event counts %+v", e.Findings)
	}
	if read["subject"] != "Charged twice on "+maskedCard {
		t.Errorf("read: got subject %v", read["subject"])
	}

	read["status"], read["priority"] = "solved", "high"
	fields := read["custom_fields"].([]any)
	if got := fields[0].(map[string]any)["value"]; got != maskedSSN {
		t.Errorf("read: got field %v", got)
	}
	fields[1].(map[string]any)["value"] = "platinum"
	delete(read, "fields") // the old name of the same list
	a = c.must(nil, "tickets.update", id, map[string]any{"ticket": read})
	d.event(a, "ticket.update", "released")
	if e := d.gateway.Exchange(a.Receipt)[0]; e.Type != "request.decided" || e.Attrs["masked_writes_removed"] == "" {
		t.Errorf("write: event %+v", e)
	}

	kept := d.ticket(id)
	if kept.Subject != "Charged twice on "+card || kept.RawSubject != kept.Subject || kept.CustomFields[0].Value != ssn {
		t.Errorf("the write replaced an original with its mask: %q %q %+v", kept.Subject, kept.RawSubject, kept.CustomFields)
	}
	if len(kept.Tags) != 2 || strings.Contains(strings.Join(kept.Tags, ","), "XX") {
		t.Errorf("the write replaced tags with their masks: %q", kept.Tags)
	}
	if kept.Status != "solved" || kept.Priority != "high" || len(kept.CustomFields) != 2 || kept.CustomFields[1].Value != "platinum" {
		t.Errorf("what the job changed was not stored: %s %s %+v", kept.Status, kept.Priority, kept.CustomFields)
	}
	body := string(d.arrived()[len(d.arrived())-1].Body)
	if strings.Contains(body, "XXX") {
		t.Error("a mask was forwarded")
	}
	clean(t, "the write at the helpdesk", []byte(body))
	d.gateway.WaitForEntries(2 + 2*2)
}

// Attachments cannot be read by this version: they are refused with a reason
// that a program can show, or pass where the route says so, which is recorded.
func TestUpload(t *testing.T) {
	const file = "not text to anybody, card " + card
	t.Run("default", func(t *testing.T) {
		d, c := setup(t, basic, "")
		// The library takes 415 for no error; a program sees it in its debug events.
		r := c.call("attachments.upload", stream(file), map[string]any{"filename": "receipt.png", "binary": true})
		a := r.last(t)
		if a.Status != 415 || a.Reason != "type_not_inspected" || string(r.Value) != "{}" {
			t.Fatalf("got %s %+v", r.Value, a)
		}
		if p := a.Problem; p == nil || p.Reason != "type_not_inspected" || p.Forwarded || !strings.Contains(p.Detail, "uninspected pass") {
			t.Errorf("the reason given: %+v", p)
		}
		if e := d.event(a, "upload.create", "not_released"); e.Forwarded || e.Reason != "type_not_inspected" {
			t.Errorf("event: %+v", e)
		}
		if got := d.arrived(); len(got) != 0 {
			t.Errorf("%d calls reached the helpdesk", len(got))
		}
	})
	t.Run("uninspected pass", func(t *testing.T) {
		d, c := setup(t, basic, "uninspected pass")
		var up struct {
			Token      string
			Attachment struct {
				ContentURL string `json:"content_url"`
				Size       int
			}
		}
		var whole struct{ Upload json.RawMessage }
		a := c.must(&whole, "attachments.upload", stream(file), map[string]any{"filename": "receipt.png", "binary": true})
		if err := json.Unmarshal(whole.Upload, &up); err != nil {
			t.Fatal(err)
		}
		d.event(a, "upload.create", "released")
		if e := d.gateway.Exchange(a.Receipt)[0]; notInspected(e) != 1 || e.Attrs["unread"] != "type" || !e.Forwarded {
			t.Errorf("upload: event %+v", e)
		}
		got := d.arrived()[0]
		if string(got.Body) != file || up.Attachment.Size != len(file) || up.Token == "" {
			t.Errorf("stored %d bytes of %d: %+v", len(got.Body), len(file), up)
		}
		if !strings.HasPrefix(up.Attachment.ContentURL, d.gateway.URL+"/attachments/token/") {
			t.Errorf("the file is at %s", up.Attachment.ContentURL)
		}
		var made stored
		c.must(&made, "tickets.create", map[string]any{"ticket": map[string]any{
			"subject": "with a file", "comment": map[string]any{"body": "see the file", "uploads": []string{up.Token}},
		}})
		// The file comes back through the same route, unread as well.
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, up.Attachment.ContentURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(agent+"/token", apiToken)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		e := d.event(answer{Method: "GET", URL: "the file", Receipt: res.Header.Get("Caregate-Receipt")}, "attachment.content", "released")
		if res.StatusCode != 200 || notInspected(e) != 1 || e.Attrs["unread"] != "type" {
			t.Errorf("download: status %d, event %+v", res.StatusCode, e)
		}
	})
}

// The library sends a file that it was given by path under the type of JSON.
// What calls itself JSON is read as JSON, on every route.
func TestUploadByPath(t *testing.T) {
	d, c := setup(t, basic, "uninspected pass")
	dir := t.TempDir()
	for name, test := range map[string]struct {
		content, stored string
		status          int
		reason          string
	}{
		"data.json": {`{"note":"card ` + card + `"}`, `{"note":"card ` + maskedCard + `"}`, 201, ""},
		"note.txt":  {"card " + card, "", 400, "json_syntax"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		before := len(d.arrived())
		a := c.call("attachments.upload", path, map[string]any{"filename": name, "binary": true}).last(t)
		if a.Status != test.status || a.Reason != test.reason {
			t.Errorf("%s: got %d %s, want %d %s", name, a.Status, a.Reason, test.status, test.reason)
		}
		switch got := d.arrived(); {
		case test.stored == "" && len(got) != before:
			t.Errorf("%s reached the helpdesk", name)
		case test.stored != "" && string(got[len(got)-1].Body) != test.stored:
			t.Errorf("%s: stored %q", name, got[len(got)-1].Body)
		}
	}
}
