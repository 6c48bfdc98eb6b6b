package walk

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// rewritten gives every finding its default treatment.
func rewritten(tb testing.TB, kind Kind, in string) string {
	tb.Helper()
	doc, err := Parse(kind, []byte(in), newDetector(tb), nil, Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	return string(doc.Rewrite(byDefault))
}

func TestRewriteHTML(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"nothing":                    {"<!doctype html><p>Hello <b>you</b> &amp; them&nbsp;all\n", ""},
		"plain":                      {"<p>card 4111111111111111</p>", "<p>card XXXXXXXXXXXX1111</p>"},
		"tags inside":                {"<p>4111<b></b>1111<i>1111</i>1111</p>", "<p>XXXX<b></b>XXXX<i>XXXX</i>1111</p>"},
		"spans":                      {"<span>4111</span> <span>1111</span> <span>1111</span> <span>1111</span>", "<span>XXXX</span> <span>XXXX</span> <span>XXXX</span> <span>1111</span>"},
		"word break":                 {"4111<wbr>1111<wbr>1111<wbr/>1111", "XXXX<wbr>XXXX<wbr>XXXX<wbr/>1111"},
		"line breaks":                {"4111<br>1111<br>1111<br>1111", "XXXX<br>XXXX<br>XXXX<br>1111"},
		"cells":                      {"<tr>\n  <td>4111</td>\n  <td>1111</td>\n  <td>1111</td>\n  <td>1111</td>\n</tr>", "<tr>\n  <td>XXXX</td>\n  <td>XXXX</td>\n  <td>XXXX</td>\n  <td>1111</td>\n</tr>"},
		"comment inside":             {"4111<!-- x -->11111111<!---->1111", "XXXX<!-- x -->XXXXXXXX<!---->1111"},
		"entities":                   {"&#52;111 &#x31;111 &#49;&#0049;11 1111", "XXXX XXXX XXXX 1111"},
		"entities without semicolon": {"&#52111 1111", "&#52111 1111"},
		"no-break":                   {"4111&nbsp;1111&nbsp;1111&nbsp;1111", "XXXX&nbsp;XXXX&nbsp;XXXX&nbsp;1111"},
		"no-break without semicolon": {"4111&nbsp1111&nbsp1111&nbsp1111", "XXXX&nbspXXXX&nbspXXXX&nbsp1111"},
		"folded space":               {"4111  \n 1111\n1111\t1111", "XXXX  \n XXXX\nXXXX\t1111"},
		"ssn, another length":        {"<p>ssn <b>536</b><i>22</i>8145 &lt;", "<p>ssn <b>XXX-XX-XXXX</b><i></i> &lt;"},
		"ssn in dashes":              {"ssn 536<b>-</b>22-8145", "ssn XXX<b>-</b>XX-XXXX"},
		"table of two columns":       {"<tr><th>SSN</th><td>536228145</td></tr>", "<tr><th>SSN</th><td>XXX-XX-XXXX</td></tr>"},
		"columns of identifiers":     {"<table><tr><th>Order</th><th>Tracking</th></tr><tr><td>7</td><td> 4111111111111111 </td></tr><tr><td>4012888888881881</td></tr></table>", ""},
		"columns of cards":           {"<table><tr><th>Tracking</th><th>Paid by</th></tr><tr><td>7</td><td>4111111111111111</td></tr></table>", "<table><tr><th>Tracking</th><th>Paid by</th></tr><tr><td>7</td><td>XXXXXXXXXXXX1111</td></tr></table>"},
		"columns that are not told":  {"<table><tr><th colspan=2>Tracking</th></tr><tr><td>a long story about something else, told by somebody who had time</td><td>5555555555554444</td></tr></table>", "<table><tr><th colspan=2>Tracking</th></tr><tr><td>a long story about something else, told by somebody who had time</td><td>XXXXXXXXXXXX4444</td></tr></table>"},
		"a table in a table":         {"<table><tr><th>Tracking</th></tr><tr><td><table><tr><th>x</th></tr><tr><td>4111111111111111</td></tr></table></td></tr></table>", "<table><tr><th>Tracking</th></tr><tr><td><table><tr><th>x</th></tr><tr><td>XXXXXXXXXXXX1111</td></tr></table></td></tr></table>"},
		"attributes":                 {`<img alt="4111 1111 1111 1111" title='a &quot; 4111&#49;11111111111' id=a>`, `<img alt="XXXX XXXX XXXX 1111" title='a &quot; XXXXXXXXXXXX1111' id=a>`},
		"unquoted":                   {`<a href=mailto:x@x.example?body=card+4111111111111111>x</a>`, `<a href=mailto:x@x.example?body=card+XXXXXXXXXXXX1111>x</a>`},
		"input by its name":          {`<input value="536228145" name="ssn">`, `<input value="XXX-XX-XXXX" name="ssn">`},
		"data attribute":             {`<p data-cvv="123">`, `<p data-cvv="XXX">`},
		"identifiers":                {`<p id="4111111111111111" class=c4111111111111111 width=4111111111111111>`, ""},
		"comment":                    {"<!-- card 4111111111111111 -->", "<!-- card XXXXXXXXXXXX1111 -->"},
		"script":                     {"<script>var card = '4111111111111111' < 2</script>", "<script>var card = 'XXXXXXXXXXXX1111' < 2</script>"},
		"title":                      {"<title>4111&#49;11111111111</title>", "<title>XXXXXXXXXXXX1111</title>"},
		"text area":                  {"<textarea>4111 1111 1111 1111", "<textarea>XXXX XXXX XXXX 1111"},
		"tag that nobody closed":     {"a<b 4111 1111 1111 1111", "a<b XXXX XXXX XXXX 1111"},
		"a finding around another":   {`4111<img alt="5555 5555 5555 4444">1111 1111 1111`, ""},
		"not a number of one block":  {"<p>4111 1111</p><p>is what</p><p>1111 1111</p>", ""},
		"entity for markup stays":    {"&lt;4111111111111111&gt;", "&lt;XXXXXXXXXXXX1111&gt;"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want == "" {
				want = c.in
			}
			if name == "a finding around another" {
				want = `XXXX<img alt="XXXX XXXX XXXX 4444">XXXX XXXX 1111`
			}
			if got := rewritten(t, HTML, c.in); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			checkDoc(t, HTML, []byte(c.in), newDetector(t))
		})
	}
}

