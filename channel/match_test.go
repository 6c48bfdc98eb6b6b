package channel

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// example fills a pattern's parameters with values that no literal has.
func example(op *Operation) (path string, values []string) {
	var b strings.Builder
	for i, segment := range strings.Split(op.Pattern[1:], "/") {
		b.WriteByte('/')
		switch {
		case strings.HasPrefix(segment, "{"):
			values = append(values, fmt.Sprintf("90%d0%d", len(values), i))
			b.WriteString(values[len(values)-1])
		case segment == "**":
			b.WriteString("any/where")
		default:
			b.WriteString(segment)
		}
	}
	return b.String(), values
}

// The checked-in table shows what every call of the built-in file is taken for;
// a change of the file is seen as a change of the table.
func TestEveryOperationOfTheFile(t *testing.T) {
	t.Parallel()
	c := zendesk(t)
	var table strings.Builder
	for _, op := range c.Operations {
		path, values := example(op)
		for _, method := range op.Methods {
			for _, written := range []string{path, path + ".json", path + "/", "/" + path, strings.Replace(path, "/t", "/%74", 1)} {
				m := c.Match(method, written)
				if m.Op != op || !m.Mapped {
					t.Errorf("%s %s is taken for %s, want %s", method, written, m.Op.Name, op.Name)
				}
				if len(m.Params) != len(values) {
					t.Errorf("%s %s has parameters %v, want the values %v", method, written, m.Params, values)
					continue
				}
				for i, p := range m.Params {
					if p.Value != values[i] || p.Name == "" {
						t.Errorf("%s %s: parameter %d is %+v, want the value %s", method, written, i, p, values[i])
					}
				}
			}
			fmt.Fprintf(&table, "%-7s %-90s %-38s %-6s %-6s %s", method, op.Pattern, op.Name, op.Effect, op.Scope, op.Mark)
			for _, p := range op.params {
				fmt.Fprintf(&table, " %s=%s%s", p.name, map[bool]string{true: "id", false: "text"}[p.id], map[bool]string{true: "," + p.label}[p.label != ""])
			}
			table.WriteByte('\n')
		}
	}
	lines := strings.Split(table.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	golden(t, "testdata/zendesk.golden", strings.Join(lines, "\n"))
}

func TestMatch(t *testing.T) {
	t.Parallel()
	c := zendesk(t)
	cases := []struct {
		name, method, path, want string
		params                   []string
	}{
		{"list", "GET", "/api/v2/tickets", "ticket.list", nil},
		{"with the suffix", "GET", "/api/v2/tickets.json", "ticket.list", nil},
		{"a slash at the end", "GET", "/api/v2/tickets/", "ticket.list", nil},
		{"a parameter", "PUT", "/api/v2/tickets/36018600000007.json", "ticket.update", []string{"36018600000007"}},
		{"literal before parameter", "POST", "/api/v2/tickets/create_many", "ticket.create_many", nil},
		{"literal whose method does not fit", "GET", "/api/v2/tickets/create_many", "ticket.show", []string{"create_many"}},
		{"literal deeper down", "GET", "/api/v2/users/me/session", "session.current", nil},
		{"back from a literal", "GET", "/api/v2/users/me/tickets/requested", "ticket.by_user_requested", []string{"me"}},
		{"HEAD is a GET", "HEAD", "/api/v2/tickets/1", "ticket.show", []string{"1"}},
		{"preflight", "OPTIONS", "/api/v2/tickets/1", "preflight", nil},
		{"outside the API's folder", "POST", "/oauth/tokens", "oauth.grant", nil},
		{"attachment", "GET", "/attachments/token/aBc/", "attachment.content", []string{"aBc"}},
		{"encoded letter", "GET", "/api/v2/%74ickets/%31", "ticket.show", []string{"1"}},
		{"encoded slash is a slash", "GET", "/api/v2/tickets%2F1", "ticket.show", []string{"1"}},
		{"dot segment", "GET", "/api/v2/tickets/./1", "ticket.show", []string{"1"}},
		{"climbing", "GET", "/api/v2/tickets/1/../../users", "user.list", nil},
		{"climbing, encoded", "GET", "/api/v2/tickets/1/%2e%2e/%2E%2E/users", "user.list", nil},
		{"climbing, slash encoded", "GET", "/api/v2/tickets/..%2fusers", "user.list", nil},
		{"double slash", "GET", "//api//v2///tickets", "ticket.list", nil},
		{"value with a space and a dot", "GET", "/api/v2/help_center/de%20x/articles", "article.list_locale", []string{"de x"}},

		{"double-encoded slash", "GET", "/api/v2/tickets%252F1", "unmapped.get", nil},
		{"double-encoded slash in a value", "GET", "/api/v2/tickets/1%252F2", "unmapped.get", nil},
		{"double-encoded dots", "GET", "/api/v2/tickets/%252e%252e/users", "unmapped.get", nil},
		{"percent and digits encoded apart", "GET", "/api/v2/tickets/%25%32%46", "unmapped.get", nil},
		{"climbing above the root", "GET", "/api/v2/../../../x", "unmapped.get", nil},
		{"bad escape", "GET", "/api/v2/tickets/%zz", "unmapped.get", nil},
		{"cut escape", "GET", "/api/v2/tickets/%4", "unmapped.get", nil},
		{"backslash", "GET", `/api/v2/tickets\1`, "unmapped.get", nil},
		{"encoded backslash", "GET", `/api/v2/tickets%5c1`, "unmapped.get", nil},
		{"NUL", "GET", "/api/v2/tickets/%00", "unmapped.get", nil},
		{"line break", "GET", "/api/v2/tickets/1%0a", "unmapped.get", nil},
		{"another letter case", "GET", "/api/v2/Tickets", "ticket.list", nil},
		{"another version", "GET", "/api/v1/tickets", "unmapped.get", nil},
		{"only the folder", "GET", "/api/v2", "unmapped.get", nil},
		{"root", "GET", "/", "unmapped.get", nil},
		{"empty", "GET", "", "unmapped.get", nil},
		{"asterisk", "OPTIONS", "*", "unmapped.options", nil},
		{"absolute form", "GET", "http://acme.example/api/v2/tickets", "unmapped.get", nil},
		{"only the suffix", "GET", "/api/v2/tickets/.json", "ticket.show", []string{".json"}},
		{"unknown call, write", "POST", "/api/v2/new_thing", "unmapped.post", nil},
		{"unknown call, delete", "DELETE", "/api/v2/new_thing/1", "unmapped.delete", nil},
		{"unknown method", "PROPFIND", "/api/v2/tickets", "unmapped.other", nil},
		{"lower-case method", "get", "/api/v2/tickets", "unmapped.other", nil},
		{"deeper than any pattern", "GET", "/api/v2/tickets/1/comments/2/3/4/5/6/7/8/9/10", "unmapped.get", nil},
		{"longer than the limit", "GET", "/api/v2/tickets/" + strings.Repeat("1", maxPath), "unmapped.get", nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := c.Match(tc.method, tc.path)
			var values []string
			for _, p := range m.Params {
				values = append(values, p.Value)
			}
			if m.Op.Name != tc.want || !slices.Equal(values, tc.params) {
				t.Errorf("got %s %q, want %s %q", m.Op.Name, values, tc.want, tc.params)
			}
			if m.Mapped == strings.HasPrefix(tc.want, "unmapped.") {
				t.Errorf("mapped is %t", m.Mapped)
			}
		})
	}
}

