package proxy

import (
	"strconv"
	"strings"
	"testing"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

// Which places of a channel file a view is about.
func TestMeet(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		view, file string
		want       bool
	}{
		{"/user/phone", "/user/phone", true},
		{"/user/phone", "/user/name", false},
		{"/user", "/user/phone", true},
		{"/user/phone/x", "/user/phone", false},
		{"/**/phone", "/users/*/phone", true},
		{"/**/phone", "/users/*/name", false},
		{"/**/phone", "/user/fields/*", true},
		{"/**/phone", "/phone", true},
		{"/users/*/phone", "/users/*/phone", true},
		{"/users/0/phone", "/users/*/phone", true},
		{"/users/me/phone", "/users/*/phone", false},
		{"/**/phone", "/ticket/metadata/**", true},
		{"/a/**", "/a/b/c", true},
		{"/a/**", "/b/c", false},
		{"/**/x/**/y", "/a/x/b/y", true},
		{"/**/x/**/y", "/a/y/b/x", false},
		{"/" + strings.Repeat("**/", 31) + "x", "/" + strings.Repeat("*/", 200) + "y", false},
	} {
		if got := says(walk.Rule{Pointer: tc.file, Flags: walk.Wanted}, tc.view); got != tc.want {
			t.Errorf("%s and %s: got %v, want %v", tc.view, tc.file, got, tc.want)
		}
	}
	if says(walk.Rule{Pointer: "/users/*", Flags: walk.Unit}, "/users/0") {
		t.Error("that a list has records says nothing of what is in them")
	}
}

func TestLastName(t *testing.T) {
	t.Parallel()
	for pointer, want := range map[string]string{"/user/phone": "phone", "/tags/*": "tags", "/**/a~1b/**": "a/b", "/**/*": "", "/f/0/1": "f", "/user/": "", "/x/~0n": "~n", "/user/2fa_phone": "2fa_phone"} {
		if got := lastName(pointer); got != want {
			t.Errorf("%s: got %s, want %s", pointer, got, want)
		}
	}
}

// What a write replaces whole goes where it lacks what its writer was not shown, and stays
// where it has it.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	request := []walk.Rule{
		{Pointer: "/t/fields/*", Flags: walk.Overwrite}, {Pointer: "/t/fields/*/value", Flags: walk.Wanted}, {Pointer: "/t/fields/*/id", Flags: walk.Never},
		{Pointer: "/t/actions", Flags: walk.Overwrite}, {Pointer: "/t/actions/*/value/*", Flags: walk.Wanted},
		{Pointer: "/t/subject", Flags: walk.Overwrite},
	}
	rules := partRules(request, map[string]bool{"value": true})
	fields, err := walk.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	g := &writeGuard{parts: fields}
	for body, want := range map[string]string{
		`{"t":{"fields":[{"id":1},{"id":2,"value":null},{"id":3,"value":"a"},7]}}`:    "/t/fields/0",
		`{"t":{"actions":[{"field":"a","value":["b"]},{"field":"c"}]}}`:               "/t/actions",
		`{"t":{"actions":[{"value":"b"}],"fields":[],"subject":"a"},"fields":[{}]}`:   "",
		`{"t":{"fields":[{"id":1,"value":{"id":2}},{"value":{}},{"x":{"value":1}}]}}`: "/t/fields/2",
	} {
		doc, err := walk.Parse(walk.JSON, []byte(body), testDetector(t), nil, walk.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := g.incomplete(doc)
		var got []string
		for _, c := range out {
			got = append(got, c.Path)
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: got %v %v, want %s", body, got, err, want)
		}
	}
	if rules := partRules(request, map[string]bool{"subject": true}); len(rules) > 0 {
		t.Errorf("nothing that is replaced whole has a subject in it: got %v", rules)
	}
}

// What is looked for is compiled once for all calls that see the same.
func TestViewsAreCompiledOnce(t *testing.T) {
	t.Parallel()
	e := viewEngine(t, "version: 1\nviews:\n  - {roles: [agent], field: /**/phone, view: masked}\n")
	d := viewDecision(t, e, policy.Request, "write")
	op := viewChannel(t, "zendesk").Operation("ticket.update")
	var v views
	first, err := v.ofAnswer(op, d)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := v.ofWrite(op, d)
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := v.ofAnswer(op, viewDecision(t, e, policy.Response, "read")); a != first {
		t.Error("another decision that says the same is compiled anew")
	}
	if w, _ := v.ofWrite(op, d); w != guard {
		t.Error("a write is compiled anew")
	}
}

// What is remembered has a bound, whatever callers think up.
func TestViewsForget(t *testing.T) {
	t.Parallel()
	var v views
	for i := range 3 * maxCompiled {
		v.keep(&v.writes, writeKey{digest: strconv.Itoa(i)}, new(writeGuard))
	}
	n := 0
	v.writes.Range(func(any, any) bool { n++; return true })
	if n > maxCompiled {
		t.Errorf("%d are remembered, want %d at most", n, maxCompiled)
	}
}

// A policy whose pointers cannot be looked for at once is refused with file and line.
func TestViewsThatCannotBeLookedFor(t *testing.T) {
	t.Parallel()
	h := &Handler{ch: viewChannel(t, "zendesk")}
	fits := &rulesInForce{engine: viewEngine(t, "version: 1\nviews:\n  - {field: /**/a/*/b, view: hidden}\n")}
	if err := checkViews(fits, h); err != nil {
		t.Errorf("a policy that fits: got %v", err)
	}
	stars := &rulesInForce{engine: viewEngine(t, "version: 1\nviews:\n  - {field: /a, view: hidden}\n  - {field: \"/**/a"+strings.Repeat("/*", 14)+"\", view: hidden}\n  - {field: /b, view: masked}\n")}
	if err := checkViews(stars, h); err == nil || !strings.Contains(err.Error(), "o.yaml:4: with this row, the views of zendesk:") {
		t.Errorf("got %v, want the row of line 4", err)
	}
	if err := checkViews(stars); err != nil {
		t.Errorf("without routes: got %v", err)
	}
}

// viewEngine is the policy with a document.
func viewEngine(t *testing.T, document string) *policy.Engine {
	t.Helper()
	o, err := policy.ParseOverlay("o.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	e, err := policy.NewEngine(t.Context(), policy.Config{Overlays: []*policy.Overlay{o}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// viewDecision is what is decided about a ticket of an agent.
func viewDecision(t *testing.T, e *policy.Engine, direction, effect string) *policy.Decision {
	t.Helper()
	d, err := e.Decide(t.Context(), policy.Input{
		Direction: direction, Channel: "zendesk", Operation: "ticket.update", Effect: effect, Scope: "one", Method: "unsafe",
		Actor: policy.InputActor{Kind: policy.KindKey, Strength: policy.StrengthCredential, Roles: []string{"agent"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func viewChannel(t *testing.T, name string) *channel.Channel {
	t.Helper()
	ch, err := channel.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func testDetector(t *testing.T) *detect.Detector {
	t.Helper()
	d, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
