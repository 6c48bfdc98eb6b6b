package walk

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"

	"golang.org/x/text/encoding/htmlindex"
)

// crlf writes lines as mail has them.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") }

func b64(s string) string {
	code := base64.StdEncoding.EncodeToString([]byte(s))
	var b strings.Builder
	for len(code) > 76 {
		b.WriteString(code[:76] + "\r\n")
		code = code[76:]
	}
	return b.String() + code
}

func TestRewriteMIME(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"nothing": {crlf("From: Jo <jo@x.example>", "Subject: Hello", "", "How are you?", ""), ""},
		"text":    {crlf("Subject: s", "", "card 4111 1111 1111 1111", ""), crlf("Subject: s", "", "card XXXX XXXX XXXX 1111", "")},
		"subject": {crlf("Subject: my card", "\t4111 1111 1111 1111", "", "x"), crlf("Subject: my card", "\tXXXX XXXX XXXX 1111", "", "x")},
		"encoded words": {
			crlf("Subject: =?utf-8?q?card_4111_1111?= =?UTF-8?B?"+base64.StdEncoding.EncodeToString([]byte(" 1111 1111"))+"?= end", "", "x"),
			crlf("Subject: =?UTF-8?Q?card_XXXX_XXXX?= =?UTF-8?Q?_XXXX_1111?= end", "", "x"),
		},
		"encoded words folded in a number": {
			crlf("Subject: =?iso-8859-1?q?4111=201111?=", " =?iso-8859-1*en?q?_11111111?=", "", "x"),
			crlf("Subject: =?UTF-8?Q?XXXX_XXXX?=", " =?UTF-8?Q?_XXXX1111?=", "", "x"),
		},
		"message ids": {crlf("Message-ID: <4111111111111111@x.example>", "References: <5555555555554444@x>", "", "x"), ""},
		"line feeds":  {"Subject: s\n\ncard 4111111111111111\n", "Subject: s\n\ncard XXXXXXXXXXXX1111\n"},
		"quoted-printable": {
			crlf("Content-Transfer-Encoding: quoted-printable", "", "caf=C3=A9 card =34111 1111 1=", "111 1111 soft =", "end"),
			crlf("Content-Transfer-Encoding: quoted-printable", "", "caf=C3=A9 card XXXX XXXX X=", "XXX 1111 soft =", "end"),
		},
		"base64": {
			crlf("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "", b64(strings.Repeat("lorem ipsum ", 8)+"card 4111 1111 1111 1111 and more of it"), ""),
			crlf("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "", b64(strings.Repeat("lorem ipsum ", 8)+"card XXXX XXXX XXXX 1111 and more of it"), ""),
		},
		"latin 1": {crlf("Content-Type: text/plain; charset=iso-8859-1", "", "caf\xe9 card\xa04111\xa01111\xa01111\xa01111"), crlf("Content-Type: text/plain; charset=iso-8859-1", "", "caf\xe9 card\xa0XXXX\xa0XXXX\xa0XXXX\xa01111")},
		"latin 1, quoted-printable": {
			crlf("Content-Type: text/plain; charset=windows-1252", "Content-Transfer-Encoding: Quoted-Printable", "", "caf=E9 card=A04111=A01111=A01111=A01111"),
			crlf("Content-Type: text/plain; charset=windows-1252", "Content-Transfer-Encoding: Quoted-Printable", "", "caf=E9 card=A0XXXX=A0XXXX=A0XXXX=A01111"),
		},
		"bytes without a charset": {crlf("Subject: s", "", "caf\xe9 card 4111111111111111"), crlf("Subject: s", "", "caf\xe9 card XXXXXXXXXXXX1111")},
		"shifted charset": {
			crlf("Content-Type: text/plain; charset=iso-2022-jp", "", "\x1b$B%+!<%I\x1b(B 4111 1111 1111 1111"),
			crlf("Content-Type: text/plain; charset=iso-2022-jp", "", "\x1b$B%+!<%I\x1b(B XXXX XXXX XXXX 1111"),
		},
		"quoted reply": {crlf("Subject: s", "", "> > 4111 1111", ">> 1111 1111", "> ok"), crlf("Subject: s", "", "> > XXXX XXXX", ">> XXXX 1111", "> ok")},
		"flowed": {
			crlf("Content-Type: text/plain; format=flowed", "", "my card 4111 ", "1111 1111 1111 it is"),
			crlf("Content-Type: text/plain; format=flowed", "", "my card XXXX ", "XXXX XXXX 1111 it is"),
		},
		"flowed without blanks": {
			crlf("Content-Type: text/plain; format=flowed; delsp=yes", "", "my card 41111 ", "11111111 ", "111"),
			crlf("Content-Type: text/plain; format=flowed; delsp=yes", "", "my card XXXXX ", "XXXXXXX1 ", "111"),
		},
		"file name": {
			crlf("Content-Type: text/plain; name=\"card 4111 1111 1111 1111.txt\"", "Content-Disposition: attachment; filename=\"card 4111 1111 1111 1111.txt\"", "", "x"),
			crlf("Content-Type: text/plain; name=\"card XXXX XXXX XXXX 1111.txt\"", "Content-Disposition: attachment; filename=\"card XXXX XXXX XXXX 1111.txt\"", "", "x"),
		},
		"parts": {
			crlf("Content-Type: multipart/alternative; boundary=\"=_b 4111111111111111\"", "", "for old readers", "--=_b 4111111111111111", "", "card 4111111111111111", "--=_b 4111111111111111", "Content-Type: text/html", "",
				"4111<b>1111</b>1111 1111", "--=_b 4111111111111111--", "behind: card 4111111111111111"),
			crlf("Content-Type: multipart/alternative; boundary=\"=_b 4111111111111111\"", "", "for old readers", "--=_b 4111111111111111", "", "card XXXXXXXXXXXX1111", "--=_b 4111111111111111", "Content-Type: text/html", "",
				"XXXX<b>XXXX</b>XXXX 1111", "--=_b 4111111111111111--", "behind: card XXXXXXXXXXXX1111"),
		},
		"mail in a mail": {
			crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: message/rfc822", "", "Subject: card 4111111111111111", "Content-Type: multipart/mixed; boundary=c", "", "--c", "", "5555555555554444", "--c--", "", "--b--"),
			crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: message/rfc822", "", "Subject: card XXXXXXXXXXXX1111", "Content-Type: multipart/mixed; boundary=c", "", "--c", "", "XXXXXXXXXXXX4444", "--c--", "", "--b--"),
		},
		"mail in base64": {
			crlf("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", b64("Subject: card 4111111111111111\n\nx")),
			crlf("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", b64("Subject: card XXXXXXXXXXXX1111\n\nx")),
		},
		"html in base64, another length": {
			crlf("Content-Type: text/html", "Content-Transfer-Encoding: base64", "", b64("<p>ssn <b>536</b>228145</p>")),
			crlf("Content-Type: text/html", "Content-Transfer-Encoding: base64", "", b64("<p>ssn <b>XXX-XX-XXXX</b></p>")),
		},
		"csv attachment": {crlf("Content-Type: text/csv", "", "a,ssn", "b,536228145"), crlf("Content-Type: text/csv", "", "a,ssn", "b,XXX-XX-XXXX")},
		"no body":        {"Subject: card 4111111111111111\r\n", "Subject: card XXXXXXXXXXXX1111\r\n"},
		"mailbox":        {"From x@y Thu\nSubject: s\n\n4111111111111111\n", "From x@y Thu\nSubject: s\n\nXXXXXXXXXXXX1111\n"},
		"not yet MIME":   {crlf("Subject: =?", "X: =?a?b", "Y: a=?b?c?d", "", "x"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want == "" {
				want = c.in
			}
			if got := rewritten(t, MIME, c.in); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			checkDoc(t, MIME, []byte(c.in), newDetector(t))
		})
	}
}

func TestMIMEOffsets(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, c := range map[string]struct{ head, coded, found string }{
		"as it is":         {"Content-Type: text/plain", "a 4111 1111 1111 1111 b", "4111 1111 1111 1111"},
		"quoted-printable": {"Content-Transfer-Encoding: quoted-printable", "=61 =34111 1111 11=\r\n11 1111 b", "=34111 1111 11=\r\n11 1111"},
		"base64":           {"Content-Transfer-Encoding: base64", b64("ab 4111111111111111"), "NDExMTExMTExMTExMTExM"},
		"charset":          {"Content-Type: text/plain; charset=iso-8859-1", "\xe9\xe9 4111 1111 1111 1111 b", "4111 1111 1111 1111"},
		"japanese":         {"Content-Type: text/plain; charset=shift_jis", "\x83J\x81[\x83h 4111 1111 1111 1111 b", "4111 1111 1111 1111"},
	} {
		in := c.head + "\r\n\r\n" + c.coded
		doc, err := Parse(MIME, []byte(in), d, nil, Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(doc.Findings) != 1 || in[doc.Findings[0].Start:doc.Findings[0].End] != c.found {
			t.Errorf("%s: %+v, want %q", name, doc.Findings, c.found)
		}
	}
}

func TestMIMEUnread(t *testing.T) {
	t.Parallel()
	in := crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: image/png", "Content-Transfer-Encoding: base64", "", "iVBORw==",
		"--b", "Content-Type: application/json", "", "{", "--b", "Content-Transfer-Encoding: x-uuencode", "", "begin",
		"--b", "", "see", "begin 644 a.txt", "M"+strings.Repeat("!", 60), "end", "--b", "Content-Type: image/png", "", "", "--b--")
	doc, err := Parse(MIME, []byte(in), newDetector(t), nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var media []string
	for _, u := range doc.Unread {
		media = append(media, u.Media)
	}
	if got := strings.Join(media, " "); got != "image application text other" {
		t.Errorf("unread: %s", got)
	}
}

func TestRefusedMIME(t *testing.T) {
	t.Parallel()
	deep, ends := "", ""
	for i := range 20 {
		b := string(rune('a' + i))
		deep += crlf("Content-Type: multipart/mixed; boundary="+b, "", "--"+b, "")
		ends = "\r\n--" + b + "--" + ends
	}
	refusals(t, MIME, map[string]refusal{
		"no header":           {"hello\r\n\r\n", ReasonMIME, 0},
		"continued first":     {" a: b\r\n\r\n", ReasonMIME, 0},
		"space in a name":     {"A b: c\r\n\r\n", ReasonMIME, 0},
		"type twice":          {crlf("Content-Type: text/plain", "content-type: text/html", "", ""), ReasonMIME, 26},
		"encoding twice":      {crlf("Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: base64", "", ""), ReasonMIME, 33},
		"broken type":         {crlf("Content-Type: text", "", ""), ReasonMIME, 0},
		"charset twice":       {crlf("Content-Type: text/plain; charset=utf-8; charset=utf-7", "", ""), ReasonMIME, 0},
		"continued boundary":  {crlf("Content-Type: multipart/mixed; boundary*0=a; boundary*1=b", "", ""), ReasonMIME, 0},
		"carriage return":     {"Subject: a\rb\r\n\r\n", ReasonMIME, 10},
		"NUL":                 {"Subject: a\r\n\r\n\x00", ReasonMIME, 14},
		"header not UTF-8":    {"Subject: \xe9\r\n\r\n", ReasonUTF8, 9},
		"no boundary":         {crlf("Content-Type: multipart/mixed", "", "x"), ReasonMIME, 33},
		"boundary not there":  {crlf("Content-Type: multipart/mixed; boundary=b", "", "x"), ReasonMIME, 46},
		"no end":              {crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "x"), ReasonMIME, 53},
		"longer boundary":     {crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "--bb", "--b--"), ReasonMIME, 52},
		"boundary of another": {crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: multipart/mixed; boundary=bc", "", "--bc--", "--b--"), ReasonMIME, 96},
		"coded multipart":     {crlf("Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: base64", "", "eA=="), ReasonMIME, 80},
		"junk in base64":      {crlf("Content-Transfer-Encoding: base64", "", "NDEx*MTEx"), ReasonMIMEEncoding, 37},
		"no padding":          {crlf("Content-Transfer-Encoding: base64", "", "NDExMQ"), ReasonMIMEEncoding, 37},
		"behind padding":      {crlf("Content-Transfer-Encoding: base64", "", "NDExMQ==NDEx"), ReasonMIMEEncoding, 37},
		"bare equals":         {crlf("Content-Transfer-Encoding: quoted-printable", "", "1=2"), ReasonMIMEEncoding, 48},
		"utf-7":               {crlf("Content-Type: text/plain; charset=utf-7", "", "x"), ReasonCharset, 43},
		"utf-16":              {crlf("Content-Type: text/plain; charset=utf-16", "", "x"), ReasonCharset, 44},
		"not its charset":     {crlf("Content-Type: text/plain; charset=shift_jis", "", "\x81"), ReasonCharset, 47},
		"not UTF-8":           {crlf("Content-Type: text/plain; charset=utf-8", "", "\xff"), ReasonUTF8, 43},
		"broken word":         {crlf("Subject: =?utf-8?b?***?=", "", ""), ReasonMIMEEncoding, 9},
		"word of no charset":  {crlf("Subject: =?x-none?q?a?=", "", ""), ReasonCharset, 9},
		"deep":                {deep + "\r\n\r\n" + ends, ReasonDepth, 17 * int64(len(crlf("Content-Type: multipart/mixed; boundary=a", "", "--a", "")))},
		"many headers":        {strings.Repeat("A: b\r\n", 100_001), ReasonValues, 600_000},
	})
}

// Whatever the encoding, the text is rewritten as plain text is.
func mimeProperties(t *testing.T, seed int) {
	d := newDetector(t)
	r := rand.New(rand.NewPCG(uint64(seed), 3))
	names := []string{"utf-8", "us-ascii", "windows-1252", "shift_jis", "gb18030", "koi8-r", "big5", "euc-kr", "iso-2022-jp"}
	name := names[r.IntN(len(names))]
	text := care().Example(seed)
	if strings.ContainsAny(text, ">\r\u200b") {
		text = strings.NewReplacer("\r", "", "\u200b", "").Replace(text)
	}
	coded := text
	if name != "utf-8" {
		enc, err := htmlindex.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		if coded, err = enc.NewEncoder().String(text); err != nil {
			name, coded = "utf-8", text
		} else if text, err = enc.NewDecoder().String(coded); err != nil || strings.ContainsRune(text, '\ufffd') {
			return
		}
	}
	transfers := []string{"8bit", "base64", "quoted-printable"}
	transfer := transfers[r.IntN(len(transfers))]
	body := coded
	switch transfer {
	case "base64":
		body = b64(coded)
	case "quoted-printable":
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		w.Binary = true
		_, _ = io.WriteString(w, coded)
		_ = w.Close()
		body = b.String()
	}
	head := "Content-Type: text/plain; charset=" + name + "\r\nContent-Transfer-Encoding: " + transfer + "\r\n\r\n"
	want, err := Parse(Text, []byte(text), d, nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := Parse(MIME, []byte(head+body), d, nil, Limits{})
	if err != nil {
		t.Fatalf("seed %d, %s in %s: %v", seed, transfer, name, err)
	}
	out, ok := strings.CutPrefix(string(doc.Rewrite(byDefault)), head)
	if !ok || len(want.Findings) == 0 && out != body {
		t.Fatalf("seed %d: more than the text changed", seed)
	}
	switch transfer {
	case "base64":
		b, err := base64.StdEncoding.DecodeString(out)
		if err != nil {
			t.Fatal(err)
		}
		out = string(b)
	case "quoted-printable":
		b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(out)))
		if err != nil {
			t.Fatal(err)
		}
		out = string(b)
	}
	if name != "utf-8" {
		enc, _ := htmlindex.Get(name)
		if out, err = enc.NewDecoder().String(out); err != nil {
			t.Fatal(err)
		}
	}
	if out != string(want.Rewrite(byDefault)) {
		t.Errorf("seed %d, %s in %s:\n%q became\n%q, want\n%q", seed, transfer, name, text, out, want.Rewrite(byDefault))
	}
}

func TestMIMEProperties(t *testing.T) {
	t.Parallel()
	for seed := range 1000 {
		mimeProperties(t, seed)
	}
}

func FuzzMIME(f *testing.F) {
	for _, s := range []string{
		crlf("Subject: =?utf-8?q?card_4111?= =?utf-8?b?MTExMQ==?=", "Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Transfer-Encoding: base64", "", "NDExMTExMTExMTExMTExMQ==", "--b",
			"Content-Type: text/html; charset=iso-8859-1", "Content-Transfer-Encoding: quoted-printable", "", "4111=\r\n<b>1111</b>1111=A01111", "--b--"),
		crlf("Content-Type: text/plain; charset=shift_jis; format=flowed", "", "> 4111 ", "> 1111 1111 1111"),
		crlf("Content-Type: message/rfc822", "", "Content-Type: text/csv", "", "a,ssn", "b,536228145"),
	} {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, raw []byte) { checkDoc(t, MIME, raw, d) })
}
