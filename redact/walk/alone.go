package walk

import (
	"bytes"

	"github.com/caregate/caregate/redact"
)

// Alone returns the decoded value in which f stands when there is nothing else in it:
// a member of JSON, a field of a form. For a finding in running text, and in bodies of
// other kinds, ok is false.
func (d *Doc) Alone(f redact.Finding) (value []byte, ok bool) {
	raw := d.raw
	if d.sources != nil || f.Path == "" || f.Start <= 0 || f.End > len(raw) {
		return nil, false
	}
	before, behind := raw[:f.Start], raw[f.End:]
	switch {
	case f.Place == redact.PlaceNumber:
		return raw[f.Start:f.End], true
	case f.Place != redact.PlaceText:
		return nil, false
	case d.Kind == Form:
		ok = before[f.Start-1] == '=' && (len(behind) == 0 || behind[0] == '&')
	case d.Kind == JSON || d.Kind == NDJSON:
		ok = before[f.Start-1] == '"' && !bytes.HasSuffix(before, []byte(`\"`)) && len(behind) > 0 && behind[0] == '"'
	}
	if !ok {
		return nil, false
	}
	kind := d.Kind
	if kind == NDJSON {
		kind = JSON
	}
	return decode(kind, raw[f.Start:f.End]), true
}
