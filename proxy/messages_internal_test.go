package proxy

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

func TestMessageText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<p>4111</p>":                     "   4111    ",
		"1 < 2 and 3":                     "1 < 2 and 3",
		`<a href="x?y=1">4</a> < 5`:       `                4     < 5`,
		"<div><!-- 12 --></div>&#52;11 >": "                      &#52;11 >",
	} {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		f, err := walk.Compile([]walk.Rule{{Pointer: "/b", Flags: walk.Wanted | walk.HTMLValue}})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := walk.Parse(walk.JSON, []byte(`{"b":`+string(b)+`}`), newTestDetector(t), f, walk.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		m := message{Capture: &doc.Captures[0]}
		if got := string(m.text(doc, newTestDetector(t))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func newTestDetector(t testing.TB) *detect.Detector {
	t.Helper()
	d, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConversationNames(t *testing.T) {
	t.Parallel()
	c, err := newConversations()
	if err != nil {
		t.Fatal(err)
	}
	other, err := newConversations()
	if err != nil {
		t.Fatal(err)
	}
	name := c.name("zendesk", "a", "ticket", "7")
	if name != c.name("zendesk", "a", "ticket", "7") || len(name) != 32 {
		t.Error("a conversation has two names")
	}
	for what, n := range map[string]string{
		"another route": c.name("zendesk", "b", "ticket", "7"), "parts cut elsewhere": c.name("zendesk", "at", "icket", "7"), "another process": other.name("zendesk", "a", "ticket", "7"),
	} {
		if n == name {
			t.Errorf("%s: the same name", what)
		}
	}
	if c.sweep(time.Now()) != 0 {
		t.Error("something is remembered")
	}
}

// Whatever an answer says in conversations: what it becomes parses, and its
// findings do not overlap.
func FuzzMessages(f *testing.F) {
	f.Add(`{"comments":[{"author_id":1,"body":"4111 1111","html_body":"<p>4111 1111</p>"},{"author_id":1,"body":"1111\t1111","html_body":"<p>1111&nbsp;1111"}]}`)
	f.Add(`{"comments":[{"body":4111,"created_at":"2026-11-22T10:00:01Z"},{"body":"your card?"},{"body":"\u0031111 1111 1111","created_at":"2026-11-22T10:00:00Z"}]}`)
	f.Add(`{"comments":[{"body":{"a":1}},{"body":["4111 1111"]},{"body":""},{"body":null},{"body":"536"},{"body":"22"},{"body":"8145"},{"body":"cvv?"},{"body":"123"}]}`)
	ch, err := channel.Load("zendesk")
	if err != nil {
		f.Fatal(err)
	}
	d := newTestDetector(f)
	x := &exchange{det: &detection{detector: d}, match: ch.Match("GET", "/api/v2/tickets/7/comments")}
	f.Fuzz(func(t *testing.T, in string) {
		doc, err := walk.Parse(walk.JSON, []byte(in), d, x.match.Op.Response, walk.Limits{})
		if err != nil {
			return
		}
		x.response = half{body: reading{doc: doc}}
		x.converseBack()
		for i := 1; i < len(doc.Findings); i++ {
			if doc.Findings[i].Start < doc.Findings[i-1].End {
				t.Fatalf("findings overlap in %q", in)
			}
		}
		out := doc.Rewrite(func(f redact.Finding) redact.Action {
			if f.Evidence&redact.EvidenceSplit != 0 {
				return redact.Mask
			}
			return redact.Report
		})
		if !json.Valid(out) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

// BenchmarkMessages is what an answer of 30 comments in three notations costs: to be
// read, and beyond that to be compared.
func BenchmarkMessages(b *testing.B) {
	ch, err := channel.Load("zendesk")
	if err != nil {
		b.Fatal(err)
	}
	x := &exchange{det: &detection{detector: newTestDetector(b)}, match: ch.Match("GET", "/api/v2/tickets/7/comments")}
	page := `{"comments":[`
	for i := range 30 {
		text := "Hello, I ordered two lamps last week and only one has arrived so far. Could you have a look, please? The order is 4402126. Kind regards"
		if i%5 == 4 {
			text = "thanks, 2 is fine"
		}
		page += fmt.Sprintf(`{"id":%d,"author_id":%d,"body":"%s","html_body":"<div><p>%s</p></div>","plain_body":"%s","created_at":"2026-11-22T10:00:%02dZ"},`, 4402126790000+i, 360000000000+i%2, text, text, text, i)
	}
	page = page[:len(page)-1] + `]}`
	parse := func() {
		doc, err := walk.Parse(walk.JSON, []byte(page), x.det.detector, x.match.Op.Response, walk.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		x.response = half{body: reading{doc: doc}}
	}
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(page)))
		for b.Loop() {
			parse()
		}
	})
	parse()
	b.Run("compared", func(b *testing.B) {
		b.SetBytes(int64(len(page)))
		b.ReportAllocs()
		for b.Loop() {
			x.converseBack()
		}
	})
}
