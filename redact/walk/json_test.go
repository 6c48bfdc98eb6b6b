package walk

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

func newDetector(t testing.TB) *detect.Detector {
	t.Helper()
	d, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func compile(t testing.TB, rules ...Rule) *Fields {
	t.Helper()
	f, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// byDefault is the built-in treatment of each class.
func byDefault(f redact.Finding) redact.Action {
	info, _ := redact.Lookup(string(f.Class))
	return info.Default
}

func TestRefusedJSON(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	f := compile(t, Rule{Pointer: "/text", Flags: Wanted}, Rule{Pointer: "/Token", Flags: Wanted})
	deep := strings.Repeat("[", 129) + strings.Repeat("]", 129)
	for name, c := range map[string]struct {
		in, reason string
		offset     int64
	}{
		"empty":                        {"", ReasonSyntax, 0},
		"white space only":             {" \n", ReasonSyntax, 2},
		"duplicate":                    {`{"a":1,"a":2}`, ReasonDuplicate, 7},
		"duplicate after unescaping":   {`{"a":1,"\u0061":2}`, ReasonDuplicate, 7},
		"duplicate below":              {`[{"x":{"a":1,"b":0,"a":2}}]`, ReasonDuplicate, 19},
		"case differs, name known":     {`{"Text":1,"text":2}`, ReasonAmbiguous, 10},
		"kelvin sign, name known":      {`{"Token":1,"toKen":2}`, ReasonAmbiguous, 11},
		"lone high surrogate":          {`["\ud800"]`, ReasonSurrogate, 2},
		"lone low surrogate":           {`["\udc00"]`, ReasonSurrogate, 2},
		"two high surrogates":          {`["\ud800\ud800"]`, ReasonSurrogate, 2},
		"high surrogate and text":      {`["\ud800abcdefgh"]`, ReasonSurrogate, 2},
		"invalid utf-8":                {"[\"a\xff\"]", ReasonUTF8, 3},
		"overlong":                     {"[\"\xc0\xaf\"]", ReasonUTF8, 2},
		"surrogate in utf-8":           {"[\"\xed\xa0\x80\"]", ReasonUTF8, 2},
		"byte order mark":              {"\xef\xbb\xbf{}", ReasonBOM, 0},
		"two documents":                {`{} {}`, ReasonTrailing, 3},
		"trailing comma in an object":  {`{"a":1,}`, ReasonSyntax, 7},
		"trailing comma in an array":   {`[1,]`, ReasonSyntax, 3},
		"nan":                          {`[NaN]`, ReasonSyntax, 1},
		"infinity":                     {`[-Infinity]`, ReasonSyntax, 1},
		"plus":                         {`[+1]`, ReasonSyntax, 1},
		"leading zero":                 {`[01]`, ReasonSyntax, 1},
		"no digit after point":         {`[1.]`, ReasonSyntax, 1},
		"no digit before point":        {`[.5]`, ReasonSyntax, 1},
		"no exponent":                  {`[1e]`, ReasonSyntax, 1},
		"hexadecimal":                  {`[0x10]`, ReasonSyntax, 1},
		"comment":                      {`[1/*c*/]`, ReasonSyntax, 2},
		"single quotes":                {`['a']`, ReasonSyntax, 1},
		"bare name":                    {`{a:1}`, ReasonSyntax, 1},
		"control character":            {"[\"a\tb\"]", ReasonSyntax, 3},
		"raw NUL":                      {"[\"a\x00b\"]", ReasonNUL, 3},
		"escaped NUL":                  {`["\u0000"]`, ReasonNUL, 2},
		"unknown escape":               {`["\x41"]`, ReasonSyntax, 2},
		"short escape":                 {`["\u00"]`, ReasonSyntax, 2},
		"open string":                  {`["abc`, ReasonSyntax, 5},
		"open string behind backslash": {`["abc\`, ReasonSyntax, 5},
		"open array":                   {`[1`, ReasonSyntax, 2},
		"open object":                  {`{"a"`, ReasonSyntax, 4},
		"too deep":                     {deep, ReasonDepth, 128},
		"wrong word":                   {`[trve]`, ReasonSyntax, 1},
		"word goes on":                 {`nullx`, ReasonTrailing, 4},
		"vertical tab":                 {"[1,\v2]", ReasonSyntax, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(JSON, []byte(c.in), d, f, Limits{})
			var r *Refusal
			if !errors.As(err, &r) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if r.Reason != c.reason || r.Offset != c.offset {
				t.Errorf("got %v, want %s at byte %d", r, c.reason, c.offset)
			}
		})
	}
	_, err := Parse(JSON, []byte("["+strings.Repeat("0,", 100_000)+"0]"), d, nil, Limits{})
	var r *Refusal
	if !errors.As(err, &r) || r.Reason != ReasonValues {
		t.Errorf("100,002 values: got %v", err)
	}
}

// Objects with many names take another path through the duplicate check.
func TestManyNames(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	var b strings.Builder
	b.WriteString(`{"o":{`)
	for i := range 5000 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"n`)
		b.WriteString(strings.Repeat("a", i%7))
		b.WriteString(itoa(i))
		b.WriteString(`":{"x":1,"y":2}`)
	}
	ok := b.String() + `},"p":1}`
	if _, err := Parse(JSON, []byte(ok), d, nil, Limits{}); err != nil {
		t.Error(err)
	}
	var r *Refusal
	if _, err := Parse(JSON, []byte(b.String()+`,"na1":0},"p":1}`), d, nil, Limits{}); !errors.As(err, &r) || r.Reason != ReasonDuplicate {
		t.Errorf("duplicate of the second name: got %v", err)
	}
	if _, err := Parse(JSON, []byte(b.String()+`},"p":1,"o":2}`), d, nil, Limits{}); !errors.As(err, &r) || r.Reason != ReasonDuplicate {
		t.Errorf("duplicate outside: got %v", err)
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func TestRewriteJSON(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, c := range map[string]struct{ in, want string }{
		"nothing to do":            {` { "id" : 35436, "text":"hello \u0041 / 2026" , "n":1.50e+3}`, ""},
		"card in a string":         {`{"text":"my card 4111 1111 1111 1111 ok"}`, `{"text":"my card XXXX XXXX XXXX 1111 ok"}`},
		"white space stays":        {"{\n \"text\" : \"4111111111111111\"\n}", "{\n \"text\" : \"XXXXXXXXXXXX1111\"\n}"},
		"escaped digits":           {`["\u0034111 1111 1111 111\u0031"]`, `["X` + `XXX XXXX XXXX 111\u0031"]`},
		"escaped separators":       {`["4111\n1111\n1111\n1111"]`, `["XXXX\nXXXX\nXXXX\n1111"]`},
		"escaped no-break space":   {`["4111\u00a01111\u00a01111\u00a01111"]`, `["XXXX\u00a0XXXX\u00a0XXXX\u00a01111"]`},
		"text after an emoji":      {`["\ud83d\ude00 4111111111111111 \ud83d\ude00 \u00e9"]`, `["\ud83d\ude00 XXXXXXXXXXXX1111 \ud83d\ude00 \u00e9"]`},
		"ssn":                      {`{"a":["536-22-8145"]}`, `{"a":["XXX-XX-XXXX"]}`},
		"bare ssn grows":           {`{"ssn":"536228145","b":"4111111111111111"}`, `{"ssn":"XXX-XX-XXXX","b":"XXXXXXXXXXXX1111"}`},
		"escaped ssn":              {`{"ssn":"53622814\u0035"}`, `{"ssn":"XXX-XX-XXXX"}`},
		"number":                   {`{"value":4111111111111111,"b":1}`, `{"value":null,"b":1}`},
		"negative number":          {`[-4111111111111111]`, `[null]`},
		"number with fraction":     {`[4111111111111111.0]`, `[null]`},
		"number with exponent":     {`[4.111111111111111e15,41111111111111110E-1,411111111111111.1e+1]`, `[null,null,null]`},
		"number that rounds":       {`[4111111111111110.9]`, `[null]`},
		"number in a string key":   {`{"ssn":536228145}`, `{"ssn":null}`},
		"fraction is none":         {`[0.4111111111111111,1.4111111111111111]`, ""},
		"huge exponent":            {`[4e999999999,1e-999999999,411111111111111100000]`, ""},
		"id key":                   {`{"id":4111111111111111,"order_id":"4111111111111111","ids":[4111111111111111]}`, ""},
		"bank account":             {`{"bank_account_number":"4111 1111 1111 1111","id":1}`, `{"bank_account_number":"XXXX XXXX XXXX 1111","id":1}`},
		"bank account, dashes":     {`{"bank_account_number":"4111-1111-1111-1111"}`, `{"bank_account_number":"XXXX-XXXX-XXXX-1111"}`},
		"bank account, below":      {`{"bank_account":{"number":"4111 1111 1111 1111"}}`, `{"bank_account":{"number":"XXXX XXXX XXXX 1111"}}`},
		"bank account, twice":      {`{"bank_account.account_number":"4111 1111 1111 1111"}`, `{"bank_account.account_number":"XXXX XXXX XXXX 1111"}`},
		"bank account, a label":    {`{"label":"bank account number","value":"4111 1111 1111 1111"}`, `{"label":"bank account number","value":"XXXX XXXX XXXX 1111"}`},
		"bank accounts":            {`{"bank_account_number":"4111111111111111 4242424242424242"}`, `{"bank_account_number":"XXXXXXXXXXXX1111 XXXXXXXXXXXX4242"}`},
		"bank accounts, comma":     {`{"bank_account_number":"4111111111111111,4242424242424242"}`, `{"bank_account_number":"XXXXXXXXXXXX1111,XXXXXXXXXXXX4242"}`},
		"bank account, a key":      {`{"bank_account_key":"4111111111111111","id_bank_account":"4111111111111111"}`, ""},
		"zendesk id":               {`{"id":4402126792468,"audit_id":4402126792468,"value":4402126792465}`, ""},
		"cvv by key":               {`{"card":{"cvv":"123","cvc":987}}`, `{"card":{"cvv":"XXX","cvc":null}}`},
		"track":                    {`["%B4111111111111111^DOE/JANE^26121010000000000000?"]`, `["%BXXXXXXXXXXXXXXXX^DOE/JANE^XXXXXXXXXXXXXXXXXXXX?"]`},
		"name of a member":         {`{"4111 1111 1111 1111":1}`, ""},
		"top-level string":         {`"4111111111111111"`, `"XXXXXXXXXXXX1111"`},
		"top-level number":         {`4111111111111111`, `null`},
		"json in a string":         {`{"payload":"{\"pan\":\"4111111111111111\",\"order_id\":\"4111111111111111\"}"}`, `{"payload":"{\"pan\":\"XXXXXXXXXXXX1111\",\"order_id\":\"4111111111111111\"}"}`},
		"many in one string":       {`["536-22-8145, \"4111111111111111\"\n5555555555554444"]`, `["XXX-XX-XXXX, \"XXXXXXXXXXXX1111\"\nXXXXXXXXXXXX4444"]`},
		"prose under an id key":    {`{"request":"please charge 4111111111111111"}`, `{"request":"please charge XXXXXXXXXXXX1111"}`},
		"array under a card key":   {`{"cards":["4222222222222"]}`, `{"cards":["XXXXXXXXX2222"]}`},
		"masked document is clean": {`{"text":"my card XXXX XXXX XXXX 1111 ok","ssn":"XXX-XX-XXXX"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(JSON, []byte(c.in), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if want == "" {
				want = c.in
			}
			got := doc.Rewrite(byDefault)
			if string(got) != want {
				t.Errorf("got  %s\nwant %s\nfindings %+v", got, want, doc.Findings)
			}
			if c.want == "" && &got[0] != &doc.raw[0] {
				t.Error("an unchanged document was copied")
			}
			again, err := Parse(JSON, got, d, nil, Limits{})
			if err != nil {
				t.Fatalf("the output does not parse: %v", err)
			}
			for _, f := range again.Findings {
				if !f.Never {
					t.Errorf("found again in the output: %+v", f)
				}
			}
		})
	}
}

// What this reader accepts, encoding/json accepts with the same values; what only
// we refuse has one of the reasons for which we mean to.
func agreesWithStandard(t *testing.T, d *detect.Detector, in []byte) {
	t.Helper()
	_, err := Parse(JSON, in, d, nil, Limits{Depth: 9000})
	std := json.Valid(in)
	if err == nil && !std {
		t.Errorf("accepted what encoding/json refuses")
	}
	var r *Refusal
	if errors.As(err, &r) && std && r.Reason == ReasonSyntax {
		t.Errorf("%v, and encoding/json accepts it", r)
	}
	if err == nil && !utf8.Valid(in) {
		t.Error("accepted invalid UTF-8")
	}
}

func TestFieldsAndCaptures(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	f := compile(t,
		Rule{Pointer: "/tickets/*", Flags: Unit},
		Rule{Pointer: "/tickets/*/id", Label: "record:ticket", Flags: Wanted | Never},
		Rule{Pointer: "/tickets/*/requester/email", Label: "subject:email", Flags: Wanted},
		Rule{Pointer: "/tickets/*/serial", Flags: Never},
		Rule{Pointer: "/**/url", Label: "url", Flags: URL},
		Rule{Pointer: "/next_page", Label: "url", Flags: URL},
		Rule{Pointer: "/tickets/*/charge", Flags: PaymentReference},
		Rule{Pointer: "/meta/**", Flags: Never},
		Rule{Pointer: "/meta/a~1b", Label: "escaped", Flags: Wanted},
		Rule{Pointer: "/list/1", Label: "second", Flags: Wanted},
		Rule{Pointer: "/whole", Label: "whole", Flags: Wanted},
	)
	in := `{"tickets":[{"id":1,"requester":{"email":"a\u0040b.example"},"url":"https:\/\/x.example\/1","serial":"4111111111111111"},` +
		`{"id":2,"note":"card 4111 1111 1111 1111","charge":"ch_3Oabc","serial":"card 4111 1111 1111 1111"}],` +
		`"next_page":null,"meta":{"a/b":7,"deep":[{"x":"4111 1111 1111 1111"}]},"list":[1,2,3],"whole":{"x":[1]}}`
	doc, err := Parse(JSON, []byte(in), d, f, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if doc.Units != 2 {
		t.Errorf("%d units, want 2", doc.Units)
	}
	var got []string
	for _, c := range doc.Captures {
		got = append(got, c.Label+" "+c.Path+" "+itoa(c.Unit)+" "+string(doc.Value(c)))
	}
	want := []string{
		"record:ticket /tickets/0/id 1 1",
		"subject:email /tickets/0/requester/email 1 a@b.example",
		"url /tickets/0/url 1 https://x.example/1",
		"record:ticket /tickets/1/id 2 2",
		"url /next_page 0 null",
		"escaped /meta/a~1b 0 7",
		"second /list/1 0 2",
		`whole /whole 0 {"x":[1]}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("captures\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	type short struct {
		Class         redact.Class
		Path          string
		Never, Strong bool
		Unit          int
	}
	var found []short
	for _, x := range doc.Findings {
		found = append(found, short{x.Class, x.Path, x.Never, x.Strong, x.Unit})
	}
	wantFound := []short{
		{redact.Email, "/tickets/0/requester/email", false, false, 1},
		{redact.CreditCard, "", true, false, 1},
		{redact.CreditCard, "/tickets/1/note", false, true, 2},
		{redact.PaymentReference, "/tickets/1/charge", false, true, 2},
		{redact.CreditCard, "/tickets/1/serial", true, true, 2},
		{redact.CreditCard, "/meta/deep/0/x", true, true, 0},
	}
	if len(found) != len(wantFound) {
		t.Fatalf("findings %+v\nwant %+v", found, wantFound)
	}
	for i := range found {
		if found[i] != wantFound[i] {
			t.Errorf("finding %d: %+v, want %+v", i, found[i], wantFound[i])
		}
	}
	out := doc.Rewrite(byDefault, doc.SetString(doc.Captures[2], "http://127.0.0.1:8080/1?\"x\""), doc.SetString(doc.Captures[4], "u"))
	for _, part := range []string{`"url":"http://127.0.0.1:8080/1?\"x\""`, `"next_page":"u"`, `"card XXXX XXXX XXXX 1111"`, `"charge":"XX_XXXXX"`, `"serial":"4111111111111111"`} {
		if !strings.Contains(string(out), part) {
			t.Errorf("%s is not in %s", part, out)
		}
	}
	if !json.Valid(out) {
		t.Error("the output is no JSON")
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"a", "a/b", "/a~", "/a~2b", "/~1~"} {
		if _, err := Compile([]Rule{{Pointer: p}}); err == nil {
			t.Errorf("%q was accepted", p)
		}
	}
	var many []Rule
	for i := range 18 {
		many = append(many, Rule{Pointer: "/**/" + string(rune('a'+i)) + strings.Repeat("/*", i)})
	}
	if _, err := Compile(many); err == nil {
		t.Error("an automaton of unbounded size was accepted")
	}
}

func TestMaskedWrites(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	f := compile(t,
		Rule{Pointer: "/t/*", Flags: Overwrite},
		Rule{Pointer: "/tags/*", Flags: Overwrite},
	)
	const m = `"XXXX XXXX XXXX 1111"`
	for name, c := range map[string]struct {
		in, want string
		blocked  int
	}{
		"none":            {`{"t":{"a":"x"}}`, `{"t":{"a":"x"}}`, 0},
		"only member":     {`{"t":{ "a" : ` + m + ` }}`, `{"t":{  }}`, 0},
		"first":           {`{"t":{"a":` + m + ` , "b":1,"c":2}}`, `{"t":{"b":1,"c":2}}`, 0},
		"middle":          {`{"t":{"b":1,"a":` + m + `,"c":2}}`, `{"t":{"b":1,"c":2}}`, 0},
		"last":            {`{"t":{"b":1,"a":"XXX-XX-XXXX"}}`, `{"t":{"b":1}}`, 0},
		"all of three":    {`{"t":{"a":` + m + `,"b":` + m + `,"c":` + m + `}}`, `{"t":{}}`, 0},
		"first two":       {`{"t":{"a":` + m + `,"b":` + m + `,"c":3}}`, `{"t":{"c":3}}`, 0},
		"first and third": {`{"t":{"a":` + m + `,"b":2,"c":` + m + `}}`, `{"t":{"b":2}}`, 0},
		"elements":        {`{"tags":["XXX-XX-XXXX","y",` + m + `]}`, `{"tags":["y"]}`, 0},
		"elsewhere":       {`{"u":` + m + `,"t":{"a":1}}`, `{"u":` + m + `,"t":{"a":1}}`, 1},
		"inside":          {`{"t":{"b":1,"a":{"id":2,"v":[` + m + `]}}}`, `{"t":{"b":1}}`, 0},
		"element inside":  {`{"tags":[{"id":1,"v":` + m + `},{"id":2,"v":"x"}]}`, `{"tags":[{"id":2,"v":"x"}]}`, 0},
		"escaped":         {`{"t":{"a":"\u0058XXX XXXX XXXX 1111"}}`, `{"t":{}}`, 0},
		"an account":      {`{"t":{"a":1,"iban":"XXXX XXXX XXXX XXXX XXXX XX"}}`, `{"t":{"a":1}}`, 0},
		"removed":         {`{"t":{"a":"pw [removed]"}}`, `{"t":{}}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(JSON, []byte(c.in), d, f, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			edits, blocked := doc.MaskedWrites()
			got := string(doc.Rewrite(byDefault, edits...))
			if got != c.want || blocked != c.blocked {
				t.Errorf("got %s and %d blocked, want %s and %d", got, blocked, c.want, c.blocked)
			}
			if !json.Valid([]byte(got)) {
				t.Error("the output is no JSON")
			}
		})
	}
}

// Many findings under long names: their paths take no more memory than the findings.
func TestPathsStayShort(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("é_", 2000)
	card := `"4111111111111111",`
	xml := func(n int) string {
		return strings.Repeat("<"+name+">", 20) + strings.Repeat("<c>4111111111111111</c>", n) + strings.Repeat("</"+name+">", 20)
	}
	for kind, raw := range map[Kind]string{
		JSON: strings.Repeat(`{"`+name+`":[`, 20) + strings.Repeat(card, 500) + "1" + strings.Repeat("]}", 20),
		XML:  xml(500),
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(kind, []byte(raw), newDetector(t), nil, Limits{})
			if err != nil || len(doc.Findings) != 500 {
				t.Fatalf("%d findings, %v", len(doc.Findings), err)
			}
			for i, f := range doc.Findings {
				if len(f.Path) > maxAround+20 || !utf8.ValidString(f.Path) || !strings.HasPrefix(f.Path, "/é_é_") || !strings.Contains(f.Path, "\u2026") {
					t.Fatalf("finding %d: a path of %d bytes", i, len(f.Path))
				}
			}
		})
	}
}
