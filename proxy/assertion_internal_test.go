package proxy

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

func joinAssertion(enc *base64.Encoding, head, claims, signature string) string {
	return enc.EncodeToString([]byte(head)) + "." + enc.EncodeToString([]byte(claims)) + "." + signature
}

const (
	noneHead = `{"alg":"none"}`
	claimsM1 = `{"iss":"client-1","payer_id":"MERCHANT1"}`
)

// Equal claims are one account in every encoding, other claims another one.
func TestAssertedAccount(t *testing.T) {
	t.Parallel()
	const m1 = "iss client-1 payer_id MERCHANT1"
	url, std := base64.RawURLEncoding, base64.StdEncoding
	for name, tc := range map[string]struct{ assertion, want string }{
		"as the standard has it":      {joinAssertion(url, noneHead, claimsM1, ""), m1},
		"as the processor's examples": {joinAssertion(std, noneHead, claimsM1, ""), m1},
		"padded base64url":            {joinAssertion(base64.URLEncoding, noneHead, claimsM1, ""), m1},
		"with blanks":                 {joinAssertion(url, "{ \"alg\" : \"none\" }", "{\n \"payer_id\" : \"MERCHANT1\",\t\"iss\":\"client-1\" }\n", ""), m1},
		"escaped":                     {joinAssertion(url, noneHead, `{"\u0069ss":"\u0063lient-1","payer_id":"MERCHANT\u0031"}`, ""), m1},
		"signed, with times":          {joinAssertion(url, `{"alg":"RS256","typ":"JWT","kid":"k"}`, `{"iss":"client-1","payer_id":"MERCHANT1","iat":1700000000,"exp":1700000060,"jti":"x"}`, "c2ln"), m1},
		"another merchant":            {joinAssertion(url, noneHead, `{"iss":"client-1","payer_id":"MERCHANT2"}`, ""), "iss client-1 payer_id MERCHANT2"},
		"another caller":              {joinAssertion(url, noneHead, `{"iss":"client-2","payer_id":"MERCHANT1"}`, ""), "iss client-2 payer_id MERCHANT1"},
		"by address":                  {joinAssertion(url, noneHead, `{"iss":"client-1","email":"m1@example.com"}`, ""), "iss client-1 email m1@example.com"},
	} {
		if got, ok := assertedAccount(tc.assertion); !ok || got != tc.want {
			t.Errorf("%s: got %q %t, want %q", name, got, ok, tc.want)
		}
	}
}

