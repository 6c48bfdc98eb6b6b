package proxy_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

var tokenForm = regexp.MustCompile(`ptk1[0-9a-hjkmnp-tv-z]{30}`)

// reference is an id of a payment that no detector has to know: the field says it.
const reference = "PAYREF-00-77-alpha"

// orders is a system that keeps orders as they are written to it.
type orders struct {
	mu    sync.Mutex
	order map[string]any
}

func (o *orders) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	o.mu.Lock()
	defer o.mu.Unlock()
	var in struct{ Order map[string]any }
	if json.Unmarshal(body, &in) == nil {
		maps.Copy(o.order, in.Order)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"order": o.order})
}

func (o *orders) field(name string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, _ := o.order[name].(string)
	return s
}

// startOrders governs a system of orders that holds order.
func startOrders(t *testing.T, order map[string]any, block string) (*orders, *proxytest.Gateway) {
	t.Helper()
	o := &orders{order: order}
	u := proxytest.NewUpstream(t, nil)
	u.Config.Handler = http.HandlerFunc(o.ServeHTTP) // which reads the body itself
	return o, proxytest.Start(t, ordersOptions(t, u.URL, block))
}

func ordersOptions(t *testing.T, upstream, block string) proxytest.Options {
	t.Helper()
	file, err := filepath.Abs("testdata/orders.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return proxytest.Options{Channel: "* " + file, Upstream: upstream, Block: block}
}

// document writes a policy of the operator's and returns the line that names it.
func document(t *testing.T, rows ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nenforcement:\n  - "+strings.Join(rows, "\n  - ")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "policy builtin " + file
}

// countsOf are the counts of a class in an event.
func countsOf(e console.Event, class string) console.Findings {
	for _, f := range e.Findings {
		if f.Class == class {
			return f
		}
	}
	return console.Findings{}
}

// token returns the one token in text.
func token(t *testing.T, text string) string {
	t.Helper()
	all := tokenForm.FindAllString(text, -1)
	if len(all) != 1 {
		t.Fatalf("got %d tokens, want 1, in %s", len(all), text)
	}
	return all[0]
}

func revealed(t *testing.T, token string) string {
	t.Helper()
	value, err := proxy.RevealToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// A field that the channel file marks holds a token on either side, the leaf names it,
// and what the token stands for is in the vault and nowhere else.
func TestPaymentFieldIsTokenized(t *testing.T) {
	o, g := startOrders(t, map[string]any{"id": 7}, "")
	a := do(t, g, call{method: "POST", path: "/orders", body: `{"order":{"mail":"ann@example.com","account":"` + reference + `","note":"the account is ` + reference + `"}}`})
	if a.status != http.StatusOK {
		t.Fatalf("got %d: %s", a.status, a.body)
	}
	tok := token(t, o.field("account"))
	if o.field("account") != tok || revealed(t, tok) != reference {
		t.Errorf("stored: got %s", o.field("account"))
	}
	if !strings.Contains(a.body, `"account":"`+tok+`"`) {
		t.Errorf("the answer does not have the token as it is: %s", a.body)
	}
	var request, response string
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		switch e.Type {
		case "request.decided":
			request = e.Receipt
		case "response.decided":
			response = e.Receipt
		}
	}
	e := g.Event(request)
	if c := countsOf(e, "payment_reference"); c.Tokenized != 1 || c.Masked != 0 {
		t.Errorf("counts of the request: got %+v, want one tokenized", c)
	}
	names, err := proxy.TokenNames(t.Context(), request)
	if err != nil || len(names) != 1 || strings.Contains(tok, names[0]) {
		t.Errorf("names in the leaf: got %v, %v", names, err)
	}
	// The token in the answer is no finding and none that was issued.
	if c := countsOf(g.Event(response), "payment_reference"); c != (console.Findings{}) {
		t.Errorf("counts of the answer: got %+v, want none", c)
	}
	if names, err := proxy.TokenNames(t.Context(), response); err != nil || len(names) != 0 {
		t.Errorf("tokens of the answer: got %v, %v, want none", names, err)
	}
}

// V3, and the other half: a value that the system holds in clear leaves as the same
// token that stands elsewhere for it.
func TestTokenOfAnAnswer(t *testing.T) {
	o, g := startOrders(t, map[string]any{"id": 7, "mail": "ann@example.com", "refund": map[string]any{"reference": reference}}, "")
	first := token(t, do(t, g, call{method: "GET", path: "/orders/7"}).body)
	a := do(t, g, call{method: "POST", path: "/orders", body: `{"order":{"account":"` + reference + `"}}`})
	if o.field("account") != first || strings.Contains(a.body, reference) || strings.Count(a.body, first) != 2 {
		t.Errorf("one value has two tokens, or is in clear: %s", a.body)
	}
	names, err := proxy.TokenNames(t.Context(), a.header.Get("Caregate-Receipt"))
	if err != nil || len(names) != 1 {
		t.Errorf("names: got %v, %v", names, err)
	}
	g.Restart()
	if again := do(t, g, call{method: "GET", path: "/orders/7"}); strings.Count(again.body, first) != 2 {
		t.Errorf("after a restart: got %s", again.body)
	}
}

// A job that synchronises reads an order and writes it back: what the system holds stays
// what it was, in clear or as a token.
func TestTokensWrittenBack(t *testing.T) {
	o, g := startOrders(t, map[string]any{"id": 7, "account": reference, "note": "old"}, "")
	read := do(t, g, call{method: "GET", path: "/orders/7"})
	tok := token(t, read.body)
	for _, method := range []string{"PUT", "PATCH"} {
		for name, text := range map[string]string{"as it was read": tok, "in upper case": strings.ToUpper(tok), "with more around it": "see " + tok + "!"} {
			body := strings.ReplaceAll(strings.Replace(read.body, "old", "new "+name, 1), tok, text)
			a := do(t, g, call{method: method, path: "/orders/7", body: body})
			if a.status != http.StatusOK || o.field("account") != reference {
				t.Errorf("%s %s: status %d, the original is now %q", method, name, a.status, o.field("account"))
			}
			if o.field("note") != "new "+name {
				t.Errorf("%s %s: the rest of the write is lost", method, name)
			}
			o.mu.Lock()
			o.order["note"] = "old"
			o.mu.Unlock()
		}
	}
	// A call that the channel file does not know is refused instead.
	a := do(t, g, call{method: "PUT", path: "/elsewhere/7", body: `{"x":{"y":"` + tok + `"}}`})
	if a.status != http.StatusConflict || a.problem.Reason != "masked_write" {
		t.Errorf("unmapped: got %d %s, want 409 masked_write", a.status, a.problem.Reason)
	}
	// A value in clear is new and is written, as a token of its own.
	a = do(t, g, call{method: "PUT", path: "/orders/7", body: `{"order":{"account":"PAYREF-00-78-beta"}}`})
	second := token(t, o.field("account"))
	if a.status != http.StatusOK || second == tok || revealed(t, second) != "PAYREF-00-78-beta" {
		t.Errorf("a new value: got %d, %s", a.status, o.field("account"))
	}
	// And that token written back leaves the same token.
	do(t, g, call{method: "PUT", path: "/orders/7", body: do(t, g, call{method: "GET", path: "/orders/7"}).body})
	if o.field("account") != second {
		t.Errorf("the same token written back: got %s", o.field("account"))
	}
}

// VT1, V5: with everything enforced that can be, our own output is no finding any more.
func TestTokensAreNotFoundAgain(t *testing.T) {
	o, g := startOrders(t, map[string]any{"id": 7}, document(t, `{class: "*", action: tokenize}`, `{class: payment_reference, action: tokenize}`,
		`{class: card_verification_code, action: drop}`, `{class: card_track_data, action: drop}`, `{class: card_pin, action: drop}`))
	const note = "IBAN DE89 3704 0044 0532 0130 00, password: Tr0ub4dor&3x, ssn 078-05-1120, mail bob@example.org, secret sk_live_4eC39HqLyjWDarjtT1zdp7dcAbCd"
	body, err := json.Marshal(map[string]any{"order": map[string]any{"account": reference, "note": note, "page": "<p>IBAN <b>DE89 3704 0044</b> 0532 0130 00</p>"}})
	if err != nil {
		t.Fatal(err)
	}
	a := do(t, g, call{method: "POST", path: "/orders", body: string(body)})
	stored := o.field("note") + o.field("page")
	if a.status != http.StatusOK || len(tokenForm.FindAllString(stored, -1)) < 5 || regexp.MustCompile(`3704|Tr0ub|078-05|bob@|sk_live`).MatchString(tokenForm.ReplaceAllString(stored, "")) {
		t.Fatalf("got %d, stored %s", a.status, stored)
	}
	if !strings.Contains(a.body, o.field("note")) {
		t.Errorf("the answer was changed: %s", a.body)
	}
	for _, text := range []string{stored, "password: " + o.field("account"), "card number " + o.field("account") + " cvv", strings.ToUpper(stored), strings.ReplaceAll(stored, "1", "1\n> ")} {
		body, err := json.Marshal(map[string]any{"order": map[string]any{"history": []any{map[string]string{"text": text}}, "password": o.field("account")}})
		if err != nil {
			t.Fatal(err)
		}
		a := do(t, g, call{method: "POST", path: "/orders", body: string(body)})
		if a.status != http.StatusOK {
			t.Fatalf("got %d: %s", a.status, a.body)
		}
		for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
			for _, f := range e.Findings {
				t.Errorf("%s: found again: %+v in %q", e.Type, f, text)
			}
		}
	}
}

