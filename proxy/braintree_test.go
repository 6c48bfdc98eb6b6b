package proxy_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/proxy/proxytest"
)

// shop is a gateway in front of Braintree, with a transaction that it has told of.
type shop struct {
	*till
	processor *sample.Braintree
	sale      sample.Charge
	lose      atomic.Bool // the next answers
}

// elementOf is the token in an element of an answer.
func elementOf(t *testing.T, body, element string) string {
	t.Helper()
	m := regexp.MustCompile(`<` + element + `>(ptk1[0-9a-z]{30})</` + element + `>`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no token in <%s>: %s", element, body)
	}
	return m[1]
}

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{processor: sample.NewBraintree(), till: &till{other: proxytest.FreeAddr(t), metrics: proxytest.FreeAddr(t)}}
	u := proxytest.NewUpstream(t, nil)
	u.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.lose.Load() {
			s.processor.ServeHTTP(discard{}, r)
			panic(http.ErrAbortHandler)
		}
		s.processor.ServeHTTP(w, r)
	})
	s.sale = s.processor.Pay(sample.Charge{Account: "m1", Amount: 10_000, Currency: "EUR", Order: "A&7"})
	s.Gateway = proxytest.Start(t, proxytest.Options{Channel: "braintree", Upstream: u.URL,
		Sites: "http://" + s.other + " {\n\tbind 127.0.0.1\n\tgovern braintree " + u.URL + " {\n\t\troute other\n\t}\n}\n" +
			"http://" + s.metrics + " {\n\tbind 127.0.0.1\n\tmetrics\n}\n"})
	s.agent = s.key(t, "agent")
	a := s.do(t, call{method: "POST", path: "/merchants/m1/transactions/advanced_search", body: `{"search":{}}`})
	if a.status != http.StatusOK {
		t.Fatalf("searching: got %d %s", a.status, a.body)
	}
	s.token = elementOf(t, a.body, "id")
	return s
}

// do calls with the processor's keys.
func (s *shop) do(t *testing.T, c call) answer {
	t.Helper()
	h := http.Header{"Authorization": {basicAuth}}
	if c.body != "" {
		h.Set("Content-Type", "application/json")
	}
	for name, v := range c.header {
		h[name] = v
	}
	c.header = h
	return s.till.do(t, c)
}

func (s *shop) back(token, key, members string) call {
	return call{method: "POST", path: "/merchants/m1/transactions/" + token + "/refund", body: `{"transaction":{` + members + `}}`, header: http.Header{"Idempotency-Key": {key}}}
}

