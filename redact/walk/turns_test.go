package walk

import (
	"testing"

	"github.com/caregate/caregate/redact"
)

// TestTurns reads conversations in JSON of no known shape.
func TestTurns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"of one speaker": {
			`[{"speaker":"customer","utterance":"41111111"},{"speaker":"customer","utterance":"11111111"}]`,
			`[{"speaker":"customer","utterance":"XXXXXXXX"},{"speaker":"customer","utterance":"XXXXXXXX"}]`,
		},
		"with somebody between": {
			`{"log":[{"from":{"id":7},"text":"card is 4111 1111"},{"from":{"id":9},"text":"anything else on 3 May 2026?"},{"from":{"id":7},"text":"1111 \u0031111"}]}`,
			`{"log":[{"from":{"id":7},"text":"card is XXXX XXXX"},{"from":{"id":9},"text":"anything else on 3 May 2026?"},{"from":{"id":7},"text":"XXXX XXXX"}]}`,
		},
		"a code that was asked for": {
			`{"a":[{"sender_name":"ann","note":1,"body":"and the cvv?"},{"sender_name":"bob","note":2,"body":"737"}]}`,
			`{"a":[{"sender_name":"ann","note":1,"body":"and the cvv?"},{"sender_name":"bob","note":2,"body":"XXX"}]}`,
		},
		"in words": {
			`{"segments":[{"who":"c","said":"it is four one one one one one one one"},{"who":"c","said":"one one one one one one one one"}]}`,
			`{"segments":[{"who":"c","said":"it is XXXXXXXX"},{"who":"c","said":"XXXXXXXX"}]}`,
		},
		"of other numbers":         {`{"a":[{"user":"ann","text":"order 44120931"},{"user":"ann","text":"and 11129912"}]}`, ""},
		"no conversation":          {`{"fields":[{"id":1,"value":"41111111"},{"id":2,"value":"11111111"}]}`, ""},
		"nobody is named":          {`[{"text":"41111111"},{"text":"11111111"}]`, ""},
		"numbers are not said":     {`[{"from":"a","text":41111111},{"from":"a","text":11111111}]`, ""},
		"a card of its own in one": {`[{"from":"a","text":"4111111111111111"},{"from":"a","text":"5 of 12"}]`, `[{"from":"a","text":"XXXXXXXXXXXX1111"},{"from":"a","text":"5 of 12"}]`},
		"the innermost": {
			`[{"from":"x","text":"4111","thread":[{"from":"a","text":"4111 1111"},{"from":"a","text":"1111 1111"}]}]`,
			`[{"from":"x","text":"4111","thread":[{"from":"a","text":"XXXX XXXX"},{"from":"a","text":"XXXX XXXX"}]}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want == "" {
				want = c.in
			}
			if got := rewritten(t, JSON, c.in); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			checkDoc(t, JSON, []byte(c.in), newDetector(t))
		})
	}
	in := `{"a/b":[{"from":"a","text":"4111 1111"},{"text":"ok"},{"text":"1111 1111","from":"a"}]}`
	doc, err := Parse(JSON, []byte(in), newDetector(t), nil, Limits{})
	if err != nil || len(doc.Findings) != 2 {
		t.Fatalf("%v: %+v", err, doc.Findings)
	}
	for i, path := range []string{"/a~1b/0/text", "/a~1b/2/text"} {
		if f := doc.Findings[i]; f.Path != path || f.Class != redact.CreditCard || f.Evidence&redact.EvidenceSplit == 0 {
			t.Errorf("%d: %+v", i, f)
		}
	}
}