// V16: without the vault nothing passes, and the caller reads why.
func TestWithoutTheVault(t *testing.T) {
	o, g := startOrders(t, map[string]any{"id": 7, "account": reference}, "")
	db, err := g.OpenDB("vault.db", store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE token_pending RENAME TO gone"); err != nil {
		t.Fatal(err)
	}
	a := do(t, g, call{method: "POST", path: "/orders", body: `{"order":{"account":"PAYREF-00-78-beta"}}`})
	if a.status != http.StatusServiceUnavailable || a.problem.Reason != "vault_unavailable" || a.problem.Forwarded || o.field("account") != reference {
		t.Errorf("request: got %d %s, forwarded %v", a.status, a.problem.Reason, a.problem.Forwarded)
	}
	a = do(t, g, call{method: "GET", path: "/orders/7"})
	if a.status != http.StatusBadGateway || a.problem.Cause != "vault_unavailable" || strings.Contains(a.body, reference) {
		t.Errorf("answer: got %d %s: %s", a.status, a.problem.Cause, a.body)
	}
	if e := g.Event(a.header.Get("Caregate-Receipt")); e.Reason != "response_withheld" {
		t.Errorf("event: got %s", e.Reason)
	}
	// What needs no token goes on.
	if a := do(t, g, call{method: "POST", path: "/notes", body: `{"x":"card 4111 1111 1111 1111"}`}); a.problem.Reason == "vault_unavailable" {
		t.Errorf("a call without a token: got %s", a.problem.Reason)
	}
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE gone RENAME TO token_pending"); err != nil {
		t.Fatal(err)
	}
	if a := do(t, g, call{method: "GET", path: "/orders/7"}); a.status != http.StatusOK || token(t, a.body) == "" {
		t.Errorf("afterwards: got %d", a.status)
	}
}

