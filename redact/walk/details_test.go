package walk

import "testing"

// TestNumberedMembers are objects whose members hold a card in groups, and others.
func TestNumberedMembers(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, c := range map[string]struct{ in, want string }{
		"strings":            {`{"card1":"4111","card2":"1111","card3": "1111","card4":"1111"}`, `{"card1":"XXXX","card2":"XXXX","card3": "XXXX","card4":"XXXX"}`},
		"numbers":            {`{"a":"x","cc_1":4111,"cc_2":1111,"cc_3":1111,"cc_4":1111,"z":[1]}`, `{"a":"x","cc_1":null,"cc_2":null,"cc_3":null,"cc_4":null,"z":[1]}`},
		"numbers at the end": {`{"cc_1":4111,"cc_2":1111,"cc_3":1111,"cc_4":1111}`, `{"cc_1":null,"cc_2":null,"cc_3":null,"cc_4":null}`},
		"another card":       {`{"card1":"4111","card2":"1111","card3":"1111","card4":"1111","n":"4111111111111111"}`, `{"card1":"XXXX","card2":"XXXX","card3":"XXXX","card4":"XXXX","n":"XXXXXXXXXXXX1111"}`},
		"whole cards":        {`{"card1":"4111111111111111","card2":"5555555555554444"}`, `{"card1":"XXXXXXXXXXXX1111","card2":"XXXXXXXXXXXX4444"}`},
		"another name":       {`{"v1":"4111","v2":"1111","v3":"1111","v4":"1111"}`, ``},
		"several names":      {`{"card1":"4111","line2":"1111","card3":"1111","card4":"1111"}`, ``},
		"wrong check digit":  {`{"card1":"4111","card2":"1111","card3":"1111","card4":"1112"}`, ``},
		"others between":     {`{"card1":"4111","card2":{"a":1},"card3":"1111","card4":"1111"}`, ``},
		"escaped names":      {`{"card\u0031":"4111","card2":"1111"}`, ``},
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
			if got := string(doc.Rewrite(byDefault)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			for i := 1; i < len(doc.Findings); i++ {
				if doc.Findings[i].Start < doc.Findings[i-1].End {
					t.Errorf("findings %d and %d are not in order", i-1, i)
				}
			}
		})
	}
}

