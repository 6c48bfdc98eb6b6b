package vault_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/caregate/caregate/vault"
)

var tokenPattern = regexp.MustCompile(`^ptk1[0-9a-hjkmnp-tv-z]{30}$`)

func TestTokenForm(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	seen := map[string]bool{}
	var values []vault.Value
	for i := range 500 {
		values = append(values, val("payment_reference", fmt.Sprint("ch_", i)))
	}
	is, err := v.Tokenize(t.Context(), "", 0, values)
	must(t, err)
	must(t, is.Keep(t.Context()))
	for i, tok := range is.Tokens {
		if len(tok.Text) != vault.TokenSize || !tokenPattern.MatchString(tok.Text) || regexp.MustCompile(`[0-9]{7}`).MatchString(tok.Text) || !strings.Contains(tok.Text, "0") {
			t.Fatalf("token %d has another form: %s", i, tok.Text)
		}
		if seen[tok.Text] || seen[tok.Name] {
			t.Fatalf("token or name %d was there before", i)
		}
		seen[tok.Text], seen[tok.Name] = true, true
		if got := revealed(t, v, tok.Text); got != string(values[i].Text) {
			t.Fatalf("token %d: got another value", i)
		}
	}
}

// What mail programs, forms and people do to a token must not lose it (2.2 of the
// design: case folding, wrapping, quoting, Markdown, addresses).
var manglings = map[string]func(token string, at int) string{
	"upper case":             func(s string, _ int) string { return strings.ToUpper(s) },
	"first letter upper":     func(s string, _ int) string { return strings.ToUpper(s[:1]) + s[1:] },
	"line feed":              func(s string, at int) string { return s[:at] + "\n" + s[at:] },
	"line end":               func(s string, at int) string { return s[:at] + "\r\n" + s[at:] },
	"quoted reply":           func(s string, at int) string { return s[:at] + "\r\n> " + s[at:] },
	"reply to a reply":       func(s string, at int) string { return s[:at] + "\n> >> " + s[at:] },
	"bar of a forward":       func(s string, at int) string { return s[:at] + "\n| " + s[at:] },
	"format flowed":          func(s string, at int) string { return s[:at] + " \r\n" + s[at:] },
	"folded header":          func(s string, at int) string { return s[:at] + "\r\n\t" + s[at:] },
	"soft break, quoted":     func(s string, at int) string { return s[:at] + "=\r\n" + s[at:] },
	"hyphen at the line end": func(s string, at int) string { return s[:at] + "-\n" + s[at:] },
	"blank":                  func(s string, at int) string { return s[:at] + " " + s[at:] },
	"soft hyphen":            func(s string, at int) string { return s[:at] + "\u00ad" + s[at:] },
	"zero-width space":       func(s string, at int) string { return s[:at] + "\u200b" + s[at:] },
	"no-break space":         func(s string, at int) string { return s[:at] + "\u00a0" + s[at:] },
	"full stop behind":       func(s string, _ int) string { return s + "." },
	"brackets":               func(s string, _ int) string { return "(" + s + ")" },
	"quotation marks":        func(s string, _ int) string { return `"` + s + `"` },
	"Markdown emphasis":      func(s string, _ int) string { return "**_" + s + "_**" },
	"Markdown code":          func(s string, _ int) string { return "`" + s + "`" },
	"list":                   func(s string, _ int) string { return "- " + s + "," },
	"address":                func(s string, _ int) string { return "/" + s + "/" },
	"query":                  func(s string, _ int) string { return "?=" + s + "&" },
	"two of them":            func(s string, at int) string { return strings.ToUpper(s[:at]) + " \r\n> " + s[at:] + "!" },
}

// VT11: whatever mail programs and people do to a token, it is known.
func TestTokenSurvivesMangling(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	token := tokenOf(t, v, "", val("iban", "DE89 3704 0044 0532 0130 00"))
	for name, mangle := range manglings {
		for at := 1; at < len(token); at++ {
			text := mangle(token, at)
			if got := v.Spans(nil, []byte("see "+text+" there")); len(got) != 1 {
				t.Fatalf("%s at %d: got %d tokens, want 1", name, at, len(got))
			}
			if got := revealed(t, v, text); got != "DE89370400440532013000" {
				t.Fatalf("%s at %d: got another value", name, at)
			}
		}
	}
}