// VT3: tokens are released when their event is durable, before the vault has noted it: the vault
// knows them by that event.
func TestTokensKnowTheirEvent(t *testing.T) {
	_, g := startOrders(t, map[string]any{"id": 7, "account": reference}, "")
	db, err := g.OpenDB("vault.db", store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{"CREATE TABLE seen (event BLOB NOT NULL)", "CREATE TRIGGER see AFTER INSERT ON token_pending BEGIN INSERT INTO seen VALUES (new.event); END"} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, event string
		call        call
	}{
		{"an answer", "response.decided", call{method: "GET", path: "/orders/7"}},
		{"a request", "request.decided", call{method: "POST", path: "/orders", body: `{"order":{"account":"PAYREF-00-78-beta"}}`}},
	} {
		a := do(t, g, c.call)
		if a.status != http.StatusOK {
			t.Fatalf("%s: got %d: %s", c.name, a.status, a.body)
		}
		var id []byte
		if err := db.QueryRowContext(t.Context(), "SELECT event FROM seen ORDER BY rowid DESC LIMIT 1").Scan(&id); err != nil {
			t.Fatal(err)
		}
		if age := time.Since(time.UnixMilli(int64(binary.BigEndian.Uint64(id) >> 16))); age < 0 || age > time.Hour {
			t.Errorf("%s: the event's id says that it was drawn %v ago", c.name, age)
		}
		e := g.Event(hex.EncodeToString(id))
		if n := countsOf(e, "payment_reference").Tokenized; e.Type != c.event || n != 1 {
			t.Errorf("%s: its token has the event %s with %d tokens", c.name, e.Type, n)
		}
	}
}

