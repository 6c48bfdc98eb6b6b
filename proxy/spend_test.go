package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// till is a gateway in front of a processor, on two routes, with a charge that it has told
// of.
type till struct {
	*proxytest.Gateway
	processor *sample.Processor
	charge    sample.Charge
	// other is the second route, metrics where the counters are.
	other, metrics string
	agent          string // a key
	token          string // of the charge
}

// openTill starts a till. before, if not nil, answers calls in place of the processor when
// it returns true.
func openTill(t *testing.T, before func(w http.ResponseWriter, r *http.Request) bool, govern string) *till {
	t.Helper()
	p := sample.NewProcessor()
	u := proxytest.NewUpstream(t, nil)
	u.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			p.ServeHTTP(w, r)
		}
	})
	k := &till{processor: p, charge: p.Pay(sample.Charge{Amount: 10_000, Currency: "eur", Order: "A-7"})}
	k.other, k.metrics = proxytest.FreeAddr(t), proxytest.FreeAddr(t)
	k.Gateway = proxytest.Start(t, proxytest.Options{Channel: "stripe", Upstream: u.URL, Govern: govern,
		Sites: "http://" + k.other + " {\n\tbind 127.0.0.1\n\tgovern stripe " + u.URL + " {\n\t\troute other\n\t}\n}\n" +
			"http://" + k.metrics + " {\n\tbind 127.0.0.1\n\tmetrics\n}\n"})
	k.agent = k.key(t, "agent")
	if a := k.do(t, call{method: "GET", path: "/v1/charges"}); a.status != http.StatusOK {
		t.Fatalf("listing charges: got %d %s", a.status, a.body)
	} else if govern == "" {
		k.token = tokenOf(t, a.body, "id")
	}
	return k
}

