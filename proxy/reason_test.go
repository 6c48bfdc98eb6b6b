package proxy

import (
	"net/http"
	"testing"

	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/walk"
)

// Whatever a walker or a rule can answer must be explained by the catalogue.
func TestCatalogueIsComplete(t *testing.T) {
	t.Parallel()
	engine, err := policy.NewEngine(t.Context(), policy.Config{Timeout: policyTimeout})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range engine.Reasons() {
		if got, ok := LookupReason(r.Code); !ok || got.Status != r.Status {
			t.Errorf("%s of the rules: got status %d, want %d", r.Code, got.Status, r.Status)
		}
	}
	for _, code := range []string{walk.ReasonSyntax, walk.ReasonDuplicate, walk.ReasonAmbiguous, walk.ReasonSurrogate, walk.ReasonTrailing, walk.ReasonBOM,
		walk.ReasonNUL, walk.ReasonDepth, walk.ReasonValues, walk.ReasonUTF8, walk.ReasonFormSyntax, walk.ReasonFormSemicolon, walk.ReasonFormCharset, walk.ReasonLine,
		walk.ReasonHTML, walk.ReasonCSV, walk.ReasonXML, walk.ReasonXMLDeclaration, walk.ReasonXMLExternal, walk.ReasonMultipart, walk.ReasonCharset, walk.ReasonMIME, walk.ReasonMIMEEncoding,
		walk.ReasonSSE} {
		if _, ok := LookupReason(code); !ok {
			t.Errorf("%s of the walkers is missing", code)
		}
	}
	seen := make(map[string]bool)
	for _, r := range Reasons() {
		if seen[r.Code] {
			t.Errorf("%s stands there twice", r.Code)
		}
		seen[r.Code] = true
		if r.What == "" || r.Fix == "" || r.Who == "" || (http.StatusText(r.Status) == "" && r.Code != reasonClientGone) {
			t.Errorf("%s lacks a sentence, somebody who can fix it, or a status", r.Code)
		}
	}
	if r := reasonFor("rule_of_tomorrow"); r.Status != http.StatusForbidden || r.Code != "rule_of_tomorrow" {
		t.Errorf("unknown code: got %+v, want a denial under its own name", r)
	}
}

// Policy knows classes and actions as words only; they must be redact's words.
func TestPolicySpeaksOfTheSameClasses(t *testing.T) {
	t.Parallel()
	engine, err := policy.NewEngine(t.Context(), policy.Config{Timeout: policyTimeout})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range redact.Classes() {
		d, err := engine.Decide(t.Context(), policy.Input{
			Tenant: tenant, Route: "r", Direction: policy.Request, Channel: "zendesk", Operation: "ticket.create", Mapped: true,
			Effect: "write", Scope: "one", Method: "unsafe", Network: "loopback",
			Actor:    policy.InputActor{Kind: policy.KindVendor, Strength: policy.StrengthCredential, Roles: []string{"agent"}},
			Findings: []policy.Finding{{Class: string(c.Class), Place: policy.PlaceText, Count: 1}},
		})
		if err != nil {
			t.Errorf("%s: %v", c.Class, err)
			continue
		}
		got, err := redact.ParseAction(d.Action(string(c.Class), policy.PlaceText))
		if err != nil || got != c.Default {
			t.Errorf("%s: policy answers %v (%v), the class table says %v", c.Class, got, err, c.Default)
		}
	}
}
