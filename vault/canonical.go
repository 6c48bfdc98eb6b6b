package vault

import (
	"log/slog"
	"strings"
)

// Ident is one way to recognise a person. Its Value is personal: however an Ident
// is printed it shows its kind only.
type Ident struct {
	// Kind is "email", "phone" or "<channel>:<object>", as "zendesk:user".
	Kind string
	// Value is the value as it stands in the call.
	Value string
}

// String shows the kind only.
func (i Ident) String() string { return i.Kind + ":[personal]" }

// GoString shows the kind only.
func (i Ident) GoString() string { return i.String() }

// MarshalJSON shows a fixed word.
func (i Ident) MarshalJSON() ([]byte, error) { return []byte(`"[personal]"`), nil }

// LogValue shows the kind only.
func (i Ident) LogValue() slog.Value { return slog.StringValue(i.String()) }

// appendCanonical appends the form under which equal people meet. E-mail
// addresses lose surrounding space and case: nearly every mail system ignores
// case, and two keys for one person would leave a half behind at an erasure.
// Phone numbers keep their digits, without the international 00 and without an
// extension; country codes are not guessed. Everything else, vendors' ids above
// all, stays as it is. Nothing appended means that there is nobody to find.
func appendCanonical(dst []byte, kind, value string) []byte {
	switch kind {
	case "email":
		return append(dst, strings.ToLower(strings.TrimSpace(value))...)
	case "phone":
		return appendPhone(dst, value)
	}
	return append(dst, value...)
}

func appendPhone(dst []byte, value string) []byte {
	start, plus := len(dst), false
scan:
	for i := range len(value) {
		switch c := value[i]; {
		case c >= '0' && c <= '9':
			dst = append(dst, c)
		case c == '+' && len(dst) == start:
			plus = true
		case len(dst) > start && (c == '#' || c == ';' || c|0x20 >= 'a' && c|0x20 <= 'z'):
			break scan // an extension, or parameters of a tel: URI
		}
	}
	if digits := dst[start:]; !plus && len(digits) > 2 && digits[0] == '0' && digits[1] == '0' {
		dst = append(dst[:start], digits[2:]...)
	}
	return dst
}