// tokenOf is the token in a member of an answer.
func tokenOf(t *testing.T, body, member string) string {
	t.Helper()
	m := regexp.MustCompile(`"` + member + `":"(ptk1[0-9a-z]{30})"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no token in %q: %s", member, body)
	}
	return m[1]
}

// key makes a key with a role, and grants.
func (k *till) key(t *testing.T, role string, grants ...string) string {
	t.Helper()
	var made struct{ Secret string }
	list := ""
	if len(grants) > 0 {
		list = `,"grants":["` + strings.Join(grants, `","`) + `"]`
	}
	k.API("POST", "/api/v1/apikeys", fmt.Sprintf(`{"name":%q,"roles":[%q]%s}`, role, role, list), http.StatusCreated, &made)
	return made.Secret
}

// do calls as an agent who refunds; what the call has of its own wins.
func (k *till) do(t *testing.T, c call) answer {
	t.Helper()
	return send(t, k.request(t, c))
}

func (k *till) request(t *testing.T, c call) *http.Request {
	t.Helper()
	header := http.Header{"Authorization": {"Bearer sk_test_sample"}, "Caregate-Key": {k.agent}, "Caregate-Purpose": {"refund"}}
	if c.body != "" && c.header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, v := range c.header {
		header[name] = v
	}
	c.header = header
	return request(t, k.Gateway, c)
}

// refund asks for some of the charge under a key.
func (k *till) refund(key string, form url.Values) call {
	if !form.Has("charge") {
		form.Set("charge", k.token)
	}
	return call{method: "POST", path: "/v1/refunds", body: form.Encode(), header: http.Header{"Idempotency-Key": {key}}}
}

// count is a counter's value; words are parts of its labels.
func (k *till) count(t *testing.T, name string, words ...string) (sum int) {
	t.Helper()
	res, err := http.Get("http://" + k.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
lines:
	for line := range strings.Lines(string(raw)) {
		if !strings.HasPrefix(line, name+"{") {
			continue
		}
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		var n int
		if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// An agent refunds by the token. The processor sees the reference and nobody else does;
// the event says what was released, for whom and what for.
func TestRefundByToken(t *testing.T) {
	k := openTill(t, nil, "")
	settled := k.count(t, "caregate_token_spends_total", `outcome="settled"`, `operation="refund.create"`, `channel="stripe"`)
	a := k.do(t, k.refund("first", url.Values{"amount": {"3000"}, "metadata[order_id]": {"A-7"}, "reason": {"requested_by_customer"}}))
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	want := []sample.Refund{{ID: "re_sample000001Qx", Charge: k.charge.ID, Amount: 3000, Key: "first", Reason: "requested_by_customer"}}
	if got := k.processor.Refunds(); len(got) != 1 || got[0] != want[0] {
		t.Fatalf("the ledger has %+v, want %+v", got, want)
	}
	if tokenOf(t, a.body, "charge") != k.token || strings.Contains(a.body, k.charge.ID) || strings.Contains(a.body, k.charge.Intent) {
		t.Errorf("the answer tells the reference: %s", a.body)
	}
	for _, e := range k.Exchange(a.header.Get("Caregate-Receipt")) {
		switch e.Type {
		case "request.decided":
			if c := countsOf(e, "payment_reference"); c.Clear != 1 || e.Purpose != "refund" {
				t.Errorf("the event says %+v, purpose %q", c, e.Purpose)
			}
			if names, err := proxy.TokenNames(t.Context(), e.Receipt); err != nil || len(names) != 1 || strings.Contains(k.token, names[0]) {
				t.Errorf("its tokens: got %v, %v", names, err)
			}
		case "response.decided":
			if e.Attrs["spend"] != "settled" {
				t.Errorf("the answer's event says %v", e.Attrs)
			}
		default:
			t.Errorf("an event of type %s", e.Type)
		}
	}
	if got := k.count(t, "caregate_token_spends_total", `outcome="settled"`, `operation="refund.create"`, `channel="stripe"`); got != settled+1 {
		t.Errorf("settled: counted %d, want %d", got, settled+1)
	}
	// The other reference of the payment, all that is left, and nothing more.
	shown := k.do(t, call{method: "GET", path: "/v1/charges/" + k.token})
	if shown.status != http.StatusOK || tokenOf(t, shown.body, "id") != k.token || strings.Contains(shown.body, k.charge.ID) {
		t.Fatalf("reading: got %d %s", shown.status, shown.body)
	}
	if strings.Contains(shown.body, "receipts/"+k.token) != true {
		t.Errorf("the reference in an address is not the token: %s", shown.body)
	}
	intent := tokenOf(t, shown.body, "payment_intent")
	form := url.Values{"payment_intent": {intent}}
	if a := k.do(t, call{method: "POST", path: "/v1/refunds", body: form.Encode(), header: http.Header{"Idempotency-Key": {"rest"}}}); a.status != http.StatusOK {
		t.Fatalf("the rest: got %d %s", a.status, a.body)
	}
	if c := k.processor.Charges()[0]; c.Refunded != 10_000 {
		t.Errorf("the ledger has %d refunded", c.Refunded)
	}
	if a := k.do(t, k.refund("more", url.Values{"amount": {"1"}})); a.problem.Reason != "refund_over_balance" {
		t.Errorf("of nothing: got %d %s", a.status, a.problem.Reason)
	}
	for _, c := range k.processor.Seen() {
		if strings.Contains(c.Body+c.URI, "ptk1") || c.Header.Get("Caregate-Purpose") != "" {
			t.Errorf("the processor saw %s %s %s", c.Method, c.URI, c.Body)
		}
	}
}

// A call whose answer is lost keeps its amount, and can be asked for again under its key.
func TestLostAnswer(t *testing.T) {
	var mu sync.Mutex
	lose, status := true, 0
	var processor *sample.Processor
	k := openTill(t, func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != http.MethodPost {
			return false
		}
		if status != 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":{"message":"not now"}}`)
			return true
		}
		if lose {
			processor.ServeHTTP(discard{}, r)
			panic(http.ErrAbortHandler)
		}
		return false
	}, "")
	processor = k.processor
	set := func(l bool, s int) {
		mu.Lock()
		defer mu.Unlock()
		lose, status = l, s
	}
	ask := func(key, amount string) answer {
		t.Helper()
		return k.do(t, k.refund(key, url.Values{"amount": {amount}}))
	}
	if a := ask("lost", "6000"); a.status != http.StatusBadGateway || a.problem.Reason != "upstream_aborted" {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	set(false, 0)
	if a := ask("other", "6000"); a.problem.Reason != "refund_over_balance" {
		t.Errorf("a second refund: got %d %s", a.status, a.body)
	}
	// An error in the repetition says nothing about the first call.
	set(false, http.StatusBadRequest)
	if a := ask("lost", "6000"); a.status != http.StatusBadRequest {
		t.Errorf("refused by the processor: got %d %s", a.status, a.body)
	}
	set(false, 0)
	if a := ask("other", "4001"); a.problem.Reason != "refund_over_balance" {
		t.Errorf("while nobody knows: got %d %s", a.status, a.body)
	}
	if a := ask("lost", "6000"); a.status != http.StatusOK || a.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: got %d %s", a.status, a.body)
	}
	if a := ask("lost", "6000"); a.problem.Reason != "idempotency_used" {
		t.Errorf("a replay: got %d %s", a.status, a.body)
	}
	// What the processor refuses is given back; what it fails at is not.
	set(false, http.StatusPaymentRequired)
	if a := ask("refused", "4000"); a.status != http.StatusPaymentRequired {
		t.Errorf("refused: got %d %s", a.status, a.body)
	}
	set(false, http.StatusInternalServerError)
	if a := ask("failed", "3000"); a.status != http.StatusInternalServerError {
		t.Errorf("failed: got %d %s", a.status, a.body)
	}
	set(false, 0)
	if a := ask("last", "1001"); a.problem.Reason != "refund_over_balance" {
		t.Errorf("after a failure: got %d %s", a.status, a.body)
	}
	if a := ask("last", "1000"); a.status != http.StatusOK {
		t.Errorf("what is left: got %d %s", a.status, a.body)
	}
	if c := k.processor.Charges()[0]; c.Refunded != 7000 {
		t.Errorf("the ledger has %d refunded, want 7000", c.Refunded)
	}
}

