package channel

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/transform"
	"github.com/caregate/caregate/redact/walk"
)

// parse reads a JSON body with the places of an operation.
func parse(t *testing.T, body string, fields *walk.Fields) *walk.Doc {
	t.Helper()
	d, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := walk.Parse(walk.JSON, []byte(body), d, fields, walk.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return doc
}

// put sets the value at a pointer below doc; a star becomes a list of n equal
// elements.
func put(doc any, tokens []string, value any, n int) any {
	if len(tokens) == 0 {
		return value
	}
	if tokens[0] == "*" {
		list := make([]any, n)
		for i := range list {
			list[i] = put(nil, tokens[1:], value, n)
		}
		return list
	}
	object, ok := doc.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	object[tokens[0]] = put(object[tokens[0]], tokens[1:], value, n)
	return object
}

// units returns the places of the rules that are one record each.
func units(rules []walk.Rule) []string {
	var out []string
	for _, rule := range rules {
		if rule.Flags&walk.Unit != 0 {
			out = append(out, rule.Pointer)
		}
	}
	return out
}

// Calls that answer with a list yield one unit per element, with the element's
// record and subjects in it. The exceptions answer with counts, words or an
// acknowledgement.
func TestListsYieldUnits(t *testing.T) {
	t.Parallel()
	none := []string{
		"tag.", "ticket.tags", "user.tags", "organization.tags", "preflight", "upload.", "attachment.content", "audit_log.export",
	}
	tested := 0
	for _, op := range zendesk(t).Operations {
		list := strings.HasSuffix(op.Name, ".list") || strings.HasSuffix(op.Name, ".search") || strings.Contains(op.Name, ".incremental") || op.Scope == ScopeExport
		places := units(op.ResponseRules)
		if list && len(places) == 0 && !slices.ContainsFunc(none, func(p string) bool { return strings.HasPrefix(op.Name, p) }) {
			t.Errorf("%s answers with a list and has no place for its elements", op.Name)
		}
		for _, place := range places {
			body, err := json.Marshal(put(nil, strings.Split(place[1:], "/"), map[string]any{"id": 36018600000007, "ticket_id": 36018600000014, "name": "x"}, 3))
			if err != nil {
				t.Fatal(err)
			}
			doc := parse(t, string(body), op.Response)
			if doc.Units != 3 {
				t.Errorf("%s: %s gives %d units, want 3", op.Name, place, doc.Units)
			}
			for _, c := range doc.Captures {
				if c.Unit < 1 || c.Unit > 3 {
					t.Errorf("%s: %s gives the capture %s in unit %d", op.Name, place, c.Label, c.Unit)
				}
			}
			if len(doc.Findings) != 0 {
				t.Errorf("%s: an identifier at %s is a finding", op.Name, place)
			}
			tested++
		}
	}
	if tested < 300 {
		t.Errorf("only %d lists were tried", tested)
	}
}

// labels returns "label=value" of the captures with the label's prefix.
func labels(doc *walk.Doc, prefix string) []string {
	var out []string
	for _, c := range doc.Captures {
		if strings.HasPrefix(c.Label, prefix) {
			out = append(out, c.Label+"="+string(doc.Value(c)))
		}
	}
	slices.Sort(out)
	return out
}

// A real-shaped list: people, records and times are found per ticket, addresses
// are offered for rewriting, and no identifier is touched although every one of
// them looks like a card.
func TestTicketListPlaces(t *testing.T) {
	t.Parallel()
	const body = `{"tickets":[
	 {"id":4025900000010,"url":"https://acme.zendesk.com/api/v2/tickets/4025900000010.json","external_id":"4111111111111111","subject":"card 4111 1111 1111 1111","requester_id":36018600000007,
	  "created_at":"2026-01-02T03:04:05Z","custom_fields":[{"id":4111111111111111,"value":"536-22-8145"}],"via":{"source":{"from":{"address":"maria@customer.example","name":"Maria"}}}},
	 {"id":4025900000028,"subject":"none","requester_id":36018600000015,"metric_set":{"solved_at":"2026-01-03T00:00:00Z"}}],
	 "users":[{"id":36018600000007,"email":"maria@customer.example","phone":"+4917612345678","name":"Maria"}],
	 "next_page":"https://acme.zendesk.com/api/v2/tickets.json?page=2","meta":{"after_cursor":"4111111111111111"}}`
	op := zendesk(t).Match("GET", "/api/v2/tickets.json").Op
	doc := parse(t, body, op.Response)
	if doc.Units != 3 {
		t.Errorf("got %d units, want 2 tickets and 1 user", doc.Units)
	}
	for prefix, want := range map[string][]string{
		"record:":             {"record:ticket=4025900000010", "record:ticket=4025900000028", "record:user=36018600000007"},
		LabelSubjectID:        {"subject:id=36018600000007", "subject:id=36018600000007", "subject:id=36018600000015"},
		LabelSubjectEmail:     {"subject:email=maria@customer.example"},
		LabelSubjectContact:   {"subject:contact=maria@customer.example"},
		LabelSubjectPhone:     {"subject:phone=+4917612345678"},
		"time:":               {"time:closed=2026-01-03T00:00:00Z", "time:created=2026-01-02T03:04:05Z"},
		LabelURL:              {"url=https://acme.zendesk.com/api/v2/tickets.json?page=2", "url=https://acme.zendesk.com/api/v2/tickets/4025900000010.json"},
		"subject:external_id": nil,
	} {
		if got := labels(doc, prefix); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", prefix, got, want)
		}
	}
	classes := map[redact.Class]int{}
	for _, f := range doc.Findings {
		if info, _ := redact.Lookup(string(f.Class)); !f.Never && info.Default.Rewrites() {
			classes[f.Class]++
		}
	}
	if len(classes) != 2 || classes[redact.CreditCard] != 1 || classes[redact.USSSN] != 1 {
		t.Errorf("findings to rewrite are %v, want the card in the subject and the number in the custom field", classes)
	}
}

