package channel

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"
)

func trail(tb testing.TB, channel, name string) *Trail {
	tb.Helper()
	c, err := Load(channel)
	if err != nil {
		tb.Fatal(err)
	}
	t := c.Trail(name)
	if t == nil {
		tb.Fatalf("%s has no trail %s", channel, name)
	}
	return t
}

// The answers of the vendors' own documentation, names and addresses changed.
const (
	zendeskAudit = `{"audit_logs":[
{"action":"exported","action_label":"Exported","actor_id":1234,"actor_name":"Sam Field","change_description":"Exported 900 tickets","created_at":"2026-03-05T11:32:44Z","id":498483,"ip_address":"192.0.2.7","source_id":1,"source_label":"Tickets","source_type":"account","url":"https://a.zendesk.com/api/v2/audit_logs/498483.json"},
{"action":"destroy","actor_id":1234,"actor_name":"Sam Field","change_description":"","created_at":"2026-03-05T11:33:00Z","id":498484,"ip_address":"192.0.2.7","source_id":3456,"source_label":"Jo Doe","source_type":"user"},
{"action":"become Jo Doe","actor_id":-1,"created_at":"2026-03-05T11:33:01Z","id":498485,"source_type":"Jo Doe"},
{"action":"update","created_at":"yesterday","id":498486},
{"action":"update","created_at":"2026-03-05T11:33:01Z"},
7],
"links":{"next":"https://other.example/else?page[after]=xyz&page[size]=100","prev":null},"meta":{"has_more":true,"after_cursor":"xyz"}}`
	zendeskAccess = `{"access_logs":[
{"authorization_type":"session","bytes_sent":4096,"category":"Tickets","client":"Mozilla","id":"01J5M2QGXR3KZ8N4BVWYH6T9PA","ip_address":"192.0.2.8","method":"get","referer":"/agent","status":200,"timestamp":"2026-08-15T14:23:45Z","url":"/api/v2/tickets/35.json?include=users","user_id":123},
{"authorization_type":"session","client":"Mozilla","graphql":{"operation_name":"ticket","operation_type":"QUERY","variables":"{\"id\":\"1\"}"},"id":"01J5M2QGXR3KZ8N4BVWYH6T9PB","ip_address":"192.0.2.8","method":"POST","status":200,"timestamp":"2026-08-15T14:23:46Z","url":"/graphql","user_id":123},
{"id":"01J5M2QGXR3KZ8N4BVWYH6T9PC","ip_address":"192.0.2.8","method":"GET","status":403,"timestamp":"2026-08-15T14:23:47Z","url":"https://a.zendesk.com/api/v2/incremental/tickets/cursor?start_time=0","user_id":123}],
"links":{"next":"https://a.zendesk.com/api/v2/access_logs?page[after]=q"},"meta":{"has_more":false}}`
	intercomActivity = `{"type":"activity_log.list","pages":{"type":"pages","next":null,"page":1,"per_page":250,"total_pages":2},"activity_logs":[
{"id":"fca05814-4b72-4dce-ad4f-77a786a2c136","performed_by":{"type":"admin","id":"991267464","email":"pat@example.com","ip":"192.0.2.9"},"metadata":{"before":"a","after":"b"},"created_at":1734537253,"activity_type":"bulk_export","activity_description":"Pat exported contacts."},
{"id":"6","performed_by":null,"metadata":null,"created_at":1734537254,"activity_type":"a_new_thing","activity_description":"Pat did."}]}`
)

