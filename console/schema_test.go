package console

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// description is openapi.json as the tests read it.
type description struct {
	OpenAPI    string
	Paths      map[string]map[string]operationDoc
	Components struct {
		Schemas    map[string]schema
		Responses  map[string]responseDoc
		Parameters map[string]struct {
			Name, In string
			Required bool
		}
		Headers map[string]any
	}
}

type operationDoc struct {
	OperationID string
	Security    *[]map[string][]string
	Parameters  []struct {
		Ref string `json:"$ref"`
	}
	RequestBody *struct {
		Content map[string]struct{ Schema schema }
	}
	Responses map[string]responseDoc
}

type responseDoc struct {
	Ref     string `json:"$ref"`
	Headers map[string]any
	Content map[string]struct{ Schema schema }
}

// schema is the part of JSON Schema that openapi.json uses. A keyword that is
// not one of its fields fails the test, so that nothing goes unchecked.
type schema struct {
	Ref                  string            `json:"$ref"`
	Type                 string            `json:"type"`
	Description          string            `json:"description"`
	Properties           map[string]schema `json:"properties"`
	Required             []string          `json:"required"`
	AdditionalProperties any               `json:"additionalProperties"`
	Items                *schema           `json:"items"`
	Enum                 []string          `json:"enum"`
	Const                any               `json:"const"`
	Pattern              string            `json:"pattern"`
	Format               string            `json:"format"`
	Minimum              *float64          `json:"minimum"`
	Maximum              *float64          `json:"maximum"`
	MinLength            *int              `json:"minLength"`
	MaxLength            *int              `json:"maxLength"`
	MinItems             *int              `json:"minItems"`
	MaxItems             *int              `json:"maxItems"`
}

// UnmarshalJSON refuses keywords that check does not know.
func (s *schema) UnmarshalJSON(b []byte) error {
	type plain schema
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	return dec.Decode((*plain)(s))
}

func describe(t *testing.T) *description {
	t.Helper()
	d := new(description)
	if err := json.Unmarshal(openAPI, d); err != nil {
		t.Fatalf("openapi.json: %v", err)
	}
	return d
}

// resolve follows one reference into the schemas.
func (d *description) resolve(s schema) (schema, error) {
	if s.Ref == "" {
		return s, nil
	}
	name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/")
	found, known := d.Components.Schemas[name]
	if !ok || !known {
		return s, fmt.Errorf("reference %s leads nowhere", s.Ref)
	}
	return found, nil
}

// check compares a decoded document with a schema and names the first place
// where they differ.
func (d *description) check(s schema, v any, at string) error {
	s, err := d.resolve(s)
	if err != nil {
		return err
	}
	if s.Const != nil && !reflect.DeepEqual(s.Const, v) {
		return fmt.Errorf("%s: want %v", at, s.Const)
	}
	switch s.Type {
	case "":
		return nil
	case "boolean":
		if _, ok := v.(bool); !ok {
			return fmt.Errorf("%s: want a boolean", at)
		}
	case "integer":
		n, ok := v.(float64)
		if !ok || n != math.Trunc(n) || (s.Minimum != nil && n < *s.Minimum) || (s.Maximum != nil && n > *s.Maximum) {
			return fmt.Errorf("%s: want an integer within its limits", at)
		}
	case "string":
		return s.checkString(v, at)
	case "array":
		list, ok := v.([]any)
		if !ok || (s.MinItems != nil && len(list) < *s.MinItems) || (s.MaxItems != nil && len(list) > *s.MaxItems) {
			return fmt.Errorf("%s: want an array within its limits", at)
		}
		for i, item := range list {
			if err := d.check(*s.Items, item, fmt.Sprintf("%s/%d", at, i)); err != nil {
				return err
			}
		}
	case "object":
		return d.checkObject(s, v, at)
	default:
		return fmt.Errorf("%s: the schema has the unknown type %q", at, s.Type)
	}
	return nil
}

func (s schema) checkString(v any, at string) error {
	text, ok := v.(string)
	n := utf8.RuneCountInString(text)
	switch {
	case !ok:
		return fmt.Errorf("%s: want a string", at)
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, text):
		return fmt.Errorf("%s: want one of %v, got %q", at, s.Enum, text)
	case s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(text):
		return fmt.Errorf("%s: want %s, got %q", at, s.Pattern, text)
	case (s.MinLength != nil && n < *s.MinLength) || (s.MaxLength != nil && n > *s.MaxLength):
		return fmt.Errorf("%s: length %d is outside the limits", at, n)
	}
	if s.Format == "date-time" {
		if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
			return fmt.Errorf("%s: want a date-time, got %q", at, text)
		}
	}
	return nil
}

func (d *description) checkObject(s schema, v any, at string) error {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: want an object", at)
	}
	for _, name := range s.Required {
		if _, ok := object[name]; !ok {
			return fmt.Errorf("%s: %s is missing", at, name)
		}
	}
	for name, value := range object {
		property, known := s.Properties[name]
		if !known {
			if s.AdditionalProperties == false {
				return fmt.Errorf("%s: %s is not described", at, name)
			}
			continue
		}
		if err := d.check(property, value, at+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

// checkAnswer compares an answer with what is described for its call.
func (d *description) checkAnswer(method, pattern string, status int, contentType string, body []byte) error {
	op, ok := d.Paths[pattern][strings.ToLower(method)]
	if !ok {
		return fmt.Errorf("%s %s is not described", method, pattern)
	}
	resp, ok := op.Responses[fmt.Sprint(status)]
	if !ok {
		if resp, ok = op.Responses["default"]; !ok {
			return fmt.Errorf("%s %s: status %d is not described", method, pattern, status)
		}
	}
	if name, ok := strings.CutPrefix(resp.Ref, "#/components/responses/"); ok {
		resp = d.Components.Responses[name]
	}
	if len(resp.Content) == 0 {
		if len(body) > 0 {
			return fmt.Errorf("%s %s: a body where none is described", method, pattern)
		}
		return nil
	}
	media, ok := resp.Content[contentType]
	if !ok {
		return fmt.Errorf("%s %s: content type %q is not described for %d", method, pattern, contentType, status)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return fmt.Errorf("%s %s: %w", method, pattern, err)
	}
	return d.check(media.Schema, v, "")
}

func TestSchemaCanFail(t *testing.T) {
	t.Parallel()
	d := describe(t)
	tests := []struct {
		name, schema, doc string
		ok                bool
	}{
		{"a check", "Check", `{"name":"audit","ok":true}`, true},
		{"missing member", "Check", `{"name":"audit"}`, false},
		{"undescribed member", "Check", `{"name":"audit","ok":true,"secret":"x"}`, false},
		{"another type", "Check", `{"name":1,"ok":true}`, false},
		{"inside an array", "Health", `{"status":"ok","checks":[{"ok":true}]}`, false},
		{"not in the enum", "Health", `{"status":"fine","checks":[]}`, false},
		{"below the minimum", "Findings", `{"class":"x","clear":-1,"masked":0,"tokenized":0,"dropped":0,"not_inspected":0}`, false},
		{"not a date", "Key", `{"id":"a","name":"","roles":[],"grants":[],"created":"today"}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var v any
			if err := json.Unmarshal([]byte(tt.doc), &v); err != nil {
				t.Fatal(err)
			}
			if err := d.check(d.Components.Schemas[tt.schema], v, ""); (err == nil) != tt.ok {
				t.Errorf("got %v, want ok %t", err, tt.ok)
			}
		})
	}
}
