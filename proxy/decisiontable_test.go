package proxy_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// tableCalls are calls of the operations in the table of decisions.
var tableCalls = map[string]call{
	"ticket.show":               {method: "GET", path: "/api/v2/tickets/1"},
	"ticket.create":             {method: "POST", path: "/api/v2/tickets"},
	"ticket.update":             {method: "PUT", path: "/api/v2/tickets/1"},
	"ticket.delete":             {method: "DELETE", path: "/api/v2/tickets/1"},
	"ticket.update_many":        {method: "PUT", path: "/api/v2/tickets/update_many.json?ids=1"},
	"ticket.incremental_cursor": {method: "GET", path: export},
	"macro.create":              {method: "POST", path: "/api/v2/macros"},
}

// tableTexts hold something of a class, and what of it may not be there once it is masked.
var tableTexts = map[string][2]string{
	"":                       {"Where is my parcel?", ""},
	"credit_card":            {"My card is 4111 1111 1111 1111.", "4111 1111"},
	"us_ssn":                 {"My social security number is 536-22-8145.", "536-22"},
	"card_verification_code": {"My card 4111 1111 1111 1111 has the security code 737.", "737"},
	"iban":                   {"My IBAN is DE89 3704 0044 0532 0130 00.", "3704 0044"},
	"email":                  {"Write to maria@customer.example.", "maria@"},
	"phone":                  {"Call me at +1 212 555 0134.", "212 555"},
}

// The table that the built-in rules are tested with, rego/testdata/decisions.csv, through
// a gateway: who calls is proven as callers prove it, and what is decided shows in the
// answer and in what the helpdesk got.
func TestDecisionTable(t *testing.T) {
	f, err := os.Open("../rego/testdata/decisions.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	u := proxytest.NewUpstream(t, nil)
	token, jwks := newIssuer(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "identity jwt {\n issuer https://id.example\n audience caregate\n jwks " + jwks +
		"\n role agent agent\n role lead lead\n role service service\n role dpo dpo\n }"})
	keys := make(map[string]string)
	tried := 0
	for i, line := range lines[1:] {
		cell := make(map[string]string, len(line))
		for j, name := range lines[0] {
			cell[name] = line[j]
		}
		c, ok := tableCalls[cell["operation"]]
		class, place, _ := strings.Cut(cell["finding"], " ")
		text, has := tableTexts[class]
		if !ok || !has || place != "" && place != "text" {
			continue
		}
		tried++
		roles, grants := strings.Fields(cell["roles"]), strings.Fields(cell["grants"])
		c.header = http.Header{}
		switch cell["actor"] {
		case "anonymous":
			c.header["Authorization"] = nil
		case "token":
			amr := []string{"pwd"}
			if cell["mfa"] == "yes" {
				amr = append(amr, "otp")
			}
			c.header.Set("Caregate-Token", token(map[string]any{"roles": roles, "amr": amr}))
		case "key":
			name := cell["roles"] + "/" + cell["grants"]
			if keys[name] == "" {
				wish, err := json.Marshal(map[string]any{"name": "table", "roles": roles, "grants": grants})
				if err != nil {
					t.Fatal(err)
				}
				var made struct{ Secret string }
				g.API("POST", "/api/v1/apikeys", string(wish), http.StatusCreated, &made)
				keys[name] = made.Secret
			}
			c.header.Set("Caregate-Key", keys[name])
		}
		if c.method == "POST" || c.method == "PUT" {
			c.body = `{"ticket":{"comment":{"body":"` + text[0] + `"}}}`
		}
		before := len(u.Requests())
		a := do(t, g, c)
		verdict, rest, _ := strings.Cut(cell["decision"], " ")
		if verdict == "deny" {
			if a.problem.Reason != rest || len(u.Requests()) != before {
				t.Errorf("decisions.csv:%d: got %d %s, %d calls reached the helpdesk; want %s", i+2, a.status, a.problem.Reason, len(u.Requests())-before, rest)
			}
			continue
		}
		if a.status != 200 || len(u.Requests()) != before+1 {
			t.Errorf("decisions.csv:%d: got %d %s, want it to pass", i+2, a.status, a.problem.Reason)
			continue
		}
		changed := rest == "mask" || rest == "drop"
		if got := u.Last(t).Body; class != "" && strings.Contains(string(got), text[1]) == changed {
			t.Errorf("decisions.csv:%d: what should be %sed reached the helpdesk otherwise", i+2, rest)
		}
	}
	if tried < 100 {
		t.Errorf("tried %d rows, want at least 100", tried)
	}
}
