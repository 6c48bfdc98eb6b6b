package proxy_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// A payment of one of PayPal's merchants goes back for that merchant only, however the
// call's assertion is encoded, and assertions that are not understood are refused.
func TestRefundForAnotherMerchant(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.URL.Path, "/refund") {
			_, _ = io.WriteString(w, `{"id":"1JU08902781691411"}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"id":%q,"amount":{"value":"10.50","currency_code":"EUR"}}`, r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	})
	k := &till{Gateway: proxytest.Start(t, proxytest.Options{Channel: "paypal", Upstream: u.URL})}
	k.agent = k.key(t, "agent")
	assertion := func(enc *base64.Encoding, claims string) []string {
		return []string{enc.EncodeToString([]byte(`{"alg":"none"}`)) + "." + enc.EncodeToString([]byte(claims)) + "."}
	}
	const mine = `{"iss":"client","payer_id":"MERCHANT1"}`
	read := func(id string, as []string) string {
		t.Helper()
		a := k.do(t, call{method: "GET", path: "/v2/payments/captures/" + id, header: http.Header{"Paypal-Auth-Assertion": as}})
		if a.status != http.StatusOK {
			t.Fatalf("reading: got %d %s", a.status, a.body)
		}
		return token(t, a.body)
	}
	tok := read("2GG279541U471931P", assertion(base64.RawURLEncoding, mine))
	untold := read("3GG279541U471931P", []string{"no-assertion"})
	n := 0
	refund := func(token string, as []string) answer {
		n++
		return k.do(t, call{method: "POST", path: "/v2/payments/captures/" + token + "/refund", body: `{"amount":{"value":"1.00","currency_code":"EUR"}}`,
			header: http.Header{"Content-Type": {"application/json"}, "Paypal-Request-Id": {fmt.Sprint("k", n)}, "Paypal-Auth-Assertion": as}})
	}
	seen := len(u.Requests())
	for name, tc := range map[string]struct {
		as   []string
		want string
	}{
		"another merchant":  {assertion(base64.RawURLEncoding, `{"iss":"client","payer_id":"MERCHANT2"}`), "token_refused"},
		"another caller":    {assertion(base64.RawURLEncoding, `{"iss":"other","payer_id":"MERCHANT1"}`), "token_refused"},
		"nobody":            {nil, "token_refused"},
		"two merchants":     {assertion(base64.RawURLEncoding, `{"iss":"client","payer_id":"MERCHANT1","payer_id":"MERCHANT2"}`), "payment_unreadable"},
		"two assertions":    {append(assertion(base64.RawURLEncoding, mine), assertion(base64.RawURLEncoding, mine)...), "payment_unreadable"},
		"no assertion":      {[]string{"MERCHANT1"}, "payment_unreadable"},
		"an empty one":      {[]string{""}, "payment_unreadable"},
		"an unknown claim":  {assertion(base64.RawURLEncoding, `{"iss":"client","payer_id":"MERCHANT1","sub":"MERCHANT2"}`), "payment_unreadable"},
		"by another's name": {assertion(base64.RawURLEncoding, `{"iss":"client","email":"m1@example.com"}`), "token_refused"},
	} {
		if a := refund(tok, tc.as); a.problem.Reason != tc.want || a.problem.Forwarded {
			t.Errorf("%s: got %d %s, want %s", name, a.status, a.problem.Reason, tc.want)
		}
	}
	if a := refund(untold, assertion(base64.RawURLEncoding, mine)); a.problem.Reason != "payment_unknown" {
		t.Errorf("learned for nobody: got %d %s", a.status, a.body)
	}
	if got := len(u.Requests()); got != seen {
		t.Errorf("%d refused calls were forwarded", got-seen)
	}
	for name, as := range map[string][]string{
		"as it was": assertion(base64.RawURLEncoding, mine), "in the other alphabet": assertion(base64.StdEncoding, mine),
		"in another order": assertion(base64.RawURLEncoding, `{ "payer_id": "MERCHANT\u0031", "iss": "client" }`),
	} {
		if a := refund(tok, as); a.status != http.StatusOK {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
}