// discard is an answer that nobody gets.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// An answer that repeats the reference where nobody expects it tells the token.
func TestReferenceIsConcealed(t *testing.T) {
	var reference string
	kind := "application/json"
	k := openTill(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("X-Trace", "charge="+reference+"; other=x"+reference)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":{"message":"No such charge: '%s', in %sX"}}`, reference, reference)
		return true
	}, "uninspected pass")
	reference = k.charge.ID
	k.token = tokenOf(t, k.do(t, call{method: "GET", path: "/v1/charges"}).body, "id")
	a := k.do(t, k.refund("k", url.Values{"amount": {"1"}}))
	if want := fmt.Sprintf(`{"error":{"message":"No such charge: '%s', in %sX"}}`, k.token, reference); a.body != want {
		t.Errorf("got %s, want %s", a.body, want)
	}
	if got := a.header.Get("X-Trace"); strings.Contains(got, "="+reference) || !strings.HasSuffix(got, "=x"+reference) {
		t.Errorf("header: got %s", got)
	}
	kind = "application/octet-stream"
	if a := k.do(t, k.refund("l", url.Values{"amount": {"1"}})); a.problem.Reason != "response_withheld" || strings.Contains(a.body, reference) {
		t.Errorf("an answer that nobody reads: got %d %s", a.status, a.body)
	}
}

