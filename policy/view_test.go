package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// viewEngine is the policy with documents called a.yaml, b.yaml and so on.
func viewEngine(t *testing.T, documents ...string) (*Engine, error) {
	t.Helper()
	var c Config
	for i, src := range documents {
		o, err := ParseOverlay(string(rune('a'+i))+".yaml", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		c.Overlays = append(c.Overlays, o)
	}
	return NewEngine(t.Context(), c)
}

// Which views count for whom, and what is guarded in a write.
func TestViewsOfRoles(t *testing.T) {
	t.Parallel()
	e, err := viewEngine(t, `
version: 1
views:
  - {operation: "zendesk:user.*", roles: [agent], field: /user/phone, view: masked}
  - {operation: "zendesk:*", field: /user/notes, view: hidden}
  - {operation: "zendesk:*", roles: [dpo], field: /user/notes, view: full, class: iban}
  - {operation: "zendesk:user.*", field: /user/alias, view: hidden}
  - {operation: "zendesk:user.show", roles: [lead], field: /user/alias, view: full}
  - {field: /**/score, view: hidden}
  - {operation: "zendesk:*/read", roles: [lead], field: /**/score, view: full}
`)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		channel string
		roles   []string
		views   string
		guarded string
	}{
		"an agent":            {"zendesk", []string{"agent"}, "/**/score hidden, /user/alias hidden, /user/notes hidden, /user/phone masked", "/**/score hidden, /user/alias hidden, /user/notes hidden, /user/phone masked"},
		"a dpo":               {"zendesk", []string{"dpo"}, "/**/score hidden, /user/alias hidden, /user/notes full iban", "/**/score hidden, /user/alias hidden"},
		"an agent and dpo":    {"zendesk", []string{"agent", "dpo"}, "/**/score hidden, /user/alias hidden, /user/notes full iban, /user/phone masked", "/**/score hidden, /user/alias hidden, /user/phone masked"},
		"a lead, in part":     {"zendesk", []string{"lead"}, "/**/score full, /user/alias full, /user/notes hidden", "/**/score hidden, /user/alias hidden, /user/notes hidden"},
		"on another channel":  {"intercom", []string{"lead"}, "/**/score hidden", "/**/score hidden"},
		"nothing of a vendor": {"zendesk", nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			words := func(views []FieldView) string {
				var out []string
				for _, v := range views {
					out = append(out, strings.TrimSpace(v.Field+" "+v.View+" "+v.Class))
				}
				return strings.Join(out, ", ")
			}
			in := Input{
				Direction: Response, Channel: tc.channel, Operation: "user.show", Effect: "read", Scope: "one", Method: "safe",
				Actor: InputActor{Kind: KindKey, Strength: StrengthCredential, Roles: tc.roles},
			}
			if tc.roles == nil {
				in.Actor.Kind = KindWebhook
			}
			d, err := e.Decide(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if got := words(d.Views); got != tc.views {
				t.Errorf("views: got %s, want %s", got, tc.views)
			}
			in.Direction, in.Operation, in.Effect, in.Method = Request, "user.update", "write", "unsafe"
			if d, err = e.Decide(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			if got := words(d.Guarded); got != tc.guarded {
				t.Errorf("guarded: got %s, want %s", got, tc.guarded)
			}
			if (d.GuardedDigest() == "") != (tc.guarded == "") || (d.ViewsDigest() == "") != (len(d.Views) == 0) {
				t.Errorf("the digests are %q and %q", d.ViewsDigest(), d.GuardedDigest())
			}
		})
	}
}

// Two answers of the rules that differ have different digests, and equal ones equal ones.
func TestViewsDigest(t *testing.T) {
	t.Parallel()
	masked, hidden := []FieldView{{Field: "/a", View: ViewMasked}}, []FieldView{{Field: "/a", View: ViewHidden}}
	seen := map[string]bool{}
	for _, views := range [][]FieldView{nil, masked, hidden, append(masked, hidden...), {{"/a", ViewFull, "iban"}}, {{"/a", ViewFull, ""}}} {
		d := digestViews(views)
		if seen[d] || d != digestViews(views) {
			t.Errorf("%v has the digest of another", views)
		}
		seen[d] = true
	}
}

// More rows than an answer is searched for are refused when the policy is read, with the row
// that was one too many.
func TestTooManyViews(t *testing.T) {
	t.Parallel()
	rows := func(operation string, n int) string {
		var b strings.Builder
		b.WriteString("version: 1\nviews:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {operation: %q, roles: [agent], field: /f%d, view: hidden}\n", operation, i)
		}
		return b.String()
	}
	if _, err := viewEngine(t, rows("zendesk:*", 200), rows("intercom:*", 200), rows("*:*", 56)); err != nil {
		t.Errorf("as many as there may be: got %v", err)
	}
	for _, documents := range [][]string{{rows("zendesk:*", 257)}, {rows("zendesk:*", 200), rows("*:*", 57)}, {rows("*:*", 57), rows("zendesk:*", 200)}} {
		_, err := viewEngine(t, documents...)
		last := documents[len(documents)-1]
		want := fmt.Sprintf("%c.yaml:%d: with this row, more than 256 views", 'a'+len(documents)-1, strings.Count(last, "\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// The rows of a channel are told with the place where they stand.
func TestViewsOfChannel(t *testing.T) {
	t.Parallel()
	e, err := viewEngine(t, "version: 1\nviews:\n  - {operation: \"zendesk:*\", field: /a, view: hidden}\n  - {field: /b, view: masked}\n", "version: 1\nviews:\n  - {operation: \"intercom:*\", field: /c, view: hidden}\n")
	if err != nil {
		t.Fatal(err)
	}
	views, where := e.Views("zendesk")
	if want := []FieldView{{"/a", ViewHidden, ""}, {"/b", ViewMasked, ""}}; !reflect.DeepEqual(views, want) || !reflect.DeepEqual(where, []string{"a.yaml:3", "a.yaml:4"}) {
		t.Errorf("got %v at %v, want %v", views, where, want)
	}
}