// A mask that comes back in a field which a write replaces is taken out of the
// write.
func TestMaskedWritesOfATicket(t *testing.T) {
	t.Parallel()
	card := string(transform.Append(nil, []byte("4111 1111 1111 1111"), redact.CreditCard, redact.Mask))
	cases := []struct{ name, method, path, in, want string }{
		{"subject", "PUT", "/api/v2/tickets/1", `{"ticket":{"subject":"` + card + `","status":"open"}}`, `{"ticket":{"status":"open"}}`},
		{"one of many", "PUT", "/api/v2/tickets/update_many.json", `{"tickets":[{"id":1,"subject":"` + card + `"}]}`, `{"tickets":[{"id":1}]}`},
		{"request", "PUT", "/api/v2/requests/1", `{"request":{"subject":"` + card + `"}}`, `{"request":{}}`},
		{"user", "PUT", "/api/v2/users/1", `{"user":{"notes":"` + card + `","user_fields":{"a":"b","c":"` + card + `"}}}`, `{"user":{"user_fields":{"a":"b"}}}`},
		{"organization", "PATCH", "/api/v2/organizations/1", `{"organization":{"details":"` + card + `","name":"x"}}`, `{"organization":{"name":"x"}}`},
		{"custom object", "PATCH", "/api/v2/custom_objects/order/records/1", `{"custom_object_record":{"custom_object_fields":{"a":"` + card + `","b":1}}}`, `{"custom_object_record":{"custom_object_fields":{"b":1}}}`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			doc := parse(t, tc.in, zendesk(t).Match(tc.method, tc.path).Op.Request)
			edits, blocked := doc.MaskedWrites()
			got := string(doc.Rewrite(func(redact.Finding) redact.Action { return redact.Allow }, edits...))
			if got != tc.want || blocked != 0 {
				t.Errorf("got %s with %d blocked, want %s", got, blocked, tc.want)
			}
		})
	}
}

// A custom field is taken out as the whole element, because an element without
// its value would empty the field; tags and the actions of a rule are replaced
// as a whole list.
func TestWhatAWriteReplacesAsAWhole(t *testing.T) {
	t.Parallel()
	cases := map[string][]string{
		"ticket.update":      {"/ticket/custom_fields/*", "/ticket/fields/*", "/ticket/tags"},
		"ticket.update_many": {"/tickets/*/custom_fields/*", "/tickets/*/tags"},
		"user.update":        {"/user/user_fields/*", "/user/tags"},
		"macro.update":       {"/macro/actions"},
	}
	for name, want := range cases {
		rules := zendesk(t).Operation(name).RequestRules
		for _, place := range want {
			if !slices.ContainsFunc(rules, func(r walk.Rule) bool { return r.Pointer == place && r.Flags&walk.Overwrite != 0 }) {
				t.Errorf("%s does not take %s out as a whole", name, place)
			}
		}
	}
}