// A server may drop more of a segment than the file says.
func TestMatchPlainest(t *testing.T) {
	t.Parallel()
	c := zendesk(t)
	for path, want := range map[string][2]string{
		"/api/v2/users/me.foo":        {"user.show", "user.me"},
		"/api/v2/users/me%2Efoo.json": {"user.show", "user.me"},
		"/api/v2/users/me":            {"user.me", "user.me"},
		"/api/v2/users/12.5":          {"user.show", "user.show"},
		"/api/v2/users/%zz":           {"unmapped.get", "unmapped.get"},
		"":                            {"unmapped.get", "unmapped.get"},
	} {
		if got := [2]string{c.Match("GET", path).Op.Name, c.MatchPlainest("GET", path).Op.Name}; got != want {
			t.Errorf("%q: got %v, want %v", path, got, want)
		}
	}
}

func TestUnmappedTakesItsEffectFromTheMethod(t *testing.T) {
	t.Parallel()
	c := zendesk(t)
	for method, want := range map[string]Effect{
		"GET": EffectRead, "HEAD": EffectRead, "OPTIONS": EffectRead, "POST": EffectWrite, "PUT": EffectWrite, "PATCH": EffectWrite,
		"DELETE": EffectDelete, "PURGE": EffectWrite, "": EffectWrite,
	} {
		op := c.Match(method, "/not/there").Op
		if op.Effect != want || op.Scope != ScopeOne || op.Mark != MarkNone {
			t.Errorf("%s: got %s %s %q, want %s", method, op.Effect, op.Scope, op.Mark, want)
		}
		// Addresses in the answer are still rewritten, or a client would leave.
		if op.Response == nil {
			t.Errorf("%s: the answer of an unmapped call has no places", method)
		}
	}
}

func TestParametersSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	c := zendesk(t)
	m := c.Match("GET", "/api/v2/tickets/12/comments")
	if want := (Param{Name: "ticket_id", Value: "12", ID: true, Label: "record:ticket"}); len(m.Params) != 1 || m.Params[0] != want {
		t.Errorf("got %+v, want %+v", m.Params, want)
	}
	m = c.Match("GET", "/api/v2/users/34")
	if want := (Param{Name: "user_id", Value: "34", ID: true, Label: LabelSubjectID}); m.Params[0] != want {
		t.Errorf("got %+v, want %+v", m.Params[0], want)
	}
	m = c.Match("GET", "/api/v2/help_center/de/articles/5")
	if m.Params[0].ID || !m.Params[1].ID {
		t.Errorf("a locale is no identifier and an article's number is one: %+v", m.Params)
	}
	op := c.Operation("search.query")
	if op.Query("query") != (Query{}) || !op.Query("page[after]").ID || op.Query("never_heard_of") != (Query{}) {
		t.Error("the search words are text and the cursor is an identifier")
	}
	if got := c.Operation("ticket.show_many").Query("ids"); got != (Query{ID: true, Label: "record:ticket"}) {
		t.Errorf("ids of tickets are %+v", got)
	}
}

// Marks decide who needs no credential: the list is short and looked at.
func TestMarkedOperations(t *testing.T) {
	t.Parallel()
	marked := map[Mark][]string{}
	for _, op := range zendesk(t).Operations {
		if op.Mark != MarkNone {
			marked[op.Mark] = append(marked[op.Mark], op.Name)
		}
	}
	for _, name := range marked[MarkAnonymous] {
		public := false
		for _, prefix := range []string{"request.create", "article.", "section.", "category.", "post.", "post_comment.", "topic.", "locale.public", "search.portal"} {
			public = public || strings.HasPrefix(name, prefix)
		}
		if !public {
			t.Errorf("%s is open to anybody", name)
		}
	}
	if !slices.Equal(marked[MarkPreflight], []string{"preflight"}) || len(marked[MarkHandshake])+len(marked[MarkSigned]) != 0 {
		t.Errorf("marks are %v", marked)
	}
	for _, name := range []string{"oauth.grant", "oauth.token_current", "user.me", "session.current", "webhook.secret", "user.password_change"} {
		if !slices.Contains(marked[MarkAuth], name) {
			t.Errorf("%s carries credentials and is not marked", name)
		}
	}
	for _, op := range zendesk(t).Operations {
		if op.Mark == MarkAnonymous && op.Effect != EffectRead && op.Name != "request.create" {
			t.Errorf("%s is a %s that anybody may call", op.Name, op.Effect)
		}
	}
}

// Bulk and export calls cannot hide behind scope one.
func TestScopesFollowThePaths(t *testing.T) {
	t.Parallel()
	for _, op := range zendesk(t).Operations {
		last := op.Pattern[strings.LastIndexByte(op.Pattern, '/')+1:]
		if strings.Contains(op.Pattern, "/incremental/") || last == "export" {
			if op.Scope != ScopeExport {
				t.Errorf("%s has scope %s, want export", op.Name, op.Scope)
			}
			continue
		}
		changes := op.Effect != EffectRead
		if changes && (strings.HasSuffix(last, "_many") || last == "jobs") && op.Scope != ScopeBulk {
			t.Errorf("%s has scope %s, want bulk", op.Name, op.Scope)
		}
		if op.Methods[0] == http.MethodDelete && op.Effect == EffectRead {
			t.Errorf("%s deletes and is called a read", op.Name)
		}
	}
}

// A call that changes many records is decided as what it does to each of them, too: the file
// says what that is, but of calls that do to all together what no call does to one.
func TestCallsOnManySayWhatTheyDoToEach(t *testing.T) {
	t.Parallel()
	together := map[string]string{
		"user.logout_many":            "ends the sessions of several people; for one of them there is only session.delete_all",
		"any_channel.push":            "brings messages of another system in",
		"article.attach_many":         "attaches files that are there to one article",
		"push_device.destroy":         "takes devices from the list of those that are told",
		"trigger.reorder":             "sets the order of all",
		"automation.reorder":          "sets the order of all",
		"view.reorder":                "sets the order of all",
		"ticket_field.reorder":        "sets the order of all",
		"user_field.reorder":          "sets the order of all",
		"organization_field.reorder":  "sets the order of all",
		"ticket_form.reorder":         "sets the order of all",
		"custom_object_field.reorder": "sets the order of all",
		"sla_policy.reorder":          "sets the order of all",
		"group_sla_policy.reorder":    "sets the order of all",
		"view.count_many":             "counts tickets, and shows none",
	}
	for _, op := range zendesk(t).Operations {
		many := op.Scope == ScopeBulk || strings.HasSuffix(op.Name, "_many")
		if why := together[op.Name]; (len(op.Each) > 0) == (why != "") && many || len(op.Each) > 0 && !many {
			t.Errorf("%s is about many: %t, does %d operations to each, and the test has %q", op.Name, many, len(op.Each), why)
		}
		delete(together, op.Name)
	}
	if len(together) > 0 {
		t.Errorf("the file has none of %v", together)
	}
	var each []string
	for _, one := range zendesk(t).names["custom_record.jobs"].Each {
		each = append(each, one.Name)
	}
	if got, want := strings.Join(each, " "), "custom_record.create custom_record.update custom_record.delete"; got != want {
		t.Errorf("a job about custom records does %q to each, want %q", got, want)
	}
}

