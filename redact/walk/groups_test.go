package walk

import (
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"groups":              {`{"card":["4111","1111", "1111" ,"1111"]}`, `{"card":["XXXX","XXXX", "XXXX" ,"XXXX"]}`},
		"numbers":             {`{"card_number":[4111,1111,1111,1111],"a":1}`, `{"card_number":[null,null,null,null],"a":1}`},
		"digits":              {`{"pan":["4","1","1","1","1","1","1","1","1","1","1","1","1","1","1","1"]}`, `{"pan":["X","X","X","X","X","X","X","X","X","X","X","X","X","X","X","X"]}`},
		"digits of something": {`{"digits":[4,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}`, `{"digits":[null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null]}`},
		"another name":        {`{"counts":["4111","1111","1111","1111"]}`, ""},
		"no card":             {`{"card":["4111","1111","1111","1112"]}`, ""},
		"no name":             {`["4111","1111","1111","1111"]`, `["XXXX","XXXX","XXXX","XXXX"]`},
		"a neutral name":      {`{"parts":["4539","5787","6362","1486"]}`, `{"parts":["XXXX","XXXX","XXXX","XXXX"]}`},
		"two neutral names":   {`{"fieldValues":["4539","5787","6362","1486"]}`, `{"fieldValues":["XXXX","XXXX","XXXX","XXXX"]}`},
		"in capitals":         {`{"PARTS":["4539","5787","6362","1486"]}`, `{"PARTS":["XXXX","XXXX","XXXX","XXXX"]}`},
		"capitals, two names": {`{"FIELD_VALUES":["4539","5787","6362","1486"]}`, `{"FIELD_VALUES":["XXXX","XXXX","XXXX","XXXX"]}`},
		"capitals, digits":    {`{"DIGITS":[4,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}`, `{"DIGITS":[null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null]}`},
		"capitals of more":    {`{"ROOM_ITEMS":["4539","5787","6362","1486"]}`, ""},
		"neutral, numbers":    {`{"parts":[4539,5787,6362,1486]}`, ""},
		"neutral, no card":    {`{"parts":["4539","5787","6362","1487"]}`, ""},
		"neutral, no issuer":  {`{"parts":["2019","2020","2021","2024"]}`, ""},
		"neutral, five":       {`{"parts":["4539","5787","6362","1486","1234"]}`, ""},
		"a name of ids":       {`{"order_ids":["4539","5787","6362","1486"]}`, ""},
		"a name of more":      {`{"room_items":["4539","5787","6362","1486"]}`, ""},
		"something between":   {`{"card":["4111","x","1111","1111","1111"]}`, ""},
		"nested":              {`{"card":[["4111","1111"],["1111","1111"]]}`, ""},
		"whole numbers":       {`{"card":["4111111111111111","5555555555554444"]}`, `{"card":["XXXXXXXXXXXX1111","XXXXXXXXXXXX4444"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want == "" {
				want = c.in
			}
			if got := rewritten(t, JSON, c.in); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			checkDoc(t, JSON, []byte(c.in), newDetector(t))
		})
	}
	doc, err := Parse(JSON, []byte(`{"card":["4111","1111","1111","1111"]}`), newDetector(t), nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if f := doc.Findings[3]; len(doc.Findings) != 4 || f.Path != "/card/3" || f.Evidence&redact.EvidenceSplit == 0 || f.Start != 31 || f.End != 35 {
		t.Errorf("%+v", doc.Findings)
	}
	never, err := Parse(JSON, []byte(`{"card":["4111","1111","1111","1111"]}`), newDetector(t), compile(t, Rule{Pointer: "/card/*", Flags: Never}), Limits{})
	if err != nil || !never.Findings[0].Never {
		t.Errorf("%v, %+v", err, never)
	}
}
