package channel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// MaxInner is how many calls one composite call may hold. Vendors take 20 to 50; what is
// more is for bulk operations and exports.
const MaxInner = 100

// maxInnerURL is in bytes, as long as a path may be that Match reads.
const maxInnerURL = maxPath

// Composite says where a call holds other calls that the vendor carries out: an array of
// objects, each with the method and the address of a call, and perhaps its body.
type Composite struct {
	// Calls is the way to the array in the body.
	Calls Place
	// Method, URL and Body are names of members of an element. Body is empty where calls
	// have none.
	Method, URL, Body string
	// Also are names of further members, which change nothing about the call. An element
	// with any other cannot be read.
	Also []string
	// Reference is what begins a reference to the answer of an earlier call ("@{"); empty
	// where the vendor knows none.
	Reference string
}

// Inner is one call inside a composite call. Offsets are of the bytes given to Read.
type Inner struct {
	// Method is in upper case. Path is escaped as it was written, RawQuery what stands
	// behind the question mark.
	Method, Path, RawQuery string
	// Start and End are the element, URLStart and URLEnd its address with its quotes,
	// BodyStart and BodyEnd its body, equal where there is none.
	Start, End, URLStart, URLEnd, BodyStart, BodyEnd int
	// Refers says that the body holds references to answers of earlier calls.
	Refers bool
}

// Errors of [Composite.Read]. They hold nothing of what was read.
var (
	// ErrInnerForm: the body is not of the form that the channel file says.
	ErrInnerForm = errors.New("the calls inside are not written as the channel file says")
	// ErrInnerMany: there are more than MaxInner calls.
	ErrInnerMany = fmt.Errorf("there are more than %d calls inside", MaxInner)
	// ErrInnerAddress: an address is none of this system, or could be read in several ways.
	ErrInnerAddress = errors.New("the address of a call inside is not a path of this system")
	// ErrInnerReference: an address depends on the answer of an earlier call.
	ErrInnerReference = errors.New("the address of a call inside depends on the answer of another")
)

// Read finds the calls inside the body of a composite call, in JSON. It is stricter than
// any vendor about what names a call: members that stand twice, also in another case,
// methods in lower case, and addresses that are no path are refused. Whether the body as a
// whole is sound is for the walker to say, which reads the same bytes. On an error the
// number is that of the call that it is about, -1 where it is about the whole.
func (c *Composite) Read(body []byte) (calls []Inner, at int, err error) {
	from, to := 0, len(body)
	for _, name := range c.Calls {
		found := span{-1, -1}
		err := eachMember(body, from, to, func(key string, v span) error {
			if key == name {
				found = v
			}
			return nil
		})
		if err != nil || found.from < 0 {
			return nil, -1, ErrInnerForm
		}
		from, to = found.from, found.to
	}
	at = -1
	err = eachValue(body, from, to, '[', func(_ string, v span) error {
		if at = len(calls); at == MaxInner {
			return ErrInnerMany
		}
		call, err := c.call(body, v)
		calls = append(calls, call)
		return err
	})
	switch {
	case errors.Is(err, ErrInnerMany):
		return nil, -1, err
	case err != nil:
		return nil, at, err
	case len(calls) == 0:
		return nil, -1, ErrInnerForm // nothing would be decided about
	}
	return calls, -1, nil
}

// call reads one element.
func (c *Composite) call(body []byte, element span) (in Inner, err error) {
	in.Start, in.End = element.from, element.to
	var address string
	err = eachMember(body, element.from, element.to, func(key string, v span) error {
		raw := body[v.from:v.to]
		switch {
		case key == c.Method:
			return text(raw, &in.Method)
		case key == c.URL:
			in.URLStart, in.URLEnd = v.from, v.to
			return text(raw, &address)
		case key == c.Body && c.Body != "":
			switch raw[0] {
			case '{', '[', 'n':
			default:
				return ErrInnerForm // a document inside a string is read by nobody
			}
			in.BodyStart, in.BodyEnd = v.from, v.to
			return nil
		case slices.Contains(c.Also, key):
			return nil
		}
		return ErrInnerForm
	})
	if err != nil {
		return in, err
	}
	switch in.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return in, ErrInnerForm
	}
	if err := c.address(address, &in); err != nil {
		return in, err
	}
	if c.Reference != "" && in.BodyStart < in.BodyEnd {
		in.Refers = c.refers(body[in.BodyStart:in.BodyEnd])
	}
	return in, nil
}

