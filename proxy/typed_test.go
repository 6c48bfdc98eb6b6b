package proxy_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/proxy/proxytest"
)

// A helpdesk that checks its fields as the vendor does takes every write that the
// gateway forwards, and what it cannot take is refused here, with a reason.
func TestTypedFields(t *testing.T) {
	fields := map[string]sample.FieldType{
		"1": {Kind: "partialcreditcard"}, "2": {Kind: "integer"}, "3": {Kind: "date"}, "4": {Kind: "regexp", Pattern: regexp.MustCompile(`^[0-9-]{8,19}$`)},
		"5": {Kind: "tagger", Choices: []string{"4111-1111-1111-1111"}}, "6": {Kind: "decimal"},
	}
	desk := sample.NewHelpdesk(sample.Options{APITokens: []string{"secret-token"}, Fields: fields})
	server := httptest.NewServer(desk)
	t.Cleanup(server.Close)
	src, err := os.ReadFile("../channel/zendesk.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const built = "typed: {tag: [/tags/*, /additional_tags/*, /remove_tags/*], exact: [/priority, /status, /type]}"
	const own = `typed: {card: "/custom_fields/[id=1]/value", tag: [/tags/*, /additional_tags/*, /remove_tags/*],
      exact: ["/custom_fields/[id=2]/value", "/custom_fields/[id=3]/value", "/custom_fields/[id=4]/value", "/custom_fields/[id=5]/value", "/custom_fields/[id=6]/value"]}`
	file := filepath.Join(t.TempDir(), "zendesk.yaml")
	text := strings.Replace(string(src), built, own, 1)
	if text == string(src) {
		t.Fatal("the channel file has changed")
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := proxytest.Start(t, proxytest.Options{Upstream: server.URL, Channel: "* " + file, Govern: "route zendesk"})
	write := func(ticket string) answer {
		return do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{"ticket":{"comment":{"body":"hello"},` + ticket + `}}`})
	}
	for name, c := range map[string]struct{ in, stored string }{
		"a card":            {`"custom_fields":[{"id":1,"value":"4111 1111 1111 1111"}]`, `"value":"XXXXXXXXXXXX1111"`},
		"a card with words": {`"custom_fields":[{"value":"visa 4111-1111-1111-1111","id":1}]`, `"value":"XXXXXXXXXXXX1111"`},
		"a tag":             {`"tags":["4111 1111 1111 1111"]`, `"tags":["XXXX_XXXX_XXXX_1111"]`},
		"a text":            {`"custom_fields":[{"id":7,"value":"card 4111 1111 1111 1111"}]`, `"value":"card XXXX XXXX XXXX 1111"`},
		"nothing":           {`"custom_fields":[{"id":2,"value":"12"},{"id":3,"value":"2026-11-22"},{"id":4,"value":"1234-5678"},{"id":5,"value":null},{"id":6,"value":1.5}]`, `"value":"2026-11-22"`},
	} {
		t.Run(name, func(t *testing.T) {
			a := write(c.in)
			all := desk.Tickets()
			if a.status != 201 || !strings.Contains(string(all[len(all)-1]), c.stored) {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
	for name, in := range map[string]string{
		"a number as a text":           `"custom_fields":[{"id":2,"value":"4111111111111111"}]`,
		"a number":                     `"custom_fields":[{"id":6,"value":4111111111111111}]`,
		"a pattern":                    `"custom_fields":[{"id":4,"value":"4111-1111-1111-1111"}]`,
		"a choice":                     `"custom_fields":[{"id":5,"value":"4111-1111-1111-1111"}]`,
		"no card in a field for cards": `"custom_fields":[{"id":1,"value":"536-22-8145"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			before := len(desk.Tickets())
			a := write(in)
			if a.status != 422 || a.problem.Reason != "finding_blocked" || a.problem.Forwarded || len(desk.Tickets()) != before {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
	t.Run("the vendor itself", func(t *testing.T) {
		if a := write(`"custom_fields":[{"id":1,"value":"soon"}]`); a.status != 422 || a.problem.Reason != "" {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}

// What an upstream holds in fields of its own form becomes null on the way out, and
// comes back without harm.
func TestTypedFieldsInAnswers(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"ticket":{"id":1,"priority":"4111 1111 1111 1111","tags":["4111 1111 1111 1111","b"]}}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"})
	if a.body != `{"ticket":{"id":1,"priority":null,"tags":["XXXX_XXXX_XXXX_1111","b"]}}` {
		t.Errorf("got %s", a.body)
	}
	do(t, g, call{method: "PUT", path: "/api/v2/tickets/1", body: `{"ticket":{"status":"open","tags":["XXXX_XXXX_XXXX_1111","b"]}}`})
	if got := string(u.Last(t).Body); got != `{"ticket":{"status":"open"}}` {
		t.Errorf("written back: %s", got)
	}
}
