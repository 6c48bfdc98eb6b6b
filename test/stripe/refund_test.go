// Package stripe_test lets Stripe's own library refund through a real gateway, by the
// token that a helpdesk's ticket holds, and reads every end: what the helpdesk stored,
// what the library was given, and what stands in the processor's ledger. It needs node
// and npm; without them it fails and says how to get them.
package stripe_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/nodetest"
	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/proxy/proxytest"
)

// script is the driver of the library.
const script = "client.cjs"

// field is the custom field of tickets that holds the payment's reference.
const field = 360001234999

// result is what came of one call of the library.
type result struct {
	Value json.RawMessage
	Error *struct {
		Type, Code, Message string
		Status              int
	}
	Keys []string
}

// library is a running node process with Stripe's library in it.
type library struct {
	t       *testing.T
	node    *nodetest.Process
	addr    string
	headers map[string]string
	heard   []string // all that it was told
}

// startLibrary installs the library if need be and starts a process that calls addr; it
// ends with the test.
func startLibrary(t *testing.T, addr, key string) *library {
	t.Helper()
	return &library{t: t, node: nodetest.Start(t, script), addr: addr, headers: map[string]string{"Caregate-Key": key, "Caregate-Purpose": "refund"}}
}

// call runs one method of the library and waits for what comes of it.
func (l *library) call(method string, args ...any) result {
	l.t.Helper()
	host, port, err := net.SplitHostPort(l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	var r result
	l.heard = append(l.heard, l.node.Ask(map[string]any{"host": host, "port": port, "headers": l.headers, "call": method, "args": args}, &r))
	return r
}

// must runs a call that has to succeed and decodes its value.
func (l *library) must(into any, method string, args ...any) result {
	l.t.Helper()
	r := l.call(method, args...)
	if r.Error != nil {
		l.t.Fatalf("%s: %+v", method, *r.Error)
	}
	if err := json.Unmarshal(r.Value, into); err != nil {
		l.t.Fatalf("%s: decoding %s: %v", method, r.Value, err)
	}
	return r
}

// deskFile is the helpdesk's channel file with the field for references marked, as an
// operator marks it.
func deskFile(t *testing.T) string {
	t.Helper()
	src, err := os.ReadFile("../../channel/zendesk.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const ticket = "    overwrite: [/subject, /raw_subject, /description, /custom_fields/*, /fields/*, /tags, /requester/name]\n"
	if strings.Count(string(src), ticket) != 1 {
		t.Fatal("the set of tickets is not where this test expects it")
	}
	file := filepath.Join(t.TempDir(), "desk.yaml")
	marked := strings.Replace(string(src), ticket, ticket+"    payment_reference: [/custom_fields/*/value, /fields/*/value]\n", 1)
	if err := os.WriteFile(file, []byte(marked), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// served starts a server of h and returns its address.
func served(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// charge and refund are what the library makes of answers.
type charge struct {
	ID             string
	Amount         int64
	AmountRefunded int64  `json:"amount_refunded"`
	PaymentIntent  string `json:"payment_intent"`
}

type refund struct {
	ID, Charge, Status string
	Amount             int64
}

// A shop writes a ticket with the reference of a payment. The helpdesk gets a token, and
// an agent's tool refunds by it with Stripe's library. The ledger has the right refund,
// and neither the helpdesk nor the library ever saw the reference.
func TestRefundFromTicket(t *testing.T) {
	processor := sample.NewProcessor()
	paid := processor.Pay(sample.Charge{Amount: 12_500, Currency: "eur", Order: "A-1001"})
	helpdesk := sample.NewHelpdesk(sample.Options{APITokens: []string{"desk-token"}})
	pay := proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Channel: "* " + deskFile(t), Upstream: served(t, helpdesk),
		Sites: "http://" + pay + " {\n\tbind 127.0.0.1\n\tgovern stripe " + served(t, processor) + "\n}\n"})
	var made struct{ Secret string }
	g.API(http.MethodPost, "/api/v1/apikeys", `{"name":"refund tool","roles":["agent"]}`, http.StatusCreated, &made)

	token := fileTicket(t, g, paid.ID)
	l := startLibrary(t, pay, made.Secret)
	var c charge
	l.must(&c, "charges.retrieve", token)
	if c.ID != token || c.Amount != 12_500 {
		t.Fatalf("the library read %+v", c)
	}
	var back refund
	r := l.must(&back, "refunds.create", map[string]any{"charge": token, "amount": 4_500, "reason": "requested_by_customer", "metadata": map[string]string{"order_id": "A-1001"}})
	if back.Charge != token || back.Amount != 4_500 || back.Status != "succeeded" {
		t.Errorf("the library was told %+v", back)
	}
	ledger := processor.Refunds()
	if len(ledger) != 1 || ledger[0].Charge != paid.ID || ledger[0].Amount != 4_500 || len(r.Keys) != 1 || ledger[0].Key != r.Keys[0] || r.Keys[0] == "" {
		t.Fatalf("the ledger has %+v, the library's keys are %v", ledger, r.Keys)
	}

	for name, c := range map[string]struct {
		params  map[string]any
		options map[string]any
	}{
		"refund_over_balance": {map[string]any{"charge": token, "amount": 8_001}, nil},
		"idempotency_used":    {map[string]any{"charge": token, "amount": 4_500, "reason": "requested_by_customer", "metadata": map[string]string{"order_id": "A-1001"}}, map[string]any{"idempotencyKey": r.Keys[0]}},
		"token_refused":       {map[string]any{"charge": token, "amount": 1}, map[string]any{"stripeAccount": "acct_other"}},
		"token_misplaced":     {map[string]any{"charge": paid.ID, "amount": 1, "metadata": map[string]string{"note": token}}, nil},
		"refund_currency":     {map[string]any{"charge": token, "amount": 1, "currency": "usd"}, nil},
	} {
		args := []any{c.params}
		if c.options != nil {
			args = append(args, c.options)
		}
		before := len(processor.Seen())
		if got := l.call("refunds.create", args...); got.Error == nil || got.Error.Code != name || len(processor.Seen()) != before {
			t.Errorf("%s: the library got %s %+v", name, got.Value, got.Error)
		}
	}
	l.must(&back, "refunds.create", map[string]any{"payment_intent": c.PaymentIntent})
	if got := processor.Charges()[0].Refunded; got != 12_500 || back.Amount != 8_000 {
		t.Errorf("the rest: %d refunded, the library was told %+v", got, back)
	}
	for _, heard := range l.heard {
		if strings.Contains(heard, paid.ID) || strings.Contains(heard, paid.Intent) {
			t.Errorf("the library was told the reference: %s", heard)
		}
	}
}

// fileTicket writes a ticket with a reference through the gateway, and returns the token
// that the helpdesk has in its place.
func fileTicket(t *testing.T, g *proxytest.Gateway, reference string) string {
	t.Helper()
	body := fmt.Sprintf(`{"ticket":{"subject":"Wrong size","comment":{"body":"Please send my money back."},"custom_fields":[{"id":%d,"value":%q}]}}`, field, reference)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/api/v2/tickets.json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("shop@helpdesk.example/token", "desk-token")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Ticket struct{ ID int64 } }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("writing the ticket: got %d, %v", res.StatusCode, err)
	}
	return tokenIn(t, g, answer.Ticket.ID, reference)
}

// tokenIn reads a ticket through the gateway, which tells what the helpdesk stored.
func tokenIn(t *testing.T, g *proxytest.Gateway, id int64, reference string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/api/v2/tickets/%d.json", g.URL, id), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("agent@helpdesk.example/token", "desk-token")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	token := regexp.MustCompile(`ptk1[0-9a-z]{30}`).FindString(string(raw))
	if token == "" || strings.Contains(string(raw), reference) {
		t.Fatalf("the ticket has no token, or the reference: %s", raw)
	}
	return token
}