// Cards are kept only where the operator said so, and verification codes never.
func TestVaultCards(t *testing.T) {
	policy := document(t, `{class: credit_card, action: tokenize}`)
	o := &orders{order: map[string]any{"id": 7}}
	u := proxytest.NewUpstream(t, nil)
	u.Config.Handler = http.HandlerFunc(o.ServeHTTP)
	g := proxytest.Start(t, ordersOptions(t, u.URL, policy))
	write := func(text string) console.Event {
		t.Helper()
		a := do(t, g, call{method: "POST", path: "/orders", body: `{"order":{"note":` + fmt.Sprintf("%q", text) + `}}`})
		if a.status != http.StatusOK {
			t.Fatalf("got %d: %s", a.status, a.body)
		}
		for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
			if e.Type == "request.decided" {
				return e
			}
		}
		t.Fatal("no event")
		return console.Event{}
	}
	c := countsOf(write("card 4111 1111 1111 1111"), "credit_card")
	if c.Masked != 1 || c.Tokenized != 0 || o.field("note") != "card XXXX XXXX XXXX 1111" {
		t.Errorf("off: got %+v, %q", c, o.field("note"))
	}
	if err := g.Load(ordersOptions(t, u.URL, policy+"\nvault cards")); err != nil {
		t.Fatal(err)
	}
	c = countsOf(write("card 4111 1111 1111 1111, cvv 123"), "credit_card")
	if c.Masked != 0 || c.Tokenized != 1 || revealed(t, token(t, o.field("note"))) != "4111111111111111" || !strings.HasSuffix(o.field("note"), ", cvv XXX") {
		t.Errorf("on: got %+v, %q", c, o.field("note"))
	}
	// A card with its code glued to it, one in an encoding: masked as before.
	for _, text := range []string{"card 4111 1111 1111 1111 123", "card 4111&#49;11111111111"} {
		c := countsOf(write(text), "credit_card")
		if c.Tokenized != 0 && len(tokenForm.FindAllString(o.field("note"), -1)) > 0 && len(revealed(t, token(t, o.field("note")))) != 16 {
			t.Errorf("%s: got %+v, %q", text, c, o.field("note"))
		}
	}
	if err := g.Load(ordersOptions(t, u.URL, policy)); err != nil {
		t.Fatal(err)
	}
	if c := countsOf(write("card 4111 1111 1111 1111"), "credit_card"); c.Masked != 1 || c.Tokenized != 0 {
		t.Errorf("off again: got %+v", c)
	}
}

// Windows of a stream have tokens as well, each named before it leaves.
func TestTokensInStreams(t *testing.T) {
	const clean = "The order was placed in the usual way and nobody has complained about it so far. "
	line := func(i int) string { return fmt.Sprintf("line %d: PAYREF-%04d\n", i, i%50) }
	lists := filepath.Join(t.TempDir(), "detect.yaml")
	if err := os.WriteFile(lists, []byte("version: 1\nfind:\n  - pattern: \"PAYREF-####\"\n    class: blocklist\n    author: sam@example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for i := range 60 {
		text.WriteString(line(i) + strings.Repeat(clean, 80))
	}
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, text.String())
	})
	g := proxytest.Start(t, ordersOptions(t, u.URL, document(t, `{class: blocklist, action: tokenize}`)+"\ndetect "+lists))
	a := do(t, g, call{method: "GET", path: "/notes"})
	if a.status != http.StatusOK {
		t.Fatalf("got %d: %s", a.status, a.body)
	}
	tokens := tokenForm.FindAllString(a.body, -1)
	if len(tokens) != 60 || strings.Contains(a.body, "PAYREF") {
		t.Fatalf("got %d tokens, want 60", len(tokens))
	}
	for i, tok := range tokens {
		if tok != tokens[i%50] || revealed(t, tok) != fmt.Sprintf("PAYREF-%04d", i%50) {
			t.Fatalf("token %d is another value's", i)
		}
	}
	if got := tokenForm.ReplaceAllStringFunc(a.body, func(tok string) string { return revealed(t, tok) }); got != text.String() {
		t.Error("put back, the text is another")
	}
	ended(t, g, a.header.Get("Caregate-Receipt"), "response.closed") // the index has all of them then
	names := map[string]bool{}
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		all, err := proxy.TokenNames(t.Context(), e.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range all {
			names[n] = true
		}
	}
	if len(names) != 50 {
		t.Errorf("events name %d tokens, want 50", len(names))
	}
}
