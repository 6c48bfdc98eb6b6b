package channel

import (
	"encoding/json"
	"strings"
)

// Place is where a value stands in a document of JSON: the names on the way to it,
// through objects. nil is no place.
type Place []string

// PlaceOf takes a JSON Pointer apart (RFC 6901); nil for an empty one.
func PlaceOf(pointer string) Place {
	if pointer == "" {
		return nil
	}
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[i])
	}
	return parts
}

// String writes p as a JSON Pointer.
func (p Place) String() string {
	var b strings.Builder
	for _, name := range p {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return b.String()
}

// Value is what stands there in v, which was decoded from JSON; nil when the way leads
// nowhere.
func (p Place) Value(v any) any {
	if p == nil {
		return nil
	}
	for _, name := range p {
		o, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = o[name]
	}
	return v
}

// Text is Value as text when it is a string or a number that was decoded as
// json.Number; empty otherwise.
func (p Place) Text(v any) string {
	switch v := p.Value(v).(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// remove deletes the member that stands there.
func (p Place) remove(v any) {
	if len(p) == 0 {
		return
	}
	if o, ok := Place(p[:len(p)-1]).Value(v).(map[string]any); ok {
		delete(o, p[len(p)-1])
	}
}
