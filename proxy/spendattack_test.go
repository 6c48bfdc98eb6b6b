package proxy_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/vault"
)

// attempt is a call that must be refused, for one reason.
type attempt struct {
	name, want string
	call       call
}

// attack is a till of which 60.00 of 100.00 have gone back, with what an attacker may have
// beside.
type attack struct {
	*till
	intent string // the payment's other token
	// Tokens that are good for something else.
	unknown, otherAccount, otherRoute, foreign, expired string
	all                                                 []attempt
}

// add notes an attempt: a refund of 10.00 under a new key, but for what change says.
func (a *attack) add(want, name string, change func(form url.Values, h http.Header)) {
	form := url.Values{"charge": {a.token}, "amount": {"1000"}}
	h := http.Header{"Idempotency-Key": {fmt.Sprint("attack-", len(a.all))}}
	change(form, h)
	a.all = append(a.all, attempt{name, want, call{method: "POST", path: "/v1/refunds", body: form.Encode(), header: h}})
}

// get notes a reading.
func (a *attack) get(want, name, path string, h http.Header) {
	a.all = append(a.all, attempt{name, want, call{method: "GET", path: path, header: h}})
}

func startAttack(t *testing.T) *attack {
	a := &attack{till: openTill(t, nil, "")}
	ok := func(c call) string {
		t.Helper()
		got := a.do(t, c)
		if got.status != http.StatusOK {
			t.Fatalf("%s %s: got %d %s", c.method, c.path, got.status, got.body)
		}
		return got.body
	}
	ok(a.refund("spent", url.Values{"amount": {"6000"}}))
	a.intent = tokenOf(t, ok(call{method: "GET", path: "/v1/charges/" + a.token}), "payment_intent")
	a.processor.Pay(sample.Charge{Amount: 10_000, Currency: "eur", Account: "acct_2"})
	a.otherAccount = tokenOf(t, ok(call{method: "GET", path: "/v1/charges", header: http.Header{"Stripe-Account": {"acct_2"}}}), "id")

	// The second route tells of one first.
	charge := a.processor.Pay(sample.Charge{Amount: 10_000, Currency: "eur"})
	req := a.request(t, call{method: "GET", path: "/v1/charges/" + charge.ID})
	req.URL.Host = a.other
	a.otherRoute = tokenOf(t, send(t, req).body, "id")

	// What another process puts into the vault.
	keep := func(dir, ref string, life time.Duration) string {
		t.Helper()
		if err := vault.Create(t.Context(), dir, vault.Config{}); err != nil && dir != a.Data {
			t.Fatal(err)
		}
		v, err := vault.Open(t.Context(), dir, vault.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		is, err := v.Tokenize(t.Context(), "", life, []vault.Value{{Kind: vault.KindPayment, Text: []byte(ref)}})
		if err == nil {
			err = is.Keep(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return is.Tokens[0].Text
	}
	a.unknown = keep(a.Data, "ch_untold0000Qx", 0)
	a.expired = keep(a.Data, "ch_expired0000Qx", time.Nanosecond)
	a.foreign = keep(t.TempDir(), a.charge.ID, 0)
	return a
}

// wrongTokens are tokens that are none, or not this vault's.
func (a *attack) wrongTokens() map[string]string {
	all := map[string]string{
		"upper case": strings.ToUpper(a.token), "title case": "P" + a.token[1:], "lengthened": a.token + "0", "quoted": `"` + a.token + `"`,
		"in brackets": "<" + a.token + ">", "blank behind": a.token + " ", "blank in front": " " + a.token, "line end": a.token + "\n", "full stop": a.token + ".",
		"wrapped": a.token[:12] + "\r\n " + a.token[12:], "soft hyphen": a.token[:12] + "\u00ad" + a.token[12:], "zero width": a.token[:20] + "\u200b" + a.token[20:],
		"twice": a.token + " " + a.token, "with the other": a.token + "," + a.intent, "prefix of a reference": "ch_" + a.token, "reference in front": a.charge.ID + " " + a.token,
		"of another vault": a.foreign, "expired": a.expired, "prefix only": "ptk1", "all zero": "ptk1" + strings.Repeat("0", 30), "a version that is none": "ptk1ptk1" + a.token[8:],
	}
	for n := 5; n < len(a.token); n++ {
		all[fmt.Sprint("truncated to ", n)] = a.token[:n]
		c := byte('0')
		if a.token[n] == c {
			c = '1'
		}
		all[fmt.Sprint("changed at ", n)] = a.token[:n] + string(c) + a.token[n+1:]
	}
	return all
}

func (a *attack) tokens() {
	for name, tok := range a.wrongTokens() {
		a.add("token_refused", "charge, "+name, func(f url.Values, _ http.Header) { f.Set("charge", tok) })
		a.add("token_refused", "intent, "+name, func(f url.Values, _ http.Header) { f.Del("charge"); f.Set("payment_intent", tok) })
		if strings.ContainsAny(tok, " <>\"\r\n,.\u00ad\u200b") {
			continue // no path is written so
		}
		a.get("token_refused", "reading, "+name, "/v1/charges/"+tok, nil)
		a.get("token_refused", "reading an intent, "+name, "/v1/payment_intents/"+tok, nil)
	}
	a.add("payment_unknown", "nobody told of it", func(f url.Values, _ http.Header) { f.Set("charge", a.unknown) })
	a.add("token_refused", "of another account", func(f url.Values, _ http.Header) { f.Set("charge", a.otherAccount) })
	a.add("token_refused", "of another route", func(f url.Values, _ http.Header) { f.Set("charge", a.otherRoute) })
	a.get("token_refused", "reading one of another route", "/v1/charges/"+a.otherRoute, nil)
	a.get("token_refused", "reading one of another account", "/v1/charges/"+a.otherAccount, nil)
	a.add("token_refused", "both references", func(f url.Values, _ http.Header) { f.Set("payment_intent", a.intent) })
	a.add("token_refused", "one reference twice", func(f url.Values, _ http.Header) { f.Add("charge", a.token) })
	for name, change := range map[string]func(f url.Values){
		"as the intent": func(f url.Values) { f.Set("payment_intent", "pi_other0000Qx") }, "as another charge": func(f url.Values) { f.Add("charge", "ch_other0000Qx") },
		"of its own intent": func(f url.Values) { f.Set("payment_intent", a.charge.Intent) }, "empty": func(f url.Values) { f.Set("payment_intent", "") },
		"in front": func(f url.Values) { f["charge"] = []string{"ch_other0000Qx", a.token} },
	} {
		a.add("payment_unreadable", "a reference beside, "+name, func(f url.Values, _ http.Header) { change(f) })
	}
	for _, list := range []string{"Stripe-Account", "close, stripe-account", "keep-alive,Stripe-Account ,x"} {
		a.add("header_ambiguous", "an account that is taken out, "+list, func(f url.Values, h http.Header) {
			f.Set("charge", a.otherAccount)
			h.Set("Stripe-Account", "acct_2")
			h.Set("Connection", list)
		})
	}
	a.add("token_refused", "a second payment beside", func(f url.Values, _ http.Header) { f.Add("charge", a.otherRoute) })
}

// places are where a token stands and is not turned back.
func (a *attack) places() {
	for _, field := range []string{"description", "metadata[note]", "metadata[order_id]", "customer", "source", "charge[]", "charge[0]", "charge[id]", "charge.id", "Charge", "CHARGE", " charge",
		"charge ", "charges", "payment_intent[id]", "PAYMENT_INTENT", "instructions_email", "reason", "origin", "refund", "expand[]", "reverse_transfer", "x"} {
		a.add("token_misplaced", "beside it in "+field, func(f url.Values, _ http.Header) { f.Add(field, a.token) })
		a.add("token_misplaced", "only in "+field, func(f url.Values, _ http.Header) { f.Del("charge"); f.Add(field, a.intent) })
	}
	a.add("token_misplaced", "as a field's name", func(f url.Values, _ http.Header) { f.Set(a.token, "1") })
	for _, header := range []string{"X-Charge", "Referer", "Idempotency-Key", "Cookie", "X-Forwarded-For", "User-Agent"} {
		a.add("token_misplaced", "in the header "+header, func(_ url.Values, h http.Header) { h.Set(header, a.token) })
	}
	for _, path := range []string{"/v1/charges?charge=%s", "/v1/refunds?charge=%s", "/v1/refunds/%s", "/v1/customers/%s", "/v1/disputes/%s", "/v1/events/%s", "/v1/payment_methods/%s", "/v1/invoices/%s",
		"/v1/charges/%s/dispute", "/v1/nothing/%s", "/%s", "/v1/charges/search?query=charge%%3A%s", "/v1/checkout/sessions/%s", "/v1/charges?%s=1", "/v2/core/events/%s", "/v1/charges/%[1]s?expand=%[1]s"} {
		a.get("token_misplaced", "reading "+path, fmt.Sprintf(path, a.token), nil)
	}
	for _, path := range []string{"/v1/charges/%s", "/v1/charges/%s/capture", "/v1/payment_intents/%s/cancel", "/v1/payment_intents/%s/capture", "/v1/refunds/%s", "/v1/refunds/%s/cancel",
		"/v1/charges/%s/refund", "/v1/charges/%s/refunds", "/v1/customers/%s", "/v1/transfers/%s/reversals"} {
		a.all = append(a.all, attempt{"writing " + path, "token_misplaced", call{method: "POST", path: fmt.Sprintf(path, a.token), body: "amount=1", header: http.Header{"Idempotency-Key": {path}}}})
	}
	for kind, body := range map[string]string{
		"text/plain":       "charge " + a.token,
		"application/json": `{"note":"\u0070tk1` + a.token[4:] + `"}`,
		"application/xml":  "<refund><charge>" + a.token + "</charge></refund>",
		"text/csv":         "charge\n" + a.token + "\n",
	} {
		a.all = append(a.all, attempt{"in a body of " + kind, "token_misplaced", call{method: "POST", path: "/v1/refunds", body: body,
			header: http.Header{"Content-Type": {kind}, "Idempotency-Key": {kind}}}})
	}
	a.all = append(a.all, attempt{"escaped in a form", "token_misplaced", call{method: "POST", path: "/v1/refunds", body: "note=%70%74k1" + a.token[4:], header: http.Header{"Idempotency-Key": {"escaped"}}}})
}

// sums are amounts, currencies, orders and accounts that are wrong.
func (a *attack) sums() {
	for _, amount := range []string{"4001", "4002", "4100", "5000", "6000", "9999", "10000", "10001", "100000", "999999999999999", "004001"} {
		a.add("refund_over_balance", "amount "+amount, func(f url.Values, _ http.Header) { f.Set("amount", amount) })
		a.add("refund_over_balance", "intent, amount "+amount, func(f url.Values, _ http.Header) {
			f.Del("charge")
			f.Set("payment_intent", a.intent)
			f.Set("amount", amount)
		})
	}
	for _, amount := range []string{"", "0", "00", "-1", "-4001", "+1000", " 1000", "1000 ", "1e3", "10.00", "1,000", "0x3e8", "1000;", "NaN", "\u0661\u0660\u0660\u0660", "1000\n", "one",
		"1000000000000000", "99999999999999999999", "true", "[1000]", "1000/1"} {
		a.add("payment_unreadable", "amount "+amount, func(f url.Values, _ http.Header) { f.Set("amount", amount) })
	}
	for _, second := range []string{"1000", "1", "4001", ""} {
		a.add("payment_unreadable", "a second amount "+second, func(f url.Values, _ http.Header) { f.Add("amount", second) })
	}
	for _, currency := range []string{"usd", "USD", "jpy", "gbp", "chf", "xxx", "bhd"} {
		a.add("refund_currency", "currency "+currency, func(f url.Values, _ http.Header) { f.Set("currency", currency) })
	}
	for _, currency := range []string{"", "eu", "euro", "eur ", "\u20ac", "e1r", "eur,usd"} {
		a.add("payment_unreadable", "currency "+currency, func(f url.Values, _ http.Header) { f.Set("currency", currency) })
	}
	a.add("payment_unreadable", "two currencies", func(f url.Values, _ http.Header) { f["currency"] = []string{"eur", "usd"} })
	for _, order := range []string{"A-8", "a-7", "A-7 ", " A-7", "A-70", "A", "B-7", "A-7,A-8", "*", "null"} {
		a.add("token_refused", "order "+order, func(f url.Values, _ http.Header) { f.Set("metadata[order_id]", order) })
	}
	a.add("payment_unreadable", "two orders", func(f url.Values, _ http.Header) { f["metadata[order_id]"] = []string{"A-7", "A-8"} })
	for _, account := range []string{"acct_2", "acct_1", "ACCT_2", "acct_2,acct_1", "*", "default", "0"} {
		a.add("token_refused", "account "+account, func(_ url.Values, h http.Header) { h.Set("Stripe-Account", account) })
		a.get("token_refused", "reading, account "+account, "/v1/charges/"+a.token, http.Header{"Stripe-Account": {account}})
	}
	a.add("payment_unreadable", "two accounts", func(_ url.Values, h http.Header) { h["Stripe-Account"] = []string{"acct_1", "acct_2"} })
	for _, query := range []string{"amount=1", "charge=ch_1", "expand[]=charge", "x"} {
		a.add("payment_unreadable", "query "+query, func(url.Values, http.Header) {})
		a.all[len(a.all)-1].call.path += "?" + query
	}
}

// keys are idempotency keys that were used, or are none.
func (a *attack) keys() {
	a.add("idempotency_used", "a replay", func(f url.Values, h http.Header) { f.Set("amount", "6000"); h.Set("Idempotency-Key", "spent") })
	a.add("idempotency_used", "the key for another amount", func(_ url.Values, h http.Header) { h.Set("Idempotency-Key", "spent") })
	a.add("idempotency_used", "the key for the rest", func(f url.Values, h http.Header) { f.Del("amount"); h.Set("Idempotency-Key", "spent") })
	a.add("idempotency_used", "the key by the other reference", func(f url.Values, h http.Header) {
		f.Del("charge")
		f.Set("payment_intent", a.intent)
		f.Set("amount", "6001")
		h.Set("Idempotency-Key", "spent")
	})
	a.add("idempotency_used", "the key with a blank", func(_ url.Values, h http.Header) { h.Set("Idempotency-Key", "spent ") })
	a.add("idempotency_missing", "no key", func(_ url.Values, h http.Header) { h.Del("Idempotency-Key") })
	a.add("idempotency_missing", "an empty key", func(_ url.Values, h http.Header) { h.Set("Idempotency-Key", "") })
	a.add("header_ambiguous", "two keys", func(_ url.Values, h http.Header) { h["Idempotency-Key"] = []string{"one", "two"} })
}

// otherEnd is a key whose last characters are others.
func otherEnd(key string) string {
	cut := len(key) - 2
	if key[cut:] == "zz" {
		return key[:cut] + "yy"
	}
	return key[:cut] + "zz"
}

// callers are those who may not, or do not say what for.
func (a *attack) callers(t *testing.T) {
	callers := map[string]struct{ key, want string }{
		"agent":                  {a.agent, ""},
		"lead":                   {a.key(t, "lead"), ""},
		"the processor's secret": {"", "token_needs_role"},
		"dpo":                    {a.key(t, "dpo"), "role_not_allowed"},
		"security":               {a.key(t, "security"), "role_not_allowed"},
		"admin":                  {a.key(t, "admin"), "role_not_allowed"},
		"service":                {a.key(t, "service"), "role_not_allowed"},
		"service for all":        {a.key(t, "service", "stripe:*", "*:*", "stripe:refund.*"), "token_needs_role"},
		"service for reading":    {a.key(t, "service", "stripe:charge.show"), "role_not_allowed"},
		"a key of nobody":        {otherEnd(a.agent), "invalid_credential"},
	}
	for name, c := range callers {
		for _, purpose := range []string{"refund", "", "payment_lookup", "curiosity", "refunds", "refund.other", "Refund", "refund now"} {
			want := c.want
			switch {
			case strings.ContainsAny(purpose, "R "):
				want = "purpose_invalid"
			case want == "" && purpose == "refund":
				continue
			case want == "":
				want = "purpose_needed"
			}
			a.add(want, name+" for "+purpose, func(_ url.Values, h http.Header) {
				h["Caregate-Key"] = []string{c.key}
				if c.key == "" {
					h["Caregate-Key"] = nil
				}
				if h["Caregate-Purpose"] = []string{purpose}; purpose == "" {
					h["Caregate-Purpose"] = nil
				}
			})
		}
	}
	a.add("purpose_invalid", "two purposes", func(_ url.Values, h http.Header) { h["Caregate-Purpose"] = []string{"refund", "refund"} })
}

// More than 500 attempts to get at a payment: not one reaches the processor, each is
// answered with its reason, recorded and counted. Then concurrent ones: what is left goes
// back once.
func TestRefundAttacks(t *testing.T) {
	a := startAttack(t)
	a.tokens()
	a.places()
	a.sums()
	a.keys()
	a.callers(t)
	if len(a.all) < 500 {
		t.Fatalf("only %d attempts", len(a.all))
	}
	if all := a.all; testing.Short() {
		a.all = nil
		for i := 0; i < len(all); i += 5 {
			a.all = append(a.all, all[i])
		}
	}
	ledger, seen := len(a.processor.Refunds()), len(a.processor.Seen())
	denied := func() int { return a.count(t, "caregate_exchanges_total", `decision="deny"`, `channel="stripe"`) }
	refused := func() int { return a.count(t, "caregate_token_spends_total", `outcome="refused"`) }
	deniedBefore, refusedBefore, early := denied(), refused(), 0
	receipts, last := make(map[string]attempt, len(a.all)), ""
	for _, at := range a.all {
		got := a.do(t, at.call)
		if got.problem.Reason != at.want || got.status < 400 || got.problem.Forwarded {
			t.Errorf("%s: got %d %s, want %s", at.name, got.status, got.problem.Reason, at.want)
		}
		if strings.Contains(got.body, a.charge.ID) {
			t.Errorf("%s: the answer tells the reference", at.name)
		}
		switch at.want {
		case "purpose_invalid", "invalid_credential":
			early++
		case "header_ambiguous":
			if strings.Contains(at.name, "taken out") {
				break
			}
			early++ // before anybody looked for a token
		}
		last = got.header.Get("Caregate-Receipt")
		receipts[last] = at
	}
	if got := len(a.processor.Seen()); got != seen {
		t.Errorf("%d attempts reached the processor", got-seen)
	}
	if got := len(a.processor.Refunds()); got != ledger {
		t.Errorf("the ledger has %d refunds more", got-ledger)
	}
	if got := denied() - deniedBefore; got != len(a.all) {
		t.Errorf("%d of %d attempts were counted as refused exchanges", got, len(a.all))
	}
	if got, want := refused()-refusedBefore, len(a.all)-early; got != want {
		t.Errorf("%d of %d attempts were counted as refused tokens", got, want)
	}
	if len(receipts) != len(a.all) {
		t.Errorf("%d receipts for %d attempts", len(receipts), len(a.all))
	}
	a.logged(t, last, receipts)
	t.Logf("%d attempts", len(a.all))
	a.atOnce(t)
}

// logged compares the log with the attempts, by receipt. last is the newest of them.
func (a *attack) logged(t *testing.T, last string, receipts map[string]attempt) {
	a.Exchange(last) // which waits until the index has it
	db, err := a.OpenDB(filepath.Join("audit", "index.db"), store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT eid, decision, reason FROM audit_index`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := 0
	for rows.Next() {
		var eid []byte
		var decision, reason string
		if err := rows.Scan(&eid, &decision, &reason); err != nil {
			t.Fatal(err)
		}
		at, ours := receipts[hex.EncodeToString(eid)]
		if !ours {
			continue
		}
		if found++; decision != "deny" || reason != at.want {
			t.Errorf("%s: the log has %s %s", at.name, decision, reason)
		}
	}
	if err := rows.Err(); err != nil || found != len(receipts) {
		t.Errorf("the log has %d of %d attempts, %v", found, len(receipts), err)
	}
}

// atOnce refunds what is left by many calls at the same time.
func (a *attack) atOnce(t *testing.T) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := make(map[string]int)
	ask := func(kind, key string) {
		req := a.request(t, a.till.refund(key, url.Values{"amount": {"1000"}}))
		wg.Go(func() {
			res, err := trySend(t, req)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if res.status == http.StatusOK {
				got[kind]++
				return
			}
			switch res.problem.Reason {
			case "idempotency_used", "refund_over_balance":
				got["refused"]++
			default:
				t.Errorf("%s: got %d %s", kind, res.status, res.body)
			}
		})
	}
	for i := range 12 {
		ask("one key", "same")
		ask("many keys", fmt.Sprint("at once ", i))
	}
	wg.Wait()
	if got["one key"] > 1 || got["one key"]+got["many keys"] != 4 || got["refused"] != 20 {
		t.Errorf("got %v, want 4 refunds, at most one of them of the one key", got)
	}
	if c := a.processor.Charges()[0]; c.Refunded != 10_000 {
		t.Errorf("the ledger has %d refunded, want 10000", c.Refunded)
	}
}
