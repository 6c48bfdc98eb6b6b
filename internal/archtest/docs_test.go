package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// minDocWords is the least that can say what a package is for; a bare "Package x
// does y." has fewer.
const minDocWords = 12

// maxDocLines is how long a package comment may be outside doc.go.
const maxDocLines = 10

func TestPackageDocs(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		t.Run(p.room(), func(t *testing.T) {
			t.Parallel()
			files := p.GoFiles
			if len(files) == 0 {
				// A folder of tests says what it tests in one of its test files.
				files = append(append(files, p.TestGoFiles...), p.XTestGoFiles...)
			}
			var doc, in string
			for _, name := range files {
				f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
				if err != nil {
					t.Fatal(err)
				}
				text := packageDoc(f)
				if text == "" {
					continue
				}
				if doc != "" {
					t.Errorf("%s and %s both have a package comment; keep one", in, name)
				}
				doc, in = text, name
			}
			for _, problem := range docProblems(p.Name, in, doc) {
				t.Error(problem)
			}
		})
	}
}

// packageDoc is the comment above the package clause, without build constraints
// and other directives.
func packageDoc(f *ast.File) string {
	if f.Doc == nil {
		return ""
	}
	return strings.TrimSpace(f.Doc.Text())
}

func docProblems(name, file, doc string) []string {
	if doc == "" {
		return []string{"no package comment: say what it does, what it refuses to do and how to use it, in doc.go when longer than ten lines"}
	}
	var problems []string
	if name != "main" && !strings.HasPrefix(doc, "Package "+strings.TrimSuffix(name, "_test")) {
		problems = append(problems, file+": the package comment should begin with \"Package "+name+"\"")
	}
	if n := len(strings.Fields(doc)); n < minDocWords {
		problems = append(problems, file+": the package comment says too little")
	}
	if lines := strings.Count(doc, "\n") + 1; lines > maxDocLines && file != "doc.go" {
		problems = append(problems, file+": a package comment of more than ten lines belongs into doc.go")
	}
	return problems
}

func TestPackageDocsCanFail(t *testing.T) {
	t.Parallel()
	good := "Package tide reads the tide tables of a harbour and answers when a ship of a given draught may pass."
	tests := []struct {
		name, file, doc string
		want            int
	}{
		{"none", "", "", 1},
		{"too short", "tide.go", "Package tide does tides.", 1},
		{"another name", "tide.go", strings.Replace(good, "tide ", "flood ", 1), 1},
		{"good", "tide.go", good, 0},
		{"long, in the wrong file", "tide.go", good + strings.Repeat("\nMore.", 10), 1},
		{"long, in doc.go", "doc.go", good + strings.Repeat("\nMore.", 10), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := docProblems("tide", tt.file, tt.doc); len(got) != tt.want {
				t.Errorf("got problems %q, want %d", got, tt.want)
			}
		})
	}
}