// address takes an address apart. It has to be a path from the root of the host, of the
// characters that a path may have: anything else could be the address of another system
// to somebody.
func (c *Composite) address(s string, in *Inner) error {
	if c.Reference != "" {
		plain, err := url.PathUnescape(s)
		if err != nil || strings.Contains(plain, c.Reference) || strings.Contains(s, c.Reference) {
			if err != nil {
				return ErrInnerAddress
			}
			return ErrInnerReference
		}
	}
	if len(s) == 0 || len(s) > maxInnerURL || s[0] != '/' || strings.HasPrefix(s, "//") {
		return ErrInnerAddress
	}
	for i := range len(s) {
		if b := s[i]; b <= ' ' || b >= 0x7f || strings.IndexByte("\"<>\\^`{|}#", b) >= 0 {
			return ErrInnerAddress
		}
	}
	u, err := url.ParseRequestURI(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return ErrInnerAddress
	}
	in.Path, in.RawQuery, _ = strings.Cut(s, "?")
	return nil
}

// refers tells whether a string or a name in a document holds a reference.
func (c *Composite) refers(doc []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	for {
		t, err := dec.Token()
		if err != nil {
			return false
		}
		if s, ok := t.(string); ok && strings.Contains(s, c.Reference) {
			return true
		}
	}
}

// text reads a string.
func text(raw []byte, to *string) error {
	if raw[0] != '"' || json.Unmarshal(raw, to) != nil {
		return ErrInnerForm
	}
	return nil
}

// span is a part of a body.
type span struct{ from, to int }

// eachMember gives the members of the object that body[from:to] is. A name that stands
// twice, also in another case, ends it: readers differ in which of the two counts.
func eachMember(body []byte, from, to int, each func(key string, v span) error) error {
	seen := make(map[string]bool)
	return eachValue(body, from, to, '{', func(key string, v span) error {
		folded := strings.ToLower(key)
		if seen[folded] {
			return ErrInnerForm
		}
		seen[folded] = true
		return each(key, v)
	})
}

// eachValue gives the values of an array or object, with their names and where they stand.
func eachValue(body []byte, from, to int, open json.Delim, each func(key string, v span) error) error {
	dec := json.NewDecoder(bytes.NewReader(body[from:to]))
	if t, err := dec.Token(); err != nil || t != open {
		return ErrInnerForm
	}
	for dec.More() {
		key := ""
		if open == '{' {
			t, err := dec.Token()
			if err != nil {
				return ErrInnerForm
			}
			key, _ = t.(string)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil || len(raw) == 0 {
			return ErrInnerForm
		}
		end := from + int(dec.InputOffset())
		if v := (span{end - len(raw), end}); v.from < from || !bytes.Equal(body[v.from:v.to], raw) {
			return ErrInnerForm
		} else if err := each(key, v); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return ErrInnerForm
	}
	return nil
}

// composite reads where a group's calls hold others.
func (b *builder) composite(n *yaml.Node) *Composite {
	m := b.object(n, "`composite`", []string{"calls", "method", "url"}, []string{"body", "also", "reference"})
	c := &Composite{Reference: b.text(m["reference"], "`composite.reference`")}
	if v := b.onePlace(m["calls"], "`composite.calls`"); v != "" {
		c.Calls = PlaceOf(v)
	}
	for _, member := range []struct {
		key string
		to  *string
	}{{"method", &c.Method}, {"url", &c.URL}, {"body", &c.Body}} {
		*member.to = b.member(m[member.key], "`composite."+member.key+"`")
	}
	for _, item := range b.list(m["also"], "`composite.also`") {
		if v := b.member(item, "an entry of `composite.also`"); v != "" {
			c.Also = append(c.Also, v)
		}
	}
	names := append([]string{c.Method, c.URL, c.Body}, c.Also...)
	seen := make(map[string]bool)
	for _, name := range names {
		if folded := strings.ToLower(name); name != "" && seen[folded] {
			b.fail(n, fmt.Sprintf("`composite` names the member %q twice", name), "each member has one meaning")
		} else {
			seen[folded] = true
		}
	}
	if b.channel.Payments != nil {
		b.fail(n, "`composite` stands in a file with `payments`", "no token of a payment is turned back inside a composite call; take one of them out")
	}
	return c
}

// onePlace reads a pointer without stars.
func (b *builder) onePlace(n *yaml.Node, what string) string {
	v := b.pointer(n, what)
	if strings.Contains(v, "*") {
		b.fail(n, what+" points to many places", "name one place, without a star")
		return ""
	}
	return v
}

// member reads a pointer to a member of an element and returns the member's name.
func (b *builder) member(n *yaml.Node, what string) string {
	v := b.onePlace(n, what)
	if v == "" {
		return ""
	}
	p := PlaceOf(v)
	if len(p) != 1 {
		b.fail(n, fmt.Sprintf("%s is %q, a place inside of a member", what, v), "name a member of the element itself: /method")
		return ""
	}
	return p[0]
}
