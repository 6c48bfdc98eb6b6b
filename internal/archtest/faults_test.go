package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// faultPage is a page of faults and the tests that it names.
type faultPage struct {
	path string
	// row has the fault, what must hold and the tests; name finds faults in the comments of
	// tests; invariant is the letter of what must hold.
	row, name *regexp.Regexp
	invariant string
	want      []string // the faults that have a row
}

func faultPages() []faultPage {
	numbers := func(prefix string, most int) (all []string) {
		for n := 1; n <= most; n++ {
			all = append(all, fmt.Sprint(prefix, n))
		}
		return all
	}
	return []faultPage{
		{"docs/audit-faults.md", regexp.MustCompile(`(?m)^\| (F\d+) \| [^|]+ \| ([^|]*) \| ([^|]*) \|$`), regexp.MustCompile(`\bF\d+\b`), "A", numbers("F", 24)},
		{"docs/vault-faults.md", regexp.MustCompile(`(?m)^\| (VT\d+) \| [^|]+ \| ([^|]*) \| ([^|]*) \|$`), regexp.MustCompile(`\bVT\d+\b`), "V", numbers("VT", 11)},
	}
}

var faultTest = regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)\\w+)`")

// proofs returns the comments of the tests in a package by their names.
func proofs(t *testing.T, room string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root(t), filepath.FromSlash(room), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				out[fn.Name.Name] = strings.ReplaceAll(fn.Doc.Text(), "\n", " ")
			}
		}
	}
	return out
}

// numbered expands A1-A3 to A1, A2, A3.
func numbered(letter, text string) (out []string) {
	for _, m := range regexp.MustCompile(`\b`+letter+`(\d+)(?:(?:-| to )`+letter+`(\d+))?\b`).FindAllStringSubmatch(text, -1) {
		from, _ := strconv.Atoi(m[1])
		to := from
		if m[2] != "" {
			to, _ = strconv.Atoi(m[2])
		}
		for n := from; n <= to; n++ {
			out = append(out, fmt.Sprint(letter, n))
		}
	}
	return out
}

// TestFaults holds the pages against the tests: each fault has a row, each test of a row
// is there and says that it is about this fault and, together with the others, about the
// invariants of the row, and no test is about a fault without standing in its row.
func TestFaults(t *testing.T) {
	t.Parallel()
	rooms := map[string]map[string]string{}
	for _, room := range []string{"audit", "audit/objectlock", "policy", "proxy", "vault", "vault/awskms", "test/detectors"} {
		rooms[room] = proofs(t, room)
	}
	for _, page := range faultPages() {
		t.Run(page.path, func(t *testing.T) {
			t.Parallel()
			page.hold(t, rooms)
		})
	}
}

func (p faultPage) hold(t *testing.T, rooms map[string]map[string]string) {
	text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(p.path)))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string][]string{} // fault to tests
	for _, row := range p.row.FindAllStringSubmatch(string(text), -1) {
		fault, comments := row[1], ""
		listed[fault] = []string{}
		for _, m := range faultTest.FindAllStringSubmatch(row[3], -1) {
			comment, ok := rooms[m[1]][m[2]]
			switch {
			case !ok:
				t.Errorf("%s: there is no %s.%s", fault, m[1], m[2])
			case strings.HasPrefix(m[2], "Test") && !slices.Contains(p.name.FindAllString(comment, -1), fault):
				t.Errorf("%s: the comment of %s.%s does not name it", fault, m[1], m[2])
			}
			comments += comment + " "
			listed[fault] = append(listed[fault], m[1]+"."+m[2])
		}
		if len(listed[fault]) == 0 {
			continue // it says what it comes with
		}
		proved := numbered(p.invariant, comments)
		for _, a := range numbered(p.invariant, row[2]) {
			if !slices.Contains(proved, a) {
				t.Errorf("%s: no test names %s", fault, a)
			}
		}
	}
	for _, fault := range p.want {
		if _, ok := listed[fault]; !ok {
			t.Errorf("%s has no row %s", p.path, fault)
		}
	}
	for room, tests := range rooms {
		for name, comment := range tests {
			if !strings.HasPrefix(name, "Test") {
				continue
			}
			for _, fault := range p.name.FindAllString(comment, -1) {
				if !slices.Contains(listed[fault], room+"."+name) {
					t.Errorf("%s.%s is about %s and does not stand in its row", room, name, fault)
				}
			}
		}
	}
}
