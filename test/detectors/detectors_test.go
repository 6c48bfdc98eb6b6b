// Package detectors_test shows the vault's tokens to detectors of personal data and of
// secrets that others wrote and many have installed. It needs node and npm; without them it
// fails and says how to get them.
package detectors_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/nodetest"
	"github.com/caregate/caregate/vault"
)

var (
	tokenCount = flag.Int("tokens", 2_000, "tokens to show to each detector; `make torture` shows 1,000,000")
	gitleaks   = flag.String("gitleaks", "", "a gitleaks program, to show the tokens to it too")
)

// script runs the detectors.
const script = "look.mjs"

// places are where tokens stand in what a helpdesk holds, by themselves and beside words
// that ask for what they are not. A word that names a secret is not among them: what
// stands behind "password:" is a password to these detectors, whatever it is.
var places = [...]string{"%s", "card number %s exp 12/29", "ssn: %s, phone %[1]s, IBAN %[1]s", `{"custom_fields":[{"id":360001234999,"value":"%s"}]}`, "Refund %s, as agreed; see https://example.com/orders?ref=%[1]s", "I cannot send it to %s, the transfer fails"}

// planted are what the detectors are for, each found by those that are named, so that a
// detector that looks at nothing is noticed.
var planted = []struct {
	text string
	by   []string
}{
	{"Card 4111 1111 1111 1111 is mine", []string{"openredaction", "redactpii"}},
	{"write to john@example.com", []string{"redactpii"}},
	{"ghp_" + "1234567890abcdefghijABCDEFGHIJ123456", []string{"openredaction", "secretlint"}},
}

// hit is something that a detector found in a text.
type hit struct {
	At, From, To int
	As           string
}

// VT1, V4: detectors of others find nothing in tokens, wherever these stand.
func TestTokensLookLikeNothingToOthers(t *testing.T) {
	t.Parallel()
	if *gitleaks != "" {
		t.Run("gitleaks", toGitleaks)
	}
	look := startDetectors(t)
	var texts []string
	for _, p := range planted {
		texts = append(texts, p.text)
	}
	found := look(texts)
	for i, p := range planted {
		for _, by := range p.by {
			if !overlaps(found[by], i, 0, len(p.text)) {
				t.Errorf("%s finds nothing in planted text %d, so the test sees nothing", by, i)
			}
		}
	}
	const batch = 1000
	next := tokens(t)
	for n := 0; n < *tokenCount; n += batch {
		var texts, shown []string
		for i, token := range next(batch) {
			texts, shown = append(texts, fmt.Sprintf(places[i%len(places)], token)), append(shown, token)
		}
		for by, hits := range look(texts) {
			for _, h := range hits {
				// Not all that is found is in the token: to one of them "value" is a player's
				// name where the token happens to have the letters of a game console.
				if text := texts[h.At]; touches(text, shown[h.At], h) {
					t.Fatalf("%s finds %s in %q", by, h.As, text)
				}
			}
		}
	}
}

// touches reports whether a hit has any part of the token, wherever that stands.
func touches(text, token string, h hit) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], token)
		if i < 0 {
			return false
		}
		if at += i; h.From < at+len(token) && at < h.To {
			return true
		}
		at += len(token)
	}
}

func overlaps(hits []hit, at, from, to int) bool {
	for _, h := range hits {
		if h.At == at && h.From < to && from < h.To {
			return true
		}
	}
	return false
}

// tokens returns a function that makes some new ones.
func tokens(t *testing.T) func(n int) []string {
	t.Helper()
	dir := t.TempDir()
	if err := vault.Create(t.Context(), dir, vault.Config{}); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(t.Context(), dir, vault.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	made := uint32(0)
	return func(n int) (out []string) {
		t.Helper()
		values := make([]vault.Value, n)
		for i := range values {
			made++
			values[i] = vault.Value{Kind: "iban", Text: binary.BigEndian.AppendUint32(nil, made|1<<31)}
		}
		issue, err := v.Tokenize(t.Context(), "", 0, values)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range issue.Tokens {
			out = append(out, token.Text)
		}
		return out
	}
}

// startDetectors starts node with the detectors, which end with the test. What it
// returns shows them texts.
func startDetectors(t *testing.T) func(texts []string) map[string][]hit {
	t.Helper()
	node := nodetest.Start(t, script)
	return func(texts []string) (found map[string][]hit) {
		t.Helper()
		node.Ask(texts, &found)
		if len(found) != 3 {
			t.Fatalf("%d detectors answer, want 3", len(found))
		}
		return found
	}
}

// toGitleaks shows tokens to gitleaks, which looks for secrets in files. It is a program of
// its own, and large: `make torture` installs it, and names it here.
func toGitleaks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var plain strings.Builder
	next := tokens(t)
	for n := 0; n < *tokenCount; n += 1000 {
		for i, token := range next(1000) {
			fmt.Fprintf(&plain, places[i%len(places)]+"\n", token)
		}
	}
	run := func(name, text string) string {
		t.Helper()
		at := filepath.Join(dir, name)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "tickets.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		report := at + ".json"
		out, err := exec.CommandContext(t.Context(), *gitleaks, "dir", at, "--no-banner", "--exit-code", "0", "--report-path", report).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		said, err := os.ReadFile(report)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(said))
	}
	if said := run("planted", "ghp_"+"1234567890abcdefghijABCDEFGHIJ123456\n"); !strings.Contains(said, "github-pat") {
		t.Fatalf("it does not find what was planted, so the test sees nothing: %s", said)
	}
	if said := run("tokens", plain.String()); said != "[]" {
		t.Errorf("found in tokens: %.2000s", said)
	}
}
