package channel

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// The members of Salesforce's composite requests.
var salesforce = &Composite{Calls: Place{"compositeRequest"}, Method: "method", URL: "url", Body: "body", Also: []string{"referenceId"}, Reference: "@{"}

// What a file says about composite calls.
func TestCompositeOfAFile(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../proxy/testdata/crm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("crm.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Operation("composite.run").Composite
	if got == nil || !slices.Equal(got.Calls, salesforce.Calls) || got.Method != "method" || got.URL != "url" || got.Body != "body" || !slices.Equal(got.Also, salesforce.Also) || got.Reference != "@{" {
		t.Errorf("composite.run: got %+v", got)
	}
	if c.Operation("contact.create").Composite != nil {
		t.Error("contact.create holds calls")
	}
}

// Where the calls stand, in the bytes as they came.
func TestCompositeRead(t *testing.T) {
	t.Parallel()
	body := " {\"x\" : 1, \"compositeRequest\" : [ {\"method\":\"GET\" , \"url\" : \"\\/a?b=c\"},\n{\"body\": {\"k\":[1, 2]} ,\"url\":\"/d\",\"method\":\"POST\",\"referenceId\":\"@{no}\"} ] } "
	calls, at, err := salesforce.Read([]byte(body))
	if err != nil || at != -1 || len(calls) != 2 {
		t.Fatalf("got %+v, %d, %v", calls, at, err)
	}
	a, b := calls[0], calls[1]
	if a.Method != "GET" || a.Path != "/a" || a.RawQuery != "b=c" || body[a.URLStart:a.URLEnd] != `"\/a?b=c"` || a.BodyStart != a.BodyEnd {
		t.Errorf("the first: got %+v", a)
	}
	if b.Method != "POST" || b.Path != "/d" || body[b.BodyStart:b.BodyEnd] != `{"k":[1, 2]}` || b.Refers || body[b.Start] != '{' || body[b.End-1] != '}' {
		t.Errorf("the second: got %+v", b)
	}
}

// The reader takes only what it can account for: every call is an element of the list, in
// its order, with a path of the host; and no list is longer than it may be.
func FuzzComposite(f *testing.F) {
	for _, s := range []string{
		`{"compositeRequest":[{"method":"GET","url":"/a"}]}`,
		`{"compositeRequest":[{"method":"POST","url":"/a/b?c=d","body":{"e":"@{f.id}"},"referenceId":"g"},{"method":"DELETE","url":"/h"}]}`,
		`{"compositeRequest":[{"method":"GET","url":"//host/a"}]}`,
		`{"compositeRequest":[{"method":"GET","url":"/a/@{b.id}"}]}`,
		`{"compositeRequest":[],"compositeRequest":[{"method":"GET","url":"/a"}]}`,
		`{"compositeRequest":{"method":"GET","url":"/a"}}`,
		`{"compositeRequest":[{"method":"GET","url":"/a","url":"/b"}]}`,
		"{\"compositeRequest\":[{\"method\":\"GET\",\"url\":\"/\xff\"}]}",
		`{"compositeRequest":[` + strings.Repeat(`{"method":"GET","url":"/a"},`, MaxInner) + `{"method":"GET","url":"/a"}]}`,
		`{"compositeRequest":[{"method":"GET","url":"/a`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		calls, at, err := salesforce.Read(body)
		if err != nil {
			if calls != nil || at < -1 || at >= MaxInner || !errors.Is(err, ErrInnerForm) && !errors.Is(err, ErrInnerMany) && !errors.Is(err, ErrInnerAddress) && !errors.Is(err, ErrInnerReference) {
				t.Fatalf("got %d calls, %d, %v", len(calls), at, err)
			}
			return
		}
		if len(calls) == 0 || len(calls) > MaxInner {
			t.Fatalf("got %d calls", len(calls))
		}
		last := 0
		for _, c := range calls {
			var element struct {
				Method, URL string
				Body        json.RawMessage
			}
			if c.Start < last || c.End > len(body) || json.Unmarshal(body[c.Start:c.End], &element) != nil {
				t.Fatalf("a call is no element: %+v", c)
			}
			last = c.End
			if element.Method != c.Method || element.URL != c.Path && element.URL != c.Path+"?"+c.RawQuery || c.Path[0] != '/' || strings.HasPrefix(c.Path, "//") || strings.Contains(element.URL, "@{") {
				t.Fatalf("a call is not what its element says: %+v", c)
			}
			if string(element.Body) != string(body[c.BodyStart:c.BodyEnd]) {
				t.Fatalf("a body is not that of its element: %+v", c)
			}
		}
	})
}
