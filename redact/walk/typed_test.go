package walk

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

var typedRules = []Rule{
	{Pointer: "/tags/*", Field: redact.FieldTag},
	{Pointer: "/due", Field: redact.FieldExact},
	{Pointer: "/label", Field: redact.FieldTag},
	{Pointer: "/card", Field: redact.FieldCard},
	{Pointer: "/boxes/[id=7]/value", Field: redact.FieldCard},
	{Pointer: "/boxes/[id=8]/value", Field: redact.FieldExact},
	{Pointer: "/boxes/[id=9]/of/*", Field: redact.FieldTag},
	{Pointer: "/boxes/*/value", Flags: Overwrite},
}

func TestTypedFields(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	f, err := Compile(typedRules)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind     Kind
		in, want string
	}{
		"tags":                         {JSON, `{"tags":["4111 1111 1111 1111","vip","card.4111111111111111","ssn 536-22-8145"]}`, `{"tags":["XXXX_XXXX_XXXX_1111","vip","card.XXXXXXXXXXXX1111","ssn XXX-XX-XXXX"]}`},
		"a card":                       {JSON, `{"card":"4111 1111-1111 1111"}`, `{"card":"XXXXXXXXXXXX1111"}`},
		"a card with words":            {JSON, `{"card":"visa \"4111 1111 1111 1111\" ok","z":1}`, `{"card":"XXXXXXXXXXXX1111","z":1}`},
		"a card, nineteen digits":      {JSON, `{"card":"6212 3456 7890 0000 003"}`, `{"card":"XXXXXXXXXXXXXXX0003"}`},
		"a card, or one with its code": {JSON, `{"card":"4111 1111 1111 1111 110"}`, `{"card":""}`},
		"a card and its code":          {JSON, `{"card":"4111111111111111 cvv 123"}`, `{"card":null}`},
		"no card in a field of cards":  {JSON, `{"card":"ssn 536-22-8145"}`, `{"card":null}`},
		"spoken":                       {JSON, `{"card":"card four one one one one one one one one one one one one one one one"}`, `{"card":"XXXXXXXXXXXX1111"}`},
		"exact":                        {JSON, `{"due":"card 4111 1111 1111 1111","x":"card 4111 1111 1111 1111"}`, `{"due":null,"x":"card XXXX XXXX XXXX 1111"}`},
		"exact, two findings":          {JSON, `{"due":"\"4111 1111 1111 1111, 536-22-8145\\"}`, `{"due":null}`},
		"exact, a number":              {JSON, `{"due":4111111111111111}`, `{"due":null}`},
		"by id, in front":              {JSON, `{"boxes":[{"id":7,"value":"4111 1111 1111 1111"},{"id":77,"value":"4111 1111 1111 1111"}]}`, `{"boxes":[{"id":7,"value":"XXXXXXXXXXXX1111"},{"id":77,"value":"XXXX XXXX XXXX 1111"}]}`},
		"by id, behind, a string":      {JSON, `{"boxes":[{"value":"4111 1111 1111 1111", "a":{"id":7}, "b" : [ "id" ] , "id" : "8" }]}`, `{"boxes":[{"value":null, "a":{"id":7}, "b" : [ "id" ] , "id" : "8" }]}`},
		"by id, deeper":                {JSON, `{"boxes":{"x":{"of":["4111 1111 1111 1111"],"id":9}}}`, `{"boxes":{"x":{"of":["XXXX_XXXX_XXXX_1111"],"id":9}}}`},
		"by id, an array":              {JSON, `{"boxes":[["id",7,"4111 1111 1111 1111"]]}`, `{"boxes":[["id",7,"XXXX XXXX XXXX 1111"]]}`},
		"a form":                       {Form, "card=4111+1111+1111+1111&due=4111111111111111+x&y=4111+1111+1111+1111", "card=XXXXXXXXXXXX1111&due=&y=XXXX+XXXX+XXXX+1111"},
		"parts":                        {Multipart, parts(field("card", "4111 1111-1111 1111"), field("due", "card 4111111111111111 ssn 536-22-8145"), field("note", "4111 1111 1111 1111")), parts(field("card", "XXXXXXXXXXXX1111"), field("due", ""), field("note", "XXXX XXXX XXXX 1111"))},
		"parts, a card and its code":   {Multipart, parts(field("card", "cvv 123, 4111111111111111")), parts(field("card", ""))},
		"parts, no card":               {Multipart, parts(field("card", "ssn 536-22-8145"), field("label", "4111 1111 1111 1111 ok")), parts(field("card", ""), field("label", "XXXX_XXXX_XXXX_1111 ok"))},
		"lines":                        {NDJSON, "{\"due\":\"4111 1111 1111 1111\"}\n{\"card\":\"4111 1111 1111 1111\"}\n", "{\"due\":null}\n{\"card\":\"XXXXXXXXXXXX1111\"}\n"},
		"escapes":                      {JSON, `{"card":"\u0034111 1111\n1111 1111","tags":["4111\t1111 1111 1111"]}`, `{"card":"XXXXXXXXXXXX1111","tags":["XXXX_XXXX_XXXX_1111"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(c.kind, []byte(c.in), d, f, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got := string(doc.Rewrite(byDefault))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			again, err := Parse(c.kind, []byte(got), d, f, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if rewritten := string(again.Rewrite(byDefault)); rewritten != got {
				t.Errorf("again: %s", rewritten)
			}
		})
	}
}

func TestTypedRulesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"/a/[id=1]", "/a/[id=1]/[id=2]/b", "/a/[id=1]/**"} {
		if _, err := Compile([]Rule{{Pointer: p, Field: redact.FieldTag}}); err == nil {
			t.Errorf("%s was compiled", p)
		}
	}
	// Without a field it is a name like any other.
	f, err := Compile([]Rule{{Pointer: "/[id=1]", Flags: Never}})
	if err != nil || f.flags(f.member(f.root(), []byte("[id=1]"))) != Never {
		t.Errorf("a name in brackets: %v", err)
	}
}

// Whatever stands in typed fields, the output parses and holds no finding again.
func FuzzTypedFields(f *testing.F) {
	for _, s := range []string{`{"tags":["4111 1111 1111 1111"],"due":"4111111111111111"}`, `{"boxes":[{"id":7,"value":"\"4111 1111 1111 1111\\"},{"value":"536-22-8145","id":8}]}`, `{"card":"a\\\"4111111111111111\\","due":"\\4111111111111111"}`} {
		f.Add(s)
	}
	d := newDetector(f)
	fields, err := Compile(typedRules)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		doc, err := Parse(JSON, []byte(in), d, fields, Limits{})
		if err != nil {
			return
		}
		out := doc.Rewrite(byDefault)
		if !json.Valid(out) {
			t.Fatalf("%q became %q", in, out)
		}
		for i := range doc.Findings {
			if x := &doc.Findings[i]; x.Field == redact.FieldExact && x.Class == redact.CreditCard && !x.Never && strings.Contains(string(out), in[x.Start:x.End]) && x.End-x.Start > 12 && strings.Count(in, in[x.Start:x.End]) == 1 {
				t.Fatalf("%q became %q", in, out)
			}
		}
	})
}