// Match answers for any bytes, and the suffix and a slash at the end never
// change what a call is taken for.
func FuzzMatch(f *testing.F) {
	c := zendesk(f)
	for _, path := range []string{"/api/v2/tickets/1.json", "/api/v2/%2e%2e/x", "//", "/api/v2/users/me/tickets/requested", "*", "", "/%", "/api/v2/tickets/1%252f"} {
		f.Add("GET", path)
	}
	for _, op := range c.Operations[:40] {
		path, _ := example(op)
		f.Add(op.Methods[0], path)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		m := c.Match(method, path)
		if m.Op == nil || m.Op.Name == "" {
			t.Fatal("no operation")
		}
		if m.Mapped != (c.Operation(m.Op.Name) == m.Op) {
			t.Fatalf("mapped is %t for %s", m.Mapped, m.Op.Name)
		}
		if !m.Mapped {
			return
		}
		if len(m.Params) != strings.Count(m.Op.Pattern, "{") {
			t.Fatalf("%s got the parameters %v", m.Op.Pattern, m.Params)
		}
		for _, p := range m.Params {
			if p.Value == "" || strings.ContainsAny(p.Value, "/\\\x00") || p.Value == "." || p.Value == ".." {
				t.Fatalf("%s: the value %q of %s is a separator in disguise", path, p.Value, p.Name)
			}
		}
		if again := c.Match(method, path+"/"); again.Op != m.Op {
			t.Fatalf("with a slash at the end %s becomes %s", m.Op.Name, again.Op.Name)
		}
		if m.Op.Mark != MarkPreflight && !slices.Contains(m.Op.Methods, method) && method != http.MethodHead {
			t.Fatalf("%s answers %s", m.Op.Name, method)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	c := zendesk(b)
	for name, path := range map[string]string{
		"list": "/api/v2/tickets.json", "parameter": "/api/v2/tickets/36018600000007/comments.json", "unmapped": "/api/v2/nothing/of/the/kind",
		"encoded": "/api/v2/%74ickets/1",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Match("GET", path)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load("zendesk"); err != nil {
			b.Fatal(err)
		}
	}
}

// A spelling that a server may take for an operation of the file is that operation:
// none of them may get the weaker rule of a call that the file does not know, or of
// another operation.
func TestSpellings(t *testing.T) {
	t.Parallel()
	c := zendesk(t)
	const export, count = "ticket.incremental_cursor", "ticket.count"
	for path, want := range map[string]string{
		"/api/v2/incremental/tickets/cursor":             export,
		"/API/v2/incremental/tickets/cursor.json":        export,
		"/api/V2/Incremental/TICKETS/Cursor":             export,
		"/api/v2/incremental/tickets/cursor.JSON":        export,
		"/api/v2/incremental/tickets/cursor.xml":         export,
		"/api/v2/incremental/tickets/cursor.json.xml":    export,
		"/api/v2/incremental/tickets/cursor.unheard":     export,
		"/api/v2/incremental/tickets/cursor.":            export,
		"/api/v2/incremental/tickets/cursor.json%20":     export,
		"/api/v2/incremental/tickets/cursor%20.json":     export,
		"/api/v2/incremental%20/tickets/cursor":          export,
		"/api/v2/incremental/tickets/cursor%3Bx=1":       export,
		"/api/v2/incremental/tickets;x=1/cursor":         export,
		"/api/v2/incremental/tickets/cursor%20/":         export,
		"/api/v2/incremental/tickets%2ejson/cursor.json": export,
		// Beside a parameter, which would take any of them.
		"/api/v2/tickets/count":        count,
		"/api/v2/tickets/COUNT":        count,
		"/api/v2/tickets/count.XML":    count,
		"/api/v2/tickets/count%20":     count,
		"/api/v2/tickets/count.csv%20": count,
		// And what is none of them.
		"/api/v2/tickets/7":                           "ticket.show",
		"/api/v2/incremental/tickets/cursors":         "unmapped.get",
		"/api/v2/incremental/tickets/cursor%252ejson": "unmapped.get",
		"/api/v2/incremental/.tickets/cursor":         "unmapped.get",
	} {
		if m := c.Match("GET", path); m.Op.Name != want {
			t.Errorf("%s is taken for %s, want %s", path, m.Op.Name, want)
		}
	}
}
