package walk

import (
	"fmt"
	"strings"
	"testing"
)

// repeated makes a document of at least 256 KiB.
func repeated(head, s, tail string) []byte {
	return []byte(head + strings.Repeat(s, (256<<10)/len(s)+1) + tail)
}

// kindBodies are ordinary documents of each kind, in one of a hundred of whose
// texts something is found, and documents made to be slow.
func kindBodies() map[Kind]map[string][]byte {
	prose := "Hello, the parcel of order 48213377 has not arrived yet and nobody answers when I call since 10:30. "
	seldom := func(s string) string {
		return strings.Repeat(fmt.Sprintf(s, prose), 60) + fmt.Sprintf(s, "my card is 4111 1111 1111 1111")
	}
	rows := "id,created_at,subject,body\r\n"
	return map[Kind]map[string][]byte{
		HTML: {
			"ordinary":    repeated("<!doctype html><html><body>", seldom("<div class=\"comment\" id=\"c1900000000001\"><p>%s<br>&nbsp;Best regards</p></div>\n"), ""),
			"references":  repeated("", "&#52;", ""),
			"names":       repeated("", "&nbsp4&Mu;&a", ""),
			"tags":        repeated("", "4<b>", ""),
			"brackets":    repeated("", "<", ""),
			"attributes":  repeated("<p ", "a1=4111111111111111 ", ">"),
			"cards":       repeated("", "4111<b></b>1111 1111 1111 ", ""),
			"white space": repeated("", "4 \n", ""),
			"comments":    repeated("", "4<!--4-->", ""),
		},
		XML: {
			"ordinary":   repeated("<r>", seldom("<item id=\"1900000000001\"><created>2026-01-02T03:04:05Z</created><body>%s</body></item>\n"), "</r>"),
			"references": repeated("<r>", "&#52;", "</r>"),
			"elements":   repeated("<r>", "<a>4</a>", "</r>"),
			"sections":   repeated("<r>", "4<![CDATA[4]]>", "</r>"),
			"attributes": repeated("<r>", "<a a='4111111111111111' b='4' c='5' d='6'/>", "</r>"),
			"cards":      repeated("<r>", "<a>4111</a><a>1111 1111 1111</a>", "</r>"),
		},
		CSV: {
			"ordinary":  repeated(rows, seldom("1900000000001,2026-01-02T03:04:05Z,\"Delivery, late\",\"%s\"\r\n"), ""),
			"digits":    repeated("card,b\n", "4,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1\n", ""),
			"quotes":    repeated("", "\"\"\"\"\"\"\"\"\"\",", ""),
			"cells":     repeated("", ",,,,,,,,,\n", ""),
			"cards":     repeated("card,b,c,d\n", "4111,1111,1111,1111\n", ""),
			"no header": repeated("", "4111111111111111\n", ""),
		},
		Multipart: {
			"ordinary": []byte(strings.TrimSuffix(strings.Repeat("--b\r\n"+field("comment", prose+prose+prose)+"\r\n", 800), "") + "--b\r\n" + field("a", "4111111111111111") + "\r\n--b--"),
			"parts":    []byte(strings.Repeat("--b\r\n"+field("a", "4")+"\r\n", 5000) + "--b--"),
			"hyphens":  []byte("--b\r\n" + field("a", strings.Repeat("--b", 90_000)) + "\r\n--b--"),
			"cards":    []byte(strings.Repeat("--b\r\n"+field("a", "4111111111111111")+"\r\n", 4000) + "--b--"),
		},
		MIME: {
			"ordinary":         repeated("Subject: Delivery\r\n\r\n", seldom("%s\r\n"), ""),
			"quoted-printable": repeated("Content-Transfer-Encoding: quoted-printable\r\n\r\n", "=34=31=31=\r\n", ""),
			"base64":           []byte("Content-Transfer-Encoding: base64\r\n\r\n" + b64(strings.Repeat("4111 1111 1111 1111 ", 13_000))),
			"charset":          repeated("Content-Type: text/plain; charset=shift_jis\r\n\r\n", "\x83J\x81[\x83h 4111111111111111 ", ""),
			"headers":          repeated("", "A: 4111111111111111\r\n", "\r\n"),
			"encoded words":    repeated("Subject: ", "=?utf-8?q?4?= ", "\r\n\r\n"),
			"quotations":       repeated("Subject: s\r\n\r\n", "> > 4\r\n", ""),
			"boundaries":       repeated("Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\n4\r\n", "--b--"),
		},
		SSE: {
			"ordinary": repeated("", seldom("id: 1900000000001\nevent: message\ndata: {\"text\":\"%s\"}\n\n"), ""),
			"fields":   repeated("", "data:4\n", "\n")[:1<<17],
			"events":   repeated("", "data: 4\n\n", ""),
			"cards":    repeated("", "data: [\"4111111111111111\",\ndata: 4]\n\n", ""),
		},
	}
}

// The floor is 50 MB/s, whatever the document.
func BenchmarkKinds(b *testing.B) {
	d := newDetector(b)
	for kind := JSON; int(kind) < len(kindNames); kind++ {
		for name, raw := range kindBodies()[kind] {
			b.Run(kind.String()+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(raw)))
				b.ReportAllocs()
				done := cpuRate(b, len(raw))
				for b.Loop() {
					doc, err := Parse(kind, raw, d, nil, Limits{Values: 1 << 30, Line: 1 << 30})
					if err != nil {
						b.Fatal(err)
					}
					doc.Rewrite(byDefault)
				}
				done()
			})
		}
	}
}

// What the detector alone makes of the same.
func BenchmarkKindsText(b *testing.B) {
	d := newDetector(b)
	for name, raw := range map[string][]byte{"cards": repeated("", "4111111111111111\n", ""), "groups": repeated("", "4111 1111 1111 1111 ", ""), "pairs": repeated("", "4\n", "")} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			done := cpuRate(b, len(raw))
			for b.Loop() {
				doc, err := Parse(Text, raw, d, nil, Limits{})
				if err != nil {
					b.Fatal(err)
				}
				doc.Rewrite(byDefault)
			}
			done()
		})
	}
}
