package console

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// member is one member that a body may have, with the variable it goes to.
type member struct {
	name string
	into any
}

// decodeObject reads one flat JSON object. It refuses what two readers could
// understand differently, and what a misspelling would silently leave out:
// unknown members, members in another case, members given twice, a second
// document, invalid UTF-8. An empty body is an empty object.
//
// encoding/json alone would match names without regard to case and let the last
// of two equal members win.
func decodeObject(body []byte, members ...member) *Refusal {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if !utf8.Valid(body) {
		return refuse(reasonSyntax, "not UTF-8", nil)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return refuse(reasonSyntax, "want one object", nil)
	}
	seen := make(map[string]bool, len(members))
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return refuse(reasonSyntax, "", nil)
		}
		var into any
		for _, m := range members {
			if m.name == name {
				into = m.into
			}
		}
		switch {
		case into == nil:
			return refuse(reasonInvalid, "unknown member; there are: "+memberNames(members), nil)
		case seen[name]:
			return refuse(reasonInvalid, name+" is given twice", nil)
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return refuse(reasonSyntax, "", nil)
		}
		if err := json.Unmarshal(value, into); err != nil || string(value) == "null" {
			return refuse(reasonInvalid, name+" has another type", nil)
		}
	}
	if _, err := dec.Token(); err != nil {
		return refuse(reasonSyntax, "the object does not end", nil)
	}
	if _, err := dec.Token(); err != io.EOF {
		return refuse(reasonSyntax, "something follows the object", nil)
	}
	return nil
}

func memberNames(members []member) string {
	var b []byte
	for i, m := range members {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, m.name...)
	}
	return string(b)
}

// isText tells whether s is 1 to limit bytes of printable text on one line.
func isText(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for _, r := range s {
		// The replacement character is what a lone surrogate was turned into.
		if r < ' ' || r == 0x7f || r == utf8.RuneError || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 {
			return false
		}
	}
	return true
}
