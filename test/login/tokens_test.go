package login_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/nodetest"
	"github.com/caregate/caregate/proxy/proxytest"
)

// The gateway gets its access tokens from an OAuth server that others wrote: by client
// credentials, and by a refresh token that the server rotates and whose reuse it punishes.
func TestTokensOfAnotherServer(t *testing.T) {
	dir := t.TempDir()
	server, site := proxytest.FreeAddr(t), proxytest.FreeAddr(t)
	vendor := nodetest.Start(t, "tokens.mjs")
	tell := func(command map[string]any) (said struct{ Refresh, Kind string }) {
		vendor.Ask(command, &said)
		return said
	}
	// Short enough for a few of them, long enough for a call on a busy machine.
	tell(map[string]any{"listen": server, "life": 10, "client": map[string]any{"client_id": clientID, "client_secret": clientSecret, "response_types": []string{}, "redirect_uris": []string{}, "grant_types": []string{"client_credentials", "refresh_token"}}})
	write(t, filepath.Join(dir, "secret"), []byte(clientSecret))
	write(t, filepath.Join(dir, "refresh"), []byte(tell(map[string]any{"authorize": true}).Refresh))
	common := "\n\t\t\ttoken_url http://" + server + "/token\n\t\t\tclient_id " + clientID + "\n\t\t\tclient_secret {file." + filepath.Join(dir, "secret") + "}\n"
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "credential oauth {" + common + "\t\t\trefresh_token {file." + filepath.Join(dir, "refresh") + "}\n\t\t}",
		Sites: "http://" + site + " {\n\tbind 127.0.0.1\n\tgovern zendesk " + u.URL + " {\n\t\troute machine\n\t\tcredential oauth {" + common + "\t\t}\n\t}\n}\n"})
	var made struct{ Secret string }
	g.API("POST", "/api/v1/apikeys", `{"name":"desk","roles":["agent"]}`, http.StatusCreated, &made)
	// call gives the reason of a refusal, or the token that the vendor got.
	call := func(addr string) (token, reason string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/api/v2/tickets/1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+made.Secret)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			var problem struct{ Reason string }
			_ = json.Unmarshal(body, &problem)
			return "", problem.Reason
		}
		return strings.TrimPrefix(u.Last(t).Header.Get("Authorization"), "Bearer "), ""
	}

	for addr, kind := range map[string]string{g.Addr: "AccessToken", site: "ClientCredentials"} {
		seen := map[string]bool{}
		tick := time.NewTicker(100 * time.Millisecond)
		for limit := time.Now().Add(5 * time.Minute); len(seen) < 3; <-tick.C { // three of them: the second refresh is by a rotated token
			token, reason := call(addr)
			if reason != "" || time.Now().After(limit) {
				t.Fatalf("%s: %s after %d tokens", kind, reason, len(seen))
			}
			if !seen[token] {
				seen[token] = true
				if got := tell(map[string]any{"find": token}).Kind; got != kind && got != "" { // "" when it has ended meanwhile
					t.Errorf("the vendor got a %s, want a %s", got, kind)
				}
			}
		}
		tick.Stop()
	}

	tell(map[string]any{"revoke": true})
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(5 * time.Minute); ; <-tick.C {
		if _, reason := call(g.Addr); reason == "vendor_token_lost" {
			break
		} else if reason != "" || time.Now().After(limit) {
			t.Fatalf("after the revocation: %q, want vendor_token_lost", reason)
		}
	}
	if token, reason := call(site); token == "" {
		t.Errorf("the other route: %s", reason)
	}
}