// A comment is not among the places that a write overwrites.
func TestCommentsOverwriteNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ticket.create", "ticket.update", "ticket.update_many", "request.update", "ticket.import"} {
		for _, rule := range zendesk(t).Operation(name).RequestRules {
			if strings.Contains(rule.Pointer, "/comment") && rule.Flags&walk.Overwrite != 0 {
				t.Errorf("%s: %s overwrites", name, rule.Pointer)
			}
		}
	}
}

// Addresses of people's pages and of other systems are not offered for
// rewriting; everything that pages, follows or downloads is.
func TestAddressPlaces(t *testing.T) {
	t.Parallel()
	c := zendesk(t)
	cases := []struct {
		op   string
		want []string
	}{
		{"ticket.list", []string{"/next_page", "/previous_page", "/links/next", "/links/prev", "/tickets/*/url"}},
		{"ticket.incremental_cursor", []string{"/after_url", "/before_url"}},
		{"ticket.create_many", []string{"/job_status/url"}},
		{"job.show_many", []string{"/job_statuses/*/url"}},
		{"comment.list", []string{"/comments/*/attachments/*/content_url", "/comments/*/attachments/*/mapped_content_url", "/comments/*/attachments/*/thumbnails/*/content_url"}},
		{"upload.create", []string{"/upload/attachment/content_url"}},
		{"search.query", []string{"/results/*/url"}},
		{"user.show", []string{"/user/url", "/user/photo/content_url"}},
	}
	for _, tc := range cases {
		op := c.Operation(tc.op)
		for _, want := range tc.want {
			if !slices.ContainsFunc(op.ResponseRules, func(r walk.Rule) bool { return r.Pointer == want && r.Flags&walk.URL != 0 }) {
				t.Errorf("%s does not offer %s for rewriting", tc.op, want)
			}
		}
	}
	for _, op := range c.Operations {
		for _, rule := range op.ResponseRules {
			if strings.HasSuffix(rule.Pointer, "/html_url") && rule.Flags&walk.URL != 0 {
				t.Errorf("%s rewrites %s, which is for people", op.Name, rule.Pointer)
			}
		}
	}
	for _, name := range []string{"Location", "Link"} {
		if !slices.Contains(c.URLHeaders, name) {
			t.Errorf("the header %s is not rewritten", name)
		}
	}
}

// A delivery has a name only in the vendor's own envelope: an "id" in a body that
// an administrator wrote is a ticket's, and comes again.
func TestDeliveryID(t *testing.T) {
	t.Parallel()
	w := zendesk(t).Webhooks
	envelope := `{"zendesk_event_version":"2022-11-06","account_id":22129848,"id":"cbe4028c-7239-495d-b020-f22348516046","detail":{"id":"5158"}}`
	name := func(body string) string { return string(w.DeliveryID(parse(t, body, w.Operation.Request))) }
	if got := name(envelope); got == "" || got != name(" "+envelope) {
		t.Errorf("an envelope is called %q", got)
	}
	if name(envelope) == name(strings.Replace(envelope, "cbe4", "cbe5", 1)) || name(envelope) == name(strings.Replace(envelope, "48,", "49,", 1)) {
		t.Error("another event has the same name")
	}
	for _, body := range []string{`{"id":12,"status":"open"}`, `{"id":12,"account_id":7}`, strings.Replace(envelope, `"cbe4028c-7239-495d-b020-f22348516046"`, "null", 1),
		strings.Replace(envelope, `"cbe4028c-7239-495d-b020-f22348516046"`, `""`, 1), `[]`} {
		if got := name(body); got != "" {
			t.Errorf("%s is called %q", body, got)
		}
	}
	if got := w.DeliveryID(nil); got != nil {
		t.Errorf("an unread body is called %q", got)
	}
}
