package walk

import "testing"

// TestNumbered are objects whose members hold a card in groups, and others.
func TestNumbered(t *testing.T) {
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
