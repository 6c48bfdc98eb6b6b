package walk

import (
	"bytes"
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestRewriteTranscript(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"nothing": {`{"Transcript":[{"ParticipantId":"A","Content":"Hello"},{"ParticipantId":"C","Content":"Hello, my order 48213377"}]}`, ""},
		"one turn": {
			`{"Transcript":[{"ParticipantId":"C","Content":"it is 4111 1111 1111 1111"},{"ParticipantId":"A","Content":"ok"}]}`,
			`{"Transcript":[{"ParticipantId":"C","Content":"it is XXXX XXXX XXXX 1111"},{"ParticipantId":"A","Content":"ok"}]}`,
		},
		"over turns with another speaker between": {
			`{"Transcript":[{"ParticipantId":"C","Content":"my card is 4111 1111"},{"ParticipantId":"A","Content":"mhm"},{"ParticipantId":"C","Content":"1111 1111"}],"LanguageCode":"en-US"}`,
			`{"Transcript":[{"ParticipantId":"C","Content":"my card is XXXX XXXX"},{"ParticipantId":"A","Content":"mhm"},{"ParticipantId":"C","Content":"XXXX XXXX"}],"LanguageCode":"en-US"}`,
		},
		"escapes": {
			`{"sentences":[{"media_channel":1,"transcript":"my card \u0034111 1111"},{"media_channel":1,"transcript":"1111 \u0031111"}]}`,
			`{"sentences":[{"media_channel":1,"transcript":"my card XXXX XXXX"},{"media_channel":1,"transcript":"XXXX XXXX"}]}`,
		},
		"named by the question": {
			`{"sentences":[{"media_channel":1,"transcript":"What is your social security number?"},{"media_channel":2,"transcript":"536 22 8145"}]}`,
			`{"sentences":[{"media_channel":1,"transcript":"What is your social security number?"},{"media_channel":2,"transcript":"XXX-XX-XXXX"}]}`,
		},
		"real time": {
			`{"RealtimeContactAnalysisSegments":[{"Transcript":{"ParticipantId":"C","Id":"1","Content":"card 4111 1111"}},{"Transcript":{"ParticipantId":"C","Id":"2","Content":"1111 1111"}}]}`,
			`{"RealtimeContactAnalysisSegments":[{"Transcript":{"ParticipantId":"C","Id":"1","Content":"card XXXX XXXX"}},{"Transcript":{"ParticipantId":"C","Id":"2","Content":"XXXX XXXX"}}]}`,
		},
		"other json": {`{"a":[{"Content":"4111 1111"},{"Content":"1111 1111"}]}`, ""},
		"no json":    {"Agent: hello\nCustomer: 4111 1111 1111 1111\n", "Agent: hello\nCustomer: XXXX XXXX XXXX 1111\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want == "" {
				want = c.in
			}
			if got := rewritten(t, Transcript, c.in); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			checkDoc(t, Transcript, []byte(c.in), newDetector(t))
		})
	}
}

func TestTranscriptPieces(t *testing.T) {
	t.Parallel()
	in := `{"Transcript":[{"ParticipantId":"C","Content":"my card is 4111 1111"},{"ParticipantId":"A","Content":"mhm"},{"ParticipantId":"C","Content":"1111 1111"}]}`
	doc, err := Parse(Transcript, []byte(in), newDetector(t), nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Findings) != 2 || doc.Kind != JSON {
		t.Fatalf("%s: %+v", doc.Kind, doc.Findings)
	}
	for i, want := range []struct{ text, path string }{{"4111 1111", "/Transcript/0/Content"}, {"1111 1111", "/Transcript/2/Content"}} {
		f := doc.Findings[i]
		if in[f.Start:f.End] != want.text || f.Path != want.path || f.Class != redact.CreditCard || f.Evidence&redact.EvidenceSplit == 0 {
			t.Errorf("%d: %+v", i, f)
		}
	}
	refusals(t, Transcript, map[string]refusal{"same key": {`{"Transcript":[],"Transcript":[]}`, ReasonDuplicate, 17}})
}

func FuzzTranscript(f *testing.F) {
	for _, s := range []string{`{"Transcript":[{"ParticipantId":"C","Content":"card 4111 1111"},{"ParticipantId":"C","Content":"1111 1\u0031111"}]}`, `{"sentences":[{"transcript":"ssn?"},{"transcript":"536228145"}]}`, "A: 4111\nB: 1111"} {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkDoc(t, Transcript, raw, d)
		doc, err := Parse(JSON, raw, d, nil, Limits{})
		if err != nil {
			return
		}
		turns, err := Parse(Transcript, raw, d, nil, Limits{})
		if err != nil || bytes.HasPrefix(raw, []byte(" ")) {
			return
		}
		if turns.Kind == JSON && len(turns.Findings) < len(doc.Findings) {
			t.Fatal("less is found in turns than in JSON")
		}
	})
}
