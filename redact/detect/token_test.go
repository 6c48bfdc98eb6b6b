package detect

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// TestTokens runs testdata/tokens.txt: every line is exact.
func TestTokens(t *testing.T) {
	t.Parallel()
	testMarked(t, newDetector(t), "testdata/tokens.txt", 120, redact.Secret, redact.Password, redact.CryptoAddress, redact.PaymentReference, redact.Email, redact.IPAddress)
}

// hostileTokens are inputs made to be slow for the families of tokens.
var hostileTokens = map[string]string{
	"base64":             "QUtJQTEyMzQ1Njc4OTAxMjM0NTY3ODkwYWJjZGVm",
	"base64url":          "QUtJ-TEy_zQ1-jc4_TAx-jM0-TY3-Dkw_WJj-GVm",
	"slashes":            "a1/b2/",
	"key begins":         "-----BEGIN PRIVATE KEY-----",
	"key bodies":         "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n",
	"hyphens":            "-",
	"token heads":        "eyJhbGciOiJIUzI1NiJ9-",
	"tokens":             "eyJhbGciOiJIUzI1NiJ9.eyJhbGciOiJIUzI1NiJ9.",
	"bitcoin, not quite": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb ",
	"bech32, not quite":  "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcs ",
	"ethereum, wrong":    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD ",
	"wallet key, wrong":  "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTK ",
	"github, wrong":      "ghp_xvcLvnXqVa34YMeiLYuJrdBQrCjCsC0GX2B5 ",
	"signs":              "@",
	"addresses, nearly":  "a.b@c.d ",
	"dots and signs":     "a.@.",
	"users":              "x://a:b",
	"colons":             "1:",
	"octets":             "1.1.",
	"passwords":          "password ",
	"password is":        "password is not ",
	"short names":        "pw ",
	"values":             "is a1 ",
	"underscores":        "_",
	"prefixes":           "sk_live_",
	"seed words":         "seed phrase abandon ability able about above absent ",
	"seed announced":     "mnemonic ",
	"braintree":          "8fbsv3kj ",
	"psp":                "JVBXGSDM53RZNN82 ",
}

func BenchmarkHostileTokens(b *testing.B) {
	d := newDetector(b)
	all := d.families
	defer func() { d.families = all }()
	own := all[:0:0]
	for _, f := range all {
		switch f.name {
		case "tokens", "seeds", "passwords", "mail", "ip":
			own = append(own, f)
		}
	}
	d.families = own // what the others cost is theirs to show
	for name, piece := range hostileTokens {
		text := []byte(strings.Repeat(piece, 1<<18/len(piece)))
		b.Run(name, func(b *testing.B) {
			var found []redact.Finding
			b.SetBytes(int64(len(text)))
			done := cpuRate(b, len(text))
			for b.Loop() {
				found = d.Text(found[:0], text, Hint{})
			}
			done()
		})
	}
}
