package walk

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// Forms that come back are taken out with their member, their list, or what a write replaces
// whole; everything else stays.
func TestFormsComeBack(t *testing.T) {
	t.Parallel()
	fields := compile(t, Rule{Pointer: "/t/fields/*", Flags: Overwrite}, Rule{Pointer: "/t/name", Flags: Overwrite})
	guard := &Guard{Names: map[string]bool{"name": true, "tags": true, "a/b": true, "value": true, "is.it": true}}
	for name, tc := range map[string]struct {
		kind       Kind
		body, want string
		stuck      int
	}{
		"a member":                       {JSON, `{"name":"XXX XXXXX","id":7}`, `{"id":7}`, 0},
		"in small letters":               {JSON, `{"id":7,"name":"xxx@xxxx.xxx"}`, `{"id":7}`, 0},
		"with escapes":                   {JSON, `{"id":7,"n\u0061me":"\u0058"}`, `{"id":7}`, 0},
		"another name":                   {JSON, `{"alias":"XXX"}`, `{"alias":"XXX"}`, 0},
		"an ordinary text":               {JSON, `{"name":"Xbox","t":{"name":"100%\n"}}`, `{"name":"Xbox","t":{"name":"100%\n"}}`, 0},
		"null and numbers":               {JSON, `{"name":null,"tags":[1,null,true,"xy"]}`, `{"name":null,"tags":[1,null,true,"xy"]}`, 0},
		"an element":                     {JSON, `{"id":7,"tags":["new","XXX"]}`, `{"id":7}`, 0},
		"an element deeper":              {JSON, `{"tags":{"a":[[1],["X"],{"b":[2]}],"c":3}}`, `{"tags":{"c":3}}`, 0},
		"in a list, and behind":          {JSON, `{"tags":[["X"],{"b":[1]}],"c":[2]}`, `{"c":[2]}`, 0},
		"objects in a list":              {JSON, `{"us":[{"id":1,"name":"X"},{"id":2,"name":"Bo"}]}`, `{"us":[{"id":1},{"id":2,"name":"Bo"}]}`, 0},
		"what is replaced whole":         {JSON, `{"t":{"fields":[{"id":1,"value":"XX"},{"id":2,"value":"a"}]}}`, `{"t":{"fields":[{"id":2,"value":"a"}]}}`, 0},
		"a list in what is replaced":     {JSON, `{"t":{"fields":[{"id":1,"value":["XX"]},{"id":2}]}}`, `{"t":{"fields":[{"id":2}]}}`, 0},
		"neighbours of two sorts":        {JSON, `{"t":{"name":"XXXX XXXX XXXX 1111","tags":["X"],"id":7}}`, `{"t":{"id":7}}`, 0},
		"a mask of ours that is a form":  {JSON, `{"t":{"id":7},"name":"XXX-XX-XXXX"}`, `{"t":{"id":7}}`, 0},
		"a name with a slash":            {JSON, `{"a/b":"X","a":{"b":"X"}}`, `{"a":{"b":"X"}}`, 0},
		"a document that is a list":      {JSON, `[["X"]]`, `[["X"]]`, 0},
		"a form with brackets":           {Form, `user%5Bname%5D=XXX+XX&id=7`, `id=7`, 0},
		"a form, escaped":                {Form, `id=7&name=%58`, `id=7`, 0},
		"a form with dots":               {Form, `user.name=XXX&user.id=7`, `user.id=7`, 0},
		"a form with dots and brackets":  {Form, `u[0].name.first=XXX&id=7&u[x.tags]=X`, `id=7`, 0},
		"a form, part of a name":         {Form, `user.surname=XXX&names.x=X`, `user.surname=XXX&names.x=X`, 0},
		"a form, a name with a dot":      {Form, `user[is.it]=X&user.is.it=X&is.it=X&it=X`, `it=X`, 0},
		"a column with dots":             {CSV, "id,user.name\r\n7,XX\r\n", "", 1},
		"a form with others":             {Form, `id=X&alias=XXX`, `id=X&alias=XXX`, 0},
		"lines":                          {NDJSON, "{\"name\":\"X\",\"id\":1}\n{\"id\":2,\"tags\":[\"XX\"]}\n", "{\"id\":1}\n{\"id\":2}\n", 0},
		"a column":                       {CSV, "id,name\r\n7,XX\r\n8,Bo\r\n", "", 1},
		"another column":                 {CSV, "id,alias\r\n7,XX\r\n", "", 0},
		"an element of XML":              {XML, `<user><x:Name>X</x:Name><alias>X</alias></user>`, "", 1},
		"an element below, in XML":       {XML, `<t><name><first>XXX XX</first></name></t>`, "", 1},
		"deep below, in XML":             {XML, `<x:tags><a><b c="1">X</b>text</a></x:tags>`, "", 1},
		"an attribute below":             {XML, `<name><first is="XXX"/></name>`, "", 1},
		"below what an attribute names":  {XML, `<f name="tags"><v>XX</v></f>`, "", 1},
		"behind an element of XML":       {XML, `<t><name>Bo</name><alias>XXX</alias></t>`, "", 0},
		"an attribute":                   {XML, `<user name="XX XX"/>`, "", 1},
		"a field of a multipart form":    {Multipart, "--b\r\nContent-Disposition: form-data; name=\"user[name]\"\r\n\r\nXXX\r\n--b--\r\n", "", 1},
		"JSON in a multipart form":       {Multipart, "--b\r\nContent-Disposition: form-data; name=\"doc\"\r\n\r\n{\"name\":\"XXX\"}\r\n--b--\r\n", "", 1},
		"a multipart form of other text": {Multipart, "--b\r\nContent-Disposition: form-data; name=\"alias\"\r\n\r\nXXX\r\n--b--\r\n", "", 0},
		"a text":                         {Text, "XXX", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(tc.kind, []byte(tc.body), newDetector(t), fields, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			edits, _, stuck := doc.ComeBack(true, guard)
			if tc.want == "" {
				tc.want = tc.body
			}
			if got := string(doc.Rewrite(func(redact.Finding) redact.Action { return redact.Report }, edits...)); got != tc.want || stuck != tc.stuck {
				t.Errorf("got %s and %d stuck, want %s and %d", got, stuck, tc.want, tc.stuck)
			}
			if _, _, stuck := doc.ComeBack(true, nil); stuck > 0 {
				t.Errorf("%d are stuck without a guard", stuck)
			}
		})
	}
	everywhere := &Guard{All: true}
	for body, want := range map[string]int{`"XX"`: 1, `["XX"]`: 1, `[["a",["x"]]]`: 1, `{"a":"XX"}`: 0, `["a"]`: 0} {
		doc, err := Parse(JSON, []byte(body), newDetector(t), nil, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, stuck := doc.ComeBack(false, everywhere); stuck != want {
			t.Errorf("%s: %d are stuck, want %d", body, stuck, want)
		}
	}
}

// Masks are looked for only where that is asked, and captures of the caller's go with what is
// found.
func TestComeBackAlone(t *testing.T) {
	t.Parallel()
	fields := compile(t, Rule{Pointer: "/card", Flags: Overwrite})
	doc, err := Parse(JSON, []byte(`{"card":"XXXX XXXX XXXX 1111","name":"XX","gone":{"a":1},"id":7}`), newDetector(t), fields, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	gone, err := doc.Wanted(compile(t, Rule{Pointer: "/gone", Label: "g", Flags: Wanted}))
	if err != nil || len(gone) != 1 || doc.Root(gone[0]) || doc.Element(gone[0]) {
		t.Fatalf("got %v, %v, want one member", gone, err)
	}
	for _, tc := range []struct {
		masks bool
		guard *Guard
		want  string
	}{
		{true, nil, `{"name":"XX","gone":{"a":1},"id":7}`},
		{false, nil, ""},
		{false, &Guard{Names: map[string]bool{"name": true}}, `{"card":"XXXX XXXX XXXX 1111","gone":{"a":1},"id":7}`},
		{false, &Guard{Also: gone}, `{"card":"XXXX XXXX XXXX 1111","name":"XX","id":7}`},
		{true, &Guard{Names: map[string]bool{"name": true}, Also: gone}, `{"id":7}`},
	} {
		edits, _, _ := doc.ComeBack(tc.masks, tc.guard)
		got := string(doc.Rewrite(func(redact.Finding) redact.Action { return redact.Report }, edits...))
		if tc.want == "" {
			tc.want = string(doc.raw)
		}
		if got != tc.want {
			t.Errorf("masks %v, %+v: got %s, want %s", tc.masks, tc.guard, got, tc.want)
		}
	}
	if _, err := doc.Wanted(nil); err != nil {
		t.Error(err)
	}
}

// What is left of a document of which forms were taken out is one, without forms, and the
// same for whoever looks a second time.
func FuzzComeBack(f *testing.F) {
	for _, seed := range []string{
		`{"name":"XX","tags":["x",{"name":["X"]}]}`, `[{"name":"X"},"X"]`, `{"a":[["X"],{"name":"a"}],"name":{"b":["x"]}}`, `{"card":"XXXX XXXX XXXX 1111","name":"X","o":{"card":["XXX-XX-XXXX","X"]}}`,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	det := newDetector(f)
	fields, err := Compile([]Rule{{Pointer: "/**/card", Flags: Overwrite}, {Pointer: "/o/**", Flags: Overwrite}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string, all bool) {
		doc, err := Parse(JSON, []byte(body), det, fields, Limits{})
		if err != nil {
			return
		}
		guard := &Guard{Names: map[string]bool{"name": true}, All: all}
		edits, _, stuck := doc.ComeBack(true, guard)
		out := doc.Rewrite(func(redact.Finding) redact.Action { return redact.Report }, edits...)
		again, err := Parse(JSON, out, det, fields, Limits{})
		if err != nil || !json.Valid(out) {
			t.Fatalf("what is left cannot be read: %v", err)
		}
		if edits, _, left := again.ComeBack(true, guard); len(edits) > 0 || left != stuck && !strings.HasPrefix(strings.TrimSpace(body), "[") {
			t.Errorf("%d are taken out again, %d were stuck and %d are", len(edits), stuck, left)
		}
	})
}
