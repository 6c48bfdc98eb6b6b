package walk

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
)

func TestRewriteCSV(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"nothing":             {"id,text\r\n1,\"Hello, \"\"you\"\"\"\r\n2,\r\n", ""},
		"card":                {"id,text\n1,card 4111111111111111\n", "id,text\n1,card XXXXXXXXXXXX1111\n"},
		"quoted":              {"1,\"my \"\"card\"\" 4111 1111 1111 1111, thanks\"\n", "1,\"my \"\"card\"\" XXXX XXXX XXXX 1111, thanks\"\n"},
		"line in a cell":      {"a,\"x\r\n4111111111111111\r\n\"\r\n", "a,\"x\r\nXXXXXXXXXXXX1111\r\n\"\r\n"},
		"ssn by column":       {"name,ssn\nJo,536228145\n", "name,ssn\nJo,XXX-XX-XXXX\n"},
		"code by column":      {"card;cvv\n4222222222222;123\n", "card;cvv\nXXXXXXXXX2222;XXX\n"},
		"ids by column":       {"order_id,x\n4111111111111111,1\n", ""},
		"tabs":                {"order_id\tcvv\n4111111111111111\t123", "order_id\tcvv\n4111111111111111\tXXX"},
		"semicolons, commas":  {"a;b\n\"1,5\";4111111111111111\n", "a;b\n\"1,5\";XXXXXXXXXXXX1111\n"},
		"spread over columns": {"card1,card2,card3,card4\n4111,1111,1111,1111\n", "card1,card2,card3,card4\nXXXX,XXXX,XXXX,1111\n"},
		"spread behind words": {"Visa,4111,\"1111\",1111,1111,x\n", "Visa,XXXX,\"XXXX\",XXXX,1111,x\n"},
		"columns of numbers":  {"item,q1,q2,q3,q4\nbolts,4111,1111,1111,1111\n", ""},
		"byte order mark":     {"\xef\xbb\xbfssn\n536228145\n", "\xef\xbb\xbfssn\nXXX-XX-XXXX\n"},
		"formula":             {"a,=4111111111111111\n", "a,=XXXXXXXXXXXX1111\n"},
		"first row is data":   {"4111111111111111,x\n5555555555554444,y", "XXXXXXXXXXXX1111,x\nXXXXXXXXXXXX4444,y"},
		"empty lines":         {"\n\n4111111111111111\n\n", "\n\nXXXXXXXXXXXX1111\n\n"},
		"one column":          {"text\nhello 4111111111111111\n", "text\nhello XXXXXXXXXXXX1111\n"},
		"ragged":              {"a,b,c\n1\n4111111111111111,2,3,4,5\n", "a,b,c\n1\nXXXXXXXXXXXX1111,2,3,4,5\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want == "" {
				want = c.in
			}
			if got := rewritten(t, CSV, c.in); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			checkDoc(t, CSV, []byte(c.in), newDetector(t))
		})
	}
}

func TestCSVPaths(t *testing.T) {
	t.Parallel()
	doc, err := Parse(CSV, []byte("name,a/b\nJo,4111111111111111\n,,4111111111111111\n"), newDetector(t), nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Findings) != 2 || doc.Findings[0].Path != "/1/a~1b" || doc.Findings[1].Path != "/2/2" {
		t.Errorf("findings %+v", doc.Findings)
	}
}

func TestRefusedCSV(t *testing.T) {
	t.Parallel()
	refusals(t, CSV, map[string]refusal{
		"open quote":            {"a,\"b\n", ReasonCSV, 2},
		"behind a quote":        {"a,\"b\"c\n", ReasonCSV, 5},
		"quote inside":          {"a,b\"c\"\n", ReasonCSV, 3},
		"bare carriage return":  {"a,b\rc,d\n", ReasonCSV, 3},
		"carriage return, end":  {"a\r", ReasonCSV, 1},
		"NUL":                   {"a,\x00", ReasonCSV, 2},
		"not UTF-8":             {"a,\xff", ReasonUTF8, 2},
		"many cells in one row": {strings.Repeat(",", 100_000), ReasonValues, 100_000},
	})
}

// standardCSV reads what we accept with the library, which must agree.
func standardCSV(raw []byte) ([][]string, error) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	r := csv.NewReader(bytes.NewReader(raw))
	r.FieldsPerRecord = -1
	r.Comma = rune(separatorOf(raw))
	return r.ReadAll()
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n\"x\"\"y\",4111111111111111\r\n", "card1;card2\n4111;111111111111\n", "a\t\"b\n", "\xef\xbb\xbf,,\n"} {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := Parse(CSV, raw, d, nil, Limits{})
		if err != nil {
			return
		}
		before, err := standardCSV(raw)
		if err != nil {
			t.Fatalf("accepted what encoding/csv refuses: %v", err)
		}
		after, err := standardCSV(doc.Rewrite(byDefault))
		if err != nil || len(after) != len(before) {
			t.Fatalf("%d records became %d: %v", len(before), len(after), err)
		}
		for i := range before {
			if len(before[i]) != len(after[i]) {
				t.Fatalf("record %d: %d cells became %d", i, len(before[i]), len(after[i]))
			}
		}
		checkDoc(t, CSV, raw, d)
	})
}
