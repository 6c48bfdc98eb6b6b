package channel

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// schemeOf reads the webhooks section of a file that has nothing else.
func schemeOf(t testing.TB, section string) *Webhooks {
	t.Helper()
	src := "version: 1\nname: x\ntitle: X\nreach: {governed: a, not_governed: b}\noperations: {g: {calls: {c: GET /c read one}}}\nwebhooks:\n"
	for line := range strings.SplitSeq(strings.TrimSpace(section), "\n") {
		src += "  " + strings.TrimSpace(line) + "\n"
	}
	c, err := Parse("x.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return c.Webhooks
}

// Schemes of several vendors, each written as data, with a delivery that the
// vendor's documentation, its library's own tests or its published algorithm
// gives.
var schemes = map[string]struct {
	section, secret, body string
	header                map[string]string
	sent                  int64 // seconds; 0 for a scheme without a time
}{
	"slack": {
		section: `algorithm: hmac-sha256
			encoding: hex
			signature: X-Slack-Signature
			signature_prefix: v0=
			timestamp: X-Slack-Request-Timestamp
			time_format: unix
			signed: [{text: "v0:"}, timestamp, {text: ":"}, body]`,
		secret: "8f742231b10e8888abcd99yyyzzz85a5",
		body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA" +
			"&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
			"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
		header: map[string]string{"X-Slack-Request-Timestamp": "1531420618", "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"},
		sent:   1531420618,
	},
	"line": {
		section: `algorithm: hmac-sha256
			encoding: base64
			signature: X-Line-Signature
			signed: body`,
		secret: "test_secret", body: `{"hello":"world"}`,
		header: map[string]string{"X-Line-Signature": "t7Hn4ZDHqs6e+wdvI5TyQIvzie0DmMUmuXEBqyyE/tM="},
	},
	"stripe": {
		section: `algorithm: hmac-sha256
			encoding: hex
			signature: Stripe-Signature
			parts: {signature: v1, timestamp: t}
			time_format: unix
			signed: [timestamp, {text: "."}, body]`,
		secret: "whsec_test_secret", body: "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}",
		header: map[string]string{"Stripe-Signature": "t=12345,v1=2672d138c9a412830f3bfe2ecc5bfb3277cf6f5b49d0119d77dd6cb64da1257e"},
		sent:   12345,
	},
	"tiktok": {
		section: `algorithm: hmac-sha256
			encoding: hex
			signature: TikTok-Signature
			parts: {signature: s, timestamp: t}
			time_format: unix
			signed: [timestamp, {text: "."}, body]`,
		secret: "client_secret", body: `{"event":"x"}`,
		header: map[string]string{"Tiktok-Signature": "t=1633174587,s=518d518170a6bb02b179d3cd3516b79e7bd60dd962efd012fc0a71add6460b44"},
		sent:   1633174587,
	},
	"discourse": {
		section: `algorithm: hmac-sha256
			encoding: hex
			signature: X-Discourse-Event-Signature
			signature_prefix: sha256=
			signed: body`,
		secret: "secret", body: `{"ping":"OK"}`,
		header: map[string]string{"X-Discourse-Event-Signature": "sha256=3a974405ebce42d93e9b1d581231e85eeca45b3f86c42d5299bb5566f89d908d"},
	},
}

func headerOf(m map[string]string) http.Header {
	h := make(http.Header)
	for k, v := range m {
		h.Set(k, v)
	}
	return h
}

func TestVendorSignatures(t *testing.T) {
	t.Parallel()
	for name, test := range schemes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := schemeOf(t, test.section)
			s, err := w.ParseSignature(headerOf(test.header))
			if err != nil {
				t.Fatal(err)
			}
			secrets := [][]byte{[]byte("the one before"), []byte(test.secret)}
			which, mac, err := w.Verify(s, []byte(test.body), secrets)
			if err != nil || which != 1 || len(mac) == 0 {
				t.Errorf("got secret %d, %v, want the second to fit", which, err)
			}
			if test.sent != 0 && s.Time.Unix() != test.sent {
				t.Errorf("sent at %v", s.Time)
			}
			if _, _, err := w.Verify(s, []byte(test.body+" "), secrets); !errors.Is(err, SignatureInvalid) {
				t.Errorf("another body: got %v", err)
			}
			if _, _, err := w.Verify(s, []byte(test.body), secrets[:1]); !errors.Is(err, SignatureInvalid) {
				t.Errorf("another secret: got %v", err)
			}
			// Signing the same bytes writes the same headers.
			again := make(http.Header)
			w.Sign(again, s, []byte(test.body), secrets[1])
			if want := headerOf(test.header); !maps.EqualFunc(again, want, func(a, b []string) bool { return a[0] == b[0] }) {
				t.Errorf("signed anew: got %v, want %v", again, want)
			}
		})
	}
}

