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

// TestChangeOfPolicyWanted: where the policy wants a ticket and another one's agreement, a
// document without them is refused with its line, and so is one that drops the demand; the one
// before goes on deciding.
func TestChangeOfPolicyWanted(t *testing.T) {
	t.Parallel()
	doc := filepath.Join(t.TempDir(), "policy.yaml")
	const wanted = "changes: {ticket: required, approvers: 1}\n"
	said := func(ticket string) string {
		return "change: {ticket: " + ticket + ", author: zebra@example.com, approver: \"key:7f3a\"}\n"
	}
	write(t, doc, "version: 1\n"+said("CHG-1")+wanted)
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + doc})
	status := func() (s console.PolicyStatus) {
		var all struct{ Policy console.PolicyStatus }
		g.API("GET", "/api/v1/status", "", http.StatusOK, &all)
		return all.Policy
	}
	first := status()
	for _, step := range []struct{ name, text, says string }{
		{"no change", "version: 1\n" + wanted, "policy.yaml:1: the policy wants each change to say who made it"},
		{"nobody else", "version: 1\n" + wanted + "change: {ticket: CHG-2, author: zebra@example.com}\n", "policy.yaml:3: the policy wants somebody else to agree"},
		{"an earlier change", "version: 1\n" + said("CHG-1") + wanted + "logins: [{role: admin, max_age: 1h}]\n", "policy.yaml:2: the policy wants each change to say who made it, and this was written for an earlier one"},
		{"it wants nothing any more", "version: 1\n", "policy.yaml:1: the policy wants each change"},
	} {
		write(t, doc, step.text)
		eventually(t, step.name+" is refused", func() bool { return strings.Contains(status().Trouble, step.says) })
		if got := status().Digest; got != first.Digest {
			t.Errorf("%s: policy %s decides, want the one before", step.name, got)
		}
	}
	write(t, doc, "version: 1\n"+said("CHG-2"))
	eventually(t, "the demand ends by a change that meets it", func() bool { s := status(); return s.Trouble == "" && s.Digest != first.Digest })
	write(t, doc, "version: 1\n")
	eventually(t, "nothing is wanted any more", func() bool { return status().Trouble == "" })
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
