package lists

import (
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/redact/detect"
)

const sample = `version: 1
allow:
  - pattern: "6006############"
    classes: [credit_card]
    reason: our gift cards
    author: dana@example.com
    until: 2027-06-30
  - field: "loyalty_*"
    pattern: "################"
    author: dana@example.com
    until: 2026-12-31
blocklist:
  - terms: [project falcon, "jo doe"]
    author: sam@example.com
find:
  - pattern: "PAY-########"
    class: payment_reference
    author: sam@example.com
    until: 2027-01-31
`

func day(s string) time.Time {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestParse(t *testing.T) {
	t.Parallel()
	f, err := Parse("detect.yaml", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now                        string
		allow, terms, find, expire int
		next                       string
	}{
		{"2026-11-22 00:00:00", 2, 2, 1, 0, "2027-01-01 00:00:00"},
		{"2026-12-31 23:59:59", 2, 2, 1, 0, "2027-01-01 00:00:00"},
		{"2027-01-01 00:00:00", 1, 2, 1, 1, "2027-02-01 00:00:00"},
		{"2027-07-01 00:00:00", 0, 2, 0, 3, ""},
	} {
		got := f.Config(day(c.now))
		if len(got.Allow) != c.allow || len(got.Terms) != c.terms || len(got.Find) != c.find || len(f.Expired(day(c.now))) != c.expire {
			t.Errorf("%s: %d allow, %d terms, %d find, %d expired", c.now, len(got.Allow), len(got.Terms), len(got.Find), len(f.Expired(day(c.now))))
		}
		next := ""
		if n := f.Next(day(c.now)); !n.IsZero() {
			next = n.Format(time.DateTime)
		}
		if next != c.next {
			t.Errorf("%s: next %q, want %q", c.now, next, c.next)
		}
		if _, err := detect.New(got); err != nil {
			t.Errorf("%s: %v", c.now, err)
		}
	}
	if got, want := f.Warn(f.Expired(day("2027-01-01 00:00:00"))[0]), "detect.yaml:8: the allow row of dana@example.com ended on 2026-12-31 and no longer counts"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	const who = "    author: a\n    until: 2027-01-01\n"
	for name, c := range map[string]struct{ src, want string }{
		"empty":             {"", ":1: the file is empty"},
		"no mapping":        {"- a\n", ":1: the file wants members"},
		"no version":        {"allow: []\n", ":1: version is missing"},
		"another version":   {"version: 2\n", `:1: version "2" is not known`},
		"unknown member":    {"version: 1\nallows: []\n", `:2: the file has no member "allows"; it has version, allow, blocklist, find`},
		"twice":             {"version: 1\nallow: []\nallow: []\n", `"allow" twice`},
		"no list":           {"version: 1\nallow: 3\n", ":2: allow wants a list"},
		"no author":         {"version: 1\nallow:\n  - term: abc\n    until: 2027-01-01\n", ":3: the row has no author"},
		"no last day":       {"version: 1\nallow:\n  - term: abc\n    author: a\n", ":3: the row has no last day"},
		"no day":            {"version: 1\nallow:\n  - term: abc\n    author: a\n    until: soon\n", `:5: until "soon" is no day`},
		"no such class":     {"version: 1\nallow:\n  - term: abc\n    classes: [cards]\n" + who, `:4: class "cards" is none; there are credit_card, `},
		"empty classes":     {"version: 1\nallow:\n  - term: abc\n    classes: []\n" + who, ":4: classes is empty"},
		"nothing to allow":  {"version: 1\nallow:\n  - classes: [email]\n" + who, ":3: the row names no pattern, term or field"},
		"allows every card": {"version: 1\nallow:\n  - pattern: \"################\"\n" + who, ":3: pattern \"################\" fits every number"},
		"bad pattern":       {"version: 1\nallow:\n  - pattern: \"A*BCD\"\n" + who, "* means nothing here"},
		"short term":        {"version: 1\nblocklist:\n  - terms: [abc, x]\n    author: a\n", ":3: a term has 1 characters"},
		"no terms":          {"version: 1\nblocklist:\n  - author: a\n", ":3: the row has no terms"},
		"term is a list":    {"version: 1\nblocklist:\n  - terms: [[a]]\n    author: a\n", "a term wants text"},
		"card as find":      {"version: 1\nfind:\n  - pattern: \"PAY-####\"\n    class: credit_card\n    author: a\n", ":3: class \"credit_card\" cannot be found"},
		"find everything":   {"version: 1\nfind:\n  - pattern: \"########\"\n    class: blocklist\n    author: a\n", ":3: pattern \"########\" fits any number"},
		"alias":             {"version: 1\nallow: &a []\nfind: *a\n", ":2: allow wants a list"},
		"not yaml":          {"version: [\n", "not YAML"},
		"too large":         {strings.Repeat("#", maxFile+1), "the limit is"},
	} {
		_, err := Parse("d.yaml", []byte(c.src))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "d.yaml:") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// FuzzParse: whatever the file holds, it is refused with its name or makes a
// detector.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("version: 1\nallow: [{term: abc, author: a, until: 2027-01-01}]\n"))
	f.Add([]byte(`{"version":1,"blocklist":[{"terms":["abc"],"author":"a"}]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := Parse("x", src)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "x:") {
				t.Fatalf("a mistake without its file: %v", err)
			}
			return
		}
		if _, err := detect.New(file.Config(time.Time{})); err != nil {
			t.Fatalf("taken, and no detector comes of it: %v", err)
		}
	})
}