func TestHTMLOffsets(t *testing.T) {
	t.Parallel()
	in := "<p>no &#52;111<b>1111</b>11111111</p><p id='4111 1111 1111 1111'>"
	doc, err := Parse(HTML, []byte(in), newDetector(t), nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Findings) != 2 || in[doc.Findings[0].Start:doc.Findings[0].End] != "&#52;111<b>1111</b>11111111" || !doc.Findings[1].Never {
		t.Errorf("findings %+v", doc.Findings)
	}
}

func TestRefusedHTML(t *testing.T) {
	t.Parallel()
	refusals(t, HTML, map[string]refusal{
		"NUL":         {"4111\x001111", ReasonHTML, 4},
		"escape":      {"a\x1b$B", ReasonHTML, 1},
		"not UTF-8":   {"a\xff", ReasonUTF8, 1},
		"many tags":   {strings.Repeat("<b>", 100_001), ReasonValues, 300_000},
		"many fields": {"<p " + strings.Repeat("a=b ", 100_000) + ">", ReasonValues, 3 + 99_999*4},
	})
}

// refusal is one input that is refused.
type refusal struct {
	in, reason string
	offset     int64
}

func refusals(t *testing.T, kind Kind, table map[string]refusal) {
	t.Helper()
	d := newDetector(t)
	for name, c := range table {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(kind, []byte(c.in), d, nil, Limits{})
			r := refusalOf(err)
			if r == nil || r.Reason != c.reason || r.Offset != c.offset {
				t.Errorf("got %v, want %s at byte %d", err, c.reason, c.offset)
			}
		})
	}
}

// sameText compares what our reader makes of character references with what the
// library makes of them.
func sameText(t *testing.T, text string) {
	t.Helper()
	p := htmlReader{collector: collector{Doc: &Doc{raw: []byte(text)}}, known: references{}}
	var j joined
	for i := 0; i < len(text); {
		if text[i] == '&' {
			i += p.entity(&j, i, len(text))
			continue
		}
		j.copy([]byte(text), i, i+1)
		i++
	}
	if want := html.UnescapeString(text); string(j.text) != want {
		t.Errorf("%q is %q, want %q", text, j.text, want)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"&amp;", "&ampx", "&lt", "&ltt", "&notit;", "&notin;", "&nbsp4", "&#52", "&#x34g", "&#;", "&#x;", "&#128;", "&#159", "&#0;", "&#xD800;", "&#x110000;", "&#00000000000000052;",
		"&CounterClockwiseContourIntegral;4", "&fjlig;", "&zwnj;", "&shy4", "&", "&&amp", "&a", "&a;b", "&ThickSpace;"} {
		sameText(t, s)
	}
}

func FuzzHTML(f *testing.F) {
	for _, s := range []string{"<p>4111<b>1111</b>&#49;111 1111<!-- 4111111111111111 --><img alt='4111 1111 1111 1111'>", "<script>4111111111111111</script><textarea>&amp", "<a<b =x= y='", "&nbsp4111",
		"<table><tr><th>Order<th>No</tr><tr><td>4111111111111111</td><td><table></td></tr><td>4111111111111111</table>"} {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkDoc(t, HTML, raw, d)
		if !bytes.ContainsAny(raw, "\x00\r") && len(raw) < 1000 && invalidUTF8(raw) < 0 {
			sameText(t, string(raw))
		}
	})
}
