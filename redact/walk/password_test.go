package walk

import (
	"testing"

	"github.com/caregate/caregate/redact"
)

// A password is found by the name of its field, whatever it looks like; what is told
// about passwords in such fields is none.
func TestPasswordByName(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, c := range map[string]struct {
		kind Kind
		in   string
		want string // masked, or empty for nothing
	}{
		"letters only":           {JSON, `{"login":"jo","password":"sunshine"}`, `{"login":"jo","password":"XXXXXXXX"}`},
		"short":                  {JSON, `{"password":"abcd"}`, `{"password":"XXXX"}`},
		"digits only":            {JSON, `{"user":{"passwd":"12345678"}}`, `{"user":{"passwd":"XXXXXXXX"}}`},
		"a number":               {JSON, `{"password":123456}`, `{"password":null}`},
		"escaped":                {JSON, `{"pass\u0077ord":"sun\u0073hine"}`, `{"pass\u0077ord":"XXXXXXXX"}`},
		"camel case":             {JSON, `{"userPassword":"sunshine","dbPassphrase":"opensesame"}`, `{"userPassword":"XXXXXXXX","dbPassphrase":"XXXXXXXXXX"}`},
		"confirmation":           {JSON, `{"password_confirmation":"sunshine","password2":"sunshine"}`, `{"password_confirmation":"XXXXXXXX","password2":"XXXXXXXX"}`},
		"pass, strong":           {JSON, `{"pass":"sun-shine7"}`, `{"pass":"XXX-XXXXXX"}`},
		"form":                   {Form, `user=jo&password=sunshine&x=1`, `user=jo&password=XXXXXXXX&x=1`},
		"form, brackets":         {Form, `user%5Bpassword%5D=letmein`, `user%5Bpassword%5D=XXXXXXX`},
		"column":                 {CSV, "user,password\njo,sunshine\n", "user,password\njo,XXXXXXXX\n"},
		"element":                {XML, `<login><password>sunshine</password></login>`, `<login><password>XXXXXXXX</password></login>`},
		"placeholder":            {JSON, `{"password":"********","passwd":"[removed]","pwd":"${DB_PASSWORD}"}`, ""},
		"a state":                {JSON, `{"password":"required","passwd":"expired","pwd":"null"}`, ""},
		"a label":                {JSON, `{"password":"Password","passwort":"Ihr Passwort eingeben"}`, ""},
		"asked about":            {JSON, `{"forgot_password":"nevermind","hasPassword":"probably","reset_password":"tomorrow"}`, ""},
		"an address":             {JSON, `{"password":"https://example.com/reset"}`, ""},
		"a path":                 {JSON, `{"password":"/account/password/edit"}`, ""},
		"pass, another":          {JSON, `{"boarding_pass":"M1DOE-44K2","event_pass":"B4-7781"}`, ""},
		"pass, of a login":       {JSON, `{"smtp_pass":"sun-shine7"}`, `{"smtp_pass":"XXX-XXXXXX"}`},
		"pass, a word":           {JSON, `{"pass":"economy"}`, ""},
		"another name":           {JSON, `{"word":"sunshine","compass":"northwest","passengers":"several"}`, ""},
		"told about the field":   {JSON, `{"password":{"type":"string","hint":"sunshine"}}`, ""},
		"our own mask once more": {JSON, `{"password":"XXXXXXXX"}`, ""},
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
			got := string(doc.Rewrite(func(f redact.Finding) redact.Action {
				if f.Class == redact.Password {
					return redact.Mask
				}
				return redact.Allow
			}))
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			checkDoc(t, c.kind, []byte(c.in), d)
		})
	}
}
