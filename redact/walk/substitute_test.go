package walk

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"mime"
	"mime/quotedprintable"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

var standInForm = regexp.MustCompile(`(?i)\bptk1[0-9a-hjkmnp-tv-z]{30}\b`)

// someToken has the form of a token, with as many digits as it may have.
func someToken(n int) string { return fmt.Sprintf("ptk1a4242%02db123456c78901xd5ee6ff7w", n%100) }

// knowing is a detector that knows our tokens by their form.
func knowing(t testing.TB) *detect.Detector {
	t.Helper()
	d, err := detect.New(detect.Config{Ours: func(dst [][2]int, text []byte) [][2]int {
		for _, m := range standInForm.FindAllIndex(text, -1) {
			dst = append(dst, [2]int{m[0], m[1]})
		}
		return dst
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func tokenizeAll(redact.Finding) redact.Action { return redact.Tokenize }

// tokenized puts a token in the place of each finding of doc that takes one, and
// returns what they were.
func tokenized(doc *Doc) (out string, originals []string) {
	for i := range doc.Findings {
		if text, ok := doc.Original(i); ok {
			doc.Substitute(i, someToken(len(originals)))
			originals = append(originals, string(text))
		}
	}
	return string(doc.Rewrite(tokenizeAll)), originals
}

func TestSubstitute(t *testing.T) {
	t.Parallel()
	d := knowing(t)
	fields := compile(t, Rule{Pointer: "/account", Flags: PaymentReference}, Rule{Pointer: "/id", Flags: Never}, Rule{Pointer: "/labels/*", Field: redact.FieldTag},
		Rule{Pointer: "/box", Field: redact.FieldCard}, Rule{Pointer: "/due", Field: redact.FieldExact}, Rule{Pointer: "/page", Flags: HTMLValue})
	const iban = "DE89 3704 0044 0532 0130 00"
	first := someToken(0)
	for name, tc := range map[string]struct {
		kind     Kind
		in, want string
		was      string // the original, "" where nothing is replaced by a token
	}{
		"member":                 {JSON, `{"note":"IBAN ` + iban + `!"}`, `{"note":"IBAN ` + first + `!"}`, iban},
		"escaped":                {JSON, `{"note":"IBAN DE89\u00203704 0044\u00200532 0130 00"}`, `{"note":"IBAN ` + first + `"}`, iban},
		"payment field":          {JSON, `{"account":"a \"b\" c"}`, `{"account":"` + first + `"}`, `a "b" c`},
		"payment field, masked":  {JSON, `{"account":"XXXX XXXX XXXX 1111"}`, `{"account":"XXXX XXXX XXXX 1111"}`, ""},
		"tag":                    {JSON, `{"labels":["card_4111111111111111"]}`, `{"labels":["card_` + first + `"]}`, "4111111111111111"},
		"field for masked cards": {JSON, `{"box":"4111111111111111"}`, `{"box":"XXXXXXXXXXXX1111"}`, ""},
		"field of exact values":  {JSON, `{"due":"4111 1111 1111 1111"}`, `{"due":null}`, ""},
		"number":                 {JSON, `{"card":4111111111111111}`, `{"card":null}`, ""},
		"identifier":             {JSON, `{"id":"4111111111111111"}`, `{"id":"4111111111111111"}`, ""},
		"form":                   {Form, "note=IBAN+DE89+3704%200044+0532+0130+00&b=1", "note=IBAN+" + first + "&b=1", iban},
		"lines":                  {NDJSON, "{\"n\":1}\n{\"note\":\"IBAN " + iban + "\"}\n", "{\"n\":1}\n{\"note\":\"IBAN " + first + "\"}\n", iban},
		"text":                   {Text, "IBAN " + iban + ", thanks", "IBAN " + first + ", thanks", iban},
		"HTML across tags":       {HTML, "<p>IBAN <b>DE89 3704</b> 0044 0532 <i>0130</i> 00.</p>", "<p>IBAN <b>" + first + "</b><i></i>.</p>", iban},
		"cell":                   {CSV, "a,\"IBAN " + iban + "\",b\r\n", "a,\"IBAN " + first + "\",b\r\n", iban},
		"event":                  {SSE, "data: IBAN " + iban + "\n\n", "data: IBAN " + first + "\n\n", iban},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(tc.kind, []byte(tc.in), d, fields, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got, was := tokenized(doc)
			if got != tc.want || strings.Join(was, "|") != tc.was {
				t.Errorf("got %s\nof %q, want %s\nof %q", got, was, tc.want, tc.was)
			}
			again, err := Parse(tc.kind, []byte(got), d, fields, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range again.Findings {
				if !f.Never {
					t.Errorf("found again: %s", f.Class)
				}
			}
		})
	}
}

// A value in any notation becomes a token that every other reader reads as it is, and
// nothing else changes.
func TestSubstituteInEveryNotation(t *testing.T) {
	t.Parallel()
	d := knowing(t)
	for _, n := range notations {
		t.Run(n.kind.String(), func(t *testing.T) {
			t.Parallel()
			for seed := range 300 {
				r := rand.New(rand.NewPCG(uint64(seed), 3))
				text := "the account is IBAN DE89 3704 0044 0532 0130 00, and mine is NL91ABNA0417164300 or so"
				body := n.write(r, text)
				doc, err := Parse(n.kind, []byte(body), d, nil, Limits{})
				if err != nil {
					t.Fatal(err)
				}
				out, was := tokenized(doc)
				if len(was) != 2 {
					t.Fatalf("seed %d: %d findings took a token, want 2: %s", seed, len(was), body)
				}
				want := "the account is IBAN " + someToken(0) + ", and mine is " + someToken(1) + " or so"
				if got := n.read(t, out); got != want {
					t.Fatalf("seed %d: %s became\n%q, want\n%q", seed, body, got, want)
				}
				again, err := Parse(n.kind, []byte(out), d, nil, Limits{})
				if err != nil {
					t.Fatal(err)
				}
				if len(again.Findings) != 0 || string(again.Rewrite(tokenizeAll)) != out {
					t.Fatalf("seed %d: found again in %s", seed, out)
				}
			}
		})
	}
}

// Parts of a mail are decoded, and what takes the place of a value is encoded again.
func TestSubstituteInMail(t *testing.T) {
	t.Parallel()
	d := knowing(t)
	const text = "Hello,\r\nthe account is IBAN DE89 3704 0044 0532 0130 00, thank you.\r\n"
	var quoted strings.Builder
	w := quotedprintable.NewWriter(&quoted)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for encoding, body := range map[string]string{
		"7bit": text, "quoted-printable": quoted.String(), "base64": base64.StdEncoding.EncodeToString([]byte(text)) + "\r\n",
	} {
		raw := "From: a@example.com\r\nSubject: " + mime.QEncoding.Encode("utf-8", "Konto DE89 3704 0044 0532 0130 00 für uns") +
			"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + body
		doc, err := Parse(MIME, []byte(raw), d, nil, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range doc.Findings {
			if _, ok := doc.Original(i); ok && doc.Findings[i].Class == redact.IBAN {
				doc.Substitute(i, someToken(0))
			}
		}
		out := string(doc.Rewrite(func(f redact.Finding) redact.Action {
			if f.Class == redact.IBAN {
				return redact.Tokenize
			}
			return redact.Report
		}))
		again, err := Parse(MIME, []byte(out), d, nil, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range again.Findings {
			if f.Class == redact.IBAN {
				t.Errorf("%s: found again in %s", encoding, out)
			}
		}
		if encoding == "7bit" && !strings.Contains(out, "IBAN "+someToken(0)+", thank you") {
			t.Errorf("%s: got %s", encoding, out)
		}
	}
}

// A token that comes back in a write is taken out of it, as a mask is.
func TestTokensInWrites(t *testing.T) {
	t.Parallel()
	d := knowing(t)
	f := compile(t, Rule{Pointer: "/account", Flags: Overwrite})
	token := someToken(7)
	for name, tc := range map[string]struct {
		kind    Kind
		in      string
		want    string
		blocked int
	}{
		"a field that is overwritten": {JSON, `{"a":1,"account":"` + token + `"}`, `{"a":1}`, 0},
		"in upper case":               {JSON, `{"account":"` + strings.ToUpper(token) + `","a":1}`, `{"a":1}`, 0},
		"escaped":                     {JSON, `{"account":"\u0070` + token[1:] + `","a":1}`, `{"a":1}`, 0},
		"elsewhere":                   {JSON, `{"note":"` + token + `"}`, `{"note":"` + token + `"}`, 1},
		"in a form":                   {Form, "account=" + url.QueryEscape("("+token+")") + "&a=1", "a=1", 0},
		"text":                        {Text, "see " + token, "see " + token, 1},
		"no token":                    {JSON, `{"account":"ptk1 and tk1"}`, `{"account":"ptk1 and tk1"}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.kind == JSON && !json.Valid([]byte(tc.in)) {
				t.Fatal("the test's JSON is none")
			}
			doc, err := Parse(tc.kind, []byte(tc.in), d, f, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			edits, blocked := doc.MaskedWrites()
			if got := string(doc.Rewrite(tokenizeAll, edits...)); got != tc.want || blocked != tc.blocked {
				t.Errorf("got %s and %d blocked, want %s and %d", got, blocked, tc.want, tc.blocked)
			}
		})
	}
}

// A field for payment references is one finding, whatever a detector knows its value as;
// but what is not kept without being asked for stays what it is.
func TestPaymentFieldIsOneFinding(t *testing.T) {
	t.Parallel()
	fields := compile(t, Rule{Pointer: "/ref", Flags: PaymentReference})
	for value, want := range map[string]redact.Class{
		"ch_3MmlLrLkdIwHu7ix0snN0B15":    redact.PaymentReference,
		"the charge PAYREF-00-77-alpha":  redact.PaymentReference,
		"DE89 3704 0044 0532 0130 00":    redact.PaymentReference,
		"ann@example.com":                redact.PaymentReference,
		"4111 1111 1111 1111":            redact.CreditCard,
		"pi_x, card 4111 1111 1111 1111": redact.CreditCard,
		"SSN 078-05-1120":                redact.USSSN,
	} {
		for kind, body := range map[Kind]string{JSON: `{"ref":"` + value + `"}`, Form: "ref=" + strings.ReplaceAll(value, " ", "+"), Multipart: parts(field("ref", value))} {
			doc, err := Parse(kind, []byte(body), newDetector(t), fields, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if len(doc.Findings) != 1 || doc.Findings[0].Class != want || want == redact.PaymentReference && !doc.Findings[0].Strong {
				t.Errorf("kind %v, a value of class %s: got %+v", kind, want, doc.Findings)
				continue
			}
			if want != redact.PaymentReference {
				continue
			}
			doc.Substitute(0, "ptk1token")
			out := string(doc.Rewrite(func(redact.Finding) redact.Action { return redact.Tokenize }))
			if !strings.Contains(out, "ptk1token") || strings.Contains(out, value[len(value)-4:]) {
				t.Errorf("kind %v: something of a value of class %s is left", kind, want)
			}
		}
	}
}