// A number whose groups are fields, and an expiry date in a field of its own, are
// found by the names of the fields.
func TestDetails(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, c := range map[string]struct {
		kind     Kind
		in, want string // masked, or empty for nothing
	}{
		"form, numbered":         {Form, `cc1=4111&cc2=1111&cc3=1111&cc4=1111&x=1`, `cc1=XXXX&cc2=XXXX&cc3=XXXX&cc4=XXXX&x=1`},
		"form, in brackets":      {Form, `card%5B1%5D=4111&card%5B2%5D=1111&card%5B3%5D=1111&card%5B4%5D=1111`, `card%5B1%5D=XXXX&card%5B2%5D=XXXX&card%5B3%5D=XXXX&card%5B4%5D=XXXX`},
		"form, tax number":       {Form, `name=jo&ssn1=536&ssn2=22&ssn3=8145`, `name=jo&ssn1=XXX&ssn2=XX&ssn3=XXXX`},
		"form, one name":         {Form, `ccnum%5B%5D=4111&ccnum%5B%5D=1111&ccnum%5B%5D=1111&ccnum%5B%5D=1111`, `ccnum%5B%5D=XXXX&ccnum%5B%5D=XXXX&ccnum%5B%5D=XXXX&ccnum%5B%5D=XXXX`},
		"form, one name, none":   {Form, `q%5B%5D=4111&q%5B%5D=1111&q%5B%5D=1111&q%5B%5D=1111`, ``},
		"cid":                    {JSON, `{"card_number":"4111111111111111","cid":"277"}`, `{"card_number":"XXXXXXXXXXXX1111","cid":"XXX"}`},
		"cid, a number":          {JSON, `{"cid":277,"card_number":"4111111111111111"}`, `{"cid":null,"card_number":"XXXXXXXXXXXX1111"}`},
		"cid of a customer":      {JSON, `{"cid":277,"name":"Jo"}`, ``},
		"cid, long":              {JSON, `{"card_number":"4111111111111111","cid":"27712"}`, `{"card_number":"XXXXXXXXXXXX1111","cid":"27712"}`},
		"code and date":          {JSON, `{"number":"4111111111111111","expiry":"12/27","code":"277"}`, `{"number":"XXXXXXXXXXXX1111","expiry":"XX/XX","code":"XXX"}`},
		"code without a date":    {JSON, `{"number":"4111111111111111","code":"200"}`, `{"number":"XXXXXXXXXXXX1111","code":"200"}`},
		"form, code and date":    {Form, `number=4111111111111111&exp_month=12&exp_year=2027&code=277`, `number=XXXXXXXXXXXX1111&exp_month=XX&exp_year=XXXX&code=XXX`},
		"columns, code and date": {CSV, "name,card,expiry,code\nJo,4111111111111111,12/27,277\n", "name,card,expiry,code\nJo,XXXXXXXXXXXX1111,XX/XX,XXX\n"},
		"form, not in a row":     {Form, `cc1=4111&cc2=1111&x=1&cc3=1111&cc4=1111`, ``},
		"form, other names":      {Form, `q1=4111&q2=1111&q3=1111&q4=1111`, ``},
		"form, no tax number":    {Form, `ssn1=000&ssn2=22&ssn3=8145`, ``},
		"first and second":       {JSON, `{"card_first":"4111","card_second":"1111","card_third":"1111","card_fourth":"1111"}`, `{"card_first":"XXXX","card_second":"XXXX","card_third":"XXXX","card_fourth":"XXXX"}`},
		"first, middle, last":    {JSON, `{"id":1,"ccFirst4":"4111","ccMiddle8":"11111111","ccLast4":"1111"}`, `{"id":1,"ccFirst4":"XXXX","ccMiddle8":"XXXXXXXX","ccLast4":"XXXX"}`},
		"letters":                {JSON, `{"card_a":4111,"card_b":1111,"card_c":1111,"card_d":1111}`, `{"card_a":null,"card_b":null,"card_c":null,"card_d":null}`},
		"named by the object":    {JSON, `{"card":{"group1":"4111","group2":"1111","group3":"1111","group4":"1111"}}`, `{"card":{"group1":"XXXX","group2":"XXXX","group3":"XXXX","group4":"XXXX"}}`},
		"area, group, serial":    {JSON, `{"ssn_area":"536","ssn_group":"22","ssn_serial":"8145"}`, `{"ssn_area":"XXX","ssn_group":"XX","ssn_serial":"XXXX"}`},
		"in the tax number":      {JSON, `{"ssn":{"area":"536","group":"22","serial":"8145"}}`, `{"ssn":{"area":"XXX","group":"XX","serial":"XXXX"}}`},
		"something in front":     {JSON, `{"order1":"77 of them, for all we know","start":"7","card1":"4111","card2":"1111","card3":"1111","card4":"1111"}`, `{"order1":"77 of them, for all we know","start":"7","card1":"XXXX","card2":"XXXX","card3":"XXXX","card4":"XXXX"}`},
		"scores":                 {JSON, `{"first":"4111","second":"1111","third":"1111","fourth":"1111"}`, ``},
		"last four only":         {JSON, `{"card_last4":"1111","card_first6":"411111"}`, ``},
		"month and year":         {JSON, `{"number":"4111111111111111","exp_month":12,"exp_year":2027}`, `{"number":"XXXXXXXXXXXX1111","exp_month":null,"exp_year":null}`},
		"month and year, camel":  {JSON, `{"expiryMonth":"03","expiryYear":"2027","holder":"Jo","number":"4111111111111111"}`, `{"expiryMonth":"XX","expiryYear":"XXXX","holder":"Jo","number":"XXXXXXXXXXXX1111"}`},
		"month and year, bare":   {JSON, `{"card":{"number":"4111111111111111","month":"3","year":"27"}}`, `{"card":{"number":"XXXXXXXXXXXX1111","month":"X","year":"XX"}}`},
		"in an object":           {JSON, `{"cardNumber":"4111111111111111","expiryDate":{"month":5,"year":2027}}`, `{"cardNumber":"XXXXXXXXXXXX1111","expiryDate":{"month":null,"year":null}}`},
		"expiry":                 {JSON, `{"pan":"4111111111111111","expiry":"12/27","amount":12}`, `{"pan":"XXXXXXXXXXXX1111","expiry":"XX/XX","amount":12}`},
		"year first":             {JSON, `{"card":{"number":"4111111111111111","expiry":"2027-12"}}`, `{"card":{"number":"XXXXXXXXXXXX1111","expiry":"XXXX-XX"}}`},
		"form, month and year":   {Form, `card%5Bnumber%5D=4111111111111111&card%5Bexp_month%5D=12&card%5Bexp_year%5D=27`, `card%5Bnumber%5D=XXXXXXXXXXXX1111&card%5Bexp_month%5D=XX&card%5Bexp_year%5D=XX`},
		"form, expiry, escaped":  {Form, `cardnumber=4111111111111111&exp-date=09%2F30`, `cardnumber=XXXXXXXXXXXX1111&exp-date=XX%2FXX`},
		"no card":                {JSON, `{"exp_month":12,"exp_year":2027,"expiry":"12/27"}`, ``},
		"a month of no year":     {JSON, `{"number":"4111111111111111","month":12}`, `{"number":"XXXXXXXXXXXX1111","month":12}`},
		"a time":                 {JSON, `{"number":"4111111111111111","exp":1795219200,"expires_in":1209}`, `{"number":"XXXXXXXXXXXX1111","exp":1795219200,"expires_in":1209}`},
		"a member that is no id": {JSON, `{"number":"4111111111111111","exp_month":13,"exp_year":1999}`, `{"number":"XXXXXXXXXXXX1111","exp_month":13,"exp_year":1999}`},
		"parts, numbered":        {Multipart, parts(field("cc1", "4111"), field("cc2", "1111"), field("cc3", "1111"), field("cc4", "1111"), field("x", "1")), parts(field("cc1", "XXXX"), field("cc2", "XXXX"), field("cc3", "XXXX"), field("cc4", "XXXX"), field("x", "1"))},
		"parts, tax number":      {Multipart, parts(field("ssn_area", "536"), field("ssn_group", "22"), field("ssn_serial", "8145")), parts(field("ssn_area", "XXX"), field("ssn_group", "XX"), field("ssn_serial", "XXXX"))},
		"parts, not in a row":    {Multipart, parts(field("cc1", "4111"), field("cc2", "1111"), field("x", "1"), field("cc3", "1111"), field("cc4", "1111")), ``},
		"parts, a file between":  {Multipart, parts(field("cc1", "4111"), field("cc2", "1111"), file("a.png", "image/png", "x"), field("cc3", "1111"), field("cc4", "1111")), ``},
		"parts, month and year":  {Multipart, parts(field("exp_month", "12"), field("exp_year", "27"), field("card", "4111111111111111")), parts(field("exp_month", "XX"), field("exp_year", "XX"), field("card", "XXXXXXXXXXXX1111"))},
		"parts, no card":         {Multipart, parts(field("exp_month", "12"), field("exp_year", "27")), ``},
		"elements, numbered":     {XML, `<p><card1>4111</card1><card2>1111</card2> <card3>1111</card3><card4> 1111 </card4></p>`, `<p><card1>XXXX</card1><card2>XXXX</card2> <card3>XXXX</card3><card4> XXXX </card4></p>`},
		"elements, a card":       {XML, `<c:card><c:group1>4111</c:group1><c:group2>1111</c:group2><c:group3>11&#49;1</c:group3><c:group4>1111</c:group4></c:card>`, `<c:card><c:group1>XXXX</c:group1><c:group2>XXXX</c:group2><c:group3>XXXX</c:group3><c:group4>XXXX</c:group4></c:card>`},
		"elements, tax number":   {XML, `<p><ssn1>536</ssn1><ssn2>22</ssn2><ssn3>8145</ssn3></p>`, `<p><ssn1>XXX</ssn1><ssn2>XX</ssn2><ssn3>XXXX</ssn3></p>`},
		"elements by attribute":  {XML, `<p><f name="ssn1">536</f><f name="ssn2">22</f><f name="ssn3">8145</f></p>`, `<p><f name="ssn1">XXX</f><f name="ssn2">XX</f><f name="ssn3">XXXX</f></p>`},
		"values by attribute":    {XML, `<p><f value="536" name="ssn1"/><f name="ssn2" value="22"/><f name="ssn3" value="8145"/></p>`, `<p><f value="XXX" name="ssn1"/><f name="ssn2" value="XX"/><f name="ssn3" value="XXXX"/></p>`},
		"attributes":             {XML, `<card a1='4111' a2='1111' a3="1111" a4="1111"/>`, `<card a1='XXXX' a2='XXXX' a3="XXXX" a4="XXXX"/>`},
		"attributes, expiry":     {XML, `<card number='4111111111111111' exp='12/27' id='12/27'/>`, `<card number='XXXXXXXXXXXX1111' exp='XX/XX' id='12/27'/>`},
		"elements, month, year":  {XML, `<card><expMonth>12</expMonth><expYear>2027</expYear><number>4111111111111111</number></card>`, `<card><expMonth>XX</expMonth><expYear>XXXX</expYear><number>XXXXXXXXXXXX1111</number></card>`},
		"elements, expiry":       {XML, `<r><number>4111111111111111</number><expiry>12/27</expiry></r>`, `<r><number>XXXXXXXXXXXX1111</number><expiry>XX/XX</expiry></r>`},
		"elements, no card":      {XML, `<r><exp_month>12</exp_month><exp_year>2027</exp_year></r>`, ``},
		"elements, other names":  {XML, `<r><ssn1>000</ssn1><ssn2>22</ssn2><ssn3>8145</ssn3></r>`, ``},
		"elements, something in": {XML, `<r><ssn1>536</ssn1><ssn2>22<b/></ssn2><ssn3>8145</ssn3></r>`, ``},
		"column":                 {CSV, "name,card,exp\nPat,4111 1111 1111 1111,10/28\n", "name,card,exp\nPat,XXXX XXXX XXXX 1111,XX/XX\n"},
		"column, other":          {CSV, "name,exp\nPat,10/28\n", ""},
		"columns":                {CSV, "card,exp month,exp year\n4111111111111111,10,28\n", "card,exp month,exp year\nXXXXXXXXXXXX1111,XX,XX\n"},
		"without names":          {CSV, "4111111111111111,10/28,123\n", "XXXXXXXXXXXX1111,XX/XX,XXX\n"},
		"without names, others":  {CSV, "4111111111111111,7,123\n", "XXXXXXXXXXXX1111,7,123\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(c.kind, []byte(c.in), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if want == "" {
				want = c.in
			}
			if got := string(doc.Rewrite(everything)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			checkDoc(t, c.kind, []byte(c.in), d)
		})
	}
}
