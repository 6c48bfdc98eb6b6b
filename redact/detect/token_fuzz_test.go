package detect

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/transform"
)

// FuzzTokens: the families for tokens, passwords and addresses never panic, what
// they find lies in the stretch they were asked about, and does not depend on the
// stretch.
func FuzzTokens(f *testing.F) {
	markedCases(f, "testdata/tokens.txt", func(_ int, key, want string) { f.Add([]byte(unmark(want)), key, uint(len(want)/2)) })
	d := newDetector(f)
	finds := map[string]func(*Detector, []redact.Finding, []byte, int, int, Hint) []redact.Finding{
		"tokens": (*Detector).findTokens, "mail": (*Detector).findMail, "ip": (*Detector).findIP, "passwords": (*Detector).findPasswords, "seeds": (*Detector).findSeeds,
	}
	f.Fuzz(func(t *testing.T, text []byte, key string, cut uint) {
		h := Hint{Key: key}
		for name, find := range finds {
			at := int(cut % uint(len(text)+1))
			for _, r := range [][2]int{{0, len(text)}, {0, at}, {at, len(text)}} {
				for _, x := range find(d, nil, text, r[0], r[1], h) {
					if x.Start < r[0] || x.End <= x.Start || x.End > len(text) || x.Start >= r[1]+wakeReach || x.Rule == "" || x.Evidence == 0 {
						t.Fatalf("%s: finding %+v in %v of %d bytes", name, x, r, len(text))
					}
				}
			}
		}
	})
}

// TestReplacementsAreNotFound: what a finding becomes is never found again,
// whatever is done with it.
func TestReplacementsAreNotFound(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	markedCases(t, "testdata/tokens.txt", func(n int, _, want string) {
		text := []byte(unmark(want))
		for _, action := range []redact.Action{redact.Mask, redact.Drop} {
			var out []byte
			at := 0
			for _, f := range d.Text(nil, text, Hint{}) {
				out = transform.Append(append(out, text[at:f.Start]...), text[f.Start:f.End], f.Class, action)
				at = f.End
			}
			out = append(out, text[at:]...)
			for _, f := range d.Text(nil, out, Hint{}) {
				t.Errorf("line %d, %s: %s found again at %d to %d by rule %q", n, action, f.Class, f.Start, f.End, f.Rule)
			}
		}
	})
}

// TestTokensInStreams: a stream cut anywhere finds what the whole text has, also
// where a private key or a token is longer than the usual hold.
func TestTokensInStreams(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	var texts []string
	var all strings.Builder
	markedCases(t, "testdata/tokens.txt", func(_ int, _, want string) { all.WriteString(unmark(want) + "\n") })
	line := strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj", 1) + "7f+\n"
	texts = append(texts, all.String(),
		"key:\n-----BEGIN RSA PRIVATE KEY-----\n"+strings.Repeat(line, 90)+"-----END RSA PRIVATE KEY-----\nand thanks, jo@example.com",
		"token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ"+strings.Repeat("zdWIiOiIx", 600)+".c2lnbmF0dXJl and more")
	for n, text := range texts {
		whole := d.Text(nil, []byte(text), Hint{})
		if len(whole) == 0 {
			t.Fatalf("text %d: nothing found", n)
		}
		for seed := range uint64(8) {
			got := streamedText(d, []byte(text), rand.New(rand.NewPCG(seed, 2)))
			if len(got) != len(whole) {
				t.Fatalf("text %d, seed %d: %d findings in the stream, %d in the whole", n, seed, len(got), len(whole))
			}
			for i := range got {
				if got[i] != whole[i] {
					t.Fatalf("text %d, seed %d: finding %d is %+v in the stream, %+v in the whole", n, seed, i, got[i], whole[i])
				}
			}
		}
	}
}

// streamedText feeds text in random pieces and returns the findings with offsets
// in the whole.
func streamedText(d *Detector, text []byte, r *rand.Rand) []redact.Finding {
	var found []redact.Finding
	var window []byte
	var c Carry
	base, from := 0, 0
	for fed := 0; ; {
		n := min(len(text)-fed, 1+r.IntN(900))
		window = append(window, text[fed:fed+n]...)
		fed += n
		part, settled := d.Window(nil, window, from, fed == len(text), &c)
		for _, f := range part {
			f.Start += base
			f.End += base
			found = append(found, f)
		}
		if fed == len(text) {
			return found
		}
		cut := max(0, settled-LookBehind)
		window = bytes.Clone(window[cut:])
		base += cut
		from = settled - cut
	}
}