// VT11, V9: nothing else is: no other alphabet, length, check or version.
func TestNoToken(t *testing.T) {
	t.Parallel()
	v, other := open(t, t.TempDir()), open(t, t.TempDir())
	token := tokenOf(t, v, "", val("credit_card", card))
	foreign := tokenOf(t, other, "", val("credit_card", card))
	for name, text := range map[string]string{
		"empty":                     "",
		"prefix":                    token[:4],
		"truncated":                 token[:len(token)-1],
		"without its beginning":     token[1:],
		"longer":                    token + "0",
		"glued to a word":           "x" + token,
		"words around it":           "token " + token,
		"twice":                     token + " " + token,
		"another version":           "ptk2" + token[4:],
		"another vault's":           foreign,
		"a body nobody issued":      vault.WriteToken(v, [16]byte{0xa5, 0x5a, 0xa5}),
		"a full-width letter":       "ｐ" + token[1:],
		"too wide a gap":            token[:9] + strings.Repeat(" ", 80) + token[9:],
		"bits that are not written": token[:29] + nextInAlphabet(token[29]) + token[30:],
	} {
		if _, err := v.Reveal(t.Context(), text); !errors.Is(err, vault.ErrToken) {
			t.Errorf("%s: got %v, want ErrToken", name, err)
		}
	}
	// Letters that look like digits are never guessed.
	for _, letter := range "iloILO uU" {
		for at := 4; at < len(token); at++ {
			if _, err := v.Reveal(t.Context(), token[:at]+string(letter)+token[at+1:]); !errors.Is(err, vault.ErrToken) {
				t.Fatalf("%q at %d: got %v, want ErrToken", letter, at, err)
			}
		}
	}
}

func nextInAlphabet(c byte) string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	return string(alphabet[(strings.IndexByte(alphabet, c)+1)%len(alphabet)])
}

// Strings of the form pass the check once in 2^20: with 400,000 of them six is far out of
// what chance does, and none would say that nothing was tried.
func TestGuessedTokens(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	token := tokenOf(t, v, "", val("credit_card", card))
	random := rand.New(rand.NewPCG(1, 2))
	passed := 0
	try := func(text string) { passed += len(v.Spans(nil, []byte(text))) }
	for range 400_000 {
		var body [16]byte
		binary.LittleEndian.PutUint64(body[:], random.Uint64())
		binary.LittleEndian.PutUint64(body[8:], random.Uint64())
		try(vault.FormOf(body, random.Uint32()))
	}
	for at := 4; at < len(token); at++ {
		for _, c := range "0123456789abcdefghjkmnpqrstvwxyz" {
			if byte(c) != token[at] {
				try(token[:at] + string(c) + token[at+1:])
			}
		}
	}
	if passed > 6 {
		t.Errorf("%d guesses passed", passed)
	}
	if got := v.Spans(nil, []byte(token)); len(got) != 1 || got[0] != [2]int{0, len(token)} {
		t.Errorf("the token itself: got %v", got)
	}
}

func FuzzSpans(f *testing.F) {
	v := open(f, f.TempDir())
	token := tokenOf(f, v, "", val("iban", "ONE"))
	for _, mangle := range manglings {
		f.Add([]byte(mangle(token, 12)), "a ", " b")
	}
	f.Add([]byte("ptk1ptk1 p t k 1\r\n> "), "", "")
	f.Fuzz(func(t *testing.T, text []byte, before, behind string) {
		at := 0
		for _, s := range v.Spans(nil, text) {
			if s[0] < at || s[1] <= s[0] || s[1] > len(text) {
				t.Fatalf("spans out of order: %v", s)
			}
			at = s[1]
			if _, err := v.Reveal(t.Context(), string(text[s[0]:s[1]])); err != nil && !errors.Is(err, vault.ErrToken) {
				t.Fatal(err)
			}
		}
		_, _ = v.Reveal(t.Context(), string(text))
		// Ours is found whatever stands around it, unless that is glued to it.
		all := before + " " + token + " " + behind
		for _, s := range v.Spans(nil, []byte(all)) {
			if s == [2]int{len(before) + 1, len(before) + 1 + len(token)} {
				return
			}
		}
		t.Fatal("a token was not found")
	})
}
