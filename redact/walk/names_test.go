package walk

import (
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// The name of a value may be another member of its object, as helpdesks and forms write
// their own fields.
func TestValueNamedByMember(t *testing.T) {
	t.Parallel()
	d, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		want redact.Class // empty for nothing
	}{
		"field":                    {`{"field":"ssn","value":"254136718"}`, redact.USSSN},
		"a name":                   {`{"name":"ssn","value":"254136718"}`, redact.USSSN},
		"a title":                  {`{"title":"Security code","value":"123"}`, redact.CardVerificationCode},
		"a question":               {`{"question":"What is your SSN?","answer":"254136718"}`, redact.USSSN},
		"behind another member":    {`{"id":4111,"label":"Card CVV","value":"123"}`, redact.CardVerificationCode},
		"an object inside":         {`{"a":{"name":"id"},"name":"ssn","value":"254136718"}`, redact.USSSN},
		"with escapes":             {`{"name":"\u0073sn","value":"254136718"}`, redact.USSSN},
		"something else":           {`{"field":"Serial","value":"4111111111111111"}`, ""},
		"a name of a number":       {`{"name":"Order number","value":"4111111111111111"}`, ""},
		"a name of an id":          {`{"name":"order_id","value":"4111111111111111"}`, ""},
		"the name of the object":   {`{"name":"ssn","more":{"value":"254136718"}}`, ""},
		"a value named by no text": {`{"name":["ssn"],"value":"254136718"}`, ""},
		"behind the value":         {`{"value":"254136718","name":"ssn"}`, ""},

		// The name of the object says what the value is, and the label no more than which.
		"SSN, a name":            {`{"ssn":{"name":"Main","value":"254136718"}}`, redact.USSSN},
		"SSN, a label":           {`{"ssn":{"label":"Home","value":"254136718"}}`, redact.USSSN},
		"SSN, a label of an id":  {`{"ssn":{"label":"Customer","value":"254136718"}}`, redact.USSSN},
		"tax id, a field":        {`{"taxId":{"field":"primary","value":"254136718"}}`, redact.USSSN},
		"CVV, a name":            {`{"cvv":{"name":"x","value":"123"}}`, redact.CardVerificationCode},
		"CVC, a label":           {`{"cvc":{"label":"Code","value":"123"}}`, redact.CardVerificationCode},
		"card, a label of an id": {`{"card_number":{"label":"Order","value":"4111111111111111"}}`, redact.CreditCard},
		"card, a name of an id":  {`{"card":{"name":"id","value":"4111111111111111"}}`, redact.CreditCard},
		"order, a label of data": {`{"order":{"label":"Card number","value":"4111111111111111"}}`, redact.CreditCard},

		"a name among fields":           {`{"fields":[{"name":"Parcel","value":"4111111111111111"}]}`, ""},
		"a name in an object of fields": {`{"properties":{"name":"Customer","value":"4111111111111111"}}`, redact.CreditCard},

		// A name is often that of somebody.
		"who speaks":         {`{"name":"customer","value":"4111111111111111"}`, redact.CreditCard},
		"a person":           {`{"name":"John Serial","value":"4111111111111111"}`, redact.CreditCard},
		"a title of a sheet": {`{"title":"My account","value":"4111111111111111"}`, redact.CreditCard},
		"a telephone":        {`{"name":"phone","value":"2125550147"}`, redact.Phone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(JSON, []byte(c.text), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got := redact.Class("")
			for _, f := range doc.Findings {
				if !f.Never || f.Strong {
					got = f.Class
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
