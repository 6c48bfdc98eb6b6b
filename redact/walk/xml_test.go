package walk

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestRewriteXML(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"nothing":              {"<?xml version=\"1.0\" encoding='UTF-8'?>\n<a b='c'>d &amp; e<f/>\r\n<!-- g --><?h i?></a>\n", ""},
		"text":                 {"<a>card 4111111111111111</a>", "<a>card XXXXXXXXXXXX1111</a>"},
		"twiml":                {"<Response><Message>Your card 4111 1111 1111 1111 &lt;</Message></Response>", "<Response><Message>Your card XXXX XXXX XXXX 1111 &lt;</Message></Response>"},
		"by its element":       {"<p><cvv>123</cvv><Ssn>536228145</Ssn></p>", "<p><cvv>XXX</cvv><Ssn>XXX-XX-XXXX</Ssn></p>"},
		"by its name":          {"<f name='ssn'>536228145</f>", "<f name='ssn'>XXX-XX-XXXX</f>"},
		"value by its name":    {"<f value=\"536228145\" name='ssn'/>", "<f value=\"XXX-XX-XXXX\" name='ssn'/>"},
		"attribute":            {"<f note='it is 4111 1111 1111 &#49;111'/>", "<f note='it is XXXX XXXX XXXX &#49;111'/>"},
		"ids":                  {"<order><order_id>4111111111111111</order_id></order>", ""},
		"references":           {"<a>&#52;111&#x31;11111111111</a>", "<a>XXXXXXXXXXXX1111</a>"},
		"cdata in a number":    {"<a>4111<![CDATA[1111]]>1111<![CDATA[1111]]></a>", "<a>XXXX<![CDATA[XXXX]]>XXXX<![CDATA[1111]]></a>"},
		"signs kept in cdata":  {"<a>card <![CDATA[&#52;111</b>1111 1111]]> 1111</a>", "<a>card <![CDATA[XXXX</b>XXXX XXXX 1111]]></a>"},
		"comment in a number":  {"<a>4111<!-- c -->1111<?p i?>1111 1111</a>", "<a>XXXX<!-- c -->XXXX<?p i?>XXXX 1111</a>"},
		"comment":              {"<a><!-- card 4111111111111111 --></a>", "<a><!-- card XXXXXXXXXXXX1111 --></a>"},
		"instruction":          {"<a><?note card 4111111111111111?></a>", "<a><?note card XXXXXXXXXXXX1111?></a>"},
		"mixed content":        {"<p>my 4111<b>1111</b>1111<i>1111</i></p>", "<p>my XXXX<b>XXXX</b>XXXX<i>1111</i></p>"},
		"elements beside":      {"<p>\n<a>4111</a>\n<a>1111</a>\n<a>1111</a>\n<a>1111</a>\n</p>", "<p>\n<a>XXXX</a>\n<a>XXXX</a>\n<a>XXXX</a>\n<a>1111</a>\n</p>"},
		"word in another":      {"<r><l>Card</l><v>4222222222222</v></r>", "<r><l>Card</l><v>XXXXXXXXX2222</v></r>"},
		"id behind a word":     {"<r><l>Card</l><order_id>4222222222222</order_id></r>", ""},
		"byte order mark":      {"\xef\xbb\xbf<?xml version=\"1.0\"?><a>4111111111111111</a>", "\xef\xbb\xbf<?xml version=\"1.0\"?><a>XXXXXXXXXXXX1111</a>"},
		"names outside ASCII":  {"<größe>4111111111111111</größe>", "<größe>XXXXXXXXXXXX1111</größe>"},
		"greater than in text": {"<a>a > 4111111111111111</a>", "<a>a > XXXXXXXXXXXX1111</a>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want == "" {
				want = c.in
			}
			if got := rewritten(t, XML, c.in); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			checkDoc(t, XML, []byte(c.in), newDetector(t))
		})
	}
}

func TestXMLPaths(t *testing.T) {
	t.Parallel()
	doc, err := Parse(XML, []byte("<a><b><c note='4111111111111111'>5555555555554444</c></b></a>"), newDetector(t), nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Findings) != 2 || doc.Findings[0].Path != "/a/b/c/@note" || doc.Findings[1].Path != "/a/b/c" {
		t.Errorf("findings %+v", doc.Findings)
	}
}

