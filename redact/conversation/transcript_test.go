package conversation

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/redact/detect"
)

func TestTranscript(t *testing.T) {
	t.Parallel()
	tr := newTracker(t, Config{})
	for name, want := range map[string]string{
		"turns":        "Agent: your card number?\nCustomer: +<4111 1111>\nAgent: go on\nCustomer: C<1111 1111>\nAgent: thanks",
		"times":        "[00:01] Agent: card please\n[00:04] Ann: +<5555 5555>\n[00:07] Agent: yes\n[00:09] Ann: C<5555 4444>\n",
		"lines":        "Agent: card?\nAnn: it is\n+<4111 1111>\nAgent: yes\nAnn: C<1111 1111>\n",
		"whole":        "Agent: card?\nAnn: 4111 1111 1111 1111\nAgent: yes\nAnn: 1111 1111\n",
		"times behind": "Agent (10:02:11): card?\nDana (10:02:14): +<4111 1111>\nAgent (10:02:16): ok\nDana (10:02:18): C<1111 1111>\n",
		"code":         "Agent: and the security code?\nCustomer: V<123>\n",
		"no names":     "4111 1111\n1111 1111\n",
		"one name":     "Ann: 4111 1111\n1111 1111 was it\n",
		"two speakers": "Ann: 4111 1111\nBob: 1111 1111\n",
		"header":       "Subject: 4111 1111\nTo: 1111 1111\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strip.Replace(want)
			found := tr.detector.Text(nil, []byte(text), detect.Hint{})
			got := text
			for _, f := range tr.Transcript([]byte(text), found) {
				for i := len(f.Pieces) - 1; i >= 0; i-- {
					p := f.Pieces[i]
					letter := "+"
					if !p.Earlier {
						letter = map[string]string{"credit_card": "C", "card_verification_code": "V"}[string(f.Class)]
					}
					got = got[:p.Start] + letter + "<" + got[p.Start:p.End] + ">" + got[p.End:]
				}
			}
			if got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
	if tr.Len() != 0 {
		t.Error("a transcript is remembered")
	}
	if f := tr.Transcript([]byte(strings.Repeat("A: 1\nB: 2\n", 5000)), nil); f != nil {
		t.Error("found something in nothing")
	}
}

// TestNames: a line that begins with who speaks.
func TestNames(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"Ann: yes": true, "<ann> yes": true, "[10:02] <ann b> yes": true, "Ann (10:02:11): yes": true, "Ann (10:02:11) yes": false, "<p>yes": false, "ann> yes": true, "> ann: yes": false, "a -> b": false, "ann - yes": true, "Ann [10:02]: yes": true, "<br/> yes: no": false, "<b> yes": false, "<TD> 4111": false, "<bo> yes": true,
		"(10:02) Ann: yes": true, "an answer of several words: yes": false,
	} {
		if got := hasName([]byte(line)); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}
