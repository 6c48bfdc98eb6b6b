package detect

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// identifiers asks only the family of identifiers, about all of text.
func identifiers(d *Detector, text []byte, key string) []redact.Finding {
	return d.findIDs(nil, text, 0, len(text), Hint{Key: key})
}

// FuzzIdentifiers: findings lie in the text, behind each other, and have a class, a
// rule and evidence; masked they are not found again; and nothing that stands
// farther away than the detector looks changes one.
func FuzzIdentifiers(f *testing.F) {
	src, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range strings.Split(string(src), "\n") {
		f.Add([]byte(line), "", "a")
	}
	for _, s := range identifierTexts {
		f.Add([]byte(s), "phone", "call 2125550147 ")
		f.Add([]byte(s), "", "4 1 1 1 ")
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, text []byte, key, far string) {
		found := identifiers(d, text, key)
		masked := bytes.Clone(text)
		at := 0
		for _, x := range found {
			if x.Start < at || x.End <= x.Start || x.End > len(text) || x.Class == "" || x.Rule == "" || x.Evidence == 0 || x.Confidence <= 0 || x.Confidence > 1 {
				t.Fatalf("finding %+v behind %d of %d", x, at, len(text))
			}
			at = x.End
			for i := x.Start; i < x.End; i++ {
				if b := masked[i]; isDigit(b) || isLetter(b) {
					masked[i] = 'X'
				}
			}
		}
		if again := identifiers(d, masked, key); len(again) > 0 {
			t.Fatalf("%q: found %+v again in %q", text, again, masked)
		}

		const space = " lorem ipsum dolor sit amet"
		pad := strings.Repeat(space, 1+LookBehind/len(space))
		tail := strings.Repeat(space, 1+LookAhead/len(space))
		alone := []byte(pad + " " + string(text) + tail)
		beside := []byte(far + pad + " " + string(text) + tail + far)
		a, b := identifiers(d, alone, ""), identifiers(d, beside, "")
		within := func(found []redact.Finding, from int) (out []redact.Finding) {
			for _, x := range found {
				if x.Start >= from && x.Start < from+len(pad)+len(text) {
					x.Start -= from
					x.End -= from
					out = append(out, x)
				}
			}
			return out
		}
		a, b = within(a, 0), within(b, len(far))
		if len(a) != len(b) {
			t.Fatalf("%d findings, and %d with other text far away", len(a), len(b))
		}
		for i := range a {
			if a[i] != b[i] {
				t.Fatalf("%+v, and %+v with other text far away", a[i], b[i])
			}
		}
	})
}

// identifierTexts are seeds.
var identifierTexts = []string{
	"My NHS number is 943 476 5919, NI AB 12 34 56 C, SIN 675-749-113, TFN 123456782", "Steuer-ID 86 095 742 719, sécu 2 95 10 99 126 111 93, DNI 12.345.678-Z, NIE X-1234567-L",
	"CF RSS MRA 85T10 A562S, BSN 1112.22.333, PESEL 44051401359, 811218-9876 811218+9876", "CPF 529.982.247-25 CNPJ 11.222.333/0001-81, 12.ABC.345/01DE-35",
	"Aadhaar 2341 2341 2346 PAN ABCPE1234F CURP HEGG560427MVZRRL04", "passport A12345678, 1EG4-TE5-MK73, NPI 1234567893, DEA AV7990751",
	"GB29 NWBK 6016 1331 9268 19 routing 021000021 account 1234567890", "+1 (212) 555-0147, (212) 555-0147x34, 020 7946 0018, 06 12 34 56 78 电话13812345678",
	"born March 12, 1985, 12 de marzo de 1985, 1985年3月12日, geb. 12.03.85, dob 19850312", "NIR 2 53 07 2B 073 004 70, Personnummer 19811218-9876",
}
