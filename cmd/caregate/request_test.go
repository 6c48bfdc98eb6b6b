package main

import (
	"strings"
	"testing"
)

// What became of a thing reads as a place and a result, with a hold or a statute and a day where
// the result has them, or as a mistake.
func FuzzRequestItem(f *testing.F) {
	for _, s := range []string{"billing=erased", "desk/a/ticket/1=kept_hold:h1", "desk/a/t/a=b=kept_statute:AO-147:2030-12-31", "*=not_found", "=erased", "a=", "a=kept_hold", "a=erased:b", "a=:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		it, err := requestItem(line)
		if err != nil {
			return
		}
		back := it.Place + "=" + it.Result
		for _, more := range []string{it.Hold, it.Statute, it.Until} {
			if more != "" {
				back += ":" + more
			}
		}
		if it.Place == "" || it.Result == "" || back != line && !strings.HasSuffix(line, ":") && !strings.Contains(line, "::") {
			t.Error("it is read as something else")
		}
	})
}