// kinds tells entries shortly: name, effect, scope, actor, and what they are about.
func kinds(entries []TrailEntry) string {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(strings.Join([]string{e.ID, e.Time.Format(time.TimeOnly), e.Name, string(e.Effect), string(e.Scope), e.Actor}, " "))
		for _, p := range e.About {
			b.WriteString(" " + p.Label + "=" + p.Value)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestTrailPages(t *testing.T) {
	t.Parallel()
	from, to := time.Unix(1_700_000_000, 0), time.Unix(1_700_003_600, 0)
	tests := []struct {
		name, channel, trail, body string
		query                      url.Values
		want                       string
		unreadable                 int
		next                       string
	}{
		{"what an account's audit log tells", "zendesk", "audit", zendeskAudit,
			url.Values{"sort": {"created_at"}, "page[size]": {"100"}, "filter[created_at][]": {"2023-11-14T22:13:20Z", "2023-11-14T23:13:20Z"}},
			"498483 11:32:44 data.exported read export 1234\n498484 11:33:00 user.deleted delete one 1234 subject:id=3456\n498485 11:33:01 other   -1\n", 3,
			"page[after]=xyz&page[size]=100"},
		// Calls have the names of the channel's operations; an end is an end although the
		// vendor gives an address.
		{"what an access log tells", "zendesk", "access", zendeskAccess,
			url.Values{"page[size]": {"1000"}, "filter[start]": {"2023-11-14T22:13:20Z"}, "filter[end]": {"2023-11-14T23:13:20Z"}},
			"01J5M2QGXR3KZ8N4BVWYH6T9PA 14:23:45 ticket.show read one 123 record:ticket=35\n01J5M2QGXR3KZ8N4BVWYH6T9PB 14:23:46 screen.read read one 123\n" +
				"01J5M2QGXR3KZ8N4BVWYH6T9PC 14:23:47 ticket.incremental_cursor read export 123\n", 0, ""},
		{"what an activity log tells", "intercom", "activity", intercomActivity,
			url.Values{"per_page": {"250"}, "page": {"1"}, "created_at_after": {"1700000000"}, "created_at_before": {"1700003600"}},
			"fca05814-4b72-4dce-ad4f-77a786a2c136 15:54:13 data.exported read export 991267464\n6 15:54:14 other   \n", 0,
			"created_at_after=1700000000&created_at_before=1700003600&page=2&per_page=250"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := trail(t, tt.channel, tt.trail)
			query := tr.Query(from, to)
			if query != tt.query.Encode() {
				t.Errorf("the first call asks\n%s, want\n%s", query, tt.query.Encode())
			}
			page, err := tr.Read(query, []byte(tt.body), []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := kinds(page.Entries); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
			if page.Unreadable != tt.unreadable || page.Next != tt.next {
				t.Errorf("got %d unreadable and %q next, want %d and %q", page.Unreadable, page.Next, tt.unreadable, tt.next)
			}
		})
	}
}

// What tells of the actor is apart from what tells of others (they are erased apart),
// and both come from the masked document while ids come from the one that arrived.
func TestTrailDetailsAreApart(t *testing.T) {
	t.Parallel()
	tr := trail(t, "zendesk", "audit")
	clean := strings.NewReplacer("498483", "null  ", "900 tickets", "XXX tickets").Replace(zendeskAudit)
	page, err := tr.Read("", []byte(zendeskAudit), []byte(clean))
	if err != nil {
		t.Fatal(err)
	}
	e := page.Entries[0]
	if e.ID != "498483" {
		t.Errorf("the id is %q", e.ID)
	}
	if got, want := string(e.ActorDetail), `{"actor_id":1234,"actor_name":"Sam Field","ip_address":"192.0.2.7"}`; got != want {
		t.Errorf("the actor's part is %s, want %s", got, want)
	}
	rest := string(e.Detail)
	for _, mine := range []string{"Sam Field", "192.0.2.7", "900"} {
		if strings.Contains(rest, mine) {
			t.Errorf("the other part holds %q: %s", mine, rest)
		}
	}
	if !strings.Contains(rest, "XXX tickets") {
		t.Errorf("the other part lacks the description: %s", rest)
	}
}

func TestTrailAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	more := func(next string) string {
		b, _ := json.Marshal(next)
		return `{"audit_logs":[],"links":{"next":` + string(b) + `},"meta":{"has_more":true}}`
	}
	tests := []struct {
		name, channel, trail, query, body string
		want                              error
	}{
		{"no JSON", "zendesk", "audit", "", `<html>`, ErrTrailShape},
		{"no list", "zendesk", "audit", "", `{"audit_logs":{},"meta":{"has_more":false}}`, ErrTrailShape},
		{"a list at the top", "zendesk", "audit", "", `[]`, ErrTrailShape},
		{"no word of an end", "zendesk", "audit", "", `{"audit_logs":[]}`, ErrTrailShape},
		{"more, and no address", "zendesk", "audit", "", `{"audit_logs":[],"meta":{"has_more":true}}`, ErrTrailNext},
		{"more at the same address", "zendesk", "audit", "a=b", more("https://a.example/?a=b"), ErrTrailNext},
		{"an address with a line end", "zendesk", "audit", "", more("/x?a=b\r\nX: y"), ErrTrailNext},
		{"an address without end", "zendesk", "audit", "", more("/x?" + strings.Repeat("a", 5<<10)), ErrTrailNext},
		{"no number of pages", "intercom", "activity", "page=1", `{"activity_logs":[],"pages":{}}`, ErrTrailShape},
		{"a page of ours that is none", "intercom", "activity", "page=x", `{"activity_logs":[],"pages":{"total_pages":3}}`, ErrTrailShape},
		{"pages without end", "intercom", "activity", "page=100001", `{"activity_logs":[],"pages":{"total_pages":999999999}}`, ErrTrailShape},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := trail(t, tt.channel, tt.trail).Read(tt.query, []byte(tt.body), []byte(tt.body))
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// However long a detail is, what is kept of it is short, and JSON.
func TestTrailDetailsAreShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 5000)
	body := `{"audit_logs":[{"id":1,"created_at":"2026-03-05T11:33:01Z","change_description":"` + long + `"},
		{"id":2,"created_at":"2026-03-05T11:33:01Z","list":["` + strings.Repeat(long[:2000]+`","`, 40) + `"]}],"meta":{"has_more":false}}`
	page, err := trail(t, "zendesk", "audit").Read("", []byte(body), []byte(body))
	if err != nil || len(page.Entries) != 2 {
		t.Fatalf("got %d entries, %v", len(page.Entries), err)
	}
	if n := len(page.Entries[0].Detail); n > maxTrailString+200 || !json.Valid(page.Entries[0].Detail) {
		t.Errorf("a string of 10,000 bytes became %d bytes", n)
	}
	if got := string(page.Entries[1].Detail); !strings.HasPrefix(got, `{"omitted_bytes":`) {
		t.Errorf("a list of strings became %.60s", got)
	}
}

func FuzzTrailRead(f *testing.F) {
	f.Add("page=1", zendeskAudit, zendeskAudit)
	f.Add("page=1", zendeskAccess, strings.ReplaceAll(zendeskAccess, "35", "XX"))
	f.Add("page=1", intercomActivity, intercomActivity)
	trails := []*Trail{trail(f, "zendesk", "audit"), trail(f, "zendesk", "access"), trail(f, "intercom", "activity")}
	f.Fuzz(func(t *testing.T, query, raw, clean string) {
		for _, tr := range trails {
			page, err := tr.Read(query, []byte(raw), []byte(clean))
			if err != nil {
				continue
			}
			if page.Next != "" && (len(page.Next) > maxTrailNext+len(query)+8 || !plainQuery(page.Next)) {
				t.Errorf("%s: the next query has %d bytes, or cannot be sent", tr.Name, len(page.Next))
			}
			names := tr.Names()
			for _, e := range page.Entries {
				if e.ID == "" || len(e.ID) > maxTrailID || len(e.Actor) > maxTrailID || e.Time.Year() < firstYear || e.Time.Year() >= lastYear {
					t.Errorf("%s: an entry with a long or no name, or no time", tr.Name)
				}
				known := tr.TellsCalls() && (tr.channel.Operation(e.Name) != nil || strings.HasPrefix(e.Name, "unmapped."))
				for _, n := range names {
					known = known || n == e.Name
				}
				if !known {
					t.Errorf("%s: an entry has a name that is in no file", tr.Name)
				}
				for _, d := range []json.RawMessage{e.ActorDetail, e.Detail} {
					if len(d) > maxTrailDetail || d != nil && !json.Valid(d) {
						t.Errorf("%s: a detail of %d bytes", tr.Name, len(d))
					}
				}
			}
		}
	})
}
