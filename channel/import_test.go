package channel

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// testImports has a list for each way in which a vendor says where the next page is.
const testImports = `version: 1
name: desk
title: A desk
reach: {governed: [all], not_governed: [nothing]}
rate: {calls: 100, per: 1m, limit: X-Limit, remaining: X-Left, reset: X-Reset}
imports:
  ended:
    title: Cases
    call: case.list
    first: {since: "0"}
    query: {size: "2"}
    record: case
    items: /cases
    id: /id
    created: /opened
    paging: {cursor: /after, parameter: cursor, end: /end}
    limit: {calls: 10, per: 1m}
  more: {title: Cases, call: case.list, record: case, items: /cases, id: /id, paging: {cursor: /meta/after, parameter: "page[after]", more: /meta/has_more}}
  bare: {title: Cases, call: case.list, record: case, items: /data/cases, id: /id, paging: {cursor: /pages/next, parameter: after}}
fields:
  case: {record: {case: /id}, created: /opened}
operations:
  cases:
    response: {/cases/*: case, /data/cases/*: case}
    calls:
      case.list: GET /cases read export
`

// desk is the channel of a file.
func desk(t testing.TB, file string) *Channel {
	t.Helper()
	c, err := Parse("desk.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestImportRead(t *testing.T) {
	t.Parallel()
	c := desk(t, testImports)
	if b := c.Budget; b.Rate != (Rate{100, time.Minute}) || b.Limit != "X-Limit" || b.Remaining != "X-Left" || b.Reset != "X-Reset" {
		t.Errorf("the rate is %+v", b)
	}
	ended := c.Import("ended")
	if ended.Limit != (Rate{10, time.Minute}) || ended.Operation.Name != "case.list" || c.Import("none") != nil {
		t.Errorf("got %+v", ended)
	}
	if got := ended.Query(""); got != "since=0&size=2" {
		t.Errorf("the first call is %q", got)
	}
	if got := ended.Query("a b"); got != "cursor=a+b&size=2" {
		t.Errorf("the next call is %q", got)
	}
	for name, test := range map[string]struct {
		list, cursor, body string
		next, fails        string
		ids                string
	}{
		"more":                       {list: "ended", body: `{"cases":[{"id":1,"opened":"2026-01-05T10:00:00Z"},{"id":"b","opened":1700000000}],"after":"c2","end":false}`, next: "c2", ids: "1 b"},
		"the end":                    {list: "ended", cursor: "c2", body: `{"cases":[],"after":"c2","end":true}`},
		"an id of 64 bits":           {list: "more", body: `{"cases":[{"id":9223372036854775807}],"meta":{"has_more":false}}`, ids: "9223372036854775807"},
		"more by a word for it":      {list: "more", body: `{"cases":[],"meta":{"has_more":true,"after":7}}`, next: "7"},
		"a cursor and nothing else":  {list: "bare", body: `{"data":{"cases":[]},"pages":{"next":"x"}}`, next: "x"},
		"no cursor and nothing else": {list: "bare", body: `{"data":{"cases":[]},"pages":{"next":null}}`},
		"no JSON":                    {list: "ended", body: `<html>`, fails: "no document"},
		"no list":                    {list: "ended", body: `{"end":true}`, fails: "/cases"},
		"an element that is none":    {list: "ended", body: `{"cases":[7],"end":true}`, fails: "/id, element 1"},
		"an id of another kind":      {list: "more", body: `{"cases":[{"id":{"a":1}}],"meta":{"has_more":false}}`, fails: "/id, element 1"},
		"an id that is too long":     {list: "more", body: `{"cases":[{"id":"` + strings.Repeat("x", 257) + `"}],"meta":{"has_more":false}}`, fails: "/id, element 1"},
		"a time that is none":        {list: "ended", body: `{"cases":[{"id":1,"opened":"soon"}],"end":true}`, fails: "/opened, element 1"},
		"a time before computers":    {list: "ended", body: `{"cases":[{"id":1,"opened":"1066-10-14T09:00:00Z"}],"end":true}`, fails: "/opened, element 1"},
		"an end of another kind":     {list: "ended", body: `{"cases":[],"after":"x","end":"no"}`, fails: "/end"},
		"the same cursor":            {list: "ended", cursor: "c", body: `{"cases":[],"after":"c","end":false}`, fails: "the one of this page"},
		"a long cursor":              {list: "ended", body: `{"cases":[],"after":"` + strings.Repeat("x", 5000) + `","end":false}`, fails: "4 KiB"},
		"a cursor of another kind":   {list: "bare", body: `{"data":{"cases":[]},"pages":{"next":{"page":2}}}`, fails: "is no cursor"},
		"more and no cursor":         {list: "more", body: `{"cases":[],"meta":{"has_more":true}}`, fails: "/meta/after"},
	} {
		page, err := c.Import(test.list).Read(test.cursor, []byte(test.body))
		if test.fails != "" {
			var as *ImportError
			if !errors.As(err, &as) || !strings.Contains(err.Error(), test.fails) || len(page.IDs) > 0 {
				t.Errorf("%s: got %v, want %q", name, err, test.fails)
			}
			continue
		}
		if got := strings.Join(page.IDs, " "); err != nil || page.Next != test.next || got != test.ids {
			t.Errorf("%s: got %+v, %v", name, page, err)
		}
	}
}

// Whatever a vendor answers: a page is whole, and what comes next is something else.
func FuzzImportRead(f *testing.F) {
	c := desk(f, testImports)
	f.Add("", `{"cases":[{"id":1,"opened":"2026-01-05T10:00:00Z"}],"after":"c2","end":false}`)
	f.Add("c2", `{"cases":[],"after":"c2","end":true}`)
	f.Add("", `{"cases":[],"meta":{"has_more":true,"after":7}}`)
	f.Add("", `{"data":{"cases":[{"id":"x"}]},"pages":{"next":null}}`)
	f.Fuzz(func(t *testing.T, cursor, body string) {
		for _, i := range c.Imports {
			page, err := i.Read(cursor, []byte(body))
			var as *ImportError
			if err != nil && (!errors.As(err, &as) || len(page.IDs) > 0 || page.Next != "") {
				t.Fatalf("%s: %v with %+v", i.Name, err, page)
			}
			for _, id := range page.IDs {
				if id == "" || len(id) > maxImportID {
					t.Fatalf("%s: an id of %d bytes", i.Name, len(id))
				}
			}
			if page.Next != "" && page.Next == cursor || len(page.Next) > maxImportCursor {
				t.Fatalf("%s: a cursor of %d bytes", i.Name, len(page.Next))
			}
		}
	})
}
