package channel

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/walk"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// golden compares got with the file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run the test with -update to write it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run the test with -update and read the change.\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// Every file of testdata/bad is refused with exactly the messages beside it.
func TestMistakesAreExplained(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(filepath.Base(path), src)
			if err == nil {
				t.Fatal("the file was accepted")
			}
			if c != nil {
				t.Error("a channel was returned together with an error")
			}
			var first *FieldError
			if !errors.As(err, &first) || first.Line < 1 || first.Column < 1 {
				t.Errorf("the error holds no *FieldError with a place: %v", err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".want", err.Error()+"\n")
		})
	}
}

func TestLoadNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	if !slices.Contains(Names(), "zendesk") {
		t.Fatalf("built-in channels are %v", Names())
	}
	for _, name := range Names() {
		c, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if c.Name != name {
			t.Errorf("the file %s.yaml is called %q", name, c.Name)
		}
		if len(c.Reach.Governed) == 0 || len(c.Reach.NotGoverned) == 0 {
			t.Errorf("%s does not say what it reaches", name)
		}
	}
	for _, name := range []string{"zendeks", "", "../channel/zendesk", "zendesk.yaml"} {
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), "zendesk") {
			t.Errorf("Load(%q) gave %v, want an error that names the known channels", name, err)
		}
	}
}

// An operator's own file uses every section and ends up as written.
func TestOwnFile(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("good.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "acme-desk" || c.PathPrefix != "/rest" || len(c.Hosts) != 2 || len(c.Reach.NotGoverned) != 2 {
		t.Errorf("got %+v", c)
	}
	if want := (Whoami{Method: "POST", Path: "/rest/me", User: "/id", Role: "/role"}); *c.Whoami != want {
		t.Errorf("whoami is %+v, want %+v", *c.Whoami, want)
	}
	w := c.Webhooks
	if w.Algorithm != "hmac-sha1" || w.Signature != "X-Signature" || w.SignaturePrefix != "sha1=" || w.Timestamp != "" || w.Tolerance != 5*time.Minute ||
		w.HandshakeQuery != "hub.challenge" || w.Handshake.Mark != MarkHandshake || w.Operation.Mark != MarkSigned || w.Operation.Request == nil {
		t.Errorf("webhooks are %+v", *w)
	}
	open := c.Operation("case.open")
	if open == nil || open.Mark != MarkAnonymous || open.Pattern != "/rest/cases" {
		t.Fatalf("case.open is %+v", open)
	}
	want := []walk.Rule{
		{Pointer: "/case/account/iban", Label: LabelText, Flags: walk.PaymentReference},
		{Pointer: "/case/account/processor", Label: LabelText, Flags: walk.PaymentReference},
		{Pointer: "/case/boxes/[id=77]/value", Field: redact.FieldCard},
		{Pointer: "/case/boxes/[id=78]/value", Field: redact.FieldExact},
		{Pointer: "/case/done", Label: LabelTimeClosed, Flags: walk.Wanted},
		{Pointer: "/case/due", Field: redact.FieldExact},
		{Pointer: "/case/id", Label: "record:case", Flags: walk.Wanted | walk.Never},
		{Pointer: "/case/labels/*", Field: redact.FieldTag},
		{Pointer: "/case/notes/*/text", Label: LabelText},
		{Pointer: "/case/opened", Label: LabelTimeCreated, Flags: walk.Wanted},
		{Pointer: "/case/owner/mail", Label: LabelSubjectEmail, Flags: walk.Wanted},
		{Pointer: "/case/owner/phone", Label: LabelSubjectPhone, Flags: walk.Wanted | walk.Never},
		{Pointer: "/case/page", Label: LabelText, Flags: walk.HTMLValue},
		{Pointer: "/case/title", Label: LabelText, Flags: walk.Overwrite},
		{Pointer: "/case/watchers/*/id", Label: LabelSubjectID, Flags: walk.Wanted | walk.Never},
		{Pointer: "/case/watchers/*/reference", Label: LabelText, Flags: walk.PaymentReference},
	}
	if !slices.Equal(open.RequestRules, want) {
		t.Errorf("the places of a request are\n%v, want\n%v", open.RequestRules, want)
	}
	var both []string
	for _, rule := range open.ResponseRules {
		if rule.Pointer == "/case/id" || rule.Pointer == "/cases/*" || rule.Pointer == "/next" {
			both = append(both, rule.Pointer+" "+rule.Label)
		}
	}
	if wantBoth := []string{"/case/id record:case", "/case/id subject:id", "/cases/* ", "/next url"}; !slices.Equal(both, wantBoth) {
		t.Errorf("places of a response are %q, want %q", both, wantBoth)
	}
	queries := map[string]Query{"q": {}, "id": {ID: true, Label: "record:case"}, "mail": {Label: LabelSubjectEmail}, "cursor": {ID: true}, "unknown": {}}
	for name, want := range queries {
		if got := open.Query(name); got != want {
			t.Errorf("query parameter %s is %+v, want %+v", name, got, want)
		}
	}
}

// The guide's example is a file that loads.
func TestGuideExampleLoads(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../docs/channel-files.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(guide), "```yaml\nversion: 1\n")
	example, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("the guide has no example that starts with `version: 1`")
	}
	if _, err := Parse("docs/channel-files.md", []byte("version: 1\n"+example)); err != nil {
		t.Error(err)
	}
}

func TestZendeskWebhookScheme(t *testing.T) {
	t.Parallel()
	w := zendesk(t).Webhooks
	if w.Algorithm != "hmac-sha256" || w.Encoding != "base64" || w.Signature != "X-Zendesk-Webhook-Signature" ||
		w.Timestamp != "X-Zendesk-Webhook-Signature-Timestamp" || w.TimeFormat != "rfc3339" || w.Tolerance != 5*time.Minute ||
		!slices.Equal(w.Signed, []SignedPart{{Word: "timestamp"}, {Word: "body"}}) || !slices.Equal(w.Dedupe, []string{"/zendesk_event_version", "/account_id", "/id"}) || w.Handshake != nil {
		t.Errorf("got %+v", *w)
	}
}

// loaded is the built-in file, read once for all tests: a Channel never changes.
var loaded = sync.OnceValues(func() (*Channel, error) { return Load("zendesk") })

// zendesk returns the built-in file.
func zendesk(t testing.TB) *Channel {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Whatever stands in a file, Parse answers with a channel or with places.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/bad/*.yaml"} { // the big file only slows mutation
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(src))
		}
	}
	f.Fuzz(func(t *testing.T, src string) {
		c, err := Parse("f.yaml", []byte(src))
		if err == nil {
			if c == nil || len(c.Reach.Governed) == 0 || c.Match("GET", "/x").Op == nil {
				t.Fatal("an accepted file gives no usable channel")
			}
			return
		}
		joined, ok := err.(interface{ Unwrap() []error })
		if c != nil || !ok {
			t.Fatalf("refused without places: %v", err)
		}
		for _, one := range joined.Unwrap() {
			var e *FieldError
			if !errors.As(one, &e) || e.Line < 1 || e.Column < 1 || e.What == "" {
				t.Fatalf("a mistake without a place: %#v", one)
			}
		}
	})
}
