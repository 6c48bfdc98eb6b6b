package walk

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// Elements are located by the names on the way, their text is the value that a parser of
// XML hands out, and repeated records are units.
func TestElements(t *testing.T) {
	t.Parallel()
	fields := compile(t,
		Rule{Pointer: "/sale/id", Label: "id", Flags: Wanted | Element},
		Rule{Pointer: "/sale/id", Flags: PaymentReference | Element},
		Rule{Pointer: "/sale/amount", Label: "amount", Flags: Wanted | Element},
		Rule{Pointer: "/sale/ids/item", Flags: PaymentReference | Element},
		Rule{Pointer: "/sales/*", Flags: Unit},
		Rule{Pointer: "/sales/*/id", Label: "id", Flags: Wanted | PaymentReference | Element},
		Rule{Pointer: "/sales/*/x:amount", Label: "amount", Flags: Wanted | Element},
		Rule{Pointer: "/sale/note", Label: "note", Flags: Wanted}, // of JSON
	)
	for name, tc := range map[string]struct{ body, captures, findings string }{
		"plain":                    {`<sale><id>abc1</id><amount>10.00</amount></sale>`, "id=abc1@0 amount=10.00@0", "abc1@0"},
		"short":                    {`<sale><id>a</id><amount>5</amount></sale>`, "id=a@0 amount=5@0", "a@0"},
		"references and sections":  {`<sale><id>a&#98;<![CDATA[c<]]>1</id><amount>1<!-- x -->0</amount></sale>`, "id=abc<1@0 amount=10@0", "abc<1@0"},
		"attributes and a prolog":  {`<?xml version="1.0"?><sale a="1"><id type="s">abc1</id><amount nil="true"/></sale>`, "id=abc1@0", "abc1@0"},
		"empty":                    {`<sale><id></id><amount> </amount></sale>`, "", ""},
		"deeper":                   {`<sale><more><id>abc1</id></more><card><amount>1</amount></card></sale>`, "", ""},
		"another root":             {`<other><id>abc1</id></other>`, "", ""},
		"mixed content":            {`<sale><id>abc<b/>1</id><amount><b>1</b></amount></sale>`, "", ""},
		"another case":             {`<sale><ID>abc1</ID><Amount>1</Amount></sale>`, "", ""},
		"a list":                   {`<sale><ids type="array"><item>abc1</item><item>abc2</item></ids></sale>`, "", "abc1@0 abc2@0"},
		"units":                    {`<sales><sale><id>abc1</id><x:amount>1</x:amount></sale><n>7</n><sale><id>abc2</id></sale></sales>`, "id=abc1@1 amount=1@1 id=abc2@3", "abc1@1 abc2@3"},
		"an empty unit":            {`<sales><sale/><sale><id>abc2</id></sale></sales>`, "id=abc2@2", "abc2@2"},
		"a place of JSON":          {`<sale><note>hello there</note></sale>`, "", ""},
		"a card in the place":      {`<sale><ids><item>4111 1111 1111 1111</item></ids></sale>`, "", "4111 1111 1111 1111@0"},
		"a mask in the place":      {`<sale><id>XXXX XXXX XXXX 1111</id></sale>`, "id=XXXX XXXX XXXX 1111@0", ""},
		"a byte order mark before": {"\ufeff<sale><id>abc1</id></sale>", "id=abc1@0", "abc1@0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(XML, []byte(tc.body), newDetector(t), fields, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var captures, findings []string
			for _, c := range doc.Captures {
				captures = append(captures, fmt.Sprintf("%s=%s@%d", c.Label, doc.Value(c), c.Unit))
			}
			for i := range doc.Findings {
				text, ok := doc.Original(i)
				if !ok {
					t.Errorf("finding %d cannot be kept", i)
				}
				findings = append(findings, fmt.Sprintf("%s@%d", text, doc.Findings[i].Unit))
				if doc.Findings[i].Class == redact.PaymentReference {
					doc.Substitute(i, "ptk1token")
				}
			}
			if got := strings.Join(captures, " "); got != tc.captures {
				t.Errorf("captures: got %s, want %s", got, tc.captures)
			}
			if got := strings.Join(findings, " "); got != tc.findings {
				t.Errorf("findings: got %s, want %s", got, tc.findings)
			}
			out := doc.Rewrite(func(f redact.Finding) redact.Action {
				if f.Class == redact.PaymentReference {
					return redact.Tokenize
				}
				return redact.Report
			})
			if again, err := Parse(XML, out, newDetector(t), nil, Limits{}); err != nil || len(again.Captures) != 0 {
				t.Errorf("what is written is no XML: %s", out)
			}
			if strings.Contains(string(out), "abc") && tc.findings != "" {
				t.Errorf("a reference stays: %s", out)
			}
		})
	}
}