func TestRefusedXML(t *testing.T) {
	t.Parallel()
	refusals(t, XML, map[string]refusal{
		"empty":                  {"", ReasonXML, 0},
		"no element":             {"<!-- x -->", ReasonXML, 10},
		"text":                   {"hello", ReasonXML, 0},
		"document type":          {"<!DOCTYPE a><a/>", ReasonXMLExternal, 0},
		"entity":                 {"<a><!ENTITY b 'c'></a>", ReasonXMLExternal, 3},
		"inclusion":              {"<a xmlns:i='http://www.w3.org/2001/XInclude'/>", ReasonXMLExternal, 12},
		"unknown reference":      {"<a>&nbsp;</a>", ReasonXML, 3},
		"reference to nothing":   {"<a>&#0;</a>", ReasonXML, 3},
		"reference to surrogate": {"<a>&#xD800;</a>", ReasonXML, 3},
		"bare ampersand":         {"<a>b & c</a>", ReasonXML, 5},
		"UTF-16":                 {"<?xml version='1.0' encoding='UTF-16'?><a/>", ReasonXMLDeclaration, 0},
		"XML 1.1":                {"<?xml version='1.1'?><a/>", ReasonXMLDeclaration, 0},
		"late declaration":       {"<a/><?xml version='1.0'?>", ReasonXMLDeclaration, 4},
		"not closed":             {"<a><b></b>", ReasonXML, 10},
		"other end":              {"<a></b>", ReasonXML, 3},
		"two roots":              {"<a/><b/>", ReasonXML, 4},
		"text behind":            {"<a/>4111", ReasonXML, 4},
		"same attribute":         {"<a b='1' b='2'/>", ReasonXML, 9},
		"attribute without":      {"<a b/>", ReasonXML, 3},
		"attribute unquoted":     {"<a b=c/>", ReasonXML, 3},
		"attributes glued":       {"<a b='1'c='2'/>", ReasonXML, 8},
		"bracket in attribute":   {"<a b='<'/>", ReasonXML, 3},
		"end of a section":       {"<a>]]></a>", ReasonXML, 3},
		"hyphens in comment":     {"<a><!-- -- --></a>", ReasonXML, 3},
		"control character":      {"<a>b\x00</a>", ReasonXML, 4},
		"no character":           {"<a>\uffff</a>", ReasonXML, 3},
		"not UTF-8":              {"<a>\xff</a>", ReasonUTF8, 3},
		"deep":                   {strings.Repeat("<a>", 129), ReasonDepth, 128 * 3},
		"many elements":          {"<a>" + strings.Repeat("<b/>", 100_000), ReasonValues, 3 + 99_999*4},
	})
}

// standardXML reads a document with the library and returns its text and the
// number of its tokens.
func standardXML(raw []byte) (text []byte, tokens int, err error) {
	d := xml.NewDecoder(bytes.NewReader(raw))
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text, tokens, nil
		}
		if err != nil {
			return nil, 0, err
		}
		tokens++
		if c, ok := t.(xml.CharData); ok {
			text = append(text, c...)
		}
	}
}

func FuzzXML(f *testing.F) {
	for _, s := range []string{"<?xml version='1.0'?><a b='c'>4111<![CDATA[1111]]><!-- -->1111&#49;111</a>", "<p><a>4111</a><a>1111</a><a>1111</a><a>1111</a><ssn>536228145</ssn></p>", "<a:b c:d=\"&quot;\"/>"} {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	places := compile(f, Rule{Pointer: "/**", Label: "any", Flags: Wanted | PaymentReference | Element}, Rule{Pointer: "/a/*", Flags: Unit})
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := Parse(XML, raw, d, nil, Limits{})
		if err != nil {
			return
		}
		// What letters a name may have, the library takes from an older Unicode.
		_, before, err := standardXML(raw)
		if err != nil && !bytes.ContainsFunc(raw, func(r rune) bool { return r >= 0x80 }) {
			t.Fatalf("accepted what encoding/xml refuses: %v", err)
		}
		if err == nil {
			if _, after, err := standardXML(doc.Rewrite(byDefault)); err != nil || after != before {
				t.Fatalf("%d tokens became %d: %v", before, after, err)
			}
		}
		checkDoc(t, XML, raw, d)
		// With places: the same documents, values of one element each, and a token for one
		// keeps the document whole.
		located, err := Parse(XML, raw, d, places, Limits{})
		if err != nil {
			t.Fatalf("refused with places: %v", err)
		}
		for _, c := range located.Captures {
			if c.Start < 0 || c.End < c.Start || c.End > len(raw) || len(located.Value(c)) == 0 || c.Unit > located.Units {
				t.Fatalf("a capture of %d to %d in %d bytes, unit %d of %d", c.Start, c.End, len(raw), c.Unit, located.Units)
			}
		}
		for i := range located.Findings {
			if _, ok := located.Original(i); ok && located.Findings[i].Class == redact.PaymentReference {
				located.Substitute(i, "ptk1token")
			}
		}
		out := located.Rewrite(func(redact.Finding) redact.Action { return redact.Tokenize })
		if _, err := Parse(XML, out, d, places, Limits{}); err != nil {
			t.Fatalf("with tokens it is no XML: %v", err)
		}
	})
}