// An agent refunds by the token at a processor that answers XML: what is left is learned
// from elements, and the reference is in no answer, not under its other names either.
func TestRefundAtBraintree(t *testing.T) {
	s := openShop(t)
	a := s.do(t, s.back(s.token, "first", `"amount":"30.00","order_id":"A&7"`))
	if a.status != http.StatusCreated || strings.Contains(a.body, s.sale.ID) || strings.Contains(a.body, "dHJhbnNhY3Rpb25f") {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if elementOf(t, a.body, "refunded-transaction-id") != s.token {
		t.Errorf("the payment has another token: %s", a.body)
	}
	if got := s.processor.Refunds(); len(got) != 1 || got[0].Charge != s.sale.ID || got[0].Amount != 3000 || got[0].Key != "" {
		t.Fatalf("the ledger has %+v", got)
	}
	for _, e := range s.Exchange(a.header.Get("Caregate-Receipt")) {
		if e.Type == "response.decided" && e.Attrs["spend"] != "settled" {
			t.Errorf("the answer's event says %v", e.Attrs)
		}
	}
	// The refund itself is no payment that something could be taken of.
	if a := s.do(t, s.back(elementOf(t, a.body, "id"), "of the refund", `"amount":"1.00"`)); a.problem.Reason != "payment_unknown" {
		t.Errorf("of the refund: got %d %s", a.status, a.problem.Reason)
	}
	shown := s.do(t, call{method: "GET", path: "/merchants/m1/transactions/" + s.token})
	if shown.status != http.StatusOK || elementOf(t, shown.body, "id") != s.token || strings.Contains(shown.body, s.sale.ID) || strings.Contains(shown.body, "dHJhbnNhY3Rpb25f") {
		t.Fatalf("reading: got %d %s", shown.status, shown.body)
	}
	// Lost on the way: nobody knows, and it stays taken. Braintree knows no keys, so the
	// same call again would be a second refund, and is not made.
	s.lose.Store(true)
	if a := s.do(t, s.back(s.token, "lost", `"amount":"20.00"`)); a.status != http.StatusBadGateway {
		t.Errorf("lost: got %d %s", a.status, a.body)
	}
	if n := len(s.processor.Refunds()); n != 2 {
		t.Errorf("the call was made %d times", n-1)
	}
	s.lose.Store(false)
	if a := s.do(t, s.back(s.token, "lost", `"amount":"20.00"`)); a.problem.Reason != "idempotency_used" {
		t.Errorf("again: got %d %s", a.status, a.body)
	}
	if a := s.do(t, s.back(s.token, "more", `"amount":"50.01"`)); a.problem.Reason != "refund_over_balance" {
		t.Errorf("more than is left: got %d %s", a.status, a.problem.Reason)
	}
	// What Braintree refuses is given back; its errors repeat the transaction.
	elsewhere := s.do(t, call{method: "POST", path: "/merchants/m1/transactions/" + s.sale.ID + "/refund", body: `{"transaction":{"amount":"10.00"}}`})
	if elsewhere.status != http.StatusCreated {
		t.Fatalf("by the reference: got %d %s", elsewhere.status, elsewhere.body)
	}
	if a := s.do(t, s.back(s.token, "refused", `"amount":"50.00"`)); a.status != http.StatusUnprocessableEntity || strings.Contains(a.body, s.sale.ID) || strings.Contains(a.body, "dHJhbnNhY3Rpb25f") {
		t.Errorf("too much at the processor: got %d %s", a.status, a.body)
	}
	if a := s.do(t, s.back(s.token, "rest", `"amount":"40.00"`)); a.status != http.StatusCreated {
		t.Errorf("the rest: got %d %s", a.status, a.body)
	}
	if a := s.do(t, s.back(s.token, "last", `"amount":"10.00"`)); a.status != http.StatusUnprocessableEntity {
		t.Errorf("what is left by the gateway's count: got %d %s", a.status, a.body)
	}
	if a := s.do(t, s.back(s.token, "more again", `"amount":"10.01"`)); a.problem.Reason != "refund_over_balance" {
		t.Errorf("over the gateway's count: got %d %s", a.status, a.problem.Reason)
	}
	if c := s.processor.Charges()[0]; c.Refunded != 10_000 { // 30 and 20 and 10 elsewhere and 40
		t.Errorf("the ledger has %d refunded", c.Refunded)
	}
	for _, c := range s.processor.Seen() {
		if strings.Contains(c.Body+c.URI, "ptk1") {
			t.Errorf("the processor saw %s %s %s", c.Method, c.URI, c.Body)
		}
	}
}

// What is refused at Braintree: nothing of it reaches the processor.
func TestBraintreeAttacks(t *testing.T) {
	s := openShop(t)
	if a := s.do(t, s.back(s.token, "spent", `"amount":"60.00"`)); a.status != http.StatusCreated {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	second := s.processor.Pay(sample.Charge{Account: "m2", Amount: 10_000, Currency: "EUR"})
	foreign := elementOf(t, s.do(t, call{method: "GET", path: "/merchants/m2/transactions/" + second.ID}).body, "id")
	var all []attempt
	add := func(want, name string, c call) { all = append(all, attempt{name, want, c}) }
	refund := func(want, name, members string) { add(want, name, s.back(s.token, fmt.Sprint("a", len(all)), members)) }
	for _, amount := range []string{"40.01", "41.00", "60.00", "100.00", "100.01", "9999999.99", "0040.01"} {
		refund("refund_over_balance", "amount "+amount, `"amount":"`+amount+`"`)
	}
	for _, amount := range []string{`""`, `"0"`, `"0.00"`, `"-1.00"`, `"+1.00"`, `"1,00"`, `"1.000"`, `"1."`, `".5"`, `"1e1"`, `" 1.00"`, `"1.00 "`, `null`, `true`, `[]`, `["1.00"]`, `{"value":"1.00"}`, `"0x1"`, `"\u0661"`} {
		refund("payment_unreadable", "amount "+amount, `"amount":`+amount)
	}
	for _, order := range []string{"A-7", "A&amp;7", "a&7", "", " A&7", "A&7 ", "*"} {
		if order == "" {
			continue // an order that is not named is not compared
		}
		refund("token_refused", "order "+order, `"amount":"1.00","order_id":"`+order+`"`)
	}
	for _, member := range []string{"id", "note", "amounts", "transaction_id", "options", "descriptor"} {
		refund("token_misplaced", "a token beside in "+member, `"amount":"1.00","`+member+`":"`+s.token+`"`)
	}
	refund("json_ambiguous_key", "an amount in another case", `"amount":"1.00","Amount":"2.00"`)
	refund("json_duplicate_key", "two amounts", `"amount":"1.00","amount":"2.00"`)
	add("idempotency_used", "a replay", s.back(s.token, "spent", `"amount":"60.00"`))
	add("idempotency_used", "its key for another amount", s.back(s.token, "spent", `"amount":"1.00"`))
	missing := s.back(s.token, "", `"amount":"1.00"`)
	missing.header = http.Header{}
	add("idempotency_missing", "no key", missing)
	other := func(path string) call {
		c := s.back(s.token, fmt.Sprint("a", len(all)), `"amount":"1.00"`)
		c.path = fmt.Sprintf(path, s.token)
		return c
	}
	add("token_refused", "another merchant", other("/merchants/m2/transactions/%s/refund"))
	add("payment_unreadable", "a query", other("/merchants/m1/transactions/%s/refund?amount=1"))
	for _, path := range []string{"/merchants/m1/transactions/%s/void", "/merchants/m1/transactions/%s/clone", "/merchants/m1/transactions/%s/refunds", "/merchants/%s/transactions/x/refund", "/%s"} {
		add("token_misplaced", "at "+path, other(path))
	}
	add("token_refused", "of another merchant", s.back(foreign, "a-foreign", `"amount":"1.00"`))
	for name, token := range map[string]string{"upper case": strings.ToUpper(s.token), "truncated": s.token[:33], "lengthened": s.token + "0", "changed": s.token[:20] + "zz" + s.token[22:], "all zero": "ptk1" + strings.Repeat("0", 30)} {
		add("token_refused", "refunding, "+name, s.back(token, "a-"+name, `"amount":"1.00"`))
		add("token_refused", "reading, "+name, call{method: "GET", path: "/merchants/m1/transactions/" + token})
	}
	add("token_refused", "reading, of another merchant", call{method: "GET", path: "/merchants/m1/transactions/" + foreign})
	asXML := other("/merchants/m1/transactions/%s/refund")
	asXML.body, asXML.header["Content-Type"] = "<transaction><amount>1.00</amount></transaction>", []string{"application/xml"}
	add("payment_unreadable", "an amount in XML", asXML)
	nobody := other("/merchants/m1/transactions/%s/refund")
	nobody.header["Caregate-Key"] = nil
	add("token_needs_role", "with the processor's keys alone", nobody)
	aimless := other("/merchants/m1/transactions/%s/refund")
	aimless.header["Caregate-Purpose"] = nil
	add("purpose_needed", "for no purpose", aimless)

	seen := len(s.processor.Seen())
	for _, at := range all {
		got := s.do(t, at.call)
		if got.problem.Reason != at.want || got.status < 400 || got.problem.Forwarded || strings.Contains(got.body, s.sale.ID) {
			t.Errorf("%s: got %d %s, want %s", at.name, got.status, got.problem.Reason, at.want)
		}
		if e := s.Event(got.header.Get("Caregate-Receipt")); e.Decision != "deny" || e.Reason != at.want {
			t.Errorf("%s: the log has %s %s", at.name, e.Decision, e.Reason)
		}
	}
	onRoute := s.request(t, s.back(s.token, "a-route", `"amount":"1.00"`))
	onRoute.URL.Host, onRoute.Header["Content-Type"] = s.other, []string{"application/json"}
	onRoute.Header.Set("Authorization", basicAuth)
	if got := send(t, onRoute); got.problem.Reason != "token_refused" {
		t.Errorf("on another route: got %d %s", got.status, got.problem.Reason)
	}
	if got := len(s.processor.Seen()) - seen; got != 0 {
		t.Errorf("%d of %d attempts reached the processor", got, len(all)+1)
	}
	if got := s.processor.Refunds(); len(got) != 1 {
		t.Errorf("the ledger has %d refunds", len(got))
	}
	t.Logf("%d attempts", len(all)+1)
}

// An answer in which a place of a payment stands twice teaches nothing.
func TestDoubledElements(t *testing.T) {
	for name, body := range map[string]string{
		"two ids":        `<transaction><id>saleone1</id><id>saletwo2</id><amount>10.00</amount><currency-iso-code>EUR</currency-iso-code></transaction>`,
		"two amounts":    `<transaction><id>saleone1</id><amount>10.00</amount><amount>99.00</amount><currency-iso-code>EUR</currency-iso-code></transaction>`,
		"two currencies": `<transaction><id>saleone1</id><amount>10.00</amount><currency-iso-code>EUR</currency-iso-code><currency-iso-code>JPY</currency-iso-code></transaction>`,
		"no amount":      `<transaction><id>saleone1</id><details><amount>10.00</amount></details><currency-iso-code>EUR</currency-iso-code></transaction>`,
		"mixed content":  `<transaction><id>saleone1</id><amount>10.00<b/></amount><currency-iso-code>EUR</currency-iso-code></transaction>`,
	} {
		t.Run(name, func(t *testing.T) {
			u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/xml")
				_, _ = w.Write([]byte(body))
			})
			s := &shop{till: &till{}}
			s.Gateway = proxytest.Start(t, proxytest.Options{Channel: "braintree", Upstream: u.URL})
			s.agent = s.key(t, "agent")
			a := s.do(t, call{method: "GET", path: "/merchants/m1/transactions/saleone1"})
			token := tokenForm.FindString(a.body)
			if a.status != http.StatusOK || token == "" || strings.Contains(a.body, "saleone1") {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			if a := s.do(t, s.back(token, "k", `"amount":"1.00"`)); a.problem.Reason != "payment_unknown" {
				t.Errorf("got %d %s", a.status, a.problem.Reason)
			}
		})
	}
}
