package sample

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// FieldType is the type of a custom ticket field, which the vendor checks on every
// write: one value of the wrong form and the whole write is refused.
type FieldType struct {
	// Kind is the vendor's word: partialcreditcard, integer, decimal, date, regexp or
	// tagger.
	Kind string
	// Pattern is the expression of kind regexp, which a value has to fit as a whole.
	Pattern *regexp.Regexp
	// Choices are the tags of kind tagger.
	Choices []string
}

var (
	partialCard = regexp.MustCompile(`^X{9,15}[0-9]{4}$`)
	tagForm     = regexp.MustCompile(`^[\pL\pN_:/-]+$`)
)

// takes reports whether a field takes a value; nothing is taken by each.
func (t FieldType) takes(value any) bool {
	s := text(value)
	if s == "" {
		return true
	}
	number, isNumber := value.(json.Number)
	switch t.Kind {
	case "partialcreditcard":
		return !isNumber && partialCard.MatchString(s)
	case "integer":
		_, err := strconv.ParseInt(s, 10, 64)
		return err == nil
	case "decimal":
		if isNumber {
			s = number.String()
		}
		_, err := strconv.ParseFloat(s, 64)
		return err == nil
	case "date":
		_, err := time.Parse(time.DateOnly, s)
		return err == nil
	case "regexp":
		return t.Pattern.FindString(s) == s
	case "tagger":
		return slices.Contains(t.Choices, s)
	}
	return true
}

// problem says what of a ticket the vendor would not take, "" for nothing. Tags are
// checked where fields are.
func (h *Helpdesk) problem(in object) string {
	if h.options.Fields == nil {
		return ""
	}
	for _, key := range []string{"custom_fields", "fields"} {
		for _, v := range list(in[key]) {
			field, _ := v.(object)
			if !h.options.Fields[text(field["id"])].takes(field["value"]) {
				return "Custom field " + text(field["id"]) + ": is invalid"
			}
		}
	}
	for _, key := range []string{"tags", "additional_tags", "remove_tags"} {
		for _, v := range list(in[key]) {
			if tag := text(v); !tagForm.MatchString(tag) {
				return "Tags: contain invalid characters"
			}
		}
	}
	return ""
}
