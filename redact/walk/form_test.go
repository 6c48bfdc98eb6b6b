package walk

import (
	"errors"
	"net/url"
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestRewriteForm(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, c := range map[string]struct{ in, want string }{
		"nothing":            {"a=1&b=2+3&c=%C3%A9&d&=&&e==", ""},
		"card":               {"Body=4111111111111111&x=1", "Body=XXXXXXXXXXXX1111&x=1"},
		"plus as space":      {"Body=card+4111+1111+1111+1111", "Body=card+XXXX+XXXX+XXXX+1111"},
		"escaped digits":     {"Body=%34111%201111%201111%201111", "Body=XXXX%20XXXX%20XXXX%201111"},
		"escaped no-breaks":  {"Body=4111%C2%A01111%C2%A01111%C2%A01111", "Body=XXXX%C2%A0XXXX%C2%A0XXXX%C2%A01111"},
		"duplicate names":    {"a=4111111111111111&a=5555555555554444", "a=XXXXXXXXXXXX1111&a=XXXXXXXXXXXX4444"},
		"ssn by name":        {"ssn=536228145", "ssn=XXX-XX-XXXX"},
		"escaped name":       {"%73%73n=536228145", "ssn=XXX-XX-XXXX"},
		"card key":           {"card%5Bnumber%5D=4222222222222&card%5Bcvc%5D=123", "card%5Bnumber%5D=XXXXXXXXX2222&card%5Bcvc%5D=XXX"},
		"ids":                {"order_id=4111111111111111", ""},
		"name is a card":     {"4111+1111+1111+1111=1", ""},
		"utf-8 charset":      {"_charset_=UTF-8&a=1", ""},
		"line in a text":     {"Body=a%0D%0A4111111111111111%0D%0A", "Body=a%0D%0AXXXXXXXXXXXX1111%0D%0A"},
		"raw utf-8":          {"Body=caf\u00e9+4111111111111111", "Body=caf\u00e9+XXXXXXXXXXXX1111"},
		"empty":              {"", ""},
		"value with equals":  {"a=b=4111111111111111", "a=b=XXXXXXXXXXXX1111"},
		"lower-case escapes": {"a=%e2%80%934111111111111111", "a=%e2%80%93XXXXXXXXXXXX1111"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(Form, []byte(c.in), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if want == "" {
				want = c.in
			}
			if name == "escaped name" {
				want = "%73%73n=XXX-XX-XXXX"
			}
			got := string(doc.Rewrite(byDefault))
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if _, err := url.ParseQuery(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefusedForms(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, c := range map[string]struct {
		in, reason string
		offset     int64
	}{
		"cut escape":        {"a=%4", ReasonFormSyntax, 2},
		"escape over end":   {"a=%4&b=1", ReasonFormSyntax, 2},
		"no escape":         {"a=100%&b", ReasonFormSyntax, 5},
		"unicode escape":    {"a=%u0034", ReasonFormSyntax, 2},
		"in a name":         {"%zz=1", ReasonFormSyntax, 0},
		"semicolon":         {"a=1;b=2", ReasonFormSemicolon, 3},
		"NUL":               {"a=%00", ReasonFormSyntax, 2},
		"line feed":         {"a=1\n", ReasonFormSyntax, 3},
		"invalid utf-8":     {"a=%ff", ReasonUTF8, 2},
		"overlong":          {"a=%c0%af", ReasonUTF8, 2},
		"other charset":     {"_charset_=utf-7&a=1", ReasonFormCharset, 10},
		"torn at ampersand": {"a=%E2%82&b=%AC", ReasonUTF8, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(Form, []byte(c.in), d, nil, Limits{})
			var r *Refusal
			if !errors.As(err, &r) || r.Reason != c.reason || r.Offset != c.offset {
				t.Errorf("got %v, want %s at byte %d", err, c.reason, c.offset)
			}
		})
	}
	var r *Refusal
	if _, err := Parse(Form, []byte("a=1&b=2&c=3"), d, nil, Limits{Values: 2}); !errors.As(err, &r) || r.Reason != ReasonValues {
		t.Errorf("three fields of two: got %v", err)
	}
}

func TestFormFieldsInBrackets(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	f := compile(t, Rule{Pointer: "/ticket/subject", Flags: Overwrite}, Rule{Pointer: "/ticket/tags/*", Flags: Overwrite}, Rule{Pointer: "/a[b]", Flags: Overwrite})
	for name, c := range map[string]struct {
		form, want string
		blocked    int
	}{
		"one level":           {"ticket[subject]=XXX-XX-XXXX&ticket[status]=open", "ticket[status]=open", 0},
		"escaped":             {"ticket%5Bsubject%5D=XXX-XX-XXXX&x=1", "x=1", 0},
		"list":                {"ticket[tags][]=XXX-XX-XXXX&x=1", "x=1", 0},
		"numbered list":       {"ticket[tags][3]=XXX-XX-XXXX&x=1", "x=1", 0},
		"spelled out":         {"a[b]=XXX-XX-XXXX&x=1", "x=1", 0},
		"another field":       {"ticket[note]=XXX-XX-XXXX", "ticket[note]=XXX-XX-XXXX", 1},
		"bracket left open":   {"ticket[subject=XXX-XX-XXXX", "ticket[subject=XXX-XX-XXXX", 1},
		"something between":   {"ticket[subject]x[y]=XXX-XX-XXXX", "ticket[subject]x[y]=XXX-XX-XXXX", 1},
		"begins with bracket": {"[ticket][subject]=XXX-XX-XXXX", "[ticket][subject]=XXX-XX-XXXX", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(Form, []byte(c.form), d, f, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			edits, blocked := doc.MaskedWrites()
			if got := string(doc.Rewrite(byDefault, edits...)); got != c.want || blocked != c.blocked {
				t.Errorf("got %s and %d blocked, want %s and %d", got, blocked, c.want, c.blocked)
			}
		})
	}
}

func TestFormFields(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	f := compile(t, Rule{Pointer: "/From", Label: "subject:phone", Flags: Wanted}, Rule{Pointer: "/Body", Flags: Overwrite}, Rule{Pointer: "/Sid", Flags: Never})
	doc, err := Parse(Form, []byte("From=%2B12125550147&Body=XXX-XX-XXXX&Sid=4111111111111111&To=x"), d, f, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Captures) != 1 || string(doc.Value(doc.Captures[0])) != "+12125550147" || doc.Captures[0].Path != "/From" {
		t.Errorf("captures %+v", doc.Captures)
	}
	if len(doc.Findings) != 2 || doc.Findings[0].Class != redact.Phone || !doc.Findings[1].Never {
		t.Errorf("findings %+v", doc.Findings)
	}
	edits, blocked := doc.MaskedWrites()
	got := string(doc.Rewrite(byDefault, append(edits, doc.SetString(doc.Captures[0], "a b&c"))...))
	if want := "From=a+b%26c&Sid=4111111111111111&To=x"; got != want || blocked != 0 {
		t.Errorf("got %s and %d blocked, want %s", got, blocked, want)
	}
}
