package walk

import "testing"

func TestAlone(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, c := range map[string]struct {
		kind     Kind
		in, want string // the value, empty when something else stands beside it
	}{
		"string":         {JSON, `{"gift":"4111111111111111"}`, "4111111111111111"},
		"number":         {JSON, `{"gift":4111111111111111}`, "4111111111111111"},
		"escaped":        {JSON, `{"gift":"\u0034111111111111111"}`, "4111111111111111"},
		"lines":          {NDJSON, "{\"gift\":\"4111111111111111\"}\n", "4111111111111111"},
		"form":           {Form, "gift=4111111111111111&x=1", "4111111111111111"},
		"form, at last":  {Form, "x=1&gift=4111+1111+1111+1111", "4111 1111 1111 1111"},
		"text around":    {JSON, `{"note":"take 4111111111111111"}`, ""},
		"text behind":    {JSON, `{"note":"4111111111111111 please"}`, ""},
		"quoted":         {JSON, `{"note":"take \"4111111111111111\""}`, ""},
		"form, text":     {Form, "note=take+4111111111111111", ""},
		"text":           {Text, "4111111111111111", ""},
		"cell":           {CSV, "a,gift\n1,4111111111111111\n", ""},
		"the name of it": {JSON, `{"4111 1111 1111 1111":1}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(c.kind, []byte(c.in), d, nil, Limits{})
			if err != nil || len(doc.Findings) != 1 {
				t.Fatalf("%v, %+v", err, doc)
			}
			got, ok := doc.Alone(doc.Findings[0])
			if string(got) != c.want || ok != (c.want != "") {
				t.Errorf("got %q and %v, want %q", got, ok, c.want)
			}
		})
	}
}
