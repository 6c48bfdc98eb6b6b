package proxy_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy/proxytest"
)

// What a policy document says of its last change stands in the event of the policy that
// counts, with people by pseudonyms that are theirs everywhere, and a change of it alone is
// an event.
func TestChangeOfPolicy(t *testing.T) {
	doc := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(doc+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(doc+".new", doc); err != nil {
			t.Fatal(err)
		}
	}
	write("version: 1\nchange: {ticket: CHG-1, author: zebra@example.com, approver: \"key:7f3a\"}\n")
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + doc})
	loaded := func() (all []console.Event) {
		var list console.FoundList
		g.API("POST", "/api/v1/events/search", `{"type":"config.loaded"}`, http.StatusOK, &list)
		for _, f := range slices.Backward(list.Events) {
			all = append(all, g.Event(f.Receipt))
		}
		return all
	}
	first := loaded()
	last := first[len(first)-1].Attrs
	if last["ticket"] != "CHG-1" || len(last["author"]) != 32 || len(last["approved_by"]) != 32 || last["author"] == last["approved_by"] {
		t.Errorf("the first policy: %v", last)
	}
	write("version: 1\nchange: {ticket: CHG-2, author: Zebra@example.com}\n")
	eventually(t, "the second policy is in the log", func() bool {
		all := loaded()
		now := all[len(all)-1].Attrs
		return len(all) == len(first)+1 && now["ticket"] == "CHG-2" && now["author"] == last["author"] && now["approved_by"] == "-"
	})
	write("version: 1\n# more\nchange: {ticket: CHG-2, author: Zebra@example.com}\n")
	eventually(t, "the change that nobody answers for is in the log", func() bool {
		all := loaded()
		now := all[len(all)-1].Attrs
		return len(all) == len(first)+2 && now["ticket"] == "-" && now["author"] == "-" && now["approved_by"] == "-"
	})
	write("version: 1\n")
	eventually(t, "the third policy is in the log", func() bool {
		all := loaded()
		now := all[len(all)-1].Attrs
		return len(all) == len(first)+3 && now["ticket"] == "" && now["author"] == "" && now["approved_by"] == ""
	})
	for _, e := range loaded() {
		for _, v := range e.Attrs {
			if strings.Contains(strings.ToLower(v), "zebra") {
				t.Errorf("the log names somebody: %s", v)
			}
		}
	}
}

// TestChangeOfConfiguration: the leaf of a configuration says who changed it, beside who
// changed the policy.
func TestChangeOfConfiguration(t *testing.T) {
	t.Parallel()
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "change CHG-7 {\nauthor zebra@example.com\napprover key:7f3a\n}"})
	var list console.FoundList
	g.API("POST", "/api/v1/events/search", `{"type":"config.loaded"}`, http.StatusOK, &list)
	attrs := g.Event(list.Events[0].Receipt).Attrs
	if attrs["config_ticket"] != "CHG-7" || len(attrs["config_author"]) != 32 || len(attrs["config_approved_by"]) != 32 || attrs["config_author"] == attrs["config_approved_by"] {
		t.Errorf("got %v", attrs)
	}
	if _, ok := attrs["ticket"]; ok {
		t.Error("the policy says nothing, and has a ticket")
	}
	for _, v := range attrs {
		if strings.Contains(v, "zebra") {
			t.Errorf("the log names somebody: %s", v)
		}
	}
}