// Whatever two readers could understand differently is no account.
func TestAssertionsNotUnderstood(t *testing.T) {
	t.Parallel()
	enc := base64.RawURLEncoding
	claims := func(c string) string { return joinAssertion(enc, noneHead, c, "") }
	for name, assertion := range map[string]string{
		"nothing": "", "text": "acct_1", "two parts": "e30.e30", "four parts": claims(claimsM1) + ".e30", "JSON": claimsM1,
		"two merchants":           claims(`{"iss":"client-1","payer_id":"MERCHANT1","payer_id":"MERCHANT2"}`),
		"two merchants, escaped":  claims(`{"iss":"client-1","payer_id":"MERCHANT1","payer\u005fid":"MERCHANT2"}`),
		"two ways":                claims(`{"iss":"client-1","payer_id":"MERCHANT1","email":"m2@example.com"}`),
		"another case":            claims(`{"iss":"client-1","payer_id":"MERCHANT1","Payer_ID":"MERCHANT2"}`),
		"no merchant":             claims(`{"iss":"client-1"}`),
		"no issuer":               claims(`{"payer_id":"MERCHANT1"}`),
		"an unknown claim":        claims(`{"iss":"client-1","payer_id":"MERCHANT1","sub":"x"}`),
		"an empty merchant":       claims(`{"iss":"client-1","payer_id":""}`),
		"a number":                claims(`{"iss":"client-1","payer_id":17}`),
		"a text for a time":       claims(`{"iss":"client-1","payer_id":"MERCHANT1","iat":"now"}`),
		"a list":                  claims(`{"iss":"client-1","payer_id":["MERCHANT1"]}`),
		"null":                    claims(`{"iss":"client-1","payer_id":null}`),
		"a blank inside":          claims(`{"iss":"client-1","payer_id":"MERCHANT1 payer_id MERCHANT2"}`),
		"a control character":     claims(`{"iss":"client-1","payer_id":"MERCHANT1\u0000"}`),
		"a letter of another":     claims(`{"iss":"client-1","payer_id":"MERCHАNT1"}`),
		"two documents":           claims(claimsM1 + `{}`),
		"no object":               claims(`"MERCHANT1"`),
		"cut off":                 claims(`{"iss":"client-1","payer_id":"MERCHANT1"`),
		"not UTF-8":               claims("{\"iss\":\"client-1\",\"payer_id\":\"M\xff\"}"),
		"signed by nobody":        joinAssertion(enc, `{"alg":"RS256"}`, claimsM1, ""),
		"unsigned, signed":        joinAssertion(enc, noneHead, claimsM1, "c2ln"),
		"no algorithm":            joinAssertion(enc, `{}`, claimsM1, ""),
		"compressed":              joinAssertion(enc, `{"alg":"none","zip":"DEF"}`, claimsM1, ""),
		"critical":                joinAssertion(enc, `{"alg":"none","crit":["b64"],"b64":false}`, claimsM1, ""),
		"two algorithms":          joinAssertion(enc, `{"alg":"none","alg":"RS256"}`, claimsM1, ""),
		"both alphabets":          enc.EncodeToString([]byte(noneHead)) + ".ab-+ab__.",
		"bits left over":          "eyJhbGciOiJub25lIn1=." + strings.SplitN(claims(claimsM1), ".", 2)[1],
		"a line end":              strings.Replace(claims(claimsM1), "eyJ", "ey\nJ", 1),
		"longer than any":         claims(`{"iss":"` + strings.Repeat("a", maxClaim+1) + `","payer_id":"MERCHANT1"}`),
		"longer than all of them": claims(`{"iss":"client-1","payer_id":"MERCHANT1"` + strings.Repeat(" ", maxAssertion) + `}`),
	} {
		if got, ok := assertedAccount(assertion); ok {
			t.Errorf("%s: taken for %q", name, got)
		}
	}
}

// A text that is understood names one issuer and one merchant, and understanding is stable
// under another encoding: for assertions of which some bytes are changed.
func TestChangedAssertions(t *testing.T) {
	t.Parallel()
	seeds := []string{
		joinAssertion(base64.RawURLEncoding, noneHead, claimsM1, ""),
		joinAssertion(base64.StdEncoding, `{"alg":"RS256","kid":"k"}`, `{"iss":"a","email":"b@c","exp":1e9}`, "c2ln"),
	}
	r := rand.New(rand.NewPCG(1, 2))
	const letters = `ABCDefgh0123456789+/-_=.{}":,\u`
	understood := 0
	for range 20_000 {
		b := []byte(seeds[r.IntN(len(seeds))])
		for range 1 + r.IntN(3) {
			b[r.IntN(len(b))] = letters[r.IntN(len(letters))]
		}
		account, ok := assertedAccount(string(b))
		if !ok {
			continue
		}
		understood++
		if words := strings.Split(account, " "); len(words) != 4 || words[0] != "iss" || words[1] == "" || words[3] == "" {
			t.Fatalf("an account of %d words", len(words))
		}
		parts := strings.Split(string(b), ".")
		for i := range parts {
			raw, ok := unbase64(parts[i])
			if !ok {
				t.Fatalf("part %d was understood and is no base64", i)
			}
			parts[i] = base64.StdEncoding.EncodeToString(raw)
		}
		if again, ok := assertedAccount(strings.Join(parts, ".")); !ok || again != account {
			t.Fatal("another encoding names another account")
		}
	}
	if understood == 0 {
		t.Error("nothing was understood: the test shows nothing")
	}
}