// On a route that observes no token is turned back and nothing refused.
func TestObservedTokenStays(t *testing.T) {
	k := openTill(t, nil, "observe")
	value := k.charge.ID
	enforced := k.do(t, call{method: "GET", path: "/v1/charges"})
	if !strings.Contains(enforced.body, value) {
		t.Fatalf("an observing route changed %s", enforced.body)
	}
	res, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+k.other+"/v1/charges", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Header = http.Header{"Authorization": {"Bearer sk_test_sample"}, "Caregate-Key": {k.agent}}
	k.token = tokenOf(t, send(t, res).body, "id")
	a := k.do(t, k.refund("k", url.Values{"amount": {"1"}}))
	if a.status != http.StatusBadRequest || !strings.Contains(a.body, k.token) || len(k.processor.Refunds()) > 0 {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

// processorCase is a processor whose references stand in paths.
type processorCase struct {
	channel, learn, learned, refund, body, header string
	want                                          string // the path that the processor sees
	reference                                     string
	answer                                        string
}

// Processors whose calls have the reference in the path, and amounts of their own.
func TestTokenInPath(t *testing.T) {
	for _, c := range []processorCase{
		{channel: "paypal", reference: "2GG279541U471931P", learn: "GET /v2/payments/captures/2GG279541U471931P",
			learned: `{"id":"2GG279541U471931P","amount":{"value":"10.50","currency_code":"EUR"},"invoice_id":"A-7"}`,
			refund:  "/v2/payments/captures/%s/refund", body: `{"amount":{"value":"%s","currency_code":"EUR"},"note_to_payer":"sorry"}`, header: "Paypal-Request-Id",
			want:   "/v2/payments/captures/2GG279541U471931P/refund",
			answer: `{"id":"1JU08902781691411","links":[{"rel":"up","href":"https://api-m.paypal.com/v2/payments/captures/2GG279541U471931P"}]}`},
		{channel: "adyen", reference: "NC6HT9CRT65ZGN82", learn: "POST /checkout/v72/payments",
			learned: `{"pspReference":"NC6HT9CRT65ZGN82","resultCode":"Authorised","merchantReference":"A-7","amount":{"value":1050,"currency":"EUR"}}`,
			refund:  "/checkout/v72/payments/%s/refunds", body: `{"merchantAccount":"AcmeEU","amount":{"value":%s,"currency":"EUR"},"reference":"R-1"}`, header: "Idempotency-Key",
			want:   "/checkout/v72/payments/NC6HT9CRT65ZGN82/refunds",
			answer: `{"pspReference":"KX4PL2WWT65ZGN99","paymentPspReference":"NC6HT9CRT65ZGN82","status":"received"}`},
	} {
		t.Run(c.channel, func(t *testing.T) { tokenInPath(t, c) })
	}
}

func tokenInPath(t *testing.T, c processorCase) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.URL.Path, "/refund") {
			_, _ = io.WriteString(w, c.answer)
			return
		}
		_, _ = io.WriteString(w, c.learned)
	})
	k := &till{Gateway: proxytest.Start(t, proxytest.Options{Channel: c.channel, Upstream: u.URL})}
	k.agent = k.key(t, "agent")
	method, path, _ := strings.Cut(c.learn, " ")
	body := ""
	if method == http.MethodPost {
		body = `{"merchantAccount":"AcmeEU","amount":{"value":1050,"currency":"EUR"},"reference":"A-7"}`
	}
	asJSON := func(key string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}, "X-Api-Key": {"AQE"}}
		if key != "" {
			h.Set(c.header, key)
		}
		return h
	}
	learned := k.do(t, call{method: method, path: path, body: body, header: asJSON("")})
	tok := token(t, learned.body)
	amount := func(n string) string {
		if c.channel == "paypal" {
			return n[:len(n)-2] + "." + n[len(n)-2:]
		}
		return n
	}
	refund := func(key, n, body string) answer {
		return k.do(t, call{method: "POST", path: fmt.Sprintf(c.refund, tok), body: fmt.Sprintf(body, amount(n)), header: asJSON(key)})
	}
	if a := refund("k1", "1000", c.body); a.status != http.StatusOK || strings.Contains(a.body, c.reference) || !strings.Contains(a.body, tok) {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if got := u.Last(t).Target; got != c.want {
		t.Errorf("the processor saw %s, want %s", got, c.want)
	}
	// A key that is taken out on the way would not be one to the processor.
	taken := func(key string) answer {
		h := asJSON(key)
		h.Set("Connection", "close, "+strings.ToLower(c.header))
		return k.do(t, call{method: "POST", path: fmt.Sprintf(c.refund, tok), body: fmt.Sprintf(c.body, amount("1000")), header: h})
	}
	before := len(u.Requests())
	for name, a := range map[string]answer{
		"refund_over_balance": refund("k2", "1051", c.body),
		"idempotency_used":    refund("k1", "1000", c.body),
		"idempotency_missing": refund("", "1000", c.body),
		"refund_currency":     refund("k3", "1000", strings.ReplaceAll(c.body, "EUR", "USD")),
		"payment_unreadable":  refund("k4", "1000", strings.ReplaceAll(c.body, "EUR", "euro")),
		"header_ambiguous":    taken("k8"),
		"token_misplaced":     refund("k5", "1000", strings.ReplaceAll(strings.ReplaceAll(c.body, "sorry", tok), "R-1", tok)),
		"json_duplicate_key":  refund("k6", "1000", strings.ReplaceAll(c.body, `{"amount"`, `{"amount":1,"amount"`)+strings.Repeat(" ", len(c.channel)-5)),
	} {
		if name == "json_duplicate_key" && c.channel == "adyen" {
			continue // its body begins otherwise
		}
		if a.problem.Reason != name {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
	if got := len(u.Requests()); got != before {
		t.Errorf("%d refused calls were forwarded", got-before)
	}
}
