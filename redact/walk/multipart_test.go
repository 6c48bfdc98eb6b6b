package walk

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// parts writes a multipart body with the boundary b: each is headers and
// content, separated by an empty line.
func parts(all ...string) string {
	var b strings.Builder
	for _, p := range all {
		b.WriteString("--b\r\n" + p + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

func field(name, value string) string {
	return "Content-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value
}

func file(name, media, content string) string {
	return "Content-Disposition: form-data; name=\"f\"; filename=\"" + name + "\"\r\nContent-Type: " + media + "\r\n\r\n" + content
}

func TestRewriteMultipart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"nothing":          {parts(field("a", "hello\r\n"), field("", "")), ""},
		"no part":          {"--b--\r\n", ""},
		"text":             {parts(field("body", "card 4111 1111 1111 1111")), parts(field("body", "card XXXX XXXX XXXX 1111"))},
		"by name":          {parts(field("ssn", "536228145"), field("cvv", "123")), parts(field("ssn", "XXX-XX-XXXX"), field("cvv", "XXX"))},
		"ids":              {parts(field("order_id", "4111111111111111")), ""},
		"number as a name": {parts(field("4111 1111 1111 1111", "x")), ""},
		"file name":        {parts(file("card 4111 1111 1111 1111.txt", "text/plain", "x")), parts(file("card XXXX XXXX XXXX 1111.txt", "text/plain", "x"))},
		"json part":        {parts(file("a.json", "application/json", `{"ssn":"536228145"}`)), parts(file("a.json", "application/json", `{"ssn":"XXX-XX-XXXX"}`))},
		"json as text":     {parts(field("payload", `{"t":"\u0034111 1111 1111 1111"}`)), parts(field("payload", `{"t":"XXXX XXXX XXXX 1111"}`))},
		"html part":        {parts(file("a.html", "text/html; charset=UTF-8", "4111<b>1111</b>1111 1111")), parts(file("a.html", "text/html; charset=UTF-8", "XXXX<b>XXXX</b>XXXX 1111"))},
		"csv part":         {parts(file("a.csv", "text/csv", "ssn\r\n536228145\r\n")), parts(file("a.csv", "text/csv", "ssn\r\nXXX-XX-XXXX\r\n"))},
		"bracket as text":  {parts(field("body", "[ok] 4111111111111111")), parts(field("body", "[ok] XXXXXXXXXXXX1111"))},
		"two of a name":    {parts(field("a", "4111111111111111"), field("a", "5555555555554444")), parts(field("a", "XXXXXXXXXXXX1111"), field("a", "XXXXXXXXXXXX4444"))},
		"image passes":     {parts(file("a.png", "image/png", "\x89PNG 4111111111111111\x00")), ""},
		"boundary in text": {parts(field("a", "a --b c\r\n--c")), ""},
		"unquoted":         {"--b\r\ncontent-disposition:form-data ;name=a; filename=b\r\n\r\n4111111111111111\r\n--b--", "--b\r\ncontent-disposition:form-data ;name=a; filename=b\r\n\r\nXXXXXXXXXXXX1111\r\n--b--"},
		"other header":     {parts("X-Note: 4111111111111111\r\n" + field("a", "b")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want == "" {
				want = c.in
			}
			if got := rewritten(t, Multipart, c.in); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			checkDoc(t, Multipart, []byte(c.in), newDetector(t))
		})
	}
}

func TestRefusedMultipart(t *testing.T) {
	t.Parallel()
	const cd = "Content-Disposition: form-data; name=\"a\"\r\n"
	refusals(t, Multipart, map[string]refusal{
		"empty":                   {"", ReasonMultipart, 0},
		"preamble":                {"hello\r\n" + parts(field("a", "b")), ReasonMultipart, 0},
		"epilogue":                {parts(field("a", "b")) + "hello", ReasonMultipart, int64(len(parts(field("a", "b"))) - 4)},
		"no end":                  {strings.TrimSuffix(parts(field("a", "b")), "--b--\r\n"), ReasonMultipart, int64(len(parts(field("a", "b"))) - 7)},
		"line feeds":              {strings.ReplaceAll(parts(field("a", "b")), "\r\n", "\n"), ReasonMultipart, 0},
		"long boundary":           {"--" + strings.Repeat("b", 71) + "\r\n", ReasonMultipart, 0},
		"longer boundary inside":  {parts(field("a", "b\r\n--bb\r\n")), ReasonMultipart, 3 + 2 + int64(len(field("a", "b"))) + 2 + 3},
		"boundary at a line feed": {parts(field("a", "b\n--b\r\n")), ReasonMultipart, 5 + int64(len(field("a", "b\n")))},
		"boundary behind headers": {"--b\r\n" + cd + "\r\n--b--\r\n", ReasonMultipart, 5 + int64(len(cd)) + 2},
		"no disposition":          {parts("Content-Type: text/plain\r\n\r\nx"), ReasonMultipart, 5 + 24},
		"no name":                 {parts("Content-Disposition: form-data\r\n\r\nx"), ReasonMultipart, 5},
		"attachment":              {parts("Content-Disposition: attachment; name=\"a\"\r\n\r\nx"), ReasonMultipart, 5},
		"name twice":              {parts("Content-Disposition: form-data; name=a; name=b\r\n\r\nx"), ReasonMultipart, 5},
		"other file name":         {parts("Content-Disposition: form-data; name=a; filename=b; filename*=utf-8''c\r\n\r\nx"), ReasonMultipart, 5},
		"continued name":          {parts("Content-Disposition: form-data; name*0=a; name*1=b\r\n\r\nx"), ReasonMultipart, 5},
		"escaped quote":           {parts("Content-Disposition: form-data; name=\"a\\\"; x=\"b\"\r\n\r\nx"), ReasonMultipart, 5},
		"disposition twice":       {parts(cd + cd + "\r\nx"), ReasonMultipart, 5 + int64(len(cd))},
		"folded":                  {parts("Content-Disposition: form-data;\r\n name=\"a\"\r\n\r\nx"), ReasonMultipart, 5},
		"transfer encoding":       {parts(cd + "Content-Transfer-Encoding: base64\r\n\r\nNDExMQ=="), ReasonMultipart, 5 + int64(len(cd))},
		"charset":                 {parts(cd + "Content-Type: text/plain; charset=utf-7\r\n\r\nx"), ReasonCharset, 5 + int64(len(cd)) + 13},
		"charset field":           {parts(field("_charset_", "utf-16")), ReasonFormCharset, 5 + int64(len(field("_charset_", "")))},
		"control in a header":     {parts("X-A: b\x00\r\n" + field("a", "b")), ReasonMultipart, 5 + 6},
		"line feed in a header":   {parts("X-A: b\nX-B: c\r\n" + field("a", "b")), ReasonMultipart, 5 + 6},
		"space before the colon":  {parts("Content-Disposition : form-data; name=a\r\n\r\nx"), ReasonMultipart, 5},
		"not UTF-8":               {parts(field("a", "b\xff")), ReasonUTF8, 5 + int64(len(field("a", "b")))},
		"json with the key twice": {parts(field("a", `{"b":1,"b":2}`)), ReasonDuplicate, 5 + int64(len(field("a", ""))) + 7},
		"broken json":             {parts(file("a", "application/json", "{")), ReasonSyntax, 5 + int64(len(file("a", "application/json", "{")))},
		"large headers":           {parts("X-A: " + strings.Repeat("b", maxPartHeader) + "\r\n" + field("a", "b")), ReasonMultipart, 5},
		"many parts":              {strings.TrimSuffix(strings.Repeat(parts(field("a", "b")), 1), "--b--\r\n") + strings.Repeat("--b\r\n"+field("a", "b")+"\r\n", 100_000), ReasonValues, 5 + 100_000*int64(len("--b\r\n"+field("a", "b")+"\r\n"))},
	})
}

func TestMultipartBoundary(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	raw := []byte(parts(field("a", "b")))
	if _, err := ParseMultipart("b", raw, d, nil, Limits{}); err != nil {
		t.Error(err)
	}
	for _, other := range []string{"", "c", "bb", "b "} {
		var r *Refusal
		if _, err := ParseMultipart(other, raw, d, nil, Limits{}); !errors.As(err, &r) || r.Reason != ReasonMultipart {
			t.Errorf("boundary %q: %v", other, err)
		}
	}
}

// What nobody looked at is listed, and fields mark parts by their names.
func TestMultipartFields(t *testing.T) {
	t.Parallel()
	in := parts(file("a.png", "image/png", "\x89PNG"), file("b", "application/zip", "PK"), field("ref", "pi_123"), field("note", "4111111111111111"), field("from", "jo"))
	f := compile(t, Rule{Pointer: "/ref", Flags: PaymentReference}, Rule{Pointer: "/note", Flags: Never}, Rule{Pointer: "/from", Label: "subject", Flags: Wanted})
	doc, err := Parse(Multipart, []byte(in), newDetector(t), f, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Unread) != 2 || doc.Unread[0].Media != "image" || in[doc.Unread[1].Start:doc.Unread[1].End] != "PK" {
		t.Errorf("unread %+v", doc.Unread)
	}
	if len(doc.Findings) != 2 || doc.Findings[0].Class != redact.PaymentReference || doc.Findings[0].Path != "/ref" || !doc.Findings[1].Never {
		t.Errorf("findings %+v", doc.Findings)
	}
	if len(doc.Captures) != 1 || string(doc.Value(doc.Captures[0])) != "jo" || doc.Captures[0].Path != "/from" {
		t.Errorf("captures %+v", doc.Captures)
	}
	masked, err := Parse(Multipart, []byte(parts(field("a", "XXXX XXXX XXXX 1111"))), newDetector(t), nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, blocked := masked.MaskedWrites(); blocked != 1 {
		t.Errorf("%d masks blocked", blocked)
	}
}

func FuzzMultipart(f *testing.F) {
	for _, s := range []string{parts(field("a", "4111111111111111"), file("4111 1111 1111 1111", "text/html", "&#52;")), parts(file("a", "application/json", "{\"a\":\"4111111111111111\"}")), "--b--"} {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := Parse(Multipart, raw, d, nil, Limits{})
		if err != nil {
			return
		}
		before, err := standardParts(raw)
		if err != nil {
			t.Fatalf("accepted what mime/multipart refuses: %v", err)
		}
		if after, err := standardParts(doc.Rewrite(byDefault)); err != nil || after != before {
			t.Fatalf("%d parts became %d: %v", before, after, err)
		}
		checkDoc(t, Multipart, raw, d)
	})
}

func standardParts(raw []byte) (int, error) {
	r := multipart.NewReader(bytes.NewReader(raw), firstBoundary(raw))
	for n := 0; ; n++ {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if _, err := io.Copy(io.Discard, p); err != nil {
			return n, err
		}
	}
}
