package channel

import (
	"encoding/base64"
	"net/http"
	"testing"
)

// headers builds a header from pairs; a name may come twice.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// basicHeader is HTTP Basic of user and password as they stand.
func basicHeader(userAndPassword string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userAndPassword))
}

func TestCredentialAndAssertedUser(t *testing.T) {
	t.Parallel()
	c := zendesk(t)
	cases := []struct {
		name                   string
		header                 http.Header
		kind, secret, asserted string
	}{
		{"API token", headers("Authorization", basicHeader("ana@x.example/token:tok")), "api_token", "tok", "ana@x.example"},
		// The e-mail is only claimed: the credential is the same.
		{"the same token, another e-mail", headers("Authorization", basicHeader("boss@x.example/token:tok")), "api_token", "tok", "boss@x.example"},
		{"suffix in capitals", headers("Authorization", basicHeader("ana@x.example/TOKEN:tok")), "api_token", "tok", "ana@x.example"},
		{"scheme in other letters", headers("Authorization", "bAsIc  "+basicHeader("ana@x.example/token:tok")[6:]), "api_token", "tok", "ana@x.example"},
		{"token with a colon", headers("Authorization", basicHeader("ana@x.example/token:a:b")), "api_token", "a:b", "ana@x.example"},
		{"password", headers("Authorization", basicHeader("ana@x.example:secret")), "password", "ana@x.example:secret", "ana@x.example"},
		{"bearer", headers("Authorization", "Bearer abc"), "oauth_bearer", "abc", ""},
		{"bearer in other letters", headers("Authorization", "bearer abc"), "oauth_bearer", "abc", ""},
		{"bearer on behalf of", headers("Authorization", "Bearer abc", "X-On-Behalf-Of", " eve@x.example "), "oauth_bearer", "abc", "eve@x.example"},
		{"the header wins over the e-mail", headers("Authorization", basicHeader("ana@x.example/token:tok"), "X-On-Behalf-Of", "eve@x.example"), "api_token", "tok", "eve@x.example"},
		{"two claims equal nobody", headers("X-On-Behalf-Of", "a@x.example", "X-On-Behalf-Of", "b@x.example"), "", "", "a@x.example, b@x.example"},
		{"nothing", headers(), "", "", ""},
		{"empty bearer", headers("Authorization", "Bearer "), "", "", ""},
		{"empty token", headers("Authorization", basicHeader("ana@x.example/token:")), "", "", "ana@x.example"},
		{"only a suffix", headers("Authorization", basicHeader("/token:tok")), "api_token", "tok", ""},
		{"no base64", headers("Authorization", "Basic %%%"), "", "", ""},
		{"no colon", headers("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("abc"))), "", "", ""},
		{"unpadded", headers("Authorization", "Basic "+base64.RawStdEncoding.EncodeToString([]byte("ana@x.example/token:tok"))), "api_token", "tok", "ana@x.example"},
		{"two Authorization headers", headers("Authorization", "Bearer abc", "Authorization", "Bearer def"), "", "", ""},
		{"another scheme", headers("Authorization", "Digest x"), "", "", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			kind, secret, ok := c.Credential(tc.header)
			if kind != tc.kind || secret != tc.secret || ok != (tc.kind != "") {
				t.Errorf("credential is %q %q %t, want %q %q", kind, secret, ok, tc.kind, tc.secret)
			}
			user, claimed := c.AssertedUser(tc.header)
			// A bare "/token" leaves the third place of the file: any user half.
			if tc.name == "only a suffix" {
				tc.asserted = "/token"
			}
			if user != tc.asserted || claimed != (tc.asserted != "") {
				t.Errorf("asserted user is %q %t, want %q", user, claimed, tc.asserted)
			}
		})
	}
}

func TestCredentialInAHeaderOfItsOwn(t *testing.T) {
	t.Parallel()
	c := &Channel{Credentials: []CredentialScheme{
		{Kind: "key", Scheme: "header", Header: "X-Api-Key"},
		{Kind: "basic_key", Scheme: "basic", Secret: "user"},
	}}
	if kind, secret, ok := c.Credential(headers("X-Api-Key", "k")); kind != "key" || secret != "k" || !ok {
		t.Errorf("got %q %q %t", kind, secret, ok)
	}
	if kind, secret, ok := c.Credential(headers("Authorization", basicHeader("k2:X"))); kind != "basic_key" || secret != "k2" || !ok {
		t.Errorf("got %q %q %t", kind, secret, ok)
	}
	if _, _, ok := c.Credential(headers("X-Api-Key", "a", "X-Api-Key", "b")); ok {
		t.Error("two keys were taken for one")
	}
}