// Zendesk publishes the algorithm only; the wanted value is made here from it.
func TestZendeskSignature(t *testing.T) {
	t.Parallel()
	const stamp, body, secret = "2026-11-22T08:00:00Z", `{"id":"01J","detail":{}}`, "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="
	m := hmac.New(sha256.New, []byte(secret))
	fmt.Fprint(m, stamp+body)
	sig := base64.StdEncoding.EncodeToString(m.Sum(nil))
	const sigName, timeName = "X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp"
	good := func() http.Header { return http.Header{sigName: {sig}, timeName: {stamp}} }
	w := zendesk(t).Webhooks
	sent := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

	for name, test := range map[string]struct {
		change func(http.Header)
		body   string
		now    time.Time
		want   error
	}{
		"valid":                {func(http.Header) {}, body, sent, nil},
		"at the edge":          {func(http.Header) {}, body, sent.Add(5 * time.Minute), nil},
		"at the other edge":    {func(http.Header) {}, body, sent.Add(-5 * time.Minute), nil},
		"stale":                {func(http.Header) {}, body, sent.Add(5*time.Minute + time.Second), SignatureStale},
		"future":               {func(http.Header) {}, body, sent.Add(-5*time.Minute - time.Second), SignatureFuture},
		"no signature":         {func(h http.Header) { h.Del(sigName) }, body, sent, SignatureMissing},
		"empty signature":      {func(h http.Header) { h.Set(sigName, "") }, body, sent, SignatureMissing},
		"no time":              {func(h http.Header) { h.Del(timeName) }, body, sent, SignatureMissing},
		"two signatures":       {func(h http.Header) { h.Add(sigName, sig) }, body, sent, SignatureMalformed},
		"two times":            {func(h http.Header) { h.Add(timeName, stamp) }, body, sent, SignatureMalformed},
		"not base64":           {func(h http.Header) { h.Set(sigName, "!"+sig[1:]) }, body, sent, SignatureMalformed},
		"unpadded":             {func(h http.Header) { h.Set(sigName, strings.TrimRight(sig, "=")) }, body, sent, SignatureMalformed},
		"a line break in it":   {func(h http.Header) { h.Set(sigName, sig[:4]+"\n"+sig[4:]) }, body, sent, SignatureMalformed},
		"too short":            {func(h http.Header) { h.Set(sigName, sig[:4]) }, body, sent, SignatureMalformed},
		"a long one":           {func(h http.Header) { h.Set(sigName, strings.Repeat("A", 8<<10)) }, body, sent, SignatureMalformed},
		"a time in words":      {func(h http.Header) { h.Set(timeName, "yesterday") }, body, sent, SignatureMalformed},
		"a time in seconds":    {func(h http.Header) { h.Set(timeName, "1795334400") }, body, sent, SignatureMalformed},
		"another time":         {func(h http.Header) { h.Set(timeName, "2026-11-22T08:00:01Z") }, body, sent, SignatureInvalid},
		"the same time anew":   {func(h http.Header) { h.Set(timeName, "2026-11-22T08:00:00+00:00") }, body, sent, SignatureInvalid},
		"another body":         {func(http.Header) {}, body + "\n", sent, SignatureInvalid},
		"another signature":    {func(h http.Header) { h.Set(sigName, base64.StdEncoding.EncodeToString(make([]byte, 32))) }, body, sent, SignatureInvalid},
		"a signature of SHA-1": {func(h http.Header) { h.Set(sigName, base64.StdEncoding.EncodeToString(make([]byte, 20))) }, body, sent, SignatureMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := good()
			test.change(h)
			s, err := w.ParseSignature(h)
			if err == nil {
				err = w.Current(s, test.now, w.Tolerance)
			}
			if err == nil {
				_, _, err = w.Verify(s, []byte(test.body), [][]byte{[]byte(secret)})
			}
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// A list may hold signatures of other schemes and of two secrets; what is not a
// list is refused.
func TestSignatureLists(t *testing.T) {
	t.Parallel()
	test := schemes["stripe"]
	w := schemeOf(t, test.section)
	const good = "2672d138c9a412830f3bfe2ecc5bfb3277cf6f5b49d0119d77dd6cb64da1257e"
	other := strings.Repeat("0", 64)
	for value, want := range map[string]error{
		"t=12345,v1=" + good:                           nil,
		"t=12345, v1=" + other + ", v1=" + good:        nil,
		"v0=whatever,v1=" + good + ",t=12345":          nil,
		"t=12345,v1=" + strings.ToUpper(good):          nil,
		"t=12345,v1=" + other:                          SignatureInvalid,
		"t=12346,v1=" + good:                           SignatureInvalid,
		"t=12345,v0=" + good:                           SignatureMissing,
		"v1=" + good:                                   SignatureMissing,
		"t=12345,t=12345,v1=" + good:                   SignatureMalformed,
		"t=12345,v1=" + good + ",":                     SignatureMalformed,
		"t=12345,v1=" + good[1:]:                       SignatureMalformed,
		"t=+12345,v1=" + good:                          SignatureMalformed,
		"t=123456789012,v1=" + good:                    SignatureMalformed,
		"t=12345" + strings.Repeat(",v1="+other, 9):    SignatureMalformed,
		"t=12345," + strings.Repeat("x=", 3000) + good: SignatureMalformed,
		good: SignatureMalformed,
		"t=12345,v1=" + other + ",v1=" + good + ",t1=12": nil,
	} {
		s, err := w.ParseSignature(http.Header{"Stripe-Signature": {value}})
		if err == nil {
			_, _, err = w.Verify(s, []byte(test.body), [][]byte{[]byte(test.secret)})
		}
		if !errors.Is(err, want) {
			t.Errorf("%.60s: got %v, want %v", value, err, want)
		}
	}
}

// Whatever stands in the headers: no panic, a fault of the closed list or a
// signature, and what Sign writes is what ParseSignature and Verify accept.
func FuzzSignature(f *testing.F) {
	var all []*Webhooks
	for _, test := range schemes {
		w := schemeOf(f, test.section)
		all = append(all, w)
		f.Add(test.header[w.Signature], test.header[w.Timestamp], test.body)
	}
	all = append(all, zendesk(f).Webhooks)
	f.Add("t7Hn4ZDHqs6e+wdvI5TyQIvzie0DmMUmuXEBqyyE/tM=", "2026-11-22T08:00:00Z", "{}")
	secret := []byte("nobody signs with this one")
	f.Fuzz(func(t *testing.T, signature, stamp, body string) {
		for _, w := range all {
			h := http.Header{w.Signature: {signature}}
			if w.Timestamp != "" {
				h.Set(w.Timestamp, stamp)
			}
			s, err := w.ParseSignature(h)
			if err != nil {
				if !errors.Is(err, SignatureMissing) && !errors.Is(err, SignatureMalformed) {
					t.Fatalf("got %v", err)
				}
				continue
			}
			if _, _, err := w.Verify(s, []byte(body), [][]byte{secret}); !errors.Is(err, SignatureInvalid) {
				t.Fatalf("forged: %v", err) // 1 in 2^160
			}
			signed := make(http.Header)
			w.Sign(signed, s, []byte(body), secret)
			again, err := w.ParseSignature(signed)
			if err != nil || again.Stamp != s.Stamp || !again.Time.Equal(s.Time) {
				t.Fatalf("what Sign wrote: %v", err)
			}
			if _, _, err := w.Verify(again, []byte(body), [][]byte{secret}); err != nil {
				t.Fatalf("what Sign wrote: %v", err)
			}
		}
	})
}
